/* verdict.h - how a task ends when its worker has died. */
#ifndef TDM_PROCESS_VERDICT_H
#define TDM_PROCESS_VERDICT_H

#include "job/control.h"
#include "task/report.h"
#include "task/task.h"

#include <stdbool.h>

/* What is known of a worker's end. */
struct tdm_death {
    bool known;                               /* false: no guard is left that could have told */
    int signal, code;                         /* the signal that killed it, or 0 and its exit code */
    uint64_t user_ns, system_ns, peak_memory; /* of its whole life; 0: not known */
};

/* What it has left behind: copies, for it could write there to the last. */
struct tdm_testament {
    uint64_t done, total; /* how far the first task that it had begun said it was */
    struct tdm_last_words words;
    uint64_t memory_most; /* see struct tdm_control */
};

struct tdm_case {
    const struct tdm_death *death;
    const struct tdm_testament *left;
    const tandem_limits *limits; /* of the task */
    int decided;                 /* status of a kill that had won, or 0 */
    const char *step;            /* what was wrong with the worker, or NULL */
};

/* The task had been begun, or has been the reason why three workers died before they began it.  facts is filled in, and refers to what
 * the case refers to. */
struct tdm_outcome tdm_verdict(const struct tdm_case *judged, struct tdm_facts *facts);

#endif
