/* command_lane.c - a pool's commands and the queue before them.
 *
 * A submitter prepares a command that may run on its own thread; the reactor does it for those that had to wait.  Then the reactor has it. */
#define _POSIX_C_SOURCE 200809L
#include "command/command_lane.h"

#include "base/clock.h"
#include "base/fds.h"
#include "base/memory.h"
#include "command/run.h"
#include "guards/guard_link.h"
#include "task/report.h"

#include <errno.h>
#include <stdio.h>

static struct tdm_command_lane *mine(struct tdm_lane *lane) { return container_of(lane, struct tdm_command_lane, lane); }
static void lock(const struct tdm_command_lane *lane) { tdm_command_lane_lock(lane); }
static void unlock(const struct tdm_command_lane *lane) { tdm_command_lane_unlock(lane); }

/* ---- what is ordered with a task ---- */

/* Goes with its report. */
struct order {
    struct tdm_environment *environment; /* NULL: the command has one of its own */
    uint64_t pipeline;                   /* its number; 0: none */
    size_t stage, stages;
    bool dedicated; /* all of its stages are */
};

static struct order *order_of(const tandem_task *task) { return tdm_report_kept(task->report); }

static void release_order(void *thing)
{
    struct order *order = thing;
    tdm_environment_release(order->environment);
    free(order);
}

static struct tdm_environment *take_environment(struct tdm_command_lane *lane)
{
    lock(lane);
    struct tdm_environment *last = lane->environment ? tdm_environment_hold(lane->environment) : NULL;
    unlock(lane);
    struct tdm_environment *now = tdm_environment_take(last);
    if (now && now != last) {
        tdm_environment_hold(now);
        lock(lane);
        struct tdm_environment *old = lane->environment;
        lane->environment = now;
        unlock(lane);
        tdm_environment_release(old);
    }
    tdm_environment_release(last);
    return now;
}

int tdm_command_lane_order(struct tdm_command_lane *lane, const tandem_task *task, tandem_report *report)
{
    struct order *order = tdm_calloc(1, sizeof *order);
    if (!order) return -ENOMEM;
    if (!task->command->env) {
        order->environment = take_environment(lane);
        if (!order->environment) {
            free(order);
            return -ENOMEM;
        }
    }
    tdm_report_keep(report, order, release_order);
    return 0;
}

const struct tdm_environment *tdm_command_lane_environment(const tandem_task *task) { return order_of(task)->environment; }

/* ---- blocks ---- */

/* One is kept for the next command: making one takes as long as the rest of the preparations. */
struct tdm_program_block tdm_command_lane_take_block(struct tdm_command_lane *lane)
{
    lock(lane);
    struct tdm_program_block block = lane->spare;
    lane->spare = TDM_NO_BLOCK;
    unlock(lane);
    return block;
}

void tdm_command_lane_give_block(struct tdm_command_lane *lane, struct tdm_program_block *block)
{
    lock(lane);
    bool keep = !lane->spare.program && !lane->closing;
    if (keep) {
        lane->spare = *block;
        *block = TDM_NO_BLOCK;
    }
    unlock(lane);
    tdm_program_drop(block);
}

/* ---- seats ---- */

/* Of a pipeline the first stage says it for all. */
static bool needs_seat(struct tdm_task *task)
{
    const struct order *order = order_of(tdm_task_public(task));
    return !(order->pipeline != 0 ? order->dedicated : tdm_task_public(task)->flags & TANDEM_DEDICATED);
}

/* With the lock held.  Those in a pipeline behind the first find room in any case. */
static bool has_room(const struct tdm_command_lane *lane) { return !lane->is_short && lane->seated < lane->options->processes; }

static void take_seat(struct tdm_command_lane *lane, bool seat)
{
    lane->alive++;
    if (seat) lane->seated++;
}

static bool leave_seat(struct tdm_command_lane *lane, bool seat)
{
    lane->alive--;
    if (seat) lane->seated--;
    lane->is_short = false;
    add_seq(&lane->ends, 1); /* [command-ends] */
    tdm_futex_wake_all(&lane->ends);
    return !tdm_lane_is_empty_locked(&lane->lane);
}

/* ---- starting: any thread ---- */

