/* thread_queue.c - where a pool's thread tasks wait, and how its workers get them.
 *
 * A task comes in through the injector; where something is to be asked first (a queue with a limit, a time limit on waiting, a pool that
 * drains) through the queue under the ledger's lock.  Workers take from the front part, under the front lock; when that is empty, one of
 * them moves all that has come in there.  So submitters and workers meet once in many tasks.  Who takes a few tasks at once has them in his hand,
 * from where anybody can still take them. */
#define _POSIX_C_SOURCE 200809L
#include "threads/thread_lane.h"

static void lock_front(struct tdm_thread_lane *lane) { tdm_lock(&lane->front_lock, TDM_RANK_FRONT); }
static void unlock_front(struct tdm_thread_lane *lane) { tdm_unlock(&lane->front_lock, TDM_RANK_FRONT); }
static bool is_stopping(const struct tdm_thread_lane *lane) { return load_seq(&lane->stopping) != 0; } /* [lane-stopping] */

unsigned tdm_thread_queue_count_in_hands(const struct tdm_thread_lane *lane)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < lane->options->threads; i++) count += tdm_hand_count(&lane->workers[i].hand);
    return count;
}

/* ---- all with the front lock held ---- */

/* All that has come in goes to the front part. */
static void collect(struct tdm_thread_lane *lane)
{
    struct tdm_ledger *ledger = tdm_thread_ledger(lane);
    bool look;
    uint64_t arrived = tdm_injector_empty_into(&lane->injector, &lane->front, &look);
    if (arrived > 0) tdm_ledger_arrived(ledger, arrived);
    if (!look) return;
    tdm_ledger_lock(ledger);
    tdm_list_splice_back(&lane->front, &lane->lane.queue);
    tdm_ledger_unlock(ledger);
}

/* A fair part of a long queue, so that the lock is taken once for many; of a short one a single task, and always a single one where the
 * length of the queue has a limit, which must stay exact. */
static uint64_t fair_part(const struct tdm_thread_lane *lane)
{
    struct tdm_ledger *ledger = tdm_thread_ledger(lane);
    if (ledger->limit != 0) return 1;
    uint64_t part = tdm_ledger_waiting(ledger) / (2 * (uint64_t)lane->options->threads + 1);
    return part < 1 ? 1 : part > TDM_HAND_PLACES ? TDM_HAND_PLACES : part;
}

static struct tdm_task *pop_front(struct tdm_thread_lane *lane)
{
    struct tdm_node *node = tdm_list_pop_front(&lane->front);
    return node ? container_of(node, struct tdm_task, link) : NULL;
}

/* The first of the front part, and a few more in the worker's hand. */
static struct tdm_task *take_part(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    struct tdm_task *first = pop_front(lane), *more;
    if (!first) return NULL;
    uint64_t part = fair_part(lane), taken = 1;
    for (; taken < part && (more = pop_front(lane)) != NULL; taken++) tdm_hand_put(&worker->hand, more);
    tdm_ledger_left(tdm_thread_ledger(lane), taken);
    return first;
}

struct tdm_task *tdm_thread_queue_steal(struct tdm_thread_lane *lane)
{
    struct tdm_task *task = NULL;
    for (uint32_t i = 0; !task && i < lane->options->threads; i++) task = tdm_hand_steal(&lane->workers[i].hand);
    return task;
}

static struct tdm_task *take(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    if (tdm_list_empty(&lane->front)) collect(lane);
    struct tdm_task *task = take_part(lane, worker);
    return task ? task : tdm_thread_queue_steal(lane);
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
    uint64_t watch_ns = lane->parking.watch_ns;
    unlock_front(lane);
    bool saw = tdm_parking_watch(&lane->injector, watch_ns);
    lock_front(lane);
    tdm_parking_watched(&lane->parking, saw);
    return saw;
}

static void sleep_until_called(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    tdm_parking_lie_down(&lane->parking, &worker->parker);
    if (!lane->parking.on_the_way && !tdm_injector_ask_for_call(&lane->injector)) {
        tdm_parking_get_up(&worker->parker);
        return;
    }
    unlock_front(lane);
    uint64_t slept_ns = tdm_parking_sleep(&worker->parker);
    lock_front(lane);
    tdm_parking_awake(&lane->parking, slept_ns);
}

static struct tdm_task *take_or_sleep(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    struct tdm_task *task;
    for (bool watches = true; !is_stopping(lane);) {
        if ((task = take(lane, worker)) != NULL) return task;
        tdm_thread_queue_settle(lane, worker);
        if (watches && tdm_parking_may_watch(&lane->parking)) {
            watches = watch(lane);
        } else {
            sleep_until_called(lane, worker);
            watches = true;
        }
    }
    return NULL;
}

