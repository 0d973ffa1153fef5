/* slot.c - handing a task to a worker, and stopping it there: what any thread may do. */
#include "process/slot.h"

#include "base/clock.h"
#include "process/slot_inside.h"
#include "task/report.h"

/* A reply that was finished is in the pipe; this long after that was seen it has been read. */
#define REPLY_NS ((uint64_t)1000000000u)

/* ---- handing a task over: any thread ---- */

/* With the lock held.  The word is OFFERED before the first byte of the frame is in the pipe, so the worker never finds a frame whose
 * word is not there yet [control-word]. */
static void hand_over(struct tdm_slot *slot, struct tdm_task *private)
{
    const tandem_task *task = tdm_task_public(private);
    slot->task = private;
    slot->decided = 0;
    slot->suspect = false;
    slot->step = NULL;
    slot->sequence++;
    slot->was_offered = true;
    slot->started_ns = tdm_clock_ns();
    tdm_report_start((tandem_report *)(uintptr_t)task->report, slot->started_ns, slot->number, slot->pid);
    tdm_control_offer(slot->control, TDM_SLOT_ENTRY, slot->sequence);
    struct tdm_frame frame = tdm_frame_make(TDM_FRAME_TASK, task->input_size);
    frame.entry = TDM_SLOT_ENTRY;
    frame.sequence = slot->sequence;
    frame.function = (uint64_t)(uintptr_t)task->run;
    tdm_outbox_put(&slot->outbox, &frame, task->input);
    int left = tdm_outbox_push(&slot->outbox, slot->requests[1]);
    if (left != 0) tdm_reactor_post(&slot->attend);
    slot->deadline_ns = task->timeout_ms != 0 ? slot->started_ns + (uint64_t)task->timeout_ms * 1000000u : TDM_FOREVER;
    if (slot->deadline_ns != TDM_FOREVER) tdm_reactor_set_timer(&slot->timer, slot->deadline_ns);
}

/* A cancel that came before the lock has left its wish in the task; one that comes after it finds the task here [wishes]. */
enum tdm_offer tdm_slot_offer(struct tdm_slot *slot, uint32_t number, struct tdm_task *task)
{
    enum tdm_offer offer = TDM_OFFER_TAKEN;
    tdm_slot_lock(slot);
    if (slot->state != TDM_SLOT_READY || slot->number != number)
        offer = TDM_OFFER_DEAD;
    else if (load_seq(&task->wishes) & TDM_WISH_CANCEL)
        offer = TDM_OFFER_CANCELLED;
    else
        hand_over(slot, task);
    tdm_slot_unlock(slot);
    return offer;
}

/* The reactor is told under the lock: after the unlock the pool may be gone. */
void tdm_slot_release(struct tdm_slot *slot, uint32_t number)
{
    tdm_slot_lock(slot);
    if (slot->number == number) {
        slot->freed = true;
        tdm_reactor_post(&slot->attend);
    }
    tdm_slot_unlock(slot);
}

/* ---- stopping a task: any thread ---- */

enum stop { NOT_STOPPED, TAKEN_BACK, KILLED };

/* With the lock held.  TAKEN_BACK: the worker had not begun; the task is the caller's.  If its frame is not all in the pipe the worker
 * waits for the rest, which will not come: it has to go.  So has one that did not begin in all the time the task had: it hangs.
 * KILLED: decided, the end comes with the worker's. */
static enum stop try_stop(struct tdm_slot *slot, int status)
{
    if (slot->decided != 0 || slot->state == TDM_SLOT_EMPTY) return NOT_STOPPED;
    if (tdm_control_move(slot->control, TDM_SLOT_ENTRY, slot->sequence, TDM_OFFERED, TDM_REVOKED)) {
        if (!tdm_outbox_empty(&slot->outbox) || status == TANDEM_TIMED_OUT) slot->state = TDM_SLOT_DYING;
        tdm_slot_let_go(slot);
        slot->freed = true;
        return TAKEN_BACK;
    }
    if (tdm_control_move(slot->control, TDM_SLOT_ENTRY, slot->sequence, TDM_CLAIMED, TDM_KILLING)) {
        slot->decided = status;
        slot->state = TDM_SLOT_DYING;
        return KILLED;
    }
    bool finished = tdm_control_is(slot->control, TDM_SLOT_ENTRY, slot->sequence, TDM_FINISHED);
    if (finished && !slot->suspect) {
        slot->suspect = true; /* its reply is whole in the pipe and will be read; if not by then, the word is a lie */
        slot->deadline_ns = tdm_clock_ns() + REPLY_NS;
        tdm_reactor_set_timer(&slot->timer, slot->deadline_ns);
    }
    if (finished && (status != TANDEM_TIMED_OUT || slot->deadline_ns > tdm_clock_ns())) return NOT_STOPPED;
    slot->decided = finished ? TANDEM_CRASHED : status; /* a word that only damage can write, else */
    slot->step = finished ? TDM_SLOT_BROKEN : NULL;
    slot->state = TDM_SLOT_DYING;
    return KILLED;
}

/* A deadline is looked at again under the lock: the same struct may be on its next run by now.  The reactor is told under the lock, too:
 * once it is let go the task may end by other hands, and its pool with it. */
bool tdm_slot_stop(struct tdm_slot *slot, struct tdm_task *task, int status)
{
    tdm_slot_lock(slot);
    bool meant = slot->task == task && (status != TANDEM_TIMED_OUT || slot->deadline_ns <= tdm_clock_ns());
    enum stop stop = meant ? try_stop(slot, status) : NOT_STOPPED;
    if (stop != NOT_STOPPED) tdm_reactor_post(&slot->attend);
    tdm_slot_unlock(slot);
    if (stop != TAKEN_BACK) return false;
    if (status == TANDEM_CANCELLED) return true;
    tdm_process_lane_put_back(slot->lane, task);
    return false;
}
