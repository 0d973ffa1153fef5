/* crashing.c - a worker that dies costs one task: the one it ran, with the truth about how. */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- ways to die ---- */

enum way { BY_FAULT, BY_RAISE, BY_ABORT, BY_EXIT, BY_QUICK_EXIT, NOT_AT_ALL };

struct death {
    enum way way;
    int number; /* the signal, or the exit code */
};

static int die_task(tandem_context *context, void *input, size_t size)
{
    static char *volatile nowhere = (char *)64;
    struct death death;
    if (size != sizeof death) return __LINE__;
    memcpy(&death, input, sizeof death);
    tandem_reply(context, "of no use any more", 18);
    switch (death.way) {
    case BY_FAULT: *nowhere = 1; break;
    case BY_RAISE: raise(death.number); break;
    case BY_ABORT: abort();
    case BY_EXIT: exit(death.number);
    case BY_QUICK_EXIT: _exit(death.number);
    case NOT_AT_ALL: return 0;
    }
    return __LINE__;
}

static void expect_crash(tandem_pool *pool, struct death death, int signal, int code, const char *words)
{
    char line[256];
    tandem_task task = task_of(TANDEM_PROCESS, die_task, &death, sizeof death);
    task.name = "decode";
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_CRASHED);
    assert_int_equal(task.signal, signal);
    assert_int_equal(task.code, code);
    assert_null(task.output);
    assert_int_equal(task.output_size, 0);
    assert_true(tandem_describe(&task, line, sizeof line) > 0);
    if (strstr(line, "decode") == NULL || strstr(line, "crashed") == NULL || strstr(line, words) == NULL)
        fail_msg("not in \"%s\": %s", line, words);

    tandem_task next = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &next), 0);
    expect_end(&next, TANDEM_OK);
    assert_int_not_equal(next.report->worker, task.report->worker);
    tandem_task_clear(&task);
    tandem_task_clear(&next);
}

/* promise 22 */
static void a_fault_is_told_as_its_signal(void)
{
    skip_under_sanitizer("a sanitizer looks at every access before the processor does");
    skip_under_valgrind("valgrind does so too");
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    expect_crash(pool, (struct death){BY_FAULT, 0}, SIGSEGV, 0, "SIGSEGV");
    end_pool(pool);
}

