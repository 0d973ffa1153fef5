/* describe.c - one line a person can act on about how a task ended. */
#include "task/system_words.h"
#include "task/task.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A line that grows; what does not fit is still counted, as snprintf does. */
struct line {
    char *text;
    size_t size, length;
};

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
add(struct line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = line->length < line->size ? line->size - line->length : 0;
    int length = vsnprintf(room > 0 ? line->text + line->length : NULL, room, format, arguments);
    va_end(arguments);
    if (length > 0) line->length += (size_t)length;
}

/* What tells of a frame: "inflate+0x1f (viewer)", or an address where the function has no name. */
static bool is_named(const char *frame) { return strncmp(frame, "0x", 2) != 0; }

/* " (viewer)", or "". */
static const char *module_of(const char *frame)
{
    const char *module = strstr(frame, " (");
    return module ? module : "";
}

/* The innermost frame with a name, outside of the module where it happened, for of that one most are without. */
static const char *caller_of(const tandem_report *report)
{
    for (size_t i = 1; i < report->frame_count; i++)
        if (is_named(report->frames[i]) && strcmp(module_of(report->frames[i]), module_of(report->frames[0])) != 0)
            return report->frames[i];
    return NULL;
}

/* The innermost frame is where it happened.  In the inside of a library, which has no name (abort() ends there), the caller says more. */
static void add_fault(struct line *line, const tandem_report *report)
{
    if (report->fault_address != 0) add(line, " at address 0x%llx", (unsigned long long)report->fault_address);
    if (report->frame_count == 0) return;
    const char *frame = report->frames[0], *module = module_of(frame), *caller = is_named(frame) ? NULL : caller_of(report);
    if (!caller)
        add(line, " in %s", frame);
    else if (*module)
        add(line, " in %.*s, called from %s", (int)strlen(module) - 3, module + 2, caller);
    else
        add(line, " in %s, called from %s", frame, caller);
}

static void add_crash(struct line *line, const tandem_task *task)
{
    const char *name = tdm_system_words_signal(task->signal);
    if (name)
        add(line, " crashed: %s", name);
    else if (task->signal != 0)
        add(line, " crashed: signal %d", (int)task->signal);
    else if (task->report && task->report->step)
        add(line, " crashed: %s", task->report->step);
    else
        add(line, " crashed: its process called exit(%d)", (int)task->code);
    if (task->report) add_fault(line, task->report);
}

static void add_over_limit(struct line *line, const tandem_task *task)
{
    const char *limit = task->report && task->report->limit ? task->report->limit : "a limit";
    add(line, " went over its limit: %s", limit);
    if (task->report && task->report->step) add(line, " (there is no %s for it)", task->report->step);
    const char *signal = tdm_system_words_signal(task->signal);
    if (signal) add(line, ", %s", signal);
}

static void add_runs(struct line *line, const tandem_report *report)
{
    if (report && report->runs > 1) add(line, " in its run number %u", (unsigned)report->runs);
}

/* What to do about it, where there is something to do. */
static const char *advice(const tandem_task *task)
{
    const char *step = task->report && task->report->step ? task->report->step : "";
    if (strcmp(step, "tandem_init") == 0)
        return "; the program had threads when its first pool was made: call tandem_init() first thing in main()";
    if (strcmp(step, "credentials") == 0)
        return "; the program has other credentials than when it called tandem_init(): call it after dropping privileges";
    if (strcmp(step, "function") == 0) return "; load the library that holds it before tandem_init(), or run the task on a thread";
    return "";
}

static void add_not_started(struct line *line, const tandem_task *task)
{
    const char *step = task->report && task->report->step ? task->report->step : "start";
    add(line, " was not started: %s: %s (error %d)%s", step, tandem_strerror(task->code), (int)task->code, advice(task));
}

static void add_ending(struct line *line, const tandem_task *task)
{
    switch (task->status) {
    case TANDEM_PENDING: add(line, " has not ended"); break;
    case TANDEM_OK: add(line, " ended well"); break;
    case TANDEM_FAILED: add(line, " failed with code %d", (int)task->code); break;
    case TANDEM_CRASHED: add_crash(line, task); break;
    case TANDEM_TIMED_OUT: add(line, " timed out: it ran longer than %u ms", (unsigned)task->timeout_ms); break;
    case TANDEM_EXPIRED: add(line, " expired: it waited longer than %u ms", (unsigned)task->queue_timeout_ms); break;
    case TANDEM_CANCELLED: add(line, " was cancelled"); break;
    case TANDEM_OVER_LIMIT: add_over_limit(line, task); break;
    case TANDEM_NOT_STARTED: add_not_started(line, task); break;
    default: add(line, " has the unknown status %d", (int)task->status); break;
    }
}

static void add_place(struct line *line, const tandem_report *report)
{
    if (!report || report->started_ns == 0) return;
    const char *before = " (";
    if (report->worker != 0) {
        add(line, "%s%s %u", before, report->pid != 0 ? "worker" : "thread", (unsigned)report->worker);
        before = ", ";
    }
    if (report->pid != 0) {
        add(line, "%spid %ld", before, (long)report->pid);
        before = ", ";
    }
    add(line, "%safter %.1f ms)", before, (double)(report->ended_ns - report->started_ns) / 1e6);
}

int tandem_describe(const tandem_task *task, char *text, size_t size)
{
    if (!task || (!text && size > 0)) return -EINVAL;
    int saved = errno;
    struct line line = {.text = text, .size = size};
    const tandem_report *report = task->status != TANDEM_PENDING ? task->report : NULL; /* it is being written */
    const char *name = task->name ? task->name : report && report->name ? report->name : "the task";
    add(&line, "%s", name);
    add_ending(&line, task);
    add_runs(&line, report);
    add_place(&line, report);
    errno = saved;
    return (int)line.length;
}
