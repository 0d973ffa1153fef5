/* messages_processes.c - messages of tasks in worker processes, which die, are stopped, have other tasks behind this one. */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    atomic_int messages, ends, wrong;
    uint64_t next;
} seen;

static void check(bool good)
{
    if (!good) atomic_fetch_add(&seen.wrong, 1);
}

static tandem_message bytes_of(const void *data, size_t size) { return (tandem_message){.data = data, .size = size}; }

static int post_number(tandem_task *task, uint64_t number, int64_t timeout_ms)
{
    tandem_message message = bytes_of(&number, sizeof number);
    return tandem_post(task, &message, timeout_ms);
}

static uint64_t number_in(const tandem_message *message)
{
    uint64_t number = UINT64_MAX;
    if (message->size == sizeof number) memcpy(&number, message->data, sizeof number);
    return number;
}

static void expect_numbers(tandem_task *task, const tandem_message *message)
{
    (void)task;
    check(number_in(message) == seen.next++);
    atomic_fetch_add(&seen.messages, 1);
}

static void count_end(tandem_task *task)
{
    (void)task;
    atomic_fetch_add(&seen.ends, 1);
}

static void expect_ends(int ends)
{
    wait_until(atomic_load(&seen.ends) >= ends);
    assert_int_equal(atomic_load(&seen.ends), ends);
    assert_int_equal(atomic_load(&seen.wrong), 0);
}

/* ---- one that dies ---- */

/* Sends until there is no room, counting what was sent; then, by the last digit of what it was given, crashes or waits to be killed. */
static int send_and_die_task(tandem_context *context, void *input, size_t size)
{
    atomic_int *sent;
    if (size != sizeof(sent)) return __LINE__;
    memcpy(&sent, input, size);
    for (uint64_t number = 0;; number++) {
        tandem_message message = bytes_of(&number, sizeof number);
        if (tandem_send(context, &message, 0) != 0) break;
        atomic_store(sent, (int)number + 1);
    }
    raise(SIGKILL);
    return 0;
}

/* promise 42 */
static void a_worker_that_dies_with_full_queues_leaves_nothing(void)
{
    atomic_int *sent = shared(sizeof *sent);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    const int rounds = (int)scaled(1000) + 10;
    for (int i = 0; i < rounds; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, send_and_die_task, &sent, sizeof sent);
        task.on_message = expect_numbers;
        task.on_done = count_end;
        seen.next = 0;
        atomic_store(&seen.messages, 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        int error, posted = 0;
        while ((error = post_number(&task, 0, posted < 300 ? 0 : -1)) == 0 || (error == -EAGAIN && posted < 300)) posted++;
        assert_int_equal(error, -EPIPE);
        expect_end(&task, TANDEM_CRASHED);
        expect_ends(i + 1);
        assert_in_range(atomic_load(&seen.messages), atomic_load(sent), atomic_load(sent) + 1);
        assert_int_equal(tandem_task_clear(&task), 0);
    }
    end_pool(pool);
}

/* Receives one, and dies of it the first time. */
static int receive_one_and_die_once_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    tandem_message message;
    if (size != sizeof(gate)) return __LINE__;
    memcpy(&gate, input, size);
    int error = tandem_receive(context, &message, -1);
    if (error != 0) return __LINE__;
    uint64_t number = number_in(&message);
    if (atomic_fetch_add(&gate->entered, 1) == 0) raise(SIGKILL);
    int count = 1;
    while (tandem_receive(context, &message, -1) == 0) count++;
    atomic_store(&gate->left, count);
    return tandem_reply(context, &number, sizeof number);
}

/* What was not written to the first worker goes to the second; and that the task was closed is said again. */
static void the_second_run_of_a_task_gets_what_the_first_was_not_sent(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    static char large[300000];
    tandem_task task = task_of(TANDEM_PROCESS, receive_one_and_die_once_task, &gate, sizeof gate);
    task.flags = TANDEM_RETRY;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(post_number(&task, 1, -1), 0);
    tandem_message message = bytes_of(large, sizeof large);
    for (int i = 0; i < 4; i++) assert_int_equal(tandem_post(&task, &message, -1), 0);
    for (uint64_t i = 0; i < 10; i++) assert_int_equal(post_number(&task, 2 + i, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    expect_end(&task, TANDEM_OK);
    assert_int_equal(atomic_load(&gate->entered), 2);
    assert_in_range(atomic_load(&gate->left), 1, 14);
    end_pool(pool);
    tandem_task_clear(&task);
}

static int pid_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    pid_t pid = getpid();
    return tandem_reply(context, &pid, sizeof pid);
}

static int receive_numbers_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    uint64_t count = 0;
    for (int error; (error = tandem_receive(context, &message, -1)) != -EPIPE; count++)
        if (error != 0 || number_in(&message) != count) return __LINE__;
    return tandem_reply(context, &count, sizeof count);
}

