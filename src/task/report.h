/* report.h - what is known of how a task ran. */
#ifndef TDM_TASK_REPORT_H
#define TDM_TASK_REPORT_H

#include <tandem.h>

/* For a task that is being submitted; NULL: no memory. */
tandem_report *tdm_report_make(const tandem_task *task);
/* It was handed to this worker. */
void tdm_report_start(tandem_report *report, uint64_t started_ns, uint32_t worker, pid_t pid);
/* started_ns 0: as it was told before.  step: static, or NULL. */
void tdm_report_end(tandem_report *report, uint64_t started_ns, const char *step);

#endif
