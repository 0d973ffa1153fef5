/* many_waiters.c - threads that wait for isolated tasks: whoever reads a worker's replies, each learns of its own task's end. */
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 8

struct waiter {
    pthread_t thread;
    tandem_pool *pool;
    tandem_task *task;
    unsigned number;
    size_t calls;
    int status;
    atomic_int tid; /* it is about to wait; 0: not yet */
    int line;       /* where something was not as it should be; 0: nowhere */
};

static void start_all(struct waiter *waiters, void *(*run)(void *))
{
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&waiters[i].thread, NULL, run, &waiters[i]), 0);
}

static void join_all(struct waiter *waiters)
{
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(waiters[i].thread, NULL), 0);
        assert_int_equal(waiters[i].line, 0);
    }
}

static int thread_id(void)
{
#ifdef SYS_gettid
    return (int)syscall(SYS_gettid);
#else
    return 1;
#endif
}

/* ---- all for one ---- */

static void *wait_for_it(void *argument)
{
    struct waiter *waiter = argument;
    atomic_store(&waiter->tid, thread_id());
    waiter->status = tandem_wait(waiter->task);
    return NULL;
}

/* Gives up again and again, so that what it was given to do meanwhile goes to another. */
static void *look_for_it(void *argument)
{
    struct waiter *waiter = argument;
    do waiter->status = tandem_wait_for(waiter->task, waiter->number % 2 == 0 ? -1 : 1);
    while (waiter->status == TANDEM_PENDING);
    return NULL;
}

static void begin_gate(tandem_pool *pool, tandem_task *task, struct gate **gate, struct waiter *waiters)
{
    **gate = (struct gate){0};
    *task = task_of(TANDEM_PROCESS, gate_task, gate, sizeof *gate);
    assert_int_equal(tandem_submit(pool, task), 0);
    wait_until(atomic_load(&(*gate)->entered) == 1);
    for (int i = 0; i < THREADS; i++) waiters[i] = (struct waiter){.pool = pool, .task = task, .number = (unsigned)i};
}

static void expect_all(const struct waiter *waiters, int status)
{
    for (int i = 0; i < THREADS; i++) assert_int_equal(waiters[i].status, status);
}

