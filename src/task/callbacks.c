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
    return by_host ? tdm_fds_bell(callbacks->bell) : 0;
}

void tdm_callbacks_push(struct tdm_callbacks *callbacks, struct tdm_task *task)
{
    bool by_host = callbacks->by_host; /* after the unlock the task may be called back, and the pool may end */
    lock(callbacks);
    tdm_list_push_back(&callbacks->waiting, &task->link);
    if (callbacks->count++ == 0 && callbacks->by_host) tdm_fds_ring(callbacks->bell);
    add_seq(&callbacks->pushed, 1); /* [callback-pushed] */
    unlock(callbacks);
    if (!by_host) tdm_futex_wake_all(&callbacks->pushed);
}

static struct tdm_task *pop(struct tdm_callbacks *callbacks)
{
    struct tdm_node *node = tdm_list_pop_front(&callbacks->waiting);
    if (node && --callbacks->count == 0 && callbacks->by_host) tdm_fds_empty(callbacks->bell);
    return node ? container_of(node, struct tdm_task, link) : NULL;
}

int tdm_callbacks_run(struct tdm_callbacks *callbacks, size_t most)
{
    int done = 0;
    lock(callbacks);
    size_t left = most == 0 || callbacks->count < most ? callbacks->count : most;
    for (struct tdm_task *task; left > 0 && done < INT_MAX && (task = pop(callbacks)) != NULL; left--) {
        unlock(callbacks);
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
