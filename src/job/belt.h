/* belt.h - a channel's memory: places for messages, who has taken what, who sleeps.  Any member of a pool's shared memory uses it.
 *
 * Everything but the closing happens under one lock that names its holder (word_lock.h), and each call takes effect by one store:
 *   send     copies the message into the place behind the last, then raises `sent`
 *   receive  copies a message out, then raises the reader's `taken`
 * So a process that is killed in the middle leaves nothing to repair: before that store nothing has happened, after it everything has.  What
 * may be left undone is a wake-up.  Therefore the host, when it buries a worker, opens the lock, lets the worker's readers go, and wakes all
 * who sleep here; they look again.
 *
 * Wake-ups.  A caller that may have to wait reads the bell of its side before it looks at anything else, counts itself in under the lock,
 * opens the lock and sleeps as long as the bell is the same.  A caller that brings about what others wait for rings the bell if more of them
 * are waiting than have been called, and wakes one, or all of a broadcast.  A caller that is back, for whatever reason, counts one call as
 * answered, then itself out.  So `waiting - called` is never less than the number of those who sleep and were not called.  A waiter that dies
 * leaves it too large, which costs a wake-up in vain; a caller that dies between counting and waking leaves it too small, until the host
 * wakes all: from then on nobody sleeps who was counted before, and each that comes back takes one call along.
 *
 * Before all that, a caller that finds nothing looks for a while, without the lock.  It is not waiting then: nobody counts it, calls it or
 * relies on it, and when it comes back it is like one that comes for the first time.
 *
 * The host believes nothing here but the messages: the shape is its own copy, and each index is read once and then brought into range. */
#ifndef TDM_JOB_BELT_H
#define TDM_JOB_BELT_H

#include "job/word_lock.h"

#include <sys/types.h>

/* Constant. */
struct tdm_shape {
    uint32_t messages, message_size;
    uint32_t readers;   /* at most; 1 unless it is a broadcast */
    uint32_t broadcast; /* 1: each reader gets each message */
    uint32_t watch_ns;  /* how long who would have to sleep looks before, at most; 0: not at all */
};

/* What one reader, or all receivers together, have taken.  Under the lock, except for one thing: the host frees the place of a member that has
 * died without it [belt-owner]. */
struct tdm_reader_place {
    _Atomic uint64_t taken; /* messages before this one */
    _Atomic uint32_t owner; /* the member that it belongs to; 0: free */
    _Atomic uint32_t turn;  /* how often the place was given out */
};

enum tdm_side { TDM_RECEIVERS = 0, TDM_SENDERS };

/* Atomics, because a worker may write here at any time, lock or not. */
struct tdm_belt {
    uint32_t mark; /* constant: it is one */
    struct tdm_shape shape;
    _Atomic uint32_t closed; /* 1 is the last value; written by any [belt-closed] */
    /* the lock, a word lock, and what is under it */
    _Alignas(TDM_CACHE_LINE) _Atomic uint32_t lock;    /* [word-lock] */
    _Atomic uint32_t waiting[2];                       /* of each side: asleep or about to be; */
    _Atomic uint32_t called[2];                        /*   those of them that were called and are not back */
    _Alignas(TDM_CACHE_LINE) _Atomic uint64_t sent;    /* receivers also look at it without the lock */
    _Alignas(TDM_CACHE_LINE) _Atomic uint32_t bell[2]; /* what each side sleeps on; only ever rises [belt-bell] */
    struct tdm_reader_place readers[];                 /* and behind them the messages */
};

/* Of all of it; 0: too large. */
size_t tdm_belt_size(const struct tdm_shape *shape);

/* In zeroed memory. */
void tdm_belt_make(struct tdm_belt *belt, const struct tdm_shape *shape);
bool tdm_belt_is_one(const struct tdm_belt *belt);

/* A member's view of it. */
struct tdm_hold {
    struct tdm_belt *belt;
    struct tdm_shape shape; /* in the host: its own copy */
    uint32_t me;
    void (*sleeps)(bool begins); /* called around a sleep, with nothing held; NULL: nobody wants to know */
};

/* 0, a size, or -errno as in the public calls, but always -ETIMEDOUT.  deadline_ns 0: now.  reader: a number of tdm_belt_join(); else 0. */
int tdm_belt_send(const struct tdm_hold *hold, const void *data, size_t size, uint64_t deadline_ns);
ssize_t tdm_belt_receive(const struct tdm_hold *hold, int reader, void *buffer, size_t size, uint64_t deadline_ns);
int tdm_belt_join(const struct tdm_hold *hold);
int tdm_belt_quit(const struct tdm_hold *hold, int reader);

/* Takes no lock, so that nobody can hold it up. */
void tdm_belt_close(struct tdm_belt *belt);

/* The host: that member has died. */
void tdm_belt_bury(struct tdm_belt *belt, const struct tdm_shape *shape, uint32_t dead);

#endif
