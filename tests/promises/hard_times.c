/* hard_times.c - hosts that are short of descriptors or processes, or busy with all their threads; and many crashes. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "family.h"

/* ---- a host of its own, in a forked child ---- */

static int complain(int line, long value)
{
    dprintf(2, "hard_times.c:%d: not as it should be: %ld\n", line, value);
    return 1;
}

#define expect_in_child(condition, value)                                                                                          \
    if (!(condition)) return complain(__LINE__, (long)(value))

static void in_a_child(int (*host)(int number), int number)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(host(number));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("the host with %d ended with %#x", number, (unsigned)status);
    wait_until(processes_of_ours() == 0);
}

static bool is_shortage(int error) { return error == EMFILE || error == ENFILE || error == EAGAIN || error == ENOMEM; }

/* Both lanes, whatever there is to be had: each task ends well, or is told why it could not start.  How many ended well. */
static int run_what_can_be_run(tandem_pool *pool, int *well)
{
    enum { TASKS = 20 };
    tandem_task tasks[TASKS];
    char word[] = "scarce";
    *well = 0;
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(i % 4 == 0 ? TANDEM_THREAD : TANDEM_PROCESS, echo_task, word, 6);
        int error = tandem_submit(pool, &tasks[i]);
        expect_in_child(error == 0 || is_shortage(-error), error);
        if (error != 0) tasks[i].run = NULL;
    }
    for (int i = 0; i < TASKS; i++) {
        if (tasks[i].run == NULL) continue;
        int status = tandem_wait(&tasks[i]);
        expect_in_child(status == TANDEM_OK || status == TANDEM_NOT_STARTED, status);
        expect_in_child(status == TANDEM_OK || is_shortage(tasks[i].code), tasks[i].code);
        expect_in_child(status == TANDEM_OK || tasks[i].report->step != NULL, i);
        if (status == TANDEM_OK) ++*well;
        tandem_task_clear(&tasks[i]);
    }
    return 0;
}

static int get_limit(bool of_processes, struct rlimit *limit)
{
    return of_processes ? getrlimit(RLIMIT_NPROC, limit) : getrlimit(RLIMIT_NOFILE, limit);
}

static int set_limit(bool of_processes, const struct rlimit *limit)
{
    return of_processes ? setrlimit(RLIMIT_NPROC, limit) : setrlimit(RLIMIT_NOFILE, limit);
}

/* As far as it comes, then all is given back, then once more without the shortage. */
static int live_with_a_limit(bool of_processes, struct rlimit low, bool *worked)
{
    struct rlimit before;
    tandem_pool *pool = NULL;
    tandem_options options = {.threads = 2, .processes = 8};
    int well = 0;
    const size_t descriptors = entries_in("/proc/self/fd");
    expect_in_child(get_limit(of_processes, &before) == 0, errno);
    low.rlim_max = before.rlim_max;
    expect_in_child(set_limit(of_processes, &low) == 0, errno);
    int error = tandem_init();
    expect_in_child(error == 0 || is_shortage(-error), error);
    error = tandem_pool_create(&pool, &options);
    expect_in_child(error == 0 || is_shortage(-error), error);
    if (error == 0 && run_what_can_be_run(pool, &well) != 0) return 1;
    *worked = well == 20;
    expect_in_child(set_limit(of_processes, &before) == 0, errno);
    expect_in_child(error != 0 || tandem_pool_destroy(pool) == 0, 0);
    expect_in_child(tandem_quit() == 0, 0);
    expect_in_child(entries_in("/proc/self/fd") == descriptors, descriptors);

    expect_in_child(tandem_init() == 0 && tandem_pool_create(&pool, &options) == 0, 0);
    expect_in_child(run_what_can_be_run(pool, &well) == 0 && well == 20, well);
    expect_in_child(tandem_pool_destroy(pool) == 0 && tandem_quit() == 0, 0);
    return 0;
}

/* ---- promise 36: descriptors ---- */

