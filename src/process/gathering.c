/* gathering.c - see gathering.h. */
#define _POSIX_C_SOURCE 200809L
#include "process/gathering.h"

#include "base/quick_clock.h"
#include "process/slot_inside.h"

#define FEW       4    /* so many are worth coming for */
#define GATHER_NS 600u /* mostly they are there within that; nobody waits longer, for one may be there already */
#define IN_HAND   6    /* with so many left the worker has more than FEW to answer */

void tdm_gathering_note(struct tdm_slot *slot)
{
    slot->gathers = slot->in_hand >= IN_HAND && tdm_slot_is_tiny(slot) && tdm_way_has_ring(&slot->in) && slot->watch.most_ns != 0;
}

/* Where both sides are on one processor nothing comes while this side looks. */
static bool gathers(const struct tdm_slot *slot)
{
    return slot->gathers && slot->watch.late == 0 && !tdm_inbox_has_more(&slot->inbox);
}

void tdm_gathering_wait(const struct tdm_slot *slot)
{
    if (!gathers(slot) || tdm_ring_published(&slot->in.ring) >= FEW * sizeof(struct tdm_frame)) return;
    uint64_t begun_ns = tdm_quick_clock_now();
    while (tdm_quick_clock_now() - begun_ns < GATHER_NS) tdm_pause();
}

bool tdm_gathering_goes_on(const struct tdm_slot *slot, int taken) { return taken < FEW && gathers(slot); }
