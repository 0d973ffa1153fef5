/* messages_short.c - messages when memory runs out somewhere, bytes come short, or a system call about descriptors that go with them fails: a call says
 * so, or the receiver finds it in their place, or the task ends, once; nothing hangs, and no descriptor is left open, in no process. */
#include "harness.h"

#include "base/fault.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { PIPES = 6 };

static struct {
    atomic_int messages, ends, wrong, missing;
    uint64_t next;
} seen;

static void count_end(tandem_task *task)
{
    (void)task;
    atomic_fetch_add(&seen.ends, 1);
}

/* One message more, whatever goes wrong in the library. */
static void post(tandem_task *task, const tandem_message *message)
{
    int error = tandem_post(task, message, -1);
    if (error != 0 && error != -ENOMEM && error != -EMFILE && error != -EPIPE) fail_msg("tandem_post says %d", error);
}

/* How it ended. */
static int close_and_wait(tandem_task *task)
{
    int error;
    while ((error = tandem_close(task)) == -ENOMEM) continue;
    if (error != 0 && error != -EPIPE) fail_msg("tandem_close says %d", error);
    int status = tandem_wait_for(task, patience_ms());
    if (status == TANDEM_PENDING) fail_msg("it has not ended");
    wait_until(atomic_load(&seen.ends) == 1);
    assert_int_equal(atomic_load(&seen.wrong), 0);
    return status;
}

/* ---- bytes ---- */

static char large[30000];

static int echo_until_closed_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    int error;
    while ((error = tandem_receive(context, &message, -1)) == 0)
        if (tandem_send(context, &message, -1) != 0) return 1;
    return error == -EPIPE ? 0 : 2;
}

/* Numbers first, in order: what could not be sent may be missing, nothing comes twice. */
static void expect_rising(tandem_task *task, const tandem_message *message)
{
    uint64_t number;
    (void)task;
    memcpy(&number, message->data, sizeof number);
    if (number < seen.next || number >= 20) atomic_fetch_add(&seen.wrong, 1);
    seen.next = number + 1;
    atomic_fetch_add(&seen.messages, 1);
}

/* A few messages there and back.  How it ended, or that it was not taken. */
static int talk(tandem_pool *pool, int isolation)
{
    tandem_task task = task_of(isolation, echo_until_closed_task, NULL, 0);
    task.on_message = expect_rising;
    task.on_done = count_end;
    seen.next = 0;
    atomic_store(&seen.ends, 0);
    int result = tandem_submit(pool, &task);
    if (result != 0) return result;
    for (uint64_t i = 0; i < 4; i++) {
        memcpy(large, &i, sizeof i);
        post(&task, &(tandem_message){.data = large, .size = i % 2 ? sizeof large : sizeof i});
    }
    result = close_and_wait(&task);
    assert_int_equal(tandem_task_clear(&task), 0);
    return result;
}

/* ---- descriptors ---- */

static int read_ends[PIPES];

static void close_fds(const tandem_message *message)
{
    for (size_t i = 0; i < message->fd_count; i++)
        if (message->fds[i] >= 0) close(message->fds[i]);
}

/* Returns what it gets.  Of what it did not get an error stands there, which is not sent. */
static int return_until_closed_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    int error;
    while ((error = tandem_receive(context, &message, -1)) == 0) {
        tandem_message answer = message;
        while (answer.fd_count > 0 && answer.fds[answer.fd_count - 1] < 0) answer.fd_count--;
        tandem_send(context, &answer, -1);
        close_fds(&message);
    }
    return error == -EPIPE ? 0 : 1;
}

static void take_message(tandem_task *task, const tandem_message *message)
{
    (void)task;
    if (message->fd_count > 2) atomic_fetch_add(&seen.wrong, 1);
    for (size_t i = 0; i < message->fd_count; i++)
        if (message->fds[i] < 0) atomic_fetch_add(&seen.missing, 1);
    close_fds(message);
    atomic_fetch_add(&seen.messages, 1);
}

