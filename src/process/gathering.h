/* gathering.h - a thread that waits for one of many brief tasks lets some replies come before it looks for them.
 *
 * Who looks all the time sees each reply as soon as it is published, takes that one, and looks again.  So each takes with it, from one processor
 * to the other and back, the count that both sides look at, and the worker waits for that longer than many a task takes.  Who comes for several
 * at once leaves the worker alone meanwhile. */
#ifndef TDM_PROCESS_GATHERING_H
#define TDM_PROCESS_GATHERING_H

#include "process/slot.h"

/* With the lock held, when replies have been taken: are more to come, soon and one right after the other? */
void tdm_gathering_note(struct tdm_slot *slot);

/* With the right to read.  Lets some come, unless they are there. */
void tdm_gathering_wait(const struct tdm_slot *slot);
/* So few have come together, and more will soon: whoever waits for those comes for them. */
bool tdm_gathering_goes_on(const struct tdm_slot *slot, int taken);

#endif
