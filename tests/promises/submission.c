/* submission.c - handing tasks over: every one ends once, on as many workers as there are, as often as it is submitted. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- all end, however many workers ---- */

static void all_end(int isolation, uint32_t workers, uint32_t queue_limit)
{
    enum { TASKS = 300 };
    static tandem_task tasks[TASKS];
    static atomic_int *cells[TASKS];
    atomic_int *ledger = shared(TASKS * sizeof *ledger);
    tandem_pool *pool = pool_of(isolation, workers, &(tandem_options){.queue_limit = queue_limit});
    for (int i = 0; i < TASKS; i++) {
        cells[i] = &ledger[i];
        tasks[i] = task_of(isolation, count_task, &cells[i], sizeof cells[i]);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (int i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        assert_int_equal(atomic_load(&ledger[i]), 1);
        assert_int_equal(tandem_task_clear(&tasks[i]), 0);
    }
    assert_int_equal(stats_of(pool).ended[TANDEM_OK], TASKS);
    end_pool(pool);
}

/* promise 3 */
static void one_worker_ends_every_task(int isolation) { all_end(isolation, 1, 0); }

/* promise 3 */
static void two_workers_end_every_task(int isolation) { all_end(isolation, 2, 0); }

/* promise 3 */
static void more_workers_than_cpus_end_every_task(int isolation)
{
    all_end(isolation, (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) + 5, 0);
}

/* promise 3 */
static void more_tasks_than_the_queue_holds_all_end(int isolation) { all_end(isolation, 2, 3); }

/* promise 3 */
static void the_default_pool_ends_a_task(int isolation)
{
    tandem_pool *pool;
    assert_int_equal(tandem_pool_create(&pool, NULL), 0);
    tandem_task task = task_of(isolation, nothing_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_int_equal(tandem_task_clear(&task), 0);
    end_pool(pool);
}

/* ---- again ---- */

/* promise 4 */
static void an_ended_and_cleared_task_can_be_submitted_again(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    char word[] = "again";
    tandem_task task = task_of(isolation, echo_task, word, 5);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        assert_int_equal(task.output_size, 5);
        assert_memory_equal(task.output, "again", 6);
        assert_int_equal(tandem_task_clear(&task), 0);
        assert_null(task.output);
        assert_null(task.report);
    }
    end_pool(pool);
}

/* promise 4; the leak checker sees whether what was left has been freed */
static void a_task_submitted_again_drops_its_old_output(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    char word[] = "first";
    tandem_task task = task_of(isolation, echo_task, word, 5);
    task.flags = TANDEM_REPORT;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_non_null(task.report);
    task.input_size = 0;
    task.run = nothing_task;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_null(task.output);
    assert_int_equal(task.output_size, 0);
    assert_int_equal(tandem_task_clear(&task), 0);
    end_pool(pool);
}

/* promise 4 */
static void a_task_that_has_not_ended_is_busy(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task running = task_of(isolation, gate_task, &gate, sizeof gate);
    tandem_task waiting = task_of(isolation, gate_task, &gate, sizeof gate);
    running.flags = waiting.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &running), 0);
    assert_int_equal(tandem_submit(pool, &waiting), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_submit(pool, &running), -EBUSY);
    assert_int_equal(tandem_submit(pool, &waiting), -EBUSY);
    assert_int_equal(tandem_task_clear(&running), -EBUSY);
    assert_int_equal(tandem_task_clear(&waiting), -EBUSY);
    assert_int_equal(stats_of(pool).submitted, 2);
    atomic_store(&gate->opened, 1);
    expect_end(&running, TANDEM_OK);
    expect_end(&waiting, TANDEM_OK);
    assert_int_equal(atomic_load(&gate->entered), 2);
    tandem_task_clear(&running);
    tandem_task_clear(&waiting);
    end_pool(pool);
}

/* ---- many at once ---- */

static void submit_many_takes_every_task(int isolation)
{
    enum { TASKS = 50 };
    static tandem_task tasks[TASKS];
    tandem_task *list[TASKS];
    atomic_int *cell = shared(sizeof *cell);
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(isolation, count_task, &cell, sizeof cell);
        list[i] = &tasks[i];
    }
    assert_int_equal(tandem_submit_many(pool, list, 0), 0);
    assert_int_equal(tandem_submit_many(pool, list, TASKS), TASKS);
    for (int i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    assert_int_equal(atomic_load(cell), TASKS);
    end_pool(pool);
}

