/* hand.h - tasks that a worker has taken from the queue a few at a time, and not begun: anyone may still take them.
 *
 * Each place is emptied by one compare-and-swap, so a task goes to exactly one of: the owner, who runs it next; another worker that has
 * nothing; a waiter or canceller that takes it back.  A place is filled only by the owner, under the front lock of its lane, and only while
 * it is empty.  Whoever has emptied it holds the task; its state stays QUEUED, because nobody can take it any more. */
#ifndef TDM_TASK_HAND_H
#define TDM_TASK_HAND_H

#include "task/task.h"

#define TDM_HAND_PLACES 16

typedef _Atomic(struct tdm_task *) tdm_hand_place; /* filled by the owner, emptied by whoever wins [hand] */

/* Zeroed: empty. */
struct tdm_hand {
    tdm_hand_place places[TDM_HAND_PLACES];
    unsigned next, end; /* the owner's: the places it has filled and not looked at again */
};

/* The owner, under the front lock; asks for the task's memory, which the owner is about to need. */
void tdm_hand_put(struct tdm_hand *hand, struct tdm_task *task);
/* The owner: the next one, held now, or NULL. */
struct tdm_task *tdm_hand_take(struct tdm_hand *hand);
/* Anybody: the next one, held now, or NULL. */
struct tdm_task *tdm_hand_steal(struct tdm_hand *hand);
/* Anybody, under the front lock: this very one, if it is there; held if true. */
bool tdm_hand_take_back(struct tdm_hand *hand, struct tdm_task *task);
/* Anybody: how many there are, if nothing moves. */
unsigned tdm_hand_count(const struct tdm_hand *hand);

#endif
