/* messages.c - a task talks with its submitter while it runs: whole messages, in order, both ways at once, bounded. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What the callbacks of a test see; they run on a library thread, so they count and the test looks. */
static struct {
    atomic_int messages, ends, wrong;
    atomic_int held; /* 1: on_message waits until it is 0 */
    uint64_t next;   /* the number that the next message should have; the callbacks' own, they do not overlap */
    tandem_pool *pool;
} seen;

static void check(bool good)
{
    if (!good) atomic_fetch_add(&seen.wrong, 1);
}

static tandem_message bytes_of(const void *data, size_t size) { return (tandem_message){.data = data, .size = size}; }

static int send_number(tandem_context *context, uint64_t number)
{
    tandem_message message = bytes_of(&number, sizeof number);
    return tandem_send(context, &message, -1);
}

static int post_number(tandem_task *task, uint64_t number, int64_t timeout_ms)
{
    tandem_message message = bytes_of(&number, sizeof number);
    return tandem_post(task, &message, timeout_ms);
}

static uint64_t number_in(const tandem_message *message)
{
    uint64_t number = UINT64_MAX;
    if (message->size == sizeof number) memcpy(&number, message->data, sizeof number);
    return number;
}

static void count_end(tandem_task *task)
{
    (void)task;
    atomic_fetch_add(&seen.ends, 1);
}

static void expect_numbers(tandem_task *task, const tandem_message *message)
{
    (void)task;
    check(number_in(message) == seen.next++);
    atomic_fetch_add(&seen.messages, 1);
}

static void submit_talker(tandem_pool *pool, tandem_task *task)
{
    seen.next = 0;
    assert_int_equal(tandem_submit(pool, task), 0);
}

/* Its end, and after it on_done. */
static void expect_done(tandem_task *task, int status, int ends)
{
    expect_end(task, status);
    wait_until(atomic_load(&seen.ends) >= ends);
    assert_int_equal(atomic_load(&seen.ends), ends);
    assert_int_equal(atomic_load(&seen.wrong), 0);
    assert_int_equal(tandem_task_clear(task), 0);
}

static tandem_task talker_of(int isolation, tandem_fn *run, void *input, size_t size)
{
    tandem_task task = task_of(isolation, run, input, size);
    task.on_message = expect_numbers;
    task.on_done = count_end;
    return task;
}

/* ---- all of them, and then the end ---- */

static int send_one_task(tandem_context *context, void *input, size_t size)
{
    uint64_t number;
    if (size != sizeof number) return __LINE__;
    memcpy(&number, input, size);
    return send_number(context, number);
}

static void expect_one(tandem_task *task, const tandem_message *message)
{
    uint64_t *arrived = task->user_data;
    *arrived = number_in(message);
}

static void check_arrived(tandem_task *task)
{
    uint64_t sent, *arrived = task->user_data;
    memcpy(&sent, task->input, sizeof sent);
    check(task->status == TANDEM_OK && *arrived == sent);
    atomic_fetch_add(&seen.ends, 1);
}

/* promise 40 */
static void every_message_arrives_before_on_done(int isolation)
{
    const int rounds = (int)scaled(10000);
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    uint64_t number, arrived;
    tandem_task task = task_of(isolation, send_one_task, &number, sizeof number);
    task.on_message = expect_one;
    task.on_done = check_arrived;
    task.user_data = &arrived;
    for (int i = 0; i < rounds; i++) {
        number = (uint64_t)i;
        arrived = UINT64_MAX;
        assert_int_equal(tandem_submit(pool, &task), 0);
        wait_until(atomic_load(&seen.ends) > i);
        assert_int_equal(atomic_load(&seen.wrong), 0);
    }
    end_pool(pool);
    assert_int_equal(tandem_task_clear(&task), 0);
}

static int send_hundred_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    for (uint64_t i = 0; i < 100; i++)
        if (send_number(context, i) != 0) return __LINE__;
    return 0;
}

