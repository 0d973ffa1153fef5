/* many_commands.c - one after the other, all at once, one inside the other, and with guards that die: every ending is true. */
#include "commanding.h"
#include "guarding.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* promise 53 */
static void a_thousand_in_sequence_leave_nothing(void)
{
    tandem_pool *pool = pool_of_commands(1);
    size_t count = full_run() ? 1000 : 100, descriptors = 0;
    for (size_t i = 0; i < count; i++) {
        char line[64], expected[64];
        snprintf(line, sizeof line, "echo number %zu", i);
        snprintf(expected, sizeof expected, "number %zu\n", i);
        expect_from_shell(pool, (tandem_command){.shell = line}, expected);
        if (i == 10) descriptors = entries_in("/proc/self/fd");
    }
    wait_until(entries_in("/proc/self/fd") <= descriptors);
    expect_no_zombies(); /* the zygote tells of an end first, and then collects it */
    end_pool(pool);
}

/* promise 53 */
static void two_hundred_at_once_are_whole(void)
{
    enum { COMMANDS = 200 };
    static tandem_command commands[COMMANDS];
    static tandem_task tasks[COMMANDS];
    static char lines[COMMANDS][64];
    tandem_pool *pool = pool_of_commands(COMMANDS);
    for (int i = 0; i < COMMANDS; i++) {
        snprintf(lines[i], sizeof lines[i], "echo %d; seq 1 2000; exit %d", i, i % 5);
        commands[i] = (tandem_command){.shell = lines[i]};
        tasks[i] = task_of_command(&commands[i]);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (int i = 0; i < COMMANDS; i++) {
        expect_end(&tasks[i], i % 5 == 0 ? TANDEM_OK : TANDEM_FAILED);
        assert_int_equal(tasks[i].code, i % 5);
        assert_int_equal(atoi(tasks[i].output), i);
        char head[16];
        assert_int_equal(tasks[i].output_size, snprintf(head, sizeof head, "%d\n", i) + 8893);
        tandem_task_clear(&tasks[i]);
    }
    end_pool(pool);
}

/* Ten thousand of `true`, two hundred at a time. */
static void descriptors_stay_flat(void)
{
    enum { AT_ONCE = 200 };
    static tandem_task tasks[AT_ONCE];
    tandem_pool *pool = pool_of_commands(AT_ONCE);
    tandem_command command = {.argv = ARGV("true")};
    size_t rounds = full_run() ? 50 : 2, descriptors = 0;
    for (size_t round = 0; round < rounds; round++) {
        for (int i = 0; i < AT_ONCE; i++) {
            tasks[i] = task_of_command(&command);
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            expect_end(&tasks[i], TANDEM_OK);
            tandem_task_clear(&tasks[i]);
        }
        if (round == 0) descriptors = entries_in("/proc/self/fd");
        wait_until(entries_in("/proc/self/fd") <= descriptors);
    }
    expect_no_zombies();
    end_pool(pool);
}

static void with_few_descriptors_they_take_turns(void)
{
    enum { COMMANDS = 40 };
    tandem_task tasks[COMMANDS];
    struct rlimit limit;
    tandem_pool *pool = pool_of_commands(COMMANDS);
    tandem_command command = {.shell = "sleep 0.02; echo done"};
    tandem_task first = run_command(pool, &command, TANDEM_OK);
    tandem_task_clear(&first);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 48;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < COMMANDS; i++) {
        tasks[i] = task_of_command(&command);
        if (i % 4 == 3) tasks[i].flags = TANDEM_DEDICATED; /* these wait too */
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (int i = 0; i < COMMANDS; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        expect_output(&tasks[i], "done\n");
        tandem_task_clear(&tasks[i]);
    }
    limit.rlim_cur = before;
    setrlimit(RLIMIT_NOFILE, &limit);
    end_pool(pool);
}

/* ---- one inside the other ---- */

#define NESTED "TANDEM_TEST_NESTED"

/* This program, as often as the number says, each as a command of the one before. */
static int be_nested(int depth)
{
    char variable[64], self[] = "/proc/self/exe";
    tandem_pool *pool;
    snprintf(variable, sizeof variable, NESTED "=%d", depth - 1);
    tandem_command command = {.argv = ARGV(self), .env_change = ARGV(variable), .out = TANDEM_STDIO_INHERIT};
    tandem_task task = task_of_command(&command);
    if (depth > 0 && (tandem_init() != 0 || tandem_pool_create(&pool, NULL) != 0)) return 90;
    int status = depth > 0 ? tandem_call(pool, &task) : (int)TANDEM_OK;
    int code = depth > 0 && status == TANDEM_FAILED ? task.code : 10;
    if (depth > 0 && status != TANDEM_FAILED) code = 91;
    printf("%d ", depth);
    fflush(stdout);
    if (depth > 0) {
        tandem_task_clear(&task);
        if (tandem_pool_destroy(pool) != 0 || tandem_quit() != 0) return 92;
    }
    return code + 1;
}

static void five_nested_commands_end_from_the_inside_out(void)
{
    skip_without("/proc/self/exe", "the program would not find itself");
    tandem_pool *pool = pool_of_commands(1);
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(length > 0);
    self[length] = 0;
    tandem_command command = {.argv = ARGV(self), .env_change = ARGV(NESTED "=5")};
    tandem_task task = run_command(pool, &command, TANDEM_FAILED);
    assert_int_equal(task.code, 16);
    expect_output(&task, "0 1 2 3 4 5 ");
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- guards that die ---- */

enum { RUNNING = 4 };

static void submit_some(tandem_pool *pool, tandem_task *tasks, const tandem_command *command)
{
    for (int i = 0; i < RUNNING; i++) {
        tasks[i] = task_of_command(command);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
}

/* promise 26 */
static void a_guards_death_changes_nothing_for_commands(void)
{
    skip_on_portable("nobody inherits what a dead zygote leaves");
    tandem_pool *pool = pool_of_commands(RUNNING);
    tandem_task tasks[RUNNING];
    for (int round = 0; round < 4; round++) {
        int begun[2], go[2];
        assert_int_equal(pipe2(begun, O_CLOEXEC), 0);
        assert_int_equal(pipe2(go, O_CLOEXEC), 0);
        tandem_command command = {.shell = "printf x >&2; cat; echo ended; exit 8"};
        command.err = TANDEM_STDIO_FD, command.err_fd = begun[1];
        command.in = TANDEM_STDIO_FD, command.in_fd = go[0];
        struct guards guards = guards_now();
        submit_some(pool, tasks, &command);
        if (round % 2 == 0) await_bytes(begun[0], RUNNING); /* else amid their starts */
        put_to_death(round < 2 ? &guards.zygote : &guards.keeper);
        close(go[1]);
        for (int i = 0; i < RUNNING; i++) {
            expect_end(&tasks[i], TANDEM_FAILED);
            assert_int_equal(tasks[i].code, 8);
            expect_output(&tasks[i], "ended\n");
            tandem_task_clear(&tasks[i]);
        }
        close(go[0]);
        close(begun[0]);
        close(begun[1]);
    }
    end_pool(pool);
}

/* promise 26 */
static void without_guards_commands_go_on_and_their_status_is_lost(void)
{
    skip_on_portable("nobody can tell when a process ends that is not a child");
    tandem_pool *pool = pool_of_commands(RUNNING);
    tandem_task tasks[RUNNING];
    int begun[2];
    assert_int_equal(pipe2(begun, O_CLOEXEC), 0);
    tandem_command command = {.shell = "printf x >&2; sleep 0.3; echo ended", .err = TANDEM_STDIO_FD, .err_fd = begun[1]};
    struct guards guards = guards_now();
    submit_some(pool, tasks, &command);
    await_bytes(begun[0], RUNNING);
    kill_both(&guards);
    for (int i = 0; i < RUNNING; i++) {
        expect_end(&tasks[i], TANDEM_CRASHED);
        assert_int_equal(tasks[i].signal, 0);
        assert_non_null(tasks[i].report->step);
        expect_output(&tasks[i], "ended\n");
        tandem_task_clear(&tasks[i]);
    }
    tandem_task late = run_command(pool, &command, TANDEM_NOT_STARTED);
    assert_string_equal(late.report->step, "zygote");
    tandem_task_clear(&late);
    close(begun[0]);
    close(begun[1]);
    end_pool(pool);
}

static void an_orphan_can_still_be_cancelled(void)
{
    skip_on_portable("nobody can tell when a process ends that is not a child");
    tandem_pool *pool = pool_of_commands(1);
    int begun[2];
    assert_int_equal(pipe2(begun, O_CLOEXEC), 0);
    tandem_command command = {.shell = "printf x >&2; exec sleep 1000", .err = TANDEM_STDIO_FD, .err_fd = begun[1]};
    tandem_task task = task_of_command(&command);
    struct guards guards = guards_now();
    assert_int_equal(tandem_submit(pool, &task), 0);
    await_bytes(begun[0], 1);
    kill_both(&guards);
    assert_int_equal(tandem_wait_for(&task, 100), TANDEM_PENDING);
    assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    tandem_task_clear(&task);
    close(begun[0]);
    close(begun[1]);
    end_pool(pool);
}

/* ---- the host stays the host's ---- */

static atomic_int stop_reaping;
static atomic_int children_seen;

static void *reap_all(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop_reaping))
        if (waitpid(-1, NULL, WNOHANG) > 0) atomic_fetch_add(&children_seen, 1);
    return NULL;
}

static volatile sig_atomic_t signals;

static void count_signal(int signal)
{
    (void)signal;
    signals++;
}

/* promise 31 */ /* promise 32 */
static void the_host_gets_no_child_of_a_command(void)
{
    pthread_t thread;
    tandem_pool *pool = pool_of_commands(2);
    struct sigaction action = {.sa_handler = count_signal}, before;
    assert_int_equal(sigaction(SIGCHLD, &action, &before), 0);
    assert_int_equal(pthread_create(&thread, NULL, reap_all, NULL), 0);
    tandem_command command = {.shell = "exit 3"};
    for (int i = 0; i < 20; i++) {
        tandem_task task = run_command(pool, &command, TANDEM_FAILED);
        assert_int_equal(task.code, 3);
        tandem_task_clear(&task);
    }
    atomic_store(&stop_reaping, 1);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&children_seen), 0);
    assert_int_equal(signals, 0);
    signal(SIGCHLD, SIG_IGN);
    tandem_task task = run_command(pool, &command, TANDEM_FAILED);
    assert_int_equal(task.code, 3);
    tandem_task_clear(&task);
    sigaction(SIGCHLD, &before, NULL);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_thousand_in_sequence_leave_nothing),
        test(two_hundred_at_once_are_whole),
        test(descriptors_stay_flat),
        test(with_few_descriptors_they_take_turns),
        test(five_nested_commands_end_from_the_inside_out),
        test(a_guards_death_changes_nothing_for_commands),
        test(without_guards_commands_go_on_and_their_status_is_lost),
        test(an_orphan_can_still_be_cancelled),
        test(the_host_gets_no_child_of_a_command),
    };
    if (getenv(NESTED)) return be_nested(atoi(getenv(NESTED)));
    return harness_main(argc, argv, tests, count_of(tests));
}
