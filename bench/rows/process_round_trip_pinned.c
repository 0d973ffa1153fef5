/* process_round_trip_pinned.c - the same round trip where there is one processor for all: nobody can watch while the other works. */
#if defined(__linux__)
#define _GNU_SOURCE
#include "measure.h"
#include "must.h"
#include "row.h"

#include <sched.h>
#include <stddef.h>

static const struct peer *const peers[] = {&peer_tandem_process, &peer_tandem_pipe, &limit_pipe, &peer_node_calls, NULL};

/* To the last processor that it may use, as the first one often has the machine's interrupts.  All that it starts inherits this; it ends
 * with the process, which measures nothing else. */
static void pin(void)
{
    cpu_set_t all, one;
    must_call(sched_getaffinity(0, sizeof all, &all), "sched_getaffinity");
    size_t last = CPU_SETSIZE - 1;
    while (last > 0 && !CPU_ISSET(last, &all)) last--;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    must_call(sched_setaffinity(0, sizeof one, &one), "sched_setaffinity");
}

const struct row row_process_round_trip_pinned = {
    .name = "process_round_trip_pinned",
    .unit = "ns, p50",
    .sentence = "process_round_trip with the program and its worker process on one processor",
    .less_is_better = true,
    .count = 100000,
    .quick_count = 5000,
    .peers = peers,
    .prepare = pin,
    .measure = measure_round_trip,
};

#else
#include "row.h"

static const char *absent(void) { return "it needs Linux to keep all on one processor"; }

const struct row row_process_round_trip_pinned = {
    .name = "process_round_trip_pinned",
    .sentence = "process_round_trip on one processor",
    .absent = absent,
};
#endif
