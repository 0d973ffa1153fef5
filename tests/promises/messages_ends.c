/* messages_ends.c - what becomes of messages, and of those who wait for them, when the task ends, is stopped, or was never there. */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    atomic_int messages, ends, wrong;
    tandem_pool *pool;
} seen;

static void check(bool good)
{
    if (!good) atomic_fetch_add(&seen.wrong, 1);
}

static const tandem_message empty = {0};

static void count_end(tandem_task *task)
{
    (void)task;
    atomic_fetch_add(&seen.ends, 1);
}

static void count_message(tandem_task *task, const tandem_message *message)
{
    (void)task, (void)message;
    atomic_fetch_add(&seen.messages, 1);
}

static void expect_ends(int ends)
{
    wait_until(atomic_load(&seen.ends) >= ends);
    assert_int_equal(atomic_load(&seen.ends), ends);
    assert_int_equal(atomic_load(&seen.wrong), 0);
}

/* ---- misuse ---- */

static int misuse_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message = {0}, sized = {.size = 1}, reserved = {.started = 1}, fds = {.fd_count = 1};
    tandem_message huge = {.data = &message, .size = ((size_t)1 << 30) + 1};
    if (tandem_send(NULL, &message, 0) != -EINVAL || tandem_send(context, NULL, 0) != -EINVAL) return __LINE__;
    if (tandem_send(context, &sized, 0) != -EINVAL || tandem_send(context, &reserved, 0) != -EINVAL) return __LINE__;
    if (tandem_send(context, &fds, 0) != -EINVAL || tandem_send(context, &huge, 0) != -EMSGSIZE) return __LINE__;
    if (tandem_receive(NULL, &message, 0) != -EINVAL || tandem_receive(context, NULL, 0) != -EINVAL) return __LINE__;
    return tandem_send(context, &message, 0) == -EPIPE ? 0 : __LINE__; /* nobody is there to get it */
}

static void bad_messages_are_EINVAL_and_nobody_to_get_them_is_EPIPE(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, misuse_task, NULL, 0);
    tandem_message sized = {.size = 1}, reserved = {.request = 1}, fds = {.fd_count = 1};
    tandem_message huge = {.data = &task, .size = ((size_t)1 << 30) + 1};
    assert_int_equal(tandem_post(&task, &empty, 0), -EINVAL);
    assert_int_equal(tandem_close(&task), -EINVAL);
    assert_int_equal(tandem_post(NULL, &empty, 0), -EINVAL);
    assert_int_equal(tandem_close(NULL), -EINVAL);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_post(&task, NULL, 0), -EINVAL);
    assert_int_equal(tandem_post(&task, &sized, 0), -EINVAL);
    assert_int_equal(tandem_post(&task, &reserved, 0), -EINVAL);
    assert_int_equal(tandem_post(&task, &fds, 0), -EINVAL);
    assert_int_equal(tandem_post(&task, &huge, 0), -EMSGSIZE);
    expect_end(&task, TANDEM_OK);
    end_pool(pool);
    tandem_task_clear(&task);
}

static int receive_all_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    int error;
    while ((error = tandem_receive(context, &message, -1)) == 0) {
    }
    return error == -EPIPE ? 0 : error == -ECANCELED ? 7 : 8;
}

/* promise 34 for these calls */
static void in_a_forked_child_talking_is_EPERM(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, receive_all_task, NULL, 0);
    task.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &task), 0);
    pid_t child = fork();
    if (child == 0) _exit(tandem_post(&task, &empty, 0) == -EPERM && tandem_close(&task) == -EPERM ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(tandem_close(&task), 0);
    expect_end(&task, TANDEM_OK);
    end_pool(pool);
    tandem_task_clear(&task);
}

static int talk_in_a_child_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    pid_t child = fork();
    if (child == 0) _exit(tandem_send(context, &empty, 0) == -EPERM && tandem_receive(context, &message, 0) == -EPERM ? 0 : 1);
    int status;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status)) return __LINE__;
    return WEXITSTATUS(status) == 0 ? 0 : __LINE__;
}

static void what_a_task_has_forked_cannot_talk_for_it(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, talk_in_a_child_task, NULL, 0);
    task.on_message = count_message;
    task.on_done = count_end;
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    expect_ends(1);
    end_pool(pool);
    assert_int_equal(atomic_load(&seen.messages), 0);
    tandem_task_clear(&task);
}

/* ---- after the end ---- */

