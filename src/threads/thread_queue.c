/* thread_queue.c - where a pool's thread tasks wait, and how its workers get them.
 *
 * A task comes in through its submitter's part of the queue (shards.h); where something is to be asked first (a queue with a limit, a time limit
 * on waiting, a pool that drains) through the queue under the ledger's lock, and from there.  Workers take from it under the front lock, a few at
 * once if there is much, and have them in their hands, from where anybody can still take them. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "threads/fork_join.h"
#include "threads/thread_lane.h"

#include <stddef.h>

static void lock_front(struct tdm_thread_lane *lane) { tdm_lock(&lane->front_lock, TDM_RANK_FRONT); }
static void unlock_front(struct tdm_thread_lane *lane) { tdm_unlock(&lane->front_lock, TDM_RANK_FRONT); }
static bool is_stopping(const struct tdm_thread_lane *lane) { return load_seq(&lane->stopping) != 0; } /* [lane-stopping] */

/* Looks at the records of workers begin with how many there are [lane-made] */
unsigned tdm_thread_queue_count_in_hands(const struct tdm_thread_lane *lane)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < load_acquire(&lane->made); i++) count += tdm_hand_count(&lane->workers[i].hand);
    return count;
}

/* ---- all with the front lock held ---- */

/* Out of the queue; relaxed: see there [task-in-queue] */
static struct tdm_task *task_of(struct tdm_link *link)
{
    if (!link) return NULL;
    struct tdm_task *task = tdm_task_of(container_of(link, tandem_task, output));
    store_relaxed(tdm_thread_in_queue(task), 0);
    return task;
}

_Static_assert(sizeof(struct tdm_link) <= 2 * sizeof(void *) &&
                   offsetof(tandem_task, output_size) == offsetof(tandem_task, output) + sizeof(void *),
               "a link fits where the output will be");

/* What waits under the ledger's lock goes to the others. */
static void collect(struct tdm_thread_lane *lane)
{
    struct tdm_ledger *ledger = tdm_thread_ledger(lane);
    struct tdm_injector *first = tdm_shards_part(&lane->shards, 0);
    if (!tdm_injector_take_look(first)) return;
    if (load_relaxed(&lane->forks)) lane->pointed_out = true; /* relaxed: a hint */
    tdm_ledger_lock(ledger);
    for (struct tdm_node *node; (node = tdm_list_pop_front(&lane->lane.queue)) != NULL;) {
        struct tdm_task *task = container_of(node, struct tdm_task, link);
        store_relaxed(tdm_thread_in_queue(task), 1); /* relaxed: see there [task-in-queue] */
        tdm_injector_push_counted(first, tdm_thread_link_of(task));
    }
    tdm_ledger_unlock(ledger);
}

static void count(struct tdm_thread_lane *lane, uint64_t arrived, uint64_t left)
{
    if (arrived > 0) tdm_ledger_arrived(tdm_thread_ledger(lane), arrived);
    tdm_ledger_left(tdm_thread_ledger(lane), left);
}

/* The more there was the last times, the more at once, so that the lock is taken once for many; always one where the length of the queue has
 * a limit, which must stay exact. */
static void learn_part(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker, const struct tdm_injector *injector)
{
    if (tdm_thread_ledger(lane)->limit != 0 || tdm_injector_is_empty(injector))
        worker->part = 1;
    else if (worker->part < TDM_HAND_PLACES)
        worker->part *= 2;
}

/* The oldest, and a few more in the worker's hand. */
static struct tdm_task *take_part_from(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker,
                                       struct tdm_injector *injector)
{
    uint64_t arrived = 0, left = 1;
    uintptr_t bits = tdm_parking_has_sleepers(&lane->parking) && !lane->parking.on_the_way ? TDM_INJECTOR_CALL : 0;
    struct tdm_task *first = task_of(tdm_injector_pop(injector, &arrived, bits)), *more;
    if (!first) return NULL;
    for (; left < worker->part && (more = task_of(tdm_injector_pop(injector, &arrived, bits))) != NULL; left++) {
        tdm_hand_put(&worker->hand, more);
        lane->in_hands = true;
    }
    count(lane, arrived, left);
    learn_part(lane, worker, injector);
    return first;
}

