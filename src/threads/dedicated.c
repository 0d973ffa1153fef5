/* dedicated.c - see dedicated.h.
 *
 * WHO JOINS THEM.  Each thread comes to its end by putting itself into a list.  If none of those in there is joining others, it joins all of them,
 * and those that come meanwhile; the others end at once.  The pool's end joins those that are left.  So when the pool has ended there is none whose
 * code could still run, and no thread waits for one that waits itself: were each to join the one before it, one that is slow to
 * end would hold up all after it, by the thousand. */
#define _POSIX_C_SOURCE 200809L
#include "threads/dedicated.h"

#include "base/memory.h"
#include "base/platform.h"
#include "base/thread.h"
#include "threads/thread_lane.h"

#include <errno.h>
#include <stdlib.h>

struct tdm_dedicated_thread {
    struct tdm_dedicated *dedicated;
    struct tdm_lane *lane;
    const tandem_options *options;
    struct tdm_worker_self self;
    bool started;                        /* a task has been taken for it, or ended for want of it */
    pthread_t thread;                    /* set by itself: it may have ended before its starter learns which it is */
    struct tdm_dedicated_thread *before; /* in the list of those that are gone */
};

static void lock(const struct tdm_lane *lane) { tdm_ledger_lock(&lane->core->ledger); }
static void unlock(const struct tdm_lane *lane) { tdm_ledger_unlock(&lane->core->ledger); }

/* ---- its life ---- */

/* With the lock held.  Is there a task for which no thread is on its way? */
static bool is_one_too_many(const struct tdm_dedicated *dedicated)
{
    const struct tdm_node *node = dedicated->waiting.next;
    for (uint32_t i = 0; i < dedicated->starting && node != &dedicated->waiting; i++) node = node->next;
    return node != &dedicated->waiting;
}

/* A thread is there, or could not be started: the task that it takes, HELD, or that is to end for want of it.  NULL: its own was
 * cancelled meanwhile, or another thread has it. */
static struct tdm_task *take(struct tdm_dedicated *dedicated, struct tdm_lane *lane, bool started)
{
    lock(lane);
    dedicated->starting--;
    bool takes = started || is_one_too_many(dedicated);
    struct tdm_task *task = takes ? tdm_lane_dequeue_from_locked(lane, &dedicated->waiting) : NULL;
    unlock(lane);
    return task;
}

static void end_for_want_of_a_thread(struct tdm_dedicated *dedicated, struct tdm_lane *lane, int error, const char *step)
{
    struct tdm_task *task = take(dedicated, lane, false);
    if (!task) return;
    if (tdm_task_public(task)->queue_timeout_ms != 0) tdm_deadlines_disarm(&lane->core->deadlines, task);
    tdm_task_finish(task, &(struct tdm_outcome){.status = TANDEM_NOT_STARTED, .code = error, .step = step}, NULL);
}

static void join_until(struct tdm_dedicated_thread *gone, const struct tdm_dedicated_thread *end)
{
    while (gone && gone != end) {
        struct tdm_dedicated_thread *thread = gone;
        gone = thread->before;
        pthread_join(thread->thread, NULL);
        free(thread);
    }
}

/* With the lock held, before and after; one of those that are gone, and the only one that joins others.  The pool's end may have taken the list, and
 * joins this one. */
static void join_others(struct tdm_dedicated *dedicated, const struct tdm_lane *lane, struct tdm_dedicated_thread *thread)
{
    struct tdm_dedicated_thread *others = thread->before;
    thread->before = NULL;
    while (others != thread) {
        unlock(lane);
        join_until(others, thread);
        lock(lane);
        others = dedicated->gone ? dedicated->gone : thread;
        if (dedicated->gone) dedicated->gone = thread;
    }
}

/* thread NULL: it could not be started.  When the pool's end sees that nobody is alive it joins those that are gone; a thread that is not joined at all
 * must not touch the pool after the unlock. */
static void leave(struct tdm_dedicated *dedicated, const struct tdm_lane *lane, struct tdm_dedicated_thread *thread)
{
    lock(lane);
    dedicated->alive--;
    add_seq(&dedicated->ends, 1); /* [dedicated-ends] */
    tdm_futex_wake_all(&dedicated->ends);
    if (thread) {
        thread->before = dedicated->gone;
        dedicated->gone = thread;
        if (thread->before && !dedicated->one_joins) {
            dedicated->one_joins = true;
            join_others(dedicated, lane, thread);
            dedicated->one_joins = false;
        }
    }
    unlock(lane);
}

