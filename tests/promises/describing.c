/* describing.c - what the library says: names of statuses, meanings of errors, one line about how a task ended. */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void every_status_has_a_name(void)
{
    static const struct {
        int status;
        const char *name;
    } names[] = {
        {TANDEM_PENDING, "pending"},
        {TANDEM_OK, "ok"},
        {TANDEM_FAILED, "failed"},
        {TANDEM_CRASHED, "crashed"},
        {TANDEM_EXPIRED, "expired"},
        {TANDEM_TIMED_OUT, "timed out"},
        {TANDEM_CANCELLED, "cancelled"},
        {TANDEM_OVER_LIMIT, "over limit"},
        {TANDEM_NOT_STARTED, "not started"},
        {-1, "unknown"},
        {9, "unknown"},
        {INT32_MAX, "unknown"},
    };
    for (size_t i = 0; i < count_of(names); i++) assert_string_equal(tandem_status_name(names[i].status), names[i].name);
}

static void every_error_has_a_meaning_with_either_sign(void)
{
    /* what tandem.h names, then what the start of a program may find */
    static const int errors[] = {EPERM,     ENOMEM,  EINVAL,   EBUSY,        EAGAIN,  ESHUTDOWN, EMSGSIZE,
                                 ETIMEDOUT, EDEADLK, EALREADY, ECANCELED,    ENOTSUP, EMFILE,    EPIPE,
                                 EBADF,     EIO,     ENOLCK,   ENOEXEC,      ENOENT,  EACCES,    ENOTDIR,
                                 E2BIG,     ETXTBSY, ELOOP,    ENAMETOOLONG, EFBIG,   EROFS,     ENOSPC};
    for (size_t i = 0; i < count_of(errors); i++) {
        const char *text = tandem_strerror(errors[i]);
        assert_non_null(text);
        assert_true(strlen(text) > 3);
        assert_string_not_equal(text, tandem_strerror(99999));
        assert_string_equal(text, tandem_strerror(-errors[i]));
        for (size_t k = 0; k < i; k++) assert_string_not_equal(text, tandem_strerror(errors[k]));
    }
    assert_non_null(tandem_strerror(0));
    assert_non_null(tandem_strerror(99999));
    assert_non_null(tandem_strerror(INT32_MIN));
}

/* ---- descriptions ---- */

/* One line, without its end, that holds these words; and the same at any size of the buffer. */
static void expect_line(const tandem_task *task, const char *first, const char *second)
{
    char line[512], cut[512];
    int length = tandem_describe(task, line, sizeof line);
    assert_in_range(length, 1, sizeof line - 1);
    assert_int_equal(strlen(line), length);
    assert_null(strchr(line, '\n'));
    if (strstr(line, first) == NULL || strstr(line, second) == NULL) fail_msg("\"%s\" does not say: %s, %s", line, first, second);
    assert_int_equal(tandem_describe(task, NULL, 0), length);
    for (size_t size = 1; size <= (size_t)length + 1; size++) {
        memset(cut, '#', sizeof cut);
        assert_int_equal(tandem_describe(task, cut, size), length);
        assert_int_equal(strlen(cut), size - 1);
        assert_memory_equal(cut, line, size - 1);
        assert_int_equal(cut[size], '#');
    }
}

static int code_task(tandem_context *context, void *input, size_t size)
{
    int code;
    memcpy(&code, input, size);
    (void)context;
    return code;
}

static void a_description_says_name_and_end(int isolation)
{
    int code = 42;
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, code_task, &code, sizeof code);
    task.name = "decode";
    expect_line(&task, "decode", "");
    assert_int_equal(tandem_call(pool, &task), TANDEM_FAILED);
    expect_line(&task, "decode", "failed");
    expect_line(&task, "decode", "42");
    code = 0;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    expect_line(&task, "decode", "");
    tandem_task_clear(&task);

    task = task_of(isolation, spin_task, &gate, sizeof gate);
    task.timeout_ms = 20;
    task.flags = TANDEM_NO_HELP | TANDEM_REPORT;
    assert_int_equal(tandem_call(pool, &task), TANDEM_TIMED_OUT);
    expect_line(&task, "timed out", "");
    task.timeout_ms = 0;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_cancel(&task), 0);
    assert_int_equal(tandem_wait(&task), TANDEM_CANCELLED);
    expect_line(&task, "cancelled", "");
    tandem_task_clear(&task);
    end_pool(pool);
}

static void a_description_says_where_a_process_task_ran(void)
{
    char worker[32], pid[32];
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    int code = 1;
    tandem_task task = task_of(TANDEM_PROCESS, code_task, &code, sizeof code);
    assert_int_equal(tandem_call(pool, &task), TANDEM_FAILED);
    snprintf(worker, sizeof worker, "worker %u", (unsigned)task.report->worker);
    snprintf(pid, sizeof pid, "pid %ld", (long)task.report->pid);
    expect_line(&task, worker, pid);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void a_description_takes_any_name(void)
{
    static char long_name[1000];
    char line[64];
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    memset(long_name, 'n', sizeof long_name - 1);
    task.name = "%s%n%d";
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    expect_line(&task, "%s%n%d", "");
    task.name = long_name;
    assert_true(tandem_describe(&task, line, sizeof line) > 0);
    assert_int_equal(strlen(line), sizeof line - 1);
    task.name = "";
    assert_true(tandem_describe(&task, line, sizeof line) > 0);
    task.name = NULL;
    expect_line(&task, "", "");
    assert_int_equal(tandem_describe(&task, NULL, 1), -EINVAL);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(every_status_has_a_name),         test(every_error_has_a_meaning_with_either_sign),
        both(a_description_says_name_and_end), test(a_description_says_where_a_process_task_ran),
        test(a_description_takes_any_name),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
