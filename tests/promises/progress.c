/* progress.c - how far a task says it is, readable at any time. */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect_progress(const tandem_task *task, uint64_t done, uint64_t total)
{
    uint64_t has_done = 77, has_total = 77;
    assert_int_equal(tandem_read_progress(task, &has_done, &has_total), 0);
    assert_int_equal(has_done, done);
    assert_int_equal(has_total, total);
}

static struct gate *gate_in(void *input, size_t size)
{
    struct gate *gate = NULL;
    if (size == sizeof(gate)) memcpy(&gate, input, size);
    return gate;
}

static int progress_in_steps_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate = gate_in(input, size);
    for (int i = 1; i <= 3; i++) {
        if (tandem_progress(context, (uint64_t)i, 3) != 0) return __LINE__;
        atomic_store(&gate->entered, i);
        if (!await(&gate->opened, i)) return __LINE__;
    }
    return 0;
}

static void how_far_a_task_is_can_be_read_while_it_runs_and_after(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, progress_in_steps_task, &gate, sizeof gate),
                other = task_of(isolation, nothing_task, NULL, 0);
    task.flags = TANDEM_NO_HELP;
    for (int round = 0; round < 3; round++) {
        memset(gate, 0, sizeof *gate);
        assert_int_equal(tandem_submit(pool, &task), 0);
        for (int i = 1; i <= 3; i++) {
            assert_true(await(&gate->entered, i));
            expect_progress(&task, (uint64_t)i, 3);
            atomic_store(&gate->opened, i);
        }
        expect_end(&task, TANDEM_OK);
        expect_progress(&task, 3, 3);
        assert_int_equal(tandem_call(pool, &other), TANDEM_OK);
        expect_progress(&other, 0, 0);
        tandem_task_clear(&other);
    }
    end_pool(pool);
    expect_progress(&task, 3, 3);
    tandem_task_clear(&task);
}

static void a_submit_that_is_refused_leaves_it_as_it_was(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, progress_in_steps_task, &gate, sizeof gate);
    task.flags = TANDEM_NO_HELP;
    task.timeout_ms = task.queue_timeout_ms = 60000;
    assert_int_equal(tandem_submit(pool, &task), 0);
    for (int i = 1; i <= 3; i++) {
        assert_true(await(&gate->entered, i));
        atomic_store(&gate->opened, i);
    }
    expect_end(&task, TANDEM_OK);
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    assert_int_equal(tandem_submit(pool, &task), -ESHUTDOWN);
    expect_progress(&task, 3, 3);
    end_pool(pool);
    tandem_task_clear(&task);
}

static int crash_half_way_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_progress(context, 50, 100);
    raise(SIGKILL);
    return 0;
}

static void how_far_a_task_was_when_it_crashed_can_be_read(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, crash_half_way_task, NULL, 0),
                other = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_CRASHED);
    expect_progress(&task, 50, 100);
    assert_int_equal(tandem_call(pool, &other), TANDEM_OK);
    expect_progress(&other, 0, 0);
    end_pool(pool);
    tandem_task_clear(&task);
    tandem_task_clear(&other);
}

/* Many tasks after each other in one worker use the same places. */
static int progress_or_not_task(tandem_context *context, void *input, size_t size)
{
    uint64_t number;
    if (size != sizeof number) return __LINE__;
    memcpy(&number, input, size);
    return number % 3 == 0 ? tandem_progress(context, number, number + 1) : 0;
}

static void each_task_has_its_own_progress(int isolation)
{
    enum { TASKS = 200 };
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    static tandem_task tasks[TASKS];
    static uint64_t numbers[TASKS];
    for (uint64_t i = 0; i < TASKS; i++) {
        numbers[i] = i + 3;
        tasks[i] = task_of(isolation, progress_or_not_task, &numbers[i], sizeof numbers[i]);
        tasks[i].timeout_ms = i % 2 ? 60000 : 0;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (uint64_t i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        bool said = numbers[i] % 3 == 0;
        expect_progress(&tasks[i], said ? numbers[i] : 0, said ? numbers[i] + 1 : 0);
        tandem_task_clear(&tasks[i]);
    }
    end_pool(pool);
}

static int misuse_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    if (tandem_progress(NULL, 1, 2) != -EINVAL) return __LINE__;
    pid_t child = fork();
    if (child == 0) _exit(tandem_progress(context, 1, 2) == -EPERM ? 0 : 1);
    int status;
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : __LINE__;
}

static void bad_use_is_EINVAL_or_EPERM(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, misuse_task, NULL, 0);
    uint64_t number;
    assert_int_equal(tandem_read_progress(&task, &number, &number), -EINVAL);
    assert_int_equal(tandem_read_progress(NULL, &number, &number), -EINVAL);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_int_equal(tandem_read_progress(&task, NULL, &number), -EINVAL);
    assert_int_equal(tandem_read_progress(&task, &number, NULL), -EINVAL);
    expect_progress(&task, 0, 0);
    end_pool(pool);
    tandem_task_clear(&task);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(how_far_a_task_is_can_be_read_while_it_runs_and_after),
        both(a_submit_that_is_refused_leaves_it_as_it_was),
        test(how_far_a_task_was_when_it_crashed_can_be_read),
        both(each_task_has_its_own_progress),
        both(bad_use_is_EINVAL_or_EPERM),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