static void count_its_own(tandem_task *task, const tandem_message *message)
{
    uint64_t *next = task->user_data;
    check(number_in(message) == *next);
    ++*next;
}

static void check_hundred(tandem_task *task)
{
    check(*(uint64_t *)task->user_data == 100);
    atomic_fetch_add(&seen.ends, 1);
}

/* promise 40: many, and several tasks at once, each of which counts for itself */
static void messages_of_tasks_that_run_side_by_side_do_not_mix(int isolation)
{
    enum { TASKS = 20 };
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    tandem_task tasks[TASKS];
    uint64_t nexts[TASKS] = {0};
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(isolation, send_hundred_task, NULL, 0);
        tasks[i].on_message = count_its_own;
        tasks[i].on_done = check_hundred;
        tasks[i].user_data = &nexts[i];
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (int i = 0; i < TASKS; i++) expect_end(&tasks[i], TANDEM_OK);
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    assert_int_equal(atomic_load(&seen.ends), TASKS);
    assert_int_equal(atomic_load(&seen.wrong), 0);
    end_pool(pool);
    for (int i = 0; i < TASKS; i++) tandem_task_clear(&tasks[i]);
}

/* ---- both ways at once ---- */

/* Sends back what it gets until it is closed. */
static int echo_all_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    int error;
    while ((error = tandem_receive(context, &message, -1)) == 0)
        if (tandem_send(context, &message, -1) != 0) return __LINE__;
    return error == -EPIPE ? 0 : -error;
}

/* promise 41 */
static void many_small_messages_go_both_ways_at_once_in_order(int isolation)
{
    const uint64_t count = scaled(400000);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = talker_of(isolation, echo_all_task, NULL, 0);
    submit_talker(pool, &task);
    for (uint64_t i = 0; i < count; i++) assert_int_equal(post_number(&task, i, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    expect_done(&task, TANDEM_OK, 1);
    assert_int_equal(atomic_load(&seen.messages), count);
    end_pool(pool);
}

#define LARGE ((size_t)8 << 20)

static void fill(unsigned char *bytes, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(seed + i * 7 + (i >> 9));
}

static void expect_large(tandem_task *task, const tandem_message *message)
{
    unsigned char *expected = task->user_data;
    fill(expected, LARGE, (unsigned)seen.next++);
    check(message->size == LARGE && memcmp(message->data, expected, LARGE) == 0);
    check(message->size == LARGE && ((const char *)message->data)[LARGE] == 0 && (uintptr_t)message->data % 16 == 0);
    atomic_fetch_add(&seen.messages, 1);
}

/* promise 41 */
static void four_messages_of_8_MiB_go_both_ways_whole(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = talker_of(isolation, echo_all_task, NULL, 0);
    unsigned char *bytes = malloc(LARGE), *expected = malloc(LARGE);
    assert_true(bytes && expected);
    task.on_message = expect_large;
    task.user_data = expected;
    submit_talker(pool, &task);
    for (unsigned i = 0; i < 4; i++) {
        fill(bytes, LARGE, i);
        tandem_message message = bytes_of(bytes, LARGE);
        assert_int_equal(tandem_post(&task, &message, -1), 0);
    }
    assert_int_equal(tandem_close(&task), 0);
    expect_done(&task, TANDEM_OK, 1);
    assert_int_equal(atomic_load(&seen.messages), 4);
    end_pool(pool);
    free(bytes);
    free(expected);
}

static void expect_size(tandem_task *task, const tandem_message *message)
{
    unsigned char *expected = task->user_data;
    size_t size = (size_t)(seen.next++ * 997 % 70000);
    fill(expected, size, (unsigned)size);
    check(message->size == size && memcmp(message->data, expected, size) == 0);
    atomic_fetch_add(&seen.messages, 1);
}

/* promise 41: none, a byte, what no longer fits a buffer, a piece of a ring */
static void messages_of_all_sizes_go_both_ways_whole(int isolation)
{
    enum { COUNT = 300 };
    static unsigned char bytes[70000], expected[70000];
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = talker_of(isolation, echo_all_task, NULL, 0);
    task.on_message = expect_size;
    task.user_data = expected;
    submit_talker(pool, &task);
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i * 997 % 70000;
        fill(bytes, size, (unsigned)size);
        tandem_message message = bytes_of(size > 0 ? bytes : NULL, size);
        assert_int_equal(tandem_post(&task, &message, -1), 0);
    }
    assert_int_equal(tandem_close(&task), 0);
    expect_done(&task, TANDEM_OK, 1);
    assert_int_equal(atomic_load(&seen.messages), COUNT);
    end_pool(pool);
}

/* ---- bounded ---- */

/* Receives nothing before the gate is open; then all. */
static int receive_behind_gate_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    tandem_message message;
    if (size != sizeof(gate)) return __LINE__;
    memcpy(&gate, input, size);
    atomic_fetch_add(&gate->entered, 1);
    if (!await(&gate->opened, 1)) return __LINE__;
    for (uint64_t i = 0;; i++) {
        int error = tandem_receive(context, &message, -1);
        if (error == -EPIPE) return atomic_load(&gate->left) == (int)i ? 0 : __LINE__;
        if (error != 0 || number_in(&message) != i) return __LINE__;
    }
}

