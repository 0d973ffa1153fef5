/* host.c - the host stays the host's: its signals, its children, its output, and its own forks. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- a bit of everything ---- */

static int kill_self_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    raise(SIGKILL);
    return 0;
}

static int exit_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    _exit(9);
}

static void expect_exact(tandem_pool *pool, tandem_fn *run, int status, int code, int signal)
{
    tandem_task task = task_of(TANDEM_PROCESS, run, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, status);
    assert_int_equal(task.code, code);
    assert_int_equal(task.signal, signal);
    tandem_task_clear(&task);
}

static void do_a_bit_of_everything(tandem_pool *pool, struct gate *gate)
{
    for (int i = 0; i < 3; i++) {
        expect_exact(pool, nothing_task, TANDEM_OK, 0, 0);
        expect_exact(pool, kill_self_task, TANDEM_CRASHED, 0, SIGKILL);
        expect_exact(pool, exit_task, TANDEM_CRASHED, 9, 0);
    }
    tandem_task here = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &here), TANDEM_OK);
    tandem_task slow = task_of(TANDEM_PROCESS, spin_task, &gate, sizeof gate);
    slow.timeout_ms = 50;
    assert_int_equal(tandem_call(pool, &slow), TANDEM_TIMED_OUT);
    tandem_task_clear(&here);
    tandem_task_clear(&slow);
}

static void begin_use_and_end(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of_both(2, 2);
    do_a_bit_of_everything(pool, gate);
    end_pool(pool);
    assert_int_equal(tandem_quit(), 0);
}

/* ---- promise 31: as before ---- */

enum { SIGNALS = 65 };

struct state {
    struct sigaction actions[SIGNALS];
    sigset_t blocked;
    mode_t umask;
    char folder[4096];
    char **environment;
    char path[4096];
    int flags[3], descriptor_flags[3];
    struct stat stdio[3];
};

static void take_state(struct state *state)
{
    memset(state, 0, sizeof *state);
    for (int i = 1; i < SIGNALS; i++) sigaction(i, NULL, &state->actions[i]);
    pthread_sigmask(SIG_SETMASK, NULL, &state->blocked);
    state->umask = umask(0);
    umask(state->umask);
    assert_non_null(getcwd(state->folder, sizeof state->folder));
    state->environment = environ;
    snprintf(state->path, sizeof state->path, "%s", getenv("PATH") != NULL ? getenv("PATH") : "");
    for (int fd = 0; fd < 3; fd++) {
        state->flags[fd] = fcntl(fd, F_GETFL);
        state->descriptor_flags[fd] = fcntl(fd, F_GETFD);
        fstat(fd, &state->stdio[fd]);
    }
}

static void expect_same_state(const struct state *before)
{
    struct state now;
    take_state(&now);
    for (int i = 1; i < SIGNALS; i++) {
        if (now.actions[i].sa_handler != before->actions[i].sa_handler) fail_msg("signal %d is handled otherwise", i);
        assert_int_equal(now.actions[i].sa_flags, before->actions[i].sa_flags);
        assert_int_equal(sigismember(&now.blocked, i), sigismember(&before->blocked, i));
    }
    assert_int_equal(now.umask, before->umask);
    assert_string_equal(now.folder, before->folder);
    assert_ptr_equal(now.environment, before->environment);
    assert_string_equal(now.path, before->path);
    for (int fd = 0; fd < 3; fd++) {
        assert_int_equal(now.flags[fd], before->flags[fd]);
        assert_int_equal(now.descriptor_flags[fd], before->descriptor_flags[fd]);
        assert_int_equal(now.stdio[fd].st_ino, before->stdio[fd].st_ino);
    }
}

static atomic_int got[SIGNALS];

static void count_signal(int number) { atomic_fetch_add(&got[number], 1); }

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    assert_int_equal(sigaction(number, &action, NULL), 0);
}

/* promise 31 */
static void signals_folder_and_stdio_stay_as_they_were(void)
{
    static const int watched[] = {SIGCHLD, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2, SIGHUP, SIGTERM, SIGINT, SIGPOLL};
    static struct state before;
    struct gate *gate = shared(sizeof *gate);
    sigset_t blocked;
    for (size_t i = 0; i < count_of(watched); i++) handle(watched[i], count_signal);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTTIN);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    umask(0124);
    take_state(&before);
    assert_int_equal(tandem_init(), 0);
    expect_same_state(&before);
    tandem_pool *pool = pool_of_both(2, 2);
    do_a_bit_of_everything(pool, gate);
    expect_same_state(&before);
    end_pool(pool);
    assert_int_equal(tandem_quit(), 0);
    expect_same_state(&before);
    for (size_t i = 0; i < count_of(watched); i++) assert_in_range(atomic_load(&got[watched[i]]), 0, watched[i] == SIGCHLD ? 1 : 0);
}

