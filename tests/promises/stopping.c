/* stopping.c - cancel: before the start, while it runs, and after the end. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void begin_gated(tandem_pool *pool, int isolation, tandem_task *task, struct gate **gate)
{
    *task = task_of(isolation, gate_task, gate, sizeof *gate);
    task->flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, task), 0);
    assert_true(await(&(*gate)->entered, 1));
}

/* ---- before the start ---- */

/* promise 16 */
static void a_cancelled_task_that_waits_never_starts(int isolation)
{
    enum { TASKS = 5 };
    tandem_task running, waiting[TASKS];
    struct gate *gate = shared(sizeof *gate);
    atomic_int *cell = shared(sizeof *cell);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    begin_gated(pool, isolation, &running, &gate);
    for (int i = 0; i < TASKS; i++) {
        waiting[i] = task_of(isolation, count_task, &cell, sizeof cell);
        assert_int_equal(tandem_submit(pool, &waiting[i]), 0);
    }
    for (int i = 0; i < TASKS; i += 2) assert_int_equal(tandem_cancel(&waiting[i]), 0);
    for (int i = 0; i < TASKS; i += 2) {
        expect_end(&waiting[i], TANDEM_CANCELLED); /* though the only worker is busy */
        assert_null(waiting[i].output);
    }
    atomic_store(&gate->opened, 1);
    expect_end(&running, TANDEM_OK);
    for (int i = 1; i < TASKS; i += 2) expect_end(&waiting[i], TANDEM_OK);
    assert_int_equal(atomic_load(cell), TASKS / 2);
    for (int i = 0; i < TASKS; i++) tandem_task_clear(&waiting[i]);
    tandem_task_clear(&running);
    end_pool(pool);
}

struct submitter {
    pthread_t thread;
    tandem_pool *pool;
    size_t times, late; /* ends that were not there when tandem_cancel() had returned */
};

static void *submit_and_cancel(void *argument)
{
    struct submitter *submitter = argument;
    tandem_task task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    for (size_t i = 0; i < submitter->times; i++) {
        if (tandem_submit(submitter->pool, &task) != 0 || tandem_cancel(&task) != 0) abort();
        submitter->late += tandem_wait_for(&task, 0) != TANDEM_CANCELLED;
        if (tandem_wait(&task) != TANDEM_CANCELLED) abort();
    }
    return NULL;
}

/* Each is the newest for a moment, then one before another that is being put in. */
/* promise 16 */
static void a_cancelled_task_that_waits_ends_at_once_whoever_submits_meanwhile(void)
{
    enum { SUBMITTERS = 3 };
    tandem_task running;
    struct gate *gate = shared(sizeof *gate);
    struct submitter submitters[SUBMITTERS];
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    begin_gated(pool, TANDEM_THREAD, &running, &gate);
    for (int i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (struct submitter){.pool = pool, .times = scaled(1000000)};
        assert_int_equal(pthread_create(&submitters[i].thread, NULL, submit_and_cancel, &submitters[i]), 0);
    }
    for (int i = 0; i < SUBMITTERS; i++) {
        assert_int_equal(pthread_join(submitters[i].thread, NULL), 0);
        assert_int_equal(submitters[i].late, 0);
    }
    atomic_store(&gate->opened, 1);
    expect_end(&running, TANDEM_OK);
    end_pool(pool);
}

