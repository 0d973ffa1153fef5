/* plain.h - process tasks that ask for nothing but to be run: no time limits, no callbacks, no group, no flags.  Most of what is done for
 * each of the others is done for these once for several, or not at all. */
#ifndef TDM_PROCESS_PLAIN_H
#define TDM_PROCESS_PLAIN_H

#include "process/process_lane.h"

/* A submit, whole: from the claim of the task on.  called: the thread waits for it at once.  False: nothing was done; it is a matter for a
 * submit as others need it. */
bool tdm_plain_submit(struct tdm_process_lane *lane, tandem_task *task, bool called);

/* With the ledger's lock held: takes up to room of those that wait first, as the next for this slot, which has so many in hand; they go to the
 * end of the list.  How many. */
unsigned tdm_plain_take(struct tdm_process_lane *lane, struct tdm_slot *slot, unsigned in_hand, unsigned room,
                        struct tdm_node *tasks);

#endif
