/* process_submit.c - how many empty tasks a second one thread can hand to worker processes. */
#include "measure.h"
#include "row.h"

static const struct peer *const peers[] = {&peer_tandem_process, &peer_tandem_processes, &limit_pipe_batched, NULL};

const struct row row_process_submit = {
    .name = "process_submit",
    .unit = "tasks/s",
    .sentence = "one thread submits isolated empty tasks to 1 worker process (tandem_2: to 2), then awaits them all",
    .count = 1000000,
    .quick_count = 20000,
    .peers = peers,
    .measure = measure_throughput,
};
