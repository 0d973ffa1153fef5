/* groups.c - tasks waited for together: all have ended, the first bad ending is told, and the group starts anew. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void all_tasks_of_a_group_have_ended_after_its_wait(int isolation)
{
    const size_t count = scaled(100000);
    tandem_task *tasks = calloc(count, sizeof *tasks);
    assert_non_null(tasks);
    atomic_int *cell = shared(sizeof *cell);
    tandem_group group = {0};
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    assert_int_equal(tandem_group_wait(&group, -1), TANDEM_OK);
    for (int round = 1; round <= 2; round++) {
        for (size_t i = 0; i < count; i++) {
            tasks[i] = task_of(isolation, count_task, &cell, sizeof cell);
            tasks[i].group = &group;
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        }
        assert_int_equal(tandem_group_wait(&group, -1), TANDEM_OK);
        assert_int_equal(atomic_load(cell), round * (int)count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(tasks[i].status, TANDEM_OK);
            assert_int_equal(tandem_task_clear(&tasks[i]), 0);
        }
    }
    free(tasks);
    end_pool(pool);
}

static void a_group_that_has_not_ended_is_pending(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_group group = {0};
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, gate_task, &gate, sizeof gate);
    task.group = &group;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_group_wait(&group, 0), TANDEM_PENDING);
    int64_t begun = now_ms();
    assert_int_equal(tandem_group_wait(&group, 50), TANDEM_PENDING);
    assert_in_range(now_ms() - begun, 49, 50 + allowed_ms(50));
    atomic_store(&gate->opened, 1);
    assert_int_equal(tandem_group_wait(&group, -1), TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

static int code_task(tandem_context *context, void *input, size_t size)
{
    int code;
    memcpy(&code, input, size);
    (void)context;
    return code;
}

static void the_first_bad_ending_is_the_groups_and_then_it_starts_anew(int isolation)
{
    int zero = 0, one = 1;
    struct gate *gate = shared(sizeof *gate);
    tandem_group group = {0};
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task good = task_of(isolation, code_task, &zero, sizeof zero);
    tandem_task failing = task_of(isolation, code_task, &one, sizeof one);
    tandem_task cancelled = task_of(isolation, spin_task, &gate, sizeof gate);
    good.group = failing.group = cancelled.group = &group;
    cancelled.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_call(pool, &good), TANDEM_OK);
    assert_int_equal(tandem_call(pool, &failing), TANDEM_FAILED);
    assert_int_equal(tandem_submit(pool, &cancelled), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_cancel(&cancelled), 0);
    assert_int_equal(tandem_group_wait(&group, -1), TANDEM_FAILED);
    assert_int_equal(tandem_wait(&cancelled), TANDEM_CANCELLED);

    assert_int_equal(tandem_submit(pool, &good), 0);
    assert_int_equal(tandem_group_wait(&group, -1), TANDEM_OK);
    tandem_task_clear(&good);
    tandem_task_clear(&failing);
    tandem_task_clear(&cancelled);
    end_pool(pool);
}

static void cancelling_a_group_cancels_what_is_in_it(int isolation)
{
    enum { TASKS = 6 };
    tandem_task tasks[TASKS];
    struct gate *gate = shared(sizeof *gate);
    tandem_group group = {0}, empty = {0};
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    tandem_task other = task_of(isolation, nothing_task, NULL, 0);
    assert_int_equal(tandem_group_cancel(&empty), 0);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(isolation, spin_task, &gate, sizeof gate);
        tasks[i].group = &group;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_int_equal(tandem_submit(pool, &other), 0);
    assert_true(await(&gate->entered, 2));
    assert_int_equal(tandem_group_cancel(&group), TASKS);
    assert_int_equal(tandem_group_wait(&group, -1), TANDEM_CANCELLED);
    for (int i = 0; i < TASKS; i++) {
        assert_int_equal(tandem_wait(&tasks[i]), TANDEM_CANCELLED);
        tandem_task_clear(&tasks[i]);
    }
    expect_end(&other, TANDEM_OK);
    assert_int_equal(tandem_group_cancel(&group), 0);
    tandem_task_clear(&other);
    end_pool(pool);
}

static void tasks_of_several_pools_may_share_a_group(void)
{
    tandem_group group = {0};
    assert_int_equal(tandem_init(), 0);
    tandem_pool *one = pool_of(TANDEM_THREAD, 1, NULL), *two = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task here = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    tandem_task there = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    here.group = there.group = &group;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(tandem_submit(one, &here), 0);
        assert_int_equal(tandem_submit(two, &there), 0);
        assert_int_equal(tandem_group_wait(&group, -1), TANDEM_OK);
        assert_int_equal(here.status, TANDEM_OK);
        assert_int_equal(there.status, TANDEM_OK);
    }
    tandem_task_clear(&here);
    tandem_task_clear(&there);
    end_pool(one);
    end_pool(two);
}

/* ---- callbacks and groups ---- */

