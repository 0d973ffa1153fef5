/* idle.c - a pool with nothing to do does nothing. */
#include "harness.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* CPU time of this process. */
static int64_t own_cpu_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

/* CPU time of another process, as its clock tells; 0 for one that has none. */
static int64_t cpu_us_of(pid_t pid)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) return 0;
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

static int pid_task(tandem_context *context, void *input, size_t size)
{
    pid_t pids[] = {getpid(), getppid()}; /* the worker, and what it was forked from */
    (void)input, (void)size;
    moment(); /* long enough for each worker to get one */
    return tandem_reply(context, pids, sizeof pids);
}

enum { TASKS = 16, PIDS = 2 * TASKS };

/* Uses every thread and worker, so that each has had a reason to watch for more. */
static void use(tandem_pool *pool, pid_t *pids)
{
    tandem_task here[TASKS], there[TASKS];
    for (int i = 0; i < TASKS; i++) {
        here[i] = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
        there[i] = task_of(TANDEM_PROCESS, pid_task, NULL, 0);
        here[i].flags = TANDEM_NO_HELP;
        assert_int_equal(tandem_submit(pool, &here[i]), 0);
        assert_int_equal(tandem_submit(pool, &there[i]), 0);
    }
    for (int i = 0; i < TASKS; i++) {
        expect_end(&here[i], TANDEM_OK);
        expect_end(&there[i], TANDEM_OK);
        memcpy(&pids[2 * i], there[i].output, 2 * sizeof *pids);
        tandem_task_clear(&here[i]);
        tandem_task_clear(&there[i]);
    }
}

static int compare(const void *left, const void *right)
{
    pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;
    return (a > b) - (a < b);
}

static int64_t cpu_us_of_all(const pid_t *pids)
{
    int64_t sum = own_cpu_us();
    for (int i = 0; i < PIDS; i++)
        if (i == 0 || pids[i] != pids[i - 1]) sum += cpu_us_of(pids[i]);
    return sum;
}

/* promise 15 */
static void an_idle_pool_uses_no_cpu(void)
{
    skip_under_valgrind("valgrind works while the program sleeps");
    pid_t pids[PIDS];
    const int seconds = full_run() ? 5 : 1;
    tandem_pool *pool = pool_of_both(2, 2);
    use(pool, pids);
    qsort(pids, PIDS, sizeof *pids, compare);
    int64_t before = cpu_us_of_all(pids);
    poll(NULL, 0, seconds * 1000); /* the idling is what is tested */
    int64_t used = cpu_us_of_all(pids) - before;
    if (used > allowed_ms(10) * 1000 / (full_run() ? 1 : 5)) fail_msg("%lld us in %d s", (long long)used, seconds);
    end_pool(pool);
}

/* promise 15: waiting is no work either */
static void a_waiting_host_uses_no_cpu(int isolation)
{
    skip_under_valgrind("valgrind works while the program sleeps");
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, gate_task, &gate, sizeof gate);
    task.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    struct timespec before, after;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    assert_int_equal(tandem_wait_for(&task, 500), TANDEM_PENDING);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    int64_t used = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
    if (used > allowed_ms(1) * 1000) fail_msg("%lld us in half a second", (long long)used);
    atomic_store(&gate->opened, 1);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(an_idle_pool_uses_no_cpu),
        both(a_waiting_host_uses_no_cpu),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
