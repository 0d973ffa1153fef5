/* thread_lane.c - a pool's threads and the queue before them.
 *
 * Submitters put tasks at the end of the queue, under the ledger's lock.  Workers take them from its front part, under the front lock;
 * when that is empty, one of them cuts off the whole queue and makes it the front part.  So the two sides meet once in many tasks.
 *
 * WHY NO WAKE-UP IS LOST.  A worker puts itself on the list of idle ones only when, holding both locks, it has found the queue, the front
 * part and all hands empty.  A task that is submitted later finds it on the list.  One worker at a time is on its way ("waking": called,
 * or watching): it looks at the queue, and if there is more than it takes it calls the next before it starts.  So while tasks wait and
 * workers sleep, somebody awake is always on the way to them, and a submitter rarely pays for a wake-up. */
#define _POSIX_C_SOURCE 200809L
#include "threads/thread_lane.h"

#include "base/clock.h"
#include "base/cpus.h"
#include "base/memory.h"
#include "base/thread.h"

#include <errno.h>

static struct tdm_thread_lane *mine(struct tdm_lane *lane) { return container_of(lane, struct tdm_thread_lane, lane); }

static struct tdm_ledger *ledger_of(const struct tdm_thread_lane *lane) { return &lane->lane.core->ledger; }
static void lock_front(struct tdm_thread_lane *lane) { tdm_lock(&lane->front_lock, TDM_RANK_FRONT); }
static void unlock_front(struct tdm_thread_lane *lane) { tdm_unlock(&lane->front_lock, TDM_RANK_FRONT); }
static bool is_stopping(const struct tdm_thread_lane *lane) { return load_seq(&lane->stopping) != 0; } /* [lane-stopping] */

/* ---- calling workers ---- */

static unsigned count_in_hands(const struct tdm_thread_lane *lane)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < lane->options->threads; i++) count += tdm_hand_count(&lane->workers[i].hand);
    return count;
}

/* With the ledger's lock held, when there is work: the worker to call, off the list, or NULL. */
static struct tdm_thread_worker *choose_to_call(struct tdm_thread_lane *lane)
{
    if (lane->waking) return NULL;
    struct tdm_node *node = tdm_list_pop_front(&lane->idle);
    if (!node) return NULL;
    add_seq(&lane->sleepers, (uint32_t)-1);
    lane->waking = true;
    return container_of(node, struct tdm_thread_worker, idle);
}

/* With the front lock held, by a worker that has just taken a task: whom to call for what it leaves, or NULL.  Who sleeps now has gone to sleep with this lock held, so the number
 * is not old; if it is wrong, it is too large by one that is being called [lane-sleepers].  A task that was submitted while this worker was
 * on its way has called nobody, and is counted already, wherever it lies. */
static struct tdm_thread_worker *choose_helper(struct tdm_thread_lane *lane)
{
    if (load_seq(&lane->sleepers) == 0 || (tdm_ledger_waiting(ledger_of(lane)) == 0 && count_in_hands(lane) == 0)) return NULL;
    tdm_ledger_lock(ledger_of(lane));
    struct tdm_thread_worker *worker = choose_to_call(lane);
    tdm_ledger_unlock(ledger_of(lane));
    return worker;
}

/* Without a lock. */
static void call(struct tdm_thread_worker *worker)
{
    if (!worker) return;
    store_seq(&worker->called, 1); /* [worker-called] */
    tdm_futex_wake_one(&worker->called);
}

/* ---- having nothing to do: with both locks held, and let go meanwhile ---- */

static void let_go_of_both(struct tdm_thread_lane *lane)
{
    tdm_ledger_unlock(ledger_of(lane));
    unlock_front(lane);
}

static void take_both(struct tdm_thread_lane *lane)
{
    lock_front(lane);
    tdm_ledger_lock(ledger_of(lane));
    lane->waking = false;
}

static void sleep_until_called(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    store_seq(&worker->called, 0);
    tdm_list_push_front(&lane->idle, &worker->idle);
    add_seq(&lane->sleepers, 1); /* [lane-sleepers] */
    let_go_of_both(lane);
    while (load_seq(&worker->called) == 0) tdm_futex_wait(&worker->called, 0, TDM_FOREVER); /* [worker-called] */
    take_both(lane);
}

