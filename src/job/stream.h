/* stream.h - frames between host and worker: the host's side never blocks, the worker's always does.
 *
 * The bytes go through a pair of pipes, or through a pair of rings in shared memory.  With rings, the pipe of replies is only the bell, rung
 * when the reactor sleeps; a waiting thread of the host's, and the worker, sleep on words beside the rings. */
#ifndef TDM_JOB_STREAM_H
#define TDM_JOB_STREAM_H

#include "base/fault.h"
#include "base/turn.h"
#include "job/frame.h"
#include "job/mail.h"
#include "job/ring.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* One direction, as one side has it. */
struct tdm_way {
    int fd;                  /* of the pipe */
    struct tdm_ring ring;    /* without counts: all bytes go through the pipe */
    struct tdm_rings *rings; /* whose ring it is; NULL: none */
};

/* Adaptive watching: longer while it pays, shorter while it does not. */
struct tdm_watch {
    uint32_t now_ns, most_ns; /* most: not 0 only where there are processors for both sides */
    uint32_t short_sleeps;    /* since the last watch that paid, or was tried */
    uint32_t late;            /* watches in a row that found what they looked for only after others had had the processor */
    struct tdm_turn turn;     /* where there are not, or over pipes: giving way instead */
};

static inline bool tdm_way_has_ring(const struct tdm_way *way) { return way->rings != NULL; }

/* Is there something to read, or room to write, that this side has not seen yet?  Looked at until it is so, or the watch is over. */
bool tdm_way_watch(const struct tdm_way *way, bool writes, struct tdm_watch *watch);
/* The same in the middle of a frame: not adaptive, for it is known that there is more to come. */
bool tdm_way_watch_amid(const struct tdm_way *way, bool writes, const struct tdm_watch *watch);
/* Sleeps while the word is that wish, and learns from how long it took. */
uint64_t tdm_way_sleep(_Atomic uint32_t *word, uint32_t wish, struct tdm_watch *watch, uint64_t deadline_ns); /* how long */

/* ---- host: one frame on its way out; zeroed: none ---- */

struct tdm_outbox {
    struct tdm_frame frame;
    const void *payload; /* the caller's until all is written */
    size_t done, total;  /* bytes of header and payload together */
};

static inline bool tdm_outbox_empty(const struct tdm_outbox *outbox) { return outbox->done == outbox->total; }

/* Only into an empty one.  Nothing is written yet. */
void tdm_outbox_put(struct tdm_outbox *outbox, const struct tdm_frame *frame, const void *payload);

/* Writes as much as there is room for now, and wakes the worker.  0: all is written; -EAGAIN: there is more; -errno.  or_bell: of a ring,
 * the worker is to ring when there is room for more. */
int tdm_outbox_push(struct tdm_outbox *outbox, struct tdm_way *way, bool or_bell);

/* Of a ring, without the outbox, which is empty: the frame is copied whole, and published with others.  0; -errno: nothing has happened. */
int tdm_way_put(struct tdm_way *way, const struct tdm_frame *frame, const void *payload);
void tdm_way_publish(struct tdm_way *way);

/* The same for a frame without a payload that is made where it will lie; NULL: it cannot be.  Made elsewhere it would have to be copied, which
 * waits until the processor has done all that it was told to write before, to memory that the worker's has. */
static inline struct tdm_frame *tdm_way_place(struct tdm_way *way) { return tdm_ring_place(&way->ring, sizeof(struct tdm_frame)); }
static inline int tdm_way_put_placed(struct tdm_way *way)
{
    const size_t size = sizeof(struct tdm_frame);
    int fault = tdm_fault(TDM_FAULT_host_write);
    if (fault != 0) return -fault;
    if (tdm_fault_short(TDM_FAULT_host_write, size) < size) return -EAGAIN;
    tdm_ring_put_placed(&way->ring, size);
    return 0;
}

/* ---- host: frames coming in; zeroed: nothing yet ---- */