/* promise 42 */
static void a_post_to_an_ended_or_closed_task_is_EPIPE(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, receive_all_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_post(&task, &empty, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    assert_int_equal(tandem_post(&task, &empty, -1), -EPIPE);
    expect_end(&task, TANDEM_OK);
    assert_int_equal(tandem_post(&task, &empty, -1), -EPIPE);
    assert_int_equal(tandem_close(&task), -EPIPE);
    /* and on its next run it can be talked to again */
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_post(&task, &empty, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    expect_end(&task, TANDEM_OK);
    end_pool(pool);
    tandem_task_clear(&task);
}

static int receive_few_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    for (int i = 0; i < 10; i++)
        if (tandem_receive(context, &message, -1) != 0) return __LINE__;
    return 0;
}

/* promise 42: who waits for room is told when the task ends without having taken it all */
static void a_post_that_waits_for_room_is_EPIPE_when_the_task_ends(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (size_t i = 0; i < scaled(1000); i++) {
        tandem_task task = task_of(isolation, receive_few_task, NULL, 0);
        task.flags = TANDEM_NO_HELP;
        assert_int_equal(tandem_submit(pool, &task), 0);
        int error, posted = 0;
        while ((error = tandem_post(&task, &empty, -1)) == 0) posted++;
        assert_int_equal(error, -EPIPE);
        assert_true(posted >= 10);
        expect_end(&task, TANDEM_OK);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static int send_many_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    for (int i = 0; i < 200; i++)
        if (tandem_send(context, &empty, -1) != 0) return __LINE__;
    return 0;
}

static void wait_a_moment_first(tandem_task *task, const tandem_message *message)
{
    if (atomic_load(&seen.messages) == 0) moment();
    count_message(task, message);
}

/* The last callback has returned, then it is the caller's: also without an on_done. */
static void an_ended_task_is_busy_until_its_last_message_is_handed_over(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_group group = {0};
    tandem_task task = task_of(isolation, send_many_task, NULL, 0);
    task.on_message = wait_a_moment_first;
    task.group = &group;
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    int error = tandem_task_clear(&task);
    assert_true(error == -EBUSY || atomic_load(&seen.messages) == 200);
    assert_int_equal(tandem_group_wait(&group, -1), TANDEM_OK);
    assert_int_equal(atomic_load(&seen.messages), 200);
    assert_int_equal(tandem_task_clear(&task), 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    assert_int_equal(atomic_load(&seen.messages), 400);
    end_pool(pool);
    tandem_task_clear(&task);
}

/* ---- callbacks that do things ---- */

static int echo_task_until_closed(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    int error;
    while ((error = tandem_receive(context, &message, -1)) == 0)
        if (tandem_send(context, &message, -1) != 0) return __LINE__;
    return error == -EPIPE ? 0 : 9;
}

static void post_until_enough(tandem_task *task, const tandem_message *message)
{
    bool enough = atomic_fetch_add(&seen.messages, 1) == 99;
    check(enough ? tandem_close(task) == 0 : tandem_post(task, message, -1) == 0);
    check(tandem_task_clear(task) == -EBUSY);
    check(tandem_submit(seen.pool, task) == -EBUSY);
}

static void a_handler_may_post_and_close(int isolation)
{
    seen.pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, echo_task_until_closed, NULL, 0);
    task.on_message = post_until_enough;
    task.on_done = count_end;
    assert_int_equal(tandem_submit(seen.pool, &task), 0);
    assert_int_equal(tandem_post(&task, &empty, -1), 0);
    expect_ends(1);
    assert_int_equal(atomic_load(&seen.messages), 100);
    end_pool(seen.pool);
    assert_int_equal(task.status, TANDEM_OK);
    tandem_task_clear(&task);
}

static int send_then_receive_task(tandem_context *context, void *input, size_t size)
{
    tandem_message message;
    int error = tandem_send(context, &empty, -1);
    (void)input, (void)size;
    if (error != 0) return __LINE__;
    error = tandem_receive(context, &message, -1);
    return error == -ECANCELED ? 7 : error == 0 ? 0 : __LINE__;
}

static void cancel_it(tandem_task *task, const tandem_message *message)
{
    count_message(task, message);
    check(tandem_cancel(task) == 0);
}

static void a_handler_may_cancel_its_task(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, send_then_receive_task, NULL, 0);
    task.on_message = cancel_it;
    task.on_done = count_end;
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    expect_ends(1);
    end_pool(pool);
    assert_int_equal(atomic_load(&seen.messages), 1);
    tandem_task_clear(&task);
}

static int send_one_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    return tandem_send(context, &empty, -1);
}

#define TURNS 1000

static void submit_again(tandem_task *task)
{
    check(task->status == TANDEM_OK);
    int *left = task->user_data;
    if (--*left > 0)
        check(tandem_submit(seen.pool, task) == 0);
    else
        atomic_fetch_add(&seen.ends, 1);
}

