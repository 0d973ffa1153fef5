/* lane.h - the contract of a lane (threads, processes), and the queue each of them has. */
#ifndef TDM_TASK_LANE_H
#define TDM_TASK_LANE_H

#include "task/core.h"
#include "task/task.h"

struct tdm_lane;

struct tdm_lane_ops {
    /* Takes a task that is QUEUED in name and in no queue yet.  0, or a negative errno value and it was not taken. */
    int (*submit)(struct tdm_lane *lane, struct tdm_task *task);
    /* The task was HELD a moment ago and a wish of cancel has been noted in it: stop it, if it still runs here. */
    void (*cancel)(struct tdm_lane *lane, struct tdm_task *task);
    /* On the reactor's thread: its deadline has passed. */
    void (*deadline)(struct tdm_lane *lane, struct tdm_task *task, enum tdm_deadline_kind kind);
    /* Runs a task on the calling thread that has taken it back; NULL where that makes no sense. */
    void (*run_here)(struct tdm_lane *lane, struct tdm_task *task);
    void (*fill_stats)(struct tdm_lane *lane, tandem_stats *stats);
    /* In this order, after the gate is closed: begin_end cancels what waits and asks for the end of what runs; end waits for it. */
    void (*begin_end)(struct tdm_lane *lane);
    void (*end)(struct tdm_lane *lane);
};

struct tdm_lane {
    const struct tdm_lane_ops *ops;
    struct tdm_core *core;
    /* guarded by the ledger's lock, as are the calls with _locked */
    struct tdm_node queue; /* first come, first served */
    uint64_t queued;       /* its length */
};

void tdm_lane_open(struct tdm_lane *lane, const struct tdm_lane_ops *ops, struct tdm_core *core);

/* Puts an admitted task at the end, and starts the clock of its waiting. */
void tdm_lane_enqueue_locked(struct tdm_lane *lane, struct tdm_task *task);
/* Puts one back that could not be started after all; it waits again. */
void tdm_lane_put_back_locked(struct tdm_lane *lane, struct tdm_task *task);
/* The first, now HELD by the caller, or NULL. */
struct tdm_task *tdm_lane_dequeue_locked(struct tdm_lane *lane);

/* Takes this very task out if it still waits: then it is HELD by the caller. */
bool tdm_lane_take_back(struct tdm_lane *lane, struct tdm_task *task);

/* The clock of its waiting ends: it is HELD and about to start.  False: it had waited too long or was cancelled, and has been ended. */
bool tdm_lane_begin(struct tdm_lane *lane, struct tdm_task *task, struct tdm_tally *tally);

/* Ends all that wait as CANCELLED. */
void tdm_lane_cancel_waiting(struct tdm_lane *lane);

/* Ends a task as EXPIRED if it still waits; a lane's deadline for TDM_OF_WAITING. */
void tdm_lane_expire(struct tdm_lane *lane, struct tdm_task *task);

#endif
