/* process_lane.c - a pool's worker processes, the queue before them, and how many of them there are.
 *
 * A submitter hands its task to an idle worker itself.  Only when none is idle the task is queued; whoever frees a worker takes the
 * next from there.  So, under the ledger's lock: while a slot is idle, nothing waits.  Workers are started, retired and buried on the
 * reactor's thread alone. */
#define _POSIX_C_SOURCE 200809L
#include "process/process_lane.h"

#include "base/clock.h"
#include "base/proc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Starts that may fail in a row before what waits is told; how soon after that a submit asks again while some still work. */
#define STARTS_IN_A_ROW 3
#define ASK_AGAIN_NS    ((uint64_t)100 * 1000000u)

/* A worker that has not begun its task after this hangs: the task goes to another.  Looked at as often. */
#define CLAIM_NS ((uint64_t)1000000000u)

static struct tdm_process_lane *mine(struct tdm_lane *lane) { return container_of(lane, struct tdm_process_lane, lane); }
static void lock(const struct tdm_process_lane *lane) { tdm_ledger_lock(&lane->lane.core->ledger); }
static void unlock(const struct tdm_process_lane *lane) { tdm_ledger_unlock(&lane->lane.core->ledger); }

/* ---- tasks to slots: any thread ---- */

/* With the lock held: from now on, and as long as workers have tasks, somebody looks whether they have begun them. */
static void guard(struct tdm_process_lane *lane)
{
    if (lane->guarding) return;
    lane->guarding = true;
    tdm_reactor_set_timer(&lane->guard_timer, tdm_clock_ns() + CLAIM_NS);
}

/* With the lock held: one that is there, off the list.  A worker that has been given something is looked after. */
static struct tdm_slot *take_idle(struct tdm_process_lane *lane, uint32_t *number)
{
    struct tdm_slot *slot = container_of(tdm_list_pop_front(&lane->idle), struct tdm_slot, idle);
    *number = slot->number;
    guard(lane);
    return slot;
}

/* One try to give the slot's worker of this number the task; the caller has taken both.  Whatever prevents it, the task is taken care of
 * and the slot goes back to the reactor.  Meanwhile the worker may have died, and another may stand in its slot. */
static void hand(struct tdm_process_lane *lane, struct tdm_slot *slot, uint32_t number, struct tdm_task *task)
{
    if (!tdm_lane_begin(&lane->lane, task, NULL)) {
        tdm_slot_release(slot, number);
        return;
    }
    switch (tdm_slot_offer(slot, number, task)) {
    case TDM_OFFER_TAKEN: break;
    case TDM_OFFER_DEAD: tdm_process_lane_put_back(lane, task); break;
    case TDM_OFFER_CANCELLED:
        tdm_slot_release(slot, number);
        tdm_task_finish(task, &(struct tdm_outcome){.status = TANDEM_CANCELLED}, NULL);
        break;
    }
}

void tdm_process_lane_put_back(struct tdm_process_lane *lane, struct tdm_task *task)
{
    struct tdm_slot *slot = NULL;
    uint32_t number = 0;
    lock(lane);
    bool closing = lane->closing;
    task->place = NULL;
    if (!closing) tdm_lane_put_back_locked(&lane->lane, task);
    if (!closing && !tdm_list_empty(&lane->idle)) {
        slot = take_idle(lane, &number);
        task = tdm_lane_dequeue_locked(&lane->lane);
        task->place = slot;
    }
    unlock(lane);
    if (closing)
        tdm_lane_end_cancelled(task);
    else if (slot)
        hand(lane, slot, number, task);
    else
        tdm_reactor_post(&lane->tend_job);
}

/* ---- the lane's contract ---- */

/* Why this task can never run in a worker of this pool: a positive errno and the step, or 0. */
static int obstacle(const struct tdm_process_lane *lane, const tandem_task *task, const char **step)
{
    *step = lane->cannot_step;
    if (lane->cannot_start != 0) return lane->cannot_start;
    *step = "function";
    return tdm_proc_had_code((uintptr_t)task->run) ? 0 : ENOEXEC;
}

