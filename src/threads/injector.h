/* injector.h - the queue in front of a pool's threads: anyone puts tasks in, without a lock; whoever takes them out holds one.
 *
 * The tasks themselves are the links; nothing is allocated.  One word points to the newest.  A submitter notes in its task which one was the
 * newest before, puts its own in that place by one compare-and-swap, then tells the other task that it has a newer neighbour (or, if there
 * was none, tells the queue which is the oldest).  Between these two steps the chain has a gap from the old end, and none from the new one.
 *
 * All else is done under the owner's lock (the lane's front lock): the oldest is taken out, or any other.  A thread that comes to a gap there
 * waits for the submitter that is about to close it.  A submitter's last touch of another's task is that closing, and no task leaves the
 * queue before it knows its newer neighbour or is the newest itself, so no task is touched by others after it was taken out.
 *
 * The lowest bits of the word are what a submitter has to know, and it learns them by the same step that puts the task there:
 *   CALL   workers sleep, and none is on its way to the queue: whoever takes this bit off calls one
 *   LOOK   there is something in the queue under the ledger's lock
 *   ASK    nothing comes in this way: the ledger decides, under its lock (a queue with a limit, a pool that takes no more) */
#ifndef TDM_THREADS_INJECTOR_H
#define TDM_THREADS_INJECTOR_H

#include "base/atomics.h"

#include <stdbool.h>
#include <stdint.h>

#define TDM_INJECTOR_CALL ((uintptr_t)1)
#define TDM_INJECTOR_LOOK ((uintptr_t)2)
#define TDM_INJECTOR_ASK  ((uintptr_t)4)
#define TDM_INJECTOR_BITS ((uintptr_t)7)

#if defined(__GNUC__)
#define TDM_LINK_MAY_ALIAS __attribute__((may_alias)) /* lies over fields of the public struct */
#else
#define TDM_LINK_MAY_ALIAS
#endif

/* Not in the queue, or its newest: newer points to the link itself. */
struct TDM_LINK_MAY_ALIAS tdm_link {
    _Atomic(struct tdm_link *) newer; /* written by who puts in the next one, once; else under the lock [injector-newer] */
    _Atomic uintptr_t older; /* who was the newest before it, and still may be called so when that has gone and it is the oldest.
                                         Written before it is put in, later under the lock.  The lowest bit: it is counted, and in the queue
                                         for certain.  Relaxed throughout: the swap of the word, or the lock, orders it; who looks at one that
                                         is only about to be put in learns nothing wrong from it [injector-older] */
};

/* Zeroed: empty. */
struct tdm_injector {
    _Atomic uintptr_t
        word; /* the newest, and the bits; by compare-and-swap: submitters put in and take CALL off, the rest under the lock
                               [injector] */
    _Atomic(struct tdm_link *)
        first;                  /* which came into the empty queue; by who puts it in, taken off under the lock [injector-first] */
    char apart[TDM_CACHE_LINE]; /* submitters write what is before */
    struct tdm_link *oldest;    /* guarded by the lock; NULL: there is none, or `first` tells, sooner or later */
};

static inline struct tdm_link *tdm_injector_newest(uintptr_t word) { return (struct tdm_link *)(word & ~TDM_INJECTOR_BITS); }
static inline uintptr_t tdm_injector_look(const struct tdm_injector *injector)
{
    return load_seq(&injector->word); /* [injector] */
}

/* Before it is put in, and before others can know of it.  Relaxed: what makes it known carries this along. */
static inline void tdm_link_init(struct tdm_link *link)
{
    store_relaxed(&link->newer, link);
    store_relaxed(&link->older, 0); /* [injector-older] */
}

/* The same for one that is to be put in together with the one before it, and right behind it. */
static inline void tdm_link_chain(const struct tdm_link *before, struct tdm_link *link)
{
    store_relaxed(&link->older, (uintptr_t)before); /* [injector-older] */
}

