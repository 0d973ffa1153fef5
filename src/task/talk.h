/* talk.h - talking to a task from outside, and what its end does to that. */
#ifndef TDM_TASK_TALK_H
#define TDM_TASK_TALK_H

#include "task/mailbox.h"
#include "task/task.h"

/* The mailbox of a task that runs, made now if it has none.  NULL: no memory. */
struct tdm_mailbox *tdm_talk_mailbox(struct tdm_task *task);

/* The task is about to end: its mailbox is closed, and the caller's; the mark is taken off.  (Until it has ended a poster may make another.) */
struct tdm_mailbox *tdm_talk_end(struct tdm_task *task);

/* Something is wished of a task that has a mailbox: should it sleep there, it is to look. */
void tdm_talk_wake(struct tdm_task *task);

/* tandem_post(), not to be cancelled; with asking, who asks by it is in the mailbox's list if it was posted.  *mailbox: a reference for the caller to let go, or
 * NULL; with asking and 0 never NULL. */
int tdm_talk_post(tandem_task *task, const tandem_message *message, struct tdm_asking *asking, struct tdm_mailbox **mailbox,
                  int64_t timeout_ms);

/* A waiter for room is woken when half of what there may be has been taken; if the other side stops before, it finds room by looking
 * unprompted, less and less often. */
#define TDM_TALK_LOOK_NS      ((uint64_t)100000)
#define TDM_TALK_LOOK_MOST_NS ((uint64_t)10000000)

/* When to look next, with what the last time between two looks was (0 at first), but not after the deadline. */
uint64_t tdm_talk_next_look(uint64_t *between_ns, uint64_t deadline_ns);

/* Drops what a fork left of the parent's. */
void tdm_talk_reset(void);
/* Whoever was inside, for a task that had not ended, has left.  At the end of a pool. */
void tdm_talk_pass(void);

#endif
