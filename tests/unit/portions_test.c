/* portions_test.c - how a range is shared out, by a clock of the test's own: each index costs what a shape says. */
#include "harness.h"

#include "portions.h"

#include <stdlib.h>

enum { MOST_TAKERS = 64, TAKING_NS = 60 };

typedef double shape(double at); /* nanoseconds for the index at that part of the range */

static double even(double at) { return (void)at, 1; }
static double long_ones(double at) { return (void)at, 1e6; }
static double heavy_first(double at) { return at < 0.1 ? 50 : 2; }
static double heavy_last(double at) { return at >= 0.9 ? 50 : 2; }
static double heavy_end(double at) { return at >= 0.999 ? 5000 : 2; }
static double rising(double at) { return 1 + 100 * at * at; }
static double falling(double at) { return 1 + 100 * (1 - at) * (1 - at); }
static double waves(double at) { return 1 + (double)((size_t)(at * 1000) % 10) * 10; }

struct taker {
    struct tdm_pace pace;
    double now;
};

/* Whose turn it is: the one that is through first. */
static size_t first_of(const struct taker *takers, size_t count)
{
    size_t first = 0;
    for (size_t i = 1; i < count; i++)
        if (takers[i].now < takers[first].now) first = i;
    return first;
}

/* How long it takes until all are through; *work: what all indices cost together. */
static double share_out(size_t length, size_t count, shape *cost, double *work)
{
    struct tdm_portions portions = {.begin = 7, .length = length, .takers = count};
    struct taker takers[MOST_TAKERS] = {{{0}, 0}};
    size_t begin, end, expected = 7;
    *work = 0;
    for (;;) {
        struct taker *taker = &takers[first_of(takers, count)];
        taker->now += TAKING_NS;
        if (!tdm_portions_take(&portions, &taker->pace, (uint64_t)taker->now, &begin, &end)) break;
        assert_int_equal(begin, expected); /* each index once, and in order */
        assert_true(end > begin);
        expected = end;
        double sum = 0;
        for (size_t i = begin; i < end; i++) sum += cost((double)(i - 7) / (double)length);
        taker->now += sum;
        *work += sum;
    }
    assert_int_equal(expected, 7 + length);
    double last = 0;
    for (size_t i = 0; i < count; i++)
        if (takers[i].now > last) last = takers[i].now;
    return last;
}

/* Within a hundredth of the best there can be, and what two moments make. */
static void however_skewed_the_work_all_are_through_at_about_the_same_time(void)
{
    static shape *const shapes[] = {even, heavy_first, heavy_last, heavy_end, rising, falling, waves};
    static const size_t counts[] = {1, 2, 3, 8, 64};
    for (size_t s = 0; s < count_of(shapes); s++)
        for (size_t c = 0; c < count_of(counts); c++) {
            double work, took = share_out(1000000, counts[c], shapes[s], &work), best = work / (double)counts[c];
            if (took > best * 1.01 + 2 * TDM_PORTION_NS) fail_msg("shape %zu, %zu takers: %g, best %g", s, counts[c], took, best);
        }
}

static void long_indices_are_taken_one_at_a_time(void)
{
    double work;
    assert_true(share_out(101, 4, long_ones, &work) < 26e6 + 1e5);
    assert_true(share_out(3, 4, long_ones, &work) < 1e6 + 1e4);
}

static void a_range_of_any_length_is_shared_out_whole(void)
{
    double work;
    for (size_t length = 0; length < 300; length++) share_out(length, 1 + length % 5, waves, &work);
}

/* As after a processor was taken away in the middle of a portion, and with a clock that stands still. */
static void a_pace_recovers(void)
{
    struct tdm_portions portions = {.length = SIZE_MAX, .takers = 1};
    struct tdm_pace pace = {0};
    size_t begin, end = 0;
    uint64_t now = 0;
    for (int i = 0; i < 10; i++, now += end - begin) assert_true(tdm_portions_take(&portions, &pace, now, &begin, &end));
    assert_int_equal(end - begin, TDM_PORTION_NS);
    now += 1000000000;
    assert_true(tdm_portions_take(&portions, &pace, now, &begin, &end));
    assert_true(end - begin < 10);
    for (int i = 0; i < 10; i++, now += end - begin) assert_true(tdm_portions_take(&portions, &pace, now, &begin, &end));
    assert_int_equal(end - begin, TDM_PORTION_NS);
    for (int i = 0; i < 1000; i++)
        if (!tdm_portions_take(&portions, &pace, now, &begin, &end)) break;
    assert_int_equal(end, SIZE_MAX);
    assert_false(tdm_portions_take(&portions, &pace, now, &begin, &end));
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(however_skewed_the_work_all_are_through_at_about_the_same_time),
        test(long_indices_are_taken_one_at_a_time),
        test(a_range_of_any_length_is_shared_out_whole),
        test(a_pace_recovers),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