/* Puts descriptor 1 or 2 on a fresh file, and back. */
static int divert(int fd, FILE *to)
{
    fflush(NULL);
    int saved = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    assert_true(saved >= 0);
    assert_int_equal(dup2(fileno(to), fd), fd);
    return saved;
}

static void restore(int fd, int saved)
{
    fflush(NULL);
    dup2(saved, fd);
    close(saved);
}

/* promise 31 */
static void the_library_prints_nothing(void)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int out = divert(1, file), err = divert(2, file);
    begin_use_and_end();
    restore(1, out);
    restore(2, err);
    struct stat stat;
    assert_int_equal(fstat(fileno(file), &stat), 0);
    fclose(file);
    assert_int_equal(stat.st_size, 0);
}

static int print_and_exit_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    exit(0);
}

/* promise 31: a worker has a copy of stdio's buffers, and exit() would write them out again */
static void what_stood_in_a_buffer_is_printed_once(void)
{
    skip_under_sanitizer("a sanitizer has its own say in exit()");
    char text[64] = "";
    FILE *file = tmpfile();
    assert_non_null(file);
    int out = divert(1, file);
    printf("once");
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, print_and_exit_task, NULL, 0);
    int status = tandem_call(pool, &task);
    restore(1, out);
    assert_int_equal(status, TANDEM_CRASHED);
    tandem_task_clear(&task);
    end_pool(pool);
    rewind(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    assert_string_equal(text, "once");
}

/* promise 31: a signal to the program goes to a thread of the program */
static void library_threads_block_all_signals(void)
{
    skip_under_sanitizer("a sanitizer has threads of its own");
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of_both(2, 1);
    do_a_bit_of_everything(pool, gate);
    handle(SIGUSR1, count_signal);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &one, NULL); /* no thread of the program takes it now, so it must stay pending */
    kill(getpid(), SIGUSR1);
    for (int i = 0; i < 5; i++) moment();
    assert_int_equal(atomic_load(&got[SIGUSR1]), 0);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    assert_int_equal(atomic_load(&got[SIGUSR1]), 1);
    end_pool(pool);
}

/* ---- promise 32: hosts of all kinds ---- */

/* promise 32 */
static void statuses_are_exact_in_a_host_that_ignores_SIGCHLD(void)
{
    handle(SIGCHLD, SIG_IGN);
    begin_use_and_end();
}

/* promise 32 */
static void statuses_are_exact_in_a_host_that_blocks_all_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    begin_use_and_end();
}

static atomic_int reaping_over;

static void *reap_all(void *argument)
{
    (void)argument;
    while (!atomic_load(&reaping_over))
        if (waitpid(-1, NULL, WNOHANG) <= 0) moment();
    return NULL;
}

/* promise 32 */
static void statuses_are_exact_in_a_host_that_reaps_every_child(void)
{
    pthread_t reaper;
    struct gate *gate = shared(sizeof *gate);
    assert_int_equal(tandem_init(), 0);
    assert_int_equal(pthread_create(&reaper, NULL, reap_all, NULL), 0);
    tandem_pool *pool = pool_of_both(2, 2);
    do_a_bit_of_everything(pool, gate);
    end_pool(pool);
    atomic_store(&reaping_over, 1);
    assert_int_equal(pthread_join(reaper, NULL), 0);
}

/* promise 32: every call of the system is interrupted again and again */
static void statuses_are_exact_under_a_storm_of_signals(void)
{
    struct itimerval storm = {{0, 1000}, {0, 1000}}, calm = {{0, 0}, {0, 0}};
    handle(SIGALRM, count_signal);
    assert_int_equal(setitimer(ITIMER_REAL, &storm, NULL), 0);
    begin_use_and_end();
    assert_int_equal(setitimer(ITIMER_REAL, &calm, NULL), 0);
    assert_true(atomic_load(&got[SIGALRM]) > 0);
}

/* promise 32: the library's own descriptors then have the lowest numbers */
static void statuses_are_exact_with_stdin_and_stdout_closed(void)
{
    int in = fcntl(0, F_DUPFD_CLOEXEC, 100), out = fcntl(1, F_DUPFD_CLOEXEC, 100);
    fflush(NULL);
    close(0);
    close(1);
    begin_use_and_end();
    assert_int_equal(fcntl(0, F_GETFD), -1);
    assert_int_equal(fcntl(1, F_GETFD), -1);
    restore(0, in);
    restore(1, out);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(signals_folder_and_stdio_stay_as_they_were),
        test(the_library_prints_nothing),
        test(what_stood_in_a_buffer_is_printed_once),
        test(library_threads_block_all_signals),
        test(statuses_are_exact_in_a_host_that_ignores_SIGCHLD),
        test(statuses_are_exact_in_a_host_that_blocks_all_signals),
        test(statuses_are_exact_in_a_host_that_reaps_every_child),
        test(statuses_are_exact_under_a_storm_of_signals),
        test(statuses_are_exact_with_stdin_and_stdout_closed),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
