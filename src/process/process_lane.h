/* process_lane.h - run it there: a pool's worker processes and the queue in front of them. */
#ifndef TDM_PROCESS_PROCESS_LANE_H
#define TDM_PROCESS_PROCESS_LANE_H

#include "process/slot.h"
#include "task/lane.h"
#include "task/report.h"

/* How many workers there are, and whether there may be more; guarded by the ledger's lock.
 *
 * A worker that may have tasks has a seat, and there are `processes` seats.  One that is to be replaced keeps its seat until its successor,
 * which stands by meanwhile, is ready. */
struct tdm_staff {
    uint32_t alive;     /* slots that are not empty */
    uint32_t dedicated; /* those of them that are for one task each; the rest does not count them */
    uint32_t starting;  /* not ready yet */
    uint32_t seated;
    uint32_t standing; /* ready, without a seat */
    uint32_t retiring; /* seated, and to be replaced */
    uint32_t owed;     /* places of workers that died under a task, to be filled although nothing waits */
    uint64_t started_ever, crashed_ever, recycled_ever;
    /* starts that fail */
    unsigned failed;        /* in a row */
    bool tripped;           /* no more starts until a submit asks again */
    uint64_t not_before_ns; /* the next start */
    int error;              /* of the last failed start: a positive errno */
    const char *step;
};

struct tdm_process_lane {
    struct tdm_lane lane;
    const tandem_options *options; /* the pool's resolved copy */
    _Atomic uint32_t
        busy; /* workers that have a task; written under their slots' locks, a hint for whoever wants to watch [lane-busy] */
    _Atomic uint32_t talkers;  /* workers that had a task that may send messages; written under their slots' locks [lane-talkers] */
    _Atomic uint32_t looks;    /* 1: the reactor will soon look for replies that it is told of later [lane-looks] */
    uint32_t processors;       /* constant */
    uint32_t watch_ns;         /* how long host and workers watch for each other before they sleep, at most */
    struct tdm_shared *shared; /* the pool's; set before the lane is opened */
    int cannot_start;          /* why no worker can ever be had, a positive errno; 0: they can */
    const char *cannot_step;

    /* guarded by the ledger's lock */
    struct tdm_slot *slots; /* all that there ever were, none goes before the lane does; the links are constant */
    struct tdm_node idle;   /* slots that are ready and have nothing, the latest first */
    struct tdm_node standing;
    struct tdm_report_pads reports;
    struct tdm_node dedicated;   /* tasks that wait for a worker of their own */
    uint32_t dedicated_starting; /* workers that are being started for them */
    struct tdm_staff staff;
    void *argument;    /* argument_size bytes; constant */
    char *environment; /* as it was when a call last made a worker necessary */
    size_t environment_size;
    uint64_t claim_ns;       /* a worker that has not begun its task after this hangs */
    bool sweeping;           /* the sweep timer is set */
    bool guarding;           /* the guard's timer is set */
    bool in_hands;           /* tasks may wait behind others in workers' hands */
    uint32_t queued;         /* counts submits that found no worker idle */
    struct tdm_slot *passed; /* where a submit last came by */
    bool closing;

    /* the reactor's */
    bool listening;
    struct tdm_job tend_job, end_job, close_job;
    struct tdm_timer sweep_timer, guard_timer, start_timer, look_timer;

    _Atomic uint32_t deaths; /* counts burials; the end of the lane sleeps on it [lane-deaths] */
    _Atomic uint32_t
        guests; /* threads that wait inside one of its slots, and TDM_HOST_LEAVES; the end of the lane sleeps on it [lane-guests] */
    _Atomic uint32_t closed; /* 1: the reactor has nothing of this lane any more [lane-closed] */
};

/* error, step: why there can be no workers, or 0.  0 or -errno, and then there is nothing to close. */
int tdm_process_lane_open(struct tdm_process_lane *lane, struct tdm_core *core, const tandem_options *options, int error,
                          const char *step);
