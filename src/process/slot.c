/* slot.c - handing tasks to a worker, and stopping them there: what any thread may do. */
#include "process/slot.h"

#include "base/fault.h"
#include "base/quick_clock.h"
#include "process/reading.h"
#include "process/ringing.h"
#include "process/shared_memory.h"
#include "process/slot_inside.h"
#include "process/slot_talk.h"
#include "task/report.h"

#include <errno.h>

/* A reply that was finished is in the pipe; this long after that was seen it has been read. */
#define REPLY_NS ((uint64_t)1000000000u)

/* What a pipe takes whole or not at all; of a ring it is a piece. */
#define WHOLE 4096

const char tdm_slot_broken[] = "its worker broke the protocol";

/* ---- handing a task over: any thread ---- */

/* Beside the last one, if that is free. */
static struct tdm_entry *free_entry(struct tdm_slot *slot)
{
    struct tdm_entry *entry = slot->entries + slot->sequence % TDM_IN_HAND;
    if (!entry->task) return entry;
    for (entry = slot->entries; entry->task; entry++) { /* there is one */
    }
    return entry;
}

static bool has_limits(const tandem_limits *limits)
{
    return limits->memory != 0 || limits->cpu_ms != 0 || limits->file_size != 0 || limits->output != 0 || limits->open_files != 0;
}

/* What lies in shared memory is at the same place there.  (More than a frame can carry was there when it was submitted.) */
static bool is_copied(const struct tdm_slot *slot, const tandem_task *task)
{
    return task->input_size <= TDM_FRAME_PAYLOAD_MOST && !tdm_shared_holds(slot->lane->shared, task->input, task->input_size);
}

/* Where the worker may write, too: nothing is read there. */
static void make_frame(struct tdm_slot *slot, const struct tdm_entry *entry, bool copied, struct tdm_frame *frame)
{
    const tandem_task *task = tdm_task_public(entry->task);
    const tandem_limits *limits = task->limits ? task->limits : &slot->lane->options->limits;
    bool limited = has_limits(limits);
    unsigned index = tdm_slot_index(slot, entry);
    uint32_t flags = copied ? 0 : TDM_FRAME_IN_SHARED;
    if (task->on_message) flags |= TDM_FRAME_HEARD;
    if (task->on_message && task->flags & TANDEM_TELL_START) flags |= TDM_FRAME_TELL_START;
    if (limited) flags |= TDM_FRAME_HAS_LIMITS;
    if (limited) slot->control->limits[index] = *limits;
    frame->magic = TDM_FRAME_MAGIC;
    frame->kind = TDM_FRAME_TASK;
    frame->entry = (uint16_t)index;
    frame->sequence = entry->sequence;
    frame->code = load_seq(&slot->lane->lane.core->data_version); /* [data-version] */
    frame->flags = flags;
    frame->payload = copied ? (uint32_t)task->input_size : 0;
    frame->progressed = 0;
    frame->function = (uint64_t)(uintptr_t)task->run;
    frame->address = (uint64_t)(uintptr_t)task->input; /* not looked at without the flag */
    frame->size = task->input_size;
    frame->use.ran_ns = 0;
}

static size_t size_of(const tandem_task *task, bool copied) { return sizeof(struct tdm_frame) + (copied ? task->input_size : 0); }

static void publish(struct tdm_slot *slot)
{
    if (slot->unpublished) tdm_way_publish(&slot->out);
    slot->unpublished = false;
}

/* With the lock held.  Frames that follow each other are published together: what worker and host both look at changes sides once for all of
 * them.  Behind another task a frame goes whole or not at all: else its rest would hold up whoever wants to take it back.  0; -errno: of one
 * that goes alone, some of it may be left. */
static int send_task(struct tdm_slot *slot, const struct tdm_entry *entry, bool copied, bool alone)
{
    const tandem_task *task = tdm_task_public(entry->task);
    bool has_ring = tdm_way_has_ring(&slot->out);
    size_t size = size_of(task, copied);
    struct tdm_frame frame, *place = has_ring && size == sizeof frame ? tdm_way_place(&slot->out) : NULL;
    make_frame(slot, entry, copied, place ? place : &frame);
    if (place ? tdm_way_put_placed(&slot->out) == 0
              : has_ring && size <= TDM_RING_PIECE && tdm_way_put(&slot->out, &frame, task->input) == 0) {
        slot->unpublished = true;
        return 0;
    }
    if (place) make_frame(slot, entry, copied, &frame);
    publish(slot);
    if (!alone && has_ring && (size > TDM_RING_PIECE || tdm_ring_room(&slot->out.ring) < size)) return -EAGAIN;
    tdm_outbox_put(&slot->outbox, &frame, task->input);
    return tdm_outbox_push(&slot->outbox, &slot->out, true);
}