/* promise 22: also that no disposition of the host or of the test library is left in a worker */
static void every_deadly_signal_is_told_apart(void)
{
    static const struct {
        int number;
        const char *name;
    } signals[] = {
        {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},   {SIGILL, "SIGILL"},   {SIGABRT, "SIGABRT"},
        {SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"},   {SIGHUP, "SIGHUP"},   {SIGQUIT, "SIGQUIT"}, {SIGPIPE, "SIGPIPE"},
        {SIGALRM, "SIGALRM"}, {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"}, {SIGSYS, "SIGSYS"},   {SIGKILL, "SIGKILL"},
    };
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (size_t i = 0; i < count_of(signals); i++)
        expect_crash(pool, (struct death){BY_RAISE, signals[i].number}, signals[i].number, 0, signals[i].name);
    wait_until(stats_of(pool).workers_crashed == count_of(signals));
    end_pool(pool);
}

/* promise 22 */
static void abort_is_told_as_SIGABRT(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    expect_crash(pool, (struct death){BY_ABORT, 0}, SIGABRT, 0, "SIGABRT");
    end_pool(pool);
}

/* promise 22 */
static void exit_is_told_with_its_code(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    expect_crash(pool, (struct death){BY_QUICK_EXIT, 7}, 0, 7, "7");
    expect_crash(pool, (struct death){BY_QUICK_EXIT, 0}, 0, 0, "0");
    expect_crash(pool, (struct death){BY_QUICK_EXIT, 255}, 0, 255, "255");
    expect_crash(pool, (struct death){BY_EXIT, 7}, 0, 7, "7");
    expect_crash(pool, (struct death){BY_EXIT, 0}, 0, 0, "0");
    end_pool(pool);
}

/* promise 22 */
static void a_worker_killed_from_outside_is_told_so(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 1; i <= 3; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, spin_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_true(await(&gate->entered, i));
        assert_int_equal(kill(atomic_load(&gate->pid), SIGKILL), 0);
        expect_end(&task, TANDEM_CRASHED);
        assert_int_equal(task.signal, SIGKILL);
        assert_int_equal(task.report->pid, atomic_load(&gate->pid));
        tandem_task_clear(&task);
    }
    wait_until(stats_of(pool).workers_crashed == 3);
    end_pool(pool);
}

/* ---- what a death does not touch ---- */

static void an_idle_workers_death_costs_no_task(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    atomic_store(&gate->opened, 1);
    for (int i = 1; i <= 10; i++) { /* the death is on its way while the next task is handed over */
        tandem_task task = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        assert_int_equal(kill(task.report->pid, SIGKILL), 0);
        tandem_task_clear(&task);
    }
    assert_int_equal(atomic_load(&gate->left), 10);
    wait_until(stats_of(pool).workers_crashed == 10);
    end_pool(pool);
}

/* promise 23 */
static void exactly_the_tasks_that_crash_are_crashed(void)
{
    const size_t count = full_run() ? 10000 : 300;
    tandem_task *tasks = calloc(count, sizeof *tasks);
    atomic_int **cells = calloc(count, sizeof *cells);
    assert_true(tasks != NULL && cells != NULL);
    static struct death death = {BY_QUICK_EXIT, 3};
    atomic_int *ledger = shared(count * sizeof *ledger);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, NULL);
    for (size_t i = 0; i < count; i++) {
        cells[i] = &ledger[i];
        bool dies = i % 30 == 7;
        tasks[i] = dies ? task_of(TANDEM_PROCESS, die_task, &death, sizeof death)
                        : task_of(TANDEM_PROCESS, count_task, &cells[i], sizeof cells[i]);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (size_t i = 0; i < count; i++) {
        bool dies = i % 30 == 7;
        expect_end(&tasks[i], dies ? TANDEM_CRASHED : TANDEM_OK);
        assert_int_equal(tasks[i].code, dies ? 3 : 0);
        assert_int_equal(atomic_load(&ledger[i]), dies ? 0 : 1);
        tandem_task_clear(&tasks[i]);
    }
    wait_until(stats_of(pool).workers_crashed == (count + 22) / 30);
    end_pool(pool);
    free(tasks);
    free(cells);
}

/* ---- what a task may do to its worker ---- */

/* The child is the first to return, and its worker stays until then. */
static int fork_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    memcpy(&gate, input, size);
    int before = atomic_load(&gate->entered);
    pid_t pid = fork();
    if (pid < 0) return __LINE__;
    if (pid == 0) {
        atomic_store(&gate->pid, (int)getpid());
        atomic_fetch_add(&gate->entered, 1);
        return tandem_reply(context, "child", 5);
    }
    if (!await(&gate->entered, before + 1)) return __LINE__;
    while (process_lives(atomic_load(&gate->pid))) moment();
    return tandem_reply(context, "worker", 6);
}

static void expect_clean_worker(tandem_pool *pool)
{
    char word[] = "clean";
    for (int i = 0; i < 3; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, echo_task, word, 5);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        assert_string_equal(task.output, "clean");
        tandem_task_clear(&task);
    }
}

/* promise 28 */
static void a_task_that_forks_and_returns_in_both_ends_once(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 1; i <= 5; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, fork_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        assert_string_equal(task.output, "worker");
        assert_int_equal(atomic_load(&gate->entered), i);
        tandem_task_clear(&task);
        expect_clean_worker(pool);
    }
    assert_int_equal(stats_of(pool).submitted, 5 * 4);
    assert_int_equal(stats_of(pool).ended[TANDEM_OK], 5 * 4);
    end_pool(pool);
}

static int close_task(tandem_context *context, void *input, size_t size)
{
    int from;
    memcpy(&from, input, size);
    (void)context;
    for (int fd = from; fd < 1024; fd++) close(fd);
    return 0;
}

/* promise 28 */
static void a_task_that_closes_every_descriptor_ends_once(void)
{
    int from = 0;
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < 3; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, close_task, &from, sizeof from);
        assert_int_equal(tandem_submit(pool, &task), 0);
        int status = tandem_wait(&task); /* it did its work, and could not say so */
        assert_true(status == TANDEM_OK || status == TANDEM_CRASHED);
        tandem_task_clear(&task);
        expect_clean_worker(pool);
    }
    end_pool(pool);
}

