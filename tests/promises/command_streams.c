/* command_streams.c - what a command reads and writes: whole, in order, and never a deadlock. */
#include "commanding.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- captured ---- */

/* promise 48 */
static void all_that_is_written_just_before_the_exit_arrives(void)
{
    enum { SIZE = 500000 };
    tandem_pool *pool = pool_of_commands(2);
    tandem_command command = {.shell =
                                  "head -c 500000 /dev/zero | tr '\\000' a; head -c 500000 /dev/zero | tr '\\000' b >&2; exit 3"};
    for (size_t i = 0; i < (full_run() ? 100 : 5); i++) {
        tandem_task task = run_command(pool, &command, TANDEM_FAILED);
        assert_int_equal(task.code, 3);
        assert_int_equal(task.output_size, SIZE);
        assert_int_equal(task.report->error_output_size, SIZE);
        const char *out = task.output, *err = task.report->error_output;
        for (size_t at = 0; at < SIZE; at++)
            if (out[at] != 'a' || err[at] != 'b') fail_msg("byte %zu differs", at);
        assert_int_equal(out[SIZE], 0);
        assert_int_equal(err[SIZE], 0);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static void errors_can_go_where_the_output_goes(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "echo 1; echo 2 >&2; echo 3", .flags = TANDEM_COMMAND_ERR_TO_OUT, .err = TANDEM_STDIO_NULL};
    tandem_task task = run_command(pool, &command, TANDEM_OK);
    expect_output(&task, "1\n2\n3\n");
    assert_null(task.report->error_output);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void what_is_not_captured_is_not_there(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "echo out; echo err >&2", .out = TANDEM_STDIO_NULL, .err = TANDEM_STDIO_NULL};
    tandem_task task = run_command(pool, &command, TANDEM_OK);
    assert_null(task.output);
    assert_null(task.report->error_output);
    tandem_task_clear(&task);
    command = (tandem_command){.argv = ARGV("true")};
    task = run_command(pool, &command, TANDEM_OK);
    expect_output(&task, "");
    expect_errors(&task, "");
    tandem_task_clear(&task);
    end_pool(pool);
}

static void a_command_that_closes_its_output_early_still_ends_with_its_code(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "echo first; exec >&- 2>&-; sleep 0.1; exit 9"};
    tandem_task task = run_command(pool, &command, TANDEM_FAILED);
    assert_int_equal(task.code, 9);
    expect_output(&task, "first\n");
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- descriptors ---- */

static void descriptors_given_are_used_and_stay_the_callers(void)
{
    int in[2], out[2];
    char bytes[64] = "";
    tandem_pool *pool = pool_of_commands(1);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    tandem_command command = {.shell = "cat; echo err >&2", .in = TANDEM_STDIO_FD, .out = TANDEM_STDIO_FD, .err = TANDEM_STDIO_FD};
    command.in_fd = in[0];
    command.out_fd = command.err_fd = out[1];
    assert_int_equal(write(in[1], "given ", 6), 6);
    close(in[1]);
    tandem_task task = run_command(pool, &command, TANDEM_OK);
    assert_null(task.output);
    tandem_task_clear(&task);
    assert_int_equal(read(out[0], bytes, sizeof bytes), 10);
    assert_string_equal(bytes, "given err\n");
    assert_true(fcntl(in[0], F_GETFD) >= 0 && fcntl(out[1], F_GETFD) >= 0);
    close(in[0]);
    close(out[0]);
    close(out[1]);
    end_pool(pool);
}

/* What the program itself has as its standard output by now, not what it had at tandem_init(). */
static void an_inherited_output_of_100_KB_is_whole(void)
{
    tandem_pool *pool = pool_of_commands(1);
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int saved = fcntl(1, F_DUPFD_CLOEXEC, 10);
    assert_int_equal(dup2(fileno(file), 1), 1);
    tandem_command command = {.shell = "head -c 100000 /dev/zero | tr '\\000' x", .out = TANDEM_STDIO_INHERIT};
    tandem_task task = task_of_command(&command);
    int status = tandem_call(pool, &task);
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    assert_int_equal(status, TANDEM_OK);
    assert_null(task.output);
    tandem_task_clear(&task);
    rewind(file);
    size_t count = 0;
    for (int byte; (byte = getc(file)) != EOF; count++) assert_int_equal(byte, 'x');
    assert_int_equal(count, 100000);
    fclose(file);
    end_pool(pool);
}

static void a_program_with_closed_streams_runs_commands(void)
{
    int saved[3];
    fflush(NULL);
    for (int i = 0; i < 3; i++) {
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
        close(i);
    }
    tandem_pool *pool;
    tandem_command captured = {.shell = "cat; echo out; echo err >&2"};
    tandem_command inherited = {.shell = "cat; echo nowhere; echo nowhere >&2",
                                .in = TANDEM_STDIO_INHERIT,
                                .out = TANDEM_STDIO_INHERIT,
                                .err = TANDEM_STDIO_INHERIT};
    tandem_task first = task_of_command(&captured), second = task_of_command(&inherited);
    char input[] = "in ";
    first.input = input;
    first.input_size = 3;
    int made = tandem_pool_create(&pool, &(tandem_options){.processes = 1}), one = 0, two = 0;
    if (made == 0) {
        one = tandem_call(pool, &first);
        two = tandem_call(pool, &second);
        made = tandem_pool_destroy(pool);
    }
    if (made == 0) made = tandem_quit();
    for (int i = 0; i < 3; i++) {
        dup2(saved[i], i);
        close(saved[i]);
    }
    assert_int_equal(made, 0);
    assert_int_equal(one, TANDEM_OK);
    assert_int_equal(two, TANDEM_OK);
    expect_output(&first, "in out\n");
    expect_errors(&first, "err\n");
    tandem_task_clear(&first);
    tandem_task_clear(&second);
}

/* ---- input ---- */

static char *large_input(size_t size)
{
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) bytes[i] = (char)(i * 7 + i / 4096);
    return bytes;
}

