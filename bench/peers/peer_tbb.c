/* peer_tbb.c - oneTBB: tasks that are put into an arena and awaited as a group, and parallel_for. */
#if defined(BENCH_WITH_TBB)
#define _POSIX_C_SOURCE 200809L
#include "peers/peer.h"
#include "peers/tbb_calls.h"

static void *start(size_t tasks)
{
    (void)tasks;
    return tbb_calls_start(THREADS, 1);
}

static void *start_for(size_t tasks)
{
    (void)tasks;
    return tbb_calls_start(THREADS - 1, 1);
}

static void submit(void *pool, size_t first, size_t count)
{
    (void)first;
    tbb_calls_submit(pool, count);
}

static void await(void *pool, size_t count)
{
    (void)count;
    tbb_calls_await(pool);
}

static void wait_at_gate(void *gate) { gate_pass(gate); }

static void hold(void *pool, struct gate *gate)
{
    for (size_t i = 0; i < THREADS; i++) tbb_calls_submit_one(pool, wait_at_gate, gate);
}

static void loop(void *pool, size_t count) { tbb_calls_loop(pool, count); }

static void stop(void *pool) { tbb_calls_stop(pool); }

const struct peer peer_tbb = {.name = "tbb", .start = start, .submit = submit, .await = await, .hold = hold, .stop = stop};
const struct peer peer_tbb_for = {.name = "tbb", .start = start_for, .loop = loop, .stop = stop};

#else
#include "peers/peer.h"

#define ABSENT "built without a C++ compiler and oneTBB"
const struct peer peer_tbb = {.name = "tbb", .absent = ABSENT};
const struct peer peer_tbb_for = {.name = "tbb", .absent = ABSENT};
#endif
