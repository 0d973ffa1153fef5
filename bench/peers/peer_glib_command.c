/* peer_glib_command.c - GLib's g_spawn_sync: a program that does nothing, in programs of two sizes, and one that writes much. */
#if defined(BENCH_WITH_GLIB)
#define _POSIX_C_SOURCE 200809L
#include "host.h"
#include "must.h"
#include "peers/peer.h"

#include <glib.h>
#include <string.h>

static void *start_10MB(size_t calls)
{
    (void)calls;
    host_touch(10 * MB);
    return NULL;
}

static void *start_1GB(size_t calls)
{
    (void)calls;
    host_touch(GB);
    return NULL;
}

static void *start_writer(size_t calls)
{
    (void)calls;
    return NULL;
}

static void run(char **arguments, GSpawnFlags flags, char **output)
{
    GError *error = NULL;
    int status = 0;
    if (!g_spawn_sync(NULL, arguments, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL | flags, NULL, NULL, output, NULL,
                      &status, &error))
        give_up("g_spawn_sync", error->message);
    if (status != 0) give_up(arguments[0], "did not end well");
}

static void round_trip(void *pool)
{
    (void)pool;
    char name[] = "true";
    char *arguments[] = {name, NULL};
    run(arguments, G_SPAWN_STDOUT_TO_DEV_NULL, NULL);
}

/* It gives a string and no length, and these are 0 bytes: that they are there is all that can be seen. */
static void capture(void *pool)
{
    (void)pool;
    char *arguments[] = CAPTURED_PROGRAM, *output = NULL;
    run(arguments, G_SPAWN_DEFAULT, &output);
    if (!output) give_up("glib", "has captured nothing");
    g_free(output);
}

static void stop(void *pool) { (void)pool; }

const struct peer peer_glib_command_10MB = {
    .name = "glib_10MB", .touched = 10 * MB, .start = start_10MB, .round_trip = round_trip, .stop = stop};
const struct peer peer_glib_command_1GB = {
    .name = "glib_1GB", .touched = GB, .start = start_1GB, .round_trip = round_trip, .stop = stop};
const struct peer peer_glib_capture = {.name = "glib", .start = start_writer, .round_trip = capture, .stop = stop};

#else
#include "peers/peer.h"

const struct peer peer_glib_command_10MB = {.name = "glib_10MB", .absent = "built without GLib"};
const struct peer peer_glib_command_1GB = {.name = "glib_1GB", .absent = "built without GLib"};
const struct peer peer_glib_capture = {.name = "glib", .absent = "built without GLib"};
#endif
