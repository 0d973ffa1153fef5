/* arena.h - which addresses of a range are taken and which are free: first fit, neighbours joined, every step O(log n).
 *
 * It never touches the memory that it gives out: its records lie elsewhere, so that whoever can write to that memory cannot damage them.
 * It has no lock. */
#ifndef TDM_BASE_ARENA_H
#define TDM_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every block starts at a multiple of it, and is one long. */
#define TDM_ARENA_GRAIN 64

struct tdm_block;

/* Zeroed: empty. */
struct tdm_arena {
    struct tdm_block *root;
    uint64_t dice; /* for the shape of the tree */
};

struct tdm_extent {
    uintptr_t start, end; /* end: the first address behind it */
};

/* More room: multiples of the grain that it does not have yet.  0, or -ENOMEM and nothing has changed. */
int tdm_arena_add(struct tdm_arena *arena, struct tdm_extent room);

/* The lowest room that fits.  size: a multiple of the grain, not 0.  0; -ENOSPC: nothing fits; -ENOMEM: no memory for its records.
 * within: the free room that it was cut from, itself included. */
int tdm_arena_take(struct tdm_arena *arena, size_t size, struct tdm_extent *taken, struct tdm_extent *within);

/* The first half of giving a block back: from now on it is found no more, but not free yet.  Its extent; empty: no taken block starts
 * there. */
struct tdm_extent tdm_arena_leave(struct tdm_arena *arena, uintptr_t start);

/* The second: it is free.  The whole free room that it is part of now. */
struct tdm_extent tdm_arena_give(struct tdm_arena *arena, uintptr_t start);

/* Does a single taken block hold all of these bytes? */
bool tdm_arena_holds(const struct tdm_arena *arena, uintptr_t start, size_t size);

/* Forgets everything. */
void tdm_arena_clear(struct tdm_arena *arena);

#endif
