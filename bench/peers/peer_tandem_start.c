/* peer_tandem_start.c - tandem in a program of some size: each call finds a pool that has no worker alive. */
#define _POSIX_C_SOURCE 200809L
#include "host.h"
#include "must.h"
#include "peers/end_well.h"
#include "peers/peer.h"

#include <sched.h>
#include <stdlib.h>

struct start_subject {
    tandem_pool *pool;
    tandem_task task;
    uint64_t calls;
};

static int do_nothing(tandem_context *context, void *input, size_t input_size)
{
    (void)context, (void)input, (void)input_size;
    return 0;
}

/* A worker that has nothing to do ends after a millisecond. */
static void *start(size_t touched_before, size_t touched_after)
{
    host_touch(touched_before);
    must(tandem_init(), "tandem_init");
    host_touch(touched_after);
    struct start_subject *subject = must_reserve(1, sizeof *subject);
    subject->task = (tandem_task){.run = do_nothing, .isolation = TANDEM_PROCESS};
    tandem_options options = {.threads = TANDEM_NONE, .processes = 1, .idle_ms = 1};
    must(tandem_pool_create(&subject->pool, &options), "tandem_pool_create");
    return subject;
}

static void *start_10MB(size_t calls)
{
    (void)calls;
    return start(0, 10 * MB);
}

static void *start_1GB(size_t calls)
{
    (void)calls;
    return start(0, GB);
}

static void *start_4GB(size_t calls)
{
    (void)calls;
    return start(0, 4 * GB);
}

static void *start_1GB_before(size_t calls)
{
    (void)calls;
    return start(GB, 0);
}

static tandem_stats look(const struct start_subject *subject)
{
    tandem_stats stats;
    must(tandem_pool_stats(subject->pool, &stats), "tandem_pool_stats");
    return stats;
}

/* It does not sleep: a processor that has just slept would be slower at first. */
static void ready(void *pool)
{
    struct start_subject *subject = pool;
    while (look(subject).processes > 0) sched_yield();
}

static void round_trip(void *pool)
{
    struct start_subject *subject = pool;
    must_end_well(&subject->task, tandem_call(subject->pool, &subject->task));
    subject->calls++;
}

static void stop(void *pool)
{
    struct start_subject *subject = pool;
    if (look(subject).workers_started < subject->calls) give_up("worker_start", "a worker has answered twice");
    must(tandem_task_clear(&subject->task), "tandem_task_clear");
    must(tandem_pool_destroy(subject->pool), "tandem_pool_destroy");
    must(tandem_quit(), "tandem_quit");
    free(subject);
}

#define EVERY_SIZE .ready = ready, .round_trip = round_trip, .stop = stop

const struct peer peer_tandem_10MB = {.name = "tandem_10MB", .touched = 10 * MB, .start = start_10MB, EVERY_SIZE};
const struct peer peer_tandem_1GB = {.name = "tandem_1GB", .touched = GB, .start = start_1GB, EVERY_SIZE};
const struct peer peer_tandem_4GB = {
    .name = "tandem_4GB",
    .touched = 4 * GB,
    .only_in_full = true,
    .start = start_4GB,
    EVERY_SIZE,
};
const struct peer peer_tandem_1GB_before = {
    .name = "tandem_1GB_before",
    .touched = GB,
    .only_in_full = true,
    .start = start_1GB_before,
    EVERY_SIZE,
};
