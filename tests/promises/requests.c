/* requests.c - a task is asked from outside and answers: each asker gets its own answer, or is told why there is none. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int request(tandem_task *task, const void *data, size_t size, tandem_message *answer, int64_t timeout_ms)
{
    return tandem_request(task, &(tandem_message){.data = data, .size = size}, answer, timeout_ms);
}

static int answer(tandem_context *context, const tandem_message *asked, const void *data, size_t size)
{
    return tandem_send(context, &(tandem_message){.data = data, .size = size, .request = asked->request}, -1);
}

static tandem_task start(tandem_pool *pool, int isolation, tandem_fn *run, void *input, size_t size)
{
    (void)pool;
    tandem_task task = task_of(isolation, run, input, size);
    task.flags = TANDEM_DEDICATED;
    return task;
}

/* Answers each request with twice its number; what is not a request is counted, and is its output. */
static int double_task(tandem_context *context, void *input, size_t size)
{
    tandem_message message;
    uint64_t number, posts = 0;
    (void)input, (void)size;
    while (tandem_receive(context, &message, -1) == 0) {
        if (message.size != sizeof number) return __LINE__;
        memcpy(&number, message.data, sizeof number);
        number *= 2;
        if (message.request == 0)
            posts++;
        else if (answer(context, &message, &number, sizeof number) != 0)
            return __LINE__;
    }
    return tandem_reply(context, &posts, sizeof posts);
}

/* A complaint, or 0. */
static int ask_to_double(tandem_task *task, uint64_t number)
{
    tandem_message message = {0};
    uint64_t doubled = 0;
    int error = request(task, &number, sizeof number, &message, patience_ms());
    if (error != 0) return error;
    if (message.size != sizeof doubled || ((const char *)message.data)[message.size] != 0) return __LINE__;
    memcpy(&doubled, message.data, sizeof doubled);
    if (tandem_message_clear(&message) != 0 || message.data) return __LINE__;
    return doubled == 2 * number ? 0 : __LINE__;
}

