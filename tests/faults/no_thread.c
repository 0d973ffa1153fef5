/* no_thread.c - a thread of its own that cannot be had: its task says so, and nothing is left of it. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/fault.h"

static void expect_not_started(tandem_pool *pool, enum tdm_fault_point point, int error)
{
    tandem_task task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    task.flags = TANDEM_DEDICATED;
    tdm_fault_arm(point, 1, TDM_FAULT_FAIL_ON, error);
    assert_int_equal(tandem_submit(pool, &task), 0);
    tdm_fault_disarm_all();
    expect_end(&task, TANDEM_NOT_STARTED);
    assert_int_equal(task.code, error);
    assert_int_equal(stats_of(pool).threads, 1);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    tandem_task_clear(&task);
}

static void a_dedicated_task_without_a_thread_ends_NOT_STARTED(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    expect_not_started(pool, TDM_FAULT_thread, EAGAIN);
    wait_until(stats_of(pool).threads == 1);
    expect_not_started(pool, TDM_FAULT_memory, ENOMEM);
    end_pool(pool);
}

static void its_report_names_the_step(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    task.flags = TANDEM_DEDICATED | TANDEM_REPORT;
    tdm_fault_arm(TDM_FAULT_thread, 1, TDM_FAULT_FAIL, EAGAIN);
    assert_int_equal(tandem_call(pool, &task), TANDEM_NOT_STARTED);
    assert_string_equal(task.report->step, "thread");
    tandem_task_clear(&task);
    end_pool(pool);
}

static int exit_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    pthread_exit(NULL);
}

/* Also when that happens several times. */
static void a_thread_that_cannot_be_replaced_is_as_soon_as_one_is_to_be_had(void)
{
    enum { EXITS = 3 };
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task tasks[EXITS], next = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    for (int i = 0; i < EXITS; i++) {
        tasks[i] = task_of(TANDEM_THREAD, exit_task, NULL, 0);
        tasks[i].flags = TANDEM_NO_HELP;
        tdm_fault_arm(TDM_FAULT_thread, 1, TDM_FAULT_FAIL, EAGAIN);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        expect_end(&tasks[i], TANDEM_CRASHED);
        wait_until(tdm_fault_fired(TDM_FAULT_thread) == 1);
    }
    next.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &next), 0);
    expect_end(&next, TANDEM_OK);
    for (int i = 0; i < EXITS; i++) tandem_task_clear(&tasks[i]);
    end_pool(pool);
}

static void a_pool_ends_while_its_thread_cannot_be_replaced(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task task = task_of(TANDEM_THREAD, exit_task, NULL, 0), next = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    task.flags = next.flags = TANDEM_NO_HELP;
    tdm_fault_arm(TDM_FAULT_thread, 1, TDM_FAULT_FAIL_ON, EAGAIN);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_CRASHED);
    assert_int_equal(tandem_submit(pool, &next), 0);
    end_pool(pool);
    expect_end(&next, TANDEM_CANCELLED);
    tandem_task_clear(&task);
}

/* promise 36 */
static void a_pool_that_gets_no_more_threads_goes_on_with_the_first_and_tries_again(void)
{
    enum { TASKS = 200, THREADS = 3 };
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_THREAD, THREADS, NULL);
    struct gate closed = {0}, *gate = &closed;
    tandem_task tasks[TASKS];
    for (int i = 0; i < TASKS; i++) tasks[i] = task_of(TANDEM_THREAD, gate_task, &gate, sizeof gate);
    tdm_fault_arm(TDM_FAULT_thread, 1, TDM_FAULT_FAIL_ON, EAGAIN);
    for (int i = 0; i < 10; i++) assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    wait_until(tdm_fault_fired(TDM_FAULT_thread) > 0);
    assert_int_equal(stats_of(pool).threads, 1);
    tdm_fault_disarm_all();
    int count = 10;
    for (; count < TASKS && atomic_load(&gate->entered) < THREADS; count++) { /* when the next one comes */
        assert_int_equal(tandem_submit(pool, &tasks[count]), 0);
        moment();
    }
    assert_true(await(&gate->entered, THREADS));
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < count; i++) expect_end(&tasks[i], TANDEM_OK);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_dedicated_task_without_a_thread_ends_NOT_STARTED),
        test(its_report_names_the_step),
        test(a_thread_that_cannot_be_replaced_is_as_soon_as_one_is_to_be_had),
        test(a_pool_ends_while_its_thread_cannot_be_replaced),
        test(a_pool_that_gets_no_more_threads_goes_on_with_the_first_and_tries_again),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
