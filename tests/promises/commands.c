/* commands.c - an external program as a task: how it is found, what surroundings it gets, how it ends, and what is refused. */
#include "commanding.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- how it ends ---- */

static void a_command_gives_its_output_its_errors_and_its_code(void)
{
    tandem_pool *pool = pool_of_commands(2);
    tandem_command command = {.shell = "echo out; echo err >&2; exit 7"};
    tandem_task task = run_command(pool, &command, TANDEM_FAILED);
    assert_int_equal(task.code, 7);
    assert_int_equal(task.signal, 0);
    expect_output(&task, "out\n");
    expect_errors(&task, "err\n");
    assert_string_equal(task.report->name, command.shell);
    assert_true(task.report->pid > 0);
    assert_int_equal(task.report->runs, 1);
    assert_true(task.report->queued_ns <= task.report->started_ns && task.report->started_ns <= task.report->ended_ns);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void a_command_that_a_signal_kills_says_which(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "echo last words; kill -TERM $$"};
    tandem_task task = run_command(pool, &command, TANDEM_CRASHED);
    assert_int_equal(task.signal, SIGTERM);
    assert_int_equal(task.code, 0);
    assert_int_equal(task.report->core_dumped, 0);
    expect_output(&task, "last words\n");
    tandem_task_clear(&task);
    end_pool(pool);
}

