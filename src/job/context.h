/* context.h - a running task as its function sees it, on a thread or in a worker process. */
#ifndef TDM_JOB_CONTEXT_H
#define TDM_JOB_CONTEXT_H

#include "base/atomics.h"

#include <stdbool.h>
#include <tandem.h>

struct tdm_mail;

/* How a run talks to its submitter.  timeout_ms as in the public calls; the message has been checked. */
struct tdm_talk_ops {
    int (*send)(tandem_context *context, const tandem_message *message, int64_t timeout_ms);
    int (*receive)(tandem_context *context, struct tdm_mail **mail, int64_t timeout_ms);
    const void *(*data)(tandem_context *context,
                        size_t *size); /* what is set for the pool, see pool_data.h; NULL: nothing, or no memory */
    int (*progress)(tandem_context *context, uint64_t done, uint64_t total);
};

struct tandem_context {
    tandem_isolation isolation;
    uint32_t home; /* the process it runs in; none that it forks */
    void *worker_data;
    const _Atomic uint8_t *wishes;   /* not 0: asked to end; written by who cancels and by deadlines.  NULL: never asked */
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
    const struct tdm_talk_ops *talk;
    void *run;                 /* theirs: whose run this is */
    void *core;                /* theirs: of which pool */
    struct tdm_mail *received; /* the last message; NULL: none */
    bool asked;                /* a request was received */
    void *data;                /* theirs: what was set for the pool, as this run sees it; NULL: it has not looked */
};

/* For on_worker_start, which is given none: that of a worker that is starting on this thread, or NULL. */
extern _Thread_local tandem_context *tdm_context_starting;

/* What a run has left when it is over: the message it received last. */
void tdm_context_drop_received(tandem_context *context);

/* Frees a reply nobody wants. */
void tdm_context_drop_output(tandem_context *context);

#endif
