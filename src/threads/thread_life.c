/* thread_life.c - a pool's threads: when one begins, when it ends, and who joins it.
 *
 * A pool begins with one thread.  The records of those that it may have beside it lie in the list of sleepers, behind those that do sleep; who
 * chooses one of them to be called starts its thread, which then is on the way like one that was woken.  So the next thread is started where
 * there is something to do and nobody idle to do it, and the argument of parking.c holds for it too.  A thread that has slept for idle_ms
 * takes its record off the list and ends, except for the last; when it has nothing more to do with the record it puts it back, for another
 * thread, and looks once more at what has come meanwhile, as one does that lies down.
 *
 * WHO JOINS THEM.  A thread, a spare's too, is joined by the next that has its record, before that one does anything else with it, or by the pool's
 * end.  So there is never more than one in a record that has ended and is not joined, and none waits for one that waits itself: were each to join
 * the one that ended before it, whatever its record, one that is slow to end would hold up all after it.  A thread that goes on with the lane after
 * it has been counted off is to be joined by then, so the lane is there. */
#define _POSIX_C_SOURCE 200809L
#include "threads/thread_life.h"

#include "base/clock.h"
#include "base/thread.h"
#include "threads/owed.h"
#include "threads/thread_lane.h"

#include <errno.h>

static void lock_front(struct tdm_thread_lane *lane) { tdm_lock(&lane->front_lock, TDM_RANK_FRONT); }
static void unlock_front(struct tdm_thread_lane *lane) { tdm_unlock(&lane->front_lock, TDM_RANK_FRONT); }
static void lock(struct tdm_thread_lane *lane) { tdm_ledger_lock(tdm_thread_ledger(lane)); }
static void unlock(struct tdm_thread_lane *lane) { tdm_ledger_unlock(tdm_thread_ledger(lane)); }

/* ---- how many there are ---- */

void tdm_life_count(struct tdm_thread_worker *worker)
{
    struct tdm_thread_lane *lane = worker->lane;
    worker->in_use = true;
    worker->has_retired = false;
    if (worker->is_spare)
        lane->spares.alive++;
    else
        lane->count++;
    add_seq(&lane->alive, 1); /* [threads-alive] */
}

static void count_off(struct tdm_thread_worker *worker)
{
    struct tdm_thread_lane *lane = worker->lane;
    if (worker->is_spare)
        lane->spares.alive--;
    else
        lane->count--;
}

static void uncount(struct tdm_thread_worker *worker)
{
    struct tdm_thread_lane *lane = worker->lane;
    if (!worker->has_retired) count_off(worker);
    worker->in_use = false;
    if (add_seq(&lane->alive, UINT32_MAX) == 1) tdm_futex_wake_all(&lane->alive); /* [threads-alive] */
}

/* One that is beginning may take long about it, or fail: it is not counted on. */
bool tdm_life_may_end(const struct tdm_thread_worker *worker)
{
    const struct tdm_thread_lane *lane = worker->lane;
    return worker->is_spare || lane->count > lane->beginning + 1;
}

/* In one step with whatever has others count on it no more. */
static void retire(struct tdm_thread_worker *worker)
{
    lock(worker->lane);
    worker->has_retired = true;
    count_off(worker);
    unlock(worker->lane);
}

bool tdm_life_retires(struct tdm_thread_worker *worker)
{
    struct tdm_thread_lane *lane = worker->lane;
    lock(lane);
    worker->has_retired = worker->is_spare ? lane->spares.alive > lane->spares.blocked : tdm_life_may_end(worker);
    if (worker->has_retired) count_off(worker);
    unlock(lane);
    return worker->has_retired;
}

/* ---- whom to call ---- */

/* Is a thread to be started?  Not if those that are beginning are as many as there are tasks (those under the ledger's lock are perhaps among the
 * others, and perhaps not), and not just after one could not be. */
static bool needs_another(struct tdm_thread_lane *lane)
{
    if (load_seq(&lane->stopping) != 0) return false; /* [lane-stopping] */
    if (lane->tries_again_ns != 0 && tdm_clock_ns() < lane->tries_again_ns) return false;
    if (lane->beginning == 0) return true;
    uint64_t apart = (uint64_t)tdm_thread_queue_count_in_hands(lane) + lane->pointed_out; /* from those in the queue */
    return apart + tdm_ledger_waiting(tdm_thread_ledger(lane)) > lane->beginning ||
           tdm_shards_hold_more_than(&lane->shards, lane->beginning - (uint32_t)apart);
}

/* Who brings the next task asks again where that was to be one without a thread that is not to be started now; and so does the reactor, if that is
 * because one could not be: see owed.h. */
struct tdm_parker *tdm_life_choose(struct tdm_thread_lane *lane)
{
    if (!tdm_parking_would_choose_absent(&lane->parking)) return tdm_parking_choose(&lane->parking);
    if (!needs_another(lane)) {
        tdm_shards_ask_for_call_anyway(&lane->shards);
        return NULL;
    }
    struct tdm_parker *parker = tdm_parking_choose(&lane->parking);
    lane->beginning++;
    tdm_ledger_lock(tdm_thread_ledger(lane));
    tdm_life_count(container_of(parker, struct tdm_thread_worker, parker));
    tdm_ledger_unlock(tdm_thread_ledger(lane));
    return parker;
}

/* ---- its beginning ---- */

