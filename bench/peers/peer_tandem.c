/* peer_tandem.c - tandem itself: threads, threads that nobody helps, one and two worker processes, with and without rings, empty and
 * working, both kinds at once. */
#define _POSIX_C_SOURCE 200809L
#include "busy.h"
#include "must.h"
#include "peers/end_well.h"
#include "peers/peer.h"

#include <stdint.h>
#include <stdlib.h>
#include <tandem.h>

struct tandem_subject {
    tandem_pool *pool;
    tandem_task *tasks;
    size_t task_count;
    tandem_task held[THREADS];
    size_t held_count;
};

static int do_nothing(tandem_context *context, void *input, size_t input_size)
{
    (void)context, (void)input, (void)input_size;
    return 0;
}

static int wait_at_gate(tandem_context *context, void *input, size_t input_size)
{
    (void)context, (void)input_size;
    gate_pass(input);
    return 0;
}

static int be_busy(tandem_context *context, void *input, size_t input_size)
{
    (void)context, (void)input, (void)input_size;
    busy_work();
    return 0;
}

static struct tandem_subject *start(size_t task_count, tandem_options options)
{
    must(tandem_init(), "tandem_init");
    struct tandem_subject *subject = must_reserve(1, sizeof *subject);
    subject->task_count = task_count;
    subject->tasks = must_reserve(task_count, sizeof *subject->tasks);
    for (size_t i = 0; i < task_count; i++) subject->tasks[i].run = do_nothing;
    if (options.processes != TANDEM_NONE) options.processes_ready = options.processes;
    must(tandem_pool_create(&subject->pool, &options), "tandem_pool_create");
    return subject;
}

static void *start_threads(size_t task_count)
{
    return start(task_count, (tandem_options){.threads = THREADS, .processes = TANDEM_NONE});
}

static void *start_no_help(size_t task_count)
{
    struct tandem_subject *subject = start_threads(task_count);
    for (size_t i = 0; i < task_count; i++) subject->tasks[i].flags = TANDEM_NO_HELP;
    return subject;
}

static struct tandem_subject *start_processes(size_t task_count, tandem_options options)
{
    options.threads = TANDEM_NONE;
    struct tandem_subject *subject = start(task_count, options);
    for (size_t i = 0; i < task_count; i++) subject->tasks[i].isolation = TANDEM_PROCESS;
    return subject;
}

static void *start_one_process(size_t task_count) { return start_processes(task_count, (tandem_options){.processes = 1}); }

static void *start_two_processes(size_t task_count) { return start_processes(task_count, (tandem_options){.processes = 2}); }

static void *start_pipe(size_t task_count)
{
    return start_processes(task_count, (tandem_options){.processes = 1, .pipes_only = 1});
}

static void *start_working(size_t task_count, uint32_t processes)
{
    struct tandem_subject *subject = start_processes(task_count, (tandem_options){.processes = processes});
    for (size_t i = 0; i < task_count; i++) subject->tasks[i].run = be_busy;
    return subject;
}

static void *start_one_working(size_t task_count) { return start_working(task_count, 1); }

static void *start_two_working(size_t task_count) { return start_working(task_count, 2); }

static void *start_both(size_t task_count)
{
    struct tandem_subject *subject = start(task_count, (tandem_options){.threads = THREADS, .processes = 2});
    for (size_t i = 1; i < task_count; i += 2) subject->tasks[i].isolation = TANDEM_PROCESS;
    return subject;
}

/* Several producers may be here at once, each with tasks of its own. */
static void submit(void *pool, size_t first, size_t count)
{
    struct tandem_subject *subject = pool;
    for (size_t i = first; i < first + count; i++) must(tandem_submit(subject->pool, &subject->tasks[i]), "tandem_submit");
}

static void await(void *pool, size_t count)
{
    struct tandem_subject *subject = pool;
    for (size_t i = 0; i < count; i++) must_end_well(&subject->tasks[i], tandem_wait(&subject->tasks[i]));
    for (size_t i = 0; i < subject->held_count; i++) must_end_well(&subject->held[i], tandem_wait(&subject->held[i]));
    subject->held_count = 0;
}

static void round_trip(void *pool)
{
    struct tandem_subject *subject = pool;
    must_end_well(&subject->tasks[0], tandem_call(subject->pool, &subject->tasks[0]));
}

static void hold(void *pool, struct gate *gate)
{
    struct tandem_subject *subject = pool;
    for (size_t i = 0; i < THREADS; i++) {
        subject->held[i] = (tandem_task){.run = wait_at_gate, .input = gate};
        must(tandem_submit(subject->pool, &subject->held[i]), "tandem_submit");
    }
    subject->held_count = THREADS;
}

static void stop(void *pool)
{
    struct tandem_subject *subject = pool;
    for (size_t i = 0; i < subject->task_count; i++) must(tandem_task_clear(&subject->tasks[i]), "tandem_task_clear");
    must(tandem_pool_destroy(subject->pool), "tandem_pool_destroy");
    must(tandem_quit(), "tandem_quit");
    free(subject->tasks);
    free(subject);
}

/* The functions that every kind of pool shares; only the start tells them apart. */
#define EVERY_POOL                                                                                                                 \
    .task_size = sizeof(tandem_task), .submit = submit, .await = await, .round_trip = round_trip, .hold = hold, .stop = stop

const struct peer peer_tandem_threads = {.name = "tandem", .start = start_threads, EVERY_POOL};
const struct peer peer_tandem_no_help = {.name = "tandem_no_help", .start = start_no_help, EVERY_POOL};
const struct peer peer_tandem_process = {.name = "tandem", .processes = 1, .start = start_one_process, EVERY_POOL};
const struct peer peer_tandem_call = {.name = "tandem_call", .processes = 1, .start = start_one_process, EVERY_POOL};
const struct peer peer_tandem_processes = {.name = "tandem_2", .processes = 2, .start = start_two_processes, EVERY_POOL};
const struct peer peer_tandem_pipe = {.name = "tandem_pipe", .processes = 1, .start = start_pipe, EVERY_POOL};
const struct peer peer_tandem_working = {.name = "tandem", .processes = 1, .start = start_one_working, EVERY_POOL};
const struct peer peer_tandem_working_2 = {.name = "tandem_2", .processes = 2, .start = start_two_working, EVERY_POOL};
const struct peer peer_tandem_both = {.name = "tandem", .processes = 2, .start = start_both, EVERY_POOL};
