/* staff.c - how many workers a pool has: when one is started, seated, replaced, sent home, and when starting them is given up. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "base/memory.h"
#include "base/quick_clock.h"
#include "guards/guard_link.h"
#include "process/process_lane.h"
#include "process/reading.h"

#include <errno.h>
#include <stdlib.h>

/* Starts that may fail in a row before what waits is told. */
#define STARTS_IN_A_ROW 3

/* After a start that failed: the first, the second, and from the fourth on.  After the third a submit has one more tried at once. */
#define FIRST_PAUSE_NS  ((uint64_t)10 * 1000000u)
#define SECOND_PAUSE_NS ((uint64_t)50 * 1000000u)
#define LONG_PAUSE_NS   ((uint64_t)2000 * 1000000u)

/* A worker that has not begun its task after this hangs: the task goes to another.  Looked at as often; doubled by each that hangs, until one
 * does something again: the machine may be what is slow. */
#define CLAIM_NS      ((uint64_t)1000000000u)
#define CLAIM_MOST_NS (CLAIM_NS << 6)

static void lock(const struct tdm_process_lane *lane) { tdm_process_lane_lock(lane); }
static void unlock(const struct tdm_process_lane *lane) { tdm_process_lane_unlock(lane); }

/* ---- how many there should be: with the lock held ---- */

static bool is_longer_than(const struct tdm_node *list, uint32_t count)
{
    const struct tdm_node *node = list->next;
    while (count > 0 && node != list) {
        node = node->next;
        count--;
    }
    return node != list;
}

static uint32_t at_work(const struct tdm_staff *staff) { return staff->seated + staff->starting + staff->standing; }

static bool wants_dedicated(const struct tdm_process_lane *lane)
{
    return is_longer_than(&lane->dedicated, lane->dedicated_starting);
}

static bool wait_more_than(const struct tdm_process_lane *lane, uint32_t count)
{
    uint32_t ranked = tdm_ranks_hint(&lane->lane.ranks); /* exact, with the lock held */
    return ranked > count || is_longer_than(&lane->lane.queue, count - ranked);
}

/* Those that leave still count in the end, lest slow ones pile up. */
static bool wants_seat_filled(const struct tdm_process_lane *lane)
{
    const struct tdm_staff *staff = &lane->staff;
    uint32_t seats = lane->options->processes, prospects = staff->starting + staff->standing;
    if (staff->alive - staff->dedicated >= 2 * (uint64_t)seats) return false;
    if (prospects < staff->retiring) return true;
    if (at_work(staff) >= seats) return false;
    return wait_more_than(lane, prospects) || at_work(staff) < lane->options->processes_ready || staff->owed > 0;
}

bool tdm_staff_wants_worker(const struct tdm_process_lane *lane)
{
    if (lane->closing || lane->staff.tripped || lane->cannot_start != 0) return false;
    return wants_dedicated(lane) || wants_seat_filled(lane);
}

void tdm_staff_asked(struct tdm_process_lane *lane) { lane->staff.tripped = false; }

/* ---- starting: the reactor ---- */

/* Any that has no process; slots are never freed before the lane, because another thread may hold one and find it changed. */
static struct tdm_slot *find_empty(struct tdm_process_lane *lane)
{
    for (struct tdm_slot *slot = lane->slots; slot; slot = slot->next)
        if (!slot->in_use) return slot;
    struct tdm_slot *made = tdm_calloc(1, sizeof *made);
    if (!made) return NULL;
    tdm_slot_open(made, lane);
    lock(lane);
    made->next = lane->slots;
    lane->slots = made;
    made->tally.next = lane->lane.core->ledger.tallies;
    lane->lane.core->ledger.tallies = &made->tally;
    unlock(lane);
    return made;
}

/* The last task that a worker gets is the time to start its successor. */
static void retire_spent(struct tdm_process_lane *lane)
{
    if (lane->options->tasks_per_worker == 0) return;
    for (struct tdm_slot *slot = lane->slots; slot; slot = slot->next) {
        if (!slot->seated || slot->retiring || !tdm_slot_leeway(slot).is_spent) continue;
        slot->retiring = true;
        lock(lane);
        lane->staff.retiring++;
        unlock(lane);
    }
}

/* With the lock held: the books of one more. */
static void count_start(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    struct tdm_staff *staff = &lane->staff;
    slot->dedicated = wants_dedicated(lane);
    staff->alive++;
    staff->started_ever++;
    if (slot->dedicated) {
        staff->dedicated++;
        lane->dedicated_starting++;
    } else {
        staff->starting++;
        if (staff->owed > 0) staff->owed--;
    }
}