/* on_done may submit the task again: it is its own; and a hundred that do so leave room for one that does not. */
static void tasks_that_submit_themselves_again_starve_nobody(int isolation)
{
    enum { TASKS = 100 };
    seen.pool = pool_of(isolation, 2, NULL);
    const int turns = (int)scaled(TURNS * 10);
    tandem_task tasks[TASKS], other = task_of(isolation, send_one_task, NULL, 0);
    int left[TASKS];
    for (int i = 0; i < TASKS; i++) {
        left[i] = turns;
        tasks[i] = task_of(isolation, send_one_task, NULL, 0);
        tasks[i].on_message = count_message;
        tasks[i].on_done = submit_again;
        tasks[i].user_data = &left[i];
        assert_int_equal(tandem_submit(seen.pool, &tasks[i]), 0);
    }
    other.on_message = count_message;
    assert_int_equal(tandem_submit(seen.pool, &other), 0);
    wait_until(tandem_task_clear(&other) == 0);
    wait_until(atomic_load(&seen.ends) == TASKS);
    end_pool(seen.pool);
    assert_int_equal(atomic_load(&seen.messages), TASKS * turns + 1);
    assert_int_equal(atomic_load(&seen.wrong), 0);
    for (int i = 0; i < TASKS; i++) tandem_task_clear(&tasks[i]);
}

static void free_it(tandem_task *task)
{
    check(tandem_task_clear(task) == 0);
    free(task);
    atomic_fetch_add(&seen.ends, 1);
}

static void on_done_may_free_a_task_that_has_talked(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (int i = 0; i < 100; i++) {
        tandem_task *task = malloc(sizeof *task);
        assert_non_null(task);
        *task = task_of(isolation, send_one_task, NULL, 0);
        task->on_message = count_message;
        task->on_done = free_it;
        assert_int_equal(tandem_submit(pool, task), 0);
    }
    expect_ends(100);
    end_pool(pool);
    assert_int_equal(atomic_load(&seen.messages), 100);
}

/* ---- in the host's own loop ---- */

static void messages_come_in_the_hosts_own_loop(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, &(tandem_options){.callbacks_by_host = 1});
    tandem_task task = task_of(isolation, send_many_task, NULL, 0);
    task.on_message = count_message;
    task.on_done = count_end;
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    assert_int_equal(atomic_load(&seen.messages), 0);
    assert_int_equal(tandem_run_callbacks(pool, 1), 1);
    assert_int_equal(atomic_load(&seen.messages), 1);
    while (tandem_run_callbacks(pool, 0) > 0) {
    }
    wait_until((tandem_run_callbacks(pool, 0), atomic_load(&seen.ends) == 1));
    assert_int_equal(atomic_load(&seen.messages), 200);
    assert_int_equal(tandem_run_callbacks(pool, 0), 0);
    end_pool(pool);
    tandem_task_clear(&task);
}

/* Sleeping on the descriptor or looking all the time, by turns: an answer is never overlooked. */
static void a_loop_that_sleeps_on_the_descriptor_gets_each_answer(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, &(tandem_options){.callbacks_by_host = 1});
    struct pollfd bell = {.fd = tandem_fd(pool), .events = POLLIN};
    tandem_task task = task_of(isolation, echo_task_until_closed, NULL, 0);
    task.on_message = count_message;
    assert_int_equal(tandem_submit(pool, &task), 0);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(tandem_post(&task, &empty, -1), 0);
        while (atomic_load(&seen.messages) == i) {
            if (i % 3 != 1) assert_int_equal(poll(&bell, 1, (int)patience_ms()), 1);
            tandem_run_callbacks(pool, i % 3 == 0 ? 1 : 0);
        }
        assert_int_equal(atomic_load(&seen.messages), i + 1);
    }
    assert_int_equal(tandem_close(&task), 0);
    expect_end(&task, TANDEM_OK);
    while (tandem_task_clear(&task) == -EBUSY) tandem_run_callbacks(pool, 0);
    assert_int_equal(poll(&bell, 1, 0), 0);
    end_pool(pool);
}

/* The end of the pool runs what is left. */
static void a_pools_end_hands_over_what_is_left(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, &(tandem_options){.callbacks_by_host = 1});
    tandem_task task = task_of(isolation, send_many_task, NULL, 0);
    task.on_message = count_message;
    task.on_done = count_end;
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    end_pool(pool);
    assert_int_equal(atomic_load(&seen.messages), 200);
    expect_ends(1);
    tandem_task_clear(&task);
}

/* ---- told to end while they wait ---- */

static int block_in_send_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    int error;
    while ((error = tandem_send(context, &empty, -1)) == 0) {
    }
    return error == -ECANCELED ? 7 : __LINE__;
}