/* With the lock held.  The word is OFFERED before the first byte of the frame is in the pipe, so the worker never finds a frame whose
 * word is not there yet [control-word].  False: there was no room; nothing has happened. */
static bool hand_over(struct tdm_slot *slot, struct tdm_task *private, uint64_t now_ns)
{
    const tandem_task *task = tdm_task_public(private);
    bool alone = slot->in_hand == 0, copied = is_copied(slot, task);
    if (!alone && !tdm_way_has_ring(&slot->out) && size_of(task, copied) > WHOLE) return false;
    struct tdm_entry *entry = free_entry(slot);
    if (now_ns < private->queued_ns) now_ns = private->queued_ns; /* another thread's clock is a little ahead */
    *entry = (struct tdm_entry){
        .task = private, .sequence = ++slot->sequence, .handed_ns = now_ns, .next_ns = now_ns, .begun_ns = now_ns};
    if (tdm_task_talks(private)) tdm_slot_talk_begin(slot, entry);
    if (task->on_message && !slot->heard) {
        slot->heard = true;
        add_seq(&slot->lane->talkers, 1); /* [lane-talkers] */
    }
    tdm_control_offer(slot->control, tdm_slot_index(slot, entry), entry->sequence);
    tdm_fault(TDM_FAULT_host_offered);
    int left = send_task(slot, entry, copied, alone);
    tdm_fault(TDM_FAULT_host_frame_written);
    if (left != 0 && !alone) {
        tdm_slot_move(slot, entry, TDM_OFFERED, TDM_REVOKED); /* it wins: the worker has seen nothing of the frame */
        slot->outbox = (struct tdm_outbox){0};
        entry->task = NULL;
        return false;
    }
    if (!(load_relaxed(&private->state) & TDM_SHORT) ||
        tdm_report_is_begun(private)) { /* relaxed: the mark was there before it was queued */
        tdm_report_begin(private);
        tdm_report_start((tandem_report *)(uintptr_t)task->report, now_ns, slot->number, slot->pid);
    }
    if (left != 0 && (left != -EAGAIN || !tdm_way_has_ring(&slot->out))) tdm_reactor_post(&slot->attend);
    if (slot->in_hand++ == 0) add_seq(&slot->lane->busy, 1); /* [lane-busy] */
    slot->handed++;
    slot->was_offered = true;
    slot->freed = false;
    tdm_ringing_handed_over(slot, private);
    if (alone) {
        slot->oldest = entry;
        slot->suspect = false;
        slot->step = NULL;
        tdm_slot_set_deadline(slot);
        if (left == 0 && tdm_task_talks(private)) {
            publish(slot);
            if (tdm_slot_push(slot, true) != 0) tdm_reactor_post(&slot->attend);
        }
    }
    return true;
}

/* With the lock held.  One that asks for nothing but to be run, behind another, without an input: where one lies decides how it travels, also if
 * it has 0 bytes.  False: it is not such a one, or there is no room; nothing has happened. */
static bool hand_over_shortly(struct tdm_slot *slot, struct tdm_task *private, uint64_t now_ns)
{
    uint32_t marks = load_relaxed(&private->state) & (uint32_t)(TDM_SHORT | TDM_TALKS); /* relaxed: who talks tells the slot */
    if (marks != TDM_SHORT || tdm_report_is_begun(private) || tdm_task_public(private)->input) return false;
    struct tdm_frame *place = slot->in_hand > 0 && tdm_way_has_ring(&slot->out) ? tdm_way_place(&slot->out) : NULL;
    if (!place) return false;
    struct tdm_entry *entry = free_entry(slot);
    if (now_ns < private->queued_ns) now_ns = private->queued_ns; /* another thread's clock is a little ahead */
    entry->task = private;
    entry->sequence = ++slot->sequence;
    entry->handed_ns = entry->next_ns = entry->begun_ns = now_ns;
    entry->decided = 0;
    tdm_control_offer(slot->control, tdm_slot_index(slot, entry), entry->sequence);
    tdm_fault(TDM_FAULT_host_offered);
    make_frame(slot, entry, true, place);
    int error = tdm_way_put_placed(&slot->out);
    tdm_fault(TDM_FAULT_host_frame_written);
    if (error != 0) {
        tdm_slot_move(slot, entry, TDM_OFFERED, TDM_REVOKED); /* it wins: the worker has seen nothing of the frame */
        entry->task = NULL;
        return false;
    }
    slot->unpublished = true;
    slot->in_hand++;
    slot->handed++;
    return true;
}

