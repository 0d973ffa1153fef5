/* stream.c - frames between host and worker, over pipes or rings. */
#define _POSIX_C_SOURCE 200809L
#include "job/stream.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fds.h"
#include "base/futex.h"
#include "base/quick_clock.h"
#include "job/payload.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Some systems refuse more than INT_MAX at a time. */
#define AT_ONCE ((size_t)1 << 30)

/* ---- the other side's sleep ---- */

/* Host: whoever takes the wish back wakes; the word may be anything, for the worker writes there. */
static void wake_worker(struct tdm_rings *rings)
{
    if (exchange_seq(&rings->worker_wish, TDM_NOT_ASLEEP) != TDM_NOT_ASLEEP) /* [ring-wish] */
        tdm_futex_wake_shared(&rings->worker_wish, 1);
}

static void wake_worker_if_asleep(struct tdm_rings *rings)
{
    if (load_seq(&rings->worker_wish) != TDM_NOT_ASLEEP) wake_worker(rings);
}

static void after_host_read(const struct tdm_way *way)
{
    if (load_seq(&way->rings->worker_wish) == TDM_ASLEEP_FOR_ROOM && tdm_ring_is_half_free(&way->ring)) wake_worker(way->rings);
}

/* Worker. */
static void ring_bell(struct tdm_channel *channel)
{
    char byte = 0;
    struct iovec part = {&byte, 1};
    if (tdm_fds_writev(channel->out.fd, &part, 1) != 1) channel->lost = true;
}

/* The host may take its wish back at the same moment. */
static void wake_host(struct tdm_rings *rings)
{
    uint32_t wish = TDM_HOST_FUTEX;
    if (cas_seq(&rings->host_wish, &wish, TDM_HOST_AWAKE)) tdm_futex_wake_shared(&rings->host_wish, 1); /* [ring-wish] */
}

static bool is_later(uint32_t wish) { return wish == TDM_HOST_BELL_LATER || wish == TDM_HOST_FUTEX_LATER; }

static bool is_bell(uint32_t wish) { return wish == TDM_HOST_BELL || wish == TDM_HOST_BELL_UNLESS_PASSED; }

/* After a reply was published. */
static void after_worker_write(struct tdm_channel *channel)
{
    uint32_t wish = load_seq(&channel->out.rings->host_wish); /* [ring-wish] */
    if (is_bell(wish) || is_later(wish)) channel->owes_bell = true;
    if (wish == TDM_HOST_FUTEX) wake_host(channel->out.rings);
}

/* A wish that was raised since the reply was published has seen it: who sleeps looks once more before. */
void tdm_channel_settle(struct tdm_channel *channel)
{
    if (!channel->owes_bell) return;
    channel->owes_bell = false;
    uint32_t wish = load_seq(&channel->out.rings->host_wish);
    bool wants = is_bell(wish) || is_later(wish);
    if (!wants || !cas_seq(&channel->out.rings->host_wish, &wish, TDM_HOST_AWAKE)) return; /* [ring-wish] */
    if (wish == TDM_HOST_FUTEX_LATER)
        tdm_futex_wake_shared(&channel->out.rings->host_wish, 1);
    else
        ring_bell(channel);
}

void tdm_channel_settle_before_task(struct tdm_channel *channel, size_t payload)
{
    if (!channel->owes_bell) return;
    uint32_t wish = load_seq(&channel->out.rings->host_wish);
    if (wish == TDM_HOST_BELL_UNLESS_PASSED) return;
    size_t there = channel->end - channel->start + tdm_ring_published(&channel->in.ring);
    if (!is_later(wish) || there <= payload) tdm_channel_settle(channel);
}

static void after_worker_read(struct tdm_channel *channel)
{
    struct tdm_rings *rings = channel->in.rings;
    if (load_seq(&rings->host_wants_room) == TDM_ROOM_NOT_WANTED || !tdm_ring_is_half_free(&channel->in.ring)) return;
    uint32_t wish = exchange_seq(&rings->host_wants_room, TDM_ROOM_NOT_WANTED); /* [ring-wish] */
    if (wish == TDM_ROOM_BELL) ring_bell(channel);
    if (wish == TDM_ROOM_FUTEX) wake_host(rings);
}

/* ---- watching ---- */

#define WATCH_LEAST_NS 5000u
#define LOOKS          16 /* between two looks at the clock */

/* The other side may be waiting for this very processor, though there are more: after a moment it is let go first; at once, where it was so the
 * last time.  Where nobody waits that costs little. */
