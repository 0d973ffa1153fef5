/* peer_glib.c - GLib's GThreadPool, its completions counted, as it has no way to wait for a task. */
#if defined(BENCH_WITH_GLIB)
#define _POSIX_C_SOURCE 200809L
#include "must.h"
#include "peers/peer.h"

#include <glib.h>
#include <stdlib.h>

struct glib_subject {
    GThreadPool *pool;
    GMutex lock;
    GCond ended;
    gint unfinished; /* atomic: raised by producers, lowered by pool threads, which say so when it falls to 0 */
};

/* GThreadPool has one function for all tasks and no NULL task: an empty task is the subject itself, a held one is its gate. */
static void run(gpointer task, gpointer user_data)
{
    struct glib_subject *subject = user_data;
    if (task != subject) gate_pass(task);
    if (!g_atomic_int_dec_and_test(&subject->unfinished)) return;
    g_mutex_lock(&subject->lock);
    g_cond_signal(&subject->ended);
    g_mutex_unlock(&subject->lock);
}

static void *start(size_t task_count)
{
    (void)task_count;
    struct glib_subject *subject = must_reserve(1, sizeof *subject);
    g_mutex_init(&subject->lock);
    g_cond_init(&subject->ended);
    GError *error = NULL;
    subject->pool = g_thread_pool_new(run, subject, THREADS, TRUE, &error);
    if (error) give_up("g_thread_pool_new", error->message);
    return subject;
}

static void push(struct glib_subject *subject, gpointer task)
{
    GError *error = NULL;
    g_thread_pool_push(subject->pool, task, &error);
    if (error) give_up("g_thread_pool_push", error->message);
}

static void submit(void *pool, size_t first, size_t count)
{
    (void)first;
    struct glib_subject *subject = pool;
    g_atomic_int_add(&subject->unfinished, (gint)count);
    for (size_t i = 0; i < count; i++) push(subject, subject);
}

static void await(void *pool, size_t count)
{
    (void)count;
    struct glib_subject *subject = pool;
    g_mutex_lock(&subject->lock);
    while (g_atomic_int_get(&subject->unfinished) != 0) g_cond_wait(&subject->ended, &subject->lock);
    g_mutex_unlock(&subject->lock);
}

static void round_trip(void *pool)
{
    submit(pool, 0, 1);
    await(pool, 1);
}

static void hold(void *pool, struct gate *gate)
{
    struct glib_subject *subject = pool;
    g_atomic_int_add(&subject->unfinished, THREADS);
    for (size_t i = 0; i < THREADS; i++) push(subject, gate);
}

static void stop(void *pool)
{
    struct glib_subject *subject = pool;
    g_thread_pool_free(subject->pool, FALSE, TRUE);
    g_cond_clear(&subject->ended);
    g_mutex_clear(&subject->lock);
    free(subject);
}

const struct peer peer_glib = {
    .name = "glib",
    .task_size = 0,
    .start = start,
    .submit = submit,
    .await = await,
    .round_trip = round_trip,
    .hold = hold,
    .stop = stop,
};

#else
#include "peers/peer.h"

const struct peer peer_glib = {.name = "glib", .absent = "built without glib-2.0"};
#endif