/* Anybody: the bits it found.  ASK: they are not in, unless that was to be ignored.  CALL: they are, and the caller has to call a worker.
 * From first to last they are chained: it is as if as many submitters had come one right after the other, each before the last one's gap was
 * closed.  The gaps are closed from the newest on: until the first one is, none of them can be the oldest, and until that before it is, one
 * does not leave, and its own link is not written. */
static inline uintptr_t tdm_injector_put(struct tdm_injector *injector, struct tdm_link *first, struct tdm_link *last,
                                         uintptr_t counted, uintptr_t ignored)
{
    uintptr_t word = load_relaxed(&injector->word); /* relaxed: the swap decides */
    do {
        if (word & TDM_INJECTOR_ASK & ~ignored) return word & TDM_INJECTOR_BITS;
        store_relaxed(&first->older, (word & ~TDM_INJECTOR_BITS) | counted);
    } while (!cas_seq(&injector->word, &word, (uintptr_t)last | (word & (TDM_INJECTOR_LOOK | TDM_INJECTOR_ASK)))); /* [injector] */
    for (struct tdm_link *link = last, *older; link != first; link = older) {
        older = (struct tdm_link *)load_relaxed(
            &link->older);                  /* relaxed: this thread wrote it, and it is not counted [injector-older] */
        store_release(&older->newer, link); /* [injector-newer] */
    }
    struct tdm_link *before = tdm_injector_newest(word);
    if (before)
        store_release(&before->newer, first); /* [injector-newer] */
    else
        store_release(&injector->first, first); /* [injector-first] */
    return word & TDM_INJECTOR_BITS;
}

static inline uintptr_t tdm_injector_push(struct tdm_injector *injector, struct tdm_link *link)
{
    return tdm_injector_put(injector, link, link, 0, 0);
}

/* Anybody: a submitter has two instructions to go, and this is the look for it after so many. */
void tdm_injector_wait_a_little(int looks);

/* Anybody: sets LOOK.  True: CALL was set, and the caller has to call a worker. */
bool tdm_injector_point_out(struct tdm_injector *injector);

/* ---- with the lock held ---- */

/* One that is counted already, whatever the bits say.  True: CALL was set. */
static inline bool tdm_injector_push_counted(struct tdm_injector *injector, struct tdm_link *link)
{
    return tdm_injector_put(injector, link, link, 1, TDM_INJECTOR_ASK) & TDM_INJECTOR_CALL;
}

/* The oldest, out of the queue, or NULL; adds to *uncounted if it was not counted.  If that empties the queue, these bits are set by the same
 * step. */
struct tdm_link *tdm_injector_pop(struct tdm_injector *injector, uint64_t *uncounted, uintptr_t bits);

enum tdm_injector_found { TDM_INJECTOR_NOT_THERE, TDM_INJECTOR_TAKEN, TDM_INJECTOR_UNTOLD };

/* This one, which is in the queue or on its way there.  UNTOLD: it will be known in a moment; by then the lock has to have been open. */
enum tdm_injector_found tdm_injector_take(struct tdm_injector *injector, struct tdm_link *link, uint64_t *uncounted);

/* Marks all that are there as counted.  How many were not. */
uint64_t tdm_injector_count(struct tdm_injector *injector);

static inline bool tdm_injector_is_empty(const struct tdm_injector *injector)
{
    return !tdm_injector_newest(tdm_injector_look(injector));
}

/* How many there are, but no more than so many are looked for. */
uint32_t tdm_injector_look_for(struct tdm_injector *injector, uint32_t most);

/* Asks to be called when something comes.  False: something is there already, and nothing is asked. */
bool tdm_injector_ask_for_call(struct tdm_injector *injector);

/* The same, whatever is there. */
void tdm_injector_ask_for_call_anyway(struct tdm_injector *injector);

/* Nobody needs to be called any more. */
void tdm_injector_ask_for_no_call(struct tdm_injector *injector);

/* Takes LOOK off.  True: it was on. */
bool tdm_injector_take_look(struct tdm_injector *injector);

/* From now on nothing is put in but by push_counted. */
void tdm_injector_close(struct tdm_injector *injector);

#endif