#define YIELD_AFTER_NS 3000u
#define AWAY_NS        1500u /* a round of looks and a yield take less, unless somebody else had the processor */

enum found { NOTHING, FOUND, FOUND_LATE };

static enum found watch_for(const struct tdm_way *way, bool writes, uint64_t ns, uint64_t yield_after_ns)
{
    uint64_t begun = tdm_clock_ns(), passed = 0;
    enum found found = FOUND;
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (tdm_ring_has_news(&way->ring, writes)) return found;
            tdm_pause();
        }
        uint64_t before = passed;
        bool yields = before >= yield_after_ns;
        if (yields) sched_yield();
        passed = tdm_clock_ns() - begun;
        if (yields && passed - before > AWAY_NS) found = FOUND_LATE;
    } while (passed < ns);
    return NOTHING;
}

/* Where both sides sleep, each sees the other's wake-up in its own wait, and a watch as short as it has become never pays.  So after some
 * sleeps that were short one watch is as long as may be.  Where there is no processor free for the other side, it does not pay either, and
 * costs its time once in so many waits. */
#define SHORT_SLEEP   4 /* times the longest watch */
#define SLEEPS_TO_TRY 8

/* Where both sides are on one processor they go on by turns, although another may be free: the system moves only who wakes up. */
#define LATE_MOST 4

/* While both sides give way neither sleeps, and neither has to wake the other. */
static bool give_way(const struct tdm_way *way, bool writes, struct tdm_watch *watch)
{
    tdm_turn_give(&watch->turn);
    bool found = tdm_ring_has_news(&way->ring, writes);
    if (found) tdm_turn_paid(&watch->turn);
    return found;
}

bool tdm_way_watch(const struct tdm_way *way, bool writes, struct tdm_watch *watch)
{
    if (watch->most_ns == 0) return give_way(way, writes, watch);
    if (watch->late >= LATE_MOST) {
        watch->late = 0;
        return tdm_ring_has_news(&way->ring, writes);
    }
    if (watch->short_sleeps >= SLEEPS_TO_TRY) watch->now_ns = watch->most_ns;
    enum found found = watch_for(way, writes, watch->now_ns, watch->late > 0 ? 0 : YIELD_AFTER_NS);
    watch->late = found == FOUND_LATE ? watch->late + 1 : 0;
    uint32_t next_ns = found ? watch->now_ns * 2 : watch->short_sleeps >= SLEEPS_TO_TRY ? WATCH_LEAST_NS : watch->now_ns / 2;
    if (next_ns < WATCH_LEAST_NS) next_ns = WATCH_LEAST_NS;
    watch->now_ns = next_ns < watch->most_ns ? next_ns : watch->most_ns;
    if (found || watch->short_sleeps >= SLEEPS_TO_TRY) watch->short_sleeps = 0;
    return found != NOTHING;
}

/* The other side is at it, too, or was woken for it; and to wake up takes many times longer than a piece of a frame. */
bool tdm_way_watch_amid(const struct tdm_way *way, bool writes, const struct tdm_watch *watch)
{
    return watch->most_ns != 0 ? watch_for(way, writes, watch->most_ns, YIELD_AFTER_NS) != NOTHING
                               : tdm_ring_has_news(&way->ring, writes);
}

uint64_t tdm_way_sleep(_Atomic uint32_t *word, uint32_t wish, struct tdm_watch *watch, uint64_t deadline_ns)
{
    uint64_t before = tdm_clock_ns();
    tdm_futex_wait_shared(word, wish, deadline_ns);
    uint64_t slept = tdm_clock_ns() - before;
    if (slept <= (uint64_t)SHORT_SLEEP * watch->most_ns) watch->short_sleeps++;
    return slept;
}

/* ---- bytes ---- */

static ssize_t read_some(enum tdm_fault_point point, struct tdm_way *way, void *to, size_t size)
{
    int fault = tdm_fault(point);
    if (fault != 0) return -fault;
    if (tdm_way_has_ring(way) && !tdm_ring_has_news(&way->ring, false)) return -EAGAIN; /* no byte that would be counted below */
    size = tdm_fault_short(point, size);
    return tdm_way_has_ring(way) ? tdm_ring_read(&way->ring, to, size) : tdm_fds_read(way->fd, to, size);
}