/* It has ended without a run. */
static void give_seat_up(struct tdm_command_lane *lane, bool seat)
{
    lock(lane);
    if (leave_seat(lane, seat)) tdm_reactor_post(&lane->tend_job);
    unlock(lane);
}

/* Not started after all. */
static void give_up(struct tdm_command_lane *lane, struct tdm_task *task, bool seat, int error, const char *step)
{
    tdm_task_finish(task, &(struct tdm_outcome){.status = TANDEM_NOT_STARTED, .code = error, .step = step}, NULL);
    give_seat_up(lane, seat);
}

/* The program has no more descriptors or memory now: while others run it waits, for they will give some back.  A cancel that came before the lock
 * has left its wish; one that comes after it finds the task in the queue [wishes]. */
static bool put_off(struct tdm_command_lane *lane, struct tdm_task *task, bool seat, int error)
{
    if (error != EMFILE && error != ENFILE && error != ENOMEM && error != EAGAIN) return false;
    lock(lane);
    bool cancelled = load_seq(&task->wishes) & TDM_WISH_CANCEL;
    bool others = !cancelled && lane->alive > 1 && !lane->closing && order_of(tdm_task_public(task))->pipeline == 0;
    if (others) {
        leave_seat(lane, seat);
        lane->is_short = true;
        tdm_lane_put_back_locked(&lane->lane, task);
    }
    unlock(lane);
    if (cancelled) {
        tdm_lane_end_cancelled(task);
        give_seat_up(lane, seat);
    }
    return others || cancelled;
}

/* A task that has taken its seat; the ends are -1 or its ends of a pipeline, and taken over. */
static void start(struct tdm_command_lane *lane, struct tdm_task *task, bool seat, int ends[2])
{
    const char *step;
    int error;
    if (!tdm_lane_begin(&lane->lane, task, NULL)) {
        tdm_fds_close(&ends[0]);
        tdm_fds_close(&ends[1]);
        give_seat_up(lane, seat);
        return;
    }
    struct tdm_run *run = tdm_run_make(lane, task, ends, &error, &step);
    if (!run) {
        if (!put_off(lane, task, seat, error)) give_up(lane, task, seat, error, step);
        return;
    }
    run->has_seat = seat;
    lock(lane);
    task->place = run;
    tdm_list_push_back(&lane->begun, &run->link);
    tdm_reactor_post(&lane->tend_job); /* without the lock the lane might be gone */
    unlock(lane);
}

/* Between one stage and the next, if that is there: where it has been cancelled, or none could be had, it is as if it had read nothing and
 * ended. */
static void connect(struct tdm_task *task, struct tdm_task *next, int *output, int *next_input)
{
    int fds[2];
    const struct order *order = order_of(tdm_task_public(task));
    *output = *next_input = -1;
    if (order->stage + 1 >= order->stages || tdm_fds_pipe(fds) != 0) return;
    *output = fds[1];
    if (next && order_of(tdm_task_public(next))->stage == order->stage + 1)
        *next_input = fds[0];
    else
        tdm_fds_close(&fds[0]);
}

/* What belongs together starts together.  All have their seats. */
static void start_all(struct tdm_command_lane *lane, struct tdm_node *tasks)
{
    int input = -1;
    for (struct tdm_node *node; (node = tdm_list_pop_front(tasks)) != NULL;) {
        struct tdm_task *task = container_of(node, struct tdm_task, link);
        struct tdm_task *next = tdm_list_empty(tasks) ? NULL : container_of(tasks->next, struct tdm_task, link);
        int ends[2] = {input, -1};
        connect(task, next, &ends[1], &input);
        start(lane, task, needs_seat(task), ends);
    }
}

static void take_one(struct tdm_command_lane *lane, struct tdm_task *task, struct tdm_node *tasks)
{
    take_seat(lane, needs_seat(task));
    tdm_list_push_back(tasks, &task->link);
}

/* With the lock held: the next that may start now, with what belongs to it; all HELD, and seated.  The stages of a pipeline lie one behind the
 * other, in one queue. */
