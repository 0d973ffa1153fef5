/* stream_test.c - frames over real pipes: every size, every cut, every lie, and the end. */
#include "harness.h"

#include "base/fds.h"
#include "dice.h"
#include "job/stream.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define HEADER sizeof(struct tdm_frame)

/* ---- wires ---- */

enum { OUT, IN }; /* which end is the host's, and so does not block */

static void open_wire(int wire[2], int host)
{
    assert_int_equal(tdm_fds_pipe(wire), 0);
    assert_int_equal(tdm_fds_nonblocking(wire[host == IN ? 0 : 1]), 0);
}

static void close_wire(int wire[2])
{
    tdm_fds_close(&wire[0]);
    tdm_fds_close(&wire[1]);
}

static void wait_for(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};
    assert_int_equal(poll(&one, 1, (int)patience_ms()), 1);
}

static int pull_one(struct tdm_inbox *inbox, int fd)
{
    int result;
    while ((result = tdm_inbox_pull(inbox, &(struct tdm_way){.fd = fd})) == -EAGAIN) wait_for(fd, POLLIN);
    return result;
}

static void write_raw(int fd, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t now = write(fd, (const char *)bytes + done, size - done);
        assert_true(now > 0);
        done += (size_t)now;
    }
}

static struct tdm_frame reply_of(uint64_t sequence, size_t size)
{
    struct tdm_frame frame = tdm_frame_make(TDM_FRAME_REPLY, size);
    frame.sequence = sequence;
    frame.flags = TDM_FRAME_HAS_OUTPUT;
    return frame;
}

/* ---- payloads: each size is cut out of the same random bytes at a place of its own ---- */

#define LARGEST ((size_t)9 << 20) /* more than a host reads in one go */

static char bytes[LARGEST + 256];
static size_t sizes[70200], size_count;

static const char *payload_of(size_t i) { return bytes + i % 251; }

static void make_payloads(void)
{
    static const size_t borders[] = {HEADER, 4096 - HEADER, 4096, 16384 - HEADER, 16384, 65536 - HEADER, 65536};
    struct dice dice = {1};
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)roll(&dice);
    for (size_t size = 0; size <= 70000; size += full_run() ? 1 : 97) sizes[size_count++] = size;
    for (size_t i = 0; i < count_of(borders); i++)
        for (size_t size = borders[i] - 3; size <= borders[i] + 3; size++) sizes[size_count++] = size;
    sizes[size_count++] = LARGEST;
    sizes[size_count++] = 1;
}

/* ---- every size ---- */

static void *send_replies(void *argument)
{
    struct tdm_channel *channel = argument;
    for (size_t i = 0; i < size_count; i++) {
        struct tdm_frame frame = reply_of(i, sizes[i]);
        if (tdm_channel_write(channel, &frame, payload_of(i)) != 0) return "a write failed";
    }
    return NULL;
}

static void replies_of_every_size_arrive_whole(void)
{
    static struct tdm_channel channel;
    static struct tdm_inbox inbox;
    int wire[2];
    pthread_t worker;
    void *complaint;
    make_payloads();
    open_wire(wire, IN);
    channel.out.fd = wire[1];
    assert_int_equal(pthread_create(&worker, NULL, send_replies, &channel), 0);
    for (size_t i = 0; i < size_count; i++) {
        assert_int_equal(pull_one(&inbox, wire[0]), 1);
        assert_int_equal(inbox.frame.sequence, i);
        assert_int_equal(inbox.payload_got, sizes[i]);
        assert_false(inbox.out_of_memory);
        assert_non_null(inbox.payload);
        assert_int_equal(memcmp(inbox.payload, payload_of(i), sizes[i]), 0);
        assert_int_equal(inbox.payload[sizes[i]], 0);
        free(inbox.payload);
    }
    assert_int_equal(pthread_join(worker, &complaint), 0);
    if (complaint != NULL) fail_msg("%s", (char *)complaint);
    assert_false(tdm_inbox_has_more(&inbox));
    close_wire(wire);
}

