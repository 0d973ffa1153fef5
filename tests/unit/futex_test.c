/* futex_test.c - sleeping on a word: no wake-up is lost, no sleep ends early for nothing, and none goes on too long. */
#include "harness.h"

#include "base/clock.h"
#include "base/futex.h"

#include <errno.h>
#include <pthread.h>

/* ---- no wake-up is lost ---- */

struct table_tennis {
    _Atomic uint32_t ball; /* how often it has been hit: even on one side, odd on the other */
    uint32_t hits;
};

static void play(struct table_tennis *game, uint32_t side)
{
    for (uint32_t hit = side; hit < game->hits; hit += 2) {
        for (uint32_t seen; (seen = load_seq(&game->ball)) != hit;) tdm_futex_wait(&game->ball, seen, TDM_FOREVER);
        store_seq(&game->ball, hit + 1);
        tdm_futex_wake_one(&game->ball);
    }
}

static void *play_the_other_side(void *argument)
{
    play(argument, 1);
    return NULL;
}

static void two_threads_play_and_no_wake_up_is_lost(void)
{
    struct table_tennis game = {.hits = (uint32_t)scaled(5000000)};
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, play_the_other_side, &game), 0);
    play(&game, 0);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(load_seq(&game.ball), game.hits);
}

enum { SLEEPERS = 16 };

struct sleeper {
    pthread_t thread;
    _Atomic uint32_t *word;
    atomic_int asleep, woken; /* asleep: or about to be */
};

static void *sleep_while_0(void *argument)
{
    struct sleeper *me = argument;
    atomic_store(&me->asleep, 1);
    while (load_seq(me->word) == 0) tdm_futex_wait(me->word, 0, TDM_FOREVER);
    atomic_store(&me->woken, 1);
    return NULL;
}

static void start_sleeper(struct sleeper *sleeper, _Atomic uint32_t *word)
{
    *sleeper = (struct sleeper){.word = word};
    assert_int_equal(pthread_create(&sleeper->thread, NULL, sleep_while_0, sleeper), 0);
}

static void wake_all_wakes_all(void)
{
    for (size_t round = 0; round < scaled(5000); round++) {
        struct sleeper sleepers[SLEEPERS];
        _Atomic uint32_t word = 0;
        for (int i = 0; i < SLEEPERS; i++) start_sleeper(&sleepers[i], &word);
        for (int i = 0; i < SLEEPERS; i++) assert_true(await(&sleepers[i].asleep, 1));
        store_seq(&word, 1);
        tdm_futex_wake_all(&word);
        for (int i = 0; i < SLEEPERS; i++) assert_int_equal(pthread_join(sleepers[i].thread, NULL), 0);
    }
}

/* Words beside each other, as they lie in one struct. */
static void wake_one_wakes_a_sleeper_on_that_word(void)
{
    for (size_t round = 0; round < scaled(5000); round++) {
        struct sleeper sleepers[SLEEPERS];
        _Atomic uint32_t words[SLEEPERS] = {0};
        for (int i = 0; i < SLEEPERS; i++) start_sleeper(&sleepers[i], &words[i]);
        for (int i = 0; i < SLEEPERS; i++) assert_true(await(&sleepers[i].asleep, 1));
        for (int i = SLEEPERS - 1; i >= 0; i--) {
            assert_int_equal(atomic_load(&sleepers[i].woken), 0);
            store_seq(&words[i], 1);
            tdm_futex_wake_one(&words[i]);
            assert_int_equal(pthread_join(sleepers[i].thread, NULL), 0);
        }
    }
}

static void a_wake_that_nobody_waits_for_is_not_kept(void)
{
    _Atomic uint32_t word = 0;
    uint64_t begun = tdm_clock_ns(), deadline = begun + 20000000;
    for (int i = 0; i < 100; i++) tdm_futex_wake_all(&word);
    int returns = 0;
    for (; tdm_clock_ns() < deadline; returns++) tdm_futex_wait(&word, 0, deadline);
    assert_in_range(returns, 0, 10);
}

static void a_wake_does_not_touch_the_memory(void)
{
    _Atomic uint32_t *nowhere = (_Atomic uint32_t *)(uintptr_t)4096;
    tdm_futex_wake_one(nowhere);
    tdm_futex_wake_all(nowhere);
}

/* ---- when a sleep ends ---- */

static void a_word_that_has_changed_is_not_slept_on(void)
{
    _Atomic uint32_t word = 1;
    for (size_t i = 0; i < scaled(100000); i++) {
        tdm_futex_wait(&word, 0, TDM_FOREVER);
        tdm_futex_wait(&word, UINT32_MAX, TDM_FOREVER);
    }
}

static void a_sleep_lasts_until_its_deadline(void)
{
    _Atomic uint32_t word = 0;
    for (uint64_t ms = 0; ms <= 60; ms += 20) {
        uint64_t begun = tdm_clock_ns(), deadline = begun + ms * 1000000 + 1000;
        int returns = 0;
        for (; tdm_clock_ns() < deadline; returns++) tdm_futex_wait(&word, 0, deadline);
        assert_in_range(returns, 0, 10); /* it slept: a return may be spurious, but a loop that spins makes thousands */
        assert_true(tdm_clock_ns() - deadline < (uint64_t)patience_ms() * 1000000);
    }
}

static void a_deadline_that_is_over_ends_the_sleep_at_once(void)
{
    _Atomic uint32_t word = 0;
    for (size_t i = 0; i < scaled(100000); i++) {
        tdm_futex_wait(&word, 0, 0);
        tdm_futex_wait(&word, 0, 1);
        tdm_futex_wait(&word, 0, tdm_clock_ns());
    }
}

static void errno_stays(void)
{
    _Atomic uint32_t word = 0;
    errno = EXDEV;
    tdm_futex_wait(&word, 0, tdm_clock_ns() + 1000000); /* in vain */
    tdm_futex_wait(&word, 1, TDM_FOREVER);              /* not at all */
    tdm_futex_wake_one(&word);
    tdm_futex_wake_all(&word);
    assert_int_equal(errno, EXDEV);
}

static void a_cancellation_does_not_end_a_sleep(void)
{
    struct sleeper sleeper;
    _Atomic uint32_t word = 0;
    void *result;
    start_sleeper(&sleeper, &word);
    assert_true(await(&sleeper.asleep, 1));
    assert_int_equal(pthread_cancel(sleeper.thread), 0);
    moment(); /* a cancellation that did end it would show itself in the join */
    store_seq(&word, 1);
    tdm_futex_wake_all(&word);
    assert_int_equal(pthread_join(sleeper.thread, &result), 0);
    assert_null(result);
    assert_int_equal(sleeper.woken, 1);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(two_threads_play_and_no_wake_up_is_lost),
        test(wake_all_wakes_all),
        test(wake_one_wakes_a_sleeper_on_that_word),
        test(a_wake_that_nobody_waits_for_is_not_kept),
        test(a_wake_does_not_touch_the_memory),
        test(a_word_that_has_changed_is_not_slept_on),
        test(a_sleep_lasts_until_its_deadline),
        test(a_deadline_that_is_over_ends_the_sleep_at_once),
        test(errno_stays),
        test(a_cancellation_does_not_end_a_sleep),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
