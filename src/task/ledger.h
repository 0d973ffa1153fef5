/* ledger.h - a pool's books: how many tasks were taken, are waiting, are open, have ended how; and who must wait for room or for quiet.
 *
 * Its lock also guards the queues of both lanes, so that what is counted and what is queued never differ. */
#ifndef TDM_TASK_LEDGER_H
#define TDM_TASK_LEDGER_H

#include "base/list.h"
#include "base/lock.h"

#include <tandem.h>

struct tdm_core;

#define TDM_STATUSES     16
#define TDM_SAMPLES      256
#define TDM_SAMPLE_EVERY 64

/* How tasks ended, counted by one thread alone (a plain load and store then), or by all others together.  Each count is made before
 * the end it counts is published, so who has seen the end finds it counted [task-end]. */
struct tdm_tally {
    _Atomic uint64_t ended[TDM_STATUSES];
    uint64_t unsettled; /* the owner's: ended, but still open in the ledger */
    bool shared;
    bool defers; /* its owner has no time for on_done: that is put where it is run */
    struct tdm_tally *next;
};

enum tdm_gate { TDM_GATE_OPEN = 0, TDM_GATE_DRAINING, TDM_GATE_CLOSED };

struct tdm_ledger {
    struct tdm_lock lock;
    /* settled when the pool is made */
    uint32_t limit;
    int32_t when_full;
    /* guarded by lock */
    uint64_t submitted; /* those that came in under the lock */
    uint64_t
        open; /* of them not ended, or on_done has not returned; what a tally has not settled counts as open.  Ends of tasks that came in
                      otherwise are taken off here too, so it may lie below zero: see tdm_ledger_open */
    enum tdm_gate gate;
    struct tdm_tally *tallies; /* the threads' own */
    unsigned room_waiters, quiet_waiters;
    uint32_t wait_samples[TDM_SAMPLES], run_samples[TDM_SAMPLES]; /* microseconds would lose, so nanoseconds cut at 4 s */
    uint64_t samples;
    /* atomic */
    _Atomic uint64_t entered;   /* tasks that ever waited; written under lock, a hint for whoever looks without [ledger-waiting] */
    char apart[TDM_CACHE_LINE]; /* submitters write what is before, workers what is behind */
    _Atomic uint64_t taken;     /* those of them that wait no more; any thread adds [ledger-waiting] */
    _Atomic uint64_t
        arrived; /* tasks that came in past the lock, counted by the thread lane when it takes them over; written under its
                                   front lock [ledger-arrived] */
    _Atomic uint64_t left; /* tasks that left the thread lane's queue; written under its front lock [ledger-waiting] */
    char apart_too[TDM_CACHE_LINE];
    struct tdm_tally others;
    _Atomic uint64_t
        called; /* tasks that never waited, because who submitted them ran them at once; any thread adds [ledger-called] */
    _Atomic uint32_t
        departed; /* twice the tasks that others have ended, so that the lowest bit is free: somebody sleeps on this word until
                                  it is quiet [ledger-departed] */
    _Atomic uint32_t room; /* counts changes; waiters sleep on it, who makes room adds [ledger-room] */
};

static inline void tdm_ledger_lock(struct tdm_ledger *ledger) { tdm_lock(&ledger->lock, TDM_RANK_LEDGER); }
static inline void tdm_ledger_unlock(struct tdm_ledger *ledger) { tdm_unlock(&ledger->lock, TDM_RANK_LEDGER); }

enum tdm_admission { TDM_ADMITTED = 0, TDM_LOOK_AGAIN = 1, TDM_RUN_HERE = 2 }; /* or a negative errno value */

/* With the lock held.  May one more task come in, as one that waits for its start or not?  may_run_here: RUN_HERE is possible.
 * LOOK_AGAIN: it waited for room with the lock let go.  core: whose ledger this is; its own threads are not held up. */
int tdm_ledger_admit(struct tdm_ledger *ledger, const struct tdm_core *core, bool waits, bool may_run_here);

/* With the lock held: so many more, that come in with one that was admitted. */
void tdm_ledger_admit_more(struct tdm_ledger *ledger, uint64_t count, bool wait);

/* How many wait, if nothing moves. */
uint64_t tdm_ledger_waiting(const struct tdm_ledger *ledger);
/* With the lock held: one task that was admitted as one that does not wait has to, after all. */
void tdm_ledger_entered(struct tdm_ledger *ledger);
/* So many wait no more.  With the lock held; without it only if the queue has no limit, for then nobody waits for room. */
void tdm_ledger_taken(struct tdm_ledger *ledger, uint64_t count);

/* The thread lane, under its front lock: so many have come in past the lock; so many wait no more. */
void tdm_ledger_arrived(struct tdm_ledger *ledger, uint64_t count);
void tdm_ledger_left(struct tdm_ledger *ledger, uint64_t count);

/* Before an end is published.  relaxed: the release that publishes the end carries it to who acquires that [task-end] */
void tdm_tally_count(struct tdm_tally *tally, int status);
static inline void tdm_tally_count_own(struct tdm_tally *own, int status)
{
    store_relaxed(&own->ended[status], load_relaxed(&own->ended[status]) + 1);
}

/* One that was counted as called is none after all. */
void tdm_ledger_uncall(struct tdm_ledger *ledger);

/* With the lock held: how many tasks have not ended; only once nothing comes in past the lock any more. */
uint32_t tdm_ledger_open(const struct tdm_ledger *ledger);

/* One task is no longer open; its own tally settles later, others at once, and do not touch the ledger after that. */
void tdm_ledger_settle_one(struct tdm_ledger *ledger, struct tdm_tally *tally);
static inline void tdm_ledger_settle_later(struct tdm_tally *own) { own->unsettled++; }
/* With the lock held: what the owner's tally has left open. */
void tdm_ledger_settle(struct tdm_ledger *ledger, struct tdm_tally *tally);

void tdm_ledger_add_sample(struct tdm_ledger *ledger, uint64_t wait_ns, uint64_t run_ns);

/* Closes the gate this far; those who wait for room are refused. */
void tdm_ledger_close(struct tdm_ledger *ledger, enum tdm_gate gate);
/* Until nothing is open.  0 or -ETIMEDOUT. */
int tdm_ledger_wait_quiet(struct tdm_ledger *ledger, uint64_t deadline_ns);

void tdm_ledger_fill_stats(struct tdm_ledger *ledger, tandem_stats *stats);

#endif
