/* ranks.h - tasks of other than the usual priority: two queues beside a lane's own, and whose turn it is.
 *
 * The high go before the usual ones, and those before the low.  So that none waits for ever, each is overtaken a limited number of times:
 * often enough that what overtakes is hardly slower for it.  Where no task has a priority nothing here is touched but a count that is 0. */
#ifndef TDM_TASK_RANKS_H
#define TDM_TASK_RANKS_H

#include "base/atomics.h"
#include "base/list.h"

#include <stdint.h>

/* In a row, before one of the others is let through. */
#define TDM_HIGH_BEFORE_USUAL 16
#define TDM_OTHERS_BEFORE_LOW 64

/* Guarded by the ledger's lock, except for looks at count. */
struct tdm_ranks {
    struct tdm_node high, low;
    _Atomic uint32_t count;            /* of tasks in both; a hint for whoever looks without the lock [ranks-count] */
    unsigned usual_passed, low_passed; /* how often they have been overtaken since one of them had its turn */
};

void tdm_ranks_open(struct tdm_ranks *ranks);

static inline struct tdm_node *tdm_ranks_queue(struct tdm_ranks *ranks, int priority)
{
    return priority > 0 ? &ranks->high : &ranks->low;
}

/* Relaxed: who must not miss one looks again with the lock held. */
static inline uint32_t tdm_ranks_hint(const struct tdm_ranks *ranks) { return load_relaxed(&ranks->count); /* [ranks-count] */ }

/* With the lock held, when one task is in or out. */
static inline void tdm_ranks_count(struct tdm_ranks *ranks, int change)
{
    store_relaxed(&ranks->count,
                  load_relaxed(&ranks->count) + (uint32_t)change); /* the lock orders it among those that write [ranks-count] */
}

/* The queue from which the next task is to be taken; NULL: the lane's own.  usual_waits: there is one of those. */
struct tdm_node *tdm_ranks_turn(struct tdm_ranks *ranks, bool usual_waits);

/* One was taken from there. */
void tdm_ranks_took(struct tdm_ranks *ranks, const struct tdm_node *queue, bool usual_waits);

#endif
