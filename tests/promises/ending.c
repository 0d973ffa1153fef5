/* ending.c - drain, destroy and quit: all ends once, from wherever it is asked, and pools do not disturb each other. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- drain ---- */

struct stream {
    pthread_t thread;
    tandem_pool *pool;
    int isolation;
    atomic_int *cell;
    atomic_int taken;
    int result; /* of the submit that was not taken */
};

/* Submits one after the other until it is told that the pool is closed. */
static void *submit_until_closed(void *argument)
{
    struct stream *me = argument;
    tandem_task task = task_of(me->isolation, count_task, &me->cell, sizeof me->cell);
    while ((me->result = tandem_call(me->pool, &task)) == TANDEM_OK) atomic_fetch_add(&me->taken, 1);
    tandem_task_clear(&task);
    return NULL;
}

/* promise 11 */
static void drain_returns_when_all_has_ended_while_others_submit(int isolation)
{
    struct stream streams[3];
    atomic_int *cell = shared(sizeof *cell);
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    int taken = 0;
    for (int i = 0; i < 3; i++) {
        streams[i] = (struct stream){.pool = pool, .isolation = isolation, .cell = cell};
        assert_int_equal(pthread_create(&streams[i].thread, NULL, submit_until_closed, &streams[i]), 0);
    }
    for (int i = 0; i < 3; i++) assert_true(await(&streams[i].taken, 10));
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    tandem_stats stats = stats_of(pool);
    assert_int_equal(stats.waiting + stats.running, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(streams[i].thread, NULL), 0);
        assert_int_equal(streams[i].result, -ESHUTDOWN);
        taken += atomic_load(&streams[i].taken);
    }
    assert_int_equal(atomic_load(cell), taken);
    assert_int_equal(stats_of(pool).ended[TANDEM_OK], taken);
    end_pool(pool);
}

/* promise 11 */
static void a_drain_that_takes_too_long_can_be_taken_up_again(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, gate_task, &gate, sizeof gate);
    tandem_task more = task;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_pool_drain(pool, 0), -ETIMEDOUT);
    assert_int_equal(tandem_pool_drain(pool, 20), -ETIMEDOUT);
    assert_int_equal(tandem_submit(pool, &more), -ESHUTDOWN);
    atomic_store(&gate->opened, 1);
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    assert_int_equal(tandem_pool_drain(pool, 0), 0);
    assert_int_equal(tandem_submit(pool, &more), -ESHUTDOWN);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

static struct {
    tandem_pool *pool;
    tandem_task *child;
    struct gate *gate;
    atomic_int drain, destroy, submit, calls;
} inner;

static int submit_late_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    atomic_store(&inner.gate->entered, 1);
    if (!await(&inner.gate->opened, 1)) return __LINE__;
    return tandem_submit(inner.pool, inner.child);
}

/* promise 11 */
static void a_draining_pool_still_takes_what_its_own_tasks_submit(void)
{
    inner.gate = shared(sizeof *inner.gate);
    inner.pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task child = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    tandem_task task = task_of(TANDEM_THREAD, submit_late_task, NULL, 0);
    inner.child = &child;
    task.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(inner.pool, &task), 0);
    assert_true(await(&inner.gate->entered, 1));
    assert_int_equal(tandem_pool_drain(inner.pool, 0), -ETIMEDOUT);
    atomic_store(&inner.gate->opened, 1);
    assert_int_equal(tandem_pool_drain(inner.pool, -1), 0);
    expect_end(&task, TANDEM_OK);
    expect_end(&child, TANDEM_OK);
    tandem_task_clear(&task);
    tandem_task_clear(&child);
    end_pool(inner.pool);
}

/* ---- from inside ---- */

static int end_own_pool_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    if (tandem_pool_drain(inner.pool, -1) != -EDEADLK) return __LINE__;
    if (tandem_pool_destroy(inner.pool) != -EDEADLK) return __LINE__;
    return tandem_submit(inner.pool, inner.child); /* it was refused, so the pool is open */
}