void tdm_process_lane_free(struct tdm_process_lane *lane);

static inline bool tdm_process_lane_talks(const struct tdm_process_lane *lane)
{
    return load_seq(&lane->talkers) > 0;
} /* [lane-talkers] */
/* Any thread of the program's: reads what workers that may have sent messages have sent, if nobody else does. */
void tdm_process_lane_look(struct tdm_process_lane *lane);

#define TDM_HOST_LEAVES (1u << 31)

/* ---- for its slots, on the reactor's thread except for put_back and refill ---- */

struct tdm_setup;

struct tdm_burial {
    struct tdm_slot *slot;
    bool failed_start, crashed, lost_task, recycled;
    bool is_final;    /* the failed start: no second try can do better */
    int error;        /* of a failed start: a positive errno */
    const char *step; /* static */
};

/* Environment and argument go behind the setup; what is allocated is the caller's.  NULL: no memory. */
char *tdm_process_lane_make_setup(struct tdm_process_lane *lane, struct tdm_setup *setup);
void tdm_process_lane_ready(struct tdm_process_lane *lane, struct tdm_slot *slot);     /* the first time */
void tdm_process_lane_free_slot(struct tdm_process_lane *lane, struct tdm_slot *slot); /* ready, and may have another task */
/* Any thread that has read a reply of it: gives it another task or has it wait for one; what is less simple goes to the reactor. */
void tdm_process_lane_refill(struct tdm_process_lane *lane, struct tdm_slot *slot, const struct tdm_leeway *leeway);
void tdm_process_lane_retire(struct tdm_process_lane *lane, struct tdm_slot *slot); /* replace it, as soon as may be */
void tdm_process_lane_not_idle(struct tdm_process_lane *lane, struct tdm_slot *slot);
void tdm_process_lane_put_back(struct tdm_process_lane *lane, struct tdm_task *task); /* held, not begun; any thread */
void tdm_process_lane_buried(struct tdm_process_lane *lane, const struct tdm_burial *burial);

/* ---- between its two halves ---- */

static inline void tdm_process_lane_lock(const struct tdm_process_lane *lane) { tdm_ledger_lock(&lane->lane.core->ledger); }
static inline void tdm_process_lane_unlock(const struct tdm_process_lane *lane) { tdm_ledger_unlock(&lane->lane.core->ledger); }

/* With the lock held: one that is there, off the list.  With no lock: one task for it, held by the caller. */
struct tdm_slot *tdm_process_lane_take_idle(struct tdm_process_lane *lane, uint32_t *number);
void tdm_process_lane_hand(struct tdm_process_lane *lane, struct tdm_slot *slot, uint32_t number, struct tdm_task *task);

/* With the lock held, under which a task has been queued that has not ended: so the caller may enter as a guest, to take in what a worker has
 * answered.  NULL: not this time. */
struct tdm_slot *tdm_process_lane_enter_to_pass(struct tdm_process_lane *lane);
void tdm_process_lane_pass(struct tdm_process_lane *lane, struct tdm_slot *slot); /* with no lock; then the guest is gone */

/* With the lock held: does the reactor have to start a worker? */
bool tdm_staff_wants_worker(const struct tdm_process_lane *lane);
/* With the lock held, for a task that has just been queued: a submit makes the breaker try once more. */
void tdm_staff_asked(struct tdm_process_lane *lane);
/* With the lock held: from now on, and as long as workers have tasks, somebody looks whether they have begun them. */
void tdm_staff_guard(struct tdm_process_lane *lane);
/* With the lock held: it has nothing to do. */
void tdm_staff_go_idle(struct tdm_process_lane *lane, struct tdm_slot *slot);
/* With no lock: it has given up its seat, or is to; the next in line takes it. */
void tdm_staff_leave(struct tdm_process_lane *lane, struct tdm_slot *slot);
void tdm_staff_open(struct tdm_process_lane *lane);

#endif
