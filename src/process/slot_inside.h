/* slot_inside.h - what the parts of a slot share: slot.c, slot_talk.c, reading.c, ringing.c, gathering.c and replies.c (any thread), slot_start.c
 * and slot_reactor.c (the reactor).  All with the lock held unless stated otherwise. */
#ifndef TDM_PROCESS_SLOT_INSIDE_H
#define TDM_PROCESS_SLOT_INSIDE_H

#include "base/clock.h"
#include "process/process_lane.h"
#include "process/slot.h"
#include "task/report.h"

extern const char tdm_slot_broken[]; /* a step */

/* Workers that may die or hang with a task before they have begun it, until the task is thought to be the reason. */
#define TDM_DEATHS_MOST 3

static inline void tdm_slot_lock(struct tdm_slot *slot) { tdm_lock(&slot->lock, TDM_RANK_SLOT); }
static inline void tdm_slot_unlock(struct tdm_slot *slot) { tdm_unlock(&slot->lock, TDM_RANK_SLOT); }

static inline void tdm_slot_set_state(struct tdm_slot *slot, enum tdm_slot_state state)
{
    slot->state = state;
    slot->state_ns = tdm_clock_ns();
}

static inline unsigned tdm_slot_index(const struct tdm_slot *slot, const struct tdm_entry *entry)
{
    return (unsigned)(entry - slot->entries);
}

/* Do its tasks take less than the host needs for each of them?  The reader of its replies may also ask without the lock: only it changes this. */
#define TDM_TINY_NS 500u
static inline bool tdm_slot_is_tiny(const struct tdm_slot *slot) { return slot->usual_ns != 0 && slot->usual_ns <= TDM_TINY_NS; }

/* Is there a processor for the host?  Workers that have something to do come first; but where their tasks are tiny they have done them all before a
 * host that sleeps has been woken.  Also without the lock, as above. */
static inline bool tdm_slot_may_watch(const struct tdm_slot *slot)
{
    unsigned processors = slot->lane->processors;
    return load_seq(&slot->lane->busy) < processors || (processors > 1 && tdm_slot_is_tiny(slot)); /* [lane-busy] */
}

/* One move of the entry's word; true if this call made it. */
static inline bool tdm_slot_move(struct tdm_slot *slot, const struct tdm_entry *entry, enum tdm_control_state from,
                                 enum tdm_control_state to)
{
    return tdm_control_move(slot->control, tdm_slot_index(slot, entry), entry->sequence, from, to);
}

static inline bool tdm_slot_is(const struct tdm_slot *slot, const struct tdm_entry *entry, enum tdm_control_state state)
{
    return tdm_control_is(slot->control, tdm_slot_index(slot, entry), entry->sequence, state);
}

/* Has the worker published something that has not been taken? */
static inline bool tdm_slot_has_news(const struct tdm_slot *slot)
{
    return tdm_ring_has_news(&slot->in.ring, false) || tdm_inbox_has_header(&slot->inbox);
}

/* The one the worker has to answer next, or NULL. */
static inline struct tdm_entry *tdm_slot_oldest(struct tdm_slot *slot) { return slot->oldest; }

/* The one after it in the worker's order, or NULL.  Tasks that follow each other mostly lie side by side. */
static inline struct tdm_entry *tdm_slot_next(struct tdm_slot *slot, const struct tdm_entry *entry)
{
    struct tdm_entry *beside = slot->entries + (tdm_slot_index(slot, entry) + 1) % TDM_IN_HAND, *next = NULL;
    if (beside->task && beside->sequence == entry->sequence + 1) return beside;
    for (struct tdm_entry *other = slot->entries; other < slot->entries + TDM_IN_HAND; other++)
        if (other->task && other->sequence > entry->sequence && (!next || other->sequence < next->sequence)) next = other;
    return next;
}

static inline struct tdm_entry *tdm_slot_newest(struct tdm_slot *slot)
{
    struct tdm_entry *newest = NULL;
    for (struct tdm_entry *entry = slot->entries; entry < slot->entries + TDM_IN_HAND; entry++)
        if (entry->task && (!newest || entry->sequence > newest->sequence)) newest = entry;
    return newest;
}

/* One that asks for nothing but to be run is told of at its end, all at once; if that is another than expected, it begins so. */
static inline void tdm_slot_begin_report(const struct tdm_slot *slot, const struct tdm_entry *entry)
{
    if (tdm_report_is_begun(entry->task)) return;
    tdm_report_begin(entry->task);
    tdm_report_start((tandem_report *)(uintptr_t)tdm_task_public(entry->task)->report, entry->next_ns, slot->number, slot->pid);
}

/* The deadline is that of the oldest task. */
static inline void tdm_slot_set_deadline(struct tdm_slot *slot)
{
    const struct tdm_entry *oldest = tdm_slot_oldest(slot);
    uint64_t timeout = oldest ? tdm_task_public(oldest->task)->timeout_ms : 0;
    slot->deadline_ns = timeout != 0 ? oldest->begun_ns + timeout * 1000000u : TDM_FOREVER;
    if (slot->deadline_ns != TDM_FOREVER) tdm_reactor_set_timer(&slot->timer, slot->deadline_ns);
}

/* The entry is free; what it held may be looked at until the next offer. */
static inline void tdm_slot_free_entry(struct tdm_slot *slot, struct tdm_entry *entry)
{
    entry->task = NULL;
    if (entry == slot->oldest) slot->oldest = slot->in_hand > 1 ? tdm_slot_next(slot, entry) : NULL;
    if (--slot->in_hand == 0) add_seq(&slot->lane->busy, (uint32_t)-1); /* [lane-busy] */
}

/* The task is nobody's any more in this worker.  The time of the next one begins; not before it was handed over, which may have been after
 * the end of this one. */
static inline void tdm_slot_drop(struct tdm_slot *slot, struct tdm_entry *entry, uint64_t now_ns)
{
    bool was_oldest = entry == slot->oldest;
    tdm_slot_free_entry(slot, entry);
    if (!was_oldest) return;
    slot->suspect = false;
    if (slot->oldest && slot->oldest->next_ns < now_ns) slot->oldest->next_ns = slot->oldest->begun_ns = now_ns;
    if (slot->oldest && tdm_task_talks(slot->oldest->task)) tdm_reactor_post(&slot->attend); /* its messages' time has come */
    tdm_slot_set_deadline(slot);
}

/* Without the lock; the reactor.  It is to be killed; step: what was wrong with it, or NULL. */
void tdm_slot_set_dying(struct tdm_slot *slot, const char *step);
void tdm_slot_attend(struct tdm_job *job);
void tdm_slot_bury(struct tdm_slot *slot, const struct tdm_death *death);

/* Takes back all that the worker has not begun, the newest first, for it may begin the oldest at any moment.  They go to the front of
 * the list.  True: it has none any more, and has begun none. */
bool tdm_slot_revoke_all(struct tdm_slot *slot, struct tdm_node *revoked);

#endif
