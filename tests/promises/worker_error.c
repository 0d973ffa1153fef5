/* worker_error.c - where the standard error of workers goes, what a report keeps of it, and that no core is dumped unasked. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEPT = 4096 };

/* A byte of the endless text whose parts tasks write: known by its place, and never 0. */
static char byte_at(size_t place) { return (char)(33 + (place * 7 + place / 251) % 90); }

enum end { GOOD, BAD, KILLED, LEFT, ENDLESS };

struct words {
    int32_t size; /* how much is written */
    int32_t piece;
    int32_t end; /* an enum end */
    int32_t from;
};

static struct gate *gate; /* shared: those that never end raise entered */

static bool write_words(const struct words *words)
{
    char piece[8192];
    for (size_t done = 0; done < (size_t)words->size;) {
        size_t length = (size_t)words->piece;
        if (length > (size_t)words->size - done) length = (size_t)words->size - done;
        for (size_t i = 0; i < length; i++) piece[i] = byte_at((size_t)words->from + done + i);
        ssize_t written = write(2, piece, length);
        if (written < 0) return false;
        done += (size_t)written;
    }
    return true;
}

static int write_task(tandem_context *context, void *input, size_t size)
{
    struct words words;
    memcpy(&words, input, size);
    (void)context;
    if (!write_words(&words)) return __LINE__;
    switch (words.end) {
    case GOOD: return 0;
    case KILLED: raise(SIGKILL); break;
    case LEFT: _exit(3);
    case ENDLESS:
        atomic_fetch_add(&gate->entered, 1);
        for (;;) pause();
    }
    return 3;
}

static tandem_pool *begin(uint32_t worker_error)
{
    tandem_options options = {.worker_error = worker_error};
    gate = shared(sizeof *gate);
    return pool_of(TANDEM_PROCESS, 1, &options);
}

/* The report holds the last so many bytes of the text that ends there, and one more that is 0. */
static void expect_kept(const tandem_task *task, size_t kept, size_t end)
{
    const tandem_report *report = task->report;
    assert_non_null(report->error_output);
    assert_int_equal(report->error_output_size, kept);
    const char *text = report->error_output;
    for (size_t i = 0; i < kept; i++)
        if (text[i] != byte_at(end - kept + i)) fail_msg("byte %zu of %zu is wrong", i, kept);
    assert_int_equal(text[kept], 0);
}

static void expect_none(const tandem_task *task)
{
    assert_null(task->report->error_output);
    assert_int_equal(task->report->error_output_size, 0);
}

/* ---- captured ---- */

static void the_last_words_of_a_crashed_task_are_in_its_report(void)
{
    static const int sizes[] = {1, 10, KEPT - 1, KEPT, KEPT + 1, 10000, 65536, 65537, 300000};
    static const int pieces[] = {8192, 37};
    tandem_pool *pool = begin(TANDEM_STDIO_CAPTURE);
    for (size_t i = 0; i < count_of(sizes); i++)
        for (size_t k = 0; k < count_of(pieces); k++)
            for (int end = KILLED; end <= LEFT; end++) { /* so each finds a worker that has written nothing yet */
                struct words words = {sizes[i], pieces[k], end, 0};
                tandem_task task = task_of(TANDEM_PROCESS, write_task, &words, sizeof words);
                assert_int_equal(tandem_submit(pool, &task), 0);
                expect_end(&task, TANDEM_CRASHED);
                expect_kept(&task, sizes[i] < KEPT ? (size_t)sizes[i] : KEPT, (size_t)sizes[i]);
                tandem_task_clear(&task);
            }
    end_pool(pool);
}

static void who_has_written_nothing_has_no_last_words(void)
{
    struct words words = {0, 1, KILLED, 0};
    tandem_pool *pool = begin(TANDEM_STDIO_CAPTURE);
    tandem_task task = task_of(TANDEM_PROCESS, write_task, &words, sizeof words);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_CRASHED);
    assert_int_equal(task.report->error_output_size, 0);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* A worker's words, not only the task's: those of a task that ended OK may come before. */
