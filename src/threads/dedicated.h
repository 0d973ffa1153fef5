/* dedicated.h - thread tasks with a thread of their own: it is started for the task, beyond the pool's threads, and ends after it. */
#ifndef TDM_THREADS_DEDICATED_H
#define TDM_THREADS_DEDICATED_H

#include "task/lane.h"

struct tdm_dedicated_thread;

/* One a lane; guarded by the ledger's lock. */
struct tdm_dedicated {
    struct tdm_node waiting;           /* tasks whose thread is being started; any of those threads takes the first */
    uint32_t starting;                 /* threads that have not looked there yet */
    uint32_t alive;                    /* threads that have not come to their end, and those that are about to be started */
    uint32_t numbers;                  /* given to threads so far */
    struct tdm_dedicated_thread *gone; /* those that came to their ends and are still to be joined, the last one first */
    bool one_joins;                    /* one of those, the last of the list, joins all that come after it */
    _Atomic uint32_t ends;             /* counts ends; the pool's sleeps on it [dedicated-ends] */
};

void tdm_dedicated_open(struct tdm_dedicated *dedicated);

/* The lane's submit for such a task. */
int tdm_dedicated_submit(struct tdm_dedicated *dedicated, struct tdm_lane *lane, const tandem_options *options,
                         struct tdm_task *task);

/* The pool ends and takes no tasks any more: those that wait are cancelled; all threads have ended when the second returns. */
void tdm_dedicated_begin_end(struct tdm_dedicated *dedicated, struct tdm_lane *lane);
void tdm_dedicated_end(struct tdm_dedicated *dedicated, struct tdm_lane *lane);

#endif
