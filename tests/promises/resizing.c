/* resizing.c - a pool has as many threads as its load needs, from one up to `threads`. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

enum { THREADS = 4, TASKS = 10 };

/* So many tasks that do not end: there are as many threads as may be, and no more.  Their input is where the gate stands. */
static void fill(tandem_pool *pool, struct gate **where, tandem_task *tasks)
{
    struct gate *gate = *where;
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(TANDEM_THREAD, gate_task, where, sizeof *where);
        tasks[i].flags = TANDEM_NO_HELP;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&gate->entered, THREADS));
    assert_int_equal(stats_of(pool).threads, THREADS);
    assert_int_equal(atomic_load(&gate->entered), THREADS);
}

static void open_and_expect(struct gate *gate, tandem_task *tasks)
{
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < TASKS; i++) expect_end(&tasks[i], TANDEM_OK);
    assert_int_equal(atomic_load(&gate->left), TASKS);
}

static void fill_and_empty(tandem_pool *pool)
{
    struct gate closed = {0}, *gate = &closed;
    tandem_task tasks[TASKS];
    fill(pool, &gate, tasks);
    open_and_expect(gate, tasks);
}

/* promise 4 */
static void a_pool_begins_with_one_thread_and_has_all_when_it_is_full(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, THREADS, NULL);
    assert_int_equal(stats_of(pool).threads, 1);
    fill_and_empty(pool);
    end_pool(pool);
}

static void a_task_that_never_ends_keeps_none_from_running(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 2, NULL);
    struct gate closed = {0}, *gate = &closed;
    tandem_task first = task_of(TANDEM_THREAD, gate_task, &gate, sizeof gate);
    assert_int_equal(tandem_submit(pool, &first), 0);
    assert_true(await(&gate->entered, 1));
    for (int i = 0; i < 100; i++) {
        tandem_task task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
        task.flags = TANDEM_NO_HELP;
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    }
    assert_int_equal(stats_of(pool).threads, 2);
    atomic_store(&gate->opened, 1);
    expect_end(&first, TANDEM_OK);
    end_pool(pool);
}

/* promise 4 */
static void threads_with_nothing_to_do_end_after_idle_ms_but_for_one(void)
{
    tandem_options options = {.idle_ms = 1};
    tandem_pool *pool = pool_of(TANDEM_THREAD, THREADS, &options);
    for (size_t i = 0; i < scaled(1000); i++) {
        fill_and_empty(pool);
        wait_until(stats_of(pool).threads == 1);
    }
    end_pool(pool);
}

/* ---- whose start and stop are called ---- */

static struct {
    atomic_int starts, stops, complaints, meets, meeting, fails;
} records;

static _Thread_local int lives; /* 1: started; 2: stopped */

static int start(void **data, void *argument)
{
    (void)argument;
    int number = atomic_fetch_add(&records.starts, 1);
    if (number > 0 && atomic_load(&records.fails)) return EAGAIN;
    if (number > 0 && atomic_load(&records.meets) > 0) {
        atomic_fetch_add(&records.meeting, 1);
        if (!await(&records.meeting, atomic_load(&records.meets))) atomic_fetch_add(&records.complaints, 1);
    }
    if (lives != 0) atomic_fetch_add(&records.complaints, 1);
    lives = 1;
    *data = &lives;
    return 0;
}

static void stop(void *data, void *argument)
{
    (void)argument;
    if (data != &lives || lives != 1) atomic_fetch_add(&records.complaints, 1);
    lives = 2;
    atomic_fetch_add(&records.stops, 1);
}

static const tandem_options with_hooks = {.idle_ms = 1, .on_worker_start = start, .on_worker_stop = stop};

static void each_thread_that_begins_is_started_once_and_each_that_ends_is_stopped_once(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, THREADS, &with_hooks);
    for (size_t i = 0; i < scaled(1000); i++) {
        fill_and_empty(pool);
        wait_until(stats_of(pool).threads == 1);
    }
    wait_until(atomic_load(&records.starts) == atomic_load(&records.stops) + 1);
    assert_true(atomic_load(&records.starts) >= THREADS);
    end_pool(pool);
    assert_int_equal(atomic_load(&records.starts), atomic_load(&records.stops));
    assert_int_equal(atomic_load(&records.complaints), 0);
}