/* With the lock held. */
static bool is_spent(const struct tdm_slot *slot)
{
    uint32_t most = slot->dedicated ? 1 : slot->lane->options->tasks_per_worker;
    return most != 0 && slot->handed >= most;
}

/* So much work at once keeps a worker busy while others wake up to give it more.  A task that takes longer has the worker to itself, so that
 * what comes after it goes to whoever is free first. */
#define WORK_IN_HAND_NS 100000u
#define WORK_IN_NEED_NS 400000u /* where workers need every processor, and the host takes one of them away to give more */

static unsigned depth(const struct tdm_slot *slot)
{
#ifdef TDM_ALWAYS_IN_HAND
    (void)slot;
    return TDM_ALWAYS_IN_HAND; /* tests want the most, at once */
#else
    uint64_t usual_ns = slot->usual_ns;
    if (usual_ns == 0) return 1;
    if (usual_ns <= WORK_IN_HAND_NS / TDM_IN_HAND) return TDM_IN_HAND;
    uint64_t tasks = (tdm_slot_may_watch(slot) ? WORK_IN_HAND_NS : WORK_IN_NEED_NS) / usual_ns;
    return tasks < 1 ? 1 : tasks > TDM_IN_HAND ? TDM_IN_HAND : (unsigned)tasks;
#endif
}

static unsigned room(const struct tdm_slot *slot)
{
    unsigned most_in_hand = depth(slot);
    if (slot->state != TDM_SLOT_READY || is_spent(slot) || !tdm_outbox_empty(&slot->outbox)) return 0;
    if (slot->in_hand >= most_in_hand) return 0;
    unsigned free = most_in_hand - slot->in_hand;
    uint32_t most = slot->dedicated ? 1 : slot->lane->options->tasks_per_worker;
    return most != 0 && most - slot->handed < free ? most - slot->handed : free;
}

/* With the lock held.  A cancel that came before the lock has left its wish in the task; one that comes after it finds the task here
 * [wishes]. */
static enum tdm_offer offer(struct tdm_slot *slot, struct tdm_task *task, uint64_t now_ns, unsigned room)
{
    if (load_seq(&task->wishes) & TDM_WISH_CANCEL) return TDM_OFFER_CANCELLED;
    return room > 0 && (hand_over_shortly(slot, task, now_ns) || hand_over(slot, task, now_ns)) ? TDM_OFFER_TAKEN : TDM_OFFER_FULL;
}

/* With the lock held; of a worker that may have tasks.  What was taken may be on its way by the time of the unlock, so it is off the list
 * before.  The first is published at once, lest the worker wait for those behind it. */
static enum tdm_offer offer_all(struct tdm_slot *slot, struct tdm_node *tasks, unsigned *taken)
{
    uint64_t now_ns = tdm_quick_clock_now(); /* not before: the lock may take long, and a task's time begins now */
    enum tdm_offer result = TDM_OFFER_TAKEN;
    unsigned left = room(slot);
    tdm_ringing_expect(slot, container_of(tasks->next, struct tdm_task, link));
    while (!tdm_list_empty(tasks) && result == TDM_OFFER_TAKEN) {
        struct tdm_node *first = tdm_list_pop_front(tasks);
        result = offer(slot, container_of(first, struct tdm_task, link), now_ns, left);
        if (result != TDM_OFFER_TAKEN) {
            tdm_list_push_front(tasks, first);
            break;
        }
        if (slot->in_hand == 1) publish(slot);
        left = tdm_outbox_empty(&slot->outbox) ? left - 1 : 0;
        ++*taken;
    }
    publish(slot);
    return result;
}

