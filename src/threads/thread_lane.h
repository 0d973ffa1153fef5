/* thread_lane.h - run it here: a pool's threads and the queue in front of them. */
#ifndef TDM_THREADS_THREAD_LANE_H
#define TDM_THREADS_THREAD_LANE_H

#include "base/reactor.h"
#include "job/context.h"
#include "task/lane.h"
#include "task/self.h"
#include "threads/dedicated.h"
#include "threads/deque.h"
#include "threads/parking.h"
#include "threads/shards.h"
#include "threads/spare.h"
#include "threads/thread_life.h"

#include <pthread.h>

struct tdm_thread_lane;

/* What it would have left undone if the program ended its thread now. */
enum tdm_worker_phase { TDM_WORKER_STARTS = 0, TDM_WORKER_STARTS_AGAIN, TDM_WORKER_WORKS, TDM_WORKER_LEAVES };

/* One run of a task. */
struct tdm_run {
    struct tdm_task *task; /* NULL: none, or its function has returned */
    tandem_context context;
    tandem_context branches; /* the context as its branches see it; filled in when it spawns */
    struct tdm_outcome outcome;
    struct tdm_inside inside;
};

struct tdm_thread_worker {
    struct tdm_tally tally; /* its own: only it writes */
    struct tdm_hand hand;
    unsigned part;       /* how many tasks it takes next; its own, under the front lock, as is the next */
    uint32_t next_shard; /* where it looks first; the lowest bits */
    struct tdm_thread_lane *lane;
    pthread_t thread;            /* the present one; written by itself, read by who takes its place */
    enum tdm_worker_phase phase; /* its own */
    uint32_t number;             /* from 1 */
    struct tdm_worker_self self; /* as the thread knows itself */
    void *data;                  /* what on_worker_start left */
    bool has_data;               /* on_worker_start was called and did not fail */
    bool is_spare;
    bool in_use;      /* it has a thread, or is about to; guarded by the ledger's lock, as is the next */
    bool has_retired; /* that has decided to end, and counts no more */
    bool is_gone;     /* it has come to its end, and is not joined; written with that lock held, and by who joins it */
    struct tdm_parker parker;
    struct tdm_deque deque; /* what its task has spawned */
    struct tdm_run run;     /* its task's; what a wait in the middle of that one runs lies on the stack */
    bool runs;              /* that is in use */
};

struct tdm_thread_lane {
    struct tdm_lane lane;
    const tandem_options *options;     /* the pool's resolved copy */
    struct tdm_thread_worker *workers; /* the pool's threads, then spares */
    _Atomic uint32_t made;             /* how many of these may be in use; written under the ledger's lock [lane-made] */
    struct tdm_dedicated dedicated;
    struct tdm_shards shards;   /* the queue; see there */
    _Atomic uint32_t forks;     /* 1: a task of this pool has spawned a branch; written by who does [lane-forks] */
    _Atomic uint32_t stopping;  /* 1: no task is begun any more; written by begin_end under the front lock [lane-stopping] */
    struct tdm_lock front_lock; /* rank FRONT; the injectors', for whoever takes out */
    struct tdm_parking parking; /* guarded by front_lock */
    bool pointed_out;           /* LOOK was on, perhaps for a branch, and nobody has looked for one since; guarded by front_lock */
    bool in_hands;              /* some may be in workers' hands; guarded by front_lock */
    uint32_t beginning;         /* threads that were chosen to begin and are not ready yet; guarded by front_lock */
    uint64_t tries_again_ns;    /* no thread is started before: one could not be; guarded by front_lock */
    struct tdm_timer owed;      /* then that is tried again; set under front_lock, and not any more when the lane is stopping */
    /* guarded by the ledger's lock */
    uint32_t count; /* of the pool's threads that have not decided to end; written under front_lock too */
    struct tdm_spares spares;
    _Atomic uint32_t
        alive; /* threads that have not come to their end; written under that lock; the pool's end sleeps on it [threads-alive] */
    _Atomic uint32_t
        started; /* 1: on_worker_start has returned in the first thread; 2: it failed; the maker of the pool sleeps on it
                                 [thread-started] */
};

/* Starts the first thread and waits for its on_worker_start.  0 or -errno, and then there is nothing to close. */
int tdm_thread_lane_open(struct tdm_thread_lane *lane, struct tdm_core *core, const tandem_options *options);
void tdm_thread_lane_free(struct tdm_thread_lane *lane);

