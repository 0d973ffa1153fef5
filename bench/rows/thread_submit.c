/* thread_submit.c - how many empty tasks a second one thread can hand to a pool. */
#include "measure.h"
#include "row.h"

static const struct peer *const peers[] = {
    &peer_tandem_threads, &peer_libuv,    &peer_glib,  &peer_apr,    &peer_tbb,
    &peer_openmp_tasks,   &peer_textbook, &limit_spsc, &limit_tasks, NULL,
};

const struct row row_thread_submit = {
    .name = "thread_submit",
    .unit = "tasks/s",
    .sentence = "one thread outside the pool submits empty tasks to 2 threads, then awaits them all",
    .count = 1000000,
    .quick_count = 300000,
    .peers = peers,
    .measure = measure_throughput,
};