static const struct {
    tandem_fn *run;
    const char *what;
} blocked[] = {{receive_all_task, "receive"}, {block_in_send_task, "send"}};

static tandem_task blocked_task(int isolation, tandem_fn *run)
{
    tandem_task task = task_of(isolation, run, NULL, 0);
    task.flags = TANDEM_NO_HELP;
    if (run == block_in_send_task) task.on_message = count_message;
    return task;
}

static void a_task_that_waits_for_a_message_is_cancelled(int isolation)
{
    tandem_options by_host = {.callbacks_by_host = 1}; /* so nothing is taken */
    tandem_pool *pool = pool_of(isolation, 1, &by_host);
    for (size_t i = 0; i < 2 * count_of(blocked); i++) {
        tandem_task task = blocked_task(isolation, blocked[i / 2].run);
        assert_int_equal(tandem_submit(pool, &task), 0);
        if (i % 2) wait_until(stats_of(pool).running == 1);
        if (i % 2) assert_int_equal(tandem_wait_for(&task, 20), TANDEM_PENDING);
        assert_int_equal(tandem_cancel(&task), 0);
        expect_end(&task, TANDEM_CANCELLED);
        while (tandem_task_clear(&task) == -EBUSY) tandem_run_callbacks(pool, 0);
    }
    end_pool(pool);
}

static void a_task_that_waits_for_a_message_is_timed_out(int isolation)
{
    tandem_options by_host = {.callbacks_by_host = 1};
    tandem_pool *pool = pool_of(isolation, 1, &by_host);
    for (size_t i = 0; i < count_of(blocked); i++) {
        tandem_task task = blocked_task(isolation, blocked[i].run);
        task.timeout_ms = 50;
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_TIMED_OUT);
        while (tandem_task_clear(&task) == -EBUSY) tandem_run_callbacks(pool, 0);
    }
    end_pool(pool);
}

static void a_pools_end_ends_tasks_that_wait_for_a_message(int isolation)
{
    tandem_options by_host = {.callbacks_by_host = 1};
    for (size_t i = 0; i < 2 * count_of(blocked); i++) {
        tandem_pool *pool = pool_of(isolation, 1, &by_host);
        tandem_task task = blocked_task(isolation, blocked[i / 2].run);
        assert_int_equal(tandem_submit(pool, &task), 0);
        if (i % 2) wait_until(stats_of(pool).running == 1);
        if (i % 2) assert_int_equal(tandem_wait_for(&task, 20), TANDEM_PENDING);
        assert_int_equal(tandem_pool_destroy(pool), 0);
        expect_end(&task, TANDEM_CANCELLED);
        assert_int_equal(tandem_task_clear(&task), 0);
    }
}

/* One thread posts for ever, another ends the pool: the first is told. */
static void *post_for_ever(void *task)
{
    int error;
    while ((error = tandem_post(task, &empty, -1)) == 0) {
    }
    return (void *)(intptr_t)error;
}

static void who_waits_for_room_is_told_when_the_task_is_cancelled(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (size_t i = 0; i < scaled(500); i++) {
        tandem_task task = task_of(isolation, spin_task, &gate, sizeof gate);
        pthread_t thread;
        void *result;
        task.flags = TANDEM_NO_HELP;
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_int_equal(pthread_create(&thread, NULL, post_for_ever, &task), 0);
        if (i % 2) moment();
        assert_int_equal(tandem_cancel(&task), 0);
        pthread_join(thread, &result);
        assert_true((intptr_t)result == -EPIPE || (intptr_t)result == -EINVAL);
        tandem_wait(&task);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(bad_messages_are_EINVAL_and_nobody_to_get_them_is_EPIPE),
        both(in_a_forked_child_talking_is_EPERM),
        both(what_a_task_has_forked_cannot_talk_for_it),
        both(a_post_to_an_ended_or_closed_task_is_EPIPE),
        both(a_post_that_waits_for_room_is_EPIPE_when_the_task_ends),
        both(an_ended_task_is_busy_until_its_last_message_is_handed_over),
        both(a_handler_may_post_and_close),
        both(a_handler_may_cancel_its_task),
        both(tasks_that_submit_themselves_again_starve_nobody),
        both(on_done_may_free_a_task_that_has_talked),
        both(messages_come_in_the_hosts_own_loop),
        both(a_loop_that_sleeps_on_the_descriptor_gets_each_answer),
        both(a_pools_end_hands_over_what_is_left),
        both(a_task_that_waits_for_a_message_is_cancelled),
        both(a_task_that_waits_for_a_message_is_timed_out),
        both(a_pools_end_ends_tasks_that_wait_for_a_message),
        both(who_waits_for_room_is_told_when_the_task_is_cancelled),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