static void a_task_that_failed_has_last_words_and_one_that_is_ok_has_none(void)
{
    tandem_pool *pool = begin(TANDEM_STDIO_CAPTURE);
    for (int i = 0; i < 10; i++) {
        struct words words = {10000, 1000, GOOD, 0};
        tandem_task task = task_of(TANDEM_PROCESS, write_task, &words, sizeof words);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        expect_none(&task);
        words.end = BAD;
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_FAILED);
        expect_kept(&task, KEPT, 10000);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static void a_task_that_was_stopped_has_last_words(void)
{
    struct words words = {5000, 5000, ENDLESS, 0};
    tandem_pool *pool = begin(TANDEM_STDIO_CAPTURE);
    tandem_task task = task_of(TANDEM_PROCESS, write_task, &words, sizeof words);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    expect_kept(&task, KEPT, 5000);
    task.timeout_ms = 500 * (uint32_t)slowness();
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 2));
    expect_end(&task, TANDEM_TIMED_OUT);
    expect_kept(&task, KEPT, 5000);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* What stdio holds back is written before the end, when the function has returned. */
static int print_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    fprintf(stderr, "cannot read %s", "it");
    return 3;
}

static void words_printed_to_stderr_are_kept_too(void)
{
    tandem_pool *pool = begin(TANDEM_STDIO_CAPTURE);
    tandem_task task = task_of(TANDEM_PROCESS, print_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_FAILED);
    assert_non_null(task.report->error_output);
    assert_string_equal(task.report->error_output, "cannot read it");
    tandem_task_clear(&task);
    end_pool(pool);
}

/* Each worker has words of its own. */
static void workers_do_not_hear_each_others_words(void)
{
    enum { TASKS = 4 };
    tandem_task tasks[TASKS];
    struct words words[TASKS];
    tandem_options options = {.worker_error = TANDEM_STDIO_CAPTURE};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, TASKS, &options);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < TASKS; i++) {
            words[i] = (struct words){200000, 999, LEFT, 1000 * i};
            tasks[i] = task_of(TANDEM_PROCESS, write_task, &words[i], sizeof words[i]);
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        }
        for (int i = 0; i < TASKS; i++) {
            expect_end(&tasks[i], TANDEM_CRASHED);
            expect_kept(&tasks[i], KEPT, 200000 + (size_t)(1000 * i));
            tandem_task_clear(&tasks[i]);
        }
    }
    end_pool(pool);
}

/* One that left the group holds the worker's standard error open for as long as it likes. */
static int leave_heir_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    pid_t pid = fork();
    if (pid < 0) return __LINE__;
    if (pid == 0) {
        setsid();
        atomic_store(&gate->entered, 1);
        await(&gate->opened, 1);
        _exit(0);
    }
    if (!await(&gate->entered, 1)) return __LINE__;
    if (write(2, "farewell", 8) != 8) return __LINE__;
    raise(SIGKILL);
    return 0;
}

static void who_holds_standard_error_open_holds_up_nobody(void)
{
    tandem_pool *pool = begin(TANDEM_STDIO_CAPTURE);
    tandem_task task = task_of(TANDEM_PROCESS, leave_heir_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_CRASHED);
    assert_non_null(task.report->error_output);
    assert_string_equal(task.report->error_output, "farewell");
    tandem_task next = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &next), 0);
    expect_end(&next, TANDEM_OK);
    tandem_task_clear(&task);
    tandem_task_clear(&next);
    end_pool(pool);
    assert_int_equal(tandem_quit(), 0);
    atomic_store(&gate->opened, 1);
}

/* ---- where it goes ---- */

static char *own_error; /* what the program's own standard error got while it was diverted */

static void run_diverted(uint32_t worker_error, tandem_task *task)
{
    FILE *file = tmpfile();
    struct stat stat;
    assert_non_null(file);
    int saved = fcntl(2, F_DUPFD_CLOEXEC, 100);
    assert_true(saved >= 0);
    assert_int_equal(dup2(fileno(file), 2), 2);
    tandem_pool *pool = begin(worker_error);
    int status = tandem_call(pool, task);
    end_pool(pool);
    assert_int_equal(tandem_quit(), 0);
    dup2(saved, 2);
    close(saved);
    assert_int_equal(status, TANDEM_CRASHED);
    assert_int_equal(fstat(fileno(file), &stat), 0);
    own_error = calloc(1, (size_t)stat.st_size + 1);
    assert_non_null(own_error);
    assert_int_equal(pread(fileno(file), own_error, (size_t)stat.st_size, 0), stat.st_size);
    fclose(file);
}

