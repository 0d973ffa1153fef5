/* channels.c - queues of messages in shared memory, among threads and worker processes. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static tandem_channel *channel_of(tandem_pool *pool, uint32_t messages, uint32_t size, uint32_t subscribers)
{
    tandem_channel_options options = {.messages = messages, .message_size = size, .subscribers = subscribers};
    tandem_channel *channel = NULL;
    assert_int_equal(tandem_channel_create(pool, &channel, &options), 0);
    assert_non_null(channel);
    return channel;
}

static int send_number(tandem_channel *channel, uint64_t number, int64_t timeout_ms)
{
    return tandem_channel_send(channel, &number, sizeof number, timeout_ms);
}

/* The number, or -errno. */
static int64_t receive_number(tandem_channel *channel, int subscriber, int64_t timeout_ms)
{
    uint64_t number = 0;
    ssize_t size = tandem_channel_receive(channel, subscriber, &number, sizeof number, timeout_ms);
    return size == (ssize_t)sizeof number ? (int64_t)number : size < 0 ? size : -1000;
}

/* ---- alone ---- */

static void messages_come_whole_and_in_order(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_channel *channel = channel_of(pool, 7, 100, 0);
    char sent[100], got[100];
    for (size_t i = 0; i < 1000; i++) {
        size_t size = i % 101;
        memset(sent, (int)i, size);
        assert_int_equal(tandem_channel_send(channel, sent, size, 0), 0);
        assert_int_equal(tandem_channel_receive(channel, 0, got, sizeof got, 0), size);
        assert_memory_equal(sent, got, size);
    }
    for (uint64_t i = 0; i < 7; i++) assert_int_equal(send_number(channel, i, 0), 0);
    for (int64_t i = 0; i < 7; i++) assert_int_equal(receive_number(channel, 0, 0), i);
    assert_int_equal(tandem_channel_destroy(channel), 0);
    end_pool(pool);
}

static void a_full_channel_has_room_again_after_a_receipt(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_channel *channel = channel_of(pool, 3, 8, 0);
    for (uint64_t i = 0; i < 3; i++) assert_int_equal(send_number(channel, i, -1), 0);
    assert_int_equal(send_number(channel, 3, 0), -EAGAIN);
    assert_int_equal(send_number(channel, 3, 10), -ETIMEDOUT);
    assert_int_equal(receive_number(channel, 0, 0), 0);
    assert_int_equal(send_number(channel, 3, 0), 0);
    for (int64_t i = 1; i < 4; i++) assert_int_equal(receive_number(channel, 0, 0), i);
    assert_int_equal(receive_number(channel, 0, 0), -EAGAIN);
    assert_int_equal(receive_number(channel, 0, 10), -ETIMEDOUT);
    assert_int_equal(tandem_channel_destroy(channel), 0);
    end_pool(pool);
}

static void bad_use_is_EINVAL(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_channel *channel = NULL, *broadcast = channel_of(pool, 2, 8, 2);
    char none[64];
    assert_int_equal(tandem_channel_create(NULL, &channel, NULL), -EINVAL);
    assert_int_equal(tandem_channel_create(pool, NULL, NULL), -EINVAL);
    assert_int_equal(tandem_channel_create(pool, &channel, &(tandem_channel_options){.reserved = {0, 1}}), -EINVAL);
    assert_int_equal(tandem_channel_create(pool, &channel, &(tandem_channel_options){.reserved_ = 1}), -EINVAL);
    assert_int_equal(tandem_channel_create(pool, &channel, &(tandem_channel_options){.subscribers = 256}), -EINVAL);
    assert_int_equal(tandem_channel_create(pool, &channel, &(tandem_channel_options){.message_size = (1u << 30) + 1}), -EINVAL);
    assert_null(channel);
    assert_int_equal(tandem_channel_create(pool, &channel, NULL), 0);
    assert_int_equal(tandem_channel_send(channel, NULL, 1, 0), -EINVAL);
    assert_int_equal(tandem_channel_send(NULL, none, 1, 0), -EINVAL);
    assert_int_equal(tandem_channel_send((tandem_channel *)(void *)none, none, 1, 0), -EINVAL);
    assert_int_equal(tandem_channel_send((tandem_channel *)((char *)channel + 64), none, 1, 0), -EINVAL);
    assert_int_equal(tandem_channel_receive(channel, 0, NULL, 1, 0), -EINVAL);
    assert_int_equal(tandem_channel_receive(channel, 1, none, sizeof none, 0), -EINVAL);
    assert_int_equal(tandem_channel_receive(broadcast, 0, none, sizeof none, 0), -EINVAL);
    assert_int_equal(tandem_channel_receive(broadcast, 257, none, sizeof none, 0), -EINVAL);
    assert_int_equal(tandem_channel_subscribe(channel), -EINVAL);
    assert_int_equal(tandem_channel_unsubscribe(channel, 0), -EINVAL);
    assert_int_equal(tandem_channel_unsubscribe(broadcast, 256), -EINVAL);
    assert_int_equal(tandem_channel_close(NULL), -EINVAL);
    assert_int_equal(tandem_channel_destroy(NULL), 0);
    assert_int_equal(tandem_channel_destroy(channel), 0);
    assert_int_equal(tandem_channel_destroy(channel), -EINVAL);
    assert_int_equal(tandem_channel_send(channel, none, 1, 0), -EINVAL);
    end_pool(pool);
}

