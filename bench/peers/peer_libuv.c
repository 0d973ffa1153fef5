/* peer_libuv.c - libuv's uv_queue_work: submitted and called back on the thread of one event loop. */
#if defined(BENCH_WITH_LIBUV)
#define _GNU_SOURCE
#include "must.h"
#include "peers/peer.h"

#include <stdlib.h>
#include <uv.h>

struct libuv_subject {
    uv_loop_t loop;
    uv_work_t *tasks;
    uv_work_t held[THREADS];
};

static void must_uv(int result, const char *what)
{
    if (result != 0) give_up(what, uv_strerror(result));
}

static void do_nothing(uv_work_t *task) { (void)task; }

static void wait_at_gate(uv_work_t *task) { gate_pass(task->data); }

static void has_ended(uv_work_t *task, int status)
{
    (void)task;
    must_uv(status, "uv_queue_work");
}

/* The pool is one for the whole process; its size is read from the environment when the first task is queued. */
static void *start(size_t task_count)
{
    _Static_assert(THREADS == 2, "the size is written out below");
    must_call(setenv("UV_THREADPOOL_SIZE", "2", 1), "setenv");
    struct libuv_subject *subject = must_reserve(1, sizeof *subject);
    subject->tasks = must_reserve(task_count, sizeof *subject->tasks);
    must_uv(uv_loop_init(&subject->loop), "uv_loop_init");
    return subject;
}

static void submit(void *pool, size_t first, size_t count)
{
    struct libuv_subject *subject = pool;
    for (size_t i = first; i < first + count; i++)
        must_uv(uv_queue_work(&subject->loop, &subject->tasks[i], do_nothing, has_ended), "uv_queue_work");
}

static void await(void *pool, size_t count)
{
    (void)count;
    struct libuv_subject *subject = pool;
    if (uv_run(&subject->loop, UV_RUN_DEFAULT) != 0) give_up("uv_run", "ended with work left");
}

static void round_trip(void *pool)
{
    submit(pool, 0, 1);
    await(pool, 1);
}

static void hold(void *pool, struct gate *gate)
{
    struct libuv_subject *subject = pool;
    for (size_t i = 0; i < THREADS; i++) {
        subject->held[i].data = gate;
        must_uv(uv_queue_work(&subject->loop, &subject->held[i], wait_at_gate, has_ended), "uv_queue_work");
    }
}

static void stop(void *pool)
{
    struct libuv_subject *subject = pool;
    must_uv(uv_loop_close(&subject->loop), "uv_loop_close");
    free(subject->tasks);
    free(subject);
}

const struct peer peer_libuv = {
    .name = "libuv",
    .task_size = sizeof(uv_work_t),
    .start = start,
    .submit = submit,
    .await = await,
    .round_trip = round_trip,
    .hold = hold,
    .stop = stop,
};

#else
#include "peers/peer.h"

const struct peer peer_libuv = {.name = "libuv", .absent = "built without libuv"};
#endif
