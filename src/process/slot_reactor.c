/* slot_reactor.c - one worker process while it works: replies, kills, its end.  What only the reactor's thread does. */
#define _POSIX_C_SOURCE 200809L
#include "base/fault.h"
#include "base/fds.h"
#include "base/platform.h"
#include "process/adopted.h"
#include "process/slot_inside.h"
#include "process/slot_start.h"
#include "process/verdict.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A kill that shows no end after this: the process hangs in the kernel.  Its task ends all the same. */
#define DEATH_NS ((uint64_t)5 * 1000000000u)

/* ---- killing, and what others have left to do ---- */

static void bury(struct tdm_slot *slot, const struct tdm_death *death);

/* With no guard left nobody may signal the worker by its number; the lifeline and the end of its requests must do. */
static void drop_orphan(struct tdm_slot *slot)
{
    tdm_reactor_watch(&slot->request_source, 0);
    tdm_fds_close(&slot->requests[0]);
    tdm_fds_close(&slot->requests[1]);
}

static void send_kill(struct tdm_slot *slot)
{
    if (slot->kill_sent) return;
    slot->kill_sent = true;
    tdm_reactor_set_timer(&slot->timer, tdm_clock_ns() + DEATH_NS);
    tdm_fds_close(&slot->lifeline);
    if (slot->orphan)
        drop_orphan(slot);
    else
        tdm_guards_signal(&slot->child, SIGKILL);
}

/* Asks first, where that is wanted and somebody is there to do it; the timer brings the kill. */
static void send_end(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    bool gently = slot->gently && !slot->orphan && slot->state == TDM_SLOT_DYING;
    tdm_slot_unlock(slot);
    if (!gently || slot->kill_sent) {
        send_kill(slot);
    } else if (!slot->asked) {
        slot->asked = true;
        tdm_guards_signal(&slot->child, SIGTERM);
        tdm_reactor_set_timer(&slot->timer, tdm_clock_ns() + (uint64_t)slot->lane->options->kill_grace_ms * 1000000u);
    }
}

static void set_dying(struct tdm_slot *slot, const char *step)
{
    const struct tdm_entry *oldest;
    tdm_slot_lock(slot);
    if (slot->state != TDM_SLOT_EMPTY && slot->state != TDM_SLOT_DYING) tdm_slot_set_state(slot, TDM_SLOT_DYING);
    if (step == tdm_slot_broken) slot->deaf = true;
    if (step && (!(oldest = tdm_slot_oldest(slot)) || oldest->decided == 0)) slot->step = step;
    tdm_slot_unlock(slot);
    send_kill(slot);
}

void tdm_slot_kill(struct tdm_slot *slot) { set_dying(slot, NULL); }

/* With the lock held: the input cannot be read to its end (a mapped file that has become shorter), so the worker will never have it.  It
 * has nothing else in hand. */
static void fail_input(struct tdm_slot *slot, int error)
{
    struct tdm_entry *entry = tdm_slot_oldest(slot);
    if (entry && entry->decided == 0) {
        tdm_slot_move(slot, entry, TDM_CLAIMED, TDM_KILLING);
        entry->decided = TANDEM_NOT_STARTED;
        slot->input_error = error;
        slot->step = "input";
    }
    tdm_slot_set_state(slot, TDM_SLOT_DYING);
}

/* What another thread has left to do here: the rest of a frame, a kill, a slot that has no task after all. */
static void attend(struct tdm_job *job)
{
    struct tdm_slot *slot = container_of(job, struct tdm_slot, attend);
    if (!slot->in_use) return;
    tdm_slot_lock(slot);
    bool dying = slot->state == TDM_SLOT_DYING;
    int left = dying || slot->requests[1] < 0 ? 0 : tdm_outbox_push(&slot->outbox, slot->requests[1]);
    if (left != 0 && left != -EAGAIN) {
        fail_input(slot, -left);
        dying = true;
    }
    bool freed = slot->freed && slot->state == TDM_SLOT_READY && slot->in_hand == 0;
    if (slot->orphan && slot->in_hand == 0 && !dying) {
        tdm_slot_set_state(slot, TDM_SLOT_DYING);
        dying = true;
    }
    slot->freed = false;
    tdm_slot_unlock(slot);
    if (slot->requests[1] >= 0) tdm_reactor_watch(&slot->request_source, left == -EAGAIN ? TDM_POLL_OUT : 0);
    if (dying) send_end(slot);
    if (freed) tdm_process_lane_free_slot(slot->lane, slot);
}

void tdm_slot_requests_ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    attend(&container_of(source, struct tdm_slot, request_source)->attend);
}

