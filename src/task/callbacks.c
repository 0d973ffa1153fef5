/* callbacks.c - tasks whose on_done is still to be called. */
#include "task/callbacks.h"

#include "base/fds.h"
#include "base/platform.h"
#include "base/thread.h"
#include "task/core.h"
#include "task/self.h"

#include <limits.h>

static void lock(struct tdm_callbacks *callbacks) { tdm_lock(&callbacks->lock, TDM_RANK_CALLBACKS); }
static void unlock(struct tdm_callbacks *callbacks) { tdm_unlock(&callbacks->lock, TDM_RANK_CALLBACKS); }

int tdm_callbacks_open(struct tdm_callbacks *callbacks, const struct tdm_core *core, bool by_host, size_t stack_size)
{
    *callbacks = (struct tdm_callbacks){.by_host = by_host, .bell = {-1, -1}, .stack_size = stack_size, .core = core};
    tdm_list_init(&callbacks->waiting);
    tdm_list_init(&callbacks->calls);
    return by_host ? tdm_fds_bell(callbacks->bell) : 0;
}

static void push(struct tdm_callbacks *callbacks, struct tdm_node *list, struct tdm_node *node)
{
    bool by_host = callbacks->by_host; /* after the unlock the task may be called back, and the pool may end */
    lock(callbacks);
    tdm_list_push_back(list, node);
    if (callbacks->count++ == 0 && callbacks->by_host) tdm_fds_ring(callbacks->bell);
    add_seq(&callbacks->pushed, 1); /* [callback-pushed] */
    unlock(callbacks);
    if (!by_host) tdm_futex_wake_all(&callbacks->pushed);
}

void tdm_callbacks_push(struct tdm_callbacks *callbacks, struct tdm_task *task)
{
    push(callbacks, &callbacks->waiting, &task->link);
}

void tdm_callbacks_push_call(struct tdm_callbacks *callbacks, struct tdm_call *call)
{
    push(callbacks, &callbacks->calls, &call->link);
}

static void count_out(struct tdm_callbacks *callbacks)
{
    if (--callbacks->count == 0 && callbacks->by_host) tdm_fds_empty(callbacks->bell);
}

bool tdm_callbacks_withdraw_call(struct tdm_callbacks *callbacks, struct tdm_call *call)
{
    lock(callbacks);
    bool waits = !tdm_list_empty(&call->link);
    if (waits) {
        tdm_list_remove(&call->link);
        count_out(callbacks);
    }
    unlock(callbacks);
    return waits;
}

/* One or the other, if there is any. */
static bool pop(struct tdm_callbacks *callbacks, struct tdm_task **task, struct tdm_call **call)
{
    struct tdm_node *first = tdm_list_pop_front(&callbacks->calls), *ended = first ? NULL : tdm_list_pop_front(&callbacks->waiting);
    *call = first ? container_of(first, struct tdm_call, link) : NULL;
    *task = ended ? container_of(ended, struct tdm_task, link) : NULL;
    if (first || ended) count_out(callbacks);
    return first || ended;
}

int tdm_callbacks_run(struct tdm_callbacks *callbacks, size_t most)
{
    int done = 0;
    lock(callbacks);
    size_t left = most == 0 || callbacks->count < most ? callbacks->count : most;
    struct tdm_task *task;
    struct tdm_call *call;
    for (; left > 0 && done < INT_MAX && pop(callbacks, &task, &call); left--) {
        unlock(callbacks);
        if (call)
            call->run(call);
        else
            tdm_task_call_back(task, NULL);
        done++;
        lock(callbacks);
    }
    unlock(callbacks);
    return done;
}

static void *run(void *argument)
{
    struct tdm_callbacks *callbacks = argument;
    tdm_platform_name_thread("tandem-done");
    for (;;) {
        tdm_callbacks_run(callbacks, 0);
        lock(callbacks);
        bool idle = callbacks->count == 0, stopping = callbacks->stopping;
        uint32_t seen = load_seq(&callbacks->pushed);
        unlock(callbacks);
        if (idle && stopping) return NULL;
        if (idle) tdm_futex_wait(&callbacks->pushed, seen, TDM_FOREVER); /* [callback-pushed] */
    }
}

int tdm_callbacks_need(struct tdm_callbacks *callbacks)
{
    if (callbacks->by_host || load_seq(&callbacks->started)) return 0;
    tdm_lock(&callbacks->start_lock, TDM_RANK_NEED);
    int error = 0;
    if (!load_seq(&callbacks->started)) {
        error = tdm_thread_start(&callbacks->thread, run, callbacks, callbacks->stack_size);
        if (error == 0) store_seq(&callbacks->started, 1);
    }
    tdm_unlock(&callbacks->start_lock, TDM_RANK_NEED);
    return error;
}

void tdm_callbacks_close(struct tdm_callbacks *callbacks)
{
    if (load_seq(&callbacks->started)) {
        lock(callbacks);
        callbacks->stopping = true;
        add_seq(&callbacks->pushed, 1);
        unlock(callbacks);
        tdm_futex_wake_all(&callbacks->pushed);
        pthread_join(callbacks->thread, NULL);
    }
    while (tdm_callbacks_run(callbacks, 0) > 0) {
    }
    tdm_fds_close_bell(callbacks->bell);
}
