/* fds_test.c - the library's descriptors: where they lie, bells, messages, and calls that nothing can tear. */
#include "harness.h"

#include "base/fds.h"
#include "base/platform.h"
#include "forked.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef __WALL
#define __WALL 0 /* only where a child can be invisible to a plain wait */
#endif

static bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }
static bool closes_on_exec(int fd) { return fcntl(fd, F_GETFD) == FD_CLOEXEC; }

static bool readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) == 1;
}

static void close_both(int fds[2])
{
    for (int i = 0; i < 2; i++) {
        tdm_fds_close(&fds[i]);
        assert_int_equal(fds[i], -1);
    }
}

/* ---- where they lie ---- */

static void expect_kept_apart(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(fds[i] > 2);
        assert_true(closes_on_exec(fds[i]));
    }
}

/* With stdin and perhaps stdout closed, the lowest free numbers are those of stdio. */
static void open_all_kinds(void)
{
    int pipe_ends[2], sockets[2], bell[2], one = -1;
    assert_int_equal(tdm_fds_pipe(pipe_ends), 0);
    expect_kept_apart(pipe_ends, 2);
    assert_int_equal(tdm_fds_socketpair(sockets), 0);
    expect_kept_apart(sockets, 2);
    assert_int_equal(tdm_fds_bell(bell), 0);
    expect_kept_apart(bell, 2);
    assert_true((one = tdm_fds_memory(4096)) >= 0);
    expect_kept_apart(&one, 1);
    tdm_fds_close(&one);
    assert_true((one = tdm_fds_duplicate(pipe_ends[0])) >= 0);
    expect_kept_apart(&one, 1);
    tdm_fds_close(&one);
    close_both(pipe_ends);
    close_both(sockets);
    tdm_fds_close_bell(bell);
    assert_true(bell[0] == -1 && bell[1] == -1);
}

static void all_lie_above_stdio_and_close_on_exec(void)
{
    int saved_input = fcntl(0, F_DUPFD_CLOEXEC, 10), saved_output = fcntl(1, F_DUPFD_CLOEXEC, 10);
    open_all_kinds();
    close(0);
    open_all_kinds();
    close(1);
    open_all_kinds();
    int low = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int moved = low == 0 ? tdm_fds_take_in(low) : -1;
    bool freed = !is_open(0);
    dup2(saved_input, 0);
    dup2(saved_output, 1);
    close(saved_input);
    close(saved_output);
    assert_true(freed);
    expect_kept_apart(&moved, 1);
    tdm_fds_close(&moved);
}

static void closing_none_does_nothing(void)
{
    int none = -1;
    errno = EXDEV;
    tdm_fds_close(&none);
    assert_int_equal(none, -1);
    assert_int_equal(errno, EXDEV);
}

static void memory_behind_a_descriptor_is_the_same_for_all(void)
{
    struct stat info;
    int fd = tdm_fds_memory(8192);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &info), 0);
    assert_int_equal(info.st_size, 8192);
    char *one = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(one != MAP_FAILED && two != MAP_FAILED && one != two);
    assert_int_equal(two[8191], 0);
    one[8191] = 1;
    assert_int_equal(two[8191], 1);
    munmap(one, 8192);
    munmap(two, 8192);
    tdm_fds_close(&fd);
}

static int drops_all_but_the_programs(void *argument)
{
    int *fds = argument, own = open("/dev/null", O_RDONLY | O_CLOEXEC);
    tdm_fds_drop_all();
    for (int i = 0; i < 4; i++) child_needs(!is_open(fds[i]));
    child_needs(is_open(own));
    child_needs(dup2(own, fds[0]) == fds[0]);
    tdm_fds_drop_all(); /* nothing is remembered now */
    child_needs(is_open(fds[0]));
    return 0;
}

static int forgets_all(void *argument)
{
    int *fds = argument;
    tdm_fds_forget_all();
    tdm_fds_drop_all();
    for (int i = 0; i < 4; i++) child_needs(is_open(fds[i]));
    return 0;
}

