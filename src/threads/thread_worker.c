/* thread_worker.c - a pool thread's life, and the running of a task on a thread. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "base/platform.h"
#include "job/context.h"
#include "task/report.h"
#include "threads/thread_lane.h"
#include "threads/thread_talk.h"

#include <pthread.h>

static int status_of(const struct tdm_task *task, const struct tdm_core *core, int code)
{
    if (code == 0) return TANDEM_OK;
    if (tdm_task_wished_first(task, TDM_WISH_DEADLINE)) return TANDEM_TIMED_OUT;
    if (tdm_task_wished_first(task, TDM_WISH_CANCEL) || load_seq(&core->closing)) return TANDEM_CANCELLED; /* [closing] */
    return TANDEM_FAILED;
}

/* The clock is read only for who asked: a report, or a sample for the statistics. */
static uint64_t start_time(const struct tdm_task *private)
{
    return private->queued_ns != 0 || tdm_task_public((struct tdm_task *)(uintptr_t) private)->report ? tdm_clock_ns() : 0;
}

static int call_function(tandem_task *task, tandem_context *context, const struct tdm_core *core)
{
    struct tdm_inside inside;
    tdm_self_enter(&inside, core, task, task->group);
    int code = task->run(context, task->input, task->input_size);
    tdm_self_leave(&inside);
    return code;
}

/* A host's thread that helps must not be cancelled in the middle of somebody's task, which would then never end. */
static int call_function_on_a_strange_thread(tandem_task *task, tandem_context *context, const struct tdm_core *core)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int code = call_function(task, context, core);
    pthread_setcancelstate(cancel_state, NULL);
    return code;
}

void tdm_thread_run(struct tdm_lane *lane, struct tdm_task *private, const struct tdm_worker_self *worker)
{
    struct tdm_core *core = lane->core;
    struct tdm_tally *tally = worker ? worker->tally : NULL;
    if (!tdm_lane_begin(lane, private, tally)) return;
    tandem_task *task = tdm_task_public(private);
    tandem_context context = {.isolation = TANDEM_THREAD,
                              .home = core->home,
                              .talk = &tdm_thread_talk,
                              .run = private,
                              .worker_data = worker ? worker->worker_data : NULL,
                              .wishes = &private->wishes,
                              .closing = &core->closing,
                              .reply_most = SIZE_MAX};
    struct tdm_outcome outcome = {.started_ns = start_time(private)};
    if (task->report) {
        tandem_report *report = (tandem_report *)(uintptr_t)task->report;
        tdm_report_start(report, outcome.started_ns, worker ? worker->number : 0, 0);
        tdm_report_count_run(report);
    }
    if (task->timeout_ms != 0)
        tdm_deadlines_arm(&core->deadlines, private, tdm_clock_deadline((int64_t)task->timeout_ms), TDM_OF_RUNNING);

    outcome.code = worker ? call_function(task, &context, core) : call_function_on_a_strange_thread(task, &context, core);
    if (task->timeout_ms != 0) tdm_deadlines_disarm(&core->deadlines, private);
    if (context.received) tdm_context_drop_received(&context);
    outcome.status = status_of(private, core, outcome.code);
    outcome.output = context.output;
    outcome.output_size = context.output_size;
    outcome.release = context.release;
    tdm_task_finish(private, &outcome, tally);
}

static bool start(struct tdm_thread_worker *worker)
{
    const tandem_options *options = worker->lane->options;
    tdm_platform_name_thread(options->name);
    if (!options->on_worker_start) return true;
    worker->has_data = options->on_worker_start(&worker->data, options->argument) == 0;
    return worker->has_data;
}

static void stop(struct tdm_thread_worker *worker)
{
    const tandem_options *options = worker->lane->options;
    bool started = worker->has_data || !options->on_worker_start;
    if (started && options->on_worker_stop) options->on_worker_stop(worker->data, options->argument);
}

void *tdm_thread_worker_main(void *argument)
{
    struct tdm_thread_worker *worker = argument;
    struct tdm_thread_lane *lane = worker->lane;
    bool started = start(worker);
    struct tdm_worker_self self = {
        .core = lane->lane.core, .tally = &worker->tally, .worker_data = worker->data, .number = worker->number};
    tdm_self_set_worker(&self);
    tdm_thread_lane_started(lane, !started);
    for (struct tdm_task *task; (task = tdm_thread_lane_next(lane, worker)) != NULL;) tdm_thread_run(&lane->lane, task, &self);
    tdm_thread_lane_settle(lane, worker);
    stop(worker);
    return NULL;
}