/* Every third is skipped, as a task that was taken back. */
static void *read_tasks(void *argument)
{
    struct tdm_channel *channel = argument;
    char *input = malloc(LARGEST);
    const char *complaint = input != NULL ? NULL : "no memory";
    for (size_t i = 0; i < size_count && complaint == NULL; i++) {
        struct tdm_frame frame;
        if (!tdm_channel_read(channel, &frame, sizeof frame))
            complaint = "a header did not come";
        else if (frame.sequence != i || frame.payload != sizes[i])
            complaint = "a header is wrong";
        else if (i % 3 == 2 && !tdm_channel_skip(channel, sizes[i]))
            complaint = "a payload could not be skipped";
        else if (i % 3 != 2 && !tdm_channel_read(channel, input, sizes[i]))
            complaint = "a payload did not come";
        else if (i % 3 != 2 && memcmp(input, payload_of(i), sizes[i]) != 0)
            complaint = "a payload is wrong";
    }
    free(input);
    return (void *)(uintptr_t)complaint;
}

static void tasks_of_every_size_arrive_whole(void)
{
    static struct tdm_channel channel;
    int wire[2], result;
    struct tdm_outbox outbox = {.total = 0};
    pthread_t worker;
    void *complaint;
    make_payloads();
    open_wire(wire, OUT);
    channel.in.fd = wire[0];
    assert_int_equal(pthread_create(&worker, NULL, read_tasks, &channel), 0);
    for (size_t i = 0; i < size_count; i++) {
        struct tdm_frame frame = tdm_frame_make(TDM_FRAME_TASK, sizes[i]);
        frame.sequence = i;
        assert_true(tdm_outbox_empty(&outbox));
        tdm_outbox_put(&outbox, &frame, payload_of(i));
        assert_false(tdm_outbox_empty(&outbox));
        while ((result = tdm_outbox_push(&outbox, &(struct tdm_way){.fd = wire[1]}, true)) == -EAGAIN) wait_for(wire[1], POLLOUT);
        assert_int_equal(result, 0);
    }
    assert_int_equal(pthread_join(worker, &complaint), 0);
    if (complaint != NULL) fail_msg("%s", (char *)complaint);
    close_wire(wire);
}

static void a_full_pipe_does_not_block_the_host(void)
{
    int wire[2];
    struct tdm_outbox outbox = {.total = 0};
    struct tdm_frame frame = tdm_frame_make(TDM_FRAME_TASK, LARGEST);
    open_wire(wire, OUT);
    tdm_outbox_put(&outbox, &frame, bytes);
    assert_int_equal(tdm_outbox_push(&outbox, &(struct tdm_way){.fd = wire[1]}, true), -EAGAIN);
    size_t done = outbox.done;
    assert_in_range(done, HEADER, HEADER + LARGEST - 1);
    assert_int_equal(tdm_outbox_push(&outbox, &(struct tdm_way){.fd = wire[1]}, true), -EAGAIN);
    assert_int_equal(outbox.done, done);
    assert_false(tdm_outbox_empty(&outbox));
    close_wire(wire);
}

/* ---- every cut ---- */

/* READY, a reply of 100 bytes, an empty reply, as they lie in the pipe. */
static struct {
    char bytes[3 * HEADER + 100];
    size_t ends[3];
} three;

static void make_three(void)
{
    struct tdm_frame frames[] = {tdm_frame_make(TDM_FRAME_READY, 0), reply_of(1, 100), reply_of(2, 0)};
    size_t at = 0;
    for (size_t i = 0; i < 3; i++) {
        memcpy(three.bytes + at, &frames[i], HEADER);
        at += HEADER;
        memset(three.bytes + at, 'p', frames[i].payload);
        at += frames[i].payload;
        three.ends[i] = at;
    }
    assert_int_equal(at, sizeof three.bytes);
}

static int whole_frames_in(size_t size)
{
    int whole = 0;
    for (size_t i = 0; i < 3; i++) whole += three.ends[i] <= size;
    return whole;
}

