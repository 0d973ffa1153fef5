/* replies.h - what a worker's replies bring: a task's end, the worker's own start, what was wrong with it.
 *
 * For the thread that has the right to read (reading.h), once the inbox has a frame. */
#ifndef TDM_PROCESS_REPLIES_H
#define TDM_PROCESS_REPLIES_H

#include "process/slot.h"

/* A thread.  Takes the frame, and of the replies behind it those that are at hand; how many.  0: it is for the reactor, and nothing has
 * happened. */
int tdm_replies_take_plain(struct tdm_slot *slot);

/* What it has taken is no longer open in the ledger.  While it still has the right. */
void tdm_replies_settle(struct tdm_slot *slot);

/* ---- the reactor ---- */

void tdm_replies_take_frame(struct tdm_slot *slot);

/* It has said that it is ready, and its guard who it is; or only one of the two yet. */
void tdm_replies_take_ready(struct tdm_slot *slot);

/* ---- any thread ---- */

/* With what the worker wrote to its standard error, should it have failed.  tally: that of who has the right, or NULL. */
void tdm_replies_finish(struct tdm_slot *slot, struct tdm_task *task, struct tdm_outcome *outcome, struct tdm_facts *facts,
                        struct tdm_tally *tally);

#endif
