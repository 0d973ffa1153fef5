/* turn_test.c - base/turn.c: a side that gives way before it sleeps keeps doing so while that pays, and seldom tries where it does not. */
#include "harness.h"

#include "base/clock.h"
#include "base/turn.h"

#include <sched.h>

#define WAITS 1000

static unsigned times;
static uint64_t away_ns;
static bool interrupted; /* for so long that it may be taken for others' time slice */

/* Instead of the system's. */
int sched_yield(void)
{
    times++;
    for (uint64_t since = tdm_clock_ns(); tdm_clock_ns() - since < away_ns;) {
    }
    return 0;
}

static unsigned give_way_often(struct tdm_turn *turn, bool pays)
{
    times = 0;
    for (int i = 0; i < WAITS; i++) {
        uint64_t since = tdm_clock_ns();
        if (tdm_turn_give(turn) && pays) tdm_turn_paid(turn);
        if (tdm_clock_ns() - since > 100000) interrupted = true;
    }
    return times;
}

/* What pays is judged only where the test itself was not interrupted: it cannot tell that from others' time slices. */
static unsigned give_way_undisturbed(bool in_vain_before)
{
    unsigned gave;
    do {
        struct tdm_turn turn = {0};
        interrupted = false;
        if (in_vain_before) give_way_often(&turn, false);
        gave = give_way_often(&turn, true);
    } while (interrupted);
    return gave;
}

static void while_it_pays_each_wait_gives_way(void) { assert_int_equal(give_way_undisturbed(false), WAITS); }

static void in_vain_it_is_tried_ever_less(void)
{
    struct tdm_turn turn = {0};
    assert_in_range(give_way_often(&turn, false), 1, 8 + WAITS / 256 + 1);
}

static void it_is_tried_again_and_then_may_pay(void) { assert_in_range(give_way_undisturbed(true), WAITS - 255, WAITS); }

static void a_time_slice_is_paid_for_by_as_many_waits(void)
{
    struct tdm_turn turn = {0};
    away_ns = 1000000;
    unsigned gave = give_way_often(&turn, true);
    away_ns = 0;
    assert_in_range(gave, 1, 5);
    assert_in_range(turn.late, WAITS / 4, 65535);
}

int main(int argc, char **argv)
{
    const struct harness_test tests[] = {
        test(while_it_pays_each_wait_gives_way),
        test(in_vain_it_is_tried_ever_less),
        test(it_is_tried_again_and_then_may_pay),
        test(a_time_slice_is_paid_for_by_as_many_waits),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
