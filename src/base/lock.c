/* lock.c - a mutex in one word. */
#include "base/lock.h"

#ifndef NDEBUG
#include <stdio.h>
#include <stdlib.h>

/* One bit a rank that this thread holds. */
static _Thread_local uint32_t held;

void tdm_lock_note_taking(enum tdm_rank rank)
{
    if (held >> rank) {
        fprintf(stderr, "tandem: lock of rank %d taken while holding ranks %#x\n", (int)rank, (unsigned)held);
        abort();
    }
    held |= 1u << rank;
}

void tdm_lock_note_letting_go(enum tdm_rank rank) { held &= ~(1u << rank); }

void tdm_lock_after_fork(void) { held = 0; }
#else
void tdm_lock_after_fork(void) {}
#endif

/* What is done under a lock here takes well under a microsecond, a sleep and a wake-up take many: so look again a few times first. */
#define LOOKS 40

void tdm_lock_slowly(struct tdm_lock *lock)
{
    for (int i = 0; i < LOOKS; i++) {
        uint32_t open = 0;
        /* relaxed: only a hint whether the exchange below is worth its cache miss */
        if (load_relaxed(&lock->word) == 0 && cas_seq(&lock->word, &open, 1)) return;
        tdm_pause();
    }
    /* From here on assume sleepers: an unlock that wakes one too many is cheap, one too few is a hang. */
    while (exchange_seq(&lock->word, 2) != 0) tdm_futex_wait(&lock->word, 2, TDM_FOREVER);
}
