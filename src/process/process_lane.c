/* process_lane.c - a pool's worker processes and the queue before them: which task goes to which worker.
 *
 * A submitter hands its task to an idle worker itself.  Only when none is idle the task is queued; whoever frees a worker takes the
 * next from there.  So, under the ledger's lock: while a slot is idle, nothing waits.  How many workers there are is staff.c's. */
#define _POSIX_C_SOURCE 200809L
#include "process/process_lane.h"

#include "base/clock.h"
#include "base/cpus.h"
#include "base/memory.h"
#include "base/proc.h"
#include "job/setup.h"
#include "process/plain.h"
#include "process/reading.h"
#include "process/shared_memory.h"
#include "process/slot_talk.h"
#include "task/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct tdm_process_lane *mine(struct tdm_lane *lane) { return container_of(lane, struct tdm_process_lane, lane); }
static void lock(const struct tdm_process_lane *lane) { tdm_process_lane_lock(lane); }
static void unlock(const struct tdm_process_lane *lane) { tdm_process_lane_unlock(lane); }

/* ---- tasks to slots: any thread ---- */

/* A worker that has been given something is looked after. */
struct tdm_slot *tdm_process_lane_take_idle(struct tdm_process_lane *lane, uint32_t *number)
{
    struct tdm_slot *slot = container_of(tdm_list_pop_front(&lane->idle), struct tdm_slot, idle);
    *number = slot->number;
    tdm_staff_guard(lane);
    return slot;
}

/* What is not to begin any more ends.  What asks for nothing but to be run is looked at by the slot. */
static void drop_late(struct tdm_process_lane *lane, struct tdm_node *tasks)
{
    for (struct tdm_node *node = tasks->next, *next; node != tasks; node = next) {
        struct tdm_task *task = container_of(node, struct tdm_task, link);
        next = node->next;
        if (load_relaxed(&task->state) & TDM_SHORT) continue; /* relaxed: the mark was there before it was queued */
        tdm_list_remove(node);                                /* it may end, and be gone */
        if (tdm_lane_begin(&lane->lane, task, NULL)) tdm_list_insert_after(next->previous, node);
    }
}

static struct tdm_task *pop_last(struct tdm_node *tasks)
{
    struct tdm_node *last = tasks->previous;
    if (last == tasks) return NULL;
    tdm_list_remove(last);
    return container_of(last, struct tdm_task, link);
}

/* One try to give the slot's worker of this number the tasks; the caller has taken all of them.  Whatever prevents it, the tasks are taken
 * care of, and a slot that should have got something and did not goes back to the reactor.  Meanwhile the worker may have died, and another
 * may stand in its slot. */
static void hand_all(struct tdm_process_lane *lane, struct tdm_slot *slot, uint32_t number, struct tdm_node *tasks)
{
    unsigned taken = 0;
    enum tdm_offer offer;
    drop_late(lane, tasks);
    while ((offer = tdm_slot_offer(slot, number, tasks, &taken)) == TDM_OFFER_CANCELLED) {
        struct tdm_task *first = container_of(tdm_list_pop_front(tasks), struct tdm_task, link);
        tdm_task_finish(first, &(struct tdm_outcome){.status = TANDEM_CANCELLED}, NULL);
    }
    if (taken == 0 && tdm_list_empty(tasks)) tdm_slot_release(slot, number);
    for (struct tdm_task *task; (task = pop_last(tasks)) != NULL;) tdm_process_lane_put_back(lane, task);
}

void tdm_process_lane_hand(struct tdm_process_lane *lane, struct tdm_slot *slot, uint32_t number, struct tdm_task *task)
{
    struct tdm_node one;
    tdm_list_init(&one);
    tdm_list_push_back(&one, &task->link);
    hand_all(lane, slot, number, &one);
}

static bool is_dedicated(struct tdm_task *task) { return tdm_task_public(task)->flags & TANDEM_DEDICATED; }