/* A sleeper is woken in tens of microseconds, a word is seen in a fraction of one.  So the last worker that has nothing looks out for
 * about as long as a wake-up takes; nobody needs to be called meanwhile. */
#define WATCH_NS 20000

static void watch(struct tdm_thread_lane *lane)
{
    _Atomic uint64_t *entered = &ledger_of(lane)->entered;
    uint64_t seen = load_relaxed(entered); /* relaxed, here and below: a hint [ledger-waiting] */
    lane->waking = true;
    let_go_of_both(lane);
    uint64_t until = tdm_clock_ns() + WATCH_NS;
    do
        for (int i = 0; i < 32 && load_relaxed(entered) == seen; i++) tdm_pause();
    while (load_relaxed(entered) == seen && tdm_clock_ns() < until);
    take_both(lane);
}

/* ---- taking tasks: with the front lock held ---- */

/* A fair part of a long queue, so that the lock is taken once for many; of a short one a single task, and always a single one where the
 * length of the queue has a limit, which must stay exact. */
static uint64_t fair_part(const struct tdm_thread_lane *lane)
{
    if (ledger_of(lane)->limit != 0) return 1;
    uint64_t part = tdm_ledger_waiting(ledger_of(lane)) / (2 * (uint64_t)lane->options->threads + 1);
    return part < 1 ? 1 : part > TDM_HAND_PLACES ? TDM_HAND_PLACES : part;
}

static struct tdm_task *pop_front(struct tdm_thread_lane *lane)
{
    struct tdm_node *node = tdm_list_pop_front(&lane->front);
    return node ? container_of(node, struct tdm_task, link) : NULL;
}

static void count_taken(struct tdm_thread_lane *lane, uint64_t count)
{
    bool limited = ledger_of(lane)->limit != 0; /* then somebody may wait for room */
    if (limited) tdm_ledger_lock(ledger_of(lane));
    tdm_ledger_taken(ledger_of(lane), count);
    if (limited) tdm_ledger_unlock(ledger_of(lane));
}

/* Where some have a priority all are taken one at a time: what is in a hand cannot be overtaken. */
static bool some_are_ranked(const struct tdm_thread_lane *lane) { return tdm_ranks_hint(&lane->lane.ranks) > 0; }

static struct tdm_task *take_ranked(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    tdm_ledger_lock(ledger_of(lane));
    tdm_list_splice_back(&lane->front, &lane->lane.queue); /* so that its turn, when it comes, is not in vain */
    bool usual_waits = !tdm_list_empty(&lane->front) || tdm_hand_count(&worker->hand) > 0;
    struct tdm_task *task = tdm_lane_dequeue_ranked_locked(&lane->lane, usual_waits);
    tdm_ledger_unlock(ledger_of(lane));
    return task ? task : tdm_hand_take(&worker->hand);
}

/* The next, HELD: the first of the front part, and a few more in the worker's hand. */
static struct tdm_task *take_part(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    bool ranked = some_are_ranked(lane);
    struct tdm_task *first = ranked ? take_ranked(lane, worker) : NULL, *more;
    if (first) return first;
    first = pop_front(lane);
    if (!first) return NULL;
    uint64_t part = ranked ? 1 : fair_part(lane), taken = 1;
    for (; taken < part && (more = pop_front(lane)) != NULL; taken++) tdm_hand_put(&worker->hand, more);
    count_taken(lane, taken);
    return first;
}

static struct tdm_task *steal(struct tdm_thread_lane *lane)
{
    struct tdm_task *task = NULL;
    for (uint32_t i = 0; !task && i < lane->options->threads; i++) task = tdm_hand_steal(&lane->workers[i].hand);
    return task;
}

/* The front part is empty: cuts off the queue.  False: that was empty too, and so are all hands, or *stolen is from one. */
static bool refill(struct tdm_thread_lane *lane, struct tdm_task **stolen)
{
    bool refilled = !tdm_list_empty(&lane->lane.queue);
    tdm_list_splice_back(&lane->front, &lane->lane.queue);
    *stolen = refilled ? NULL : steal(lane);
    return refilled;
}

