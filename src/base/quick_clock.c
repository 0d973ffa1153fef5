/* quick_clock.c - see quick_clock.h. */
#define _POSIX_C_SOURCE 200809L
#include "base/quick_clock.h"

#include "base/atomics.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define SOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

static _Atomic uint32_t
    counts; /* 1: the system trusts the counter, so it goes evenly, and alike on all processors; written before any
                                   thread that could ask [cycles] */

void tdm_quick_clock_open(void)
{
#if TDM_HAS_CYCLES
    char name[8] = "";
    int saved = errno, fd = open(SOURCE, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, name, sizeof name - 1) : 0;
    if (fd >= 0) close(fd);
    if (got > 0 && strcmp(name, "tsc\n") == 0) store_relaxed(&counts, 1); /* relaxed: the value alone [cycles] */
    errno = saved;
#endif
}

/* Measured for so long that what the two calls take does not count, and begun anew before a change of the counter's speed, if there ever is
 * one, could count much. */
#define LEAST_CYCLES ((uint64_t)1 << 22)
#define MOST_CYCLES  ((uint64_t)1 << 32)
#define MOST_APART   4096u /* cycles between what should be at the same time */

static void measure(struct tdm_quick_clock *clock, uint64_t cycles, uint64_t ns)
{
    uint64_t passed = cycles - clock->from_cycles, passed_ns = ns - clock->from_ns;
    if (clock->from_ns != 0 && passed < LEAST_CYCLES) return;
    if (clock->from_ns != 0 && passed < MOST_CYCLES && passed_ns < MOST_CYCLES) {
        uint64_t fraction = (passed_ns << 32) / passed;
        clock->fraction = fraction - fraction / 4096; /* rather behind than ahead */
    }
    clock->from_cycles = cycles;
    clock->from_ns = ns;
}

uint64_t tdm_quick_clock_set(struct tdm_quick_clock *clock)
{
    if (!TDM_HAS_CYCLES || load_relaxed(&counts) == 0) return tdm_clock_ns(); /* relaxed: the value alone [cycles] */
    uint64_t before = tdm_cycles(), ns = tdm_clock_ns(), apart = tdm_cycles() - before;
    if (apart < MOST_APART) {                /* else the thread was stopped in between */
        clock->base_cycles = before + apart; /* rather behind than ahead */
        clock->base_ns = ns;
        measure(clock, clock->base_cycles, ns);
    }
    return ns;
}

static _Thread_local struct tdm_quick_clock own;

uint64_t tdm_quick_clock_now(void) { return tdm_quick_clock_ns(&own); }
