/* context.h - a running task as its function sees it, on a thread or in a worker process. */
#ifndef TDM_JOB_CONTEXT_H
#define TDM_JOB_CONTEXT_H

#include "base/atomics.h"

#include <stdbool.h>
#include <tandem.h>

struct tandem_context {
    tandem_isolation isolation;
    void *worker_data;
    const _Atomic uint32_t *wishes;  /* not 0: asked to end; written by who cancels and by deadlines.  NULL: never asked */
    const _Atomic uint32_t *closing; /* the same for all tasks of a pool that is being destroyed */
    bool in_worker;                  /* it runs on a worker's own thread */
    size_t reply_most;
    bool oversized; /* a reply was refused for it */
    void *output;   /* the last reply; NULL: none */
    size_t output_size;
    void (*release)(void *data); /* what frees it */
    /* fork and join; see threads/fork_join.c */
    unsigned in_branch;               /* not 0: it is a branch that sees it; there is no reply */
    struct tdm_thread_worker *worker; /* a pool thread's; NULL: branches are run at once */
    struct tdm_deque *deque;          /* that worker's; NULL: nothing has been spawned yet */
    tandem_context *branches;         /* as its branches see it, where this thread runs them; valid with deque */
    const tandem_task *task;          /* which this is */
};

/* Frees a reply nobody wants. */
void tdm_context_drop_output(tandem_context *context);

#endif
