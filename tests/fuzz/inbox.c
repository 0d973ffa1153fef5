/* inbox.c - fuzz target: the host takes frames out of a pipe into which a worker writes what it likes, in any pieces.
 *
 * The input: a byte that says how many sizes of pieces follow (its lower half) and whether there is memory for outputs; the sizes, used in
 * turn; then what the worker writes. */
#define _POSIX_C_SOURCE 200809L
#include "fuzz.h"
#include "job/mail.h"
#include "job/payload.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define SIZES_MOST 15
#define NO_MEMORY  0x10

/* ---- memory as the reader gets it ---- */

static struct {
    bool none;
    size_t can_come; /* bytes that the worker writes in all */
    size_t taken;    /* pieces that have not been freed */
} supply;

/* No more than can be filled: a write beyond that would be one beyond what came, and four gigabytes cost nothing. */
static void *allocate(size_t size)
{
    if (supply.none) return NULL;
    supply.taken++;
    return malloc(size <= supply.can_come ? size : supply.can_come + 1);
}

static void release(void *piece)
{
    if (piece) supply.taken--;
    free(piece);
}

static struct tdm_mail *make_mail(const void *data, size_t size)
{
    must(!data);
    struct tdm_mail *mail = supply.none ? NULL : malloc(sizeof *mail + (size <= supply.can_come ? size : supply.can_come) + 1);
    if (!mail) return NULL;
    supply.taken++;
    *mail = (struct tdm_mail){.data = mail->bytes, .size = size, .held = size};
    return mail;
}

#define tdm_payload_fresh allocate
#define tdm_mail_make     make_mail
#define tdm_mail_free     release
#define free              release
#include "../../src/job/stream.c"
#undef tdm_payload_fresh
#undef tdm_mail_make
#undef tdm_mail_free
#undef free

/* ---- what was written, and how much of it has been taken ---- */

struct written {
    const uint8_t *bytes;
    size_t size, fed, taken;
};

/* The header that is next, if it is all there. */
static bool next_header(const struct written *written, struct tdm_frame *frame)
{
    if (written->fed - written->taken < sizeof *frame) return false;
    memcpy(frame, written->bytes + written->taken, sizeof *frame);
    return true;
}

/* The frame in the inbox is the one that is next, and whole; it is given back as its receiver would. */
static void check_frame(struct tdm_inbox *inbox, struct written *written)
{
    struct tdm_frame frame;
    must(next_header(written, &frame));
    must(memcmp(&frame, &inbox->frame, sizeof frame) == 0);
    must(tdm_frame_is_from_worker(&frame));
    bool is_message = frame.kind == TDM_FRAME_MESSAGE && frame.flags == 0;
    bool has_output = is_message || frame.flags & TDM_FRAME_HAS_OUTPUT;
    must(has_output || frame.payload == 0);
    must((inbox->mail != NULL) == (is_message && !supply.none));
    must(inbox->out_of_memory == (has_output && supply.none));
    must((inbox->payload != NULL) == (has_output && !supply.none));
    written->taken += sizeof frame;
    must(written->fed - written->taken >= frame.payload);
    must(inbox->payload_got == frame.payload);
    if (inbox->payload) {
        must(memcmp(inbox->payload, written->bytes + written->taken, frame.payload) == 0);
        must(inbox->payload[frame.payload] == 0);
        tdm_inbox_drop(inbox);
    }
    written->taken += frame.payload;
}

/* Takes all that is whole.  Then nothing is, unless the next header is no frame's, and that has been said. */
static int take_frames(struct tdm_inbox *inbox, int fd, struct written *written)
{
    int result;
    struct tdm_frame frame;
    while ((result = tdm_inbox_pull(inbox, &(struct tdm_way){.fd = fd})) == 1) check_frame(inbox, written);
    must(inbox->start <= inbox->end && inbox->end <= sizeof inbox->buffer);
    must(result == -EAGAIN || result == -EPROTO || result == -EPIPE);
    bool has_header = next_header(written, &frame);
    bool honest = has_header && tdm_frame_is_from_worker(&frame);
    must((result == -EPROTO) == (has_header && !honest));
    if (honest) must(written->fed - written->taken - sizeof frame < frame.payload);
    return result;
}

/* ---- feeding ---- */

static void feed(int fd, struct written *written, size_t piece)
{
    size_t left = written->size - written->fed;
    ssize_t done = write(fd, written->bytes + written->fed, piece < left ? piece : left);
    must(done > 0);
    written->fed += (size_t)done;
}

static void feed_in_pieces(struct tdm_inbox *inbox, int wire[2], struct written *written, const uint8_t *sizes, size_t count)
{
    for (size_t i = 0; written->fed < written->size; i++) {
        size_t size = count > 0 ? sizes[i % count] : 0;
        feed(wire[1], written, size != 0 ? size : 4096);
        int result = take_frames(inbox, wire[0], written);
        must(result != -EPIPE);
        if (result == -EPROTO) return;
    }
    tdm_fds_close(&wire[1]);
    take_frames(inbox, wire[0], written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tdm_inbox inbox;
    if (size == 0 || size > 1 << 15) return 0; /* less than a pipe holds */
    size_t count = data[0] & SIZES_MOST;
    if (count > size - 1) count = size - 1;
    struct written written = {.bytes = data + 1 + count, .size = size - 1 - count};
    int wire[2];
    must(tdm_fds_pipe(wire) == 0);
    must(tdm_fds_nonblocking(wire[0]) == 0);
    memset(&inbox, 0, sizeof inbox);
    supply.none = data[0] & NO_MEMORY;
    supply.can_come = written.size;
    supply.taken = 0;
    feed_in_pieces(&inbox, wire, &written, data + 1, count);
    tdm_inbox_clear(&inbox);
    must(supply.taken == 0);
    tdm_fds_close(&wire[0]);
    tdm_fds_close(&wire[1]);
    return 0;
}
