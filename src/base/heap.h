/* heap.h - an intrusive pairing heap of points in time: insert and look O(1), remove O(log n) over time, nothing allocated. */
#ifndef TDM_BASE_HEAP_H
#define TDM_BASE_HEAP_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: in no heap. */
struct tdm_heap_node {
    uint64_t key;
    struct tdm_heap_node *child, *next; /* next: sibling */
    struct tdm_heap_node **linked_from; /* the pointer that points here; NULL: in no heap */
};

/* Zeroed: empty. */
struct tdm_heap {
    struct tdm_heap_node *root;
};

static inline bool tdm_heap_holds(const struct tdm_heap_node *node) { return node->linked_from != 0; }

void tdm_heap_insert(struct tdm_heap *heap, struct tdm_heap_node *node, uint64_t key);
void tdm_heap_remove(struct tdm_heap *heap, struct tdm_heap_node *node); /* does nothing if it is in none */

#endif
