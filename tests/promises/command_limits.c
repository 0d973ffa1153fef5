/* command_limits.c - output beyond a limit, by all four policies, to the byte; output that others hold open; limits of the program itself. */
#include "commanding.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LIMIT = 100000 };

/* The byte that belongs there. */
static char byte_at(size_t at) { return (char)('a' + at % 23); }

static void expect_bytes(const char *bytes, size_t size, size_t first)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != byte_at(first + i)) fail_msg("byte %zu is not the one of %zu", i, first + i);
    assert_int_equal(bytes[size], 0);
}

struct written {
    char *bytes;
    size_t size;
};

static struct written write_so_much(size_t size)
{
    struct written written = {.bytes = malloc(size), .size = size};
    assert_non_null(written.bytes);
    for (size_t i = 0; i < size; i++) written.bytes[i] = byte_at(i);
    return written;
}

/* The program gives back what it is given, on one of its outputs. */
static tandem_task give_back(tandem_pool *pool, tandem_command *command, const struct written *written, bool as_errors, int status)
{
    command->shell = as_errors ? "cat >&2; exit 0" : "cat; exit 0";
    command->output_limit = LIMIT;
    tandem_task task = {.command = command, .input = written->bytes, .input_size = written->size};
    assert_int_equal(tandem_call(pool, &task), status);
    return task;
}

static void look(const tandem_task *task, bool as_errors, size_t size, size_t first)
{
    const char *bytes = as_errors ? task->report->error_output : task->output;
    assert_int_equal(as_errors ? task->report->error_output_size : task->output_size, size);
    assert_int_equal(as_errors ? task->output_size : task->report->error_output_size, 0);
    expect_bytes(bytes, size, first);
}

static void expect_limit(const tandem_task *task, const char *limit)
{
    if (limit == NULL)
        assert_null(task->report->limit);
    else
        assert_string_equal(task->report->limit, limit);
}

static void around_the_limit(int overflow)
{
    tandem_pool *pool = pool_of_commands(1);
    const size_t sizes[] = {0, 1, LIMIT - 1, LIMIT, LIMIT + 1, LIMIT + 65536, 3 * LIMIT + 77};
    for (size_t i = 0; i < 2 * count_of(sizes); i++) {
        size_t size = sizes[i / 2];
        bool as_errors = i % 2 != 0, beyond = size > LIMIT, cut = beyond && overflow != TANDEM_OVERFLOW_SPILL;
        bool killed = beyond && overflow == TANDEM_OVERFLOW_KILL;
        size_t kept = cut ? LIMIT : size, first = overflow == TANDEM_OVERFLOW_TAIL ? size - kept : 0;
        struct written written = write_so_much(size);
        tandem_command command = {.overflow = overflow};
        tandem_task task = give_back(pool, &command, &written, as_errors, killed ? TANDEM_OVER_LIMIT : TANDEM_OK);
        look(&task, as_errors, kept, first);
        expect_limit(&task, cut ? (as_errors ? "error_output" : "output") : NULL);
        tandem_task_clear(&task);
        free(written.bytes);
    }
    end_pool(pool);
}

/* promise 49 */
static void a_command_that_goes_over_is_killed_and_the_first_bytes_are_kept(void) { around_the_limit(TANDEM_OVERFLOW_KILL); }

/* promise 49 */
static void the_head_of_an_output_is_exact(void) { around_the_limit(TANDEM_OVERFLOW_HEAD); }

/* promise 49 */
static void the_tail_of_an_output_is_exact(void) { around_the_limit(TANDEM_OVERFLOW_TAIL); }

/* promise 49 */
static void a_spilled_output_is_whole(void) { around_the_limit(TANDEM_OVERFLOW_SPILL); }

static void a_spilled_output_may_be_changed_and_leaves_no_file(void)
{
    char folder[] = "/tmp/tandem-spill-XXXXXX";
    assert_non_null(mkdtemp(folder));
    setenv("TMPDIR", folder, 1);
    tandem_pool *pool = pool_of_commands(1);
    struct written written = write_so_much(10 * LIMIT);
    tandem_command command = {.overflow = TANDEM_OVERFLOW_SPILL};
    tandem_task task = give_back(pool, &command, &written, false, TANDEM_OK);
    memset(task.output, 'x', task.output_size);
    assert_int_equal(rmdir(folder), 0);
    tandem_task_clear(&task);
    free(written.bytes);
    end_pool(pool);
}

