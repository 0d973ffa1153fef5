/* group.h - tasks waited for together; the library's side of tandem_group. */
#ifndef TDM_TASK_GROUP_H
#define TDM_TASK_GROUP_H

#include "task/task.h"

void tdm_group_join(tandem_group *group, struct tdm_task *task);
/* The submit was refused after all: as if it had never joined. */
void tdm_group_unjoin(tandem_group *group, struct tdm_task *task);

/* In a forked child: the locks that the parent's threads held. */
void tdm_group_reset(void);

/* A task ends: it can be found through the group no more (before its end is published), then counts no more (after its on_done).
 * Leaving is the last access to the group. */
void tdm_group_drop(tandem_group *group, struct tdm_task *task, int status);
void tdm_group_leave(tandem_group *group);

#endif
