/* priorities.c - tasks that go before others: the high overtake, and none waits for ever. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1200 };

/* What a task did is seen by the number of those before it. */
struct place {
    atomic_int *runs;  /* of all tasks */
    atomic_int *order; /* its own: how many had run, 0: it has not */
};

static int place_task(tandem_context *context, void *input, size_t size)
{
    struct place place;
    (void)context;
    memcpy(&place, input, size);
    atomic_store(place.order, atomic_fetch_add(place.runs, 1) + 1);
    return 0;
}

/* A pool with one worker that is held up, and tasks that wait behind it. */
struct queue {
    tandem_pool *pool;
    int isolation;
    tandem_task holding;
    struct gate *gate;
    atomic_int *runs, *orders;
    tandem_task tasks[MOST];
    struct place places[MOST];
    int count;
};

static struct queue *begin(int isolation)
{
    static struct queue queue;
    queue.isolation = isolation;
    queue.gate = shared(sizeof *queue.gate);
    queue.runs = shared((MOST + 1) * sizeof *queue.runs);
    queue.orders = queue.runs + 1;
    queue.pool = pool_of(isolation, 1, NULL);
    queue.holding = task_of(isolation, gate_task, &queue.gate, sizeof queue.gate);
    assert_int_equal(tandem_submit(queue.pool, &queue.holding), 0);
    assert_true(await(&queue.gate->entered, 1));
    return &queue;
}

/* Its number. */
static int add(struct queue *queue, int priority)
{
    int i = queue->count++;
    queue->places[i] = (struct place){queue->runs, &queue->orders[i]};
    queue->tasks[i] = task_of(queue->isolation, place_task, &queue->places[i], sizeof(struct place));
    queue->tasks[i].flags = TANDEM_NO_HELP;
    queue->tasks[i].priority = priority;
    assert_int_equal(tandem_submit(queue->pool, &queue->tasks[i]), 0);
    return i;
}

static void let_all_run(struct queue *queue)
{
    atomic_store(&queue->gate->opened, 1);
    expect_end(&queue->holding, TANDEM_OK);
    tandem_task_clear(&queue->holding);
    for (int i = 0; i < queue->count; i++) tandem_wait(&queue->tasks[i]);
}

static void end(struct queue *queue)
{
    for (int i = 0; i < queue->count; i++) tandem_task_clear(&queue->tasks[i]);
    end_pool(queue->pool);
}

static int order_of(struct queue *queue, int number) { return atomic_load(&queue->orders[number]); }

/* promise 10 */
static void the_high_go_before_the_usual_and_these_before_the_low_each_in_their_order(int isolation)
{
    struct queue *queue = begin(isolation);
    for (int i = 0; i < 5; i++)
        for (int priority = -1; priority <= 1; priority++) add(queue, priority);
    let_all_run(queue);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(order_of(queue, 3 * i + 2), i + 1);
        assert_int_equal(order_of(queue, 3 * i + 1), 5 + i + 1);
        assert_int_equal(order_of(queue, 3 * i), 10 + i + 1);
    }
    end(queue);
}

/* promise 10 */
static void a_low_and_a_usual_one_are_let_through_between_many_high(int isolation)
{
    struct queue *queue = begin(isolation);
    int low = add(queue, -1), usual = add(queue, 0);
    for (int i = 0; i < 1000; i++) add(queue, 1);
    let_all_run(queue);
    assert_in_range(order_of(queue, usual), 2, 20);
    assert_in_range(order_of(queue, low), 30, 70);
    end(queue);
}

/* promise 10 */
static void a_low_one_is_let_through_between_many_usual(int isolation)
{
    struct queue *queue = begin(isolation);
    for (int i = 0; i < 500; i++) add(queue, 0);
    int low = add(queue, -1);
    for (int i = 0; i < 500; i++) add(queue, 0);
    let_all_run(queue);
    assert_in_range(order_of(queue, low), 2, 100);
    end(queue);
}

struct stream {
    tandem_pool *pool;
    atomic_int stop, runs;
};

static void submit_again(tandem_task *task)
{
    struct stream *stream = task->user_data;
    atomic_fetch_add(&stream->runs, 1);
    tandem_task_clear(task);
    if (!atomic_load(&stream->stop)) tandem_submit(stream->pool, task);
}

