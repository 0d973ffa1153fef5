/* worker_output.c - what worker processes write to their standard streams goes where the pool says, and nothing of it is lost. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A byte of the endless text that tasks write: known by its place. */
static char byte_at(size_t place) { return (char)(33 + (place * 7 + place / 251) % 90); }

enum end { GOOD, KILLED, LEFT, ENDLESS };

struct words {
    int32_t stream, end;
    uint64_t size;
};

static bool write_words(int stream, size_t size)
{
    char piece[8192];
    for (size_t done = 0; done < size;) {
        size_t length = size - done < sizeof piece ? size - done : sizeof piece;
        for (size_t i = 0; i < length; i++) piece[i] = byte_at(done + i);
        ssize_t written = write(stream, piece, length);
        if (written <= 0) return false;
        done += (size_t)written;
    }
    return true;
}

static int write_task(tandem_context *context, void *input, size_t size)
{
    struct words words;
    memcpy(&words, input, size);
    (void)context;
    if (!write_words(words.stream, (size_t)words.size)) return __LINE__;
    if (words.end == KILLED) raise(SIGKILL);
    if (words.end == LEFT) _exit(3);
    if (words.end == ENDLESS)
        for (;;) pause();
    return 0;
}

/* ---- who hears ---- */

enum { WORKERS_MOST = 1000 };

static struct heard {
    pthread_mutex_t lock;
    size_t sizes[WORKERS_MOST][2]; /* by worker and stream */
    atomic_size_t total;
    atomic_int wrong; /* a byte that is not the one that was written there */
    atomic_int inside;
    atomic_int hold;    /* who is called stays for as long as this is set, */
    atomic_int permits; /*   but for so many */
} heard = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void hear(uint32_t worker, int stream, const void *data, size_t size, void *argument)
{
    const char *bytes = data;
    if (argument != &heard || worker == 0 || worker >= WORKERS_MOST || stream < 1 || stream > 2 || size == 0) {
        atomic_store(&heard.wrong, __LINE__);
        return;
    }
    atomic_fetch_add(&heard.inside, 1);
    while (atomic_load(&heard.hold) && atomic_load(&heard.permits) == 0) moment();
    if (atomic_load(&heard.permits) > 0) atomic_fetch_sub(&heard.permits, 1);
    pthread_mutex_lock(&heard.lock);
    size_t *at = &heard.sizes[worker][stream - 1];
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != byte_at(*at + i)) atomic_store(&heard.wrong, __LINE__);
    *at += size;
    pthread_mutex_unlock(&heard.lock);
    atomic_fetch_add(&heard.total, size);
    atomic_fetch_sub(&heard.inside, 1);
}

static tandem_options streaming(void)
{
    return (tandem_options){.worker_output = TANDEM_STDIO_STREAM,
                            .worker_error = TANDEM_STDIO_STREAM,
                            .on_worker_output = hear,
                            .argument = &heard,
                            .no_crash_report = 1};
}

/* One worker for each task, so that each text begins at its beginning. */
static tandem_task writing(const struct words *words)
{
    tandem_task task = task_of(TANDEM_PROCESS, write_task, (void *)(uintptr_t)words, sizeof *words);
    task.flags = TANDEM_DEDICATED;
    return task;
}

static void what_workers_write_is_heard_with_worker_and_stream(void)
{
    static const size_t sizes[] = {1, 100, 4096, 65536, 65537, 1000000};
    tandem_options options = streaming();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    size_t total = 0;
    for (size_t i = 0; i < count_of(sizes); i++) {
        for (int stream = 1; stream <= 2; stream++) {
            struct words words = {.stream = stream, .size = sizes[i]};
            tandem_task task = writing(&words);
            assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
            total += sizes[i];
            wait_until(atomic_load(&heard.total) == total);
            assert_int_equal(heard.sizes[task.report->worker][stream - 1], sizes[i]);
            assert_int_equal(heard.sizes[task.report->worker][2 - stream], 0);
            assert_null(task.report->error_output);
            tandem_task_clear(&task);
        }
    }
    end_pool(pool);
    assert_int_equal(atomic_load(&heard.wrong), 0);
}

