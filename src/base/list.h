/* list.h - intrusive doubly linked lists with a head node; nothing is allocated, removal needs no search. */
#ifndef TDM_BASE_LIST_H
#define TDM_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct tdm_node {
    struct tdm_node *next, *previous;
};

/* The struct that holds this member. */
#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void tdm_list_init(struct tdm_node *head) { head->next = head->previous = head; }

static inline bool tdm_list_empty(const struct tdm_node *head) { return head->next == head; }

static inline void tdm_list_insert_after(struct tdm_node *place, struct tdm_node *node)
{
    node->previous = place;
    node->next = place->next;
    place->next->previous = node;
    place->next = node;
}

static inline void tdm_list_push_front(struct tdm_node *head, struct tdm_node *node) { tdm_list_insert_after(head, node); }

static inline void tdm_list_push_back(struct tdm_node *head, struct tdm_node *node) { tdm_list_insert_after(head->previous, node); }

/* The node points to itself afterwards, so that a second removal does no harm. */
static inline void tdm_list_remove(struct tdm_node *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    node->next = node->previous = node;
}

/* NULL from an empty list. */
static inline struct tdm_node *tdm_list_pop_front(struct tdm_node *head)
{
    struct tdm_node *node = head->next;
    if (node == head) return NULL;
    tdm_list_remove(node);
    return node;
}

/* All of `from` goes to the end of `to`, in order. */
static inline void tdm_list_splice_back(struct tdm_node *to, struct tdm_node *from)
{
    if (tdm_list_empty(from)) return;
    from->next->previous = to->previous;
    to->previous->next = from->next;
    from->previous->next = to;
    to->previous = from->previous;
    tdm_list_init(from);
}

#endif