static void expect_at_the_program(uint32_t worker_error, bool there, bool kept)
{
    struct words words = {3000, 100, LEFT, 0};
    tandem_task task = task_of(TANDEM_PROCESS, write_task, &words, sizeof words);
    run_diverted(worker_error, &task);
    assert_int_equal(strlen(own_error), there ? 3000 : 0);
    for (size_t i = 0; there && i < 3000; i++) assert_int_equal(own_error[i], byte_at(i));
    free(own_error);
    if (kept)
        expect_kept(&task, 3000, 3000);
    else
        expect_none(&task);
    tandem_task_clear(&task);
}

static void standard_error_goes_where_it_shall(void)
{
    expect_at_the_program(TANDEM_STDIO_DEFAULT, true, false);
    expect_at_the_program(TANDEM_STDIO_INHERIT, true, false);
    expect_at_the_program(TANDEM_STDIO_NULL, false, false);
    expect_at_the_program(TANDEM_STDIO_CAPTURE, false, true);
}

static void an_unknown_place_for_standard_error_is_EINVAL(void)
{
    static const uint32_t unknown[] = {TANDEM_STDIO_NULL + 1, 100, UINT32_MAX};
    for (size_t i = 0; i < count_of(unknown); i++) {
        tandem_options options = {.threads = 1, .processes = 1, .worker_error = unknown[i]};
        tandem_pool *pool = NULL;
        assert_int_equal(tandem_pool_create(&pool, &options), -EINVAL);
        assert_null(pool);
    }
}

/* ---- cores ---- */

static int core_limit_task(tandem_context *context, void *input, size_t size)
{
    struct rlimit limit;
    (void)input, (void)size;
    if (getrlimit(RLIMIT_CORE, &limit) != 0) return __LINE__;
    return tandem_reply(context, &limit.rlim_cur, sizeof limit.rlim_cur);
}

static rlim_t core_limit_in_a_worker(uint32_t core_dumps)
{
    rlim_t limit;
    tandem_options options = {.core_dumps = core_dumps};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task task = task_of(TANDEM_PROCESS, core_limit_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    memcpy(&limit, task.output, sizeof limit);
    tandem_task_clear(&task);
    end_pool(pool);
    return limit;
}

static void workers_may_dump_core_only_if_asked(void)
{
    struct rlimit limit, usual;
    assert_int_equal(getrlimit(RLIMIT_CORE, &usual), 0);
    limit = usual;
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_CORE, &limit), 0);
    assert_in_range(core_limit_in_a_worker(0), 0, 1);
    assert_true(core_limit_in_a_worker(1) == limit.rlim_max);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    assert_int_equal(setrlimit(RLIMIT_CORE, &limit), 0);
    assert_in_range(core_limit_in_a_worker(0), 0, 1);
    assert_true(core_limit_in_a_worker(1) == limit.rlim_cur); /* as far as the program's own lets them */
    assert_int_equal(setrlimit(RLIMIT_CORE, &usual), 0);
}

static int abort_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    abort();
}

/* In the folder of this test, where the harness finds what is left. */
static void a_crash_leaves_no_core(void)
{
    char before[4096];
    struct rlimit limit;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(getenv("TMPDIR")), 0);
    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_CORE, &limit), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < 3; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, abort_task, NULL, 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_CRASHED);
        assert_int_equal(task.signal, SIGABRT);
        tandem_task_clear(&task);
    }
    end_pool(pool);
    assert_int_equal(entries_in("."), 0);
    assert_int_equal(chdir(before), 0);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(the_last_words_of_a_crashed_task_are_in_its_report),
        test(who_has_written_nothing_has_no_last_words),
        test(a_task_that_failed_has_last_words_and_one_that_is_ok_has_none),
        test(a_task_that_was_stopped_has_last_words),
        test(words_printed_to_stderr_are_kept_too),
        test(workers_do_not_hear_each_others_words),
        test(who_holds_standard_error_open_holds_up_nobody),
        test(standard_error_goes_where_it_shall),
        test(an_unknown_place_for_standard_error_is_EINVAL),
        test(workers_may_dump_core_only_if_asked),
        test(a_crash_leaves_no_core),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
