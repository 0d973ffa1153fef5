/* deadlines.c - a pool's tasks that must not wait, or not run, beyond a point in time. */
#include "task/deadlines.h"

#include "base/clock.h"
#include "task/lane.h"

static void lock(struct tdm_deadlines *deadlines) { tdm_lock(&deadlines->lock, TDM_RANK_DEADLINES); }
static void unlock(struct tdm_deadlines *deadlines) { tdm_unlock(&deadlines->lock, TDM_RANK_DEADLINES); }

/* The last bit of a deadline says of what it is. */
#define KIND ((uint64_t)1)

/* The earliest that is over, marked as firing; NULL: none, and the timer is set for the next. */
static struct tdm_task *take_due(struct tdm_deadlines *deadlines, enum tdm_deadline_kind *kind)
{
    struct tdm_heap_node *root = deadlines->tasks.root;
    if (!root) return NULL;
    if (root->key > tdm_clock_ns()) {
        tdm_reactor_set_timer(&deadlines->timer, root->key);
        return NULL;
    }
    struct tdm_task *task = container_of(root, struct tdm_task, deadline);
    tdm_heap_remove(&deadlines->tasks, root);
    deadlines->firing = task;
    *kind = task->deadline.key & KIND ? TDM_OF_RUNNING : TDM_OF_WAITING;
    return task;
}

/* The task cannot end by other hands while it is firing, because whoever ends it disarms it first; the lane itself may end it. */
static void due(struct tdm_timer *timer)
{
    struct tdm_deadlines *deadlines = container_of(timer, struct tdm_deadlines, timer);
    enum tdm_deadline_kind kind = TDM_OF_WAITING;
    lock(deadlines);
    for (struct tdm_task *task; (task = take_due(deadlines, &kind)) != NULL;) {
        unlock(deadlines);
        task->lane->ops->deadline(task->lane, task, kind);
        lock(deadlines);
        deadlines->firing = NULL;
        add_seq(&deadlines->fired, 1); /* [deadline-fired] */
        tdm_futex_wake_all(&deadlines->fired);
    }
    unlock(deadlines);
}

void tdm_deadlines_open(struct tdm_deadlines *deadlines) { deadlines->timer.due = due; }

void tdm_deadlines_close(struct tdm_deadlines *deadlines) { tdm_reactor_clear_timer(&deadlines->timer); }

void tdm_deadlines_arm(struct tdm_deadlines *deadlines, struct tdm_task *task, uint64_t at_ns, enum tdm_deadline_kind kind)
{
    lock(deadlines);
    tdm_heap_insert(&deadlines->tasks, &task->deadline, (at_ns & ~KIND) | (kind == TDM_OF_RUNNING ? KIND : 0));
    if (deadlines->tasks.root == &task->deadline) tdm_reactor_set_timer(&deadlines->timer, at_ns);
    unlock(deadlines);
}

void tdm_deadlines_disarm(struct tdm_deadlines *deadlines, struct tdm_task *task)
{
    lock(deadlines);
    tdm_heap_remove(&deadlines->tasks, &task->deadline);
    while (deadlines->firing == task) {
        uint32_t seen = load_seq(&deadlines->fired); /* changed under the lock, so not missed [deadline-fired] */
        unlock(deadlines);
        tdm_futex_wait(&deadlines->fired, seen, TDM_FOREVER);
        lock(deadlines);
    }
    unlock(deadlines);
}
