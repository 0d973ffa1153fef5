/* channels_hostile.c - a worker that writes anything anywhere into a channel that its host uses. */
#include "harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES 5
#define LARGEST  40
#define REACH    1024 /* bytes from the start of a channel on that may be written over */
#define HEAD     192  /* bytes before what each subscriber has taken */
#define LOCK     64   /* where its lock lies: once that is destroyed the host comes no further */

struct vandal {
    tandem_channel *channel;
    atomic_int begun, stop;
    unsigned seed;
    size_t from, to; /* what is written over */
};

/* Words that mean something: sizes, counts, holders; near their ends too. */
static uint64_t odd_value(unsigned *dice)
{
    static const uint64_t odd[] = {0,           1,         2,          MESSAGES,   MESSAGES + 1,
                                   LARGEST + 1, INT32_MAX, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 63};
    uint64_t any = (uint64_t)rand_r(dice) << 33 ^ (uint64_t)rand_r(dice);
    unsigned which = (unsigned)rand_r(dice) % 20;
    return which < count_of(odd) ? odd[which] : any;
}

static int scribble_task(tandem_context *context, void *input, size_t input_size)
{
    struct vandal *vandal = input;
    unsigned dice = vandal->seed;
    (void)context, (void)input_size;
    atomic_store(&vandal->begun, 1);
    while (!atomic_load(&vandal->stop)) {
        uint64_t value = odd_value(&dice);
        size_t at = vandal->from + (size_t)rand_r(&dice) % ((vandal->to - vandal->from) / 4) * 4;
        size_t size = rand_r(&dice) % 2 == 0 ? 4 : 8;
        if (vandal->seed % 5 != 0 && at < LOCK + 4 && at + size > LOCK) continue;
        memcpy((char *)vandal->channel + at, &value, size);
        for (unsigned pause = (unsigned)rand_r(&dice) % 1000; pause > 0; pause--) atomic_signal_fence(memory_order_seq_cst);
    }
    return 0;
}

static void expect_an_answer(ssize_t result, size_t most)
{
    static const int errors[] = {EAGAIN, ETIMEDOUT, EPIPE, EIO, EINVAL, EMSGSIZE};
    if (result >= 0 && (size_t)result <= most) return;
    for (size_t i = 0; i < count_of(errors); i++)
        if (result == -errors[i]) return;
    fail_msg("a call returned %lld", (long long)result);
}

/* Memory of its own, so that a sanitizer sees what goes beyond it. */
static void use(tandem_channel *channel, unsigned *dice, int *subscriber)
{
    size_t size = (unsigned)rand_r(dice) % (LARGEST + 1);
    char *buffer = malloc(size > 0 ? size : 1);
    memset(buffer, 'x', size);
    switch (rand_r(dice) % 8) {
    case 0:
        *subscriber = tandem_channel_subscribe(channel);
        expect_an_answer(*subscriber, INT32_MAX);
        break;
    case 1: expect_an_answer(tandem_channel_unsubscribe(channel, *subscriber), 0); break;
    case 2:
    case 3:
    case 4: expect_an_answer(tandem_channel_send(channel, buffer, size, rand_r(dice) % 2), 0); break;
    default: expect_an_answer(tandem_channel_receive(channel, *subscriber, buffer, size, rand_r(dice) % 2), size); break;
    }
    free(buffer);
}

/* promise 29 */
static void a_worker_that_writes_over_a_channel_harms_nobody(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    struct vandal *vandal = tandem_shared_alloc(pool, sizeof *vandal);
    assert_non_null(vandal);
    for (unsigned seed = 1; seed <= (full_run() ? 500u : 10u); seed++) {
        tandem_channel_options options = {.messages = MESSAGES, .message_size = LARGEST, .subscribers = seed % 3 == 0 ? 0 : 20};
        size_t messages = HEAD + (options.subscribers > 0 ? options.subscribers : 1) * 16;
        const struct vandal plans[] = {
            {.to = REACH}, {.to = REACH}, {.to = LOCK}, {.from = LOCK, .to = messages}, {.from = messages, .to = REACH}};
        *vandal = plans[seed % 5];
        vandal->seed = seed;
        assert_int_equal(tandem_channel_create(pool, &vandal->channel, &options), 0);
        tandem_channel *channel = vandal->channel;
        void *room = tandem_shared_alloc(pool, REACH); /* what lies behind it is the test's */
        tandem_task task = task_of(TANDEM_PROCESS, scribble_task, vandal, sizeof *vandal);
        assert_int_equal(tandem_submit(pool, &task), 0);
        wait_until(atomic_load(&vandal->begun) == 1);
        unsigned dice = seed;
        int subscriber = 0;
        const int64_t end = now_ms() + 60;
        while (now_ms() < end) use(channel, &dice, &subscriber);
        atomic_store(&vandal->stop, 1);
        expect_end(&task, TANDEM_OK);
        tandem_task_clear(&task);
        for (int i = 0; i < 3; i++) use(channel, &dice, &subscriber); /* nobody is left who could open what is locked */
        assert_int_equal(tandem_channel_close(channel), 0);
        expect_an_answer(tandem_channel_send(channel, "x", 1, -1), 0);
        assert_int_equal(tandem_channel_destroy(channel), 0);
        assert_int_equal(tandem_shared_free(pool, room), 0);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_worker_that_writes_over_a_channel_harms_nobody),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
