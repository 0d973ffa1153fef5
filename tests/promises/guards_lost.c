/* guards_lost.c - both guards gone at once, guards that end with their host, and what host and terminal notice of them: nothing. */
#include "guarding.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

enum { WORKERS = 3 };

/* ---- promise 26: both at once ---- */

/* The worker that lives on may get tasks until the deaths are heard. */
static bool starts_nothing(tandem_pool *pool)
{
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    int status = tandem_call(pool, &task);
    assert_true(status == TANDEM_OK || status == TANDEM_NOT_STARTED);
    tandem_task_clear(&task);
    return status == TANDEM_NOT_STARTED;
}

static void expect_not_started(tandem_pool *pool)
{
    char line[256];
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_NOT_STARTED);
    assert_true(task.code > 0);
    assert_non_null(task.report->step);
    assert_true(tandem_describe(&task, line, sizeof line) > 0);
    assert_non_null(strstr(line, task.report->step));
    tandem_task_clear(&task);
}

/* promise 26 */
static void without_guards_what_runs_ends_and_the_rest_is_told_why(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_task running, waiting[5];
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int round = 0; round < 3; round++) { /* after the end of the pool the program has one thread, and may begin anew */
        wait_until(tandem_init() == 0);
        *gate = (struct gate){0};
        if (round > 0) pool = pool_of(TANDEM_PROCESS, 1, NULL);
        running = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &running), 0);
        assert_true(await(&gate->entered, 1));
        for (size_t i = 0; i < count_of(waiting); i++) {
            waiting[i] = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
            assert_int_equal(tandem_submit(pool, &waiting[i]), 0);
        }
        struct guards guards = guards_now();
        kill_both(&guards);
        atomic_store(&gate->opened, 1);
        expect_end(&running, TANDEM_OK);
        for (size_t i = 0; i < count_of(waiting); i++) {
            int status = tandem_wait(&waiting[i]); /* the same worker may have got it before the deaths were heard */
            assert_true(status == TANDEM_OK || status == TANDEM_NOT_STARTED);
            tandem_task_clear(&waiting[i]);
        }
        wait_until(starts_nothing(pool));
        for (int i = 0; i < 3; i++) expect_not_started(pool);
        tandem_task_clear(&running);
        end_pool(pool);
        assert_int_equal(tandem_quit(), 0);
        wait_until(processes_of_ours() == 0);
    }
}

static int crash_task(tandem_context *context, void *input, size_t size)
{
    int code = gate_task(context, input, size);
    if (code == 0) raise(SIGSEGV);
    return code;
}

/* promise 26: a crash that nobody has seen is told as one, without inventing how */
static void without_guards_a_crash_is_still_one(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, crash_task, &gate, sizeof gate);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    struct guards guards = guards_now();
    kill_both(&guards);
    atomic_store(&gate->opened, 1);
    expect_end(&task, TANDEM_CRASHED);
    assert_true(task.signal == 0 || task.signal == SIGSEGV);
    if (task.signal == 0) assert_non_null(task.report->step);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* promise 26 */
static void without_guards_a_running_task_can_be_stopped(void)
{
    struct gate *gate = shared(sizeof *gate);
    for (int by_timeout = 0; by_timeout < 2; by_timeout++) {
        wait_until(tandem_init() == 0);
        *gate = (struct gate){0};
        tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
        tandem_task task = task_of(TANDEM_PROCESS, spin_task, &gate, sizeof gate);
        if (by_timeout) task.timeout_ms = 300 * (uint32_t)slowness();
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_true(await(&gate->entered, 1));
        struct guards guards = guards_now();
        kill_both(&guards);
        if (!by_timeout) assert_int_equal(tandem_cancel(&task), 0);
        expect_end(&task, by_timeout ? TANDEM_TIMED_OUT : TANDEM_CANCELLED);
        wait_until(!process_lives(atomic_load(&gate->pid)));
        tandem_task_clear(&task);
        end_pool(pool);
        assert_int_equal(tandem_quit(), 0);
    }
}

/* promise 37 */
static void a_terminals_signals_do_nothing_to_the_guards(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    expect_it_works(pool);
    struct guards before = guards_now();
    for (size_t i = 0; i < 3 * count_of(signals); i++) {
        strike(&before.keeper, signals[i % count_of(signals)]);
        strike(&before.zygote, signals[i % count_of(signals)]);
        expect_it_works(pool);
    }
    struct guards after = guards_now();
    assert_true(before.keeper.pid == after.keeper.pid && before.zygote.pid == after.zygote.pid);
    end_pool(pool);
}

/* ---- a terminal ---- */

