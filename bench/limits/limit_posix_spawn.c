/* limit_posix_spawn.c - what it takes to start a whole new program that does nothing, and to see it end. */
#define _POSIX_C_SOURCE 200809L
#include "host.h"
#include "must.h"
#include "peers/peer.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static void *start(size_t calls)
{
    (void)calls;
    host_touch(10 * MB);
    return NULL;
}

static void round_trip(void *pool)
{
    (void)pool;
    char name[] = "true";
    char *arguments[] = {name, NULL};
    pid_t child, ended;
    int status = 0;
    must(posix_spawnp(&child, name, NULL, NULL, arguments, environ), "posix_spawnp of true");
    while ((ended = waitpid(child, &status, 0)) == -1 && errno == EINTR) continue;
    must_call(ended, "waitpid");
    if (status != 0) give_up("true", "did not end well");
}

static void stop(void *pool) { (void)pool; }

const struct peer limit_posix_spawn = {
    .name = "limit_posix_spawn",
    .touched = 10 * MB,
    .start = start,
    .round_trip = round_trip,
    .stop = stop,
};
