/* region.c - a range of addresses with nothing behind them. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "base/region.h"

#include "base/atomics.h"
#include "base/fault.h"
#include "base/lock.h"
#include "base/platform.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

#define MOST       ((uint64_t)16 << 30)
#define LEAST      ((size_t)1 << 20)
#define STEPS      1024
#define STEP_LEAST ((size_t)64 << 10)

static struct {
    struct tdm_lock lock;    /* rank REGION */
    bool tried;              /* guarded by lock, as is all below; but start and size are constant once start is set */
    _Atomic uintptr_t start; /* 0: there is none; written by open, after size, looked at without the lock [region-start] */
    size_t size, step;
    const void *owners[STEPS]; /* of each step; NULL: free */
} region;

/* ---- reserving ---- */

/* Reserved addresses count towards the limit of the program's address space, so where there is one most of it is left to the program. */
static uint64_t most_allowed(void)
{
    uint64_t most = MOST;
#if defined(RLIMIT_AS)
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        uint64_t used = tdm_platform_address_space(), left = limit.rlim_cur > used ? limit.rlim_cur - used : 0;
        while (most > left / 4) most /= 2;
    }
#endif
    return most > SIZE_MAX / 4 ? (uint64_t)(SIZE_MAX / 4 + 1) : most;
}

static void *map_nothing(void *at, size_t size, int flags)
{
    return mmap(at, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

/* In the middle of the address space nothing else is likely to be, also in a program that is started anew. */
static void *hint(void) { return sizeof(void *) >= 8 ? (void *)((uintptr_t)1 << 22 << 23) : NULL; }

static void reserve(void)
{
    for (size_t size = (size_t)most_allowed(); size >= LEAST; size /= 2) {
        int fault = tdm_fault(TDM_FAULT_reserve);
        void *start = fault != 0 ? MAP_FAILED : map_nothing(hint(), size, 0);
        if (start == MAP_FAILED) continue;
        region.size = size;
        region.step = size / STEPS > STEP_LEAST ? size / STEPS : STEP_LEAST;
        for (size_t i = 0; i < STEPS; i++) region.owners[i] = NULL;
        store_release(&region.start, (uintptr_t)start); /* [region-start] */
        return;
    }
}

void tdm_region_open(void)
{
    tdm_lock(&region.lock, TDM_RANK_REGION);
    if (!region.tried) reserve();
    region.tried = true;
    tdm_unlock(&region.lock, TDM_RANK_REGION);
}

struct tdm_span tdm_region_whole(void)
{
    uintptr_t start = load_acquire(&region.start); /* [region-start] */
    return (struct tdm_span){(char *)start, start != 0 ? region.size : 0};
}

size_t tdm_region_step(void) { return region.step; }

/* ---- lending ---- */

static char *start_of(size_t step)
{
    return (char *)load_relaxed(&region.start) + step * region.step; /* relaxed: the lock orders it */
}

/* With the lock held: the first of so many free steps in a row; STEPS: there are not so many. */
static size_t find_free(size_t count)
{
    size_t all = region.size / region.step, found = 0;
    for (size_t step = 0; step < all; step++) {
        found = region.owners[step] ? 0 : found + 1;
        if (found == count) return step + 1 - count;
    }
    return STEPS;
}

struct tdm_span tdm_region_take(const void *owner, size_t size)
{
    struct tdm_span span = {0};
    tdm_lock(&region.lock, TDM_RANK_REGION);
    if (size > 0 && size <= tdm_region_whole().size) {
        size_t count = size / region.step + (size % region.step != 0), first = find_free(count);
        for (size_t i = first; first != STEPS && i < first + count; i++) region.owners[i] = owner;
        if (first != STEPS) span = (struct tdm_span){start_of(first), count * region.step};
    }
    tdm_unlock(&region.lock, TDM_RANK_REGION);
    return span;
}

/* With the lock held.  What cannot be made nothing again is not lent again. */
static void free_step(size_t step)
{
    if (map_nothing(start_of(step), region.step, MAP_FIXED) != MAP_FAILED) region.owners[step] = NULL;
}

void tdm_region_give_back(struct tdm_span span)
{
    tdm_lock(&region.lock, TDM_RANK_REGION);
    for (char *at = span.start; at < span.start + span.size; at += region.step) free_step((size_t)(at - start_of(0)) / region.step);
    tdm_unlock(&region.lock, TDM_RANK_REGION);
}

void tdm_region_give_back_all(const void *owner)
{
    tdm_lock(&region.lock, TDM_RANK_REGION);
    for (size_t step = 0; step < STEPS; step++)
        if (region.owners[step] == owner) free_step(step);
    tdm_unlock(&region.lock, TDM_RANK_REGION);
}

int tdm_region_map(struct tdm_span at, int fd, size_t offset)
{
    int fault = tdm_fault(TDM_FAULT_map);
    if (fault != 0) return -fault;
    void *mapped = mmap(at.start, at.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)offset);
    if (mapped == MAP_FAILED) return -errno;
    tdm_platform_keep_out_of_dumps(at.start, at.size);
    return 0;
}

void tdm_region_close(void)
{
    tdm_lock(&region.lock, TDM_RANK_REGION);
    struct tdm_span whole = tdm_region_whole();
    if (whole.size > 0) munmap(whole.start, whole.size);
    store_release(&region.start, 0); /* [region-start] */
    region.tried = false;
    tdm_unlock(&region.lock, TDM_RANK_REGION);
}

/* ---- after a fork ---- */

void tdm_region_reset(void)
{
    struct tdm_span whole = tdm_region_whole();
    region.lock = (struct tdm_lock){0};
    for (size_t step = 0; step < STEPS; step++) region.owners[step] = NULL;
    if (whole.size > 0 && map_nothing(whole.start, whole.size, MAP_FIXED) == MAP_FAILED) tdm_region_leave();
}

void tdm_region_leave(void)
{
    region.lock = (struct tdm_lock){0};
    region.tried = false;
    store_relaxed(&region.start, 0); /* relaxed: there is one thread */
}
