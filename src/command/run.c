/* run.c - one command from its start to its end.  All but its making happens on the reactor's thread. */
#define _XOPEN_SOURCE 700
#include "command/run.h"

#include "base/clock.h"
#include "base/fds.h"
#include "base/memory.h"
#include "base/platform.h"
#include "command/command_lane.h"
#include "command/run_start.h"
#include "guards/adopted.h"
#include "task/report.h"

#include <errno.h>
#include <signal.h>

/* A kill that shows no end after this: the process hangs in the kernel.  Its task ends all the same. */
#define DEATH_NS ((uint64_t)5 * 1000000000u)

#define USUAL_DRAIN_MS 100

/* Zygotes that may die over one start. */
#define TRIES_MOST 5

static const tandem_command *command_of(const struct tdm_run *run) { return tdm_task_public(run->task)->command; }

static bool is_detached(const struct tdm_run *run) { return command_of(run)->flags & TANDEM_COMMAND_DETACHED; }

/* ---- the end ---- */

static bool has_output_left(const struct tdm_run *run)
{
    return tdm_capture_is_open(&run->outputs[0]) || tdm_capture_is_open(&run->outputs[1]) || tdm_stream_out_is_open(&run->stream);
}

/* Which limit it was that it died of, or NULL. */
static const char *limit_hit(const struct tdm_run *run)
{
    const tandem_limits *limits = tdm_run_limits(run);
    uint64_t used = run->end.user_ns + run->end.system_ns;
    if (limits->cpu_ms != 0 && run->end.signal == SIGXCPU) return "cpu_ms";
    if (limits->cpu_ms != 0 && run->end.signal == SIGKILL &&
        used / 1000000000u >= limits->cpu_ms / 1000u + (limits->cpu_ms % 1000u != 0))
        return "cpu_ms";
    return limits->file_size != 0 && run->end.signal == SIGXFSZ ? "file_size" : NULL;
}

static const char *output_cut(const struct tdm_run *run)
{
    static const char *const names[] = {NULL, "output", "error_output", "output, error_output"};
    return names[(run->outputs[0].cut ? 1 : 0) + (run->outputs[1].cut ? 2 : 0)];
}

/* What became of it when nobody had it stopped. */
static void judge(const struct tdm_run *run, struct tdm_outcome *outcome, struct tdm_facts *facts)
{
    outcome->signal = run->end.signal;
    outcome->code = run->end.code;
    if (run->lost) {
        outcome->status = TANDEM_CRASHED;
        outcome->step = "its process ended, its status was lost";
    } else if (run->end.signal != 0) {
        facts->limit = run->decided == 0 ? limit_hit(run) : NULL;
        outcome->status = facts->limit ? TANDEM_OVER_LIMIT : TANDEM_CRASHED;
    } else {
        outcome->status = run->end.code == 0 ? TANDEM_OK : TANDEM_FAILED;
    }
}

static struct tdm_outcome outcome_of(const struct tdm_run *run, struct tdm_facts *facts)
{
    struct tdm_outcome outcome = {.status = TANDEM_OK, .started_ns = run->started_ns, .step = run->step};
    if (run->error != 0) {
        outcome.status = TANDEM_NOT_STARTED;
        outcome.started_ns = 0;
        outcome.code = run->error;
        return outcome;
    }
    if (is_detached(run) && run->decided == 0) return outcome;
    judge(run, &outcome, facts);
    if (run->decided != 0) {
        outcome.status = run->decided;
        outcome.step = run->step;
    }
    facts->user_ns = run->end.user_ns;
    facts->system_ns = run->end.system_ns;
    facts->peak_memory = run->end.peak_memory;
    facts->dumped = run->end.dumped != 0;
    if (!facts->limit) facts->limit = output_cut(run);
    return outcome;
}

static void take_errors(struct tdm_run *run)
{
    tandem_report *report = (tandem_report *)(uintptr_t)tdm_task_public(run->task)->report;
    bool kept = run->outputs[1].kept;
    struct tdm_kept errors = tdm_capture_take(&run->outputs[1]);
    if (kept && errors.bytes) tdm_report_own_errors(report, errors.bytes, errors.size, errors.release ? errors.release : free);
}

