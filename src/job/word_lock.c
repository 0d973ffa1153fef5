/* word_lock.c - a lock in one word of shared memory, whose holder may be killed at any instruction.  All accesses are [word-lock]. */
#include "job/word_lock.h"

#include "base/clock.h"
#include "base/fault.h"

#include <errno.h>
#include <limits.h>

/* What is done under such a lock takes about a microsecond, a sleep and a wake-up take many. */
#define LOOKS 40

static bool is_open(uint32_t seen) { return (seen & TDM_WORD_HELD_BY) == TDM_MEMBER_NONE; }

/* A caller that gives up has seen to it that the word says that somebody may sleep: the wake-up spent on that caller is owed to another. */
int tdm_word_take(_Atomic uint32_t *word, uint32_t me, uint64_t deadline_ns, void (*sleeps)(bool begins))
{
    uint32_t seen = load_seq(word), others = 0;
    for (int looks = 0;;) {
        if (is_open(seen)) {
            if (!cas_seq(word, &seen, me | (seen & TDM_WORD_SLEPT_ON) | others)) continue;
            tdm_fault(TDM_FAULT_word_taken);
            return seen & TDM_WORD_DIED ? 1 : 0;
        } else if (deadline_ns == 0) {
            return -ETIMEDOUT;
        } else if (looks < LOOKS) {
            looks++;
            tdm_pause();
            seen = load_seq(word);
        } else if (seen & TDM_WORD_SLEPT_ON || cas_seq(word, &seen, seen | TDM_WORD_SLEPT_ON)) {
            if (deadline_ns != TDM_FOREVER && tdm_clock_ns() >= deadline_ns) return -ETIMEDOUT;
            if (sleeps) sleeps(true);
            tdm_futex_wait_shared(word, seen | TDM_WORD_SLEPT_ON, deadline_ns);
            if (sleeps) sleeps(false);
            others = TDM_WORD_SLEPT_ON; /* one was woken; there may be more, and nobody else would know */
            seen = load_seq(word);
        }
    }
}

void tdm_word_open(_Atomic uint32_t *word)
{
    uint32_t seen = exchange_seq(word, 0);
    tdm_fault(TDM_FAULT_word_opened);
    if (seen & TDM_WORD_SLEPT_ON) tdm_futex_wake_shared(word, 1);
}

void tdm_word_bury(_Atomic uint32_t *word, uint32_t dead)
{
    uint32_t seen = load_seq(word);
    while ((seen & TDM_WORD_HELD_BY) == dead && !cas_seq(word, &seen, (seen & TDM_WORD_SLEPT_ON) | TDM_WORD_DIED)) continue;
    tdm_futex_wake_shared(word, INT_MAX);
}