/* What was written for a task that its worker has never begun is written once more, to the next. */
static void what_was_posted_to_a_task_that_moves_to_another_worker_moves_with_it(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task first = task_of(TANDEM_PROCESS, pid_task, NULL, 0), task = task_of(TANDEM_PROCESS, receive_numbers_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &first), TANDEM_OK);
    pid_t pid = *(pid_t *)first.output;
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    for (uint64_t i = 0; i < 100; i++) assert_int_equal(post_number(&task, i, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    expect_end(&task, TANDEM_OK); /* the one that hangs is killed after a second */
    assert_int_equal(*(uint64_t *)task.output, 100);
    assert_int_not_equal(task.report->pid, pid);
    end_pool(pool);
    tandem_task_clear(&task);
    tandem_task_clear(&first);
}

/* ---- others behind it ---- */

static int sum_task(tandem_context *context, void *input, size_t size)
{
    const unsigned char *bytes = input;
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) sum += bytes[i];
    return tandem_reply(context, &sum, sizeof sum);
}

static void call_nothing(tandem_pool *pool, int times)
{
    for (int i = 0; i < times; i++) {
        tandem_task one = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        assert_int_equal(tandem_call(pool, &one), TANDEM_OK);
        tandem_task_clear(&one);
    }
}

/* A worker that runs it has many tasks that are submitted now handed over at once when it is let go: it is known for short ones. */
static tandem_task hold_up(tandem_pool *pool, struct gate **gate)
{
    memset(*gate, 0, sizeof **gate);
    call_nothing(pool, 100);
    return task_of(TANDEM_PROCESS, gate_task, gate, sizeof *gate);
}

/* A worker that has several tasks in hand comes upon the next ones while the first listens: they run when it has ended, with what they were
 * given. */
static void tasks_behind_one_that_listens_run_after_it(void)
{
    enum { BEHIND = 40, SIZE = 1000 };
    static unsigned char inputs[BEHIND][SIZE];
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task tasks[BEHIND];
    for (unsigned round = 0; round < 20; round++) {
        tandem_task listener = task_of(TANDEM_PROCESS, receive_numbers_task, NULL, 0);
        tandem_task first = hold_up(pool, &gate);
        assert_int_equal(tandem_submit(pool, &first), 0);
        assert_int_equal(tandem_submit(pool, &listener), 0);
        for (unsigned i = 0; i < BEHIND; i++) {
            memset(inputs[i], (int)(i + round), SIZE);
            tasks[i] = task_of(TANDEM_PROCESS, sum_task, inputs[i], i % 3 == 0 ? 0 : SIZE);
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        }
        atomic_store(&gate->opened, 1);
        for (uint64_t i = 0; i < 500; i++) assert_int_equal(post_number(&listener, i, -1), 0);
        if (round % 2) assert_int_equal(tandem_wait_for(&listener, 1), TANDEM_PENDING);
        assert_int_equal(tandem_close(&listener), 0);
        expect_end(&listener, TANDEM_OK);
        assert_int_equal(*(uint64_t *)listener.output, 500);
        expect_end(&first, TANDEM_OK);
        tandem_task_clear(&first);
        tandem_task_clear(&listener);
        for (unsigned i = 0; i < BEHIND; i++) {
            expect_end(&tasks[i], TANDEM_OK);
            assert_int_equal(*(unsigned *)tasks[i].output, i % 3 == 0 ? 0 : (i + round) * SIZE);
            tandem_task_clear(&tasks[i]);
        }
    }
    end_pool(pool);
}

/* Two that talk, one behind the other: each gets its own. */
static void a_task_behind_one_that_listens_gets_its_messages_when_its_time_comes(void)
{
    enum { TASKS = 10 };
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task tasks[TASKS];
    for (int i = 0; i < 30; i++) {
        tandem_task one = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        assert_int_equal(tandem_call(pool, &one), TANDEM_OK);
        tandem_task_clear(&one);
    }
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, receive_numbers_task, NULL, 0);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        for (uint64_t k = 0; k < 50; k++) assert_int_equal(post_number(&tasks[i], k, -1), 0);
    }
    for (int i = TASKS; i-- > 0;) assert_int_equal(tandem_close(&tasks[i]), 0);
    for (int i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        assert_int_equal(*(uint64_t *)tasks[i].output, 50);
        tandem_task_clear(&tasks[i]);
    }
    end_pool(pool);
}

