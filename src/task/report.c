/* report.c - what is known of how a task ran. */
#include "task/report.h"

#include "base/atomics.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/quick_clock.h"
#include "base/symbols.h"
#include "task/task.h"

#include <stdlib.h>
#include <string.h>

/* The public part comes first, so that a pointer to the one is a pointer to the other. */
struct full_report {
    tandem_report public;
    void *more; /* what the public part points to: names, frames, output; NULL: nothing */
    void *kept; /* see tdm_report_keep */
    void (*release_kept)(void *thing);
    void (*release_errors)(void *bytes); /* error_output is the report's own; NULL: it lies in more */
};

uint64_t tdm_report_now(void) { return tdm_quick_clock_now(); }

tandem_report *tdm_report_make(const tandem_task *task)
{
    struct full_report *report = tdm_malloc(sizeof *report); /* glibc's calloc() does not look where free() has just put one */
    if (!report) return NULL;
    *report = (struct full_report){.public = {.queued_ns = tdm_report_now(), .name = task->name}};
    return &report->public;
}

/* ---- many at a time ---- */

/* With the rest of the pad about a page. */
#define ON_A_PAD 21u

struct tdm_report_pad {
    _Atomic uint32_t left; /* that are not freed, or not taken yet; whoever takes off the last frees the pad [pad-left] */
};

/* Behind it, from the next cache line on. */
static struct full_report *reports_of(struct tdm_report_pad *pad)
{
    uintptr_t end = (uintptr_t)(pad + 1);
    return (struct full_report *)(end + (TDM_CACHE_LINE - end % TDM_CACHE_LINE) % TDM_CACHE_LINE);
}

static void take_off(struct tdm_report_pad *pad, uint32_t count)
{
    if (add_seq(&pad->left, (uint32_t)0 - count) == count) free(pad); /* [pad-left] */
}

/* A report that lies on a pad keeps that. */
static void leave_pad(void *pad) { take_off(pad, 1); }

bool tdm_report_pads_ready(struct tdm_report_pads *pads)
{
    if (pads->open) return true;
    struct tdm_report_pad *pad = tdm_malloc(sizeof *pad + TDM_CACHE_LINE + ON_A_PAD * sizeof(struct full_report));
    if (!pad) return false;
    store_relaxed(&pad->left, ON_A_PAD); /* relaxed: who comes by one of its reports comes by this [pad-left] */
    *pads = (struct tdm_report_pads){.open = pad};
    return true;
}

void tdm_report_take(struct tdm_report_pads *pads, struct tdm_task *private)
{
    tandem_task *task = tdm_task_public(private);
    task->report = &reports_of(pads->open)[pads->taken].public;
    task->output = pads->open;
    private->blank = true;
    private->bare = false;
    if (++pads->taken == ON_A_PAD) pads->open = NULL;
}

void tdm_report_pads_close(struct tdm_report_pads *pads)
{
    if (pads->open) take_off(pads->open, ON_A_PAD - pads->taken);
    pads->open = NULL;
}

/* What else there is of it is still as it was made. */
static void begin_again(struct tdm_task *private, tandem_report *report)
{
    *report = (tandem_report){.queued_ns = private->queued_ns, .name = tdm_task_public(private)->name};
    private->bare = false;
}

void tdm_report_begin(struct tdm_task *private)
{
    tandem_task *task = tdm_task_public(private);
    struct full_report *full = (struct full_report *)(uintptr_t)task->report;
    if (private->bare) begin_again(private, &full->public);
    if (!private->blank) return;
    tdm_zero(full, sizeof *full);
    full->public.queued_ns = private->queued_ns;
    full->public.name = task->name;
    full->kept = task->output;
    full->release_kept = leave_pad;
    task->output = NULL;
    private->blank = false;
}

void tdm_report_tell_plain_run(struct tdm_task *private, const struct tdm_plain_run *run)
{
    const tandem_task *task = tdm_task_public(private);
    tandem_report *report = (tandem_report *)(uintptr_t)task->report;
    uint32_t runs = tdm_report_is_begun(private) ? report->runs : 0;
    if (private->blank) tdm_report_begin(private);
    report->queued_ns = private->queued_ns;
    report->started_ns = run->started_ns;
    report->ended_ns = run->ended_ns;
    report->pid = run->pid;
    report->worker = run->worker;
    report->runs = runs + 1;
    report->core_dumped = 0;
    report->cpu_user_ns = run->user_ns;
    report->cpu_system_ns = run->system_ns;
    report->peak_memory = run->peak_memory;
    if (task->name) report->name = task->name;
    private->bare = !task->name;
}

void tdm_report_expect_begin(const struct tdm_task *private)
{
    const char *report = (const char *)tdm_task_public((struct tdm_task *)(uintptr_t) private)->report;
    tdm_prefetch(report);
    if (private->bare) return;
    for (size_t at = TDM_CACHE_LINE; at < sizeof(struct full_report); at += TDM_CACHE_LINE) tdm_prefetch(report + at);
}