/* Taken, and ended at once. */
static int refuse(struct tdm_process_lane *lane, struct tdm_task *task, int error, const char *step)
{
    struct tdm_core *core = lane->lane.core;
    lock(lane);
    int admission = tdm_ledger_admit(&core->ledger, core, false, false);
    unlock(lane);
    if (admission < 0) return admission;
    tdm_task_move(task, TDM_QUEUED, TDM_HELD);
    tdm_task_finish(task, &(struct tdm_outcome){.status = TANDEM_NOT_STARTED, .code = error, .step = step}, NULL);
    return 0;
}

/* With the lock held.  Workers that are starting are few, so this is short. */
static bool queue_is_longer_than(const struct tdm_process_lane *lane, uint32_t count)
{
    const struct tdm_node *node = lane->lane.queue.next;
    while (count > 0 && node != &lane->lane.queue) {
        node = node->next;
        count--;
    }
    return node != &lane->lane.queue;
}

/* With the lock held: may there, and should there, be one more worker? */
static bool wants_worker(const struct tdm_process_lane *lane)
{
    if (lane->closing || lane->tripped || lane->cannot_start != 0 || lane->alive >= lane->options->processes) return false;
    return queue_is_longer_than(lane, lane->starting) || lane->alive < lane->options->processes_ready || lane->owed > 0;
}

/* With the lock held, for a task that has just been queued: does the reactor have to start a worker?  A submit makes the breaker try
 * once more. */
static bool must_tend(struct tdm_process_lane *lane)
{
    if (lane->tripped && (lane->alive == 0 || tdm_clock_ns() - lane->tripped_ns > ASK_AGAIN_NS)) lane->tripped = false;
    return wants_worker(lane);
}

static int submit(struct tdm_lane *base, struct tdm_task *task)
{
    struct tdm_process_lane *lane = mine(base);
    struct tdm_ledger *ledger = &base->core->ledger;
    const char *step;
    int error = obstacle(lane, tdm_task_public(task), &step), admission;
    if (error != 0) return refuse(lane, task, error, step);

    bool tend = false;
    struct tdm_slot *slot = NULL;
    uint32_t number = 0;
    bool cancelled = false;
    lock(lane);
    do admission = tdm_ledger_admit(ledger, base->core, tdm_list_empty(&lane->idle), false);
    while (admission == TDM_LOOK_AGAIN);
    if (admission == TDM_ADMITTED && !tdm_list_empty(&lane->idle)) {
        slot = take_idle(lane, &number);
        tdm_task_move(task, TDM_QUEUED, TDM_HELD);
        task->place = slot;
    } else if (admission == TDM_ADMITTED) {
        cancelled = !tdm_lane_enqueue_locked(base, task);
        tend = !cancelled && must_tend(lane);
    }
    unlock(lane);
    if (slot) hand(lane, slot, number, task);
    if (cancelled) tdm_lane_end_cancelled(task);
    if (tend) tdm_reactor_post(&lane->tend_job);
    return admission;
}

static bool cancel(struct tdm_lane *base, struct tdm_task *task)
{
    lock(mine(base));
    bool held = tdm_task_state(load_seq(&task->state)) == TDM_HELD;
    struct tdm_slot *slot = held ? task->place : NULL;
    unlock(mine(base));
    return slot && tdm_slot_stop(slot, task, TANDEM_CANCELLED);
}

static void deadline(struct tdm_lane *lane, struct tdm_task *task, enum tdm_deadline_kind kind)
{
    (void)kind; /* a running one's is the slot's own */
    tdm_lane_expire(lane, task);
}