static bool take_next(struct tdm_command_lane *lane, struct tdm_node *tasks)
{
    struct tdm_task *first = tdm_lane_peek_locked(&lane->lane);
    tdm_list_init(tasks);
    if (!first || lane->is_short || (needs_seat(first) && !has_room(lane))) return false;
    uint64_t pipeline = order_of(tdm_task_public(first))->pipeline;
    struct tdm_node *queue = first->link.previous;
    take_one(lane, tdm_lane_dequeue_locked(&lane->lane), tasks);
    while (pipeline != 0 && !tdm_list_empty(queue)) {
        struct tdm_task *next = container_of(queue->next, struct tdm_task, link);
        if (order_of(tdm_task_public(next))->pipeline != pipeline) break;
        take_one(lane, tdm_lane_dequeue_from_locked(&lane->lane, queue), tasks);
    }
    return true;
}

/* ---- the lane's contract ---- */

/* Taken, and ended at once. */
static int refuse(struct tdm_command_lane *lane, struct tdm_task *task)
{
    lock(lane);
    int admission = tdm_ledger_admit(&lane->lane.core->ledger, lane->lane.core, false, false);
    unlock(lane);
    if (admission < 0) return admission;
    tdm_task_move(task, TDM_QUEUED, TDM_HELD);
    tdm_task_finish(
        task, &(struct tdm_outcome){.status = TANDEM_NOT_STARTED, .code = lane->cannot_start, .step = lane->cannot_step}, NULL);
    return 0;
}

/* With the lock held: does a task that comes now start at once? */
static bool may_start_now(const struct tdm_command_lane *lane, struct tdm_task *task)
{
    return !needs_seat(task) || (has_room(lane) && tdm_lane_is_empty_locked(&lane->lane));
}

static int submit(struct tdm_lane *base, struct tdm_task *task)
{
    struct tdm_command_lane *lane = mine(base);
    if (lane->cannot_start != 0) return refuse(lane, task);
    bool now, seat = needs_seat(task), cancelled = false;
    int admission;
    lock(lane);
    do {
        now = may_start_now(lane, task);
        admission = tdm_ledger_admit(&base->core->ledger, base->core, !now, false);
    } while (admission == TDM_LOOK_AGAIN);
    if (admission == TDM_ADMITTED && now) {
        tdm_task_move(task, TDM_QUEUED, TDM_HELD);
        take_seat(lane, seat);
    } else if (admission == TDM_ADMITTED) {
        cancelled = !tdm_lane_enqueue_locked(base, task);
    }
    unlock(lane);
    if (admission == TDM_ADMITTED && now) start(lane, task, seat, (int[2]){-1, -1});
    if (cancelled) tdm_lane_end_cancelled(task);
    return admission;
}

/* With the lock held: what is to start at once goes to the first list, what was cancelled on its way here to the second. */
static void take_in(struct tdm_command_lane *lane, struct tdm_task *task, bool now, struct tdm_node *together,
                    struct tdm_node *cancelled)
{
    if (now) {
        tdm_task_move(task, TDM_QUEUED, TDM_HELD);
        take_seat(lane, needs_seat(task));
        tdm_list_push_back(together, &task->link);
    } else if (!tdm_lane_enqueue_locked(&lane->lane, task)) {
        tdm_list_push_back(cancelled, &task->link);
    }
}

static void number_stages(struct tdm_command_lane *lane, struct tdm_task *const *tasks, size_t count)
{
    lane->pipelines++;
    for (size_t i = 0; i < count; i++) {
        struct order *order = order_of(tdm_task_public(tasks[i]));
        order->pipeline = lane->pipelines;
        order->stage = i;
        order->stages = count;
        order->dedicated = tdm_task_public(tasks[0])->flags & TANDEM_DEDICATED;
    }
}

static int refuse_all(struct tdm_command_lane *lane, struct tdm_task *const *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int error = refuse(lane, tasks[i]);
        if (error != 0 && i == 0) return error;
    }
    return 0;
}

