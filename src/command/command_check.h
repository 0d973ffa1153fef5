/* command_check.h - is it a command that can be run at all? */
#ifndef TDM_COMMAND_CHECK_H
#define TDM_COMMAND_CHECK_H

#include <tandem.h>

/* 0 or -EINVAL.  May change errno. */
int tdm_command_check(const tandem_task *task);

/* The same for a stage of a pipeline of so many. */
int tdm_command_check_stage(const tandem_task *task, size_t stage, size_t count);

#endif