/* The next task, HELD, when the hand is empty; NULL: the lane stops. */
static struct tdm_task *take_or_sleep(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    struct tdm_task *task = NULL;
    bool watched = false;
    while (!is_stopping(lane) && !(task = take_part(lane, worker))) {
        tdm_ledger_lock(ledger_of(lane));
        tdm_ledger_settle(ledger_of(lane), &worker->tally);
        bool nothing = !refill(lane, &task) && !task && tdm_lane_is_empty_locked(&lane->lane) && !is_stopping(lane);
        bool watches = nothing && lane->may_watch && !lane->waking && !watched;
        if (watches)
            watch(lane);
        else if (nothing)
            sleep_until_called(lane, worker);
        watched = watches;
        tdm_ledger_unlock(ledger_of(lane));
        if (task) break;
    }
    return task;
}

struct tdm_task *tdm_thread_lane_next(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    struct tdm_task *task = is_stopping(lane) || some_are_ranked(lane) ? NULL : tdm_hand_take(&worker->hand);
    if (task) return task;
    lock_front(lane);
    task = take_or_sleep(lane, worker);
    struct tdm_thread_worker *helper = task ? choose_helper(lane) : NULL;
    unlock_front(lane);
    call(helper);
    return task;
}

/* A worker that ends has counted what it did. */
void tdm_thread_lane_settle(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    tdm_ledger_lock(ledger_of(lane));
    tdm_ledger_settle(ledger_of(lane), &worker->tally);
    tdm_ledger_unlock(ledger_of(lane));
}

/* ---- the lane's contract ---- */

static int submit(struct tdm_lane *base, struct tdm_task *task)
{
    struct tdm_thread_lane *lane = mine(base);
    struct tdm_core *core = base->core;
    struct tdm_thread_worker *worker = NULL;
    int admission;
    if (tdm_task_public(task)->flags & TANDEM_DEDICATED) return tdm_dedicated_submit(&lane->dedicated, base, lane->options, task);
    tdm_ledger_lock(&core->ledger);
    while ((admission = tdm_ledger_admit(&core->ledger, core, true, core->waiters_help)) == TDM_LOOK_AGAIN) {
    }
    bool cancelled = false;
    if (admission == TDM_ADMITTED) {
        cancelled = !tdm_lane_enqueue_locked(base, task);
        worker = cancelled ? NULL : choose_to_call(lane);
    } else if (admission == TDM_RUN_HERE) {
        tdm_task_move(task, TDM_QUEUED, TDM_HELD);
    }
    tdm_ledger_unlock(&core->ledger);
    call(worker);
    if (admission < 0) return admission;
    if (cancelled) tdm_lane_end_cancelled(task);
    if (admission == TDM_RUN_HERE) tdm_thread_run(base, task, NULL);
    return 0;
}

/* The function sees the wish by itself; nothing else stops a thread. */
static bool cancel(struct tdm_lane *lane, struct tdm_task *task)
{
    (void)lane;
    (void)task;
    return false;
}

static void deadline(struct tdm_lane *lane, struct tdm_task *task, enum tdm_deadline_kind kind)
{
    if (kind == TDM_OF_WAITING)
        tdm_lane_expire(lane, task);
    else
        tdm_task_wish(task, TDM_WISH_DEADLINE);
}

static void run_here(struct tdm_lane *lane, struct tdm_task *task) { tdm_thread_run(lane, task, tdm_self_worker(lane->core)); }

/* What is in the hands has left the queue, and waits all the same. */
static void fill_stats(struct tdm_lane *base, tandem_stats *stats)
{
    struct tdm_thread_lane *lane = mine(base);
    unsigned in_hands = count_in_hands(lane);
    if (in_hands > stats->running) in_hands = (unsigned)stats->running; /* it moved between two looks */
    stats->waiting += in_hands;
    stats->running -= in_hands;
    tdm_ledger_lock(ledger_of(lane));
    stats->threads = lane->count + lane->dedicated.alive;
    tdm_ledger_unlock(ledger_of(lane));
}

/* Whoever has seen `stopping` begins nothing more; whoever has not had a lock before, and its task is running. */
static void begin_end(struct tdm_lane *base)
{
    struct tdm_thread_lane *lane = mine(base);
    lock_front(lane);
    tdm_ledger_lock(ledger_of(lane));
    store_seq(&lane->stopping, 1); /* [lane-stopping] */
    tdm_list_splice_back(&lane->lane.queue, &lane->front);
    tdm_ledger_unlock(ledger_of(lane));
    unlock_front(lane);
    tdm_lane_cancel_waiting(base);
    tdm_dedicated_begin_end(&lane->dedicated, base);
    for (struct tdm_task *task; (task = steal(lane)) != NULL;) tdm_lane_end_cancelled(task);
}

