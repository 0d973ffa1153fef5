/* identity.h - which process is this?  A fork copies all of the library's memory, but none of its threads and children.
 *
 * Every object that belongs to one process (a pool, the reactor, the link to the zygote) keeps the number of that process.  Where the
 * numbers differ the object is an inherited copy, and of no use. */
#ifndef TDM_BASE_IDENTITY_H
#define TDM_BASE_IDENTITY_H

#include <stdint.h>

/* This process's number, or 0 in a forked child that has not adopted the library.  The first call in a program adopts; the first
 * call in such a child closes the descriptors it has inherited from the library.  Costs one load where fork can wipe a page. */
uint32_t tdm_identity(void);

/* Starts afresh in a forked child: a new number, nothing of the parent's.  The child must have one thread. */
void tdm_identity_adopt(void);

#endif
