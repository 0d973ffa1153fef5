/* core.h - what both lanes of a pool share. */
#ifndef TDM_TASK_CORE_H
#define TDM_TASK_CORE_H

#include "job/pool_data.h"
#include "task/callbacks.h"
#include "task/deadlines.h"
#include "task/ledger.h"
#include "task/mailbox.h"

struct tdm_core {
    uint32_t home;            /* the process that made the pool */
    uint32_t watch_ns;        /* how long who waits for a task or a message watches before it sleeps, at most; 0: not at all */
    bool one_processor;       /* is all that this process may use */
    bool waiters_help;        /* threads that are not the pool's may run its tasks */
    _Atomic uint32_t closing; /* 1: the pool is being destroyed, running functions should return; written by destroy [closing] */
    struct tdm_ledger ledger;
    struct tdm_callbacks callbacks;
    struct tdm_deadlines deadlines;
    struct tdm_sleepers sleepers;
    struct tdm_lock data_lock;      /* rank DATA */
    struct tdm_pool_data *data;     /* the latest; guarded by data_lock; NULL: nothing was ever set */
    _Atomic int32_t data_version;   /* its; written under data_lock, 0: as NULL [data-version] */
    struct tdm_lock reactor_lock;   /* rank NEED */
    _Atomic uint32_t holds_reactor; /* written under reactor_lock, looked at without */
};

/* What is set for the pool, with a reference for the caller; NULL: nothing. */
struct tdm_pool_data *tdm_core_keep_data(struct tdm_core *core);

/* Starts the reactor for this pool if that has not been done.  0 or -errno. */
int tdm_core_need_reactor(struct tdm_core *core);
void tdm_core_release_reactor(struct tdm_core *core);

#endif