static bool count_failed(struct tdm_process_lane *lane, int error, const char *step, bool is_final);
static void fail_hopeless(struct tdm_process_lane *lane, bool all);

static bool is_too_early(struct tdm_process_lane *lane)
{
    lock(lane);
    uint64_t not_before = lane->staff.not_before_ns;
    unlock(lane);
    if (not_before <= tdm_clock_ns()) return false;
    tdm_reactor_set_timer(&lane->start_timer, not_before);
    return true;
}

static void tend(struct tdm_job *job)
{
    struct tdm_process_lane *lane = container_of(job, struct tdm_process_lane, tend_job);
    if (!lane->listening) tdm_guards_listen();
    lane->listening = true;
    retire_spent(lane);
    for (;;) {
        lock(lane);
        bool start = tdm_staff_wants_worker(lane);
        unlock(lane);
        if (!start || is_too_early(lane)) return;
        struct tdm_slot *slot = find_empty(lane);
        lock(lane);
        start = tdm_staff_wants_worker(lane); /* the pool's end may have begun meanwhile, and then it waits for no more workers */
        if (!start) {
            unlock(lane);
            return;
        }
        uint32_t number = (uint32_t)lane->staff.started_ever + 1;
        bool hopeless = !slot && count_failed(lane, ENOMEM, "memory", false);
        if (slot) count_start(lane, slot);
        unlock(lane);
        if (hopeless) fail_hopeless(lane, true);
        if (slot) tdm_slot_start(slot, number);
    }
}

static void start_again(struct tdm_timer *timer)
{
    tdm_reactor_post(&container_of(timer, struct tdm_process_lane, start_timer)->tend_job);
}

/* ---- seats: the reactor ---- */

/* With the lock held. */
static void seat(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    slot->seated = true;
    lane->staff.seated++;
    if (slot->retiring && !slot->replaced) lane->staff.retiring++;
}

static void unseat(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    if (!slot->seated) return;
    slot->seated = false;
    lane->staff.seated--;
    if (slot->retiring && !slot->replaced) lane->staff.retiring--;
}

/* With the lock held: off whatever list it is on. */
static void take_off(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    tdm_list_remove(&slot->idle);
    if (slot->stands) lane->staff.standing--;
    slot->stands = false;
}

/* With the lock held: the one that stands by longest, seated; or NULL. */
static struct tdm_slot *seat_next(struct tdm_process_lane *lane)
{
    if (tdm_list_empty(&lane->standing) || lane->staff.seated >= lane->options->processes) return NULL;
    struct tdm_slot *next = container_of(lane->standing.next, struct tdm_slot, idle);
    take_off(lane, next);
    seat(lane, next);
    return next;
}

void tdm_staff_leave(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    lock(lane);
    take_off(lane, slot);
    unseat(lane, slot);
    struct tdm_slot *next = seat_next(lane);
    unlock(lane);
    tdm_slot_leave(slot);
    if (next) tdm_process_lane_free_slot(lane, next);
}

void tdm_staff_go_idle(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    slot->idle_since_ns = tdm_quick_clock_now();
    tdm_list_remove(&slot->idle);
    tdm_list_push_front(&lane->idle, &slot->idle);
    if (lane->sweeping || at_work(&lane->staff) <= lane->options->processes_ready) return;
    lane->sweeping = true;
    tdm_reactor_set_timer(&lane->sweep_timer, slot->idle_since_ns + (uint64_t)lane->options->idle_ms * 1000000u);
}

/* A successor stands by: those whose place it can take at once are the idle ones. */
static void replace_idle(struct tdm_process_lane *lane)
{
    for (;;) {
        struct tdm_slot *old = NULL;
        lock(lane);
        for (struct tdm_node *node = lane->idle.next; lane->staff.standing > 0 && !old && node != &lane->idle; node = node->next)
            if (container_of(node, struct tdm_slot, idle)->retiring) old = container_of(node, struct tdm_slot, idle);
        if (old) tdm_list_remove(&old->idle);
        unlock(lane);
        if (!old) return;
        old->recycled = true;
        tdm_staff_leave(lane, old);
    }
}

/* With the lock held, for one that has found a free seat: whose successor it is, or NULL.  That one needs no other. */
static struct tdm_slot *find_to_replace(struct tdm_process_lane *lane)
{
    struct tdm_slot *old = NULL;
    if (lane->staff.retiring == 0) return NULL;
    for (struct tdm_slot *slot = lane->slots; slot; slot = slot->next)
        if (slot->seated && slot->retiring && !slot->replaced && (!old || !tdm_list_empty(&slot->idle))) old = slot;
    if (!old) return NULL;
    old->replaced = true;
    lane->staff.retiring--;
    return old;
}