static void a_request_gets_its_answer(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = start(pool, isolation, double_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    uint64_t number = 5;
    for (uint64_t i = 0; i < scaled(100000); i++) {
        if (i % 10 == 0) assert_int_equal(tandem_post(&task, &(tandem_message){.data = &number, .size = sizeof number}, -1), 0);
        assert_int_equal(ask_to_double(&task, i), 0);
    }
    assert_int_equal(tandem_close(&task), 0);
    expect_end(&task, TANDEM_OK);
    uint64_t posts = (scaled(100000) + 9) / 10;
    assert_memory_equal(task.output, &posts, sizeof posts);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- several at once ---- */

struct asker {
    tandem_task *task;
    uint64_t first, rounds;
    int complaint;
};

static void *ask_often(void *argument)
{
    struct asker *asker = argument;
    for (uint64_t i = 0; i < asker->rounds && asker->complaint == 0; i++)
        asker->complaint = ask_to_double(asker->task, asker->first + i);
    return NULL;
}

/* Answers by twos, the later one first. */
static int double_in_turns_task(tandem_context *context, void *input, size_t size)
{
    tandem_message message, held = {0};
    uint64_t number, held_number = 0;
    (void)input, (void)size;
    for (;;) {
        int error = tandem_receive(context, &message, held.request != 0 ? 1 : -1);
        if (error == -EPIPE) break;
        if (error == 0) {
            memcpy(&number, message.data, sizeof number);
            number *= 2;
            if (held.request == 0) {
                held = message;
                held_number = number;
                continue;
            }
            if (answer(context, &message, &number, sizeof number) != 0) return __LINE__;
        } else if (error != -ETIMEDOUT) {
            return __LINE__;
        }
        if (held.request != 0 && answer(context, &held, &held_number, sizeof held_number) != 0) return __LINE__;
        held.request = 0;
    }
    return 0;
}

static void each_of_many_askers_gets_its_own_answer(int isolation)
{
    enum { ASKERS = 6 };
    pthread_t threads[ASKERS];
    struct asker askers[ASKERS];
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_fn *functions[] = {double_task, double_in_turns_task};
    for (size_t which = 0; which < count_of(functions); which++) {
        tandem_task task = start(pool, isolation, functions[which], NULL, 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        for (uint64_t i = 0; i < ASKERS; i++) {
            askers[i] = (struct asker){.task = &task, .first = i << 32, .rounds = scaled(20000)};
            assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &askers[i]), 0);
        }
        for (int i = 0; i < ASKERS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_int_equal(askers[i].complaint, 0);
        }
        assert_int_equal(tandem_close(&task), 0);
        expect_end(&task, TANDEM_OK);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* ---- no answer ---- */

static struct gate *gate_in(const void *input)
{
    struct gate *gate;
    memcpy(&gate, input, sizeof(gate));
    return gate;
}

/* Takes one request and holds it until the gate is opened; then answers it, and the others. */
static int late_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate = gate_in(input);
    tandem_message message;
    (void)size;
    while (tandem_receive(context, &message, -1) == 0) {
        uint64_t number;
        memcpy(&number, message.data, sizeof number);
        number *= 2;
        atomic_fetch_add(&gate->entered, 1);
        if (!await(&gate->opened, 1)) return __LINE__;
        if (answer(context, &message, &number, sizeof number) != 0) return __LINE__;
    }
    return 0;
}

static void an_answer_that_comes_too_late_is_thrown_away(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = start(pool, isolation, late_task, &gate, sizeof gate);
    tandem_message message;
    uint64_t number = 1000;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(request(&task, &number, sizeof number, &message, 20), -ETIMEDOUT);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(request(&task, &number, sizeof number, &message, 0), -EAGAIN);
    atomic_store(&gate->opened, 1);
    for (uint64_t i = 0; i < 50; i++) assert_int_equal(ask_to_double(&task, i), 0);
    assert_int_equal(tandem_close(&task), 0);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* Takes so many messages, and leaves without an answer. */
static int leave_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate = gate_in(input);
    tandem_message message;
    (void)size;
    if (tandem_receive(context, &message, -1) != 0) return __LINE__;
    atomic_fetch_add(&gate->entered, 1);
    if (!await(&gate->opened, 1)) return __LINE__;
    if (tandem_where(context) == TANDEM_PROCESS && message.size == 5) raise(SIGKILL);
    return 0;
}

struct single {
    tandem_task *task;
    size_t size;
    int result;
};

static void *ask_once(void *argument)
{
    struct single *single = argument;
    tandem_message message = {0};
    single->result = request(single->task, "12345678", single->size, &message, -1);
    tandem_message_clear(&message);
    return NULL;
}

static void who_asks_a_task_that_ends_is_told_EPIPE(int isolation)
{
    enum { ASKERS = 3 };
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (size_t size = 4; size <= 5; size++) { /* with 5 a process crashes */
        memset(gate, 0, sizeof *gate);
        tandem_task task = start(pool, isolation, leave_task, &gate, sizeof gate);
        pthread_t threads[ASKERS];
        struct single singles[ASKERS];
        tandem_message message;
        assert_int_equal(tandem_submit(pool, &task), 0);
        for (int i = 0; i < ASKERS; i++) {
            singles[i] = (struct single){.task = &task, .size = size};
            assert_int_equal(pthread_create(&threads[i], NULL, ask_once, &singles[i]), 0);
        }
        assert_true(await(&gate->entered, 1));
        atomic_store(&gate->opened, 1);
        for (int i = 0; i < ASKERS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            assert_int_equal(singles[i].result, -EPIPE);
        }
        expect_end(&task, isolation == TANDEM_PROCESS && size == 5 ? TANDEM_CRASHED : TANDEM_OK);
        assert_int_equal(request(&task, "", 1, &message, -1), -EPIPE);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static void who_asks_a_task_that_is_cancelled_is_told_EPIPE(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task busy = task_of(isolation, gate_task, &gate, sizeof gate), waiting = task_of(isolation, double_task, NULL, 0);
    busy.flags = waiting.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &busy), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_submit(pool, &waiting), 0); /* it will never run */
    struct single single = {.task = &waiting, .size = 8};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask_once, &single), 0);
    moment();
    assert_int_equal(tandem_cancel(&waiting), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(single.result, -EPIPE);
    expect_end(&waiting, TANDEM_CANCELLED);
    atomic_store(&gate->opened, 1);
    expect_end(&busy, TANDEM_OK);
    tandem_task_clear(&busy);
    tandem_task_clear(&waiting);
    end_pool(pool);
}

static void a_closed_task_answers_what_was_asked_before(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = start(pool, isolation, late_task, &gate, sizeof gate);
    struct asker asker = {.task = &task, .first = 7, .rounds = 1};
    tandem_message message;
    pthread_t thread;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(pthread_create(&thread, NULL, ask_often, &asker), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_close(&task), 0);
    assert_int_equal(request(&task, "", 1, &message, -1), -EPIPE);
    atomic_store(&gate->opened, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(asker.complaint, 0);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* The first run takes the request with it, the second answers what is asked then. */
static int crash_first_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate = gate_in(input);
    tandem_message message;
    (void)size;
    if (atomic_fetch_add(&gate->entered, 1) == 0) {
        if (tandem_receive(context, &message, -1) != 0) return __LINE__;
        raise(SIGKILL);
    }
    return double_task(context, NULL, 0);
}

static void who_asked_a_run_that_crashed_is_told_and_may_ask_the_next(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, crash_first_task, &gate, sizeof gate);
    tandem_message message;
    task.flags = TANDEM_RETRY;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(request(&task, "12345678", 8, &message, -1), -EPIPE);
    for (uint64_t i = 0; i < 20; i++) assert_int_equal(ask_to_double(&task, i), 0);
    assert_int_equal(tandem_close(&task), 0);
    expect_end(&task, TANDEM_OK);
    assert_int_equal(task.report->runs, 2);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- what it carries, and where it may be asked ---- */

static int echo_requests_task(tandem_context *context, void *input, size_t size)
{
    tandem_message message;
    (void)input, (void)size;
    while (tandem_receive(context, &message, -1) == 0)
        if (answer(context, &message, message.data, message.size) != 0) return __LINE__;
    return 0;
}

static void megabytes_are_asked_and_answered_whole(int isolation)
{
    const size_t most = (size_t)4 << 20;
    char *bytes = malloc(most);
    assert_non_null(bytes);
    for (size_t i = 0; i < most; i++) bytes[i] = (char)(i * 13 + i / 777);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = start(pool, isolation, echo_requests_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    size_t sizes[] = {0, 1, 4095, 65536, 65537, most};
    for (size_t i = 0; i < count_of(sizes); i++) {
        tandem_message message;
        assert_int_equal(request(&task, bytes, sizes[i], &message, -1), 0);
        assert_int_equal(message.size, sizes[i]);
        assert_memory_equal(message.data, bytes, sizes[i]);
        assert_int_equal(tandem_message_clear(&message), 0);
    }
    tandem_cancel(&task);
    tandem_wait(&task);
    tandem_task_clear(&task);
    free(bytes);
    end_pool(pool);
}

static void bytes_in_shared_memory_are_asked_and_answered_where_they_lie(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    char *bytes = tandem_shared_alloc(pool, 100000);
    assert_non_null(bytes);
    tandem_task task = start(pool, TANDEM_PROCESS, echo_requests_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    tandem_message message;
    assert_int_equal(request(&task, bytes, 100000, &message, -1), 0);
    assert_ptr_equal(message.data, bytes);
    assert_int_equal(message.size, 100000);
    assert_int_equal(tandem_message_clear(&message), 0);
    assert_int_equal(tandem_shared_free(pool, bytes), 0);
    tandem_close(&task);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

static int answer_with_descriptors_task(tandem_context *context, void *input, size_t size)
{
    tandem_message message;
    (void)input, (void)size;
    while (tandem_receive(context, &message, -1) == 0) {
        tandem_message back = {.fds = message.fds, .fd_count = message.fd_count, .request = message.request};
        if (message.fd_count != 1 || tandem_send(context, &back, -1) != 0) return __LINE__;
        close(message.fds[0]);
    }
    return 0;
}

static void descriptors_go_with_a_request_and_with_its_answer(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = start(pool, isolation, answer_with_descriptors_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    for (int i = 0; i < 20; i++) {
        int ends[2];
        char byte = 0;
        tandem_message message;
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(tandem_request(&task, &(tandem_message){.fds = &ends[1], .fd_count = 1}, &message, -1), 0);
        close(ends[1]);
        assert_int_equal(message.fd_count, 1);
        int back = message.fds[0];
        assert_int_equal(tandem_message_clear(&message), 0);
        assert_int_equal(write(back, "x", 1), 1);
        close(back);
        assert_int_equal(read(ends[0], &byte, 1), 1);
        assert_int_equal(byte, 'x');
        assert_int_equal(read(ends[0], &byte, 1), 0); /* nobody else has it open any more */
        close(ends[0]);
    }
    tandem_close(&task);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* For each number sent the host asks for its double, inside on_message; what is sent with a request does not come there. */
static int send_and_answer_task(tandem_context *context, void *input, size_t size)
{
    tandem_message message;
    uint64_t number;
    (void)input, (void)size;
    for (uint64_t i = 0; i < 10; i++) {
        if (tandem_send(context, &(tandem_message){.data = &i, .size = sizeof i}, -1) != 0) return __LINE__;
        if (tandem_receive(context, &message, -1) != 0 || message.request == 0) return __LINE__;
        memcpy(&number, message.data, sizeof number);
        number *= 2;
        if (answer(context, &message, &number, sizeof number) != 0) return __LINE__;
    }
    return 0;
}

static atomic_int handled, complained;

static void ask_back(tandem_task *task, const tandem_message *message)
{
    uint64_t number;
    memcpy(&number, message->data, sizeof number);
    if (message->request != 0 || ask_to_double(task, number) != 0) atomic_store(&complained, 1);
    atomic_fetch_add(&handled, 1);
}

static void a_task_can_be_asked_inside_its_on_message(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = start(pool, isolation, send_and_answer_task, NULL, 0);
    task.on_message = ask_back;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    expect_end(&task, TANDEM_OK);
    assert_int_equal(atomic_load(&handled), 10);
    assert_int_equal(atomic_load(&complained), 0);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- bad use ---- */

static tandem_task itself;

static int ask_oneself_task(tandem_context *context, void *input, size_t size)
{
    tandem_message message;
    int expected = tandem_where(context) == TANDEM_THREAD ? -EDEADLK : -EINVAL; /* there it was never submitted */
    (void)input, (void)size;
    if (request(&itself, "", 1, &message, -1) != expected) return __LINE__;
    return tandem_send(context, &(tandem_message){.request = 1}, -1) == -EINVAL ? 0 : __LINE__; /* nobody has asked */
}

static void asking_wrongly_is_an_error_at_once(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, nothing_task, NULL, 0);
    tandem_message message = {0};
    assert_int_equal(request(&task, "", 1, &message, -1), -EINVAL); /* never submitted */
    assert_int_equal(request(NULL, "", 1, &message, -1), -EINVAL);
    assert_int_equal(tandem_request(&task, NULL, &message, -1), -EINVAL);
    assert_int_equal(tandem_message_clear(NULL), -EINVAL);
    assert_int_equal(tandem_message_clear(&message), 0);
    itself = start(pool, isolation, ask_oneself_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &itself), 0);
    assert_int_equal(request(&itself, "", 1, NULL, -1), -EINVAL);
    expect_end(&itself, TANDEM_OK);
    tandem_task_clear(&itself);
    end_pool(pool);
}

static int ask_another_task(tandem_context *context, void *input, size_t size)
{
    tandem_pool *const *pool = input;
    tandem_task other = task_of(TANDEM_THREAD, double_task, NULL, 0);
    (void)context, (void)size;
    other.flags = TANDEM_NO_HELP;
    if (tandem_submit(*pool, &other) != 0) return __LINE__;
    for (uint64_t i = 0; i < 10; i++)
        if (ask_to_double(&other, i) != 0) return __LINE__;
    if (tandem_close(&other) != 0 || tandem_wait(&other) != TANDEM_OK) return __LINE__;
    return tandem_task_clear(&other) == 0 ? 0 : __LINE__;
}

/* promise 13: the pool has one thread, and it waits for the answer of a task that another thread must run */
static void another_thread_stands_in_for_one_that_asks(void)
{
    tandem_options no_watch = {.spin_us = TANDEM_NONE};
    for (int round = 0; round < 20; round++) {
        tandem_pool *pool = pool_of(TANDEM_THREAD, 1, round % 2 ? &no_watch : NULL);
        tandem_task task = task_of(TANDEM_THREAD, ask_another_task, &pool, sizeof pool);
        task.flags = TANDEM_NO_HELP;
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        tandem_task_clear(&task);
        end_pool(pool);
    }
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(a_request_gets_its_answer),
        test(another_thread_stands_in_for_one_that_asks),
        both(each_of_many_askers_gets_its_own_answer),
        both(an_answer_that_comes_too_late_is_thrown_away),
        both(who_asks_a_task_that_ends_is_told_EPIPE),
        both(who_asks_a_task_that_is_cancelled_is_told_EPIPE),
        both(a_closed_task_answers_what_was_asked_before),
        test(who_asked_a_run_that_crashed_is_told_and_may_ask_the_next),
        both(megabytes_are_asked_and_answered_whole),
        test(bytes_in_shared_memory_are_asked_and_answered_where_they_lie),
        both(descriptors_go_with_a_request_and_with_its_answer),
        both(a_task_can_be_asked_inside_its_on_message),
        both(asking_wrongly_is_an_error_at_once),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
