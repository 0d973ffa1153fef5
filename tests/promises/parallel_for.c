/* parallel_for.c - tandem_for: every index once, whatever the grain, on threads and over shared memory in processes. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 5000 };

struct field {
    atomic_int visits[MOST];
    atomic_int parts, longest, empty;
    size_t fails_at, dies_at;
};

static int visit(tandem_context *context, size_t begin, size_t end, void *argument)
{
    struct field *field = argument;
    int length = (int)(end - begin), longest = atomic_load(&field->longest);
    if (!context || begin >= end) atomic_fetch_add(&field->empty, 1);
    atomic_fetch_add(&field->parts, 1);
    while (length > longest && !atomic_compare_exchange_weak(&field->longest, &longest, length)) continue;
    for (size_t i = begin; i < end; i++) atomic_fetch_add(&field->visits[i], 1);
    if (field->dies_at > begin && field->dies_at <= end) raise(SIGKILL);
    return field->fails_at > begin && field->fails_at <= end ? 3 : 0;
}

static int visit_all(tandem_pool *pool, size_t begin, size_t end, size_t grain, struct field *field, int isolation)
{
    return tandem_for(pool, begin, end, grain, visit, field, (tandem_isolation)isolation);
}

static struct field *field_of(tandem_pool *pool)
{
    struct field *field = tandem_shared_alloc(pool, sizeof *field);
    assert_non_null(field);
    return field;
}

static void expect_once(struct field *field, size_t begin, size_t end)
{
    for (size_t i = 0; i < MOST; i++) {
        int visits = atomic_exchange(&field->visits[i], 0);
        if (visits != (i >= begin && i < end)) fail_msg("index %zu of %zu to %zu was visited %d times", i, begin, end, visits);
    }
    assert_int_equal(atomic_load(&field->empty), 0);
}

/* promise 14 */
static void each_index_is_visited_once_for_every_grain(int isolation)
{
    static const struct {
        size_t begin, end;
    } ranges[] = {{0, 0}, {7, 7}, {0, 1}, {41, 42}, {0, 2}, {3, 10}, {0, 64}, {1, 101}, {0, MOST}, {17, MOST - 3}};
    static const size_t grains[] = {0, 1, 2, 3, 7, 16, 63, 64, 65, 1000, MOST, MOST + 1, SIZE_MAX};
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    struct field *field = field_of(pool);
    for (size_t r = 0; r < count_of(ranges); r++)
        for (size_t g = 0; g < count_of(grains); g++) {
            size_t length = ranges[r].end - ranges[r].begin, grain = grains[g];
            if (isolation == TANDEM_PROCESS && grain > 0 && length / grain > 300 && !full_run()) continue;
            atomic_store(&field->parts, 0);
            atomic_store(&field->longest, 0);
            assert_int_equal(visit_all(pool, ranges[r].begin, ranges[r].end, grain, field, isolation), 0);
            expect_once(field, ranges[r].begin, ranges[r].end);
            if (grain == 0) continue;
            assert_int_equal(atomic_load(&field->parts), length / grain + (length % grain != 0));
            assert_int_equal(atomic_load(&field->longest), length < grain ? length : grain);
        }
    end_pool(pool);
}

static int never(tandem_context *context, size_t begin, size_t end, void *argument)
{
    (void)context, (void)begin, (void)end, (void)argument;
    return 0;
}

/* promise 14 */
static void bad_use_of_a_loop_is_EINVAL(void)
{
    static int elsewhere;
    tandem_pool *pool = pool_of_both(1, 1), *threads = pool_of(TANDEM_THREAD, 1, NULL),
                *processes = pool_of(TANDEM_PROCESS, 1, NULL);
    struct field *field = field_of(pool), *others = field_of(processes);
    assert_int_equal(tandem_for(NULL, 0, 1, 1, never, NULL, TANDEM_THREAD), -EINVAL);
    assert_int_equal(tandem_for(pool, 0, 1, 1, NULL, NULL, TANDEM_THREAD), -EINVAL);
    assert_int_equal(tandem_for(pool, 1, 0, 1, never, NULL, TANDEM_THREAD), -EINVAL);
    assert_int_equal(tandem_for(pool, 1, 0, 0, never, NULL, TANDEM_PROCESS), -EINVAL);
    assert_int_equal(tandem_for(pool, 0, 1, 1, never, NULL, (tandem_isolation)2), -EINVAL);
    assert_int_equal(tandem_for(threads, 0, 1, 1, never, NULL, TANDEM_PROCESS), -EINVAL);
    assert_int_equal(tandem_for(processes, 0, 1, 1, never, NULL, TANDEM_THREAD), -EINVAL);
    assert_int_equal(tandem_for(pool, 0, 1, 1, never, &elsewhere, TANDEM_PROCESS), -EINVAL);
    assert_int_equal(tandem_for(pool, 0, 1, 1, never, others, TANDEM_PROCESS), -EINVAL);
    assert_int_equal(tandem_for(pool, 0, 1, 1, never, NULL, TANDEM_PROCESS), 0);
    assert_int_equal(tandem_for(pool, 0, 1, 1, never, &field->visits[MOST - 1], TANDEM_PROCESS), 0);
    assert_int_equal(tandem_for(pool, 0, 1, 1, never, &elsewhere, TANDEM_THREAD), 0);
    assert_int_equal(tandem_shared_free(pool, field), 0);
    assert_int_equal(tandem_for(pool, 0, 1, 1, never, field, TANDEM_PROCESS), -EINVAL);
    end_pool(processes);
    end_pool(threads);
    end_pool(pool);
}

