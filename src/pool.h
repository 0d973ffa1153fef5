/* pool.h - a pool: what its lanes share, and the lanes. */
#ifndef TDM_POOL_H
#define TDM_POOL_H

#include "base/identity.h"
#include "command/command_lane.h"
#include "process/process_lane.h"
#include "process/shared_memory.h"
#include "task/core.h"
#include "threads/thread_lane.h"

struct tandem_pool {
    struct tdm_core core;
    tandem_options options; /* resolved: every default filled in; name and argument's bytes are the pool's own */
    char name[16];
    unsigned cpus; /* that this process may use */
    bool has_threads, has_processes;
    struct tdm_thread_lane threads;
    struct tdm_process_lane processes;
    struct tdm_command_lane commands; /* with has_processes */
    struct tdm_shared shared;
};

/* pool.c: is it in this process's list of its own?  It is not looked at. */
bool tdm_pool_is_known(const tandem_pool *pool);

/* Made by this process?  A worker may have been told of its host's pools, whose memory need not be there. */
static inline bool tdm_pool_is_ours(const tandem_pool *pool)
{
    uint32_t me = tdm_identity();
    return me != 0 && (me == TDM_IDENTITY_FIRST || tdm_pool_is_known(pool)) && pool->core.home == me;
}

/* pool.c: 0; -EINVAL: NULL; -EPERM: another process's */
int tdm_pool_check(const tandem_pool *pool);

/* dispatcher.c: what a field that is not known yet holds is 0 */
bool tdm_limits_are_valid(const tandem_limits *limits);

/* dump.c: 0 or -errno */
int tdm_dump_pool(tandem_pool *pool, int fd);

#endif
