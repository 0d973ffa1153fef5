/* long_lived.c - dedicated tasks as workers that live long and talk: their start is told once, their end is told once, and they stop when asked. */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What its callbacks have seen, in the order in which they were called. */
struct seen {
    char events[300]; /* s: started, m: a message, e: the end */
    atomic_int count;
};

static void note(tandem_task *task, char event)
{
    struct seen *seen = task->user_data;
    int at = atomic_load(&seen->count);
    if (at + 1 < (int)sizeof seen->events) seen->events[at] = event;
    atomic_store(&seen->count, at + 1);
}

static void on_message(tandem_task *task, const tandem_message *message)
{
    bool empty = message->size == 0 && message->data && ((const char *)message->data)[0] == 0;
    note(task, message->started == 0 ? 'm' : message->started == 1 && empty ? 's' : '?');
}

static void on_done(tandem_task *task) { note(task, 'e'); }

static tandem_task worker_of(int isolation, tandem_fn *run, void *input, size_t size, struct seen *seen)
{
    tandem_task task = task_of(isolation, run, input, size);
    memset(seen, 0, sizeof *seen);
    task.flags = TANDEM_DEDICATED | TANDEM_TELL_START;
    task.on_message = on_message;
    task.on_done = on_done;
    task.user_data = seen;
    return task;
}

/* Says each message back until there are no more. */
static int echo_messages_task(tandem_context *context, void *input, size_t size)
{
    tandem_message message;
    int error;
    (void)input, (void)size;
    while ((error = tandem_receive(context, &message, -1)) == 0)
        if (tandem_send(context, &(tandem_message){.data = message.data, .size = message.size}, -1) != 0) return __LINE__;
    return error == -EPIPE ? 0 : ECANCELED;
}

