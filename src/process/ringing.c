/* ringing.c - what is wished of a worker while nobody reads its replies. */
#define _POSIX_C_SOURCE 200809L
#include "process/ringing.h"

#include "base/clock.h"
#include "process/reading_pipes.h"
#include "process/slot_inside.h"

/* ---- who need not be told at once ---- */

/* It need not be told of each reply, for the worker has more to do, which is expected to take little. */
bool tdm_ringing_can_be_later(const struct tdm_slot *slot)
{
    return slot->in_hand > 2 && !slot->hasty && !tdm_slot_may_watch(slot);
}

/* The reactor looks at all slots of the lane, soon, and then forgets it. */
static void have_it_looked_at(struct tdm_process_lane *lane)
{
    if (exchange_seq(&lane->looks, 1) == 0)
        tdm_reactor_set_timer(&lane->look_timer, tdm_clock_ns() + TDM_RINGING_LATER_NS); /* [lane-looks] */
}

/* What it has in hand is done within some tens of microseconds, as far as is known. */
#define BRIEF_NS 2000u

/* Has it a task in hand of which somebody is to be told who does not come for it?  Who waits here comes; who sleeps on a
 * task, or on one of many, has marked it, and who talks to it, too. */
static bool owes_word(const struct tdm_slot *slot)
{
    const uint32_t looked_at = (uint32_t)(TDM_SHORT | TDM_TALKS | TDM_WAITED | TDM_WAITED_ANY);
    for (const struct tdm_entry *entry = slot->entries; entry < slot->entries + TDM_IN_HAND; entry++)
        if (entry->task && (load_seq(&entry->task->state) & looked_at) != TDM_SHORT) return true;
    return false;
}

/* A thread that waits for one task of many like these waits for one of the next soon, and nobody else minds. */
bool tdm_ringing_is_brief(const struct tdm_slot *slot)
{
    return slot->in_hand > 0 && slot->usual_ns != 0 && slot->usual_ns <= BRIEF_NS && !owes_word(slot);
}

/* By a thread that came by while it submits, or waits for brief tasks one after the other.  It comes again soon; meanwhile
 * the reactor's wake-up, and what it keeps from that thread, would cost more than many a task.  True: all that the worker will publish is seen
 * to. */
bool tdm_ringing_leave_to_next(struct tdm_slot *slot)
{
    if (!tdm_way_has_ring(&slot->in) || slot->hasty || !tdm_slot_may_watch(slot)) return false;
    slot->reader = TDM_NOBODY_READS;
    slot->visited = true;
    have_it_looked_at(slot->lane);
    store_seq(&slot->in.rings->host_wish, TDM_HOST_BELL_UNLESS_PASSED); /* [ring-wish] */
    return true;
}

/* ---- who is to be told ---- */

/* A worker that is ready and has no task says nothing; but one whose memory is looked at may say that it is tired. */
static bool may_speak(const struct tdm_slot *slot)
{
    return slot->in_hand > 0 || slot->state != TDM_SLOT_READY || slot->lane->options->memory_per_worker != 0;
}

/* Whoever was to come by may not do so for what is in hand now.  A bell that the worker owes already it rings before it begins
 * its next task. */
static void count_on_nobody(struct tdm_slot *slot)
{
    uint32_t wish = TDM_HOST_BELL_UNLESS_PASSED;
    if (tdm_way_has_ring(&slot->in)) cas_seq(&slot->in.rings->host_wish, &wish, TDM_HOST_BELL); /* [ring-wish] */
}

/* The thread that calls a task is just about to lead: it comes here for it unless the task has ended, and then nobody waits.
 * relaxed: the mark was there before it was queued */
void tdm_ringing_handed_over(struct tdm_slot *slot, const struct tdm_task *task)
{
    if (slot->reader != TDM_NOBODY_READS || task->called) return;
    tdm_reading_listen_to_pipe(slot);
    if (!(load_relaxed(&task->state) & TDM_SHORT)) count_on_nobody(slot);
}

void tdm_ringing_expect(struct tdm_slot *slot, const struct tdm_task *first)
{
    bool leads = slot->in_hand == 0 && first->called; /* its caller, as above; there is no other */
    if (slot->reader != TDM_NOBODY_READS || leads || !tdm_way_has_ring(&slot->in)) return;
    _Atomic uint32_t *wish = &slot->in.rings->host_wish;
    if (load_seq(wish) == TDM_HOST_AWAKE) store_release(wish, TDM_HOST_BELL); /* the worker sees it with the frame [ring-wish] */
}

/* Nobody reads any more: the worker is to ring.  Has it published something before it could know? */
bool tdm_ringing_arm(struct tdm_slot *slot)
{
    slot->reader = TDM_NOBODY_READS;
    if (!tdm_way_has_ring(&slot->in)) {
        if (may_speak(slot)) tdm_reading_listen_to_pipe(slot);
        return false;
    }
    /* The wish is raised with its next task: each change costs the worker its copy of the word. */
    if (!may_speak(slot)) return false;
    bool later = tdm_ringing_can_be_later(slot);
    if (later) have_it_looked_at(slot->lane);
    store_seq(&slot->in.rings->host_wish, later ? TDM_HOST_BELL_LATER : TDM_HOST_BELL); /* [ring-wish] */
    return tdm_slot_has_news(slot);
}

/* ---- the reactor ---- */

/* Whoever reads now has looked, and will be told as it wishes.  One that was visited since the last look is looked at the next time, unless it has
 * word for somebody who does not come for it. */
bool tdm_ringing_look(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    bool nobody = slot->state != TDM_SLOT_EMPTY && slot->reader == TDM_NOBODY_READS && tdm_way_has_ring(&slot->in);
    uint32_t wish = nobody ? load_seq(&slot->in.rings->host_wish) : TDM_HOST_AWAKE;
    bool later = wish == TDM_HOST_BELL_LATER || wish == TDM_HOST_BELL_UNLESS_PASSED;
    bool visited = slot->visited && (later ? !owes_word(slot) : slot->reader == TDM_THREAD_READS);
    slot->visited = false;
    if (visited)
        have_it_looked_at(slot->lane);
    else if (later && !tdm_ring_has_news(&slot->in.ring, false))
        slot->hasty = true;
    tdm_slot_unlock(slot);
    return later && !visited;
}