static int remembers_nothing_closed(void *argument)
{
    int *fds = argument, number = fds[0];
    tdm_fds_close(&fds[0]);
    child_needs(dup2(fds[1], number) == number); /* the same number, and the program's */
    tdm_fds_drop_all();
    child_needs(is_open(number) && !is_open(fds[1]));
    return 0;
}

/* Numbers far apart, in different words of the table and at both ends of one. */
static void all_that_is_open_is_remembered(void)
{
    int fds[4], apart[] = {31, 32, 500};
    int error = tdm_fds_duplicate(1);
    assert_true(error > 2);
    fds[0] = error;
    for (int i = 1; i < 4; i++) {
        fds[i] = fcntl(1, F_DUPFD_CLOEXEC, apart[i - 1]);
        assert_true(fds[i] >= apart[i - 1]);
        assert_int_equal(tdm_fds_take_in(fds[i]), fds[i]);
    }
    expect_in_child(drops_all_but_the_programs, fds);
    expect_in_child(forgets_all, fds);
    expect_in_child(remembers_nothing_closed, fds);
    for (int i = 0; i < 4; i++) tdm_fds_close(&fds[i]);
}

/* ---- bells ---- */

static void a_bell_is_readable_from_ring_to_empty(void)
{
    int bell[2];
    assert_int_equal(tdm_fds_bell(bell), 0);
    for (int round = 0; round < 3; round++) {
        assert_false(readable(bell[0]));
        for (int rings = 0; rings <= round; rings++) {
            tdm_fds_ring(bell);
            assert_true(readable(bell[0]));
        }
        tdm_fds_empty(bell);
        assert_false(readable(bell[0]));
        tdm_fds_empty(bell); /* an empty one does not block */
    }
    tdm_fds_close_bell(bell);
}

static void a_bell_that_is_rung_without_end_never_blocks(void)
{
    int bell[2];
    assert_int_equal(tdm_fds_bell(bell), 0);
    for (int i = 0; i < 20000; i++) tdm_fds_ring(bell); /* more than a pipe holds */
    assert_true(readable(bell[0]));
    tdm_fds_empty(bell);
    assert_false(readable(bell[0]));
    tdm_fds_ring(bell);
    assert_true(readable(bell[0]));
    tdm_fds_close_bell(bell);
}

/* ---- messages ---- */

struct message {
    uint64_t number;
    char text[56];
};

static void expect_message(int socket, uint64_t number, size_t descriptors, int got[TDM_FDS_MOST])
{
    struct message message;
    assert_int_equal(tdm_fds_receive(socket, &message, sizeof message, got), 1);
    assert_int_equal(message.number, number);
    assert_int_equal(message.text[55], (char)number);
    for (size_t i = 0; i < TDM_FDS_MOST; i++) {
        if (i < descriptors)
            assert_true(got[i] >= 0 && closes_on_exec(got[i]));
        else
            assert_int_equal(got[i], -1);
    }
}

static struct message numbered(uint64_t number)
{
    struct message message = {.number = number};
    message.text[55] = (char)number;
    return message;
}

static void messages_arrive_whole_and_in_order(void)
{
    int sockets[2], got[TDM_FDS_MOST];
    assert_int_equal(tdm_fds_socketpair(sockets), 0);
    for (int way = 0; way < 2; way++)
        for (uint64_t round = 0; round < 10; round++) {
            for (uint64_t i = 0; i < 10; i++) {
                struct message message = numbered(10 * round + i);
                assert_int_equal(tdm_fds_send(sockets[way], &message, sizeof message, NULL, 0), 0);
            }
            for (uint64_t i = 0; i < 10; i++) expect_message(sockets[1 - way], 10 * round + i, 0, got);
        }
    close_both(sockets);
}

