/* must.h - what may not fail does not fail in silence: a message to stderr, and exit status 1. */
#ifndef BENCH_MUST_H
#define BENCH_MUST_H

#include <stddef.h>
#include <sys/types.h>

_Noreturn void give_up(const char *what, const char *why);

/* Goes on if error is 0; it is an errno value of either sign. */
void must(int error, const char *what);

/* Goes on if the result of a system call is not -1. */
void must_call(long result, const char *what);

/* Waits until that child has ended, and goes on if it ended well. */
void must_have_ended(pid_t child, const char *what);

/* Zeroed memory for count things, its pages touched, so that no page fault of ours falls into a measured time. */
void *must_reserve(size_t count, size_t size);

#endif
