/* thread_round_trip.c - how long one empty task on a thread takes, from submit to the end of the wait. */
#include "measure.h"
#include "row.h"

static const struct peer *const peers[] = {
    &peer_tandem_threads, &peer_tandem_no_help, &peer_libuv, &peer_glib, &peer_textbook, &limit_futex, &limit_spin, NULL,
};

const struct row row_thread_round_trip = {
    .name = "thread_round_trip",
    .unit = "ns, p50",
    .sentence = "submit one empty task to 2 threads and wait for it, again and again",
    .less_is_better = true,
    .count = 100000,
    .quick_count = 5000,
    .peers = peers,
    .measure = measure_round_trip,
};
