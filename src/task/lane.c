/* lane.c - the queue that each lane has. */
#include "task/lane.h"

#include "base/clock.h"

void tdm_lane_open(struct tdm_lane *lane, const struct tdm_lane_ops *ops, struct tdm_core *core)
{
    lane->ops = ops;
    lane->core = core;
    tdm_list_init(&lane->queue);
    tdm_ranks_open(&lane->ranks);
}

/* One for a worker of its own waits for that alone.  (A command waits, if it does, with the pipeline that it is a stage of.) */
static bool is_ranked(struct tdm_task *task)
{
    const tandem_task *public = tdm_task_public(task);
    return public->priority != 0 && (public->command || !(public->flags & TANDEM_DEDICATED));
}

static struct tdm_node *queue_for(struct tdm_lane *lane, struct tdm_task *task)
{
    if (!is_ranked(task)) return &lane->queue;
    tdm_ranks_count(&lane->ranks, 1);
    return tdm_ranks_queue(&lane->ranks, tdm_task_public(task)->priority);
}

/* A cancel that came before this lock has left its wish; one that comes after it finds the task in the queue [wishes].  Armed under the
 * lock: a worker that takes the task at once finds the clock running and can stop it. */
bool tdm_lane_enqueue_locked(struct tdm_lane *lane, struct tdm_task *task)
{
    struct tdm_core *core = lane->core;
    if (load_seq(&task->wishes) & TDM_WISH_CANCEL) {
        tdm_ledger_taken(&core->ledger, 1);
        tdm_task_move(task, TDM_QUEUED, TDM_HELD);
        return false;
    }
    tdm_list_push_back(queue_for(lane, task), &task->link);
    if (task->queued_ns == 0 && core->ledger.submitted % TDM_SAMPLE_EVERY == 1) task->queued_ns = tdm_clock_ns();
    if (tdm_task_public(task)->queue_timeout_ms != 0) tdm_deadlines_arm(&core->deadlines, task, task->deadline.key, TDM_OF_WAITING);
    return true;
}

/* The time that its waiting may take went on meanwhile; one that has run has waited enough. */
void tdm_lane_put_back_locked(struct tdm_lane *lane, struct tdm_task *task)
{
    tdm_task_move(task, TDM_HELD, TDM_QUEUED);
    tdm_ledger_entered(&lane->core->ledger);
    tdm_list_push_front(queue_for(lane, task), &task->link);
    if (tdm_task_public(task)->queue_timeout_ms != 0 && !task->retried)
        tdm_deadlines_arm(&lane->core->deadlines, task, task->deadline.key, TDM_OF_WAITING);
}

static void take_out_locked(struct tdm_lane *lane, struct tdm_task *task)
{
    tdm_list_remove(&task->link);
    if (is_ranked(task)) tdm_ranks_count(&lane->ranks, -1);
    tdm_ledger_taken(&lane->core->ledger, 1);
    tdm_task_move(task, TDM_QUEUED, TDM_HELD);
}

struct tdm_task *tdm_lane_dequeue_from_locked(struct tdm_lane *lane, struct tdm_node *part)
{
    if (tdm_list_empty(part)) return NULL;
    struct tdm_task *task = container_of(part->next, struct tdm_task, link);
    take_out_locked(lane, task);
    return task;
}

struct tdm_task *tdm_lane_dequeue_ranked_locked(struct tdm_lane *lane, bool usual_waits)
{
    if (tdm_ranks_hint(&lane->ranks) == 0) return NULL;
    struct tdm_node *queue = tdm_ranks_turn(&lane->ranks, usual_waits);
    tdm_ranks_took(&lane->ranks, queue, usual_waits);
    return queue ? tdm_lane_dequeue_from_locked(lane, queue) : NULL;
}

struct tdm_task *tdm_lane_dequeue_locked(struct tdm_lane *lane)
{
    struct tdm_task *task = tdm_lane_dequeue_ranked_locked(lane, !tdm_list_empty(&lane->queue));
    return task ? task : tdm_lane_dequeue_from_locked(lane, &lane->queue);
}

bool tdm_lane_is_empty_locked(const struct tdm_lane *lane)
{
    return tdm_list_empty(&lane->queue) && tdm_list_empty(&lane->ranks.high) && tdm_list_empty(&lane->ranks.low);
}

struct tdm_task *tdm_lane_peek_locked(struct tdm_lane *lane)
{
    if (tdm_lane_is_empty_locked(lane)) return NULL;
    struct tdm_node *queue = tdm_ranks_turn(&lane->ranks, !tdm_list_empty(&lane->queue));
    return container_of((queue ? queue : &lane->queue)->next, struct tdm_task, link);
}

bool tdm_lane_take_back(struct tdm_lane *lane, struct tdm_task *task)
{
    return lane->ops->take_back ? lane->ops->take_back(lane, task) : tdm_lane_take_back_from_list(lane, task);
}

bool tdm_lane_take_back_from_list(struct tdm_lane *lane, struct tdm_task *task)
{
    struct tdm_ledger *ledger = &lane->core->ledger;
    tdm_ledger_lock(ledger);
    bool taken = tdm_task_state(load_seq(&task->state)) == TDM_QUEUED && !tdm_list_empty(&task->link);
    if (taken) take_out_locked(lane, task);
    tdm_ledger_unlock(ledger);
    return taken;
}

/* A cancel may have met the task on its way into the queue, when it could not be taken back yet. */
bool tdm_lane_begin(struct tdm_lane *lane, struct tdm_task *task, struct tdm_tally *tally)
{
    bool late = false;
    if (tdm_task_public(task)->queue_timeout_ms != 0) {
        tdm_deadlines_disarm(&lane->core->deadlines, task);
        late = !task->retried && tdm_clock_ns() >= task->deadline.key;
    }
    bool cancelled = load_seq(&task->wishes) & TDM_WISH_CANCEL; /* [wishes] */
    if (!late && !cancelled) return true;
    tdm_task_finish(task, &(struct tdm_outcome){.status = cancelled ? TANDEM_CANCELLED : TANDEM_EXPIRED}, tally);
    return false;
}

void tdm_lane_end_cancelled(struct tdm_task *task)
{
    if (tdm_task_public(task)->queue_timeout_ms != 0) tdm_deadlines_disarm(&task->lane->core->deadlines, task);
    tdm_task_finish(task, &(struct tdm_outcome){.status = TANDEM_CANCELLED}, NULL);
}

void tdm_lane_cancel_waiting_in(struct tdm_lane *lane, struct tdm_node *part)
{
    for (;;) {
        tdm_ledger_lock(&lane->core->ledger);
        struct tdm_task *task = tdm_lane_dequeue_from_locked(lane, part);
        tdm_ledger_unlock(&lane->core->ledger);
        if (!task) return;
        tdm_lane_end_cancelled(task);
    }
}

void tdm_lane_cancel_waiting(struct tdm_lane *lane)
{
    tdm_lane_cancel_waiting_in(lane, &lane->ranks.high);
    tdm_lane_cancel_waiting_in(lane, &lane->queue);
    tdm_lane_cancel_waiting_in(lane, &lane->ranks.low);
}

void tdm_lane_expire(struct tdm_lane *lane, struct tdm_task *task)
{
    if (tdm_lane_take_back(lane, task)) tdm_task_finish(task, &(struct tdm_outcome){.status = TANDEM_EXPIRED}, NULL);
}