/* Each waits in on_worker_start until all the others are there. */
static void threads_that_are_slow_to_start_do_so_side_by_side(void)
{
    atomic_store(&records.meets, THREADS - 1);
    tandem_pool *pool = pool_of(TANDEM_THREAD, THREADS, &with_hooks);
    fill_and_empty(pool);
    end_pool(pool);
    assert_int_equal(atomic_load(&records.complaints), 0);
}

static void a_pool_goes_on_with_the_threads_that_could_start_and_tries_again(void)
{
    atomic_store(&records.fails, 1);
    tandem_pool *pool = pool_of(TANDEM_THREAD, THREADS, &with_hooks);
    struct gate closed = {0}, *gate = &closed;
    tandem_task first = task_of(TANDEM_THREAD, gate_task, &gate, sizeof gate), second = first;
    assert_int_equal(tandem_submit(pool, &first), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_submit(pool, &second), 0);
    wait_until(atomic_load(&records.starts) > 1);
    assert_int_equal(atomic_load(&gate->entered), 1);
    atomic_store(&gate->opened, 1);
    expect_end(&first, TANDEM_OK);
    expect_end(&second, TANDEM_OK);
    atomic_store(&records.fails, 0);
    atomic_store(&gate->opened, 0);
    atomic_store(&gate->entered, 0);
    tandem_task tasks[100];
    for (int i = 0; i < 100; i++) tasks[i] = first;
    for (int i = 0; i < 100 && atomic_load(&gate->entered) < THREADS; i++) { /* it is tried again when one comes */
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        moment();
    }
    assert_true(await(&gate->entered, THREADS));
    atomic_store(&gate->opened, 1);
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    end_pool(pool);
    assert_int_equal(atomic_load(&records.complaints), 0);
}

static int nest_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)size;
    tandem_task task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    task.flags = TANDEM_NO_HELP;
    return tandem_call(*(tandem_pool **)input, &task) == TANDEM_OK ? 0 : __LINE__;
}

static void a_thread_that_stands_in_for_one_that_waits_tries_again_too(void)
{
    atomic_store(&records.fails, 1);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, &with_hooks);
    tandem_task task = task_of(TANDEM_THREAD, nest_task, &pool, sizeof(tandem_pool *));
    assert_int_equal(tandem_submit(pool, &task), 0);
    wait_until(atomic_load(&records.starts) > 2);
    assert_int_equal(tandem_wait_for(&task, 0), TANDEM_PENDING);
    atomic_store(&records.fails, 0);
    expect_end(&task, TANDEM_OK);
    end_pool(pool);
    assert_int_equal(atomic_load(&records.complaints), 0);
}

/* ---- while threads end ---- */

static struct gate ends;

static void end_slowly(void *data, void *argument)
{
    (void)data, (void)argument;
    atomic_fetch_add(&ends.entered, 1);
    await(&ends.opened, 1);
}

/* One of two threads, both of which had such a task, is slow about its end; the other has another. */
static void have_one_end(tandem_pool *pool, tandem_fn *function, struct gate *const *gate, tandem_task busy[2])
{
    for (int i = 0; i < 2; i++) {
        busy[i] = task_of(TANDEM_THREAD, function, (void *)(uintptr_t)gate, sizeof *gate);
        assert_int_equal(tandem_submit(pool, &busy[i]), 0);
    }
    assert_true(await(&(*gate)->entered, 2));
    atomic_store(&(*gate)->opened, 1);
    for (int i = 0; i < 2; i++) expect_end(&busy[i], TANDEM_OK);
    assert_true(await(&ends.entered, 1));
    atomic_store(&(*gate)->opened, 0);
    assert_int_equal(tandem_submit(pool, &busy[0]), 0);
    assert_true(await(&(*gate)->entered, 3));
}

/* The first is busy; the second is in its on_worker_stop when a task comes. */
static void a_task_that_comes_while_a_thread_ends_has_another_begin(void)
{
    tandem_options options = {.idle_ms = 1, .on_worker_stop = end_slowly};
    tandem_pool *pool = pool_of(TANDEM_THREAD, 2, &options);
    struct gate closed = {0}, *gate = &closed;
    tandem_task busy[2], task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    task.flags = TANDEM_NO_HELP;
    have_one_end(pool, gate_task, &gate, busy);
    assert_int_equal(tandem_submit(pool, &task), 0);
    atomic_store(&ends.opened, 1);
    assert_int_equal(tandem_wait_for(&task, patience_ms()), TANDEM_OK);
    atomic_store(&gate->opened, 1);
    expect_end(&busy[0], TANDEM_OK);
    end_pool(pool);
}

