/* poller.h - which of many descriptors is ready: poller_epoll.c or poller_poll.c.  Used by one thread, the reactor's, except where it says
 * otherwise. */
#ifndef TDM_BASE_POLLER_H
#define TDM_BASE_POLLER_H

#include "base/atomics.h"

#include <stdbool.h>
#include <stdint.h>

enum { TDM_POLL_IN = 1, TDM_POLL_OUT = 2, TDM_POLL_ENDED = 4 }; /* ENDED: hang-up or error; always reported */

struct tdm_ready {
    void *key;
    unsigned events;
};

int tdm_poller_open(void); /* 0 or -errno */
void tdm_poller_close(void);

/* From now on this descriptor is watched for that; was 0: it is new; wants 0: no more.  hushed: where it is said that only its end is to be
 * reported; 0: it is not.  0 or -errno. */
int tdm_poller_set(int fd, unsigned was, unsigned wants, void *key, const _Atomic uint32_t *hushed);

/* Any thread, one at a time, of one that is watched for input: hushed has changed.  True: who waits just now does not know it yet. */
bool tdm_poller_hush(int fd, void *key, const _Atomic uint32_t *hushed);

/* Waits until something is ready or the deadline has passed.  How many entries it filled; 0 also without cause. */
int tdm_poller_wait(struct tdm_ready *ready, int most, uint64_t deadline_ns);

#endif
