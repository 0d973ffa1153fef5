/* lock.h - a mutex in one word: zeroed is open, nothing to destroy, usable in memory that is freed right after the unlock.
 *
 * Locks have ranks: a thread takes them only in rising order.  Debug builds check it and abort with both names.  No user code, no
 * callback and no wait for anything but a lock happens with one held. */
#ifndef TDM_BASE_LOCK_H
#define TDM_BASE_LOCK_H

#include "base/futex.h"

#include <stdint.h>

/* From the outside in. */
enum tdm_rank {
    TDM_RANK_POOLS = 1, /* tandem_init, tandem_quit, the making and ending of pools */
    TDM_RANK_NEED,      /* a pool starts what it turns out to need: the reactor, its callback thread */
    TDM_RANK_STARTING,  /* who uses the reactor */
    TDM_RANK_DOOR,      /* who waits for a task goes in to the task's pool */
    TDM_RANK_GROUP,     /* a group's list and count; under it a queued task may be taken back */
    TDM_RANK_TALK,      /* who posts to a task; under it the message goes to the task's worker */
    TDM_RANK_SLOT,      /* one worker process */
    TDM_RANK_FRONT,     /* the front part of a thread lane's queue, from which workers take */
    TDM_RANK_LEDGER,    /* a pool's queues and counts */
    TDM_RANK_DEADLINES, /* a pool's deadlines */
    TDM_RANK_MAIL,      /* a task's messages */
    TDM_RANK_CALLBACKS, /* a pool's waiting callbacks */
    TDM_RANK_SLEEPERS,  /* a pool's tasks that sleep until they are told something */
    TDM_RANK_DATA,      /* what was set for a pool's tasks */
    TDM_RANK_REACTOR,   /* its timers and posted jobs */
    TDM_RANK_BELTS,     /* which channels there are */
    TDM_RANK_SHARED,    /* a pool's shared memory: who has what of it */
    TDM_RANK_REGION,    /* the addresses that pools share out */
    TDM_RANK_SYMBOLS    /* the names of code; files are read under it */
};

struct tdm_lock {
    _Atomic uint32_t word; /* 0 open, 1 held, 2 held and somebody may sleep; written by all who lock [lock] */
};

/* Debug builds: the ranks that this thread holds. */
#ifndef NDEBUG
void tdm_lock_note_taking(enum tdm_rank rank);
void tdm_lock_note_letting_go(enum tdm_rank rank);
#else
static inline void tdm_lock_note_taking(enum tdm_rank rank) { (void)rank; }
static inline void tdm_lock_note_letting_go(enum tdm_rank rank) { (void)rank; }
#endif

void tdm_lock_slowly(struct tdm_lock *lock); /* it was not open */

static inline void tdm_lock(struct tdm_lock *lock, enum tdm_rank rank)
{
    uint32_t open = 0;
    tdm_lock_note_taking(rank);
    if (!cas_seq(&lock->word, &open, 1)) tdm_lock_slowly(lock);
}

/* The exchange is the last access to the lock: whoever gets it next may free it before the wake, which uses the address only. [lock] */
static inline void tdm_unlock(struct tdm_lock *lock, enum tdm_rank rank)
{
    tdm_lock_note_letting_go(rank);
    if (exchange_seq(&lock->word, 0) == 2) tdm_futex_wake_one(&lock->word);
}

/* In a forked child: the locks its parent held at the fork are not this thread's to give back. */
void tdm_lock_after_fork(void);

#endif