/* promise 36 */
static void with_32_descriptors_all_tasks_run(void)
{
    struct rlimit before, low;
    struct gate *gate = shared(sizeof *gate);
    tandem_task tasks[12];
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = (struct rlimit){.rlim_cur = 32, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 64, NULL); /* fewer there will be */
    for (size_t i = 0; i < count_of(tasks); i++) {
        tasks[i] = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&gate->entered, 2));
    atomic_store(&gate->opened, 1);
    for (size_t i = 0; i < count_of(tasks); i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    end_pool(pool);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static int open_before;

static int host_with_descriptors(int number)
{
    bool worked;
    struct rlimit low = {.rlim_cur = (rlim_t)number};
    int result = live_with_a_limit(false, low, &worked);
    expect_in_child(result != 0 || worked || number < open_before + 25, number);
    return result;
}

/* promise 36: from none at all to enough */
static void too_few_descriptors_are_a_clear_error_or_fewer_workers(void)
{
    skip_under_valgrind("valgrind has descriptors of its own");
    open_before = (int)entries_in("/proc/self/fd");
    for (int i = open_before; i <= open_before + 28; i += full_run() ? 1 : 3) in_a_child(host_with_descriptors, i);
}

static int host_with_input(int number)
{
    static const char line[] = "for the program";
    char got[sizeof line];
    int ends[2];
    expect_in_child(pipe2(ends, O_NONBLOCK) == 0 && dup2(ends[0], 0) == 0 && close(ends[0]) == 0, errno);
    expect_in_child(write(ends[1], line, sizeof line) == (ssize_t)sizeof line, errno);
    int result = host_with_descriptors(number);
    expect_in_child(result != 0 || read(0, got, sizeof got) == (ssize_t)sizeof got, errno);
    return result;
}

/* promise 31 */
static void starts_that_fail_read_nothing_of_the_programs_input(void)
{
    skip_under_valgrind("valgrind has descriptors of its own");
    open_before = (int)entries_in("/proc/self/fd") + 1; /* and the pipe's other end */
    for (int i = open_before + 6; i <= open_before + 20; i++) in_a_child(host_with_input, i);
}

/* Descriptors that run out while the pool works, and come back. */
static void descriptors_that_run_out_for_a_while_cost_no_worker_for_good(void)
{
    struct rlimit before, low;
    struct gate *gate = shared(sizeof *gate);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 3, NULL);
    for (int round = 0; round < 5; round++) {
        tandem_task short_of = task_of(TANDEM_PROCESS, nothing_task, NULL, 0), tasks[3];
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        int error = tandem_submit(pool, &short_of);
        assert_true(error == 0 || is_shortage(-error));
        if (error == 0) {
            int status = tandem_wait(&short_of);
            assert_true(status == TANDEM_OK || (status == TANDEM_NOT_STARTED && is_shortage(short_of.code)));
        }
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        tandem_task_clear(&short_of);
        *gate = (struct gate){0};
        for (int i = 0; i < 3; i++) {
            tasks[i] = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        }
        assert_true(await(&gate->entered, 3)); /* all three are there */
        atomic_store(&gate->opened, 1);
        for (int i = 0; i < 3; i++) {
            expect_end(&tasks[i], TANDEM_OK);
            assert_int_equal(kill(tasks[i].report->pid, SIGKILL), 0); /* so that the next round needs new ones */
            tandem_task_clear(&tasks[i]);
        }
        wait_until(stats_of(pool).processes == 0);
    }
    end_pool(pool);
}

/* ---- promise 36: processes ---- */

/* A user of whom there is nothing else on this machine. */
static int become_somebody(void)
{
    const uid_t somebody = 60000 + (uid_t)getpid() % 5000;
    return setgid(somebody) == 0 && setuid(somebody) == 0 ? 0 : -1;
}

static int host_with_processes(int number)
{
    bool worked;
    struct rlimit low = {.rlim_cur = (rlim_t)number};
    expect_in_child(become_somebody() == 0, errno);
    int result = live_with_a_limit(true, low, &worked);
    expect_in_child(result != 0 || worked || number < 12, number);
    return result;
}

/* promise 36: threads count as processes, this host counts itself */
static void too_few_processes_are_a_clear_error_or_fewer_workers(void)
{
    skip_under_sanitizer("a sanitizer gives up where a thread cannot be started");
    skip_under_valgrind("valgrind gives up there, too");
    skip_unless(getuid() == 0, "only root can become a user of whom there is nothing else");
    for (int i = 1; i <= 13; i++) in_a_child(host_with_processes, i);
}

/* ---- promise 33: a host whose threads never rest ---- */

enum { HAMMERS = 8 };
static atomic_int rest;

static void *hammer(void *argument)
{
    FILE *file = argument;
    for (unsigned i = 0; !atomic_load(&rest); i++) {
        void *bytes = malloc(1 + i % 100000);
        if (bytes == NULL) return "no memory";
        fprintf(file, "%p %u\n", bytes, i);
        printf("%u\n", i);
        if (i % 64 == 0) fflush(NULL);
        free(bytes);
    }
    return NULL;
}

static int allocate_and_print_task(tandem_context *context, void *input, size_t size)
{
    char text[64];
    for (unsigned i = 1; i < 200; i++) {
        void *bytes = malloc(100 * i);
        if (bytes == NULL) return __LINE__;
        snprintf(text, sizeof text, "%p", bytes);
        printf("%s\n", text);
        free(bytes);
    }
    return tandem_reply(context, input, size);
}

