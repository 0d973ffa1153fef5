/* chaos_judge.c - may this task have ended so?  What was asked, what the ledger counted and what was killed decide. */
#include "chaos.h"

#include <signal.h>
#include <string.h>

static atomic_ullong ended[16], ended_by_plan[16], excused, unknown;

/* A kill may come this long before a task is handed to the worker that it hits. */
#define BEFORE_NS ((uint64_t)2000000000)

/* ---- what the ledger and the report say ---- */

struct facts {
    uint32_t begun, left, runs; /* runs: what the library says; for a thread task without a report what the ledger says */
    int pid;
    uint64_t queued_ns, started_ns, ended_ns;
};

static struct facts facts_of(const struct record *record)
{
    const tandem_report *report = record->task.report;
    struct facts facts = {.begun = runs_begun(record->cell, record->generation),
                          .left = runs_left(record->cell, record->generation)};
    facts.runs = report != NULL ? report->runs : facts.begun;
    if (report == NULL) return facts;
    facts.pid = report->pid;
    facts.queued_ns = report->queued_ns;
    facts.started_ns = report->started_ns;
    facts.ended_ns = report->ended_ns;
    return facts;
}

static bool in_process(const struct record *record) { return record->task.isolation == TANDEM_PROCESS; }
static bool may_retry(const struct record *record) { return in_process(record) && record->task.flags & TANDEM_RETRY; }
static uint32_t runs_most(const struct record *record) { return may_retry(record) ? 2 : 1; }
static bool was_asked(const struct record *record) { return atomic_load(&record->asked) != 0 || record->pool_ends; }

/* ---- one ending each: NULL, or what is wrong with it ---- */

/* A run that is tried again may have come to its end, too: its worker died before it had replied. */
static bool has_run_to_its_end(const struct record *record, const struct facts *facts)
{
    if (facts->begun == 0 || facts->left == 0 || facts->left > facts->begun) return false;
    return facts->begun == 1 || may_retry(record);
}

static const char *wrong_ok(const struct record *record, const struct facts *facts)
{
    enum kind kind = (enum kind)record->order->kind;
    if (kind != GOOD && kind != LEAVES_CHILD && kind != NESTS) return "it cannot end well";
    if (record->task.code != 0 || record->task.signal != 0) return "code or signal of an OK";
    if (!has_run_to_its_end(record, facts)) return "not run exactly once";
    return reply_is_right(record->order, &record->task) ? NULL : "its output";
}

static const char *wrong_failed(const struct record *record, const struct facts *facts)
{
    if (record->order->kind != FAILS) return "it does not fail";
    if (record->task.code != record->order->number || record->task.signal != 0) return "not the code it returned";
    if (!has_run_to_its_end(record, facts)) return "not run exactly once";
    return reply_is_right(record->order, &record->task) ? NULL : "its output";
}

/* Died as its kind does, after it had begun. */
static bool died_as_planned(const struct record *record, const struct facts *facts)
{
    int signal = record->task.signal, code = record->task.code;
    if (facts->begun == 0) return false;
    switch (record->order->kind) {
    case FAULTS: return signal == SIGSEGV && code == 0;
    case ABORTS: return signal == SIGABRT && code == 0;
    case RAISES: return signal == record->order->number && code == 0;
    case EXITS: return signal == 0 && code == record->order->number;
    default: return false;
    }
}

/* The killer looks now and then only, so what has just happened may not be known yet. */
static bool are_guards_lost(void)
{
    for (const int64_t end = now_ms() + 2000 * slowness(); !guards_lost() && now_ms() < end;) moment();
    return guards_lost();
}

/* Nobody knows how its worker ended: only where both guards that it had have died, one after the other. */
static bool may_be_unknown(const struct record *record, const struct facts *facts)
{
    const tandem_task *task = &record->task;
    if (task->signal != 0 || task->code != 0 || task->report->step == NULL) return false;
    if (guards_killed(facts->started_ns - BEFORE_NS, facts->ended_ns) < 2 && !are_guards_lost()) return false;
    atomic_fetch_add(&unknown, 1);
    return true;
}

static const char *wrong_crashed(const struct record *record, const struct facts *facts)
{
    if (!in_process(record)) return "a thread does not crash";
    if (may_retry(record) && facts->runs < 2 && facts->begun > 0 && !was_asked(record)) return "not tried again";
    if (died_as_planned(record, facts) || may_be_unknown(record, facts)) return NULL;
    if (record->task.signal != SIGKILL || record->task.code != 0) return "it neither dies like that nor can a kill be the reason";
    return was_killed(facts->pid, facts->started_ns - BEFORE_NS, facts->ended_ns) ? NULL : "nobody killed its worker";
}

static const char *wrong_timed_out(const struct record *record, const struct facts *facts)
{
    if (record->task.timeout_ms == 0) return "it has no timeout";
    if (!in_process(record) && record->order->kind != SPINS && record->order->kind != FAILS) return "it returned 0";
    if (facts->started_ns == 0) return NULL;
    return facts->ended_ns - facts->started_ns < record->task.timeout_ms * (uint64_t)1000000 ? "too early" : NULL;
}

static const char *wrong_expired(const struct record *record, const struct facts *facts)
{
    if (record->task.queue_timeout_ms == 0) return "it has no queue timeout";
    if (facts->begun != 0 && !may_retry(record)) return "it has run";
    if (facts->queued_ns == 0) return NULL;
    return facts->ended_ns - facts->queued_ns < record->task.queue_timeout_ms * (uint64_t)1000000 ? "too early" : NULL;
}

