/* thread_worker.c - a pool thread's life, and the running of a task on a thread. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "base/platform.h"
#include "base/thread.h"
#include "job/context.h"
#include "task/report.h"
#include "threads/thread_lane.h"
#include "threads/thread_talk.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

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
    return load_relaxed(&private->state) & TDM_TIMED ? tdm_clock_ns() : 0; /* relaxed: set before it was put anywhere */
}

/* What it returns.  place, group: see tdm_self_enter_at(). */
static int call_function(const struct tdm_core *core, struct tdm_run *run, struct tdm_inside **place, const tandem_group *group)
{
    tandem_task *task = tdm_task_public(run->task);
    tdm_self_enter_at(place, &run->inside, core, task, group);
    int code = task->run(&run->context, task->input, task->input_size);
    *place = run->inside.outer;
    return code;
}

/* A plain one's group is not looked at: it would be all that is read of a cache line. */
static int call_any_function(const struct tdm_core *core, struct tdm_run *run, struct tdm_inside **place)
{
    return call_function(core, run, place, tdm_task_public(run->task)->group);
}

/* A host's thread that helps must not be cancelled in the middle of somebody's task, which would then never end. */
static int call_function_on_a_strange_thread(const struct tdm_core *core, struct tdm_run *run)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int code = call_any_function(core, run, tdm_self_place());
    pthread_setcancelstate(cancel_state, NULL);
    return code;
}

/* What it is for any task of this thread. */
static void open_run(struct tdm_run *run, struct tdm_core *core, const struct tdm_worker_self *worker)
{
    *run = (struct tdm_run){.context = {.isolation = TANDEM_THREAD,
                                        .home = core->home,
                                        .talk = &tdm_thread_talk,
                                        .core = core,
                                        .worker_data = worker ? worker->worker_data : NULL,
                                        .closing = &core->closing,
                                        .reply_most = SIZE_MAX,
                                        .worker = worker ? worker->worker : NULL,
                                        .branches = &run->branches}};
}

/* What it is for this one. */
static void begin_plainly(struct tdm_run *run, struct tdm_task *task)
{
    run->task = task;
    run->context.run = task;
    run->context.task = tdm_task_public(task);
    run->context.wishes = &task->wishes;
}

static void begin_run(struct tdm_run *run, struct tdm_core *core, struct tdm_task *private, const struct tdm_worker_self *worker)
{
    const tandem_task *task = tdm_task_public(private);
    begin_plainly(run, private);
    run->outcome.started_ns = start_time(private);
    if (task->report) {
        tandem_report *report = (tandem_report *)(uintptr_t)task->report;
        tdm_report_start(report, run->outcome.started_ns, worker ? worker->number : 0, 0);
        tdm_report_count_run(report);
    }
    if (task->timeout_ms != 0)
        tdm_deadlines_arm(&core->deadlines, private, tdm_clock_deadline((int64_t)task->timeout_ms), TDM_OF_RUNNING);
}

/* Leaves it as it was opened. */
static void end_run(struct tdm_run *run, int status, int code, struct tdm_tally *tally)
{
    struct tdm_task *task = run->task;
    run->task = NULL;
    run->outcome.status = status;
    run->outcome.code = code;
    if (tdm_task_public(task)->timeout_ms != 0) tdm_deadlines_disarm(&task->lane->core->deadlines, task);
    if (run->context.received) tdm_context_drop_received(&run->context);
    if (run->context.data) tdm_pool_data_let_go(run->context.data);
    run->context.data = NULL;
    run->context.asked = 0;
    run->outcome.output = run->context.output;
    run->outcome.output_size = run->context.output_size;
    run->outcome.release = run->context.release;
    run->context.output = NULL;
    run->context.output_size = 0;
    run->context.deque = NULL;
    tdm_task_finish(task, &run->outcome, tally);
    run->outcome.started_ns = 0;
}

/* The same where nothing was asked; most often nothing is left, and it was not talked to.  Status and code go on in registers: whoever has written
 * two words and reads them as one waits until all that was written before has reached its cache. */
static void end_plainly(struct tdm_run *run, int status, int code, struct tdm_tally *tally)
{
    const tandem_context *context = &run->context;
    uintptr_t left =
        (uintptr_t)context->output | (uintptr_t)context->received | (uintptr_t)context->data | (uintptr_t)context->deque;
    struct tdm_task *task = run->task;
    if (left != 0 || context->asked || tdm_task_talks(task)) {
        end_run(run, status, code, tally);
        return;
    }
    run->task = NULL;
    tdm_task_finish_plainly(task, status, code, tally);
}

