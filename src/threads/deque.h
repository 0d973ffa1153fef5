/* deque.h - the branches that a worker has spawned and not joined: it takes the newest, thieves take the oldest.
 *
 * A split deque: what lies between `top` and `split` is public, what lies between `split` and `bottom` is the owner's alone.  There the owner
 * puts in and takes out with plain loads and stores.  `top` and `split` are one word, moved by compare-and-swap only: by a thief that takes
 * the oldest, by the owner that makes some public because somebody wants them, or takes some back.  So what is public goes to exactly one.  A
 * thief reads its place after it has won it, then empties it; the owner fills only places that are empty.
 *
 * What is public bears a mark in its place, so that the owner sees at one look whether the newest is its alone.  Places are used from the
 * first one on; when there is nothing at all, the owner begins there again. */
#ifndef TDM_THREADS_DEQUE_H
#define TDM_THREADS_DEQUE_H

#include "base/atomics.h"

#include <stdbool.h>
#include <stddef.h>

#define TDM_DEQUE_PLACES 254u
#define TDM_DEQUE_PUBLIC ((uintptr_t)1)

typedef _Atomic uintptr_t
    tdm_deque_place; /* 0, or an item; filled by the owner while it is empty, emptied by who takes it out [deque-place] */

struct tdm_deque {
    /* the owner's */
    tdm_deque_place *bottom; /* the next place */
    uint32_t split;          /* its copy: nobody else moves it */
    char apart[TDM_CACHE_LINE];
    _Atomic uint64_t ends; /* top << 32 | split, counted from the first place [deque-ends] */
    _Atomic uint32_t
        wanted; /* 1: somebody has nothing to do; set by thieves, taken off by the owner.  Relaxed throughout: a hint that may come
                                a moment later, and carries nothing [deque-wanted] */
    char apart_too[TDM_CACHE_LINE];
    tdm_deque_place
        places[TDM_DEQUE_PLACES + 2]; /* before the first one lies one that stays empty, after the last one that stays full */
};

void tdm_deque_open(struct tdm_deque *deque);

/* ---- the owner ---- */

/* An item, at an even address.  False: there is no room. */
static inline bool tdm_deque_push(struct tdm_deque *deque, void *item)
{
    tdm_deque_place *place = deque->bottom;
    if (load_acquire(place) != 0) return false; /* a thief that has won it has read it before it is filled again [deque-place] */
    store_relaxed(place, (uintptr_t)item);      /* relaxed: the swap that makes it public carries it */
    deque->bottom = place + 1;
    return true;
}

/* Takes this one out if it is the newest and the owner's alone. */
static inline bool tdm_deque_pop_private(struct tdm_deque *deque, const void *item)
{
    tdm_deque_place *place = deque->bottom - 1;
    if (load_relaxed(place) != (uintptr_t)item) return false; /* relaxed: its own, if it is that */
    store_relaxed(place, 0);
    deque->bottom = place;
    return true;
}

static inline bool tdm_deque_is_wanted(const struct tdm_deque *deque)
{
    return load_relaxed(&deque->wanted) != 0;
} /* [deque-wanted] */

/* Makes half of what is its alone public, at least one.  False: there is nothing. */
bool tdm_deque_publish(struct tdm_deque *deque);

/* Takes back half of what is public, at least one, if nothing is its alone.  False: all that there was has been stolen. */
bool tdm_deque_reclaim(struct tdm_deque *deque);

/* One that was stolen has been joined: if that was all there was, the owner begins at the first place again. */
void tdm_deque_settle(struct tdm_deque *deque);

/* Forgets all that has not been stolen: who would join it is gone. */
void tdm_deque_drop(struct tdm_deque *deque);

/* ---- anybody else ---- */

/* The oldest, or NULL: none is public, or somebody else was faster. */
void *tdm_deque_steal(struct tdm_deque *deque);

/* The owner is to make some public as soon as it has any. */
void tdm_deque_want(struct tdm_deque *deque);

#endif
