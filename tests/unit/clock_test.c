/* clock_test.c - deadlines: when a timeout ends, and how long a poll may sleep until then. */
#include "harness.h"

#include "base/clock.h"

#include <time.h>

#define MS UINT64_C(1000000)

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

static void the_clock_is_the_monotonic_one(void)
{
    for (size_t i = 0; i < scaled(10000000); i++) {
        uint64_t before = monotonic_ns(), now = tdm_clock_ns();
        assert_true(before <= now && now <= monotonic_ns());
    }
}

static void a_negative_timeout_never_ends(void)
{
    assert_true(tdm_clock_deadline(-1) == TDM_FOREVER);
    assert_true(tdm_clock_deadline(-1000) == TDM_FOREVER);
    assert_true(tdm_clock_deadline(INT64_MIN) == TDM_FOREVER);
}

static void a_timeout_of_0_ends_now(void)
{
    uint64_t before = tdm_clock_ns();
    uint64_t deadline = tdm_clock_deadline(0);
    assert_true(before <= deadline && deadline <= tdm_clock_ns());
}

static void a_timeout_ends_that_much_later(void)
{
    static const int64_t timeouts[] = {1, 50, 1000, 86400000, UINT32_MAX, INT64_C(1) << 43};
    for (size_t i = 0; i < count_of(timeouts); i++) {
        uint64_t length = (uint64_t)timeouts[i] * MS;
        uint64_t before = tdm_clock_ns();
        uint64_t deadline = tdm_clock_deadline(timeouts[i]);
        assert_true(before + length <= deadline && deadline <= tdm_clock_ns() + length);
    }
}

/* The largest timeout that the clock can count is about 584 years. */
static void a_timeout_beyond_the_clock_never_ends(void)
{
    const int64_t most = (int64_t)(UINT64_MAX / MS);
    assert_true(tdm_clock_deadline(INT64_MAX) == TDM_FOREVER);
    assert_true(tdm_clock_deadline(INT64_MAX - 1) == TDM_FOREVER);
    assert_true(tdm_clock_deadline(most + 1) == TDM_FOREVER);
    assert_true(tdm_clock_deadline(most) == TDM_FOREVER);
    uint64_t late = tdm_clock_deadline(most - (int64_t)(tdm_clock_ns() / MS) - 60000);
    assert_true(late > tdm_clock_ns() && late != TDM_FOREVER);
}

static void a_poll_sleeps_until_the_deadline_and_not_a_whole_number_less(void)
{
    assert_int_equal(tdm_clock_milliseconds_until(TDM_FOREVER), -1);
    assert_int_equal(tdm_clock_milliseconds_until(0), 0);
    assert_int_equal(tdm_clock_milliseconds_until(tdm_clock_ns()), 0);
    for (uint64_t ahead = 1; ahead < 5 * MS; ahead += MS / 97) {
        uint64_t before = tdm_clock_ns();
        uint64_t deadline = before + ahead;
        uint64_t sleep = (uint64_t)tdm_clock_milliseconds_until(deadline) * MS;
        assert_true(tdm_clock_ns() + sleep >= deadline);
        assert_true(sleep < ahead + MS);
    }
}

static void a_poll_never_sleeps_longer_than_a_minute(void)
{
    assert_int_equal(tdm_clock_milliseconds_until(tdm_clock_ns() + 3600000 * MS), 60000);
    assert_int_equal(tdm_clock_milliseconds_until(TDM_FOREVER - 1), 60000);
    assert_in_range(tdm_clock_milliseconds_until(tdm_clock_ns() + 50000 * MS), 1, 50000);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(the_clock_is_the_monotonic_one),
        test(a_negative_timeout_never_ends),
        test(a_timeout_of_0_ends_now),
        test(a_timeout_ends_that_much_later),
        test(a_timeout_beyond_the_clock_never_ends),
        test(a_poll_sleeps_until_the_deadline_and_not_a_whole_number_less),
        test(a_poll_never_sleeps_longer_than_a_minute),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