/* Header and payload from a given byte on, in one system call. */
static ssize_t write_from(enum tdm_fault_point point, struct tdm_way *way, const struct tdm_frame *frame, const void *payload,
                          size_t done)
{
    struct iovec parts[2];
    int count = 0;
    size_t header_done = done < sizeof *frame ? done : sizeof *frame;
    if (header_done < sizeof *frame)
        parts[count++] = (struct iovec){(char *)(uintptr_t)frame + header_done, sizeof *frame - header_done};
    size_t payload_done = done - header_done;
    size_t payload_left = frame->payload - payload_done;
    if (payload_left > AT_ONCE) payload_left = AT_ONCE;
    if (payload_left > 0) parts[count++] = (struct iovec){(char *)(uintptr_t)payload + payload_done, payload_left};
    int fault = tdm_fault(point);
    if (fault != 0) return -fault;
    count = tdm_fault_cut(point, parts, count);
    return tdm_way_has_ring(way) ? tdm_ring_write(&way->ring, parts, count) : tdm_fds_writev(way->fd, parts, count);
}

void tdm_outbox_put(struct tdm_outbox *outbox, const struct tdm_frame *frame, const void *payload)
{
    *outbox = (struct tdm_outbox){.frame = *frame, .payload = payload, .total = sizeof *frame + frame->payload};
}

static int put(enum tdm_fault_point point, struct tdm_way *way, const struct tdm_frame *frame, const void *payload)
{
    size_t size = sizeof *frame + frame->payload;
    int fault = tdm_fault(point);
    if (fault != 0) return -fault;
    if (tdm_fault_short(point, size) < size) return -EAGAIN;
    return tdm_ring_put(&way->ring, frame, sizeof *frame, payload, frame->payload) ? 0 : -EAGAIN;
}

int tdm_way_put(struct tdm_way *way, const struct tdm_frame *frame, const void *payload)
{
    return put(TDM_FAULT_host_write, way, frame, payload);
}

void tdm_way_publish(struct tdm_way *way)
{
    tdm_ring_publish(&way->ring);
    wake_worker_if_asleep(way->rings);
}

/* The worker is to ring when it has taken some.  False: it has done so already. */
static bool want_room(const struct tdm_way *way)
{
    store_seq(&way->rings->host_wants_room, TDM_ROOM_BELL); /* [ring-wish] */
    return tdm_ring_is_full(&way->ring);
}

int tdm_outbox_push(struct tdm_outbox *outbox, struct tdm_way *way, bool or_bell)
{
    while (!tdm_outbox_empty(outbox)) {
        ssize_t now = write_from(TDM_FAULT_host_write, way, &outbox->frame, outbox->payload, outbox->done);
        if (now == -EAGAIN && or_bell && tdm_way_has_ring(way) && !want_room(way)) continue;
        if (now < 0) return (int)now;
        outbox->done += (size_t)now;
        if (tdm_way_has_ring(way)) wake_worker_if_asleep(way->rings);
    }
    return 0;
}

/* How much one pull reads of a large payload before the reactor looks after others. */
#define TURN ((size_t)4 << 20)

static ssize_t host_read(struct tdm_way *way, void *to, size_t size)
{
    ssize_t got = read_some(TDM_FAULT_host_read, way, to, size);
    if (got > 0 && tdm_way_has_ring(way)) after_host_read(way);
    return got;
}

static int fill_buffer(struct tdm_inbox *inbox, struct tdm_way *way)
{
    memmove(inbox->buffer, inbox->buffer + inbox->start, inbox->end - inbox->start);
    inbox->end -= inbox->start;
    inbox->start = 0;
    ssize_t got = host_read(way, inbox->buffer + inbox->end, sizeof inbox->buffer - inbox->end);
    if (got == 0) return -EPIPE;
    if (got < 0) return (int)got;
    inbox->end += (size_t)got;
    return 0;
}

/* The header is copied out first and judged as a copy. */
static int take_header(struct tdm_inbox *inbox)
{
    memcpy(&inbox->frame, inbox->buffer + inbox->start, sizeof inbox->frame);
    inbox->start += sizeof inbox->frame;
    if (!tdm_frame_is_from_worker(&inbox->frame)) return -EPROTO;
    inbox->has_frame = true;
    inbox->payload_got = 0;
    bool is_message = inbox->frame.kind == TDM_FRAME_MESSAGE && inbox->frame.flags == 0;
    bool wants_memory = is_message || inbox->frame.flags & TDM_FRAME_HAS_OUTPUT;
    size_t room = (size_t)inbox->frame.payload + 1; /* 0 where a size has 32 bits and the payload is the largest */
    inbox->mail = is_message ? tdm_mail_make(NULL, inbox->frame.payload) : NULL;
    inbox->payload = inbox->mail ? inbox->mail->bytes : NULL;
    if (wants_memory && !is_message && room != 0) inbox->payload = tdm_payload_fresh(room);
    inbox->out_of_memory = wants_memory && !inbox->payload;
    return 0;
}

