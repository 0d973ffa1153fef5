/* fork_join.c - what a call costs that is forked off and joined. */
#define _POSIX_C_SOURCE 200809L
#include "fibonacci.h"
#include "measure.h"
#include "row.h"

static const struct peer *const peers[] = {&peer_tandem_fork, &peer_tandem_fork_1, &limit_serial, NULL};

/* The best of several: each takes some tens of milliseconds, and loses what the machine does meanwhile. */
static double measure(const struct peer *peer, void *pool, size_t count)
{
    double best = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t start = now_ns();
        peer->round_trip(pool);
        double figure = (double)(now_ns() - start) / fibonacci_calls();
        if (i == 0 || figure < best) best = figure;
    }
    return best;
}

const struct row row_fork_join = {
    .name = "fork_join",
    .unit = "ns a call",
    .sentence = "a Fibonacci number by calls, the one half of them forked off and joined, with 2 threads and with 1",
    .less_is_better = true,
    .count = 10,
    .quick_count = 5,
    .peers = peers,
    .measure = measure,
};
