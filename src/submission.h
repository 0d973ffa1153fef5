/* submission.h - the steps of a task's way from submit to its lane, for code that submits several that depend on each other.  All in
 * dispatcher.c. */
#ifndef TDM_SUBMISSION_H
#define TDM_SUBMISSION_H

#include <stdbool.h>
#include <tandem.h>

/* The public results of the run before, kept aside until this one is taken. */
struct tdm_submission_results {
    void *output;
    size_t output_size;
    const tandem_report *report;
    void (*release)(void *);
    int32_t status, code, signal;
    bool bare;            /* see report.h */
    uint64_t done, total; /* with TDM_PROGRESSED */
};

/* One task on its way to its lane, and what to put back if it is not taken. */
struct tdm_submission {
    uint32_t before; /* its state, and whether its last run said how far it was */
    bool runs_here;  /* asked: this thread waits for it at once, may it run it; then: it does */
    tandem_group *group;
    struct tdm_submission_results old;
};

/* Is it a task that this pool takes?  0 or -errno. */
int tdm_submission_check(tandem_pool *pool, const tandem_task *task);

/* 0, or a negative errno value and it is as it was. */
int tdm_submission_claim(tandem_task *task, struct tdm_submission *way);

/* With the state PREPARING: no other call touches the task.  0: it is QUEUED in name, or HELD to be run here; else it is as it was. */
int tdm_submission_make_ready(struct tandem_pool *pool, tandem_task *task, struct tdm_submission *way);

/* The lane has not taken it. */
void tdm_submission_put_back(tandem_task *task, const struct tdm_submission *way);

/* The lane has taken it. */
void tdm_submission_drop_old_results(const struct tdm_submission *way);

#endif
