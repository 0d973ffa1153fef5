/* on_done.c - on_done runs once for every task, in freedom: with no lock held, and the task its own. */
#include "harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the callbacks of a test see and leave; they run on library threads, so they count and the test looks. */
static struct {
    tandem_pool *pool;
    atomic_int calls;
    atomic_int wrong; /* things that were not as they should be */
    atomic_int *ledger;
} seen;

static void check(bool good)
{
    if (!good) atomic_fetch_add(&seen.wrong, 1);
}

static void expect_calls(int calls)
{
    wait_until(atomic_load(&seen.calls) >= calls);
    assert_int_equal(atomic_load(&seen.calls), calls);
    assert_int_equal(atomic_load(&seen.wrong), 0);
}

/* ---- once ---- */

static void count_call(tandem_task *task)
{
    check(task->status == TANDEM_OK);
    atomic_fetch_add((atomic_int *)task->user_data, 1);
    atomic_fetch_add(&seen.calls, 1);
}

/* promise 6 */
static void a_callback_runs_exactly_once_for_every_task(int isolation)
{
    const size_t count = scaled(100000);
    tandem_task *tasks = calloc(count, sizeof *tasks);
    atomic_int *calls = calloc(count, sizeof *calls);
    assert_true(tasks != NULL && calls != NULL);
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    for (size_t i = 0; i < count; i++) {
        tasks[i] = task_of(isolation, nothing_task, NULL, 0);
        tasks[i].on_done = count_call;
        tasks[i].user_data = &calls[i];
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_int_equal(tandem_pool_drain(pool, -1), 0); /* returns when each on_done has */
    assert_int_equal(atomic_load(&seen.calls), count);
    end_pool(pool);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(atomic_load(&calls[i]), 1);
        tandem_task_clear(&tasks[i]);
    }
    expect_calls((int)count);
    free(tasks);
    free(calls);
}

static void check_everything(tandem_task *task)
{
    check(task->status == TANDEM_FAILED && task->code == 7 && task->signal == 0);
    check(task->output_size == 5 && memcmp(task->output, "hello", 6) == 0);
    check(task->report != NULL && task->report->ended_ns >= task->report->started_ns);
    check(strcmp(task->user_data, "mine") == 0);
    check(tandem_wait_for(task, 0) == TANDEM_FAILED);
    check(tandem_cancel(task) == -EALREADY);
    atomic_fetch_add(&seen.calls, 1);
}

static int fail_with_reply_task(tandem_context *context, void *input, size_t size)
{
    return tandem_reply(context, input, size) == 0 ? 7 : -1;
}

/* promise 6: nobody waits, so the library itself must notice the end */
static void a_callback_sees_how_its_task_ended(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    char hello[] = "hello", mine[] = "mine";
    tandem_task task = task_of(isolation, fail_with_reply_task, hello, 5);
    task.flags = TANDEM_REPORT;
    task.on_done = check_everything;
    task.user_data = mine;
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_calls(1);
    end_pool(pool);
    assert_int_equal(tandem_task_clear(&task), 0);
}

/* ---- in freedom ---- */

static void submit_again(tandem_task *task)
{
    check(task->status == TANDEM_OK);
    if (atomic_fetch_add(&seen.calls, 1) + 1 < 50) check(tandem_submit(seen.pool, task) == 0);
}

/* promise 6 */
static void a_callback_may_submit_its_task_again(int isolation)
{
    atomic_int *cell = shared(sizeof *cell);
    seen.pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, count_task, &cell, sizeof cell);
    task.on_done = submit_again;
    assert_int_equal(tandem_submit(seen.pool, &task), 0);
    expect_calls(50);
    end_pool(seen.pool);
    assert_int_equal(atomic_load(cell), 50);
    tandem_task_clear(&task);
}

static void free_it(tandem_task *task)
{
    check(tandem_task_clear(task) == 0);
    free(task);
    atomic_fetch_add(&seen.calls, 1);
}

