/* thread_exit.c - thread tasks that end their thread instead of returning: the task ends, and the pool is as large as before. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int exit_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    pthread_exit(NULL);
}

static int fail_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    return tandem_reply(context, "no", 3) == 0 ? 7 : 8;
}

static tandem_task ending(tandem_fn *run)
{
    tandem_task task = task_of(TANDEM_THREAD, run, NULL, 0);
    task.flags = TANDEM_NO_HELP | TANDEM_REPORT;
    return task;
}

static void expect_thread_ended(tandem_task *task)
{
    expect_end(task, TANDEM_CRASHED);
    assert_int_equal(task->signal, 0);
    assert_int_equal(task->code, 0);
    assert_null(task->output);
    assert_string_equal(task->report->step, "pthread_exit");
    tandem_task_clear(task);
}

/* All of them at once. */
static void expect_threads(tandem_pool *pool, int count)
{
    struct gate opened = {0}, *gate = &opened;
    tandem_task tasks[8];
    assert_true(count <= 8);
    for (int i = 0; i < count; i++) {
        tasks[i] = task_of(TANDEM_THREAD, gate_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&gate->entered, count));
    assert_int_equal(stats_of(pool).threads, count);
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < count; i++) expect_end(&tasks[i], TANDEM_OK);
}

/* promise 28 */
static void a_task_that_ends_its_thread_ends_and_the_pool_is_as_large_as_before(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 3, NULL);
    for (size_t i = 0; i < scaled(10000); i++) {
        tandem_task task = ending(exit_task), before = ending(fail_task);
        assert_int_equal(tandem_submit(pool, &before), 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_thread_ended(&task);
        expect_end(&before, TANDEM_FAILED);
        tandem_task_clear(&before);
    }
    expect_threads(pool, 3);
    end_pool(pool);
}

static void tasks_that_wait_behind_it_run(void)
{
    enum { TASKS = 100 };
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    struct gate opened = {0}, *gate = &opened;
    atomic_int runs = 0, *cell = &runs;
    tandem_task first = task_of(TANDEM_THREAD, gate_task, &gate, sizeof gate), tasks[TASKS];
    assert_int_equal(tandem_submit(pool, &first), 0);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = i % 10 == 3 ? ending(exit_task) : task_of(TANDEM_THREAD, count_task, &cell, sizeof cell);
        tasks[i].flags |= TANDEM_NO_HELP;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    atomic_store(&gate->opened, 1);
    expect_end(&first, TANDEM_OK);
    for (int i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], i % 10 == 3 ? TANDEM_CRASHED : TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    assert_int_equal(atomic_load(&runs), TASKS - TASKS / 10);
    expect_threads(pool, 1);
    end_pool(pool);
}

static int reply_and_exit_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_reply(context, "lost", 4);
    pthread_exit(NULL);
}

static void note_done(tandem_task *task) { atomic_fetch_add((atomic_int *)task->user_data, 1); }

static void its_callback_its_group_and_its_time_limit_are_as_for_any_task(void)
{
    atomic_int done = 0;
    tandem_group group = {{0}};
    tandem_pool *pool = pool_of(TANDEM_THREAD, 2, NULL);
    for (int i = 1; i <= 10; i++) {
        tandem_task task = ending(reply_and_exit_task);
        task.on_done = note_done;
        task.user_data = &done;
        task.group = &group;
        task.timeout_ms = 60000;
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_int_equal(tandem_group_wait(&group, -1), TANDEM_CRASHED);
        assert_int_equal(atomic_load(&done), i);
        assert_null(task.output);
        expect_thread_ended(&task);
    }
    assert_int_equal(stats_of(pool).ended[TANDEM_CRASHED], 10);
    expect_threads(pool, 2);
    end_pool(pool);
}

/* ---- several at once on one thread ---- */

static int wait_for_exit_task(tandem_context *context, void *input, size_t size)
{
    tandem_task *inner;
    (void)context;
    memcpy(&inner, input, size);
    tandem_wait(inner); /* runs it, for the pool's only thread is this one */
    return 0;
}

