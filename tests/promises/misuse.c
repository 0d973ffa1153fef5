/* misuse.c - calls that make no sense are refused before anything happens, and nothing has changed then. */
#include "harness.h"

#include <errno.h>
#include <string.h>

/* Submitting it is refused, and the task is as it was: its public part, and never submitted. */
static void expect_refused(tandem_pool *pool, tandem_task task, int error)
{
    tandem_task before;
    memcpy(&before, &task, sizeof before);
    assert_int_equal(tandem_submit(pool, &task), error);
    assert_memory_equal(&before, &task, offsetof(tandem_task, reserved));
    assert_int_equal(tandem_call(pool, &task), error);
    assert_memory_equal(&before, &task, offsetof(tandem_task, reserved));
    assert_int_equal(tandem_wait_for(&task, 0), -EINVAL);
    if (pool != NULL) assert_int_equal(stats_of(pool).submitted, 0);
}

/* promise 5 */
static void a_task_that_makes_no_sense_is_refused(int isolation)
{
    tandem_pool *pool = pool_of_both(1, 1);
    tandem_task good = task_of(isolation, nothing_task, NULL, 0);
    tandem_task bad = good;
    bad.run = NULL;
    expect_refused(pool, bad, -EINVAL);
    bad = good;
    bad.isolation = 2;
    expect_refused(pool, bad, -EINVAL);
    bad.isolation = -1;
    expect_refused(pool, bad, -EINVAL);
    bad = good;
    bad.priority = 2;
    expect_refused(pool, bad, -EINVAL);
    bad.priority = -2;
    expect_refused(pool, bad, -EINVAL);
    bad = good;
    bad.input_size = 1;
    expect_refused(pool, bad, -EINVAL);
    tandem_limits limits = {.reserved = {0, 0, 1}};
    bad = good;
    bad.limits = &limits;
    expect_refused(pool, bad, -EINVAL);
    for (unsigned bit = 0; bit < 32; bit++) {
        bad = good;
        bad.flags = 1u << bit;
        if ((bad.flags & (TANDEM_DEDICATED | TANDEM_NO_HELP | TANDEM_RETRY | TANDEM_REPORT | TANDEM_TELL_START)) == 0)
            expect_refused(pool, bad, -EINVAL);
    }
    expect_refused(NULL, good, -EINVAL);
    assert_int_equal(tandem_call(pool, &good), TANDEM_OK);
    tandem_task_clear(&good);
    end_pool(pool);
}

/* promise 5 */
static void a_task_of_a_kind_the_pool_has_no_workers_for_is_refused(int isolation)
{
    tandem_pool *pool = pool_of(isolation == TANDEM_THREAD ? TANDEM_PROCESS : TANDEM_THREAD, 1, NULL);
    expect_refused(pool, task_of(isolation, nothing_task, NULL, 0), -EINVAL);
    end_pool(pool);
}

static void expect_no_pool(const tandem_options *options)
{
    tandem_pool *pool = NULL;
    assert_int_equal(tandem_pool_create(&pool, options), -EINVAL);
    assert_null(pool);
}

/* promise 5 */
static void options_that_make_no_sense_are_refused(void)
{
    static char argument;
    tandem_options good = {.threads = 1, .processes = 1};
    tandem_options bad = good;
    assert_int_equal(tandem_pool_create(NULL, NULL), -EINVAL);
    assert_int_equal(tandem_pool_create(NULL, &good), -EINVAL);
    bad.when_full = TANDEM_FULL_RUN_HERE + 1;
    expect_no_pool(&bad);
    bad.when_full = -1;
    expect_no_pool(&bad);
    bad = good;
    bad.argument_size = 1;
    expect_no_pool(&bad);
    bad.argument = &argument;
    for (size_t i = 0; i < count_of(bad.reserved); i++) {
        bad = good;
        bad.reserved[i] = 1;
        expect_no_pool(&bad);
    }
    bad = good;
    bad.threads = bad.processes = TANDEM_NONE;
    expect_no_pool(&bad);
}