static struct gate *gate_of_terminal;
static atomic_int *looked_at; /* shared: the host may end */
static atomic_int interrupts;

static void count_interrupt(int number)
{
    (void)number;
    atomic_fetch_add(&interrupts, 1);
}

/* The leader of a session, in the foreground of its terminal, with a task in a worker. */
static int host_on_a_terminal(const char *name)
{
    struct sigaction action = {.sa_handler = count_interrupt};
    if (setsid() < 0 || open(name, O_RDWR) < 0) return __LINE__;
    if (sigaction(SIGINT, &action, NULL) != 0 || tandem_init() != 0) return __LINE__;
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, gate_task, &gate_of_terminal, sizeof gate_of_terminal);
    if (tandem_submit(pool, &task) != 0) return __LINE__;
    if (!await(&interrupts, 1)) return __LINE__;
    atomic_store(&gate_of_terminal->opened, 1);
    if (tandem_wait(&task) != TANDEM_OK) return __LINE__;
    tandem_task_clear(&task);
    expect_it_works(pool);
    if (!await(looked_at, 1)) return __LINE__;
    if (tandem_pool_destroy(pool) != 0 || tandem_quit() != 0) return __LINE__;
    return atomic_load(&interrupts) == 1 ? 0 : __LINE__;
}

/* promise 37 */
static void ctrl_c_on_a_terminal_reaches_the_host_only(void)
{
    gate_of_terminal = shared(sizeof *gate_of_terminal);
    looked_at = shared(sizeof *looked_at);
    int status, terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    skip_unless(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0, "there are no terminals here");
    pid_t host = fork();
    assert_true(host >= 0);
    if (host == 0) _exit(host_on_a_terminal(ptsname(terminal)) & 255);
    assert_true(await(&gate_of_terminal->entered, 1));
    struct guards before = guards_now();
    assert_int_equal(write(terminal, "\003", 1), 1);
    assert_true(await(&gate_of_terminal->left, 1));
    assert_false(is_gone(&before.keeper) || is_gone(&before.zygote));
    atomic_store(looked_at, 1);
    assert_int_equal(waitpid(host, &status, 0), host);
    if (status != 0) fail_msg("the host ended with %#x", (unsigned)status);
    close(terminal);
}

/* What the worker's own kernel says of it. */
static int signals_task(tandem_context *context, void *input, size_t size)
{
    char line[256];
    unsigned long long set, sets[2] = {~0ull, ~0ull};
    (void)input, (void)size;
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL) return __LINE__;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "SigBlk: %llx", &set) == 1) sets[0] = set;
        if (sscanf(line, "SigIgn: %llx", &set) == 1) sets[1] = set;
    }
    fclose(file);
    return tandem_reply(context, sets, sizeof sets);
}

/* promise 37: whatever its host, and the guards, ignore and block */
static void a_worker_ignores_and_blocks_no_signal(void)
{
    unsigned long long sets[2];
    sigset_t all;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < 2; i++) { /* one of the first zygote, one of the second */
        tandem_task task = task_of(TANDEM_PROCESS, signals_task, NULL, 0);
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        memcpy(sets, task.output, sizeof sets);
        assert_true(sets[0] == 0);
        assert_true(sets[1] == 0);
        tandem_task_clear(&task);
        struct guards guards = guards_now();
        put_to_death(&guards.zygote);
        guards_of_all();
    }
    end_pool(pool);
}

/* ---- the host does not notice ---- */

static void expect_no_children(void)
{
    siginfo_t info = {.si_pid = 0};
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT), -1);
    assert_int_equal(errno, ECHILD);
}

/* promise 26 */
static void the_host_waits_for_none_of_them(void)
{
    skip_alone("a host that gets orphans has them for children");
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, WORKERS, NULL);
    expect_it_works(pool);
    for (int i = 0; i < 10; i++) {
        struct guards guards = guards_now();
        expect_no_children();
        strike(i % 3 == 0 ? &guards.keeper : &guards.zygote, SIGSTOP);
        expect_no_children();
        put_to_death(i % 3 == 0 ? &guards.keeper : &guards.zygote);
        for (int k = 0; k < 10; k++) {
            expect_no_children();
            moment();
        }
        expect_full_strength(pool, WORKERS, gate);
    }
    struct guards guards = guards_now();
    kill_both(&guards);
    expect_no_children();
    end_pool(pool);
    expect_no_children();
}

