/* ringing.h - what is asked of a worker while nobody reads its replies: to ring for each, later, or only if nobody comes by.
 *
 * The wish stands in a word beside the rings, which the worker looks at after each reply; see ring.h for what may stand there.  Over pipes,
 * where there is no such word, the reactor listens or does not.  All with the slot's lock held. */
#ifndef TDM_PROCESS_RINGING_H
#define TDM_PROCESS_RINGING_H

#include "process/slot.h"

/* A reader that is told later looks unprompted after that time; see tdm_reading_look. */
#define TDM_RINGING_LATER_NS 200000u

/* The worker is about to be given tasks, this one first. */
void tdm_ringing_expect(struct tdm_slot *slot, const struct tdm_task *first);
/* It has this one now: over pipes, where to listen takes a while; and of a task that is not like others. */
void tdm_ringing_handed_over(struct tdm_slot *slot, const struct tdm_task *task);

/* The reader lets go, and nobody else reads. */
bool tdm_ringing_can_be_later(const struct tdm_slot *slot);
bool tdm_ringing_is_brief(const struct tdm_slot *slot);
bool tdm_ringing_leave_to_next(struct tdm_slot *slot);
bool tdm_ringing_arm(struct tdm_slot *slot);

/* The reactor, without the lock: some time after somebody wished to be told later.  True: read what is there. */
bool tdm_ringing_look(struct tdm_slot *slot);

#endif
