/* hoard.h - memory for an output that grows: small pieces by malloc, a large one in addresses reserved for all of it, so that it is
 * never moved or copied, and comes in large pages. */
#ifndef TDM_COMMAND_HOARD_H
#define TDM_COMMAND_HOARD_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed: none. */
struct tdm_hoard {
    char *bytes;
    size_t room;     /* one byte more is always there */
    size_t reserved; /* bytes of addresses that bytes lies in; 0: it is malloc's */
};

/* Room for at least so much, and at most `most`, of which `used` bytes are in use.  False: there is no memory, and nothing has changed. */
bool tdm_hoard_grow(struct tdm_hoard *hoard, size_t used, size_t least, size_t most);

/* What is used of it, and how it is to be freed (NULL: free); the rest goes. */
char *tdm_hoard_take(struct tdm_hoard *hoard, size_t used, void (**release)(void *bytes));
void tdm_hoard_drop(struct tdm_hoard *hoard);

#endif
