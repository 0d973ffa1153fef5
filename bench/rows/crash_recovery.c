/* crash_recovery.c - how long it takes from a worker's death by SIGKILL to the first answer of the one that takes its place. */
#include "measure.h"
#include "row.h"

static const struct peer *const peers[] = {&peer_tandem_recovery, &peer_python, NULL};

static double measure(const struct peer *peer, void *pool, size_t count) { return measure_round_trip(peer, pool, count) / 1e6; }

const struct row row_crash_recovery = {
    .name = "crash_recovery",
    .unit = "ms, p50",
    .sentence = "SIGKILL the one busy worker process, and await the empty task queued behind it, again and again",
    .less_is_better = true,
    .count = 100,
    .quick_count = 20,
    .peers = peers,
    .measure = measure,
};
