/* pipelines.c - commands connected by pipes: each with an ending of its own, and what it means for its neighbours. */
#include "commanding.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 8 };

struct line {
    tandem_command commands[MOST];
    tandem_task tasks[MOST];
    tandem_task *pointers[MOST];
    size_t count;
};

static void add_stage(struct line *line, const char *shell)
{
    line->commands[line->count] = (tandem_command){.shell = shell};
    line->tasks[line->count] = task_of_command(&line->commands[line->count]);
    line->pointers[line->count] = &line->tasks[line->count];
    line->count++;
}

static int submit(tandem_pool *pool, struct line *line) { return tandem_pipeline(pool, line->pointers, line->count); }

static void clear(struct line *line)
{
    for (size_t i = 0; i < line->count; i++) assert_int_equal(tandem_task_clear(&line->tasks[i]), 0);
}

/* promise 48 */
static void three_stages_end_within_a_second(void)
{
    tandem_pool *pool = pool_of_commands(3);
    for (int round = 0; round < 5; round++) {
        struct line line = {0};
        add_stage(&line, "head -c 500000 /dev/zero | tr '\\000' q; echo one >&2; exit 1");
        add_stage(&line, "cat; echo two >&2; exit 2");
        add_stage(&line, "wc -c; echo three >&2; exit 3");
        int64_t begun = now_ms();
        assert_int_equal(submit(pool, &line), 0);
        for (int i = 0; i < 3; i++) {
            expect_end(&line.tasks[i], TANDEM_FAILED);
            assert_int_equal(line.tasks[i].code, i + 1);
        }
        assert_true(now_ms() - begun < allowed_ms(1000));
        assert_null(line.tasks[0].output);
        assert_int_equal(atol(line.tasks[2].output), 500000);
        expect_errors(&line.tasks[1], "two\n");
        clear(&line);
    }
    end_pool(pool);
}

static void input_goes_in_at_the_front(void)
{
    const size_t size = (size_t)3 << 20;
    tandem_pool *pool = pool_of_commands(1);
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) bytes[i] = (char)(i ^ i >> 8);
    struct line line = {0};
    for (int i = 0; i < MOST; i++) add_stage(&line, "exec cat");
    line.tasks[0].input = bytes;
    line.tasks[0].input_size = size;
    assert_int_equal(submit(pool, &line), 0);
    for (int i = 0; i < MOST; i++) expect_end(&line.tasks[i], TANDEM_OK);
    assert_int_equal(line.tasks[MOST - 1].output_size, size);
    assert_memory_equal(line.tasks[MOST - 1].output, bytes, size);
    clear(&line);
    free(bytes);
    end_pool(pool);
}

static void one_that_ends_early_ends_those_before_it(void)
{
    tandem_pool *pool = pool_of_commands(1);
    struct line line = {0};
    add_stage(&line, "exec yes");
    add_stage(&line, "exec cat");
    add_stage(&line, "exec head -n 3");
    assert_int_equal(submit(pool, &line), 0);
    expect_end(&line.tasks[2], TANDEM_OK);
    expect_output(&line.tasks[2], "y\ny\ny\n");
    for (int i = 0; i < 2; i++) {
        expect_end(&line.tasks[i], TANDEM_CRASHED);
        assert_int_equal(line.tasks[i].signal, SIGPIPE);
    }
    clear(&line);
    end_pool(pool);
}

static void one_that_cannot_start_is_an_end_for_its_neighbours(void)
{
    static const char *const missing[] = {"/nowhere/at-all", NULL};
    tandem_pool *pool = pool_of_commands(1);
    struct line line = {0};
    add_stage(&line, "exec yes");
    add_stage(&line, "missing");
    add_stage(&line, "exec wc -c");
    line.commands[1] = (tandem_command){.argv = missing};
    assert_int_equal(submit(pool, &line), 0);
    expect_end(&line.tasks[0], TANDEM_CRASHED);
    assert_int_equal(line.tasks[0].signal, SIGPIPE);
    expect_end(&line.tasks[1], TANDEM_NOT_STARTED);
    assert_int_equal(line.tasks[1].code, ENOENT);
    expect_end(&line.tasks[2], TANDEM_OK);
    assert_int_equal(atol(line.tasks[2].output), 0);
    clear(&line);
    end_pool(pool);
}

static void one_that_is_cancelled_ends_the_others(void)
{
    tandem_pool *pool = pool_of_commands(3);
    for (int which = 0; which < 3; which++) {
        struct line line = {0};
        int begun[2];
        assert_int_equal(pipe2(begun, O_CLOEXEC), 0);
        add_stage(&line, "printf x >&2; exec yes");
        add_stage(&line, "printf x >&2; exec cat");
        add_stage(&line, "printf x >&2; exec cat >/dev/null");
        for (int i = 0; i < 3; i++) line.commands[i].err = TANDEM_STDIO_FD, line.commands[i].err_fd = begun[1];
        assert_int_equal(submit(pool, &line), 0);
        await_bytes(begun[0], 3);
        assert_int_equal(tandem_cancel(&line.tasks[which]), 0);
        expect_end(&line.tasks[which], TANDEM_CANCELLED);
        for (int i = 0; i < 3; i++)
            if (i != which) assert_int_equal(tandem_wait(&line.tasks[i]), i < which ? TANDEM_CRASHED : TANDEM_OK);
        clear(&line);
        close(begun[0]);
        close(begun[1]);
    }
    end_pool(pool);
}