/* From one part of the queue after the other, so that none waits for long. */
static struct tdm_task *take_part(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    struct tdm_task *task = NULL;
    for (uint32_t i = 0; !task && i <= lane->shards.last; i++)
        task = take_part_from(lane, worker, tdm_shards_part(&lane->shards, worker->next_shard++ & lane->shards.last));
    return task;
}

static struct tdm_task *steal(struct tdm_thread_lane *lane)
{
    struct tdm_task *task = NULL;
    for (uint32_t i = 0; !task && i < load_acquire(&lane->made); i++) task = tdm_hand_steal(&lane->workers[i].hand);
    return task;
}

/* Where some have a priority all are taken one at a time: what is in a hand cannot be overtaken. */
static bool some_are_ranked(const struct tdm_thread_lane *lane) { return tdm_ranks_hint(&lane->lane.ranks) > 0; }

static struct tdm_task *take_ranked(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    tdm_ledger_lock(tdm_thread_ledger(lane));
    bool usual_waits = !tdm_shards_are_empty(&lane->shards) || tdm_hand_count(&worker->hand) > 0;
    struct tdm_task *task = tdm_lane_dequeue_ranked_locked(&lane->lane, usual_waits);
    tdm_ledger_unlock(tdm_thread_ledger(lane));
    return task ? task : tdm_hand_take(&worker->hand);
}

/* What was put under the ledger's lock before this look is seen: its LOOK was found, and the lock taken; or the next sleep finds it. */
static struct tdm_task *take(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    collect(lane);
    bool ranked = some_are_ranked(lane);
    if (ranked) worker->part = 1;
    /* its own hand also if those that had a priority have gone since it looked: more is put there only when it is empty */
    struct tdm_task *task = ranked ? take_ranked(lane, worker) : tdm_hand_take(&worker->hand);
    if (!task) task = take_part(lane, worker);
    return task ? task : steal(lane);
}

void tdm_thread_queue_settle(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    if (worker->tally.unsettled == 0) return;
    tdm_ledger_lock(tdm_thread_ledger(lane));
    tdm_ledger_settle(tdm_thread_ledger(lane), &worker->tally);
    tdm_ledger_unlock(tdm_thread_ledger(lane));
}

/* A worker has found nothing: it looks out, then sleeps; the lock is let go meanwhile.  False: something has come already. */
static bool watch(struct tdm_thread_lane *lane)
{
    lane->parking.on_the_way = true;
    tdm_shards_ask_for_no_call(&lane->shards);
    uint64_t watch_ns = lane->parking.watch_ns;
    unlock_front(lane);
    bool paid, saw = tdm_parking_watch(&lane->shards, watch_ns, &paid);
    lock_front(lane);
    if (lane->parking.one_processor && tdm_shards_hold_more_than(&lane->shards, 1)) paid = true;
    tdm_parking_watched(&lane->parking, paid);
    return saw;
}

/* For idle_ms at most, except for the last of the pool's threads.  False: nobody called it, and it ends. */
static bool sleep_until_called(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    if (worker->is_spare && tdm_life_retires(worker)) return false;
    uint64_t deadline = tdm_life_may_end(worker) ? tdm_clock_deadline((int64_t)lane->options->idle_ms) : TDM_FOREVER;
    tdm_parking_lie_down(&lane->parking, &worker->parker);
    if (!lane->parking.on_the_way && !tdm_shards_ask_for_call(&lane->shards)) {
        tdm_parking_get_up(&worker->parker);
        return true;
    }
    unlock_front(lane);
    uint64_t slept_ns = tdm_parking_sleep(&worker->parker, deadline);
    lock_front(lane);
    if (tdm_parking_lies(&worker->parker)) {
        tdm_parking_get_up(&worker->parker);
        return !is_stopping(lane) && (worker->is_spare || !tdm_life_retires(worker));
    }
    if (load_seq(&worker->parker.called) == 0) { /* chosen when the time was over, and called in a moment [parker-called] */
        unlock_front(lane);
        tdm_parking_sleep(&worker->parker, TDM_FOREVER);
        lock_front(lane);
    }
    tdm_parking_awake(&lane->parking, slept_ns);
    return true;
}

