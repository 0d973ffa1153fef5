/* gathering.h - a thread that waits for one of many brief tasks lets some replies come before it looks for them.
 *
 * A reader that looks all the time sees each reply as soon as it is published, takes that one, and looks again.  So for each reply the counts that
 * both sides look at go from one processor to the other and back, and the worker waits for them longer than many a task takes.  A reader that comes
 * for several at once leaves the worker alone meanwhile. */
#ifndef TDM_PROCESS_GATHERING_H
#define TDM_PROCESS_GATHERING_H

#include "process/slot.h"

/* With the lock held, when replies have been taken: notes whether more are to come, soon and one right after the other. */
void tdm_gathering_note(struct tdm_slot *slot);

/* With the right to read.  Lets some come, unless they are there already. */
void tdm_gathering_wait(const struct tdm_slot *slot);
/* True: so few have come together, and more will so soon, that a thread which has what it wanted leaves them to whoever waits for those. */
bool tdm_gathering_goes_on(const struct tdm_slot *slot, int taken);

#endif
