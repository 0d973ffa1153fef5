/* clock.c - the monotonic clock, and deadlines counted by it. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"

#include <sched.h>
#include <time.h>

uint64_t tdm_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t tdm_clock_deadline(int64_t timeout_ms)
{
    if (timeout_ms < 0) return TDM_FOREVER;
    uint64_t now = tdm_clock_ns();
    if ((uint64_t)timeout_ms > (TDM_FOREVER - 1 - now) / 1000000u) return TDM_FOREVER;
    return now + (uint64_t)timeout_ms * 1000000u;
}

int tdm_clock_milliseconds_until(uint64_t deadline_ns)
{
    if (deadline_ns == TDM_FOREVER) return -1;
    uint64_t now = tdm_clock_ns();
    if (deadline_ns <= now) return 0;
    uint64_t left = (deadline_ns - now + 999999u) / 1000000u;
    return left > 60000 ? 60000 : (int)left;
}

#define LOOKS          16 /* between two looks at the clock */
#define YIELD_AFTER_NS 3000u

/* Other side: whoever changes the word, which is a pair of its own; nothing is read on the strength of this look. */
bool tdm_clock_watch(const _Atomic uint32_t *word, uint32_t seen, uint64_t ns)
{
    if (ns == 0) return load_seq(word) != seen;
    uint64_t begun = tdm_clock_ns(), passed = 0;
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (load_seq(word) != seen) return true;
            tdm_pause();
        }
        if (passed > YIELD_AFTER_NS) sched_yield();
        passed = tdm_clock_ns() - begun;
    } while (passed < ns);
    return false;
}
