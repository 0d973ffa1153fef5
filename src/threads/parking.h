/* parking.h - workers that have nothing to do: which sleep, which keep looking, which to call.
 *
 * Calls are made under a lock of the owner's (the lane's front lock) unless they say otherwise. */
#ifndef TDM_THREADS_PARKING_H
#define TDM_THREADS_PARKING_H

#include "base/list.h"
#include "threads/shards.h"

#include <stdbool.h>
#include <stdint.h>

/* One worker's place to sleep. */
struct tdm_parker {
    struct tdm_node idle;    /* in the list of sleepers; guarded by the owner's lock */
    _Atomic uint32_t called; /* 1: get up; written by who took it off the list [parker-called] */
    bool is_absent;          /* it is nobody's: who has chosen it does not call but makes somebody come */
};

/* All guarded by the owner's lock. */
struct tdm_parking {
    struct tdm_node idle;                /* those that sleep, the latest first: its stack and caches are still warm */
    bool on_the_way;                     /* one has been called, or looks out, and will look at the queue */
    uint64_t watch_ns, longest_watch_ns; /* how long it pays to look out before sleeping, learned; 0: never */
    bool one_processor;                  /* there, one that finds nothing gives way before it sleeps; */
    unsigned sleeps, still_to_sleep;     /* but not so many times, learned; that are left of them */
};

void tdm_parking_open(struct tdm_parking *parking, uint64_t longest_watch_ns, bool one_processor);

static inline bool tdm_parking_has_sleepers(const struct tdm_parking *parking) { return !tdm_list_empty(&parking->idle); }

/* There is something to do: whom to call for it, off the list and on the way now; NULL: nobody sleeps, or somebody is on the way. */
struct tdm_parker *tdm_parking_choose(struct tdm_parking *parking);
/* Without the lock; NULL: nobody. */
void tdm_parking_call(struct tdm_parker *parker);

/* One that nobody has lies behind those that sleep, and can be chosen like them. */
void tdm_parking_put_absent(struct tdm_parking *parking, struct tdm_parker *parker);
/* Would an absent one be chosen now? */
bool tdm_parking_would_choose_absent(const struct tdm_parking *parking);

/* The worker lies down, on the list; gets up again without having slept; or, without the lock, sleeps until it is called. */
void tdm_parking_lie_down(struct tdm_parking *parking, struct tdm_parker *parker);
void tdm_parking_get_up(struct tdm_parker *parker);
uint64_t tdm_parking_sleep(struct tdm_parker *parker, uint64_t deadline_ns); /* or the time is over; how long, in ns */
static inline bool tdm_parking_lies(const struct tdm_parker *parker) { return !tdm_list_empty(&parker->idle); }
/* Back with the lock: it is the one that was on the way, and has slept so long. */
void tdm_parking_awake(struct tdm_parking *parking, uint64_t slept_ns);

/* May this worker look out for a while before it sleeps?  Then it is on the way, and without the lock looks at the queue until something
 * comes or the time is over, which is false; for 0 ns: once, after it has given way.  Back with the lock it says whether it paid. */
bool tdm_parking_may_watch(struct tdm_parking *parking);
bool tdm_parking_watch(const struct tdm_shards *shards, uint64_t watch_ns, bool *paid);
void tdm_parking_watched(struct tdm_parking *parking, bool paid);

#endif
