/* channel_steps.c - a worker killed at every step of what it does with a channel or a lock, again and again; the others go on.
 *
 * Nobody but workers passes these steps while a death is armed. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "job/belt.h"

#define WORKERS 4
#define MOST    4096

struct ledger {
    tandem_channel *channel;
    tandem_mutex mutex;
    uint64_t first, second;
    uint32_t each;
    atomic_uint begun[WORKERS], received;
    atomic_int listening, listeners; /* those that there are; that are waited for */
    atomic_uchar seen[WORKERS][MOST];
};

struct part {
    struct ledger *ledger;
    uint32_t which;
};

static const struct part *part_of(void *input) { return input; }

/* ---- the work ---- */

/* One whose process died goes on behind what it had begun. */
static int send_rest_task(tandem_context *context, void *input, size_t size)
{
    struct ledger *ledger = part_of(input)->ledger;
    uint32_t which = part_of(input)->which;
    (void)context, (void)size;
    if (!await(&ledger->listening, atomic_load(&ledger->listeners))) return __LINE__;
    while (atomic_load(&ledger->begun[which]) < ledger->each) {
        uint64_t message = (uint64_t)which << 32 | atomic_fetch_add(&ledger->begun[which], 1);
        if (tandem_channel_send(ledger->channel, &message, sizeof message, -1) != 0) return __LINE__;
    }
    return 0;
}

static int receive_rest_task(tandem_context *context, void *input, size_t size)
{
    struct ledger *ledger = part_of(input)->ledger;
    (void)context, (void)size;
    for (;;) {
        uint64_t message;
        ssize_t length = tandem_channel_receive(ledger->channel, 0, &message, sizeof message, -1);
        if (length == -EPIPE) return 0;
        if (length != sizeof message || message >> 32 >= WORKERS || (uint32_t)message >= ledger->each) return __LINE__;
        if (atomic_fetch_add(&ledger->seen[message >> 32][(uint32_t)message], 1) != 0) return __LINE__;
        atomic_fetch_add(&ledger->received, 1);
    }
}

/* A broadcast: what one life hears of one sender has no gap, but where that sender died. */
static int listen_rest_task(tandem_context *context, void *input, size_t size)
{
    struct ledger *ledger = part_of(input)->ledger;
    uint64_t last[WORKERS] = {0}, message;
    (void)context, (void)size;
    int subscriber = tandem_channel_subscribe(ledger->channel);
    if (subscriber <= 0) return subscriber == -EPIPE ? 0 : __LINE__;
    atomic_fetch_add(&ledger->listening, 1);
    for (;;) {
        ssize_t length = tandem_channel_receive(ledger->channel, subscriber, &message, sizeof message, -1);
        if (length == -EPIPE) return 0;
        if (length != sizeof message || message >> 32 >= WORKERS) return __LINE__;
        uint64_t number = (uint64_t)(uint32_t)message + 1, *before = &last[message >> 32];
        if (*before != 0 && (number <= *before || number > *before + 2)) return __LINE__;
        *before = number;
        atomic_fetch_add(&ledger->received, 1);
    }
}

static int change_task(tandem_context *context, void *input, size_t size)
{
    struct ledger *ledger = part_of(input)->ledger;
    uint32_t which = part_of(input)->which;
    (void)context, (void)size;
    while (atomic_load(&ledger->begun[which]) < ledger->each) {
        int told = tandem_lock(&ledger->mutex, -1);
        if (told < 0 || ledger->first - ledger->second > (unsigned)told) return __LINE__;
        ledger->second = ledger->first++;
        atomic_fetch_add(&ledger->begun[which], 1);
        ledger->second++;
        if (tandem_unlock(&ledger->mutex) != 0) return __LINE__;
    }
    return 0;
}

/* ---- the deaths ---- */

/* Runs all tasks until the first of them have ended in peace.  How many processes were killed under them. */
static unsigned run_to_the_end(tandem_pool *pool, tandem_task *tasks, size_t first)
{
    unsigned deaths = 0;
    const int64_t begun = now_ms();
    for (size_t done = 0; done < first;) {
        done = 0;
        for (size_t i = 0; i < WORKERS; i++) {
            int status = tandem_wait_for(&tasks[i], 1);
            if (status == TANDEM_CRASHED) {
                deaths++;
                assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
            } else if (status != TANDEM_OK && status != TANDEM_PENDING) {
                fail_msg("task %zu ended %d, code %d", i, status, tasks[i].code);
            }
            if (status == TANDEM_OK && i < first) done++;
        }
        if (now_ms() - begun > patience_ms()) fail_msg("not all come to their end");
    }
    return deaths;
}

struct play {
    tandem_fn *run[WORKERS];
    uint32_t messages, subscribers;
};

