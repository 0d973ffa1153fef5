/* starting.c - workers whose on_worker_start fails, hangs or dies: few attempts, a reason for who waited, and a way back. */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PENDING = 5, MOST_STARTS = 4 };

static struct {
    atomic_int starts, stops;
    atomic_int fail; /* what on_worker_start returns */
    atomic_int hang; /* it stays there for as long as this is set */
    atomic_int die;
} * records; /* shared */

static int start(void **worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    atomic_fetch_add(&records->starts, 1);
    while (atomic_load(&records->hang)) moment();
    if (atomic_load(&records->die)) raise(SIGKILL);
    return atomic_load(&records->fail);
}

static void stop(void *worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    atomic_fetch_add(&records->stops, 1);
}

static tandem_options options_with_start(void)
{
    records = shared(sizeof *records);
    return (tandem_options){.on_worker_start = start, .on_worker_stop = stop};
}

static void expect_not_started(tandem_pool *pool, int code)
{
    tandem_task tasks[PENDING];
    char line[256];
    int64_t begun = now_ms();
    for (int i = 0; i < PENDING; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        tasks[i].name = "pending";
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (int i = 0; i < PENDING; i++) {
        expect_end(&tasks[i], TANDEM_NOT_STARTED);
        if (code != 0) assert_int_equal(tasks[i].code, code);
        assert_true(tasks[i].code > 0);
        assert_non_null(tasks[i].report->step);
        assert_string_equal(tasks[i].report->step, "on_worker_start");
        tandem_describe(&tasks[i], line, sizeof line);
        assert_non_null(strstr(line, "on_worker_start"));
        tandem_task_clear(&tasks[i]);
    }
    assert_in_range(now_ms() - begun, 0, allowed_ms(2000));
}

static void expect_it_runs_now(tandem_pool *pool)
{
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
}

/* promise 27 */
static void a_process_that_cannot_start_ends_what_waits_for_it(void)
{
    tandem_options options = options_with_start();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    atomic_store(&records->fail, ENODEV);
    expect_not_started(pool, ENODEV);
    assert_in_range(atomic_load(&records->starts), 1, PENDING * MOST_STARTS);
    atomic_store(&records->fail, 0);
    expect_it_runs_now(pool);
    end_pool(pool);
    assert_int_equal(atomic_load(&records->stops), 1); /* what did not start does not stop */
}

/* promise 27: submitted together, so that one series of attempts is all they get */
static void at_most_four_starts_are_tried_for_tasks_that_wait_together(void)
{
    tandem_task tasks[PENDING], *list[PENDING];
    tandem_options options = options_with_start();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    atomic_store(&records->hang, 1); /* the first attempt lasts until all are there */
    atomic_store(&records->fail, 42);
    for (int i = 0; i < PENDING; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        list[i] = &tasks[i];
    }
    assert_int_equal(tandem_submit_many(pool, list, PENDING), PENDING);
    atomic_store(&records->hang, 0);
    for (int i = 0; i < PENDING; i++) {
        expect_end(&tasks[i], TANDEM_NOT_STARTED);
        assert_int_equal(tasks[i].code, 42);
        tandem_task_clear(&tasks[i]);
    }
    assert_in_range(atomic_load(&records->starts), 1, MOST_STARTS);
    assert_in_range(stats_of(pool).workers_started, 1, MOST_STARTS);
    end_pool(pool);
}

/* promise 27 */
static void a_process_that_hangs_at_its_start_ends_what_waits_for_it(void)
{
    tandem_options options = options_with_start();
    options.start_timeout_ms = 200 * (uint32_t)slowness();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    atomic_store(&records->hang, 1);
    expect_not_started(pool, 0);
    atomic_store(&records->hang, 0);
    expect_it_runs_now(pool);
    end_pool(pool);
}

/* promise 27 */
static void a_process_that_dies_at_its_start_ends_what_waits_for_it(void)
{
    tandem_options options = options_with_start();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    atomic_store(&records->die, 1);
    expect_not_started(pool, 0);
    atomic_store(&records->die, 0);
    expect_it_runs_now(pool);
    end_pool(pool);
}

/* promise 27 */
static void workers_that_cannot_be_ready_do_not_hold_up_the_pool(void)
{
    tandem_options options = options_with_start();
    atomic_store(&records->fail, EIO);
    options.processes_ready = 2;
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, &options);
    expect_not_started(pool, EIO);
    atomic_store(&records->fail, 0);
    expect_it_runs_now(pool);
    end_pool(pool);
}

