/* recycling.c - a worker is replaced after so many tasks or so much memory, and the next task finds what it was promised. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

static uint32_t run(tandem_pool *pool, tandem_fn *function, const void *input, size_t size, pid_t *pid)
{
    tandem_task task = task_of(TANDEM_PROCESS, function, (void *)(uintptr_t)input, size);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    uint32_t worker = task.report->worker;
    if (pid != NULL) *pid = task.report->pid;
    tandem_task_clear(&task);
    return worker;
}

/* ---- after so many tasks ---- */

static void expect_tasks_per_worker(uint32_t each, int tasks)
{
    tandem_options options = {.tasks_per_worker = each};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    uint32_t last = 0;
    pid_t last_pid = 0, pid;
    for (int i = 0; i < tasks; i++) {
        uint32_t worker = run(pool, nothing_task, NULL, 0, &pid);
        bool fresh = (uint32_t)i % each == 0;
        if ((worker != last) != fresh) fail_msg("task %d ran in worker %u, the one before in %u", i, worker, last);
        assert_int_equal(pid != last_pid, fresh);
        if (fresh && last_pid != 0) wait_until(!process_lives(last_pid));
        last = worker;
        last_pid = pid;
    }
    uint64_t used = (uint64_t)tasks / each;
    wait_until(stats_of(pool).workers_recycled >= used - 1); /* the last may wait until it is missed */
    assert_in_range(stats_of(pool).workers_recycled, used - 1, used);
    assert_int_equal(stats_of(pool).workers_crashed, 0);
    assert_int_equal(stats_of(pool).ended[TANDEM_OK], tasks);
    end_pool(pool);
}

static void with_one_task_per_worker_each_finds_a_fresh_one(void) { expect_tasks_per_worker(1, 30); }

static void a_worker_is_replaced_after_so_many_tasks(void)
{
    expect_tasks_per_worker(5, 50);
    expect_tasks_per_worker(2, 10);
}

static void without_such_a_limit_no_worker_is_replaced(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    uint32_t first = run(pool, nothing_task, NULL, 0, NULL);
    for (int i = 0; i < 500; i++) assert_int_equal(run(pool, nothing_task, NULL, 0, NULL), first);
    assert_int_equal(stats_of(pool).workers_recycled, 0);
    assert_int_equal(stats_of(pool).workers_started, 1);
    end_pool(pool);
}

/* What runs at the same time, and the most that ever did; shared. */
static struct {
    atomic_int now, most, starts, stops;
} * census;

static int crowd_task(tandem_context *context, void *input, size_t size)
{
    atomic_int *cell;
    memcpy(&cell, input, size);
    int now = atomic_fetch_add(&census->now, 1) + 1;
    int most = atomic_load(&census->most);
    while (now > most && !atomic_compare_exchange_weak(&census->most, &most, now)) continue;
    atomic_fetch_add(cell, 1);
    atomic_fetch_sub(&census->now, 1);
    (void)context;
    return 0;
}

static int count_start(void **worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    atomic_fetch_add(&census->starts, 1);
    return 0;
}

static void count_stop(void *worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    atomic_fetch_add(&census->stops, 1);
}