static void submit_many_stops_at_the_first_bad_task(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task good = task_of(isolation, nothing_task, NULL, 0);
    tandem_task bad = task_of(isolation, NULL, NULL, 0);
    tandem_task never = task_of(isolation, nothing_task, NULL, 0);
    tandem_task *list[] = {&good, &bad, &never};
    assert_int_equal(tandem_submit_many(pool, list, 3), 1);
    expect_end(&good, TANDEM_OK);
    assert_int_equal(tandem_wait(&never), -EINVAL);
    assert_int_equal(tandem_submit_many(pool, list + 1, 2), -EINVAL);
    assert_int_equal(stats_of(pool).submitted, 1);
    tandem_task_clear(&good);
    end_pool(pool);
}

static void count_end(tandem_task *task) { atomic_fetch_add((atomic_int *)task->user_data, 1); }

/* promise 3 */
static void submit_many_takes_tasks_of_every_kind(int isolation)
{
    enum { TASKS = 60, KINDS = 6 };
    static tandem_task tasks[TASKS];
    static atomic_int ends;
    tandem_task *list[TASKS];
    tandem_group group = {0};
    atomic_int *cell = shared(sizeof *cell);
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    atomic_store(&ends, 0);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(isolation, count_task, &cell, sizeof cell);
        tasks[i].user_data = &ends;
        list[i] = &tasks[i];
        if (i % KINDS == 1) tasks[i].on_done = count_end;
        if (i % KINDS == 2) tasks[i].group = &group;
        if (i % KINDS == 3) tasks[i].priority = 1;
        if (i % KINDS == 4) tasks[i].flags = TANDEM_REPORT;
        if (i % KINDS == 5) assert_int_equal(tandem_call(pool, &tasks[i]), TANDEM_OK);
    }
    assert_int_equal(tandem_submit_many(pool, list, TASKS), TASKS);
    assert_int_equal(tandem_group_wait(&group, -1), TANDEM_OK);
    for (int i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        assert_true((tasks[i].report != NULL) == (isolation == TANDEM_PROCESS || i % KINDS == 4));
        tandem_task_clear(&tasks[i]);
    }
    end_pool(pool);
    assert_int_equal(atomic_load(cell), TASKS + TASKS / KINDS);
    assert_int_equal(atomic_load(&ends), TASKS / KINDS);
}

/* Occupies the only worker. */
static void hold(tandem_pool *pool, tandem_task *task, int isolation, struct gate **gate)
{
    *task = task_of(isolation, gate_task, gate, sizeof *gate);
    task->flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, task), 0);
    assert_true(await(&(*gate)->entered, 1));
}

/* promise 4 */
static void submit_many_finds_a_task_busy_that_it_has_taken_before(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task holder, first = task_of(isolation, nothing_task, NULL, 0), second = first, never = first;
    tandem_task *list[] = {&first, &second, &first, &never};
    hold(pool, &holder, isolation, &gate);
    assert_int_equal(tandem_submit_many(pool, list, 4), 2);
    assert_int_equal(tandem_submit_many(pool, list, 4), -EBUSY);
    assert_int_equal(tandem_wait(&never), -EINVAL);
    atomic_store(&gate->opened, 1);
    expect_end(&holder, TANDEM_OK);
    expect_end(&first, TANDEM_OK);
    expect_end(&second, TANDEM_OK);
    assert_int_equal(stats_of(pool).submitted, 3);
    tandem_task_clear(&holder);
    tandem_task_clear(&first);
    tandem_task_clear(&second);
    end_pool(pool);
}

/* promise 16 */
static void any_of_many_can_be_cancelled_and_waited_for(int isolation)
{
    enum { TASKS = 50 };
    static tandem_task tasks[TASKS];
    tandem_task *list[TASKS], holder;
    struct gate *gate = shared(sizeof *gate);
    atomic_int *cell = shared(sizeof *cell);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    hold(pool, &holder, isolation, &gate);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(isolation, count_task, &cell, sizeof cell);
        list[i] = &tasks[i];
    }
    assert_int_equal(tandem_submit_many(pool, list, TASKS), TASKS);
    for (int i = TASKS; i-- > 0;)
        if (i % 3 != 0) assert_int_equal(tandem_cancel(&tasks[i]), 0);
    if (isolation == TANDEM_THREAD) expect_end(&tasks[24], TANDEM_OK); /* by this thread: the worker is held */
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], i % 3 == 0 ? TANDEM_OK : TANDEM_CANCELLED);
        tandem_task_clear(&tasks[i]);
    }
    expect_end(&holder, TANDEM_OK);
    tandem_task_clear(&holder);
    assert_int_equal(atomic_load(cell), (TASKS + 2) / 3);
    end_pool(pool);
}

