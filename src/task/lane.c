/* lane.c - the queue that each lane has. */
#include "task/lane.h"

#include "base/clock.h"

void tdm_lane_open(struct tdm_lane *lane, const struct tdm_lane_ops *ops, struct tdm_core *core)
{
    lane->ops = ops;
    lane->core = core;
    tdm_list_init(&lane->queue);
}

/* Armed under the ledger's lock: a worker that takes the task at once finds the clock running and can stop it. */
void tdm_lane_enqueue_locked(struct tdm_lane *lane, struct tdm_task *private)
{
    const tandem_task *task = tdm_task_public(private);
    tdm_list_push_back(&lane->queue, &private->link);
    lane->queued++;
    if (task->queue_timeout_ms == 0) return;
    uint64_t at = tdm_clock_deadline((int64_t)task->queue_timeout_ms);
    tdm_deadlines_arm(&lane->core->deadlines, private, at, TDM_OF_WAITING);
}

/* The time that its waiting may take went on meanwhile. */
void tdm_lane_put_back_locked(struct tdm_lane *lane, struct tdm_task *task)
{
    tdm_task_move(task, TDM_HELD, TDM_QUEUED);
    lane->core->ledger.waiting++;
    lane->queued++;
    tdm_list_push_front(&lane->queue, &task->link);
    if (tdm_task_public(task)->queue_timeout_ms != 0)
        tdm_deadlines_arm(&lane->core->deadlines, task, task->deadline.key, TDM_OF_WAITING);
}

static void leave_queue_locked(struct tdm_lane *lane, struct tdm_task *task)
{
    tdm_list_remove(&task->link);
    lane->queued--;
    tdm_task_move(task, TDM_QUEUED, TDM_HELD);
    tdm_ledger_left_queue(&lane->core->ledger);
}

struct tdm_task *tdm_lane_dequeue_locked(struct tdm_lane *lane)
{
    if (tdm_list_empty(&lane->queue)) return NULL;
    struct tdm_task *task = container_of(lane->queue.next, struct tdm_task, link);
    leave_queue_locked(lane, task);
    return task;
}

/* QUEUED and in the list are the same under the lock, except between a submit's first move and its enqueue: then the links point to
 * themselves, and the task cannot be had yet. */
bool tdm_lane_take_back(struct tdm_lane *lane, struct tdm_task *task)
{
    struct tdm_ledger *ledger = &lane->core->ledger;
    tdm_ledger_lock(ledger);
    bool taken = tdm_task_state(load_seq(&task->state)) == TDM_QUEUED && !tdm_list_empty(&task->link);
    if (taken) leave_queue_locked(lane, task);
    tdm_ledger_unlock(ledger);
    return taken;
}

/* A cancel may have met the task on its way into the queue, when it could not be taken back yet. */
bool tdm_lane_begin(struct tdm_lane *lane, struct tdm_task *task, struct tdm_tally *tally)
{
    bool late = false;
    if (tdm_task_public(task)->queue_timeout_ms != 0) {
        tdm_deadlines_disarm(&lane->core->deadlines, task);
        late = tdm_clock_ns() >= task->deadline.key;
    }
    bool cancelled = load_seq(&task->wishes) & TDM_WISH_CANCEL; /* [wishes] */
    if (!late && !cancelled) return true;
    tdm_task_finish(task, &(struct tdm_outcome){.status = cancelled ? TANDEM_CANCELLED : TANDEM_EXPIRED}, tally);
    return false;
}

void tdm_lane_cancel_waiting(struct tdm_lane *lane)
{
    for (;;) {
        tdm_ledger_lock(&lane->core->ledger);
        struct tdm_task *task = tdm_lane_dequeue_locked(lane);
        tdm_ledger_unlock(&lane->core->ledger);
        if (!task) return;
        tdm_deadlines_disarm(&lane->core->deadlines, task);
        tdm_task_finish(task, &(struct tdm_outcome){.status = TANDEM_CANCELLED}, NULL);
    }
}

void tdm_lane_expire(struct tdm_lane *lane, struct tdm_task *task)
{
    if (tdm_lane_take_back(lane, task)) tdm_task_finish(task, &(struct tdm_outcome){.status = TANDEM_EXPIRED}, NULL);
}
