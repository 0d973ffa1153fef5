/* process_payload.c - how fast a large input gets into a worker process, and as large an answer back. */
#include "measure.h"
#include "row.h"

static const struct peer *const peers[] = {&peer_tandem_payload, &peer_tandem_in_place, &limit_memcpy, &limit_pipe_payload, NULL};

/* A byte that goes there and comes back counts twice; bytes a ns are GB a second. */
static double measure(const struct peer *peer, void *pool, size_t count)
{
    return 2.0 * PAYLOAD / measure_round_trip(peer, pool, count);
}

const struct row row_process_payload = {
    .name = "process_payload",
    .unit = "GB/s, p50",
    .sentence = "call one isolated task with an input of 64 MiB, which it replies (tandem_shared: copies in shared memory)",
    .count = 20,
    .quick_count = 10,
    .peers = peers,
    .measure = measure,
};
