/* deadlines.h - a pool's tasks that must not wait, or not run, beyond a point in time. */
#ifndef TDM_TASK_DEADLINES_H
#define TDM_TASK_DEADLINES_H

#include "base/reactor.h"
#include "task/task.h"

struct tdm_deadlines {
    struct tdm_lock lock;    /* rank DEADLINES */
    struct tdm_heap tasks;   /* guarded by lock */
    struct tdm_task *firing; /* guarded by lock: out of the heap, its lane is being told right now */
    _Atomic uint32_t fired;  /* counts those told; who disarms the firing one sleeps on it [deadline-fired] */
    struct tdm_timer timer;  /* for the earliest */
};

void tdm_deadlines_open(struct tdm_deadlines *deadlines);
void tdm_deadlines_close(struct tdm_deadlines *deadlines);

/* The task's lane is told when it is over, on the reactor's thread.  The pool must have the reactor. */
void tdm_deadlines_arm(struct tdm_deadlines *deadlines, struct tdm_task *task, uint64_t at_ns, enum tdm_deadline_kind kind);

/* When it returns the lane has been told, or never will be.  Not with a lock that being told takes. */
void tdm_deadlines_disarm(struct tdm_deadlines *deadlines, struct tdm_task *task);

#endif
