/* own_thread.c - a task with a thread of its own: at once, beyond the pool's threads, and none of it is left after it. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SOME = 5 };

static tandem_task dedicated(tandem_fn *run, void *input, size_t size)
{
    tandem_task task = task_of(TANDEM_THREAD, run, input, size);
    task.flags = TANDEM_DEDICATED | TANDEM_REPORT;
    return task;
}

/* Keeps the pool's only thread busy until the gate opens. */
static void occupy(tandem_pool *pool, tandem_task *task, struct gate **gate)
{
    *task = task_of(TANDEM_THREAD, gate_task, gate, sizeof *gate);
    assert_int_equal(tandem_submit(pool, task), 0);
    assert_true(await(&(*gate)->entered, 1));
}

/* ---- beyond the pool's threads ---- */

static void dedicated_tasks_run_at_once_beyond_the_pools_threads(void)
{
    tandem_task usual, tasks[SOME];
    struct gate opened = {0}, *gate = &opened;
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    occupy(pool, &usual, &gate);
    for (int i = 0; i < SOME; i++) {
        tasks[i] = dedicated(gate_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&gate->entered, SOME + 1));
    assert_int_equal(stats_of(pool).threads, SOME + 1);
    assert_int_equal(stats_of(pool).running, SOME + 1);
    atomic_store(&gate->opened, 1);
    expect_end(&usual, TANDEM_OK);
    for (int i = 0; i < SOME; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        assert_true(tasks[i].report->worker > 1);
        for (int k = 0; k < i; k++) assert_int_not_equal(tasks[i].report->worker, tasks[k].report->worker);
    }
    wait_until(stats_of(pool).threads == 1);
    for (int i = 0; i < SOME; i++) tandem_task_clear(&tasks[i]);
    tandem_task_clear(&usual);
    end_pool(pool);
}

