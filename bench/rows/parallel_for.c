/* parallel_for.c - a loop over many small pieces of work, as even ones and as skewed ones. */
#include "elements.h"
#include "measure.h"
#include "row.h"

enum { ELEMENTS = 10000000, TIMES = 9 };

static const struct peer *const peers[] = {
    &peer_tandem_for, &peer_tandem_for_picked, &peer_openmp_static, &peer_openmp_dynamic, &peer_tbb_for, &peer_serial, NULL,
};

static void prepare(void) { elements_reserve(ELEMENTS, false); }

static void prepare_skewed(void) { elements_reserve(ELEMENTS, true); }

static double measure(const struct peer *peer, void *pool, size_t times)
{
    double ms[TIMES];
    peer->loop(pool, ELEMENTS / 10);
    for (size_t i = 0; i < times; i++) {
        uint64_t start = now_ns();
        peer->loop(pool, ELEMENTS);
        ms[i] = (double)(now_ns() - start) / 1e6;
    }
    return median(ms, times);
}

const struct row row_parallel_for = {
    .name = "parallel_for",
    .unit = "ms, p50",
    .sentence = "a loop over 10 million elements, on 2 threads, the caller's among them",
    .less_is_better = true,
    .count = TIMES,
    .quick_count = 3,
    .peers = peers,
    .prepare = prepare,
    .measure = measure,
};

const struct row row_parallel_for_skewed = {
    .name = "parallel_for_skewed",
    .unit = "ms, p50",
    .sentence = "the same, where each element of the first tenth takes 31 times as long as one of the others",
    .less_is_better = true,
    .count = TIMES,
    .quick_count = 3,
    .peers = peers,
    .prepare = prepare_skewed,
    .measure = measure,
};