/* promise 41 */
static void a_task_that_does_not_receive_is_EAGAIN_to_post_to_at_last(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, receive_behind_gate_task, &gate, sizeof gate);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    int posted = 0, error;
    while ((error = post_number(&task, (uint64_t)posted, 0)) == 0 && posted < 100000) posted++;
    assert_int_equal(error, -EAGAIN);
    assert_in_range(posted, 256, 1024);
    assert_int_equal(post_number(&task, 0, 1), -ETIMEDOUT);
    atomic_store(&gate->left, posted + 1);
    atomic_store(&gate->opened, 1);
    assert_int_equal(post_number(&task, (uint64_t)posted, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    expect_end(&task, TANDEM_OK);
    end_pool(pool);
    tandem_task_clear(&task);
}

static int send_until_full_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    uint64_t sent = 0;
    int error;
    tandem_message message = bytes_of(&sent, sizeof sent);
    while ((error = tandem_send(context, &message, 0)) == 0 && sent < 100000) sent++;
    if (error != -EAGAIN || sent < 256 || sent > 1024) return __LINE__;
    while ((error = tandem_send(context, &message, 1)) == 0) sent++; /* one may have been taken meanwhile, to be held */
    if (error != -ETIMEDOUT || sent > 1024) return __LINE__;
    struct gate *gate;
    memcpy(&gate, input, sizeof gate);
    atomic_store(&gate->entered, 1);
    for (int i = 0; i < 1000; i++, sent++)
        if (tandem_send(context, &message, -1) != 0) return __LINE__;
    return tandem_reply(context, &sent, sizeof sent);
}

static void expect_numbers_when_let(tandem_task *task, const tandem_message *message)
{
    await(&seen.held, 1);
    expect_numbers(task, message);
}

/* promise 41 */
static void a_host_that_takes_nothing_is_EAGAIN_to_send_to_at_last(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = talker_of(isolation, send_until_full_task, &gate, sizeof gate);
    task.on_message = expect_numbers_when_let;
    submit_talker(pool, &task);
    assert_true(await(&gate->entered, 1));
    atomic_store(&seen.held, 1);
    expect_end(&task, TANDEM_OK);
    wait_until(atomic_load(&seen.ends) == 1);
    assert_int_equal(atomic_load(&seen.wrong), 0);
    assert_int_equal(atomic_load(&seen.messages), *(uint64_t *)task.output);
    end_pool(pool);
    tandem_task_clear(&task);
}

/* A direction holds 1 MiB of these, and some more are on their way. */
#define PIECE        ((size_t)64 << 10)
#define PIECES_LEAST 16
#define PIECES_MOST  64