/* The function has ended its thread.  Nobody will join its branches, and none is to begin once others know that it has ended.  With its own tally it
 * would call on_done here, in a thread that is ending. */
static void end_for_want_of_a_return(void *argument)
{
    struct tdm_run *run = argument;
    tdm_self_leave(&run->inside);
    if (run->context.worker) tdm_deque_drop(&run->context.worker->deque);
    run->outcome.step = "pthread_exit";
    end_run(run, TANDEM_CRASHED, 0, NULL);
}

/* On a thread that is not of the queue, or in the middle of another run: on the stack, with a handler for its end. */
static void run_on_the_stack(struct tdm_core *core, struct tdm_task *task, const struct tdm_worker_self *worker)
{
    struct tdm_run run;
    int code;
    open_run(&run, core, worker);
    begin_run(&run, core, task, worker);
    pthread_cleanup_push(end_for_want_of_a_return, &run);
    if (worker)
        code = call_any_function(core, &run, tdm_self_place());
    else
        code = call_function_on_a_strange_thread(core, &run);
    pthread_cleanup_pop(0);
    end_run(&run, status_of(task, core, code), code, worker ? worker->tally : NULL);
}

/* True: its on_message, if that is to be, has been told that it starts.  Else it has ended. */
static bool tell_start(struct tdm_task *task, struct tdm_tally *tally)
{
    const tandem_task *public = tdm_task_public(task);
    if (!(public->flags & TANDEM_TELL_START) || !public->on_message || tdm_thread_tell_start(task) == 0) return true;
    tdm_task_finish(task, &(struct tdm_outcome){.status = TANDEM_NOT_STARTED, .code = ENOMEM, .step = "memory"}, tally);
    return false;
}

/* The first in its worker, as most small tasks are. */
static void run_plainly(struct tdm_run *run, struct tdm_core *core, struct tdm_task *task, const struct tdm_worker_self *self)
{
    self->worker->runs = true;
    begin_plainly(run, task);
    int code = call_function(core, run, self->place, NULL);
    end_plainly(run, code == 0 ? TANDEM_OK : status_of(task, core, code), code, self->tally);
    self->worker->runs = false;
}

static TDM_APART void run_in_full(struct tdm_lane *lane, struct tdm_task *task, const struct tdm_worker_self *self)
{
    struct tdm_core *core = lane->core;
    struct tdm_thread_worker *worker = self ? self->worker : NULL;
    struct tdm_tally *tally = self ? self->tally : NULL;
    if (!tdm_lane_begin(lane, task, tally) || !tell_start(task, tally)) return;
    if (!worker || worker->runs) {
        run_on_the_stack(core, task, self);
        return;
    }
    struct tdm_run *run = &worker->run;
    worker->runs = true;
    begin_run(run, core, task, self);
    int code = call_any_function(core, run, self->place);
    end_run(run, status_of(task, core, code), code, tally);
    worker->runs = false;
}

/* A worker's first run lies in its record, where its only handler finds it: one for each task would take as long as a small task does. */
void tdm_thread_run(struct tdm_lane *lane, struct tdm_task *task, const struct tdm_worker_self *self)
{
    /* relaxed: as for the time; a wish that comes later is its function's to see [wishes] */
    uint32_t marks = load_relaxed(&task->state) & (uint32_t)(TDM_PLAIN | TDM_TIMED);
    if (marks == TDM_PLAIN && load_seq(&task->wishes) == 0 && self && self->worker && !self->worker->runs)
        run_plainly(&self->worker->run, lane->core, task, self);
    else
        run_in_full(lane, task, self);
}

/* ---- a pool thread's life ---- */

static bool is_stopping(const struct tdm_thread_lane *lane) { return load_seq(&lane->stopping) != 0; /* [lane-stopping] */ }

int tdm_thread_call_start(const tandem_options *options, struct tdm_core *core, void **worker_data)
{
    tandem_context context = {.isolation = TANDEM_THREAD, .home = core->home, .core = core, .talk = &tdm_thread_talk};
    if (!options->on_worker_start) return 0;
    tdm_context_starting = &context;
    int error = options->on_worker_start(worker_data, options->argument);
    tdm_context_starting = NULL;
    if (context.data) tdm_pool_data_let_go(context.data);
    return error;
}

static bool start(struct tdm_thread_worker *worker)
{
    const tandem_options *options = worker->lane->options;
    tdm_platform_name_thread(options->name);
    if (!options->on_worker_start) return true;
    worker->has_data = tdm_thread_call_start(options, worker->lane->lane.core, &worker->data) == 0;
    return worker->has_data;
}

