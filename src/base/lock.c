/* lock.c - a mutex in one word. */
#include "base/lock.h"

#ifndef NDEBUG
#include <stdio.h>
#include <stdlib.h>

/* One bit a rank that this thread holds. */
static _Thread_local uint32_t held;

static void note_taking(enum tdm_rank rank)
{
    if (held >> rank) {
        fprintf(stderr, "tandem: lock of rank %d taken while holding ranks %#x\n", (int)rank, (unsigned)held);
        abort();
    }
    held |= 1u << rank;
}

static void note_letting_go(enum tdm_rank rank) { held &= ~(1u << rank); }
#else
static void note_taking(enum tdm_rank rank) { (void)rank; }
static void note_letting_go(enum tdm_rank rank) { (void)rank; }
#endif

/* What is done under a lock here takes well under a microsecond, a sleep and a wake-up take many: so look again a few times first. */
#define LOOKS 40

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

static void lock_slowly(struct tdm_lock *lock)
{
    for (int i = 0; i < LOOKS; i++) {
        uint32_t open = 0;
        /* relaxed: only a hint whether the exchange below is worth its cache miss */
        if (load_relaxed(&lock->word) == 0 && cas_seq(&lock->word, &open, 1)) return;
        relax();
    }
    /* From here on assume sleepers: an unlock that wakes one too many is cheap, one too few is a hang. */
    while (exchange_seq(&lock->word, 2) != 0) tdm_futex_wait(&lock->word, 2, TDM_FOREVER);
}

void tdm_lock(struct tdm_lock *lock, enum tdm_rank rank)
{
    note_taking(rank);
    uint32_t open = 0;
    if (!cas_seq(&lock->word, &open, 1)) lock_slowly(lock);
}

/* The exchange is the last access to the lock: whoever gets it next may free it before the wake, which uses the address only. [lock] */
void tdm_unlock(struct tdm_lock *lock, enum tdm_rank rank)
{
    note_letting_go(rank);
    if (exchange_seq(&lock->word, 0) == 2) tdm_futex_wake_one(&lock->word);
}