/* Stops the program, lets the worker's start go on, and the program too when it has been stopped for longer than a start may take. */
static void stop_for_a_while(pid_t program, int64_t ms)
{
    if (!await(&records->starts, 1)) _exit(1);
    const int64_t begun = now_ms();
    kill(program, SIGSTOP);
    atomic_store(&records->hang, 0);
    while (now_ms() - begun < 2 * ms) moment();
    kill(program, SIGCONT);
    _exit(0);
}

static void a_worker_that_is_ready_while_the_program_is_stopped_is_not_late(void)
{
    tandem_options options = options_with_start();
    options.start_timeout_ms = 500 * (uint32_t)slowness();
    atomic_store(&records->hang, 1);
    pid_t program = getpid(), helper = fork();
    assert_true(helper >= 0);
    if (helper == 0) stop_for_a_while(program, options.start_timeout_ms);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_int_equal(stats_of(pool).workers_started, 1);
    int status = -1;
    assert_int_equal(waitpid(helper, &status, 0), helper);
    assert_int_equal(status, 0);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* A worker that is still starting when its pool ends is no reason to wait for it. */
static void a_pool_ends_while_a_worker_starts(void)
{
    tandem_options options = options_with_start();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    atomic_store(&records->hang, 1);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&records->starts, 1));
    int64_t begun = now_ms();
    end_pool(pool);
    assert_in_range(now_ms() - begun, 0, allowed_ms(200));
    assert_int_equal(tandem_wait(&task), TANDEM_CANCELLED);
    tandem_task_clear(&task);
}

/* A task that waits for a worker that starts can be cancelled, and can expire. */
static void a_task_whose_worker_starts_can_be_stopped(void)
{
    tandem_options options = options_with_start();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task cancelled = task_of(TANDEM_PROCESS, nothing_task, NULL, 0), expired = cancelled;
    expired.queue_timeout_ms = 50;
    atomic_store(&records->hang, 1);
    assert_int_equal(tandem_submit(pool, &cancelled), 0);
    assert_int_equal(tandem_submit(pool, &expired), 0);
    assert_true(await(&records->starts, 1));
    assert_int_equal(tandem_cancel(&cancelled), 0);
    expect_end(&cancelled, TANDEM_CANCELLED);
    expect_end(&expired, TANDEM_EXPIRED);
    atomic_store(&records->hang, 0);
    expect_it_runs_now(pool);
    tandem_task_clear(&cancelled);
    tandem_task_clear(&expired);
    end_pool(pool);
}

static void a_thread_that_cannot_start_means_no_pool(void)
{
    tandem_options options = options_with_start();
    tandem_pool *pool = NULL;
    atomic_store(&records->fail, 5);
    options.threads = 3;
    options.processes = TANDEM_NONE;
    assert_int_equal(tandem_pool_create(&pool, &options), -ECANCELED);
    assert_null(pool);
    assert_int_equal(atomic_load(&records->stops), 0);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_process_that_cannot_start_ends_what_waits_for_it),
        test(at_most_four_starts_are_tried_for_tasks_that_wait_together),
        test(a_process_that_hangs_at_its_start_ends_what_waits_for_it),
        test(a_process_that_dies_at_its_start_ends_what_waits_for_it),
        test(workers_that_cannot_be_ready_do_not_hold_up_the_pool),
        test(a_worker_that_is_ready_while_the_program_is_stopped_is_not_late),
        test(a_pool_ends_while_a_worker_starts),
        test(a_task_whose_worker_starts_can_be_stopped),
        test(a_thread_that_cannot_start_means_no_pool),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
