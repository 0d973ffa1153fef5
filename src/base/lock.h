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
    TDM_RANK_GROUP,     /* a group's list and count; under it a queued task may be taken back */
    TDM_RANK_SLOT,      /* one worker process */
    TDM_RANK_LEDGER,    /* a pool's queues and counts */
    TDM_RANK_DEADLINES, /* a pool's deadlines */
    TDM_RANK_CALLBACKS, /* a pool's waiting callbacks */
    TDM_RANK_REACTOR    /* its timers and posted jobs */
};

struct tdm_lock {
    _Atomic uint32_t word; /* 0 open, 1 held, 2 held and somebody may sleep; written by all who lock [lock] */
};

void tdm_lock(struct tdm_lock *lock, enum tdm_rank rank);
void tdm_unlock(struct tdm_lock *lock, enum tdm_rank rank);

#endif
