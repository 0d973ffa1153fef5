/* peer_tandem_crash.c - tandem with two worker processes: empty tasks of which every hundredth crashes, and the same that do not. */
#define _DEFAULT_SOURCE
#include "must.h"
#include "peers/end_well.h"
#include "peers/peer.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

enum { PROCESSES = 2, CRASH_EVERY = 100 };

struct crash_subject {
    tandem_pool *pool;
    tandem_task *tasks;
    size_t task_count;
    bool crashing;
};

static int do_nothing(tandem_context *context, void *input, size_t input_size)
{
    (void)context, (void)input, (void)input_size;
    return 0;
}

/* A picture of its memory is not to be taken: where the system is set so, that is by far the longest part of a crash. */
static int crash(tandem_context *context, void *input, size_t input_size)
{
    (void)context, (void)input, (void)input_size;
#if defined(__linux__)
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    abort();
}

/* In the middle of each hundred, so that no worker that a crash has called for is started before or after what is measured. */
static bool crashes(const struct crash_subject *subject, size_t index)
{
    return subject->crashing && index % CRASH_EVERY == CRASH_EVERY / 2;
}

static struct crash_subject *start(size_t task_count, bool crashing)
{
    must(tandem_init(), "tandem_init");
    struct crash_subject *subject = must_reserve(1, sizeof *subject);
    subject->task_count = task_count;
    subject->tasks = must_reserve(task_count, sizeof *subject->tasks);
    subject->crashing = crashing;
    for (size_t i = 0; i < task_count; i++) {
        subject->tasks[i].run = crashes(subject, i) ? crash : do_nothing;
        subject->tasks[i].isolation = TANDEM_PROCESS;
    }
    tandem_options options = {.threads = TANDEM_NONE, .processes = PROCESSES, .processes_ready = PROCESSES};
    must(tandem_pool_create(&subject->pool, &options), "tandem_pool_create");
    return subject;
}

static void *start_crashing(size_t task_count) { return start(task_count, true); }

static void *start_sound(size_t task_count) { return start(task_count, false); }

static void submit(void *pool, size_t first, size_t count)
{
    struct crash_subject *subject = pool;
    for (size_t i = first; i < first + count; i++) must(tandem_submit(subject->pool, &subject->tasks[i]), "tandem_submit");
}

/* Exactly those that crash have crashed. */
static void await(void *pool, size_t count)
{
    struct crash_subject *subject = pool;
    for (size_t i = 0; i < count; i++)
        must_end_as(&subject->tasks[i], tandem_wait(&subject->tasks[i]), crashes(subject, i) ? TANDEM_CRASHED : TANDEM_OK);
}

static void stop(void *pool)
{
    struct crash_subject *subject = pool;
    for (size_t i = 0; i < subject->task_count; i++) must(tandem_task_clear(&subject->tasks[i]), "tandem_task_clear");
    must(tandem_pool_destroy(subject->pool), "tandem_pool_destroy");
    must(tandem_quit(), "tandem_quit");
    free(subject->tasks);
    free(subject);
}

#define EITHER .task_size = sizeof(tandem_task), .processes = PROCESSES, .submit = submit, .await = await, .stop = stop

const struct peer peer_tandem_crashing = {.name = "tandem_crashing", .start = start_crashing, EITHER};
const struct peer peer_tandem_sound = {.name = "tandem_sound", .start = start_sound, EITHER};
