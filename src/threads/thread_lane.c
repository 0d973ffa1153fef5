/* thread_lane.c - a pool's threads and the queue before them.
 *
 * WHY NO WAKE-UP IS LOST.  Queue and list of idle workers have one lock, the ledger's.  A worker puts itself on the list only when it
 * has found the queue empty under that lock, so a task that comes later finds it there.  One worker at a time is being called
 * ("waking"): the one called looks at the queue and, if there is more, calls the next before it starts.  So while tasks wait and
 * workers sleep, somebody awake is always on the way to the queue, and a submitter rarely pays for a wake-up. */
#define _POSIX_C_SOURCE 200809L
#include "threads/thread_lane.h"

#include "base/thread.h"

#include <errno.h>
#include <stdlib.h>

static struct tdm_thread_lane *mine(struct tdm_lane *lane) { return container_of(lane, struct tdm_thread_lane, lane); }

/* ---- calling workers ---- */

/* With the lock held: the worker to call now that there is work, off the list, or NULL. */
static struct tdm_thread_worker *choose_to_call(struct tdm_thread_lane *lane)
{
    if (lane->waking || tdm_list_empty(&lane->lane.queue)) return NULL;
    struct tdm_node *node = tdm_list_pop_front(&lane->idle);
    if (!node) return NULL;
    lane->waking = true;
    return container_of(node, struct tdm_thread_worker, idle);
}

/* Without the lock. */
static void call(struct tdm_thread_worker *worker)
{
    if (!worker) return;
    store_seq(&worker->called, 1); /* [worker-called] */
    tdm_futex_wake_one(&worker->called);
}

/* With the lock held and let go meanwhile: on the idle list until called. */
static void sleep_until_called(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    struct tdm_ledger *ledger = &lane->lane.core->ledger;
    store_seq(&worker->called, 0);
    tdm_list_push_front(&lane->idle, &worker->idle);
    tdm_ledger_unlock(ledger);
    while (load_seq(&worker->called) == 0) tdm_futex_wait(&worker->called, 0, TDM_FOREVER); /* [worker-called] */
    tdm_ledger_lock(ledger);
    lane->waking = false;
}

struct tdm_task *tdm_thread_lane_next(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker)
{
    struct tdm_ledger *ledger = &lane->lane.core->ledger;
    tdm_ledger_lock(ledger);
    tdm_ledger_settle(ledger, &worker->tally);
    struct tdm_task *task;
    while (!(task = tdm_lane_dequeue_locked(&lane->lane)) && !lane->stopping) sleep_until_called(lane, worker);
    struct tdm_thread_worker *next = choose_to_call(lane);
    tdm_ledger_unlock(ledger);
    call(next);
    return task;
}

/* ---- the lane's contract ---- */

static int submit(struct tdm_lane *base, struct tdm_task *task)
{
    struct tdm_thread_lane *lane = mine(base);
    struct tdm_core *core = base->core;
    bool own = tdm_self_inside_pool(core);
    struct tdm_thread_worker *worker = NULL;
    int admission;
    tdm_ledger_lock(&core->ledger);
    while ((admission = tdm_ledger_admit(&core->ledger, true, own, core->waiters_help)) == TDM_LOOK_AGAIN) {
    }
    if (admission == TDM_ADMITTED) {
        tdm_lane_enqueue_locked(base, task);
        worker = choose_to_call(lane);
    } else if (admission == TDM_RUN_HERE) {
        tdm_task_move(task, TDM_QUEUED, TDM_HELD);
    }
    tdm_ledger_unlock(&core->ledger);
    call(worker);
    if (admission < 0) return admission;
    if (admission == TDM_RUN_HERE) tdm_thread_run(base, task, NULL);
    return 0;
}

/* The function sees the wish by itself; nothing else stops a thread. */
static void cancel(struct tdm_lane *lane, struct tdm_task *task)
{
    (void)lane;
    (void)task;
}

static void deadline(struct tdm_lane *lane, struct tdm_task *task, enum tdm_deadline_kind kind)
{
    if (kind == TDM_OF_WAITING)
        tdm_lane_expire(lane, task);
    else
        tdm_task_wish(task, TDM_WISH_DEADLINE);
}

static void run_here(struct tdm_lane *lane, struct tdm_task *task) { tdm_thread_run(lane, task, tdm_self_worker(lane->core)); }

static void fill_stats(struct tdm_lane *lane, tandem_stats *stats) { stats->threads = mine(lane)->count; }

static void begin_end(struct tdm_lane *lane) { tdm_lane_cancel_waiting(lane); }

/* Each worker is called by its own word; one that is busy finds the queue empty and the lane stopping when it comes back. */
static void end(struct tdm_lane *base)
{
    struct tdm_thread_lane *lane = mine(base);
    tdm_ledger_lock(&base->core->ledger);
    lane->stopping = true;
    tdm_list_init(&lane->idle);
    tdm_ledger_unlock(&base->core->ledger);
    for (uint32_t i = 0; i < lane->count; i++) call(&lane->workers[i]);
    for (uint32_t i = 0; i < lane->count; i++) pthread_join(lane->workers[i].thread, NULL);
    lane->count = 0;
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
        int error = tdm_thread_start(&worker->thread, tdm_thread_worker_main, worker, lane->options->stack_size);
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
    lane->options = options;
    lane->workers = calloc(options->threads, sizeof *lane->workers);
    if (!lane->workers) return -ENOMEM;
    int error = start_threads(lane);
    if (error == 0 && !wait_for_starts(lane)) error = -ECANCELED;
    if (error == 0) return 0;
    end(&lane->lane);
    tdm_thread_lane_free(lane);
    return error;
}
