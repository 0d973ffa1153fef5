/* commanding.h - what the tests of commands share. */
#ifndef TANDEM_COMMANDING_H
#define TANDEM_COMMANDING_H

#include "harness.h"

#include <string.h>
#include <unistd.h>

/* The layout tool takes these braces for blocks. */
/* clang-format off */
#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
/* clang-format on */

static inline tandem_pool *pool_of_commands(uint32_t processes) { return pool_of(TANDEM_PROCESS, processes, NULL); }

static inline tandem_task task_of_command(const tandem_command *command) { return (tandem_task){.command = command}; }

/* Runs it; the task is still to be cleared. */
static inline tandem_task run_command(tandem_pool *pool, const tandem_command *command, int status)
{
    tandem_task task = task_of_command(command);
    int got = tandem_call(pool, &task);
    if (got != status) {
        char line[512];
        if (got > 0) tandem_describe(&task, line, sizeof line);
        fail_msg("%d is not %d: %s", got, status, got > 0 ? line : tandem_strerror(got));
    }
    assert_non_null(task.report);
    return task;
}

static inline void expect_output(const tandem_task *task, const char *text)
{
    assert_non_null(task->output);
    assert_string_equal((const char *)task->output, text);
    assert_int_equal(task->output_size, strlen(text));
}

static inline void expect_errors(const tandem_task *task, const char *text)
{
    assert_non_null(task->report->error_output);
    assert_string_equal((const char *)task->report->error_output, text);
    assert_int_equal(task->report->error_output_size, strlen(text));
}

/* What this line of the shell writes, and that it ends well. */
static inline void expect_from_shell(tandem_pool *pool, tandem_command command, const char *text)
{
    tandem_task task = run_command(pool, &command, TANDEM_OK);
    expect_output(&task, text);
    tandem_task_clear(&task);
}

/* Until each has written a byte to its standard error, which is this pipe. */
static inline void await_bytes(int fd, int count)
{
    char byte;
    for (int i = 0; i < count; i++) assert_int_equal(read(fd, &byte, 1), 1);
}

#endif