static pthread_key_t key;

static void destroy_slowly(void *data)
{
    (void)data;
    atomic_fetch_add(&ends.entered, 1);
    await(&ends.opened, 1);
}

static int end_slowly_task(tandem_context *context, void *input, size_t size)
{
    return pthread_setspecific(key, &key) == 0 ? gate_task(context, input, size) : __LINE__;
}

/* The first is busy; the second has ended but for what the program has it do then when a task comes, and waits for that in vain. */
static void a_thread_that_is_slow_to_end_keeps_no_task_from_those_that_sleep(void)
{
    tandem_options options = {.idle_ms = 1};
    tandem_pool *pool = pool_of(TANDEM_THREAD, 2, &options);
    struct gate closed = {0}, *gate = &closed;
    tandem_task busy[2], task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    task.flags = TANDEM_NO_HELP;
    assert_int_equal(pthread_key_create(&key, destroy_slowly), 0);
    have_one_end(pool, end_slowly_task, &gate, busy);
    assert_int_equal(tandem_submit(pool, &task), 0); /* begins one more */
    atomic_store(&gate->opened, 1);
    expect_end(&busy[0], TANDEM_OK);
    for (int i = 0; i < 20; i++) { /* the first sleeps in between */
        assert_int_equal(tandem_wait_for(&task, patience_ms()), TANDEM_OK);
        moment();
        assert_int_equal(tandem_submit(pool, &task), 0);
    }
    assert_int_equal(tandem_wait_for(&task, patience_ms()), TANDEM_OK);
    assert_int_equal(atomic_load(&ends.entered), 1);
    atomic_store(&ends.opened, 1);
    end_pool(pool);
    assert_int_equal(pthread_key_delete(key), 0);
}

static int begin_slowly(void **data, void *argument)
{
    (void)data, (void)argument;
    if (atomic_fetch_add(&ends.entered, 1) > 0 && !await(&ends.opened, 1)) atomic_fetch_add(&ends.left, 1);
    return 0;
}

/* promise 4 */
static void the_last_that_is_ready_stays_while_another_is_slow_to_begin(void)
{
    tandem_options options = {.idle_ms = 1, .on_worker_start = begin_slowly};
    tandem_pool *pool = pool_of(TANDEM_THREAD, 2, &options);
    struct gate closed = {0}, *gate = &closed;
    tandem_task busy = task_of(TANDEM_THREAD, gate_task, &gate, sizeof gate), task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &busy), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&ends.entered, 2));
    atomic_store(&gate->opened, 1);
    expect_end(&busy, TANDEM_OK);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(tandem_wait_for(&task, patience_ms()), TANDEM_OK);
        moment(); /* about as long as idle_ms */
        moment();
        assert_int_equal(tandem_submit(pool, &task), 0);
    }
    assert_int_equal(tandem_wait_for(&task, patience_ms()), TANDEM_OK);
    assert_int_equal(atomic_load(&ends.left), 0); /* it has not come meanwhile */
    atomic_store(&ends.opened, 1);
    end_pool(pool);
}

static void count_the_last_deed(void *data)
{
    if (data != &key)
        for (int i = 0; i < 50; i++) moment(); /* longer than all else takes */
    atomic_fetch_add(&ends.left, 1);
}

static int begin_to_be_counted(void **data, void *argument)
{
    (void)data, (void)argument;
    return pthread_setspecific(key, atomic_fetch_add(&ends.entered, 1) == 0 ? (void *)&key : (void *)&ends);
}

/* Sleeps for the first time when the pool's end, by the program's first thread, waits for this one already; until one more has begun. */
static int sleep_at_last_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    uint32_t word = 0;
    atomic_fetch_add(&ends.opened, 1);
    while (!tandem_cancelled(context) || !thread_sleeps(getpid())) moment();
    while (atomic_load(&ends.entered) < 2) tandem_atomic_wait(&word, 0, 1);
    return 0;
}