void tdm_inbox_drop(struct tdm_inbox *inbox)
{
    if (inbox->mail)
        tdm_mail_free(inbox->mail);
    else
        free(inbox->payload);
    inbox->mail = NULL;
    inbox->payload = NULL;
}

static size_t take_buffered_payload(struct tdm_inbox *inbox)
{
    size_t left = inbox->frame.payload - inbox->payload_got, there = inbox->end - inbox->start;
    size_t now = left < there ? left : there;
    if (inbox->payload) memcpy(inbox->payload + inbox->payload_got, inbox->buffer + inbox->start, now);
    inbox->start += now;
    inbox->payload_got += now;
    return now;
}

/* Straight to its place; without one, through the buffer. */
static ssize_t read_payload(struct tdm_inbox *inbox, struct tdm_way *way)
{
    if (!inbox->payload) {
        int error = fill_buffer(inbox, way);
        return error != 0 ? error : (ssize_t)take_buffered_payload(inbox);
    }
    ssize_t got = host_read(way, inbox->payload + inbox->payload_got, inbox->frame.payload - inbox->payload_got);
    if (got == 0) return -EPIPE;
    if (got > 0) inbox->payload_got += (size_t)got;
    return got;
}

static bool is_bare_reply(const struct tdm_frame *frame)
{
    return frame->magic == TDM_FRAME_MAGIC && frame->kind == TDM_FRAME_REPLY && (frame->flags | frame->payload) == 0;
}

static void take_bare(struct tdm_inbox *inbox)
{
    inbox->payload = NULL;
    inbox->mail = NULL;
    inbox->out_of_memory = false;
}

/* The answer to a single call, alone in its ring: the buffer would cost more than it.  1; 0: it is something else, and is left where it is;
 * -errno. */
static int pull_single(struct tdm_inbox *inbox, struct tdm_way *way)
{
    struct tdm_frame *frame = &inbox->frame;
    if (inbox->has_frame || tdm_inbox_has_more(inbox) || !tdm_way_has_ring(way)) return 0;
    if (!tdm_ring_peek_all(&way->ring, frame, sizeof *frame) || !is_bare_reply(frame)) return 0;
    int fault = tdm_fault(TDM_FAULT_host_read);
    if (fault != 0) return -fault;
    if (tdm_fault_short(TDM_FAULT_host_read, sizeof *frame) < sizeof *frame) return 0;
    tdm_ring_take_peeked(&way->ring, sizeof *frame);
    take_bare(inbox);
    return 1;
}

int tdm_inbox_pull(struct tdm_inbox *inbox, struct tdm_way *way)
{
    int single = pull_single(inbox, way);
    if (single != 0) return single;
    while (!inbox->has_frame) {
        int error = inbox->end - inbox->start >= sizeof inbox->frame ? take_header(inbox) : fill_buffer(inbox, way);
        if (error != 0) return error;
    }
    size_t turn = take_buffered_payload(inbox);
    while (inbox->payload_got < inbox->frame.payload) {
        if (turn > TURN) return -EAGAIN;
        ssize_t got = read_payload(inbox, way);
        if (got < 0) return (int)got;
        turn += (size_t)got;
    }
    inbox->has_frame = false;
    if (inbox->payload) inbox->payload[inbox->payload_got] = 0;
    return 1;
}

/* What is not taken so is copied and judged once more. */
bool tdm_inbox_pull_bare_reply(struct tdm_inbox *inbox)
{
    struct tdm_frame *frame = &inbox->frame;
    if (!tdm_inbox_has_header(inbox)) return false;
    memcpy(frame, inbox->buffer + inbox->start, sizeof *frame);
    if (!is_bare_reply(frame)) return false;
    inbox->start += sizeof *frame;
    take_bare(inbox);
    return true;
}

void tdm_inbox_clear(struct tdm_inbox *inbox)
{
    if (inbox->has_frame) tdm_inbox_drop(inbox);
    inbox->has_frame = false;
    inbox->payload = NULL;
    inbox->mail = NULL;
    inbox->start = inbox->end = 0;
}

static size_t take_from_buffer(struct tdm_channel *channel, void *to, size_t size)
{
    size_t there = channel->end - channel->start, now = size < there ? size : there;
    if (to) memcpy(to, channel->buffer + channel->start, now);
    channel->start += now;
    return now;
}