/* ---- replies ---- */

/* With the lock held: is this the reply to the oldest task, from a worker that had claimed it and read all of its input?  (While the
 * input is still being written its memory must stay, so the task may not end.) */
static bool answers(struct tdm_slot *slot, const struct tdm_entry *oldest, const struct tdm_frame *frame)
{
    return oldest && frame->sequence == oldest->sequence && frame->entry == tdm_slot_index(slot, oldest) &&
           tdm_outbox_empty(&slot->outbox) && (tdm_slot_is(slot, oldest, TDM_CLAIMED) || tdm_slot_is(slot, oldest, TDM_FINISHED));
}

static struct tdm_outcome outcome_of(struct tdm_slot *slot, struct tdm_facts *facts)
{
    const struct tdm_frame *frame = &slot->inbox.frame;
    struct tdm_outcome outcome = {.code = frame->code};
    if (frame->kind == TDM_FRAME_REFUSED) {
        outcome.status = TANDEM_NOT_STARTED;
        outcome.step = "input";
    } else if (frame->kind == TDM_FRAME_OVERSIZED) {
        outcome.status = TANDEM_OVER_LIMIT;
        facts->limit = "output";
    } else if (slot->inbox.out_of_memory) {
        outcome.status = TANDEM_FAILED;
        outcome.code = ENOMEM;
        outcome.step = "reply";
    } else {
        outcome.status = frame->code == 0 ? TANDEM_OK : TANDEM_FAILED;
        outcome.output = slot->inbox.payload;
        outcome.output_size = frame->payload;
    }
    return outcome;
}

static void finish(struct tdm_slot *slot, struct tdm_task *task, struct tdm_outcome *outcome, struct tdm_facts *facts)
{
    char tail[TDM_ERROR_TAIL];
    if (outcome->status != TANDEM_OK && slot->errors.bytes) {
        facts->error_output_size = tdm_error_tail_take(&slot->errors, tail);
        facts->error_output = tail;
    }
    outcome->facts = facts;
    tdm_task_finish(task, outcome, NULL);
}

/* The worker gets its next task before this one's end is told: it works while others wake up. */
static void take_reply(struct tdm_slot *slot)
{
    struct tdm_facts facts = {0};
    tdm_slot_lock(slot);
    struct tdm_entry *oldest = tdm_slot_oldest(slot);
    bool dropped = oldest && oldest->decided != 0, right = !dropped && answers(slot, oldest, &slot->inbox.frame);
    bool ready = slot->state == TDM_SLOT_READY;
    struct tdm_task *task = oldest ? oldest->task : NULL;
    uint64_t started_ns = oldest ? oldest->begun_ns : 0;
    if (right) {
        bool timed = slot->deadline_ns != TDM_FOREVER && slot->state != TDM_SLOT_DYING;
        struct tdm_use use = slot->control->use[tdm_slot_index(slot, oldest)];
        facts = (struct tdm_facts){.user_ns = use.user_ns, .system_ns = use.system_ns, .peak_memory = use.peak_memory};
        if (timed) tdm_reactor_clear_timer(&slot->timer);
        tdm_slot_drop(slot, oldest);
    }
    tdm_slot_unlock(slot);
    if (!right) {
        free(slot->inbox.payload);
        slot->deaf = true;
        if (!dropped) set_dying(slot, tdm_slot_broken);
        return;
    }
    slot->has_answered = true;
    tdm_report_count_run((tandem_report *)(uintptr_t)tdm_task_public(task)->report);
    struct tdm_outcome outcome = outcome_of(slot, &facts);
    outcome.started_ns = started_ns;
    if (ready) tdm_process_lane_free_slot(slot->lane, slot);
    if (slot->orphan) tdm_reactor_post(&slot->attend); /* without a task it has to go */
    finish(slot, task, &outcome, &facts);
}

/* One that is being killed may say honestly, but too late, that it has started. */
static void set_broken_unless_dying(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    bool dying = slot->state == TDM_SLOT_DYING;
    tdm_slot_unlock(slot);
    slot->deaf = true;
    if (!dying) set_dying(slot, tdm_slot_broken);
}

/* Its own word and the zygote's come by different ways, in any order; only with both it is known by its pid. */
static void take_ready(struct tdm_slot *slot)
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

static void take_frame(struct tdm_slot *slot)
{
    switch (slot->inbox.frame.kind) {
    case TDM_FRAME_READY: take_ready(slot); break;
    case TDM_FRAME_FAILED: take_failed(slot); break;
    case TDM_FRAME_TIRED: take_tired(slot); break;
    default: take_reply(slot); break;
    }
    slot->inbox.payload = NULL;
}

