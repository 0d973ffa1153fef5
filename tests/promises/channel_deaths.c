/* channel_deaths.c - channels whose senders, receivers and subscribers are killed at any moment: the ledger. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIVES     32768 /* of members: each run of a task is one, and so are many messages of one */
#define LARGEST   300
#define WORKERS   4
#define THREADS   2
#define ALL       (WORKERS + THREADS)
#define HEARD_OFF 512 /* lives that one member remembers to have heard of */

/* In shared memory, where it outlives them all. */
struct ledger {
    tandem_channel *channel;
    atomic_int stop;
    atomic_int wrong; /* the line of the first complaint */
    atomic_int lives;
    int lives_most;
    atomic_ullong sent, received;
    atomic_ullong begun_of[LIVES], sent_of[LIVES]; /* by life: numbers that it has begun to send; that were sent */
    atomic_uchar seen[];                           /* by life and number, as far as there is room: how often received */
};

#define SEEN_EACH 2048 /* messages that one life may send */

static int wrong_at(struct ledger *ledger, int line)
{
    int none = 0;
    atomic_compare_exchange_strong(&ledger->wrong, &none, line);
    return line;
}

/* ---- messages that show when they are torn ---- */

struct letter {
    uint32_t life, number;
    unsigned char bytes[LARGEST];
};

static size_t size_of(uint32_t life, uint32_t number)
{
    return offsetof(struct letter, bytes) + (life * 31 + number * 7) % LARGEST;
}

static size_t write_letter(struct letter *letter, uint32_t life, uint32_t number)
{
    size_t size = size_of(life, number);
    *letter = (struct letter){.life = life, .number = number};
    for (size_t i = 0; i < size - offsetof(struct letter, bytes); i++) letter->bytes[i] = (unsigned char)(life + number * 3 + i);
    return size;
}

static bool is_whole(const struct letter *letter, size_t size)
{
    struct letter right;
    return letter->life < LIVES && size == write_letter(&right, letter->life, letter->number) && memcmp(letter, &right, size) == 0;
}

/* ---- members ---- */

static uint32_t be_born(struct ledger *ledger)
{
    uint32_t life = (uint32_t)atomic_fetch_add(&ledger->lives, 1);
    return life < (uint32_t)ledger->lives_most ? life : 0;
}

/* Which number of each sender was heard last. */
struct heard {
    uint32_t life[HEARD_OFF], number[HEARD_OFF];
};

/* Of one sender numbers rise; a subscriber to a broadcast gets all from the first it gets. */
static bool is_next(struct heard *heard, const struct letter *letter, bool each)
{
    uint32_t place = letter->life % HEARD_OFF, last = heard->life[place] == letter->life ? heard->number[place] : 0;
    heard->life[place] = letter->life;
    heard->number[place] = letter->number;
    return last == 0 || (each ? letter->number == last + 1 : letter->number > last);
}

static int send_one(struct ledger *ledger, uint32_t life, uint32_t number, int64_t timeout_ms)
{
    struct letter letter;
    size_t size = write_letter(&letter, life, number);
    atomic_store(&ledger->begun_of[life], number);
    int error = tandem_channel_send(ledger->channel, &letter, size, timeout_ms);
    if (error == 0) atomic_store(&ledger->sent_of[life], number);
    if (error == 0) atomic_fetch_add(&ledger->sent, 1);
    return error;
}

/* 0, or the line of what is wrong, or -errno. */
static int receive_one(struct ledger *ledger, int subscriber, struct heard *heard, int64_t timeout_ms)
{
    struct letter letter;
    ssize_t size = tandem_channel_receive(ledger->channel, subscriber, &letter, sizeof letter, timeout_ms);
    if (size < 0) return (int)size;
    if (!is_whole(&letter, (size_t)size)) return wrong_at(ledger, __LINE__);
    if (letter.number > atomic_load(&ledger->begun_of[letter.life])) return wrong_at(ledger, __LINE__);
    if (!is_next(heard, &letter, subscriber != 0)) return wrong_at(ledger, __LINE__);
    atomic_fetch_add(&ledger->received, 1);
    if (subscriber == 0 && atomic_fetch_add(&ledger->seen[(size_t)letter.life * SEEN_EACH + letter.number], 1) != 0)
        return wrong_at(ledger, __LINE__);
    return 0;
}