static void expect_frame_of_three(struct tdm_inbox *inbox, int i)
{
    assert_int_equal(inbox->frame.kind, i == 0 ? TDM_FRAME_READY : TDM_FRAME_REPLY);
    assert_int_equal(inbox->frame.sequence, i);
    assert_int_equal(inbox->payload_got, i == 1 ? 100 : 0);
    if (i == 0) {
        assert_null(inbox->payload);
        return;
    }
    assert_non_null(inbox->payload);
    assert_int_equal(strspn(inbox->payload, "p"), inbox->payload_got);
    assert_int_equal(strlen(inbox->payload), inbox->payload_got);
    free(inbox->payload);
}

/* How pulling ends; takes the frames that are there. */
static int pull_all(struct tdm_inbox *inbox, int fd, int *taken)
{
    int result;
    while ((result = tdm_inbox_pull(inbox, &(struct tdm_way){.fd = fd})) == 1) expect_frame_of_three(inbox, (*taken)++);
    return result;
}

static void frames_may_be_cut_anywhere(void)
{
    int wire[2];
    make_three();
    open_wire(wire, IN);
    for (size_t first = 0; first <= sizeof three.bytes; first++)
        for (size_t second = first; second <= sizeof three.bytes; second += 7) {
            struct tdm_inbox inbox = {.start = 0};
            int taken = 0;
            write_raw(wire[1], three.bytes, first);
            assert_int_equal(pull_all(&inbox, wire[0], &taken), -EAGAIN);
            assert_int_equal(taken, whole_frames_in(first));
            write_raw(wire[1], three.bytes + first, second - first);
            assert_int_equal(pull_all(&inbox, wire[0], &taken), -EAGAIN);
            assert_int_equal(taken, whole_frames_in(second));
            write_raw(wire[1], three.bytes + second, sizeof three.bytes - second);
            assert_int_equal(pull_all(&inbox, wire[0], &taken), -EAGAIN);
            assert_int_equal(taken, 3);
        }
    close_wire(wire);
}

static void frames_may_come_byte_by_byte(void)
{
    int wire[2], taken = 0;
    struct tdm_inbox inbox = {.start = 0};
    make_three();
    open_wire(wire, IN);
    for (size_t i = 0; i < sizeof three.bytes; i++) {
        write_raw(wire[1], three.bytes + i, 1);
        assert_int_equal(pull_all(&inbox, wire[0], &taken), -EAGAIN);
        assert_int_equal(taken, whole_frames_in(i + 1));
    }
    close_wire(wire);
}

static void a_pipe_that_ends_tells_so_after_its_last_whole_frame(void)
{
    make_three();
    for (size_t cut = 0; cut <= sizeof three.bytes; cut++) {
        int wire[2], taken = 0;
        struct tdm_inbox inbox = {.start = 0};
        open_wire(wire, IN);
        write_raw(wire[1], three.bytes, cut);
        tdm_fds_close(&wire[1]);
        assert_int_equal(pull_all(&inbox, wire[0], &taken), -EPIPE);
        assert_int_equal(taken, whole_frames_in(cut));
        assert_int_equal(tdm_inbox_pull(&inbox, &(struct tdm_way){.fd = wire[0]}), -EPIPE);
        tdm_inbox_clear(&inbox);
        close_wire(wire);
    }
}

static void frames_that_come_together_are_given_one_by_one(void)
{
    int wire[2];
    struct tdm_inbox inbox = {.start = 0};
    struct tdm_frame frames[60];
    for (size_t i = 0; i < count_of(frames); i++) {
        frames[i] = tdm_frame_make(TDM_FRAME_REPLY, 0);
        frames[i].sequence = i;
        frames[i].code = -(int)i;
    }
    open_wire(wire, IN);
    write_raw(wire[1], frames, sizeof frames);
    for (size_t i = 0; i < count_of(frames); i++) {
        assert_int_equal(tdm_inbox_pull(&inbox, &(struct tdm_way){.fd = wire[0]}), 1);
        assert_int_equal(inbox.frame.sequence, i);
        assert_int_equal(inbox.frame.code, -(int)i);
        assert_null(inbox.payload);
        assert_true(tdm_inbox_has_more(&inbox) == (i != count_of(frames) - 1)); /* all of them fit the buffer */
    }
    assert_int_equal(tdm_inbox_pull(&inbox, &(struct tdm_way){.fd = wire[0]}), -EAGAIN);
    close_wire(wire);
}