static void a_part_that_fails_is_told_and_the_others_run(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    struct field *field = field_of(pool);
    static const size_t failing[] = {1, 50, 100};
    for (size_t i = 0; i < count_of(failing); i++)
        for (size_t grain = 0; grain <= 9; grain += 9) {
            field->fails_at = failing[i];
            assert_int_equal(visit_all(pool, 0, 100, grain, field, isolation), -ECANCELED);
            expect_once(field, 0, 100);
        }
    field->fails_at = 0;
    assert_int_equal(visit_all(pool, 0, 100, 9, field, isolation), 0);
    end_pool(pool);
}

static void a_part_that_crashes_is_told_and_the_others_run(void)
{
    tandem_options options = {.no_crash_report = 1};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, &options);
    struct field *field = field_of(pool);
    field->dies_at = 500;
    assert_int_equal(tandem_for(pool, 0, 1000, 10, visit, field, TANDEM_PROCESS), -ECANCELED);
    expect_once(field, 0, 1000);
    field->dies_at = 0;
    assert_int_equal(tandem_for(pool, 0, 1000, 10, visit, field, TANDEM_PROCESS), 0);
    expect_once(field, 0, 1000);
    end_pool(pool);
}

/* ---- a pool that is busy ---- */

static void a_loop_needs_no_thread_but_the_one_that_asks_for_it(void)
{
    struct gate gate = {0}, *input = &gate;
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    struct field *field = calloc(1, sizeof *field);
    tandem_task busy = task_of(TANDEM_THREAD, gate_task, &input, sizeof input);
    assert_non_null(field);
    assert_int_equal(tandem_submit(pool, &busy), 0);
    assert_true(await(&gate.entered, 1));
    for (size_t grain = 0; grain <= 3; grain++) {
        assert_int_equal(visit_all(pool, 0, MOST, grain, field, TANDEM_THREAD), 0);
        expect_once(field, 0, MOST);
    }
    atomic_store(&gate.opened, 1);
    expect_end(&busy, TANDEM_OK);
    tandem_task_clear(&busy);
    end_pool(pool);
    free(field);
}

struct meeting {
    atomic_int present;
    int expected;
};

static int meet(tandem_context *context, size_t begin, size_t end, void *argument)
{
    struct meeting *meeting = argument;
    (void)context, (void)begin, (void)end;
    atomic_fetch_add(&meeting->present, 1);
    return await(&meeting->present, meeting->expected) ? 0 : 1;
}

static void a_loop_has_all_threads_of_the_pool_at_once(void)
{
    for (uint32_t threads = 1; threads <= 4; threads++)
        for (size_t grain = 0; grain <= 1; grain++) {
            struct meeting meeting = {.expected = (int)threads};
            tandem_pool *pool = pool_of(TANDEM_THREAD, threads, NULL);
            assert_int_equal(tandem_for(pool, 0, threads, grain, meet, &meeting, TANDEM_THREAD), 0);
            end_pool(pool);
        }
}

static int mark_worker(void **data, void *argument)
{
    *data = argument;
    return 0;
}

static int expect_data(tandem_context *context, size_t begin, size_t end, void *argument)
{
    (void)begin, (void)end;
    return tandem_worker_data(context) == argument ? 0 : 1;
}

static void with_on_worker_start_only_pool_threads_run_parts(void)
{
    int mark;
    tandem_options options = {.on_worker_start = mark_worker, .argument = &mark};
    tandem_pool *pool = pool_of(TANDEM_THREAD, 2, &options);
    for (int i = 0; i < 100; i++) assert_int_equal(tandem_for(pool, 0, 20, (size_t)i % 2, expect_data, &mark, TANDEM_THREAD), 0);
    end_pool(pool);
}

static void a_full_queue_is_no_reason_to_leave_a_loop_half_done(int isolation)
{
    tandem_options options = {.queue_limit = 1, .when_full = TANDEM_FULL_REFUSE};
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, &options);
    struct field *field = field_of(pool);
    tandem_task busy = task_of(isolation, gate_task, &gate, sizeof gate), waits = task_of(isolation, nothing_task, NULL, 0);
    assert_int_equal(visit_all(pool, 0, 100, 1, field, isolation), 0);
    expect_once(field, 0, 100);
    assert_int_equal(tandem_submit(pool, &busy), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_submit(pool, &waits), 0);
    assert_int_equal(visit_all(pool, 0, 100, 1, field, isolation), -EAGAIN);
    expect_once(field, 0, 0); /* and nothing has run */
    atomic_store(&gate->opened, 1);
    expect_end(&busy, TANDEM_OK);
    expect_end(&waits, TANDEM_OK);
    assert_int_equal(visit_all(pool, 0, 100, 1, field, isolation), 0);
    expect_once(field, 0, 100);
    tandem_task_clear(&busy);
    tandem_task_clear(&waits);
    end_pool(pool);
}