static int receive_bytes_behind_gate_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    tandem_message message;
    uint64_t bytes = 0;
    if (size != sizeof gate) return __LINE__;
    memcpy(&gate, input, size);
    atomic_fetch_add(&gate->entered, 1);
    if (!await(&gate->opened, 1)) return __LINE__;
    int error;
    while ((error = tandem_receive(context, &message, -1)) == 0) bytes += message.size;
    return error == -EPIPE ? tandem_reply(context, &bytes, sizeof bytes) : __LINE__;
}

/* Posts messages of one size until there is no room, then one more, which waits until the task has taken what is there. */
static void post_until_full(int isolation, size_t size, int least, int most)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, receive_bytes_behind_gate_task, &gate, sizeof gate);
    unsigned char *bytes = calloc(1, size);
    tandem_message message = bytes_of(bytes, size);
    assert_non_null(bytes);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    int posted = 0, error;
    while ((error = tandem_post(&task, &message, 0)) == 0 && posted < 1000) posted++;
    assert_int_equal(error, -EAGAIN);
    assert_in_range(posted, least, most);
    assert_int_equal(tandem_post(&task, &message, 1), -ETIMEDOUT);
    atomic_store(&gate->opened, 1);
    assert_int_equal(tandem_post(&task, &message, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    expect_end(&task, TANDEM_OK);
    assert_int_equal(*(uint64_t *)task.output, (uint64_t)size * (unsigned)(posted + 1));
    end_pool(pool);
    tandem_task_clear(&task);
    free(bytes);
}

/* promise 41: by their bytes, too */
static void a_task_that_does_not_receive_holds_few_large_messages(int isolation)
{
    post_until_full(isolation, PIECE, PIECES_LEAST, PIECES_MOST);
}

/* promise 41: one that is larger than the limit is taken alone, and as much again may be on its way */
static void a_task_that_does_not_receive_holds_hardly_more_than_one_very_large_message(int isolation)
{
    post_until_full(isolation, (size_t)3 << 20, 1, 3);
}

static int send_pieces_until_full_task(tandem_context *context, void *input, size_t size)
{
    static unsigned char bytes[PIECE];
    struct gate *gate;
    tandem_message message = bytes_of(bytes, sizeof bytes);
    int error, sent = 0;
    if (size != sizeof gate) return __LINE__;
    memcpy(&gate, input, size);
    while ((error = tandem_send(context, &message, 0)) == 0 && sent < 1000) sent++;
    if (error != -EAGAIN) return __LINE__;
    while ((error = tandem_send(context, &message, 1)) == 0 && sent < 1000)
        sent++; /* one may have been taken meanwhile, to be held */
    if (error != -ETIMEDOUT || sent < PIECES_LEAST || sent > PIECES_MOST) return __LINE__;
    atomic_store(&gate->entered, 1);
    for (int i = 0; i < PIECES_MOST; i++, sent++)
        if (tandem_send(context, &message, -1) != 0) return __LINE__;
    return tandem_reply(context, &sent, sizeof sent);
}

static void count_pieces_when_let(tandem_task *task, const tandem_message *message)
{
    (void)task;
    await(&seen.held, 1);
    check(message->size == PIECE);
    atomic_fetch_add(&seen.messages, 1);
}

/* promise 41: by their bytes, too */
static void a_host_that_takes_nothing_holds_few_large_messages(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = talker_of(isolation, send_pieces_until_full_task, &gate, sizeof gate);
    task.on_message = count_pieces_when_let;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    atomic_store(&seen.held, 1);
    expect_end(&task, TANDEM_OK);
    wait_until(atomic_load(&seen.ends) == 1);
    assert_int_equal(atomic_load(&seen.wrong), 0);
    assert_int_equal(atomic_load(&seen.messages), *(int *)task.output);
    end_pool(pool);
    tandem_task_clear(&task);
}

/* ---- waiting ---- */

static int wait_in_vain_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    if (tandem_receive(context, &message, 0) != -EAGAIN) return __LINE__;
    if (tandem_receive(context, &message, 20) != -ETIMEDOUT) return __LINE__;
    if (send_number(context, 0) != 0) return __LINE__;
    if (tandem_receive(context, &message, -1) != 0 || number_in(&message) != 7) return __LINE__;
    if (tandem_receive(context, &message, -1) != -EPIPE) return __LINE__;
    return tandem_receive(context, &message, 0) == -EPIPE ? 0 : __LINE__;
}