/* By a worker that has just taken a task: whom to call for what it leaves, or NULL.  If nothing is left, who brings something calls. */
static struct tdm_parker *choose_helper(struct tdm_thread_lane *lane)
{
    struct tdm_parking *parking = &lane->parking;
    if (!tdm_parking_has_sleepers(parking) || parking->on_the_way) return NULL;
    bool left = !tdm_list_empty(&lane->front) || tdm_thread_queue_count_in_hands(lane) > 0;
    if (!left && tdm_injector_ask_for_call(&lane->injector)) return NULL;
    return tdm_parking_choose(parking);
}

/* Somebody else has moved what came in to the front part: who looks out at the injector has to see that there is something.  Whom to call. */
static struct tdm_parker *show(struct tdm_thread_lane *lane)
{
    if (!lane->parking.on_the_way || tdm_list_empty(&lane->front)) return NULL;
    return tdm_injector_point_out(&lane->injector) ? tdm_parking_choose(&lane->parking) : NULL;
}

/* ---- without it ---- */

struct tdm_task *tdm_thread_queue_next(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    struct tdm_task *task = is_stopping(lane) ? NULL : tdm_hand_take(&worker->hand);
    if (task) return task;
    lock_front(lane);
    task = take_or_sleep(lane, worker);
    struct tdm_parker *helper = task ? choose_helper(lane) : NULL;
    unlock_front(lane);
    tdm_parking_call(helper);
    return task;
}

void tdm_thread_queue_call(struct tdm_thread_lane *lane)
{
    lock_front(lane);
    struct tdm_parker *parker = tdm_parking_choose(&lane->parking);
    unlock_front(lane);
    tdm_parking_call(parker);
}

/* In a list it has a neighbour.  It may be in the queue under the ledger's lock, or have come from there. */
static void take_out(struct tdm_thread_lane *lane, struct tdm_task *task)
{
    struct tdm_ledger *ledger = tdm_thread_ledger(lane);
    tdm_ledger_lock(ledger);
    tdm_list_remove(&task->link);
    tdm_ledger_taken(ledger, 1);
    tdm_ledger_unlock(ledger);
}

/* A QUEUED task is in the injector, the front part, the ledger's queue or a hand; or still on its way from submit, or taken out by somebody else:
 * then its link points to itself and it has no place, or an old one. */
bool tdm_thread_queue_take_back(struct tdm_lane *base, struct tdm_task *task)
{
    struct tdm_thread_lane *lane = tdm_thread_lane_of(base);
    bool taken = false;
    lock_front(lane);
    if (tdm_task_state(load_seq(&task->state)) == TDM_QUEUED) {
        if (tdm_list_empty(&task->link)) {
            taken = tdm_injector_take_newest(&lane->injector, &task->link);
            if (taken) {
                tdm_ledger_arrived(tdm_thread_ledger(lane), 1);
                tdm_ledger_left(tdm_thread_ledger(lane), 1);
            } else {
                collect(lane);
            }
        }
        if (!taken && !tdm_list_empty(&task->link)) {
            take_out(lane, task);
            taken = true;
        }
        if (!taken) taken = tdm_hand_take_back(task);
    }
    struct tdm_parker *parker = show(lane);
    unlock_front(lane);
    tdm_parking_call(parker);
    return taken;
}

void tdm_thread_queue_collect(struct tdm_lane *base, bool closing)
{
    struct tdm_thread_lane *lane = tdm_thread_lane_of(base);
    lock_front(lane);
    if (closing) tdm_injector_close(&lane->injector);
    collect(lane);
    struct tdm_parker *parker = show(lane);
    unlock_front(lane);
    tdm_parking_call(parker);
}

/* Whoever has seen `stopping` begins nothing more; whoever has not had the lock before, and its task is running. */
void tdm_thread_queue_stop(struct tdm_thread_lane *lane)
{
    struct tdm_ledger *ledger = tdm_thread_ledger(lane);
    lock_front(lane);
    store_seq(&lane->stopping, 1); /* [lane-stopping] */
    tdm_injector_close(&lane->injector);
    collect(lane);
    tdm_ledger_lock(ledger);
    tdm_list_splice_back(&lane->lane.queue, &lane->front);
    tdm_ledger_unlock(ledger);
    unlock_front(lane);
    tdm_injector_point_out(&lane->injector); /* who looks out sees it; who sleeps is called by his own word */
}
