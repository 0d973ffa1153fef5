/* crashing_badly.c - a crash in the worst moment is told as well: on another thread, under locks, on a ruined stack; and what it took. */
#include "harness.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <link.h>
#endif

#if defined(__GNUC__)
#define NOT_INLINE __attribute__((noinline))
#else
#define NOT_INLINE
#endif

/* An address that nothing is ever mapped at. */
#if UINTPTR_MAX > UINT32_MAX
#define NOWHERE ((uintptr_t)0x5a5a5a5a5a0)
#else
#define NOWHERE ((uintptr_t)0x5a5a5a0)
#endif

static struct {
    atomic_int ready;
    atomic_int pid;
} * seen; /* shared */

static void need_faults(void)
{
    skip_under_sanitizer("a sanitizer looks at every access before the processor does");
    skip_under_valgrind("valgrind does so too");
}

static tandem_pool *begin(const tandem_options *more)
{
    seen = shared(sizeof *seen);
    return pool_of(TANDEM_PROCESS, 1, more);
}

static NOT_INLINE int write_to_nowhere(void)
{
    char *volatile nowhere = (char *)NOWHERE;
    *nowhere = 1;
    return atomic_load(&seen->ready);
}

static bool has_frame(const tandem_report *report, const char *function)
{
    for (size_t i = 0; i < report->frame_count; i++)
        if (strstr(report->frames[i], function) != NULL) return true;
    return false;
}

/* Ends CRASHED by that signal, and leaves a pool that goes on. */
static void expect_crash(tandem_pool *pool, tandem_fn *run, int signal, uintptr_t address, const char *function)
{
    tandem_task task = task_of(TANDEM_PROCESS, run, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_CRASHED);
    assert_int_equal(task.signal, signal);
    assert_int_equal(task.report->fault_address, address);
#if defined(__linux__) && !defined(TANDEM_PORTABLE)
    if (function != NULL && !has_frame(task.report, function)) fail_msg("%s is in none of its frames", function);
#else
    (void)function;
    (void)has_frame;
#endif
    tandem_task_clear(&task);
    tandem_task next = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &next), 0);
    expect_end(&next, TANDEM_OK);
    tandem_task_clear(&next);
}

static void crash_in(tandem_fn *run, int signal, uintptr_t address, const char *function)
{
    need_faults();
    tandem_pool *pool = begin(NULL);
    expect_crash(pool, run, signal, address, function);
    expect_crash(pool, run, signal, address, function);
    end_pool(pool);
}

/* ---- where and when ---- */

static void *crash_on_thread(void *argument) { return (void *)(uintptr_t)(write_to_nowhere() + (argument != NULL)); }

static int thread_crashes_task(tandem_context *context, void *input, size_t size)
{
    pthread_t thread;
    (void)context, (void)input, (void)size;
    if (pthread_create(&thread, NULL, crash_on_thread, NULL) != 0) return __LINE__;
    return pthread_join(thread, NULL);
}

/* promise 22 */
static void a_crash_on_a_tasks_own_thread_is_told_alike(void)
{
    crash_in(thread_crashes_task, SIGSEGV, NOWHERE, "write_to_nowhere");
}

/* Stays in possession of what a crash report might want to take. */
static _Noreturn void stay(void)
{
    atomic_store(&seen->ready, 1);
    for (;;) pause();
}

#ifdef __linux__
static int stay_inside(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)info, (void)size, (void)data;
    stay();
}
#endif

static void *hold_locks(void *argument)
{
    flockfile(stdout);
    flockfile(stderr);
#ifdef __linux__
    dl_iterate_phdr(stay_inside, argument);
#else
    (void)argument;
#endif
    stay();
}

static int crash_under_locks_task(tandem_context *context, void *input, size_t size)
{
    pthread_t thread;
    (void)context, (void)input, (void)size;
    atomic_store(&seen->ready, 0);
    if (pthread_create(&thread, NULL, hold_locks, NULL) != 0) return __LINE__;
    if (!await(&seen->ready, 1)) return __LINE__;
    return write_to_nowhere();
}

/* promise 22 */
static void a_crash_while_others_hold_locks_does_not_wait_for_them(void)
{
    crash_in(crash_under_locks_task, SIGSEGV, NOWHERE, NULL);
}

/* Everything above its own frame; it keeps nothing there that it needs itself. */
static NOT_INLINE int ruin_stack(void)
{
    static volatile char *at;
    static size_t left;
    volatile char here[16];
    at = here;
    for (left = 1500; left > 0; left--) *at++ = 0x41;
    return write_to_nowhere() + here[0];
}

static int ruined_stack_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    return ruin_stack() + 1;
}

/* promise 22: who follows the frames must expect anything there */
static void a_crash_on_a_ruined_stack_is_told_by_its_signal(void) { crash_in(ruined_stack_task, SIGSEGV, NOWHERE, NULL); }

