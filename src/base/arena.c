/* arena.c - which addresses of a range are taken and which are free. */
#include "base/arena.h"

#include "base/memory.h"

#include <errno.h>

enum state { FREE, TAKEN, LEAVING };

/* One block a record, free or taken, with no gap between neighbours but where the range itself has one.  They form a treap: by address a
 * search tree, by rank a heap; with ranks at random it is as deep as the logarithm of their number. */
struct tdm_block {
    struct tdm_block *left, *right;
    uintptr_t start;
    size_t size;
    size_t largest; /* of the free blocks of this subtree */
    uint32_t rank;
    enum state state;
};

/* ---- the tree ---- */

static size_t largest(const struct tdm_block *tree) { return tree ? tree->largest : 0; }

static struct tdm_block *refresh(struct tdm_block *tree)
{
    size_t most = tree->state == FREE ? tree->size : 0;
    if (largest(tree->left) > most) most = largest(tree->left);
    if (largest(tree->right) > most) most = largest(tree->right);
    tree->largest = most;
    return tree;
}

/* What lies below the address goes to the left. */
static void split(struct tdm_block *tree, uintptr_t at, struct tdm_block **left, struct tdm_block **right)
{
    if (!tree) {
        *left = *right = NULL;
    } else if (tree->start < at) {
        split(tree->right, at, &tree->right, right);
        *left = refresh(tree);
    } else {
        split(tree->left, at, left, &tree->left);
        *right = refresh(tree);
    }
}

static struct tdm_block *join(struct tdm_block *left, struct tdm_block *right)
{
    if (!left) return right;
    if (!right) return left;
    if (left->rank > right->rank) {
        left->right = join(left->right, right);
        return refresh(left);
    }
    right->left = join(left, right->left);
    return refresh(right);
}

static void insert(struct tdm_arena *arena, struct tdm_block *block)
{
    struct tdm_block *left, *right;
    block->left = block->right = NULL;
    split(arena->root, block->start, &left, &right);
    arena->root = join(join(left, refresh(block)), right);
}

static void take_out(struct tdm_arena *arena, const struct tdm_block *block)
{
    struct tdm_block *left, *right, *alone;
    split(arena->root, block->start, &left, &right);
    split(right, block->start + 1, &alone, &right);
    arena->root = join(left, right);
}

/* The last block that starts at or before the address, or NULL. */
static struct tdm_block *find(const struct tdm_arena *arena, uintptr_t at)
{
    struct tdm_block *found = NULL;
    for (struct tdm_block *block = arena->root; block;) {
        if (block->start <= at) found = block;
        block = block->start <= at ? block->right : block->left;
    }
    return found;
}

static struct tdm_block *first_fit(const struct tdm_arena *arena, size_t size)
{
    struct tdm_block *block = arena->root;
    if (largest(block) < size) return NULL;
    for (;;) {
        if (largest(block->left) >= size)
            block = block->left;
        else if (block->state == FREE && block->size >= size)
            return block;
        else
            block = block->right;
    }
}

/* ---- blocks ---- */

static struct tdm_extent extent_of(const struct tdm_block *block)
{
    return (struct tdm_extent){block->start, block->start + block->size};
}

static struct tdm_block *make(struct tdm_arena *arena, uintptr_t start, size_t size)
{
    struct tdm_block *block = tdm_malloc(sizeof *block);
    if (!block) return NULL;
    arena->dice = arena->dice * 6364136223846793005u + 1442695040888963407u;
    *block = (struct tdm_block){.start = start, .size = size, .rank = (uint32_t)(arena->dice >> 32), .state = FREE};
    return block;
}

/* It is in no tree.  Its free neighbours become part of it, so no two free blocks ever touch. */
static struct tdm_extent insert_free(struct tdm_arena *arena, struct tdm_block *block)
{
    struct tdm_block *before = block->start > 0 ? find(arena, block->start - 1) : NULL;
    block->state = FREE;
    if (before && before->state == FREE && before->start + before->size == block->start) {
        take_out(arena, before);
        block->start = before->start;
        block->size += before->size;
        free(before);
    }
    struct tdm_block *behind = find(arena, block->start + block->size);
    if (behind && behind->state == FREE && behind->start == block->start + block->size) {
        take_out(arena, behind);
        block->size += behind->size;
        free(behind);
    }
    insert(arena, block);
    return extent_of(block);
}

int tdm_arena_add(struct tdm_arena *arena, struct tdm_extent room)
{
    struct tdm_block *block = make(arena, room.start, room.end - room.start);
    if (!block) return -ENOMEM;
    insert_free(arena, block);
    return 0;
}

int tdm_arena_take(struct tdm_arena *arena, size_t size, struct tdm_extent *taken, struct tdm_extent *within)
{
    struct tdm_block *block = first_fit(arena, size), *rest = NULL;
    if (!block) return -ENOSPC;
    if (block->size > size && !(rest = make(arena, block->start + size, block->size - size))) return -ENOMEM;
    *within = extent_of(block);
    take_out(arena, block);
    block->size = size;
    block->state = TAKEN;
    *taken = extent_of(block);
    insert(arena, block);
    if (rest) insert(arena, rest);
    return 0;
}

struct tdm_extent tdm_arena_leave(struct tdm_arena *arena, uintptr_t start)
{
    struct tdm_block *block = find(arena, start);
    if (!block || block->start != start || block->state != TAKEN) return (struct tdm_extent){0};
    block->state = LEAVING; /* no more free than before: the tree stays as it is */
    return extent_of(block);
}

struct tdm_extent tdm_arena_give(struct tdm_arena *arena, uintptr_t start)
{
    struct tdm_block *block = find(arena, start);
    take_out(arena, block);
    return insert_free(arena, block);
}

bool tdm_arena_holds(const struct tdm_arena *arena, uintptr_t start, size_t size)
{
    const struct tdm_block *block = find(arena, start);
    if (!block || block->state != TAKEN) return false;
    size_t before = start - block->start;
    return before < block->size && size <= block->size - before;
}

/* The tree is taken apart from its root, so that no stack is needed. */
void tdm_arena_clear(struct tdm_arena *arena)
{
    while (arena->root) {
        struct tdm_block *block = arena->root;
        arena->root = join(block->left, block->right);
        free(block);
    }
}
