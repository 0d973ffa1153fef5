/* stream.h - frames over a pair of pipes: the host's side never blocks, the worker's always does. */
#ifndef TDM_JOB_STREAM_H
#define TDM_JOB_STREAM_H

#include "job/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* ---- host: one frame on its way out; zeroed: none ---- */

struct tdm_outbox {
    struct tdm_frame frame;
    const void *payload; /* the caller's until all is written */
    size_t done, total;  /* bytes of header and payload together */
};

static inline bool tdm_outbox_empty(const struct tdm_outbox *outbox) { return outbox->done == outbox->total; }

/* Only into an empty one.  Nothing is written yet. */
void tdm_outbox_put(struct tdm_outbox *outbox, const struct tdm_frame *frame, const void *payload);

/* Writes as much as the pipe takes now.  0: all is written; -EAGAIN: there is more; -errno. */
int tdm_outbox_push(struct tdm_outbox *outbox, int fd);

/* ---- host: frames coming in; zeroed: nothing yet ---- */

struct tdm_inbox {
    struct tdm_frame frame; /* the one that is being read, or the last one */
    bool has_frame;         /* its header is whole */
    bool out_of_memory;     /* there was none for its payload, which is read and thrown away */
    char *payload;          /* allocated; followed by a 0 byte */
    size_t payload_got;
    size_t start, end; /* of what is in the buffer */
    char buffer[4096];
};

/* Reads on.  1: a frame is whole; its payload, if any, is the caller's to free.  -EAGAIN: not yet.  -EPIPE: the other side has
 * closed.  -EPROTO: no honest worker sent this.  -errno. */
int tdm_inbox_pull(struct tdm_inbox *inbox, int fd);

/* Is there something read already that is not taken yet? */
static inline bool tdm_inbox_has_more(const struct tdm_inbox *inbox) { return inbox->start < inbox->end; }

/* Frees what is half-read. */
void tdm_inbox_clear(struct tdm_inbox *inbox);

/* ---- worker ---- */

struct tdm_channel {
    int in, out;
    size_t start, end; /* of what is in the buffer */
    char buffer[16384];
};

/* False: the host is gone. */
bool tdm_channel_read(struct tdm_channel *channel, void *to, size_t size);
bool tdm_channel_skip(struct tdm_channel *channel, size_t size);

/* 0 or -errno; the whole frame, or the channel is broken. */
int tdm_channel_write(struct tdm_channel *channel, const struct tdm_frame *frame, const void *payload);

#endif
