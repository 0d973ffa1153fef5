/* peer_apr.c - the thread pool of the Apache Portable Runtime, its completions counted, as it has no way to wait for a task. */
#if defined(BENCH_WITH_APR)
#define _POSIX_C_SOURCE 200809L
#include "must.h"
#include "peers/peer.h"

#include <apr_general.h>
#include <apr_thread_pool.h>
#include <stdatomic.h>
#include <stdlib.h>

struct apr_subject {
    apr_pool_t *memory;
    apr_thread_pool_t *pool;
    atomic_size_t unfinished; /* raised by producers, lowered by pool threads, which say so when it falls to 0 */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct gate *gate;
};

static void must_apr(apr_status_t status, const char *what)
{
    char text[100];
    if (status != APR_SUCCESS) give_up(what, apr_strerror(status, text, sizeof text));
}

static void count_end(struct apr_subject *subject)
{
    if (atomic_fetch_sub(&subject->unfinished, 1) != 1) return;
    pthread_mutex_lock(&subject->lock);
    pthread_cond_signal(&subject->ended);
    pthread_mutex_unlock(&subject->lock);
}

static void *APR_THREAD_FUNC do_nothing(apr_thread_t *thread, void *subject)
{
    (void)thread;
    count_end(subject);
    return NULL;
}

static void *APR_THREAD_FUNC wait_at_gate(apr_thread_t *thread, void *argument)
{
    struct apr_subject *subject = argument;
    (void)thread;
    gate_pass(subject->gate);
    count_end(subject);
    return NULL;
}

static void *start(size_t task_count)
{
    (void)task_count;
    must_apr(apr_initialize(), "apr_initialize");
    struct apr_subject *subject = must_reserve(1, sizeof *subject);
    must(pthread_mutex_init(&subject->lock, NULL), "pthread_mutex_init");
    must(pthread_cond_init(&subject->ended, NULL), "pthread_cond_init");
    must_apr(apr_pool_create(&subject->memory, NULL), "apr_pool_create");
    must_apr(apr_thread_pool_create(&subject->pool, THREADS, THREADS, subject->memory), "apr_thread_pool_create");
    return subject;
}

static void push(struct apr_subject *subject, apr_thread_start_t run, size_t count)
{
    atomic_fetch_add(&subject->unfinished, count);
    while (count-- > 0)
        must_apr(apr_thread_pool_push(subject->pool, run, subject, APR_THREAD_TASK_PRIORITY_NORMAL, NULL), "apr_thread_pool_push");
}

static void submit(void *pool, size_t first, size_t count)
{
    (void)first;
    push(pool, do_nothing, count);
}

static void await(void *pool, size_t count)
{
    (void)count;
    struct apr_subject *subject = pool;
    pthread_mutex_lock(&subject->lock);
    while (atomic_load(&subject->unfinished) != 0) pthread_cond_wait(&subject->ended, &subject->lock);
    pthread_mutex_unlock(&subject->lock);
}

static void round_trip(void *pool)
{
    push(pool, do_nothing, 1);
    await(pool, 1);
}

static void hold(void *pool, struct gate *gate)
{
    struct apr_subject *subject = pool;
    subject->gate = gate;
    push(subject, wait_at_gate, THREADS);
}

static void stop(void *pool)
{
    struct apr_subject *subject = pool;
    must_apr(apr_thread_pool_destroy(subject->pool), "apr_thread_pool_destroy");
    apr_pool_destroy(subject->memory);
    apr_terminate();
    pthread_cond_destroy(&subject->ended);
    pthread_mutex_destroy(&subject->lock);
    free(subject);
}

const struct peer peer_apr = {
    .name = "apr",
    .start = start,
    .submit = submit,
    .await = await,
    .round_trip = round_trip,
    .hold = hold,
    .stop = stop,
};

#else
#include "peers/peer.h"

const struct peer peer_apr = {.name = "apr", .absent = "built without apr-util"};
#endif
