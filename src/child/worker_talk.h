/* worker_talk.h - how a task in a worker process talks to its submitter, through the stream that brings the worker its tasks. */
#ifndef TDM_CHILD_WORKER_TALK_H
#define TDM_CHILD_WORKER_TALK_H

#include "job/context.h"
#include "job/control.h"
#include "job/stream.h"

#include <stdbool.h>

/* Once.  socket: for descriptors. */
void tdm_worker_talk_open(struct tdm_channel *channel, struct tdm_control *control, int socket);
/* The window of the pool's shared memory, or none. */
void tdm_worker_talk_share(uintptr_t address, size_t size);

/* Reads what was set for the pool by then; version 0: nothing.  False: it could not be had. */
bool tdm_worker_talk_set_data(int32_t version, uint64_t size);

extern const struct tdm_talk_ops tdm_worker_talk;

/* The task is about to be claimed; has been; and its run is over: before its reply. */
void tdm_worker_talk_begin(const struct tdm_frame *task);
void tdm_worker_talk_claimed(void);
void tdm_worker_talk_tell_start(void); /* it begins, if that is to be told */
void tdm_worker_talk_end(void);
bool tdm_worker_talk_has_progressed(void); /* it has said how far it is */

/* A message that is thrown away: what has come with it. */
void tdm_worker_talk_skip_fds(const struct tdm_frame *message);

/* ---- what came while a task listened, and was not for it ---- */

/* The next of them, if there is one: its payload is had from the next calls, not from the stream. */
bool tdm_worker_talk_next(struct tdm_frame *frame);
bool tdm_worker_talk_has_next(void);
/* Is this what was given last?  Then its input, which tdm_payload_free() frees; false: there was no memory for it. */
bool tdm_worker_talk_gave(void);
bool tdm_worker_talk_input(void **input);

#endif