static bool has_no_writer(int fd)
{
    struct pollfd one = {.fd = fd};
    return poll(&one, 1, 0) == 1 && one.revents & POLLHUP;
}

/* A few messages with two descriptors each.  The same. */
static int talk_of_fds(tandem_pool *pool, int isolation)
{
    tandem_task task = task_of(isolation, return_until_closed_task, NULL, 0);
    int writers[PIPES];
    task.on_message = take_message;
    task.on_done = count_end;
    atomic_store(&seen.ends, 0);
    for (int i = 0; i < PIPES; i++) {
        int both_ends[2];
        assert_int_equal(pipe(both_ends), 0);
        read_ends[i] = both_ends[0];
        writers[i] = both_ends[1];
    }
    int result = tandem_submit(pool, &task);
    for (int i = 0; i < PIPES && result == 0; i += 2)
        post(&task, &(tandem_message){.data = "bytes", .size = 5, .fds = writers + i, .fd_count = 2});
    for (int i = 0; i < PIPES; i++) close(writers[i]);
    if (result == 0) result = close_and_wait(&task);
    assert_int_equal(tandem_task_clear(&task), 0);
    for (int i = 0; i < PIPES; i++) {
        wait_until(has_no_writer(read_ends[i]));
        close(read_ends[i]);
    }
    return result;
}

/* ---- a failure at each place in turn ---- */

typedef int talk_fn(tandem_pool *pool, int isolation);

/* A pool that works, then the fault at the nth pass, then a pool that works again. */
static void walk(talk_fn *talks, int isolation, enum tdm_fault_point point, int value, unsigned fine)
{
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    assert_int_equal(talks(pool, isolation), TANDEM_OK);
    uint64_t fired = 1;
    for (uint64_t nth = 1; fired > 0 && nth < 1000; nth++) {
        tdm_fault_arm(point, nth, TDM_FAULT_FAIL, value);
        int result = talks(pool, isolation);
        fired = tdm_fault_fired(point);
        tdm_fault_disarm_all();
        if (result < 0 ? result != -ENOMEM : (fine >> result & 1) == 0) fail_msg("pass %d ended as %d", (int)nth, result);
        int again = talks(pool, isolation);
        if (again != TANDEM_OK) fail_msg("after pass %d it ended as %d", (int)nth, again);
    }
    assert_int_equal(fired, 0); /* all were walked through */
    end_pool(pool);
}

#define FINE  (1u << TANDEM_OK)
#define WORSE (FINE | 1u << TANDEM_FAILED | 1u << TANDEM_CRASHED | 1u << TANDEM_NOT_STARTED)

static void without_memory_somewhere_a_call_says_so_and_the_task_ends(int isolation)
{
    walk(talk, isolation, TDM_FAULT_memory, ENOMEM, WORSE);
}

/* promise 43 */
static void without_memory_for_them_they_are_closed(int isolation)
{
    walk(talk_of_fds, isolation, TDM_FAULT_memory, ENOMEM, WORSE);
}

/* promise 43 */
static void without_room_for_a_duplicate_the_others_are_closed(int isolation)
{
    walk(talk_of_fds, isolation, TDM_FAULT_duplicate, EMFILE, FINE);
}

/* promise 43 */
static void what_cannot_be_sent_costs_the_message_its_descriptors_only(void)
{
    walk(talk_of_fds, TANDEM_PROCESS, TDM_FAULT_parcel_send, ETOOMANYREFS, FINE);
}

/* promise 43 */
static void a_full_socket_is_waited_for(void)
{
    atomic_store(&seen.messages, 0);
    walk(talk_of_fds, TANDEM_PROCESS, TDM_FAULT_parcel_send, EINTR, FINE);
    assert_int_equal(atomic_load(&seen.messages) % (PIPES / 2), 0);
    assert_int_equal(atomic_load(&seen.missing), 0);
}