static void a_large_input_goes_through_while_output_comes_back(void)
{
    const size_t sizes[] = {1, 4095, 65535, 65536, 65537, 1 << 20, full_run() ? 64 << 20 : 8 << 20};
    tandem_pool *pool = pool_of_commands(1);
    for (size_t i = 0; i < count_of(sizes); i++) {
        char *bytes = large_input(sizes[i]);
        tandem_command command = {.argv = ARGV("tee", "/dev/stderr")};
        tandem_task task = {.command = &command, .input = bytes, .input_size = sizes[i]};
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        assert_int_equal(task.output_size, sizes[i]);
        assert_memory_equal(task.output, bytes, sizes[i]);
        assert_int_equal(task.report->error_output_size, sizes[i]);
        assert_memory_equal(task.report->error_output, bytes, sizes[i]);
        tandem_task_clear(&task);
        free(bytes);
    }
    end_pool(pool);
}

/* promise 50 */
static void input_that_is_not_read_does_no_harm(void)
{
    const size_t size = (size_t)64 << 20;
    static const char *const lines[] = {"true", "exec <&-; echo closed", "head -c 33554432 >/dev/null; echo half",
                                        "sleep 0.05; echo slow"};
    static const char *const outputs[] = {"", "closed\n", "half\n", "slow\n"};
    tandem_pool *pool = pool_of_commands(2);
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    signal(SIGPIPE, SIG_DFL);
    for (size_t i = 0; i < count_of(lines); i++) {
        tandem_command command = {.shell = lines[i]};
        tandem_task task = {.command = &command, .input = bytes, .input_size = size};
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        expect_output(&task, outputs[i]);
        tandem_task_clear(&task);
    }
    free(bytes);
    end_pool(pool);
}

static void without_input_there_is_nothing_to_read(void)
{
    tandem_pool *pool = pool_of_commands(1);
    expect_from_shell(pool, (tandem_command){.argv = ARGV("cat")}, "");
    expect_from_shell(pool, (tandem_command){.argv = ARGV("cat"), .in = TANDEM_STDIO_NULL}, "");
    end_pool(pool);
}

/* ---- streamed ---- */

static struct heard {
    atomic_int calls, inside, overlaps;
    char text[1 << 20];
    size_t size;
    size_t from[3];
} heard;

static void hear(tandem_task *task, int stream, const void *data, size_t size)
{
    (void)task;
    if (atomic_fetch_add(&heard.inside, 1) != 0) atomic_fetch_add(&heard.overlaps, 1);
    if (heard.size + size < sizeof heard.text) memcpy(heard.text + heard.size, data, size);
    heard.size += size;
    heard.from[stream == 1 || stream == 2 ? stream : 0] += size;
    atomic_fetch_add(&heard.calls, 1);
    atomic_fetch_sub(&heard.inside, 1);
}

static void streamed_output_comes_in_the_order_of_its_arrival(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "printf a; sleep 0.1; printf b >&2; sleep 0.1; printf c; exit 4",
                              .out = TANDEM_STDIO_STREAM,
                              .err = TANDEM_STDIO_STREAM,
                              .on_output = hear};
    memset(&heard, 0, sizeof heard);
    tandem_task task = run_command(pool, &command, TANDEM_FAILED);
    assert_int_equal(task.code, 4);
    assert_null(task.output);
    assert_string_equal(heard.text, "abc");
    assert_int_equal(heard.from[0], 0);
    assert_int_equal(heard.from[2], 1);
    assert_int_equal(atomic_load(&heard.overlaps), 0);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void a_partial_line_is_heard_before_the_command_ends(void)
{
    int go[2];
    tandem_pool *pool = pool_of_commands(1);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    tandem_command command = {
        .shell = "printf prompt; read line", .in = TANDEM_STDIO_FD, .in_fd = go[0], .out = TANDEM_STDIO_STREAM, .on_output = hear};
    memset(&heard, 0, sizeof heard);
    tandem_task task = task_of_command(&command);
    assert_int_equal(tandem_submit(pool, &task), 0);
    wait_until(atomic_load(&heard.calls) > 0);
    assert_int_equal(tandem_wait_for(&task, 0), TANDEM_PENDING);
    assert_int_equal(write(go[1], "\n", 1), 1);
    expect_end(&task, TANDEM_OK);
    assert_string_equal(heard.text, "prompt");
    tandem_task_clear(&task);
    close(go[0]);
    close(go[1]);
    end_pool(pool);
}

