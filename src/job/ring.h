/* ring.h - bytes in one direction between host and worker, in memory that both map.
 *
 * One producer, one consumer. tail counts the bytes that were ever published, head those that were ever taken; each is written by one side
 * only, so there is nothing to lock and a side that dies leaves nothing half-done: what was published is whole.  The other side may write
 * anything anywhere at any time.  So each side goes by its own copy of its own count, believes the other's only if it has not gone back and
 * lies within the ring, and copies bytes out before it looks at them.
 *
 * A side that goes to sleep says so in a word, looks at the ring once more, and sleeps; a side that publishes looks at the word
 * afterwards.  All of these are seq_cst (or have a read-modify-write between the publishing and the look), so one of the two sees the other
 * [ring-wish].  A wish is taken back by whoever fulfils it. */
#ifndef TDM_JOB_RING_H
#define TDM_JOB_RING_H

#include "base/atomics.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#define TDM_RING_SIZE  131072u /* bytes of each ring; a power of two */
#define TDM_RING_PIECE 16384u  /* what is published, or taken, at once: both sides are to copy at the same time, not by turns */

/* What the host wants when a reply has been published. */
enum tdm_host_wish {
    TDM_HOST_AWAKE = 0,
    TDM_HOST_BELL,  /* a byte in the pipe of replies: the reactor sleeps there */
    TDM_HOST_FUTEX, /* a wake-up: a thread that waits for its task sleeps on the word */
    /* the same, but not before the worker begins the last task it has: where workers need every processor, a host that wakes up for each reply
     * costs more than it brings.  Whoever wishes so looks unprompted after a while, because that task may never end */
    TDM_HOST_BELL_LATER,
    TDM_HOST_FUTEX_LATER,
    /* the bell, but a thread that submits comes by again and again: only when the worker has had nothing to do for so long that it seems not to.
     * Whoever wishes so has somebody look after a while, because the running task may never end */
    TDM_HOST_BELL_UNLESS_PASSED
};

/* What the host wants when half of the requests' ring is free. */
enum tdm_room_wish {
    TDM_ROOM_NOT_WANTED = 0,
    TDM_ROOM_BELL, /* the reactor hands the rest of an input over */
    TDM_ROOM_FUTEX /* a thread does, and sleeps on the word of its other wish */
};

/* What the worker, asleep on the word, waits for. */
enum tdm_worker_wish { TDM_NOT_ASLEEP = 0, TDM_ASLEEP_FOR_REQUESTS, TDM_ASLEEP_FOR_ROOM };

struct tdm_ring_counts {
    _Alignas(TDM_CACHE_LINE) _Atomic uint64_t tail; /* the producer's [ring-publish] */
    _Alignas(TDM_CACHE_LINE) _Atomic uint64_t head; /* the consumer's [ring-take] */
};

/* Shared, behind the control page. */
struct tdm_rings {
    struct tdm_ring_counts requests, replies;
    _Alignas(TDM_CACHE_LINE) _Atomic uint32_t
        host_wish; /* raised by the reader of replies; taken back by it, or by the worker [ring-wish] */
    _Alignas(TDM_CACHE_LINE) _Atomic uint32_t worker_wish; /* raised by the worker, taken back by either [ring-wish] */
    _Alignas(TDM_CACHE_LINE) _Atomic uint32_t
        host_wants_room; /* raised by whoever hands an input over, and taken back there, or by the worker [ring-wish] */
    _Alignas(TDM_CACHE_LINE) unsigned char bytes[2][TDM_RING_SIZE]; /* requests, replies */
};

/* One side's view of one ring.  Its own. */
struct tdm_ring {
    struct tdm_ring_counts *counts; /* NULL: there is none */
    unsigned char *bytes;
    uint64_t own;     /* the count that this side writes */
    uint64_t foreign; /* the other side's, as last seen and believed */
};

struct tdm_ring tdm_ring_of_requests(struct tdm_rings *rings);
struct tdm_ring tdm_ring_of_replies(struct tdm_rings *rings);

/* The producer: copies as much as fits now, at most a piece, and publishes it.  How much; -EAGAIN: there is no room; -EPROTO: the other
 * side has written nonsense. */
ssize_t tdm_ring_write(struct tdm_ring *ring, const struct iovec *parts, int count);

/* The producer: copies all of it, without publishing it yet.  False: there is not so much room, or the other side has written nonsense. */
bool tdm_ring_put(struct tdm_ring *ring, const void *header, size_t header_size, const void *rest, size_t size);
void tdm_ring_publish(struct tdm_ring *ring);
void tdm_ring_publish_before_rmw(struct tdm_ring *ring); /* the caller makes one before it looks whether the consumer sleeps */

/* The producer: where what is put next would lie, if there is room for all of it there, as far as is known, in one piece that any type may lie
 * in; else NULL. */
void *tdm_ring_place(struct tdm_ring *ring, size_t size);
/* What was written there counts as put.  It is not looked at any more, for the other side may write there, too. */
static inline void tdm_ring_put_placed(struct tdm_ring *ring, size_t size) { ring->own += size; }

/* The producer: so much will be put soon. */
void tdm_ring_expect(const struct tdm_ring *ring, size_t size);

/* The consumer: takes up to size bytes, at most a piece, to NULL: throws them away.  How many; -EAGAIN: there is nothing; -EPROTO. */
ssize_t tdm_ring_read(struct tdm_ring *ring, void *to, size_t size);

/* The consumer: copies what there is, if that is exactly so much, and lies in one piece; it is not taken yet. */
bool tdm_ring_peek_all(const struct tdm_ring *ring, void *to, size_t size);
void tdm_ring_take_peeked(struct tdm_ring *ring, size_t size); /* far less than half a ring; the producer need not be woken */

/* Is there something to read; or, for the producer, more room than it has seen?  For who watches, or looks once more before it sleeps. */
static inline bool tdm_ring_has_news(const struct tdm_ring *ring, bool produces)
{
    if (produces) return load_seq(&ring->counts->head) != ring->foreign; /* [ring-take] */
    return load_seq(&ring->counts->tail) != ring->own;                   /* [ring-publish] */
}

/* The consumer: how much has been published that it has not taken. */
static inline size_t tdm_ring_published(const struct tdm_ring *ring)
{
    return (size_t)(load_seq(&ring->counts->tail) - ring->own); /* [ring-publish] */
}

/* The producer: is there no room at all?  The other side's nonsense is found when it writes. */
static inline bool tdm_ring_is_full(const struct tdm_ring *ring)
{
    return ring->own - load_seq(&ring->counts->head) == TDM_RING_SIZE; /* [ring-take] */
}

/* The producer: has all that was published been taken? */
static inline bool tdm_ring_is_taken(const struct tdm_ring *ring)
{
    return load_seq(&ring->counts->head) == ring->own; /* [ring-take] */
}

/* The producer: how much there is at least. */
static inline size_t tdm_ring_room(const struct tdm_ring *ring)
{
    uint64_t used = ring->own - load_seq(&ring->counts->head); /* [ring-take] */
    return used > TDM_RING_SIZE ? 0 : TDM_RING_SIZE - (size_t)used;
}

/* Is at least half of it free, as far as this side, the consumer, knows? */
static inline bool tdm_ring_is_half_free(const struct tdm_ring *ring) { return ring->foreign - ring->own <= TDM_RING_SIZE / 2; }

#endif
