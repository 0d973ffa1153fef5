/* wait.c - waiting for tasks, and cancelling them. */
#include "task/wait.h"

#include "base/clock.h"
#include "base/identity.h"
#include "base/lock.h"
#include "task/lane.h"
#include "task/self.h"

#include <errno.h>

/* ---- doors ---- */

/* A task that has not ended keeps its pool alive, and an ended one may have been the last.  Who merely waits for a task therefore touches its
 * pool only behind a door, after another look at the task; and a pool, when all its tasks have ended, passes through every door before it
 * goes.  The locks lie outside of pools and tasks, because either may be gone. */
static struct tdm_lock doors[64];

static struct tdm_lock *door_of(const struct tdm_task *task)
{
    return &doors[((uintptr_t)task >> 6 ^ (uintptr_t)task >> 12) % (sizeof doors / sizeof *doors)];
}

void tdm_wait_pass_doors(void)
{
    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++) {
        tdm_lock(&doors[i], TDM_RANK_DOOR);
        tdm_unlock(&doors[i], TDM_RANK_DOOR);
    }
}

void tdm_wait_reset(void)
{
    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++) doors[i] = (struct tdm_lock){0};
}

/* ---- sleeping until a task has ended ---- */

/* Ended, or never taken after all: a submit that waited for room was refused at last. */
static bool is_settled(uint32_t word) { return tdm_task_state(word) == TDM_ENDED || tdm_task_is_new(word); }

/* The word with the mark set, or of a settled task.  The mark and the state are one word, so an end either sees the mark or is seen
 * here. */
static uint32_t mark(struct tdm_task *task, enum tdm_task_mark wanted)
{
    uint32_t word = load_seq(&task->state);
    while (!is_settled(word) && !(word & (uint32_t)wanted))
        if (cas_seq(&task->state, &word, word | (uint32_t)wanted)) word |= (uint32_t)wanted;
    return word;
}

static bool has_ended(struct tdm_task *task) { return tdm_task_state(load_seq(&task->state)) == TDM_ENDED; /* [task-end] */ }

static bool is_over(uint64_t deadline) { return deadline != TDM_FOREVER && tdm_clock_ns() >= deadline; }

bool tdm_wait_is_over(struct tdm_task *task, uint64_t deadline) { return is_settled(load_seq(&task->state)) || is_over(deadline); }

void tdm_wait_sleep(struct tdm_task *task, uint64_t deadline)
{
    uint32_t word = mark(task, TDM_WAITED);
    if (!is_settled(word)) tdm_futex_wait(&task->state, word, deadline);
}

/* A guest of its lane's, which will wait for this thread; false: it has ended, or nobody can do anything for it. */
static bool enter(struct tdm_task *task)
{
    tdm_lock(door_of(task), TDM_RANK_DOOR);
    bool enters = !is_settled(load_seq(&task->state)) && task->lane->ops->enter;
    if (enters) task->lane->ops->enter(task->lane);
    tdm_unlock(door_of(task), TDM_RANK_DOOR);
    return enters;
}

/* Its status, TANDEM_PENDING when the time is over, or -EINVAL if it was not taken after all. */
static int sleep_until_ended(struct tdm_task *task, uint64_t deadline)
{
    if (!tdm_wait_is_over(task, deadline) && enter(task)) task->lane->ops->await(task->lane, task, deadline);
    for (;;) { /* from here on nothing but the task is touched: the pool may end */
        uint32_t word = load_seq(&task->state);
        if (tdm_task_is_new(word)) return -EINVAL;
        if (tdm_task_state(word) == TDM_ENDED) return tdm_task_public(task)->status;
        if (is_over(deadline)) return TANDEM_PENDING;
        tdm_wait_sleep(task, deadline);
    }
}

/* ---- helping ---- */

bool tdm_wait_may_help(const struct tdm_task *private)
{
    const tandem_task *task = tdm_task_public((struct tdm_task *)(uintptr_t) private);
    const struct tdm_core *core = private->lane->core;
    if (!private->lane->ops->run_here || task->flags & (TANDEM_NO_HELP | TANDEM_DEDICATED)) return false;
    if (tdm_self_worker(core)) return true;
    return core->waiters_help && task->timeout_ms == 0 && !task->on_done && !task->on_message;
}

static bool is_queued(const struct tdm_task *task) { return tdm_task_state(load_seq(&task->state)) == TDM_QUEUED; }