enum { OVER_AND_OVER = 100 };
static struct {
    tandem_pool *pool;
    tandem_task tasks[OVER_AND_OVER];
    atomic_int rounds;
    int taken; /* of the last */
} flood;

static void *submit_until_refused(void *unused)
{
    tandem_task *list[OVER_AND_OVER];
    (void)unused;
    do {
        for (int i = 0; i < OVER_AND_OVER; i++) {
            flood.tasks[i] = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
            list[i] = &flood.tasks[i];
        }
        flood.taken = tandem_submit_many(flood.pool, list, OVER_AND_OVER);
        for (int i = 0; i < flood.taken; i++) expect_end(&flood.tasks[i], TANDEM_OK);
        atomic_fetch_add(&flood.rounds, 1);
    } while (flood.taken == OVER_AND_OVER);
    return NULL;
}

/* promise 3 */
static void a_pool_that_drains_takes_of_many_those_before_the_first_it_refuses(void)
{
    for (size_t round = 0; round < scaled(100); round++) {
        pthread_t thread;
        flood.pool = pool_of(TANDEM_THREAD, 2, NULL);
        atomic_store(&flood.rounds, 0);
        assert_int_equal(pthread_create(&thread, NULL, submit_until_refused, NULL), 0);
        assert_true(await(&flood.rounds, 1 + (int)round % 5));
        assert_int_equal(tandem_pool_drain(flood.pool, -1), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(flood.taken > 0 || flood.taken == -ESHUTDOWN);
        for (int i = flood.taken > 0 ? flood.taken : 0; i < OVER_AND_OVER; i++)
            assert_int_equal(tandem_wait(&flood.tasks[i]), -EINVAL);
        uint64_t taken = (uint64_t)(atomic_load(&flood.rounds) - 1) * OVER_AND_OVER + (uint64_t)(flood.taken > 0 ? flood.taken : 0);
        assert_int_equal(stats_of(flood.pool).submitted, taken);
        assert_int_equal(stats_of(flood.pool).ended[TANDEM_OK], taken);
        end_pool(flood.pool);
    }
}

/* ---- where it runs, and with what ---- */

static int pid_task(tandem_context *context, void *input, size_t size)
{
    const struct {
        pid_t pid;
        int where;
    } seen = {getpid(), tandem_where(context)};
    (void)input, (void)size;
    return tandem_reply(context, &seen, sizeof seen);
}

static void the_flag_says_where_a_task_runs(int isolation)
{
    tandem_pool *pool = pool_of_both(1, 1);
    struct {
        pid_t pid;
        int where;
    } seen;
    tandem_task task = task_of(isolation, pid_task, NULL, 0);
    task.flags = TANDEM_REPORT;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_int_equal(task.output_size, sizeof seen);
    memcpy(&seen, task.output, sizeof seen);
    assert_int_equal(seen.where, isolation);
    if (isolation == TANDEM_THREAD) {
        assert_int_equal(seen.pid, getpid());
        assert_int_equal(task.report->pid, 0);
    } else {
        assert_int_not_equal(seen.pid, getpid());
        assert_int_equal(task.report->pid, seen.pid);
        assert_int_not_equal(task.report->worker, 0);
    }
    tandem_task_clear(&task);
    end_pool(pool);
}

static int scribble_task(tandem_context *context, void *input, size_t size)
{
    if (size > 0) memset(input, '!', size);
    return tandem_reply(context, &input, sizeof input);
}

static void input_is_shared_with_threads_and_copied_to_processes(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    char text[] = "text";
    void *seen;
    tandem_task task = task_of(isolation, scribble_task, text, 4);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_string_equal(text, isolation == TANDEM_THREAD ? "!!!!" : "text");
    tandem_task_clear(&task);

    task.input_size = 0;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    memcpy(&seen, task.output, sizeof seen);
    assert_ptr_equal(seen, isolation == TANDEM_THREAD ? (void *)text : NULL);
    tandem_task_clear(&task);
    end_pool(pool);
}

static int alignment_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)size;
    return (int)((uintptr_t)input % _Alignof(max_align_t));
}

