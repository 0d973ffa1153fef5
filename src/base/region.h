/* region.h - a range of addresses with nothing behind them, reserved before the guards are forked: free at one place in every process of
 * ours, so that memory which a pool shares with its workers can lie at one address in all of them.
 *
 * It costs nothing but addresses.  Its parts are lent to whoever maps a file there. */
#ifndef TDM_BASE_REGION_H
#define TDM_BASE_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tdm_span {
    char *start;
    size_t size; /* 0: none */
};

/* Reserves it, once a program: what could not be had then is never had. */
void tdm_region_open(void);

struct tdm_span tdm_region_whole(void);
size_t tdm_region_step(void); /* every part starts at a multiple of it from the start, and is one long */

/* Free addresses, at least so many, now this owner's; size 0: there are none.  The lowest. */
struct tdm_span tdm_region_take(const void *owner, size_t size);

/* All the owner has, or that span alone.  What was mapped there is gone. */
void tdm_region_give_back(struct tdm_span span);
void tdm_region_give_back_all(const void *owner);

/* Maps a file, from this offset on, over a part of the region.  It is left out of core dumps: those would allocate what was never touched.
 * 0 or -errno. */
int tdm_region_map(struct tdm_span at, int fd, size_t offset);

/* Gives the addresses back; the next open reserves others.  No pool exists, and no guard that was forked with them. */
void tdm_region_close(void);

/* In a forked child that goes on as a process of its own, with one thread: what the parent has mapped there is gone, all of it is free. */
void tdm_region_reset(void);

/* In a worker: what is mapped there stays, and is none of this process's own region; it may reserve another. */
void tdm_region_leave(void);

#endif