static void finish(struct tdm_run *run)
{
    struct tdm_facts facts = {0};
    if (run->phase == TDM_RUN_ENDED) return;
    if (run->stream.calling) { /* on_output has the task */
        run->over_time = true;
        tdm_stream_out_close(&run->stream);
        return;
    }
    run->phase = TDM_RUN_ENDED;
    tdm_reactor_clear_timer(&run->timer);
    tdm_guards_forget(&run->child);
    struct tdm_kept output = {0};
    if (run->error == 0) {
        output = tdm_capture_take(&run->outputs[0]);
        take_errors(run);
        if (run->decided == 0 && (run->outputs[0].error != 0 || run->outputs[1].error != 0)) {
            run->decided = TANDEM_OVER_LIMIT;
            run->step = "memory";
        }
    }
    struct tdm_outcome outcome = outcome_of(run, &facts);
    outcome.facts = &facts;
    outcome.output = output.bytes;
    outcome.output_size = output.size;
    outcome.release = output.release;
    tdm_run_close_all(run);
    tdm_command_lane_finish(run->lane, run, &outcome);
}

static void finish_if_over(struct tdm_run *run)
{
    if (run->over_time || (run->phase == TDM_RUN_DRAINING && !has_output_left(run))) finish(run);
}

/* It has been reaped: what is still in its pipes is read, and what others may write there for a while. */
static void drain(struct tdm_run *run)
{
    uint32_t most = command_of(run)->drain_ms;
    run->phase = TDM_RUN_DRAINING;
    tdm_feed_close(&run->feed);
    if (!has_output_left(run))
        finish(run);
    else
        tdm_reactor_set_timer(&run->timer, tdm_clock_deadline(most != 0 ? most : USUAL_DRAIN_MS));
}

/* What is in the pipes now belongs to it, and may not have been read yet: this thread, or who is called back, has been late. */
static void stop_draining(struct tdm_run *run)
{
    for (int i = 0; i < 2; i++) tdm_capture_read_rest(&run->outputs[i]);
    if (run->phase == TDM_RUN_DRAINING && !tdm_stream_out_look_last(&run->stream)) finish(run);
}

static void fail_start(struct tdm_run *run, const char *step, int error)
{
    run->step = step;
    run->error = error;
    if (run->decided != 0) { /* it was to be stopped anyway */
        run->error = 0;
        run->step = NULL;
    }
    finish(run);
}

/* ---- stopping ---- */

static void send_kill(struct tdm_run *run)
{
    run->killed = true;
    tdm_reactor_set_timer(&run->timer, tdm_clock_ns() + DEATH_NS);
    if (run->watch.fd >= 0)
        tdm_platform_signal_watched(run->watch.fd, SIGKILL);
    else
        tdm_guards_signal(&run->child, SIGKILL);
}

static void ask(struct tdm_run *run)
{
    int signal = command_of(run)->stop_signal;
    tdm_guards_signal(&run->child, signal != 0 ? signal : SIGTERM);
    tdm_reactor_set_timer(&run->timer, tdm_clock_ns() + (uint64_t)run->lane->options->kill_grace_ms * 1000000u);
}

/* One that has ended by itself keeps its own ending, unless that is what its output says. */
void tdm_run_stop(struct tdm_run *run, int status)
{
    if (run->phase == TDM_RUN_ENDED || run->decided != 0) return;
    if (run->phase == TDM_RUN_DRAINING) {
        if (status == TANDEM_OVER_LIMIT) run->decided = status;
        if (status == TANDEM_OVER_LIMIT)
            finish(run);
        else
            stop_draining(run);
        return;
    }
    run->decided = status;
    if (run->phase == TDM_RUN_PREPARED) {
        finish(run);
        return;
    }
    uint32_t waits = TDM_PROGRAM_WAITS;
    if (run->phase == TDM_RUN_STARTING && cas_seq(&run->block.program->state, &waits, TDM_PROGRAM_REVOKED)) { /* [program-state] */
        finish(run);                                                                                          /* it never begins */
        return;
    }
    bool gently = run->lane->options->kill_grace_ms != 0 && run->watch.fd < 0 && status != TANDEM_OVER_LIMIT;
    if (gently)
        ask(run);
    else
        send_kill(run);
}