/* ---- the worker's side: it waits ---- */

bool tdm_channel_has_more(const struct tdm_channel *channel)
{
    if (channel->start < channel->end) return true;
    return tdm_way_has_ring(&channel->in) && tdm_ring_has_news(&channel->in.ring, false);
}

/* So long the reactor's bell may wait for a thread of the host's that comes for the reply. */
#define BELL_NS 2000u
/* And so long for one that comes by. */
#define PASS_NS 20000u

/* Who let go just after a reply had been published, and counts on coming by, was not told of that one. */
static bool has_left_some(const struct tdm_channel *channel)
{
    return load_seq(&channel->out.rings->host_wish) == TDM_HOST_BELL_UNLESS_PASSED && !tdm_ring_is_taken(&channel->out.ring);
}

static void watch_with_bell_owed(struct tdm_channel *channel, const struct tdm_way *way, bool writes)
{
    if (!writes && has_left_some(channel)) channel->owes_bell = true;
    if (channel->owes_bell && !writes) {
        bool passed = load_seq(&way->rings->host_wish) == TDM_HOST_BELL_UNLESS_PASSED;
        if (channel->watch.most_ns != 0)
            watch_for(way, writes, passed ? PASS_NS : BELL_NS, YIELD_AFTER_NS);
        else
            sched_yield(); /* with one processor: who is to come for it may have been just about to */
    }
    if (channel->owes_bell && (writes || !tdm_ring_has_news(&way->ring, writes))) tdm_channel_settle(channel);
}

/* Until there is something to read, or room to write.  Every wake-up may be for nothing: the caller looks again. */
static void wait_for_news(struct tdm_channel *channel, const struct tdm_way *way, bool writes, bool amid, uint64_t deadline_ns)
{
    struct tdm_rings *rings = way->rings;
    uint32_t wish = writes ? TDM_ASLEEP_FOR_ROOM : TDM_ASLEEP_FOR_REQUESTS;
    watch_with_bell_owed(channel, way, writes);
    if (channel->lost) return;
    uint64_t away_ns = channel->watch.turn.away_ns;
    bool found = amid ? tdm_way_watch_amid(way, writes, &channel->watch) : tdm_way_watch(way, writes, &channel->watch);
    channel->slept_ns += channel->watch.turn.away_ns - away_ns;
    if (found) return;
    store_seq(&rings->worker_wish, wish); /* [ring-wish] */
    if (!tdm_ring_has_news(&way->ring, writes))
        channel->slept_ns += tdm_way_sleep(&rings->worker_wish, wish, &channel->watch, deadline_ns);
    store_seq(&rings->worker_wish, TDM_NOT_ASLEEP);
}

static bool wait_for_pipe(struct tdm_channel *channel, int milliseconds)
{
    struct pollfd pipe = {.fd = channel->in.fd, .events = POLLIN};
    uint64_t before = tdm_quick_clock_now();
    bool found = poll(&pipe, 1, milliseconds) > 0;
    channel->slept_ns += tdm_quick_clock_now() - before;
    return found;
}

bool tdm_channel_wait(struct tdm_channel *channel, uint64_t deadline_ns)
{
    while (!tdm_channel_has_more(channel) && !channel->lost) {
        bool over = deadline_ns != TDM_FOREVER && tdm_clock_ns() >= deadline_ns;
        if (!tdm_way_has_ring(&channel->in) && wait_for_pipe(channel, over ? 0 : tdm_clock_milliseconds_until(deadline_ns)))
            return true;
        if (over) return false;
        if (tdm_way_has_ring(&channel->in)) wait_for_news(channel, &channel->in, false, false, deadline_ns);
    }
    return true;
}

void tdm_channel_settle_soon(struct tdm_channel *channel)
{
    if (!channel->owes_bell) return;
    if (channel->watch.most_ns != 0) watch_for(&channel->out, true, BELL_NS, YIELD_AFTER_NS);
    if (tdm_ring_is_taken(&channel->out.ring))
        channel->owes_bell = false;
    else
        tdm_channel_settle(channel);
}

/* Has the host begun to hand the next task over?  To know it from the pipe would take a call of the system.
 * relaxed: a hint; a worker misled by it sleeps until there is something to read */
static bool is_on_its_way(const struct tdm_channel *channel) { return load_relaxed(channel->next_word) == channel->next_offer; }

