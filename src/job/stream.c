/* stream.c - frames over a pair of pipes. */
#define _POSIX_C_SOURCE 200809L
#include "job/stream.h"

#include "base/fds.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>

/* Some systems refuse more than INT_MAX at a time. */
#define AT_ONCE ((size_t)1 << 30)

static ssize_t read_some(enum tdm_fault_point point, int fd, void *to, size_t size)
{
    int fault = tdm_fault(point);
    return fault != 0 ? -fault : tdm_fds_read(fd, to, tdm_fault_short(point, size));
}

/* Header and payload from a given byte on, in one system call. */
static ssize_t write_from(enum tdm_fault_point point, int fd, const struct tdm_frame *frame, const void *payload, size_t done)
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
    return fault != 0 ? -fault : tdm_fds_writev(fd, parts, tdm_fault_cut(point, parts, count));
}

void tdm_outbox_put(struct tdm_outbox *outbox, const struct tdm_frame *frame, const void *payload)
{
    *outbox = (struct tdm_outbox){.frame = *frame, .payload = payload, .total = sizeof *frame + frame->payload};
}

int tdm_outbox_push(struct tdm_outbox *outbox, int fd)
{
    while (!tdm_outbox_empty(outbox)) {
        ssize_t now = write_from(TDM_FAULT_host_write, fd, &outbox->frame, outbox->payload, outbox->done);
        if (now < 0) return (int)now;
        outbox->done += (size_t)now;
    }
    return 0;
}

/* How much one pull reads of a large payload before the reactor looks after others. */
#define TURN ((size_t)4 << 20)

static int fill_buffer(struct tdm_inbox *inbox, int fd)
{
    memmove(inbox->buffer, inbox->buffer + inbox->start, inbox->end - inbox->start);
    inbox->end -= inbox->start;
    inbox->start = 0;
    ssize_t got = read_some(TDM_FAULT_host_read, fd, inbox->buffer + inbox->end, sizeof inbox->buffer - inbox->end);
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
    bool wants_memory = inbox->frame.flags & TDM_FRAME_HAS_OUTPUT;
    size_t room = (size_t)inbox->frame.payload + 1; /* 0 where a size has 32 bits and the payload is the largest */
    inbox->payload = wants_memory && room != 0 ? tdm_malloc(room) : NULL;
    inbox->out_of_memory = wants_memory && !inbox->payload;
    return 0;
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
static ssize_t read_payload(struct tdm_inbox *inbox, int fd)
{
    if (!inbox->payload) {
        int error = fill_buffer(inbox, fd);
        return error != 0 ? error : (ssize_t)take_buffered_payload(inbox);
    }
    ssize_t got =
        read_some(TDM_FAULT_host_read, fd, inbox->payload + inbox->payload_got, inbox->frame.payload - inbox->payload_got);
    if (got == 0) return -EPIPE;
    if (got > 0) inbox->payload_got += (size_t)got;
    return got;
}

int tdm_inbox_pull(struct tdm_inbox *inbox, int fd)
{
    while (!inbox->has_frame) {
        int error = inbox->end - inbox->start >= sizeof inbox->frame ? take_header(inbox) : fill_buffer(inbox, fd);
        if (error != 0) return error;
    }
    size_t turn = take_buffered_payload(inbox);
    while (inbox->payload_got < inbox->frame.payload) {
        if (turn > TURN) return -EAGAIN;
        ssize_t got = read_payload(inbox, fd);
        if (got < 0) return (int)got;
        turn += (size_t)got;
    }
    inbox->has_frame = false;
    if (inbox->payload) inbox->payload[inbox->payload_got] = 0;
    return 1;
}

void tdm_inbox_clear(struct tdm_inbox *inbox)
{
    if (inbox->has_frame) free(inbox->payload);
    inbox->has_frame = false;
    inbox->payload = NULL;
    inbox->start = inbox->end = 0;
}

static size_t take_from_buffer(struct tdm_channel *channel, void *to, size_t size)
{
    size_t there = channel->end - channel->start, now = size < there ? size : there;
    if (to) memcpy(to, channel->buffer + channel->start, now);
    channel->start += now;
    return now;
}

static bool refill(struct tdm_channel *channel)
{
    ssize_t got = read_some(TDM_FAULT_worker_read, channel->in, channel->buffer, sizeof channel->buffer);
    channel->start = 0;
    channel->end = got > 0 ? (size_t)got : 0;
    return got > 0;
}

bool tdm_channel_read(struct tdm_channel *channel, void *to, size_t size)
{
    size_t done = take_from_buffer(channel, to, size);
    while (done < size) {
        if (size - done < sizeof channel->buffer) {
            if (!refill(channel)) return false;
            done += take_from_buffer(channel, (char *)to + done, size - done);
        } else {
            ssize_t got = read_some(TDM_FAULT_worker_read, channel->in, (char *)to + done, size - done);
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
        if (!refill(channel)) return false;
        done += take_from_buffer(channel, NULL, size - done);
    }
    return true;
}

int tdm_channel_write(struct tdm_channel *channel, const struct tdm_frame *frame, const void *payload)
{
    size_t done = 0, total = sizeof *frame + frame->payload;
    while (done < total) {
        ssize_t now = write_from(TDM_FAULT_worker_write, channel->out, frame, payload, done);
        if (now < 0) return (int)now;
        done += (size_t)now;
    }
    return 0;
}
