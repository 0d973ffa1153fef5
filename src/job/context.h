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
};

/* Frees a reply nobody wants. */
void tdm_context_drop_output(tandem_context *context);

#endif
