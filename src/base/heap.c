/* heap.c - an intrusive pairing heap of points in time. */
#include "base/heap.h"

#include <stddef.h>

/* Puts a node into the place that `from` points at; its siblings are whatever it says they are. */
static void hang(struct tdm_heap_node **from, struct tdm_heap_node *node)
{
    *from = node;
    if (node) node->linked_from = from;
}

/* Two trees without siblings become one. */
static struct tdm_heap_node *meld(struct tdm_heap_node *a, struct tdm_heap_node *b)
{
    if (!a) return b;
    if (!b) return a;
    if (b->key < a->key) {
        struct tdm_heap_node *swap = a;
        a = b;
        b = swap;
    }
    hang(&b->next, a->child);
    hang(&a->child, b);
    return a;
}

/* A row of siblings becomes one tree, two by two from the left, then from the right: that order is what makes the heap fast.  No
 * recursion, so that a million equal deadlines do not need a deep stack. */
static struct tdm_heap_node *meld_row(struct tdm_heap_node *row)
{
    struct tdm_heap_node *pairs = NULL;
    while (row) {
        struct tdm_heap_node *a = row, *b = row->next;
        row = b ? b->next : NULL;
        a->next = NULL;
        if (b) b->next = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    struct tdm_heap_node *tree = NULL;
    while (pairs) {
        struct tdm_heap_node *rest = pairs->next;
        pairs->next = NULL;
        tree = meld(tree, pairs);
        pairs = rest;
    }
    return tree;
}

void tdm_heap_insert(struct tdm_heap *heap, struct tdm_heap_node *node, uint64_t key)
{
    *node = (struct tdm_heap_node){.key = key};
    hang(&heap->root, meld(heap->root, node));
}

void tdm_heap_remove(struct tdm_heap *heap, struct tdm_heap_node *node)
{
    if (!tdm_heap_holds(node)) return;
    hang(node->linked_from, node->next);
    struct tdm_heap_node *orphans = meld_row(node->child);
    if (orphans) hang(&heap->root, meld(heap->root, orphans));
    *node = (struct tdm_heap_node){.key = node->key};
}
