/* slot_reactor.c - one worker process while it works: kills, what the guards tell, its end.  What only the reactor's thread does. */
#define _POSIX_C_SOURCE 200809L
#include "base/fault.h"
#include "base/fds.h"
#include "base/platform.h"
#include "child/process_worker.h"
#include "guards/adopted.h"
#include "process/belt_book.h"
#include "process/reading.h"
#include "process/replies.h"
#include "process/shared_memory.h"
#include "process/slot_inside.h"
#include "process/slot_start.h"
#include "process/slot_talk.h"
#include "process/verdict.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A kill that shows no end after this: the process hangs in the kernel.  Its task ends all the same. */
#define DEATH_NS ((uint64_t)5 * 1000000000u)

/* ---- killing, and what others have left to do ---- */

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

void tdm_slot_set_dying(struct tdm_slot *slot, const char *step)
{
    const struct tdm_entry *oldest;
    tdm_slot_lock(slot);
    if (slot->state != TDM_SLOT_EMPTY && slot->state != TDM_SLOT_DYING) tdm_slot_set_state(slot, TDM_SLOT_DYING);
    if (step && (!(oldest = tdm_slot_oldest(slot)) || oldest->decided == 0)) slot->step = step;
    tdm_slot_unlock(slot);
    send_kill(slot);
}

void tdm_slot_kill(struct tdm_slot *slot) { tdm_slot_set_dying(slot, NULL); }

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

static void set_room(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    slot->parcels_full = false;
    tdm_slot_unlock(slot);
}

/* What another thread has left to do here: the rest of a frame, a kill, a slot that has no task after all. */
void tdm_slot_attend(struct tdm_job *job)
{
    struct tdm_slot *slot = container_of(job, struct tdm_slot, attend);
    if (!slot->in_use) return;
    tdm_reading_attend(slot);
    if (!slot->in_use) return;
    tdm_worker_output_attend(slot);
    tdm_slot_lock(slot);
    bool dying = slot->state == TDM_SLOT_DYING;
    bool or_bell = slot->reader != TDM_THREAD_READS; /* who hands over the rest of an input, too */
    int left = dying || slot->requests[1] < 0 ? 0 : tdm_slot_push(slot, or_bell);
    bool broken = left == -EPROTO;
    if (left != 0 && left != -EAGAIN && !broken) {
        fail_input(slot, -left);
        dying = true;
    }
    bool written = tdm_outbox_empty(&slot->outbox),
         freed = slot->freed && written && slot->state == TDM_SLOT_READY && slot->in_hand == 0;
    if (slot->orphan && slot->in_hand == 0 && !dying) {
        tdm_slot_set_state(slot, TDM_SLOT_DYING);
        dying = true;
    }
    if (written) slot->freed = false;
    bool full = slot->parcels_full && !dying;
    tdm_slot_unlock(slot);
    if (slot->parcels >= 0 && tdm_reactor_watch(&slot->parcel_source, full ? TDM_POLL_OUT : 0) != 0) set_room(slot);
    if (slot->requests[1] >= 0 && !tdm_way_has_ring(&slot->out)) /* of a ring, the worker rings the bell */
        tdm_reactor_watch(&slot->request_source, left == -EAGAIN ? TDM_POLL_OUT : 0);
    if (broken) tdm_slot_set_dying(slot, tdm_slot_broken);
    if (dying) send_end(slot);
    if (freed) tdm_process_lane_free_slot(slot->lane, slot);
}

void tdm_slot_requests_ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    tdm_slot_attend(&container_of(source, struct tdm_slot, request_source)->attend);
}

void tdm_slot_parcels_ready(struct tdm_source *source, unsigned events)
{
    struct tdm_slot *slot = container_of(source, struct tdm_slot, parcel_source);
    (void)events;
    set_room(slot);
    tdm_slot_attend(&slot->attend);
}

/* ---- the end of a worker ---- */

