/* limit_spsc.c - the fastest way to hand over tasks: a ring with one producer and one consumer, neither of which ever sleeps. */
#define _POSIX_C_SOURCE 200809L
#include "must.h"
#include "peers/peer.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { SLOTS = 1024, CACHE_LINE = 64 };

typedef void (*function)(void);

/* Positions only grow; a slot is position % SLOTS.  Each side keeps, on its own cache line, what it last saw of the other's
 * position, and looks again only when that no longer suffices. */
struct ring {
    _Alignas(CACHE_LINE) atomic_size_t written; /* by the producer, read by the consumer */
    size_t read_seen;
    _Alignas(CACHE_LINE) atomic_size_t read; /* by the consumer, read by the producer */
    size_t written_seen;
    _Alignas(CACHE_LINE) atomic_bool closed;
    pthread_t consumer;
    function slots[SLOTS];
};

static void do_nothing(void) {}

static void *consume(void *argument)
{
    struct ring *ring = argument;
    for (size_t at = 0;; at++) {
        while (at == ring->written_seen) {
            ring->written_seen = atomic_load_explicit(&ring->written, memory_order_acquire);
            if (at != ring->written_seen) break;
            if (atomic_load_explicit(&ring->closed, memory_order_relaxed)) return NULL;
            sched_yield();
        }
        ring->slots[at % SLOTS]();
        atomic_store_explicit(&ring->read, at + 1, memory_order_release);
    }
}

static void *start(size_t task_count)
{
    (void)task_count;
    struct ring *ring = aligned_alloc(CACHE_LINE, sizeof *ring);
    if (!ring) give_up("aligned_alloc", "no memory");
    *ring = (struct ring){.closed = false};
    must(pthread_create(&ring->consumer, NULL, consume, ring), "pthread_create");
    return ring;
}

static void submit(void *pool, size_t first, size_t count)
{
    (void)first;
    struct ring *ring = pool;
    size_t at = atomic_load_explicit(&ring->written, memory_order_relaxed);
    for (size_t end = at + count; at < end; at++) {
        while (at - ring->read_seen == SLOTS) {
            ring->read_seen = atomic_load_explicit(&ring->read, memory_order_acquire);
            if (at - ring->read_seen == SLOTS) sched_yield();
        }
        ring->slots[at % SLOTS] = do_nothing;
        atomic_store_explicit(&ring->written, at + 1, memory_order_release);
    }
}

static void await(void *pool, size_t count)
{
    (void)count;
    struct ring *ring = pool;
    size_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
    while (atomic_load_explicit(&ring->read, memory_order_acquire) != written) sched_yield();
}

static void stop(void *pool)
{
    struct ring *ring = pool;
    atomic_store_explicit(&ring->closed, true, memory_order_relaxed);
    must(pthread_join(ring->consumer, NULL), "pthread_join");
    free(ring);
}

const struct peer limit_spsc = {.name = "limit_spsc", .start = start, .submit = submit, .await = await, .stop = stop};
