/* channel_steps.c - a worker killed at every step of what it does with a channel or a lock, again and again; the others go on.
 *
 * Nobody but workers passes these steps while a death is armed. */
#include "harness.h"

#include <errno.h>
#include <string.h>

#include "base/fault.h"

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
static const enum tdm_fault_point broadcast_points[] = {TDM_FAULT_word_taken,  TDM_FAULT_belt_counted_in, TDM_FAULT_belt_called,
                                                        TDM_FAULT_belt_joined, TDM_FAULT_belt_taken,      TDM_FAULT_belt_opened};
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

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_sender_or_receiver_may_be_killed_at_any_step),
        test(a_member_of_a_broadcast_may_be_killed_at_any_step),
        test(a_holder_of_a_lock_may_be_killed_at_any_step),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