static void fill_stats(struct tdm_lane *base, tandem_stats *stats)
{
    struct tdm_process_lane *lane = mine(base);
    lock(lane);
    stats->processes = lane->alive;
    stats->workers_started = lane->started_ever;
    stats->workers_crashed = lane->crashed_ever;
    unlock(lane);
}

static void begin_end(struct tdm_lane *base)
{
    struct tdm_process_lane *lane = mine(base);
    lock(lane);
    lane->closing = true;
    unlock(lane);
    tdm_lane_cancel_waiting(base);
    if (load_seq(&base->core->holds_reactor)) tdm_reactor_post(&lane->end_job);
}

/* The reactor's last job for this lane comes after all others that were posted for it. */
static void end(struct tdm_lane *base)
{
    struct tdm_process_lane *lane = mine(base);
    if (!load_seq(&base->core->holds_reactor)) return;
    for (;;) {
        uint32_t deaths = load_seq(&lane->deaths); /* [lane-deaths] */
        lock(lane);
        uint32_t alive = lane->alive;
        unlock(lane);
        if (alive == 0) break;
        tdm_futex_wait(&lane->deaths, deaths, TDM_FOREVER);
    }
    tdm_reactor_post(&lane->close_job);
    while (load_seq(&lane->closed) == 0) tdm_futex_wait(&lane->closed, 0, TDM_FOREVER); /* [lane-closed] */
}

static const struct tdm_lane_ops ops = {
    .submit = submit, .cancel = cancel, .deadline = deadline, .fill_stats = fill_stats, .begin_end = begin_end, .end = end};

/* ---- slots to tasks: the reactor ---- */

static uint64_t idle_ns(const struct tdm_process_lane *lane) { return (uint64_t)lane->options->idle_ms * 1000000u; }

/* With the lock held. */
static void go_idle(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    slot->idle_since_ns = tdm_clock_ns();
    tdm_list_push_front(&lane->idle, &slot->idle);
    if (lane->sweeping || lane->alive <= lane->options->processes_ready) return;
    lane->sweeping = true;
    tdm_reactor_set_timer(&lane->sweep_timer, slot->idle_since_ns + idle_ns(lane));
}

/* Only the reactor puts slots on the idle list, and only it buries them: so none is there that is dead and buried.  A slot that has
 * done something proves that workers can work. */
void tdm_process_lane_free_slot(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    lock(lane);
    if (slot->was_offered) {
        lane->failed_starts = 0;
        lane->tripped = false;
    }
    struct tdm_task *task = tdm_lane_dequeue_locked(&lane->lane);
    if (task) {
        task->place = slot;
        guard(lane);
    } else {
        go_idle(lane, slot);
    }
    bool closing = lane->closing;
    unlock(lane);
    if (task)
        hand(lane, slot, slot->number, task);
    else if (closing)
        tdm_reactor_post(&lane->end_job);
}

void tdm_process_lane_not_idle(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    lock(lane);
    tdm_list_remove(&slot->idle);
    unlock(lane);
}

/* ---- how many workers: the reactor ---- */

static struct tdm_slot *find_empty(struct tdm_process_lane *lane)
{
    struct tdm_slot *slot = lane->slots;
    while (slot->in_use) slot++; /* there is one: alive is less than processes */
    return slot;
}

static void tend(struct tdm_job *job)
{
    struct tdm_process_lane *lane = container_of(job, struct tdm_process_lane, tend_job);
    if (!lane->listening) tdm_zygote_listen();
    lane->listening = true;
    for (;;) {
        lock(lane);
        bool start = wants_worker(lane);
        uint32_t number = (uint32_t)lane->started_ever + 1;
        if (start) {
            lane->alive++;
            lane->starting++;
            lane->started_ever++;
            if (lane->owed > 0) lane->owed--;
        }
        unlock(lane);
        if (!start) return;
        tdm_slot_start(find_empty(lane), number);
    }
}