/* What is written into the end that was received comes out of the one that stayed. */
static void descriptors_travel_with_their_message(void)
{
    int sockets[2], got[TDM_FDS_MOST];
    assert_int_equal(tdm_fds_socketpair(sockets), 0);
    for (size_t count = 0; count <= TDM_FDS_MOST; count++) {
        int pipes[TDM_FDS_MOST][2], ends[TDM_FDS_MOST];
        struct message message = numbered(count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(tdm_fds_pipe(pipes[i]), 0);
            ends[i] = pipes[i][1];
        }
        assert_int_equal(tdm_fds_send(sockets[0], &message, sizeof message, ends, count), 0);
        expect_message(sockets[1], count, count, got);
        for (size_t i = 0; i < count; i++) {
            char byte = (char)('a' + i);
            assert_int_equal(write(got[i], &byte, 1), 1);
            assert_int_equal(close(got[i]), 0);
        }
        for (size_t i = 0; i < count; i++) {
            char byte = 0;
            assert_int_equal(tdm_fds_read(pipes[i][0], &byte, 1), 1);
            assert_int_equal(byte, 'a' + (char)i);
            close_both(pipes[i]);
        }
    }
    close_both(sockets);
}

static void a_message_that_comes_in_pieces_is_put_together(void)
{
    int sockets[2], got[TDM_FDS_MOST];
    struct message message = numbered(77);
    const char *bytes = (const char *)&message;
    assert_int_equal(tdm_fds_socketpair(sockets), 0);
    for (size_t cut = 1; cut < sizeof message; cut++) {
        assert_int_equal(send(sockets[0], bytes, cut, 0), cut);
        assert_int_equal(send(sockets[0], bytes + cut, sizeof message - cut, 0), sizeof message - cut);
        expect_message(sockets[1], 77, 0, got);
    }
    close_both(sockets);
}

static void no_message_is_told_from_the_end(void)
{
    int sockets[2], got[TDM_FDS_MOST];
    struct message message = numbered(1);
    assert_int_equal(tdm_fds_socketpair(sockets), 0);
    assert_int_equal(tdm_fds_nonblocking(sockets[1]), 0);
    assert_int_equal(tdm_fds_receive(sockets[1], &message, sizeof message, got), -EAGAIN);
    message = numbered(1);
    assert_int_equal(tdm_fds_send(sockets[0], &message, sizeof message, NULL, 0), 0);
    assert_int_equal(tdm_fds_send(sockets[1], &message, sizeof message, NULL, 0), 0); /* never read */
    tdm_fds_close(&sockets[0]);
    expect_message(sockets[1], 1, 0, got); /* what was sent before the end still arrives */
    assert_int_equal(tdm_fds_receive(sockets[1], &message, sizeof message, got), 0);
    assert_int_equal(tdm_fds_send(sockets[1], &message, sizeof message, NULL, 0), -EPIPE); /* and no SIGPIPE */
    tdm_fds_close(&sockets[1]);
}

/* ---- reading and writing ---- */

static void reads_and_writes_tell_what_happened(void)
{
    int wire[2];
    char bytes[8] = "";
    struct iovec parts[2] = {{.iov_base = (char[]){'o', 'n'}, .iov_len = 2}, {.iov_base = (char[]){'e', '!'}, .iov_len = 2}};
    assert_int_equal(tdm_fds_pipe(wire), 0);
    assert_int_equal(tdm_fds_nonblocking(wire[0]), 0);
    assert_int_equal(tdm_fds_read(wire[0], bytes, sizeof bytes), -EAGAIN);
    assert_int_equal(tdm_fds_writev(wire[1], parts, 2), 4);
    assert_int_equal(tdm_fds_read(wire[0], bytes, sizeof bytes), 4);
    assert_string_equal(bytes, "one!");
    tdm_fds_close(&wire[1]);
    assert_int_equal(tdm_fds_read(wire[0], bytes, sizeof bytes), 0);
    tdm_fds_close(&wire[0]);
    assert_int_equal(tdm_fds_read(-1, bytes, sizeof bytes), -EBADF);
    assert_int_equal(tdm_fds_writev(-1, parts, 2), -EBADF);
}