static void close_all(struct tdm_slot *slot)
{
    tdm_reactor_clear_timer(&slot->timer);
    tdm_guards_forget(&slot->child);
    if (slot->replies >= 0) tdm_reactor_watch(&slot->reply_source, 0);
    if (slot->requests[1] >= 0) tdm_reactor_watch(&slot->request_source, 0);
    if (slot->parcels >= 0) tdm_reactor_watch(&slot->parcel_source, 0);
    tdm_fds_close(&slot->parcels);
    tdm_fds_close(&slot->requests[0]);
    tdm_fds_close(&slot->requests[1]);
    tdm_fds_close(&slot->replies);
    tdm_fds_close_bell(slot->call);
    tdm_fds_close(&slot->lifeline);
    tdm_error_tail_close(&slot->errors);
    tdm_worker_output_close(slot);
    if (slot->control) munmap(slot->control, slot->control_size);
    slot->control = NULL;
    tdm_slot_lock(slot);
    slot->outbox = (struct tdm_outbox){0};
    tdm_mail_free(slot->mail);
    tdm_mail_free(slot->data);
    slot->mail = slot->data = NULL;
    if (slot->heard) add_seq(&slot->lane->talkers, (uint32_t)-1); /* [lane-talkers] */
    slot->heard = false;
    slot->out = slot->in = (struct tdm_way){.fd = -1};
    tdm_slot_unlock(slot);
    free(slot->setup);
    slot->setup = NULL;
    if (slot->orphan) tdm_adopted_look();
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
    if (entry->decided != TANDEM_NOT_STARTED) facts.done = left->done, facts.total = left->total;
    if (entry->decided == TANDEM_NOT_STARTED) outcome.code = input_error;
    outcome.started_ns = entry->begun_ns;
    if (entry->decided != TANDEM_NOT_STARTED) tdm_report_count_run(report);
    if (outcome.status == TANDEM_CRASHED && task->flags & TANDEM_RETRY && !entry->task->retried) {
        entry->task->retried = true;
        tdm_process_lane_put_back(slot->lane, entry->task);
    } else {
        tdm_replies_finish(slot, entry->task, &outcome, &facts, NULL);
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
        bool revoked =
            entry->decided == 0 && tdm_slot_move(slot, entry, TDM_OFFERED, TDM_REVOKED); /* one given up may still live */
        tdm_slot_begin_report(slot, entry);
        bool waits = revoked;
        if (waits && is_head && !retired && ++entry->task->deaths == TDM_DEATHS_MOST) waits = false;
        if (waits) {
            tdm_report_take_back(tdm_task_public(entry->task));
            tdm_slot_talk_take_back(slot, entry->task, entry->sequence);
            tdm_list_push_front(&back, &entry->task->link);
        } else {
            tdm_slot_talk_died(slot, entry->task, entry->sequence);
            if (count == 0 && slot->control && !revoked) tdm_slot_progress(slot, entry, &left.done, &left.total);
            begun[count++] = *entry;
        }
        tdm_slot_free_entry(slot, entry);
    }
    slot->deadline_ns = TDM_FOREVER;
    tdm_slot_unlock(slot);
    for (struct tdm_node *node; (node = tdm_list_pop_front(&back)) != NULL;) /* the newest first: each goes to the front */
        tdm_process_lane_put_back(slot->lane, container_of(node, struct tdm_task, link));
    for (size_t i = 0; i < count; i++) {
        judge_one(slot, &begun[i], death, &left, step, input_error);
        left.done = left.total = 0; /* the first one's */
    }
    return count > 0;
}

/* What it may have been in the middle of, in memory that others share: they can go on before anybody is told how its tasks have ended. */
static void let_others_go_on(const struct tdm_slot *slot)
{
    uint32_t number = tdm_member_number(slot->number);
    if (slot->control) tdm_shared_open_locks(slot->lane->shared, &slot->control->holdings, number);
    tdm_belt_book_bury(slot->lane->shared, number);
}

/* With the right to read.  First no more offers; then what it replied before it died; then the verdict; then the grave. */
static void bury_now(struct tdm_slot *slot, const struct tdm_death *death)
{
    tdm_slot_lock(slot);
    enum tdm_slot_state was = slot->state;
    tdm_slot_set_state(slot, TDM_SLOT_LEAVING);
    tdm_slot_unlock(slot);
    tdm_process_lane_not_idle(slot->lane, slot);
    let_others_go_on(slot);
    if (slot->replies >= 0) tdm_reading_read_all(slot);
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
    tdm_reading_end(slot);
    tdm_process_lane_buried(slot->lane, &burial);
}

/* A thread may be reading its replies; it is told to let go, and then it is done.  The first that was told of its end counts. */
void tdm_slot_bury(struct tdm_slot *slot, const struct tdm_death *death)
{
    if (!slot->is_dead) slot->death = *death;
    slot->is_dead = true;
    if (!tdm_reading_take(slot)) return;
    struct tdm_death told = slot->death;
    slot->is_dead = false;
    bury_now(slot, &told);
}

void tdm_slot_start_failed(struct tdm_slot *slot, const char *step, int error)
{
    tdm_slot_lock(slot);
    slot->step = step;
    tdm_slot_unlock(slot);
    slot->start_error = error;
    slot->cannot_start = error == ECHILD || error == EPERM;
    tdm_slot_bury(slot, &(struct tdm_death){.known = true});
}

/* ---- what the guards tell ---- */

