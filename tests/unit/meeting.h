/* meeting.h - two threads that come to the same place at the same moment, and threads that wait for a count. */
#ifndef TANDEM_MEETING_H
#define TANDEM_MEETING_H

#include "base/clock.h"
#include "base/futex.h"
#include "harness.h"

#include <sched.h>

/* Each of two threads calls this with the round's number, from 1 on.  They leave it as nearly together as two threads can. */
static inline void meet(atomic_uint *arrived, unsigned round)
{
    atomic_fetch_add(arrived, 1);
    for (unsigned looks = 0; atomic_load(arrived) < 2 * round; looks++)
        if (looks > 1000) sched_yield(); /* there may be one processor only */
}

/* A count that can be slept on. */
struct tally_word {
    _Atomic uint32_t count;
};

static inline void count_up(struct tally_word *word)
{
    add_seq(&word->count, 1);
    tdm_futex_wake_all(&word->count);
}

/* False when patience is over. */
static inline bool counted(struct tally_word *word, uint32_t least)
{
    const uint64_t limit = tdm_clock_deadline(patience_ms());
    for (uint32_t seen; (seen = load_seq(&word->count)) < least;) {
        if (tdm_clock_ns() >= limit) return false;
        tdm_futex_wait(&word->count, seen, limit);
    }
    return true;
}

#endif