void tdm_process_lane_ready(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    lock(lane);
    lane->starting--;
    unlock(lane);
    tdm_process_lane_free_slot(lane, slot);
}

/* Nobody is left who could run these.  What is submitted from now on is not among them: it makes the breaker try again. */
static void fail_all(struct tdm_process_lane *lane, struct tdm_node *doomed, int error, const char *step)
{
    for (;;) {
        lock(lane);
        struct tdm_task *task = tdm_lane_dequeue_from_locked(&lane->lane, doomed);
        unlock(lane);
        if (!task) return;
        if (!tdm_lane_begin(&lane->lane, task, NULL)) continue;
        tdm_task_finish(task, &(struct tdm_outcome){.status = TANDEM_NOT_STARTED, .code = error, .step = step}, NULL);
    }
}

/* With the lock held. */
static void count_failed_start(struct tdm_process_lane *lane, const struct tdm_burial *burial)
{
    lane->start_error = burial->error;
    lane->start_step = burial->step;
    if (++lane->failed_starts < STARTS_IN_A_ROW) return;
    lane->failed_starts = STARTS_IN_A_ROW - 1; /* when asked again: one try */
    lane->tripped = true;
    lane->tripped_ns = tdm_clock_ns();
}

void tdm_process_lane_buried(struct tdm_process_lane *lane, const struct tdm_burial *burial)
{
    lock(lane);
    lane->alive--;
    if (burial->was_starting) lane->starting--;
    if (burial->was_swept) lane->leaving--;
    if (burial->crashed) lane->crashed_ever++;
    if (burial->lost_task && lane->alive + lane->owed < lane->options->processes) lane->owed++;
    if (burial->failed_start) count_failed_start(lane, burial);
    bool hopeless = lane->tripped && lane->alive == 0, closing = lane->closing;
    int error = lane->start_error;
    const char *step = lane->start_step;
    struct tdm_node doomed;
    tdm_list_init(&doomed);
    if (hopeless) tdm_list_splice_back(&doomed, &lane->lane.queue);
    unlock(lane);
    fail_all(lane, &doomed, error, step);
    if (!closing) tdm_reactor_post(&lane->tend_job);
    add_seq(&lane->deaths, 1); /* [lane-deaths] */
    tdm_futex_wake_all(&lane->deaths);
}

/* With the lock held: the one that is idle longest, if it has been idle for long enough and is not one to be kept. */
static struct tdm_slot *take_overdue(struct tdm_process_lane *lane, uint64_t now)
{
    if (tdm_list_empty(&lane->idle) || lane->alive - lane->leaving <= lane->options->processes_ready) {
        lane->sweeping = false;
        return NULL;
    }
    struct tdm_slot *oldest = container_of(lane->idle.previous, struct tdm_slot, idle);
    if (oldest->idle_since_ns + idle_ns(lane) > now) {
        tdm_reactor_set_timer(&lane->sweep_timer, oldest->idle_since_ns + idle_ns(lane));
        return NULL;
    }
    tdm_list_remove(&oldest->idle);
    lane->leaving++;
    return oldest;
}

static void sweep(struct tdm_timer *timer)
{
    struct tdm_process_lane *lane = container_of(timer, struct tdm_process_lane, sweep_timer);
    uint64_t now = tdm_clock_ns();
    for (;;) {
        lock(lane);
        struct tdm_slot *slot = lane->closing ? NULL : take_overdue(lane, now);
        unlock(lane);
        if (!slot) return;
        slot->swept = true;
        tdm_slot_leave(slot);
    }
}

/* When nobody has a task any more it stops, and the next task starts it again: an idle pool has no timers but the sweep's. */
static void guard_due(struct tdm_timer *timer)
{
    struct tdm_process_lane *lane = container_of(timer, struct tdm_process_lane, guard_timer);
    uint64_t now = tdm_clock_ns();
    lock(lane);
    lane->guarding = false; /* before the look: a task that is handed over after it sets the timer again */
    unlock(lane);
    bool busy = false;
    for (uint32_t i = 0; i < lane->options->processes; i++)
        if (lane->slots[i].in_use && tdm_slot_look(&lane->slots[i], now - CLAIM_NS)) busy = true;
    if (!busy) return;
    lock(lane);
    guard(lane);
    unlock(lane);
}

