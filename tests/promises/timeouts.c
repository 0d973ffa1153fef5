/* timeouts.c - limits of running and of waiting for the start: kept, told apart, and counted from the right moment. */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* ---- processes ---- */

/* promise 18 */
static void an_endless_loop_in_a_process_ends_by_its_timeout(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < 3; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, spin_task, &gate, sizeof gate);
        task.timeout_ms = 100;
        int64_t begun = now_ms();
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_TIMED_OUT);
        int64_t took = now_ms() - begun;
        assert_in_range(took, 99, 100 + allowed_ms(50));
        assert_true(task.report->ended_ns - task.report->started_ns >= 99000000);
        assert_null(task.output);
        wait_until(!process_lives(task.report->pid));
        tandem_task_clear(&task);
    }
    assert_int_equal(stats_of(pool).workers_crashed, 0);
    end_pool(pool);
}

/* Nobody waits: the library itself keeps the time. */
static void a_timeout_needs_nobody_who_waits(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, spin_task, &gate, sizeof gate);
    task.timeout_ms = 50;
    assert_int_equal(tandem_submit(pool, &task), 0);
    wait_until(stats_of(pool).ended[TANDEM_TIMED_OUT] == 1);
    assert_int_equal(tandem_wait_for(&task, 0), TANDEM_TIMED_OUT);
    tandem_task_clear(&task);
    end_pool(pool);
}

static struct gate *family; /* shared: pid is a grandchild's, left is its counter */

static int grandchild_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    pid_t pid = fork();
    if (pid < 0) return __LINE__;
    if (pid == 0) {
        atomic_store(&family->pid, (int)getpid());
        atomic_store(&family->entered, 1);
    }
    for (;;) atomic_fetch_add(&family->left, 1);
}

/* promise 18 */
static void the_grandchildren_of_a_task_that_timed_out_are_gone_too(void)
{
    family = shared(sizeof *family);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, grandchild_task, NULL, 0);
    task.timeout_ms = (uint32_t)(500 * slowness());
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&family->entered, 1));
    expect_end(&task, TANDEM_TIMED_OUT);
    wait_until_within(!process_lives(atomic_load(&family->pid)), allowed_ms(50));
    int turns = atomic_load(&family->left);
    for (int i = 0; i < 5; i++) moment();
    assert_int_equal(atomic_load(&family->left), turns);
    tandem_task_clear(&task);
    end_pool(pool);
}

static int stop_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    raise(SIGSTOP);
    return 0;
}

/* promise 21 */
static void a_stopped_worker_is_killed_by_the_timeout_and_replaced(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, stop_task, NULL, 0);
    tandem_task next = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    task.timeout_ms = 100;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_submit(pool, &next), 0);
    expect_end(&task, TANDEM_TIMED_OUT);
    expect_end(&next, TANDEM_OK);
    assert_int_not_equal(task.report->worker, next.report->worker);
    assert_int_not_equal(task.report->pid, next.report->pid);
    tandem_task_clear(&task);
    tandem_task_clear(&next);
    end_pool(pool);
}

/* ---- what is counted ---- */

static int take_time_task(tandem_context *context, void *input, size_t size)
{
    int ms;
    memcpy(&ms, input, size);
    (void)context;
    poll(NULL, 0, ms);
    return 0;
}

/* promise 19: all of them together take longer than each may */
static void the_timeout_counts_running_only(int isolation)
{
    enum { TASKS = 30 };
    tandem_task tasks[TASKS];
    int ms = full_run() ? 100 : 30;
    uint32_t timeout_ms = full_run() ? 1000 : 600;
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(isolation, take_time_task, &ms, sizeof ms);
        tasks[i].timeout_ms = timeout_ms;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    int64_t begun = now_ms();
    for (int i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    assert_true(now_ms() - begun > timeout_ms);
    end_pool(pool);
}

/* promise 19 */
static void a_task_that_waits_too_long_expires_and_never_runs(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    atomic_int *cell = shared(sizeof *cell);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task running = task_of(isolation, gate_task, &gate, sizeof gate);
    running.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &running), 0);
    assert_true(await(&gate->entered, 1));
    tandem_task task = task_of(isolation, count_task, &cell, sizeof cell);
    task.queue_timeout_ms = 50;
    task.flags = TANDEM_NO_HELP | TANDEM_REPORT;
    assert_int_equal(tandem_submit(pool, &task), 0);
    int64_t begun = now_ms();
    expect_end(&task, TANDEM_EXPIRED);
    assert_in_range(now_ms() - begun, 0, 50 + allowed_ms(50));
    assert_true(task.report->ended_ns - task.report->queued_ns >= 49000000);
    assert_int_equal(task.report->started_ns, 0);
    atomic_store(&gate->opened, 1);
    expect_end(&running, TANDEM_OK);
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    assert_int_equal(atomic_load(cell), 0);
    assert_int_equal(stats_of(pool).ended[TANDEM_EXPIRED], 1);
    tandem_task_clear(&task);
    tandem_task_clear(&running);
    end_pool(pool);
}

