/* replies.c - what a worker's replies bring. */
#include "process/replies.h"

#include "base/fault.h"
#include "base/memory.h"
#include "process/gathering.h"
#include "process/slot_inside.h"
#include "process/slot_talk.h"
#include "task/report.h"

#include <errno.h>
#include <stdlib.h>

/* With the lock held: is this the reply to the oldest task, from a worker that had claimed it and read all of its input?  (While the
 * input is still being written its memory must stay, so the task may not end.  What is written of a message is the slot's own.) */
static bool answers(struct tdm_slot *slot, const struct tdm_entry *oldest, const struct tdm_frame *frame)
{
    return oldest && frame->sequence == oldest->sequence && frame->entry == tdm_slot_index(slot, oldest) &&
           (tdm_outbox_empty(&slot->outbox) || slot->outbox.frame.kind != TDM_FRAME_TASK) &&
           (tdm_slot_is(slot, oldest, TDM_CLAIMED) || tdm_slot_is(slot, oldest, TDM_FINISHED));
}

/* Into one that is zeroed. */
static void set_outcome(const struct tdm_slot *slot, struct tdm_outcome *outcome, struct tdm_facts *facts)
{
    const struct tdm_frame *frame = &slot->inbox.frame;
    outcome->code = frame->code;
    if (frame->kind == TDM_FRAME_REFUSED) {
        outcome->status = TANDEM_NOT_STARTED;
        outcome->step = "input";
    } else if (frame->kind == TDM_FRAME_OVERSIZED) {
        outcome->status = TANDEM_OVER_LIMIT;
        facts->limit = "output";
    } else if (slot->inbox.out_of_memory) {
        outcome->status = TANDEM_FAILED;
        outcome->code = ENOMEM;
        outcome->step = "reply";
    } else {
        outcome->status = frame->code == 0 ? TANDEM_OK : TANDEM_FAILED;
        outcome->output = slot->inbox.payload;
        outcome->output_size = frame->payload;
    }
}

void tdm_replies_finish(struct tdm_slot *slot, struct tdm_task *task, struct tdm_outcome *outcome, struct tdm_facts *facts,
                        struct tdm_tally *tally)
{
    char tail[TDM_ERROR_TAIL];
    if (outcome->status != TANDEM_OK && slot->errors.bytes) {
        facts->error_output_size = tdm_error_tail_take(&slot->errors, tail);
        facts->error_output = tail;
    }
    outcome->facts = facts;
    tdm_task_finish(task, outcome, tally);
}

/* May a thread take it?  What is not as always is the reactor's. */
static bool is_plain(const struct tdm_slot *slot, const struct tdm_entry *oldest)
{
    const struct tdm_frame *frame = &slot->inbox.frame;
    bool is_ok = frame->kind == TDM_FRAME_REPLY && frame->code == 0 && !slot->inbox.out_of_memory;
    return slot->state == TDM_SLOT_READY && oldest && oldest->decided == 0 && (is_ok || !slot->errors.bytes);
}

/* One that took far longer than usual counts for little: most likely the processor was taken away from it.  A worker that lies about it is
 * given more or fewer tasks. */
static void learn(struct tdm_slot *slot, uint64_t ran_ns)
{
    uint64_t usual_ns = slot->usual_ns, most_ns = usual_ns < UINT64_MAX / 4 ? usual_ns * 4 : UINT64_MAX;
    if (usual_ns == 0) usual_ns = most_ns = ran_ns;
    uint64_t counted_ns = ran_ns < most_ns ? ran_ns : most_ns;
    slot->usual_ns = usual_ns - usual_ns / 8 + counted_ns / 8 + 1;
}

struct span {
    uint64_t begun_ns, ended_ns;
};

/* When the oldest task ran, for its report.  Of replies that were read together the last has come just now, and those before it when their tasks
 * had run as long as the worker says, if that leaves some time for those behind them: this side may have been held up between two looks at the
 * clock.  A worker that lies may have replied before it could have begun.  What limits the time of the next task goes by when the replies were
 * read: nobody knows how long the worker has been asleep before the first. */
