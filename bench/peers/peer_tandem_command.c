/* peer_tandem_command.c - tandem's commands, in programs of two sizes: one that does nothing, one that writes much. */
#define _POSIX_C_SOURCE 200809L
#include "host.h"
#include "must.h"
#include "peers/end_well.h"
#include "peers/peer.h"

#include <stdlib.h>

struct command_subject {
    tandem_pool *pool;
    tandem_command command;
    tandem_task task;
};

static struct command_subject *start(size_t touched)
{
    must(tandem_init(), "tandem_init");
    host_touch(touched);
    struct command_subject *subject = must_reserve(1, sizeof *subject);
    subject->task = (tandem_task){.command = &subject->command};
    tandem_options options = {.threads = TANDEM_NONE, .processes = 1};
    must(tandem_pool_create(&subject->pool, &options), "tandem_pool_create");
    return subject;
}

static void *start_empty(size_t touched)
{
    static const char *const arguments[] = {"true", NULL};
    struct command_subject *subject = start(touched);
    subject->command = (tandem_command){.argv = arguments, .out = TANDEM_STDIO_NULL, .err = TANDEM_STDIO_NULL};
    return subject;
}

static void *start_10MB(size_t calls)
{
    (void)calls;
    return start_empty(10 * MB);
}

static void *start_1GB(size_t calls)
{
    (void)calls;
    return start_empty(GB);
}

static void *start_writer(size_t calls)
{
    (void)calls;
    static const char *const arguments[] = CAPTURED_PROGRAM;
    struct command_subject *subject = start(0);
    subject->command = (tandem_command){.argv = arguments, .output_limit = 2 * (size_t)CAPTURED, .err = TANDEM_STDIO_NULL};
    return subject;
}

static void round_trip(void *pool)
{
    struct command_subject *subject = pool;
    must_end_well(&subject->task, tandem_call(subject->pool, &subject->task));
    must(tandem_task_clear(&subject->task), "tandem_task_clear");
}

static void capture(void *pool)
{
    struct command_subject *subject = pool;
    must_end_well(&subject->task, tandem_call(subject->pool, &subject->task));
    if (subject->task.output_size != CAPTURED) give_up("tandem", "has captured something else");
    must(tandem_task_clear(&subject->task), "tandem_task_clear");
}

static void stop(void *pool)
{
    struct command_subject *subject = pool;
    must(tandem_pool_destroy(subject->pool), "tandem_pool_destroy");
    must(tandem_quit(), "tandem_quit");
    free(subject);
}

const struct peer peer_tandem_command_10MB = {
    .name = "tandem_10MB", .touched = 10 * MB, .start = start_10MB, .round_trip = round_trip, .stop = stop};
const struct peer peer_tandem_command_1GB = {
    .name = "tandem_1GB", .touched = GB, .start = start_1GB, .round_trip = round_trip, .stop = stop};
const struct peer peer_tandem_capture = {.name = "tandem", .start = start_writer, .round_trip = capture, .stop = stop};
