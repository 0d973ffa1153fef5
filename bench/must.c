/* must.c - see must.h. */
#define _POSIX_C_SOURCE 200809L
#include "must.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { LEAST_PAGE = 4096 };

_Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

void must(int error, const char *what)
{
    if (error != 0) give_up(what, strerror(error < 0 ? -error : error));
}

void must_call(long result, const char *what)
{
    if (result == -1) must(errno, what);
}

void must_have_ended(pid_t child, const char *what)
{
    int status = 0;
    pid_t ended;
    while ((ended = waitpid(child, &status, 0)) == -1 && errno == EINTR) continue;
    must_call(ended, "waitpid");
    if (status != 0) give_up(what, "did not end well");
}

/* Volatile, because a compiler may otherwise see that the memory is zeroed already and leave the pages to be mapped later. */
void *must_reserve(size_t count, size_t size)
{
    volatile char *memory = calloc(count, size);
    if (!memory) must(ENOMEM, "memory");
    for (size_t at = 0; at < count * size; at += LEAST_PAGE) memory[at] = 0;
    return (void *)memory;
}
