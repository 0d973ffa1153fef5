/* reading_pipes.h - a worker's replies that come over a pipe: what the thread that reads them sleeps on, and when the reactor listens.
 *
 * The reactor must not listen to what a thread sleeps on. tests/model/pipes.pml is a model of this. */
#ifndef TDM_PROCESS_READING_PIPES_H
#define TDM_PROCESS_READING_PIPES_H

#include "process/slot.h"

/* With the lock held.  What is in the pipe already, or will be, wakes the reactor; or only its end does. */
void tdm_reading_listen_to_pipe(struct tdm_slot *slot);
void tdm_reading_hush_pipe(struct tdm_slot *slot);

/* With the right, by a thread: before it reads for the first time, and when it has found nothing.  Both may return before there is something. */
void tdm_reading_begin_at_pipe(struct tdm_slot *slot, uint64_t deadline_ns);
void tdm_reading_sleep_on_pipe(struct tdm_slot *slot, uint64_t deadline_ns);

#endif
