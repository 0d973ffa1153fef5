/* exec_child.h - how the zygote starts an external program. */
#ifndef TDM_CHILD_EXEC_CHILD_H
#define TDM_CHILD_EXEC_CHILD_H

#include "job/program.h"

#include <sys/types.h>

/* Returns when the program has been entered or has failed to be: its pid, or -errno, and then nothing is left of it.  Takes no descriptor
 * over. */
pid_t tdm_exec_child(const int fds[TDM_PROGRAM_FDS]);

#endif