static void a_message_too_large_is_EMSGSIZE_and_stays(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_channel *channel = channel_of(pool, 2, 10, 0);
    char bytes[11] = "0123456789";
    assert_int_equal(tandem_channel_send(channel, bytes, 11, 0), -EMSGSIZE);
    assert_int_equal(tandem_channel_send(channel, bytes, 10, 0), 0);
    assert_int_equal(tandem_channel_receive(channel, 0, bytes, 9, 0), -EMSGSIZE);
    assert_int_equal(tandem_channel_receive(channel, 0, bytes, 10, 0), 10);
    assert_int_equal(tandem_channel_destroy(channel), 0);
    end_pool(pool);
}

static void what_there_is_no_room_for_is_ENOMEM(void)
{
    tandem_options options = {.threads = 1, .processes = TANDEM_NONE, .shared_size = 1 << 20};
    tandem_pool *pool;
    tandem_channel *channel = NULL;
    assert_int_equal(tandem_pool_create(&pool, &options), 0);
    tandem_channel_options large = {.messages = 1 << 20, .message_size = 1024};
    assert_int_equal(tandem_channel_create(pool, &channel, &large), -ENOMEM);
    for (int i = 0; i < 100; i++) { /* what is destroyed has room for another */
        channel = channel_of(pool, 500, 1024, 0);
        assert_int_equal(tandem_channel_destroy(channel), 0);
    }
    end_pool(pool);
}

/* ---- closing ---- */

static void after_the_close_receivers_drain_and_then_get_EPIPE(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_channel *channel = channel_of(pool, 4, 8, 0);
    assert_int_equal(send_number(channel, 1, 0), 0);
    assert_int_equal(send_number(channel, 2, 0), 0);
    assert_int_equal(tandem_channel_close(channel), 0);
    assert_int_equal(tandem_channel_close(channel), 0);
    assert_int_equal(send_number(channel, 3, -1), -EPIPE);
    assert_int_equal(receive_number(channel, 0, -1), 1);
    assert_int_equal(receive_number(channel, 0, 0), 2);
    assert_int_equal(receive_number(channel, 0, 0), -EPIPE);
    assert_int_equal(receive_number(channel, 0, -1), -EPIPE);
    assert_int_equal(tandem_channel_destroy(channel), 0);
    end_pool(pool);
}

struct meeting {
    tandem_channel *channel;
    atomic_int begun;
    int subscriber;
};

static int wait_for_message_task(tandem_context *context, void *input, size_t size)
{
    struct meeting *meeting = input;
    (void)context, (void)size;
    atomic_fetch_add(&meeting->begun, 1);
    return receive_number(meeting->channel, meeting->subscriber, -1) == -EPIPE ? 0 : __LINE__;
}

static int wait_for_room_task(tandem_context *context, void *input, size_t size)
{
    struct meeting *meeting = input;
    (void)context, (void)size;
    atomic_fetch_add(&meeting->begun, 1);
    for (;;) {
        int error = send_number(meeting->channel, 1, -1);
        if (error != 0) return error == -EPIPE ? 0 : __LINE__;
    }
}

static struct meeting *meeting_in(tandem_pool *pool, uint32_t messages, uint32_t size, uint32_t subscribers)
{
    struct meeting *meeting = tandem_shared_alloc(pool, sizeof *meeting);
    assert_non_null(meeting);
    meeting->channel = channel_of(pool, messages, size, subscribers);
    return meeting;
}