/* promise 5 */
static void calls_without_their_object_are_refused(void)
{
    tandem_pool *pool = pool_of_both(1, 1);
    tandem_task *none[2] = {NULL, NULL};
    tandem_stats stats;
    assert_int_equal(tandem_submit(pool, NULL), -EINVAL);
    assert_int_equal(tandem_submit_many(pool, none, 2), -EINVAL);
    assert_int_equal(tandem_call(pool, NULL), -EINVAL);
    assert_int_equal(tandem_wait(NULL), -EINVAL);
    assert_int_equal(tandem_wait_for(NULL, 0), -EINVAL);
    assert_int_equal(tandem_wait_any(none, 0, 0), -EINVAL);
    assert_int_equal(tandem_wait_any(none, 2, 0), -EINVAL);
    assert_int_equal(tandem_cancel(NULL), -EINVAL);
    assert_int_equal(tandem_task_clear(NULL), -EINVAL);
    assert_int_equal(tandem_describe(NULL, NULL, 0), -EINVAL);
    assert_int_equal(tandem_group_wait(NULL, 0), -EINVAL);
    assert_int_equal(tandem_group_cancel(NULL), -EINVAL);
    assert_int_equal(tandem_fd(NULL), -EINVAL);
    assert_int_equal(tandem_fd(pool), -EINVAL);
    assert_int_equal(tandem_run_callbacks(NULL, 0), -EINVAL);
    assert_int_equal(tandem_run_callbacks(pool, 0), -EINVAL);
    assert_int_equal(tandem_pool_stats(NULL, &stats), -EINVAL);
    assert_int_equal(tandem_pool_stats(pool, NULL), -EINVAL);
    assert_int_equal(tandem_pool_destroy(NULL), 0);
    end_pool(pool);
}

static void a_task_that_was_never_submitted_cannot_be_waited_for(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, nothing_task, NULL, 0);
    tandem_task other = task;
    tandem_task *list[] = {&other, &task};
    assert_int_equal(tandem_wait(&task), -EINVAL);
    assert_int_equal(tandem_wait_for(&task, 0), -EINVAL);
    assert_int_equal(tandem_wait_for(&task, -1), -EINVAL);
    assert_int_equal(tandem_cancel(&task), -EINVAL);
    assert_int_equal(tandem_task_clear(&task), 0);
    assert_int_equal(tandem_wait_any(list, 2, 0), -EINVAL);
    end_pool(pool);
}

/* ---- calls that would wait for themselves ---- */

static tandem_task *self;
static tandem_group *own_group;

static int wait_for_self_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    if (tandem_wait(self) != -EDEADLK) return __LINE__;
    if (tandem_wait_for(self, 10) != -EDEADLK) return __LINE__;
    if (own_group != NULL && tandem_group_wait(own_group, -1) != -EDEADLK) return __LINE__;
    return 0;
}

static void a_task_that_waits_for_itself_is_told_so(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_group group = {0};
    tandem_task task = task_of(TANDEM_THREAD, wait_for_self_task, NULL, 0);
    self = &task;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    own_group = &group;
    task.group = &group;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_group_wait(&group, -1), TANDEM_OK);
    tandem_task_clear(&task);
    own_group = NULL;
    end_pool(pool);
}

/* ---- quitting too early ---- */

static void quitting_while_a_pool_exists_is_busy(void)
{
    tandem_pool *pool = pool_of_both(1, 1);
    assert_int_equal(tandem_quit(), -EBUSY);
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
    assert_int_equal(tandem_quit(), 0);
    assert_int_equal(tandem_quit(), 0);
}

/* No call touches errno, whether it succeeds or not. */
static void errno_stays_the_callers(int isolation)
{
    tandem_task task = task_of(isolation, nothing_task, NULL, 0);
    tandem_task bad = task_of(isolation, NULL, NULL, 0);
    tandem_task slow = task_of(isolation, gate_task, NULL, 0);
    tandem_pool *pool = NULL;
    struct gate *gate = shared(sizeof *gate);
    slow.input = &gate;
    slow.input_size = sizeof gate;
    slow.flags = TANDEM_NO_HELP;
    errno = 12345;
    assert_int_equal(tandem_init(), 0);
    assert_int_equal(errno, 12345);
    assert_int_equal(tandem_pool_create(&pool, &(tandem_options){.pipes_only = over_pipes()}), 0);
    assert_int_equal(errno, 12345);
    assert_int_equal(tandem_submit(pool, &bad), -EINVAL);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_int_equal(errno, 12345);
    assert_int_equal(tandem_submit(pool, &slow), 0);
    assert_int_equal(tandem_wait_for(&slow, 1), TANDEM_PENDING);
    assert_int_equal(tandem_pool_drain(pool, 1), -ETIMEDOUT);
    assert_int_equal(errno, 12345);
    atomic_store(&gate->opened, 1);
    assert_int_equal(tandem_wait(&slow), TANDEM_OK);
    assert_int_equal(tandem_task_clear(&task), 0);
    assert_int_equal(tandem_task_clear(&slow), 0);
    assert_int_equal(tandem_pool_destroy(pool), 0);
    assert_int_equal(tandem_quit(), 0);
    assert_int_equal(errno, 12345);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(a_task_that_makes_no_sense_is_refused),
        both(a_task_of_a_kind_the_pool_has_no_workers_for_is_refused),
        test(options_that_make_no_sense_are_refused),
        test(calls_without_their_object_are_refused),
        both(a_task_that_was_never_submitted_cannot_be_waited_for),
        test(a_task_that_waits_for_itself_is_told_so),
        test(quitting_while_a_pool_exists_is_busy),
        both(errno_stays_the_callers),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