/* promise 19 */
static void a_task_that_starts_in_time_does_not_expire(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    int ms = 400;
    tandem_task task = task_of(isolation, take_time_task, &ms, sizeof ms);
    task.flags = TANDEM_NO_HELP;
    tandem_task warm = task_of(isolation, nothing_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &warm), TANDEM_OK); /* a first worker takes its time to start */
    task.queue_timeout_ms = 300;
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    tandem_task_clear(&warm);
    end_pool(pool);
}

/* ---- threads ---- */

struct slow {
    struct gate *gate;
    int code;
};

/* Returns its code once it was asked to end and the gate is open. */
static int until_asked_task(tandem_context *context, void *input, size_t size)
{
    struct slow slow;
    memcpy(&slow, input, size);
    atomic_fetch_add(&slow.gate->entered, 1);
    while (!tandem_cancelled(context)) moment();
    atomic_fetch_add(&slow.gate->left, 1);
    return await(&slow.gate->opened, 1) ? slow.code : __LINE__;
}

static void expect_thread_end(struct slow slow, uint32_t timeout_ms, bool cancel_first, bool cancel_later, int status)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task task = task_of(TANDEM_THREAD, until_asked_task, &slow, sizeof slow);
    task.timeout_ms = timeout_ms;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&slow.gate->entered, 1));
    if (cancel_first) assert_int_equal(tandem_cancel(&task), 0);
    assert_true(await(&slow.gate->left, 1));
    assert_int_equal(tandem_wait_for(&task, 0), TANDEM_PENDING); /* it has been asked, it has not returned */
    if (cancel_later) assert_int_equal(tandem_cancel(&task), 0);
    atomic_store(&slow.gate->opened, 1);
    assert_int_equal(tandem_wait(&task), status);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* promise 20 */
static void a_thread_task_over_its_timeout_sees_it(void)
{
    struct slow slow = {shared(sizeof(struct gate)), ETIMEDOUT};
    expect_thread_end(slow, 50, false, false, TANDEM_TIMED_OUT);
}

/* promise 20 */
static void a_thread_task_over_its_timeout_that_returns_0_is_ok(void)
{
    struct slow slow = {shared(sizeof(struct gate)), 0};
    expect_thread_end(slow, 50, false, false, TANDEM_OK);
}

/* promise 20 */
static void whichever_asked_first_names_the_end(void)
{
    struct slow slow = {shared(sizeof(struct gate)), 1};
    expect_thread_end(slow, 50, false, true, TANDEM_TIMED_OUT);
    *slow.gate = (struct gate){0};
    expect_thread_end(slow, (uint32_t)patience_ms(), true, false, TANDEM_CANCELLED);
}

/* promise 20 */
static void wait_for_lets_the_waiter_go_earlier(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, gate_task, &gate, sizeof gate);
    assert_int_equal(tandem_submit(pool, &task), 0);
    int64_t begun = now_ms();
    assert_int_equal(tandem_wait_for(&task, 100), TANDEM_PENDING);
    assert_in_range(now_ms() - begun, 99, 100 + allowed_ms(50));
    assert_int_equal(tandem_wait_for(&task, 0), TANDEM_PENDING);
    atomic_store(&gate->opened, 1);
    assert_int_equal(tandem_wait_for(&task, -1), TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(an_endless_loop_in_a_process_ends_by_its_timeout),
        test(a_timeout_needs_nobody_who_waits),
        test(the_grandchildren_of_a_task_that_timed_out_are_gone_too),
        test(a_stopped_worker_is_killed_by_the_timeout_and_replaced),
        both(the_timeout_counts_running_only),
        both(a_task_that_waits_too_long_expires_and_never_runs),
        both(a_task_that_starts_in_time_does_not_expire),
        test(a_thread_task_over_its_timeout_sees_it),
        test(a_thread_task_over_its_timeout_that_returns_0_is_ok),
        test(whichever_asked_first_names_the_end),
        both(wait_for_lets_the_waiter_go_earlier),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