static bool one_round(tandem_pool *pool, const struct play *play, enum tdm_fault_point point, uint64_t nth)
{
    struct ledger *ledger = tandem_shared_alloc(pool, sizeof *ledger);
    assert_non_null(ledger);
    ledger->each = (uint32_t)(full_run() ? MOST : 100);
    tandem_channel_options options = {.messages = play->messages, .message_size = 8, .subscribers = play->subscribers};
    assert_int_equal(tandem_channel_create(pool, &ledger->channel, &options), 0);
    if (play->subscribers > 0) atomic_store(&ledger->listeners, WORKERS / 2);
    struct part parts[WORKERS];
    tandem_task tasks[WORKERS];
    tdm_fault_arm(point, nth, TDM_FAULT_KILL, 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        parts[i] = (struct part){ledger, i};
        tasks[i] = task_of(TANDEM_PROCESS, play->run[i], &parts[i], sizeof parts[i]);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    unsigned deaths = run_to_the_end(pool, tasks, WORKERS / 2); /* those that end by themselves */
    assert_int_equal(tandem_channel_close(ledger->channel), 0);
    deaths += run_to_the_end(pool, tasks, WORKERS);
    bool fired = tdm_fault_fired(point) > 0;
    tdm_fault_disarm_all();
    unsigned missing = 0;
    for (uint32_t i = 0; i < WORKERS / 2; i++) missing += ledger->each;
    if (play->subscribers == 0 && play->run[0] == send_rest_task)
        assert_in_range(atomic_load(&ledger->received), missing - deaths, missing);
    for (uint32_t i = 0; i < WORKERS; i++) tandem_task_clear(&tasks[i]);
    assert_int_equal(tandem_channel_destroy(ledger->channel), 0);
    assert_int_equal(tandem_shared_free(pool, ledger), 0);
    return fired;
}

static void kill_at_each(const struct play *play, const enum tdm_fault_point *points, size_t count)
{
    skip_under_valgrind("many deaths");
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, WORKERS, NULL);
    for (size_t i = 0; i < count; i++) {
        unsigned fired = 0;
        for (uint64_t nth = 1; nth <= (full_run() ? 300 : 20); nth += nth / 10 + 1) fired += one_round(pool, play, points[i], nth);
        if (fired == 0) fail_msg("nobody died at %s", tdm_fault_name(points[i]));
    }
    end_pool(pool);
}

static const enum tdm_fault_point channel_points[] = {TDM_FAULT_word_taken,      TDM_FAULT_word_opened, TDM_FAULT_belt_slept,
                                                      TDM_FAULT_belt_counted_in, TDM_FAULT_belt_called, TDM_FAULT_belt_answered,
                                                      TDM_FAULT_belt_begun,      TDM_FAULT_belt_sent,   TDM_FAULT_belt_written,
                                                      TDM_FAULT_belt_copied,     TDM_FAULT_belt_taken,  TDM_FAULT_belt_opened};
static const enum tdm_fault_point broadcast_points[] = {
    TDM_FAULT_word_taken,    TDM_FAULT_word_opened, TDM_FAULT_belt_slept, TDM_FAULT_belt_counted_in, TDM_FAULT_belt_called,
    TDM_FAULT_belt_answered, TDM_FAULT_belt_joined, TDM_FAULT_belt_begun, TDM_FAULT_belt_sent,       TDM_FAULT_belt_written,
    TDM_FAULT_belt_copied,   TDM_FAULT_belt_taken,  TDM_FAULT_belt_opened};
static const enum tdm_fault_point lock_points[] = {TDM_FAULT_word_taken, TDM_FAULT_word_opened, TDM_FAULT_mutex_noted,
                                                   TDM_FAULT_mutex_opened};

static void a_sender_or_receiver_may_be_killed_at_any_step(void)
{
    static const struct play play = {.run = {send_rest_task, send_rest_task, receive_rest_task, receive_rest_task}, .messages = 2};
    kill_at_each(&play, channel_points, count_of(channel_points));
}

static void a_member_of_a_broadcast_may_be_killed_at_any_step(void)
{
    static const struct play play = {
        .run = {send_rest_task, send_rest_task, listen_rest_task, listen_rest_task}, .messages = 2, .subscribers = WORKERS};
    kill_at_each(&play, broadcast_points, count_of(broadcast_points));
}

static void a_holder_of_a_lock_may_be_killed_at_any_step(void)
{
    static const struct play play = {.run = {change_task, change_task, change_task, change_task}, .messages = 1};
    kill_at_each(&play, lock_points, count_of(lock_points));
}

/* ---- on the way to sleep ---- */

struct desk {
    tandem_channel *channel;
    atomic_int subscriber, sender;
};

static int subscribe_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    atomic_store(&desk->subscriber, tandem_channel_subscribe(desk->channel));
    while (pause() != 0) {
    }
    return 0;
}

static int send_one_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    atomic_store(&desk->sender, (int)getpid());
    return tandem_channel_send(desk->channel, "x", 1, -1) == 0 ? 0 : __LINE__;
}