/* A host that is a subreaper, or the first process of a container, gets what others left behind. */
static void a_host_that_adopts_orphans_keeps_no_zombies_of_ours(void)
{
    struct gate *gate = shared(sizeof *gate);
#ifdef __linux__
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
#endif
    tandem_pool *pool = pool_of(TANDEM_PROCESS, WORKERS, NULL);
    expect_it_works(pool);
    for (int i = 0; i < 6; i++) {
        struct guards guards = guards_of_all(); /* one that is just being forked is known to nobody yet */
        put_to_death(i % 2 == 0 ? &guards.keeper : &guards.zygote);
        expect_full_strength(pool, WORKERS, gate);
    }
    guards_of_all();
    expect_no_zombies();
    end_pool(pool);
    assert_int_equal(tandem_quit(), 0);
    expect_no_zombies();
}

/* ---- the end, right after ---- */

static void end_right_after(bool keeper, bool zygote)
{
    for (int i = 0; i < 6; i++) {
        wait_until(tandem_init() == 0);
        tandem_pool *pool = pool_of(TANDEM_PROCESS, WORKERS, NULL);
        if (i % 2 == 1) expect_it_works(pool);
        if (i >= 4) end_pool(pool); /* nobody listens to them any more */
        struct guards guards = guards_now();
        if (keeper && zygote)
            kill_both(&guards);
        else
            strike(keeper ? &guards.keeper : &guards.zygote, SIGKILL);
        if (i < 4) end_pool(pool);
        assert_int_equal(tandem_quit(), 0);
        wait_until(processes_of_ours() == 0);
    }
}

static void quitting_right_after_a_keepers_death_leaves_nothing(void) { end_right_after(true, false); }
static void quitting_right_after_a_zygotes_death_leaves_nothing(void) { end_right_after(false, true); }
static void quitting_right_after_both_deaths_leaves_nothing(void) { end_right_after(true, true); }

/* ---- promise 30: the host is killed, too ---- */

static struct gate *spinning;

static void host_with_spinning_workers(void)
{
    static tandem_task tasks[WORKERS];
    tandem_pool *pool;
    tandem_options options = {.threads = 1, .processes = WORKERS};
    if (tandem_init() != 0 || tandem_pool_create(&pool, &options) != 0) _exit(1);
    for (int i = 0; i < WORKERS; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, spin_task, &spinning, sizeof spinning);
        if (tandem_submit(pool, &tasks[i]) != 0) _exit(1);
    }
    for (;;) pause();
}

static void kill_host_after(void (*hurt)(const struct guards *guards))
{
    spinning = shared(sizeof *spinning);
    pid_t host = fork();
    assert_true(host >= 0);
    if (host == 0) host_with_spinning_workers();
    assert_true(await(&spinning->entered, WORKERS));
    struct guards guards = guards_now();
    hurt(&guards);
    assert_int_equal(kill(host, SIGKILL), 0);
    assert_int_equal(waitpid(host, NULL, 0), host);
    wait_until_within(processes_of_ours() == 0, allowed_ms(100));
}

static void kill_keeper(const struct guards *guards) { strike(&guards->keeper, SIGKILL); }
static void kill_zygote(const struct guards *guards) { strike(&guards->zygote, SIGKILL); }

static void kill_each_once(const struct guards *guards)
{
    put_to_death(&guards->zygote);
    struct guards now = guards_now();
    put_to_death(&now.keeper);
    guards_now();
}

/* promise 30: each of them may be the one whose end the others have just begun to deal with */
static void nothing_is_left_of_a_host_killed_with_its_guards(void)
{
    skip_alone("nobody would reap what is left of it");
    kill_host_after(kill_keeper);
    kill_host_after(kill_zygote);
    kill_host_after(kill_both);
    kill_host_after(kill_each_once);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(without_guards_what_runs_ends_and_the_rest_is_told_why),
        test(without_guards_a_crash_is_still_one),
        test(without_guards_a_running_task_can_be_stopped),
        test(a_terminals_signals_do_nothing_to_the_guards),
        test(ctrl_c_on_a_terminal_reaches_the_host_only),
        test(a_worker_ignores_and_blocks_no_signal),
        test(the_host_waits_for_none_of_them),
        test(a_host_that_adopts_orphans_keeps_no_zombies_of_ours),
        test(quitting_right_after_a_keepers_death_leaves_nothing),
        test(quitting_right_after_a_zygotes_death_leaves_nothing),
        test(quitting_right_after_both_deaths_leaves_nothing),
        test(nothing_is_left_of_a_host_killed_with_its_guards),
    };
    if (getenv("TANDEM_TEST") != NULL) skip_on_portable("only Linux lets one process inherit another's children");
    return harness_main(argc, argv, tests, count_of(tests));
}
