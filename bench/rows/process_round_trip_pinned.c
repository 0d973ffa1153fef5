/* process_round_trip_pinned.c - the same round trip where there is one processor for all: nobody can watch while the other works. */
#include "measure.h"
#include "pin.h"
#include "row.h"

static const struct peer *const peers[] = {&peer_tandem_process, &peer_tandem_pipe, &peer_node_calls, &limit_pipe, NULL};

/* The last processor, as the first one often has the machine's interrupts.  It ends with the process, which measures nothing else. */
const struct row row_process_round_trip_pinned = {
    .name = "process_round_trip_pinned",
    .unit = "ns, p50",
    .sentence = "process_round_trip with the program and its worker process on one processor",
    .less_is_better = true,
    .count = 100000,
    .quick_count = 5000,
    .peers = peers,
    .absent = pin_absent,
    .prepare = pin_to_last,
    .measure = measure_round_trip,
};
