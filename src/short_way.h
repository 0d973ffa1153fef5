/* short_way.h - submit for tasks that ask for nothing but to be run on a thread. */
#ifndef TDM_SHORT_WAY_H
#define TDM_SHORT_WAY_H

#include "base/clock.h"
#include "task/task.h"

/* dispatcher.c: submit for any task; run_here: may this thread run it at once? */
int tdm_dispatch(tandem_pool *pool, tandem_task *task, bool run_here);

/* Does a task for a worker process ask for nothing but to be run?  Of the fields that only some tasks set none is looked at alone. */
static inline bool tdm_short_way_fits_process(const tandem_task *task)
{
    uint32_t asks = (task->flags & ~(uint32_t)(TANDEM_NO_HELP | TANDEM_REPORT)) | (uint32_t)task->priority | task->timeout_ms |
                    task->queue_timeout_ms;
    uintptr_t has = (uintptr_t)task->command | (uintptr_t)task->limits | (uintptr_t)task->group | (uintptr_t)task->on_done |
                    (uintptr_t)task->on_message;
    return task->isolation == TANDEM_PROCESS && (has | asks) == 0;
}

/* short_way_process.c: submit for a task that asks for nothing but to be run in a worker process.  False: nothing was done, and the dispatcher
 * is to see to it. */
bool tdm_short_way_to_process(tandem_pool *pool, tandem_task *task, bool called); /* called: this thread waits for it at once */

/* A thread task of which nobody wants a report: one in so many that a thread submits is timed for the statistics.  The mark for that, or 0. */
static inline uint32_t tdm_short_way_sample(struct tdm_task *task)
{
    static _Thread_local uint32_t count;
    if (count++ % TDM_SAMPLE_EVERY != 0) return 0;
    task->queued_ns = tdm_clock_ns();
    return TDM_TIMED;
}

#endif
