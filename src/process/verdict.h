/* verdict.h - how a task ends whose worker has died. */
#ifndef TDM_PROCESS_VERDICT_H
#define TDM_PROCESS_VERDICT_H

#include "task/task.h"

#include <stdbool.h>

/* How the worker ended, as far as is known. */
struct tdm_death {
    bool known; /* false: nobody could tell its status */
    int signal, code;
};

/* What the host knew of the task: the status of a kill that it won, or 0; what was wrong with the worker, or NULL. */
struct tdm_outcome tdm_verdict(const struct tdm_death *death, int decided, const char *step);

#endif