static void all_who_wait_for_an_isolated_task_learn_of_its_end(void)
{
    static struct waiter waiters[THREADS];
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < 20; i++) {
        tandem_task task;
        begin_gate(pool, &task, &gate, waiters);
        start_all(waiters, i % 2 == 0 ? wait_for_it : look_for_it);
        if (i % 3 != 0) moment();
        atomic_store(&gate->opened, 1);
        join_all(waiters);
        expect_all(waiters, TANDEM_OK);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static void all_who_wait_for_a_cancelled_task_learn_of_it(void)
{
    static struct waiter waiters[THREADS];
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < 10; i++) {
        tandem_task task;
        begin_gate(pool, &task, &gate, waiters);
        start_all(waiters, i % 2 == 0 ? wait_for_it : look_for_it);
        if (i % 3 != 0) moment();
        assert_int_equal(tandem_cancel(&task), 0);
        join_all(waiters);
        expect_all(waiters, TANDEM_CANCELLED);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static int tell_and_stay_task(tandem_context *context, void *input, size_t size)
{
    atomic_int *pid;
    (void)context;
    memcpy(&pid, input, size);
    atomic_store(pid, (int)getpid());
    while (atomic_load(pid) != 0) moment();
    return 0;
}

/* promise 24: the one who reads sleeps, and the worker can wake nobody any more */
static void all_who_wait_learn_that_the_worker_was_killed(void)
{
    static struct waiter waiters[THREADS];
    atomic_int *pid = shared(sizeof *pid);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < 10; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, tell_and_stay_task, &pid, sizeof pid);
        atomic_store(pid, 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        for (int k = 0; k < THREADS; k++) waiters[k] = (struct waiter){.pool = pool, .task = &task, .number = (unsigned)k};
        start_all(waiters, wait_for_it);
        wait_until(atomic_load(pid) != 0);
        if (i % 2 == 0) moment();
        assert_int_equal(kill(atomic_load(pid), SIGKILL), 0);
        join_all(waiters);
        expect_all(waiters, TANDEM_CRASHED);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static bool all_are_asleep(const struct waiter *waiters)
{
    for (int i = 0; i < THREADS; i++)
        if (!thread_sleeps(atomic_load(&waiters[i].tid))) return false;
    return true;
}

/* Some wait for a task that runs, some for one that waits behind it.  promise 11 */
static void all_who_wait_learn_of_the_end_of_the_pool(void)
{
    static struct waiter waiters[THREADS];
    skip_without("/proc/self/task", "nobody tells which thread sleeps");
    struct gate *gate = shared(sizeof *gate);
    for (int i = 0; i < 40; i++) {
        tandem_task task, behind = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
        begin_gate(pool, &task, &gate, waiters);
        assert_int_equal(tandem_submit(pool, &behind), 0);
        for (int k = 0; k < THREADS; k += 2) waiters[k].task = &behind;
        start_all(waiters, wait_for_it);
        wait_until(all_are_asleep(waiters)); /* their first steps come before the end */
        end_pool(pool);
        join_all(waiters);
        expect_all(waiters, TANDEM_CANCELLED);
        tandem_task_clear(&task);
        tandem_task_clear(&behind);
    }
}

/* ---- each for its own ---- */

static bool call_once(struct waiter *waiter, size_t i)
{
    char text[64];
    int length = snprintf(text, sizeof text, "thread %u call %zu", waiter->number, i);
    tandem_task task = task_of(TANDEM_PROCESS, echo_task, text, (size_t)length);
    if (tandem_submit(waiter->pool, &task) != 0) return false;
    while (i % 5 == 0 && tandem_wait_for(&task, 0) == TANDEM_PENDING) sched_yield();
    if (i % 5 == 1) tandem_wait_for(&task, 1);
    bool good =
        tandem_wait(&task) == TANDEM_OK && task.output_size == (size_t)length && memcmp(task.output, text, task.output_size) == 0;
    tandem_task_clear(&task);
    return good;
}

static void *call_often(void *argument)
{
    struct waiter *waiter = argument;
    for (size_t i = 0; i < waiter->calls && waiter->line == 0; i++)
        if (!call_once(waiter, i)) waiter->line = __LINE__;
    return NULL;
}

static void call_from_many_threads(uint32_t workers)
{
    static struct waiter waiters[THREADS];
    tandem_pool *pool = pool_of(TANDEM_PROCESS, workers, NULL);
    for (int i = 0; i < THREADS; i++) waiters[i] = (struct waiter){.pool = pool, .number = (unsigned)i, .calls = scaled(100000)};
    start_all(waiters, call_often);
    join_all(waiters);
    assert_int_equal(stats_of(pool).ended[TANDEM_OK], THREADS * scaled(100000));
    end_pool(pool);
}

/* promise 2 */
static void each_of_many_threads_gets_its_own_answers_from_one_worker(void) { call_from_many_threads(1); }

/* promise 2 */
static void each_of_many_threads_gets_its_own_answers_from_many_workers(void) { call_from_many_threads(3); }

/* ---- a large input: handed over bit by bit, by whoever waits ---- */

enum { LARGE = 16 << 20 };

static char *make_large(void)
{
    char *bytes = malloc(LARGE);
    assert_non_null(bytes);
    for (size_t i = 0; i < LARGE; i++) bytes[i] = (char)(i * 7 + i / 1000);
    return bytes;
}

static void expect_large(tandem_task *task, const char *bytes)
{
    assert_int_equal(task->output_size, LARGE);
    assert_int_equal(memcmp(task->output, bytes, LARGE), 0);
    tandem_task_clear(task);
}

/* With and without watching.  Some of them leave while it is on its way. */
static void a_large_input_arrives_whoever_hands_it_over(void)
{
    static struct waiter waiters[THREADS];
    char *bytes = make_large();
    for (int i = 0; i < 8; i++) {
        tandem_options options = {.spin_us = i % 2 == 0 ? 0 : TANDEM_NONE};
        tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
        tandem_task task = task_of(TANDEM_PROCESS, echo_task, bytes, LARGE);
        assert_int_equal(tandem_submit(pool, &task), 0);
        for (int k = 0; k < THREADS; k++) waiters[k] = (struct waiter){.pool = pool, .task = &task, .number = (unsigned)k};
        start_all(waiters, i % 4 < 2 ? wait_for_it : look_for_it);
        join_all(waiters);
        expect_all(waiters, TANDEM_OK);
        expect_large(&task, bytes);
        end_pool(pool);
    }
    free(bytes);
}

static void tell_done(tandem_task *task) { atomic_store((atomic_int *)task->user_data, 1); }

static void a_large_input_arrives_though_who_waited_has_left(void)
{
    char *bytes = make_large();
    for (int i = 0; i < 8; i++) {
        tandem_options options = {.spin_us = i % 2 == 0 ? 0 : TANDEM_NONE};
        tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
        atomic_int done = 0;
        tandem_task first = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        tandem_task task = task_of(TANDEM_PROCESS, echo_task, bytes, LARGE);
        assert_int_equal(tandem_call(pool, &first), TANDEM_OK); /* the worker is there */
        tandem_task_clear(&first);
        task.on_done = tell_done;
        task.user_data = &done;
        assert_int_equal(tandem_submit(pool, &task), 0);
        if (i % 4 < 2) moment();
        tandem_wait_for(&task, 1);
        assert_true(await(&done, 1));
        expect_large(&task, bytes);
        end_pool(pool);
    }
    free(bytes);
}

/* The waiter has read the replies itself; what comes when nobody waits is heard of all the same. */
static void a_task_that_nobody_waits_for_ends_after_others_that_were_waited_for(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < 300; i++) {
        atomic_int done = 0;
        tandem_task first = task_of(TANDEM_PROCESS, nothing_task, NULL, 0), behind = first, task = first;
        task.on_done = tell_done;
        task.user_data = &done;
        if (i % 3 == 0) {
            assert_int_equal(tandem_call(pool, &first), TANDEM_OK);
            assert_int_equal(tandem_submit(pool, &task), 0);
        } else { /* its worker has it already when the first one's reply is read */
            assert_int_equal(tandem_submit(pool, &first), 0);
            assert_int_equal(tandem_submit(pool, &task), 0);
            assert_int_equal(tandem_wait(&first), TANDEM_OK);
        }
        assert_true(await(&done, 1));
        if (i % 3 == 2) assert_int_equal(tandem_call(pool, &behind), TANDEM_OK);
        while (tandem_task_clear(&task) != 0) sched_yield();
        tandem_task_clear(&first);
        tandem_task_clear(&behind);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(all_who_wait_for_an_isolated_task_learn_of_its_end),
        test(all_who_wait_for_a_cancelled_task_learn_of_it),
        test(all_who_wait_learn_that_the_worker_was_killed),
        test(all_who_wait_learn_of_the_end_of_the_pool),
        test(each_of_many_threads_gets_its_own_answers_from_one_worker),
        test(each_of_many_threads_gets_its_own_answers_from_many_workers),
        test(a_large_input_arrives_whoever_hands_it_over),
        test(a_large_input_arrives_though_who_waited_has_left),
        test(a_task_that_nobody_waits_for_ends_after_others_that_were_waited_for),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