static void both_outputs_have_the_limit_for_themselves(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "printf 12345; printf 1234567 >&2", .output_limit = 5, .overflow = TANDEM_OVERFLOW_TAIL};
    tandem_task task = run_command(pool, &command, TANDEM_OK);
    expect_output(&task, "12345");
    expect_errors(&task, "34567");
    expect_limit(&task, "error_output");
    tandem_task_clear(&task);
    command.output_limit = 3;
    task = run_command(pool, &command, TANDEM_OK);
    expect_output(&task, "345");
    expect_errors(&task, "567");
    expect_limit(&task, "output, error_output");
    tandem_task_clear(&task);
    end_pool(pool);
}

static void what_would_write_for_ever_is_killed_with_its_group(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "yes | cat", .output_limit = 1000};
    tandem_task task = run_command(pool, &command, TANDEM_OVER_LIMIT);
    assert_int_equal(task.output_size, 1000);
    assert_int_equal(task.signal, SIGKILL);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void a_full_disk_ends_what_would_spill(void)
{
    tandem_pool *pool = pool_of_commands(1);
    setenv("TMPDIR", "/nowhere/at-all", 1);
    struct written written = write_so_much(LIMIT + 1);
    tandem_command command = {.overflow = TANDEM_OVERFLOW_SPILL};
    tandem_task task = give_back(pool, &command, &written, false, TANDEM_OVER_LIMIT);
    expect_limit(&task, "output");
    assert_string_equal(task.report->step, "file");
    look(&task, false, LIMIT, 0);
    tandem_task_clear(&task);
    free(written.bytes);
    end_pool(pool);
}

/* ---- promise 51 ---- */

/* promise 51 */
static void a_grandchild_that_holds_the_output_does_not_hold_up_the_result(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "sleep 1000 & echo $!", .drain_ms = 30};
    int64_t begun = now_ms();
    tandem_task task = run_command(pool, &command, TANDEM_OK);
    assert_true(now_ms() - begun < allowed_ms(300));
    pid_t grandchild = (pid_t)atol(task.output);
    assert_true(grandchild > 1);
    assert_true(process_lives(grandchild)); /* it is not the task's any more */
    kill(grandchild, SIGKILL);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* promise 51 */
static void what_a_grandchild_writes_in_time_is_kept(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "(sleep 0.1; echo late) & echo early", .drain_ms = 60000};
    expect_from_shell(pool, command, "early\nlate\n");
    end_pool(pool);
}

/* ---- limits of the program ---- */

static void a_command_has_limits_as_a_task_has(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_limits limits = {.cpu_ms = 1000};
    tandem_command loop = {.shell = "while :; do :; done"};
    tandem_task task = task_of_command(&loop);
    task.limits = &limits;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OVER_LIMIT);
    expect_limit(&task, "cpu_ms");
    tandem_task_clear(&task);
    limits = (tandem_limits){.open_files = 17};
    tandem_command files = {.shell = "ulimit -n"};
    task.command = &files;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    expect_output(&task, "17\n");
    tandem_task_clear(&task);
    limits = (tandem_limits){.file_size = 10};
    FILE *file = tmpfile();
    assert_non_null(file);
    tandem_command writes = {.shell = "exec head -c 1000 /dev/zero", .out = TANDEM_STDIO_FD, .out_fd = fileno(file)};
    task.command = &writes;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OVER_LIMIT);
    expect_limit(&task, "file_size");
    tandem_task_clear(&task);
    fclose(file);
    end_pool(pool);
}

static void a_limit_may_be_as_large_as_a_number_can_be(void)
{
    enum { MUCH = 4000000 };
    tandem_pool *pool = pool_of_commands(1);
    struct written written = write_so_much(MUCH);
    tandem_command command = {.argv = ARGV("cat"), .output_limit = SIZE_MAX};
    tandem_task task = {.command = &command, .input = written.bytes, .input_size = written.size};
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_int_equal(task.output_size, MUCH);
    expect_bytes(task.output, MUCH, 0);
    tandem_task_clear(&task);
    free(written.bytes);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_command_that_goes_over_is_killed_and_the_first_bytes_are_kept),
        test(the_head_of_an_output_is_exact),
        test(the_tail_of_an_output_is_exact),
        test(a_spilled_output_is_whole),
        test(a_spilled_output_may_be_changed_and_leaves_no_file),
        test(both_outputs_have_the_limit_for_themselves),
        test(what_would_write_for_ever_is_killed_with_its_group),
        test(a_full_disk_ends_what_would_spill),
        test(a_grandchild_that_holds_the_output_does_not_hold_up_the_result),
        test(what_a_grandchild_writes_in_time_is_kept),
        test(a_command_has_limits_as_a_task_has),
        test(a_limit_may_be_as_large_as_a_number_can_be),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
