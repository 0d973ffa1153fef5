/* forking.c - the host forks itself: the child may not use the library, harms nobody, and may start afresh. */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the parent had when it forked; the child has a copy. */
static struct {
    tandem_pool *pool;
    tandem_task running, ended, fresh;
    tandem_group group;
    struct gate *gate;
    size_t descriptors_before; /* the library had any */
} host;

/* Runs a body in a forked child; 0 if all was as it should be there. */
static int in_a_child(int (*body)(void))
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(body() == 0 ? 0 : 1);
    int64_t begun = now_ms();
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (now_ms() - begun > patience_ms()) fail_msg("the child hangs");
        moment();
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void begin_host(int isolation)
{
    host.descriptors_before = entries_in("/proc/self/fd");
    host.gate = shared(sizeof *host.gate);
    host.pool = pool_of_both(1, 2);
    host.ended = host.fresh = task_of(isolation, nothing_task, NULL, 0);
    host.running = task_of(isolation, gate_task, &host.gate, sizeof host.gate);
    host.running.flags = TANDEM_NO_HELP;
    host.running.group = &host.group;
    assert_int_equal(tandem_call(host.pool, &host.ended), TANDEM_OK);
    assert_int_equal(tandem_submit(host.pool, &host.running), 0);
    assert_true(await(&host.gate->entered, 1));
}

/* The parent goes on as if nothing had been. */
static void end_host(void)
{
    assert_int_equal(tandem_wait_for(&host.running, 0), TANDEM_PENDING);
    atomic_store(&host.gate->opened, 1);
    expect_end(&host.running, TANDEM_OK);
    assert_int_equal(tandem_group_wait(&host.group, -1), TANDEM_OK);
    for (int i = 0; i < 10; i++) assert_int_equal(tandem_call(host.pool, &host.fresh), TANDEM_OK);
    assert_int_equal(stats_of(host.pool).workers_crashed, 0);
    tandem_task_clear(&host.running);
    tandem_task_clear(&host.ended);
    tandem_task_clear(&host.fresh);
    end_pool(host.pool);
}

static int complain(int line)
{
    dprintf(2, "forking.c:%d: not as it should be in the child\n", line);
    return line;
}

#define expect_in_child(condition)                                                                                                 \
    if (!(condition)) return complain(__LINE__)

static int every_call_is_EPERM(void)
{
    tandem_task *list[] = {&host.running, &host.ended};
    tandem_task *fresh[] = {&host.fresh};
    tandem_stats stats;
    expect_in_child(tandem_submit(host.pool, &host.fresh) == -EPERM);
    expect_in_child(entries_in("/proc/self/fd") == host.descriptors_before); /* the first call closes them */
    expect_in_child(tandem_submit_many(host.pool, fresh, 1) == -EPERM);
    expect_in_child(tandem_call(host.pool, &host.fresh) == -EPERM);
    expect_in_child(tandem_wait(&host.running) == -EPERM);
    expect_in_child(tandem_wait_for(&host.running, 0) == -EPERM);
    expect_in_child(tandem_wait_any(list, 2, 0) == -EPERM);
    expect_in_child(tandem_cancel(&host.running) == -EPERM);
    expect_in_child(tandem_group_wait(&host.group, 0) == -EPERM);
    expect_in_child(tandem_group_cancel(&host.group) == -EPERM);
    expect_in_child(tandem_fd(host.pool) == -EPERM);
    expect_in_child(tandem_run_callbacks(host.pool, 0) == -EPERM);
    expect_in_child(tandem_pool_stats(host.pool, &stats) == -EPERM);
    expect_in_child(tandem_pool_drain(host.pool, 0) == -EPERM);
    expect_in_child(tandem_pool_destroy(host.pool) == -EPERM);
    expect_in_child(tandem_quit() == -EPERM);
    return 0;
}

/* promise 34 */
static void every_call_in_a_forked_child_is_EPERM(int isolation)
{
    begin_host(isolation);
    for (int i = 0; i < 3; i++) assert_int_equal(in_a_child(every_call_is_EPERM), 0);
    end_host();
}

static int leave_by_exit(void)
{
    expect_in_child(tandem_cancel(&host.running) == -EPERM);
    exit(0);
}

static int leave_at_once(void) { exit(0); }

/* promise 34 */
static void a_forked_child_that_exits_harms_nobody(int isolation)
{
    skip_under_sanitizer("the leak checker does not know what a forked child may forget");
    begin_host(isolation);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(in_a_child(leave_by_exit), 0);
        assert_int_equal(in_a_child(leave_at_once), 0);
    }
    end_host();
}

static int use_a_pool(void)
{
    tandem_pool *pool;
    tandem_task here = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    tandem_task there = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    expect_in_child(tandem_pool_create(&pool, NULL) == 0);
    expect_in_child(tandem_call(pool, &there) == TANDEM_OK);
    expect_in_child(tandem_call(pool, &here) == TANDEM_OK);
    expect_in_child(tandem_task_clear(&here) == 0 && tandem_task_clear(&there) == 0);
    expect_in_child(tandem_pool_destroy(pool) == 0);
    expect_in_child(tandem_quit() == 0);
    expect_in_child(entries_in("/proc/self/fd") == host.descriptors_before);
    return 0;
}

static int start_afresh(void)
{
    expect_in_child(tandem_submit(host.pool, &host.fresh) == -EPERM);
    expect_in_child(tandem_init() == 0);
    return use_a_pool();
}

/* promise 34 */
static void a_forked_child_may_start_afresh(int isolation)
{
    skip_under_sanitizer("a forked child of a program with threads may not start threads under it");
    begin_host(isolation);
    assert_int_equal(in_a_child(start_afresh), 0);
    assert_int_equal(in_a_child(use_a_pool), 0); /* its first pool does the same as tandem_init() */
    end_host();
}

/* promise 34: as a daemon does it: begun in the parent, which leaves; used in the child */
static int begin_and_go_on_in_a_child(void)
{
    expect_in_child(tandem_init() == 0);
    pid_t pid = fork();
    expect_in_child(pid >= 0);
    int status = 0;
    if (pid == 0) _exit(tandem_init() == 0 && use_a_pool() == 0 ? 0 : 1);
    expect_in_child(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* promise 34 */
static void a_daemon_may_begin_before_and_after_it_forks(void)
{
    skip_alone("nobody would reap the daemon");
    host.descriptors_before = entries_in("/proc/self/fd");
    assert_int_equal(in_a_child(begin_and_go_on_in_a_child), 0);
}

/* promise 34: inside a worker the host's pool is as far away as in any other copy */
static int use_hosts_pool_task(tandem_context *context, void *input, size_t size)
{
    tandem_pool *pool;
    tandem_task task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    tandem_stats stats;
    memcpy(&pool, input, size);
    (void)context;
    if (tandem_submit(pool, &task) != -EPERM) return __LINE__;
    if (tandem_pool_stats(pool, &stats) != -EPERM) return __LINE__;
    if (tandem_pool_drain(pool, 0) != -EPERM) return __LINE__;
    return tandem_pool_destroy(pool) == -EPERM ? 0 : __LINE__;
}

/* promise 34 */
static void a_worker_cannot_use_the_pool_of_its_host(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, use_hosts_pool_task, &pool, sizeof pool);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(every_call_in_a_forked_child_is_EPERM),    both(a_forked_child_that_exits_harms_nobody),
        both(a_forked_child_may_start_afresh),          test(a_daemon_may_begin_before_and_after_it_forks),
        test(a_worker_cannot_use_the_pool_of_its_host),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
