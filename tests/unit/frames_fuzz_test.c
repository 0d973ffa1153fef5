/* frames_fuzz_test.c - random bytes from a worker: the inbox takes exactly the frames that are in them, and ends as it should. */
#include "harness.h"

#include "base/fds.h"
#include "dice.h"
#include "job/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a worker sends. */
struct string {
    unsigned char bytes[20000];
    size_t size;
};

static void add_noise(struct string *string, struct dice *dice, size_t size)
{
    for (size_t i = 0; i < size && string->size < sizeof string->bytes; i++)
        string->bytes[string->size++] = (unsigned char)roll(dice);
}

/* An honest frame, or one of which a bit is wrong. */
static void add_frame(struct string *string, struct dice *dice, bool honest)
{
    struct tdm_frame frame = tdm_frame_make((enum tdm_frame_kind)(TDM_FRAME_READY + (int)roll_below(dice, 4)), 0);
    if (frame.kind == TDM_FRAME_REPLY) {
        frame.flags = roll_below(dice, 2);
        frame.payload = frame.flags * roll_below(dice, 1u << roll_below(dice, 14));
    }
    size_t follows = frame.payload;
    unsigned char header[sizeof frame];
    memcpy(header, &frame, sizeof frame);
    if (!honest) header[roll_below(dice, sizeof header)] ^= (unsigned char)(1u << roll_below(dice, 8));
    memcpy(&frame, header, sizeof frame);
    if (slowness() > 1) frame.payload &= 0xfffff; /* where memory that is only asked for costs time too */
    if (sizeof string->bytes - string->size < sizeof frame) return;
    memcpy(string->bytes + string->size, &frame, sizeof frame);
    string->size += sizeof frame;
    add_noise(string, dice, follows);
}

static void make_string(struct string *string, struct dice *dice)
{
    string->size = 0;
    uint32_t frames = roll_below(dice, 12), dishonesty = 1 + roll_below(dice, 20);
    for (uint32_t i = 0; i < frames; i++) add_frame(string, dice, roll_below(dice, dishonesty) != 0 || dishonesty == 1);
    if (roll_below(dice, 2) == 0) add_noise(string, dice, roll_below(dice, 200));
    if (roll_below(dice, 2) == 0) string->size -= roll_below(dice, (uint32_t)string->size + 1) / 4; /* cut short */
}

/* The frame that stands at this place: 1; or how the string ends there, when the pipe is closed behind it. */
static int frame_at(const struct string *string, size_t at, struct tdm_frame *frame)
{
    const uint32_t magic = tdm_frame_make(TDM_FRAME_READY, 0).magic;
    if (string->size - at < sizeof *frame) return -EPIPE;
    memcpy(frame, string->bytes + at, sizeof *frame);
    if (frame->magic != magic) return -EPROTO;
    bool plain = frame->flags == 0 && frame->payload == 0;
    bool output = frame->flags == TDM_FRAME_HAS_OUTPUT && frame->kind == TDM_FRAME_REPLY;
    bool kind = frame->kind == TDM_FRAME_READY || frame->kind == TDM_FRAME_FAILED || frame->kind == TDM_FRAME_REPLY ||
                frame->kind == TDM_FRAME_REFUSED || frame->kind == TDM_FRAME_DATA; /* which is one wrong bit away from READY */
    if (!kind || !(plain || output)) return -EPROTO;
    return string->size - at - sizeof *frame < frame->payload ? -EPIPE : 1;
}

/* Takes all frames that are there, each as the string has it.  How the pulling ended. */
static int pull_all(struct tdm_inbox *inbox, int fd, const struct string *string, size_t *at)
{
    int result;
    while ((result = tdm_inbox_pull(inbox, &(struct tdm_way){.fd = fd})) == 1) {
        struct tdm_frame frame;
        assert_int_equal(frame_at(string, *at, &frame), 1);
        assert_memory_equal(&inbox->frame, &frame, sizeof frame);
        assert_int_equal(inbox->payload_got, frame.payload);
        assert_true((inbox->payload != NULL) == ((frame.flags & TDM_FRAME_HAS_OUTPUT) != 0));
        if (inbox->payload != NULL) {
            assert_int_equal(memcmp(inbox->payload, string->bytes + *at + sizeof frame, frame.payload), 0);
            assert_int_equal(inbox->payload[frame.payload], 0);
            free(inbox->payload);
        }
        *at += sizeof frame + frame.payload;
    }
    return result;
}

static int feed_in_pieces(const struct string *string, struct dice *dice, size_t *at)
{
    static struct tdm_inbox inbox;
    int wire[2], result = -EAGAIN;
    memset(&inbox, 0, sizeof inbox);
    assert_int_equal(tdm_fds_pipe(wire), 0);
    assert_int_equal(tdm_fds_nonblocking(wire[0]), 0);
    for (size_t fed = 0; fed < string->size && result == -EAGAIN;) {
        size_t piece = 1 + roll_below(dice, 1u << roll_below(dice, 15));
        if (piece > string->size - fed) piece = string->size - fed;
        assert_int_equal(write(wire[1], string->bytes + fed, piece), piece);
        fed += piece;
        result = pull_all(&inbox, wire[0], string, at);
    }
    tdm_fds_close(&wire[1]);
    if (result == -EAGAIN) result = pull_all(&inbox, wire[0], string, at);
    tdm_inbox_clear(&inbox);
    tdm_fds_close(&wire[0]);
    return result;
}

static void random_bytes_are_read_as_they_are_and_end_in_a_known_way(void)
{
    static struct string string;
    struct dice dice = {1};
    size_t ends[2] = {0};
    for (size_t i = 0; i < scaled(100000); i++) {
        size_t at = 0;
        struct tdm_frame frame;
        make_string(&string, &dice);
        int result = feed_in_pieces(&string, &dice, &at);
        assert_int_equal(result, frame_at(&string, at, &frame));
        assert_true(result == -EPIPE || result == -EPROTO);
        ends[result == -EPROTO]++;
    }
    if (scaled(100000) >= 100) assert_true(ends[0] > 0 && ends[1] > 0); /* the strings are of both kinds */
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {test(random_bytes_are_read_as_they_are_and_end_in_a_known_way)};
    return harness_main(argc, argv, tests, count_of(tests));
}