static void input_is_aligned_for_any_type(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    _Alignas(max_align_t) char bytes[100] = {0};
    for (size_t size = 1; size <= sizeof bytes; size++) {
        tandem_task task = task_of(isolation, alignment_task, bytes, size);
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* ---- what the function returns ---- */

static int code_task(tandem_context *context, void *input, size_t size)
{
    int code;
    memcpy(&code, input, sizeof code);
    tandem_reply(context, input, size);
    return code;
}

static void a_code_of_its_own_makes_a_task_failed(int isolation)
{
    static const int codes[] = {1, -1, 255, 256, INT32_MAX, INT32_MIN};
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (size_t i = 0; i < count_of(codes); i++) {
        int code = codes[i];
        tandem_task task = task_of(isolation, code_task, &code, sizeof code);
        assert_int_equal(tandem_call(pool, &task), TANDEM_FAILED);
        assert_int_equal(task.code, code);
        assert_int_equal(task.signal, 0);
        assert_int_equal(task.output_size, sizeof code);
        assert_memory_equal(task.output, &code, sizeof code);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static void a_report_tells_the_times_in_order(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, nothing_task, NULL, 0);
    task.name = "timed";
    task.flags = TANDEM_REPORT;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_true(task.report->queued_ns > 0);
    assert_true(task.report->queued_ns <= task.report->started_ns);
    assert_true(task.report->started_ns <= task.report->ended_ns);
    assert_string_equal(task.report->name, "timed");
    assert_null(task.report->step);
    tandem_task_clear(&task);

    task.flags = 0;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_true((task.report != NULL) == (isolation == TANDEM_PROCESS));
    tandem_task_clear(&task);
    end_pool(pool);
}

/* A process task that runs again and again, with others before it, so that it waits: as it always was, or with a name, or failing. */
static void a_report_tells_of_the_last_run_only(void)
{
    enum { RUNS = 40, OTHERS = 20 };
    static tandem_task others[OTHERS];
    tandem_pool *pool;
    const tandem_options options = {.threads = 1, .processes = 1};
    int code = 3;
    assert_int_equal(tandem_pool_create(&pool, &options), 0);
    tandem_task task = {0};
    uint64_t ended_ns = 0;
    for (int i = 0; i < OTHERS; i++) others[i] = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    for (int run = 0; run < RUNS; run++) {
        bool named = run % 5 == 3, fails = run % 7 == 4, on_thread = run % 11 == 9;
        task.isolation = on_thread ? TANDEM_THREAD : TANDEM_PROCESS;
        task.flags = on_thread ? TANDEM_REPORT : 0;
        task.run = fails ? code_task : nothing_task;
        task.input = fails ? &code : NULL;
        task.input_size = fails ? sizeof code : 0;
        task.name = named ? "named" : NULL;
        for (int i = 0; i < OTHERS; i++) assert_int_equal(tandem_submit(pool, &others[i]), 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, fails ? TANDEM_FAILED : TANDEM_OK);
        const tandem_report *report = task.report;
        assert_int_equal(task.code, fails ? code : 0);
        assert_true((task.output != NULL) == fails);
        assert_true(ended_ns <= report->queued_ns + 1000); /* clocks of several threads */
        assert_true(report->queued_ns <= report->started_ns);
        assert_true(report->started_ns <= report->ended_ns);
        assert_int_equal(report->runs, 1);
        assert_int_equal(report->worker, on_thread ? report->worker : 1);
        assert_true((report->pid != 0) == !on_thread);
        if (named) assert_string_equal(report->name, "named");
        if (!named && !fails) assert_null(report->name);
        assert_null(report->step);
        assert_null(report->limit);
        assert_null(report->error_output);
        assert_int_equal(report->frame_count, 0);
        for (int i = 0; i < OTHERS; i++) expect_end(&others[i], TANDEM_OK);
        ended_ns = report->ended_ns;
    }
    assert_int_equal(tandem_task_clear(&task), 0);
    for (int i = 0; i < OTHERS; i++) assert_int_equal(tandem_task_clear(&others[i]), 0);
    end_pool(pool);
}

/* Also where some have been cleared in between, and so get others than they had. */
static void tasks_that_run_again_have_reports_of_their_own(void)
{
    enum { TASKS = 100, ROUNDS = 5 };
    static tandem_task tasks[TASKS];
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, NULL);
    for (int i = 0; i < TASKS; i++) tasks[i] = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < TASKS; i++) assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        for (int i = 0; i < TASKS; i++) expect_end(&tasks[i], TANDEM_OK);
        for (int i = 0; i < TASKS; i++)
            for (int j = 0; j < i; j++) assert_ptr_not_equal(tasks[i].report, tasks[j].report);
        for (int i = round; i < TASKS; i += ROUNDS) assert_int_equal(tandem_task_clear(&tasks[i]), 0);
    }
    for (int i = 0; i < TASKS; i++) tandem_task_clear(&tasks[i]);
    end_pool(pool);
}

