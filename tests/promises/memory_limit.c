/* memory_limit.c - a task gets so much memory and no more: how it ends then, and that the next one is free of it. */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20, ALL = 4096 };

static atomic_int *taken; /* MiB that the last task got; shared */

static tandem_pool *begin(void)
{
    skip_on_portable("POSIX does not tell how much address space a process has, so none can be added to it");
    skip_under_sanitizer("a sanitizer needs address space of its own, and ends the program where malloc fails");
    skip_under_valgrind("valgrind needs address space of its own");
    taken = shared(sizeof *taken);
    return pool_of(TANDEM_PROCESS, 1, NULL);
}

/* The task ends so, and the report names memory as the limit, or none; the pid of its worker. */
static pid_t expect_limited_end(tandem_task *task, int status)
{
    char line[512];
    expect_end(task, status);
    pid_t pid = task->report->pid;
    if (status != TANDEM_OVER_LIMIT) {
        assert_null(task->report->limit);
    } else {
        assert_non_null(task->report->limit);
        assert_string_equal(task->report->limit, "memory");
        assert_true(tandem_describe(task, line, sizeof line) > 0);
        if (strstr(line, "memory") == NULL) fail_msg("\"%s\" does not name the limit", line);
        assert_null(task->output);
    }
    tandem_task_clear(task);
    return pid;
}

static pid_t run(tandem_pool *pool, tandem_fn *function, int number, const tandem_limits *limits, int status)
{
    tandem_task task = task_of(TANDEM_PROCESS, function, &number, sizeof number);
    task.limits = limits;
    assert_int_equal(tandem_submit(pool, &task), 0);
    return expect_limited_end(&task, status);
}

static int number_in(const void *input)
{
    int number;
    memcpy(&number, input, sizeof number);
    return number;
}

struct piece {
    struct piece *next;
};

/* So many MiB, or as many as there are. */
static struct piece *take(int most)
{
    struct piece *all = NULL, *more;
    int count = 0;
    while (count < most && (more = malloc(MIB)) != NULL) {
        more->next = all;
        all = more;
        count++;
    }
    atomic_store(taken, count);
    return all;
}

static void give_back(struct piece *all)
{
    while (all != NULL) {
        struct piece *next = all->next;
        free(all);
        all = next;
    }
}

static int take_task(tandem_context *context, void *input, size_t size)
{
    errno = 0;
    struct piece *all = take(number_in(input));
    int error = errno;
    (void)context, (void)size;
    bool whole = atomic_load(taken) == number_in(input);
    give_back(all);
    return whole ? 0 : error;
}

static struct piece *volatile kept;

static int take_and_fault_task(tandem_context *context, void *input, size_t size)
{
    static char *volatile nowhere = (char *)64;
    (void)context, (void)size;
    kept = take(number_in(input));
    *nowhere = 1;
    return __LINE__;
}

static int take_and_abort_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)size;
    kept = take(number_in(input));
    abort();
}

static void a_task_that_runs_out_of_memory_and_says_so_has_failed(void)
{
    tandem_pool *pool = begin();
    tandem_limits limits = {.memory = 64 * MIB};
    for (int i = 0; i < 3; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, take_task, &(int){ALL}, sizeof(int));
        task.limits = &limits;
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_FAILED);
        assert_int_equal(task.code, ENOMEM);
        assert_null(task.report->limit);
        assert_in_range(atomic_load(taken), 56, 66); /* what is free in its heap already it need not add */
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static void a_task_within_its_memory_is_ok(void)
{
    tandem_pool *pool = begin();
    run(pool, take_task, 48, &(tandem_limits){.memory = 64 * MIB}, TANDEM_OK);
    run(pool, take_task, 200, &(tandem_limits){.memory = 256 * MIB}, TANDEM_OK);
    run(pool, take_task, 48, &(tandem_limits){.memory = 64 * MIB}, TANDEM_OK);
    end_pool(pool);
}

/* promise 22 */
static void a_death_for_want_of_memory_is_told_from_a_crash(void)
{
    static const struct {
        int taken, status;
    } cases[] = {
        {0, TANDEM_CRASHED}, {32, TANDEM_CRASHED}, {48, TANDEM_CRASHED}, {60, TANDEM_OVER_LIMIT}, {ALL, TANDEM_OVER_LIMIT},
    };
    tandem_pool *pool = begin();
    tandem_limits limits = {.memory = 64 * MIB};
    for (size_t i = 0; i < count_of(cases); i++) {
        tandem_task task = task_of(TANDEM_PROCESS, take_and_fault_task, (void *)(uintptr_t)&cases[i].taken, sizeof(int));
        task.limits = &limits;
        assert_int_equal(tandem_submit(pool, &task), 0);
        int status = tandem_wait(&task);
        if (status != cases[i].status) fail_msg("%d MiB of 64: %s", cases[i].taken, tandem_status_name(status));
        assert_int_equal(task.signal, SIGSEGV);
        expect_limited_end(&task, cases[i].status);
    }
    run(pool, take_and_abort_task, ALL, &limits, TANDEM_OVER_LIMIT);
    run(pool, take_and_abort_task, 1, &limits, TANDEM_CRASHED);
    run(pool, take_and_fault_task, 60, NULL, TANDEM_CRASHED);
    assert_int_equal(stats_of(pool).ended[TANDEM_OVER_LIMIT], 3);
    end_pool(pool);
}

static void the_next_task_has_its_own_memory_limit(void)
{
    tandem_pool *pool = begin();
    tandem_limits small = {.memory = 64 * MIB}, large = {.memory = 512 * MIB};
    pid_t pid = run(pool, take_task, ALL, &small, TANDEM_FAILED);
    for (int i = 0; i < 3; i++) { /* the same worker each time, or nothing would be shown */
        assert_int_equal(run(pool, take_task, 1000, NULL, TANDEM_OK), pid);
        assert_int_equal(run(pool, take_task, 400, &large, TANDEM_OK), pid);
        assert_int_equal(run(pool, take_task, 400, &small, TANDEM_FAILED), pid);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_task_that_runs_out_of_memory_and_says_so_has_failed),
        test(a_task_within_its_memory_is_ok),
        test(a_death_for_want_of_memory_is_told_from_a_crash),
        test(the_next_task_has_its_own_memory_limit),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