static const char *wrong_cancelled(const struct record *record, const struct facts *facts)
{
    if (!was_asked(record)) return "nobody asked for it";
    if (in_process(record) || facts->begun == 0) return NULL;
    return record->order->kind == SPINS || record->order->kind == FAILS ? NULL : "it returned 0";
}

static const char *wrong_not_started(const struct record *record, const struct facts *facts)
{
    const tandem_report *report = record->task.report;
    if (!in_process(record)) return "a thread is there";
    if (record->task.code <= 0 || report == NULL || report->step == NULL) return "no code or no step";
    if (facts->begun != 0 && !may_retry(record)) return "it has run";
    if (!may_lack_workers(facts->queued_ns - BEFORE_NS, facts->ended_ns) && !are_guards_lost()) return "there was no reason";
    atomic_fetch_add(&excused, 1);
    return NULL;
}

/* What holds for every ending. */
static const char *wrong_anyway(const struct record *record, const struct facts *facts)
{
    const tandem_task *task = &record->task;
    bool has_output = task->status == TANDEM_OK || task->status == TANDEM_FAILED;
    if (facts->begun == UINT32_MAX) return "the ledger's page is damaged";
    if (facts->begun > runs_most(record)) return "run too often";
    if (facts->runs > runs_most(record)) return "reported as run too often";
    if (facts->runs < facts->begun) return "reported as run less often than it was";
    if (!has_output && (task->output != NULL || task->output_size != 0)) return "an output";
    if (in_process(record) && task->report == NULL) return "no report";
    if (task->on_done != NULL && atomic_load(&record->calls) != 1) return "on_done not called once";
    if (facts->started_ns > facts->ended_ns || facts->queued_ns > facts->ended_ns) return "its times";
    return NULL;
}

static const char *wrong(const struct record *record, const struct facts *facts)
{
    const char *complaint = wrong_anyway(record, facts);
    if (complaint != NULL) return complaint;
    switch (record->task.status) {
    case TANDEM_OK: return wrong_ok(record, facts);
    case TANDEM_FAILED: return wrong_failed(record, facts);
    case TANDEM_CRASHED: return wrong_crashed(record, facts);
    case TANDEM_TIMED_OUT: return wrong_timed_out(record, facts);
    case TANDEM_EXPIRED: return wrong_expired(record, facts);
    case TANDEM_CANCELLED: return wrong_cancelled(record, facts);
    case TANDEM_NOT_STARTED: return wrong_not_started(record, facts);
    default: return "a status that cannot be";
    }
}

/* ---- the sentence ---- */

static void complain(const struct record *record, const struct facts *facts, const char *complaint)
{
    char line[512];
    const tandem_task *task = &record->task;
    const tandem_report *report = task->report;
    tandem_describe(task, line, sizeof line);
    loss("%s; %s task that %s, flags %#x, timeout %u, queue timeout %u, input %u, reply %u, on_done %d, asked %d, pool ends %d\n"
         "    \"%s\" (%s, code %d, signal %d, step %s)\n"
         "    ledger %u begun %u left; report: runs %u pid %d worker %u, queued %llu, started +%llu, ended +%llu ns",
         complaint, in_process(record) ? "process" : "thread", kind_names[record->order->kind], task->flags, task->timeout_ms,
         task->queue_timeout_ms, record->order->input_size, record->order->reply_size, task->on_done != NULL,
         atomic_load(&record->asked), record->pool_ends, line, tandem_status_name(task->status), task->code, task->signal,
         report != NULL && report->step != NULL ? report->step : "-", facts->begun, facts->left, facts->runs, facts->pid,
         report != NULL ? report->worker : 0, (unsigned long long)facts->queued_ns,
         (unsigned long long)(facts->started_ns - facts->queued_ns), (unsigned long long)(facts->ended_ns - facts->queued_ns));
}

void judge(struct record *record)
{
    if (record->judged) return;
    struct facts facts = facts_of(record);
    const char *complaint = wrong(record, &facts);
    if (complaint != NULL) complain(record, &facts, complaint);
    int status = record->task.status;
    atomic_fetch_add(record->pool_ends ? &ended_by_plan[status & 15] : &ended[status & 15], 1);
    cell_close(record->cell);
    record->judged = true;
    atomic_store(&record->since_ms, 0);
    if (tandem_task_clear(&record->task) != 0) loss("a task that has ended cannot be cleared");
}

void count_ending(int status) { atomic_fetch_add(&ended[status & 15], 1); }

uint64_t judged_count(int status) { return atomic_load(&ended[status]); }

void judged_print(FILE *file)
{
    uint64_t sum = 0;
    for (int i = 0; i < 16; i++) sum += atomic_load(&ended[i]) + atomic_load(&ended_by_plan[i]);
    fprintf(file, "%llu tasks:", (unsigned long long)sum);
    for (int i = 0; i < 16; i++) {
        uint64_t count = atomic_load(&ended[i]) + atomic_load(&ended_by_plan[i]);
        if (count != 0) fprintf(file, " %llu %s,", (unsigned long long)count, tandem_status_name(i));
    }
    fprintf(file, " %llu of the not started for want of workers, %llu of the crashed unknown how",
            (unsigned long long)atomic_load(&excused), (unsigned long long)atomic_load(&unknown));
}
