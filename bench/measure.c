/* measure.c - see measure.h. */
#define _POSIX_C_SOURCE 200809L
#include "measure.h"
#include "must.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

uint64_t now_ns(void)
{
    struct timespec now;
    must_call(clock_gettime(CLOCK_MONOTONIC, &now), "clock_gettime");
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void sleep_ms(uint64_t ms)
{
    struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) == -1)
        if (errno != EINTR) must(errno, "nanosleep");
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    size_t middle = count / 2;
    return count % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void warm_up(const struct peer *peer, void *pool, size_t count)
{
    peer->submit(pool, 0, count / 10);
    peer->await(pool, count / 10);
}

double measure_throughput(const struct peer *peer, void *pool, size_t count)
{
    warm_up(peer, pool, count);
    uint64_t start = now_ns();
    peer->submit(pool, 0, count);
    peer->await(pool, count);
    return (double)count * 1e9 / (double)(now_ns() - start);
}

/* Nanoseconds. */
static double time_round_trip(const struct peer *peer, void *pool)
{
    if (peer->ready) peer->ready(pool);
    uint64_t start = now_ns();
    peer->round_trip(pool);
    return (double)(now_ns() - start);
}

double measure_round_trip(const struct peer *peer, void *pool, size_t count)
{
    if (peer->median_trip) return peer->median_trip(pool, count);
    for (size_t i = 0; i < count / 10; i++) time_round_trip(peer, pool);
    double *trips = must_reserve(count, sizeof *trips);
    for (size_t i = 0; i < count; i++) trips[i] = time_round_trip(peer, pool);
    double result = median(trips, count);
    free(trips);
    return result;
}