static void tasks_that_were_waiting_on_that_thread_end_with_it(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    for (int i = 0; i < 20; i++) {
        struct gate opened = {0}, *gate = &opened;
        tandem_task first = task_of(TANDEM_THREAD, gate_task, &gate, sizeof gate);
        tandem_task inner = ending(exit_task), *input = &inner, outer = ending(wait_for_exit_task);
        inner.flags = TANDEM_REPORT;
        outer.input = &input;
        outer.input_size = sizeof input;
        assert_int_equal(tandem_submit(pool, &first), 0); /* so that both are there when the thread comes */
        assert_int_equal(tandem_submit(pool, &outer), 0);
        assert_int_equal(tandem_submit(pool, &inner), 0);
        atomic_store(&gate->opened, 1);
        expect_end(&first, TANDEM_OK);
        expect_thread_ended(&outer);
        expect_thread_ended(&inner);
    }
    expect_threads(pool, 1);
    end_pool(pool);
}

static int wait_for_exits_elsewhere_task(tandem_context *context, void *input, size_t size)
{
    tandem_pool *pool;
    (void)context;
    memcpy(&pool, input, size);
    for (int i = 0; i < 10; i++) {
        tandem_task inner = ending(exit_task);
        if (tandem_submit(pool, &inner) != 0 || tandem_wait(&inner) != TANDEM_CRASHED) return __LINE__;
        tandem_task_clear(&inner);
    }
    return 0;
}

/* That one is stood in for. */
static void a_task_ends_the_thread_that_stands_in_for_the_one_that_waits_for_it(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    for (int i = 0; i < 20; i++) {
        tandem_task outer = task_of(TANDEM_THREAD, wait_for_exits_elsewhere_task, &pool, sizeof pool);
        outer.flags = TANDEM_NO_HELP;
        assert_int_equal(tandem_submit(pool, &outer), 0);
        expect_end(&outer, TANDEM_OK);
    }
    assert_int_equal(stats_of(pool).ended[TANDEM_CRASHED], 200);
    end_pool(pool);
}

struct helper {
    tandem_pool *pool;
    tandem_task task;
};

static void *submit_and_help(void *argument)
{
    struct helper *helper = argument;
    if (tandem_submit(helper->pool, &helper->task) == 0) tandem_wait(&helper->task);
    return helper; /* not reached */
}

static void a_waiting_thread_that_is_ended_by_the_task_it_runs_leaves_it_ended(void)
{
    struct gate opened = {0}, *gate = &opened;
    struct helper helper = {.pool = pool_of(TANDEM_THREAD, 1, NULL)};
    tandem_task first = task_of(TANDEM_THREAD, gate_task, &gate, sizeof gate);
    pthread_t thread;
    void *result;
    assert_int_equal(tandem_submit(helper.pool, &first), 0);
    assert_true(await(&gate->entered, 1));
    helper.task = ending(exit_task);
    helper.task.flags = TANDEM_REPORT;
    assert_int_equal(pthread_create(&thread, NULL, submit_and_help, &helper), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_null(result);
    expect_thread_ended(&helper.task);
    atomic_store(&gate->opened, 1);
    expect_end(&first, TANDEM_OK);
    end_pool(helper.pool);
}

/* ---- other ways to have a thread ---- */

static void a_dedicated_task_that_ends_its_thread_ends(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    for (int i = 0; i < 20; i++) {
        tandem_task task = ending(exit_task);
        task.flags |= TANDEM_DEDICATED;
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_thread_ended(&task);
    }
    wait_until(stats_of(pool).threads == 1);
    end_pool(pool);
}

/* ---- cancelling threads of the library ---- */

static int cancel_self_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    pthread_cancel(pthread_self());
    return 0;
}

static int reach_a_cancellation_point_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    pthread_testcancel();
    return 0;
}

static void reach_a_cancellation_point(tandem_task *task)
{
    pthread_testcancel();
    atomic_fetch_add((atomic_int *)task->user_data, 1);
}