void tdm_report_expect_free(const tandem_report *report)
{
    if (report) tdm_prefetch_to_read(&((const struct full_report *)(const void *)report)->more);
}

/* What it kept may be the memory that it lies in. */
void tdm_report_free(const tandem_report *report)
{
    struct full_report *full = (struct full_report *)(uintptr_t)report;
    if (!full) return;
    void (*release_kept)(void *thing) = full->release_kept;
    if (full->more) free(full->more);
    if (full->release_errors) full->release_errors((void *)(uintptr_t)full->public.error_output);
    if (release_kept) release_kept(full->kept);
    if (release_kept != leave_pad) free(full);
}

void tdm_report_keep(tandem_report *report, void *thing, void (*release)(void *thing))
{
    struct full_report *full = (struct full_report *)(void *)report;
    full->kept = thing;
    full->release_kept = release;
}

void *tdm_report_kept(const tandem_report *report) { return ((const struct full_report *)(const void *)report)->kept; }

void tdm_report_own_errors(tandem_report *report, void *bytes, size_t size, void (*release)(void *bytes))
{
    ((struct full_report *)(void *)report)->release_errors = release;
    report->error_output = bytes;
    report->error_output_size = size;
}

void tdm_report_start(tandem_report *report, uint64_t started_ns, uint32_t worker, pid_t pid)
{
    report->started_ns = started_ns;
    report->worker = worker;
    report->pid = pid;
}

void tdm_report_take_back(const tandem_task *task) { tdm_report_start((tandem_report *)(uintptr_t)task->report, 0, 0, 0); }

void tdm_report_count_run(tandem_report *report) { report->runs++; }

/* ---- what an ending that was not OK brings with it ---- */

#define NAME_ROOM  256
#define FRAME_ROOM 192

/* One piece of memory, filled from the front: the table of frames, then text. */
struct more {
    char *memory;
    size_t used;
};

static const char *add(struct more *more, const void *bytes, size_t size)
{
    char *place = more->memory + more->used;
    memcpy(place, bytes, size);
    place[size] = 0;
    more->used += size + 1;
    return place;
}

static void add_frames(struct more *more, tandem_report *report, const struct tdm_facts *facts)
{
    const char **table = (const char **)(void *)more->memory;
    more->used = facts->frame_count * sizeof *table;
    for (size_t i = 0; i < facts->frame_count; i++) {
        char text[FRAME_ROOM];
        tdm_symbols_describe((uintptr_t)facts->frames[i], i > 0, text, sizeof text);
        table[i] = add(more, text, strlen(text));
    }
    report->frames = table;
    report->frame_count = facts->frame_count;
}

/* The command is its caller's when the task has ended, so the name is copied. */
static void name_command(struct full_report *full, const tandem_command *command)
{
    const char *name = command->argv ? command->argv[0] : command->shell;
    struct more more = {.memory = tdm_malloc(strlen(name) + 1)};
    full->more = more.memory;
    if (more.memory) full->public.name = add(&more, name, strlen(name));
}

/* Without the memory the report tells less. */
static void add_more(struct full_report *full, const tandem_task *task, const struct tdm_facts *facts)
{
    tandem_report *report = &full->public;
    char name[NAME_ROOM] = "";
    tdm_symbols_begin();
    if (!report->name) tdm_symbols_function((uintptr_t)task->run, name, sizeof name);
    size_t room = facts->frame_count * (sizeof(char *) + FRAME_ROOM) + sizeof name + facts->error_output_size + 1;
    struct more more = {.memory = tdm_malloc(room)};
    full->more = more.memory;
    if (more.memory) {
        add_frames(&more, report, facts);
        if (name[0]) report->name = add(&more, name, strlen(name));
        if (facts->error_output) {
            report->error_output = add(&more, facts->error_output, facts->error_output_size);
            report->error_output_size = facts->error_output_size;
        }
    }
    tdm_symbols_end();
}

void tdm_report_end(tandem_report *report, const tandem_task *task, const struct tdm_outcome *outcome)
{
    static const struct tdm_facts nothing = {0};
    const struct tdm_facts *facts = outcome->facts ? outcome->facts : &nothing;
    if (outcome->started_ns != 0) report->started_ns = outcome->started_ns;
    report->ended_ns = outcome->ended_ns != 0 ? outcome->ended_ns : tdm_clock_ns();
    report->step = outcome->step;
    report->cpu_user_ns = facts->user_ns;
    report->cpu_system_ns = facts->system_ns;
    report->peak_memory = facts->peak_memory;
    report->fault_address = facts->fault_address;
    report->limit = facts->limit;
    report->core_dumped = facts->dumped;
    if (task->command && !report->name) name_command((struct full_report *)(void *)report, task->command);
    if (outcome->status != TANDEM_OK && !task->command) add_more((struct full_report *)(void *)report, task, facts);
}
