/* crash_cost.c - what crashes cost those tasks that do not crash. */
#include "measure.h"
#include "row.h"

static const struct peer *const peers[] = {&peer_tandem_sound, &peer_tandem_crashing, NULL};

static double measure(const struct peer *peer, void *pool, size_t count)
{
    return (double)count * 1e3 / measure_throughput(peer, pool, count);
}

const struct row row_crash_cost = {
    .name = "crash_cost",
    .unit = "ms",
    .sentence =
        "one thread submits isolated empty tasks, of which every hundredth crashes (or none), to 2 workers, then awaits them all",
    .less_is_better = true,
    .count = 10000,
    .quick_count = 1000,
    .peers = peers,
    .measure = measure,
};
