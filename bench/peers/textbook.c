/* textbook.c - the thread pool of the textbook: a list of tasks under one mutex, and a condition variable for either side. */
#define _POSIX_C_SOURCE 200809L
#include "must.h"
#include "peers/peer.h"

#include <stdbool.h>
#include <stdlib.h>

struct textbook_task {
    struct textbook_task *next;
    void (*run)(void *argument);
    void *argument;
};

/* All but the threads and the caller's tasks is guarded by lock. */
struct textbook_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;     /* there is a task, or the pool is closing; threads of the pool wait for it */
    pthread_cond_t finished; /* unfinished has fallen to 0 */
    struct textbook_task *head;
    struct textbook_task **tail;
    size_t unfinished; /* submitted tasks that have not ended */
    bool closing;
    pthread_t threads[THREADS];

    struct textbook_task *tasks;
    struct textbook_task held[THREADS];
};

/* The task's end is counted while the lock is held anyway to take the next one: one lock and unlock a task. */
static void *work(void *argument)
{
    struct textbook_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->head && !pool->closing) pthread_cond_wait(&pool->work, &pool->lock);
        struct textbook_task *task = pool->head;
        if (!task) break;
        pool->head = task->next;
        if (!pool->head) pool->tail = &pool->head;
        pthread_mutex_unlock(&pool->lock);

        task->run(task->argument);

        pthread_mutex_lock(&pool->lock);
        if (--pool->unfinished == 0) pthread_cond_broadcast(&pool->finished);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void push(struct textbook_pool *pool, struct textbook_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&pool->lock);
    *pool->tail = task;
    pool->tail = &task->next;
    pool->unfinished++;
    pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

static void do_nothing(void *argument) { (void)argument; }

static void wait_at_gate(void *argument) { gate_pass(argument); }

static void *start(size_t task_count)
{
    struct textbook_pool *pool = must_reserve(1, sizeof *pool);
    pool->tail = &pool->head;
    pool->tasks = must_reserve(task_count, sizeof *pool->tasks);
    for (size_t i = 0; i < task_count; i++) pool->tasks[i].run = do_nothing;
    must(pthread_mutex_init(&pool->lock, NULL), "pthread_mutex_init");
    must(pthread_cond_init(&pool->work, NULL), "pthread_cond_init");
    must(pthread_cond_init(&pool->finished, NULL), "pthread_cond_init");
    for (size_t i = 0; i < THREADS; i++) must(pthread_create(&pool->threads[i], NULL, work, pool), "pthread_create");
    return pool;
}

static void submit(void *state, size_t first, size_t count)
{
    struct textbook_pool *pool = state;
    for (size_t i = first; i < first + count; i++) push(pool, &pool->tasks[i]);
}

static void await(void *state, size_t count)
{
    (void)count;
    struct textbook_pool *pool = state;
    pthread_mutex_lock(&pool->lock);
    while (pool->unfinished != 0) pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

static void round_trip(void *state)
{
    submit(state, 0, 1);
    await(state, 1);
}

static void hold(void *state, struct gate *gate)
{
    struct textbook_pool *pool = state;
    for (size_t i = 0; i < THREADS; i++) {
        pool->held[i] = (struct textbook_task){.run = wait_at_gate, .argument = gate};
        push(pool, &pool->held[i]);
    }
}

static void stop(void *state)
{
    struct textbook_pool *pool = state;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < THREADS; i++) must(pthread_join(pool->threads[i], NULL), "pthread_join");
    must(pthread_cond_destroy(&pool->finished), "pthread_cond_destroy");
    must(pthread_cond_destroy(&pool->work), "pthread_cond_destroy");
    must(pthread_mutex_destroy(&pool->lock), "pthread_mutex_destroy");
    free(pool->tasks);
    free(pool);
}

const struct peer peer_textbook = {
    .name = "textbook",
    .task_size = sizeof(struct textbook_task),
    .start = start,
    .submit = submit,
    .await = await,
    .round_trip = round_trip,
    .hold = hold,
    .stop = stop,
};
