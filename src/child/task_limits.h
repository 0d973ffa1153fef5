/* task_limits.h - what one task may use of the worker it runs in; lifted before the next. */
#ifndef TDM_CHILD_TASK_LIMITS_H
#define TDM_CHILD_TASK_LIMITS_H

#include "job/control.h"

void tdm_task_limits_set(const tandem_limits *limits, struct tdm_control *control);
void tdm_task_limits_lift(struct tdm_control *control);

#endif
