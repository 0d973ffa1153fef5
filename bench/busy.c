/* busy.c - see busy.h. */
#define _POSIX_C_SOURCE 200809L
#include "busy.h"
#include "must.h"

#include <stdint.h>
#include <time.h>

static uint64_t used_ns(void)
{
    struct timespec used;
    must_call(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used), "clock_gettime of a thread");
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

void busy_work(void)
{
    uint64_t end = used_ns() + BUSY_US * UINT64_C(1000);
    while (used_ns() < end) continue;
}