/* promise 4 */
static void a_thread_that_stands_in_while_the_pool_ends_is_gone_when_that_has_ended(void)
{
    skip_without("/proc/self/task", "nobody tells which thread sleeps");
    tandem_options options = {.on_worker_start = begin_to_be_counted};
    assert_int_equal(pthread_key_create(&key, count_the_last_deed), 0);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, &options);
    tandem_task task = task_of(TANDEM_THREAD, sleep_at_last_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&ends.opened, 1));
    end_pool(pool);
    assert_true(atomic_load(&ends.entered) >= 2); /* more, where one that began slowly was of no use any more by then */
    assert_int_equal(atomic_load(&ends.left), atomic_load(&ends.entered));
    expect_end(&task, TANDEM_OK);
    assert_int_equal(pthread_key_delete(key), 0);
}

struct bursts {
    tandem_pool *pool;
    size_t rounds;
    int complaint;
};

static void *submit_bursts(void *argument)
{
    struct bursts *bursts = argument;
    tandem_task tasks[8];
    for (size_t round = 0; round < bursts->rounds; round++) {
        atomic_int runs = 0, *pointer = &runs;
        size_t count = 1 + round % 8;
        for (size_t i = 0; i < count; i++) {
            tasks[i] = task_of(TANDEM_THREAD, count_task, &pointer, sizeof pointer);
            tasks[i].flags = TANDEM_NO_HELP;
            if (tandem_submit(bursts->pool, &tasks[i]) != 0) bursts->complaint = __LINE__;
        }
        for (size_t i = 0; i < count; i++)
            if (tandem_wait_for(&tasks[i], patience_ms()) != TANDEM_OK) bursts->complaint = __LINE__;
        if (bursts->complaint != 0) return NULL; /* its tasks lie here: the end of the pool is not safe any more */
        if ((size_t)atomic_load(&runs) != count) bursts->complaint = __LINE__;
        if (round % 3 != 0) moment(); /* about as long as idle_ms */
    }
    return NULL;
}

static void tasks_that_come_while_threads_end_run(void)
{
    tandem_options options = {.idle_ms = 1};
    tandem_pool *pool = pool_of(TANDEM_THREAD, THREADS, &options);
    struct bursts bursts[2] = {{.pool = pool, .rounds = scaled(20000)}, {.pool = pool, .rounds = scaled(20000)}};
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, submit_bursts, &bursts[0]), 0);
    submit_bursts(&bursts[1]);
    pthread_join(other, NULL);
    for (int i = 0; i < 2; i++) assert_int_equal(bursts[i].complaint, 0);
    end_pool(pool);
}

static void a_pool_ends_while_threads_begin_and_end(void)
{
    for (size_t i = 0; i < scaled(20000); i++) {
        tandem_pool *pool = pool_of(TANDEM_THREAD, THREADS, &with_hooks);
        tandem_task tasks[TASKS];
        for (int k = 0; k < TASKS; k++) {
            tasks[k] = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
            assert_int_equal(tandem_submit(pool, &tasks[k]), 0);
        }
        if (i % 2 == 0) wait_until(stats_of(pool).running + stats_of(pool).waiting == 0);
        if (i % 4 == 0) moment();
        end_pool(pool);
        assert_int_equal(atomic_load(&records.starts), atomic_load(&records.stops));
    }
    assert_int_equal(atomic_load(&records.complaints), 0);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_pool_begins_with_one_thread_and_has_all_when_it_is_full),
        test(a_task_that_never_ends_keeps_none_from_running),
        test(threads_with_nothing_to_do_end_after_idle_ms_but_for_one),
        test(each_thread_that_begins_is_started_once_and_each_that_ends_is_stopped_once),
        test(threads_that_are_slow_to_start_do_so_side_by_side),
        test(a_pool_goes_on_with_the_threads_that_could_start_and_tries_again),
        test(a_thread_that_stands_in_for_one_that_waits_tries_again_too),
        test(a_task_that_comes_while_a_thread_ends_has_another_begin),
        test(a_thread_that_is_slow_to_end_keeps_no_task_from_those_that_sleep),
        test(the_last_that_is_ready_stays_while_another_is_slow_to_begin),
        test(a_thread_that_stands_in_while_the_pool_ends_is_gone_when_that_has_ended),
        test(tasks_that_come_while_threads_end_run),
        test(a_pool_ends_while_threads_begin_and_end),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