/* promise 11 */
static void destroy_inside_a_task_is_EDEADLK(void)
{
    inner.pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task child = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    tandem_task task = task_of(TANDEM_THREAD, end_own_pool_task, NULL, 0);
    inner.child = &child;
    task.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_call(inner.pool, &task), TANDEM_OK);
    expect_end(&child, TANDEM_OK);
    task.flags = 0; /* now perhaps on this thread, which is inside the task for as long as it helps */
    assert_int_equal(tandem_call(inner.pool, &task), TANDEM_OK);
    expect_end(&child, TANDEM_OK);
    tandem_task_clear(&task);
    tandem_task_clear(&child);
    end_pool(inner.pool);
}

static void end_own_pool(tandem_task *task)
{
    (void)task;
    atomic_store(&inner.drain, tandem_pool_drain(inner.pool, -1));
    atomic_store(&inner.destroy, tandem_pool_destroy(inner.pool));
    atomic_fetch_add(&inner.calls, 1);
}

/* promise 11 */
static void destroy_inside_a_callback_is_EDEADLK(int isolation)
{
    inner.pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, nothing_task, NULL, 0);
    task.on_done = end_own_pool;
    assert_int_equal(tandem_submit(inner.pool, &task), 0);
    assert_true(await(&inner.calls, 1));
    assert_int_equal(atomic_load(&inner.drain), -EDEADLK);
    assert_int_equal(atomic_load(&inner.destroy), -EDEADLK);
    end_pool(inner.pool);
    tandem_task_clear(&task);
}

/* promise 11 */
static void destroy_inside_a_callback_by_the_host_is_EDEADLK(void)
{
    inner.pool = pool_of(TANDEM_THREAD, 1, &(tandem_options){.callbacks_by_host = 1});
    tandem_task task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    task.on_done = end_own_pool;
    assert_int_equal(tandem_submit(inner.pool, &task), 0);
    wait_until(tandem_run_callbacks(inner.pool, 0) == 1);
    assert_int_equal(atomic_load(&inner.drain), -EDEADLK);
    assert_int_equal(atomic_load(&inner.destroy), -EDEADLK);
    end_pool(inner.pool);
    tandem_task_clear(&task);
}

/* ---- destroy ---- */

static void count_cancelled(tandem_task *task)
{
    if (task->status == TANDEM_CANCELLED) atomic_fetch_add(&inner.calls, 1);
}

/* promise 11 */
static void destroy_cancels_what_runs_and_what_waits(int isolation)
{
    enum { TASKS = 6 };
    tandem_task tasks[TASKS];
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(isolation, spin_task, &gate, sizeof gate);
        tasks[i].on_done = count_cancelled;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&gate->entered, 2));
    end_pool(pool);
    assert_int_equal(atomic_load(&inner.calls), TASKS);
    assert_int_equal(atomic_load(&gate->entered), 2);
    for (int i = 0; i < TASKS; i++) {
        assert_int_equal(tandem_wait(&tasks[i]), TANDEM_CANCELLED);
        tandem_task_clear(&tasks[i]);
    }
}

static void *wait_in_thread(void *argument) { return (void *)(intptr_t)tandem_wait(argument); }

/* promise 11: a waiter on another thread is set free */
static void destroy_ends_the_waits_of_others(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, spin_task, &gate, sizeof gate);
    task.flags = TANDEM_NO_HELP;
    pthread_t other;
    void *status;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(pthread_create(&other, NULL, wait_in_thread, &task), 0);
    end_pool(pool);
    assert_int_equal(pthread_join(other, &status), 0);
    assert_int_equal((intptr_t)status, TANDEM_CANCELLED);
    tandem_task_clear(&task);
}

static void an_unused_pool_ends_at_once(void)
{
    for (int i = 0; i < 20; i++) end_pool(pool_of_both(2, 2));
}

