/* run_start.h - what a command needs before the guards are asked for it. */
#ifndef TDM_COMMAND_RUN_START_H
#define TDM_COMMAND_RUN_START_H

#include "command/run.h"

/* Opens it all anew.  0, or a negative errno value with run->step set, and nothing is open but the ends.  Any thread. */
int tdm_run_prepare(struct tdm_run *run);

/* Watches what is open; the reactor.  0 or -errno. */
int tdm_run_watch(struct tdm_run *run);

void tdm_run_close_all(struct tdm_run *run); /* but what has been read is kept */

const tandem_limits *tdm_run_limits(const struct tdm_run *run);

#endif