/* Its successor has a seat of its own: it leaves now, or when it has nothing to do. */
static void replace(struct tdm_process_lane *lane, struct tdm_slot *old)
{
    lock(lane);
    bool idle = !tdm_list_empty(&old->idle);
    if (idle) tdm_list_remove(&old->idle);
    unlock(lane);
    if (!idle) return;
    old->recycled = true;
    tdm_staff_leave(lane, old);
}

void tdm_process_lane_ready(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    lock(lane);
    bool stands = !slot->dedicated && lane->staff.seated >= lane->options->processes;
    struct tdm_slot *old = stands || slot->dedicated ? NULL : find_to_replace(lane);
    if (slot->dedicated)
        lane->dedicated_starting--;
    else
        lane->staff.starting--;
    if (stands) {
        slot->stands = true;
        lane->staff.standing++;
        tdm_list_push_back(&lane->standing, &slot->idle);
    } else if (!slot->dedicated) {
        seat(lane, slot);
    }
    bool closing = lane->closing;
    unlock(lane);
    if (old) replace(lane, old);
    if (slot->retiring) tdm_reactor_post(&lane->tend_job); /* it lost one of its guards while it started */
    if (!stands)
        tdm_process_lane_free_slot(lane, slot);
    else if (closing)
        tdm_reactor_post(&lane->end_job);
    else
        replace_idle(lane);
}

void tdm_process_lane_retire(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    lock(lane);
    bool closing = lane->closing;
    if (!closing && !slot->retiring && !slot->dedicated) {
        slot->retiring = true;
        if (slot->seated) lane->staff.retiring++;
    }
    unlock(lane);
    if (!closing) tdm_reactor_post(&lane->tend_job);
}

void tdm_process_lane_not_idle(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    lock(lane);
    take_off(lane, slot);
    unlock(lane);
}

/* ---- starts that fail ---- */

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

static void fail_hopeless(struct tdm_process_lane *lane, bool all)
{
    struct tdm_node doomed;
    tdm_list_init(&doomed);
    lock(lane);
    int error = lane->staff.error;
    const char *step = lane->staff.step;
    tdm_list_splice_back(&doomed, &lane->dedicated);
    if (all) {
        tdm_list_splice_back(&doomed, &lane->lane.ranks.high);
        tdm_list_splice_back(&doomed, &lane->lane.queue);
        tdm_list_splice_back(&doomed, &lane->lane.ranks.low);
    }
    unlock(lane);
    fail_all(lane, &doomed, error, step);
}

/* With the lock held.  Is it to be given up?  While there are workers they go on, fewer of them, and more are tried for now and then. */
static bool count_failed(struct tdm_process_lane *lane, int error, const char *step, bool is_final)
{
    struct tdm_staff *staff = &lane->staff;
    uint64_t pause = LONG_PAUSE_NS;
    staff->error = error;
    staff->step = step;
    staff->failed++;
    if (staff->failed == 1) pause = FIRST_PAUSE_NS;
    if (staff->failed == 2) pause = SECOND_PAUSE_NS;
    bool given_up = staff->failed >= STARTS_IN_A_ROW || is_final;
    bool hopeless = given_up && at_work(staff) == 0;
    if (hopeless && (staff->failed == STARTS_IN_A_ROW || is_final)) pause = 0;
    staff->tripped = hopeless;
    staff->not_before_ns = tdm_clock_ns() + pause;
    return given_up;
}

/* With the lock held. */
static void strike_off(struct tdm_process_lane *lane, const struct tdm_burial *burial)
{
    struct tdm_staff *staff = &lane->staff;
    struct tdm_slot *slot = burial->slot;
    staff->alive--;
    if (burial->crashed) staff->crashed_ever++;
    if (burial->recycled) staff->recycled_ever++;
    if (slot->dedicated) {
        staff->dedicated--;
        if (!slot->was_ready) lane->dedicated_starting--;
        return;
    }
    if (!slot->was_ready) staff->starting--;
    unseat(lane, slot);
    if (burial->lost_task && at_work(staff) + staff->owed < lane->options->processes) staff->owed++;
}