static void the_start_is_told_first_and_the_end_last_and_each_once(int isolation)
{
    struct seen seen;
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (unsigned round = 0; round < 20; round++) {
        tandem_task task = worker_of(isolation, echo_messages_task, NULL, 0, &seen);
        if (round % 2) task.flags &= ~(uint32_t)TANDEM_DEDICATED;
        assert_int_equal(tandem_submit(pool, &task), 0);
        wait_until(atomic_load(&seen.count) == 1); /* before anything is said to it */
        for (int i = 0; i < 3; i++) assert_int_equal(tandem_post(&task, &(tandem_message){.data = "x", .size = 1}, -1), 0);
        assert_int_equal(tandem_close(&task), 0);
        wait_until(atomic_load(&seen.count) == 5);
        expect_end(&task, TANDEM_OK);
        assert_string_equal(seen.events, "smmme");
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static void without_the_flag_the_start_is_not_told(int isolation)
{
    struct seen seen;
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = worker_of(isolation, echo_messages_task, NULL, 0, &seen);
    task.flags = TANDEM_DEDICATED;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_post(&task, &(tandem_message){.data = "x", .size = 1}, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    assert_string_equal(seen.events, "me");
    tandem_task_clear(&task);
    end_pool(pool);
    pool = pool_of(isolation, 1, NULL);
    task = task_of(isolation, nothing_task, NULL, 0); /* with the flag, and nobody to be told */
    task.flags = TANDEM_TELL_START;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void one_that_never_starts_tells_only_its_end(int isolation)
{
    struct seen seen;
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task busy = task_of(isolation, gate_task, &gate, sizeof gate);
    tandem_task task = worker_of(isolation, echo_messages_task, NULL, 0, &seen);
    busy.flags = TANDEM_NO_HELP;
    task.flags = TANDEM_TELL_START | TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &busy), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_cancel(&task), 0);
    wait_until(atomic_load(&seen.count) == 1);
    expect_end(&task, TANDEM_CANCELLED);
    assert_string_equal(seen.events, "e");
    atomic_store(&gate->opened, 1);
    expect_end(&busy, TANDEM_OK);
    tandem_task_clear(&busy);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- its end, however it comes, is told once ---- */

static int end_badly_task(tandem_context *context, void *input, size_t size)
{
    int how;
    memcpy(&how, input, sizeof how);
    (void)size;
    if (tandem_send(context, &(tandem_message){.data = "x", .size = 1}, -1) != 0) return __LINE__;
    switch (how) {
    case 0: return 0;
    case 1: return 7;
    case 2: raise(SIGKILL); break;
    case 3: abort();
    case 4: exit(3);
    case 5: _exit(0);
    default: break;
    }
    tandem_message message;
    tandem_receive(context, &message, -1); /* until it is stopped */
    return ECANCELED;
}

static void every_way_to_end_is_told_once_after_all_it_has_said(void)
{
    static const int statuses[] = {TANDEM_OK,      TANDEM_FAILED,  TANDEM_CRASHED,  TANDEM_CRASHED,
                                   TANDEM_CRASHED, TANDEM_CRASHED, TANDEM_CANCELLED};
    tandem_options options = {.no_crash_report = 1};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    for (size_t round = 0; round < 3 * count_of(statuses); round++) {
        struct seen seen;
        int how = (int)(round % count_of(statuses));
        tandem_task task = worker_of(TANDEM_PROCESS, end_badly_task, &how, sizeof how, &seen);
        assert_int_equal(tandem_submit(pool, &task), 0);
        wait_until(atomic_load(&seen.count) >= 2); /* it has started, and has said something */
        if (how == 6) assert_int_equal(tandem_cancel(&task), 0);
        wait_until(atomic_load(&seen.count) == 3);
        expect_end(&task, statuses[how]);
        if (how == 1) assert_int_equal(task.code, 7);
        if (how == 2) assert_int_equal(task.signal, SIGKILL);
        if (how == 4) assert_int_equal(task.code, 3);
        assert_string_equal(seen.events, "sme");
        wait_until(!process_lives(task.report->pid));
        tandem_task_clear(&task);
    }
    wait_until(stats_of(pool).processes == 0);
    end_pool(pool);
}

static void a_pool_that_ends_tells_the_end_of_each_worker_once(int isolation)
{
    enum { WORKERS = 5 };
    static struct seen seen[WORKERS];
    static tandem_task tasks[WORKERS];
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (int i = 0; i < WORKERS; i++) {
        tasks[i] = worker_of(isolation, echo_messages_task, NULL, 0, &seen[i]);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) wait_until(atomic_load(&seen[i].count) == 1);
    end_pool(pool);
    for (int i = 0; i < WORKERS; i++) {
        expect_end(&tasks[i], TANDEM_CANCELLED);
        assert_string_equal(seen[i].events, "se");
        tandem_task_clear(&tasks[i]);
    }
}

/* ---- being stopped ---- */

/* First it is asked by the end of its messages, and has time; then it is stopped. */
static int stop_with_grace(tandem_task *task, int64_t grace_ms)
{
    tandem_close(task);
    int status = tandem_wait_for(task, grace_ms);
    if (status != TANDEM_PENDING) return status;
    tandem_cancel(task);
    return tandem_wait(task);
}

static int tidy_up_task(tandem_context *context, void *input, size_t size)
{
    (void)size;
    if (echo_messages_task(context, NULL, 0) != 0) return __LINE__;
    return tandem_reply(context, input, 4); /* what it does before it goes */
}

static int deaf_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    while (!tandem_cancelled(context)) moment();
    return ECANCELED;
}

static void a_worker_is_asked_to_stop_and_then_stopped(int isolation)
{
    struct seen seen;
    char word[] = "tidy";
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = worker_of(isolation, tidy_up_task, word, sizeof word, &seen);
    assert_int_equal(tandem_submit(pool, &task), 0);
    wait_until(atomic_load(&seen.count) == 1);
    assert_int_equal(stop_with_grace(&task, patience_ms()), TANDEM_OK);
    assert_string_equal(task.output, "tidy");
    wait_until(atomic_load(&seen.count) == 2);
    tandem_task_clear(&task);
    tandem_task deaf = worker_of(isolation, deaf_task, NULL, 0, &seen);
    assert_int_equal(tandem_submit(pool, &deaf), 0);
    wait_until(atomic_load(&seen.count) == 1);
    assert_int_equal(stop_with_grace(&deaf, 20), TANDEM_CANCELLED);
    wait_until(atomic_load(&seen.count) == 2);
    assert_string_equal(seen.events, "se");
    tandem_task_clear(&deaf);
    end_pool(pool);
}

static void on_term(int signal)
{
    (void)signal;
    _exit(42);
}

static int mind_term_task(tandem_context *context, void *input, size_t size)
{
    tandem_message message;
    (void)input, (void)size;
    signal(SIGTERM, on_term);
    tandem_send(context, &(tandem_message){.data = "x", .size = 1}, -1);
    tandem_receive(context, &message, -1);
    return 0;
}

static void a_process_that_is_stopped_gets_SIGTERM_and_its_grace(void)
{
    struct seen seen;
    tandem_options options = {.kill_grace_ms = (uint32_t)patience_ms()};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task task = worker_of(TANDEM_PROCESS, mind_term_task, NULL, 0, &seen);
    assert_int_equal(tandem_submit(pool, &task), 0);
    wait_until(atomic_load(&seen.count) == 2);
    assert_int_equal(tandem_cancel(&task), 0);
    wait_until(atomic_load(&seen.count) == 3);
    expect_end(&task, TANDEM_CANCELLED);
    assert_string_equal(seen.events, "sme");
    tandem_task_clear(&task);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(the_start_is_told_first_and_the_end_last_and_each_once),
        both(without_the_flag_the_start_is_not_told),
        both(one_that_never_starts_tells_only_its_end),
        test(every_way_to_end_is_told_once_after_all_it_has_said),
        both(a_pool_that_ends_tells_the_end_of_each_worker_once),
        both(a_worker_is_asked_to_stop_and_then_stopped),
        test(a_process_that_is_stopped_gets_SIGTERM_and_its_grace),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