int tdm_life_start(struct tdm_thread_worker *worker)
{
    struct tdm_thread_lane *lane = worker->lane;
    pthread_t unused; /* it says itself which it is: it may have ended before this returns */
    int error = tdm_thread_start(&unused, tdm_thread_worker_main, worker, lane->options->stack_size);
    if (error == 0) return 0;
    lock_front(lane); /* whoever is about to sleep looks how many there are */
    lock(lane);
    uncount(worker);
    unlock(lane);
    unlock_front(lane);
    return error;
}

/* Whom this thread keeps from going on must be called in its place. */
static void begin(struct tdm_thread_worker *worker)
{
    struct tdm_thread_lane *lane = worker->lane;
    int saved = errno;
    worker->parker.is_absent = false;
    if (tdm_life_start(worker) != 0) {
        lock_front(lane);
        lane->parking.on_the_way = false;
        lane->beginning--;
        lane->tries_again_ns = tdm_clock_ns() + TDM_OWED_NS;
        tdm_parking_put_absent(&lane->parking, &worker->parker);
        struct tdm_parker *helper = tdm_thread_queue_choose_helper(lane);
        unlock_front(lane);
        tdm_life_call(helper);
        tdm_owed_note(lane);
    }
    errno = saved;
}

void tdm_life_call(struct tdm_parker *parker)
{
    if (parker && parker->is_absent)
        begin(container_of(parker, struct tdm_thread_worker, parker));
    else
        tdm_parking_call(parker);
}

static bool is_first(const struct tdm_thread_lane *lane) { return load_seq(&lane->started) == 0; } /* [thread-started] */

/* The one before it may be slow to end, and on_worker_start may take long: so it is not on its way until then, and others are called meanwhile,
 * those that sleep for anything there is, one more for what is more than those do that are beginning. */
void tdm_life_arrived(struct tdm_thread_worker *worker)
{
    struct tdm_thread_lane *lane = worker->lane;
    if (worker->is_spare || is_first(lane)) return;
    lock_front(lane);
    lane->parking.on_the_way = false;
    struct tdm_parker *helper = tdm_thread_queue_choose_helper(lane);
    unlock_front(lane);
    tdm_life_call(helper);
}

void tdm_life_started(struct tdm_thread_worker *worker, bool failed)
{
    struct tdm_thread_lane *lane = worker->lane;
    if (worker->is_spare) return;
    if (is_first(lane)) {
        store_seq(&lane->started, failed ? 2 : 1); /* [thread-started] */
        tdm_futex_wake_all(&lane->started);
    } else {
        lock_front(lane);
        lane->beginning--;
        if (failed) retire(worker);
        unlock_front(lane);
    }
}

bool tdm_life_is_wanted(struct tdm_thread_worker *worker)
{
    const struct tdm_thread_lane *lane = worker->lane;
    if (is_first(lane) || load_seq(&lane->stopping) != 0) return false; /* [lane-stopping] */
    if (worker->is_spare) return !tdm_life_retires(worker);
    return tdm_shards_have_something(&lane->shards) || tdm_ranks_hint(&lane->lane.ranks) > 0 ||
           tdm_thread_queue_count_in_hands(lane) > 0;
}

int tdm_life_open(struct tdm_thread_lane *lane)
{
    lock(lane);
    for (uint32_t i = 0; i < lane->options->threads; i++) {
        tdm_thread_worker_open(lane, &lane->workers[i], i + 1);
        if (i > 0) tdm_parking_put_absent(&lane->parking, &lane->workers[i].parker);
    }
    tdm_life_count(&lane->workers[0]);
    unlock(lane);
    int error = tdm_life_start(&lane->workers[0]);
    if (error != 0) return error;
    while (load_seq(&lane->started) == 0) tdm_futex_wait(&lane->started, 0, TDM_FOREVER); /* [thread-started] */
    return load_seq(&lane->started) == 1 ? 0 : -ECANCELED;
}

/* ---- its end ---- */

void tdm_life_end(struct tdm_thread_worker *worker)
{
    struct tdm_thread_lane *lane = worker->lane;
    struct tdm_parker *helper = NULL;
    bool is_spare = worker->is_spare;
    tdm_thread_queue_settle(lane, worker);
    lock_front(lane);
    lock(lane);
    worker->is_gone = true;
    uncount(worker);
    unlock(lane);
    /* not at the pool's end, when whoever has chosen it may only now be about to call it [lane-stopping] */
    if (!is_spare && load_seq(&lane->stopping) == 0) {
        tdm_parking_put_absent(&lane->parking, &worker->parker);
        helper = tdm_thread_queue_choose_helper(lane);
    }
    unlock_front(lane);
    tdm_life_call(helper);
}

void tdm_life_join(struct tdm_thread_worker *worker)
{
    if (worker->is_gone) pthread_join(worker->thread, NULL);
    worker->is_gone = false;
}

/* One that is about to lie down finds the lane stopping.  A task that still runs may sleep, and have one more stand in that has never been there. */
void tdm_life_close(struct tdm_thread_lane *lane)
{
    tdm_owed_close(lane);
    uint32_t made = load_acquire(&lane->made); /* [lane-made] */
    for (uint32_t i = 0; i < made; i++) tdm_parking_call(&lane->workers[i].parker);
    for (uint32_t alive; (alive = load_seq(&lane->alive)) > 0;)
        tdm_futex_wait(&lane->alive, alive, TDM_FOREVER); /* [threads-alive] */
    made = load_acquire(&lane->made);                     /* spares may have begun meanwhile [lane-made] */
    for (uint32_t i = 0; i < made; i++) tdm_life_join(&lane->workers[i]);
}