/* With room for one command only, so all but the first pipeline wait; a stage that is cancelled meanwhile is missing. */
static void pipelines_that_wait_start_whole(void)
{
    enum { LINES = 3 };
    int go[2];
    tandem_pool *pool = pool_of_commands(1);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    tandem_command busy = {.argv = ARGV("cat"), .in = TANDEM_STDIO_FD, .in_fd = go[0]};
    tandem_task first = task_of_command(&busy);
    assert_int_equal(tandem_submit(pool, &first), 0);
    struct line lines[LINES] = {0};
    for (int i = 0; i < LINES; i++) {
        add_stage(&lines[i], "echo one");
        add_stage(&lines[i], "cat; echo two");
        add_stage(&lines[i], "cat; echo three");
        assert_int_equal(submit(pool, &lines[i]), 0);
    }
    assert_int_equal(stats_of(pool).waiting, LINES * 3);
    assert_int_equal(tandem_cancel(&lines[1].tasks[0]), 0);
    assert_int_equal(tandem_cancel(&lines[2].tasks[1]), 0);
    close(go[1]);
    expect_end(&first, TANDEM_OK);
    tandem_task_clear(&first);
    static const char *const outputs[] = {"one\ntwo\nthree\n", "two\nthree\n", "three\n"};
    for (int i = 0; i < LINES; i++) {
        for (int k = 0; k < 3; k++) tandem_wait(&lines[i].tasks[k]);
        assert_int_equal(lines[i].tasks[2].status, TANDEM_OK);
        expect_output(&lines[i].tasks[2], outputs[i]);
        clear(&lines[i]);
    }
    close(go[0]);
    end_pool(pool);
}

/* promise 10: a pipeline as one; the usual one that may be let through between high ones does not come into its middle */
static void high_pipelines_go_before_usual_commands_and_stay_whole(void)
{
    enum { USUAL = 5, LINES = 6 };
    int go[2];
    tandem_pool *pool = pool_of_commands(1);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    tandem_command busy = {.argv = ARGV("cat"), .in = TANDEM_STDIO_FD, .in_fd = go[0]}, nothing = {.argv = ARGV("true")};
    tandem_task first = task_of_command(&busy), usual[USUAL];
    assert_int_equal(tandem_submit(pool, &first), 0);
    for (int i = 0; i < USUAL; i++) {
        usual[i] = task_of_command(&nothing);
        assert_int_equal(tandem_submit(pool, &usual[i]), 0);
    }
    struct line lines[LINES] = {0};
    for (int i = 0; i < LINES; i++) {
        add_stage(&lines[i], "echo one");
        add_stage(&lines[i], "cat; echo two");
        add_stage(&lines[i], "cat; echo three");
        lines[i].tasks[0].priority = lines[i].tasks[1].priority = 1;
        assert_int_equal(submit(pool, &lines[i]), -EINVAL);
        lines[i].tasks[2].priority = 1;
        assert_int_equal(submit(pool, &lines[i]), 0);
    }
    close(go[1]);
    expect_end(&first, TANDEM_OK);
    for (int i = 0; i < USUAL; i++) expect_end(&usual[i], TANDEM_OK);
    for (int i = 0; i < LINES; i++) {
        expect_end(&lines[i].tasks[2], TANDEM_OK);
        expect_output(&lines[i].tasks[2], "one\ntwo\nthree\n");
        if (i < LINES - 2) assert_true(lines[i].tasks[0].report->started_ns < usual[1].report->started_ns);
        expect_end(&lines[i].tasks[0], TANDEM_OK);
        expect_end(&lines[i].tasks[1], TANDEM_OK);
        clear(&lines[i]);
    }
    for (int i = 0; i < USUAL; i++) tandem_task_clear(&usual[i]);
    tandem_task_clear(&first);
    close(go[0]);
    end_pool(pool);
}

