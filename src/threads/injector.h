/* injector.h - tasks on their way into a pool, from any thread: one word, and a chain through the tasks themselves.
 *
 * The word points to the newest task; each task's link points to the one before it.  A submitter puts its task in front by one
 * compare-and-swap, and that is all it does.  Who takes tasks out does so under a lock of his own (the lane's front lock), so a task is taken
 * out by one thread at a time: the whole chain at once, or the newest alone.  A task that is in the chain therefore stays what it is while
 * somebody looks at it under that lock, and a compare-and-swap that finds a task on top finds the chain below it as it was.
 *
 * The lowest bits of the word are what a submitter has to know, and he learns it by the same step that puts the task there:
 *   CALL   workers sleep, and none is on its way to the queue: whoever takes this bit off calls one
 *   LOOK   there is something in the queue under the ledger's lock
 *   ASK    nothing comes in this way: the ledger decides, under its lock (a queue with a limit, a pool that takes no more) */
#ifndef TDM_THREADS_INJECTOR_H
#define TDM_THREADS_INJECTOR_H

#include "base/atomics.h"
#include "base/list.h"

#include <stdbool.h>

#define TDM_INJECTOR_CALL ((uintptr_t)1)
#define TDM_INJECTOR_LOOK ((uintptr_t)2)
#define TDM_INJECTOR_ASK  ((uintptr_t)4)
#define TDM_INJECTOR_BITS ((uintptr_t)7)

/* Zeroed: empty. */
struct tdm_injector {
    _Atomic uintptr_t word; /* submitters put tasks in and take CALL off, who has the lock does the rest [injector] */
};

/* Nodes lie at multiples of eight. */
static inline struct tdm_node *tdm_injector_newest(uintptr_t word) { return (struct tdm_node *)(word & ~TDM_INJECTOR_BITS); }

static inline uintptr_t tdm_injector_look(const struct tdm_injector *injector)
{
    return load_seq(&injector->word); /* [injector] */
}

/* Anybody: the bits it found.  ASK: the node is not in.  CALL: it is, and the caller has to call a worker. */
static inline uintptr_t tdm_injector_push(struct tdm_injector *injector, struct tdm_node *node)
{
    uintptr_t word = load_relaxed(&injector->word); /* relaxed: the swap decides */
    do {
        if (word & TDM_INJECTOR_ASK) return word & TDM_INJECTOR_BITS;
        node->previous = tdm_injector_newest(word);
    } while (!cas_seq(&injector->word, &word, (uintptr_t)node | (word & TDM_INJECTOR_LOOK))); /* [injector] */
    return word & TDM_INJECTOR_BITS;
}

/* Anybody: sets LOOK.  True: CALL was set, and the caller has to call a worker. */
static inline bool tdm_injector_point_out(struct tdm_injector *injector)
{
    uintptr_t word = load_relaxed(&injector->word);                                             /* relaxed: the swap decides */
    while (!cas_seq(&injector->word, &word, (word | TDM_INJECTOR_LOOK) & ~TDM_INJECTOR_CALL)) { /* [injector] */
    }
    return (word & TDM_INJECTOR_CALL) != 0;
}

/* ---- with the lock held ---- */

/* Asks to be called when something comes.  False: something is there already, and nothing is asked. */
static inline bool tdm_injector_ask_for_call(struct tdm_injector *injector)
{
    uintptr_t word = load_relaxed(&injector->word); /* relaxed: the swap decides */
    do
        if (tdm_injector_newest(word) || word & TDM_INJECTOR_LOOK) return false;
    while (!cas_seq(&injector->word, &word, word | TDM_INJECTOR_CALL)); /* [injector] */
    return true;
}

/* From now on nothing is put in. */
static inline void tdm_injector_close(struct tdm_injector *injector) { or_seq(&injector->word, TDM_INJECTOR_ASK); /* [injector] */ }

/* This one, if it is the newest. */
static inline bool tdm_injector_take_newest(struct tdm_injector *injector, struct tdm_node *node)
{
    uintptr_t word = load_seq(&injector->word);
    while (tdm_injector_newest(word) == node)
        if (cas_seq(&injector->word, &word, (uintptr_t)node->previous | (word & TDM_INJECTOR_BITS))) return true; /* [injector] */
    return false;
}

/* Moves all that is there to the end of the list, the oldest first, and takes LOOK off.  How many; *look: it was on. */
static inline uint64_t tdm_injector_empty_into(struct tdm_injector *injector, struct tdm_node *list, bool *look)
{
    uintptr_t word = load_seq(&injector->word);
    *look = (word & TDM_INJECTOR_LOOK) != 0;
    if (!tdm_injector_newest(word) && !*look) return 0;
    while (!cas_seq(&injector->word, &word, word & TDM_INJECTOR_ASK)) { /* [injector] */
    }
    *look = (word & TDM_INJECTOR_LOOK) != 0;
    uint64_t count = 0;
    struct tdm_node *newest = tdm_injector_newest(word), *newer = list;
    if (!newest) return 0;
    for (struct tdm_node *node = newest;; node = node->previous) {
        node->next = newer;
        newer = node;
        count++;
        if (!node->previous) break;
    }
    newer->previous = list->previous;
    list->previous->next = newer;
    list->previous = newest;
    return count;
}

#endif
