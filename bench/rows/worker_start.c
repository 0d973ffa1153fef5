/* worker_start.c - how long a program of some size waits for the first answer of a new worker process. */
#include "host.h"
#include "measure.h"
#include "row.h"

static const struct peer *const peers[] = {
    &peer_tandem_10MB,       &peer_tandem_1GB,   &peer_tandem_4GB,
    &peer_tandem_1GB_before, &limit_fork_10MB,   &limit_fork_1GB,
    &limit_fork_4GB,         &limit_posix_spawn, NULL,
};

static const char *subject_absent(const struct peer *peer) { return host_lacks(peer->touched); }

static double measure(const struct peer *peer, void *pool, size_t count) { return measure_round_trip(peer, pool, count) / 1e3; }

const struct row row_worker_start = {
    .name = "worker_start",
    .unit = "us, p50",
    .sentence = "call one isolated empty task in a pool that has no worker alive, with much memory touched in the program",
    .less_is_better = true,
    .count = 40,
    .quick_count = 20,
    .peers = peers,
    .subject_absent = subject_absent,
    .measure = measure,
};
