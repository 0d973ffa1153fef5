/* dispatcher.c - submit: check, defaults, route by isolation.  All walks of a task begin here, but for that of small ones: see short_way. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "base/identity.h"
#include "command/command_check.h"
#include "job/frame.h"
#include "pool.h"
#include "quiet.h"
#include "short_way.h"
#include "submission.h"
#include "task/group.h"
#include "task/report.h"
#include "task/talk.h"
#include "task/wait.h"

#include <errno.h>

/* ---- is this a task at all? ---- */

#define KNOWN_FLAGS ((uint32_t)(TANDEM_DEDICATED | TANDEM_NO_HELP | TANDEM_RETRY | TANDEM_REPORT | TANDEM_TELL_START))

bool tdm_limits_are_valid(const tandem_limits *limits)
{
    uint64_t reserved = limits->reserved_;
    for (size_t i = 0; i < sizeof limits->reserved / sizeof *limits->reserved; i++) reserved |= limits->reserved[i];
    return reserved == 0;
}

/* For a worker: copied, or where it lies. */
static bool can_travel(tandem_pool *pool, const tandem_task *task)
{
    return task->input_size <= TDM_FRAME_PAYLOAD_MOST || tdm_shared_holds(&pool->shared, task->input, task->input_size);
}

static int check_task(tandem_pool *pool, const tandem_task *task)
{
    if (!task->run == !task->command || task->flags & ~KNOWN_FLAGS) return -EINVAL;
    if (!task->input && task->input_size > 0) return -EINVAL;
    if (task->priority < -1 || task->priority > 1) return -EINVAL;
    if (task->limits && !tdm_limits_are_valid(task->limits)) return -EINVAL;
    if (task->command && task->on_message) return -EINVAL;
    if (task->command && task->isolation != TANDEM_THREAD && task->isolation != TANDEM_PROCESS) return -EINVAL;
    if (task->command) return pool->has_processes ? tdm_command_check(task) : -EINVAL;
    switch (task->isolation) {
    case TANDEM_THREAD: return pool->has_threads ? 0 : -EINVAL;
    case TANDEM_PROCESS:
        if (!pool->has_processes || (task->on_message && task->flags & TANDEM_RETRY)) return -EINVAL;
        return can_travel(pool, task) ? 0 : -EMSGSIZE;
    default: return -EINVAL;
    }
}

int tdm_submission_check(tandem_pool *pool, const tandem_task *task)
{
    if (!pool || !task) return -EINVAL;
    if (!tdm_pool_is_ours(pool)) return -EPERM;
    return check_task(pool, task);
}

/* ---- what the task will need ---- */

/* Now, while a failure can still be told by an error: the reactor, somebody to call on_done. */
static int start_helpers(struct tandem_pool *pool, const tandem_task *task)
{
    bool reactor = task->command || task->isolation == TANDEM_PROCESS || task->timeout_ms != 0 || task->queue_timeout_ms != 0;
    int error = reactor ? tdm_core_need_reactor(&pool->core) : 0;
    bool calls = task->on_done || task->on_message || (task->command && task->command->on_output);
    if (error == 0 && calls) error = tdm_callbacks_need(&pool->core.callbacks);
    return error;
}

/* ---- routing ---- */

static struct tdm_lane *lane_of(struct tandem_pool *pool, const tandem_task *task)
{
    if (task->command) return &pool->commands.lane;
    return task->isolation == TANDEM_PROCESS ? &pool->processes.lane : &pool->threads.lane;
}

static struct tdm_submission_results take_results(tandem_task *task, uint32_t before)
{
    struct tdm_task *private = tdm_task_of(task);
    struct tdm_submission_results results = {task->output, task->output_size, task->report,  NULL, task->status,
                                             task->code,   task->signal,      private->bare, 0,    0};
    if (task->output) results.release = private->release;
    tdm_report_expect_free(task->report);
    if (before & TDM_PROGRESSED) results.done = private->progress.done, results.total = private->progress.total;
    task->output = NULL;
    task->output_size = 0;
    task->report = NULL;
    task->status = TANDEM_PENDING;
    task->code = task->signal = 0;
    return results;
}

static void put_results(tandem_task *task, const struct tdm_submission_results *results, uint32_t before)
{
    struct tdm_task *private = tdm_task_of(task);
    task->output = results->output;
    task->output_size = results->output_size;
    task->report = results->report;
    task->status = results->status;
    task->code = results->code;
    if (task->signal != results->signal)
        task->signal = results->signal; /* of a thread task others may look at it: [task-in-queue] */
    private->release = results->release;
    private->bare = results->bare;
    if (before & TDM_PROGRESSED) private->progress.done = results->done, private->progress.total = results->total;
}

/* Left alone where it is in order: a cancel of the submission before, which was refused, may still look at it. */
static void prepare_link(struct tdm_node *link)
{
    if (!tdm_list_empty(link)) tdm_list_init(link);
}

/* What only some tasks need lies in memory that others need not touch. */
static void prepare_for_process(struct tdm_task *private, const tandem_report *report, bool called)
{
    private->place = NULL;
    private->deaths = 0;
    private->retried = private->blank = false;
    private->called = called;
    private->queued_ns = report ? report->queued_ns : tdm_report_now();
    prepare_link(&private->link);
}

/* A thread task is timed for its report, and one in so many of each thread's tasks for the statistics. */
static uint32_t note_time(struct tdm_task *private, const tandem_report *report)
{
    if (!report) return tdm_short_way_sample(private);
    private->queued_ns = report->queued_ns;
    return TDM_TIMED;
}

