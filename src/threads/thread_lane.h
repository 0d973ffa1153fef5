/* thread_lane.h - run it here: a pool's threads and the queue before them. */
#ifndef TDM_THREADS_THREAD_LANE_H
#define TDM_THREADS_THREAD_LANE_H

#include "task/lane.h"
#include "task/self.h"
#include "threads/dedicated.h"

#include <pthread.h>

struct tdm_thread_lane;

/* What it would have left undone if the program ended its thread now. */
enum tdm_worker_phase { TDM_WORKER_STARTS = 0, TDM_WORKER_STARTS_AGAIN, TDM_WORKER_WORKS, TDM_WORKER_LEAVES };

struct tdm_thread_worker {
    struct tdm_tally tally; /* its own: only it writes */
    struct tdm_hand hand;
    struct tdm_thread_lane *lane;
    pthread_t thread;            /* the present one; written by itself, read when it has ended */
    _Atomic uint32_t ended;      /* 1: it has, and nobody takes its place [worker-ended] */
    enum tdm_worker_phase phase; /* its own */
    struct tdm_worker_self self;
    uint32_t number;         /* from 1 */
    void *data;              /* what on_worker_start left */
    bool has_data;           /* on_worker_start was called and did not fail */
    struct tdm_node idle;    /* in the lane's list, under the ledger's lock */
    _Atomic uint32_t called; /* 1: get up; written by who took it off the idle list [worker-called] */
};

struct tdm_thread_lane {
    struct tdm_lane lane;
    char apart[TDM_CACHE_LINE];    /* submitters write what is before, workers use what is behind */
    const tandem_options *options; /* the pool's resolved copy */
    uint32_t count;
    bool may_watch; /* there is a core for a worker that looks out for work before it sleeps */
    struct tdm_thread_worker *workers;
    struct tdm_dedicated dedicated;
    _Atomic uint32_t stopping;  /* 1: no task is begun any more; written by begin_end under both locks [lane-stopping] */
    struct tdm_lock front_lock; /* rank FRONT */
    struct tdm_node front;      /* guarded by front_lock: the older part of the queue, cut off from it as a whole */
    char apart_too[TDM_CACHE_LINE];
    /* guarded by the ledger's lock */
    struct tdm_node idle;      /* workers that sleep, the latest first: its stack and caches are still warm */
    _Atomic uint32_t sleepers; /* their number; looked at under the front lock alone, see choose_to_call [lane-sleepers] */
    bool waking;               /* one has been called, or watches, and will look at the queue */
    uint32_t starting, failed; /* workers that are still in on_worker_start; whose on_worker_start failed */
    _Atomic uint32_t started;  /* counts those out of it; the maker of the pool sleeps on it [workers-started] */
};

/* Starts the threads and waits for their on_worker_start.  0 or -errno, and then there is nothing to close. */
int tdm_thread_lane_open(struct tdm_thread_lane *lane, struct tdm_core *core, const tandem_options *options);
void tdm_thread_lane_free(struct tdm_thread_lane *lane);

/* ---- thread_lane and thread_worker to each other ---- */

/* The next task for this worker, HELD; sleeps until there is one.  NULL: the pool ends. */
struct tdm_task *tdm_thread_lane_next(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker);
void tdm_thread_lane_settle(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker); /* before it ends */
void tdm_thread_lane_started(struct tdm_thread_lane *lane, bool failed);

/* What a pool thread does all its life; argument: its tdm_thread_worker. */
void *tdm_thread_worker_main(void *argument);

/* Runs a held task on this thread; worker NULL: not a thread of this pool. */
/* on_worker_start, on the thread that starts; what it returns. */
int tdm_thread_call_start(const tandem_options *options, struct tdm_core *core, void **worker_data);
void tdm_thread_run(struct tdm_lane *lane, struct tdm_task *task, const struct tdm_worker_self *worker);

#endif
