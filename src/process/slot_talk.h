/* slot_talk.h - what is written to a worker besides tasks, and what it sends besides replies: messages. */
#ifndef TDM_PROCESS_SLOT_TALK_H
#define TDM_PROCESS_SLOT_TALK_H

#include "process/slot.h"

/* ---- with the slot's lock held ---- */

/* Writes what is in the outbox, and then what else is to be written, as far as there is room.  As tdm_outbox_push. */
int tdm_slot_push(struct tdm_slot *slot, bool or_bell);

/* A task has been handed over, or is taken back before the worker has begun it, and will be handed to another. */
void tdm_slot_talk_begin(struct tdm_slot *slot, const struct tdm_entry *entry);
void tdm_slot_talk_take_back(struct tdm_slot *slot, struct tdm_task *task, uint64_t sequence);
/* The worker has died with a task that it had begun: what it was not sent wholly may be for the next run. */
void tdm_slot_talk_died(struct tdm_slot *slot, struct tdm_task *task, uint64_t sequence);

/* It was taken back before the worker has begun it, which works on: what was wished of it is wished no more. */
void tdm_slot_talk_revoked(struct tdm_slot *slot, const struct tdm_entry *entry);

/* How far the task that the worker has begun says it is. */
void tdm_slot_progress(struct tdm_slot *slot, const struct tdm_entry *entry, uint64_t *done, uint64_t *total);

/* ---- with no lock: any thread ---- */

void tdm_slot_read_progress(struct tdm_slot *slot, const struct tdm_task *task, uint64_t *done, uint64_t *total);

bool tdm_slot_posted(struct tdm_slot *slot, struct tdm_task *task); /* false: that is not its task now */
void tdm_slot_consumed(struct tdm_mailbox *mailbox);

enum tdm_said { TDM_SAID_RIGHT, TDM_SAID_TOO_LATE, TDM_SAID_WRONG, TDM_SAID_NO_MEMORY };

/* Whoever reads its replies has got a message, or word that there is room.  only_plain: nothing happens unless all is as always. */
enum tdm_said tdm_slot_talk_take(struct tdm_slot *slot, bool only_plain);

#endif