static void give_way_at_pipe(struct tdm_channel *channel)
{
    if (is_on_its_way(channel) || !tdm_turn_give(&channel->watch.turn)) return;
    if (is_on_its_way(channel)) tdm_turn_paid(&channel->watch.turn);
}

/* At least a byte; 0 or less: the host is gone.  Of a pipe, what it takes counts as a sleep. */
static ssize_t read_at_last(struct tdm_channel *channel, void *to, size_t size, bool amid)
{
    ssize_t got;
    bool has_ring = tdm_way_has_ring(&channel->in);
    uint64_t before = has_ring ? 0 : tdm_quick_clock_now();
    if (!has_ring && !amid && channel->next_word) give_way_at_pipe(channel);
    while ((got = read_some(TDM_FAULT_worker_read, &channel->in, to, size)) == -EAGAIN && has_ring) {
        wait_for_news(channel, &channel->in, false, amid, TDM_FOREVER);
        if (channel->lost) return 0;
        if (channel->next_word) tdm_prefetch(channel->next_word);
    }
    if (!has_ring)
        channel->slept_ns += tdm_quick_clock_now() - before;
    else if (got > 0)
        after_worker_read(channel);
    return got;
}

static bool refill(struct tdm_channel *channel, bool amid)
{
    ssize_t got = read_at_last(channel, channel->buffer, sizeof channel->buffer, amid);
    channel->start = 0;
    channel->end = got > 0 ? (size_t)got : 0;
    return got > 0;
}

bool tdm_channel_read(struct tdm_channel *channel, void *to, size_t size)
{
    size_t done = take_from_buffer(channel, to, size);
    while (done < size) {
        if (size - done < sizeof channel->buffer) {
            if (!refill(channel, done > 0)) return false;
            done += take_from_buffer(channel, (char *)to + done, size - done);
        } else {
            ssize_t got = read_at_last(channel, (char *)to + done, size - done, done > 0);
            if (got <= 0) return false;
            done += (size_t)got;
        }
    }
    return true;
}

bool tdm_channel_skip(struct tdm_channel *channel, size_t size)
{
    size_t done = take_from_buffer(channel, NULL, size);
    while (done < size) {
        if (!refill(channel, done > 0)) return false;
        done += take_from_buffer(channel, NULL, size - done);
    }
    return true;
}

/* The whole frame, if there is a ring and room for it.  0: it is published; -EAGAIN; -errno. */
static int write_at_once(struct tdm_channel *channel, const struct tdm_frame *frame, const void *payload)
{
    size_t total = sizeof *frame + frame->payload;
    if (!tdm_way_has_ring(&channel->out) || total > TDM_RING_PIECE) return -EAGAIN;
    int result = put(TDM_FAULT_worker_write, &channel->out, frame, payload);
    if (result != 0) return result;
    tdm_ring_publish(&channel->out.ring);
    after_worker_write(channel);
    return 0;
}

struct tdm_frame *tdm_channel_place(struct tdm_channel *channel)
{
    return tdm_way_has_ring(&channel->out) ? tdm_way_place(&channel->out) : NULL;
}

bool tdm_channel_put_placed(struct tdm_channel *channel)
{
    const size_t size = sizeof(struct tdm_frame);
    if (tdm_fault(TDM_FAULT_worker_write) != 0 || tdm_fault_short(TDM_FAULT_worker_write, size) < size) return false;
    tdm_ring_put_placed(&channel->out.ring, size);
    tdm_ring_publish_before_rmw(&channel->out.ring);
    channel->owes_look = true;
    return true;
}

void tdm_channel_look_after_rmw(struct tdm_channel *channel)
{
    if (channel->owes_look) after_worker_write(channel);
    channel->owes_look = false;
}

int tdm_channel_write(struct tdm_channel *channel, const struct tdm_frame *frame, const void *payload)
{
    int result = write_at_once(channel, frame, payload);
    if (result != -EAGAIN) return result;
    size_t done = 0, total = sizeof *frame + frame->payload;
    while (done < total) {
        ssize_t now = write_from(TDM_FAULT_worker_write, &channel->out, frame, payload, done);
        if (now == -EAGAIN && tdm_way_has_ring(&channel->out)) {
            wait_for_news(channel, &channel->out, true, true, TDM_FOREVER);
            if (channel->lost) return -EPIPE;
            continue;
        }
        if (now < 0) return (int)now;
        done += (size_t)now;
        if (tdm_way_has_ring(&channel->out)) after_worker_write(channel);
    }
    return 0;
}