static void post_seven_and_close(tandem_task *task, const tandem_message *message)
{
    expect_numbers(task, message);
    check(post_number(task, 7, -1) == 0);
    check(tandem_close(task) == 0);
    int again = tandem_close(task); /* it may have ended by now */
    check(again == 0 || again == -EPIPE);
    check(post_number(task, 8, -1) == -EPIPE);
}

static void a_receive_waits_as_long_as_it_is_told(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = talker_of(isolation, wait_in_vain_task, NULL, 0);
    task.on_message = post_seven_and_close;
    submit_talker(pool, &task);
    expect_done(&task, TANDEM_OK, 1);
    end_pool(pool);
}

static int receive_three_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    for (uint64_t i = 0; i < 3; i++)
        if (tandem_receive(context, &message, -1) != 0 || number_in(&message) != i) return __LINE__;
    return 0;
}

/* What is posted before the task has started waits for it. */
static void a_task_is_posted_to_before_it_has_started(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task first = task_of(isolation, gate_task, &gate, sizeof gate);
    tandem_task task = task_of(isolation, receive_three_task, NULL, 0);
    first.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &first), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_submit(pool, &task), 0);
    for (uint64_t i = 0; i < 3; i++) assert_int_equal(post_number(&task, i, 0), 0);
    atomic_store(&gate->opened, 1);
    expect_end(&task, TANDEM_OK);
    expect_end(&first, TANDEM_OK);
    end_pool(pool);
    tandem_task_clear(&task);
    tandem_task_clear(&first);
}

/* Four threads post, one at a time sees no room; what each has posted comes in its order. */
struct poster {
    tandem_task *task;
    uint64_t from, count;
    int result;
};

static void *post_many(void *argument)
{
    struct poster *poster = argument;
    for (uint64_t i = 0; i < poster->count && poster->result == 0; i++)
        poster->result = post_number(poster->task, poster->from << 32 | i, -1);
    return NULL;
}

static void expect_four_orders(tandem_task *task, const tandem_message *message)
{
    uint64_t number = number_in(message), *next = task->user_data;
    check(number >> 32 < 4 && (uint32_t)number == next[number >> 32 & 3]++);
    atomic_fetch_add(&seen.messages, 1);
}

static void several_threads_post_to_one_task(int isolation)
{
    const uint64_t count = scaled(40000);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    uint64_t nexts[4] = {0};
    tandem_task task = talker_of(isolation, echo_all_task, NULL, 0);
    task.on_message = expect_four_orders;
    task.user_data = nexts;
    submit_talker(pool, &task);
    struct poster posters[4];
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++) {
        posters[i] = (struct poster){.task = &task, .from = i, .count = count};
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(posters[i].result, 0);
    }
    assert_int_equal(tandem_close(&task), 0);
    expect_done(&task, TANDEM_OK, 1);
    assert_int_equal(atomic_load(&seen.messages), 4 * count);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(every_message_arrives_before_on_done),
        both(messages_of_tasks_that_run_side_by_side_do_not_mix),
        both(many_small_messages_go_both_ways_at_once_in_order),
        both(four_messages_of_8_MiB_go_both_ways_whole),
        both(messages_of_all_sizes_go_both_ways_whole),
        both(a_task_that_does_not_receive_is_EAGAIN_to_post_to_at_last),
        both(a_host_that_takes_nothing_is_EAGAIN_to_send_to_at_last),
        both(a_task_that_does_not_receive_holds_few_large_messages),
        both(a_task_that_does_not_receive_holds_hardly_more_than_one_very_large_message),
        both(a_host_that_takes_nothing_holds_few_large_messages),
        both(a_receive_waits_as_long_as_it_is_told),
        both(a_task_is_posted_to_before_it_has_started),
        both(several_threads_post_to_one_task),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