/* Sends and receives by turns of chance until it is to stop, then receives until the channel is closed and empty. */
static int take_part_task(tandem_context *context, void *input, size_t size)
{
    struct ledger *ledger = input;
    struct heard heard = {0};
    uint32_t life = be_born(ledger), number = 0;
    unsigned dice = life;
    (void)context, (void)size;
    while (life != 0 && !atomic_load(&ledger->stop)) {
        int error;
        if (number + 1 == SEEN_EACH) {
            life = be_born(ledger);
            number = 0;
            continue;
        }
        if (rand_r(&dice) % 2 == 0) {
            error = send_one(ledger, life, number + 1, rand_r(&dice) % 4);
            if (error == 0) number++;
        } else {
            error = receive_one(ledger, 0, &heard, rand_r(&dice) % 4);
        }
        if (error != 0 && error != -EAGAIN && error != -ETIMEDOUT && error != -EPIPE) return wrong_at(ledger, __LINE__);
    }
    for (int error; (error = receive_one(ledger, 0, &heard, -1)) != -EPIPE;)
        if (error != 0) return wrong_at(ledger, __LINE__);
    return 0;
}

static int send_on_task(tandem_context *context, void *input, size_t size)
{
    struct ledger *ledger = input;
    uint32_t life = be_born(ledger);
    (void)context, (void)size;
    for (uint32_t number = 1; life != 0 && !atomic_load(&ledger->stop); number++) {
        int error = send_one(ledger, life, number, -1);
        if (error != 0) return error == -EPIPE ? 0 : wrong_at(ledger, __LINE__);
    }
    return 0;
}

static int listen_on_task(tandem_context *context, void *input, size_t size)
{
    struct ledger *ledger = input;
    struct heard heard = {0};
    (void)context, (void)size;
    be_born(ledger);
    int subscriber = tandem_channel_subscribe(ledger->channel);
    if (subscriber <= 0) return subscriber == -EPIPE ? 0 : wrong_at(ledger, __LINE__);
    for (int error; (error = receive_one(ledger, subscriber, &heard, -1)) != -EPIPE;)
        if (error != 0) return wrong_at(ledger, __LINE__);
    return 0;
}

/* ---- killing ---- */

static struct ledger *ledger_in(tandem_pool *pool, uint32_t messages, uint32_t subscribers)
{
    const size_t lives_most = full_run() ? LIVES : LIVES / 16;
    struct ledger *ledger = tandem_shared_alloc(pool, sizeof *ledger + (subscribers == 0 ? lives_most * SEEN_EACH : 0));
    tandem_channel_options options = {.messages = messages, .message_size = sizeof(struct letter), .subscribers = subscribers};
    assert_non_null(ledger);
    assert_int_equal(tandem_channel_create(pool, &ledger->channel, &options), 0);
    atomic_store(&ledger->lives, 1);
    ledger->lives_most = (int)lives_most;
    return ledger;
}

/* One of the processes after the other is killed and replaced.  How many. */
static unsigned kill_for_a_while(tandem_pool *pool, struct ledger *ledger, tandem_task *tasks, size_t count)
{
    unsigned dice = (unsigned)getpid(), deaths = 0;
    const int64_t end = now_ms() + (full_run() ? 60000 : 1000);
    for (; now_ms() < end && atomic_load(&ledger->lives) < ledger->lives_most; deaths++) {
        tandem_task *victim = &tasks[(unsigned)rand_r(&dice) % count];
        usleep((unsigned)rand_r(&dice) % 3000); /* so that it is killed anywhere in its work; nothing relies on it */
        assert_int_equal(atomic_load(&ledger->wrong), 0);
        tandem_cancel(victim); /* it may have ended */
        int status = tandem_wait_for(victim, patience_ms());
        if (status != TANDEM_CANCELLED && status != TANDEM_OK) fail_msg("a member ended %d, code %d", status, victim->code);
        assert_int_equal(tandem_submit(pool, victim), 0);
    }
    return deaths;
}

