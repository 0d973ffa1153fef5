/* not_started.c - process tasks that no worker can run end NOT_STARTED, and say what to do about it. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void expect_words(const tandem_task *task, const char *const *words, size_t count)
{
    char line[512];
    assert_in_range(tandem_describe(task, line, sizeof line), 1, sizeof line - 1);
    for (size_t i = 0; i < count; i++)
        if (strstr(line, words[i]) == NULL) fail_msg("\"%s\" does not say: %s", line, words[i]);
}

/* ---- code that came later ---- */

/* A function that was not there when the zygote was made, as in a library loaded since.  It is never to be run. */
static tandem_fn *late_function(void **page)
{
    tandem_fn *function;
    *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(*page != MAP_FAILED);
    memcpy(&function, page, sizeof function);
    return function;
}

static void a_function_that_came_after_the_zygote_is_not_started(void)
{
    static const char *const words[] = {"late", "not started", "tandem_init"};
    void *page;
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_fn *late = late_function(&page);
    for (int i = 0; i < 3; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, late, NULL, 0);
        task.name = "late";
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_NOT_STARTED);
        assert_true(task.code > 0);
        assert_int_equal(task.signal, 0);
        assert_non_null(task.report);
        assert_non_null(task.report->step);
        expect_words(&task, words, count_of(words));
        tandem_task_clear(&task);

        tandem_task next = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        assert_int_equal(tandem_submit(pool, &next), 0);
        expect_end(&next, TANDEM_OK);
        tandem_task_clear(&next);
    }
    assert_int_equal(stats_of(pool).ended[TANDEM_NOT_STARTED], 3);
    assert_int_equal(stats_of(pool).workers_crashed, 0);
    end_pool(pool);
    munmap(page, (size_t)sysconf(_SC_PAGESIZE));
}

/* ---- a host with threads ---- */

static struct gate *gate;

static void *stay(void *argument)
{
    (void)argument;
    atomic_store(&gate->entered, 1);
    return await(&gate->opened, 1) ? NULL : "nobody let it go";
}

static pthread_t begin_thread(void)
{
    pthread_t thread;
    gate = shared(sizeof *gate);
    assert_int_equal(pthread_create(&thread, NULL, stay, NULL), 0);
    assert_true(await(&gate->entered, 1));
    return thread;
}

static void end_thread(pthread_t thread)
{
    void *complaint;
    atomic_store(&gate->opened, 1);
    assert_int_equal(pthread_join(thread, &complaint), 0);
    assert_null(complaint);
}

static void expect_ENOTSUP(tandem_pool *pool)
{
    static const char *const words[] = {"heavy", "not started", "tandem_init", "thread"};
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    task.name = "heavy";
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_NOT_STARTED);
    assert_int_equal(task.code, ENOTSUP);
    assert_non_null(task.report);
    assert_string_equal(task.report->step, "tandem_init");
    expect_words(&task, words, count_of(words));
    tandem_task_clear(&task);
}

static void a_host_with_threads_is_not_forked(void)
{
    pthread_t thread = begin_thread();
    assert_int_equal(tandem_init(), -ENOTSUP);
    tandem_pool *pool = pool_of_both(1, 1);
    assert_int_equal(processes_of_ours(), 0);
    for (int i = 0; i < 3; i++) {
        expect_ENOTSUP(pool);
        tandem_task here = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
        assert_int_equal(tandem_call(pool, &here), TANDEM_OK);
        tandem_task_clear(&here);
    }
    assert_int_equal(processes_of_ours(), 0);
    end_pool(pool);
    end_thread(thread);
}

static void a_host_whose_threads_have_ended_can_begin(void)
{
    pthread_t thread = begin_thread();
    tandem_options ready = {.processes_ready = 1};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &ready);
    expect_ENOTSUP(pool);
    end_pool(pool);
    end_thread(thread);
    wait_until(tandem_init() == 0); /* a joined thread may take a moment to leave the system's count */
    pool = pool_of(TANDEM_PROCESS, 1, &ready);
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void threads_that_come_after_tandem_init_do_no_harm(void)
{
    assert_int_equal(tandem_init(), 0);
    pthread_t thread = begin_thread();
    assert_int_equal(tandem_init(), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_thread(thread);
    end_pool(pool);
}

/* A pool that is without workers for that reason ends waits, groups and callbacks as any other. */
static atomic_int calls;

static void count_not_started(tandem_task *task)
{
    if (task->status == TANDEM_NOT_STARTED) atomic_fetch_add(&calls, 1);
}

static void tasks_that_cannot_start_have_their_callbacks_and_groups(void)
{
    enum { TASKS = 10 };
    tandem_task tasks[TASKS];
    tandem_group group = {0};
    pthread_t thread = begin_thread();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        tasks[i].on_done = count_not_started;
        tasks[i].group = &group;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_int_equal(tandem_group_wait(&group, -1), TANDEM_NOT_STARTED);
    assert_int_equal(atomic_load(&calls), TASKS);
    for (int i = 0; i < TASKS; i++) tandem_task_clear(&tasks[i]);
    end_pool(pool);
    end_thread(thread);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_function_that_came_after_the_zygote_is_not_started),
        test(a_host_with_threads_is_not_forked),
        test(a_host_whose_threads_have_ended_can_begin),
        test(threads_that_come_after_tandem_init_do_no_harm),
        test(tasks_that_cannot_start_have_their_callbacks_and_groups),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
