/* message_descriptors.c - descriptors that go with messages: they arrive with their own, and none is left open anywhere.
 *
 * Most are write ends of pipes, whose read ends show when the last of them is closed, in whatever process. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPES = 80 };

static struct {
    atomic_int messages, ends, wrong, refused;
    struct stat origin[PIPES]; /* of what was posted */
} seen;

static void check(bool good)
{
    if (!good) atomic_fetch_add(&seen.wrong, 1);
}

/* ---- pipes ---- */

struct pipes {
    int count, read[PIPES], write[PIPES];
};

static void open_pipes(struct pipes *pipes, int count)
{
    pipes->count = count;
    for (int i = 0; i < count; i++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pipes->read[i] = ends[0];
        pipes->write[i] = ends[1];
        assert_int_equal(fstat(ends[1], &seen.origin[i]), 0);
    }
}

static void close_writers(struct pipes *pipes)
{
    for (int i = 0; i < pipes->count; i++) close(pipes->write[i]);
}

static bool has_no_writer(int fd)
{
    struct pollfd one = {.fd = fd};
    return poll(&one, 1, 0) == 1 && one.revents & POLLHUP;
}

/* What somebody else closes is closed soon. */
static void expect_no_writers(struct pipes *pipes)
{
    for (int i = 0; i < pipes->count; i++) {
        wait_until(has_no_writer(pipes->read[i]));
        close(pipes->read[i]);
    }
}

static int post_fds(tandem_task *task, int number, const int *fds, size_t count, int64_t timeout_ms)
{
    tandem_message message = {.data = &number, .size = sizeof number, .fds = fds, .fd_count = count};
    return tandem_post(task, &message, timeout_ms);
}

static int number_in(const tandem_message *message)
{
    int number = -1;
    if (message->size == sizeof number) memcpy(&number, message->data, sizeof number);
    return number;
}

static bool closes_on_exec(int fd) { return fd > 2 && fcntl(fd, F_GETFD) == FD_CLOEXEC; }

static void close_fds(const tandem_message *message)
{
    for (size_t i = 0; i < message->fd_count; i++)
        if (message->fds[i] >= 0) close(message->fds[i]);
}

static void count_end(tandem_task *task)
{
    (void)task;
    atomic_fetch_add(&seen.ends, 1);
}

static tandem_task heard_task(int isolation, tandem_fn *run, void *input, size_t size,
                              void (*on_message)(tandem_task *task, const tandem_message *message))
{
    tandem_task task = task_of(isolation, run, input, size);
    task.on_message = on_message;
    task.on_done = count_end;
    return task;
}

static void expect_all(tandem_task *task, int messages)
{
    expect_end(task, TANDEM_OK);
    wait_until(atomic_load(&seen.ends) == 1);
    assert_int_equal(atomic_load(&seen.messages), messages);
    assert_int_equal(atomic_load(&seen.wrong), 0);
    assert_int_equal(tandem_task_clear(task), 0);
    atomic_store(&seen.messages, 0);
    atomic_store(&seen.ends, 0);
}

/* ---- there and back ---- */

/* Writes into each descriptor, sends the message back as it came, and closes them. */
static int write_and_return_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    int error;
    while ((error = tandem_receive(context, &message, -1)) == 0) {
        int number = number_in(&message);
        for (size_t i = 0; i < message.fd_count; i++, number++)
            if (!closes_on_exec(message.fds[i]) || write(message.fds[i], &number, sizeof number) != sizeof number) return __LINE__;
        if (tandem_send(context, &message, -1) != 0) return __LINE__;
        close_fds(&message);
    }
    return error == -EPIPE ? 0 : __LINE__;
}

static void expect_origin(tandem_task *task, const tandem_message *message)
{
    int number = number_in(message);
    struct stat status;
    (void)task;
    check((message->fds != NULL) == (message->fd_count > 0));
    for (size_t i = 0; i < message->fd_count; i++, number++) {
        check(closes_on_exec(message->fds[i]) && fstat(message->fds[i], &status) == 0);
        check(number >= 0 && number < PIPES && status.st_ino == seen.origin[number].st_ino);
    }
    close_fds(message);
    atomic_fetch_add(&seen.messages, 1);
}