/* Once it is taken back it cannot end by other hands, and nor can its pool. */
static void help(struct tdm_task *task)
{
    if (!is_queued(task)) return;
    tdm_lock(door_of(task), TDM_RANK_DOOR);
    bool taken = is_queued(task) && tdm_wait_may_help(task) && tdm_lane_take_back(task->lane, task);
    tdm_unlock(door_of(task), TDM_RANK_DOOR);
    if (taken) task->lane->ops->run_here(task->lane, task);
}

/* ---- the calls ---- */

/* 0: it can be waited for. */
static int check(const tandem_task *public)
{
    if (!public) return -EINVAL;
    uint32_t me = tdm_identity();
    if (me == 0) return -EPERM;
    struct tdm_task *task = tdm_task_of((tandem_task *)(uintptr_t) public);
    uint32_t word = load_seq(&task->state);
    enum tdm_task_state state = tdm_task_state(word);
    if (tdm_task_is_new(word)) return -EINVAL;
    if (state != TDM_ENDED && task->home != (uint16_t)me) return -EPERM;
    return state != TDM_ENDED && tdm_self_inside_task(public) ? -EDEADLK : 0;
}

int tandem_wait(tandem_task *task)
{
    int error = check(task);
    if (error != 0) return error;
    if (has_ended(tdm_task_of(task))) return task->status;
    help(tdm_task_of(task));
    return sleep_until_ended(tdm_task_of(task), TDM_FOREVER);
}

int tandem_wait_for(tandem_task *task, int64_t timeout_ms)
{
    int error = check(task);
    if (error != 0) return error;
    if (has_ended(tdm_task_of(task))) return task->status;
    return timeout_ms == 0 ? TANDEM_PENDING : sleep_until_ended(tdm_task_of(task), tdm_clock_deadline(timeout_ms));
}

/* Counts the ends of tasks that somebody waits for among others; all who do sleep on it [any-ended]. */
static _Atomic uint32_t any_ended;

void tdm_wait_wake_any(void)
{
    add_seq(&any_ended, 1);
    tdm_futex_wake_all(&any_ended);
}

/* The index of the first that is settled, or -1; the others are marked. */
static int find_settled(tandem_task *const *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (tasks[i] && is_settled(mark(tdm_task_of(tasks[i]), TDM_WAITED_ANY))) return (int)i;
    return -1;
}

int tandem_wait_any(tandem_task *const *tasks, size_t count, int64_t timeout_ms)
{
    bool none = true;
    for (size_t i = 0; tasks && i < count; i++) {
        int error = tasks[i] ? check(tasks[i]) : 0;
        if (error != 0) return error;
        if (tasks[i]) none = false;
    }
    if (none) return tdm_identity() == 0 ? -EPERM : -EINVAL;
    uint64_t deadline = tdm_clock_deadline(timeout_ms);
    for (;;) {
        uint32_t seen = load_seq(&any_ended); /* before the look: an end after it changes the count [any-ended] */
        int index = find_settled(tasks, count);
        if (index >= 0) return has_ended(tdm_task_of(tasks[index])) ? index : -EINVAL;
        if (is_over(deadline)) return -ETIMEDOUT;
        tdm_futex_wait(&any_ended, seen, deadline);
    }
}

/* The wish comes first: a lane that is just about to start the task sees it, one that has started it is told. */
int tandem_cancel(tandem_task *public)
{
    if (!public) return -EINVAL;
    uint32_t me = tdm_identity();
    if (me == 0) return -EPERM;
    struct tdm_task *task = tdm_task_of(public);
    uint32_t word = load_seq(&task->state);
    if (tdm_task_is_new(word)) return -EINVAL;
    if (tdm_task_state(word) == TDM_ENDED) return -EALREADY;
    if (task->home != (uint16_t)me) return -EPERM;
    tdm_task_wish(task, TDM_WISH_CANCEL);
    if (tdm_lane_take_back(task->lane, task) || task->lane->ops->cancel(task->lane, task)) tdm_lane_end_cancelled(task);
    return 0;
}

int tandem_task_clear(tandem_task *public)
{
    if (!public) return -EINVAL;
    if (tdm_identity() == 0) return -EPERM;
    struct tdm_task *task = tdm_task_of(public);
    uint32_t word = load_seq(&task->state);
    enum tdm_task_state state = tdm_task_state(word);
    if ((state != TDM_NEW && state != TDM_ENDED) || word & TDM_OWED) return -EBUSY;
    if (state == TDM_NEW) return 0;
    tdm_task_free_results(public->output, task->release, public->report);
    public->output = NULL;
    public->output_size = 0;
    public->report = NULL;
    return 0;
}