struct turns {
    atomic_int written, go;
};

/* More on the one stream than is kept for who is called, a byte on the other, and on with the first. */
static int write_in_turns_task(tandem_context *context, void *input, size_t size)
{
    enum { MUCH = (1 << 20) + 32768 };
    struct turns *turns = input;
    char byte = byte_at(0), piece[65536];
    (void)context, (void)size;
    if (!write_words(1, MUCH)) return __LINE__;
    atomic_store(&turns->written, 1);
    if (!await(&turns->go, 1) || write(2, &byte, 1) != 1) return __LINE__;
    for (size_t i = 0; i < sizeof piece; i++) piece[i] = byte_at(MUCH + i);
    for (size_t done = 0; done < sizeof piece;) {
        ssize_t written = write(1, piece + done, sizeof piece - done);
        if (written <= 0) return __LINE__;
        done += (size_t)written;
    }
    return 0;
}

static void one_stream_does_not_end_the_wait_of_the_other(void)
{
    tandem_options options = streaming();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    struct turns *turns = tandem_shared_alloc(pool, sizeof *turns);
    tandem_task task = task_of(TANDEM_PROCESS, write_in_turns_task, turns, sizeof *turns);
    atomic_store(&heard.hold, 1);
    assert_int_equal(tandem_submit(pool, &task), 0);
    wait_until(atomic_load(&turns->written) == 1);
    wait_until(atomic_load(&heard.inside) == 1);
    atomic_store(&heard.permits, 1);
    wait_until(atomic_load(&heard.total) > 0);
    atomic_store(&turns->go, 1);
    for (int i = 0; i < 50; i++) moment(); /* so that the byte is there before the rest is heard; if not, this proves less */
    atomic_store(&heard.hold, 0);
    expect_end(&task, TANDEM_OK);
    wait_until(atomic_load(&heard.total) == (1 << 20) + 32768 + 1 + 65536);
    tandem_task_clear(&task);
    end_pool(pool);
    assert_int_equal(atomic_load(&heard.wrong), 0);
}

static int print_task(tandem_context *context, void *input, size_t size)
{
    char text[6] = {0};
    (void)context, (void)input, (void)size;
    for (size_t i = 0; i < 5; i++) text[i] = byte_at(i);
    printf("%s", text); /* without the end of a line: it is a pipe, and stays in the buffer */
    return 0;
}

