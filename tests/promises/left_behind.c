/* left_behind.c - what a task may do to its worker: it ends once all the same, and the next task finds a worker that is whole. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    atomic_int turns; /* of what was left behind */
    atomic_int pid;   /* of a child */
    atomic_int open;  /* it may go */
} * left;             /* shared */

static tandem_pool *begin(const tandem_options *more)
{
    left = shared(sizeof *left);
    return pool_of(TANDEM_PROCESS, 1, more);
}

static uint32_t run(tandem_pool *pool, tandem_fn *function, pid_t *pid)
{
    tandem_task task = task_of(TANDEM_PROCESS, function, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    uint32_t worker = task.report->worker;
    if (pid != NULL) *pid = task.report->pid;
    tandem_task_clear(&task);
    return worker;
}

/* The task is OK, and the next one runs in another worker; the first one is gone, and what it left does nothing more. */
static void expect_replaced(tandem_fn *function)
{
    tandem_pool *pool = begin(NULL);
    for (uint64_t i = 1; i <= 3; i++) {
        pid_t pid;
        uint32_t before = run(pool, nothing_task, NULL);
        assert_int_equal(run(pool, function, &pid), before);
        for (int k = 0; k < 3; k++) assert_int_not_equal(run(pool, nothing_task, NULL), before);
        wait_until(!process_lives(pid));
        pid_t child = atomic_load(&left->pid);
        if (child != 0) wait_until(!process_lives(child));
        int turns = atomic_load(&left->turns);
        moment();
        assert_int_equal(atomic_load(&left->turns), turns);
        wait_until(stats_of(pool).workers_recycled >= i);
        assert_int_equal(stats_of(pool).workers_recycled, i);
    }
    assert_int_equal(stats_of(pool).workers_crashed, 0);
    end_pool(pool);
}

/* ---- left: the worker is replaced ---- */

static _Noreturn void turn(void)
{
    for (;;) atomic_fetch_add(&left->turns, 1);
}

static void *turn_for_ever(void *argument)
{
    (void)argument;
    turn();
}

static int leave_thread_task(tandem_context *context, void *input, size_t size)
{
    pthread_t thread;
    int before = atomic_load(&left->turns);
    (void)context, (void)input, (void)size;
    if (pthread_create(&thread, NULL, turn_for_ever, NULL) != 0) return __LINE__;
    return await(&left->turns, before + 1) ? 0 : __LINE__;
}

/* promise 28 */
static void a_thread_left_running_is_no_later_tasks(void) { expect_replaced(leave_thread_task); }

static int leave_child_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    atomic_store(&left->pid, 0);
    pid_t pid = fork();
    if (pid != 0) return pid > 0 && await(&left->pid, 1) ? 0 : __LINE__;
    atomic_store(&left->pid, (int)getpid());
    turn();
}

/* promise 28 */
static void a_child_left_running_is_no_later_tasks(void) { expect_replaced(leave_child_task); }

static int leave_zombie_task(tandem_context *context, void *input, size_t size)
{
    siginfo_t info;
    (void)context, (void)input, (void)size;
    pid_t pid = fork();
    if (pid == 0) _exit(3);
    return pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0 ? 0 : __LINE__;
}

/* promise 28: a later task's wait() would find it */
static void a_child_not_waited_for_is_no_later_tasks(void) { expect_replaced(leave_zombie_task); }

static int leave_blocked_task(tandem_context *context, void *input, size_t size)
{
    sigset_t mask;
    (void)context, (void)input, (void)size;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    return sigprocmask(SIG_BLOCK, &mask, NULL);
}

/* promise 28 */
static void a_signal_left_blocked_is_no_later_tasks(void) { expect_replaced(leave_blocked_task); }

static int close_stdin_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    return close(0);
}

static int close_stdout_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    return close(1);
}

static int close_stderr_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    return close(2);
}

