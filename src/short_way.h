/* short_way.h - submit for tasks that ask for nothing but to be run on a thread. */
#ifndef TDM_SHORT_WAY_H
#define TDM_SHORT_WAY_H

#include "base/clock.h"
#include "task/task.h"

/* dispatcher.c: submit for any task; run_here: may this thread run it at once? */
int tdm_dispatch(tandem_pool *pool, tandem_task *task, bool run_here);

/* A thread task of which nobody wants a report: one in so many that a thread submits is timed for the statistics.  The mark for that, or 0. */
static inline uint32_t tdm_short_way_sample(struct tdm_task *task)
{
    static _Thread_local uint32_t count;
    if (count++ % TDM_SAMPLE_EVERY != 0) return 0;
    task->queued_ns = tdm_clock_ns();
    return TDM_TIMED;
}

#endif