static tandem_group callback_group;
static atomic_int callbacks, refusals;

static void slow_callback(tandem_task *task)
{
    (void)task;
    if (tandem_group_wait(&callback_group, -1) == -EDEADLK) atomic_fetch_add(&refusals, 1);
    for (int i = 0; i < 5; i++) moment(); /* so that a wait that did not wait for it would be seen */
    atomic_fetch_add(&callbacks, 1);
}

static void a_group_has_ended_when_its_callbacks_have(int isolation)
{
    enum { TASKS = 5 };
    tandem_task tasks[TASKS];
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(isolation, nothing_task, NULL, 0);
        tasks[i].group = &callback_group;
        tasks[i].on_done = slow_callback;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_int_equal(tandem_group_wait(&callback_group, -1), TANDEM_OK);
    assert_int_equal(atomic_load(&callbacks), TASKS);
    assert_int_equal(atomic_load(&refusals), TASKS);
    for (int i = 0; i < TASKS; i++) tandem_task_clear(&tasks[i]);
    end_pool(pool);
}

static void free_task(tandem_task *task)
{
    tandem_task_clear(task);
    free(task);
    atomic_fetch_add(&callbacks, 1);
}

static void tasks_freed_by_their_callbacks_are_still_waited_for(int isolation)
{
    tandem_group group = {0};
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    for (int i = 0; i < 100; i++) {
        tandem_task *task = malloc(sizeof *task);
        assert_non_null(task);
        *task = task_of(isolation, nothing_task, NULL, 0);
        task->group = &group;
        task->on_done = free_task;
        assert_int_equal(tandem_submit(pool, task), 0);
    }
    assert_int_equal(tandem_group_wait(&group, -1), TANDEM_OK);
    assert_int_equal(atomic_load(&callbacks), 100);
    end_pool(pool);
}

/* ---- groups that come and go ---- */

/* The group and its tasks are on the stack of a thread that goes on at once: nothing may touch them later. */
static void *groups_on_the_stack(void *argument)
{
    tandem_pool *pool = argument;
    for (size_t round = 0; round < scaled(20000); round++) {
        tandem_group group = {0};
        tandem_task tasks[4];
        for (int i = 0; i < 4; i++) {
            tasks[i] = task_of(i == 3 ? TANDEM_PROCESS : TANDEM_THREAD, nothing_task, NULL, 0);
            tasks[i].group = &group;
            if (tandem_submit(pool, &tasks[i]) != 0) return "a submit was refused";
        }
        if (tandem_group_wait(&group, -1) != TANDEM_OK) return "a group did not end well";
        for (int i = 0; i < 4; i++)
            if (tandem_task_clear(&tasks[i]) != 0) return "a task of an ended group has not ended";
        memset(tasks, 0xff, sizeof tasks);
        memset(&group, 0xff, sizeof group);
    }
    return NULL;
}

static void a_group_may_vanish_when_its_wait_returns(void)
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    tandem_pool *pool = pool_of_both(2, 2);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, groups_on_the_stack, pool), 0);
    for (int i = 0; i < THREADS; i++) {
        void *complaint;
        assert_int_equal(pthread_join(threads[i], &complaint), 0);
        if (complaint != NULL) fail_msg("%s", (char *)complaint);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(all_tasks_of_a_group_have_ended_after_its_wait),
        both(a_group_that_has_not_ended_is_pending),
        both(the_first_bad_ending_is_the_groups_and_then_it_starts_anew),
        both(cancelling_a_group_cancels_what_is_in_it),
        test(tasks_of_several_pools_may_share_a_group),
        both(a_group_has_ended_when_its_callbacks_have),
        both(tasks_freed_by_their_callbacks_are_still_waited_for),
        test(a_group_may_vanish_when_its_wait_returns),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
