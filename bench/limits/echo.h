/* echo.h - a process that writes back what it reads, over a pipe in each direction. */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#include <stddef.h>
#include <sys/types.h>

struct echo {
    pid_t pid;
    int to;
    int from;
};

enum { ECHO_MOST = 4096 }; /* bytes that it reads at a time */

void echo_start(struct echo *echo);

/* The same, but so many bytes must have arrived before any is written back. */
void echo_start_whole(struct echo *echo, size_t size);

/* The same with a program of another, which does something before it writes back what it has read, and ends well when there is no more
 * to read.  arguments[0] is its path; the last one is NULL. */
void echo_start_program(struct echo *echo, char *const arguments[]);

/* Both transfer exactly size bytes. */
void echo_send(const struct echo *echo, const void *bytes, size_t size);
void echo_receive(const struct echo *echo, void *bytes, size_t size);

void echo_stop(struct echo *echo);

#endif