static void end_slots(struct tdm_job *job)
{
    struct tdm_process_lane *lane = container_of(job, struct tdm_process_lane, end_job);
    for (uint32_t i = 0; i < lane->options->processes; i++)
        if (lane->slots[i].in_use) tdm_slot_end(&lane->slots[i]);
}

static void close_here(struct tdm_job *job)
{
    struct tdm_process_lane *lane = container_of(job, struct tdm_process_lane, close_job);
    tdm_reactor_clear_timer(&lane->sweep_timer);
    tdm_reactor_clear_timer(&lane->guard_timer);
    if (lane->listening) tdm_zygote_unlisten();
    store_seq(&lane->closed, 1); /* from here on the lane may be freed; the wake uses the address only [lane-closed] */
    tdm_futex_wake_all(&lane->closed);
}

/* ---- opening ---- */

/* What a worker is told first: the functions to start and stop with, the pool's name, the argument's bytes. */
static int make_setup(struct tdm_process_lane *lane)
{
    const tandem_options *options = lane->options;
    struct tdm_setup setup = {.on_start = (uint64_t)(uintptr_t)options->on_worker_start,
                              .on_stop = (uint64_t)(uintptr_t)options->on_worker_stop};
    snprintf(setup.name, sizeof setup.name, "%s", options->name);
    lane->setup_size = sizeof setup + options->argument_size;
    lane->setup = malloc(lane->setup_size);
    if (!lane->setup) return -ENOMEM;
    memcpy(lane->setup, &setup, sizeof setup);
    if (options->argument_size > 0) memcpy((char *)lane->setup + sizeof setup, options->argument, options->argument_size);
    return 0;
}

/* Code of the options that was loaded too late for any worker. */
static bool lacks_code(const tandem_options *options)
{
    return (options->on_worker_start && !tdm_proc_had_code((uintptr_t)options->on_worker_start)) ||
           (options->on_worker_stop && !tdm_proc_had_code((uintptr_t)options->on_worker_stop));
}

const void *tdm_process_lane_setup(const struct tdm_process_lane *lane, size_t *size)
{
    *size = lane->setup_size;
    return lane->setup;
}

void tdm_process_lane_free(struct tdm_process_lane *lane)
{
    free(lane->slots);
    free(lane->setup);
    lane->slots = NULL;
    lane->setup = NULL;
}

int tdm_process_lane_open(struct tdm_process_lane *lane, struct tdm_core *core, const tandem_options *options, int error,
                          const char *step)
{
    tdm_lane_open(&lane->lane, &ops, core);
    tdm_list_init(&lane->idle);
    lane->options = options;
    lane->cannot_start = error != 0 ? error : lacks_code(options) ? ENOEXEC : 0;
    lane->cannot_step = error != 0 ? step : "on_worker_start";
    lane->tend_job.run = tend;
    lane->end_job.run = end_slots;
    lane->close_job.run = close_here;
    lane->sweep_timer.due = sweep;
    lane->guard_timer.due = guard_due;
    lane->slots = calloc(options->processes, sizeof *lane->slots);
    int result = lane->slots ? make_setup(lane) : -ENOMEM;
    for (uint32_t i = 0; result == 0 && i < options->processes; i++) tdm_slot_open(&lane->slots[i], lane);
    if (result == 0 && options->processes_ready > 0 && lane->cannot_start == 0) {
        result = tdm_core_need_reactor(core);
        if (result == 0) tdm_reactor_post(&lane->tend_job);
    }
    if (result != 0) tdm_process_lane_free(lane);
    return result;
}