static void what_is_printed_is_heard_with_the_end_of_the_task(void)
{
    tandem_options options = streaming();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task task = task_of(TANDEM_PROCESS, print_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    wait_until(atomic_load(&heard.total) == 5); /* the worker is still there */
    assert_int_equal(stats_of(pool).processes, 1);
    tandem_task_clear(&task);
    end_pool(pool);
    assert_int_equal(atomic_load(&heard.wrong), 0);
}

static void all_has_been_heard_when_the_pool_has_ended(void)
{
    enum { TASKS = 6 };
    static const struct words words = {.stream = 1, .size = 300000};
    tandem_task tasks[TASKS];
    tandem_options options = streaming();
    size_t descriptors = entries_in("/proc/self/fd");
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = writing(&words);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (int i = 0; i < TASKS; i++) expect_end(&tasks[i], TANDEM_OK);
    end_pool(pool);
    assert_int_equal(atomic_load(&heard.total), TASKS * words.size);
    assert_int_equal(atomic_load(&heard.wrong), 0);
    for (int i = 0; i < TASKS; i++) tandem_task_clear(&tasks[i]);
    assert_int_equal(tandem_quit(), 0);
    assert_int_equal(entries_in("/proc/self/fd"), descriptors);
}

static void what_a_worker_has_written_before_it_crashed_is_heard(void)
{
    static const int ends[] = {KILLED, LEFT, GOOD};
    tandem_options options = streaming();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    size_t total = 0, rounds = scaled(10000);
    for (size_t round = 0; round < rounds && round + 10 < WORKERS_MOST; round++) {
        struct words words = {.stream = 1 + (int)(round % 2), .end = ends[round % 3], .size = 1 + round * 997 % 65536};
        tandem_task task = writing(&words);
        if (round % 4 == 0) task.flags = 0; /* one of the pool's: replaced if it dies, else it goes on where it was */
        if (round % 4 == 0 && words.end == GOOD) continue;
        int status = tandem_call(pool, &task);
        assert_int_equal(status, words.end == GOOD ? TANDEM_OK : TANDEM_CRASHED);
        total += words.size;
        tandem_task_clear(&task);
    }
    end_pool(pool);
    assert_int_equal(atomic_load(&heard.total), total);
    assert_int_equal(atomic_load(&heard.wrong), 0);
}

static void what_a_stopped_task_has_written_is_heard(void)
{
    static const struct words words = {.stream = 2, .size = 50000, .end = ENDLESS};
    tandem_options options = streaming();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task task = writing(&words);
    assert_int_equal(tandem_submit(pool, &task), 0);
    wait_until(atomic_load(&heard.total) == words.size);
    assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    tandem_task_clear(&task);
    end_pool(pool);
    assert_int_equal(atomic_load(&heard.wrong), 0);
}

/* ---- a slow hearer ---- */

static void a_slow_hearer_holds_up_only_who_writes_much(void)
{
    static const struct words much = {.stream = 1, .size = 6 << 20}, little = {.stream = 2, .size = 500};
    tandem_options options = streaming();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    atomic_store(&heard.hold, 1);
    tandem_task loud = writing(&much);
    assert_int_equal(tandem_submit(pool, &loud), 0);
    assert_true(await(&heard.inside, 1));
    for (int i = 0; i < 5; i++) { /* the pool works on, also for who writes a little */
        tandem_task quiet = writing(&little), silent = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        assert_int_equal(tandem_call(pool, &quiet), TANDEM_OK);
        assert_int_equal(tandem_call(pool, &silent), TANDEM_OK);
        tandem_task_clear(&quiet);
        tandem_task_clear(&silent);
    }
    assert_int_equal(tandem_wait_for(&loud, 100), TANDEM_PENDING); /* there is no room for all that */
    atomic_store(&heard.hold, 0);
    expect_end(&loud, TANDEM_OK);
    wait_until(atomic_load(&heard.total) == much.size + 5 * little.size);
    assert_int_equal(atomic_load(&heard.wrong), 0);
    tandem_task_clear(&loud);
    end_pool(pool);
}

/* The last of it is in the pipe when the worker dies. */
static void a_crash_while_the_hearer_is_slow_loses_nothing(void)
{
    static const struct words words = {.stream = 1, .size = (1 << 20) + 50000, .end = KILLED};
    tandem_options options = streaming();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    atomic_store(&heard.hold, 1);
    tandem_task task = writing(&words);
    assert_int_equal(tandem_call(pool, &task), TANDEM_CRASHED);
    wait_until(stats_of(pool).processes == 0);
    atomic_store(&heard.hold, 0);
    end_pool(pool);
    assert_int_equal(atomic_load(&heard.total), words.size);
    assert_int_equal(atomic_load(&heard.wrong), 0);
    tandem_task_clear(&task);
}

static void with_callbacks_by_host_it_is_heard_in_the_hosts_own_loop(void)
{
    static const struct words words = {.stream = 1, .size = 200000};
    tandem_options options = streaming();
    options.callbacks_by_host = 1;
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task task = writing(&words);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK); /* all of it waits in memory */
    assert_int_equal(atomic_load(&heard.total), 0);
    while (atomic_load(&heard.total) < words.size) {
        assert_true(tandem_run_callbacks(pool, 1) <= 1);
        moment();
    }
    tandem_task_clear(&task);
    end_pool(pool);
    assert_int_equal(atomic_load(&heard.total), words.size);
    assert_int_equal(atomic_load(&heard.wrong), 0);
}