static void what_a_command_has_used_is_told(void)
{
    skip_on_portable("nobody tells what a process has used before it is reaped");
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"};
    tandem_task task = run_command(pool, &command, TANDEM_OK);
    assert_true(task.report->cpu_user_ns + task.report->cpu_system_ns > 0);
    assert_true(task.report->peak_memory > 0);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- promise 47: not started ---- */

static void expect_refusal(tandem_pool *pool, const tandem_command *command, int code, const char *step)
{
    tandem_task task = run_command(pool, command, TANDEM_NOT_STARTED);
    assert_int_equal(task.code, code);
    assert_string_equal(task.report->step, step);
    assert_null(task.output);
    tandem_task_clear(&task);
}

static void expect_not_started(tandem_pool *pool, const tandem_command *command, int code, const char *step)
{
    size_t descriptors = entries_in("/proc/self/fd"), processes = processes_of_ours();
    expect_refusal(pool, command, code, step);
    wait_until(entries_in("/proc/self/fd") <= descriptors && processes_of_ours() <= processes);
}

static void warm_up(tandem_pool *pool)
{
    tandem_command command = {.argv = ARGV("true")};
    tandem_task task = run_command(pool, &command, TANDEM_OK);
    tandem_task_clear(&task);
}

/* promise 47 */
static void a_program_that_is_missing_is_not_started(void)
{
    tandem_pool *pool = pool_of_commands(1);
    warm_up(pool);
    expect_not_started(pool, &(tandem_command){.argv = ARGV("/nowhere/at-all")}, ENOENT, "exec");
    expect_not_started(pool, &(tandem_command){.argv = ARGV("no-such-program-anywhere")}, ENOENT, "exec");
    expect_not_started(pool, &(tandem_command){.argv = ARGV("")}, ENOENT, "exec");
    expect_not_started(pool, &(tandem_command){.argv = ARGV("/")}, EACCES, "exec");
    end_pool(pool);
}

/* promise 47 */
static void a_directory_that_is_missing_is_told_apart(void)
{
    tandem_pool *pool = pool_of_commands(1);
    warm_up(pool);
    expect_not_started(pool, &(tandem_command){.argv = ARGV("true"), .cwd = "/nowhere/at-all"}, ENOENT, "chdir");
    expect_not_started(pool, &(tandem_command){.argv = ARGV("true"), .cwd = "/dev/null"}, ENOTDIR, "chdir");
    end_pool(pool);
}

/* ---- promise 52: where it is looked for ---- */

static char folder[PATH_MAX];

static void write_script(const char *name, const char *text, mode_t mode)
{
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/tandem-commands-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static void remove_folder(const char *const *names)
{
    for (; *names; names++) {
        char path[PATH_MAX + 64];
        snprintf(path, sizeof path, "%s/%s", folder, *names);
        unlink(path);
    }
    assert_int_equal(rmdir(folder), 0);
}

/* promise 52 */
static void a_program_is_looked_for_in_the_path_it_will_have(void)
{
    char path[PATH_MAX + 64];
    tandem_pool *pool = pool_of_commands(1);
    make_folder();
    write_script("found-here", "#!/bin/sh\necho found $0 $1\n", 0755);
    write_script("not-allowed", "#!/bin/sh\n", 0644);
    write_script("no-head", "echo by the shell $1\n", 0755);
    snprintf(path, sizeof path, "PATH=/nowhere:%s:/usr/bin:/bin", folder);
    tandem_command command = {.argv = ARGV("found-here", "me"), .env_change = ARGV(path)};
    char expected[PATH_MAX + 64];
    snprintf(expected, sizeof expected, "found %s/found-here me\n", folder);
    expect_from_shell(pool, command, expected);
    command.argv = ARGV("no-head", "itself");
    expect_from_shell(pool, command, "by the shell itself\n");
    if (geteuid() != 0 || access("/proc/self", R_OK) == 0) {
        command.argv = ARGV("not-allowed");
        expect_not_started(pool, &command, EACCES, "exec");
    }
    command = (tandem_command){.argv = ARGV("found-here", "me"), .cwd = folder, .env_change = ARGV("PATH=")};
    expect_from_shell(pool, command, "found ./found-here me\n");
    command = (tandem_command){.argv = ARGV("sh", "-c", "echo usual"), .env = ARGV("A=b")};
    expect_from_shell(pool, command, "usual\n");
    remove_folder(ARGV("found-here", "not-allowed", "no-head"));
    end_pool(pool);
}

/* promise 52 */
static void the_shell_gets_its_line_as_it_is(void)
{
    tandem_pool *pool = pool_of_commands(1);
    expect_from_shell(pool, (tandem_command){.shell = "echo \"a  b\" 'c  d'; echo $0"}, "a  b c  d\nsh\n");
    expect_from_shell(pool, (tandem_command){.shell = "echo $0", .argv0 = "other"}, "other\n");
    tandem_command option = {.shell = "-e exit"};
    tandem_task task = run_command(pool, &option, TANDEM_FAILED);
    assert_int_equal(task.code, 127);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* promise 52 */
static void argv0_is_what_the_program_is_told(void)
{
    tandem_pool *pool = pool_of_commands(1);
    expect_from_shell(pool, (tandem_command){.argv = ARGV("sh", "-c", "echo $0"), .argv0 = "-renamed"}, "-renamed\n");
    expect_from_shell(pool, (tandem_command){.argv = ARGV("echo", "a  b", "", "$HOME;*")}, "a  b  $HOME;*\n");
    end_pool(pool);
}

/* ---- promise 52: its surroundings ---- */

/* promise 52 */
static void the_environment_is_the_callers_or_its_own_with_changes(void)
{
    tandem_pool *pool = pool_of_commands(1);
    setenv("COMMAND_OLD", "old", 1);
    setenv("COMMAND_GONE", "gone", 1);
    const char *line = "echo \"$COMMAND_OLD/$COMMAND_GONE/$COMMAND_NEW\"";
    expect_from_shell(pool, (tandem_command){.shell = line}, "old/gone/\n");
    tandem_command changed = {.shell = line,
                              .env_change = ARGV("COMMAND_NEW=new=er", "COMMAND_GONE", "COMMAND_OLD=1", "COMMAND_OLD=2")};
    expect_from_shell(pool, changed, "2//new=er\n");
    expect_from_shell(pool, (tandem_command){.shell = line}, "old/gone/\n");
    setenv("COMMAND_OLD", "later", 1);
    expect_from_shell(pool, (tandem_command){.shell = line}, "later/gone/\n");
    tandem_command whole = {.argv = ARGV("/usr/bin/env"), .env = ARGV("A=1", "B=", "C=3"), .env_change = ARGV("C", "D=4")};
    expect_from_shell(pool, whole, "A=1\nB=\nD=4\n");
    whole = (tandem_command){.argv = ARGV("/usr/bin/env"), .env = (const char *const[]){NULL}};
    expect_from_shell(pool, whole, "");
    end_pool(pool);
}

static void the_environment_is_that_of_the_submit(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command slow = {.argv = ARGV("sleep", "0.1")}, late = {.shell = "echo $COMMAND_NOW"};
    tandem_task first = task_of_command(&slow), second = task_of_command(&late);
    setenv("COMMAND_NOW", "then", 1);
    assert_int_equal(tandem_submit(pool, &first), 0);
    assert_int_equal(tandem_submit(pool, &second), 0);
    setenv("COMMAND_NOW", "now", 1);
    expect_end(&first, TANDEM_OK);
    expect_end(&second, TANDEM_OK);
    expect_output(&second, "then\n");
    tandem_task_clear(&first);
    tandem_task_clear(&second);
    end_pool(pool);
}

/* promise 52 */
static void the_directory_is_the_programs_or_the_one_given(void)
{
    tandem_pool *pool = pool_of_commands(1);
    assert_int_equal(chdir("/usr"), 0);
    expect_from_shell(pool, (tandem_command){.shell = "pwd"}, "/usr\n");
    expect_from_shell(pool, (tandem_command){.shell = "pwd", .cwd = "/"}, "/\n");
    expect_from_shell(pool, (tandem_command){.shell = "pwd", .cwd = "bin/.."}, "/usr\n");
    end_pool(pool);
}

static void mask_and_limits_are_the_programs_present_ones(void)
{
    skip_on_portable("nobody tells the file mode mask without changing it");
    struct rlimit limit;
    tandem_pool *pool = pool_of_commands(1);
    warm_up(pool);
    mode_t before = umask(0137);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t old = limit.rlim_cur;
    limit.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    expect_from_shell(pool, (tandem_command){.shell = "umask; ulimit -n"}, "0137\n100\n");
    limit.rlim_cur = old;
    setrlimit(RLIMIT_NOFILE, &limit);
    umask(before);
    end_pool(pool);
}

/* promise 52 */
static void a_command_has_its_three_descriptors_and_clean_signals(void)
{
    skip_without("/proc/self/status", "nobody else tells");
    tandem_pool *pool = pool_of_commands(1);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    int leak = open("/dev/null", O_RDONLY); /* not close-on-exec */
    tandem_command command = {.argv = ARGV("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")};
    expect_from_shell(pool, command, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    tandem_command list = {.argv = ARGV("ls", "/proc/self/fd")};
    expect_from_shell(pool, list, "0\n1\n2\n3\n"); /* the last one is its view of that folder */
    close(leak);
    sigprocmask(SIG_SETMASK, &before, NULL);
    end_pool(pool);
}

/* promise 52 */
static void a_user_without_the_right_is_not_started(void)
{
    uid_t user = 0;
    gid_t group = 0;
    tandem_pool *pool = pool_of_commands(1);
    if (geteuid() == 0) {
        end_pool(pool);
        assert_int_equal(tandem_quit(), 0);
        assert_int_equal(seteuid(65534), 0);
        assert_int_equal(tandem_init(), 0);
        pool = pool_of_commands(1);
    }
    expect_refusal(pool, &(tandem_command){.argv = ARGV("true"), .uid = &user}, EPERM, "credentials");
    expect_refusal(pool, &(tandem_command){.argv = ARGV("true"), .gid = &group}, EPERM, "credentials");
    end_pool(pool);
    if (getuid() == 0) assert_int_equal(seteuid(0), 0);
}

/* promise 52 */
static void another_user_has_no_groups_of_the_programs(void)
{
    uid_t user = 65534;
    gid_t group = 65534;
    skip_unless(geteuid() == 0, "only root may");
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.shell = "id -u; id -G", .uid = &user, .gid = &group};
    expect_from_shell(pool, command, "65534\n65534\n");
    end_pool(pool);
}

/* ---- detached ---- */

/* promise 52 */
static void a_detached_command_is_on_its_own(void)
{
    make_folder();
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/told", folder);
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {
        .shell = "while ! [ -e go ]; do sleep 0.01; done; echo >told", .cwd = folder, .flags = TANDEM_COMMAND_DETACHED};
    tandem_task task = run_command(pool, &command, TANDEM_OK);
    assert_true(task.report->pid > 0);
    assert_null(task.output);
    assert_null(task.report->error_output);
    pid_t pid = task.report->pid;
    assert_int_equal(getsid(pid), pid);
    tandem_task_clear(&task);
    expect_not_started(pool, &(tandem_command){.argv = ARGV("/nowhere/at-all"), .flags = TANDEM_COMMAND_DETACHED}, ENOENT, "exec");
    end_pool(pool);
    assert_int_equal(tandem_quit(), 0);
    assert_true(process_lives(pid));
    write_script("go", "", 0644);
    wait_until(access(path, F_OK) == 0);
    wait_until(!process_lives(pid));
    remove_folder(ARGV("go", "told"));
}

/* ---- promise 5: what is refused ---- */

static void on_output(tandem_task *task, int stream, const void *data, size_t size)
{
    (void)task, (void)stream, (void)data, (void)size;
}

/* promise 5 */
static void bad_commands_are_EINVAL_before_anything_starts(void)
{
    const char *const *true_ = ARGV("true");
    const tandem_command bad[] = {
        {0},
        {.argv = (const char *const[]){NULL}},
        {.argv = true_, .shell = "true"},
        {.argv = true_, .in = TANDEM_STDIO_CAPTURE},
        {.argv = true_, .in = TANDEM_STDIO_STREAM},
        {.argv = true_, .in = -1},
        {.argv = true_, .out = 6},
        {.argv = true_, .err = -7},
        {.argv = true_, .out = TANDEM_STDIO_STREAM},
        {.argv = true_, .err = TANDEM_STDIO_STREAM},
        {.argv = true_, .in = TANDEM_STDIO_FD, .in_fd = -1},
        {.argv = true_, .out = TANDEM_STDIO_FD, .out_fd = 999},
        {.argv = true_, .err = TANDEM_STDIO_FD, .err_fd = -5},
        {.argv = true_, .flags = 1},
        {.argv = true_, .overflow = 4},
        {.argv = true_, .overflow = -1},
        {.argv = true_, .stop_signal = -1},
        {.argv = true_, .stop_signal = 1000},
        {.argv = true_, .env = ARGV("A=1", "B")},
        {.argv = true_, .env = ARGV("=")},
        {.argv = true_, .env_change = ARGV("")},
        {.argv = true_, .env_change = ARGV("=x")},
        {.argv = true_, .reserved = {0, 1}},
        {.argv = true_, .flags = TANDEM_COMMAND_DETACHED, .out = TANDEM_STDIO_CAPTURE},
        {.argv = true_, .flags = TANDEM_COMMAND_DETACHED, .err = TANDEM_STDIO_STREAM, .on_output = on_output},
    };
    tandem_pool *pool = pool_of_commands(1);
    for (size_t i = 0; i < count_of(bad); i++) {
        tandem_task task = task_of_command(&bad[i]);
        errno = 1234;
        if (tandem_submit(pool, &task) != -EINVAL) fail_msg("number %zu is taken", i);
        assert_int_equal(errno, 1234);
    }
    tandem_command good = {.argv = true_};
    tandem_task both_of_them = {.command = &good, .run = nothing_task};
    assert_int_equal(tandem_submit(pool, &both_of_them), -EINVAL);
    tandem_command elsewhere = {.argv = true_, .in = TANDEM_STDIO_NULL};
    tandem_task unread = {.command = &elsewhere, .input = (void *)(uintptr_t) "x", .input_size = 1};
    assert_int_equal(tandem_submit(pool, &unread), -EINVAL);
    tandem_command alone = {.argv = true_, .flags = TANDEM_COMMAND_DETACHED};
    unread.command = &alone;
    assert_int_equal(tandem_submit(pool, &unread), -EINVAL);
    assert_int_equal(stats_of(pool).submitted, 0);
    end_pool(pool);
    pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task nowhere = task_of_command(&good);
    assert_int_equal(tandem_submit(pool, &nowhere), -EINVAL);
    end_pool(pool);
}

static void *submit_when_cancelled(void *argument)
{
    tandem_task *task = argument;
    tandem_pool *pool = task->user_data;
    pthread_cancel(pthread_self()); /* it strikes at the next point where it can */
    int error = tandem_submit(pool, task);
    pthread_testcancel();
    return error == 0 ? NULL : task;
}

static void a_thread_that_is_cancelled_in_a_submit_leaves_a_task_that_ends(void)
{
    tandem_pool *pool = pool_of_commands(1);
    tandem_command command = {.argv = ARGV("true")};
    for (int i = 0; i < 5; i++) {
        tandem_task task = {.command = &command, .user_data = pool};
        pthread_t thread;
        void *result;
        assert_int_equal(pthread_create(&thread, NULL, submit_when_cancelled, &task), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_true(result == PTHREAD_CANCELED);
        expect_end(&task, TANDEM_OK);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_command_gives_its_output_its_errors_and_its_code),
        test(a_command_that_a_signal_kills_says_which),
        test(what_a_command_has_used_is_told),
        test(a_program_that_is_missing_is_not_started),
        test(a_directory_that_is_missing_is_told_apart),
        test(a_program_is_looked_for_in_the_path_it_will_have),
        test(the_shell_gets_its_line_as_it_is),
        test(argv0_is_what_the_program_is_told),
        test(the_environment_is_the_callers_or_its_own_with_changes),
        test(the_environment_is_that_of_the_submit),
        test(the_directory_is_the_programs_or_the_one_given),
        test(mask_and_limits_are_the_programs_present_ones),
        test(a_command_has_its_three_descriptors_and_clean_signals),
        test(a_user_without_the_right_is_not_started),
        test(another_user_has_no_groups_of_the_programs),
        test(a_detached_command_is_on_its_own),
        test(bad_commands_are_EINVAL_before_anything_starts),
        test(a_thread_that_is_cancelled_in_a_submit_leaves_a_task_that_ends),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
