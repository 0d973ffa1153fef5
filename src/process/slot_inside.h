/* slot_inside.h - what the two halves of a slot share: slot.c (any thread) and slot_reactor.c (the reactor's). */
#ifndef TDM_PROCESS_SLOT_INSIDE_H
#define TDM_PROCESS_SLOT_INSIDE_H

#include "process/process_lane.h"
#include "process/slot.h"

/* One task at a time, so one word of the page. */
#define TDM_SLOT_ENTRY 0u

#define TDM_SLOT_BROKEN "its worker broke the protocol"

static inline void tdm_slot_lock(struct tdm_slot *slot) { tdm_lock(&slot->lock, TDM_RANK_SLOT); }
static inline void tdm_slot_unlock(struct tdm_slot *slot) { tdm_unlock(&slot->lock, TDM_RANK_SLOT); }

/* With the lock held: no task any more. */
static inline void tdm_slot_let_go(struct tdm_slot *slot)
{
    slot->task = NULL;
    slot->decided = 0;
    slot->deadline_ns = TDM_FOREVER;
}

#endif