enum { FAREWELL = 5 << 20 };

static void say_farewell(void *worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    write_words(1, FAREWELL);
}

/* Nobody calls before all workers have ended; and they end in peace. */
static void a_pools_end_takes_in_what_its_workers_say_last(void)
{
    tandem_options options = streaming();
    options.callbacks_by_host = 1;
    options.on_worker_stop = say_farewell;
    options.start_timeout_ms = (uint32_t)patience_ms();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
    assert_int_equal(atomic_load(&heard.total), FAREWELL);
    assert_int_equal(atomic_load(&heard.wrong), 0);
}

/* ---- where else it may go ---- */

/* How much of it arrives at the program's own stream. */
static off_t arriving_at_the_program(uint32_t place, int stream)
{
    char name[] = "/tmp/tandem_output_XXXXXX";
    int file = mkstemp(name), saved = dup(stream);
    struct stat facts;
    struct words words = {.stream = stream, .size = 1000};
    assert_true(file >= 0 && saved >= 0);
    unlink(name);
    dup2(file, stream);
    tandem_options options = streaming();
    *(stream == 1 ? &options.worker_output : &options.worker_error) = place;
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task task = writing(&words);
    int status = tandem_call(pool, &task);
    tandem_task_clear(&task);
    end_pool(pool);
    tandem_quit();
    dup2(saved, stream);
    assert_int_equal(status, TANDEM_OK);
    assert_int_equal(fstat(file, &facts), 0);
    close(file);
    close(saved);
    return facts.st_size;
}

static void it_goes_where_it_shall(void)
{
    for (int stream = 1; stream <= 2; stream++) {
        assert_int_equal(arriving_at_the_program(TANDEM_STDIO_DEFAULT, stream), 1000);
        assert_int_equal(arriving_at_the_program(TANDEM_STDIO_INHERIT, stream), 1000);
        assert_int_equal(arriving_at_the_program(TANDEM_STDIO_NULL, stream), 0);
        assert_int_equal(atomic_load(&heard.total), (size_t)(stream - 1) * 1000);
        assert_int_equal(arriving_at_the_program(TANDEM_STDIO_STREAM, stream), 0);
        assert_int_equal(atomic_load(&heard.total), (size_t)stream * 1000);
    }
}

static void an_unknown_place_for_output_is_EINVAL(void)
{
    static const uint32_t unknown[] = {TANDEM_STDIO_CAPTURE, TANDEM_STDIO_FD, TANDEM_STDIO_STREAM + 1, UINT32_MAX};
    tandem_pool *pool = NULL;
    for (size_t i = 0; i < count_of(unknown); i++) {
        tandem_options options = {.processes = 1, .worker_output = unknown[i], .on_worker_output = hear};
        assert_int_equal(tandem_pool_create(&pool, &options), -EINVAL);
    }
    tandem_options unheard = {.processes = 1, .worker_output = TANDEM_STDIO_STREAM};
    assert_int_equal(tandem_pool_create(&pool, &unheard), -EINVAL);
    unheard = (tandem_options){.processes = 1, .worker_error = TANDEM_STDIO_STREAM};
    assert_int_equal(tandem_pool_create(&pool, &unheard), -EINVAL);
    assert_null(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(what_workers_write_is_heard_with_worker_and_stream),
        test(one_stream_does_not_end_the_wait_of_the_other),
        test(what_is_printed_is_heard_with_the_end_of_the_task),
        test(all_has_been_heard_when_the_pool_has_ended),
        test(what_a_worker_has_written_before_it_crashed_is_heard),
        test(what_a_stopped_task_has_written_is_heard),
        test(a_slow_hearer_holds_up_only_who_writes_much),
        test(a_crash_while_the_hearer_is_slow_loses_nothing),
        test(with_callbacks_by_host_it_is_heard_in_the_hosts_own_loop),
        test(a_pools_end_takes_in_what_its_workers_say_last),
        test(it_goes_where_it_shall),
        test(an_unknown_place_for_output_is_EINVAL),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
