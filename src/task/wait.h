/* wait.h - waiting for tasks, cancelling them; what other rooms need of it. */
#ifndef TDM_TASK_WAIT_H
#define TDM_TASK_WAIT_H

#include "task/task.h"

/* May the calling thread run this task, which it waits for without limit, if it gets it? */
bool tdm_wait_may_help(const struct tdm_task *task);

/* Wakes all that sleep in tandem_wait_any. */
void tdm_wait_wake_any(void);

/* Ends a task as CANCELLED that the caller has taken back. */
void tdm_wait_end_cancelled(struct tdm_task *task);

#endif
