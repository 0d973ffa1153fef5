/* belt_book.h - the channels made by this process: where they lie, and what they are.
 *
 * In the host's private memory: whatever a worker has written to a channel's memory, it cannot lead the host out of it. */
#ifndef TDM_PROCESS_BELT_BOOK_H
#define TDM_PROCESS_BELT_BOOK_H

#include "job/belt.h"

struct tdm_shared;

/* 0 or -ENOMEM.  shared: the pool's memory in which it lies. */
int tdm_belt_book_add(struct tdm_belt *belt, const struct tdm_shape *shape, struct tdm_shared *shared);
/* In whose memory it lies; NULL: it is none. */
struct tdm_shared *tdm_belt_book_remove(const struct tdm_belt *belt);

/* False: it is none.  The address is compared, not looked at. */
bool tdm_belt_book_find(const struct tdm_belt *belt, struct tdm_shape *shape);

/* Of all that lie in this memory: a worker has died; no more messages; the pool ends. */
void tdm_belt_book_bury(const struct tdm_shared *shared, uint32_t dead);
void tdm_belt_book_close(const struct tdm_shared *shared);
void tdm_belt_book_forget(const struct tdm_shared *shared);

/* In a forked child that goes on as a process of its own, with one thread. */
void tdm_belt_book_reset(void);

#endif
