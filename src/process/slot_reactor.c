/* slot_reactor.c - one worker process from its start to its grave: what only the reactor's thread does. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "base/fds.h"
#include "process/slot_inside.h"
#include "process/verdict.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Workers that may die with a task before they have begun it, until the task is thought to be the reason. */
#define DEATHS_MOST 3

/* A kill that shows no end after this: the process hangs in the kernel.  Its task ends all the same. */
#define DEATH_NS ((uint64_t)5 * 1000000000u)

static uint64_t in_ms(uint32_t ms) { return tdm_clock_deadline((int64_t)ms); }

/* ---- killing, and what others have left to do ---- */

static void bury(struct tdm_slot *slot, const struct tdm_death *death);

static void close_lifeline(struct tdm_slot *slot) { tdm_fds_close(&slot->lifeline); }

/* With no zygote left nobody may signal the worker by its number; the lifeline and the end of its requests must do. */
static void drop_orphan(struct tdm_slot *slot)
{
    close_lifeline(slot);
    tdm_reactor_watch(&slot->request_source, 0);
    tdm_fds_close(&slot->requests[0]);
    tdm_fds_close(&slot->requests[1]);
}

static void send_kill(struct tdm_slot *slot)
{
    if (slot->kill_sent) return;
    slot->kill_sent = true;
    tdm_reactor_set_timer(&slot->timer, tdm_clock_ns() + DEATH_NS);
    close_lifeline(slot);
    if (slot->orphan)
        drop_orphan(slot);
    else
        tdm_zygote_kill(&slot->child);
}

static void set_dying(struct tdm_slot *slot, const char *step)
{
    tdm_slot_lock(slot);
    if (slot->state != TDM_SLOT_EMPTY) slot->state = TDM_SLOT_DYING;
    if (step && slot->decided == 0) slot->step = step;
    tdm_slot_unlock(slot);
    send_kill(slot);
}

void tdm_slot_kill(struct tdm_slot *slot) { set_dying(slot, NULL); }

/* With the lock held: the input cannot be read to its end (a mapped file that has become shorter), so the worker will never have it. */
static void fail_input(struct tdm_slot *slot, int error)
{
    if (slot->task && slot->decided == 0) {
        tdm_control_move(slot->control, TDM_SLOT_ENTRY, slot->sequence, TDM_CLAIMED, TDM_KILLING);
        slot->decided = TANDEM_NOT_STARTED;
        slot->input_error = error;
        slot->step = "input";
    }
    slot->state = TDM_SLOT_DYING;
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
    bool freed = slot->freed && slot->state == TDM_SLOT_READY && !slot->task;
    if (slot->orphan && !slot->task) slot->state = TDM_SLOT_DYING, dying = true;
    slot->freed = false;
    tdm_slot_unlock(slot);
    if (slot->requests[1] >= 0) tdm_reactor_watch(&slot->request_source, left == -EAGAIN ? TDM_POLL_OUT : 0);
    if (dying) send_kill(slot);
    if (freed) tdm_process_lane_free_slot(slot->lane, slot);
}

static void requests_ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    attend(&container_of(source, struct tdm_slot, request_source)->attend);
}

/* ---- replies ---- */

/* With the lock held: is this the reply to the task in hand, from a worker that had claimed it and read all of its input?  (While the
 * input is still being written its memory must stay, so the task may not end.) */
static bool answers(const struct tdm_slot *slot, const struct tdm_frame *frame)
{
    return slot->task && frame->sequence == slot->sequence && frame->entry == TDM_SLOT_ENTRY && tdm_outbox_empty(&slot->outbox) &&
           (tdm_control_is(slot->control, TDM_SLOT_ENTRY, slot->sequence, TDM_CLAIMED) ||
            tdm_control_is(slot->control, TDM_SLOT_ENTRY, slot->sequence, TDM_FINISHED));
}

