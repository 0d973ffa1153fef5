/* report.h - what is known about how a task ran. */
#ifndef TDM_TASK_REPORT_H
#define TDM_TASK_REPORT_H

#include "task/task.h"

#include <stdbool.h>
#include <tandem.h>

#include <stdint.h>

struct tdm_outcome;

/* What a process lane knows beyond the ending itself.  Zeroed: nothing. */
struct tdm_facts {
    uint64_t user_ns, system_ns, peak_memory;
    uint64_t done, total; /* how far it said it was; 0 and 0: nothing */
    uintptr_t fault_address;
    const uint64_t *frames; /* innermost first: the instruction itself, then return addresses */
    size_t frame_count;
    const char *limit;        /* static */
    const void *error_output; /* copied */
    size_t error_output_size;
    bool dumped;
};

/* For a task that is being submitted; NULL: no memory. */
tandem_report *tdm_report_make(const tandem_task *task);
uint64_t tdm_report_now(void); /* when such a task is submitted, for one whose report is made later */

/* Memory for the reports of the tasks of one lane, a pad of some at a time: one allocation for all of them, freed with the last.  So little is
 * done for each when its task is submitted, and nothing is written there until the task is handed over: what is submitted long before would
 * have left the caches meanwhile.  Whoever has this sees to it that one thread at a time uses it. */
struct tdm_report_pad;
struct tdm_report_pads {
    struct tdm_report_pad *open; /* that of which some are not taken yet; NULL: none */
    unsigned taken;              /* of it */
};

/* From this on there is one to be taken.  False: no memory. */
bool tdm_report_pads_ready(struct tdm_report_pads *pads);
/* For a task that has none; its output and queued_ns hold what belongs to it, until that is written. */
void tdm_report_take(struct tdm_report_pads *pads, struct tdm_task *task);
/* Nothing is taken any more; what was lives on. */
void tdm_report_pads_close(struct tdm_report_pads *pads);
/* Its holder: it will tell something of this run. */
void tdm_report_begin(struct tdm_task *task);

/* Has something been written there that tells of this run? */
static inline bool tdm_report_is_begun(const struct tdm_task *task) { return !task->blank && !task->bare; }

/* How a task ran that asked for nothing but to be run, and returned 0. */
struct tdm_plain_run {
    uint64_t started_ns, ended_ns, user_ns, system_ns, peak_memory;
    uint32_t worker;
    pid_t pid;
};
/* Tells all of it at once.  What else a report has room for is then as it was made; so if the task is submitted again its report is kept, and only
 * its first cache line written: it is bare. */
void tdm_report_tell_plain_run(struct tdm_task *task, const struct tdm_plain_run *run);

/* One that was perhaps written long ago: it will be freed soon; or, one that was taken: it will begin soon. */
void tdm_report_expect_free(const tandem_report *report);
void tdm_report_expect_begin(const struct tdm_task *task);
void tdm_report_free(const tandem_report *report); /* also NULL */

/* Something that goes with one that was made: released once, when the report is freed. */
void tdm_report_keep(tandem_report *report, void *thing, void (*release)(void *thing));
void *tdm_report_kept(const tandem_report *report);

/* The report's own from now on: what a command has written to its standard error, followed by a 0 byte. */
void tdm_report_own_errors(tandem_report *report, void *bytes, size_t size, void (*release)(void *bytes));

/* It was handed to this worker; or has been taken back from it, which has not begun it. */
void tdm_report_start(tandem_report *report, uint64_t started_ns, uint32_t worker, pid_t pid);
void tdm_report_take_back(const tandem_task *task);
/* Its function has been entered, as far as can be known. */
void tdm_report_count_run(tandem_report *report);
void tdm_report_end(tandem_report *report, const tandem_task *task, const struct tdm_outcome *outcome);

#endif
