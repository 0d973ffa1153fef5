/* quick_clock_test.c - base/quick_clock.h: it tells the time of the system's clock. */
#include "harness.h"

#include "base/quick_clock.h"

#include <poll.h>

#define AHEAD_MOST_NS  100u    /* should processors differ */
#define BEHIND_MOST_NS 100000u /* more than it may count on without asking again */

static void look(struct tdm_quick_clock *clock)
{
    uint64_t before = tdm_clock_ns(), now = tdm_quick_clock_ns(clock), after = tdm_clock_ns();
    assert_true(now <= after + AHEAD_MOST_NS);
    assert_true(now + BEHIND_MOST_NS >= before);
}

static void it_tells_the_time_of_the_systems_clock(void)
{
    struct tdm_quick_clock clock = {0};
    tdm_quick_clock_open();
    for (size_t i = 0; i < scaled(20000000); i++) look(&clock);
}

static void it_has_not_stood_still_while_nobody_asked(void)
{
    struct tdm_quick_clock clock = {0};
    tdm_quick_clock_open();
    for (int i = 0; i < 50; i++) {
        for (int k = 0; k < 100; k++) look(&clock);
        poll(NULL, 0, i % 5);
    }
}

/* As on another processor whose counter is elsewhere. */
static void a_counter_that_has_jumped_is_noticed(void)
{
    struct tdm_quick_clock clock = {0};
    tdm_quick_clock_open();
    for (size_t i = 0; i < scaled(1000000); i++) {
        look(&clock);
        if (i % 100 == 99) clock.base_cycles += i % 200 == 99 ? UINT64_C(1) << 40 : (uint64_t) - (INT64_C(1) << 40);
    }
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(it_tells_the_time_of_the_systems_clock),
        test(it_has_not_stood_still_while_nobody_asked),
        test(a_counter_that_has_jumped_is_noticed),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