/* promise 10 */
static void a_low_one_ends_under_a_constant_stream_of_high(int isolation)
{
    enum { HIGH = 40, LOW = 20 };
    static tandem_task high[HIGH], low[LOW];
    struct stream stream = {.pool = pool_of(isolation, 2, NULL)};
    for (int i = 0; i < HIGH; i++) {
        high[i] = task_of(isolation, nothing_task, NULL, 0);
        high[i].priority = 1;
        high[i].on_done = submit_again;
        high[i].user_data = &stream;
        assert_int_equal(tandem_submit(stream.pool, &high[i]), 0);
    }
    for (int i = 0; i < LOW; i++) {
        low[i] = task_of(isolation, nothing_task, NULL, 0);
        low[i].priority = -1;
        low[i].flags = TANDEM_NO_HELP;
        assert_int_equal(tandem_submit(stream.pool, &low[i]), 0);
    }
    for (int i = 0; i < LOW; i++) {
        expect_end(&low[i], TANDEM_OK);
        tandem_task_clear(&low[i]);
    }
    atomic_store(&stream.stop, 1);
    assert_int_equal(tandem_pool_drain(stream.pool, -1), 0);
    end_pool(stream.pool);
}

/* A thread takes a few from a long queue at once. */
static void a_high_one_goes_before_those_that_a_thread_has_taken_and_not_begun(void)
{
    struct queue *queue = begin(TANDEM_THREAD);
    struct gate second = {0}, *input = &second;
    tandem_task first = task_of(TANDEM_THREAD, gate_task, &input, sizeof input);
    assert_int_equal(tandem_submit(queue->pool, &first), 0);
    for (int i = 0; i < 1000; i++) add(queue, 0);
    atomic_store(&queue->gate->opened, 1);
    assert_true(await(&second.entered, 1));
    int high = add(queue, 1);
    atomic_store(&second.opened, 1);
    expect_end(&first, TANDEM_OK);
    let_all_run(queue);
    assert_int_equal(order_of(queue, high), 1);
    for (int i = 0; i < 1000; i++) assert_int_equal(order_of(queue, i), i + 2);
    end(queue);
}

/* ---- all the rest is as for any task ---- */

static void ranked_tasks_can_be_cancelled_expire_and_be_cleared_away(int isolation)
{
    struct queue *queue = begin(isolation);
    for (int i = 0; i < 30; i++) add(queue, i % 3 - 1);
    for (int i = 0; i < 30; i += 2) assert_int_equal(tandem_cancel(&queue->tasks[i]), 0);
    for (int i = 0; i < 30; i += 2) expect_end(&queue->tasks[i], TANDEM_CANCELLED);
    tandem_task late = task_of(isolation, nothing_task, NULL, 0);
    late.queue_timeout_ms = 20;
    late.priority = 1;
    late.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(queue->pool, &late), 0);
    expect_end(&late, TANDEM_EXPIRED);
    late.priority = -1;
    assert_int_equal(tandem_submit(queue->pool, &late), 0);
    expect_end(&late, TANDEM_EXPIRED);
    assert_int_equal(stats_of(queue->pool).waiting, 15);
    let_all_run(queue);
    for (int i = 1; i < 30; i += 2) assert_int_equal(queue->tasks[i].status, TANDEM_OK);
    tandem_task_clear(&late);
    end(queue);
    assert_int_equal(atomic_load(queue->runs), 15);
}

static void who_waits_for_a_ranked_task_may_run_it(void)
{
    struct queue *queue = begin(TANDEM_THREAD);
    for (int priority = -1; priority <= 1; priority++) {
        tandem_task task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
        task.priority = priority;
        assert_int_equal(tandem_submit(queue->pool, &task), 0);
        expect_end(&task, TANDEM_OK); /* the only thread is held up */
    }
    let_all_run(queue);
    end(queue);
}

