/* limit_tasks.c - the fastest way to hand over tasks that lie in structs of their caller's, as large as tandem's: one producer and one consumer,
 * neither of which ever sleeps, and a counter between them.
 *
 * Of each task one cache line is touched: the producer marks the task as not ended, the consumer calls its function and marks it as ended, the
 * producer looks at the mark.  That line goes there and back, and there are more of them than the caches hold. */
#define _POSIX_C_SOURCE 200809L
#include "must.h"
#include "peers/peer.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <tandem.h>

enum { CACHE_LINE = 64 };

struct line {
    void (*run)(void);
    atomic_bool ended; /* by the consumer; false: by the producer */
};

union task {
    struct line line;
    tandem_task as_large;
};

/* Numbers of tasks only grow. */
struct between {
    _Alignas(CACHE_LINE) atomic_size_t handed_over; /* by the producer, read by the consumer */
    size_t zero; /* task 0's number this time; written while the consumer waits, read when it has seen the counter change */
    atomic_bool closed;
    _Alignas(CACHE_LINE) union task *tasks;
    pthread_t consumer;
};

static void do_nothing(void) {}

static void *consume(void *argument)
{
    struct between *between = argument;
    for (size_t at = 0, seen = 0;; at++) {
        while (at == seen) {
            seen = atomic_load_explicit(&between->handed_over, memory_order_acquire);
            if (at != seen) break;
            if (atomic_load_explicit(&between->closed, memory_order_relaxed)) return NULL;
            sched_yield();
        }
        struct line *line = &between->tasks[at - between->zero].line;
        line->run();
        atomic_store_explicit(&line->ended, true, memory_order_release);
    }
}

static void *start(size_t task_count)
{
    struct between *between = aligned_alloc(CACHE_LINE, sizeof *between);
    if (!between) give_up("aligned_alloc", "no memory");
    *between = (struct between){.tasks = must_reserve(task_count, sizeof *between->tasks)};
    for (size_t i = 0; i < task_count; i++) between->tasks[i].line.run = do_nothing;
    must(pthread_create(&between->consumer, NULL, consume, between), "pthread_create");
    return between;
}

static void submit(void *pool, size_t first, size_t count)
{
    struct between *between = pool;
    size_t handed_over = atomic_load_explicit(&between->handed_over, memory_order_relaxed);
    between->zero = handed_over - first;
    for (size_t i = first; i < first + count; i++) {
        atomic_store_explicit(&between->tasks[i].line.ended, false, memory_order_relaxed);
        atomic_store_explicit(&between->handed_over, ++handed_over, memory_order_release);
    }
}

static void await(void *pool, size_t count)
{
    struct between *between = pool;
    for (size_t i = 0; i < count; i++)
        while (!atomic_load_explicit(&between->tasks[i].line.ended, memory_order_acquire)) sched_yield();
}

static void stop(void *pool)
{
    struct between *between = pool;
    atomic_store_explicit(&between->closed, true, memory_order_relaxed);
    must(pthread_join(between->consumer, NULL), "pthread_join");
    free(between->tasks);
    free(between);
}

const struct peer limit_tasks = {
    .name = "limit_tasks",
    .task_size = sizeof(union task),
    .start = start,
    .submit = submit,
    .await = await,
    .stop = stop,
};