struct rival {
    tandem_pool *pool;
    int isolation;
    atomic_int stop;
};

/* Takes whatever room there is in the queue, again and again. */
static void *fill_queue(void *argument)
{
    struct rival *rival = argument;
    tandem_task tasks[4] = {{0}};
    while (!atomic_load(&rival->stop)) {
        for (size_t i = 0; i < count_of(tasks); i++) {
            if (tandem_wait_for(&tasks[i], 0) == TANDEM_PENDING) continue;
            tandem_task_clear(&tasks[i]);
            tasks[i] = task_of(rival->isolation, nothing_task, NULL, 0);
            tandem_submit(rival->pool, &tasks[i]);
        }
    }
    for (size_t i = 0; i < count_of(tasks); i++) {
        tandem_wait(&tasks[i]);
        tandem_task_clear(&tasks[i]);
    }
    return NULL;
}

static void a_loop_that_has_begun_gets_its_turn_in_a_queue_that_others_fill(int isolation)
{
    tandem_options options = {.queue_limit = 1, .when_full = TANDEM_FULL_REFUSE};
    struct rival rival = {.pool = pool_of(isolation, 1, &options), .isolation = isolation};
    struct field *field = field_of(rival.pool);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fill_queue, &rival), 0);
    for (int i = 0; i < 10; i++) {
        int result;
        do result = visit_all(rival.pool, 0, 100, 1, field, isolation);
        while (result == -EAGAIN);
        assert_int_equal(result, 0);
        expect_once(field, 0, 100);
    }
    atomic_store(&rival.stop, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    end_pool(rival.pool);
}

static void a_draining_pool_takes_no_loop(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    struct field *field = field_of(pool);
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    assert_int_equal(visit_all(pool, 0, 100, 1, field, isolation), -ESHUTDOWN);
    assert_int_equal(visit_all(pool, 5, 5, 1, field, isolation), 0);
    expect_once(field, 0, 0);
    end_pool(pool);
}

/* ---- loops within loops ---- */

struct nest {
    tandem_pool *pool;
    int isolation;
    struct field *field;
};

static int inner_loop(tandem_context *context, size_t begin, size_t end, void *argument)
{
    struct nest *nest = argument;
    (void)context;
    for (size_t i = begin; i < end; i++)
        if (visit_all(nest->pool, i * 10, i * 10 + 10, 3, nest->field, nest->isolation) != 0) return __LINE__;
    return 0;
}

static void a_loop_may_run_within_a_loop_on_threads(int isolation)
{
    for (uint32_t threads = 1; threads <= 3; threads++) {
        tandem_pool *pool = pool_of_both(threads, 1);
        struct nest nest = {pool, isolation, field_of(pool)};
        assert_int_equal(tandem_for(pool, 0, 20, 1, inner_loop, &nest, TANDEM_THREAD), 0);
        expect_once(nest.field, 0, 200);
        end_pool(pool);
    }
}

struct loops {
    tandem_pool *pool;
    int isolation;
};

static void *loop_thread(void *argument)
{
    struct loops *loops = argument;
    struct field *field = tandem_shared_alloc(loops->pool, sizeof *field);
    bool well = field != NULL;
    for (int i = 0; well && i < 10; i++) {
        well = visit_all(loops->pool, 0, 100, 7, field, loops->isolation) == 0;
        for (size_t k = 0; well && k < 100; k++) well = atomic_load(&field->visits[k]) == i + 1;
    }
    return well && tandem_shared_free(loops->pool, field) == 0 ? argument : NULL;
}

static void loops_of_several_threads_do_not_disturb_each_other(int isolation)
{
    struct loops loops = {pool_of(isolation, 2, NULL), isolation};
    pthread_t threads[3];
    void *well;
    for (size_t i = 0; i < count_of(threads); i++) assert_int_equal(pthread_create(&threads[i], NULL, loop_thread, &loops), 0);
    for (size_t i = 0; i < count_of(threads); i++) {
        assert_int_equal(pthread_join(threads[i], &well), 0);
        assert_non_null(well);
    }
    end_pool(loops.pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(each_index_is_visited_once_for_every_grain),
        test(bad_use_of_a_loop_is_EINVAL),
        both(a_part_that_fails_is_told_and_the_others_run),
        test(a_part_that_crashes_is_told_and_the_others_run),
        test(a_loop_needs_no_thread_but_the_one_that_asks_for_it),
        test(a_loop_has_all_threads_of_the_pool_at_once),
        test(with_on_worker_start_only_pool_threads_run_parts),
        both(a_full_queue_is_no_reason_to_leave_a_loop_half_done),
        both(a_loop_that_has_begun_gets_its_turn_in_a_queue_that_others_fill),
        both(a_draining_pool_takes_no_loop),
        both(a_loop_may_run_within_a_loop_on_threads),
        both(loops_of_several_threads_do_not_disturb_each_other),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
