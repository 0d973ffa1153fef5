/* event_loop.c - callbacks_by_host: a descriptor to poll, and callbacks only when and where the host asks for them. */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

static struct {
    tandem_pool *pool;
    int calls;  /* plain: all callbacks run on the test's own thread, as the thread checker confirms */
    int strays; /* callbacks on another thread */
    pthread_t host;
} loop;

static const tandem_options by_host = {.callbacks_by_host = 1};

static void begin_loop(int isolation, uint32_t workers)
{
    loop.pool = pool_of(isolation, workers, &by_host);
    loop.host = pthread_self();
}

static void note(tandem_task *task)
{
    loop.calls++;
    if (!pthread_equal(pthread_self(), loop.host)) loop.strays++;
    tandem_task_clear(task);
}

static bool readable(int timeout_ms)
{
    struct pollfd one = {.fd = tandem_fd(loop.pool), .events = POLLIN};
    int ready;
    do ready = poll(&one, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    return ready == 1 && (one.revents & POLLIN) != 0;
}

static void submit_noted(tandem_task *task, int isolation, void (*on_done)(tandem_task *))
{
    *task = task_of(isolation, nothing_task, NULL, 0);
    task->on_done = on_done;
    assert_int_equal(tandem_submit(loop.pool, task), 0);
}

static void all_ended(uint64_t count) { wait_until(stats_of(loop.pool).ended[TANDEM_OK] == count); }

/* promise 7 */
static void the_descriptor_is_readable_exactly_while_callbacks_wait(int isolation)
{
    tandem_task tasks[3];
    begin_loop(isolation, 1);
    assert_true(tandem_fd(loop.pool) >= 0);
    for (int round = 1; round <= 20; round++) {
        assert_false(readable(0));
        assert_int_equal(tandem_run_callbacks(loop.pool, 0), 0);
        for (int i = 0; i < 3; i++) submit_noted(&tasks[i], isolation, note);
        assert_true(readable((int)patience_ms()));
        all_ended((uint64_t)round * 3);
        for (int i = 0; i < 3; i++) {
            assert_true(readable((int)patience_ms())); /* level-triggered: it stays so until the last has run */
            assert_int_equal(tandem_run_callbacks(loop.pool, 1), 1);
        }
        assert_int_equal(loop.calls, round * 3);
    }
    assert_false(readable(0));
    assert_int_equal(loop.strays, 0);
    end_pool(loop.pool);
}

/* promise 7 */
static void tasks_without_a_callback_do_not_make_it_readable(int isolation)
{
    begin_loop(isolation, 1);
    tandem_task task = task_of(isolation, nothing_task, NULL, 0);
    for (int i = 0; i < 10; i++) assert_int_equal(tandem_call(loop.pool, &task), TANDEM_OK);
    assert_false(readable(0));
    tandem_task_clear(&task);
    end_pool(loop.pool);
}

/* promise 7 */
static void a_hundred_thousand_completions_never_fill_it(int isolation)
{
    const size_t count = scaled(100000);
    tandem_task *tasks = calloc(count, sizeof *tasks);
    assert_non_null(tasks);
    begin_loop(isolation, 2);
    for (size_t i = 0; i < count; i++) submit_noted(&tasks[i], isolation, note);
    all_ended(count);
    assert_int_equal(loop.calls, 0);
    assert_true(readable((int)patience_ms()));
    size_t ran = 0;
    while (ran < count) {
        assert_true(readable((int)patience_ms()));
        int now = tandem_run_callbacks(loop.pool, 0);
        assert_true(now > 0);
        ran += (size_t)now;
    }
    assert_int_equal(loop.calls, count);
    assert_int_equal(loop.strays, 0);
    assert_false(readable(0));
    free(tasks);
    end_pool(loop.pool);
}

/* promise 7 */
static void run_callbacks_runs_at_most_so_many(void)
{
    enum { TASKS = 10 };
    tandem_task tasks[TASKS];
    begin_loop(TANDEM_THREAD, 1);
    for (int i = 0; i < TASKS; i++) submit_noted(&tasks[i], TANDEM_THREAD, note);
    all_ended(TASKS);
    int ran = 0;
    while (ran < 7) { /* an ended task's callback may be a moment behind its count */
        int now = tandem_run_callbacks(loop.pool, (size_t)(7 - ran));
        assert_in_range(now, 0, 7 - ran);
        ran += now;
    }
    assert_int_equal(loop.calls, 7);
    assert_true(readable((int)patience_ms()));
    while (ran < TASKS) ran += tandem_run_callbacks(loop.pool, 0);
    assert_int_equal(loop.calls, TASKS);
    end_pool(loop.pool);
}

static bool shut;

static void note_and_submit_again(tandem_task *task)
{
    note(task);
    if (!shut && tandem_submit(loop.pool, task) != 0) loop.strays++;
}

/* Each callback makes new work; a round of the loop still ends. */
static void callbacks_that_make_callbacks_do_not_hold_the_loop(int isolation)
{
    enum { TASKS = 4 };
    tandem_task tasks[TASKS];
    begin_loop(isolation, 2);
    for (int i = 0; i < TASKS; i++) submit_noted(&tasks[i], isolation, note_and_submit_again);
    for (int rounds = 0; rounds < (int)scaled(20000); rounds++) {
        assert_true(readable((int)patience_ms()));
        assert_in_range(tandem_run_callbacks(loop.pool, 0), 1, TASKS);
    }
    shut = true;
    end_pool(loop.pool);
    assert_int_equal(loop.strays, 0);
}

static void *submit_from_outside(void *argument)
{
    tandem_task *tasks = argument;
    for (int i = 0; i < 100; i++)
        if (tandem_submit(loop.pool, &tasks[i]) != 0) return "a submit was refused";
    return NULL;
}

/* promise 7 */
static void a_loop_serves_what_other_threads_submit(int isolation)
{
    static tandem_task tasks[100];
    pthread_t other;
    void *complaint;
    begin_loop(isolation, 2);
    for (int i = 0; i < 100; i++) {
        tasks[i] = task_of(isolation, nothing_task, NULL, 0);
        tasks[i].on_done = note;
    }
    assert_int_equal(pthread_create(&other, NULL, submit_from_outside, tasks), 0);
    while (loop.calls < 100) {
        assert_true(readable((int)patience_ms()));
        assert_true(tandem_run_callbacks(loop.pool, 0) >= 0);
    }
    assert_int_equal(pthread_join(other, &complaint), 0);
    assert_null(complaint);
    assert_int_equal(loop.strays, 0);
    end_pool(loop.pool);
}

/* promise 11 */
static void destroy_runs_the_callbacks_that_are_left_on_its_own_thread(int isolation)
{
    enum { TASKS = 10 };
    tandem_task tasks[TASKS];
    begin_loop(isolation, 1);
    for (int i = 0; i < TASKS; i++) submit_noted(&tasks[i], isolation, note);
    end_pool(loop.pool);
    assert_int_equal(loop.calls, TASKS);
    assert_int_equal(loop.strays, 0);
}

/* Waiting for a task does not run its callback, and draining does not wait for it. */
static void callbacks_wait_for_the_host_even_after_a_drain(int isolation)
{
    tandem_task task;
    begin_loop(isolation, 1);
    submit_noted(&task, isolation, note);
    assert_int_equal(tandem_pool_drain(loop.pool, patience_ms()), 0);
    assert_int_equal(loop.calls, 0);
    assert_true(readable((int)patience_ms()));
    assert_int_equal(tandem_run_callbacks(loop.pool, 0), 1);
    assert_int_equal(loop.calls, 1);
    end_pool(loop.pool);
}

static int echo(tandem_context *context, void *input, size_t input_size)
{
    tandem_message message;
    (void)input, (void)input_size;
    while (tandem_receive(context, &message, -1) == 0)
        if (tandem_send(context, &message, -1) != 0) return 1;
    return 0;
}

static void note_message(tandem_task *task, const tandem_message *message)
{
    (void)task, (void)message;
    loop.calls++;
}

/* promise 7.  A thread that looks and finds nothing polls next; what comes just then must not be taken for what it has seen. */
static void a_message_that_comes_while_nothing_is_found_makes_it_readable(int isolation)
{
    const int count = (int)scaled(20000);
    begin_loop(isolation, 1);
    tandem_task task = task_of(isolation, echo, NULL, 0);
    task.on_message = note_message;
    assert_int_equal(tandem_submit(loop.pool, &task), 0);
    for (int i = 0; i < count; i++) {
        assert_int_equal(tandem_post(&task, &(tandem_message){.data = &i, .size = sizeof i}, -1), 0);
        for (int look = 0; look < i % 4 && loop.calls == i; look++) assert_true(tandem_run_callbacks(loop.pool, 0) >= 0);
        while (loop.calls == i) {
            assert_true(readable((int)patience_ms()));
            assert_int_equal(tandem_run_callbacks(loop.pool, 0), 1);
        }
        if (i % 100 == 0) assert_false(readable(0));
    }
    assert_int_equal(tandem_close(&task), 0);
    assert_int_equal(tandem_wait(&task), TANDEM_OK);
    while (tandem_task_clear(&task) != 0) tandem_run_callbacks(loop.pool, 0);
    end_pool(loop.pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(the_descriptor_is_readable_exactly_while_callbacks_wait),
        both(tasks_without_a_callback_do_not_make_it_readable),
        both(a_hundred_thousand_completions_never_fill_it),
        test(run_callbacks_runs_at_most_so_many),
        both(callbacks_that_make_callbacks_do_not_hold_the_loop),
        both(a_loop_serves_what_other_threads_submit),
        both(destroy_runs_the_callbacks_that_are_left_on_its_own_thread),
        both(callbacks_wait_for_the_host_even_after_a_drain),
        both(a_message_that_comes_while_nothing_is_found_makes_it_readable),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