struct reader {
    pthread_t thread;
    int fd;
    ssize_t got;
    atomic_int begun;
};

static void *read_one_byte(void *argument)
{
    struct reader *me = argument;
    char byte;
    atomic_store(&me->begun, 1);
    me->got = tdm_fds_read(me->fd, &byte, 1);
    return NULL;
}

static void start_reader(struct reader *reader, int fd)
{
    *reader = (struct reader){.fd = fd};
    assert_int_equal(pthread_create(&reader->thread, NULL, read_one_byte, reader), 0);
    assert_true(await(&reader->begun, 1));
}

static atomic_int interruptions;

static void count_interruption(int number)
{
    (void)number;
    atomic_fetch_add(&interruptions, 1);
}

static void a_signal_does_not_end_a_read(void)
{
    int wire[2];
    struct reader reader;
    struct sigaction action = {.sa_handler = count_interruption}, before;
    assert_int_equal(tdm_fds_pipe(wire), 0);
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    start_reader(&reader, wire[0]);
    for (int i = 1; i <= 20; i++) {
        assert_int_equal(pthread_kill(reader.thread, SIGUSR1), 0);
        assert_true(await(&interruptions, i));
    }
    assert_int_equal(write(wire[1], "x", 1), 1);
    assert_int_equal(pthread_join(reader.thread, NULL), 0);
    assert_int_equal(reader.got, 1);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    close_both(wire);
}

static void a_cancellation_does_not_end_a_read(void)
{
    int wire[2];
    void *result;
    struct reader reader;
    assert_int_equal(tdm_fds_pipe(wire), 0);
    start_reader(&reader, wire[0]);
    assert_int_equal(pthread_cancel(reader.thread), 0);
    moment(); /* a cancellation that did end it would show itself in the join */
    assert_int_equal(write(wire[1], "x", 1), 1);
    assert_int_equal(pthread_join(reader.thread, &result), 0);
    assert_int_equal(reader.got, 1);
    close_both(wire);
}

/* In a child that no handler has seen, as a guard of ours is: what this process remembers is still noted there, and the same numbers may
 * by then be something else. */
static int fork_once_more(void *argument)
{
    const int *wire = argument;
    child_needs(fcntl(wire[0], F_GETFD) >= 0);
    child_needs(fcntl(wire[1], F_GETFD) >= 0);
    return 0;
}

static void a_fork_in_a_child_without_handlers_closes_nothing(void)
{
    skip_on_portable("there is no fork without handlers");
    skip_under_sanitizer("ThreadSanitizer has none either");
    int wire[2], status = -1;
    tdm_fds_close_in_forked_children();
    assert_int_equal(tdm_fds_pipe(wire), 0);
    pid_t pid = tdm_platform_fork_unseen();
    if (pid == 0) _exit(status_of_child(fork_once_more, wire) == 0 ? 0 : 1);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, __WALL), pid);
    assert_int_equal(status, 0);
    tdm_fds_close(&wire[0]);
    tdm_fds_close(&wire[1]);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(all_lie_above_stdio_and_close_on_exec),
        test(closing_none_does_nothing),
        test(memory_behind_a_descriptor_is_the_same_for_all),
        test(all_that_is_open_is_remembered),
        test(a_bell_is_readable_from_ring_to_empty),
        test(a_bell_that_is_rung_without_end_never_blocks),
        test(messages_arrive_whole_and_in_order),
        test(descriptors_travel_with_their_message),
        test(a_message_that_comes_in_pieces_is_put_together),
        test(no_message_is_told_from_the_end),
        test(reads_and_writes_tell_what_happened),
        test(a_signal_does_not_end_a_read),
        test(a_cancellation_does_not_end_a_read),
        test(a_fork_in_a_child_without_handlers_closes_nothing),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