/* Tasks that only wait for the next thread were to be put into a part of the queue, marked so that they can be found there, and that has found these
 * bits.  How many of them are taken; if not all, *error says why, and the others are in no queue. */
size_t tdm_thread_lane_go_on(struct tdm_thread_lane *lane, uintptr_t found, tandem_task *const *tasks, size_t count, int *error);

/* May the calling thread run it at once?  If it would help anyway; then it is counted. */
bool tdm_thread_lane_begin_here(struct tdm_thread_lane *lane, const struct tdm_task *task);

/* ---- thread_lane, thread_queue and thread_worker to each other ---- */

static inline struct tdm_ledger *tdm_thread_ledger(const struct tdm_thread_lane *lane) { return &lane->lane.core->ledger; }
static inline struct tdm_thread_lane *tdm_thread_lane_of(struct tdm_lane *lane)
{
    return container_of(lane, struct tdm_thread_lane, lane);
}

/* While a thread task is in the queue its link lies where its output will be. */
static inline struct tdm_link *tdm_thread_link_of(struct tdm_task *task)
{
    return (struct tdm_link *)(void *)&tdm_task_public(task)->output;
}

/* Not 0 while it is in the queue, or on its way there from submit: in which of its parts, from 1; taken off under the front lock.  Only then is its link what it seems: whoever ends it
 * writes there without that lock.  Lies where a signal would be told of, which a thread task has none of [task-in-queue] */
static inline _Atomic int32_t *tdm_thread_in_queue(struct tdm_task *task)
{
    return (_Atomic int32_t *)(void *)&tdm_task_public(task)->signal;
}

/* The next task for this worker, its own now; sleeps until there is one.  NULL: the pool ends. */
struct tdm_task *tdm_thread_queue_next(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker);
/* Somebody has to come and look, because CALL was set. */
void tdm_thread_queue_call(struct tdm_thread_lane *lane);
/* With the front lock held, by a worker that has just taken a task, or leaves, or cannot come: whom to call for what is left, in anybody's hand
 * too, whose owner may have relied on this one to be on its way; or NULL.  If nothing is left, who brings something calls. */
struct tdm_parker *tdm_thread_queue_choose_helper(struct tdm_thread_lane *lane);
/* By whoever has no task to bring and is not about to take one: is there something that nobody is on the way to? */
void tdm_thread_queue_look_again(struct tdm_thread_lane *lane);
/* Takes this very task out if it waits anywhere. */
bool tdm_thread_queue_take_back(struct tdm_lane *lane, struct tdm_task *task);
/* By who waits for this one: do more than so many wait? */
bool tdm_thread_queue_holds_more(struct tdm_lane *lane, struct tdm_task *task, uint32_t count);
/* One that has not been put in after all: what lies where its link is means nothing from now on. */
void tdm_thread_queue_forget(struct tdm_thread_lane *lane, struct tdm_task *task);
/* What has come in past the ledger is counted there.  closing: from now on nothing comes in that way. */
void tdm_thread_queue_collect(struct tdm_lane *lane, bool closing);
/* From now on nothing comes in, and no worker begins a task. */
void tdm_thread_queue_stop(struct tdm_thread_lane *lane);
/* Whatever waits, one after the other, held by the caller now; or NULL. */
struct tdm_task *tdm_thread_queue_take_any(struct tdm_thread_lane *lane);
unsigned tdm_thread_queue_count_in_hands(const struct tdm_thread_lane *lane);
/* What the worker has counted for itself is in the ledger. */
void tdm_thread_queue_settle(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker);

/* With the ledger's lock held: fills in a zeroed record. */
void tdm_thread_worker_open(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker, uint32_t number);

/* What a pool thread does all its life; argument: its tdm_thread_worker. */
void *tdm_thread_worker_main(void *argument);

/* Runs a held task on this thread; worker NULL: not a thread of this pool. */
/* on_worker_start, on the thread that starts; what it returns. */
int tdm_thread_call_start(const tandem_options *options, struct tdm_core *core, void **worker_data);
void tdm_thread_run(struct tdm_lane *lane, struct tdm_task *task, const struct tdm_worker_self *worker);

#endif