/* While it has not ended, another thread may take its place. */
static void join(struct tdm_thread_worker *worker)
{
    while (load_seq(&worker->ended) == 0) tdm_futex_wait(&worker->ended, 0, TDM_FOREVER); /* [worker-ended] */
    pthread_join(worker->thread, NULL);
}

/* Each worker is called by its own word; one that is busy finds the lane stopping when it comes back. */
static void end(struct tdm_lane *base)
{
    struct tdm_thread_lane *lane = mine(base);
    for (uint32_t i = 0; i < lane->count; i++) call(&lane->workers[i]);
    for (uint32_t i = 0; i < lane->count; i++) join(&lane->workers[i]);
    lane->count = 0;
    tdm_dedicated_end(&lane->dedicated, base);
}

static const struct tdm_lane_ops ops = {.submit = submit,
                                        .cancel = cancel,
                                        .deadline = deadline,
                                        .run_here = run_here,
                                        .fill_stats = fill_stats,
                                        .begin_end = begin_end,
                                        .end = end};

/* ---- opening ---- */

void tdm_thread_lane_started(struct tdm_thread_lane *lane, bool failed)
{
    struct tdm_ledger *ledger = &lane->lane.core->ledger;
    tdm_ledger_lock(ledger);
    lane->starting--;
    if (failed) lane->failed++;
    tdm_ledger_unlock(ledger);
    add_seq(&lane->started, 1); /* [workers-started] */
    tdm_futex_wake_all(&lane->started);
}

/* As many as can be had: one thread is enough to go on with. */
static int start_threads(struct tdm_thread_lane *lane)
{
    struct tdm_ledger *ledger = &lane->lane.core->ledger;
    for (uint32_t i = 0; i < lane->options->threads; i++) {
        struct tdm_thread_worker *worker = &lane->workers[i];
        worker->lane = lane;
        worker->number = i + 1;
        tdm_ledger_lock(ledger);
        lane->starting++;
        worker->tally.next = ledger->tallies;
        ledger->tallies = &worker->tally;
        tdm_ledger_unlock(ledger);
        pthread_t unused; /* it says itself which it is: it may have been replaced before this returns */
        int error = tdm_thread_start(&unused, tdm_thread_worker_main, worker, lane->options->stack_size);
        if (error == 0) {
            lane->count++;
            continue;
        }
        tdm_ledger_lock(ledger);
        lane->starting--;
        tdm_ledger_unlock(ledger);
        return lane->count > 0 ? 0 : error;
    }
    return 0;
}

static bool wait_for_starts(struct tdm_thread_lane *lane)
{
    for (;;) {
        uint32_t seen = load_seq(&lane->started); /* [workers-started] */
        tdm_ledger_lock(&lane->lane.core->ledger);
        uint32_t starting = lane->starting, failed = lane->failed;
        tdm_ledger_unlock(&lane->lane.core->ledger);
        if (starting == 0) return failed == 0;
        tdm_futex_wait(&lane->started, seen, TDM_FOREVER);
    }
}

void tdm_thread_lane_free(struct tdm_thread_lane *lane)
{
    lane->lane.core->ledger.tallies = NULL;
    free(lane->workers);
    lane->workers = NULL;
}

int tdm_thread_lane_open(struct tdm_thread_lane *lane, struct tdm_core *core, const tandem_options *options)
{
    tdm_lane_open(&lane->lane, &ops, core);
    tdm_list_init(&lane->idle);
    tdm_dedicated_open(&lane->dedicated);
    tdm_list_init(&lane->front);
    lane->lane.front_lock = &lane->front_lock;
    lane->options = options;
    lane->may_watch = tdm_cpus() > 1;
    lane->workers = tdm_calloc(options->threads, sizeof *lane->workers);
    if (!lane->workers) return -ENOMEM;
    int error = start_threads(lane);
    if (error == 0 && !wait_for_starts(lane)) error = -ECANCELED;
    if (error == 0) return 0;
    begin_end(&lane->lane);
    end(&lane->lane);
    tdm_thread_lane_free(lane);
    return error;
}