void tdm_run_close(struct tdm_run *run)
{
    if (run->phase == TDM_RUN_ENDED) return;
    tdm_stream_out_withdraw(&run->stream);
    if (run->phase == TDM_RUN_DRAINING || run->over_time)
        finish(run);
    else
        tdm_run_stop(run, TANDEM_CANCELLED);
}

static void time_over(struct tdm_timer *timer)
{
    struct tdm_run *run = container_of(timer, struct tdm_run, timer);
    if (run->phase == TDM_RUN_DRAINING) {
        stop_draining(run);
    } else if (run->decided == 0) {
        tdm_run_stop(run, TANDEM_TIMED_OUT);
    } else if (!run->killed) {
        send_kill(run);
    } else {
        run->step = "its process has not died yet";
        finish(run);
    }
}

/* ---- outputs ---- */

static void output_changed(struct tdm_run *run, const struct tdm_capture *capture)
{
    if (capture->error != 0 && run->decided == 0) {
        run->step = capture->error == ENOMEM ? "memory" : "file";
        run->outputs[capture - run->outputs].cut = true;
    }
    if (capture->over || capture->error != 0)
        tdm_run_stop(run, TANDEM_OVER_LIMIT);
    else
        finish_if_over(run);
}

static void first_changed(struct tdm_capture *capture)
{
    output_changed(container_of(capture, struct tdm_run, outputs[0]), capture);
}

static void second_changed(struct tdm_capture *capture)
{
    output_changed(container_of(capture, struct tdm_run, outputs[1]), capture);
}

void tdm_run_go_on(struct tdm_run *run)
{
    if (run->phase == TDM_RUN_ENDED) return;
    bool returned = tdm_stream_out_go_on(&run->stream);
    if (!returned || !run->stream.last)
        finish_if_over(run);
    else if (!tdm_stream_out_look_last(&run->stream))
        finish(run);
}

/* ---- what the guards tell ---- */

static void ask_guards(struct tdm_run *run)
{
    run->phase = TDM_RUN_STARTING;
    tdm_guards_spawn(&run->child);
}

static const char *step_of(const struct tdm_run *run, int error)
{
    static const char *const names[TDM_STEPS] = {
        [TDM_STEP_FORK] = "fork",   [TDM_STEP_MEMORY] = "memory",           [TDM_STEP_DESCRIPTORS] = "descriptors",
        [TDM_STEP_CHDIR] = "chdir", [TDM_STEP_CREDENTIALS] = "credentials", [TDM_STEP_EXEC] = "exec"};
    if (load_seq(&run->block.program->state) == TDM_PROGRAM_FAILED && run->block.program->step < TDM_STEPS) /* [program-state] */
        return names[run->block.program->step];
    return error == ECHILD ? "zygote" : "fork";
}

/* Its zygote has died, and it has not begun: all over again. */
static void start_again(struct tdm_run *run)
{
    for (int i = 0; i < 2; i++) tdm_capture_drop(&run->outputs[i]);
    tdm_run_close_all(run);
    run->was_looked_for = false;
    int error = tdm_run_prepare(run);
    const char *step = run->step;
    run->step = NULL;
    if (error == 0) {
        step = "descriptors";
        error = tdm_run_watch(run);
    }
    if (error == 0)
        ask_guards(run);
    else
        fail_start(run, step, -error);
}

static void take_ends_back(struct tdm_run *run)
{
    tdm_fds_close(&run->ends[0]);
    tdm_fds_close(&run->ends[1]);
}

static void spawned(struct tdm_child *child, int error)
{
    struct tdm_run *run = container_of(child, struct tdm_run, child);
    bool revoked = error == ESTALE && load_seq(&run->block.program->state) == TDM_PROGRAM_REVOKED; /* [program-state] */
    if (revoked && ++run->tries < TRIES_MOST && run->decided == 0) {
        start_again(run);
        return;
    }
    take_ends_back(run);
    run->was_told = !revoked && error != ECHILD && !run->was_looked_for;
    if (error != 0) {
        fail_start(run, step_of(run, revoked ? ECHILD : error), revoked ? ECHILD : error);
        return;
    }
    tandem_report *report = (tandem_report *)(uintptr_t)tdm_task_public(run->task)->report;
    tdm_report_start(report, run->started_ns, 0, child->pid);
    tdm_report_count_run(report);
    tdm_command_lane_lock(run->lane);
    run->seen_pid = (long)child->pid;
    tdm_command_lane_unlock(run->lane);
    run->phase = TDM_RUN_RUNNING;
    if (is_detached(run) && run->decided == 0) finish(run);
}

