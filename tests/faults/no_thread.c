/* no_thread.c - threads that cannot be had: a task that was to have one of its own says so; a pool that lacks one tries again. */
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

/* ---- tried again, although nobody brings a task ---- */

enum helper { IS_THERE, IS_TO_BE_HAD };

/* What tries again has a thread itself: that is there, for a time limit; or it can be had after the first failure. */
static void begin_to_fail(tandem_pool *pool, enum helper helper)
{
    tandem_task task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    task.timeout_ms = (uint32_t)patience_ms();
    if (helper == IS_THERE) assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    tdm_fault_arm(TDM_FAULT_thread, 1, helper == IS_THERE ? TDM_FAULT_FAIL_ON : TDM_FAULT_FAIL, EAGAIN);
}

static void end_failing(enum helper helper)
{
    wait_until(tdm_fault_fired(TDM_FAULT_thread) >= (helper == IS_THERE ? 5 : 1));
    tdm_fault_disarm_all();
}

static void begin_at_gate(tandem_pool *pool, tandem_task *tasks, int count, tandem_fn *run, struct gate **gate)
{
    for (int i = 0; i < count; i++) {
        tasks[i] = task_of(TANDEM_THREAD, run, gate, sizeof *gate);
        tasks[i].flags = TANDEM_NO_HELP;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
}

/* The others are busy with what is no call of the library's. */
static void expect_another_thread(enum helper helper)
{
    struct gate closed = {0}, *gate = &closed;
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 3, NULL);
    tandem_task tasks[3];
    begin_to_fail(pool, helper);
    begin_at_gate(pool, tasks, 3, gate_task, &gate);
    end_failing(helper);
    assert_true(await(&gate->entered, 3));
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < 3; i++) expect_end(&tasks[i], TANDEM_OK);
    end_pool(pool);
}

/* promise 36 */
static void a_thread_that_could_not_be_had_begins_though_nobody_comes(void) { expect_another_thread(IS_THERE); }
static void so_it_does_where_what_tries_again_has_to_be_started_first(void) { expect_another_thread(IS_TO_BE_HAD); }

static atomic_uint word;

static int sleep_on_word_task(tandem_context *context, void *input, size_t size)
{
    int result = gate_task(context, input, size);
    while (result == 0 && atomic_load(&word) == 0) result = tandem_atomic_wait(&word, 0, -1);
    return result;
}

/* For each of these threads, which sleep in the middle of their tasks, another is to stand in. */
static void expect_stand_ins(int threads, enum helper helper)
{
    struct gate gates[2] = {{0}}, *first = &gates[0], *second = &gates[1];
    tandem_task sleepers[3], others[3];
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_THREAD, (uint32_t)threads, NULL);
    begin_at_gate(pool, sleepers, threads - 1, sleep_on_word_task, &first);
    assert_true(await(&first->entered, threads - 1));
    begin_to_fail(pool, helper);
    begin_at_gate(pool, sleepers + threads - 1, 1, sleep_on_word_task, &first);
    assert_true(await(&first->entered, threads));
    atomic_store(&first->opened, 1);
    wait_until(tdm_fault_fired(TDM_FAULT_thread) > 0);
    begin_at_gate(pool, others, threads, gate_task, &second);
    end_failing(helper);
    assert_true(await(&second->entered, threads));
    atomic_store(&second->opened, 1);
    for (int i = 0; i < threads; i++) expect_end(&others[i], TANDEM_OK);
    atomic_store(&word, 1);
    assert_int_equal(tandem_atomic_notify(&word, UINT32_MAX), 0);
    for (int i = 0; i < threads; i++) expect_end(&sleepers[i], TANDEM_OK);
    end_pool(pool);
}

/* promise 13 */
static void threads_that_could_not_stand_in_do_while_those_still_sleep(void) { expect_stand_ins(3, IS_THERE); }
static void so_does_one_where_what_tries_again_has_to_be_started_first(void) { expect_stand_ins(1, IS_TO_BE_HAD); }

/* promise 13.  Nor could what tries again be started. */
static void the_next_that_is_stood_in_for_has_all_begin_that_are_missing(void)
{
    struct gate gates[2] = {{0}}, *first = &gates[0], *second = &gates[1];
    tandem_task sleepers[2], others[2];
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 2, NULL);
    begin_at_gate(pool, sleepers, 1, sleep_on_word_task, &first);
    assert_true(await(&first->entered, 1));
    tdm_fault_arm(TDM_FAULT_thread, 1, TDM_FAULT_FAIL_ON, EAGAIN);
    atomic_store(&first->opened, 1);
    wait_until(tdm_fault_fired(TDM_FAULT_thread) >= 2);
    tdm_fault_disarm_all();
    begin_at_gate(pool, sleepers + 1, 1, sleep_on_word_task, &first);
    begin_at_gate(pool, others, 2, gate_task, &second);
    assert_true(await(&second->entered, 2));
    atomic_store(&second->opened, 1);
    for (int i = 0; i < 2; i++) expect_end(&others[i], TANDEM_OK);
    atomic_store(&word, 1);
    assert_int_equal(tandem_atomic_notify(&word, UINT32_MAX), 0);
    for (int i = 0; i < 2; i++) expect_end(&sleepers[i], TANDEM_OK);
    end_pool(pool);
}

static void a_pool_ends_while_threads_cannot_be_had(void)
{
    struct gate closed = {0}, *gate = &closed;
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 3, NULL);
    tandem_task tasks[3];
    begin_to_fail(pool, IS_THERE);
    begin_at_gate(pool, tasks, 3, spin_task, &gate);
    wait_until(tdm_fault_fired(TDM_FAULT_thread) >= 3);
    end_pool(pool);
    for (int i = 0; i < 3; i++) expect_end(&tasks[i], TANDEM_CANCELLED);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_dedicated_task_without_a_thread_ends_NOT_STARTED),
        test(its_report_names_the_step),
        test(a_thread_that_cannot_be_replaced_is_as_soon_as_one_is_to_be_had),
        test(a_pool_ends_while_its_thread_cannot_be_replaced),
        test(a_pool_that_gets_no_more_threads_goes_on_with_the_first_and_tries_again),
        test(a_thread_that_could_not_be_had_begins_though_nobody_comes),
        test(so_it_does_where_what_tries_again_has_to_be_started_first),
        test(threads_that_could_not_stand_in_do_while_those_still_sleep),
        test(so_does_one_where_what_tries_again_has_to_be_started_first),
        test(the_next_that_is_stood_in_for_has_all_begin_that_are_missing),
        test(a_pool_ends_while_threads_cannot_be_had),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
