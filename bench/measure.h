/* measure.h - the clock, the median, and the two measurements that several rows share. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "peers/peer.h"

#include <stddef.h>
#include <stdint.h>

uint64_t now_ns(void);
void sleep_ms(uint64_t ms);

/* Sorts the values. */
double median(double *values, size_t count);

/* Tasks a second, from the first submit to the end of the last task. */
double measure_throughput(const struct peer *peer, void *pool, size_t count);

/* Nanoseconds: the median of so many single round trips, without the making ready for each. */
double measure_round_trip(const struct peer *peer, void *pool, size_t count);

/* Runs a tenth of the work unmeasured: threads and workers have then started, and code and memory been touched. */
void warm_up(const struct peer *peer, void *pool, size_t count);

#endif