static void end_all(tandem_task *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
}

/* ---- the tests ---- */

static void no_message_is_torn_doubled_or_lost_beyond_what_the_dead_had_taken(void)
{
    for (uint32_t messages = 1; messages <= 16; messages *= 16) {
        tandem_pool *pool = pool_of_both(THREADS, WORKERS);
        struct ledger *ledger = ledger_in(pool, messages, 0);
        tandem_task tasks[ALL];
        for (int i = 0; i < ALL; i++) {
            tasks[i] = task_of(i < WORKERS ? TANDEM_PROCESS : TANDEM_THREAD, take_part_task, ledger, sizeof *ledger);
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        }
        wait_until(atomic_load(&ledger->lives) > ALL);
        unsigned deaths = kill_for_a_while(pool, ledger, tasks, WORKERS);
        atomic_store(&ledger->stop, 1);
        assert_int_equal(tandem_channel_close(ledger->channel), 0);
        end_all(tasks, ALL);
        assert_int_equal(atomic_load(&ledger->wrong), 0);
        uint64_t lost = 0;
        for (uint32_t life = 1; life < (uint32_t)atomic_load(&ledger->lives) && life < (uint32_t)ledger->lives_most; life++)
            for (uint32_t number = 1; number <= atomic_load(&ledger->sent_of[life]); number++)
                lost += atomic_load(&ledger->seen[(size_t)life * SEEN_EACH + number]) == 0;
        assert_true(atomic_load(&ledger->received) > 100);
        if (lost > deaths) fail_msg("%llu messages lost, %u deaths", (unsigned long long)lost, deaths);
        end_pool(pool);
    }
}

/* Those who live hear all; those who die hold up nobody. */
static void a_broadcast_goes_on_when_senders_and_subscribers_die(void)
{
    tandem_pool *pool = pool_of_both(2, WORKERS);
    struct ledger *ledger = ledger_in(pool, 8, ALL);
    tandem_task tasks[WORKERS + 2];
    for (int i = 0; i < WORKERS + 2; i++) {
        tandem_fn *run = i % 2 == 0 ? send_on_task : listen_on_task;
        tasks[i] = task_of(i < WORKERS ? TANDEM_PROCESS : TANDEM_THREAD, run, ledger, sizeof *ledger);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    wait_until(atomic_load(&ledger->lives) > WORKERS + 2);
    kill_for_a_while(pool, ledger, tasks, WORKERS);
    uint64_t before = atomic_load(&ledger->received);
    wait_until(atomic_load(&ledger->received) > before + 100);
    atomic_store(&ledger->stop, 1);
    assert_int_equal(tandem_channel_close(ledger->channel), 0);
    end_all(tasks, WORKERS + 2);
    assert_int_equal(atomic_load(&ledger->wrong), 0);
    end_pool(pool);
}

static int subscribe_and_die_task(tandem_context *context, void *input, size_t size)
{
    struct ledger *ledger = input;
    (void)context, (void)size;
    if (tandem_channel_subscribe(ledger->channel) <= 0) return __LINE__;
    kill(getpid(), SIGKILL);
    return __LINE__;
}

static void a_subscriber_goes_with_its_process(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    struct ledger *ledger = ledger_in(pool, 2, 1);
    for (int i = 0; i < 5; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, subscribe_and_die_task, ledger, sizeof *ledger);
        assert_int_equal(tandem_call(pool, &task), TANDEM_CRASHED);
        tandem_task_clear(&task);
        for (uint32_t number = 1; number < 5; number++)
            assert_int_equal(send_one(ledger, 1, number, 0), 0); /* nobody holds it up */
    }
    int own = tandem_channel_subscribe(ledger->channel);
    assert_true(own > 0);
    assert_int_equal(tandem_channel_unsubscribe(ledger->channel, own), 0);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(no_message_is_torn_doubled_or_lost_beyond_what_the_dead_had_taken),
        test(a_broadcast_goes_on_when_senders_and_subscribers_die),
        test(a_subscriber_goes_with_its_process),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
