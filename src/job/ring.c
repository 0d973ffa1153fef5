/* ring.c - bytes in one direction between host and worker, in memory that both map. */
#define _POSIX_C_SOURCE 200809L
#include "job/ring.h"

#include <errno.h>
#include <string.h>

_Static_assert((TDM_RING_SIZE & (TDM_RING_SIZE - 1)) == 0, "a place is a count without its upper bits");

struct tdm_ring tdm_ring_of_requests(struct tdm_rings *rings)
{
    return (struct tdm_ring){.counts = &rings->requests, .bytes = rings->bytes[0]};
}

struct tdm_ring tdm_ring_of_replies(struct tdm_rings *rings)
{
    return (struct tdm_ring){.counts = &rings->replies, .bytes = rings->bytes[1]};
}

/* In two parts where the ring's end lies between.  to or from NULL: no copy. */
static void copy_in(struct tdm_ring *ring, uint64_t at, const unsigned char *from, size_t size)
{
    size_t place = (size_t)(at & (TDM_RING_SIZE - 1)), first = TDM_RING_SIZE - place;
    if (first > size) first = size;
    memcpy(ring->bytes + place, from, first);
    if (size > first) memcpy(ring->bytes, from + first, size - first);
}

static void copy_out(const struct tdm_ring *ring, uint64_t at, unsigned char *to, size_t size)
{
    size_t place = (size_t)(at & (TDM_RING_SIZE - 1)), first = TDM_RING_SIZE - place;
    if (first > size) first = size;
    memcpy(to, ring->bytes + place, first);
    if (size > first) memcpy(to + first, ring->bytes, size - first);
}

/* The consumer's count moves between what it was and what was published. */
static bool see_head(struct tdm_ring *ring)
{
    uint64_t head = load_seq(&ring->counts->head); /* what was read there has been copied out [ring-take] */
    if (head - ring->foreign > ring->own - ring->foreign) return false;
    ring->foreign = head;
    return true;
}

static bool see_tail(struct tdm_ring *ring)
{
    uint64_t tail = load_seq(&ring->counts->tail); /* and what lies before it [ring-publish] */
    if (tail - ring->foreign > ring->own + TDM_RING_SIZE - ring->foreign) return false;
    ring->foreign = tail;
    return true;
}

ssize_t tdm_ring_write(struct tdm_ring *ring, const struct iovec *parts, int count)
{
    size_t room = TDM_RING_SIZE - (size_t)(ring->own - ring->foreign), wanted = 0, done = 0;
    for (int i = 0; i < count; i++) wanted += parts[i].iov_len;
    if (wanted > TDM_RING_PIECE) wanted = TDM_RING_PIECE;
    if (room < wanted) {
        if (!see_head(ring)) return -EPROTO;
        room = TDM_RING_SIZE - (size_t)(ring->own - ring->foreign);
    }
    if (room == 0) return -EAGAIN;
    if (wanted > room) wanted = room;
    for (int i = 0; i < count && done < wanted; i++) {
        size_t now = parts[i].iov_len < wanted - done ? parts[i].iov_len : wanted - done;
        copy_in(ring, ring->own + done, parts[i].iov_base, now);
        done += now;
    }
    ring->own += done;
    store_seq(&ring->counts->tail, ring->own); /* [ring-publish] */
    return (ssize_t)done;
}

void *tdm_ring_place(struct tdm_ring *ring, size_t size)
{
    size_t place = (size_t)(ring->own & (TDM_RING_SIZE - 1));
    bool has_room = TDM_RING_SIZE - (size_t)(ring->own - ring->foreign) >= size;
    return has_room && place % sizeof(uint64_t) == 0 && TDM_RING_SIZE - place >= size ? ring->bytes + place : NULL;
}

void tdm_ring_expect(const struct tdm_ring *ring, size_t size)
{
    for (uint64_t at = ring->own; at - ring->own < size; at += TDM_CACHE_LINE)
        tdm_prefetch(ring->bytes + (at & (TDM_RING_SIZE - 1)));
}

bool tdm_ring_put(struct tdm_ring *ring, const void *header, size_t header_size, const void *rest, size_t size)
{
    size_t wanted = header_size + size;
    if (TDM_RING_SIZE - (size_t)(ring->own - ring->foreign) < wanted &&
        (!see_head(ring) || TDM_RING_SIZE - (size_t)(ring->own - ring->foreign) < wanted))
        return false;
    copy_in(ring, ring->own, header, header_size);
    if (size > 0) copy_in(ring, ring->own + header_size, rest, size);
    ring->own += wanted;
    return true;
}

bool tdm_ring_peek_all(const struct tdm_ring *ring, void *to, size_t size)
{
    size_t place = (size_t)(ring->own & (TDM_RING_SIZE - 1));
    if (load_seq(&ring->counts->tail) - ring->own != size || TDM_RING_SIZE - place < size) return false; /* [ring-publish] */
    memcpy(to, ring->bytes + place, size);
    return true;
}

/* A producer that sleeps for room has filled the ring since, and who takes that out wakes it: so nothing here need be seen at once. */
void tdm_ring_take_peeked(struct tdm_ring *ring, size_t size)
{
    ring->own += size;
    ring->foreign = ring->own;
    store_release(&ring->counts->head, ring->own); /* [ring-take] */
}

void tdm_ring_publish_before_rmw(struct tdm_ring *ring) { store_before_rmw(&ring->counts->tail, ring->own); /* [ring-publish] */ }
void tdm_ring_publish(struct tdm_ring *ring) { store_seq(&ring->counts->tail, ring->own); /* [ring-publish] */ }

ssize_t tdm_ring_read(struct tdm_ring *ring, void *to, size_t size)
{
    if (ring->foreign == ring->own && !see_tail(ring)) return -EPROTO;
    size_t there = (size_t)(ring->foreign - ring->own);
    if (there == 0) return -EAGAIN;
    if (size > there) size = there;
    if (size > TDM_RING_PIECE) size = TDM_RING_PIECE;
    if (to) copy_out(ring, ring->own, to, size);
    ring->own += size;
    store_seq(&ring->counts->head, ring->own); /* [ring-take] */
    return (ssize_t)size;
}
