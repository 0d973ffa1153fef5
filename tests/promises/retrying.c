/* retrying.c - a task that says it may is run once more if its process crashes under it; no other ending is a reason. */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum ending { FINE, FAIL, KILL, ABORT, LEAVE, SPIN };

enum { RUNS = 4 };

/* What each run of one task is to do, and how many there have been; shared. */
struct plan {
    atomic_int begun;
    atomic_int pids[RUNS];
    enum ending endings[RUNS];
};

static int planned_task(tandem_context *context, void *input, size_t size)
{
    struct plan *plan;
    memcpy(&plan, input, size);
    int run = atomic_fetch_add(&plan->begun, 1);
    if (run >= RUNS) return __LINE__;
    atomic_store(&plan->pids[run], (int)getpid());
    tandem_reply(context, &run, sizeof run);
    switch (plan->endings[run]) {
    case FINE: break;
    case FAIL: return 42;
    case KILL: raise(SIGKILL); break;
    case ABORT: abort();
    case LEAVE: _exit(3);
    case SPIN:
        while (!tandem_cancelled(context)) continue;
    }
    return 0;
}

enum { PLANS = 64 };

static struct plan *plans; /* shared; taken before the first pool */
static int plans_used;

static tandem_pool *begin(uint32_t processes)
{
    plans = shared(PLANS * sizeof *plans);
    return pool_of(TANDEM_PROCESS, processes, NULL);
}

static struct plan *plan_of(enum ending first, enum ending second)
{
    assert_in_range(plans_used, 0, PLANS - 1);
    struct plan *plan = &plans[plans_used++];
    plan->endings[0] = first;
    plan->endings[1] = second;
    return plan;
}

static tandem_task task_with(struct plan **plan, uint32_t flags)
{
    tandem_task task = task_of(TANDEM_PROCESS, planned_task, plan, sizeof *plan);
    task.flags = flags;
    return task;
}

/* It ends so after so many runs, each in a process of its own. */
static void expect_runs(tandem_task *task, struct plan *plan, int status, int runs)
{
    expect_end(task, status);
    assert_int_equal(atomic_load(&plan->begun), runs);
    assert_int_equal(task->report->runs, runs);
    assert_int_equal(task->report->pid, atomic_load(&plan->pids[runs - 1]));
    for (int i = 1; i < runs; i++) assert_int_not_equal(atomic_load(&plan->pids[i]), atomic_load(&plan->pids[i - 1]));
}

/* ---- after a crash ---- */

/* promise 25 */
static void a_task_that_crashes_once_is_run_again(void)
{
    static const enum ending crashes[] = {KILL, ABORT, LEAVE};
    tandem_pool *pool = begin(1);
    for (size_t i = 0; i < count_of(crashes); i++) {
        struct plan *plan = plan_of(crashes[i], FINE);
        tandem_task task = task_with(&plan, TANDEM_RETRY);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_runs(&task, plan, TANDEM_OK, 2);
        assert_int_equal(task.code, 0);
        assert_int_equal(task.signal, 0); /* nothing is left of the first run */
        assert_int_equal(task.report->frame_count, 0);
        assert_int_equal(task.report->fault_address, 0);
        assert_int_equal(task.output_size, sizeof(int));
        assert_int_equal(*(int *)task.output, 1);
        tandem_task_clear(&task);
    }
    wait_until(stats_of(pool).workers_crashed == count_of(crashes));
    assert_int_equal(stats_of(pool).submitted, count_of(crashes));
    assert_int_equal(stats_of(pool).ended[TANDEM_OK], count_of(crashes));
    assert_int_equal(stats_of(pool).ended[TANDEM_CRASHED], 0);
    end_pool(pool);
}

