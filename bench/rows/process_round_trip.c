/* process_round_trip.c - how long one empty task in a warm worker process takes, from submit to the end of the wait. */
#include "measure.h"
#include "row.h"

static const struct peer *const peers[] = {
    &peer_tandem_process, &peer_tandem_pipe, &peer_python_calls, &peer_node_calls, &limit_pipe, &limit_spin, NULL,
};

const struct row row_process_round_trip = {
    .name = "process_round_trip",
    .unit = "ns, p50",
    .sentence = "call one isolated empty task in a warm worker process, again and again",
    .less_is_better = true,
    .count = 100000,
    .quick_count = 5000,
    .peers = peers,
    .measure = measure_round_trip,
};
