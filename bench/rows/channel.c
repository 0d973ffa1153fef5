/* channel.c - how long a message through a channel takes until its answer has come through another. */
#include "measure.h"
#include "row.h"

static const struct peer *const trip_peers[] = {
    &peer_channel_process, &peer_channel_thread, &peer_tandem_call, &limit_pipe, &limit_spin, NULL,
};

const struct row row_channel_round_trip = {
    .name = "channel_round_trip",
    .unit = "ns, p50",
    .sentence =
        "send 64 bytes through a channel to a running task (tandem_thread: on a thread), which sends them back through another",
    .less_is_better = true,
    .count = 100000,
    .quick_count = 5000,
    .peers = trip_peers,
    .measure = measure_round_trip,
};
