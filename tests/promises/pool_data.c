/* pool_data.c - what is set for a pool is seen by the tasks and workers that start later, on threads and in processes alike. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void set(tandem_pool *pool, const char *key, const char *text)
{
    assert_int_equal(tandem_pool_set_data(pool, key, text, text ? strlen(text) : 0), 0);
}

/* Replies what it finds under the key that is its input; FAILED with ENOENT: nothing. */
static int look_task(tandem_context *context, void *input, size_t size)
{
    size_t found = 77;
    const void *data = tandem_pool_data(context, input, &found);
    (void)size;
    if (!data) return found == 0 ? ENOENT : __LINE__;
    if (((const char *)data)[found] != 0 || (uintptr_t)data % _Alignof(max_align_t) != 0) return __LINE__;
    if (tandem_pool_data(context, input, NULL) != data) return __LINE__;
    return tandem_reply(context, data, found);
}

static char *key_of(const char *key) { return (char *)(uintptr_t)key; }

static void expect(tandem_pool *pool, int isolation, uint32_t flags, const char *key, const char *text)
{
    tandem_task task = task_of(isolation, look_task, key_of(key), strlen(key) + 1);
    task.flags = flags;
    int status = tandem_call(pool, &task);
    if (text) {
        assert_int_equal(status, TANDEM_OK);
        assert_int_equal(task.output_size, strlen(text));
        assert_memory_equal(task.output, text, strlen(text));
    } else {
        assert_int_equal(status, TANDEM_FAILED);
        assert_int_equal(task.code, ENOENT);
    }
    tandem_task_clear(&task);
}

static void a_task_finds_what_was_set_before_it_started(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    expect(pool, isolation, 0, "color", NULL);
    set(pool, "color", "green");
    expect(pool, isolation, 0, "color", "green");
    expect(pool, isolation, 0, "colo", NULL);
    set(pool, "size", "");
    set(pool, "color", "a shade of red that needs some room");
    for (int i = 0; i < 20; i++) {
        expect(pool, isolation, i % 2 ? (uint32_t)TANDEM_DEDICATED : (uint32_t)TANDEM_NO_HELP, "color",
               "a shade of red that needs some room");
        expect(pool, isolation, 0, "size", "");
    }
    set(pool, "color", NULL);
    set(pool, "never set", NULL);
    expect(pool, isolation, 0, "color", NULL);
    expect(pool, isolation, 0, "size", "");
    end_pool(pool);
}

static void tasks_that_were_submitted_before_find_what_was_set_before_they_started(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task first = task_of(isolation, gate_task, &gate, sizeof gate);
    tandem_task second = task_of(isolation, look_task, key_of("key"), 4);
    first.flags = second.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &first), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_submit(pool, &second), 0);
    set(pool, "key", "set meanwhile");
    atomic_store(&gate->opened, 1);
    expect_end(&first, TANDEM_OK);
    expect_end(&second, TANDEM_OK);
    assert_string_equal(second.output, "set meanwhile");
    tandem_task_clear(&first);
    tandem_task_clear(&second);
    end_pool(pool);
}

static int look_twice_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    if (size != sizeof(gate)) return __LINE__;
    memcpy(&gate, input, size);
    const char *before = tandem_pool_data(context, "key", NULL);
    if (!before || strcmp(before, "one") != 0) return __LINE__;
    atomic_store(&gate->entered, 1);
    if (!await(&gate->opened, 1)) return __LINE__;
    const char *after = tandem_pool_data(context, "key", NULL);
    return after == before && strcmp(after, "one") == 0 && !tandem_pool_data(context, "other", NULL) ? 0 : __LINE__;
}

static void a_running_task_goes_on_seeing_what_it_has_seen(int isolation)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, look_twice_task, &gate, sizeof gate);
    task.flags = TANDEM_NO_HELP;
    set(pool, "key", "one");
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    set(pool, "key", "two");
    set(pool, "other", "new");
    atomic_store(&gate->opened, 1);
    expect_end(&task, TANDEM_OK);
    expect(pool, isolation, 0, "key", "two");
    expect(pool, isolation, 0, "other", "new");
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- in on_worker_start ---- */

static int keep_name(void **worker_data, void *argument)
{
    size_t size = 0;
    const char *name = tandem_pool_data(NULL, "name", &size);
    (void)argument;
    if (!name) return 0;
    *worker_data = calloc(1, size + 1);
    if (!*worker_data) return ENOMEM;
    memcpy(*worker_data, name, size);
    return 0;
}