/* promise 25: twice is all */
static void a_task_that_crashes_twice_has_crashed(void)
{
    tandem_pool *pool = begin(2);
    struct plan *plan = plan_of(LEAVE, KILL);
    tandem_task task = task_with(&plan, TANDEM_RETRY);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_runs(&task, plan, TANDEM_CRASHED, 2);
    assert_int_equal(task.signal, SIGKILL); /* of the last run */
    assert_int_equal(task.code, 0);
    assert_null(task.output);
    tandem_task_clear(&task);
    plan = plan_of(KILL, LEAVE);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_runs(&task, plan, TANDEM_CRASHED, 2);
    assert_int_equal(task.signal, 0);
    assert_int_equal(task.code, 3);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* promise 25 */
static void a_task_that_is_submitted_again_may_run_twice_again(void)
{
    tandem_pool *pool = begin(1);
    struct plan *plan = plan_of(KILL, FINE);
    tandem_task task = task_with(&plan, TANDEM_RETRY);
    for (int i = 0; i < 3; i++) {
        atomic_store(&plan->begun, 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_runs(&task, plan, TANDEM_OK, 2);
    }
    tandem_task_clear(&task);
    end_pool(pool);
}

/* promise 25 */
static void without_the_flag_no_task_runs_twice(void)
{
    tandem_pool *pool = begin(1);
    struct plan *plan = plan_of(KILL, FINE);
    tandem_task task = task_with(&plan, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_runs(&task, plan, TANDEM_CRASHED, 1);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- after anything else ---- */

/* promise 25 */
static void a_task_that_ends_otherwise_is_not_run_again(void)
{
    tandem_limits limits = {.output = 1, .cpu_ms = 100};
    tandem_pool *pool = begin(1);
    struct plan *plan = plan_of(FINE, FINE);
    tandem_task task = task_with(&plan, TANDEM_RETRY);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_runs(&task, plan, TANDEM_OK, 1);
    tandem_task_clear(&task);

    plan = plan_of(FAIL, FINE);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_runs(&task, plan, TANDEM_FAILED, 1);
    assert_int_equal(task.code, 42);
    tandem_task_clear(&task);

    plan = plan_of(SPIN, FINE);
    task.timeout_ms = 300 * (uint32_t)slowness();
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&plan->begun, 1));
    expect_runs(&task, plan, TANDEM_TIMED_OUT, 1);
    tandem_task_clear(&task);
    task.timeout_ms = 0;

    plan = plan_of(SPIN, FINE);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&plan->begun, 1));
    assert_int_equal(tandem_cancel(&task), 0);
    expect_runs(&task, plan, TANDEM_CANCELLED, 1);
    tandem_task_clear(&task);

    for (int i = 0; i < 2; i++) {
        plan = plan_of(i == 0 ? SPIN : FINE, FINE);
        task.limits = &limits;
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_runs(&task, plan, TANDEM_OVER_LIMIT, 1);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* promise 25 */
static void the_second_run_ends_as_it_ends(void)
{
    tandem_pool *pool = begin(1);
    struct plan *plan = plan_of(KILL, FAIL);
    tandem_task task = task_with(&plan, TANDEM_RETRY);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_runs(&task, plan, TANDEM_FAILED, 2);
    assert_int_equal(task.code, 42);
    assert_int_equal(*(int *)task.output, 1);
    tandem_task_clear(&task);

    plan = plan_of(KILL, SPIN);
    task.timeout_ms = 500 * (uint32_t)slowness();
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_runs(&task, plan, TANDEM_TIMED_OUT, 2);
    assert_true(task.report->ended_ns - task.report->started_ns >= 499000000);
    tandem_task_clear(&task);
    task.timeout_ms = 0;

    plan = plan_of(KILL, SPIN);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&plan->begun, 2));
    assert_int_equal(tandem_cancel(&task), 0);
    expect_runs(&task, plan, TANDEM_CANCELLED, 2);
    tandem_task_clear(&task);

    plan = plan_of(KILL, SPIN);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&plan->begun, 2));
    end_pool(pool);
    expect_runs(&task, plan, TANDEM_CANCELLED, 2);
    tandem_task_clear(&task);
}

/* ---- between the runs ---- */

static struct {
    atomic_int starts;
    atomic_int open; /* how many may get through */
} * door;            /* shared */

static int start_through_door(void **worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    int number = atomic_fetch_add(&door->starts, 1) + 1;
    return await(&door->open, number) ? 0 : ETIMEDOUT;
}

/* Submits a task that crashes in the first worker, and holds the second at its door. */
static tandem_pool *begin_between(tandem_task *task, struct plan **plan)
{
    door = shared(sizeof *door);
    plans = shared(PLANS * sizeof *plans);
    *plan = plan_of(KILL, FINE);
    *task = task_with(plan, TANDEM_RETRY);
    atomic_store(&door->open, 1);
    tandem_options options = {.on_worker_start = start_through_door, .start_timeout_ms = (uint32_t)(2 * patience_ms())};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    assert_int_equal(tandem_submit(pool, task), 0);
    assert_true(await(&(*plan)->begun, 1));
    assert_true(await(&door->starts, 2));
    assert_int_equal(tandem_wait_for(task, 0), TANDEM_PENDING);
    tandem_stats stats = stats_of(pool);
    assert_int_equal(stats.submitted, 1);
    assert_int_equal(stats.waiting + stats.running, 1);
    return pool;
}

/* promise 25 */
static void a_task_cancelled_between_its_runs_is_not_run_again(void)
{
    struct plan *plan;
    tandem_task task;
    tandem_pool *pool = begin_between(&task, &plan);
    assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    assert_int_equal(task.report->runs, 1);
    atomic_store(&door->open, 1000);
    tandem_task next = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &next), 0);
    expect_end(&next, TANDEM_OK);
    assert_int_equal(atomic_load(&plan->begun), 1);
    tandem_task_clear(&task);
    tandem_task_clear(&next);
    end_pool(pool);
}

/* promise 25 */
static void a_pool_that_ends_between_the_runs_cancels_the_second(void)
{
    struct plan *plan;
    tandem_task task;
    tandem_pool *pool = begin_between(&task, &plan);
    end_pool(pool);
    expect_end(&task, TANDEM_CANCELLED);
    assert_int_equal(task.report->runs, 1);
    assert_int_equal(atomic_load(&plan->begun), 1);
    tandem_task_clear(&task);
}

