/* short_way.c - submit for tasks that ask for nothing but to be run on a thread, as small ones do, one at a time or many.
 *
 * It does for them what dispatcher.c does for any task, less all that they do not need: so it is a matter of some tens of instructions.
 * Whatever is out of the ordinary is left to the dispatcher before anything was done. */
#define _POSIX_C_SOURCE 200809L
#include "short_way.h"

#include "pool.h"
#include "task/wait.h"

#include <errno.h>
#include <limits.h>

/* ---- one task ---- */

/* Of the fields that only some tasks set none is looked at alone. */
static inline bool is_plain(const tandem_pool *pool, const tandem_task *task)
{
    uint32_t asks = (uint32_t)task->isolation | (task->flags & ~(uint32_t)TANDEM_NO_HELP) | (uint32_t)task->priority |
                    task->timeout_ms | task->queue_timeout_ms;
    uintptr_t has = (uintptr_t)task->command | (uintptr_t)task->limits | (uintptr_t)task->group | (uintptr_t)task->on_done |
                    (uintptr_t)task->on_message;
    return (has | asks) == 0 && task->run && (task->input_size == 0 || task->input) && pool->has_threads;
}

/* What is put back if the task is not taken. */
struct before {
    uint32_t state;
    int32_t status, code, signal;
};

/* True: it is this call's alone.  Else it is under way, or has results that are to be dropped. */
static inline bool claim(tandem_task *task, struct before *before)
{
    struct tdm_task *private = tdm_task_of(task);
    uint32_t word = load_relaxed(&private->state); /* relaxed: the swap decides */
    if (word != TDM_NEW && word != TDM_ENDED) return false;
    before->state = word;
    if (!cas_seq(&private->state, &word, TDM_PREPARING)) return false;
    if (!task->output && !task->report) return true;
    store_release(&private->state, before->state); /* nobody sets a mark meanwhile */
    return false;
}

/* All but the state word, and whether it is in the queue. */
static inline void prepare(struct tandem_pool *pool, tandem_task *task, struct before *before)
{
    struct tdm_task *private = tdm_task_of(task);
    struct tdm_lane *lane = &pool->threads.lane;
    before->status = task->status;
    before->code = task->code;
    before->signal = task->signal;
    task->status = TANDEM_PENDING;
    task->code = 0;
    store_relaxed(&private->wishes, 0); /* relaxed: the store of the state publishes it with all the rest */
    tdm_task_set_lane(private, lane, pool->core.home);
    tdm_link_init(tdm_thread_link_of(private));
}

/* A cancel that meets it before it is put in leaves its wish, and whoever takes it out sees that. */
static inline void call_it_queued(struct tdm_task *task, uint32_t part)
{
    store_release(tdm_thread_in_queue(task), (int32_t)part + 1); /* who sees it too early looks again [task-in-queue] */
    /* read by who cancels or waits [task-prepared] */
    store_release(&task->state, (uint32_t)TDM_QUEUED | (uint32_t)TDM_PLAIN | tdm_short_way_sample(task));
}

/* All up to the lane.  False: nothing was done, and the dispatcher is to see to it. */
static bool make_ready(struct tandem_pool *pool, tandem_task *task, struct before *before)
{
    if (!pool || !task) return false;
    tdm_prefetch(&tdm_task_of(task)->state); /* while the first part is looked at */
    if (!tdm_pool_is_ours(pool) || !is_plain(pool, task) || !claim(task, before)) return false; /* in this order */
    prepare(pool, task, before);
    return true;
}

/* The lane has not taken it, nor left it in its queue. */
static void put_back(tandem_task *task, const struct before *before)
{
    task->status = before->status;
    task->code = before->code;
    if (task->signal != before->signal) task->signal = before->signal; /* others may look at it: [task-in-queue] */
    task->output = NULL;
    task->output_size = 0;
    tdm_task_give_up(tdm_task_of(task), before->state);
}

/* The injector has not just taken them: somebody is to be called, or the ledger asked.  How many were taken; if not all, *error says why. */
static size_t go_on(struct tandem_pool *pool, uintptr_t found, tandem_task *const *tasks, const struct before *before, size_t count,
                    int *error)
{
    int saved = errno;
    size_t taken = tdm_thread_lane_go_on(&pool->threads, found, tasks, count, error);
    for (size_t i = count; i-- > taken;) put_back(tasks[i], &before[i]);
    errno = saved;
    return taken;
}

#define OUT_OF_THE_ORDINARY (TDM_INJECTOR_ASK | TDM_INJECTOR_CALL)