static void a_cancelled_pool_thread_ends_nobodys_task(void)
{
    atomic_int done = 0;
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task tasks[] = {ending(cancel_self_task), ending(reach_a_cancellation_point_task)};
    for (int i = 0; i < 2; i++) {
        tasks[i].on_done = reach_a_cancellation_point;
        tasks[i].user_data = &done;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    assert_int_equal(atomic_load(&done), 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tasks[i].status, TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    assert_int_equal(stats_of(pool).threads, 1);
    end_pool(pool);
}

/* ---- with branches ---- */

static int branch_out(tandem_context *context, void *input, size_t size)
{
    size_t depth = size;
    tandem_branch branch = {.run = branch_out, .input = input, .input_size = depth - 1};
    if (depth == 0) return 0;
    tandem_spawn(context, &branch);
    int code = branch_out(context, input, depth - 1);
    return tandem_join(context, &branch) + code + 1;
}

static int branch_out_and_exit_task(tandem_context *context, void *input, size_t size)
{
    if (branch_out(context, input, size) == (1 << size) - 1) pthread_exit(NULL);
    return 0;
}

static int branch_out_task(tandem_context *context, void *input, size_t size)
{
    return branch_out(context, input, size) == (1 << size) - 1 ? 0 : __LINE__;
}

static void a_thread_that_takes_its_place_runs_branches(void)
{
    char any[10];
    tandem_pool *pool = pool_of(TANDEM_THREAD, 3, NULL);
    for (size_t i = 0; i < scaled(2000); i++) {
        tandem_task tasks[6];
        for (int k = 0; k < 6; k++) {
            tasks[k] = ending(k % 2 == 0 ? branch_out_and_exit_task : branch_out_task);
            tasks[k].input = any;
            tasks[k].input_size = sizeof any;
            assert_int_equal(tandem_submit(pool, &tasks[k]), 0);
        }
        for (int k = 0; k < 6; k++) {
            expect_end(&tasks[k], k % 2 == 0 ? TANDEM_CRASHED : TANDEM_OK);
            tandem_task_clear(&tasks[k]);
        }
    }
    expect_threads(pool, 3);
    end_pool(pool);
}

static struct {
    tandem_pool *pool;
    tandem_branch branch;
    atomic_int has_ended, go_on, late;
} unjoined;

static int run_late(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    return atomic_fetch_add(&unjoined.late, 1);
}

static int spawn_and_exit_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_spawn(context, &unjoined.branch);
    pthread_exit(NULL);
}

static void hold_up(void *argument)
{
    (void)argument;
    atomic_store(&unjoined.has_ended, 1);
    await(&unjoined.go_on, 1);
}

/* Its thread ends in the middle of it, by what it waits for, and is held up between the ends of the two. */
static int wait_and_be_held_up_task(tandem_context *context, void *input, size_t size)
{
    tandem_task *inner;
    memcpy(&inner, input, sizeof inner);
    if (tandem_submit(unjoined.pool, inner) != 0) return __LINE__;
    pthread_cleanup_push(hold_up, NULL);
    wait_for_exit_task(context, input, size);
    pthread_cleanup_pop(0);
    return 0;
}

static void no_branch_begins_when_its_task_has_ended_its_thread(void)
{
    unjoined.pool = pool_of(TANDEM_THREAD, 2, NULL);
    unjoined.branch = (tandem_branch){.run = run_late};
    for (int i = 0; i < 10; i++) {
        struct gate opened = {0}, *gate = &opened;
        tandem_task other = task_of(TANDEM_THREAD, gate_task, &gate, sizeof gate);
        tandem_task inner = ending(spawn_and_exit_task), *input = &inner, outer = ending(wait_and_be_held_up_task);
        other.flags = TANDEM_NO_HELP;
        inner.flags = TANDEM_REPORT;
        outer.input = &input;
        outer.input_size = sizeof input;
        atomic_store(&unjoined.go_on, 0);
        assert_int_equal(tandem_submit(unjoined.pool, &other), 0);
        assert_true(await(&gate->entered, 1));
        atomic_store(&unjoined.has_ended, 0);
        assert_int_equal(tandem_submit(unjoined.pool, &outer), 0);
        assert_true(await(&unjoined.has_ended, 1));
        expect_thread_ended(&inner);
        atomic_store(&gate->opened, 1); /* now the other thread has nothing to do but to take branches */
        expect_end(&other, TANDEM_OK);
        for (int k = 0; k < 20; k++) moment();
        atomic_store(&unjoined.go_on, 1);
        expect_thread_ended(&outer);
        assert_int_equal(atomic_load(&unjoined.late), 0);
    }
    end_pool(unjoined.pool);
}

static struct {
    tandem_pool *pool;
    atomic_int begun;
} elsewhere;

/* Whoever runs this waits for a task, and so runs it, and that ends the thread. */
static int wait_for_an_exit(tandem_context *context, void *input, size_t size)
{
    tandem_task task = task_of(TANDEM_THREAD, exit_task, NULL, 0);
    (void)context, (void)input, (void)size;
    atomic_store(&elsewhere.begun, 1);
    return tandem_submit(elsewhere.pool, &task) != 0 || tandem_wait(&task) != TANDEM_CRASHED;
}

static int join_what_does_not_return_task(tandem_context *context, void *input, size_t size)
{
    tandem_branch branch = {.run = wait_for_an_exit}, other = {.run = fail_task};
    (void)input, (void)size;
    tandem_spawn(context, &branch);
    while (atomic_load(&elsewhere.begun) == 0) { /* until another thread has taken it */
        tandem_spawn(context, &other);
        tandem_join(context, &other);
        moment();
    }
    return tandem_join(context, &branch) == -ECANCELED ? 0 : __LINE__;
}

static void a_branch_whose_thread_is_ended_by_another_task_can_be_joined(void)
{
    elsewhere.pool = pool_of(TANDEM_THREAD, 2, NULL);
    for (size_t i = 0; i < scaled(1000); i++) {
        tandem_task task = ending(join_what_does_not_return_task);
        task.flags |= TANDEM_NO_HELP;
        atomic_store(&elsewhere.begun, 0);
        assert_int_equal(tandem_submit(elsewhere.pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        tandem_task_clear(&task);
    }
    expect_threads(elsewhere.pool, 2);
    end_pool(elsewhere.pool);
}

/* ---- with on_worker_start; while the pool ends ---- */

static struct {
    atomic_int starts, stops, exits;
} records;

static int start(void **worker_data, void *argument)
{
    *worker_data = argument;
    int number = atomic_fetch_add(&records.starts, 1) + 1;
    if (number <= atomic_load(&records.exits)) pthread_exit(NULL);
    return number == 3 ? EBUSY : 0; /* the first replacement is tried again */
}

static void stop(void *worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    atomic_fetch_add(&records.stops, 1);
}

static int has_data_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    return tandem_worker_data(context) == &records ? 0 : __LINE__;
}

static void the_thread_that_takes_its_place_starts_like_any(void)
{
    tandem_options options = {.on_worker_start = start, .on_worker_stop = stop, .argument = &records};
    tandem_pool *pool = pool_of(TANDEM_THREAD, 2, &options);
    for (int i = 0; i < 2; i++) {
        tandem_task task = ending(exit_task);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_thread_ended(&task);
        task = ending(has_data_task);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        tandem_task_clear(&task);
    }
    expect_threads(pool, 2);
    assert_int_equal(atomic_load(&records.starts), 5);
    end_pool(pool);
    assert_int_equal(atomic_load(&records.stops), 2);
}

static void a_thread_that_ends_in_on_worker_start_has_failed_to_start(void)
{
    tandem_options options = {.threads = 2, .processes = TANDEM_NONE, .on_worker_start = start, .argument = &records};
    tandem_pool *pool = NULL;
    atomic_store(&records.exits, 1);
    assert_int_equal(tandem_pool_create(&pool, &options), -ECANCELED);
    assert_null(pool);
}

static void a_pool_ends_while_tasks_end_its_threads(void)
{
    enum { TASKS = 12 };
    for (size_t i = 0; i < scaled(10000); i++) {
        tandem_task tasks[TASKS];
        tandem_pool *pool = pool_of(TANDEM_THREAD, 1 + (uint32_t)(i % 3), NULL);
        for (int k = 0; k < TASKS; k++) {
            tasks[k] = ending(exit_task);
            tasks[k].flags |= k % 4 == 0 ? TANDEM_DEDICATED : 0;
            assert_int_equal(tandem_submit(pool, &tasks[k]), 0);
        }
        end_pool(pool);
        for (int k = 0; k < TASKS; k++) {
            int status = tandem_wait(&tasks[k]);
            assert_true(status == TANDEM_CRASHED || status == TANDEM_CANCELLED);
            tandem_task_clear(&tasks[k]);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_task_that_ends_its_thread_ends_and_the_pool_is_as_large_as_before),
        test(tasks_that_wait_behind_it_run),
        test(its_callback_its_group_and_its_time_limit_are_as_for_any_task),
        test(tasks_that_were_waiting_on_that_thread_end_with_it),
        test(a_task_ends_the_thread_that_stands_in_for_the_one_that_waits_for_it),
        test(a_waiting_thread_that_is_ended_by_the_task_it_runs_leaves_it_ended),
        test(a_dedicated_task_that_ends_its_thread_ends),
        test(a_cancelled_pool_thread_ends_nobodys_task),
        test(a_thread_that_takes_its_place_runs_branches),
        test(no_branch_begins_when_its_task_has_ended_its_thread),
        test(a_branch_whose_thread_is_ended_by_another_task_can_be_joined),
        test(the_thread_that_takes_its_place_starts_like_any),
        test(a_thread_that_ends_in_on_worker_start_has_failed_to_start),
        test(a_pool_ends_while_tasks_end_its_threads),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