/* Reads what one reply in hand can bring.  Another look at an empty pipe would cost as much as the reply itself.  0, or -EAGAIN, -EPIPE or
 * what is wrong. */
static int read_reply(struct tdm_slot *slot)
{
    int result;
    if (slot->deaf) return -EPROTO;
    do {
        result = tdm_inbox_pull(&slot->inbox, slot->replies);
        tdm_fault(TDM_FAULT_host_reply_read);
        if (result == 1) take_frame(slot);
    } while (result == 1 && !slot->deaf && tdm_inbox_has_more(&slot->inbox));
    return result == 1 ? 0 : result;
}

/* What is there now; not without end, lest somebody who writes on and on hold up the reactor. */
#define REPLIES_MOST 64
static void read_replies(struct tdm_slot *slot)
{
    for (int i = 0; i < REPLIES_MOST && read_reply(slot) == 0; i++) {
    }
}

/* Nothing that it says matters, but its end shows only here. */
static int read_nothing(struct tdm_slot *slot)
{
    char bytes[4096];
    ssize_t got = tdm_fds_read(slot->replies, bytes, sizeof bytes);
    return got == 0 ? -EPIPE : got > 0 ? 0 : (int)got;
}

void tdm_slot_replies_ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    struct tdm_slot *slot = container_of(source, struct tdm_slot, reply_source);
    bool was_deaf = slot->deaf;
    int result = was_deaf && slot->orphan ? read_nothing(slot) : read_reply(slot);
    if (result == 0 || result == -EAGAIN) return;
    tdm_reactor_watch(&slot->reply_source, 0);
    if (result != -EPIPE)
        set_dying(slot, was_deaf ? NULL : tdm_slot_broken);
    else if (slot->orphan)
        bury(slot, &(struct tdm_death){.known = false});
    /* else its end is told by its guard, or it has only closed this pipe and still runs */
}

/* ---- the end of a worker ---- */

static void close_all(struct tdm_slot *slot)
{
    tdm_reactor_clear_timer(&slot->timer);
    tdm_guards_forget(&slot->child);
    if (slot->replies >= 0) tdm_reactor_watch(&slot->reply_source, 0);
    if (slot->requests[1] >= 0) tdm_reactor_watch(&slot->request_source, 0);
    tdm_fds_close(&slot->requests[0]);
    tdm_fds_close(&slot->requests[1]);
    tdm_fds_close(&slot->replies);
    tdm_fds_close(&slot->lifeline);
    tdm_error_tail_close(&slot->errors);
    if (slot->control) munmap(slot->control, TDM_CONTROL_SIZE);
    slot->control = NULL;
    slot->outbox = (struct tdm_outbox){0};
    free(slot->setup);
    slot->setup = NULL;
    if (slot->orphan) tdm_adopted_look();
    tdm_inbox_clear(&slot->inbox);
}

/* A task that the dead worker had begun, or that has been the end of too many.  One that may run twice does. */
static void judge_one(struct tdm_slot *slot, const struct tdm_entry *entry, const struct tdm_death *death,
                      const struct tdm_testament *left, const char *step, int input_error)
{
    tandem_task *task = tdm_task_public(entry->task);
    tandem_report *report = (tandem_report *)(uintptr_t)task->report;
    struct tdm_facts facts = {0};
    struct tdm_case judged = {.death = death,
                              .left = left,
                              .limits = task->limits ? task->limits : &slot->lane->options->limits,
                              .decided = entry->decided,
                              .step = step};
    struct tdm_outcome outcome = tdm_verdict(&judged, &facts);
    if (entry->decided == TANDEM_NOT_STARTED) outcome.code = input_error;
    outcome.started_ns = entry->begun_ns;
    if (entry->decided != TANDEM_NOT_STARTED) tdm_report_count_run(report);
    if (outcome.status == TANDEM_CRASHED && task->flags & TANDEM_RETRY && !entry->task->retried) {
        entry->task->retried = true;
        tdm_process_lane_put_back(slot->lane, entry->task);
    } else {
        finish(slot, entry->task, &outcome, &facts);
    }
}

