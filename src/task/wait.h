/* wait.h - what other rooms need from waiting. */
#ifndef TDM_TASK_WAIT_H
#define TDM_TASK_WAIT_H

#include "task/task.h"

/* May the calling thread run this task, which it waits for without limit, if it gets it? */
bool tdm_wait_may_help(const struct tdm_task *task);

/* For who waits for the task: has it ended, or is the time over?  Sleeps until then or, for no reason, less. */
bool tdm_wait_is_over(struct tdm_task *task, uint64_t deadline_ns);
void tdm_wait_sleep(struct tdm_task *task, uint64_t deadline_ns);

/* The end of a pool: its tasks have ended.  When it returns, every thread that waits for one of them is the guest of a lane's, or touches
 * nothing but the task any more. */
void tdm_wait_pass_doors(void);

/* In a forked child: the locks that the parent's threads held. */
void tdm_wait_reset(void);

/* Wakes all that sleep in tandem_wait_any. */
void tdm_wait_wake_any(void);

#endif