/* Stages behind the first go beyond the limit of the queue, for a pipeline is taken whole or not at all. */
int tdm_command_lane_submit_pipeline(struct tdm_command_lane *lane, struct tdm_task *const *tasks, size_t count)
{
    struct tdm_ledger *ledger = &lane->lane.core->ledger;
    struct tdm_node together, cancelled;
    bool now;
    int admission;
    if (lane->cannot_start != 0) return refuse_all(lane, tasks, count);
    tdm_list_init(&together);
    tdm_list_init(&cancelled);
    lock(lane);
    do {
        now = may_start_now(lane, tasks[0]);
        admission = tdm_ledger_admit(ledger, lane->lane.core, !now, false);
    } while (admission == TDM_LOOK_AGAIN);
    if (admission == TDM_ADMITTED) {
        tdm_ledger_admit_more(ledger, count - 1, !now);
        number_stages(lane, tasks, count);
        for (size_t i = 0; i < count; i++) take_in(lane, tasks[i], now, &together, &cancelled);
    }
    unlock(lane);
    start_all(lane, &together);
    for (struct tdm_node *node; (node = tdm_list_pop_front(&cancelled)) != NULL;)
        tdm_lane_end_cancelled(container_of(node, struct tdm_task, link));
    return admission;
}

static bool cancel(struct tdm_lane *base, struct tdm_task *task)
{
    struct tdm_command_lane *lane = mine(base);
    lock(lane);
    bool runs = tdm_task_state(load_seq(&task->state)) == TDM_HELD && task->place;
    if (runs) {
        lane->cancels = true;
        tdm_reactor_post(&lane->tend_job);
    }
    unlock(lane);
    return false;
}

static void deadline(struct tdm_lane *lane, struct tdm_task *task, enum tdm_deadline_kind kind)
{
    (void)kind; /* a running one's is its run's own */
    tdm_lane_expire(lane, task);
}

static void fill_stats(struct tdm_lane *lane, tandem_stats *stats) { (void)lane, (void)stats; }

static void begin_end(struct tdm_lane *base)
{
    struct tdm_command_lane *lane = mine(base);
    lock(lane);
    lane->closing = true;
    unlock(lane);
    tdm_lane_cancel_waiting(base);
    if (load_seq(&base->core->holds_reactor)) tdm_reactor_post(&lane->tend_job);
}

/* The reactor's last job for this lane comes after all others that were posted for it. */
static void end(struct tdm_lane *base)
{
    struct tdm_command_lane *lane = mine(base);
    if (!load_seq(&base->core->holds_reactor)) return;
    for (;;) {
        uint32_t ends = load_seq(&lane->ends); /* [command-ends] */
        lock(lane);
        bool quiet = lane->alive == 0;
        unlock(lane);
        if (quiet) break;
        tdm_futex_wait(&lane->ends, ends, TDM_FOREVER);
    }
    tdm_reactor_post(&lane->close_job);
    while (load_seq(&lane->closed) == 0) tdm_futex_wait(&lane->closed, 0, TDM_FOREVER); /* [command-closed] */
}

static const struct tdm_lane_ops ops = {
    .submit = submit, .cancel = cancel, .deadline = deadline, .fill_stats = fill_stats, .begin_end = begin_end, .end = end};

/* ---- the reactor ---- */

static struct tdm_run *run_at(struct tdm_node *node) { return container_of(node, struct tdm_run, link); }

static void begin_new(struct tdm_command_lane *lane)
{
    for (;;) {
        lock(lane);
        struct tdm_node *node = tdm_list_pop_front(&lane->begun);
        if (node) tdm_list_push_back(&lane->running, node);
        unlock(lane);
        if (!node) return;
        if (load_seq(&run_at(node)->task->wishes) & TDM_WISH_CANCEL) /* it came before there was a place to look [wishes] */
            tdm_run_stop(run_at(node), TANDEM_CANCELLED);
        else
            tdm_run_begin(run_at(node));
    }
}

/* What they do may end others of them, but none is freed here; then all is gone through again, which does nothing to those that have been seen
 * to. */
static void look_after_running(struct tdm_command_lane *lane, bool cancels, bool returns, bool closing)
{
    for (struct tdm_node *node = lane->running.next, *next; node != &lane->running; node = next) {
        struct tdm_run *run = run_at(node);
        next = node->next;
        bool cancelled = cancels && load_seq(&run->task->wishes) & TDM_WISH_CANCEL; /* [wishes] */
        if (returns) tdm_run_go_on(run);
        if (run->phase != TDM_RUN_ENDED && closing)
            tdm_run_close(run);
        else if (run->phase != TDM_RUN_ENDED && cancelled)
            tdm_run_stop(run, TANDEM_CANCELLED);
        if (next != &lane->running && run_at(next)->phase == TDM_RUN_ENDED) next = lane->running.next;
    }
}

