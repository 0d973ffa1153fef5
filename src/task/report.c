/* report.c - what is known of how a task ran. */
#include "task/report.h"

#include "base/clock.h"
#include "base/memory.h"

tandem_report *tdm_report_make(const tandem_task *task)
{
    tandem_report *report = tdm_calloc(1, sizeof *report);
    if (!report) return NULL;
    report->queued_ns = tdm_clock_ns();
    report->name = task->name;
    return report;
}

void tdm_report_start(tandem_report *report, uint64_t started_ns, uint32_t worker, pid_t pid)
{
    report->started_ns = started_ns;
    report->worker = worker;
    report->pid = pid;
}

void tdm_report_end(tandem_report *report, uint64_t started_ns, const char *step)
{
    if (started_ns != 0) report->started_ns = started_ns;
    report->ended_ns = tdm_clock_ns();
    report->step = step;
}
