/* shared_memory.h - a pool's shared memory: an unnamed file, at the same addresses in the host and in each of the pool's workers.
 *
 * The file's room in the region is its window: byte n of the file lies n bytes behind the window's start.  A pool without a limit of its own
 * has the whole region as its window, and borrows parts of it from the region as it needs them; no two pools have the same part in the host,
 * and no worker knows any file but its pool's.  A pool with a limit has its window to itself.
 *
 * The file is never longer than was needed so far: a worker that goes beyond that dies of SIGBUS.
 *
 * All but the file is in the host's private memory: no worker can change which block is whose. */
#ifndef TDM_PROCESS_SHARED_MEMORY_H
#define TDM_PROCESS_SHARED_MEMORY_H

#include "base/arena.h"
#include "base/lock.h"
#include "base/region.h"
#include "job/member.h"

/* Zeroed: none, and nothing to close. */
struct tdm_shared {
    struct tdm_lock lock; /* rank SHARED; guards all below.  What open has set is constant, and workers are started only after it */
    bool tried;           /* to make the file */
    bool has_file;
    int fd;
    struct tdm_span window;
    bool owns_window;       /* no other pool has a part of it */
    size_t used;            /* of a window of its own: so much of it is mapped here */
    struct tdm_arena arena; /* of what is mapped here */
    size_t unlooked;        /* given out since somebody last looked how much memory there is */
};

/* Makes the file: for a pool with workers before the first of them.  most: the limit, 0: none.  If it cannot be had there is no room. */
void tdm_shared_open(struct tdm_shared *shared, size_t most);
/* Gives all back; nobody uses it any more. */
void tdm_shared_close(struct tdm_shared *shared);

/* Zeroed, at a multiple of TDM_ARENA_GRAIN; NULL: no room, or no memory.  Opens it if need be. */
void *tdm_shared_take(struct tdm_shared *shared, size_t most, size_t size);
/* 0; -EINVAL: not the start of a live block. */
int tdm_shared_give(struct tdm_shared *shared, const void *memory);

/* Do these bytes lie wholly within one live block?  Little more than two comparisons for what lies elsewhere. */
bool tdm_shared_holds(struct tdm_shared *shared, const void *memory, size_t size);

/* A worker has died: opens the locks that it held, and wakes those who sleep on one that it waited for.  It may have written any addresses
 * there. */
void tdm_shared_open_locks(struct tdm_shared *shared, const struct tdm_holdings *holdings, uint32_t dead);

#endif