static TDM_APART struct span span_of(struct tdm_slot *slot, const struct tdm_entry *oldest)
{
    uint64_t came_ns = slot->came_ns, begun_ns = oldest->begun_ns, ran_ns = slot->inbox.frame.use.ran_ns;
    uint64_t behind = (slot->inbox.end - slot->inbox.start) / sizeof slot->inbox.frame;
    bool came_together = begun_ns == came_ns; /* with the reply before it */
    if (came_together) begun_ns = oldest->handed_ns > slot->told_ns ? oldest->handed_ns : slot->told_ns;
    uint64_t most_ns = came_ns > begun_ns + behind ? came_ns - begun_ns - behind : 0;
    slot->told_ns = begun_ns + (behind > 0 && ran_ns < most_ns ? ran_ns : most_ns);
    return (struct span){begun_ns, slot->told_ns};
}

/* A task whose reply has been read: in nobody's hands. */
struct answered {
    struct tdm_task *task;
    struct tdm_outcome outcome;
    struct tdm_facts facts;
};

enum taken { TAKEN, WRONG, NOT_PLAIN };

/* For the statistics: of many, some are enough. */
#define ALWAYS_SAMPLED 256
#define SAMPLED_OF     16

/* With the lock held: frees the entry.  A thread leaves the timer alone: to clear it is to wait for the reactor, which may wait for this
 * lock; when it comes it finds nothing to do. */
static enum taken take_out(struct tdm_slot *slot, bool by_thread, struct answered *answered)
{
    struct tdm_entry *oldest = tdm_slot_oldest(slot);
    bool right = oldest && oldest->decided == 0 && answers(slot, oldest, &slot->inbox.frame);
    if (by_thread && (!right || !is_plain(slot, oldest))) return NOT_PLAIN;
    if (!right) return WRONG;
    bool timed = slot->deadline_ns != TDM_FOREVER && slot->state != TDM_SLOT_DYING;
    const struct tdm_use *use = &slot->inbox.frame.use;
    learn(slot, use->ran_ns);
    tdm_zero(answered, sizeof *answered);
    answered->task = oldest->task;
    slot->has_answered = true;
    tdm_slot_begin_report(slot, oldest);
    tdm_report_count_run((tandem_report *)(uintptr_t)tdm_task_public(oldest->task)->report);
    if (oldest->sequence > ALWAYS_SAMPLED && oldest->sequence % SAMPLED_OF != 0) oldest->task->queued_ns = 0;
    answered->facts.user_ns = use->user_ns;
    answered->facts.system_ns = use->system_ns;
    answered->facts.peak_memory = use->peak_memory;
    if (slot->inbox.frame.progressed) tdm_slot_progress(slot, oldest, &answered->facts.done, &answered->facts.total);
    set_outcome(slot, &answered->outcome, &answered->facts);
    slot->inbox.payload = NULL;
    struct span span = span_of(slot, oldest);
    answered->outcome.started_ns = span.begun_ns;
    answered->outcome.ended_ns = span.ended_ns;
    if (timed && !by_thread) tdm_reactor_clear_timer(&slot->timer);
    slot->hasty = false;
    tdm_slot_drop(slot, oldest, slot->came_ns);
    return TAKEN;
}

/* The worker gets its next task before this one's end is told: it works while others wake up. */
static void end_by_reactor(struct tdm_slot *slot, struct answered *answered)
{
    tdm_slot_lock(slot);
    bool ready = slot->state == TDM_SLOT_READY;
    tdm_slot_unlock(slot);
    if (ready) tdm_process_lane_free_slot(slot->lane, slot);
    if (slot->orphan) tdm_reactor_post(&slot->attend); /* without a task it has to go */
    tdm_replies_finish(slot, answered->task, &answered->outcome, &answered->facts, NULL);
}

static bool is_reply(const struct tdm_frame *frame)
{
    return frame->kind == TDM_FRAME_REPLY || frame->kind == TDM_FRAME_REFUSED || frame->kind == TDM_FRAME_OVERSIZED;
}

static bool is_talk(const struct tdm_frame *frame)
{
    return frame->kind == TDM_FRAME_MESSAGE || frame->kind == TDM_FRAME_CREDIT || frame->kind == TDM_FRAME_DATA;
}

/* So many are taken under one lock. */
#define AT_ONCE 16

/* With the lock held: as many as there are, of those that are as short as may be.  What cannot be taken is pulled again, as the
 * first. */
static int take_out_all(struct tdm_slot *slot, struct answered *answered)
{
    int count = 0;
    bool pulled = true;
    while (pulled && take_out(slot, true, &answered[count]) == TAKEN) {
        pulled = ++count < AT_ONCE && tdm_inbox_pull_bare_reply(&slot->inbox);
        if (pulled) tdm_fault(TDM_FAULT_host_reply_read);
    }
    if (count > 0 && pulled) tdm_inbox_put_bare_back(&slot->inbox);
    return count;
}