/* A short task has told that they are short, so the gate that follows the first one's end is handed over with all behind it. */
static void a_cancelled_task_that_was_handed_over_and_not_begun_has_no_start_in_its_report(void)
{
    enum { TASKS = 5 };
    tandem_task first, running, waiting[TASKS], brief = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    struct gate *gates = shared(2 * sizeof *gates), *gate[2] = {&gates[0], &gates[1]};
    atomic_int *cell = shared(sizeof *cell);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    assert_int_equal(tandem_call(pool, &brief), TANDEM_OK);
    begin_gated(pool, TANDEM_PROCESS, &first, &gate[0]);
    running = task_of(TANDEM_PROCESS, gate_task, &gate[1], sizeof gate[1]);
    assert_int_equal(tandem_submit(pool, &running), 0);
    for (int i = 0; i < TASKS; i++) {
        waiting[i] = task_of(TANDEM_PROCESS, count_task, &cell, sizeof cell);
        assert_int_equal(tandem_submit(pool, &waiting[i]), 0);
    }
    atomic_store(&gate[0]->opened, 1);
    assert_true(await(&gate[1]->entered, 1));
    for (int i = 0; i < TASKS; i++) assert_int_equal(tandem_cancel(&waiting[i]), 0);
    for (int i = 0; i < TASKS; i++) {
        expect_end(&waiting[i], TANDEM_CANCELLED);
        assert_int_equal(waiting[i].report->started_ns, 0);
        assert_int_equal(waiting[i].report->pid, 0);
        assert_int_equal(waiting[i].report->worker, 0);
        assert_int_equal(waiting[i].report->runs, 0);
        assert_true(waiting[i].report->queued_ns > 0);
        tandem_task_clear(&waiting[i]);
    }
    atomic_store(&gate[1]->opened, 1);
    expect_end(&first, TANDEM_OK);
    expect_end(&running, TANDEM_OK);
    assert_int_equal(running.report->worker, first.report->worker);
    assert_int_equal(atomic_load(cell), 0);
    tandem_task_clear(&first);
    tandem_task_clear(&running);
    tandem_task_clear(&brief);
    end_pool(pool);
}

struct canceller {
    tandem_task task;
    atomic_int enough;
};

static void *cancel_on_and_on(void *argument)
{
    struct canceller *canceller = argument;
    while (!atomic_load(&canceller->enough)) tandem_cancel(&canceller->task);
    return NULL;
}

/* It may meet the end, or the next run as well: whichever it meets ends once. */
static void a_cancel_may_come_late(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    struct canceller canceller = {.task = task_of(isolation, nothing_task, NULL, 0)};
    pthread_t thread;
    assert_int_equal(tandem_call(pool, &canceller.task), TANDEM_OK);
    assert_int_equal(pthread_create(&thread, NULL, cancel_on_and_on, &canceller), 0);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(tandem_submit(pool, &canceller.task), 0);
        int status = tandem_wait(&canceller.task);
        assert_true(status == TANDEM_OK || status == TANDEM_CANCELLED);
        assert_int_equal(canceller.task.status, status);
        if (i % 3 == 0) tandem_task_clear(&canceller.task);
    }
    atomic_store(&canceller.enough, 1);
    pthread_join(thread, NULL);
    tandem_task_clear(&canceller.task);
    end_pool(pool);
}

/* ---- while it runs ---- */

/* promise 16 */
static void a_cancelled_process_task_is_gone_when_it_has_ended(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 1; i <= 5; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, spin_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_true(await(&gate->entered, i));
        pid_t pid = atomic_load(&gate->pid);
        assert_int_equal(tandem_cancel(&task), 0);
        expect_end(&task, TANDEM_CANCELLED);
        int turns = atomic_load(&gate->left);
        assert_int_equal(task.report->pid, pid);
        assert_null(task.output);
        wait_until(!process_lives(pid));
        assert_int_equal(atomic_load(&gate->left), turns); /* it did nothing after its end */
        tandem_task_clear(&task);
    }
    assert_int_equal(stats_of(pool).workers_crashed, 0); /* killed on purpose is no crash */
    end_pool(pool);
}

/* Cancelled when it has come in; then returns what its input says. */
static struct gate *cancel_gate;

static int until_cancelled_task(tandem_context *context, void *input, size_t size)
{
    int code;
    memcpy(&code, input, size);
    if (tandem_cancelled(context) != 0) return __LINE__;
    atomic_fetch_add(&cancel_gate->entered, 1);
    while (!tandem_cancelled(context)) moment();
    atomic_fetch_add(&cancel_gate->left, 1);
    return code;
}

static void expect_cancelled_thread_task(int code, int status)
{
    cancel_gate = shared(sizeof *cancel_gate);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task task = task_of(TANDEM_THREAD, until_cancelled_task, &code, sizeof code);
    task.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&cancel_gate->entered, 1));
    assert_int_equal(tandem_cancel(&task), 0);
    assert_int_equal(tandem_wait(&task), status);
    assert_int_equal(atomic_load(&cancel_gate->left), 1);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* promise 16 */