static void expect_crowd(uint32_t each, size_t count)
{
    enum { WINDOW = 64, WORKERS = 2 };
    static tandem_task tasks[WINDOW];
    static atomic_int *cells[WINDOW];
    atomic_int *ledger = shared(count * sizeof *ledger);
    census = shared(sizeof *census);
    tandem_options options = {.tasks_per_worker = each, .on_worker_start = count_start, .on_worker_stop = count_stop};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, WORKERS, &options);
    for (size_t i = 0; i < count + WINDOW; i++) {
        tandem_task *task = &tasks[i % WINDOW];
        if (i >= WINDOW && i - WINDOW < count) {
            expect_end(task, TANDEM_OK);
            tandem_task_clear(task);
        }
        if (i >= count) continue;
        cells[i % WINDOW] = &ledger[i];
        *task = task_of(TANDEM_PROCESS, crowd_task, &cells[i % WINDOW], sizeof cells[0]);
        assert_int_equal(tandem_submit(pool, task), 0);
    }
    for (size_t i = 0; i < count; i++) assert_int_equal(atomic_load(&ledger[i]), 1);
    assert_in_range(atomic_load(&census->most), 1, WORKERS);
    tandem_stats stats = stats_of(pool);
    assert_int_equal(stats.ended[TANDEM_OK], count);
    assert_int_equal(stats.workers_crashed, 0);
    assert_true(stats.workers_started >= count / each);
    end_pool(pool);
    assert_in_range(atomic_load(&census->starts), count / each, count / each + 2 * WORKERS);
    int unstopped = atomic_load(&census->starts) - atomic_load(&census->stops);
    assert_in_range(unstopped, 0, WORKERS); /* each ended in peace, but for those that were still starting when the pool ended */
    assert_int_equal(tandem_quit(), 0);
}

static void many_tasks_on_many_workers_run_once_each(void)
{
    expect_crowd(1, scaled(100000));
    expect_crowd(7, scaled(100000));
}

/* Tasks that die, and tasks that do not, in workers that change all the time. */
static int perhaps_die_task(tandem_context *context, void *input, size_t size)
{
    int number;
    memcpy(&number, input, size);
    (void)context;
    if (number % 5 == 3) raise(SIGKILL);
    if (number % 7 == 3) _exit(3);
    return number % 11 == 3 ? number : 0;
}

static int expected_end(int number)
{
    if (number % 5 == 3 || number % 7 == 3) return TANDEM_CRASHED;
    return number % 11 == 3 ? TANDEM_FAILED : TANDEM_OK;
}

static void crashes_are_told_from_replacements(void)
{
    enum { TASKS = 150 };
    static tandem_task tasks[TASKS];
    static int numbers[TASKS];
    uint64_t crashes = 0;
    tandem_options options = {.tasks_per_worker = 3};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, &options);
    for (int i = 0; i < TASKS; i++) {
        numbers[i] = i;
        tasks[i] = task_of(TANDEM_PROCESS, perhaps_die_task, &numbers[i], sizeof numbers[i]);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (int i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], expected_end(i));
        if (tasks[i].status == TANDEM_CRASHED) crashes++;
        tandem_task_clear(&tasks[i]);
    }
    wait_until(stats_of(pool).workers_crashed == crashes);
    end_pool(pool);
}

static void workers_kept_ready_are_replaced_too(void)
{
    tandem_options options = {.tasks_per_worker = 1, .processes_ready = 2};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, &options);
    for (int i = 0; i < 5; i++) {
        run(pool, nothing_task, NULL, 0, NULL);
        wait_until(stats_of(pool).workers_recycled == (uint64_t)i + 1);
        wait_until(stats_of(pool).processes == 2);
    }
    end_pool(pool);
}

/* ---- what the next one finds ---- */

static char folder[4096]; /* the program's */
static int touched;       /* a global of the program's */

static void ignore_signal(int number) { (void)number; }

static int soil_task(tandem_context *context, void *input, size_t size)
{
    struct rlimit limit = {100, 100};
    sigset_t mask;
    (void)context, (void)input, (void)size;
    signal(SIGUSR1, ignore_signal);
    signal(SIGTERM, SIG_IGN);
    signal(SIGSEGV, ignore_signal);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    umask(0177);
    touched = 1;
    if (chdir("/") != 0 || setenv("TANDEM_SOIL", "1", 1) != 0 || unsetenv("TMPDIR") != 0) return __LINE__;
    if (open("/dev/zero", O_RDONLY) != 3) return __LINE__;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : __LINE__;
}