/* promise 25 */
static void between_its_runs_a_task_is_waited_for_by_all(void)
{
    struct plan *plan;
    tandem_task task;
    tandem_pool *pool = begin_between(&task, &plan);
    assert_int_equal(tandem_pool_drain(pool, 0), -ETIMEDOUT);
    assert_int_equal(tandem_wait_for(&task, 20), TANDEM_PENDING);
    assert_int_equal(tandem_task_clear(&task), -EBUSY);
    atomic_store(&door->open, 1000);
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    expect_runs(&task, plan, TANDEM_OK, 2);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- who is told, how often ---- */

static atomic_int calls;

static void count_call(tandem_task *task)
{
    if (task->status == TANDEM_OK && task->report->runs == 2) atomic_fetch_add(&calls, 1);
}

/* promise 25 */
static void many_retried_tasks_are_told_of_once_each(void)
{
    enum { TASKS = 32 };
    struct plan *made[TASKS];
    tandem_task tasks[TASKS];
    tandem_group group = {0};
    tandem_pool *pool = begin(3);
    for (int i = 0; i < TASKS; i++) {
        made[i] = plan_of(i % 2 == 0 ? KILL : LEAVE, FINE);
        tasks[i] = task_with(&made[i], TANDEM_RETRY);
        tasks[i].group = &group;
        tasks[i].on_done = count_call;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_int_equal(tandem_group_wait(&group, -1), TANDEM_OK);
    assert_int_equal(atomic_load(&calls), TASKS);
    for (int i = 0; i < TASKS; i++) {
        expect_runs(&tasks[i], made[i], TANDEM_OK, 2);
        tandem_task_clear(&tasks[i]);
    }
    wait_until(stats_of(pool).workers_crashed == TASKS);
    assert_int_equal(stats_of(pool).submitted, TASKS);
    assert_int_equal(stats_of(pool).ended[TANDEM_OK], TASKS);
    end_pool(pool);
    assert_int_equal(atomic_load(&calls), TASKS);
}

static atomic_int *crashes_left; /* shared */

static int crash_then_echo_task(tandem_context *context, void *input, size_t size)
{
    if (atomic_fetch_sub(crashes_left, 1) > 0) raise(SIGKILL);
    return tandem_reply(context, input, size);
}

/* promise 25 */
static void the_second_run_has_the_whole_input(void)
{
    const size_t size = 3 << 20;
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) bytes[i] = (char)(i * 31 + i / 4096);
    crashes_left = shared(sizeof *crashes_left);
    tandem_pool *pool = begin(1);
    tandem_task task = task_of(TANDEM_PROCESS, crash_then_echo_task, bytes, size);
    task.flags = TANDEM_RETRY;
    atomic_store(crashes_left, 1);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    assert_int_equal(task.output_size, size);
    assert_memory_equal(task.output, bytes, size);
    tandem_task_clear(&task);
    free(bytes);
    end_pool(pool);
}

/* promise 25 */
static void a_retried_task_with_a_process_of_its_own_gets_a_second_one(void)
{
    tandem_pool *pool = begin(1);
    struct plan *plan = plan_of(KILL, FINE);
    tandem_task task = task_with(&plan, TANDEM_RETRY | TANDEM_DEDICATED);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_runs(&task, plan, TANDEM_OK, 2);
    tandem_task_clear(&task);
    wait_until(stats_of(pool).processes == 0);
    end_pool(pool);
}

static void on_a_thread_the_flag_means_nothing(void)
{
    plans = shared(PLANS * sizeof *plans);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    struct plan *plan = plan_of(FAIL, FINE);
    tandem_task task = task_with(&plan, TANDEM_RETRY | TANDEM_REPORT);
    task.isolation = TANDEM_THREAD;
    assert_int_equal(tandem_call(pool, &task), TANDEM_FAILED);
    assert_int_equal(atomic_load(&plan->begun), 1);
    assert_int_equal(task.report->runs, 1);
    tandem_task_clear(&task);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_task_that_crashes_once_is_run_again),
        test(a_task_that_crashes_twice_has_crashed),
        test(a_task_that_is_submitted_again_may_run_twice_again),
        test(without_the_flag_no_task_runs_twice),
        test(a_task_that_ends_otherwise_is_not_run_again),
        test(the_second_run_ends_as_it_ends),
        test(a_task_cancelled_between_its_runs_is_not_run_again),
        test(a_pool_that_ends_between_the_runs_cancels_the_second),
        test(between_its_runs_a_task_is_waited_for_by_all),
        test(many_retried_tasks_are_told_of_once_each),
        test(the_second_run_has_the_whole_input),
        test(a_retried_task_with_a_process_of_its_own_gets_a_second_one),
        test(on_a_thread_the_flag_means_nothing),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