/* ---- quit ---- */

static void after_quit_everything_can_begin_again(int isolation)
{
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tandem_init(), 0);
        assert_int_equal(tandem_init(), 0);
        tandem_pool *pool = pool_of(isolation, 1, NULL);
        tandem_task task = task_of(isolation, nothing_task, NULL, 0);
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        tandem_task_clear(&task);
        end_pool(pool);
        assert_int_equal(tandem_quit(), 0);
        wait_until(processes_of_ours() == 0);
    }
}

/* ---- several pools ---- */

static int die_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    raise(SIGKILL);
    return 0;
}

/* promise 12 */
static void two_pools_do_not_disturb_each_other(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *calm = pool_of_both(1, 1);
    tandem_pool *wild = pool_of_both(1, 2);
    tandem_task slow = task_of(isolation, gate_task, &gate, sizeof gate);
    slow.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(calm, &slow), 0);
    assert_true(await(&gate->entered, 1));
    for (int i = 0; i < 10; i++) {
        tandem_task dying = task_of(TANDEM_PROCESS, die_task, NULL, 0);
        assert_int_equal(tandem_call(wild, &dying), TANDEM_CRASHED);
        tandem_task_clear(&dying);
    }
    end_pool(wild);
    tandem_stats stats = stats_of(calm);
    assert_int_equal(stats.submitted, 1);
    assert_int_equal(stats.running, 1);
    assert_int_equal(stats.workers_crashed, 0);
    atomic_store(&gate->opened, 1);
    expect_end(&slow, TANDEM_OK);
    tandem_task_clear(&slow);
    end_pool(calm);
}

static long resident_kb(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) return 0;
    int got = fscanf(file, "%ld %ld", &size, &resident);
    fclose(file);
    return got == 2 ? resident * (sysconf(_SC_PAGESIZE) / 1024) : 0;
}

static void use_and_end_a_pool(void)
{
    tandem_pool *pool = pool_of_both(2, 1);
    tandem_task here = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    tandem_task there = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &here), 0);
    assert_int_equal(tandem_call(pool, &there), TANDEM_OK);
    expect_end(&here, TANDEM_OK);
    tandem_task_clear(&here);
    tandem_task_clear(&there);
    end_pool(pool);
}

/* promise 12 */
static void a_thousand_pools_in_turn_leave_everything_as_it_was(void)
{
    assert_int_equal(tandem_init(), 0);
    size_t processes = processes_of_ours(); /* those that no pool started */
    for (int i = 0; i < 5; i++) use_and_end_a_pool();
    wait_until(processes_of_ours() == processes);
    size_t descriptors = entries_in("/proc/self/fd"), threads = entries_in("/proc/self/task");
    long resident = resident_kb();
    for (size_t i = 0; i < scaled(1000); i++) use_and_end_a_pool();
    wait_until(processes_of_ours() == processes);
    wait_until(entries_in("/proc/self/fd") == descriptors);
    wait_until(entries_in("/proc/self/task") == threads);
    if (slowness() == 1) assert_true(resident_kb() < resident + 512);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(drain_returns_when_all_has_ended_while_others_submit),
        both(a_drain_that_takes_too_long_can_be_taken_up_again),
        test(a_draining_pool_still_takes_what_its_own_tasks_submit),
        test(destroy_inside_a_task_is_EDEADLK),
        both(destroy_inside_a_callback_is_EDEADLK),
        test(destroy_inside_a_callback_by_the_host_is_EDEADLK),
        both(destroy_cancels_what_runs_and_what_waits),
        both(destroy_ends_the_waits_of_others),
        test(an_unused_pool_ends_at_once),
        both(after_quit_everything_can_begin_again),
        both(two_pools_do_not_disturb_each_other),
        test(a_thousand_pools_in_turn_leave_everything_as_it_was),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