/* Whatever the run before has left for the next one of its kind is nothing to a run of another kind. */
static void a_task_that_was_cleared_runs_anywhere(void)
{
    char word[] = "anywhere";
    tandem_pool *pool;
    const tandem_options options = {.threads = 1, .processes = 1};
    assert_int_equal(tandem_pool_create(&pool, &options), 0);
    tandem_task task = {0};
    for (int run = 0; run < 8; run++) {
        task.isolation = run % 2 == 0 ? TANDEM_PROCESS : TANDEM_THREAD;
        task.flags = run % 4 == 3 ? TANDEM_REPORT : 0;
        task.run = run % 2 == 0 ? nothing_task : echo_task;
        task.input = run % 2 == 0 ? NULL : word;
        task.input_size = run % 2 == 0 ? 0 : sizeof word;
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        assert_int_equal(task.output_size, task.input_size);
        assert_true((task.report != NULL) == (run % 2 == 0 || run % 4 == 3));
        assert_int_equal(tandem_task_clear(&task), 0);
        assert_null(task.report);
    }
    end_pool(pool);
}

/* Their replies are read many at once. */
static void a_report_tells_when_each_of_many_brief_tasks_ran(void)
{
    enum { TASKS = 200 };
    static tandem_task tasks[TASKS];
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    int unknown = 0;
    for (int round = 0; round < 10; round++) {
        uint64_t ended_ns = 0;
        for (int i = 0; i < TASKS; i++) {
            if (round == 0) tasks[i] = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        }
        for (int i = 0; i < TASKS; i++) expect_end(&tasks[i], TANDEM_OK);
        for (int i = 0; i < TASKS; i++) {
            const tandem_report *report = tasks[i].report;
            assert_true(report->started_ns <= report->ended_ns);
            assert_true(ended_ns <= report->started_ns);
            unknown += report->started_ns == report->ended_ns;
            ended_ns = report->ended_ns;
        }
    }
    assert_in_range(unknown, 0, TASKS); /* of ten times as many: where this side was held up */
    for (int i = 0; i < TASKS; i++) assert_int_equal(tandem_task_clear(&tasks[i]), 0);
    end_pool(pool);
}

static atomic_int released;

static void count_release(void *data)
{
    (void)data;
    atomic_fetch_add(&released, 1);
}

static int reply_counted_task(tandem_context *context, void *input, size_t size)
{
    return tandem_reply_owned(context, input, size, count_release);
}

/* Also where one has neither an output nor a report, and the other has both. */
static void an_output_left_from_a_thread_is_freed_by_a_run_in_a_process(void)
{
    char word[] = "left";
    tandem_pool *pool;
    const tandem_options options = {.threads = 1, .processes = 1};
    assert_int_equal(tandem_pool_create(&pool, &options), 0);
    atomic_store(&released, 0);
    for (int run = 1; run <= 4; run++) {
        tandem_task task = {.run = reply_counted_task, .input = word, .input_size = sizeof word};
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        assert_ptr_equal(task.output, word);
        task.isolation = TANDEM_PROCESS;
        task.run = nothing_task;
        if (run % 2 == 0) task.input = NULL, task.input_size = 0;
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        assert_int_equal(atomic_load(&released), run);
        assert_null(task.output);
        assert_int_equal(task.output_size, 0);
        assert_int_equal(tandem_task_clear(&task), 0);
        assert_int_equal(atomic_load(&released), run);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(one_worker_ends_every_task),
        both(two_workers_end_every_task),
        both(more_workers_than_cpus_end_every_task),
        both(more_tasks_than_the_queue_holds_all_end),
        both(the_default_pool_ends_a_task),
        both(an_ended_and_cleared_task_can_be_submitted_again),
        both(a_task_submitted_again_drops_its_old_output),
        both(a_task_that_has_not_ended_is_busy),
        both(submit_many_takes_every_task),
        both(submit_many_stops_at_the_first_bad_task),
        both(submit_many_takes_tasks_of_every_kind),
        both(submit_many_finds_a_task_busy_that_it_has_taken_before),
        both(any_of_many_can_be_cancelled_and_waited_for),
        test(a_pool_that_drains_takes_of_many_those_before_the_first_it_refuses),
        both(the_flag_says_where_a_task_runs),
        both(input_is_shared_with_threads_and_copied_to_processes),
        both(input_is_aligned_for_any_type),
        both(a_code_of_its_own_makes_a_task_failed),
        both(a_report_tells_the_times_in_order),
        test(a_report_tells_of_the_last_run_only),
        test(a_report_tells_when_each_of_many_brief_tasks_ran),
        test(tasks_that_run_again_have_reports_of_their_own),
        test(a_task_that_was_cleared_runs_anywhere),
        test(an_output_left_from_a_thread_is_freed_by_a_run_in_a_process),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
