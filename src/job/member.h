/* member.h - which member of a pool's shared memory is this process, and which locks there does it hold?
 *
 * Whatever lies in shared memory and belongs to one process for a while says so by that process's number: the host's, or that of a worker,
 * which is never used again within its pool.  So a dead worker cannot be mistaken for another, whoever has its process id by then. */
#ifndef TDM_JOB_MEMBER_H
#define TDM_JOB_MEMBER_H

#include "base/atomics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TDM_MEMBER_BITS 30
#define TDM_MEMBER_HOST (((uint32_t)1 << TDM_MEMBER_BITS) - 1)
#define TDM_MEMBER_NONE 0u

/* Locks that one worker can hold or wait for: their addresses, in the page that it shares with its host; 0: free.  Written by the worker,
 * before it touches the lock and after it has done with it; read by the host when the worker is dead [holdings]. */
#define TDM_HOLDINGS 64
struct tdm_holdings {
    _Atomic uint64_t at[TDM_HOLDINGS];
};

/* The number of the pool's worker with this number. */
static inline uint32_t tdm_member_number(uint32_t worker)
{
    uint32_t number = worker & (TDM_MEMBER_HOST >> 1);
    return number != TDM_MEMBER_NONE ? number : TDM_MEMBER_HOST >> 1;
}

/* In a worker: what it is to the shared memory that is mapped there. */
void tdm_member_become(uint32_t number, uintptr_t start, size_t size, struct tdm_holdings *holdings);

/* In a process that a worker's task has forked, and that starts afresh: its parent's locks and subscriptions are not its own, and what it did in the
 * parent's name would be opened when the parent dies, and not when this one does. */
void tdm_member_leave(void);

/* What this process is to the memory at an address: a worker in its pool's, else the host.  NONE: it has left that pool. */
uint32_t tdm_member_at(const void *address);

bool tdm_member_is_worker(void); /* this process is one, in whatever pool */

/* What a worker is about to lock, if its host must be able to find it; false: there are too many. */
bool tdm_member_hold(const void *address);
void tdm_member_drop(const void *address);
bool tdm_member_holds_any(void); /* in a worker: between tasks, a task has left one locked */

#endif
