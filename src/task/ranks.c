/* ranks.c - see ranks.h. */
#include "task/ranks.h"

void tdm_ranks_open(struct tdm_ranks *ranks)
{
    tdm_list_init(&ranks->high);
    tdm_list_init(&ranks->low);
}

struct tdm_node *tdm_ranks_turn(struct tdm_ranks *ranks, bool usual_waits)
{
    bool high = !tdm_list_empty(&ranks->high), low = !tdm_list_empty(&ranks->low);
    if (low && (ranks->low_passed >= TDM_OTHERS_BEFORE_LOW || (!high && !usual_waits))) return &ranks->low;
    if (high && !(usual_waits && ranks->usual_passed >= TDM_HIGH_BEFORE_USUAL)) return &ranks->high;
    return NULL;
}

/* Of those that do not wait nobody has been overtaken. */
void tdm_ranks_took(struct tdm_ranks *ranks, const struct tdm_node *queue, bool usual_waits)
{
    bool low_waits = queue != &ranks->low && !tdm_list_empty(&ranks->low);
    ranks->low_passed = low_waits ? ranks->low_passed + 1 : 0;
    if (queue == &ranks->low) return;
    ranks->usual_passed = queue == &ranks->high && usual_waits ? ranks->usual_passed + 1 : 0;
}
