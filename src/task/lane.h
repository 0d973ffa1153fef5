/* lane.h - the contract of a lane (threads, processes), and the queue each of them has. */
#ifndef TDM_TASK_LANE_H
#define TDM_TASK_LANE_H

#include "base/watch.h"
#include "task/core.h"
#include "task/hand.h"
#include "task/ranks.h"
#include "task/task.h"

struct tdm_lane;

struct tdm_lane_ops {
    /* Takes a task that is QUEUED in name and in no queue yet.  0, or a negative errno value and it was not taken. */
    int (*submit)(struct tdm_lane *lane, struct tdm_task *task);
    /* The calling thread is going to run a task at once, by run_here, without having it wait anywhere: true, it is counted.  NULL where
     * nobody does that. */
    bool (*begin_here)(struct tdm_lane *lane);
    /* The task was HELD a moment ago and a wish of cancel has been noted in it: stops it, if it still runs here.  True: it had not begun
     * and is the caller's now, to be ended as CANCELLED. */
    bool (*cancel)(struct tdm_lane *lane, struct tdm_task *task);
    /* On the reactor's thread: its deadline has passed. */
    void (*deadline)(struct tdm_lane *lane, struct tdm_task *task, enum tdm_deadline_kind kind);
    /* A thread is about to wait for a task that has not ended: from now on the lane waits for it, when it is freed. */
    void (*enter)(struct tdm_lane *lane);
    /* That thread waits until the task has ended or the deadline has passed, and does meanwhile what brings the end nearer.  When it returns,
     * maybe earlier, the pool may be gone.  Both NULL: there is nothing that a waiter could do. */
    void (*await)(struct tdm_lane *lane, struct tdm_task *task, uint64_t deadline_ns);
    /* That thread waits until the word is not 0, or the time is over, and does meanwhile what brings the mailbox's messages nearer.  When it
     * returns, the pool may be gone.  NULL: there is nothing that it could do, and no need to enter. */
    void (*watch)(struct tdm_lane *lane, struct tdm_mailbox *mailbox, const _Atomic uint32_t *word, struct tdm_look *look);
    /* Takes this very task out of wherever it waits: it is the caller's then, though it may still be called QUEUED.  NULL: it can only be in
     * the queue. */
    bool (*take_back)(struct tdm_lane *lane, struct tdm_task *task);
    /* Do more than so many wait, for all that a thread knows who waits for this one?  NULL: nobody needs to know. */
    bool (*holds_more)(struct tdm_lane *lane, struct tdm_task *task, uint32_t count);
    /* Something was posted to a task that has not ended, or it will be posted nothing more.  NULL: it looks by itself. */
    void (*posted)(struct tdm_lane *lane, struct tdm_task *task);
    /* Do these bytes lie where the task sees them too, and are not to be copied?  NULL: never. */
    bool (*shares)(struct tdm_lane *lane, const void *data, size_t size);
    /* How far a task says it is, in a worker; or leaves them.  NULL: its mailbox knows. */
    void (*progress)(struct tdm_lane *lane, struct tdm_task *task, uint64_t *done, uint64_t *total);
    /* What a worker has sent was handed over, and it is to be told of what it has not been told of.  By who has the mailbox's turn. */
    void (*consumed)(struct tdm_mailbox *mailbox);
    /* Runs a task on the calling thread that has taken it back; NULL where that makes no sense. */
    void (*run_here)(struct tdm_lane *lane, struct tdm_task *task);
    /* Counts in the ledger what has come in past it; closing: from now on nothing comes in that way.  NULL: nothing does. */
    void (*collect)(struct tdm_lane *lane, bool closing);
    void (*fill_stats)(struct tdm_lane *lane, tandem_stats *stats);
    /* In this order, after the gate is closed: begin_end cancels what waits and asks for the end of what runs; end waits for it. */
    void (*begin_end)(struct tdm_lane *lane);
    void (*end)(struct tdm_lane *lane);
};

struct tdm_lane {
    const struct tdm_lane_ops *ops;
    struct tdm_core *core;
    struct tdm_node queue;  /* first come, first served; guarded by the ledger's lock, as are the calls with _locked */
    struct tdm_ranks ranks; /* those of another priority than the usual one */
};

void tdm_lane_open(struct tdm_lane *lane, const struct tdm_lane_ops *ops, struct tdm_core *core);

/* Puts an admitted task at the end of the queue of its priority, and starts the clock of its waiting.  False: it was cancelled on its way here, and is HELD by the
 * caller, to be ended as such without the lock. */
bool tdm_lane_enqueue_locked(struct tdm_lane *lane, struct tdm_task *task);
/* Puts one back that could not be started after all; it waits again. */
void tdm_lane_put_back_locked(struct tdm_lane *lane, struct tdm_task *task);
/* Does any wait, of whatever priority?  The one that is next, left where it is, or NULL. */
bool tdm_lane_is_empty_locked(const struct tdm_lane *lane);
struct tdm_task *tdm_lane_peek_locked(struct tdm_lane *lane);

/* The next, now HELD by the caller, or NULL; or one of another priority whose turn it is before the usual ones, of which some wait or not; or
 * the first of what was cut off from the queue. */
struct tdm_task *tdm_lane_dequeue_locked(struct tdm_lane *lane);
struct tdm_task *tdm_lane_dequeue_ranked_locked(struct tdm_lane *lane, bool usual_waits);
struct tdm_task *tdm_lane_dequeue_from_locked(struct tdm_lane *lane, struct tdm_node *part);

/* Takes this very task out if it still waits: then it is held by the caller.  Takes the lane's locks and the ledger's. */
bool tdm_lane_take_back(struct tdm_lane *lane, struct tdm_task *task);
/* The same for one that can only be in a list under the ledger's lock. */
bool tdm_lane_take_back_from_list(struct tdm_lane *lane, struct tdm_task *task);

/* The clock of its waiting ends: it is HELD and about to start.  False: it had waited too long or was cancelled, and has been ended. */
bool tdm_lane_begin(struct tdm_lane *lane, struct tdm_task *task, struct tdm_tally *tally);

/* Ends one that the caller has taken back, or all that wait, or all that wait in another list than the queue, as CANCELLED. */
void tdm_lane_end_cancelled(struct tdm_task *task);
void tdm_lane_cancel_waiting(struct tdm_lane *lane);
void tdm_lane_cancel_waiting_in(struct tdm_lane *lane, struct tdm_node *part);

/* Ends a task as EXPIRED if it still waits; a lane's deadline for TDM_OF_WAITING. */
void tdm_lane_expire(struct tdm_lane *lane, struct tdm_task *task);

#endif