static void start_waiting(struct tdm_command_lane *lane)
{
    for (;;) {
        struct tdm_node tasks;
        lock(lane);
        bool some = !lane->closing && take_next(lane, &tasks);
        unlock(lane);
        if (!some) return;
        start_all(lane, &tasks);
    }
}

static void free_dead(struct tdm_command_lane *lane)
{
    for (struct tdm_node *node; (node = tdm_list_pop_front(&lane->dead)) != NULL;) tdm_run_free(run_at(node));
}

static void tend(struct tdm_job *job)
{
    struct tdm_command_lane *lane = container_of(job, struct tdm_command_lane, tend_job);
    if (!lane->listening && lane->cannot_start == 0) {
        tdm_guards_listen();
        lane->listening = true;
    }
    free_dead(lane);
    begin_new(lane);
    lock(lane);
    bool cancels = lane->cancels, returns = lane->returns, closing = lane->closing;
    lane->cancels = lane->returns = false;
    unlock(lane);
    if (cancels || returns || closing) look_after_running(lane, cancels, returns, closing);
    start_waiting(lane);
}

static void close_lane(struct tdm_job *job)
{
    struct tdm_command_lane *lane = container_of(job, struct tdm_command_lane, close_job);
    free_dead(lane);
    if (lane->listening) tdm_guards_unlisten();
    lane->listening = false;
    store_seq(&lane->closed, 1); /* [command-closed] */
    tdm_futex_wake_all(&lane->closed);
}

void tdm_command_lane_note_return(struct tdm_command_lane *lane)
{
    lane->returns = true;
    tdm_reactor_post(&lane->tend_job);
}

void tdm_command_lane_finish(struct tdm_command_lane *lane, struct tdm_run *run, const struct tdm_outcome *outcome)
{
    struct tdm_task *task = run->task;
    lock(lane);
    task->place = NULL;
    tdm_list_remove(&run->link);
    tdm_list_push_back(&lane->dead, &run->link);
    unlock(lane);
    tdm_task_finish(task, outcome, NULL);
    lock(lane);
    leave_seat(lane, run->has_seat);
    tdm_reactor_post(&lane->tend_job); /* under the lock, so it comes before close_job, which is posted when nothing is alive */
    unlock(lane);
}

/* ---- looking in ---- */

/* A run's start is settled when its pid is seen. */
size_t tdm_command_lane_view(struct tdm_command_lane *lane, struct tdm_command_view *views, size_t most)
{
    size_t count = 0;
    lock(lane);
    for (struct tdm_node *node = lane->running.next; node != &lane->running && count < most; node = node->next) {
        struct tdm_run *run = run_at(node);
        const tandem_task *task = tdm_task_public(run->task);
        const char *name = task->name ? task->name : task->command->argv ? task->command->argv[0] : task->command->shell;
        if (run->seen_pid == 0) continue;
        views[count] = (struct tdm_command_view){.pid = run->seen_pid, .since_ns = run->started_ns};
        snprintf(views[count++].name, sizeof views->name, "%s", name);
    }
    unlock(lane);
    return count;
}

/* ---- opening ---- */

void tdm_command_lane_open(struct tdm_command_lane *lane, struct tdm_core *core, const tandem_options *options, int error,
                           const char *step)
{
    tdm_lane_open(&lane->lane, &ops, core);
    lane->options = options;
    lane->cannot_start = error;
    lane->cannot_step = step;
    tdm_list_init(&lane->begun);
    tdm_list_init(&lane->running);
    tdm_list_init(&lane->dead);
    lane->spare = TDM_NO_BLOCK;
    lane->tend_job.run = tend;
    lane->close_job.run = close_lane;
}

void tdm_command_lane_free(struct tdm_command_lane *lane)
{
    tdm_environment_release(lane->environment);
    tdm_program_drop(&lane->spare);
}
