/* cleanliness.c - whatever becomes of host and workers, nothing is left behind.  (The harness looks after every test, too.) */
#include "harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 3 };

static struct gate *spinning;

/* A host of its own, with workers in tight loops; it ends as `end` says. */
static void host_with_spinning_workers(void (*end)(tandem_pool *pool))
{
    static tandem_task tasks[WORKERS];
    tandem_pool *pool;
    tandem_options options = {.threads = 1, .processes = WORKERS};
    if (tandem_init() != 0 || tandem_pool_create(&pool, &options) != 0) _exit(1);
    for (int i = 0; i < WORKERS; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, spin_task, &spinning, sizeof spinning);
        if (tandem_submit(pool, &tasks[i]) != 0) _exit(1);
    }
    if (!await(&spinning->entered, WORKERS)) _exit(1);
    end(pool);
}

static pid_t begin_host(void (*end)(tandem_pool *pool))
{
    spinning = shared(sizeof *spinning);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0) return pid;
    host_with_spinning_workers(end);
    _exit(0);
}

/* All is gone soon after the host, and nothing turns in the loops any more. */
static void expect_all_gone(pid_t pid, int signal_or_zero)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (signal_or_zero == 0)
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    else
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signal_or_zero);
    wait_until_within(processes_of_ours() == 0, allowed_ms(100));
    int turns = atomic_load(&spinning->left);
    moment();
    assert_int_equal(atomic_load(&spinning->left), turns);
}

static void stay_for_ever(tandem_pool *pool)
{
    (void)pool;
    for (;;) pause();
}

/* promise 30 */
static void nothing_is_left_of_a_killed_host(void)
{
    for (int i = 0; i < 3; i++) {
        pid_t pid = begin_host(stay_for_ever);
        assert_true(await(&spinning->entered, WORKERS));
        assert_int_equal(kill(pid, SIGKILL), 0);
        expect_all_gone(pid, SIGKILL);
    }
}

static void leave_at_once(tandem_pool *pool)
{
    (void)pool;
    _exit(0);
}

/* promise 30 */
static void nothing_is_left_of_a_host_that_just_leaves(void) { expect_all_gone(begin_host(leave_at_once), 0); }

static void leave_by_exit(tandem_pool *pool)
{
    (void)pool;
    exit(0);
}

static void nothing_is_left_of_a_host_that_calls_exit(void)
{
    skip_under_sanitizer("what a program leaves in memory at exit() is a leak to it");
    expect_all_gone(begin_host(leave_by_exit), 0);
}

static void die_by_abort(tandem_pool *pool)
{
    (void)pool;
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void nothing_is_left_of_a_host_that_crashes(void) { expect_all_gone(begin_host(die_by_abort), SIGABRT); }

/* A stopped worker cannot end by itself. */
static void stop_workers(tandem_pool *pool)
{
    (void)pool;
    kill(atomic_load(&spinning->pid), SIGSTOP);
    raise(SIGKILL);
}

/* promise 30 */
static void nothing_is_left_of_stopped_workers(void) { expect_all_gone(begin_host(stop_workers), SIGKILL); }

/* ---- while the pool lives ---- */

static int die_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    raise(SIGKILL);
    return 0;
}

/* promise 38 */
static void crashes_leave_no_zombies(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task good = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &good), TANDEM_OK);
    size_t processes = processes_of_ours();
    size_t descriptors = entries_in("/proc/self/fd");
    for (size_t i = 0; i < scaled(10000); i++) {
        tandem_task task = task_of(TANDEM_PROCESS, die_task, NULL, 0);
        assert_int_equal(tandem_call(pool, &task), TANDEM_CRASHED);
        tandem_task_clear(&task);
    }
    assert_int_equal(tandem_call(pool, &good), TANDEM_OK);
    wait_until(processes_of_ours() == processes);
    wait_until(entries_in("/proc/self/fd") == descriptors);
    tandem_task_clear(&good);
    end_pool(pool);
}

/* The census: what an idle pool consists of. */
static void a_pool_without_process_tasks_has_few_processes(void)
{
    assert_int_equal(tandem_init(), 0);
    size_t guards = processes_of_ours();
    assert_in_range(guards, 1, 2);
    assert_int_equal(tandem_init(), 0);
    tandem_pool *pool = pool_of_both(2, 4);
    assert_int_equal(processes_of_ours(), guards);
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_int_equal(processes_of_ours(), guards + stats_of(pool).processes);
    tandem_task_clear(&task);
    end_pool(pool);
    wait_until(processes_of_ours() == guards);
    assert_int_equal(tandem_quit(), 0);
    wait_until(processes_of_ours() == 0);
}

static void beginning_and_quitting_again_and_again_leaves_nothing(void)
{
    size_t descriptors = entries_in("/proc/self/fd");
    for (int i = 0; i < 20; i++) {
        assert_int_equal(tandem_init(), 0);
        assert_int_equal(tandem_quit(), 0);
        assert_int_equal(entries_in("/proc/self/fd"), descriptors);
    }
    wait_until(processes_of_ours() == 0);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(nothing_is_left_of_a_killed_host),
        test(nothing_is_left_of_a_host_that_just_leaves),
        test(nothing_is_left_of_a_host_that_calls_exit),
        test(nothing_is_left_of_a_host_that_crashes),
        test(nothing_is_left_of_stopped_workers),
        test(crashes_leave_no_zombies),
        test(a_pool_without_process_tasks_has_few_processes),
        test(beginning_and_quitting_again_and_again_leaves_nothing),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