/* ---- what is left in the stream ---- */

/* A message that is far too large for what lies between them, to a task that ends without having looked at it: the worker reads over it, goes
 * on with other tasks, and leaves in peace. */
static void a_large_message_to_a_task_that_has_ended_is_read_over(void)
{
    enum { SIZE = 20 << 20 };
    char *large = malloc(SIZE);
    struct gate *gate = shared(sizeof *gate);
    assert_non_null(large);
    memset(large, 'x', SIZE);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_message message = bytes_of(large, SIZE);
    for (int i = 0; i < 5; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
        tandem_task next = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        atomic_store(&gate->opened, 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_true(await(&gate->entered, i + 1));
        assert_int_equal(tandem_post(&task, &message, -1), 0);
        atomic_store(&gate->opened, 1);
        expect_end(&task, TANDEM_OK);
        if (i < 4) assert_int_equal(tandem_call(pool, &next), TANDEM_OK);
        tandem_task_clear(&next);
        tandem_task_clear(&task);
    }
    tandem_stats stats = stats_of(pool);
    assert_int_equal(stats.workers_started, 1);
    end_pool(pool);
    free(large);
}

/* ---- shared memory ---- */

static int change_what_comes_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    while (tandem_receive(context, &message, -1) == 0) {
        memset((void *)(uintptr_t)message.data, 'w', message.size); /* it is where the submitter sees it */
        if (tandem_send(context, &message, -1) != 0) return __LINE__;
    }
    return 0;
}

struct block {
    char *bytes;
    size_t size;
};

static void expect_block(tandem_task *task, const tandem_message *message)
{
    struct block *block = task->user_data;
    check(message->data == block->bytes && message->size == block->size);
    check(block->bytes[0] == 'w' && block->bytes[block->size - 1] == 'w');
    atomic_fetch_add(&seen.messages, 1);
}

static void bytes_in_shared_memory_are_not_copied(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    struct block block = {.size = 50 << 20};
    block.bytes = tandem_shared_alloc(pool, block.size);
    skip_unless(block.bytes != NULL, "there is no shared memory");
    tandem_task task = task_of(TANDEM_PROCESS, change_what_comes_task, NULL, 0);
    task.on_message = expect_block;
    task.on_done = count_end;
    task.user_data = &block;
    tandem_message message = bytes_of(block.bytes, block.size);
    assert_int_equal(tandem_submit(pool, &task), 0);
    for (int i = 0; i < 3; i++) {
        memset(block.bytes, 'h', block.size);
        assert_int_equal(tandem_post(&task, &message, -1), 0);
        wait_until(atomic_load(&seen.messages) > i);
    }
    assert_int_equal(tandem_close(&task), 0);
    expect_end(&task, TANDEM_OK);
    expect_ends(1);
    assert_int_equal(tandem_shared_free(pool, block.bytes), 0);
    end_pool(pool);
    tandem_task_clear(&task);
}

/* ---- limits, and workers of their own ---- */

static int send_more_than_it_may_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    char bytes[1001] = {0};
    tandem_message fits = bytes_of(bytes, 1000), larger = bytes_of(bytes, 1001);
    if (tandem_send(context, &fits, -1) != 0) return __LINE__;
    return tandem_send(context, &larger, -1) == -EMSGSIZE ? 0 : __LINE__;
}

static void count_message(tandem_task *task, const tandem_message *message)
{
    (void)task, (void)message;
    atomic_fetch_add(&seen.messages, 1);
}

static void a_message_beyond_the_limit_of_output_ends_its_task(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_limits limits = {.output = 1000};
    tandem_task task = task_of(TANDEM_PROCESS, send_more_than_it_may_task, NULL, 0);
    task.limits = &limits;
    task.on_message = count_message;
    task.on_done = count_end;
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OVER_LIMIT);
    assert_string_equal(task.report->limit, "output");
    expect_ends(1);
    assert_int_equal(atomic_load(&seen.messages), 1);
    end_pool(pool);
    tandem_task_clear(&task);
}

