/* limit_capture.c - the plain twin of a command whose output is captured: a program is started, its pipe is read to the end, it is reaped. */
#define _POSIX_C_SOURCE 200809L
#include "must.h"
#include "peers/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PIECE = 64 << 10 };

/* All that is read is kept, in memory that has been touched before. */
struct reader {
    char *bytes;
};

static void *start(size_t calls)
{
    (void)calls;
    struct reader *reader = must_reserve(1, sizeof *reader);
    reader->bytes = must_reserve(CAPTURED + PIECE, 1);
    return reader;
}

static pid_t start_program(int output)
{
    char *arguments[] = CAPTURED_PROGRAM;
    posix_spawn_file_actions_t actions;
    pid_t child;
    must(posix_spawn_file_actions_init(&actions), "posix_spawn_file_actions_init");
    must(posix_spawn_file_actions_adddup2(&actions, output, 1), "posix_spawn_file_actions_adddup2");
    must(posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ), "posix_spawnp of head");
    posix_spawn_file_actions_destroy(&actions);
    return child;
}

static void round_trip(void *pool)
{
    struct reader *reader = pool;
    int ends[2];
    size_t size = 0;
    ssize_t got;
    must_call(pipe(ends), "pipe");
    must_call(fcntl(ends[0], F_SETFD, FD_CLOEXEC), "fcntl");
    must_call(fcntl(ends[1], F_SETFD, FD_CLOEXEC), "fcntl");
    pid_t child = start_program(ends[1]);
    close(ends[1]);
    while ((got = read(ends[0], reader->bytes + size, PIECE)) > 0 || (got == -1 && errno == EINTR))
        if (got > 0 && (size += (size_t)got) > CAPTURED) break;
    must_call(got, "read");
    close(ends[0]);
    must_have_ended(child, "head");
    if (size != CAPTURED) give_up("limit_pipe", "has read something else");
}

static void stop(void *pool)
{
    struct reader *reader = pool;
    free(reader->bytes);
    free(reader);
}

const struct peer limit_capture = {.name = "limit_pipe", .start = start, .round_trip = round_trip, .stop = stop};