static void create_and_use_a_pool(void)
{
    char word[] = "still here";
    tandem_task tasks[6];
    tandem_pool *pool = pool_of_both(2, 3);
    for (size_t i = 0; i < count_of(tasks); i++) {
        tasks[i] = task_of(i % 3 == 0 ? TANDEM_THREAD : TANDEM_PROCESS, allocate_and_print_task, word, sizeof word);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (size_t i = 0; i < count_of(tasks); i++) {
        expect_end(&tasks[i], TANDEM_OK);
        assert_string_equal(tasks[i].output, word);
        tandem_task_clear(&tasks[i]);
    }
    end_pool(pool);
}

/* promise 33: neither their locks nor their buffers are taken along into a worker */
static void eight_threads_that_never_rest_hold_up_no_pool(void)
{
    pthread_t hammers[HAMMERS];
    FILE *file = fopen("/dev/null", "we");
    assert_non_null(file);
    fflush(NULL);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC), out = fcntl(1, F_DUPFD_CLOEXEC, 100);
    assert_true(null >= 0 && out >= 0 && dup2(null, 1) == 1);
    close(null);
    assert_int_equal(tandem_init(), 0);
    for (int i = 0; i < HAMMERS; i++) assert_int_equal(pthread_create(&hammers[i], NULL, hammer, file), 0);
    const int64_t end = now_ms() + (int64_t)scaled(60000);
    do create_and_use_a_pool();
    while (now_ms() < end);
    atomic_store(&rest, 1);
    for (int i = 0; i < HAMMERS; i++) {
        void *complaint = NULL;
        assert_int_equal(pthread_join(hammers[i], &complaint), 0);
        assert_null(complaint);
    }
    fflush(NULL);
    dup2(out, 1);
    close(out);
    fclose(file);
}

/* ---- promise 38: crashes and kills in numbers ---- */

static int die_task(tandem_context *context, void *input, size_t size)
{
    int way;
    (void)context;
    memcpy(&way, input, size);
    switch (way % 4) {
    case 0: raise(SIGKILL); break;
    case 1: abort();
    case 2: _exit(5);
    default: raise(SIGSEGV);
    }
    return 0;
}

/* promise 38: many at once */
static void crashes_of_many_workers_leave_no_zombies(void)
{
    enum { AT_ONCE = 8 };
    tandem_task tasks[AT_ONCE];
    int ways[AT_ONCE];
    tandem_pool *pool = pool_of(TANDEM_PROCESS, AT_ONCE, NULL);
    for (size_t done = 0; done < scaled(10000); done += AT_ONCE) {
        for (int i = 0; i < AT_ONCE; i++) {
            ways[i] = i;
            tasks[i] = task_of(TANDEM_PROCESS, die_task, &ways[i], sizeof ways[i]);
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            expect_end(&tasks[i], TANDEM_CRASHED);
            tandem_task_clear(&tasks[i]);
        }
    }
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    wait_until(processes_of_ours() <= 2 + stats_of(pool).processes);
    end_pool(pool);
    wait_until(processes_of_ours() <= 2);
}

static struct gate *spinning;

static int host_with_spinning_workers(void)
{
    enum { WORKERS = 4 };
    static tandem_task tasks[WORKERS];
    tandem_pool *pool;
    tandem_options options = {.threads = 1, .processes = WORKERS};
    if (tandem_init() != 0 || tandem_pool_create(&pool, &options) != 0) return 1;
    for (int i = 0; i < WORKERS; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, spin_task, &spinning, sizeof spinning);
        if (tandem_submit(pool, &tasks[i]) != 0) return 1;
    }
    for (;;) pause();
}

static size_t kill_whatever_lives(void)
{
    static struct family family;
    size_t count = 0;
    family_look(&family);
    for (size_t i = 0; i < family.count; i++)
        if (member_lives(&family.members[i]) && member_signal(&family.members[i], SIGKILL)) count++;
    return count;
}

/* promise 38: the host, its guards and workers, in any order; what the harness finds in /dev/shm afterwards is a failure */
static void a_kill_of_everything_leaves_nothing(void)
{
    skip_without("/proc/self/stat", "they are found in /proc");
    spinning = shared(sizeof *spinning);
    for (int i = 1; i <= 5; i++) {
        pid_t host = fork();
        assert_true(host >= 0);
        if (host == 0) _exit(host_with_spinning_workers());
        assert_true(await(&spinning->entered, 4 * i));
        while (kill_whatever_lives() != 0) continue;
        assert_int_equal(waitpid(host, NULL, 0), host);
        wait_until(processes_of_ours() == 0);
    }
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(with_32_descriptors_all_tasks_run),
        test(too_few_descriptors_are_a_clear_error_or_fewer_workers),
        test(starts_that_fail_read_nothing_of_the_programs_input),
        test(descriptors_that_run_out_for_a_while_cost_no_worker_for_good),
        test(too_few_processes_are_a_clear_error_or_fewer_workers),
        test(eight_threads_that_never_rest_hold_up_no_pool),
        test(crashes_of_many_workers_leave_no_zombies),
        test(a_kill_of_everything_leaves_nothing),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
