/* report_memory.c - there is no memory for the reports of isolated tasks: their submit is refused, and the task is as it was. */
#include "harness.h"

#include <errno.h>
#include <string.h>

#include "base/fault.h"

enum { TASKS = 50 }; /* more than one piece of memory is taken for */

static int do_nothing(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    return 0;
}

static void expect_reports(tandem_task *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(tandem_wait(&tasks[i]), TANDEM_OK);
        assert_non_null(tasks[i].report);
        assert_string_equal(tasks[i].report->name, "of its own");
        assert_int_equal(tasks[i].report->runs, 1);
        assert_true(tasks[i].report->queued_ns > 0 && tasks[i].report->queued_ns <= tasks[i].report->started_ns);
        for (size_t at = 0; at < count_of(tasks[i].report->reserved); at++) assert_int_equal(tasks[i].report->reserved[at], 0);
    }
}

/* Memory for some reports is had at once, so not every submit asks for it; but each that does and is refused it says so. */
static void without_memory_for_its_report_a_submit_is_refused(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    assert_int_equal(tandem_init(), 0);
    tandem_options options = {.threads = TANDEM_NONE, .processes = 1, .processes_ready = 1};
    tandem_pool *pool;
    assert_int_equal(tandem_pool_create(&pool, &options), 0);
    tandem_task tasks[TASKS], first = task_of(TANDEM_PROCESS, do_nothing, NULL, 0);
    assert_int_equal(tandem_call(pool, &first), TANDEM_OK); /* all else is there now */
    int refused = 0;
    for (size_t i = 0; i < TASKS; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, do_nothing, NULL, 0);
        tasks[i].name = "of its own";
        tandem_task before = tasks[i];
        tdm_fault_arm(TDM_FAULT_memory, 1, TDM_FAULT_FAIL, ENOMEM);
        int error = tandem_submit(pool, &tasks[i]);
        tdm_fault_disarm_all();
        if (error == 0) continue;
        assert_int_equal(error, -ENOMEM);
        assert_null(tasks[i].report);
        assert_int_equal(tasks[i].status, before.status);
        assert_int_equal(tandem_wait(&tasks[i]), -EINVAL); /* it was never submitted */
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        refused++;
    }
    assert_true(refused > 1 && refused < TASKS);
    expect_reports(tasks, TASKS);
    /* and what is known of the last run stays when the next is refused */
    for (size_t i = 0; i < TASKS; i++) {
        const tandem_report *old = tasks[i].report;
        tdm_fault_arm(TDM_FAULT_memory, 1, TDM_FAULT_FAIL, ENOMEM);
        int error = tandem_submit(pool, &tasks[i]);
        tdm_fault_disarm_all();
        if (error != 0) assert_ptr_equal(tasks[i].report, old);
        if (error != 0) expect_reports(&tasks[i], 1);
    }
    for (size_t i = 0; i < TASKS; i++) tandem_wait(&tasks[i]);
    end_pool(pool);
    expect_reports(tasks, TASKS); /* they outlive the pool */
    for (size_t i = 0; i < TASKS; i++) assert_int_equal(tandem_task_clear(&tasks[TASKS - 1 - i]), 0);
    assert_int_equal(tandem_task_clear(&first), 0);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(without_memory_for_its_report_a_submit_is_refused),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
