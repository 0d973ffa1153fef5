/* deque.c - the branches that a worker has spawned and not joined. */
#include "threads/deque.h"

static uint64_t ends_of(uint32_t top, uint32_t split) { return (uint64_t)top << 32 | split; }
static uint32_t top_of(uint64_t ends) { return (uint32_t)(ends >> 32); }
static uint32_t split_of(uint64_t ends) { return (uint32_t)ends; }
static tdm_deque_place *first(struct tdm_deque *deque) { return &deque->places[1]; }

void tdm_deque_open(struct tdm_deque *deque)
{
    store_relaxed(&deque->places[TDM_DEQUE_PLACES + 1], TDM_DEQUE_PUBLIC); /* relaxed: nobody knows it yet */
    deque->bottom = first(deque);
}

/* With the mark, or without; relaxed: they are the owner's alone, and the swap that makes them public carries them [deque-ends] */
static void mark(struct tdm_deque *deque, uint32_t from, uint32_t to, uintptr_t bit)
{
    for (tdm_deque_place *place = first(deque) + from; place < first(deque) + to; place++)
        store_relaxed(place, (load_relaxed(place) & ~TDM_DEQUE_PUBLIC) | bit);
}

bool tdm_deque_publish(struct tdm_deque *deque)
{
    store_relaxed(&deque->wanted, 0); /* [deque-wanted] */
    uint32_t private = (uint32_t)(deque->bottom - first(deque)) - deque->split;
    if (private == 0) return false;
    uint32_t split = deque->split + (private + 1) / 2;
    mark(deque, deque->split, split, TDM_DEQUE_PUBLIC);
    uint64_t ends = load_seq(&deque->ends);
    while (!cas_seq(&deque->ends, &ends, ends_of(top_of(ends), split))) { /* [deque-ends] */
    }
    deque->split = split;
    return true;
}

/* All has been stolen, and all of it lies before `bottom`: nobody can win a place until something is public again. */
static void begin_again(struct tdm_deque *deque)
{
    store_seq(&deque->ends, ends_of(0, 0)); /* [deque-ends] */
    deque->split = 0;
    deque->bottom = first(deque);
}

bool tdm_deque_reclaim(struct tdm_deque *deque)
{
    uint64_t ends = load_seq(&deque->ends);
    uint32_t split;
    do {
        uint32_t public = split_of(ends) - top_of(ends);
        if (public == 0) {
            begin_again(deque);
            return false;
        }
        split = split_of(ends) - (public + 1) / 2;
    } while (!cas_seq(&deque->ends, &ends, ends_of(top_of(ends), split))); /* [deque-ends] */
    mark(deque, split, deque->split, 0);
    deque->split = split;
    return true;
}

void tdm_deque_settle(struct tdm_deque *deque)
{
    if (deque->bottom != first(deque) + deque->split || deque->bottom == first(deque)) return;
    uint64_t ends = load_seq(&deque->ends); /* [deque-ends] */
    if (top_of(ends) == split_of(ends)) begin_again(deque);
}

void tdm_deque_drop(struct tdm_deque *deque)
{
    do {
        tdm_deque_place *split = first(deque) + deque->split;
        for (tdm_deque_place *place = split; place < deque->bottom; place++) store_relaxed(place, 0); /* relaxed: its own */
        deque->bottom = split;
    } while (tdm_deque_reclaim(deque));
}

void *tdm_deque_steal(struct tdm_deque *deque)
{
    uint64_t ends = load_seq(&deque->ends);
    uint32_t top = top_of(ends);
    if (top == split_of(ends)) return NULL;
    if (!cas_seq(&deque->ends, &ends, ends_of(top + 1, split_of(ends)))) return NULL; /* [deque-ends] */
    tdm_deque_place *place = first(deque) + top;
    uintptr_t item = load_relaxed(place); /* relaxed: the swap has brought it, and nobody fills it before it is empty */
    store_release(place, 0);              /* [deque-place] */
    return (void *)(item & ~TDM_DEQUE_PUBLIC);
}

void tdm_deque_want(struct tdm_deque *deque)
{
    if (!tdm_deque_is_wanted(deque)) store_relaxed(&deque->wanted, 1); /* [deque-wanted] */
}
