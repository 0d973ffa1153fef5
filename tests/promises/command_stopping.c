/* command_stopping.c - commands that are to end before they do by themselves, those that wait, and those that outlive others. */
#include "commanding.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void hear_nothing(tandem_task *task, int stream, const void *data, size_t size)
{
    (void)task, (void)stream, (void)data, (void)size;
}

/* What a command wrote first, once it has: two numbers of processes. */
static _Atomic(long) pids[2];

static void hear_pids(tandem_task *task, int stream, const void *data, size_t size)
{
    char text[128] = "";
    long one = 0, two = 0;
    (void)task, (void)stream;
    memcpy(text, data, size < sizeof text - 1 ? size : sizeof text - 1);
    if (sscanf(text, "%ld %ld", &one, &two) < 1) return;
    atomic_store(&pids[1], two);
    atomic_store(&pids[0], one);
}

static void submit_and_hear(tandem_pool *pool, tandem_task *task)
{
    atomic_store(&pids[0], 0);
    assert_int_equal(tandem_submit(pool, task), 0);
    wait_until(atomic_load(&pids[0]) != 0);
}

static bool lives(int which) { return atomic_load(&pids[which]) > 1 && process_lives((pid_t)atomic_load(&pids[which])); }

#define HEARS .out = TANDEM_STDIO_STREAM, .on_output = hear_pids

static void a_timeout_kills_the_whole_group(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "trap '' TERM; sleep 1000 & echo $$ $!; wait", HEARS};
    tandem_task task = task_of_command(&command);
    task.timeout_ms = 300;
    submit_and_hear(pool, &task);
    expect_end(&task, TANDEM_TIMED_OUT);
    assert_int_equal(task.signal, SIGKILL);
    wait_until(!lives(0) && !lives(1));
    tandem_task_clear(&task);
    end_pool(pool);
}

static void a_cancel_kills_the_whole_group(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "sleep 1000 & echo $$ $!; wait", HEARS};
    tandem_task task = task_of_command(&command);
    submit_and_hear(pool, &task);
    assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    wait_until(!lives(0) && !lives(1));
    tandem_task_clear(&task);
    end_pool(pool);
}