static void a_pool_that_ends_cancels_ranked_tasks_that_wait(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task spinning = task_of(isolation, spin_task, &gate, sizeof gate), tasks[9];
    assert_int_equal(tandem_submit(pool, &spinning), 0);
    assert_true(await(&gate->entered, 1));
    for (int i = 0; i < 9; i++) {
        tasks[i] = task_of(isolation, nothing_task, NULL, 0);
        tasks[i].priority = i % 3 - 1;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    end_pool(pool);
    for (int i = 0; i < 9; i++) {
        expect_end(&tasks[i], TANDEM_CANCELLED);
        tandem_task_clear(&tasks[i]);
    }
    tandem_task_clear(&spinning);
}

static void a_queue_is_full_of_whatever_priority(int isolation)
{
    tandem_options options = {.queue_limit = 3, .when_full = TANDEM_FULL_REFUSE};
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, &options);
    tandem_task holding = task_of(isolation, gate_task, &gate, sizeof gate), tasks[4];
    assert_int_equal(tandem_submit(pool, &holding), 0);
    assert_true(await(&gate->entered, 1));
    for (int i = 0; i < 4; i++) {
        tasks[i] = task_of(isolation, nothing_task, NULL, 0);
        tasks[i].priority = i % 3 - 1;
        assert_int_equal(tandem_submit(pool, &tasks[i]), i < 3 ? 0 : -EAGAIN);
    }
    atomic_store(&gate->opened, 1);
    expect_end(&holding, TANDEM_OK);
    tandem_task_clear(&holding);
    for (int i = 0; i < 3; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    end_pool(pool);
}

/* promises 2 and 17 */
static void tasks_of_all_priorities_end_once(int isolation)
{
    enum { WINDOW = 200 };
    static tandem_task tasks[WINDOW];
    static atomic_int *cells[WINDOW];
    atomic_int *runs = shared(WINDOW * sizeof *runs);
    tandem_pool *pool = pool_of(isolation, 3, NULL);
    uint32_t random = 4711;
    for (size_t round = 0; round < scaled(5000); round++) {
        for (int i = 0; i < WINDOW; i++) {
            random = random * 1664525u + 1013904223u;
            cells[i] = &runs[i];
            atomic_store(&runs[i], 0);
            tasks[i] = task_of(isolation, count_task, &cells[i], sizeof cells[i]);
            tasks[i].priority = (int32_t)((random >> 8) % 3) - 1;
            if (random >> 28 == 0) tasks[i].priority = 0;
            if ((random >> 16) % 4 == 0) tasks[i].flags = TANDEM_NO_HELP;
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
            if ((random >> 20) % 8 == 0) tandem_cancel(&tasks[(random >> 8) % (unsigned)(i + 1)]);
        }
        for (int i = 0; i < WINDOW; i++) {
            int status = tandem_wait(&tasks[i]);
            assert_true(status == TANDEM_OK || status == TANDEM_CANCELLED);
            assert_in_range(atomic_load(&runs[i]), status == TANDEM_OK, 1);
            tandem_task_clear(&tasks[i]);
        }
    }
    assert_int_equal(stats_of(pool).waiting, 0);
    end_pool(pool);
}

static atomic_int bulk_over;

static void *submits_high_ones(void *pool)
{
    while (!atomic_load(&bulk_over)) {
        tandem_task task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
        task.flags = TANDEM_NO_HELP;
        task.priority = 1;
        if (tandem_call(pool, &task) != TANDEM_OK) return pool;
    }
    return NULL;
}

/* Threads have as many in hand as they can, which lie there while others go before them. */
static void high_ones_amid_many_usual_ones_leave_none_behind(void)
{
    enum { TASKS = 20000 };
    tandem_pool *pool = pool_of(TANDEM_THREAD, 3, NULL);
    tandem_task *tasks = calloc(TASKS, sizeof *tasks);
    void *failed;
    pthread_t thread;
    assert_non_null(tasks);
    atomic_store(&bulk_over, 0);
    assert_int_equal(pthread_create(&thread, NULL, submits_high_ones, pool), 0);
    for (size_t round = 0; round < scaled(6000); round++) {
        for (int i = 0; i < TASKS; i++) {
            tasks[i] = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
            tasks[i].flags = TANDEM_NO_HELP;
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        }
        for (int i = 0; i < TASKS; i++) expect_end(&tasks[i], TANDEM_OK);
    }
    atomic_store(&bulk_over, 1);
    pthread_join(thread, &failed);
    assert_null(failed);
    free(tasks);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(the_high_go_before_the_usual_and_these_before_the_low_each_in_their_order),
        both(a_low_and_a_usual_one_are_let_through_between_many_high),
        both(a_low_one_is_let_through_between_many_usual),
        both(a_low_one_ends_under_a_constant_stream_of_high),
        test(a_high_one_goes_before_those_that_a_thread_has_taken_and_not_begun),
        both(ranked_tasks_can_be_cancelled_expire_and_be_cleared_away),
        test(who_waits_for_a_ranked_task_may_run_it),
        both(a_pool_that_ends_cancels_ranked_tasks_that_wait),
        both(a_queue_is_full_of_whatever_priority),
        both(tasks_of_all_priorities_end_once),
        test(high_ones_amid_many_usual_ones_leave_none_behind),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
