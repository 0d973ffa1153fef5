/* watch.c - how long it pays to look at a word again and again before sleeping on it. */
#define _POSIX_C_SOURCE 200809L
#include "base/watch.h"

#include "base/clock.h"

#include <sched.h>

#define LOOKS_A_CLOCK 16
#define LOOKS_A_YIELD 64

bool tdm_watch_goes_on(struct tdm_look *look)
{
    tdm_pause();
    look->gave_way = false;
    if (++look->looks % LOOKS_A_CLOCK != 0) return true;
    if (tdm_clock_ns() >= look->until_ns) return false;
    look->gave_way = look->looks % LOOKS_A_YIELD == 0;
    if (look->gave_way) sched_yield();
    return true;
}
