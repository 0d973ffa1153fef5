/* self.h - what the calling thread is doing for the library: whose thread it is, which tasks it is in the middle of. */
#ifndef TDM_TASK_SELF_H
#define TDM_TASK_SELF_H

#include "task/ledger.h"

#include <stdbool.h>
#include <tandem.h>

struct tdm_core;
struct tdm_thread_worker;

/* A task or callback this thread is inside of; on the stack. */
struct tdm_inside {
    const struct tdm_core *core;
    const tandem_task *task; /* its function; NULL: its callback */
    const tandem_group *group;
    struct tdm_inside *outer;
};

void tdm_self_enter(struct tdm_inside *inside, const struct tdm_core *core, const tandem_task *task, const tandem_group *group);
void tdm_self_leave(const struct tdm_inside *inside);

/* The same for callers that know the place of what this thread is inside of, which takes a while to find. */
struct tdm_inside **tdm_self_place(void);
static inline void tdm_self_enter_at(struct tdm_inside **place, struct tdm_inside *inside, const struct tdm_core *core,
                                     const tandem_task *task, const tandem_group *group)
{
    *inside = (struct tdm_inside){.core = core, .task = task, .group = group, .outer = *place};
    *place = inside;
}

bool tdm_self_inside_pool(const struct tdm_core *core);
bool tdm_self_inside_task(const tandem_task *task);
bool tdm_self_inside_group(const tandem_group *group);

/* In a child that starts afresh: what the thread that forked it was inside of, and the threads of its pool, are not there. */
void tdm_self_reset(void);

/* Set by a pool thread about itself, as long as it works. */
struct tdm_worker_self {
    const struct tdm_core *core;
    struct tdm_tally *tally;
    void *worker_data;
    uint32_t number;
    struct tdm_inside **place;
    struct tdm_thread_worker *worker; /* its lane's record of it; NULL: it is none of those that serve the queue */
    void (*block)(struct tdm_thread_worker *worker, bool begins); /* how its lane learns that it sleeps in the middle of a task */
};

/* Whoever is about to sleep for what others have to do, and goes on after it: if it is a pool's thread, another one stands in. */
void tdm_self_block(bool begins);
void tdm_self_set_worker(const struct tdm_worker_self *worker);
const struct tdm_worker_self *tdm_self_worker(const struct tdm_core *core); /* NULL: not a thread of that pool */

#endif