/* With the lock held.  One for a worker of its own waits among its like. */
static void queue_again(struct tdm_process_lane *lane, struct tdm_task *task)
{
    tdm_lane_put_back_locked(&lane->lane, task);
    if (!is_dedicated(task)) return;
    tdm_list_remove(&task->link);
    tdm_list_push_front(&lane->dedicated, &task->link);
}

void tdm_process_lane_put_back(struct tdm_process_lane *lane, struct tdm_task *task)
{
    struct tdm_slot *slot = NULL;
    uint32_t number = 0;
    lock(lane);
    bool closing = lane->closing;
    task->place = NULL;
    task->called = false; /* another thread may be the one that hands it over */
    if (!closing) {
        queue_again(lane, task);
        tdm_staff_asked(lane); /* nobody else may ask for it */
    }
    if (!closing && !tdm_list_empty(&lane->idle) && (task = tdm_lane_dequeue_locked(&lane->lane)) != NULL) {
        slot = tdm_process_lane_take_idle(lane, &number);
        task->place = slot;
    }
    unlock(lane);
    if (closing)
        tdm_lane_end_cancelled(task);
    else if (slot)
        tdm_process_lane_hand(lane, slot, number, task);
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

/* With the lock held: as tdm_ledger_admit; or -ENOMEM.  One that is admitted has its report. */
static int admit(struct tdm_process_lane *lane, struct tdm_task *task, bool waits)
{
    if (!tdm_report_pads_ready(&lane->reports)) return -ENOMEM;
    int admission = tdm_ledger_admit(&lane->lane.core->ledger, lane->lane.core, waits, false);
    if (admission == TDM_ADMITTED) tdm_report_take(&lane->reports, task);
    return admission;
}

/* On the submitting thread, which is the one that knows whether it is changing it. */
static void note_environment(struct tdm_process_lane *lane)
{
    size_t size = 0;
    char *now = tdm_setup_copy_environment(&size);
    if (!now) return; /* workers get what was noted before */
    lock(lane);
    char *old = lane->environment;
    lane->environment = now;
    lane->environment_size = size;
    unlock(lane);
    free(old);
}

/* With the lock held; admitted.  False: it was cancelled on its way here, and is to be ended so. */
static bool queue_new(struct tdm_process_lane *lane, struct tdm_task *task, bool *tend)
{
    task->called = false; /* by the time a worker has it, its thread sleeps elsewhere */
    if (!tdm_lane_enqueue_locked(&lane->lane, task)) return false;
    if (is_dedicated(task)) {
        tdm_list_remove(&task->link);
        tdm_list_push_back(&lane->dedicated, &task->link);
    }
    tdm_staff_asked(lane);
    *tend = tdm_staff_wants_worker(lane);
    return true;
}

/* A thread that submits more than workers can take comes by one of them now and then: takes its answers, and gives it more. */
#define PASS_EVERY 12

struct tdm_slot *tdm_process_lane_enter_to_pass(struct tdm_process_lane *lane)
{
    if (++lane->queued % PASS_EVERY != 0) return NULL;
    lane->passed = lane->passed && lane->passed->next ? lane->passed->next : lane->slots;
    if (lane->passed) add_seq(&lane->guests, 1); /* [lane-guests] */
    return lane->passed;
}

/* The last that touches the pool. */
static void leave(struct tdm_process_lane *lane)
{
    if (add_seq(&lane->guests, (uint32_t)-1) & TDM_HOST_LEAVES) tdm_futex_wake_all(&lane->guests); /* [lane-guests] */
}

void tdm_process_lane_pass(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    tdm_reading_pass(slot);
    leave(lane);
}

static int submit(struct tdm_lane *base, struct tdm_task *task)
{
    struct tdm_process_lane *lane = mine(base);
    const char *step;
    int error = obstacle(lane, tdm_task_public(task), &step), admission;
    bool tend = false, cancelled = false, dedicated = is_dedicated(task);
    struct tdm_slot *slot = NULL, *passed = NULL;
    uint32_t number = 0;
    lock(lane);
    do admission = admit(lane, task, error == 0 && (dedicated || tdm_list_empty(&lane->idle)));
    while (admission == TDM_LOOK_AGAIN);
    bool ends_at_once = admission == TDM_ADMITTED && error != 0;
    if (ends_at_once) {
        tdm_task_move(task, TDM_QUEUED, TDM_HELD);
    } else if (admission == TDM_ADMITTED && !dedicated && !tdm_list_empty(&lane->idle)) {
        slot = tdm_process_lane_take_idle(lane, &number);
        tdm_task_move(task, TDM_QUEUED, TDM_HELD);
        task->place = slot;
    } else if (admission == TDM_ADMITTED) {
        cancelled = !queue_new(lane, task, &tend);
        if (!cancelled && !tend) passed = tdm_process_lane_enter_to_pass(lane);
    }
    unlock(lane);
    if (slot) tdm_process_lane_hand(lane, slot, number, task);
    if (slot && lane->options->tasks_per_worker != 0) tdm_reactor_post(&lane->tend_job); /* its successor may be due */
    if (ends_at_once) tdm_task_finish(task, &(struct tdm_outcome){.status = TANDEM_NOT_STARTED, .code = error, .step = step}, NULL);
    if (cancelled) tdm_lane_end_cancelled(task);
    if (tend) {
        note_environment(lane);
        tdm_reactor_post(&lane->tend_job);
    }
    if (passed) tdm_process_lane_pass(lane, passed);
    return admission;
}

/* Where it is, or was a moment ago; NULL: not with a worker. */
static struct tdm_slot *slot_of(struct tdm_process_lane *lane, struct tdm_task *task)
{
    lock(lane);
    bool held = tdm_task_state(load_seq(&task->state)) == TDM_HELD;
    struct tdm_slot *slot = held ? task->place : NULL;
    unlock(lane);
    return slot;
}

static bool cancel(struct tdm_lane *base, struct tdm_task *task)
{
    struct tdm_slot *slot = slot_of(mine(base), task);
    return slot && tdm_slot_stop(slot, task, TANDEM_CANCELLED);
}

void tdm_process_lane_look(struct tdm_process_lane *lane)
{
    lock(lane);
    struct tdm_slot *slot = lane->slots;
    unlock(lane);
    for (; slot; slot = slot->next) tdm_reading_pass_heard(slot);
}

static void posted(struct tdm_lane *base, struct tdm_task *task)
{
    struct tdm_mailbox *mailbox = load_acquire(&task->mail); /* [task-mail] */
    struct tdm_slot *slot = mailbox->last_slot;
    if (slot && tdm_slot_posted(slot, task)) return;
    mailbox->last_slot = slot = slot_of(mine(base), task);
    if (slot) tdm_slot_posted(slot, task);
}

static void progress(struct tdm_lane *base, struct tdm_task *task, uint64_t *done, uint64_t *total)
{
    struct tdm_slot *slot = slot_of(mine(base), task);
    if (slot) tdm_slot_read_progress(slot, task, done, total);
}

static bool shares(struct tdm_lane *base, const void *data, size_t size)
{
    return tdm_shared_holds(mine(base)->shared, data, size);
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
    stats->processes = lane->staff.alive;
    stats->workers_started = lane->staff.started_ever;
    stats->workers_crashed = lane->staff.crashed_ever;
    stats->workers_recycled = lane->staff.recycled_ever;
    unlock(lane);
}

static void begin_end(struct tdm_lane *base)
{
    struct tdm_process_lane *lane = mine(base);
    lock(lane);
    lane->closing = true;
    unlock(lane);
    tdm_lane_cancel_waiting(base);
    tdm_lane_cancel_waiting_in(base, &lane->dedicated);
    if (load_seq(&base->core->holds_reactor)) tdm_reactor_post(&lane->end_job);
}

static void see_guests_off(struct tdm_process_lane *lane)
{
    for (uint32_t guests = or_seq(&lane->guests, TDM_HOST_LEAVES); (guests & ~TDM_HOST_LEAVES) != 0;
         guests = load_seq(&lane->guests))
        tdm_futex_wait(&lane->guests, guests, TDM_FOREVER); /* [lane-guests] */
}

/* The reactor's last job for this lane comes after all others that were posted for it. */
static void end(struct tdm_lane *base)
{
    struct tdm_process_lane *lane = mine(base);
    if (!load_seq(&base->core->holds_reactor)) return;
    for (;;) {
        uint32_t deaths = load_seq(&lane->deaths); /* [lane-deaths] */
        lock(lane);
        bool quiet = lane->staff.alive == 0;
        unlock(lane);
        if (quiet) break;
        tdm_futex_wait(&lane->deaths, deaths, TDM_FOREVER);
    }
    see_guests_off(lane);
    tdm_reactor_post(&lane->close_job);
    while (load_seq(&lane->closed) == 0) tdm_futex_wait(&lane->closed, 0, TDM_FOREVER); /* [lane-closed] */
}

/* ---- waiting: any thread ---- */

/* Who waits inside is a guest from a moment when its task had not ended, and the end of the lane waits for its guests. */
static void enter(struct tdm_lane *base) { add_seq(&mine(base)->guests, 1); /* [lane-guests] */ }

static void await(struct tdm_lane *base, struct tdm_task *task, uint64_t deadline)
{
    struct tdm_process_lane *lane = mine(base);
    int saved = errno; /* of an empty pipe it is another */
    while (!tdm_wait_is_over(task, deadline)) {
        struct tdm_slot *slot = slot_of(lane, task);
        if (!slot || !tdm_reading_lead(slot, task, deadline)) tdm_wait_sleep(task, deadline);
    }
    leave(lane);
    errno = saved;
}

/* Where its worker's answers are read.  (The first of them the reactor reads.) */
static void watch(struct tdm_lane *base, struct tdm_mailbox *mailbox, const _Atomic uint32_t *word, struct tdm_look *look)
{
    struct tdm_slot *slot = load_acquire(&mailbox->carrier); /* [mail-carrier] */
    while (load_acquire(word) == TDM_ASKED && tdm_watch_goes_on(look))
        if (slot) tdm_reading_pass(slot);
    leave(mine(base));
}

static const struct tdm_lane_ops ops = {.enter = enter,
                                        .await = await,
                                        .watch = watch,
                                        .submit = submit,
                                        .posted = posted,
                                        .shares = shares,
                                        .progress = progress,
                                        .consumed = tdm_slot_consumed,
                                        .cancel = cancel,
                                        .deadline = deadline,
                                        .fill_stats = fill_stats,
                                        .begin_end = begin_end,
                                        .end = end};

/* ---- slots to tasks: the reactor ---- */

/* With the lock held: a worker has answered, so workers can work. */
static void has_worked(struct tdm_process_lane *lane)
{
    lane->staff.failed = 0;
    lane->staff.tripped = false;
    lane->claim_ns = 0;
}

/* With the lock held.  Behind others in a worker's hands goes only what is left when each worker has as many, and nothing whose waiting has a
 * time limit, which would not be seen there. */
static bool may_wait_in_hand(const struct tdm_process_lane *lane, struct tdm_task *task, unsigned in_hand)
{
    if (in_hand == 0 || !task) return true;
    if (tdm_ledger_waiting(&lane->lane.core->ledger) < (uint64_t)(lane->staff.seated - 1) * in_hand) return false;
    return tdm_task_public(task)->queue_timeout_ms == 0;
}

/* With the lock held: the next task for this slot, which has room for it, or NULL. */
static struct tdm_task *next_for(struct tdm_process_lane *lane, struct tdm_slot *slot, unsigned in_hand)
{
    if (!slot->dedicated && !may_wait_in_hand(lane, tdm_lane_peek_locked(&lane->lane), in_hand)) return NULL;
    if (in_hand > 0) lane->in_hands = true;
    struct tdm_task *task =
        slot->dedicated ? tdm_lane_dequeue_from_locked(&lane->lane, &lane->dedicated) : tdm_lane_dequeue_locked(&lane->lane);
    if (!task) return NULL;
    task->place = slot;
    tdm_report_expect_begin(task);
    tdm_staff_guard(lane);
    return task;
}

/* With more than one task in a worker's hands, one that waits behind another there goes to a worker that has none. */
static void steal_for(struct tdm_process_lane *lane, struct tdm_slot *idle)
{
    for (struct tdm_slot *slot = lane->slots; slot; slot = slot->next) {
        struct tdm_task *task = slot->in_use && slot != idle ? tdm_slot_take_newest(slot) : NULL;
        if (!task) continue;
        tdm_process_lane_put_back(lane, task);
        return;
    }
    lock(lane);
    lane->in_hands = false; /* until the next time */
    unlock(lane);
}

/* Is its time here over?  Then it has been told to leave. */
static bool must_go(struct tdm_process_lane *lane, struct tdm_slot *slot, const struct tdm_leeway *leeway)
{
    if (leeway->in_hand > 0) return false;
    lock(lane);
    bool replaced = slot->replaced || (slot->retiring && lane->staff.standing > 0), closing = lane->closing;
    bool unneeded = slot->dedicated ? tdm_list_empty(&lane->dedicated) : !slot->seated;
    unlock(lane);
    if (!replaced && !leeway->is_spent && !unneeded) return false;
    if (!slot->dedicated && !closing && (replaced || leeway->is_spent)) slot->recycled = true;
    tdm_staff_leave(lane, slot);
    return true;
}

/* Only the reactor puts slots on the idle list, and only it buries them: so none is there that is dead and buried.  A slot that has
 * done something proves that workers can work. */
void tdm_process_lane_free_slot(struct tdm_process_lane *lane, struct tdm_slot *slot)
{
    if (tdm_slot_is_held_up(slot)) return;
    struct tdm_leeway leeway = tdm_slot_leeway(slot);
    unsigned in_hand = leeway.in_hand, room = leeway.room;
    if (must_go(lane, slot, &leeway)) return;
    for (;; room--) {
        lock(lane);
        if (leeway.was_offered) has_worked(lane);
        bool may_have = room > 0 && !slot->replaced && !(slot->retiring && lane->staff.standing > 0);
        struct tdm_task *task = may_have ? next_for(lane, slot, in_hand) : NULL;
        bool idle = !task && in_hand == 0 && room > 0, closing = lane->closing;
        if (idle && !slot->dedicated) tdm_staff_go_idle(lane, slot);
        unlock(lane);
        if (idle && slot->dedicated) tdm_staff_leave(lane, slot);
        if (idle && closing) tdm_reactor_post(&lane->end_job);
        if (idle && !closing) steal_for(lane, slot);
        if (!task) return;
        tdm_process_lane_hand(lane, slot, slot->number, task);
        in_hand++; /* or its place in the slot is given back to the reactor, which comes here once more */
    }
}

/* One of the tasks that another has in hand may be for this one: that is the reactor's to see. */
static bool could_steal(const struct tdm_process_lane *lane) { return lane->staff.seated > 1 && lane->in_hands; }

/* With the lock held. */
static bool is_simple(const struct tdm_process_lane *lane, const struct tdm_slot *slot)
{
    return !lane->closing && slot->seated && !slot->retiring && !slot->replaced;
}

void tdm_process_lane_refill(struct tdm_process_lane *lane, struct tdm_slot *slot, const struct tdm_leeway *leeway)
{
    struct tdm_node tasks;
    unsigned room = leeway->room, held = leeway->in_hand;
    bool simple = room > 0 || held > 0;
    tdm_list_init(&tasks);
    lock(lane);
    tdm_ledger_settle(&lane->lane.core->ledger, &slot->tally);
    if (simple) simple = is_simple(lane, slot);
    if (simple) has_worked(lane);
    unsigned plain = simple ? tdm_plain_take(lane, slot, held, room, &tasks) : 0;
    room -= plain;
    held += plain;
    for (struct tdm_task *task; simple && room > 0 && (task = next_for(lane, slot, held)) != NULL; room--, held++)
        tdm_list_push_back(&tasks, &task->link);
    if (simple && held == 0) {
        simple = !could_steal(lane);
        if (simple) tdm_staff_go_idle(lane, slot);
    }
    unlock(lane);
    if (!tdm_list_empty(&tasks)) hand_all(lane, slot, slot->number, &tasks);
    if (!simple) tdm_slot_release(slot, slot->number);
}

/* ---- opening ---- */

char *tdm_process_lane_make_setup(struct tdm_process_lane *lane, struct tdm_setup *setup)
{
    struct tdm_pool_data *data = tdm_core_keep_data(lane->lane.core);
    size_t data_size = data ? data->size : 0;
    lock(lane);
    size_t environment = lane->environment ? lane->environment_size : 0, argument = lane->options->argument_size;
    char *bytes = tdm_calloc(1, sizeof *setup + environment + argument + data_size + TDM_SETUP_PADDING);
    if (bytes && environment > 0) memcpy(bytes + sizeof *setup, lane->environment, environment);
    unlock(lane);
    if (bytes) {
        char *rest = bytes + sizeof *setup + environment;
        setup->environment_size = environment;
        setup->data_size = data_size;
        setup->data_version = data ? data->version : 0;
        memcpy(bytes, setup, sizeof *setup);
        if (argument > 0) memcpy(rest, lane->argument, argument);
        if (data_size > 0) memcpy(rest + argument, data->bytes, data_size);
    }
    tdm_pool_data_let_go(data);
    return bytes;
}

/* Code of the options that was loaded too late for any worker. */
static bool lacks_code(const tandem_options *options)
{
    return (options->on_worker_start && !tdm_proc_had_code((uintptr_t)options->on_worker_start)) ||
           (options->on_worker_stop && !tdm_proc_had_code((uintptr_t)options->on_worker_stop));
}

/* Who came after the lane's end, for a task that somebody else was about to end, has found nothing to do, but is inside. */
void tdm_process_lane_free(struct tdm_process_lane *lane)
{
    see_guests_off(lane);
    for (struct tdm_slot *slot = lane->slots, *next; slot; slot = next) {
        next = slot->next;
        tdm_worker_output_free(slot);
        free(slot);
    }
    tdm_report_pads_close(&lane->reports);
    free(lane->environment);
    free(lane->argument);
    lane->slots = NULL;
}

int tdm_process_lane_open(struct tdm_process_lane *lane, struct tdm_core *core, const tandem_options *options, int error,
                          const char *step)
{
    tdm_lane_open(&lane->lane, &ops, core);
    lane->options = options;
    lane->processors = tdm_cpus();
    if (lane->processors > 1 && options->spin_us != TANDEM_NONE) lane->watch_ns = options->spin_us * 1000u;
    lane->cannot_start = error != 0 ? error : lacks_code(options) ? ENOEXEC : 0;
    lane->cannot_step = error != 0 ? step : "on_worker_start";
    tdm_staff_open(lane);
    note_environment(lane);
    if (options->argument_size > 0) lane->argument = tdm_malloc(options->argument_size);
    if (lane->argument) memcpy(lane->argument, options->argument, options->argument_size);
    int result = lane->environment && (lane->argument || options->argument_size == 0) ? 0 : -ENOMEM;
    if (result == 0 && options->processes_ready > 0 && lane->cannot_start == 0) {
        result = tdm_core_need_reactor(core);
        if (result == 0) tdm_reactor_post(&lane->tend_job);
    }
    if (result != 0) tdm_process_lane_free(lane);
    return result;
}