static void a_dedicated_thread_does_not_wait_behind_others(void)
{
    tandem_task usual, waiting[SOME];
    struct gate opened = {0}, *gate = &opened;
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    occupy(pool, &usual, &gate);
    for (int i = 0; i < SOME; i++) {
        waiting[i] = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
        waiting[i].flags = TANDEM_NO_HELP;
        assert_int_equal(tandem_submit(pool, &waiting[i]), 0);
    }
    tandem_task task = dedicated(nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    assert_int_equal(stats_of(pool).waiting, SOME); /* nor is its thread used for those */
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < SOME; i++) expect_end(&waiting[i], TANDEM_OK);
    expect_end(&usual, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

static int self_task(tandem_context *context, void *input, size_t size)
{
    pthread_t me = pthread_self();
    (void)input, (void)size;
    return tandem_reply(context, &me, sizeof me);
}

static void a_dedicated_task_is_never_run_by_who_waits_for_it(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    for (size_t i = 0; i < scaled(20000); i++) {
        tandem_task task = dedicated(self_task, NULL, 0);
        if (i % 2 == 0) assert_int_equal(tandem_submit(pool, &task), 0);
        assert_int_equal(i % 2 == 0 ? tandem_wait(&task) : tandem_call(pool, &task), TANDEM_OK);
        assert_false(pthread_equal(*(pthread_t *)task.output, pthread_self()));
        tandem_task_clear(&task);
    }
    wait_until(stats_of(pool).threads == 1);
    wait_until(entries_in("/proc/self/task") <= 3); /* the one that ended last may be on its way out */
    end_pool(pool);
}

static int submit_and_wait_task(tandem_context *context, void *input, size_t size)
{
    tandem_pool *pool;
    memcpy(&pool, input, sizeof pool);
    (void)context, (void)size;
    tandem_task inner = dedicated(nothing_task, NULL, 0), usual = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    if (tandem_submit(pool, &inner) != 0 || tandem_submit(pool, &usual) != 0) return __LINE__;
    int well = tandem_wait(&inner) == TANDEM_OK && tandem_wait(&usual) == TANDEM_OK ? 0 : __LINE__;
    if (tandem_pool_drain(pool, 0) != -EDEADLK) well = __LINE__;
    tandem_task_clear(&inner);
    return well;
}

static void a_dedicated_task_may_submit_and_wait(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    for (int i = 0; i < 20; i++) {
        tandem_task task = dedicated(submit_and_wait_task, &pool, sizeof pool);
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* ---- its endings ---- */

static int until_cancelled_task(tandem_context *context, void *input, size_t size)
{
    atomic_int *entered;
    memcpy(&entered, input, size);
    atomic_fetch_add(entered, 1);
    while (!tandem_cancelled(context)) moment();
    return 1;
}

static void a_dedicated_thread_sees_that_its_task_is_to_end(void)
{
    atomic_int entered = 0, *input = &entered;
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    for (int i = 1; i <= 4; i++) {
        tandem_task task = dedicated(until_cancelled_task, &input, sizeof input);
        if (i % 2 == 0) task.timeout_ms = 20;
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_true(await(&entered, i));
        if (i % 2 != 0) assert_int_equal(tandem_cancel(&task), 0);
        expect_end(&task, i % 2 != 0 ? TANDEM_CANCELLED : TANDEM_TIMED_OUT);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static void a_pool_that_ends_ends_its_dedicated_tasks(void)
{
    tandem_task tasks[SOME];
    atomic_int entered = 0, *input = &entered;
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    for (int i = 0; i < SOME; i++) {
        tasks[i] = dedicated(until_cancelled_task, &input, sizeof input);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&entered, SOME));
    end_pool(pool);
    for (int i = 0; i < SOME; i++) {
        expect_end(&tasks[i], TANDEM_CANCELLED);
        tandem_task_clear(&tasks[i]);
    }
}

static void a_drain_waits_for_dedicated_threads(void)
{
    struct gate opened = {0}, *gate = &opened;
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task task = dedicated(gate_task, &gate, sizeof gate), late = dedicated(nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_pool_drain(pool, 10), -ETIMEDOUT);
    atomic_store(&gate->opened, 1);
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    assert_int_equal(tandem_wait_for(&task, 0), TANDEM_OK);
    assert_int_equal(tandem_submit(pool, &late), -ESHUTDOWN);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void note_done(tandem_task *task) { atomic_fetch_add((atomic_int *)task->user_data, 1); }

static void a_dedicated_task_is_called_back_once(void)
{
    atomic_int done = 0;
    tandem_task tasks[SOME];
    tandem_group group = {{0}};
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    for (int i = 0; i < SOME; i++) {
        tasks[i] = dedicated(nothing_task, NULL, 0);
        tasks[i].on_done = note_done;
        tasks[i].user_data = &done;
        tasks[i].group = &group;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_int_equal(tandem_group_wait(&group, -1), TANDEM_OK);
    assert_int_equal(atomic_load(&done), SOME);
    for (int i = 0; i < SOME; i++) tandem_task_clear(&tasks[i]);
    end_pool(pool);
}

/* ---- while its thread starts ---- */

static struct {
    atomic_int starts, stops, runs;
    atomic_int hang; /* on_worker_start stays for as long as this is set */
    atomic_int fail; /* what it returns */
} records;

static int start(void **worker_data, void *argument)
{
    (void)argument;
    *worker_data = (void *)(uintptr_t)(atomic_fetch_add(&records.starts, 1) + 1);
    while (atomic_load(&records.hang)) moment();
    return atomic_load(&records.fail);
}

static void stop(void *worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    atomic_fetch_add(&records.stops, 1);
}

static int run_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    atomic_fetch_add(&records.runs, 1);
    return tandem_worker_data(context) != NULL ? 0 : __LINE__;
}

static tandem_pool *begin_recorded(void)
{
    tandem_options options = {.on_worker_start = start, .on_worker_stop = stop};
    return pool_of(TANDEM_THREAD, 1, &options);
}

static void a_dedicated_thread_starts_and_stops_as_any_worker(void)
{
    tandem_pool *pool = begin_recorded();
    for (int i = 1; i <= SOME; i++) {
        tandem_task task = dedicated(run_task, NULL, 0);
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        wait_until(atomic_load(&records.stops) == i); /* it ends after its task, not with the pool */
        assert_int_equal(atomic_load(&records.starts), 1 + i);
        tandem_task_clear(&task);
    }
    end_pool(pool);
    assert_int_equal(atomic_load(&records.stops), 1 + SOME);
}

static void a_dedicated_task_ends_at_once_while_its_thread_starts(void)
{
    tandem_pool *pool = begin_recorded();
    tandem_task cancelled = dedicated(run_task, NULL, 0), expired = cancelled;
    expired.queue_timeout_ms = 50;
    atomic_store(&records.hang, 1);
    assert_int_equal(tandem_submit(pool, &cancelled), 0);
    assert_int_equal(tandem_submit(pool, &expired), 0);
    assert_true(await(&records.starts, 3));
    assert_int_equal(tandem_cancel(&cancelled), 0);
    expect_end(&cancelled, TANDEM_CANCELLED);
    expect_end(&expired, TANDEM_EXPIRED);
    atomic_store(&records.hang, 0);
    wait_until(stats_of(pool).threads == 1);
    assert_int_equal(atomic_load(&records.runs), 0);
    tandem_task_clear(&cancelled);
    tandem_task_clear(&expired);
    end_pool(pool);
}

static void *let_go_after(void *task)
{
    tandem_wait(task);
    atomic_store(&records.hang, 0);
    return NULL;
}

static void a_pool_ends_while_a_dedicated_thread_starts(void)
{
    tandem_pool *pool = begin_recorded();
    tandem_task task = dedicated(run_task, NULL, 0);
    pthread_t thread;
    atomic_store(&records.hang, 1);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&records.starts, 2));
    assert_int_equal(pthread_create(&thread, NULL, let_go_after, &task), 0);
    end_pool(pool);
    assert_int_equal(pthread_join(thread, NULL), 0);
    expect_end(&task, TANDEM_CANCELLED);
    assert_int_equal(atomic_load(&records.runs), 0);
    tandem_task_clear(&task);
}

static void a_dedicated_task_whose_thread_cannot_start_says_why(void)
{
    tandem_pool *pool = begin_recorded();
    atomic_store(&records.fail, ENODEV);
    tandem_task task = dedicated(run_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_NOT_STARTED);
    assert_int_equal(task.code, ENODEV);
    assert_string_equal(task.report->step, "on_worker_start");
    tandem_task_clear(&task);
    atomic_store(&records.fail, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
    assert_int_equal(atomic_load(&records.runs), 1);
    assert_int_equal(atomic_load(&records.stops), 2);
}

/* ---- its thread's end ---- */

static struct {
    pthread_key_t key;
    atomic_int ending, opened;
} slow;

static void end_slowly(void *value)
{
    (void)value;
    atomic_store(&slow.ending, 1);
    while (!atomic_load(&slow.opened)) moment(); /* longer than others have patience */
}

static int end_slowly_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)size;
    return pthread_setspecific(slow.key, input);
}

static void a_thread_that_is_slow_to_end_does_not_keep_others_from_ending(void)
{
    enum { OTHERS = 50 };
    char any;
    skip_without("/proc/self/task", "the system does not tell which threads there are");
    assert_int_equal(pthread_key_create(&slow.key, end_slowly), 0);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task task = dedicated(end_slowly_task, &any, sizeof any), other = dedicated(nothing_task, NULL, 0);
    size_t before = entries_in("/proc/self/task");
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_true(await(&slow.ending, 1));
    for (int i = 0; i < OTHERS; i++) assert_int_equal(tandem_call(pool, &other), TANDEM_OK);
    wait_until(entries_in("/proc/self/task") <= before + 2); /* that one, and one that waits for it */
    atomic_store(&slow.opened, 1);
    wait_until(entries_in("/proc/self/task") <= before);
    tandem_task_clear(&task);
    tandem_task_clear(&other);
    end_pool(pool);
}

/* ---- at any moment ---- */

/* promise 17 */
static void dedicated_threads_cancelled_at_random_moments_end_once(void)
{
    enum { WINDOW = 8 };
    static tandem_task tasks[WINDOW];
    static atomic_int runs[WINDOW], *cells[WINDOW];
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    uint32_t random = 4711;
    for (size_t round = 0; round < scaled(20000); round++) {
        for (int i = 0; i < WINDOW; i++) {
            cells[i] = &runs[i];
            tasks[i] = dedicated(count_task, &cells[i], sizeof cells[i]);
            atomic_store(&runs[i], 0);
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
            random = random * 1664525u + 1013904223u;
            int asked = tandem_cancel(&tasks[(random >> 8) % (unsigned)(i + 1)]);
            assert_true(asked == 0 || asked == -EALREADY);
        }
        for (int i = 0; i < WINDOW; i++) {
            int status = tandem_wait(&tasks[i]);
            if (status != TANDEM_OK && status != TANDEM_CANCELLED)
                fail_msg("%s: %s: %s", tandem_status_name(status), tasks[i].report->step, tandem_strerror(tasks[i].code));
            assert_int_equal(atomic_load(&runs[i]), status == TANDEM_OK);
            tandem_task_clear(&tasks[i]);
        }
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(dedicated_tasks_run_at_once_beyond_the_pools_threads),
        test(a_dedicated_thread_does_not_wait_behind_others),
        test(a_dedicated_task_is_never_run_by_who_waits_for_it),
        test(a_dedicated_task_may_submit_and_wait),
        test(a_dedicated_thread_sees_that_its_task_is_to_end),
        test(a_pool_that_ends_ends_its_dedicated_tasks),
        test(a_drain_waits_for_dedicated_threads),
        test(a_dedicated_task_is_called_back_once),
        test(a_dedicated_thread_starts_and_stops_as_any_worker),
        test(a_dedicated_task_ends_at_once_while_its_thread_starts),
        test(a_pool_ends_while_a_dedicated_thread_starts),
        test(a_dedicated_task_whose_thread_cannot_start_says_why),
        test(a_thread_that_is_slow_to_end_does_not_keep_others_from_ending),
        test(dedicated_threads_cancelled_at_random_moments_end_once),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