/* Whoever moves the word first has it; see program.h. */
static pid_t look(struct tdm_child *child)
{
    struct tdm_run *run = container_of(child, struct tdm_run, child);
    struct tdm_program *program = run->block.program;
    run->was_looked_for = true;
    uint32_t word = TDM_PROGRAM_WAITS;
    if (cas_seq(&program->state, &word, TDM_PROGRAM_REVOKED)) return -ESTALE; /* [program-state] */
    return word == TDM_PROGRAM_FAILED ? -program->error : program->pid;
}

/* One whose exec failed when nobody was left to tell so has ended in our name. */
static void ended(struct tdm_child *child, const struct tdm_guard_notice *notice)
{
    struct tdm_run *run = container_of(child, struct tdm_run, child);
    if (run->phase == TDM_RUN_ENDED) return;
    run->end = *notice;
    run->has_ended = true;
    if (load_seq(&run->block.program->state) == TDM_PROGRAM_FAILED) /* [program-state] */
        fail_start(run, step_of(run, 0), run->block.program->error);
    else
        drain(run);
}

static void lose(struct tdm_run *run)
{
    run->lost = true;
    if (run->watch.fd >= 0) tdm_reactor_watch(&run->watch, 0);
    tdm_adopted_look();
    drain(run);
}

static void orphan_has_ended(struct tdm_source *source, unsigned events)
{
    (void)events;
    lose(container_of(source, struct tdm_run, watch));
}

/* It goes on.  Where nobody can tell when it ends, that is now. */
static void orphaned(struct tdm_child *child, pid_t pid)
{
    struct tdm_run *run = container_of(child, struct tdm_run, child);
    if (run->phase == TDM_RUN_ENDED) return;
    int watch = tdm_platform_watch_process(pid);
    if (watch >= 0) watch = tdm_fds_take_in(watch);
    run->watch = (struct tdm_source){.fd = watch < 0 ? -1 : watch, .ready = orphan_has_ended};
    if (watch < 0 || tdm_reactor_watch(&run->watch, TDM_POLL_IN) != 0)
        lose(run);
    else if (run->decided != 0)
        send_kill(run);
}

/* ---- the beginning ---- */

struct tdm_run *tdm_run_make(struct tdm_command_lane *lane, struct tdm_task *task, int ends[2], int *error, const char **step)
{
    struct tdm_run *run = tdm_calloc(1, sizeof *run);
    *step = "memory";
    *error = ENOMEM;
    if (run) {
        run->lane = lane;
        run->task = task;
        run->ends[0] = ends[0];
        run->ends[1] = ends[1];
        run->child = (struct tdm_child){.kind = TDM_EXEC, .look = look, .spawned = spawned, .ended = ended, .orphaned = orphaned};
        run->outputs[0].changed = first_changed;
        run->outputs[1].changed = second_changed;
        run->timer.due = time_over;
        tdm_list_init(&run->link);
        *error = -tdm_run_prepare(run);
        *step = run->step;
        run->step = NULL;
        if (*error == 0) return run;
        for (int i = 0; i < 2; i++) tdm_capture_drop(&run->outputs[i]);
        tdm_stream_out_drop(&run->stream);
    }
    free(run);
    tdm_fds_close(&ends[0]);
    tdm_fds_close(&ends[1]);
    return NULL;
}

void tdm_run_begin(struct tdm_run *run)
{
    uint32_t timeout = tdm_task_public(run->task)->timeout_ms;
    int error = tdm_run_watch(run);
    if (error != 0) {
        take_ends_back(run);
        fail_start(run, "descriptors", -error);
        return;
    }
    run->started_ns = tdm_clock_ns();
    if (timeout != 0) tdm_reactor_set_timer(&run->timer, run->started_ns + timeout * (uint64_t)1000000u);
    ask_guards(run);
}

void tdm_run_free(struct tdm_run *run)
{
    take_ends_back(run);
    tdm_run_close_all(run);
    for (int i = 0; i < 2; i++) tdm_capture_drop(&run->outputs[i]);
    tdm_stream_out_drop(&run->stream);
    free(run);
}
