/* task_limits.h - the resources one task may use in its worker; the limits are lifted before the next task. */
#ifndef TDM_CHILD_TASK_LIMITS_H
#define TDM_CHILD_TASK_LIMITS_H

#include "job/control.h"

void tdm_task_limits_set(const tandem_limits *limits, struct tdm_control *control);
void tdm_task_limits_lift(struct tdm_control *control);

/* Between these two what is allocated is not the task's: it may be had beyond its limit of memory, which is moved by it.  The first says what
 * the second wants to know. */
uint64_t tdm_task_limits_pause(void);
void tdm_task_limits_go_on(struct tdm_control *control, uint64_t before);

#endif
