/* wait.c - waiting for tasks, and cancelling them. */
#define _POSIX_C_SOURCE 200809L
#include "task/wait.h"

#include "base/clock.h"
#include "base/identity.h"
#include "base/lock.h"
#include "base/watch.h"
#include "task/lane.h"
#include "task/self.h"

#include <errno.h>
#include <sched.h>

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

/* ---- giving way ---- */

/* On the only processor, who waits for one of many small tasks lets the pool's threads go on with them in a row: to take each back, or to be woken
 * for each, takes longer.  Others who want the processor may have it first, each for a time slice, so this must bring many ends. */
#define MANY         64    /* pay for two switches of the processor */
#define LONG_AWAY_NS 200   /* for each task that was taken up meanwhile */
#define TIMES_MOST   65536 /* a power of 2; to help with so many takes as long as a time slice */

static _Thread_local struct {
    const struct tdm_lane *lane; /* in favour of which it gave way last; NULL: it is known whether that paid.  May be gone */
    uint64_t left, away_ns;
    unsigned stays, still_to_stay; /* so many times it does not, learned; that are left of them */
} given;

static bool has_paid(const struct tdm_lane *lane, uint64_t left)
{
    return given.lane == lane && given.away_ns <= (left - given.left) * LONG_AWAY_NS;
}

/* A thread of the pool's own does not: it may be the only one. */
static bool wants_to_give_way(struct tdm_task *task)
{
    struct tdm_lane *lane = task->lane;
    if (!lane->core->one_processor || !lane->ops->holds_more || tdm_self_worker(lane->core)) return false;
    if (given.still_to_stay > 0) {
        given.still_to_stay--;
        return false;
    }
    uint64_t left = load_relaxed(&lane->core->ledger.left); /* relaxed: a hint */
    bool in_vain = given.lane && !has_paid(lane, left), many = lane->ops->holds_more(lane, task, MANY);
    if (given.lane) given.stays = in_vain ? (2 * given.stays + 1) % TIMES_MOST : 0;
    given.still_to_stay = in_vain ? given.stays : many ? 0 : MANY;
    given.lane = many && !in_vain ? lane : NULL;
    given.left = left;
    return given.lane;
}

static void give_way(void)
{
    uint64_t since = tdm_clock_ns();
    sched_yield();
    given.away_ns = tdm_clock_ns() - since;
}

/* ---- going in ---- */

bool tdm_wait_may_help(const struct tdm_task *private)
{
    const tandem_task *task = tdm_task_public((struct tdm_task *)(uintptr_t) private);
    const struct tdm_core *core = private->lane->core;
    if (!private->lane->ops->run_here || task->flags & (TANDEM_NO_HELP | TANDEM_DEDICATED)) return false;
    if (tdm_self_worker(core)) return true;
    return core->waiters_help && task->timeout_ms == 0 && !task->on_done && !task->on_message;
}

static bool is_queued(const struct tdm_task *task) { return tdm_task_state(load_seq(&task->state)) == TDM_QUEUED; }

/* What a thread that waits for a task can do about it. */
struct way {
    bool gives_way;    /* nothing yet: those who have it are to have the processor first */
    bool taken;        /* run it: it is taken back, and so cannot end by other hands, and nor can its pool */
    bool enters;       /* its lane waits for this thread, which is to wait there */
    uint64_t watch_ns; /* look at it for so long */
};

static struct way find_way(struct tdm_task *task, bool may_help, bool may_give_way)
{
    struct way way = {0};
    tdm_lock(door_of(task), TDM_RANK_DOOR);
    if (!is_settled(load_seq(&task->state))) {
        struct tdm_lane *lane = task->lane;
        way.watch_ns = lane->core->watch_ns;
        way.gives_way = may_give_way && wants_to_give_way(task);
        way.taken = !way.gives_way && may_help && is_queued(task) && tdm_wait_may_help(task) && tdm_lane_take_back(lane, task);
        way.enters = !way.gives_way && !way.taken && lane->ops->enter;
        if (way.enters) lane->ops->enter(lane);
    }
    tdm_unlock(door_of(task), TDM_RANK_DOOR);
    return way;
}

/* ---- waiting ---- */

static _Thread_local uint64_t watch_ns = UINT64_MAX; /* learned: how long it pays; at first as long as it may be */

/* Looks for a while; only the task is touched. */
static void watch(struct tdm_task *task, uint64_t longest_ns, uint64_t deadline)
{
    if (watch_ns > longest_ns) watch_ns = longest_ns;
    if (watch_ns == 0) return;
    struct tdm_look look = {.until_ns = tdm_clock_ns() + watch_ns};
    if (look.until_ns > deadline) look.until_ns = deadline;
    bool saw;
    while (!(saw = is_settled(load_acquire(&task->state))) && tdm_watch_goes_on(&look)) { /* [task-end] */
    }
    watch_ns = tdm_watch_after(watch_ns, longest_ns, saw && !look.gave_way);
}

/* Its status, TANDEM_PENDING when the time is over, or -EINVAL if it was not taken after all.  Nothing but the task is touched: the pool
 * may end. */
static int sleep_until_ended(struct tdm_task *task, uint64_t deadline, uint64_t longest_ns)
{
    uint64_t since = 0;
    for (;;) {
        uint32_t word = load_seq(&task->state);
        if (is_settled(word) && since != 0 && longest_ns != 0)
            watch_ns = tdm_watch_after_sleep(watch_ns, longest_ns, tdm_clock_ns() - since);
        if (tdm_task_is_new(word)) return -EINVAL;
        if (tdm_task_state(word) == TDM_ENDED) return tdm_task_public(task)->status;
        if (is_over(deadline)) return TANDEM_PENDING;
        if (since == 0 && longest_ns != 0) since = tdm_clock_ns();
        tdm_wait_sleep(task, deadline);
    }
}

/* As a guest of its lane. */
static void await(struct tdm_task *task, uint64_t deadline)
{
    tdm_self_block(true);
    task->lane->ops->await(task->lane, task, deadline);
    tdm_self_block(false);
}

static int wait_for(struct tdm_task *task, uint64_t deadline, bool may_help)
{
    uint64_t longest_ns = 0;
    if (!tdm_wait_is_over(task, deadline)) {
        struct way way = find_way(task, may_help, may_help);
        if (way.gives_way) {
            give_way();
            way = find_way(task, may_help, false);
        }
        if (way.taken)
            task->lane->ops->run_here(task->lane, task);
        else if (way.enters)
            await(task, deadline);
        else
            watch(task, longest_ns = way.watch_ns, deadline);
    }
    if (tdm_wait_is_over(task, deadline)) return sleep_until_ended(task, deadline, longest_ns);
    tdm_self_block(true);
    int status = sleep_until_ended(task, deadline, longest_ns);
    tdm_self_block(false);
    return status;
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
    return wait_for(tdm_task_of(task), TDM_FOREVER, true);
}

int tandem_wait_for(tandem_task *task, int64_t timeout_ms)
{
    int error = check(task);
    if (error != 0) return error;
    if (has_ended(tdm_task_of(task))) return task->status;
    return timeout_ms == 0 ? TANDEM_PENDING : wait_for(tdm_task_of(task), tdm_clock_deadline(timeout_ms), false);
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
        tdm_self_block(true);
        tdm_futex_wait(&any_ended, seen, deadline);
        tdm_self_block(false);
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
    task->bare = false; /* a small thread task's way does not look at it */
    return 0;
}
