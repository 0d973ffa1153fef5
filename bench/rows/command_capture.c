/* command_capture.c - how fast the output of an external program gets into memory. */
#include "measure.h"
#include "row.h"

static const struct peer *const peers[] = {&peer_tandem_capture, &peer_libuv_capture, &peer_glib_capture, &limit_capture, NULL};

/* Bytes a ns are GB a second. */
static double measure(const struct peer *peer, void *pool, size_t count)
{
    return CAPTURED / measure_round_trip(peer, pool, count);
}

const struct row row_command_capture = {
    .name = "command_capture",
    .unit = "GB/s, p50",
    .sentence = "run a command that writes 256 MB, and keep them",
    .count = 10,
    .quick_count = 5,
    .peers = peers,
    .measure = measure,
};
