/* thread_lane.c - a pool's threads: the lane's contract, and how tasks come in. */
#define _POSIX_C_SOURCE 200809L
#include "threads/thread_lane.h"

#include "base/clock.h"
#include "base/memory.h"
#include "task/wait.h"
#include "threads/owed.h"

#include <errno.h>

/* ---- coming in ---- */

/* Under the ledger's lock: it may have to wait for room, or is refused. */
static int submit_by_ledger(struct tdm_thread_lane *lane, struct tdm_task *task)
{
    struct tdm_core *core = lane->lane.core;
    int admission;
    tdm_ledger_lock(&core->ledger);
    while ((admission = tdm_ledger_admit(&core->ledger, core, true, core->waiters_help)) == TDM_LOOK_AGAIN) {
    }
    bool cancelled = false, call = false;
    if (admission == TDM_ADMITTED) {
        call = tdm_shards_point_out(&lane->shards); /* first: without LOOK the queue is empty, for its deadline too */
        cancelled = !tdm_lane_enqueue_locked(&lane->lane, task);
    } else if (admission == TDM_RUN_HERE) {
        tdm_task_move(task, TDM_QUEUED, TDM_HELD);
    }
    tdm_ledger_unlock(&core->ledger);
    if (admission != TDM_ADMITTED || cancelled) tdm_thread_queue_forget(lane, task);
    if (admission < 0) return admission;
    if (call) tdm_thread_queue_call(lane);
    if (admission == TDM_RUN_HERE)
        tdm_thread_run(&lane->lane, task, NULL);
    else if (cancelled)
        tdm_lane_end_cancelled(task);
    return 0;
}

size_t tdm_thread_lane_go_on(struct tdm_thread_lane *lane, uintptr_t found, tandem_task *const *tasks, size_t count, int *error)
{
    size_t taken = 0;
    if (found & TDM_INJECTOR_ASK) {
        while (taken < count && (*error = submit_by_ledger(lane, tdm_task_of(tasks[taken]))) == 0) taken++;
        for (size_t i = taken; i < count; i++) tdm_thread_queue_forget(lane, tdm_task_of(tasks[i]));
        return taken;
    }
    if (found & TDM_INJECTOR_CALL) tdm_thread_queue_call(lane);
    return count;
}

/* A cancel that meets the task on its way leaves its wish, and whoever takes it out sees that. */
static int submit(struct tdm_lane *base, struct tdm_task *task)
{
    struct tdm_thread_lane *lane = tdm_thread_lane_of(base);
    const tandem_task *public = tdm_task_public(task);
    if (public->flags & TANDEM_DEDICATED) return tdm_dedicated_submit(&lane->dedicated, base, lane->options, task);
    if (public->priority != 0) return submit_by_ledger(lane, task);
    uint32_t part = tdm_shards_mine(&lane->shards);
    store_release(tdm_thread_in_queue(task), (int32_t)part + 1); /* who sees it too early looks again [task-in-queue] */
    if (public->queue_timeout_ms != 0) return submit_by_ledger(lane, task);
    uintptr_t found = tdm_injector_push(tdm_shards_part(&lane->shards, part), tdm_thread_link_of(task));
    if (found & TDM_INJECTOR_ASK) return submit_by_ledger(lane, task);
    if (found & TDM_INJECTOR_CALL) tdm_thread_queue_call(lane);
    return 0;
}

/* Counted first, then asked again: either it is seen here that nothing comes in any more, or who has closed the pool sees the count
 * [ledger-called]. */
static bool begin_here(struct tdm_lane *base)
{
    struct tdm_thread_lane *lane = tdm_thread_lane_of(base);
    struct tdm_ledger *ledger = tdm_thread_ledger(lane);
    if (tdm_shards_ask(&lane->shards)) return false;
    add_seq(&ledger->called, 1);
    if (tdm_shards_ask(&lane->shards)) {
        tdm_ledger_uncall(ledger);
        return false;
    }
    return true;
}

bool tdm_thread_lane_begin_here(struct tdm_thread_lane *lane, const struct tdm_task *task)
{
    return tdm_wait_may_help(task) && begin_here(&lane->lane);
}

/* ---- the lane's contract ---- */

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
    struct tdm_thread_lane *lane = tdm_thread_lane_of(base);
    unsigned in_hands = tdm_thread_queue_count_in_hands(lane);
    if (in_hands > stats->running) in_hands = (unsigned)stats->running; /* it moved between two looks */
    stats->waiting += in_hands;
    stats->running -= in_hands;
    tdm_ledger_lock(tdm_thread_ledger(lane));
    stats->threads = lane->count + lane->spares.alive + lane->dedicated.alive;
    tdm_ledger_unlock(tdm_thread_ledger(lane));
}

static void begin_end(struct tdm_lane *base)
{
    struct tdm_thread_lane *lane = tdm_thread_lane_of(base);
    tdm_thread_queue_stop(lane);
    tdm_dedicated_begin_end(&lane->dedicated, base);
    for (struct tdm_task *task; (task = tdm_thread_queue_take_any(lane)) != NULL;) tdm_lane_end_cancelled(task);
    tdm_lane_cancel_waiting(base);
}

/* A thread that looks out sees the bit; one that sleeps is called by its own word; one that is busy finds the lane stopping when it comes back. */
static void end(struct tdm_lane *base)
{
    struct tdm_thread_lane *lane = tdm_thread_lane_of(base);
    tdm_shards_point_out(&lane->shards);
    tdm_life_close(lane);
    tdm_dedicated_end(&lane->dedicated, base);
}

static const struct tdm_lane_ops ops = {.submit = submit,
                                        .begin_here = begin_here,
                                        .cancel = cancel,
                                        .deadline = deadline,
                                        .take_back = tdm_thread_queue_take_back,
                                        .holds_more = tdm_thread_queue_holds_more,
                                        .run_here = run_here,
                                        .collect = tdm_thread_queue_collect,
                                        .fill_stats = fill_stats,
                                        .begin_end = begin_end,
                                        .end = end};

/* ---- opening ---- */

void tdm_thread_lane_free(struct tdm_thread_lane *lane)
{
    lane->lane.core->ledger.tallies = NULL;
    free(lane->workers);
    lane->workers = NULL;
}

int tdm_thread_lane_open(struct tdm_thread_lane *lane, struct tdm_core *core, const tandem_options *options)
{
    tdm_lane_open(&lane->lane, &ops, core);
    tdm_dedicated_open(&lane->dedicated);
    tdm_parking_open(&lane->parking, core->watch_ns, core->one_processor);
    tdm_owed_open(lane);
    tdm_shards_open(&lane->shards, core->one_processor ? 1 : options->threads);
    if (options->queue_limit != 0) tdm_shards_close(&lane->shards);
    lane->options = options;
    lane->workers = tdm_calloc((size_t)options->threads + TDM_SPARES_MOST, sizeof *lane->workers);
    store_release(&lane->made, options->threads); /* [lane-made] */
    if (!lane->workers) return -ENOMEM;
    int error = tdm_life_open(lane);
    if (error == 0) return 0;
    begin_end(&lane->lane);
    end(&lane->lane);
    tdm_thread_lane_free(lane);
    return error;
}