static int close_stdio_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    for (int fd = 0; fd < 3; fd++) close(fd);
    return 0;
}

/* promise 28 */
static void a_task_that_closes_stdio_harms_nobody(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, close_stdio_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    tandem_task_clear(&task);
    expect_clean_worker(pool);
    end_pool(pool);
}

/* Writes over the memory its process shares with others, as a stray pointer may, and turns for ever.  Of a pool's shared memory there is
 * none yet, and going there would be the end. */
static int overwrite_shared_task(tandem_context *context, void *input, size_t size)
{
    enum { MOST = 16 << 20 };
    char line[512], mode[8];
    unsigned long from, to;
    atomic_int *begun;
    memcpy(&begun, input, size);
    (void)context;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) return __LINE__;
    while (fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) == 3 && strcmp(mode, "rw-s") == 0 && to - from < MOST)
            memset((void *)from, 0x55, to - from);
    atomic_store(begun, 1);
    for (;;) continue;
}

static void expect_overwriting_ends(int (*end)(tandem_pool *pool, tandem_task *task))
{
    skip_without("/proc/self/maps", "the task must know where the memory is");
    atomic_int *begun = shared(sizeof *begun);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, overwrite_shared_task, &begun, sizeof begun);
    task.timeout_ms = 200;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(begun, 1));
    int status = end(pool, &task);
    assert_true(status == TANDEM_TIMED_OUT || status == TANDEM_CANCELLED || status == TANDEM_CRASHED);
    assert_int_equal(tandem_wait(&task), status);
    assert_int_equal(tandem_task_clear(&task), 0);
}

static int wait_then_use_and_destroy(tandem_pool *pool, tandem_task *task)
{
    int status = tandem_wait(task);
    expect_clean_worker(pool);
    end_pool(pool);
    return status;
}

static int cancel_then_use_and_destroy(tandem_pool *pool, tandem_task *task)
{
    assert_int_equal(tandem_cancel(task), 0);
    return wait_then_use_and_destroy(pool, task);
}

static int just_destroy(tandem_pool *pool, tandem_task *task)
{
    end_pool(pool);
    return tandem_wait(task);
}

/* promise 29, its simplest case */
static void a_task_that_damages_shared_memory_ends_by_its_timeout(void) { expect_overwriting_ends(wait_then_use_and_destroy); }

/* promise 29 */
static void a_task_that_damages_shared_memory_can_be_cancelled(void) { expect_overwriting_ends(cancel_then_use_and_destroy); }

/* promise 29 */
static void a_task_that_damages_shared_memory_ends_with_its_pool(void) { expect_overwriting_ends(just_destroy); }

static int leave_child_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    memcpy(&gate, input, size);
    (void)context;
    pid_t pid = fork();
    if (pid != 0) return pid > 0 && await(&gate->entered, 1) ? 0 : __LINE__;
    atomic_store(&gate->pid, (int)getpid());
    atomic_store(&gate->entered, 1);
    for (;;) pause();
}

/* A child that a task left running ends with its worker, at the latest with the pool. */
static void a_child_left_behind_ends_with_the_pool(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, leave_child_task, &gate, sizeof gate);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
    wait_until(!process_lives(atomic_load(&gate->pid)));
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_fault_is_told_as_its_signal),
        test(every_deadly_signal_is_told_apart),
        test(abort_is_told_as_SIGABRT),
        test(exit_is_told_with_its_code),
        test(a_worker_killed_from_outside_is_told_so),
        test(an_idle_workers_death_costs_no_task),
        test(exactly_the_tasks_that_crash_are_crashed),
        test(a_task_that_forks_and_returns_in_both_ends_once),
        test(a_task_that_closes_every_descriptor_ends_once),
        test(a_task_that_closes_stdio_harms_nobody),
        test(a_task_that_damages_shared_memory_ends_by_its_timeout),
        test(a_task_that_damages_shared_memory_can_be_cancelled),
        test(a_task_that_damages_shared_memory_ends_with_its_pool),
        test(a_child_left_behind_ends_with_the_pool),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