/* A worker that has found nothing is about to take a branch, and may be long about it: who brings something meanwhile calls another.  False:
 * something has come already. */
static bool leave_to_others(struct tdm_thread_lane *lane)
{
    if (!tdm_parking_has_sleepers(&lane->parking) || lane->parking.on_the_way) return true;
    return tdm_shards_ask_for_call(&lane->shards);
}

static struct tdm_task *take_or_sleep(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    struct tdm_task *task;
    bool steals = true; /* each time, before it gives up; the lock is let go for it, so what is in the queue is looked at again */
    for (bool watches = true; !is_stopping(lane);) {
        if ((task = take(lane, worker)) != NULL) return task;
        tdm_thread_queue_settle(lane, worker);
        if ((steals || lane->pointed_out) && load_relaxed(&lane->forks)) { /* relaxed: a hint */
            if (!leave_to_others(lane)) continue;
            bool others_sleep = tdm_parking_has_sleepers(&lane->parking);
            lane->pointed_out = false;
            unlock_front(lane);
            steals = tdm_fork_join_steal(lane, worker, others_sleep);
            lock_front(lane);
            continue;
        }
        steals = true;
        if (watches && tdm_parking_may_watch(&lane->parking)) {
            watches = watch(lane);
        } else {
            if (!sleep_until_called(lane, worker)) break;
            watches = true;
        }
    }
    return NULL;
}

struct tdm_parker *tdm_thread_queue_choose_helper(struct tdm_thread_lane *lane)
{
    struct tdm_parking *parking = &lane->parking;
    if (!tdm_parking_has_sleepers(parking) || parking->on_the_way) return NULL;
    if (some_are_ranked(lane) || lane->pointed_out) return tdm_life_choose(lane);
    if (lane->in_hands && tdm_thread_queue_count_in_hands(lane) == 0) lane->in_hands = false;
    if (!lane->in_hands && tdm_shards_ask_for_call(&lane->shards)) return NULL;
    return tdm_life_choose(lane);
}

/* ---- without it ---- */

static TDM_APART struct tdm_task *next_from_queue(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    lock_front(lane);
    struct tdm_task *task = take_or_sleep(lane, worker);
    struct tdm_parker *helper = tdm_thread_queue_choose_helper(lane); /* also for one that ends: it may have been on the way */
    unlock_front(lane);
    tdm_life_call(helper);
    return task;
}

struct tdm_task *tdm_thread_queue_next(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    struct tdm_task *task = is_stopping(lane) || some_are_ranked(lane) ? NULL : tdm_hand_take(&worker->hand);
    return task ? task : next_from_queue(lane, worker);
}

void tdm_thread_queue_call(struct tdm_thread_lane *lane)
{
    lock_front(lane);
    struct tdm_parker *parker = tdm_life_choose(lane);
    unlock_front(lane);
    tdm_life_call(parker);
}

void tdm_thread_queue_look_again(struct tdm_thread_lane *lane)
{
    lock_front(lane);
    struct tdm_parker *helper = tdm_thread_queue_choose_helper(lane);
    unlock_front(lane);
    tdm_life_call(helper);
}

static bool take_from_hands(struct tdm_thread_lane *lane, struct tdm_task *task)
{
    bool taken = false;
    for (uint32_t i = 0; !taken && i < load_acquire(&lane->made); i++) taken = tdm_hand_take_back(&lane->workers[i].hand, task);
    return taken;
}

/* With the lock held.  A QUEUED task is in the queue or in a hand; or on its way there, or taken out by somebody else, and then it is not to be
 * had. */