static void drop_name(void *worker_data, void *argument)
{
    (void)argument;
    free(worker_data);
}

static int name_task(tandem_context *context, void *input, size_t size)
{
    const char *name = tandem_worker_data(context);
    (void)input, (void)size;
    return name ? tandem_reply(context, name, strlen(name)) : ENOENT;
}

static void a_worker_that_starts_later_finds_it_in_on_worker_start(int isolation)
{
    tandem_options options = {.on_worker_start = keep_name, .on_worker_stop = drop_name};
    tandem_pool *pool = pool_of(isolation, 1, &options);
    for (int i = 0; i < 3; i++) {
        char name[16] = "worker-";
        name[7] = (char)('0' + i);
        set(pool, "name", name);
        tandem_task task = task_of(isolation, name_task, NULL, 0);
        task.flags = TANDEM_DEDICATED;
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        assert_string_equal(task.output, name);
        tandem_task_clear(&task);
    }
    assert_null(tandem_pool_data(NULL, "name", NULL)); /* this is no worker */
    end_pool(pool);
}

/* ---- much of it, and while it changes ---- */

static int sum_task(tandem_context *context, void *input, size_t size)
{
    size_t found;
    const unsigned char *data = tandem_pool_data(context, "large", &found);
    uint64_t sum = found;
    (void)input, (void)size;
    for (size_t i = 0; data && i < found; i += 1009) sum += data[i] * i;
    return tandem_reply(context, &sum, sizeof sum);
}

static void megabytes_arrive_whole(int isolation)
{
    const size_t size = ((size_t)8 << 20) + 5;
    unsigned char *bytes = malloc(size);
    assert_non_null(bytes);
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    for (int round = 0; round < 3; round++) {
        uint64_t sum = size;
        for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(i * 7 + i / 999 + (size_t)round);
        for (size_t i = 0; i < size; i += 1009) sum += bytes[i] * i;
        assert_int_equal(tandem_pool_set_data(pool, "large", bytes, size), 0);
        memset(bytes, 0, size); /* it was copied */
        for (int i = 0; i < 4; i++) {
            tandem_task task = task_of(isolation, sum_task, NULL, 0);
            task.flags = i == 3 ? TANDEM_DEDICATED : 0;
            assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
            assert_memory_equal(task.output, &sum, sizeof sum);
            tandem_task_clear(&task);
        }
    }
    free(bytes);
    end_pool(pool);
}

/* Both keys are always set to the same number, first one, then the other. */
static int compare_task(tandem_context *context, void *input, size_t size)
{
    unsigned first, second, least;
    const void *one = tandem_pool_data(context, "first", NULL), *two = tandem_pool_data(context, "second", NULL);
    if (size != sizeof least || !one || !two) return __LINE__;
    memcpy(&least, input, size);
    memcpy(&first, one, sizeof first);
    memcpy(&second, two, sizeof second);
    return first >= least && (first == second || first == second + 1) ? 0 : __LINE__;
}