static void much_streamed_output_is_whole_though_the_hearer_is_slow(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "head -c 900000 /dev/zero | tr '\\000' z", .out = TANDEM_STDIO_STREAM, .on_output = hear};
    memset(&heard, 0, sizeof heard);
    tandem_task task = run_command(pool, &command, TANDEM_OK);
    assert_int_equal(heard.size, 900000);
    for (size_t i = 0; i < heard.size; i++) assert_int_equal(heard.text[i], 'z');
    tandem_task_clear(&task);
    end_pool(pool);
}

static void stop_when_heard(tandem_task *task, int stream, const void *data, size_t size)
{
    hear(task, stream, data, size);
    if (tandem_wait(task) != -EDEADLK) atomic_fetch_add(&heard.overlaps, 1);
    tandem_cancel(task);
}

static void who_hears_may_cancel(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.argv = ARGV("yes"), .out = TANDEM_STDIO_STREAM, .on_output = stop_when_heard};
    memset(&heard, 0, sizeof heard);
    tandem_task task = run_command(pool, &command, TANDEM_CANCELLED);
    assert_true(heard.size > 0);
    assert_int_equal(atomic_load(&heard.overlaps), 0);
    tandem_task_clear(&task);
    end_pool(pool);
}

static atomic_int done;

static void note_done(tandem_task *task)
{
    (void)task;
    atomic_store(&done, (int)heard.size + 1);
}

static void with_callbacks_by_host_only_it_hears(void)
{
    tandem_options options = {.callbacks_by_host = 1};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_command command = {
        .shell = "printf 12; printf 3 >&2", .out = TANDEM_STDIO_STREAM, .err = TANDEM_STDIO_STREAM, .on_output = hear};
    memset(&heard, 0, sizeof heard);
    tandem_task task = task_of_command(&command);
    task.on_done = note_done;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_wait_for(&task, 100), TANDEM_PENDING);
    assert_int_equal(atomic_load(&heard.calls), 0);
    wait_until((tandem_run_callbacks(pool, 0), atomic_load(&done) != 0));
    assert_int_equal(atomic_load(&done), 4);
    assert_int_equal(task.status, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* What it wrote before it ended is given, however late; what holds its other output open is not waited for. */
static void who_hears_late_hears_all(void)
{
    tandem_options options = {.callbacks_by_host = 1};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_command command = {.shell = "sleep 1000 2>&- & echo $!; printf 1 >&2; sleep 0.02; printf 23 >&2",
                              .err = TANDEM_STDIO_STREAM,
                              .on_output = hear,
                              .drain_ms = 20};
    memset(&heard, 0, sizeof heard);
    atomic_store(&done, 0);
    tandem_task task = task_of_command(&command);
    task.on_done = note_done;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_wait_for(&task, 200), TANDEM_PENDING);
    wait_until((tandem_run_callbacks(pool, 0), atomic_load(&done) != 0));
    assert_string_equal(heard.text, "123");
    assert_int_equal(kill((pid_t)atol(task.output), SIGKILL), 0);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void a_pools_end_does_not_wait_for_who_never_hears(void)
{
    tandem_options options = {.callbacks_by_host = 1};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_command command = {.argv = ARGV("yes"), .out = TANDEM_STDIO_STREAM, .on_output = hear};
    memset(&heard, 0, sizeof heard);
    tandem_task task = task_of_command(&command);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_wait_for(&task, 50), TANDEM_PENDING);
    end_pool(pool);
    assert_int_equal(task.status, TANDEM_CANCELLED);
    assert_int_equal(atomic_load(&heard.calls), 0);
    tandem_task_clear(&task);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(all_that_is_written_just_before_the_exit_arrives),
        test(errors_can_go_where_the_output_goes),
        test(what_is_not_captured_is_not_there),
        test(a_command_that_closes_its_output_early_still_ends_with_its_code),
        test(descriptors_given_are_used_and_stay_the_callers),
        test(an_inherited_output_of_100_KB_is_whole),
        test(a_program_with_closed_streams_runs_commands),
        test(a_large_input_goes_through_while_output_comes_back),
        test(input_that_is_not_read_does_no_harm),
        test(without_input_there_is_nothing_to_read),
        test(streamed_output_comes_in_the_order_of_its_arrival),
        test(a_partial_line_is_heard_before_the_command_ends),
        test(much_streamed_output_is_whole_though_the_hearer_is_slow),
        test(who_hears_may_cancel),
        test(with_callbacks_by_host_only_it_hears),
        test(who_hears_late_hears_all),
        test(a_pools_end_does_not_wait_for_who_never_hears),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
