/* shards.h - the queue in front of a pool's threads, in several parts, so that threads which submit at once do not meet.
 *
 * Each is an injector; a thread that submits puts everything it brings into the same one, so its tasks begin in its order.  A pool of one
 * thread, or on one processor, has one part.  What comes in through the ledger, and LOOK, is in the first one; CALL and ASK are in
 * each.  Calls are made under the owner's lock (the lane's front lock) unless they say otherwise. */
#ifndef TDM_THREADS_SHARDS_H
#define TDM_THREADS_SHARDS_H

#include "threads/injector.h"

/* More threads than that seldom submit in the same moment; who sleeps looks at each. */
#define TDM_SHARDS_MOST 8 /* a power of 2 */

struct tdm_shards {
    uint32_t last; /* how many there are, less one; they are a power of 2 */
    struct {
        char apart[TDM_CACHE_LINE];
        struct tdm_injector injector;
    } parts[TDM_SHARDS_MOST];
    char apart[TDM_CACHE_LINE];
};

/* Before anything comes in, on zeroed memory: no more parts than threads. */
void tdm_shards_open(struct tdm_shards *shards, uint32_t threads);

static inline struct tdm_injector *tdm_shards_part(struct tdm_shards *shards, uint32_t part)
{
    return &shards->parts[part].injector;
}

/* ---- anybody ---- */

extern _Thread_local uint32_t tdm_shards_thread; /* its number; 0: it has none yet */
void tdm_shards_number(void);

/* Where this thread puts in what it brings. */
static inline uint32_t tdm_shards_mine(const struct tdm_shards *shards)
{
    if (shards->last == 0) return 0;
    if (tdm_shards_thread == 0) tdm_shards_number();
    return tdm_shards_thread & shards->last;
}

/* Does nothing come in this way? */
static inline bool tdm_shards_ask(const struct tdm_shards *shards)
{
    return tdm_injector_look(&shards->parts[0].injector) & TDM_INJECTOR_ASK;
}

/* Sets LOOK.  True: the caller has to call a worker. */
static inline bool tdm_shards_point_out(struct tdm_shards *shards) { return tdm_injector_point_out(tdm_shards_part(shards, 0)); }

/* Is there something, or LOOK? */
bool tdm_shards_have_something(const struct tdm_shards *shards);

/* ---- with the lock held ---- */

bool tdm_shards_are_empty(struct tdm_shards *shards);
bool tdm_shards_hold_more_than(struct tdm_shards *shards, uint32_t count);

/* Asks for a call when something comes, wherever.  False: something is there already; it may have been asked for all the same, and then somebody
 * is called once too often. */
bool tdm_shards_ask_for_call(struct tdm_shards *shards);
void tdm_shards_ask_for_call_anyway(struct tdm_shards *shards);
void tdm_shards_ask_for_no_call(struct tdm_shards *shards);

/* How many were not counted; now they are. */
uint64_t tdm_shards_count(struct tdm_shards *shards);

/* From now on nothing is put in but by push_counted. */
void tdm_shards_close(struct tdm_shards *shards);

#endif