static int look_task(tandem_context *context, void *input, size_t size)
{
    char now[4096];
    sigset_t mask;
    mode_t expected;
    struct rlimit limit;
    (void)context;
    memcpy(&expected, input, size);
    for (int i = 1; i <= 31; i++) {
        struct sigaction action;
        if (sigaction(i, NULL, &action) != 0) continue;
        if (action.sa_handler == ignore_signal || action.sa_handler == SIG_IGN) return __LINE__;
    }
    if (sigprocmask(SIG_BLOCK, NULL, &mask) != 0) return __LINE__;
    for (int i = 1; i <= 31; i++)
        if (sigismember(&mask, i)) return __LINE__;
    if (umask(0) != expected) return __LINE__;
    if (touched != 0) return __LINE__;
    if (getcwd(now, sizeof now) == NULL || strcmp(now, folder) != 0) return __LINE__;
    if (getenv("TANDEM_SOIL") != NULL || getenv("TMPDIR") == NULL) return __LINE__;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == 100) return __LINE__;
    return fcntl(3, F_GETFD) < 0 ? 0 : __LINE__;
}

/* promise 28 */
static void with_one_task_per_worker_the_next_finds_nothing_of_the_one_before(void)
{
    mode_t expected = umask(022);
    umask(expected);
    assert_non_null(getcwd(folder, sizeof folder));
    tandem_options options = {.tasks_per_worker = 1};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    run(pool, look_task, &expected, sizeof expected, NULL);
    for (int i = 0; i < 10; i++) {
        run(pool, soil_task, NULL, 0, NULL);
        run(pool, look_task, &expected, sizeof expected, NULL);
    }
    end_pool(pool);
    assert_int_equal(touched, 0);
}

/* ---- after so much memory ---- */

struct appetite {
    int32_t megabytes;
    int32_t keeps;
};

static int eat_task(tandem_context *context, void *input, size_t size)
{
    struct appetite appetite;
    memcpy(&appetite, input, size);
    size_t bytes = (size_t)appetite.megabytes * MIB;
    static void *volatile kept;
    volatile char *memory = malloc(bytes + 1);
    if (memory == NULL) return __LINE__;
    for (size_t i = 0; i < bytes; i += 1024) memory[i] = (char)(i + 1);
    if (appetite.keeps)
        kept = (void *)(uintptr_t)memory;
    else
        free((void *)(uintptr_t)memory);
    (void)kept;
    return tandem_reply(context, "eaten", 5);
}

static struct {
    atomic_int starts;
    atomic_int open; /* how many may get through on_worker_start */
} * door;            /* shared */

static int start_through_door(void **worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    int number = atomic_fetch_add(&door->starts, 1) + 1;
    return await(&door->open, number) ? 0 : ETIMEDOUT;
}

static tandem_pool *pool_with_memory(uint64_t bytes)
{
    door = shared(sizeof *door);
    atomic_store(&door->open, 1000);
    tandem_options options = {
        .memory_per_worker = bytes, .on_worker_start = start_through_door, .start_timeout_ms = (uint32_t)(2 * patience_ms())};
    return pool_of(TANDEM_PROCESS, 1, &options);
}

static void a_worker_that_has_grown_is_replaced(void)
{
    static const struct appetite little = {1, 1}, much = {100, 1};
    tandem_pool *pool = pool_with_memory(64 * MIB);
    for (uint64_t i = 1; i <= 3; i++) {
        pid_t pid;
        uint32_t worker = run(pool, eat_task, &little, sizeof little, &pid);
        assert_int_equal(run(pool, eat_task, &much, sizeof much, NULL), worker); /* its result stands */
        wait_until(stats_of(pool).workers_recycled == i);
        wait_until(!process_lives(pid));
        assert_int_not_equal(run(pool, nothing_task, NULL, 0, NULL), worker);
    }
    assert_int_equal(stats_of(pool).workers_crashed, 0);
    end_pool(pool);
}