static void a_sender_about_to_sleep_sees_that_the_only_subscriber_has_died(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, NULL);
    struct desk *desk = tandem_shared_alloc(pool, sizeof *desk);
    tandem_channel_options options = {.messages = 1, .message_size = 8, .subscribers = 1};
    assert_int_equal(tandem_channel_create(pool, &desk->channel, &options), 0);
    tandem_task subscriber = task_of(TANDEM_PROCESS, subscribe_task, desk, sizeof *desk);
    tandem_task sender = task_of(TANDEM_PROCESS, send_one_task, desk, sizeof *desk);
    assert_int_equal(tandem_submit(pool, &subscriber), 0);
    wait_until(atomic_load(&desk->subscriber) > 0);
    assert_int_equal(tandem_channel_send(desk->channel, "x", 1, 0), 0); /* now it is full */
    tdm_fault_arm(TDM_FAULT_belt_counted_in, 1, TDM_FAULT_STOP, 0);
    assert_int_equal(tandem_submit(pool, &sender), 0);
    wait_until(tdm_fault_fired(TDM_FAULT_belt_counted_in) == 1);
    struct tdm_belt *belt = (void *)desk->channel;
    uint32_t bell = atomic_load(&belt->bell[TDM_SENDERS]);
    assert_int_equal(tandem_cancel(&subscriber), 0);
    expect_end(&subscriber, TANDEM_CANCELLED);
    wait_until(atomic_load(&belt->bell[TDM_SENDERS]) != bell); /* it is buried */
    kill((pid_t)atomic_load(&desk->sender), SIGCONT);
    expect_end(&sender, TANDEM_OK);
    tdm_fault_disarm_all();
    end_pool(pool);
}

static int write_closed_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    atomic_store(&((struct tdm_belt *)(void *)desk->channel)->closed, 1);
    return 0;
}

static int receive_one_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    char byte;
    (void)context, (void)size;
    return tandem_channel_receive(desk->channel, 0, &byte, 1, -1) == -EPIPE ? 0 : __LINE__;
}

/* It has woken nobody. */
static void a_channel_that_a_worker_has_marked_as_closed_can_be_closed(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of_both(1, 1);
    struct desk *desk = tandem_shared_alloc(pool, sizeof *desk);
    assert_int_equal(tandem_channel_create(pool, &desk->channel, NULL), 0);
    struct tdm_belt *belt = (void *)desk->channel;
    tandem_task receiver = task_of(TANDEM_THREAD, receive_one_task, desk, sizeof *desk);
    tandem_task writer = task_of(TANDEM_PROCESS, write_closed_task, desk, sizeof *desk);
    receiver.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &receiver), 0);
    wait_until(atomic_load(&belt->waiting[TDM_RECEIVERS]) == 1);
    for (int i = 0; i < 20; i++) moment(); /* so that it sleeps; if not, this proves less */
    assert_int_equal(tandem_call(pool, &writer), TANDEM_OK);
    assert_int_equal(tandem_channel_close(desk->channel), 0);
    expect_end(&receiver, TANDEM_OK);
    tandem_task_clear(&writer);
    end_pool(pool);
}

static void *receive_into(tandem_channel *channel, size_t size)
{
    char buffer[8];
    return (void *)(intptr_t)tandem_channel_receive(channel, 0, buffer, size, -1);
}

static void *receive_a_little(void *channel) { return receive_into(channel, 2); }
static void *receive_much(void *channel) { return receive_into(channel, 8); }

static void await_waiting(const struct tdm_belt *belt, uint32_t count)
{
    wait_until(atomic_load(&belt->waiting[TDM_RECEIVERS]) == count);
    for (int i = 0; i < 20; i++) moment(); /* so that it sleeps; if not, this proves less */
}

static void a_message_too_large_for_the_one_who_was_called_goes_to_another(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_channel_options options = {.messages = 4, .message_size = 8};
    tandem_channel *channel;
    pthread_t little, much;
    void *length;
    assert_int_equal(tandem_channel_create(pool, &channel, &options), 0);
    assert_int_equal(pthread_create(&little, NULL, receive_a_little, channel), 0);
    await_waiting((void *)channel, 1);
    assert_int_equal(pthread_create(&much, NULL, receive_much, channel), 0);
    await_waiting((void *)channel, 2);
    assert_int_equal(tandem_channel_send(channel, "12345", 5, 0), 0);
    pthread_join(much, &length);
    assert_int_equal((intptr_t)length, 5);
    assert_int_equal(tandem_channel_close(channel), 0);
    pthread_join(little, &length);
    assert_true((intptr_t)length == -EMSGSIZE || (intptr_t)length == -EPIPE);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_sender_about_to_sleep_sees_that_the_only_subscriber_has_died),
        test(a_channel_that_a_worker_has_marked_as_closed_can_be_closed),
        test(a_message_too_large_for_the_one_who_was_called_goes_to_another),
        test(a_sender_or_receiver_may_be_killed_at_any_step),
        test(a_member_of_a_broadcast_may_be_killed_at_any_step),
        test(a_holder_of_a_lock_may_be_killed_at_any_step),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