/* Cleared half-way, it starts anew on another pipe; what it had allocated is freed. */
static void a_cleared_inbox_forgets_what_was_half_read(void)
{
    struct tdm_inbox inbox = {.start = 0};
    make_three();
    for (size_t cut = 0; cut <= sizeof three.bytes; cut++) {
        int wire[2], taken = 0;
        open_wire(wire, IN);
        write_raw(wire[1], three.bytes, cut);
        assert_int_equal(pull_all(&inbox, wire[0], &taken), -EAGAIN);
        tdm_inbox_clear(&inbox);
        tdm_inbox_clear(&inbox);
        assert_false(tdm_inbox_has_more(&inbox));
        close_wire(wire);
    }
}

/* ---- every lie ---- */

static int pull_header(const struct tdm_frame *frame)
{
    int wire[2];
    struct tdm_inbox inbox = {.start = 0};
    open_wire(wire, IN);
    write_raw(wire[1], frame, sizeof *frame);
    int result = tdm_inbox_pull(&inbox, &(struct tdm_way){.fd = wire[0]});
    if (result == 1) tdm_inbox_drop(&inbox);
    tdm_inbox_clear(&inbox);
    close_wire(wire);
    return result;
}

/* A frame of any kind and without flags has no payload; a reply with an output may have one, and a message. */
static int expected_of(const struct tdm_frame *frame)
{
    if (frame->kind < TDM_FRAME_READY || frame->kind > TDM_FRAME_DATA) return -EPROTO;
    if (frame->kind == TDM_FRAME_MESSAGE && frame->flags == TDM_FRAME_IN_SHARED) return frame->payload == 0 ? 1 : -EPROTO;
    if (frame->kind == TDM_FRAME_MESSAGE && frame->flags == 0 && frame->payload > TDM_MESSAGE_MOST) return -EPROTO;
    if (frame->kind == TDM_FRAME_MESSAGE && frame->flags == 0) return frame->payload == 0 ? 1 : -EAGAIN;
    if (frame->flags == 0) return frame->payload == 0 ? 1 : -EPROTO;
    if (frame->kind != TDM_FRAME_REPLY || frame->flags != TDM_FRAME_HAS_OUTPUT) return -EPROTO;
    return frame->payload == 0 ? 1 : -EAGAIN;
}

static void only_what_workers_send_is_taken(void)
{
    static const uint32_t payloads[] = {0, 1, 40, 1 << 20, (UINT32_C(1) << 30) + 1},
                          flags[] = {0, TDM_FRAME_HAS_OUTPUT, 2, 3, 4, UINT32_C(1) << 31};
    for (unsigned kind = 0; kind <= UINT16_MAX; kind += kind < 32 ? 1 : 251)
        for (size_t i = 0; i < count_of(payloads); i++)
            for (size_t k = 0; k < count_of(flags); k++) {
                struct tdm_frame frame = tdm_frame_make((enum tdm_frame_kind)kind, payloads[i]);
                frame.flags = flags[k];
                assert_int_equal(pull_header(&frame), expected_of(&frame));
            }
}

static void a_header_without_its_magic_is_no_header(void)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        struct tdm_frame frame = tdm_frame_make(TDM_FRAME_READY, 0);
        frame.magic ^= UINT32_C(1) << bit;
        assert_int_equal(pull_header(&frame), -EPROTO);
    }
    assert_int_equal(pull_header(&(struct tdm_frame){.kind = TDM_FRAME_READY}), -EPROTO);
}

/* ---- no memory ---- */

/* The reply, and READY. */
static void *send_large_and_ready(void *argument)
{
    struct tdm_channel *channel = argument;
    struct tdm_frame large = reply_of(1, LARGEST), ready = tdm_frame_make(TDM_FRAME_READY, 0);
    if (tdm_channel_write(channel, &large, bytes) != 0) return "a write failed";
    return tdm_channel_write(channel, &ready, NULL) != 0 ? "a write failed" : NULL;
}

