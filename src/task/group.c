/* group.c - tasks waited for together. */
#include "task/group.h"

#include "base/clock.h"
#include "base/identity.h"
#include "base/lock.h"
#include "task/lane.h"
#include "task/self.h"
#include "task/wait.h"

#include <errno.h>

/* What a tandem_group's words hold.  Zeroed: empty. */
struct TDM_MAY_ALIAS group {
    struct tdm_node tasks;    /* not ended yet; a zeroed head is made into an empty one by the first join */
    uint32_t open;            /* not ended, or on_done has not returned */
    int32_t status;           /* the first that was not OK, or 0 */
    _Atomic uint32_t emptied; /* counts the times open fell to 0; waiters sleep on it [group-emptied] */
};

_Static_assert(sizeof(struct group) <= sizeof(tandem_group), "it fits the public struct");

/* The locks lie outside of the groups, because a zeroed group must be ready and an emptied one may be freed at once. */
static struct tdm_lock locks[64];

void tdm_group_reset(void)
{
    for (size_t i = 0; i < sizeof locks / sizeof *locks; i++) locks[i] = (struct tdm_lock){0};
}

static struct tdm_lock *lock_of(const tandem_group *group) { return &locks[((uintptr_t)group >> 4 ^ (uintptr_t)group >> 10) % 64]; }
static void lock(const tandem_group *group) { tdm_lock(lock_of(group), TDM_RANK_GROUP); }
static void unlock(const tandem_group *group) { tdm_unlock(lock_of(group), TDM_RANK_GROUP); }
static struct group *inside_of(tandem_group *group) { return (struct group *)(void *)group->reserved; }

void tdm_group_join(tandem_group *public, struct tdm_task *task)
{
    struct group *group = inside_of(public);
    lock(public);
    if (!group->tasks.next) tdm_list_init(&group->tasks);
    tdm_list_push_back(&group->tasks, &task->in_group);
    group->open++;
    unlock(public);
}

static void leave(tandem_group *public, bool drop, struct tdm_task *task)
{
    struct group *group = inside_of(public);
    lock(public);
    if (drop) tdm_list_remove(&task->in_group);
    bool emptied = --group->open == 0;
    if (emptied) add_seq(&group->emptied, 1); /* [group-emptied] */
    unlock(public);
    if (emptied) tdm_futex_wake_all(&group->emptied);
}

void tdm_group_unjoin(tandem_group *group, struct tdm_task *task) { leave(group, true, task); }
void tdm_group_leave(tandem_group *group) { leave(group, false, NULL); }

void tdm_group_drop(tandem_group *public, struct tdm_task *task, int status)
{
    struct group *group = inside_of(public);
    lock(public);
    tdm_list_remove(&task->in_group);
    if (group->status == 0 && status != TANDEM_OK) group->status = status;
    unlock(public);
}

/* With the lock held: the newest task that this thread may run itself, taken back, or NULL.  The newest, because the oldest will be
 * started by a worker next. */
static struct tdm_task *take_one(struct group *group)
{
    if (!group->tasks.next) return NULL;
    for (struct tdm_node *node = group->tasks.previous; node != &group->tasks; node = node->previous) {
        struct tdm_task *task = container_of(node, struct tdm_task, in_group);
        if (tdm_wait_may_help(task) && tdm_lane_take_back(task->lane, task)) return task;
    }
    return NULL;
}

/* 0: something is still open.  What was first not OK is given to one waiter, and the group starts anew. */
static int take_status(struct group *group)
{
    if (group->open > 0) return 0;
    int status = group->status ? group->status : (int)TANDEM_OK;
    group->status = 0;
    return status;
}

static void sleep_until_emptied(struct group *group, uint32_t seen, uint64_t deadline)
{
    tdm_self_block(true);
    tdm_futex_wait(&group->emptied, seen, deadline);
    tdm_self_block(false);
}

int tandem_group_wait(tandem_group *public, int64_t timeout_ms)
{
    if (!public) return -EINVAL;
    if (tdm_identity() == 0) return -EPERM;
    if (tdm_self_inside_group(public)) return -EDEADLK;
    struct group *group = inside_of(public);
    uint64_t deadline = tdm_clock_deadline(timeout_ms);
    for (;;) {
        lock(public);
        int status = take_status(group);
        struct tdm_task *task = status == 0 && deadline == TDM_FOREVER ? take_one(group) : NULL;
        uint32_t seen = load_seq(&group->emptied); /* [group-emptied] */
        unlock(public);
        if (status != 0) return status;
        if (task)
            task->lane->ops->run_here(task->lane, task);
        else if (deadline != TDM_FOREVER && tdm_clock_ns() >= deadline)
            return TANDEM_PENDING;
        else
            sleep_until_emptied(group, seen, deadline);
    }
}

/* Each round takes the first that has not been asked yet.  The lock keeps the tasks from ending meanwhile; so one that is to be ended
 * here is ended without it. */
static struct tdm_task *next_to_cancel(struct group *group)
{
    for (struct tdm_node *node = group->tasks.next; node && node != &group->tasks; node = node->next) {
        struct tdm_task *task = container_of(node, struct tdm_task, in_group);
        if (!(load_seq(&task->wishes) & TDM_WISH_CANCEL)) return task;
    }
    return NULL;
}

int tandem_group_cancel(tandem_group *public)
{
    if (!public) return -EINVAL;
    if (tdm_identity() == 0) return -EPERM;
    struct group *group = inside_of(public);
    int asked = 0;
    for (;;) {
        lock(public);
        struct tdm_task *task = next_to_cancel(group);
        bool taken = false;
        if (task) {
            tdm_task_wish(task, TDM_WISH_CANCEL);
            taken = tdm_lane_take_back(task->lane, task) || task->lane->ops->cancel(task->lane, task);
        }
        unlock(public);
        if (!task) return asked;
        if (taken) tdm_lane_end_cancelled(task);
        asked++;
    }
}