/* One that asked for nothing but to be run, and returned 0. */
struct plain_answer {
    struct tdm_task *task;
    bool sampled;
};

/* With the lock held: may the reply be taken so? */
static bool is_short(struct tdm_slot *slot, const struct tdm_entry *oldest)
{
    const struct tdm_frame *frame = &slot->inbox.frame;
    const uint32_t looked_at = (uint32_t)(TDM_SHORT | TDM_TALKS);
    /* relaxed: the one mark was there before the task was queued; the other, if it comes only now, is seen at its end */
    return oldest && (load_relaxed(&oldest->task->state) & looked_at) == TDM_SHORT && frame->kind == TDM_FRAME_REPLY &&
           ((uint32_t)frame->code | frame->flags | frame->progressed) == 0 && slot->state == TDM_SLOT_READY &&
           oldest->decided == 0 && answers(slot, oldest, frame);
}

/* With the lock held: what take_out does, less what such a task cannot need. */
static void take_short(struct tdm_slot *slot, struct tdm_entry *oldest, struct plain_answer *answer)
{
    const struct tdm_use *use = &slot->inbox.frame.use;
    struct span span = span_of(slot, oldest);
    learn(slot, use->ran_ns);
    answer->task = oldest->task;
    answer->sampled = oldest->sequence <= ALWAYS_SAMPLED || oldest->sequence % SAMPLED_OF == 0;
    tdm_report_tell_plain_run(oldest->task, &(struct tdm_plain_run){span.begun_ns, span.ended_ns, use->user_ns, use->system_ns,
                                                                    use->peak_memory, slot->number, slot->pid});
    tdm_slot_drop(slot, oldest, slot->came_ns);
}

/* With the lock held: as many as there are.  What cannot be taken so is pulled again, as the first. */
static int take_short_all(struct tdm_slot *slot, struct plain_answer *taken)
{
    int count = 0;
    bool pulled = true;
    for (struct tdm_entry *oldest; pulled && is_short(slot, oldest = tdm_slot_oldest(slot));) {
        take_short(slot, oldest, &taken[count]);
        pulled = ++count < AT_ONCE && tdm_inbox_pull_bare_reply(&slot->inbox);
        if (pulled) tdm_fault(TDM_FAULT_host_reply_read);
    }
    if (count > 0 && pulled) tdm_inbox_put_bare_back(&slot->inbox);
    if (count > 0) slot->has_answered = true, slot->hasty = false;
    return count;
}

/* The words that go with the replies that have been read, except for the last, which the worker is perhaps to move to FINISHED just now: they
 * will be written soon, and the worker's processor has them. */
static void fetch_words(const struct tdm_slot *slot)
{
    size_t more = (slot->inbox.end - slot->inbox.start) / sizeof slot->inbox.frame, at = slot->inbox.frame.entry;
    for (size_t i = 0; i < more && i < AT_ONCE; i++) tdm_prefetch(&slot->control->words[(at + i) % TDM_IN_HAND]);
}

/* A thread that calls a task reads its answer itself, so nobody is woken by its end: that comes first, and the ledger is told of it together with
 * what the worker is given next.  While the worker has much in hand it gets nothing new, and then several tasks at once: to hand one over alone costs much
 * beside such a task, both sides. */
static int take_replies(struct tdm_slot *slot)
{
    struct answered answered[AT_ONCE];
    struct plain_answer plain[AT_ONCE];
    fetch_words(slot);
    tdm_slot_lock(slot);
    int shorts = take_short_all(slot, plain), count = shorts > 0 ? shorts : take_out_all(slot, answered);
    bool refill = count > 0 && slot->in_hand < TDM_IN_HAND * 3 / 4;
    struct tdm_leeway leeway = tdm_slot_leeway_locked(slot);
    tdm_gathering_note(slot);
    tdm_slot_unlock(slot);
    int called = shorts == 1 && plain->task->called;
    if (called) tdm_task_finish_plain_run(plain->task, plain->sampled, &slot->tally);
    if (refill) tdm_process_lane_refill(slot->lane, slot, &leeway);
    for (struct plain_answer *one = plain + called; one < plain + shorts; one++)
        tdm_task_finish_plain_run(one->task, one->sampled, &slot->tally);
    for (struct answered *one = answered; one < answered + count - shorts; one++)
        tdm_replies_finish(slot, one->task, &one->outcome, &one->facts, &slot->tally);
    return count;
}

