/* hand.c - tasks that a worker has taken from the queue and not begun. */
#include "task/hand.h"

void tdm_hand_put(struct tdm_hand *hand, struct tdm_task *task)
{
    if (hand->next == hand->end) hand->next = hand->end = 0;
    tdm_hand_place *place = &hand->places[hand->end++];
    store_release(place, task); /* who must find it takes the front lock first [hand] */
    tdm_prefetch_to_read(tdm_task_public(task));
    tdm_prefetch(&tdm_task_public(task)->status);
}

static struct tdm_task *empty(tdm_hand_place *place)
{
    if (!load_relaxed(place)) return NULL; /* relaxed: the exchange decides */
    return exchange_seq(place, NULL);      /* [hand] */
}

struct tdm_task *tdm_hand_take(struct tdm_hand *hand)
{
    struct tdm_task *task = NULL;
    while (!task && hand->next < hand->end) task = empty(&hand->places[hand->next++]);
    return task;
}

struct tdm_task *tdm_hand_steal(struct tdm_hand *hand)
{
    struct tdm_task *task = NULL;
    for (unsigned i = 0; !task && i < TDM_HAND_PLACES; i++) task = empty(&hand->places[i]);
    return task;
}

bool tdm_hand_take_back(struct tdm_hand *hand, struct tdm_task *task)
{
    for (unsigned i = 0; i < TDM_HAND_PLACES; i++) {
        struct tdm_task *expected = task;
        if (load_relaxed(&hand->places[i]) == task && cas_seq(&hand->places[i], &expected, NULL)) return true; /* [hand] */
    }
    return false;
}

unsigned tdm_hand_count(const struct tdm_hand *hand)
{
    unsigned count = 0;
    for (unsigned i = 0; i < TDM_HAND_PLACES; i++) count += load_seq(&hand->places[i]) != NULL;
    return count;
}