/* This process may have half as much more than it has as the payload would take. */
static void limit_memory(struct rlimit *before)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    assert_int_equal(getrlimit(RLIMIT_AS, before), 0);
    struct rlimit limit = {(rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + LARGEST / 2, before->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
}

/* It is read all the same, and so the frame behind it is found. */
static void a_payload_there_is_no_memory_for_is_thrown_away(void)
{
    static struct tdm_channel channel;
    int wire[2];
    struct tdm_inbox inbox = {.start = 0};
    struct rlimit before;
    pthread_t worker;
    void *complaint;
    skip_under_sanitizer("it takes its memory without regard to a limit");
    skip_under_valgrind("it takes its memory without regard to a limit");
    open_wire(wire, IN);
    channel.out.fd = wire[1];
    assert_int_equal(pthread_create(&worker, NULL, send_large_and_ready, &channel), 0);
    limit_memory(&before);
    int result = pull_one(&inbox, wire[0]);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(result, 1);
    assert_null(inbox.payload);
    assert_true(inbox.out_of_memory);
    assert_int_equal(inbox.payload_got, LARGEST);
    assert_int_equal(pull_one(&inbox, wire[0]), 1);
    assert_int_equal(inbox.frame.kind, TDM_FRAME_READY);
    assert_false(inbox.out_of_memory);
    assert_int_equal(pthread_join(worker, &complaint), 0);
    if (complaint != NULL) fail_msg("%s", (char *)complaint);
    close_wire(wire);
}

/* ---- the worker's end ---- */

static void a_worker_whose_host_is_gone_is_told(void)
{
    static struct tdm_channel channel;
    int wire[2];
    char to[64];
    struct tdm_frame frame = tdm_frame_make(TDM_FRAME_READY, 0);
    for (size_t there = 0; there < sizeof to; there++) {
        assert_int_equal(tdm_fds_pipe(wire), 0);
        write_raw(wire[1], bytes, there);
        tdm_fds_close(&wire[1]);
        channel = (struct tdm_channel){.in.fd = wire[0]};
        if (there % 2 == 0)
            assert_false(tdm_channel_read(&channel, to, sizeof to));
        else
            assert_false(tdm_channel_skip(&channel, sizeof to));
        tdm_fds_close(&wire[0]);
    }
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(tdm_fds_pipe(wire), 0);
    tdm_fds_close(&wire[0]);
    channel = (struct tdm_channel){.out.fd = wire[1]};
    assert_int_equal(tdm_channel_write(&channel, &frame, NULL), -EPIPE);
    tdm_fds_close(&wire[1]);
}

/* However it learns: after watches in vain, after sleeps that were short. */
static void no_watch_is_longer_than_it_may_be(void)
{
    static struct tdm_rings rings;
    const struct tdm_way way = {.fd = -1, .rings = &rings, .ring = tdm_ring_of_replies(&rings)};
    for (uint32_t most_ns = 1000; most_ns <= 64000; most_ns *= 2) {
        struct tdm_watch watch = {.now_ns = most_ns, .most_ns = most_ns};
        for (uint32_t i = 0; i < 20; i++) {
            assert_false(tdm_way_watch(&way, false, &watch));
            assert_true(watch.now_ns > 0 && watch.now_ns <= most_ns);
            watch.short_sleeps += i % 2;
        }
    }
}

/* Only who sleeps is moved to another processor. */
static void after_some_watches_that_found_it_late_one_is_left_out(void)
{
    static struct tdm_rings rings;
    const struct tdm_way way = {.fd = -1, .rings = &rings, .ring = tdm_ring_of_replies(&rings)};
    struct tdm_watch watch = {.now_ns = UINT32_MAX, .most_ns = UINT32_MAX, .late = 4};
    assert_false(tdm_way_watch(&way, false, &watch)); /* at once, not after four seconds */
    assert_int_equal(watch.now_ns, UINT32_MAX);
    assert_int_equal(watch.late, 0);
    watch = (struct tdm_watch){.now_ns = 1000, .most_ns = 2000, .late = 3};
    assert_false(tdm_way_watch(&way, false, &watch));
    assert_int_equal(watch.late, 0);
}

/* ---- telling later ---- */

/* A worker that owes the host a call has read a task's header; so many bytes lie in its ring.  Is the host called before it runs the task? */
static bool is_told(enum tdm_host_wish wish, size_t payload, size_t there)
{
    static struct tdm_rings rings;
    static const char some[64];
    memset(&rings, 0, sizeof rings);
    struct tdm_ring host = tdm_ring_of_requests(&rings);
    struct tdm_channel channel = {.owes_bell = true};
    channel.in = (struct tdm_way){.fd = -1, .rings = &rings, .ring = tdm_ring_of_requests(&rings)};
    channel.out = (struct tdm_way){.fd = -1, .rings = &rings, .ring = tdm_ring_of_replies(&rings)};
    if (there > 0) assert_int_equal(tdm_ring_write(&host, &(struct iovec){(void *)(uintptr_t)some, there}, 1), (int)there);
    atomic_store(&rings.host_wish, (uint32_t)wish);
    tdm_channel_settle_before_task(&channel, payload);
    assert_int_equal(channel.owes_bell, atomic_load(&rings.host_wish) == (uint32_t)wish);
    return !channel.owes_bell;
}

static void a_host_that_can_wait_is_told_when_the_last_task_begins(void)
{
    assert_true(is_told(TDM_HOST_FUTEX_LATER, 0, 0));
    assert_false(is_told(TDM_HOST_FUTEX_LATER, 0, 64));
    assert_false(is_told(TDM_HOST_FUTEX_LATER, 10, 64));
    assert_true(is_told(TDM_HOST_FUTEX_LATER, 64, 64)); /* all that is there is this task's input, */
    assert_true(is_told(TDM_HOST_FUTEX_LATER, 65, 64)); /* or some of it */
}

/* ---- giving way at a pipe ---- */

#define NEXT  7
#define READS 20

static _Atomic uint64_t next_word;
static bool offers; /* the host, as soon as the worker lets it have the processor */
static unsigned gave_way;

/* Instead of the system's. */
int sched_yield(void)
{
    gave_way++;
    if (offers) atomic_store(&next_word, NEXT);
    return 0;
}

/* So many single bytes, each of which is there already: before how many does the worker give way?  Asked anew where the test was interrupted
 * meanwhile, which looks like others' time slice. */
static unsigned read_bytes(const _Atomic uint64_t *word, uint64_t is)
{
    static struct tdm_channel channel;
    do {
        int wire[2];
        char byte = 0;
        open_wire(wire, OUT);
        channel = (struct tdm_channel){.in.fd = wire[0], .next_word = word, .next_offer = NEXT};
        gave_way = 0;
        for (int i = 0; i < READS; i++) {
            atomic_store(&next_word, is);
            write_raw(wire[1], &byte, 1);
            assert_true(tdm_channel_read(&channel, &byte, 1));
        }
        close_wire(wire);
    } while (channel.watch.turn.late > 0);
    return gave_way;
}

static void a_worker_gives_way_at_a_pipe_unless_a_task_is_on_its_way(void)
{
    offers = true;
    assert_int_equal(read_bytes(&next_word, NEXT), 0);
    assert_int_equal(read_bytes(NULL, NEXT - 1), 0);           /* it could not tell what has come of it */
    assert_int_equal(read_bytes(&next_word, NEXT - 1), READS); /* for it pays, each time */
    offers = false;
    assert_in_range(read_bytes(&next_word, NEXT - 1), 1, READS / 2);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(replies_of_every_size_arrive_whole),
        test(tasks_of_every_size_arrive_whole),
        test(a_full_pipe_does_not_block_the_host),
        test(frames_may_be_cut_anywhere),
        test(frames_may_come_byte_by_byte),
        test(a_pipe_that_ends_tells_so_after_its_last_whole_frame),
        test(frames_that_come_together_are_given_one_by_one),
        test(a_cleared_inbox_forgets_what_was_half_read),
        test(only_what_workers_send_is_taken),
        test(a_header_without_its_magic_is_no_header),
        test(a_payload_there_is_no_memory_for_is_thrown_away),
        test(a_worker_whose_host_is_gone_is_told),
        test(no_watch_is_longer_than_it_may_be),
        test(after_some_watches_that_found_it_late_one_is_left_out),
        test(a_host_that_can_wait_is_told_when_the_last_task_begins),
        test(a_worker_gives_way_at_a_pipe_unless_a_task_is_on_its_way),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