static void the_close_ends_waits(int isolation, tandem_fn *run, bool by_the_pools_end)
{
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    struct meeting *meeting = meeting_in(pool, 2, 8, 0);
    tandem_task tasks[2];
    for (int i = 0; i < 2; i++) {
        tasks[i] = task_of(isolation, run, meeting, sizeof *meeting);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    wait_until(atomic_load(&meeting->begun) == 2);
    for (int i = 0; i < 20; i++) moment(); /* whether they sleep by then is not certain, nor needed */
    if (by_the_pools_end) {
        end_pool(pool);
    } else {
        assert_int_equal(tandem_channel_close(meeting->channel), 0);
        for (int i = 0; i < 2; i++) expect_end(&tasks[i], TANDEM_OK);
        assert_int_equal(tandem_channel_destroy(meeting->channel), 0);
        end_pool(pool);
    }
    for (int i = 0; i < 2; i++) tandem_task_clear(&tasks[i]);
}

static void the_close_ends_the_wait_for_a_message(int isolation) { the_close_ends_waits(isolation, wait_for_message_task, false); }
static void the_close_ends_the_wait_for_room(int isolation) { the_close_ends_waits(isolation, wait_for_room_task, false); }
static void the_end_of_the_pool_ends_waits(int isolation) { the_close_ends_waits(isolation, wait_for_message_task, true); }

/* ---- time ---- */

static int wait_in_vain_task(tandem_context *context, void *input, size_t size)
{
    struct meeting *meeting = input;
    (void)context, (void)size;
    int64_t begun = now_ms();
    if (receive_number(meeting->channel, 0, 30) != -ETIMEDOUT) return __LINE__;
    int64_t waited = now_ms() - begun;
    if (waited < 29 || waited > allowed_ms(100)) return __LINE__;
    if (send_number(meeting->channel, 1, 0) != 0) return __LINE__;
    begun = now_ms();
    if (send_number(meeting->channel, 2, 30) != -ETIMEDOUT) return __LINE__;
    waited = now_ms() - begun;
    return waited >= 29 && waited < allowed_ms(100) ? 0 : __LINE__;
}

static void the_time_is_neither_shorter_nor_much_longer(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    struct meeting *meeting = meeting_in(pool, 1, 8, 0);
    tandem_task task = task_of(isolation, wait_in_vain_task, meeting, sizeof *meeting);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- many ---- */

#define SENDERS   3
#define RECEIVERS 3

struct crowd {
    tandem_channel *channel;
    uint64_t each;
    atomic_int sender;
    atomic_ullong received, sum;
};

/* sender << 32 | number, the latter from 1 on */
static int send_all(struct crowd *crowd)
{
    uint64_t sender = (uint64_t)atomic_fetch_add(&crowd->sender, 1);
    for (uint64_t i = 1; i <= crowd->each; i++)
        if (send_number(crowd->channel, sender << 32 | i, -1) != 0) return __LINE__;
    return 0;
}

/* What one receiver gets of one sender rises. */
static int receive_all(struct crowd *crowd)
{
    uint64_t last[2 * SENDERS] = {0};
    for (;;) {
        int64_t number = receive_number(crowd->channel, 0, -1);
        if (number == -EPIPE) return 0;
        if (number <= 0) return __LINE__;
        uint64_t sender = (uint64_t)number >> 32, index = (uint64_t)number & UINT32_MAX;
        if (sender >= 2 * SENDERS || index <= last[sender]) return __LINE__;
        last[sender] = index;
        atomic_fetch_add(&crowd->received, 1);
        atomic_fetch_add(&crowd->sum, index);
    }
}

static int send_all_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)size;
    return send_all(input);
}

static int receive_all_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)size;
    return receive_all(input);
}