/* What it had in hand when it died, in order: not begun, then it goes back to the queue; else it is judged.  Had it begun something? */
static bool judge(struct tdm_slot *slot, const struct tdm_death *death, bool retired)
{
    struct tdm_entry begun[TDM_IN_HAND];
    struct tdm_node back;
    size_t count = 0;
    struct tdm_testament left = {0};
    bool is_head = true;
    tdm_list_init(&back);
    tdm_slot_lock(slot);
    const char *step = slot->step;
    int input_error = slot->input_error;
    if (slot->control) {
        memcpy(&left.words, &slot->control->last_words, sizeof left.words);
        left.memory_most = slot->control->memory_most;
    }
    for (struct tdm_entry *entry; (entry = tdm_slot_oldest(slot)) != NULL; is_head = false) {
        bool waits = entry->decided == 0 && tdm_slot_move(slot, entry, TDM_OFFERED, TDM_REVOKED); /* one given up may still live */
        if (waits && is_head && !retired && ++entry->task->deaths == TDM_DEATHS_MOST) waits = false;
        if (waits)
            tdm_list_push_front(&back, &entry->task->link);
        else
            begun[count++] = *entry;
        *entry = (struct tdm_entry){0};
        slot->in_hand--;
    }
    slot->deadline_ns = TDM_FOREVER;
    tdm_slot_unlock(slot);
    for (struct tdm_node *node; (node = tdm_list_pop_front(&back)) != NULL;) /* the newest first: each goes to the front */
        tdm_process_lane_put_back(slot->lane, container_of(node, struct tdm_task, link));
    for (size_t i = 0; i < count; i++) judge_one(slot, &begun[i], death, &left, step, input_error);
    return count > 0;
}

/* First no more offers; then what it replied before it died; then the verdict; then the grave. */
static void bury(struct tdm_slot *slot, const struct tdm_death *death)
{
    tdm_slot_lock(slot);
    enum tdm_slot_state was = slot->state;
    tdm_slot_set_state(slot, TDM_SLOT_LEAVING);
    tdm_slot_unlock(slot);
    tdm_process_lane_not_idle(slot->lane, slot);
    if (slot->replies >= 0) read_replies(slot);
    bool left_by_itself = death->known && death->signal == 0 && death->code == TDM_EXIT_LEFT;
    bool begun = judge(slot, death, left_by_itself && slot->has_answered);
    bool useless = !slot->was_offered || (left_by_itself && !slot->has_answered && !begun); /* nothing has come of it */
    close_all(slot);

    bool unasked = was == TDM_SLOT_STARTING || was == TDM_SLOT_READY;
    struct tdm_burial burial = {.slot = slot,
                                .failed_start = useless && was != TDM_SLOT_LEAVING && slot->start_error != ESTALE,
                                .crashed = unasked && slot->start_error != ESTALE && (begun || !left_by_itself),
                                .lost_task = begun,
                                .is_final = slot->cannot_start,
                                .recycled =
                                    slot->recycled || (was == TDM_SLOT_READY && slot->was_offered && !begun && left_by_itself),
                                .error = slot->start_error != 0 ? slot->start_error : ECHILD};
    tdm_slot_lock(slot);
    burial.step = slot->step ? slot->step : slot->lane->options->on_worker_start ? "on_worker_start" : "worker";
    tdm_slot_set_state(slot, TDM_SLOT_EMPTY);
    slot->step = NULL;
    tdm_slot_unlock(slot);
    slot->in_use = false;
    tdm_process_lane_buried(slot->lane, &burial);
}

void tdm_slot_start_failed(struct tdm_slot *slot, const char *step, int error)
{
    tdm_slot_lock(slot);
    slot->step = step;
    tdm_slot_unlock(slot);
    slot->start_error = error;
    slot->cannot_start = error == ECHILD || error == EPERM;
    bury(slot, &(struct tdm_death){.known = true});
}

/* ---- what the guards tell ---- */

static void spawned(struct tdm_child *child, int error)
{
    struct tdm_slot *slot = container_of(child, struct tdm_slot, child);
    if (error != 0)
        tdm_slot_start_failed(slot, error == ECHILD || error == ESTALE ? "zygote" : "fork", error);
    else if (slot->said_ready)
        take_ready(slot);
}

static void ended(struct tdm_child *child, const struct tdm_guard_notice *notice)
{
    struct tdm_slot *slot = container_of(child, struct tdm_slot, child);
    bury(slot, &(struct tdm_death){.known = true,
                                   .signal = notice->signal,
                                   .code = notice->code,
                                   .user_ns = notice->user_ns,
                                   .system_ns = notice->system_ns,
                                   .peak_memory = notice->peak_memory});
}