static void live(struct tdm_dedicated_thread *thread)
{
    const tandem_options *options = thread->options;
    tdm_platform_name_thread(options->name);
    int error = tdm_thread_call_start(options, thread->lane->core, &thread->self.worker_data);
    if (error != 0) {
        thread->started = true; /* and has said so */
        end_for_want_of_a_thread(thread->dedicated, thread->lane, error, "on_worker_start");
    } else {
        struct tdm_task *task = take(thread->dedicated, thread->lane, true);
        thread->started = true;
        if (task) tdm_thread_run(thread->lane, task, &thread->self);
        if (options->on_worker_stop) options->on_worker_stop(thread->self.worker_data, options->argument);
    }
}

/* Also when the program has ended it: in the task, which is told by then, or before. */
static void end(void *argument)
{
    struct tdm_dedicated_thread *thread = argument;
    if (!thread->started) end_for_want_of_a_thread(thread->dedicated, thread->lane, ECANCELED, "on_worker_start");
    leave(thread->dedicated, thread->lane, thread);
}

static void *run(void *argument)
{
    struct tdm_dedicated_thread *thread = argument;
    tdm_thread_begin();
    thread->thread = pthread_self();
    pthread_cleanup_push(end, thread);
    live(thread);
    pthread_cleanup_pop(1);
    return NULL;
}

/* ---- its beginning ---- */

static int start(struct tdm_dedicated *dedicated, struct tdm_lane *lane, const tandem_options *options, uint32_t number)
{
    struct tdm_dedicated_thread *thread = tdm_calloc(1, sizeof *thread);
    pthread_t unused;
    if (!thread) return -ENOMEM;
    *thread = (struct tdm_dedicated_thread){
        .dedicated = dedicated, .lane = lane, .options = options, .self = {.core = lane->core, .number = number}};
    int error = tdm_thread_start(&unused, run, thread, options->stack_size);
    if (error != 0) free(thread);
    return error;
}

/* Once it is queued another such thread may take it, and it may end and be gone.  The thread is counted by the step that admits the task,
 * so the pool's end waits for it. */
int tdm_dedicated_submit(struct tdm_dedicated *dedicated, struct tdm_lane *lane, const tandem_options *options,
                         struct tdm_task *task)
{
    int admission;
    bool cancelled = false;
    uint32_t number = 0;
    lock(lane);
    do admission = tdm_ledger_admit(&lane->core->ledger, lane->core, true, false);
    while (admission == TDM_LOOK_AGAIN);
    if (admission == TDM_ADMITTED) cancelled = !tdm_lane_enqueue_locked(lane, task);
    if (admission == TDM_ADMITTED && !cancelled) {
        tdm_list_remove(&task->link);
        tdm_list_push_back(&dedicated->waiting, &task->link);
        number = options->threads + TDM_SPARES_MOST + ++dedicated->numbers;
        dedicated->starting++;
        dedicated->alive++;
    }
    unlock(lane);
    if (admission < 0) return admission;
    if (cancelled) {
        tdm_lane_end_cancelled(task);
        return 0;
    }
    int error = start(dedicated, lane, options, number);
    if (error != 0) {
        end_for_want_of_a_thread(dedicated, lane, -error, "thread");
        leave(dedicated, lane, NULL);
    }
    return 0;
}

void tdm_dedicated_open(struct tdm_dedicated *dedicated) { tdm_list_init(&dedicated->waiting); }

/* ---- the end of all ---- */

void tdm_dedicated_begin_end(struct tdm_dedicated *dedicated, struct tdm_lane *lane)
{
    tdm_lane_cancel_waiting_in(lane, &dedicated->waiting);
}

void tdm_dedicated_end(struct tdm_dedicated *dedicated, struct tdm_lane *lane)
{
    lock(lane);
    while (dedicated->alive > 0) {
        uint32_t seen = load_seq(&dedicated->ends); /* changed under the lock, so not missed [dedicated-ends] */
        unlock(lane);
        tdm_futex_wait(&dedicated->ends, seen, TDM_FOREVER);
        lock(lane);
    }
    struct tdm_dedicated_thread *gone = dedicated->gone;
    dedicated->gone = NULL;
    unlock(lane);
    join_until(gone, NULL);
}