/* Senders and receivers of one or both isolations at one channel, each message once, in each sender's order. */
static void crowd_at(uint32_t threads, uint32_t processes, uint32_t messages, const int *isolations, size_t kinds)
{
    tandem_options options = {.threads = threads, .processes = processes};
    if (threads == 0) options.threads = TANDEM_NONE;
    if (processes == 0) options.processes = TANDEM_NONE;
    tandem_pool *pool;
    assert_int_equal(tandem_pool_create(&pool, &options), 0);
    struct crowd *crowd = tandem_shared_alloc(pool, sizeof *crowd);
    assert_non_null(crowd);
    crowd->channel = channel_of(pool, messages, 8, 0);
    crowd->each = scaled(200000);
    tandem_task senders[2 * SENDERS], receivers[2 * RECEIVERS];
    for (size_t kind = 0; kind < kinds; kind++) {
        for (size_t i = 0; i < RECEIVERS; i++) {
            tandem_task *task = &receivers[kind * RECEIVERS + i];
            *task = task_of(isolations[kind], receive_all_task, crowd, sizeof *crowd);
            assert_int_equal(tandem_submit(pool, task), 0);
        }
        for (size_t i = 0; i < SENDERS; i++) {
            tandem_task *task = &senders[kind * SENDERS + i];
            *task = task_of(isolations[kind], send_all_task, crowd, sizeof *crowd);
            assert_int_equal(tandem_submit(pool, task), 0);
        }
    }
    for (size_t i = 0; i < kinds * SENDERS; i++) expect_end(&senders[i], TANDEM_OK);
    assert_int_equal(tandem_channel_close(crowd->channel), 0);
    for (size_t i = 0; i < kinds * RECEIVERS; i++) expect_end(&receivers[i], TANDEM_OK);
    assert_int_equal(atomic_load(&crowd->received), kinds * SENDERS * crowd->each);
    assert_int_equal(atomic_load(&crowd->sum), kinds * SENDERS * (crowd->each * (crowd->each + 1) / 2));
    for (size_t i = 0; i < kinds * SENDERS; i++) tandem_task_clear(&senders[i]);
    for (size_t i = 0; i < kinds * RECEIVERS; i++) tandem_task_clear(&receivers[i]);
    assert_int_equal(tandem_channel_destroy(crowd->channel), 0);
    end_pool(pool);
}

static void many_senders_and_receivers_get_each_message_once(int isolation)
{
    const uint32_t all = SENDERS + RECEIVERS;
    for (uint32_t messages = 1; messages <= 64; messages *= 8)
        crowd_at(isolation == TANDEM_THREAD ? all : 0, isolation == TANDEM_PROCESS ? all : 0, messages, &isolation, 1);
}

static void threads_and_workers_meet_at_one_channel(void)
{
    static const int isolations[] = {TANDEM_THREAD, TANDEM_PROCESS};
    for (uint32_t messages = 1; messages <= 64; messages *= 8)
        crowd_at(SENDERS + RECEIVERS, SENDERS + RECEIVERS, messages, isolations, 2);
}

/* ---- who may use it ---- */

static int expect_error(tandem_channel *channel, int error)
{
    char byte;
    if (tandem_channel_send(channel, "x", 1, -1) != error) return __LINE__ % 200 + 1;
    if (tandem_channel_receive(channel, 0, &byte, 1, -1) != error) return __LINE__ % 200 + 1;
    if (tandem_channel_close(channel) != error) return __LINE__ % 200 + 1;
    return tandem_channel_destroy(channel) == error ? 0 : __LINE__ % 200 + 1;
}

static int fork_task(tandem_context *context, void *input, size_t size)
{
    struct meeting *meeting = input;
    int status;
    (void)context, (void)size;
    pid_t pid = fork();
    if (pid == 0) _exit(expect_error(meeting->channel, -EPERM));
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : __LINE__;
}

/* A worker's child must not send as that worker: its death would go unnoticed. */
static int start_afresh_task(tandem_context *context, void *input, size_t size)
{
    tandem_channel *channel = ((struct meeting *)input)->channel;
    int status;
    (void)context, (void)size;
    pid_t pid = fork();
    if (pid == 0) _exit(tandem_init() != 0 ? 1 : expect_error(channel, -EINVAL));
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 ? 0 : __LINE__;
}

/* promise 34 */
static void a_forked_child_may_not_use_it(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    struct meeting *meeting = meeting_in(pool, 2, 8, 0);
    tandem_task task = task_of(isolation, fork_task, meeting, sizeof *meeting);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    tandem_task_clear(&task);
    assert_int_equal(send_number(meeting->channel, 1, 0), 0);
    end_pool(pool);
}

/* promise 34 */
static void a_forked_child_that_starts_afresh_has_no_such_channel(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    struct meeting *meeting = meeting_in(pool, 2, 8, 0);
    tandem_task task = task_of(isolation, start_afresh_task, meeting, sizeof *meeting);
    expect_end((tandem_submit(pool, &task), &task), TANDEM_OK);
    tandem_task_clear(&task);
    assert_int_equal(send_number(meeting->channel, 1, 0), 0);
    end_pool(pool);
}

static int reply_over_channel_task(tandem_context *context, void *input, size_t size)
{
    struct meeting *meeting = input;
    (void)context, (void)size;
    return send_number(meeting->channel, 7, -1) == 0 ? 0 : __LINE__;
}