static int deaf_crash_task(tandem_context *context, void *input, size_t size)
{
    sigset_t all;
    (void)context, (void)input, (void)size;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    return write_to_nowhere();
}

static int default_crash_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    signal(SIGSEGV, SIG_DFL);
    return write_to_nowhere();
}

static void leave_by_handler(int number)
{
    (void)number;
    _exit(5);
}

static int handled_crash_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    signal(SIGSEGV, leave_by_handler);
    return write_to_nowhere();
}

static int ended_by(tandem_pool *pool, tandem_fn *run, int signal, int code)
{
    tandem_task task = task_of(TANDEM_PROCESS, run, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_CRASHED);
    bool so = task.signal == signal && task.code == code;
    tandem_task_clear(&task);
    return so;
}

/* promise 22: then nobody is there to see more */
static void a_task_may_have_its_own_way_with_crashes(void)
{
    need_faults();
    tandem_pool *pool = begin(NULL);
    assert_true(ended_by(pool, deaf_crash_task, SIGSEGV, 0));
    assert_true(ended_by(pool, default_crash_task, SIGSEGV, 0));
    assert_true(ended_by(pool, handled_crash_task, 0, 5));
    end_pool(pool);
}

static struct sigaction found; /* in the worker */

static void pass_on(int number, siginfo_t *info, void *more)
{
    atomic_fetch_add(&seen->ready, 1);
    if (found.sa_flags & SA_SIGINFO)
        found.sa_sigaction(number, info, more);
    else
        signal(number, SIG_DFL);
}

/* As the runtimes of other languages do it: they put their handler before the one that is there, and pass on what is not theirs. */
static int passed_on_crash_task(tandem_context *context, void *input, size_t size)
{
    struct sigaction own = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    (void)context, (void)input, (void)size;
    sigemptyset(&own.sa_mask);
    atomic_store(&seen->ready, 0);
    if (sigaction(SIGSEGV, &own, &found) != 0) return __LINE__;
    return write_to_nowhere();
}

/* promise 22 */
static void a_handler_of_the_tasks_may_pass_a_crash_on(void)
{
    need_faults();
    tandem_pool *pool = begin(NULL);
    assert_true(ended_by(pool, passed_on_crash_task, SIGSEGV, 0));
    assert_int_equal(atomic_load(&seen->ready), 1);
    end_pool(pool);
}

static int many_crash_task(tandem_context *context, void *input, size_t size)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    (void)context, (void)input, (void)size;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, crash_on_thread, NULL) != 0) return __LINE__;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    return __LINE__;
}

/* promise 22 */
static void a_crash_of_many_threads_at_once_is_one(void)
{
    need_faults();
    tandem_pool *pool = begin(NULL);
    for (int i = 0; i < 10; i++) expect_crash(pool, many_crash_task, SIGSEGV, NOWHERE, NULL);
    wait_until(stats_of(pool).workers_crashed == 10);
    end_pool(pool);
}

/* promise 22: nobody in it could have told */
static void a_worker_killed_from_outside_has_no_frames(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = begin(NULL);
    tandem_task task = task_of(TANDEM_PROCESS, spin_task, &gate, sizeof gate);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(kill(atomic_load(&gate->pid), SIGKILL), 0);
    expect_end(&task, TANDEM_CRASHED);
    assert_int_equal(task.signal, SIGKILL);
    assert_int_equal(task.report->frame_count, 0);
    assert_int_equal(task.report->fault_address, 0);
    assert_int_equal(task.report->runs, 1);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- what it took ---- */

struct effort {
    int32_t cpu_ms;
    int32_t megabytes;
    int32_t signal; /* at its end, or 0 */
};

static int64_t own_cpu_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

static int effort_task(tandem_context *context, void *input, size_t size)
{
    struct effort effort;
    memcpy(&effort, input, size);
    int64_t until = own_cpu_us() + effort.cpu_ms * INT64_C(1000);
    size_t bytes = (size_t)effort.megabytes << 20;
    volatile char *memory = malloc(bytes + 1);
    if (memory == NULL) return __LINE__;
    for (size_t i = 0; i < bytes; i += 1024) memory[i] = 1;
    while (own_cpu_us() < until) continue;
    free((void *)(uintptr_t)memory);
    (void)context;
    return effort.signal != 0 ? raise(effort.signal) : 0;
}

static void expect_effort(tandem_pool *pool, struct effort effort, int status)
{
    tandem_task task = task_of(TANDEM_PROCESS, effort_task, &effort, sizeof effort);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, status);
    const tandem_report *report = task.report;
    uint64_t used_ms = (report->cpu_user_ns + report->cpu_system_ns) / 1000000;
    uint64_t took_ms = (report->ended_ns - report->started_ns) / 1000000;
    assert_in_range(used_ms, effort.cpu_ms - effort.cpu_ms / 5, took_ms + 100); /* clocks of another grain */
    assert_in_range(report->peak_memory >> 20, effort.megabytes, 100000);
    if (!sanitized()) assert_in_range(report->peak_memory >> 20, effort.megabytes, effort.megabytes + 200);
    tandem_task_clear(&task);
}