static void a_worker_that_gave_its_memory_back_stays(void)
{
    skip_on_portable("POSIX tells the most that a process had, not what it has");
    skip_under_sanitizer("a sanitizer keeps what is freed");
    skip_under_valgrind("valgrind does so too");
    static const struct appetite much = {100, 0};
    tandem_pool *pool = pool_with_memory(64 * MIB);
    uint32_t worker = run(pool, eat_task, &much, sizeof much, NULL);
    for (int i = 0; i < 20; i++) { /* long enough for another to begin */
        assert_int_equal(run(pool, eat_task, &much, sizeof much, NULL), worker);
        moment();
    }
    assert_int_equal(atomic_load(&door->starts), 1);
    assert_int_equal(stats_of(pool).workers_recycled, 0);
    end_pool(pool);
}

/* What the program had before its workers were made is not grown by them. */
static void memory_that_the_program_had_is_none_that_a_worker_took(void)
{
    static const struct appetite little = {1, 0};
    size_t bytes = (size_t)100 * MIB;
    volatile char *much = malloc(bytes);
    assert_non_null(much);
    for (size_t i = 0; i < bytes; i += 1024) much[i] = 1;
    tandem_pool *pool = pool_with_memory(64 * MIB);
    uint32_t worker = run(pool, eat_task, &little, sizeof little, NULL);
    for (int i = 0; i < 50; i++) { /* long enough for another to begin */
        assert_int_equal(run(pool, eat_task, &little, sizeof little, NULL), worker);
        moment();
    }
    assert_int_equal(atomic_load(&door->starts), 1);
    assert_int_equal(stats_of(pool).workers_recycled, 0);
    assert_int_equal(much[0], 1);
    free((void *)(uintptr_t)much);
    end_pool(pool);
}

/* Its successor takes its time to start: until then the one that has grown goes on. */
static void a_worker_that_has_grown_works_until_another_is_ready(void)
{
    static const struct appetite much = {100, 1};
    pid_t pid;
    tandem_pool *pool = pool_with_memory(64 * MIB);
    atomic_store(&door->open, 1);
    uint32_t worker = run(pool, eat_task, &much, sizeof much, &pid);
    assert_true(await(&door->starts, 2));
    for (int i = 0; i < 10; i++) assert_int_equal(run(pool, nothing_task, NULL, 0, NULL), worker);
    assert_true(process_lives(pid));
    atomic_store(&door->open, 1000);
    wait_until(stats_of(pool).workers_recycled == 1);
    assert_int_not_equal(run(pool, nothing_task, NULL, 0, NULL), worker);
    wait_until(!process_lives(pid));
    wait_until(stats_of(pool).processes == 1);
    assert_int_equal(atomic_load(&door->starts), 2);
    end_pool(pool);
}

static void a_pool_ends_while_a_worker_that_has_grown_is_replaced(void)
{
    static const struct appetite much = {100, 1};
    tandem_pool *pool = pool_with_memory(64 * MIB);
    atomic_store(&door->open, 1);
    run(pool, eat_task, &much, sizeof much, NULL);
    assert_true(await(&door->starts, 2));
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(with_one_task_per_worker_each_finds_a_fresh_one),
        test(a_worker_is_replaced_after_so_many_tasks),
        test(without_such_a_limit_no_worker_is_replaced),
        test(many_tasks_on_many_workers_run_once_each),
        test(crashes_are_told_from_replacements),
        test(workers_kept_ready_are_replaced_too),
        test(with_one_task_per_worker_the_next_finds_nothing_of_the_one_before),
        test(a_worker_that_has_grown_is_replaced),
        test(a_worker_that_gave_its_memory_back_stays),
        test(memory_that_the_program_had_is_none_that_a_worker_took),
        test(a_worker_that_has_grown_works_until_another_is_ready),
        test(a_pool_ends_while_a_worker_that_has_grown_is_replaced),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