static struct tdm_outcome outcome_of(struct tdm_slot *slot, uint64_t started_ns)
{
    const struct tdm_frame *frame = &slot->inbox.frame;
    struct tdm_outcome outcome = {.code = frame->code, .started_ns = started_ns};
    if (frame->kind == TDM_FRAME_REFUSED) {
        outcome.status = TANDEM_NOT_STARTED;
        outcome.step = "input";
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

/* The worker gets its next task before this one's end is told: it works while others wake up. */
static void take_reply(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    struct tdm_task *task = slot->task;
    bool dropped = slot->decided != 0, right = !dropped && answers(slot, &slot->inbox.frame);
    uint64_t started_ns = slot->started_ns;
    bool timed = slot->deadline_ns != TDM_FOREVER && slot->state != TDM_SLOT_DYING;
    bool ready = slot->state == TDM_SLOT_READY;
    if (right) tdm_slot_let_go(slot);
    tdm_slot_unlock(slot);
    if (!right) {
        free(slot->inbox.payload);
        if (!dropped) set_dying(slot, TDM_SLOT_BROKEN);
        return;
    }
    struct tdm_outcome outcome = outcome_of(slot, started_ns);
    if (timed) tdm_reactor_clear_timer(&slot->timer);
    if (ready) tdm_process_lane_free_slot(slot->lane, slot);
    if (slot->orphan) set_dying(slot, NULL);
    tdm_task_finish(task, &outcome, NULL);
}

/* One that is being killed may say honestly, but too late, that it has started. */
static void set_broken_unless_dying(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    bool dying = slot->state == TDM_SLOT_DYING;
    tdm_slot_unlock(slot);
    if (!dying) set_dying(slot, TDM_SLOT_BROKEN);
}

/* Its own word and the zygote's come by different ways, in any order; only with both it is known by its pid. */
static void take_ready(struct tdm_slot *slot)
{
    slot->said_ready = true;
    if (slot->child.pid == 0) return;
    tdm_slot_lock(slot);
    bool starting = slot->state == TDM_SLOT_STARTING;
    if (starting) slot->state = TDM_SLOT_READY;
    slot->pid = slot->child.pid;
    tdm_slot_unlock(slot);
    if (!starting) {
        set_broken_unless_dying(slot);
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
    slot->start_error = slot->inbox.frame.code;
    tdm_slot_lock(slot);
    slot->step = "on_worker_start";
    tdm_slot_unlock(slot);
}

static void take_frame(struct tdm_slot *slot)
{
    switch (slot->inbox.frame.kind) {
    case TDM_FRAME_READY: take_ready(slot); break;
    case TDM_FRAME_FAILED: take_failed(slot); break;
    default: take_reply(slot); break;
    }
    slot->inbox.payload = NULL;
}

/* Reads what one reply in hand can bring: a worker sends no more before it gets more.  Another look at an empty pipe would cost as
 * much as the reply itself.  0, or -EAGAIN, -EPIPE or what is wrong. */
static int read_reply(struct tdm_slot *slot)
{
    int result;
    do {
        result = tdm_inbox_pull(&slot->inbox, slot->replies);
        if (result == 1) take_frame(slot);
    } while (result == 1 && tdm_inbox_has_more(&slot->inbox));
    return result == 1 ? 0 : result;
}

/* What is there now; not without end, lest somebody who writes on and on hold up the reactor. */
#define REPLIES_MOST 64
static void read_replies(struct tdm_slot *slot)
{
    for (int i = 0; i < REPLIES_MOST && read_reply(slot) == 0; i++) {
    }
}

static void replies_ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    struct tdm_slot *slot = container_of(source, struct tdm_slot, reply_source);
    int result = read_reply(slot);
    if (result == 0 || result == -EAGAIN) return;
    tdm_reactor_watch(&slot->reply_source, 0);
    if (result != -EPIPE)
        set_dying(slot, TDM_SLOT_BROKEN);
    else if (slot->orphan)
        bury(slot, &(struct tdm_death){.known = false});
    /* else its ended comes from the zygote, or it has only closed this pipe and still runs */
}

/* ---- the end of a worker ---- */

static void close_all(struct tdm_slot *slot)
{
    tdm_reactor_clear_timer(&slot->timer);
    tdm_zygote_forget(&slot->child);
    if (slot->replies >= 0) tdm_reactor_watch(&slot->reply_source, 0);
    if (slot->requests[1] >= 0) tdm_reactor_watch(&slot->request_source, 0);
    tdm_fds_close(&slot->requests[0]);
    tdm_fds_close(&slot->requests[1]);
    tdm_fds_close(&slot->replies);
    tdm_fds_close(&slot->lifeline);
    if (slot->control) munmap(slot->control, TDM_CONTROL_SIZE);
    slot->control = NULL;
    tdm_inbox_clear(&slot->inbox);
}

/* What it had in hand when it died: not begun, then it goes back to the queue; else it ends.  Had it begun something? */
static bool judge(struct tdm_slot *slot, const struct tdm_death *death)
{
    tdm_slot_lock(slot);
    struct tdm_task *task = slot->task;
    int decided = slot->decided;
    const char *step = slot->step;
    int input_error = slot->input_error;
    uint64_t started_ns = slot->started_ns;
    bool begun = task && (decided != 0 || !tdm_control_is(slot->control, TDM_SLOT_ENTRY, slot->sequence, TDM_OFFERED) ||
                          ++task->deaths == DEATHS_MOST);
    tdm_slot_let_go(slot);
    tdm_slot_unlock(slot);
    if (task && !begun) tdm_process_lane_put_back(slot->lane, task);
    if (!begun) return false;
    struct tdm_outcome outcome = tdm_verdict(death, decided, step);
    if (decided == TANDEM_NOT_STARTED) outcome.code = input_error;
    outcome.started_ns = started_ns;
    tdm_task_finish(task, &outcome, NULL);
    return true;
}

/* First no more offers; then what it replied before it died; then the verdict; then the grave. */
static void bury(struct tdm_slot *slot, const struct tdm_death *death)
{
    tdm_slot_lock(slot);
    enum tdm_slot_state was = slot->state;
    slot->state = TDM_SLOT_LEAVING;
    tdm_slot_unlock(slot);
    tdm_process_lane_not_idle(slot->lane, slot);
    if (slot->replies >= 0) read_replies(slot);
    bool begun = judge(slot, death);
    close_all(slot);

    bool by_itself = was == TDM_SLOT_STARTING || was == TDM_SLOT_READY;
    struct tdm_burial burial = {.was_starting = !slot->was_ready,
                                .failed_start = !slot->was_offered && was != TDM_SLOT_LEAVING,
                                .crashed = by_itself && (begun || !death->known || death->signal != 0 || death->code != 0),
                                .lost_task = begun,
                                .was_swept = slot->swept,
                                .error = slot->start_error != 0 ? slot->start_error : ECHILD};
    tdm_slot_lock(slot);
    burial.step = slot->step ? slot->step : slot->lane->options->on_worker_start ? "on_worker_start" : "worker";
    slot->state = TDM_SLOT_EMPTY;
    slot->step = NULL;
    tdm_slot_unlock(slot);
    slot->in_use = false;
    tdm_process_lane_buried(slot->lane, &burial);
}

static void ended(struct tdm_child *child, int signal, int code)
{
    struct tdm_slot *slot = container_of(child, struct tdm_slot, child);
    bury(slot, &(struct tdm_death){.known = true, .signal = signal, .code = code});
}

/* It finishes what it holds, and gets no more. */
static void orphaned(struct tdm_child *child)
{
    struct tdm_slot *slot = container_of(child, struct tdm_slot, child);
    slot->orphan = true;
    tdm_slot_lock(slot);
    bool busy = slot->task != NULL;
    if (slot->state == TDM_SLOT_READY) slot->state = TDM_SLOT_LEAVING;
    tdm_slot_unlock(slot);
    if (!busy) set_dying(slot, NULL);
    if (slot->reply_source.wants == 0) bury(slot, &(struct tdm_death){.known = false});
}

/* ---- starting ---- */

static void start_failed(struct tdm_slot *slot, const char *step, int error)
{
    tdm_slot_lock(slot);
    slot->step = step;
    tdm_slot_unlock(slot);
    slot->start_error = error;
    bury(slot, &(struct tdm_death){.known = true});
}

static void spawned(struct tdm_child *child, int error)
{
    struct tdm_slot *slot = container_of(child, struct tdm_slot, child);
    if (error != 0)
        start_failed(slot, error == ECHILD ? "zygote" : "fork", error);
    else if (slot->said_ready)
        take_ready(slot);
}

static int open_pipes(struct tdm_slot *slot)
{
    int replies[2], lifeline[2];
    int error = tdm_fds_pipe(slot->requests);
    if (error != 0) return error;
    error = tdm_fds_pipe(replies);
    slot->replies = replies[0];
    slot->child.fds[TDM_WORKER_REPLIES] = replies[1];
    if (error != 0) return error;
    error = tdm_fds_pipe(lifeline);
    slot->lifeline = lifeline[1];
    slot->child.fds[TDM_WORKER_LIFELINE] = lifeline[0];
    if (error == 0) error = tdm_fds_nonblocking(slot->requests[1]);
    if (error == 0) error = tdm_fds_nonblocking(slot->replies);
    return error;
}

/* The worker gets a descriptor of its own for its end of the requests: the host's is closed when it is sent. */
static int open_rest(struct tdm_slot *slot)
{
    int request = tdm_fds_duplicate(slot->requests[0]);
    if (request < 0) return request;
    slot->child.fds[TDM_WORKER_REQUESTS] = request;
    int memory = tdm_fds_memory(TDM_CONTROL_SIZE);
    if (memory < 0) return memory;
    slot->child.fds[TDM_WORKER_CONTROL] = memory;
    void *page = mmap(NULL, TDM_CONTROL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (page == MAP_FAILED) return -errno;
    slot->control = page;
    return 0;
}

static int watch_replies(struct tdm_slot *slot)
{
    slot->reply_source = (struct tdm_source){.fd = slot->replies, .ready = replies_ready};
    slot->request_source = (struct tdm_source){.fd = slot->requests[1], .ready = requests_ready};
    return tdm_reactor_watch(&slot->reply_source, TDM_POLL_IN);
}

void tdm_slot_start(struct tdm_slot *slot, uint32_t number)
{
    slot->in_use = true;
    slot->start_error = 0;
    slot->said_ready = slot->was_ready = slot->was_offered = slot->orphan = slot->kill_sent = slot->swept = false;
    slot->requests[0] = slot->requests[1] = slot->replies = slot->lifeline = -1;
    slot->reply_source.wants = slot->request_source.wants = 0;
    for (int i = 0; i < TDM_WORKER_FDS; i++) slot->child.fds[i] = -1;
    tdm_slot_lock(slot);
    slot->state = TDM_SLOT_STARTING;
    slot->number = number;
    slot->freed = false;
    slot->step = NULL;
    tdm_slot_unlock(slot);
    int error = open_pipes(slot);
    if (error == 0) error = open_rest(slot);
    if (error == 0) error = watch_replies(slot);
    if (error != 0) {
        for (int i = 0; i < TDM_WORKER_FDS; i++) tdm_fds_close(&slot->child.fds[i]);
        start_failed(slot, "descriptors", -error);
        return;
    }
    size_t size;
    const void *setup = tdm_process_lane_setup(slot->lane, &size);
    struct tdm_frame frame = tdm_frame_make(TDM_FRAME_SETUP, size);
    tdm_slot_lock(slot);
    tdm_outbox_put(&slot->outbox, &frame, setup);
    tdm_slot_unlock(slot);
    tdm_reactor_set_timer(&slot->timer, in_ms(slot->lane->options->start_timeout_ms));
    tdm_reactor_post(&slot->attend);
    tdm_zygote_spawn(&slot->child);
}

/* ---- ending ---- */

void tdm_slot_leave(struct tdm_slot *slot)
{
    struct tdm_frame frame = tdm_frame_make(TDM_FRAME_LEAVE, 0);
    tdm_slot_lock(slot);
    bool can = slot->state == TDM_SLOT_READY && !slot->task && tdm_outbox_empty(&slot->outbox);
    if (can) {
        slot->state = TDM_SLOT_LEAVING;
        tdm_outbox_put(&slot->outbox, &frame, NULL);
    }
    tdm_slot_unlock(slot);
    if (!can) return;
    tdm_reactor_set_timer(&slot->timer, in_ms(slot->lane->options->start_timeout_ms));
    attend(&slot->attend);
}

void tdm_slot_end(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    enum tdm_slot_state state = slot->state;
    struct tdm_task *task = slot->task;
    tdm_slot_unlock(slot);
    if (task && tdm_slot_stop(slot, task, TANDEM_CANCELLED)) tdm_lane_end_cancelled(task);
    if (task) return;
    if (state == TDM_SLOT_STARTING)
        tdm_slot_kill(slot);
    else if (state == TDM_SLOT_READY)
        tdm_slot_leave(slot);
    else if (slot->orphan)
        tdm_slot_kill(slot);
}

/* ---- time ---- */

/* The kill has had no effect for seconds: the process hangs in the kernel, or the zygote is stopped.  Nothing waits for it any longer;
 * the lifeline will end it when it can. */
static void give_up(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    if (slot->task) slot->step = "its process has not died yet";
    tdm_slot_unlock(slot);
    bury(slot, &(struct tdm_death){.known = false});
}

bool tdm_slot_look(struct tdm_slot *slot, uint64_t before_ns)
{
    tdm_slot_lock(slot);
    struct tdm_task *task = slot->task;
    bool hangs = task && slot->decided == 0 && slot->started_ns < before_ns &&
                 tdm_control_move(slot->control, TDM_SLOT_ENTRY, slot->sequence, TDM_OFFERED, TDM_REVOKED);
    if (hangs) {
        tdm_slot_let_go(slot);
        slot->state = TDM_SLOT_DYING;
    }
    tdm_slot_unlock(slot);
    if (hangs) {
        send_kill(slot);
        tdm_process_lane_put_back(slot->lane, task);
    }
    return task != NULL;
}

static void time_over(struct tdm_timer *timer)
{
    struct tdm_slot *slot = container_of(timer, struct tdm_slot, timer);
    tdm_slot_lock(slot);
    enum tdm_slot_state state = slot->state;
    struct tdm_task *task = slot->task;
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
    slot->timer.due = time_over;
    slot->attend.run = attend;
}