struct tdm_inbox {
    struct tdm_frame frame; /* the one that is being read, or the last one */
    bool has_frame;         /* its header is whole */
    bool out_of_memory;     /* there was none for its payload, which is read and thrown away */
    char *payload;          /* allocated; followed by a 0 byte */
    struct tdm_mail *mail;  /* of a message: then the payload lies in it */
    size_t payload_got;
    size_t start, end; /* of what is in the buffer */
    char buffer[4096];
};

/* Reads on.  1: a frame is whole; its payload or mail, if any, is the caller's to free.  -EAGAIN: not yet.  -EPIPE: the other side has
 * closed.  -EPROTO: no honest worker sent this.  -errno. */
int tdm_inbox_pull(struct tdm_inbox *inbox, struct tdm_way *way);

/* Is there something read already that is not taken yet? */
static inline bool tdm_inbox_has_more(const struct tdm_inbox *inbox) { return inbox->start < inbox->end; }

/* Has a header been read already that is not taken yet? */
static inline bool tdm_inbox_has_header(const struct tdm_inbox *inbox)
{
    return !inbox->has_frame && inbox->end - inbox->start >= sizeof inbox->frame;
}

/* The next frame is a reply without an output, and has been read already: it is in the inbox now. */
bool tdm_inbox_pull_bare_reply(struct tdm_inbox *inbox);
/* It is to be pulled again. */
static inline void tdm_inbox_put_bare_back(struct tdm_inbox *inbox) { inbox->start -= sizeof inbox->frame; }

/* Frees what came with a whole frame and nobody wants. */
void tdm_inbox_drop(struct tdm_inbox *inbox);

/* Frees what is half-read. */
void tdm_inbox_clear(struct tdm_inbox *inbox);

/* ---- worker ---- */

struct tdm_channel {
    struct tdm_way in, out;
    struct tdm_watch watch;
    bool owes_look;                    /* a reply is published; whether the host sleeps is still to be looked at */
    bool owes_bell;                    /* a reply is published and the reactor not called yet */
    bool lost;                         /* its pipe is gone: the host cannot be called any more */
    uint64_t slept_ns;                 /* ever */
    size_t start, end;                 /* of what is in the buffer */
    const _Atomic uint64_t *next_word; /* most likely the one that the host writes before the next frame; NULL: not known */
    uint64_t next_offer;               /* and what it writes there */
    char buffer[16384];
};

/* Is there something to read without waiting? */
bool tdm_channel_has_more(const struct tdm_channel *channel);

/* Waits for that, but not longer.  False: the time is over. */
bool tdm_channel_wait(struct tdm_channel *channel, uint64_t deadline_ns);

/* Calls the reactor if it is still to be called.  A thread that waits for the reply takes it within a microsecond, and then need not be:
 * so the bell is put off until the worker has watched that long, sleeps, or takes up its next task. */
void tdm_channel_settle(struct tdm_channel *channel);
/* A message is published, and what the worker does next may take long: the same, unless a thread takes it within that microsecond. */
void tdm_channel_settle_soon(struct tdm_channel *channel);
/* The worker is about to read an input of so many bytes, and to run the task.  Not yet, if the host would rather have it later and there is
 * another task behind this one. */
void tdm_channel_settle_before_task(struct tdm_channel *channel, size_t payload);

/* False: the host is gone. */
bool tdm_channel_read(struct tdm_channel *channel, void *to, size_t size);
bool tdm_channel_skip(struct tdm_channel *channel, size_t size);

/* Where the next frame will lie, if it has no payload and can be made there; else NULL. */
struct tdm_frame *tdm_channel_place(struct tdm_channel *channel);
/* It has been made there, and is published.  False: nothing has happened.  Nobody is woken for it yet: the caller goes on to a read-modify-write
 * that it has to make anyway, and then calls tdm_channel_look_after_rmw. */
bool tdm_channel_put_placed(struct tdm_channel *channel);
void tdm_channel_look_after_rmw(struct tdm_channel *channel);

/* 0 or -errno; the whole frame, or the channel is broken. */
int tdm_channel_write(struct tdm_channel *channel, const struct tdm_frame *frame, const void *payload);

#endif