/* They run on, and hold up nobody. */
static void a_dedicated_first_stage_speaks_for_all(void)
{
    int go[2];
    tandem_pool *pool = pool_of_commands(1);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    struct line line = {0};
    add_stage(&line, "cat");
    add_stage(&line, "cat");
    line.commands[0].in = TANDEM_STDIO_FD;
    line.commands[0].in_fd = go[0];
    line.tasks[0].flags = TANDEM_DEDICATED;
    assert_int_equal(submit(pool, &line), 0);
    tandem_command nothing = {.argv = ARGV("true")};
    tandem_task other = run_command(pool, &nothing, TANDEM_OK);
    assert_int_equal(tandem_wait_for(&line.tasks[1], 0), TANDEM_PENDING);
    close(go[1]);
    expect_end(&line.tasks[1], TANDEM_OK);
    expect_end(&line.tasks[0], TANDEM_OK);
    close(go[0]);
    tandem_task_clear(&other);
    clear(&line);
    end_pool(pool);
}

static void two_commands_can_write_into_the_input_of_a_third(void)
{
    int fds[2];
    tandem_pool *pool = pool_of_commands(3);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    tandem_command reads = {.shell = "sort", .in = TANDEM_STDIO_FD, .in_fd = fds[0]};
    tandem_command writes[2] = {{.shell = "seq 1 2 9999", .out = TANDEM_STDIO_FD, .out_fd = fds[1]},
                                {.shell = "seq 2 2 10000", .out = TANDEM_STDIO_FD, .out_fd = fds[1]}};
    reads.shell = "wc -l";
    tandem_task reader = task_of_command(&reads), writers[2] = {task_of_command(&writes[0]), task_of_command(&writes[1])};
    assert_int_equal(tandem_submit(pool, &reader), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(tandem_submit(pool, &writers[i]), 0);
    for (int i = 0; i < 2; i++) expect_end(&writers[i], TANDEM_OK);
    close(fds[1]);
    expect_end(&reader, TANDEM_OK);
    assert_int_equal(atol(reader.output), 10000);
    close(fds[0]);
    tandem_task_clear(&reader);
    for (int i = 0; i < 2; i++) tandem_task_clear(&writers[i]);
    end_pool(pool);
}

static void errors_can_go_down_the_pipe_too(void)
{
    tandem_pool *pool = pool_of_commands(1);
    struct line line = {0};
    add_stage(&line, "echo out; echo err >&2");
    add_stage(&line, "wc -l");
    line.commands[0].flags = TANDEM_COMMAND_ERR_TO_OUT;
    assert_int_equal(submit(pool, &line), 0);
    expect_end(&line.tasks[0], TANDEM_OK);
    expect_end(&line.tasks[1], TANDEM_OK);
    assert_int_equal(atol(line.tasks[1].output), 2);
    clear(&line);
    end_pool(pool);
}

/* promise 5 */
static void a_bad_pipeline_is_EINVAL_and_nothing_has_started(void)
{
    tandem_pool *pool = pool_of_commands(2);
    struct line line = {0};
    char byte[] = "x";
    add_stage(&line, "echo one");
    add_stage(&line, "cat");
    assert_int_equal(tandem_pipeline(pool, line.pointers, 0), -EINVAL);
    assert_int_equal(tandem_pipeline(pool, NULL, 1), -EINVAL);
    line.commands[0].out = TANDEM_STDIO_CAPTURE;
    assert_int_equal(submit(pool, &line), -EINVAL);
    line.commands[0].out = 0;
    line.commands[1].in = TANDEM_STDIO_NULL;
    assert_int_equal(submit(pool, &line), -EINVAL);
    line.commands[1].in = 0;
    line.commands[1].flags = TANDEM_COMMAND_DETACHED;
    assert_int_equal(submit(pool, &line), -EINVAL);
    line.commands[1].flags = 0;
    line.tasks[1].input = byte;
    line.tasks[1].input_size = 1;
    assert_int_equal(submit(pool, &line), -EINVAL);
    line.tasks[1] = (tandem_task){.run = nothing_task, .isolation = TANDEM_PROCESS};
    assert_int_equal(submit(pool, &line), -EINVAL);
    line.pointers[1] = &line.tasks[0];
    assert_int_equal(submit(pool, &line), -EBUSY);
    assert_int_equal(stats_of(pool).submitted, 0);
    line.tasks[1] = task_of_command(&line.commands[1]);
    line.pointers[1] = &line.tasks[1];
    assert_int_equal(submit(pool, &line), 0);
    expect_end(&line.tasks[1], TANDEM_OK);
    expect_output(&line.tasks[1], "one\n");
    expect_end(&line.tasks[0], TANDEM_OK);
    clear(&line);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(three_stages_end_within_a_second),
        test(input_goes_in_at_the_front),
        test(one_that_ends_early_ends_those_before_it),
        test(one_that_cannot_start_is_an_end_for_its_neighbours),
        test(one_that_is_cancelled_ends_the_others),
        test(pipelines_that_wait_start_whole),
        test(high_pipelines_go_before_usual_commands_and_stay_whole),
        test(a_dedicated_first_stage_speaks_for_all),
        test(two_commands_can_write_into_the_input_of_a_third),
        test(errors_can_go_down_the_pipe_too),
        test(a_bad_pipeline_is_EINVAL_and_nothing_has_started),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