void tdm_process_lane_buried(struct tdm_process_lane *lane, const struct tdm_burial *burial)
{
    lock(lane);
    strike_off(lane, burial);
    bool given_up = burial->failed_start && count_failed(lane, burial->error, burial->step, burial->is_final);
    bool hopeless = lane->staff.tripped, closing = lane->closing;
    struct tdm_slot *next = seat_next(lane);
    unlock(lane);
    if (given_up) fail_hopeless(lane, hopeless);
    if (next) tdm_process_lane_free_slot(lane, next);
    if (!closing) tdm_reactor_post(&lane->tend_job);
    add_seq(&lane->deaths, 1); /* [lane-deaths] */
    tdm_futex_wake_all(&lane->deaths);
}

/* ---- idle for long ---- */

/* With the lock held: the one that is idle longest, if it has been idle for long enough and is not one to be kept. */
static struct tdm_slot *take_overdue(struct tdm_process_lane *lane, uint64_t now)
{
    uint64_t idle_ns = (uint64_t)lane->options->idle_ms * 1000000u;
    if (tdm_list_empty(&lane->idle) || at_work(&lane->staff) <= lane->options->processes_ready) {
        lane->sweeping = false;
        return NULL;
    }
    struct tdm_slot *oldest = container_of(lane->idle.previous, struct tdm_slot, idle);
    if (oldest->idle_since_ns + idle_ns > now) {
        tdm_reactor_set_timer(&lane->sweep_timer, oldest->idle_since_ns + idle_ns);
        return NULL;
    }
    tdm_list_remove(&oldest->idle);
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
        tdm_staff_leave(lane, slot);
    }
}

/* ---- workers that hang ---- */

static uint64_t claim_ns(const struct tdm_process_lane *lane) { return lane->claim_ns != 0 ? lane->claim_ns : CLAIM_NS; }

void tdm_staff_guard(struct tdm_process_lane *lane)
{
    if (lane->guarding) return;
    lane->guarding = true;
    tdm_reactor_set_timer(&lane->guard_timer, tdm_clock_ns() + claim_ns(lane));
}

/* It looks when the first can have become late, not once in that time: a task that hangs several workers waits for each of them.  When
 * nobody has a task any more it stops, and the next task starts it again: an idle pool has no timers but the sweep's. */
static void guard_due(struct tdm_timer *timer)
{
    struct tdm_process_lane *lane = container_of(timer, struct tdm_process_lane, guard_timer);
    uint64_t now = tdm_clock_ns(), again = TDM_FOREVER;
    lock(lane);
    lane->guarding = false; /* before the look: a task that is handed over after it sets the timer again */
    uint64_t patience = claim_ns(lane);
    unlock(lane);
    bool hangs = false;
    for (struct tdm_slot *slot = lane->slots; slot; slot = slot->next) {
        uint64_t then = slot->in_use ? tdm_slot_look(slot, now, patience, &hangs) : TDM_FOREVER;
        if (then < again) again = then;
    }
    lock(lane);
    if (hangs && patience < CLAIM_MOST_NS) lane->claim_ns = patience * 2;
    if (again != TDM_FOREVER) {
        lane->guarding = true;
        tdm_reactor_set_timer(&lane->guard_timer, again);
    }
    unlock(lane);
}

/* ---- the pool's end ---- */

static void end_slots(struct tdm_job *job)
{
    struct tdm_process_lane *lane = container_of(job, struct tdm_process_lane, end_job);
    for (struct tdm_slot *slot = lane->slots; slot; slot = slot->next)
        if (slot->in_use) tdm_slot_end(slot);
}

static void close_here(struct tdm_job *job)
{
    struct tdm_process_lane *lane = container_of(job, struct tdm_process_lane, close_job);
    tdm_reactor_clear_timer(&lane->sweep_timer);
    tdm_reactor_clear_timer(&lane->guard_timer);
    tdm_reactor_clear_timer(&lane->start_timer);
    tdm_reactor_clear_timer(&lane->look_timer);
    if (lane->listening) tdm_guards_unlisten();
    store_seq(&lane->closed, 1); /* from here on the lane may be freed; the wake uses the address only [lane-closed] */
    tdm_futex_wake_all(&lane->closed);
}

void tdm_staff_open(struct tdm_process_lane *lane)
{
    tdm_list_init(&lane->idle);
    tdm_list_init(&lane->standing);
    tdm_list_init(&lane->dedicated);
    lane->tend_job.run = tend;
    lane->end_job.run = end_slots;
    lane->close_job.run = close_here;
    lane->sweep_timer.due = sweep;
    lane->guard_timer.due = guard_due;
    lane->start_timer.due = start_again;
    lane->look_timer.due = tdm_reading_look;
}
