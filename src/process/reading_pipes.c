/* reading_pipes.c - a worker's replies that come over a pipe: what the thread that reads them sleeps on, and when the reactor listens. */
#define _POSIX_C_SOURCE 200809L
#include "process/reading_pipes.h"

#include "base/fds.h"

static bool is_hushed(const struct tdm_slot *slot) { return load_seq(&slot->reply_source.hushed) != 0; /* [source-hushed] */ }

void tdm_reading_listen_to_pipe(struct tdm_slot *slot)
{
    if (is_hushed(slot)) tdm_reactor_hush(&slot->reply_source, false);
}

/* What it costs to hush the reactor is to be paid once, not for each task: so it stays so until something may come that nobody reads. */
void tdm_reading_hush_pipe(struct tdm_slot *slot)
{
    if (!is_hushed(slot)) tdm_reactor_hush(&slot->reply_source, true);
}

/* A thread that is called first empties the bell, then looks whether it is to look up. */
void tdm_reading_sleep_on_pipe(struct tdm_slot *slot, uint64_t deadline_ns)
{
    if (load_seq(&slot->look_up) != 0) return; /* [look-up] */
    if (tdm_turn_give(&slot->watch.turn)) return;
    if (tdm_fds_wait(slot->in.fd, slot->call[0], deadline_ns)) tdm_fds_empty(slot->call);
}

/* After one reply it is known which comes next, and which word the worker moves when it has written that.  If a worker lies about it, this thread
 * reads in vain once, or sleeps first. */
static bool may_have_come(const struct tdm_slot *slot)
{
    const struct tdm_frame *last = &slot->inbox.frame;
    if (slot->has_held || tdm_inbox_has_more(&slot->inbox) || last->kind != TDM_FRAME_REPLY) return true;
    return tdm_control_is(slot->control, (last->entry + 1u) % TDM_IN_HAND, last->sequence + 1, TDM_FINISHED);
}

/* A look in vain costs as much as the reply: where none is expected yet, the sleep tells when it has come. */
void tdm_reading_begin_at_pipe(struct tdm_slot *slot, uint64_t deadline_ns)
{
    tdm_turn_paid(&slot->watch.turn); /* what was given way for last has come */
    if (!may_have_come(slot)) tdm_reading_sleep_on_pipe(slot, deadline_ns);
}