enum tdm_offer tdm_slot_offer(struct tdm_slot *slot, uint32_t number, struct tdm_node *tasks, unsigned *taken)
{
    enum tdm_offer result = TDM_OFFER_TAKEN;
    tdm_slot_lock(slot);
    bool is_there = slot->state == TDM_SLOT_READY && slot->number == number;
    if (!tdm_list_empty(tasks)) result = is_there ? offer_all(slot, tasks, taken) : TDM_OFFER_DEAD;
    tdm_slot_unlock(slot);
    return result;
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

struct tdm_leeway tdm_slot_leeway_locked(struct tdm_slot *slot)
{
    struct tdm_leeway leeway = {slot->in_hand, room(slot), slot->was_offered, is_spent(slot)};
    unsigned soon = slot->in_hand > 0 ? leeway.room : 1; /* else those before were waited for one by one */
    if (tdm_way_has_ring(&slot->out)) tdm_ring_expect(&slot->out.ring, soon * sizeof(struct tdm_frame));
    return leeway;
}

struct tdm_leeway tdm_slot_leeway(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    struct tdm_leeway leeway = tdm_slot_leeway_locked(slot);
    tdm_slot_unlock(slot);
    return leeway;
}

bool tdm_slot_is_held_up(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    bool held_up = slot->state == TDM_SLOT_READY && slot->in_hand == 0 && !tdm_outbox_empty(&slot->outbox);
    if (held_up) slot->freed = true;
    tdm_slot_unlock(slot);
    return held_up;
}

/* ---- taking tasks back: any thread ---- */

/* With the lock held: the task is ours again, its frame will be skipped.  An input that is not all in the pipe has a worker wait for the
 * rest, which will not come: that one has to go.  (The rest of a message does come.) */
static void take_back(struct tdm_slot *slot, struct tdm_entry *entry)
{
    if (!tdm_outbox_empty(&slot->outbox) && slot->outbox.frame.kind == TDM_FRAME_TASK) tdm_slot_set_state(slot, TDM_SLOT_DYING);
    slot->handed--;
    tdm_slot_begin_report(slot, entry);
    tdm_report_take_back(tdm_task_public(entry->task));
    tdm_slot_talk_revoked(slot, entry);
    tdm_slot_drop(slot, entry, tdm_clock_ns());
    tdm_reading_look_up(slot);
    if (slot->in_hand == 0) slot->freed = true;
}

bool tdm_slot_revoke_all(struct tdm_slot *slot, struct tdm_node *revoked)
{
    for (struct tdm_entry *entry; (entry = tdm_slot_newest(slot)) != NULL;) {
        struct tdm_task *task = entry->task;
        uint64_t sequence = entry->sequence;
        if (entry->decided != 0 || !tdm_slot_move(slot, entry, TDM_OFFERED, TDM_REVOKED)) return false;
        take_back(slot, entry);
        tdm_list_push_back(revoked, &task->link);
        if (slot->oldest == NULL) tdm_slot_talk_take_back(slot, task, sequence); /* the worker reads no more */
    }
    return true;
}

/* all: the last of the list was the worker's next, and may be why it hangs; else the worker goes on. */
static void put_back_all(struct tdm_process_lane *lane, struct tdm_node *revoked, bool all)
{
    if (all) container_of(revoked->previous, struct tdm_task, link)->deaths++;
    for (struct tdm_node *node; (node = tdm_list_pop_front(revoked)) != NULL;) {
        struct tdm_task *task = container_of(node, struct tdm_task, link);
        if (task->deaths < TDM_DEATHS_MOST)
            tdm_process_lane_put_back(lane, task);
        else
            tdm_task_finish(task, &(struct tdm_outcome){.status = TANDEM_CRASHED, .step = "no worker began it"}, NULL);
    }
}

struct tdm_task *tdm_slot_take_newest(struct tdm_slot *slot)
{
    struct tdm_task *task = NULL;
    tdm_slot_lock(slot);
    struct tdm_entry *newest = slot->state == TDM_SLOT_READY && slot->in_hand > 1 ? tdm_slot_newest(slot) : NULL;
    if (newest && tdm_slot_move(slot, newest, TDM_OFFERED, TDM_REVOKED)) {
        task = newest->task;
        take_back(slot, newest);
    }
    tdm_slot_unlock(slot);
    return task;
}

/* ---- stopping a task: any thread ---- */

enum stop { NOT_STOPPED, TAKEN_BACK, KILLED };

/* With the lock held: its end is decided, and comes with the worker's. */
static enum stop decide(struct tdm_slot *slot, struct tdm_entry *entry, int status)
{
    entry->decided = status;
    slot->gently = slot->lane->options->kill_grace_ms != 0;
    tdm_slot_set_state(slot, TDM_SLOT_DYING);
    return KILLED;
}

/* With the lock held: the reply of a task that has finished is in the pipe and will be read; if not by then, the word is a lie. */
static void suspect(struct tdm_slot *slot)
{
    slot->suspect = true;
    slot->deadline_ns = tdm_clock_ns() + REPLY_NS;
    tdm_reactor_set_timer(&slot->timer, slot->deadline_ns);
}

/* With the lock held: the word is none that an honest worker can leave when its host wants to stop it, or it has finished. */
static enum stop doubt(struct tdm_slot *slot, struct tdm_entry *entry, int status)
{
    bool finished = tdm_slot_is(slot, entry, TDM_FINISHED);
    if (finished && !slot->suspect) suspect(slot);
    if (finished && (status != TANDEM_TIMED_OUT || slot->deadline_ns > tdm_clock_ns())) return NOT_STOPPED;
    decide(slot, entry, finished ? TANDEM_CRASHED : status);
    slot->gently = false;
    slot->step = finished ? tdm_slot_broken : NULL;
    return KILLED;
}

/* With the lock held.  TAKEN_BACK: the worker had not begun it; the task is the caller's. */
static enum stop cancel(struct tdm_slot *slot, struct tdm_entry *entry)
{
    if (tdm_slot_move(slot, entry, TDM_OFFERED, TDM_REVOKED)) {
        take_back(slot, entry);
        return TAKEN_BACK;
    }
    if (tdm_slot_move(slot, entry, TDM_CLAIMED, TDM_KILLING)) return decide(slot, entry, TANDEM_CANCELLED);
    return doubt(slot, entry, TANDEM_CANCELLED);
}

/* With the lock held, for the oldest.  One that has not begun has not run: its time begins anew.  A worker that is merely slow must not be
 * killed for a short timeout; one that hangs is found by tdm_slot_look. */
static enum stop time_out(struct tdm_slot *slot, struct tdm_entry *entry)
{
    if (tdm_slot_is(slot, entry, TDM_OFFERED)) {
        entry->begun_ns = tdm_clock_ns();
        slot->suspect = false; /* a word that went back is a lie, and is looked at afresh */
        tdm_slot_set_deadline(slot);
        return NOT_STOPPED;
    }
    if (tdm_slot_move(slot, entry, TDM_CLAIMED, TDM_KILLING)) return decide(slot, entry, TANDEM_TIMED_OUT);
    return doubt(slot, entry, TANDEM_TIMED_OUT);
}

/* A deadline is looked at again under the lock: the same struct may be on its next run by now. */
static struct tdm_entry *find(struct tdm_slot *slot, const struct tdm_task *task, int status)
{
    if (status == TANDEM_TIMED_OUT) {
        struct tdm_entry *oldest = tdm_slot_oldest(slot);
        return oldest && oldest->task == task && slot->deadline_ns <= tdm_clock_ns() ? oldest : NULL;
    }
    for (struct tdm_entry *entry = slot->entries; entry < slot->entries + TDM_IN_HAND; entry++)
        if (entry->task == task) return entry;
    return NULL;
}

/* The reactor is told under the lock: once the task is let go it may end by other hands, and its pool with it. */
bool tdm_slot_stop(struct tdm_slot *slot, struct tdm_task *task, int status)
{
    enum stop stop = NOT_STOPPED;
    tdm_slot_lock(slot);
    struct tdm_entry *entry = find(slot, task, status);
    if (entry && entry->decided == 0 && slot->state != TDM_SLOT_EMPTY)
        stop = status == TANDEM_TIMED_OUT ? time_out(slot, entry) : cancel(slot, entry);
    if (stop != NOT_STOPPED) tdm_reactor_post(&slot->attend);
    tdm_slot_unlock(slot);
    return stop == TAKEN_BACK;
}

/* ---- a worker that does not begin: the reactor ---- */

uint64_t tdm_slot_look(struct tdm_slot *slot, uint64_t now_ns, uint64_t patience_ns, bool *hangs)
{
    struct tdm_node revoked;
    tdm_list_init(&revoked);
    tdm_slot_lock(slot);
    const struct tdm_entry *oldest = tdm_slot_oldest(slot);
    bool late = oldest && oldest->next_ns + patience_ns <= now_ns && slot->state != TDM_SLOT_DYING;
    bool revoked_all = late && tdm_slot_is(slot, oldest, TDM_OFFERED) && tdm_slot_revoke_all(slot, &revoked);
    oldest = tdm_slot_oldest(slot);
    bool lies = late && oldest && tdm_slot_is(slot, oldest, TDM_OFFERED); /* then it cannot have begun what comes after that */
    if (revoked_all) *hangs = true;
    if (lies) slot->step = tdm_slot_broken;
    if (revoked_all || lies) {
        tdm_slot_set_state(slot, TDM_SLOT_DYING);
        tdm_reactor_post(&slot->attend);
    }
    if (late && oldest && !slot->suspect && tdm_slot_is(slot, oldest, TDM_FINISHED)) suspect(slot);
    uint64_t again_ns = !oldest ? TDM_FOREVER : (oldest->next_ns + patience_ns > now_ns ? oldest->next_ns : now_ns) + patience_ns;
    tdm_slot_unlock(slot);
    put_back_all(slot->lane, &revoked, revoked_all);
    return again_ns;
}
