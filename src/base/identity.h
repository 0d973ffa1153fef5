/* identity.h - which process is this?  A fork copies all of the library's memory, but none of its threads and children.
 *
 * Every object that belongs to one process (a pool, the reactor, the link to the zygote) keeps the number of that process.  Where the
 * numbers differ the object is an inherited copy, and of no use. */
#ifndef TDM_BASE_IDENTITY_H
#define TDM_BASE_IDENTITY_H

#include "base/atomics.h"

#include <stdint.h>

/* The number of the program itself, unless it is a forked child of one that used the library before. */
#define TDM_IDENTITY_FIRST 1u

/* This process's number, or 0 in a forked child that has not adopted the library.  The first call in a program adopts; the first
 * call in such a child closes the descriptors it has inherited from the library.  Costs two loads where fork can wipe a page. */
static inline uint32_t tdm_identity(void);

/* Starts afresh in a forked child: a new number, nothing of the parent's.  The child must have one thread. */
void tdm_identity_adopt(void);

/* ---- how ---- */

/* The page that holds the number, and that a fork wipes; NULL before the first call, and where there is no such page. */
extern _Atomic(_Atomic uint32_t *) tdm_identity_page; /* written once, before any other thread looks [identity] */
uint32_t tdm_identity_slowly(void);

/* relaxed: the number was written before this process had a second thread */
static inline uint32_t tdm_identity(void)
{
    _Atomic uint32_t *page = load_acquire(&tdm_identity_page); /* [identity] */
    uint32_t mine = page ? load_relaxed(page) : 0;
    return mine != 0 ? mine : tdm_identity_slowly();
}

#endif