/* promise 22 */
static void a_report_tells_what_a_task_took(void)
{
    skip_on_portable("POSIX does not tell what one child of another process took");
    tandem_pool *pool = begin(NULL);
    expect_effort(pool, (struct effort){200, 80, 0}, TANDEM_OK);
    expect_effort(pool, (struct effort){200, 80, SIGKILL}, TANDEM_CRASHED);
    expect_effort(pool, (struct effort){200, 80, SIGSEGV}, TANDEM_CRASHED);
    end_pool(pool);
}

/* Of the last run, not of all that its worker ever did. */
static void processor_time_is_counted_by_the_run(void)
{
    skip_on_portable("POSIX does not tell what one child of another process took");
    struct effort much = {400, 1, 0}, little = {0, 1, 0}, last = {0, 1, SIGKILL};
    tandem_pool *pool = begin(NULL);
    tandem_task task = task_of(TANDEM_PROCESS, effort_task, &much, sizeof much);
    struct effort *efforts[] = {&much, &little, &last};
    for (size_t i = 0; i < count_of(efforts); i++) {
        task.input = efforts[i];
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, i == 2 ? TANDEM_CRASHED : TANDEM_OK);
        uint64_t used_ms = (task.report->cpu_user_ns + task.report->cpu_system_ns) / 1000000;
        assert_in_range(used_ms, i == 0 ? 300 : 0, i == 0 ? 400 + 400 * (uint64_t)slowness() : 200);
    }
    tandem_task_clear(&task);
    end_pool(pool);
}

static int spin_own_task(tandem_context *context, void *input, size_t size)
{
    int32_t us;
    memcpy(&us, input, size);
    for (int64_t until = own_cpu_us() + us; own_cpu_us() < until;) continue;
    (void)context;
    return 0;
}

/* What such tasks are said to have used, in microseconds. */
static uint64_t spin_own(tandem_pool *pool, int32_t us, int times)
{
    uint64_t used_ns = 0;
    tandem_task task = task_of(TANDEM_PROCESS, spin_own_task, &us, sizeof us);
    for (int i = 0; i < times; i++) {
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        used_ns += task.report->cpu_user_ns + task.report->cpu_system_ns;
    }
    tandem_task_clear(&task);
    return used_ns / 1000;
}

/* Of tasks as short as these the worker does not ask the system. */
#define BRIEF_US 8

static void brief_tasks_do_not_count_for_one_that_crashes(void)
{
    skip_on_portable("POSIX does not tell what one child of another process took");
    for (uint32_t pipes_only = 0; pipes_only < 2; pipes_only++) {
        struct effort last = {100, 1, SIGKILL};
        tandem_pool *pool = begin(&(tandem_options){.pipes_only = pipes_only});
        tandem_task task = task_of(TANDEM_PROCESS, effort_task, &last, sizeof last);
        spin_own(pool, BRIEF_US, 40000);
        assert_int_equal(tandem_call(pool, &task), TANDEM_CRASHED);
        assert_in_range((task.report->cpu_user_ns + task.report->cpu_system_ns) / 1000000, 80, 150);
        tandem_task_clear(&task);
        end_pool(pool);
    }
}

/* Nor does what the system did for them. */
static void brief_tasks_do_not_count_for_the_next(void)
{
    skip_on_portable("POSIX does not tell what one child of another process took");
    const int rounds = 200, us = 200;
    for (uint32_t pipes_only = 0; pipes_only < 2; pipes_only++) {
        tandem_pool *pool = begin(&(tandem_options){.pipes_only = pipes_only});
        uint64_t used_us = 0;
        for (int i = 0; i < rounds; i++) {
            spin_own(pool, BRIEF_US, 30);
            used_us += spin_own(pool, us, 1);
        }
        assert_in_range(used_us / (uint64_t)rounds, us * 2 / 5, us * 8 / 5 * slowness());
        end_pool(pool);
    }
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_crash_on_a_tasks_own_thread_is_told_alike),
        test(a_crash_while_others_hold_locks_does_not_wait_for_them),
        test(a_crash_on_a_ruined_stack_is_told_by_its_signal),
        test(a_task_may_have_its_own_way_with_crashes),
        test(a_handler_of_the_tasks_may_pass_a_crash_on),
        test(a_crash_of_many_threads_at_once_is_one),
        test(a_worker_killed_from_outside_has_no_frames),
        test(a_report_tells_what_a_task_took),
        test(processor_time_is_counted_by_the_run),
        test(brief_tasks_do_not_count_for_one_that_crashes),
        test(brief_tasks_do_not_count_for_the_next),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