/* promise 43: the third of the messages to the worker finds the socket full, and comes all the same */
static void the_reactor_sends_on_when_there_is_room(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    assert_int_equal(talk_of_fds(pool, TANDEM_PROCESS), TANDEM_OK);
    for (int round = 0; round < 20; round++) {
        atomic_store(&seen.messages, 0);
        tdm_fault_arm(TDM_FAULT_parcel_send, 1, TDM_FAULT_FAIL, EAGAIN); /* the first is the host's */
        assert_int_equal(talk_of_fds(pool, TANDEM_PROCESS), TANDEM_OK);
        assert_int_equal(tdm_fault_fired(TDM_FAULT_parcel_send), 1);
        tdm_fault_disarm_all();
        assert_int_equal(atomic_load(&seen.messages), PIPES / 2);
        assert_int_equal(atomic_load(&seen.missing), 0);
    }
    end_pool(pool);
}

/* promise 43 */
static void what_cannot_be_received_ends_the_task_or_is_missing(void)
{
    walk(talk_of_fds, TANDEM_PROCESS, TDM_FAULT_parcel_receive, ENOMEM, WORSE);
}

/* promise 43 */
static void one_that_does_not_arrive_is_EMFILE_in_its_place(void)
{
    walk(talk_of_fds, TANDEM_PROCESS, TDM_FAULT_parcel_rights, 1, FINE);
    assert_true(atomic_load(&seen.missing) > 0);
}

/* promise 43 */
static void one_that_cannot_be_taken_in_is_missing(void) { walk(talk_of_fds, TANDEM_PROCESS, TDM_FAULT_take_in, EMFILE, FINE); }

/* ---- bytes that come short ---- */

static void messages_may_be_cut_short(void)
{
    static const enum tdm_fault_point points[] = {TDM_FAULT_host_read, TDM_FAULT_host_write, TDM_FAULT_worker_read,
                                                  TDM_FAULT_worker_write};
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    assert_int_equal(talk(pool, TANDEM_PROCESS), TANDEM_OK);
    for (size_t i = 0; i < count_of(points); i++) {
        atomic_store(&seen.messages, 0);
        tdm_fault_arm(points[i], 1, TDM_FAULT_CUT_SHORT, -1);
        assert_int_equal(talk(pool, TANDEM_PROCESS), TANDEM_OK);
        tdm_fault_disarm_all();
        assert_int_equal(atomic_load(&seen.messages), 4);
    }
    end_pool(pool);
}

/* Killed after each so many bytes that it has written: what was whole has arrived. */
static void a_worker_that_dies_within_a_message_has_sent_the_ones_before(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    assert_int_equal(talk(pool, TANDEM_PROCESS), TANDEM_OK);
    for (int bytes = 1; bytes < 400; bytes += full_run() ? 1 : 23) {
        atomic_store(&seen.messages, 0);
        tdm_fault_arm(TDM_FAULT_worker_write, 1, TDM_FAULT_CUT_SHORT, bytes);
        assert_int_equal(talk(pool, TANDEM_PROCESS), TANDEM_CRASHED);
        tdm_fault_disarm_all();
        assert_int_equal(atomic_load(&seen.messages), bytes >= 72 ? 1 : 0); /* the first: a header and a number */
        assert_int_equal(talk(pool, TANDEM_PROCESS), TANDEM_OK);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(without_memory_somewhere_a_call_says_so_and_the_task_ends),
        both(without_memory_for_them_they_are_closed),
        both(without_room_for_a_duplicate_the_others_are_closed),
        test(what_cannot_be_sent_costs_the_message_its_descriptors_only),
        test(a_full_socket_is_waited_for),
        test(the_reactor_sends_on_when_there_is_room),
        test(what_cannot_be_received_ends_the_task_or_is_missing),
        test(one_that_does_not_arrive_is_EMFILE_in_its_place),
        test(one_that_cannot_be_taken_in_is_missing),
        test(messages_may_be_cut_short),
        test(a_worker_that_dies_within_a_message_has_sent_the_ones_before),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