static void sets_while_tasks_run_are_seen_whole_and_in_order(int isolation)
{
    enum { WINDOW = 16 };
    static tandem_task tasks[WINDOW];
    static unsigned least[WINDOW];
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    size_t rounds = scaled(isolation == TANDEM_THREAD ? 500000 : 100000);
    for (unsigned round = 0; round < rounds; round++) {
        assert_int_equal(tandem_pool_set_data(pool, "first", &round, sizeof round), 0);
        assert_int_equal(tandem_pool_set_data(pool, "second", &round, sizeof round), 0);
        unsigned place = round % WINDOW;
        if (round >= WINDOW) expect_end(&tasks[place], TANDEM_OK);
        tandem_task_clear(&tasks[place]);
        least[place] = round;
        tasks[place] = task_of(isolation, compare_task, &least[place], sizeof *least);
        assert_int_equal(tandem_submit(pool, &tasks[place]), 0);
    }
    for (unsigned i = 0; i < WINDOW && i < rounds; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    end_pool(pool);
}

struct setter {
    tandem_pool *pool;
    char key[2];
    size_t rounds;
    bool failed;
};

static void *set_often(void *argument)
{
    struct setter *setter = argument;
    for (size_t i = 0; i < setter->rounds; i++)
        if (tandem_pool_set_data(setter->pool, setter->key, &i, sizeof i) != 0) setter->failed = true;
    return NULL;
}

static void no_set_is_lost_when_several_threads_set_at_once(int isolation)
{
    enum { SETTERS = 4 };
    pthread_t threads[SETTERS];
    struct setter setters[SETTERS];
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    size_t rounds = scaled(100000);
    for (int i = 0; i < SETTERS; i++) {
        setters[i] = (struct setter){.pool = pool, .key = {(char)('a' + i)}, .rounds = rounds};
        assert_int_equal(pthread_create(&threads[i], NULL, set_often, &setters[i]), 0);
    }
    for (int i = 0; i < SETTERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(setters[i].failed);
    }
    for (int i = 0; i < SETTERS; i++) {
        tandem_task task = task_of(isolation, look_task, setters[i].key, sizeof setters[i].key);
        size_t last = rounds - 1;
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        assert_memory_equal(task.output, &last, sizeof last);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* ---- with messages ---- */

static int look_and_listen_task(tandem_context *context, void *input, size_t size)
{
    tandem_message message;
    int count = 0;
    (void)input, (void)size;
    const char *before = tandem_pool_data(context, "key", NULL); /* messages come before the answer to this */
    if (!before || strcmp(before, "value") != 0) return __LINE__;
    while (tandem_receive(context, &message, -1) == 0) {
        if (message.size != sizeof count || memcmp(message.data, &count, sizeof count) != 0) return __LINE__;
        count++;
    }
    return count == 100 ? 0 : __LINE__;
}

static void messages_that_come_meanwhile_are_kept(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    expect(pool, isolation, 0, "key", NULL); /* a worker is there that knows nothing */
    set(pool, "key", "value");
    tandem_task task = task_of(isolation, look_and_listen_task, NULL, 0);
    task.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &task), 0);
    for (int i = 0; i < 100; i++) assert_int_equal(tandem_post(&task, &(tandem_message){.data = &i, .size = sizeof i}, -1), 0);
    assert_int_equal(tandem_close(&task), 0);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- bad use ---- */

static int look_from_a_fork_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    if (tandem_pool_data(context, NULL, NULL)) return __LINE__;
    pid_t child = fork();
    if (child == 0) _exit(tandem_pool_data(context, "key", NULL) == NULL ? 0 : 1);
    int status;
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : __LINE__;
}

static void bad_use_of_pool_data_changes_nothing(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    assert_int_equal(tandem_pool_set_data(NULL, "key", "", 0), -EINVAL);
    assert_int_equal(tandem_pool_set_data(pool, NULL, "", 0), -EINVAL);
    assert_int_equal(tandem_pool_set_data(pool, "key", NULL, 1), -EINVAL);
    assert_int_equal(tandem_pool_set_data(pool, "key", "", SIZE_MAX), -EMSGSIZE);
    assert_int_equal(tandem_pool_set_data(pool, "key", "", (size_t)1 << 30), -EMSGSIZE);
    expect(pool, isolation, 0, "key", NULL);
    set(pool, "key", "value");
    assert_int_equal(tandem_pool_set_data(pool, "key", "", SIZE_MAX), -EMSGSIZE);
    tandem_task task = task_of(isolation, look_from_a_fork_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    expect(pool, isolation, 0, "key", "value");
    tandem_task_clear(&task);
    end_pool(pool);
}

static void pools_have_data_of_their_own(void)
{
    tandem_pool *pool = pool_of_both(1, 1), *other = pool_of_both(1, 1);
    set(pool, "key", "one");
    set(other, "key", "two");
    for (int isolation = TANDEM_THREAD; isolation <= TANDEM_PROCESS; isolation++) {
        expect(pool, isolation, 0, "key", "one");
        expect(other, isolation, 0, "key", "two");
    }
    end_pool(pool);
    expect(other, TANDEM_PROCESS, 0, "key", "two");
    end_pool(other);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(a_task_finds_what_was_set_before_it_started),
        both(tasks_that_were_submitted_before_find_what_was_set_before_they_started),
        both(a_running_task_goes_on_seeing_what_it_has_seen),
        both(a_worker_that_starts_later_finds_it_in_on_worker_start),
        both(megabytes_arrive_whole),
        both(sets_while_tasks_run_are_seen_whole_and_in_order),
        both(no_set_is_lost_when_several_threads_set_at_once),
        both(messages_that_come_meanwhile_are_kept),
        both(bad_use_of_pool_data_changes_nothing),
        test(pools_have_data_of_their_own),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