static void a_cancelled_thread_task_sees_it(void) { expect_cancelled_thread_task(ECANCELED, TANDEM_CANCELLED); }

/* promise 16: it was just about to succeed */
static void a_cancelled_thread_task_that_returns_0_is_ok(void) { expect_cancelled_thread_task(0, TANDEM_OK); }

/* promise 16 */
static void only_the_cancelled_task_is_stopped(int isolation)
{
    struct gate *gate = shared(sizeof *gate), *spin = shared(sizeof *spin);
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    tandem_task other;
    begin_gated(pool, isolation, &other, &gate);
    for (int i = 1; i <= 5; i++) {
        tandem_task task = task_of(isolation, spin_task, &spin, sizeof spin);
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_true(await(&spin->entered, i));
        assert_int_equal(tandem_cancel(&task), 0);
        expect_end(&task, TANDEM_CANCELLED);
        tandem_task_clear(&task);
    }
    assert_int_equal(tandem_wait_for(&other, 0), TANDEM_PENDING);
    atomic_store(&gate->opened, 1);
    expect_end(&other, TANDEM_OK);
    tandem_task_clear(&other);
    end_pool(pool);
}

/* ---- after the end ---- */

/* promise 16 */
static void cancelling_after_the_end_changes_nothing(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    char word[] = "kept";
    tandem_task task = task_of(isolation, echo_task, word, 4);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    for (int i = 0; i < 3; i++) assert_int_equal(tandem_cancel(&task), -EALREADY);
    assert_int_equal(tandem_wait(&task), TANDEM_OK);
    assert_string_equal(task.output, "kept");
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK); /* nor is it cancelled the next time */
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- at any moment ---- */

/* promise 17 */
static void every_task_cancelled_at_a_random_moment_ends_once(int isolation)
{
    enum { WINDOW = 16 };
    static tandem_task tasks[WINDOW];
    static atomic_int *cells[WINDOW];
    const size_t rounds = scaled(isolation == TANDEM_THREAD ? 100000 : 4000);
    atomic_int *ledger = shared(WINDOW * sizeof *ledger);
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    uint32_t random = 12345;
    for (size_t round = 0; round < rounds; round++) {
        for (int i = 0; i < WINDOW; i++) {
            cells[i] = &ledger[i];
            tasks[i] = task_of(isolation, count_task, &cells[i], sizeof cells[i]);
            atomic_store(&ledger[i], 0);
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        }
        for (int i = 0; i < WINDOW; i++) {
            random = random * 1664525u + 1013904223u;
            if (random >> 31 == 0) continue;
            int asked = tandem_cancel(&tasks[(random >> 8) % WINDOW]);
            assert_true(asked == 0 || asked == -EALREADY);
        }
        for (int i = 0; i < WINDOW; i++) {
            int status = tandem_wait(&tasks[i]);
            int runs = atomic_load(&ledger[i]);
            if (status == TANDEM_OK)
                assert_int_equal(runs, 1);
            else
                assert_int_equal(status, TANDEM_CANCELLED);
            assert_in_range(runs, 0, 1);
            tandem_task_clear(&tasks[i]);
        }
    }
    tandem_stats stats = stats_of(pool);
    assert_int_equal(stats.submitted, rounds * WINDOW);
    assert_int_equal(stats.ended[TANDEM_OK] + stats.ended[TANDEM_CANCELLED], rounds * WINDOW);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(a_cancelled_task_that_waits_never_starts),
        test(a_cancelled_task_that_waits_ends_at_once_whoever_submits_meanwhile),
        test(a_cancelled_task_that_was_handed_over_and_not_begun_has_no_start_in_its_report),
        both(a_cancel_may_come_late),
        test(a_cancelled_process_task_is_gone_when_it_has_ended),
        test(a_cancelled_thread_task_sees_it),
        test(a_cancelled_thread_task_that_returns_0_is_ok),
        both(only_the_cancelled_task_is_stopped),
        both(cancelling_after_the_end_changes_nothing),
        both(every_task_cancelled_at_a_random_moment_ends_once),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
