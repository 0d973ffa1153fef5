/* accounting.c - nothing is lost, nothing runs twice, and the pool's counters add up. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 32 };

static uint64_t sum_ended(const tandem_stats *stats)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count_of(stats->ended); i++) sum += stats->ended[i];
    return sum;
}

static bool adds_up(tandem_pool *pool)
{
    tandem_stats stats;
    if (tandem_pool_stats(pool, &stats) != 0) return false;
    return stats.submitted == stats.waiting + stats.running + sum_ended(&stats);
}

/* ---- four threads, two isolations ---- */

/* A run's input: its cell in the ledger, and what it shall return. */
struct order {
    atomic_int *cell;
    int64_t code; /* as wide as the pointer: no padding travels */
};

static int ledger_task(tandem_context *context, void *input, size_t size)
{
    struct order order;
    if (size != sizeof order) return -1;
    memcpy(&order, input, sizeof order);
    (void)context;
    return atomic_fetch_add(order.cell, 1) == 0 ? (int)order.code : -2;
}

struct submitter {
    pthread_t thread;
    tandem_pool *pool;
    atomic_int *ledger; /* the part of this submitter */
    size_t count;
    size_t bad; /* endings that were not as they should be */
};

static int expected_code(size_t i) { return i % 5 == 0 ? (int)(i % 1000) + 1 : 0; }

static size_t bad_ending(tandem_task *task, size_t i)
{
    int code = expected_code(i);
    int status = tandem_wait(task);
    bool good = status == (code == 0 ? TANDEM_OK : TANDEM_FAILED) && task->status == status && task->code == code;
    return (good ? 0 : 1) + (tandem_task_clear(task) == 0 ? 0u : 1u);
}

/* Keeps a window of tasks under way: thread tasks and process tasks in turn. */
static void *submit_all(void *argument)
{
    struct submitter *me = argument;
    tandem_task *tasks = calloc(WINDOW, sizeof *tasks);
    struct order orders[WINDOW];
    for (size_t i = 0; tasks != NULL && i < me->count + WINDOW; i++) {
        tandem_task *task = &tasks[i % WINDOW];
        if (i >= WINDOW && i - WINDOW < me->count) me->bad += bad_ending(task, i - WINDOW);
        if (i >= me->count) continue;
        orders[i % WINDOW] = (struct order){&me->ledger[i], expected_code(i)};
        *task = task_of(i % 2 == 0 ? TANDEM_THREAD : TANDEM_PROCESS, ledger_task, &orders[i % WINDOW], sizeof orders[0]);
        if (tandem_submit(me->pool, task) != 0) me->bad++;
    }
    free(tasks);
    return NULL;
}

/* promise 2 */
static void a_million_tasks_from_four_threads_each_end_once(void)
{
    enum { THREADS = 4 };
    struct submitter submitters[THREADS];
    const size_t each = scaled(1000000) / THREADS;
    atomic_int *ledger = shared(THREADS * each * sizeof *ledger);
    tandem_pool *pool = pool_of_both(2, 2);
    for (size_t i = 0; i < THREADS; i++) {
        submitters[i] = (struct submitter){.pool = pool, .ledger = &ledger[i * each], .count = each};
        assert_int_equal(pthread_create(&submitters[i].thread, NULL, submit_all, &submitters[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) assert_int_equal(pthread_join(submitters[i].thread, NULL), 0);
    for (size_t i = 0; i < THREADS; i++) assert_int_equal(submitters[i].bad, 0);
    for (size_t i = 0; i < THREADS * each; i++) assert_int_equal(atomic_load(&ledger[i]), 1);
    tandem_stats stats = stats_of(pool);
    assert_int_equal(stats.submitted, THREADS * each);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.running, 0);
    assert_int_equal(stats.ended[TANDEM_OK] + stats.ended[TANDEM_FAILED], THREADS * each);
    assert_int_equal(sum_ended(&stats), THREADS * each);
    end_pool(pool);
}

/* promise 2: also while everything moves */
static void the_counters_add_up_at_all_times(void)
{
    struct submitter submitter = {.count = scaled(200000)};
    submitter.ledger = shared(submitter.count * sizeof *submitter.ledger);
    tandem_pool *pool = pool_of_both(2, 2);
    submitter.pool = pool;
    assert_int_equal(pthread_create(&submitter.thread, NULL, submit_all, &submitter), 0);
    size_t wrong = 0;
    while (stats_of(pool).submitted < submitter.count)
        if (!adds_up(pool)) wrong++;
    assert_int_equal(pthread_join(submitter.thread, NULL), 0);
    assert_int_equal(submitter.bad, 0);
    assert_int_equal(wrong, 0);
    assert_true(adds_up(pool));
    end_pool(pool);
}

/* ---- what is counted as what ---- */

/* promise 2 */
static void the_counters_tell_waiting_running_and_ended_apart(int isolation)
{
    enum { TASKS = 5 };
    tandem_task tasks[TASKS];
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(isolation, gate_task, &gate, sizeof gate);
        tasks[i].flags = TANDEM_NO_HELP;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        assert_true(await(&gate->entered, 1));
    }
    tandem_stats stats = stats_of(pool);
    assert_int_equal(stats.submitted, TASKS);
    assert_int_equal(stats.running, 1);
    assert_int_equal(stats.waiting, TASKS - 1);
    assert_int_equal(sum_ended(&stats), 0);
    assert_int_equal(tandem_cancel(&tasks[TASKS - 1]), 0);
    expect_end(&tasks[TASKS - 1], TANDEM_CANCELLED);
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < TASKS - 1; i++) expect_end(&tasks[i], TANDEM_OK);
    stats = stats_of(pool);
    assert_int_equal(stats.waiting + stats.running, 0);
    assert_int_equal(stats.ended[TANDEM_OK], TASKS - 1);
    assert_int_equal(stats.ended[TANDEM_CANCELLED], 1);
    for (int i = 0; i < TASKS; i++) tandem_task_clear(&tasks[i]);
    end_pool(pool);
}

static void the_counters_tell_how_many_workers_there_are(void)
{
    tandem_pool *pool = pool_of_both(3, 2);
    tandem_stats stats = stats_of(pool);
    assert_int_equal(stats.threads, 1); /* for more there is nothing to do */
    assert_int_equal(stats.workers_started, 0);
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    stats = stats_of(pool);
    assert_in_range(stats.processes, 1, 2);
    assert_in_range(stats.workers_started, 1, 2);
    assert_int_equal(stats.workers_crashed, 0);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void the_counters_tell_how_long_tasks_take(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (int i = 0; i < 1000; i++) {
        tandem_task task = task_of(isolation, nothing_task, NULL, 0);
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        tandem_task_clear(&task);
    }
    tandem_stats stats = stats_of(pool);
    assert_true(stats.run_ns_p99 > 0);
    assert_true(stats.run_ns_p50 <= stats.run_ns_p99);
    assert_true(stats.wait_ns_p50 <= stats.wait_ns_p99);
    assert_true(stats.run_ns_p99 < (uint64_t)patience_ms() * 1000000);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_million_tasks_from_four_threads_each_end_once),
        test(the_counters_add_up_at_all_times),
        both(the_counters_tell_waiting_running_and_ended_apart),
        test(the_counters_tell_how_many_workers_there_are),
        both(the_counters_tell_how_long_tasks_take),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
