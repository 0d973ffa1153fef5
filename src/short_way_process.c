/* short_way_process.c - submit for tasks that ask for nothing but to be run in a worker process: see short_way.c. */
#define _POSIX_C_SOURCE 200809L
#include "pool.h"
#include "process/plain.h"
#include "short_way.h"

#include <errno.h>

/* Whatever is larger is looked at by who hands it over. */
#define INPUT_MOST ((size_t)1 << 20)

static inline bool is_plain(const tandem_pool *pool, const tandem_task *task)
{
    return tdm_short_way_fits_process(task) && task->run && (task->input_size == 0 || task->input) &&
           task->input_size <= INPUT_MOST && pool->has_processes;
}

bool tdm_short_way_to_process(tandem_pool *pool, tandem_task *task, bool called)
{
    if (!pool || !task || !tdm_pool_is_ours(pool) || !is_plain(pool, task)) return false; /* in this order */
    int saved = errno;
    bool taken = tdm_plain_submit(&pool->processes, task, called);
    errno = saved;
    return taken;
}