/* promise 28 */
static void standard_streams_left_closed_are_no_later_tasks(void)
{
    expect_replaced(close_stdin_task);
    assert_int_equal(tandem_quit(), 0);
    expect_replaced(close_stdout_task);
    assert_int_equal(tandem_quit(), 0);
    expect_replaced(close_stderr_task);
}

/* One that has left the group is not the library's: it lives on, and the next task has another worker. */
static int leave_free_child_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    pid_t pid = fork();
    if (pid != 0) return pid > 0 && await(&left->pid, 1) ? 0 : __LINE__;
    setsid();
    atomic_store(&left->pid, (int)getpid());
    while (!atomic_load(&left->open)) {
        atomic_fetch_add(&left->turns, 1);
        moment();
    }
    _exit(0);
}

/* promise 28 */
static void a_child_that_left_the_group_lives_on(void)
{
    tandem_pool *pool = begin(NULL);
    pid_t pid;
    uint32_t worker = run(pool, leave_free_child_task, &pid);
    assert_int_not_equal(run(pool, nothing_task, NULL), worker);
    wait_until(!process_lives(pid));
    end_pool(pool);
    assert_true(process_lives(atomic_load(&left->pid)));
    int turns = atomic_load(&left->turns);
    assert_true(await(&left->turns, turns + 2));
    atomic_store(&left->open, 1);
}

/* ---- nothing left: the worker stays ---- */

static void *turn_once(void *argument)
{
    (void)argument;
    atomic_fetch_add(&left->turns, 1);
    return NULL;
}

/* A thread that has been joined may take a moment to leave the system's count. */
static int joined_thread_task(tandem_context *context, void *input, size_t size)
{
    pthread_t thread;
    size_t before = entries_in("/proc/self/task");
    (void)context, (void)input, (void)size;
    if (pthread_create(&thread, NULL, turn_once, NULL) != 0 || pthread_join(thread, NULL) != 0) return __LINE__;
    while (entries_in("/proc/self/task") > before) moment();
    return 0;
}

static int awaited_child_task(tandem_context *context, void *input, size_t size)
{
    int status;
    (void)context, (void)input, (void)size;
    pid_t pid = fork();
    if (pid == 0) _exit(3);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3 ? 0 : __LINE__;
}

static int unblocked_task(tandem_context *context, void *input, size_t size)
{
    sigset_t mask, before;
    (void)context, (void)input, (void)size;
    sigfillset(&mask);
    if (sigprocmask(SIG_BLOCK, &mask, &before) != 0) return __LINE__;
    return sigprocmask(SIG_SETMASK, &before, NULL);
}

static int closed_own_task(tandem_context *context, void *input, size_t size)
{
    int fds[2];
    (void)context, (void)input, (void)size;
    return pipe(fds) == 0 && close(fds[0]) == 0 && close(fds[1]) == 0 ? 0 : __LINE__;
}

static void ignore_signal(int number) { (void)number; }

/* These the next task on the same worker may see: nobody promised otherwise. */
static int changed_surroundings_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    signal(SIGUSR1, ignore_signal);
    umask(0177);
    return chdir("/") == 0 && setenv("TANDEM_SOIL", "1", 1) == 0 ? 0 : __LINE__;
}

/* promise 28 */
static void a_task_that_leaves_nothing_behind_costs_no_worker(void)
{
    static tandem_fn *const functions[] = {awaited_child_task, unblocked_task, closed_own_task, changed_surroundings_task,
                                           joined_thread_task};
    const size_t count =
        count_of(functions) - (sanitized() ? 1 : 0); /* which starts a thread of its own with the first, and keeps it */
    tandem_pool *pool = begin(NULL);
    uint32_t worker = run(pool, nothing_task, NULL);
    for (int round = 0; round < 5; round++)
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(run(pool, functions[i], NULL), worker);
            uint32_t next = run(pool, nothing_task, NULL);
            if (next != worker) fail_msg("after function %zu another worker", i);
        }
    assert_int_equal(stats_of(pool).workers_recycled, 0);
    assert_int_equal(stats_of(pool).workers_started, 1);
    end_pool(pool);
}

