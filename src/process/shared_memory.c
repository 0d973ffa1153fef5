/* shared_memory.c - a pool's shared memory.
 *
 * What was given out is there: its pages are allocated first, so that want of memory is told by NULL, and never by a signal later.  What was
 * given back goes back to the system by whole pages.  A page whose bytes belong to several blocks is allocated with the first of them and
 * goes with the last; that is decided under the lock.  The pages in the middle of a block are nobody else's, and are seen to without it:
 * for much memory that takes long. */
#define _XOPEN_SOURCE 700
#include "process/shared_memory.h"

#include "base/fds.h"
#include "base/memory_left.h"
#include "base/platform.h"
#include "job/word_lock.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* To have the system make less than this zero again costs more than to do it here. */
#define SMALL ((size_t)64 << 10)

/* How much may be taken between two looks at how much there is. */
#define LOOK_AFTER ((size_t)16 << 20)

/* At once: a signal undoes what was begun, and where they come often much memory would never be had. */
#define PIECE ((size_t)2 << 20)

static void lock(struct tdm_shared *shared) { tdm_lock(&shared->lock, TDM_RANK_SHARED); }
static void unlock(struct tdm_shared *shared) { tdm_unlock(&shared->lock, TDM_RANK_SHARED); }

/* ---- the file and its window ---- */

static size_t page_size(void)
{
    long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? (size_t)size : 4096;
}

/* A file that may not become so large: the program would get a signal for trying. */
static size_t largest_file(void)
{
    struct rlimit limit;
    bool limited = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < SIZE_MAX;
    return limited ? (size_t)limit.rlim_cur : SIZE_MAX;
}

/* A limit beyond the region is none. */
static struct tdm_span choose_window(struct tdm_shared *shared, size_t most)
{
    struct tdm_span whole = tdm_region_whole();
    size_t page = page_size(), largest = largest_file();
    if (most == 0 || most > SIZE_MAX - page) most = SIZE_MAX - page;
    most = (most + page - 1) / page * page;
    if (largest < most) most = largest / page * page;
    shared->owns_window = most < whole.size;
    if (!shared->owns_window) return whole;
    struct tdm_span own = tdm_region_take(shared, most);
    if (own.size > most) own.size = most;
    return own;
}

static void open_file(struct tdm_shared *shared, size_t most)
{
    shared->tried = true;
    tdm_region_open();
    shared->window = choose_window(shared, most);
    shared->fd = shared->window.size > 0 ? tdm_fds_growing_memory(shared->window.size) : -1;
    shared->has_file = shared->fd >= 0;
    if (!shared->has_file && shared->owns_window) tdm_region_give_back_all(shared);
}

void tdm_shared_open(struct tdm_shared *shared, size_t most)
{
    lock(shared);
    if (!shared->tried) open_file(shared, most);
    unlock(shared);
}

static size_t offset_of(const struct tdm_shared *shared, uintptr_t address) { return address - (uintptr_t)shared->window.start; }

/* A process that the host has forked may have the file mapped for long, so it is emptied. */
void tdm_shared_close(struct tdm_shared *shared)
{
    if (!shared->has_file) return;
    tdm_arena_clear(&shared->arena);
    tdm_platform_decommit(shared->fd, 0, shared->window.size);
    tdm_region_give_back_all(shared);
    tdm_fds_close(&shared->fd);
    shared->has_file = false;
}

/* With the lock held: addresses for a block of this size; in a window of one's own those that follow. */
static struct tdm_span borrow(struct tdm_shared *shared, size_t size)
{
    if (!shared->owns_window) return tdm_region_take(shared, size);
    size_t left = shared->window.size - shared->used, step = tdm_region_step();
    size_t wanted = size < left ? (size + step - 1) / step * step : left;
    return (struct tdm_span){shared->window.start + shared->used, wanted < left ? wanted : left};
}

/* With the lock held: more of the file is mapped here.  It ends behind what the host has used of it: a worker that runs on and on through
 * memory dies there, and does not have the system find memory for all of the window.  False: there is no more, or it cannot be had. */
static bool grow(struct tdm_shared *shared, size_t size)
{
    struct tdm_span more = borrow(shared, size);
    if (more.size == 0) return false;
    struct tdm_extent room = {(uintptr_t)more.start, (uintptr_t)more.start + more.size};
    size_t offset = offset_of(shared, room.start);
    int error = offset + more.size <= largest_file() ? tdm_platform_grow(shared->fd, offset + more.size) : -EFBIG;
    if (error == 0) error = tdm_region_map(more, shared->fd, offset);
    if (error == 0) error = tdm_arena_add(&shared->arena, room);
    if (error == 0 && shared->owns_window) shared->used += more.size;
    if (error != 0 && !shared->owns_window) tdm_region_give_back(more);
    return error == 0;
}

/* ---- pages ---- */

/* Those that lie wholly within; end <= start: none. */
static struct tdm_extent pages_within(struct tdm_extent extent)
{
    uintptr_t page = page_size();
    return (struct tdm_extent){(extent.start + page - 1) / page * page, extent.end / page * page};
}

static size_t size_of(struct tdm_extent extent) { return extent.end > extent.start ? extent.end - extent.start : 0; }

/* The pages that a block has only a part of: its first, its last, both or none.  How many. */
static int shared_pages(struct tdm_extent block, struct tdm_extent pages[2])
{
    uintptr_t page = page_size(), first = block.start / page * page, last = (block.end - 1) / page * page;
    struct tdm_extent whole = pages_within(block);
    int count = 0;
    if (first < whole.start || size_of(whole) == 0) pages[count++] = (struct tdm_extent){first, first + page};
    if (last != first && (last >= whole.end || size_of(whole) == 0)) pages[count++] = (struct tdm_extent){last, last + page};
    return count;
}