/* promise 52 */
static void with_a_grace_it_is_asked_by_its_stop_signal(void)
{
    tandem_options options = {.kill_grace_ms = 60000};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_command command = {
        .shell = "trap 'echo asked >&2; exit 5' USR1; echo $$; while :; do sleep 0.01; done", .stop_signal = SIGUSR1, HEARS};
    tandem_task task = task_of_command(&command);
    submit_and_hear(pool, &task);
    assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    assert_int_equal(task.code, 5);
    assert_int_equal(task.signal, 0);
    assert_non_null(strstr(task.report->error_output, "asked\n")); /* besides what the shell says of its child */
    tandem_task_clear(&task);
    command = (tandem_command){.shell = "trap 'exit 6' TERM; echo $$; while :; do sleep 0.01; done", HEARS};
    submit_and_hear(pool, &task);
    assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    assert_int_equal(task.code, 6);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void who_does_not_listen_is_killed_after_the_grace(void)
{
    tandem_options options = {.kill_grace_ms = 50};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_command command = {.shell = "trap '' TERM; echo $$; while :; do sleep 0.01; done", HEARS};
    tandem_task task = task_of_command(&command);
    submit_and_hear(pool, &task);
    assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    assert_int_equal(task.signal, SIGKILL);
    wait_until(!lives(0));
    tandem_task_clear(&task);
    end_pool(pool);
}

static void what_its_leader_leaves_behind_when_stopped_is_killed(void)
{
    tandem_options options = {.kill_grace_ms = 60000};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_command command = {.shell = "trap '' TERM; (while :; do sleep 0.01; done) & trap - TERM; echo $$ $!; wait", HEARS};
    tandem_task task = task_of_command(&command);
    submit_and_hear(pool, &task);
    assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    assert_int_equal(task.signal, SIGTERM);
    wait_until(!lives(1));
    tandem_task_clear(&task);
    end_pool(pool);
}

/* A program in the background that reads its terminal is stopped; so nobody would ever hear of it. */
static void a_stopped_command_ends_by_its_timeout(void)
{
    for (uint32_t grace = 0; grace <= 60000; grace += 60000) {
        tandem_options options = {.kill_grace_ms = grace};
        tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
        tandem_command command = {.shell = "kill -TTIN $$; echo went on"};
        tandem_task task = task_of_command(&command);
        task.timeout_ms = 200;
        assert_int_equal(tandem_call(pool, &task), TANDEM_TIMED_OUT);
        tandem_task_clear(&task);
        end_pool(pool);
    }
}

/* ---- before the start ---- */

static void as_many_run_at_once_as_there_are_processes(void)
{
    enum { COMMANDS = 6 };
    int go[2];
    tandem_pool *pool = pool_of_commands(2);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    tandem_command command = {.shell = "read line", .in = TANDEM_STDIO_FD, .in_fd = go[0]};
    tandem_task tasks[COMMANDS];
    for (int i = 0; i < COMMANDS; i++) {
        tasks[i] = task_of_command(&command);
        tasks[i].flags = i == COMMANDS - 1 ? TANDEM_DEDICATED : 0;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_int_equal(stats_of(pool).running, 3); /* two, and the one that does not count */
    assert_int_equal(stats_of(pool).waiting, COMMANDS - 3);
    close(go[1]);
    for (int i = 0; i < COMMANDS; i++) {
        expect_end(&tasks[i], TANDEM_FAILED);
        tandem_task_clear(&tasks[i]);
    }
    close(go[0]);
    end_pool(pool);
}

static void one_that_waits_can_be_cancelled_or_expire_and_never_starts(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command busy = {.argv = ARGV("sleep", "1000")}, never = {.argv = ARGV("/nowhere/at-all")};
    tandem_task first = task_of_command(&busy), cancelled = task_of_command(&never), late = task_of_command(&never);
    late.queue_timeout_ms = 20;
    assert_int_equal(tandem_submit(pool, &first), 0);
    assert_int_equal(tandem_submit(pool, &cancelled), 0);
    assert_int_equal(tandem_submit(pool, &late), 0);
    assert_int_equal(tandem_cancel(&cancelled), 0);
    expect_end(&cancelled, TANDEM_CANCELLED);
    expect_end(&late, TANDEM_EXPIRED);
    assert_int_equal(tandem_cancel(&first), 0);
    expect_end(&first, TANDEM_CANCELLED);
    tandem_task_clear(&first);
    tandem_task_clear(&cancelled);
    tandem_task_clear(&late);
    end_pool(pool);
}

static atomic_int called;

static void count_call(tandem_task *task)
{
    if (task->status == TANDEM_CANCELLED) atomic_fetch_add(&called, 1);
}

static void a_group_of_commands_is_cancelled_and_called_back(void)
{
    enum { COMMANDS = 8 };
    tandem_group group = {0};
    tandem_pool *pool = pool_of_commands(3);
    tandem_command command = {.argv = ARGV("sleep", "1000")};
    tandem_task tasks[COMMANDS];
    for (int i = 0; i < COMMANDS; i++) {
        tasks[i] = task_of_command(&command);
        tasks[i].group = &group;
        tasks[i].on_done = count_call;
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_int_equal(tandem_group_wait(&group, 30), TANDEM_PENDING);
    assert_int_equal(tandem_group_cancel(&group), COMMANDS);
    assert_int_equal(tandem_group_wait(&group, -1), TANDEM_CANCELLED);
    assert_int_equal(atomic_load(&called), COMMANDS);
    for (int i = 0; i < COMMANDS; i++) tandem_task_clear(&tasks[i]);
    end_pool(pool);
}

static bool dump_shows(tandem_pool *pool, const int fds[2], const char *words)
{
    char text[4096] = "";
    assert_int_equal(tandem_pool_dump(pool, fds[1]), 0);
    assert_true(read(fds[0], text, sizeof text - 1) > 0);
    return strstr(text, words) != NULL;
}

/* A command may be heard of before the guards have told that it was started. */
static void a_dump_shows_the_commands_that_run(void)
{
    char pid[32];
    int fds[2];
    tandem_pool *pool = pool_of_commands(1);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    tandem_command command = {.shell = "echo $$; exec sleep 1000", HEARS};
    tandem_task task = task_of_command(&command);
    submit_and_hear(pool, &task);
    snprintf(pid, sizeof pid, "%ld", (long)atomic_load(&pids[0]));
    wait_until(dump_shows(pool, fds, pid));
    assert_true(dump_shows(pool, fds, command.shell));
    assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    tandem_task_clear(&task);
    close(fds[0]);
    close(fds[1]);
    end_pool(pool);
}

/* ---- ends of others ---- */

static void a_pools_end_ends_its_commands(void)
{
    enum { COMMANDS = 5 };
    tandem_pool *pool = pool_of_commands(2);
    tandem_command command = {.shell = "sleep 1000 & wait", .out = TANDEM_STDIO_STREAM, .on_output = hear_nothing};
    tandem_task tasks[COMMANDS];
    for (int i = 0; i < COMMANDS; i++) {
        tasks[i] = task_of_command(&command);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    end_pool(pool);
    for (int i = 0; i < COMMANDS; i++) {
        assert_int_equal(tasks[i].status, TANDEM_CANCELLED);
        tandem_task_clear(&tasks[i]);
    }
}

/* In a program of its own, which then is killed. */
static int host_that_dies(int to)
{
    tandem_pool *pool;
    tandem_command command = {.out = TANDEM_STDIO_FD, .out_fd = to};
    command.shell = "trap '' TERM HUP; sleep 1000 & echo $$ $!; wait";
    tandem_task task = task_of_command(&command);
    if (tandem_init() != 0 || tandem_pool_create(&pool, NULL) != 0 || tandem_submit(pool, &task) != 0) return 1;
    for (;;) pause();
}

static void commands_end_with_their_program(void)
{
    int told[2];
    long one = 0, two = 0;
    assert_int_equal(pipe(told), 0);
    pid_t host = fork();
    if (host == 0) _exit(host_that_dies(told[1]));
    FILE *file = fdopen(told[0], "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &one, &two), 2);
    assert_true(process_lives((pid_t)one) && process_lives((pid_t)two));
    kill(host, SIGKILL);
    assert_int_equal(waitpid(host, NULL, 0), host);
    wait_until(!process_lives((pid_t)one) && !process_lives((pid_t)two));
    fclose(file);
    close(told[1]);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_timeout_kills_the_whole_group),
        test(a_cancel_kills_the_whole_group),
        test(with_a_grace_it_is_asked_by_its_stop_signal),
        test(who_does_not_listen_is_killed_after_the_grace),
        test(what_its_leader_leaves_behind_when_stopped_is_killed),
        test(a_stopped_command_ends_by_its_timeout),
        test(as_many_run_at_once_as_there_are_processes),
        test(one_that_waits_can_be_cancelled_or_expire_and_never_starts),
        test(a_group_of_commands_is_cancelled_and_called_back),
        test(a_dump_shows_the_commands_that_run),
        test(a_pools_end_ends_its_commands),
        test(commands_end_with_their_program),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
