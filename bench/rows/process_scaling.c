/* process_scaling.c - how many tasks that need a processor a second worker process adds. */
#include "measure.h"
#include "row.h"

static const struct peer *const peers[] = {&peer_tandem_working, &peer_tandem_working_2, &limit_loop, &limit_loop_2, NULL};

const struct row row_process_scaling = {
    .name = "process_scaling",
    .unit = "tasks/s",
    .sentence = "isolated tasks of 20 us of processor time each, on 1 worker process (tandem_2: on 2)",
    .count = 50000,
    .quick_count = 5000,
    .peers = peers,
    .measure = measure_throughput,
};
