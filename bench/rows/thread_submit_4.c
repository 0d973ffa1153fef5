/* thread_submit_4.c - how many empty tasks a second four threads can hand to a pool at once. */
#define _POSIX_C_SOURCE 200809L
#include "measure.h"
#include "must.h"
#include "row.h"

enum { PRODUCERS = 4 };

/* libuv is not here: it takes work from the thread of its loop only. */
static const struct peer *const peers[] = {&peer_tandem_threads, &peer_glib, &peer_apr, &peer_tbb, &peer_textbook, NULL};

struct producer {
    const struct peer *peer;
    void *pool;
    size_t first;
    size_t count;
    struct gate *gate;
    pthread_t thread;
};

static void *produce(void *argument)
{
    const struct producer *producer = argument;
    gate_pass(producer->gate);
    producer->peer->submit(producer->pool, producer->first, producer->count);
    return NULL;
}

static double measure(const struct peer *peer, void *pool, size_t count)
{
    warm_up(peer, pool, count);
    struct gate gate = GATE_CLOSED;
    struct producer producers[PRODUCERS];
    for (size_t i = 0; i < PRODUCERS; i++) {
        size_t first = count * i / PRODUCERS;
        size_t end = count * (i + 1) / PRODUCERS;
        producers[i] = (struct producer){.peer = peer, .pool = pool, .first = first, .count = end - first, .gate = &gate};
        must(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), "pthread_create");
    }
    gate_await(&gate, PRODUCERS);
    uint64_t start = now_ns();
    gate_open(&gate);
    for (size_t i = 0; i < PRODUCERS; i++) must(pthread_join(producers[i].thread, NULL), "pthread_join");
    peer->await(pool, count);
    return (double)count * 1e9 / (double)(now_ns() - start);
}

const struct row row_thread_submit_4 = {
    .name = "thread_submit_4",
    .unit = "tasks/s",
    .sentence = "four threads outside the pool submit empty tasks to 2 threads at once; all are awaited",
    .count = 1000000,
    .quick_count = 300000,
    .peers = peers,
    .measure = measure,
};