/* Hands on what its own worker sends. */
static int have_a_pool_task(tandem_context *context, void *input, size_t size)
{
    struct meeting *outer = input, inner = {0};
    tandem_options options = {.threads = TANDEM_NONE, .processes = 1};
    tandem_pool *pool;
    (void)context, (void)size;
    if (tandem_pool_create(&pool, &options) != 0) return __LINE__;
    if (tandem_channel_create(pool, &inner.channel, NULL) != 0) return __LINE__;
    tandem_task task = task_of(TANDEM_PROCESS, reply_over_channel_task, &inner, sizeof inner);
    if (tandem_call(pool, &task) != TANDEM_OK) return __LINE__;
    tandem_task_clear(&task);
    int64_t number = receive_number(inner.channel, 0, 0);
    if (number < 0 || send_number(outer->channel, (uint64_t)number, -1) != 0) return __LINE__;
    return tandem_pool_destroy(pool) == 0 ? 0 : __LINE__;
}

/* promise 13 */
static void a_task_may_have_a_pool_with_channels_of_its_own(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    struct meeting *meeting = meeting_in(pool, 2, 8, 0);
    tandem_task task = task_of(TANDEM_PROCESS, have_a_pool_task, meeting, sizeof *meeting);
    expect_end((tandem_submit(pool, &task), &task), TANDEM_OK);
    tandem_task_clear(&task);
    assert_int_equal(receive_number(meeting->channel, 0, 0), 7);
    end_pool(pool);
}

/* ---- broadcasts ---- */

static void each_subscriber_gets_each_message_since_it_subscribed(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_channel *channel = channel_of(pool, 4, 8, 2);
    for (uint64_t i = 0; i < 10; i++) assert_int_equal(send_number(channel, 100 + i, 0), 0); /* to nobody */
    int first = tandem_channel_subscribe(channel);
    assert_true(first > 0);
    assert_int_equal(send_number(channel, 1, 0), 0);
    int second = tandem_channel_subscribe(channel);
    assert_true(second > 0 && second != first);
    assert_int_equal(tandem_channel_subscribe(channel), -EAGAIN);
    for (uint64_t i = 2; i < 5; i++) assert_int_equal(send_number(channel, i, 0), 0);
    assert_int_equal(send_number(channel, 5, 0), -EAGAIN); /* the first is the slower */
    assert_int_equal(receive_number(channel, second, 0), 2);
    assert_int_equal(send_number(channel, 5, 0), -EAGAIN);
    assert_int_equal(receive_number(channel, first, 0), 1);
    assert_int_equal(send_number(channel, 5, 0), 0);
    for (int64_t i = 2; i < 6; i++) assert_int_equal(receive_number(channel, first, 0), i);
    assert_int_equal(receive_number(channel, first, 0), -EAGAIN);
    assert_int_equal(tandem_channel_unsubscribe(channel, first), 0);
    assert_int_equal(tandem_channel_unsubscribe(channel, first), -EINVAL);
    assert_int_equal(receive_number(channel, first, 0), -EINVAL);
    int third = tandem_channel_subscribe(channel);
    assert_true(third > 0 && third != first);
    assert_int_equal(receive_number(channel, third, 0), -EAGAIN);
    assert_int_equal(tandem_channel_close(channel), 0);
    for (int64_t i = 3; i < 6; i++) assert_int_equal(receive_number(channel, second, 0), i);
    assert_int_equal(receive_number(channel, second, 0), -EPIPE);
    assert_int_equal(tandem_channel_subscribe(channel), -EPIPE);
    assert_int_equal(tandem_channel_destroy(channel), 0);
    end_pool(pool);
}

struct listener {
    tandem_channel *channel;
    int subscriber;
    uint64_t most;
};

static int listen_task(tandem_context *context, void *input, size_t size)
{
    const struct listener *listener = input;
    (void)context, (void)size;
    for (uint64_t i = 1; i <= listener->most; i++)
        if (receive_number(listener->channel, listener->subscriber, -1) != (int64_t)i) return __LINE__;
    return receive_number(listener->channel, listener->subscriber, -1) == -EPIPE ? 0 : __LINE__;
}

