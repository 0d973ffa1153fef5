/* bell.c - callbacks_by_host: how often its descriptor is written to and read from, by the library's own count of system calls. */
#include "harness.h"

#include <poll.h>
#include <stdlib.h>

#include "base/fault.h"

static tandem_pool *begin(void)
{
    tandem_options options = {.callbacks_by_host = 1};
    assert_int_equal(tdm_fault_open(), 0);
    return pool_of(TANDEM_THREAD, 2, &options);
}

static uint64_t writes(void) { return tdm_fault_passes(TDM_FAULT_any_write); }
static uint64_t reads(void) { return tdm_fault_passes(TDM_FAULT_any_read); }

static void nothing_done(tandem_task *task) { (void)task; }

static void submit(tandem_pool *pool, tandem_task *task)
{
    *task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    task->on_done = nothing_done;
    assert_int_equal(tandem_submit(pool, task), 0);
}

static bool is_readable(tandem_pool *pool)
{
    struct pollfd entry = {.fd = tandem_fd(pool), .events = POLLIN};
    return poll(&entry, 1, 0) == 1;
}

/* promise 7 */
static void a_hundred_thousand_completions_write_once_and_are_read_once(void)
{
    const size_t count = 100000;
    tandem_task *tasks = calloc(count, sizeof *tasks);
    assert_non_null(tasks);
    tandem_pool *pool = begin();
    uint64_t written = writes(), read = reads();
    for (size_t i = 0; i < count; i++) submit(pool, &tasks[i]);
    wait_until(stats_of(pool).ended[TANDEM_OK] == count);
    wait_until(is_readable(pool));
    assert_int_equal(tandem_pool_drain(pool, -1), 0); /* so that the last is where it is to be called */
    assert_int_equal(writes() - written, 1);
    assert_int_equal(tandem_run_callbacks(pool, 1), 1);
    assert_true(is_readable(pool));
    assert_int_equal(tandem_run_callbacks(pool, 0), count - 1);
    assert_false(is_readable(pool));
    assert_int_equal(writes() - written, 1);
    assert_int_equal(reads() - read, 1);
    end_pool(pool);
    free(tasks);
}

/* promise 7 */
static void each_change_from_empty_writes_once(void)
{
    enum { ROUNDS = 500 };
    tandem_task task;
    tandem_pool *pool = begin();
    uint64_t written = writes(), read = reads();
    for (int i = 1; i <= ROUNDS; i++) {
        submit(pool, &task);
        wait_until(is_readable(pool));
        assert_int_equal(tandem_run_callbacks(pool, 0), 1);
        assert_int_equal(writes() - written, i);
        assert_int_equal(reads() - read, i);
    }
    assert_int_equal(tandem_run_callbacks(pool, 0), 0);
    assert_int_equal(reads() - read, ROUNDS); /* where nothing waits nothing is asked of the system */
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_hundred_thousand_completions_write_once_and_are_read_once),
        test(each_change_from_empty_writes_once),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