static void expect_number_in(int fd, int number)
{
    int found = -1;
    assert_int_equal(read(fd, &found, sizeof found), sizeof found);
    assert_int_equal(found, number);
}

/* promise 43 */
static void eighty_descriptors_arrive_with_the_messages_they_were_sent_with(int isolation)
{
    struct pipes pipes;
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = heard_task(isolation, write_and_return_task, NULL, 0, expect_origin);
    open_pipes(&pipes, PIPES);
    assert_int_equal(tandem_submit(pool, &task), 0);
    for (int i = 0; i < PIPES; i++) {
        assert_int_equal(post_fds(&task, i, &pipes.write[i], 1, -1), 0);
        assert_int_equal(post_fds(&task, -1, NULL, 0, -1), 0); /* one without any in between */
    }
    assert_int_equal(tandem_close(&task), 0);
    close_writers(&pipes);
    expect_all(&task, 2 * PIPES);
    for (int i = 0; i < PIPES; i++) expect_number_in(pipes.read[i], i);
    expect_no_writers(&pipes);
    end_pool(pool);
}

/* promise 43 */
static void eighty_descriptors_arrive_with_one_message(int isolation)
{
    enum { ROUNDS = 10 };
    struct pipes pipes;
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = heard_task(isolation, write_and_return_task, NULL, 0, expect_origin);
    open_pipes(&pipes, PIPES);
    assert_int_equal(tandem_submit(pool, &task), 0);
    for (int round = 0; round < ROUNDS; round++) assert_int_equal(post_fds(&task, 0, pipes.write, PIPES, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    close_writers(&pipes);
    expect_all(&task, ROUNDS);
    for (int i = 0; i < PIPES; i++) expect_number_in(pipes.read[i], i);
    expect_no_writers(&pipes);
    end_pool(pool);
}

/* With bytes in shared memory, too. */
static void descriptors_go_with_bytes_in_shared_memory(void)
{
    struct pipes pipes;
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    int *number = tandem_shared_alloc(pool, sizeof *number);
    skip_unless(number != NULL, "there is no shared memory");
    tandem_task task = heard_task(TANDEM_PROCESS, write_and_return_task, NULL, 0, expect_origin);
    tandem_message message = {.data = number, .size = sizeof *number, .fds = pipes.write, .fd_count = 2};
    open_pipes(&pipes, 2);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_post(&task, &message, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    close_writers(&pipes);
    expect_all(&task, 1);
    expect_no_writers(&pipes);
    assert_int_equal(tandem_shared_free(pool, number), 0);
    end_pool(pool);
}

/* ---- nobody receives them ---- */

/* Takes one message, if it is given 1, and none else; waits to be let go. */
struct order {
    struct gate *gate;
    bool receives_one;
};

static int hold_task(tandem_context *context, void *input, size_t size)
{
    struct order order;
    tandem_message message;
    if (size != sizeof order) return __LINE__;
    memcpy(&order, input, size);
    atomic_store(&order.gate->pid, (int)getpid());
    atomic_fetch_add(&order.gate->entered, 1);
    if (order.receives_one) {
        if (tandem_receive(context, &message, -1) != 0) return __LINE__;
        close_fds(&message);
    }
    return await(&order.gate->opened, 1) ? 0 : __LINE__;
}

/* promise 43 */
static void descriptors_that_a_task_does_not_receive_are_closed_when_it_ends(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (int round = 0; round < 20; round++) {
        struct pipes pipes;
        struct order order = {gate, round % 2};
        tandem_task task = task_of(isolation, hold_task, &order, sizeof order);
        task.flags = TANDEM_NO_HELP;
        memset(gate, 0, sizeof *gate);
        open_pipes(&pipes, PIPES);
        assert_int_equal(tandem_submit(pool, &task), 0);
        if (round % 4 < 2) assert_true(await(&gate->entered, 1));
        for (int i = 0; i < PIPES; i++) assert_int_equal(post_fds(&task, i, &pipes.write[i], 1, -1), 0);
        close_writers(&pipes);
        atomic_store(&gate->opened, 1);
        expect_end(&task, TANDEM_OK);
        tandem_task_clear(&task);
        expect_no_writers(&pipes);
    }
    if (isolation == TANDEM_PROCESS) assert_int_equal(stats_of(pool).workers_started, 1);
    end_pool(pool);
}

/* promise 43 */
static void the_next_task_gets_its_own_descriptors_whatever_the_last_has_left(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int round = 0; round < 5; round++) {
        struct pipes pipes;
        struct order order = {gate, round % 2};
        tandem_task deaf = task_of(TANDEM_PROCESS, hold_task, &order, sizeof order);
        tandem_task task = heard_task(TANDEM_PROCESS, write_and_return_task, NULL, 0, expect_origin);
        memset(gate, 0, sizeof *gate);
        open_pipes(&pipes, PIPES);
        assert_int_equal(tandem_submit(pool, &deaf), 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        for (int i = 0; i < 250; i++) assert_int_equal(post_fds(&deaf, 0, &pipes.write[i % PIPES], 1, -1), 0);
        for (int i = 0; i < PIPES; i++) assert_int_equal(post_fds(&task, i, &pipes.write[i], 1, -1), 0);
        assert_int_equal(tandem_close(&task), 0);
        close_writers(&pipes);
        assert_true(await(&gate->entered, 1));
        atomic_store(&gate->opened, 1);
        expect_end(&deaf, TANDEM_OK);
        expect_all(&task, PIPES);
        tandem_task_clear(&deaf);
        for (int i = 0; i < PIPES; i++) expect_number_in(pipes.read[i], i);
        expect_no_writers(&pipes);
    }
    assert_int_equal(stats_of(pool).workers_started, 1);
    end_pool(pool);
}

/* promise 43 */
static void a_direction_that_is_full_of_descriptors_takes_no_more(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    struct pipes pipes;
    struct order order = {gate, false};
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, hold_task, &order, sizeof order);
    task.flags = TANDEM_NO_HELP;
    open_pipes(&pipes, PIPES);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    int error, posted = 0;
    while ((error = post_fds(&task, 0, pipes.write, PIPES, 0)) == 0) posted++;
    assert_int_equal(error, -EAGAIN);
    assert_in_range(posted, 3, 7); /* 256 in a direction, and as many again on their way */
    assert_int_equal(post_fds(&task, 0, pipes.write, PIPES, 1), -ETIMEDOUT);
    close_writers(&pipes);
    atomic_store(&gate->opened, 1);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    expect_no_writers(&pipes);
    end_pool(pool);
}

/* promise 43 */
static void descriptors_of_a_task_that_is_cancelled_are_closed(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (int round = 0; round < 10; round++) {
        struct pipes pipes;
        struct order order = {gate, false};
        tandem_task first = task_of(isolation, hold_task, &order, sizeof order), task = first;
        first.flags = task.flags = TANDEM_NO_HELP;
        memset(gate, 0, sizeof *gate);
        open_pipes(&pipes, PIPES);
        assert_int_equal(tandem_submit(pool, &first), 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_true(await(&gate->entered, 1));
        for (int i = 0; i < PIPES; i++) assert_int_equal(post_fds(i % 2 ? &first : &task, i, &pipes.write[i], 1, -1), 0);
        close_writers(&pipes);
        tandem_cancel(&task); /* it waits */
        expect_end(&task, TANDEM_CANCELLED);
        if (isolation == TANDEM_THREAD) atomic_store(&gate->opened, 1);
        tandem_cancel(&first);
        tandem_wait(&first);
        expect_no_writers(&pipes);
        tandem_task_clear(&first);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* ---- workers that die ---- */

/* promise 43, promise 42 */
static void descriptors_on_their_way_are_closed_when_a_worker_dies(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int round = 0; round < 10; round++) {
        struct pipes pipes;
        struct order order = {gate, round % 2};
        tandem_task task = task_of(TANDEM_PROCESS, hold_task, &order, sizeof order);
        memset(gate, 0, sizeof *gate);
        open_pipes(&pipes, PIPES);
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_true(await(&gate->entered, 1));
        for (int i = 0; i < PIPES; i++) assert_int_equal(post_fds(&task, i, &pipes.write[i], 1, -1), 0);
        close_writers(&pipes);
        assert_int_equal(kill(atomic_load(&gate->pid), SIGKILL), 0);
        expect_end(&task, TANDEM_CRASHED);
        tandem_task_clear(&task);
        expect_no_writers(&pipes);
    }
    end_pool(pool);
}

/* Opens files, sends them, and dies. */
static int send_files_and_die_task(tandem_context *context, void *input, size_t size)
{
    int count;
    if (size != sizeof count) return __LINE__;
    memcpy(&count, input, size);
    for (int i = 0; i < count; i++) {
        int fds[2] = {open("/dev/null", O_RDONLY), open("/", O_RDONLY)};
        tandem_message message = {.data = &i, .size = sizeof i, .fds = fds, .fd_count = 2};
        if (tandem_send(context, &message, -1) != 0) return __LINE__;
        close(fds[0]);
        close(fds[1]);
    }
    raise(SIGKILL);
    return 0;
}

static void expect_files(tandem_task *task, const tandem_message *message)
{
    struct stat null, root;
    (void)task;
    check(number_in(message) == atomic_load(&seen.messages) && message->fd_count == 2);
    check(fstat(message->fds[0], &null) == 0 && S_ISCHR(null.st_mode));
    check(fstat(message->fds[1], &root) == 0 && S_ISDIR(root.st_mode));
    close_fds(message);
    atomic_fetch_add(&seen.messages, 1);
}

/* promise 43, promise 42 */
static void what_a_worker_sent_before_it_died_arrives_with_its_descriptors(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int count = 1; count <= 100; count += 9) {
        tandem_task task = heard_task(TANDEM_PROCESS, send_files_and_die_task, &count, sizeof count, expect_files);
        atomic_store(&seen.messages, 0);
        atomic_store(&seen.ends, 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_CRASHED);
        wait_until(atomic_load(&seen.ends) == 1);
        assert_int_equal(atomic_load(&seen.messages), count);
        assert_int_equal(atomic_load(&seen.wrong), 0);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static int pid_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    pid_t pid = getpid();
    return tandem_reply(context, &pid, sizeof pid);
}

/* promise 43: a worker that never begins its task gets none of them */
static void descriptors_of_a_task_that_moves_to_another_worker_move_with_it(void)
{
    struct pipes pipes;
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task first = task_of(TANDEM_PROCESS, pid_task, NULL, 0);
    tandem_task task = heard_task(TANDEM_PROCESS, write_and_return_task, NULL, 0, expect_origin);
    assert_int_equal(tandem_call(pool, &first), TANDEM_OK);
    assert_int_equal(kill(*(pid_t *)first.output, SIGSTOP), 0);
    open_pipes(&pipes, PIPES);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(post_fds(&task, -1, NULL, 0, -1), 0);
    for (int i = 0; i < PIPES; i++) assert_int_equal(post_fds(&task, i, &pipes.write[i], 1, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    close_writers(&pipes);
    expect_all(&task, PIPES + 1); /* the one that hangs is killed after a second */
    for (int i = 0; i < PIPES; i++) expect_number_in(pipes.read[i], i);
    expect_no_writers(&pipes);
    end_pool(pool);
    tandem_task_clear(&first);
}

/* What the host wished to be told of one that it took back, it does not wish of the next in its place of the worker. */
static void a_task_that_was_taken_back_with_its_descriptors_leaves_the_next_ones_alone(void)
{
    struct pipes pipes;
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task first = task_of(TANDEM_PROCESS, pid_task, NULL, 0), task = task_of(TANDEM_PROCESS, write_and_return_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &first), TANDEM_OK);
    pid_t pid = *(pid_t *)first.output;
    assert_int_equal(kill(pid, SIGSTOP), 0);
    open_pipes(&pipes, 2);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(post_fds(&task, 0, pipes.write, 2, -1), 0);
    close_writers(&pipes);
    tandem_cancel(&task);
    assert_int_equal(kill(pid, SIGCONT), 0);
    expect_end(&task, TANDEM_CANCELLED);
    expect_no_writers(&pipes);
    for (int i = 0; i < 40; i++) { /* each place of the worker comes twice */
        tandem_task next = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        assert_int_equal(tandem_call(pool, &next), TANDEM_OK);
        tandem_task_clear(&next);
    }
    end_pool(pool);
    tandem_task_clear(&first);
    tandem_task_clear(&task);
}

/* One is posted to, before its worker has begun it; the host keeps none of it, though the task runs on. */
static void who_posted_early_sees_a_descriptor_closed_when_the_task_closes_it(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int round = 0; round < 50; round++) {
        struct pipes pipes;
        struct order order = {gate, true};
        tandem_task task = task_of(TANDEM_PROCESS, hold_task, &order, sizeof order);
        memset(gate, 0, sizeof *gate);
        open_pipes(&pipes, 1);
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_int_equal(post_fds(&task, 0, pipes.write, 1, -1), 0);
        close_writers(&pipes);
        expect_no_writers(&pipes);
        atomic_store(&gate->opened, 1);
        expect_end(&task, TANDEM_OK);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* ---- without room ---- */

/* So many more may be opened here. */
static struct rlimit allow_more(int more)
{
    struct rlimit before, low;
    int next = dup(0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = (rlim_t)(next + more);
    close(next);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    return before;
}

/* promise 43 */
static void a_post_without_room_for_a_duplicate_is_EMFILE(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    struct pipes pipes;
    struct order order = {gate, false};
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, hold_task, &order, sizeof order);
    task.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    open_pipes(&pipes, 10);
    struct rlimit before = allow_more(9);
    assert_int_equal(post_fds(&task, 0, pipes.write, 10, -1), -EMFILE);
    assert_int_equal(post_fds(&task, 0, pipes.write, 2, -1), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    atomic_store(&gate->opened, 1);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    close_writers(&pipes);
    expect_no_writers(&pipes);
    end_pool(pool);
}

static int count_refused_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    int refused = 0, error;
    while ((error = tandem_receive(context, &message, -1)) == 0) {
        for (size_t i = 0; i < message.fd_count; i++) refused += message.fds[i] == -EMFILE;
        close_fds(&message);
    }
    return error == -EPIPE ? tandem_reply(context, &refused, sizeof refused) : __LINE__;
}

/* promise 43: the message arrives all the same, and the next one's descriptors, when there is room */
static void a_task_without_room_for_a_descriptor_finds_EMFILE_in_its_place(void)
{
    struct pipes pipes;
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_limits limits = {.open_files = 20};
    tandem_task task = task_of(TANDEM_PROCESS, count_refused_task, NULL, 0);
    task.limits = &limits;
    open_pipes(&pipes, PIPES);
    assert_int_equal(tandem_submit(pool, &task), 0);
    for (int i = 0; i < 10; i++) assert_int_equal(post_fds(&task, 0, pipes.write, 40, -1), 0);
    for (int i = 0; i < 10; i++) assert_int_equal(post_fds(&task, 0, pipes.write, 1, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    close_writers(&pipes);
    expect_end(&task, TANDEM_OK);
    assert_in_range(*(int *)task.output, 10 * 20, 10 * 30);
    tandem_task_clear(&task);
    expect_no_writers(&pipes);
    end_pool(pool);
}

static void count_refused(tandem_task *task, const tandem_message *message)
{
    (void)task;
    for (size_t i = 0; i < message->fd_count; i++) {
        check(message->fds[i] >= 0 || message->fds[i] == -EMFILE);
        if (message->fds[i] < 0) atomic_fetch_add(&seen.refused, 1);
    }
    close_fds(message);
    atomic_fetch_add(&seen.messages, 1);
}

static int send_many_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    int fds[100];
    if (size != sizeof(gate)) return __LINE__;
    memcpy(&gate, input, size);
    atomic_fetch_add(&gate->entered, 1);
    if (!await(&gate->opened, 1)) return __LINE__;
    for (int i = 0; i < 100; i++) fds[i] = 0;
    tandem_message many = {.data = &fds, .size = sizeof fds, .fds = fds, .fd_count = 100}, one = {.fds = fds, .fd_count = 1};
    for (int i = 0; i < 5; i++)
        if (tandem_send(context, &many, -1) != 0 || tandem_send(context, &one, -1) != 0) return __LINE__;
    return 0;
}

/* promise 43 */
static void an_on_message_without_room_for_a_descriptor_finds_EMFILE_in_its_place(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = heard_task(TANDEM_PROCESS, send_many_task, &gate, sizeof gate, count_refused);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    struct rlimit before = allow_more(50);
    atomic_store(&gate->opened, 1);
    expect_end(&task, TANDEM_OK);
    wait_until(atomic_load(&seen.ends) == 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(atomic_load(&seen.messages), 10);
    assert_int_equal(atomic_load(&seen.wrong), 0);
    assert_in_range(atomic_load(&seen.refused), 50, 5 * 101);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- misuse ---- */

static int send_badly_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    int fds[129] = {0}, bad[2] = {0, 1000000}, none = -1;
    tandem_message message = {.fds = fds, .fd_count = 129};
    if (tandem_send(context, &message, -1) != -EMSGSIZE) return __LINE__;
    message = (tandem_message){.fds = bad, .fd_count = 2};
    if (tandem_send(context, &message, -1) != -EBADF) return __LINE__;
    message = (tandem_message){.fds = &none, .fd_count = 1};
    if (tandem_send(context, &message, -1) != -EBADF) return __LINE__;
    message = (tandem_message){.fds = fds, .fd_count = 128};
    return tandem_send(context, &message, -1) == 0 ? 0 : __LINE__;
}

static void count_message(tandem_task *task, const tandem_message *message)
{
    (void)task;
    check(message->fd_count == 128);
    close_fds(message);
    atomic_fetch_add(&seen.messages, 1);
}

static void what_is_not_open_is_EBADF_and_too_many_are_EMSGSIZE(int isolation)
{
    int fds[129] = {0}, bad[2] = {0, 1000000};
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = heard_task(isolation, send_badly_task, NULL, 0, count_message);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_all(&task, 1);
    task = heard_task(isolation, count_refused_task, NULL, 0, count_message);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(post_fds(&task, 0, fds, 129, -1), -EMSGSIZE);
    assert_int_equal(post_fds(&task, 0, bad, 2, -1), -EBADF);
    assert_int_equal(post_fds(&task, 0, fds, 128, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    expect_all(&task, 0);
    end_pool(pool);
}

/* ---- the host forks ---- */

/* promise 43: what waits for a task is closed in a child */
static void a_child_that_the_host_forks_has_none_of_what_was_posted(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    struct pipes pipes;
    int hold[2];
    struct order order = {gate, false};
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task first = task_of(isolation, hold_task, &order, sizeof order), task = first;
    first.flags = task.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &first), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_submit(pool, &task), 0);
    open_pipes(&pipes, PIPES);
    for (int i = 0; i < PIPES; i++) assert_int_equal(post_fds(&task, i, &pipes.write[i], 1, -1), 0);
    close_writers(&pipes);
    assert_int_equal(pipe(hold), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(hold[1]);
        _exit((int)read(hold[0], &byte, 1));
    }
    atomic_store(&gate->opened, 1);
    expect_end(&first, TANDEM_OK);
    expect_end(&task, TANDEM_OK);
    expect_no_writers(&pipes); /* the child lives on */
    close(hold[0]);
    close(hold[1]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    tandem_task_clear(&first);
    tandem_task_clear(&task);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(eighty_descriptors_arrive_with_the_messages_they_were_sent_with),
        both(eighty_descriptors_arrive_with_one_message),
        test(descriptors_go_with_bytes_in_shared_memory),
        both(descriptors_that_a_task_does_not_receive_are_closed_when_it_ends),
        test(the_next_task_gets_its_own_descriptors_whatever_the_last_has_left),
        both(a_direction_that_is_full_of_descriptors_takes_no_more),
        both(descriptors_of_a_task_that_is_cancelled_are_closed),
        test(descriptors_on_their_way_are_closed_when_a_worker_dies),
        test(what_a_worker_sent_before_it_died_arrives_with_its_descriptors),
        test(descriptors_of_a_task_that_moves_to_another_worker_move_with_it),
        test(a_task_that_was_taken_back_with_its_descriptors_leaves_the_next_ones_alone),
        test(who_posted_early_sees_a_descriptor_closed_when_the_task_closes_it),
        both(a_post_without_room_for_a_duplicate_is_EMFILE),
        test(a_task_without_room_for_a_descriptor_finds_EMFILE_in_its_place),
        test(an_on_message_without_room_for_a_descriptor_finds_EMFILE_in_its_place),
        both(what_is_not_open_is_EBADF_and_too_many_are_EMSGSIZE),
        both(a_child_that_the_host_forks_has_none_of_what_was_posted),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
