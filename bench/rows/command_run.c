/* command_run.c - how long it takes to run an external program that does nothing, from a program of some size. */
#include "host.h"
#include "measure.h"
#include "row.h"

static const struct peer *const peers[] = {
    &peer_tandem_command_10MB, &peer_tandem_command_1GB, &peer_libuv_command_10MB, &peer_libuv_command_1GB,
    &peer_glib_command_10MB,   &peer_glib_command_1GB,   &limit_posix_spawn,       NULL,
};

static const char *subject_absent(const struct peer *peer) { return host_lacks(peer->touched); }

static double measure(const struct peer *peer, void *pool, size_t count) { return measure_round_trip(peer, pool, count) / 1e3; }

const struct row row_command_run = {
    .name = "command_run",
    .unit = "us, p50",
    .sentence = "start true as a command and see it end, with much memory touched in the program",
    .less_is_better = true,
    .count = 300,
    .quick_count = 100,
    .peers = peers,
    .subject_absent = subject_absent,
    .measure = measure,
};
