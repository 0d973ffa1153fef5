/* reactor.h - the one thread of the process that waits for descriptors, deadlines and jobs on behalf of all pools.
 *
 * It never runs user code and never waits for anything else, so a deadline or a death is never noticed late because somebody is
 * busy.  It lives while somebody holds it. */
#ifndef TDM_BASE_REACTOR_H
#define TDM_BASE_REACTOR_H

#include "base/heap.h"
#include "base/list.h"
#include "base/poller.h"

#include <stdbool.h>
#include <stdint.h>

/* One more, one fewer user; the first starts the thread, the last ends it.  0 or -errno.  Release never on the reactor itself. */
int tdm_reactor_hold(void);
void tdm_reactor_release(void);

/* Drops what a fork left of the parent's reactor. */
void tdm_reactor_reset(void);

/* A descriptor that is watched.  Zeroed with fd and ready set: not watched.  On the reactor's thread only, except for tdm_reactor_hush. */
struct tdm_source {
    int fd;
    unsigned wants;
    _Atomic uint32_t hushed; /* 1: somebody else reads it; ready is called for its end only [source-hushed] */
    void (*ready)(struct tdm_source *source, unsigned events);
};
int tdm_reactor_watch(struct tdm_source *source, unsigned wants); /* 0: no more; before the descriptor is closed.  0 or -errno */

/* Any thread, one at a time, of a source that is watched for input.  It may still be called for what was there before. */
void tdm_reactor_hush(struct tdm_source *source, bool hushed);

/* A point in time.  due runs on the reactor's thread, with no lock held. */
struct tdm_timer {
    struct tdm_heap_node node;
    void (*due)(struct tdm_timer *timer);
};
void tdm_reactor_set_timer(struct tdm_timer *timer, uint64_t deadline_ns); /* any thread; a set one is moved */
/* Any thread.  When it returns, due is not running and will not run; on the reactor's own thread it may be the caller. */
void tdm_reactor_clear_timer(struct tdm_timer *timer);

/* Something to do soon on the reactor's thread.  Posting what is already posted and not yet begun does nothing. */
struct tdm_job {
    struct tdm_node link;
    bool posted; /* guarded by the reactor's lock */
    void (*run)(struct tdm_job *job);
};
void tdm_reactor_post(struct tdm_job *job); /* any thread */

#endif
