/* limit_fork.c - the plain twin of a worker's start: a program of some size forks itself, and the child answers over a pipe. */
#define _POSIX_C_SOURCE 200809L
#include "host.h"
#include "must.h"
#include "peers/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct forker {
    int pipe[2];
    pid_t child; /* that has answered; 0: none */
};

static void *start(size_t touched)
{
    host_touch(touched);
    struct forker *forker = must_reserve(1, sizeof *forker);
    must_call(pipe(forker->pipe), "pipe");
    return forker;
}

static void *start_10MB(size_t calls)
{
    (void)calls;
    return start(10 * MB);
}

static void *start_1GB(size_t calls)
{
    (void)calls;
    return start(GB);
}

static void *start_4GB(size_t calls)
{
    (void)calls;
    return start(4 * GB);
}

/* The last child is gone, also from the page tables. */
static void ready(void *pool)
{
    struct forker *forker = pool;
    if (forker->child == 0) return;
    int status = 0;
    pid_t ended;
    while ((ended = waitpid(forker->child, &status, 0)) == -1 && errno == EINTR) continue;
    must_call(ended, "waitpid");
    if (status != 0) give_up("a forked child", "did not end well");
    forker->child = 0;
}

static void round_trip(void *pool)
{
    struct forker *forker = pool;
    char answer = 0;
    must_call(forker->child = fork(), "fork");
    if (forker->child == 0) _exit(write(forker->pipe[1], &answer, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
    ssize_t got;
    while ((got = read(forker->pipe[0], &answer, 1)) == -1 && errno == EINTR) continue;
    must_call(got, "read from a forked child");
}

static void stop(void *pool)
{
    struct forker *forker = pool;
    ready(forker);
    close(forker->pipe[0]);
    close(forker->pipe[1]);
    free(forker);
}

#define EVERY_SIZE .ready = ready, .round_trip = round_trip, .stop = stop

const struct peer limit_fork_10MB = {.name = "limit_fork_10MB", .touched = 10 * MB, .start = start_10MB, EVERY_SIZE};
const struct peer limit_fork_1GB = {.name = "limit_fork_1GB", .touched = GB, .start = start_1GB, EVERY_SIZE};
const struct peer limit_fork_4GB = {
    .name = "limit_fork_4GB",
    .touched = 4 * GB,
    .only_in_full = true,
    .start = start_4GB,
    EVERY_SIZE,
};