/* promise 6 */
static void a_callback_may_free_its_task(int isolation)
{
    enum { TASKS = 100 };
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    char word[] = "gone";
    for (int i = 0; i < TASKS; i++) {
        tandem_task *task = malloc(sizeof *task);
        assert_non_null(task);
        *task = task_of(isolation, echo_task, word, 4);
        task->on_done = free_it;
        assert_int_equal(tandem_submit(pool, task), 0);
    }
    end_pool(pool); /* those that have not run end as well, and are freed */
    expect_calls(TASKS);
}

/* Submits a second task, waits for it, lets a third be cancelled, clears them all. */
static void use_the_pool(tandem_task *task)
{
    int isolation = task->isolation;
    tandem_task second = task_of(isolation, count_task, &seen.ledger, sizeof seen.ledger);
    check(tandem_submit(seen.pool, &second) == 0);
    check(tandem_wait(&second) == TANDEM_OK);
    check(tandem_task_clear(&second) == 0);
    tandem_task third = task_of(isolation, nothing_task, NULL, 0);
    check(tandem_submit(seen.pool, &third) == 0);
    int asked = tandem_cancel(&third);
    check(asked == 0 || asked == -EALREADY);
    int status = tandem_wait(&third);
    check(status == TANDEM_OK || status == TANDEM_CANCELLED);
    check(tandem_task_clear(&third) == 0);
    check(tandem_task_clear(task) == 0);
    atomic_fetch_add(&seen.calls, 1);
}

/* promise 6 */
static void a_callback_may_submit_wait_cancel_and_clear(int isolation)
{
    enum { TASKS = 20 };
    static tandem_task tasks[TASKS];
    seen.ledger = shared(sizeof *seen.ledger);
    seen.pool = pool_of(isolation, 1, NULL);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(isolation, nothing_task, NULL, 0);
        tasks[i].on_done = use_the_pool;
        assert_int_equal(tandem_submit(seen.pool, &tasks[i]), 0);
    }
    expect_calls(TASKS);
    assert_int_equal(atomic_load(seen.ledger), TASKS);
    end_pool(seen.pool);
}

/* A task for which somebody waits has its callback all the same. */
static void a_task_waited_for_has_its_callback_too(int isolation)
{
    atomic_int calls = 0;
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, nothing_task, NULL, 0);
    task.on_done = count_call;
    task.user_data = &calls;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    expect_calls(1);
    end_pool(pool);
    assert_int_equal(atomic_load(&calls), 1);
    tandem_task_clear(&task);
}

/* ---- other endings ---- */

static void remember_status(tandem_task *task)
{
    *(int32_t *)task->user_data = task->status;
    atomic_fetch_add(&seen.calls, 1);
}

/* promise 6: cancelled while it waits, cancelled while it runs, and the end of the pool */
static void a_callback_comes_for_every_kind_of_end(int isolation)
{
    int32_t statuses[3] = {0};
    tandem_task tasks[3];
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (int i = 0; i < 3; i++) {
        tasks[i] = task_of(isolation, spin_task, &gate, sizeof gate);
        tasks[i].on_done = remember_status;
        tasks[i].user_data = &statuses[i];
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        assert_true(await(&gate->entered, 1));
    }
    assert_int_equal(tandem_cancel(&tasks[1]), 0);
    expect_calls(1);
    assert_int_equal(statuses[1], TANDEM_CANCELLED);
    assert_int_equal(tandem_cancel(&tasks[0]), 0);
    assert_true(await(&gate->entered, 2));
    wait_until(atomic_load(&seen.calls) == 2);
    end_pool(pool);
    expect_calls(3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(statuses[i], TANDEM_CANCELLED);
        tandem_task_clear(&tasks[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(a_callback_runs_exactly_once_for_every_task), both(a_callback_sees_how_its_task_ended),
        both(a_callback_may_submit_its_task_again),        both(a_callback_may_free_its_task),
        both(a_callback_may_submit_wait_cancel_and_clear), both(a_task_waited_for_has_its_callback_too),
        both(a_callback_comes_for_every_kind_of_end),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