static void dedicated_workers_talk_as_long_as_they_live(void)
{
    enum { WORKERS = 3 };
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = task_of(TANDEM_PROCESS, receive_numbers_task, NULL, 0);
        workers[i].flags = TANDEM_DEDICATED;
        assert_int_equal(tandem_submit(pool, &workers[i]), 0);
    }
    for (uint64_t k = 0; k < 1000; k++)
        for (int i = 0; i < WORKERS; i++) assert_int_equal(post_number(&workers[i], k, -1), 0);
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(tandem_close(&workers[i]), 0);
        expect_end(&workers[i], TANDEM_OK);
        assert_int_equal(*(uint64_t *)workers[i].output, 1000);
        tandem_task_clear(&workers[i]);
    }
    end_pool(pool);
}

/* ---- one that was posted to and never listened, and the next in its place ---- */

static int wait_at_gate_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    (void)context;
    if (size != sizeof(gate)) return __LINE__;
    memcpy(&gate, input, size);
    atomic_fetch_add(&gate->entered, 1);
    return await(&gate->opened, 1) ? 0 : __LINE__;
}

static int begin_and_receive_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    if (size != sizeof(gate)) return __LINE__;
    memcpy(&gate, input, size);
    atomic_fetch_add(&gate->entered, 1);
    return receive_numbers_task(context, NULL, 0);
}

/* The host wished to be told when half of 256 were received, and never was.  The next in that place receives more than half as many, and never so
 * many that the host would wish it again. */
static void what_one_task_left_unheard_does_not_trouble_the_next_in_its_place(void)
{
    enum { PLACES = 16, FEWER = 200 };
    struct gate *gate = shared(sizeof *gate), *other = shared(sizeof *other);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int round = 0; round < 10; round++) {
        memset(gate, 0, sizeof *gate);
        memset(other, 0, sizeof *other);
        tandem_task deaf = task_of(TANDEM_PROCESS, wait_at_gate_task, &gate, sizeof gate);
        tandem_task next = task_of(TANDEM_PROCESS, begin_and_receive_task, &other, sizeof other);
        assert_int_equal(tandem_submit(pool, &deaf), 0);
        assert_true(await(&gate->entered, 1));
        while (post_number(&deaf, 0, 0) == 0) continue;
        atomic_store(&gate->opened, 1);
        expect_end(&deaf, TANDEM_OK);
        call_nothing(pool, PLACES - 1);
        assert_int_equal(tandem_submit(pool, &next), 0);
        assert_true(await(&other->entered, 1)); /* so it was not known to be one that is posted to when it was handed over */
        for (uint64_t i = 0; i < FEWER; i++) assert_int_equal(post_number(&next, i, -1), 0);
        assert_int_equal(tandem_close(&next), 0);
        expect_end(&next, TANDEM_OK);
        assert_int_equal(*(uint64_t *)next.output, FEWER);
        tandem_task_clear(&deaf);
        tandem_task_clear(&next);
    }
    end_pool(pool);
}

/* ---- others behind one that has no memory left ---- */

/* Takes all memory that it may have, a piece at a time; then listens. */
static int take_all_and_listen_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    tandem_message message;
    void *first = NULL;
    size_t taken = 0;
    if (size != sizeof(gate)) return __LINE__;
    memcpy(&gate, input, size);
    for (size_t piece = 1 << 20; piece >= sizeof first; piece /= 2)
        for (void *next; taken < (size_t)1 << 30 && (next = malloc(piece)) != NULL; taken += piece) {
            memcpy(next, &first, sizeof first);
            first = next;
        }
    atomic_fetch_add(&gate->entered, 1);
    int error = tandem_receive(context, &message, -1);
    for (void *next; first; first = next) {
        memcpy(&next, first, sizeof next);
        free(first);
    }
    return error == -EPIPE ? 0 : __LINE__;
}

static void tasks_behind_one_that_has_used_up_its_memory_are_not_harmed(void)
{
    enum { BEHIND = 15, SIZE = 3000 };
    skip_on_portable("a limit of memory has no effect there");
    skip_under_sanitizer("it reserves more addresses than any limit");
    skip_under_valgrind("it takes memory of its own");
    static unsigned char input[SIZE];
    struct gate *gate = shared(sizeof *gate), *other = shared(sizeof *other);
    tandem_limits limits = {.memory = 16 << 20};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int round = 0; round < 5; round++) {
        tandem_task listener = task_of(TANDEM_PROCESS, take_all_and_listen_task, &gate, sizeof gate), tasks[BEHIND];
        tandem_task first = hold_up(pool, &other);
        listener.limits = &limits;
        memset(gate, 0, sizeof *gate);
        memset(input, 1, sizeof input);
        assert_int_equal(tandem_submit(pool, &first), 0);
        assert_int_equal(tandem_submit(pool, &listener), 0);
        for (int i = 0; i < BEHIND; i++) {
            tasks[i] = task_of(TANDEM_PROCESS, sum_task, input, SIZE);
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        }
        atomic_store(&other->opened, 1);
        assert_true(await(&gate->entered, 1));
        assert_int_equal(tandem_wait_for(&listener, 1), TANDEM_PENDING);
        assert_int_equal(tandem_close(&listener), 0);
        expect_end(&listener, TANDEM_OK);
        expect_end(&first, TANDEM_OK);
        tandem_task_clear(&first);
        tandem_task_clear(&listener);
        for (int i = 0; i < BEHIND; i++) {
            expect_end(&tasks[i], TANDEM_OK);
            assert_int_equal(*(unsigned *)tasks[i].output, SIZE);
            tandem_task_clear(&tasks[i]);
        }
    }
    assert_int_equal(stats_of(pool).workers_started, 1);
    end_pool(pool);
}