static void spawned(struct tdm_child *child, int error)
{
    struct tdm_slot *slot = container_of(child, struct tdm_slot, child);
    if (error != 0)
        tdm_slot_start_failed(slot, error == ECHILD || error == ESTALE ? "zygote" : "fork", error);
    else if (slot->said_ready)
        tdm_replies_take_ready(slot);
}

static void ended(struct tdm_child *child, const struct tdm_guard_notice *notice)
{
    struct tdm_slot *slot = container_of(child, struct tdm_slot, child);
    tdm_slot_bury(slot, &(struct tdm_death){.known = true,
                                            .signal = notice->signal,
                                            .code = notice->code,
                                            .user_ns = notice->user_ns,
                                            .system_ns = notice->system_ns,
                                            .peak_memory = notice->peak_memory});
}

/* It finishes what it holds, and gets no more. */
static void orphaned(struct tdm_child *child, pid_t pid)
{
    (void)pid;
    struct tdm_slot *slot = container_of(child, struct tdm_slot, child);
    slot->orphan = true;
    tdm_process_lane_not_idle(slot->lane, slot);
    tdm_slot_lock(slot);
    bool busy = slot->in_hand > 0, dying = slot->state == TDM_SLOT_DYING;
    if (slot->state == TDM_SLOT_READY) tdm_slot_set_state(slot, TDM_SLOT_LEAVING);
    tdm_slot_unlock(slot);
    if (dying) slot->kill_sent = false; /* once more, without the guard's help */
    if (!busy || dying) tdm_slot_set_dying(slot, NULL);
    if (slot->reply_source.wants == 0) tdm_slot_bury(slot, &(struct tdm_death){.known = false});
}

static void bared(struct tdm_child *child)
{
    struct tdm_slot *slot = container_of(child, struct tdm_slot, child);
    tdm_process_lane_retire(slot->lane, slot);
}

/* ---- ending ---- */

void tdm_slot_leave(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    bool can = slot->state == TDM_SLOT_READY && slot->in_hand == 0;
    if (can) {
        tdm_slot_set_state(slot, TDM_SLOT_LEAVING);
        slot->leave_due = true;
    }
    tdm_slot_unlock(slot);
    if (!can) return;
    tdm_reactor_set_timer(&slot->timer, tdm_clock_deadline((int64_t)slot->lane->options->start_timeout_ms));
    tdm_slot_attend(&slot->attend);
}

/* Its tasks are stopped one by one: what the worker has not begun is ended here, what it has begun ends with it. */
void tdm_slot_end(struct tdm_slot *slot)
{
    tdm_worker_output_attend(slot);
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
    tdm_slot_bury(slot, &(struct tdm_death){.known = false});
}

/* It may have said in time that it is ready, to a program that was stopped meanwhile, by a debugger for one. */
static void start_is_late(struct tdm_slot *slot)
{
    tdm_reading_now(slot);
    tdm_slot_lock(slot);
    bool starting = slot->state == TDM_SLOT_STARTING;
    tdm_slot_unlock(slot);
    if (!starting) return;
    if (slot->start_error == 0) slot->start_error = ETIMEDOUT;
    tdm_slot_set_dying(slot, "on_worker_start");
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
    case TDM_SLOT_STARTING: start_is_late(slot); break;
    case TDM_SLOT_READY:
    case TDM_SLOT_LEAVING:               /* with a task: an orphan */
        if (late) tdm_reading_now(slot); /* it may be there already */
        if (late) tdm_slot_stop(slot, task, TANDEM_TIMED_OUT);
        if (!task && state == TDM_SLOT_LEAVING) tdm_slot_kill(slot);
        break;
    case TDM_SLOT_DYING: /* not asked yet: the timer was still its task's, and came before the job that was to kill it */
        if (slot->kill_sent)
            give_up(slot);
        else if (slot->asked)
            send_kill(slot);
        else
            send_end(slot);
        break;
    case TDM_SLOT_EMPTY: break;
    }
}

void tdm_slot_open(struct tdm_slot *slot, struct tdm_process_lane *lane)
{
    slot->lane = lane;
    slot->requests[0] = slot->requests[1] = slot->replies = slot->lifeline = slot->parcels = slot->call[0] = slot->call[1] = -1;
    slot->out = slot->in = (struct tdm_way){.fd = -1}; /* a start may fail before there is anything: 0 would be the program's own */
    slot->output.sources[0].fd = slot->output.sources[1].fd = -1;
    slot->deadline_ns = TDM_FOREVER;
    tdm_list_init(&slot->idle);
    slot->child.kind = TDM_SPAWN;
    slot->child.spawned = spawned;
    slot->child.ended = ended;
    slot->child.orphaned = orphaned;
    slot->child.bared = bared;
    slot->timer.due = time_over;
    slot->attend.run = tdm_slot_attend;
    slot->tally.defers = true;
    tdm_list_init(&slot->parked);
}