/* The host subscribes for its tasks before they are submitted. */
static void a_broadcast_reaches_all(int isolation)
{
    enum { LISTENERS = 4 };
    tandem_pool *pool = pool_of(isolation, LISTENERS, NULL);
    tandem_channel *channel = channel_of(pool, 8, 8, LISTENERS);
    const uint64_t most = scaled(200000);
    tandem_task tasks[LISTENERS];
    struct listener listeners[LISTENERS];
    for (int i = 0; i < LISTENERS; i++) {
        listeners[i] = (struct listener){channel, tandem_channel_subscribe(channel), most};
        tasks[i] = task_of(isolation, listen_task, &listeners[i], sizeof listeners[i]);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (uint64_t i = 1; i <= most; i++) assert_int_equal(send_number(channel, i, -1), 0);
    assert_int_equal(tandem_channel_close(channel), 0);
    for (int i = 0; i < LISTENERS; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    assert_int_equal(tandem_channel_destroy(channel), 0);
    end_pool(pool);
}

static int unsubscribed_task(tandem_context *context, void *input, size_t size)
{
    struct meeting *meeting = input;
    (void)context, (void)size;
    atomic_fetch_add(&meeting->begun, 1);
    return receive_number(meeting->channel, meeting->subscriber, -1) == -EINVAL ? 0 : __LINE__;
}

static void who_waits_for_a_subscriber_that_ends_is_told(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    struct meeting *meeting = meeting_in(pool, 2, 8, 2);
    meeting->subscriber = tandem_channel_subscribe(meeting->channel);
    tandem_task task = task_of(isolation, unsubscribed_task, meeting, sizeof *meeting);
    assert_int_equal(tandem_submit(pool, &task), 0);
    wait_until(atomic_load(&meeting->begun) == 1);
    for (int i = 0; i < 20; i++) moment();
    assert_int_equal(tandem_channel_unsubscribe(meeting->channel, meeting->subscriber), 0);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

static int receive_number_task(tandem_context *context, void *input, size_t size)
{
    tandem_channel *const *channels = input;
    (void)context, (void)size;
    if (send_number(channels[1], 1, -1) != 0) return __LINE__;
    return receive_number(channels[0], 0, -1) == 5 ? 0 : __LINE__;
}

static int send_number_task(tandem_context *context, void *input, size_t size)
{
    tandem_channel *const *channels = input;
    (void)context, (void)size;
    return send_number(channels[0], 5, -1) == 0 ? 0 : __LINE__;
}

/* promise 13: the pool has one thread, and it sleeps, some of the times after it has looked for long enough */
static void another_thread_stands_in_for_one_that_waits_for_a_message(void)
{
    tandem_options no_watch = {.spin_us = TANDEM_NONE};
    for (int round = 0; round < 20; round++) {
        tandem_pool *pool = pool_of(TANDEM_THREAD, 1, round % 2 ? &no_watch : NULL);
        tandem_channel *channels[2] = {channel_of(pool, 4, 8, 0), channel_of(pool, 4, 8, 0)};
        tandem_task receiver = task_of(TANDEM_THREAD, receive_number_task, channels, sizeof channels);
        tandem_task sender = task_of(TANDEM_THREAD, send_number_task, channels, sizeof channels);
        receiver.flags = sender.flags = TANDEM_NO_HELP;
        assert_int_equal(tandem_submit(pool, &receiver), 0);
        assert_int_equal(receive_number(channels[1], 0, patience_ms()), 1);
        assert_int_equal(tandem_submit(pool, &sender), 0);
        expect_end(&sender, TANDEM_OK);
        expect_end(&receiver, TANDEM_OK);
        tandem_task_clear(&receiver);
        tandem_task_clear(&sender);
        end_pool(pool);
    }
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(messages_come_whole_and_in_order),
        test(a_full_channel_has_room_again_after_a_receipt),
        test(bad_use_is_EINVAL),
        test(a_message_too_large_is_EMSGSIZE_and_stays),
        test(what_there_is_no_room_for_is_ENOMEM),
        test(after_the_close_receivers_drain_and_then_get_EPIPE),
        both(the_close_ends_the_wait_for_a_message),
        both(the_close_ends_the_wait_for_room),
        both(the_end_of_the_pool_ends_waits),
        both(the_time_is_neither_shorter_nor_much_longer),
        both(many_senders_and_receivers_get_each_message_once),
        test(threads_and_workers_meet_at_one_channel),
        both(a_forked_child_may_not_use_it),
        both(a_forked_child_that_starts_afresh_has_no_such_channel),
        test(a_task_may_have_a_pool_with_channels_of_its_own),
        test(another_thread_stands_in_for_one_that_waits_for_a_message),
        test(each_subscriber_gets_each_message_since_it_subscribed),
        both(a_broadcast_reaches_all),
        both(who_waits_for_a_subscriber_that_ends_is_told),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