static void stop(struct tdm_thread_worker *worker)
{
    const tandem_options *options = worker->lane->options;
    bool started = worker->has_data || !options->on_worker_start;
    if (started && options->on_worker_stop) options->on_worker_stop(worker->data, options->argument);
}

void tdm_thread_worker_open(struct tdm_thread_lane *lane, struct tdm_thread_worker *worker, uint32_t number)
{
    struct tdm_ledger *ledger = tdm_thread_ledger(lane);
    worker->lane = lane;
    worker->number = number;
    worker->part = 1;
    worker->next_shard = number;
    tdm_deque_open(&worker->deque);
    worker->tally.next = ledger->tallies;
    ledger->tallies = &worker->tally;
}

/* Only meanwhile it is one of the pool's: who sleeps in on_worker_stop, or when its thread's own data is destroyed, needs nobody to stand in, who
 * would end in the same way, and at the pool's end come too late to be joined. */
static void work(struct tdm_thread_worker *worker)
{
    struct tdm_thread_lane *lane = worker->lane;
    worker->self = (struct tdm_worker_self){.core = lane->lane.core,
                                            .tally = &worker->tally,
                                            .worker_data = worker->data,
                                            .number = worker->number,
                                            .place = tdm_self_place(),
                                            .worker = worker,
                                            .block = tdm_spare_block};
    tdm_self_set_worker(&worker->self);
    open_run(&worker->run, lane->lane.core, &worker->self);
    worker->runs = false;
    worker->phase = TDM_WORKER_WORKS;
    for (struct tdm_task *task; (task = tdm_thread_queue_next(lane, worker)) != NULL;)
        tdm_thread_run(&lane->lane, task, &worker->self);
    tdm_self_set_worker(NULL);
    worker->phase = TDM_WORKER_LEAVES;
}

/* In a record that may have had another thread before. */
static void begin(struct tdm_thread_worker *worker, enum tdm_worker_phase phase)
{
    tdm_thread_begin();
    worker->thread = pthread_self();
    worker->phase = phase;
    worker->has_data = false;
    worker->data = NULL;
}

static void nap(void) { nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL); }

static void *replacement_main(void *argument);

/* The thread is ending, by the program's doing.  In the middle of a task another takes its place, with all it has in hand; until one can be had,
 * this one stays, and what it has in hand can be stolen.  It runs nothing more: that might end it again, with nobody to see to it. */
static void be_replaced(void *argument)
{
    struct tdm_thread_worker *worker = argument;
    struct tdm_thread_lane *lane = worker->lane;
    pthread_t unused;
    if (worker->run.task) end_for_want_of_a_return(&worker->run);
    tdm_self_set_worker(NULL);
    bool wanted = worker->phase == TDM_WORKER_STARTS && tdm_life_is_wanted(worker);
    if (worker->phase == TDM_WORKER_STARTS) tdm_life_started(worker, !wanted);
    if (worker->phase == TDM_WORKER_STARTS_AGAIN || wanted) nap();
    bool replaced = worker->phase == TDM_WORKER_WORKS || worker->phase == TDM_WORKER_STARTS_AGAIN || wanted;
    for (; replaced && !is_stopping(lane); nap())
        if (tdm_thread_start(&unused, replacement_main, worker, lane->options->stack_size) == 0) return;
    tdm_life_end(worker);
}

/* The pool counts on it: where on_worker_start fails it is tried again. */
static void *replacement_main(void *argument)
{
    struct tdm_thread_worker *worker = argument;
    pthread_join(worker->thread, NULL);
    begin(worker, TDM_WORKER_STARTS_AGAIN);
    pthread_cleanup_push(be_replaced, worker);
    bool started;
    while (!(started = start(worker)) && !is_stopping(worker->lane)) nap();
    if (started) work(worker);
    worker->phase = TDM_WORKER_LEAVES;
    stop(worker);
    pthread_cleanup_pop(0);
    tdm_life_end(worker);
    return NULL;
}

/* The first that cannot start means no pool, others try again for as long as they are wanted. */
void *tdm_thread_worker_main(void *argument)
{
    struct tdm_thread_worker *worker = argument;
    tdm_life_arrived(worker);
    tdm_life_join(worker);
    begin(worker, TDM_WORKER_STARTS);
    pthread_cleanup_push(be_replaced, worker);
    bool started;
    while (!(started = start(worker)) && tdm_life_is_wanted(worker)) nap();
    worker->phase = TDM_WORKER_WORKS;
    tdm_life_started(worker, !started);
    if (started) work(worker);
    worker->phase = TDM_WORKER_LEAVES;
    stop(worker);
    pthread_cleanup_pop(0);
    tdm_life_end(worker);
    return NULL;
}