/* ---- one that is stopped ---- */

static int send_ten_and_spin_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    if (size != sizeof(gate)) return __LINE__;
    memcpy(&gate, input, size);
    for (uint64_t number = 0; number < 10; number++) {
        tandem_message message = bytes_of(&number, sizeof number);
        if (tandem_send(context, &message, -1) != 0) return __LINE__;
    }
    atomic_fetch_add(&gate->entered, 1);
    for (;;) moment();
}

static void what_was_sent_before_a_task_was_cancelled_arrives(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < 40; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, send_ten_and_spin_task, &gate, sizeof gate);
        task.on_message = expect_numbers;
        task.on_done = count_end;
        seen.next = 0;
        atomic_store(&seen.messages, 0);
        memset(gate, 0, sizeof *gate);
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_true(await(&gate->entered, 1));
        assert_int_equal(tandem_cancel(&task), 0);
        expect_end(&task, TANDEM_CANCELLED);
        expect_ends(i + 1);
        assert_int_equal(atomic_load(&seen.messages), 10);
        assert_int_equal(tandem_task_clear(&task), 0);
    }
    end_pool(pool);
}

/* Looks often before it is posted to, so that what comes cannot have come with its input. */
static int poll_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    tandem_message message;
    if (size != sizeof(gate)) return __LINE__;
    memcpy(&gate, input, size);
    for (int i = 0; i < 1000; i++)
        if (tandem_receive(context, &message, 0) != -EAGAIN) return __LINE__;
    atomic_fetch_add(&gate->entered, 1);
    const int64_t begun = now_ms();
    int error;
    while ((error = tandem_receive(context, &message, 0)) == -EAGAIN)
        if (now_ms() - begun > patience_ms()) return __LINE__;
    return error == 0 && number_in(&message) == 42 ? 0 : __LINE__;
}

static void who_only_looks_for_a_message_finds_it(void)
{
    struct gate *gate = shared(sizeof *gate);
    for (uint32_t pipes = 0; pipes < 2; pipes++) {
        tandem_options options = {.pipes_only = pipes};
        tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
        tandem_task task = task_of(TANDEM_PROCESS, poll_task, &gate, sizeof gate);
        memset(gate, 0, sizeof *gate);
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_true(await(&gate->entered, 1));
        assert_int_equal(post_number(&task, 42, -1), 0);
        expect_end(&task, TANDEM_OK);
        tandem_task_clear(&task);
        end_pool(pool);
    }
}

static void one_that_may_run_twice_has_no_on_message(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, pid_task, NULL, 0);
    task.flags = TANDEM_RETRY;
    task.on_message = expect_numbers;
    assert_int_equal(tandem_submit(pool, &task), -EINVAL);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_worker_that_dies_with_full_queues_leaves_nothing),
        test(the_second_run_of_a_task_gets_what_the_first_was_not_sent),
        test(what_was_posted_to_a_task_that_moves_to_another_worker_moves_with_it),
        test(tasks_behind_one_that_listens_run_after_it),
        test(a_task_behind_one_that_listens_gets_its_messages_when_its_time_comes),
        test(a_large_message_to_a_task_that_has_ended_is_read_over),
        test(bytes_in_shared_memory_are_not_copied),
        test(a_message_beyond_the_limit_of_output_ends_its_task),
        test(dedicated_workers_talk_as_long_as_they_live),
        test(what_one_task_left_unheard_does_not_trouble_the_next_in_its_place),
        test(tasks_behind_one_that_has_used_up_its_memory_are_not_harmed),
        test(what_was_sent_before_a_task_was_cancelled_arrives),
        test(who_only_looks_for_a_message_finds_it),
        test(one_that_may_run_twice_has_no_on_message),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