static bool lies_in(struct tdm_extent inner, struct tdm_extent outer)
{
    return inner.start >= outer.start && inner.end <= outer.end;
}

static int commit(const struct tdm_shared *shared, struct tdm_extent pages)
{
    int error = 0;
    for (uintptr_t at = pages.start; at < pages.end && error == 0; at += PIECE) {
        size_t left = pages.end - at;
        error = tdm_platform_commit(shared->fd, offset_of(shared, at), left < PIECE ? left : PIECE);
    }
    return error;
}

static int decommit(const struct tdm_shared *shared, struct tdm_extent pages)
{
    return size_of(pages) == 0 ? 0 : tdm_platform_decommit(shared->fd, offset_of(shared, pages.start), size_of(pages));
}

/* With the lock held.  The pages that nobody has had a part of; the others are there. */
static int commit_shared_pages(const struct tdm_shared *shared, struct tdm_extent block, struct tdm_extent was_free)
{
    struct tdm_extent pages[2];
    int count = shared_pages(block, pages), error = 0;
    for (int i = 0; i < count && error == 0; i++)
        if (lies_in(pages[i], was_free)) error = commit(shared, pages[i]);
    return error;
}

/* With the lock held.  Those that nobody has a part of any more. */
static void decommit_shared_pages(const struct tdm_shared *shared, struct tdm_extent block, struct tdm_extent is_free)
{
    struct tdm_extent pages[2];
    int count = shared_pages(block, pages);
    for (int i = 0; i < count; i++)
        if (lies_in(pages[i], is_free)) decommit(shared, pages[i]);
}

static void clear(uintptr_t from, uintptr_t to)
{
    if (from < to) memset((void *)from, 0, to - from);
}

/* A worker may have written to what was free, by mistake or in malice, and what the system did not take back holds what it held. */
static int commit_and_clear(const struct tdm_shared *shared, struct tdm_extent block)
{
    struct tdm_extent whole = pages_within(block);
    bool is_zero = size_of(whole) > SMALL && decommit(shared, whole) == 0;
    int error = commit(shared, whole);
    if (error != 0) return error;
    clear(block.start, is_zero ? whole.start : block.end);
    if (is_zero) clear(whole.end, block.end);
    return 0;
}

/* ---- taking and giving ---- */

/* To ask for much memory that is not there may be the end of this process. */
static bool is_there(struct tdm_shared *shared, size_t size)
{
    lock(shared);
    shared->unlooked += size < LOOK_AFTER ? size : LOOK_AFTER;
    bool look = shared->unlooked >= LOOK_AFTER;
    if (look) shared->unlooked = 0;
    unlock(shared);
    uint64_t left = look ? tdm_memory_left() : UINT64_MAX;
    return size <= left - left / 16;
}

/* With the lock held. */
static int take(struct tdm_shared *shared, size_t size, struct tdm_extent *block)
{
    struct tdm_extent was_free;
    int error = tdm_arena_take(&shared->arena, size, block, &was_free);
    if (error == -ENOSPC && grow(shared, size)) error = tdm_arena_take(&shared->arena, size, block, &was_free);
    if (error != 0) return error;
    error = commit_shared_pages(shared, *block, was_free);
    if (error != 0) decommit_shared_pages(shared, *block, tdm_arena_give(&shared->arena, block->start));
    return error;
}

void *tdm_shared_take(struct tdm_shared *shared, size_t most, size_t size)
{
    struct tdm_extent block;
    if (size == 0) size = 1;
    if (size > SIZE_MAX / 2) return NULL;
    size = (size + TDM_ARENA_GRAIN - 1) / TDM_ARENA_GRAIN * TDM_ARENA_GRAIN;
    if (!is_there(shared, size)) return NULL;
    lock(shared);
    if (!shared->tried) open_file(shared, most);
    int error = shared->has_file && size <= shared->window.size ? take(shared, size, &block) : -ENOSPC;
    unlock(shared);
    if (error == 0) {
        error = commit_and_clear(shared, block);
        if (error != 0) tdm_shared_give(shared, (void *)block.start);
    }
    return error == 0 ? (void *)block.start : NULL;
}

int tdm_shared_give(struct tdm_shared *shared, const void *memory)
{
    lock(shared);
    struct tdm_extent block = tdm_arena_leave(&shared->arena, (uintptr_t)memory);
    unlock(shared);
    if (size_of(block) == 0) return -EINVAL;
    decommit(shared, pages_within(block)); /* what the system refuses to take stays for the next block there */
    lock(shared);
    decommit_shared_pages(shared, block, tdm_arena_give(&shared->arena, block.start));
    unlock(shared);
    return 0;
}

bool tdm_shared_holds(struct tdm_shared *shared, const void *memory, size_t size)
{
    struct tdm_span region = tdm_region_whole();
    if ((uintptr_t)memory - (uintptr_t)region.start >= region.size) return false;
    lock(shared);
    bool holds = tdm_arena_holds(&shared->arena, (uintptr_t)memory, size);
    unlock(shared);
    return holds;
}

void tdm_shared_open_locks(struct tdm_shared *shared, const struct tdm_holdings *holdings, uint32_t dead)
{
    for (size_t i = 0; i < TDM_HOLDINGS; i++) {
        uintptr_t at = (uintptr_t)load_seq(&holdings->at[i]); /* [holdings] */
        if (at == 0 || at % sizeof(uint32_t) != 0 || !tdm_shared_holds(shared, (void *)at, sizeof(uint32_t))) continue;
        tdm_word_bury((_Atomic uint32_t *)at, dead); /* what has been given back since is still mapped */
    }
}
