/* echo.h - a forked process that writes back what it reads, over a pipe in each direction. */
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

/* Both transfer exactly size bytes. */
void echo_send(const struct echo *echo, const void *bytes, size_t size);
void echo_receive(const struct echo *echo, void *bytes, size_t size);

void echo_stop(struct echo *echo);

#endif