/* It finishes what it holds, and gets no more. */
static void orphaned(struct tdm_child *child)
{
    struct tdm_slot *slot = container_of(child, struct tdm_slot, child);
    slot->orphan = true;
    tdm_process_lane_not_idle(slot->lane, slot);
    tdm_slot_lock(slot);
    bool busy = slot->in_hand > 0, dying = slot->state == TDM_SLOT_DYING;
    if (slot->state == TDM_SLOT_READY) tdm_slot_set_state(slot, TDM_SLOT_LEAVING);
    tdm_slot_unlock(slot);
    if (dying) slot->kill_sent = false; /* once more, without the guard's help */
    if (!busy || dying) set_dying(slot, NULL);
    if (slot->reply_source.wants == 0) bury(slot, &(struct tdm_death){.known = false});
}

static void bared(struct tdm_child *child)
{
    struct tdm_slot *slot = container_of(child, struct tdm_slot, child);
    tdm_process_lane_retire(slot->lane, slot);
}

/* ---- ending ---- */

void tdm_slot_leave(struct tdm_slot *slot)
{
    struct tdm_frame frame = tdm_frame_make(TDM_FRAME_LEAVE, 0);
    tdm_slot_lock(slot);
    bool can = slot->state == TDM_SLOT_READY && slot->in_hand == 0 && tdm_outbox_empty(&slot->outbox);
    if (can) {
        tdm_slot_set_state(slot, TDM_SLOT_LEAVING);
        tdm_outbox_put(&slot->outbox, &frame, NULL);
    }
    tdm_slot_unlock(slot);
    if (!can) return;
    tdm_reactor_set_timer(&slot->timer, tdm_clock_deadline((int64_t)slot->lane->options->start_timeout_ms));
    attend(&slot->attend);
}

/* Its tasks are stopped one by one: what the worker has not begun is ended here, what it has begun ends with it. */
void tdm_slot_end(struct tdm_slot *slot)
{
    for (;;) {
        tdm_slot_lock(slot);
        enum tdm_slot_state state = slot->state;
        struct tdm_entry *newest = tdm_slot_newest(slot);
        struct tdm_task *task = newest && newest->decided == 0 ? newest->task : NULL;
        bool busy = newest != NULL;
        tdm_slot_unlock(slot);
        if (task && tdm_slot_stop(slot, task, TANDEM_CANCELLED)) {
            tdm_lane_end_cancelled(task);
            continue;
        }
        if (busy) return;
        if (state == TDM_SLOT_STARTING)
            tdm_slot_kill(slot);
        else if (state == TDM_SLOT_READY)
            tdm_slot_leave(slot);
        else if (slot->orphan)
            tdm_slot_kill(slot);
        return;
    }
}

/* ---- time ---- */

/* The kill has had no effect for seconds: the process hangs in the kernel, or the guard is stopped.  Nothing waits for it any longer;
 * the lifeline will end it when it can. */
static void give_up(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    if (slot->in_hand > 0) slot->step = "its process has not died yet";
    tdm_slot_unlock(slot);
    bury(slot, &(struct tdm_death){.known = false});
}

static void time_over(struct tdm_timer *timer)
{
    struct tdm_slot *slot = container_of(timer, struct tdm_slot, timer);
    tdm_slot_lock(slot);
    enum tdm_slot_state state = slot->state;
    const struct tdm_entry *oldest = tdm_slot_oldest(slot);
    struct tdm_task *task = oldest ? oldest->task : NULL;
    bool late = task && slot->deadline_ns <= tdm_clock_ns();
    tdm_slot_unlock(slot);
    switch (state) {
    case TDM_SLOT_STARTING:
        slot->start_error = ETIMEDOUT;
        set_dying(slot, "on_worker_start");
        break;
    case TDM_SLOT_READY:
    case TDM_SLOT_LEAVING:            /* with a task: an orphan */
        if (late) read_replies(slot); /* it may be there already */
        if (late) tdm_slot_stop(slot, task, TANDEM_TIMED_OUT);
        if (!task && state == TDM_SLOT_LEAVING) tdm_slot_kill(slot);
        break;
    case TDM_SLOT_DYING: slot->kill_sent ? give_up(slot) : send_kill(slot); break;
    case TDM_SLOT_EMPTY: break;
    }
}

void tdm_slot_open(struct tdm_slot *slot, struct tdm_process_lane *lane)
{
    slot->lane = lane;
    slot->requests[0] = slot->requests[1] = slot->replies = slot->lifeline = -1;
    slot->deadline_ns = TDM_FOREVER;
    tdm_list_init(&slot->idle);
    slot->child.spawned = spawned;
    slot->child.ended = ended;
    slot->child.orphaned = orphaned;
    slot->child.bared = bared;
    slot->timer.due = time_over;
    slot->attend.run = attend;
}