/* All but the state word; the marks that it is to have. */
static uint32_t prepare(struct tandem_pool *pool, tandem_task *task, tandem_report *report, struct tdm_mailbox *mailbox,
                        bool called)
{
    struct tdm_task *private = tdm_task_of(task);
    struct tdm_lane *lane = lane_of(pool, task);
    store_relaxed(&private->wishes, 0); /* relaxed: the store of the state publishes it with all the rest */
    tdm_task_set_lane(private, lane, pool->core.home);
    uint32_t marks = mailbox ? (uint32_t)TDM_TALKS : 0;
    if (mailbox) store_relaxed(&private->mail, mailbox); /* relaxed: the state publishes it [task-mail] */
    if (task->timeout_ms != 0 || task->queue_timeout_ms != 0) {
        private->deadline = (struct tdm_heap_node){.key = tdm_clock_deadline((int64_t)task->queue_timeout_ms)};
        private->retried = false;
    }
    task->report = report;
    private->bare = false;
    if (task->isolation == TANDEM_PROCESS || task->command) {
        prepare_for_process(private, report, called);
        return marks | (tdm_short_way_fits_process(task) ? (uint32_t)TDM_SHORT : 0);
    }
    tdm_link_init(tdm_thread_link_of(private));
    if (task->flags & TANDEM_DEDICATED || task->priority != 0) prepare_link(&private->link);
    return marks | note_time(private, report);
}

int tdm_submission_claim(tandem_task *task, struct tdm_submission *way)
{
    struct tdm_task *private = tdm_task_of(task);
    uint32_t word = load_seq(&private->state);
    enum tdm_task_state state = tdm_task_state(word);
    if ((state != TDM_NEW && state != TDM_ENDED) || word & TDM_OWED) return -EBUSY;
    *way = (struct tdm_submission){.before = (uint32_t)state | (word & (uint32_t)TDM_PROGRESSED), .group = task->group};
    return cas_seq(&private->state, &word, TDM_PREPARING) ? 0 : -EBUSY; /* another submit of it came first */
}

/* That of a process task is given to it by its lane. */
static int make_report(struct tandem_pool *pool, const tandem_task *task, tandem_report **report)
{
    bool wanted = task->command || (task->isolation == TANDEM_THREAD && task->flags & TANDEM_REPORT);
    *report = wanted ? tdm_report_make(task) : NULL;
    if (wanted && !*report) return -ENOMEM;
    return task->command ? tdm_command_lane_order(&pool->commands, task, *report) : 0;
}

/* May the calling thread run it at once?  If it would help anyway. */
static bool begin_here(struct tdm_task *private)
{
    const struct tdm_lane *lane = private->lane;
    if (!lane->ops->begin_here || tdm_task_public(private)->queue_timeout_ms != 0 || !tdm_wait_may_help(private)) return false;
    return lane->ops->begin_here(private->lane);
}

int tdm_submission_make_ready(struct tandem_pool *pool, tandem_task *task, struct tdm_submission *way)
{
    struct tdm_task *private = tdm_task_of(task);
    tandem_report *report;
    struct tdm_mailbox *mailbox = NULL;
    int error = make_report(pool, task, &report);
    if (error == 0) error = start_helpers(pool, task);
    if (error == 0 && task->on_message && !(mailbox = tdm_mailbox_make(private, pool->core.watch_ns))) error = -ENOMEM;
    if (error != 0) {
        tdm_task_free_results(NULL, NULL, report);
        tdm_task_give_up(private, way->before);
        return error;
    }
    if (tdm_task_state(way->before) == TDM_ENDED) way->old = take_results(task, way->before); /* a new one has none: it is zeroed */
    uint32_t marks = prepare(pool, task, report, mailbox, way->runs_here);
    if (way->group) tdm_group_join(way->group, private);
    way->runs_here = way->runs_here && begin_here(private);
    /* all that prepare wrote; read by who cancels or waits [task-prepared] */
    store_release(&private->state, (way->runs_here ? (uint32_t)TDM_HELD : (uint32_t)TDM_QUEUED) | marks);
    return 0;
}

void tdm_submission_put_back(tandem_task *task, const struct tdm_submission *way)
{
    struct tdm_task *private = tdm_task_of(task);
    const tandem_report *report = task->report;
    if (way->group) tdm_group_unjoin(way->group, private);
    put_results(task, &way->old, way->before); /* of a new one: it had none */
    tdm_task_free_results(NULL, NULL, report);
    tdm_task_give_up(private, way->before);
}

void tdm_submission_drop_old_results(const struct tdm_submission *way)
{
    if (way->old.output || way->old.report) tdm_task_free_results(way->old.output, way->old.release, way->old.report);
}

/* Once the lane has it, it may end at any moment and be gone. */
static int submit(struct tandem_pool *pool, tandem_task *task, bool run_here)
{
    struct tdm_submission way;
    int error = tdm_submission_check(pool, task);
    if (error == 0) error = tdm_submission_claim(task, &way);
    way.runs_here = run_here;
    if (error == 0) error = tdm_submission_make_ready(pool, task, &way);
    if (error != 0) return error;
    struct tdm_lane *lane = tdm_task_of(task)->lane;
    if (way.runs_here)
        lane->ops->run_here(lane, tdm_task_of(task));
    else
        error = lane->ops->submit(lane, tdm_task_of(task));
    if (error == 0)
        tdm_submission_drop_old_results(&way);
    else
        tdm_submission_put_back(task, &way);
    return error;
}

/* A command is prepared for its start on this thread, by calls in the middle of which it could be cancelled. */
int tdm_dispatch(tandem_pool *pool, tandem_task *task, bool run_here)
{
    if (task && task->command) {
        struct quiet quiet = begin_quietly();
        return end_quietly(&quiet, submit(pool, task, false));
    }
    int saved = errno;
    int error = submit(pool, task, run_here);
    errno = saved;
    return error;
}
