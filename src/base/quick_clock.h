/* quick_clock.h - the monotonic clock for callers that ask it once for each small task.
 *
 * A call of the system's clock costs more than many a step of a task, most of all because it waits until all memory that was asked for before
 * has come.  Where that clock is the processor's counter of cycles, the counter itself is read, and counted on from the last call of the
 * clock for a few microseconds.  It may lag by some tens of nanoseconds.  Elsewhere this is the system's clock. */
#ifndef TDM_BASE_QUICK_CLOCK_H
#define TDM_BASE_QUICK_CLOCK_H

#include "base/clock.h"

#include <stdbool.h>

/* One thread's; zeroed: nothing is known yet. */
struct tdm_quick_clock {
    uint64_t base_cycles, base_ns; /* the last call of the system's clock */
    uint64_t fraction;             /* of 2^32 cycles: nanoseconds; 0: not known yet */
    uint64_t from_cycles, from_ns; /* since when that is measured */
};

#if defined(__x86_64__) && defined(__linux__)
#define TDM_HAS_CYCLES 1
static inline uint64_t tdm_cycles(void) { return __builtin_ia32_rdtsc(); }
#else
#define TDM_HAS_CYCLES 0
static inline uint64_t tdm_cycles(void) { return 0; }
#endif

/* So many cycles are counted on, some tens of microseconds: what goes wrong with the counter is over soon. */
#define TDM_QUICK_CYCLES ((uint64_t)1 << 17)

/* Before the first thread: may the counter be used? */
void tdm_quick_clock_open(void);

/* The calling thread's own. */
uint64_t tdm_quick_clock_now(void);

/* Calls the system's clock and counts from there. */
uint64_t tdm_quick_clock_set(struct tdm_quick_clock *clock);

/* A counter that has gone back, on another processor, is far ahead here. */
static inline uint64_t tdm_quick_clock_ns(struct tdm_quick_clock *clock)
{
    if (!TDM_HAS_CYCLES || clock->fraction == 0) return tdm_quick_clock_set(clock);
    uint64_t passed = tdm_cycles() - clock->base_cycles;
    return passed < TDM_QUICK_CYCLES ? clock->base_ns + (passed * clock->fraction >> 32) : tdm_quick_clock_set(clock);
}

#endif