/* ---- what on_worker_start left was no task's ---- */

static int start_with_thread(void **worker_data, void *argument)
{
    pthread_t thread;
    (void)worker_data;
    return pthread_create(&thread, NULL, turn_for_ever, argument);
}

static int start_with_child(void **worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    pid_t pid = fork();
    if (pid == 0)
        for (;;) pause();
    return pid > 0 ? 0 : errno;
}

static int start_with_mask(void **worker_data, void *argument)
{
    sigset_t mask;
    (void)worker_data, (void)argument;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    return sigprocmask(SIG_BLOCK, &mask, NULL);
}

static void expect_kept(int (*start)(void **worker_data, void *argument))
{
    tandem_options options = {.on_worker_start = start};
    tandem_pool *pool = begin(&options);
    uint32_t worker = run(pool, nothing_task, NULL);
    for (int i = 0; i < 10; i++) assert_int_equal(run(pool, nothing_task, NULL), worker);
    assert_int_equal(stats_of(pool).workers_recycled, 0);
    end_pool(pool);
}

static void a_thread_of_on_worker_start_costs_no_worker(void) { expect_kept(start_with_thread); }

static void a_child_of_on_worker_start_costs_no_worker(void) { expect_kept(start_with_child); }

static void a_signal_that_on_worker_start_blocks_costs_no_worker(void) { expect_kept(start_with_mask); }

/* ---- ends of its own ---- */

static int thread_exit_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    pthread_exit(NULL);
}

/* promise 28 */
static void a_task_that_ends_its_thread_ends_once(void)
{
    skip_under_sanitizer("a sanitizer has threads of its own, which keep the process alive");
    tandem_pool *pool = begin(NULL);
    for (int i = 0; i < 3; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, thread_exit_task, NULL, 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_CRASHED);
        assert_int_equal(task.signal, 0);
        tandem_task_clear(&task);
        run(pool, nothing_task, NULL);
    }
    wait_until(stats_of(pool).workers_crashed == 3);
    end_pool(pool);
}

static int thread_exit_beside_task(tandem_context *context, void *input, size_t size)
{
    int result = leave_thread_task(context, input, size);
    if (result != 0) return result;
    pthread_exit(NULL);
}

/* promise 28: the process may go on without its first thread, but not beyond its time */
static void a_task_that_ends_its_thread_beside_another_ends_once(void)
{
    tandem_pool *pool = begin(NULL);
    tandem_task task = task_of(TANDEM_PROCESS, thread_exit_beside_task, NULL, 0);
    task.timeout_ms = 300 * (uint32_t)slowness();
    assert_int_equal(tandem_submit(pool, &task), 0);
    int status = tandem_wait(&task);
    assert_true(status == TANDEM_CRASHED || status == TANDEM_TIMED_OUT);
    wait_until(!process_lives(task.report->pid));
    run(pool, nothing_task, NULL);
    tandem_task_clear(&task);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_thread_left_running_is_no_later_tasks),
        test(a_child_left_running_is_no_later_tasks),
        test(a_child_not_waited_for_is_no_later_tasks),
        test(a_signal_left_blocked_is_no_later_tasks),
        test(standard_streams_left_closed_are_no_later_tasks),
        test(a_child_that_left_the_group_lives_on),
        test(a_task_that_leaves_nothing_behind_costs_no_worker),
        test(a_thread_of_on_worker_start_costs_no_worker),
        test(a_child_of_on_worker_start_costs_no_worker),
        test(a_signal_that_on_worker_start_blocks_costs_no_worker),
        test(a_task_that_ends_its_thread_ends_once),
        test(a_task_that_ends_its_thread_beside_another_ends_once),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