int tdm_replies_take_plain(struct tdm_slot *slot)
{
    if (is_talk(&slot->inbox.frame)) return !slot->inbox.out_of_memory && tdm_slot_talk_take(slot, true) == TDM_SAID_RIGHT;
    return is_reply(&slot->inbox.frame) ? take_replies(slot) : 0;
}

void tdm_replies_settle(struct tdm_slot *slot)
{
    struct tdm_ledger *ledger = &slot->lane->lane.core->ledger;
    if (slot->tally.unsettled == 0) return;
    tdm_ledger_lock(ledger);
    tdm_ledger_settle(ledger, &slot->tally);
    tdm_ledger_unlock(ledger);
}

/* What comes after a kill that won is dropped: its end is decided. */
static void take_reply(struct tdm_slot *slot)
{
    struct answered answered;
    tdm_slot_lock(slot);
    const struct tdm_entry *oldest = tdm_slot_oldest(slot);
    bool dropped = oldest && oldest->decided != 0;
    enum taken taken = take_out(slot, false, &answered);
    tdm_slot_unlock(slot);
    if (taken == TAKEN) {
        end_by_reactor(slot, &answered);
        return;
    }
    free(slot->inbox.payload);
    slot->deaf = true;
    if (!dropped) tdm_slot_set_dying(slot, tdm_slot_broken);
}

/* What comes after a kill that won is dropped here, too. */
static void take_talk(struct tdm_slot *slot)
{
    enum tdm_said said = tdm_slot_talk_take(slot, false);
    tdm_inbox_drop(&slot->inbox);
    if (said == TDM_SAID_RIGHT) return;
    slot->deaf = true;
    if (said == TDM_SAID_WRONG) tdm_slot_set_dying(slot, tdm_slot_broken);
    if (said == TDM_SAID_NO_MEMORY) tdm_slot_set_dying(slot, "no memory for its message");
}

/* One that is being killed may say honestly, but too late, that it has started. */
static void set_broken_unless_dying(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    bool dying = slot->state == TDM_SLOT_DYING;
    tdm_slot_unlock(slot);
    slot->deaf = true;
    if (!dying) tdm_slot_set_dying(slot, tdm_slot_broken);
}

/* Its own word and the zygote's come by different ways, in any order; only with both it is known by its pid. */
void tdm_replies_take_ready(struct tdm_slot *slot)
{
    slot->said_ready = true;
    if (slot->child.pid == 0) return;
    tdm_slot_lock(slot);
    bool starting = slot->state == TDM_SLOT_STARTING;
    if (starting) tdm_slot_set_state(slot, TDM_SLOT_READY);
    slot->pid = slot->child.pid;
    tdm_slot_unlock(slot);
    if (!starting) {
        slot->deaf = true; /* it is being killed or has died before anybody could give it anything */
        if (slot->was_ready) set_broken_unless_dying(slot);
        return;
    }
    slot->was_ready = true;
    tdm_reactor_clear_timer(&slot->timer);
    tdm_process_lane_ready(slot->lane, slot);
}

/* It may be read only when the worker has been buried half, so its state does not tell; but one that has been ready cannot say so. */
static void take_failed(struct tdm_slot *slot)
{
    if (slot->was_ready) {
        set_broken_unless_dying(slot);
        return;
    }
    slot->deaf = true; /* that was its last word */
    slot->start_error = slot->inbox.frame.code;
    tdm_slot_lock(slot);
    slot->step = "on_worker_start";
    tdm_slot_unlock(slot);
}

/* It says so once. */
static void take_tired(struct tdm_slot *slot)
{
    if (!slot->was_ready || slot->said_tired) {
        set_broken_unless_dying(slot);
        return;
    }
    slot->said_tired = true;
    tdm_process_lane_retire(slot->lane, slot);
}

void tdm_replies_take_frame(struct tdm_slot *slot)
{
    switch (slot->inbox.frame.kind) {
    case TDM_FRAME_READY: tdm_replies_take_ready(slot); break;
    case TDM_FRAME_FAILED: take_failed(slot); break;
    case TDM_FRAME_TIRED: take_tired(slot); break;
    case TDM_FRAME_MESSAGE:
    case TDM_FRAME_DATA:
    case TDM_FRAME_CREDIT: take_talk(slot); break;
    default: take_reply(slot); break;
    }
    slot->inbox.payload = NULL;
}
