/* self.c - what the calling thread is doing for the library. */
#include "task/self.h"

#include <stddef.h>

static _Thread_local struct tdm_inside *innermost;
static _Thread_local const struct tdm_worker_self *me;

struct tdm_inside **tdm_self_place(void) { return &innermost; }

void tdm_self_enter(struct tdm_inside *inside, const struct tdm_core *core, const tandem_task *task, const tandem_group *group)
{
    *inside = (struct tdm_inside){.core = core, .task = task, .group = group, .outer = innermost};
    innermost = inside;
}

void tdm_self_leave(const struct tdm_inside *inside) { innermost = inside->outer; }

bool tdm_self_inside_pool(const struct tdm_core *core)
{
    for (struct tdm_inside *at = innermost; at; at = at->outer)
        if (at->core == core) return true;
    return false;
}

bool tdm_self_inside_task(const tandem_task *task)
{
    for (struct tdm_inside *at = innermost; at; at = at->outer)
        if (at->task == task) return true;
    return false;
}

bool tdm_self_inside_group(const tandem_group *group)
{
    for (struct tdm_inside *at = innermost; at; at = at->outer)
        if (at->group == group) return true;
    return false;
}

void tdm_self_reset(void)
{
    innermost = NULL;
    me = NULL;
}

void tdm_self_set_worker(const struct tdm_worker_self *worker) { me = worker; }

const struct tdm_worker_self *tdm_self_worker(const struct tdm_core *core) { return me && me->core == core ? me : NULL; }

void tdm_self_block(bool begins)
{
    if (me && me->worker) me->block(me->worker, begins);
}