static enum tdm_injector_found take_back(struct tdm_thread_lane *lane, struct tdm_task *task)
{
    uint64_t arrived = 0;
    if (tdm_task_state(load_seq(&task->state)) != TDM_QUEUED) return TDM_INJECTOR_NOT_THERE;
    collect(lane);
    /* taken off under this lock; a cancel may have seen the state of a submission that was refused, and this of the next */
    uint32_t part = (uint32_t)load_acquire(tdm_thread_in_queue(task)); /* [task-in-queue] */
    if (part == 0) return take_from_hands(lane, task) ? TDM_INJECTOR_TAKEN : TDM_INJECTOR_NOT_THERE;
    struct tdm_injector *injector = tdm_shards_part(&lane->shards, part - 1);
    enum tdm_injector_found found = tdm_injector_take(injector, tdm_thread_link_of(task), &arrived);
    if (found != TDM_INJECTOR_TAKEN) return found;
    task_of(tdm_thread_link_of(task));
    count(lane, arrived, 1);
    return found;
}

/* Where it cannot be told whether it is there it is not left to the workers, which may all be busy until this thread goes on. */
bool tdm_thread_queue_take_back(struct tdm_lane *base, struct tdm_task *task)
{
    struct tdm_thread_lane *lane = tdm_thread_lane_of(base);
    enum tdm_injector_found found;
    if (tdm_task_public(task)->flags & TANDEM_DEDICATED || tdm_task_public(task)->priority != 0)
        return tdm_lane_take_back_from_list(base, task);
    lock_front(lane);
    for (int looks = 0; (found = take_back(lane, task)) == TDM_INJECTOR_UNTOLD; looks++) {
        unlock_front(lane);
        tdm_injector_wait_a_little(looks);
        lock_front(lane);
    }
    unlock_front(lane);
    return found == TDM_INJECTOR_TAKEN;
}

/* Looked at without the lock first: on one processor, where that is asked, there is one part, and most often the task is the newest. */
bool tdm_thread_queue_holds_more(struct tdm_lane *base, struct tdm_task *task, uint32_t count)
{
    struct tdm_thread_lane *lane = tdm_thread_lane_of(base);
    if (tdm_injector_newest(tdm_injector_look(tdm_shards_part(&lane->shards, 0))) == tdm_thread_link_of(task)) return false;
    lock_front(lane);
    bool more = tdm_shards_hold_more_than(&lane->shards, count);
    unlock_front(lane);
    return more;
}

void tdm_thread_queue_forget(struct tdm_thread_lane *lane, struct tdm_task *task)
{
    if (load_relaxed(tdm_thread_in_queue(task)) == 0) return; /* relaxed: this thread wrote it */
    lock_front(lane);
    store_relaxed(tdm_thread_in_queue(task), 0); /* [task-in-queue] */
    unlock_front(lane);
}

void tdm_thread_queue_collect(struct tdm_lane *base, bool closing)
{
    struct tdm_thread_lane *lane = tdm_thread_lane_of(base);
    lock_front(lane);
    if (closing) tdm_shards_close(&lane->shards);
    collect(lane);
    count(lane, tdm_shards_count(&lane->shards), 0);
    unlock_front(lane);
}

/* Whoever has seen `stopping` begins nothing more; whoever has not had the lock before, and its task is running. */
void tdm_thread_queue_stop(struct tdm_thread_lane *lane)
{
    lock_front(lane);
    store_seq(&lane->stopping, 1); /* [lane-stopping] */
    tdm_shards_close(&lane->shards);
    unlock_front(lane);
}

struct tdm_task *tdm_thread_queue_take_any(struct tdm_thread_lane *lane)
{
    uint64_t arrived = 0;
    lock_front(lane);
    collect(lane);
    struct tdm_task *task = NULL;
    for (uint32_t i = 0; !task && i <= lane->shards.last; i++)
        task = task_of(tdm_injector_pop(tdm_shards_part(&lane->shards, i), &arrived, 0));
    if (task) count(lane, arrived, 1);
    unlock_front(lane);
    return task ? task : steal(lane);
}
