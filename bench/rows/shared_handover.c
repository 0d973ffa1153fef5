/* shared_handover.c - how long it takes to hand a worker process an input that lies in shared memory: as long as none, whatever its size. */
#include "measure.h"
#include "row.h"

static const struct peer *const peers[] = {
    &peer_tandem_no_input, &peer_tandem_copied, &peer_tandem_shared, &limit_pipe, &limit_spin, NULL,
};

static const struct peer *const peers_64k[] = {
    &peer_tandem_no_input, &peer_tandem_copied_64k, &peer_tandem_shared_64k, &limit_pipe, &limit_spin, NULL,
};

static double measure(const struct peer *peer, void *pool, size_t count) { return measure_round_trip(peer, pool, count) / 1e3; }

const struct row row_shared_handover = {
    .name = "shared_handover",
    .unit = "us, p50",
    .sentence = "submit one isolated empty task with an input of 64 MiB in shared memory and wait for it, again and again",
    .less_is_better = true,
    .count = 100000,
    .quick_count = 5000,
    .peers = peers,
    .measure = measure,
};

const struct row row_shared_handover_64k = {
    .name = "shared_handover_64k",
    .unit = "us, p50",
    .sentence = "the same with an input of 64 KiB",
    .less_is_better = true,
    .count = 100000,
    .quick_count = 5000,
    .peers = peers_64k,
    .measure = measure,
};
