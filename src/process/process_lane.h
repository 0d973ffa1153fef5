/* process_lane.h - run it there: a pool's worker processes, the queue before them, and how many of them there are. */
#ifndef TDM_PROCESS_PROCESS_LANE_H
#define TDM_PROCESS_PROCESS_LANE_H

#include "process/slot.h"
#include "task/lane.h"

struct tdm_process_lane {
    struct tdm_lane lane;
    const tandem_options *options; /* the pool's resolved copy */
    struct tdm_slot *slots;        /* options->processes of them */
    void *setup;                   /* what each worker is sent first */
    size_t setup_size;
    int cannot_start; /* why no worker can ever be had, a positive errno; 0: they can */
    const char *cannot_step;

    /* guarded by the ledger's lock */
    struct tdm_node idle; /* slots that are ready and have nothing, the latest first */
    uint32_t alive;       /* slots that are not empty */
    uint32_t starting;    /* those of them that have not been ready yet */
    uint32_t leaving;     /* those of them that were told to leave because they were idle */
    uint32_t owed;        /* places of workers that died under a task, to be filled although nothing waits */
    uint64_t started_ever, crashed_ever;
    bool sweeping; /* the sweep timer is set */
    bool guarding; /* the guard's timer is set */
    bool closing;

    /* the circuit breaker; guarded by the ledger's lock */
    unsigned failed_starts; /* in a row */
    bool tripped;           /* no more starts until a submit asks again */
    uint64_t tripped_ns;
    int start_error; /* of the last failed start */
    const char *start_step;

    /* the reactor's */
    bool listening;
    struct tdm_job tend_job, end_job, close_job;
    struct tdm_timer sweep_timer, guard_timer;

    _Atomic uint32_t deaths; /* counts burials; the end of the lane sleeps on it [lane-deaths] */
    _Atomic uint32_t closed; /* 1: the reactor has nothing of this lane any more [lane-closed] */
};

/* error, step: why there can be no workers, or 0.  0 or -errno, and then there is nothing to close. */
int tdm_process_lane_open(struct tdm_process_lane *lane, struct tdm_core *core, const tandem_options *options, int error,
                          const char *step);
void tdm_process_lane_free(struct tdm_process_lane *lane);

/* ---- for its slots ---- */

struct tdm_burial {
    bool was_starting; /* it had never been ready */
    bool was_swept;
    bool failed_start, crashed, lost_task;
    int error;        /* of a failed start: a positive errno */
    const char *step; /* static */
};

const void *tdm_process_lane_setup(const struct tdm_process_lane *lane, size_t *size);
void tdm_process_lane_ready(struct tdm_process_lane *lane, struct tdm_slot *slot);     /* the first time */
void tdm_process_lane_free_slot(struct tdm_process_lane *lane, struct tdm_slot *slot); /* ready and without a task */
void tdm_process_lane_not_idle(struct tdm_process_lane *lane, struct tdm_slot *slot);
void tdm_process_lane_put_back(struct tdm_process_lane *lane, struct tdm_task *task); /* held, not begun; any thread */
void tdm_process_lane_buried(struct tdm_process_lane *lane, const struct tdm_burial *burial);

#endif