/* One that is ready. */
static inline int put_in(tandem_pool *pool, tandem_task *task, const struct before *before)
{
    uint32_t part = tdm_shards_mine(&pool->threads.shards);
    call_it_queued(tdm_task_of(task), part);
    uintptr_t found = tdm_injector_push(tdm_shards_part(&pool->threads.shards, part), tdm_thread_link_of(tdm_task_of(task)));
    int error = 0;
    if (found & OUT_OF_THE_ORDINARY) go_on(pool, found, &task, before, 1, &error);
    return error;
}

int tandem_submit(tandem_pool *pool, tandem_task *task)
{
    struct before before;
    if (task && task->isolation == TANDEM_PROCESS)
        return tdm_short_way_to_process(pool, task, false) ? 0 : tdm_dispatch(pool, task, false);
    return make_ready(pool, task, &before) ? put_in(pool, task, &before) : tdm_dispatch(pool, task, false);
}

/* On this thread. */
static void run_here(tandem_pool *pool, tandem_task *task)
{
    struct tdm_task *private = tdm_task_of(task);
    int saved = errno;
    store_release(&private->state, (uint32_t)TDM_HELD | (uint32_t)TDM_PLAIN | tdm_short_way_sample(private)); /* [task-prepared] */
    tdm_thread_run(&pool->threads.lane, private, tdm_self_worker(&pool->core));
    errno = saved;
}

/* A task that this thread would take back to run it is not put anywhere first. */
int tandem_call(tandem_pool *pool, tandem_task *task)
{
    struct before before;
    int error = 0;
    if (task && task->isolation == TANDEM_PROCESS)
        error = tdm_short_way_to_process(pool, task, true) ? 0 : tdm_dispatch(pool, task, true);
    else if (!make_ready(pool, task, &before))
        error = tdm_dispatch(pool, task, true);
    else if (tdm_thread_lane_begin_here(&pool->threads, tdm_task_of(task)))
        run_here(pool, task);
    else
        error = put_in(pool, task, &before);
    return error != 0 ? error : tandem_wait(task);
}

/* ---- many ---- */

/* So many are put in at once: enough to make little of what each time costs, so few that workers need not wait for them. */
#define BATCH 16

/* What a task's preparation touches, a few tasks ahead. */
static inline void fetch(const tandem_task *task)
{
    tdm_prefetch_to_read(task);
    tdm_prefetch(&task->status);
    tdm_prefetch(&task->reserved);
}

/* As many of the first as may go this way.  How many were taken; with *error not 0 the next was refused. */
static size_t submit_batch(tandem_pool *pool, tandem_task *const *tasks, size_t count, int *error)
{
    struct before before[BATCH];
    struct tdm_link *first = NULL, *last = NULL;
    size_t ready = 0;
    uint32_t part = tdm_shards_mine(&pool->threads.shards);
    for (; ready < count && ready < BATCH && make_ready(pool, tasks[ready], &before[ready]); ready++) {
        if (ready + 4 < count && tasks[ready + 4]) fetch(tasks[ready + 4]);
        struct tdm_link *link = tdm_thread_link_of(tdm_task_of(tasks[ready]));
        call_it_queued(tdm_task_of(tasks[ready]), part);
        if (first)
            tdm_link_chain(last, link);
        else
            first = link;
        last = link;
    }
    if (ready == 0) return 0;
    uintptr_t found = tdm_injector_put(tdm_shards_part(&pool->threads.shards, part), first, last, 0, 0);
    return found & OUT_OF_THE_ORDINARY ? go_on(pool, found, tasks, before, ready, error) : ready;
}

/* Where the ledger is asked it is so for one after the other. */
static bool takes_many(const tandem_pool *pool) { return tdm_pool_is_ours(pool) && !tdm_shards_ask(&pool->threads.shards); }

int tandem_submit_many(tandem_pool *pool, tandem_task *const *tasks, size_t count)
{
    if (!pool || (!tasks && count > 0)) return -EINVAL;
    if (count > INT_MAX) count = INT_MAX;
    int error = 0;
    for (size_t done = 0; done < count;) {
        size_t taken = takes_many(pool) ? submit_batch(pool, tasks + done, count - done, &error) : 0;
        if (taken == 0 && error == 0) {
            error = tdm_short_way_to_process(pool, tasks[done], false) ? 0 : tdm_dispatch(pool, tasks[done], false);
            taken = error == 0;
        }
        done += taken;
        if (error != 0) return done > 0 ? (int)done : error;
    }
    return (int)count;
}
