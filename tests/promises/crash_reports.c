/* crash_reports.c - of a crash the report tells which signal, where, in which function, and what it took. */
#include "harness.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__GNUC__)
#define NOT_INLINE __attribute__((noinline))
#else
#define NOT_INLINE
#endif

#if defined(__x86_64__) || defined(__i386__)
#define X86 1
#else
#define X86 0
#endif

/* An address that nothing is ever mapped at. */
#if UINTPTR_MAX > UINT32_MAX
#define NOWHERE ((uintptr_t)0x5a5a5a5a5a0)
#else
#define NOWHERE ((uintptr_t)0x5a5a5a0)
#endif

/* What a task says of itself before it dies; shared. */
static struct {
    atomic_int pid;
    _Atomic(uintptr_t) address; /* where it is about to fault */
    atomic_int ready;
} * seen;

static tandem_pool *begin(const tandem_options *more)
{
    seen = shared(sizeof *seen);
    return pool_of(TANDEM_PROCESS, 1, more);
}

/* Real faults, with an address. */
static void need_faults(void)
{
    skip_under_sanitizer("a sanitizer looks at every access before the processor does");
    skip_under_valgrind("valgrind does so too");
}

/* ---- ways to die, each in a function of its own ---- */

static NOT_INLINE int write_to_nowhere(void)
{
    char *volatile nowhere = (char *)NOWHERE;
    atomic_store(&seen->address, NOWHERE);
    *nowhere = 1;
    return 1;
}

static NOT_INLINE int call_nowhere(void)
{
    int (*volatile function)(void);
    uintptr_t nowhere = NOWHERE;
    atomic_store(&seen->address, nowhere);
    memcpy((void *)(uintptr_t)&function, &nowhere, sizeof nowhere);
    return function() + 1;
}

static NOT_INLINE int read_beyond_a_file(void)
{
    FILE *file = tmpfile();
    if (file == NULL) return 0;
    volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fileno(file), 0);
    if (page == MAP_FAILED) return 0;
    atomic_store(&seen->address, (uintptr_t)page + 77);
    return page[77] + 1;
}

static NOT_INLINE int divide_by_zero(void)
{
    volatile int zero = 0, one = 1;
    atomic_store(&seen->address, 0);
    return one / zero + 1;
}

static NOT_INLINE int run_into_an_illegal_instruction(void)
{
    atomic_store(&seen->address, 0);
#if X86
    __asm__ volatile("ud2");
#endif
    return atomic_load(&seen->pid);
}

static NOT_INLINE int give_up(void)
{
    if (atomic_load(&seen->pid) != 0) abort();
    return 1;
}

static NOT_INLINE int dig_deeper(int depth)
{
    volatile char floor[4096];
    floor[0] = (char)depth;
    if (atomic_load(&seen->pid) == 0) return depth;
    return dig_deeper(depth + 1) + floor[0];
}

static NOT_INLINE int raise_it(int number)
{
    int result = raise(number);
    return result + atomic_load(&seen->pid);
}

enum way { WRITE, CALL, BEYOND, DIVIDE, ILLEGAL, ABORT, OVERFLOW, RAISE, EXIT, QUICK_EXIT };

static NOT_INLINE int die(enum way way, int number)
{
    switch (way) {
    case WRITE: return write_to_nowhere();
    case CALL: return call_nowhere();
    case BEYOND: return read_beyond_a_file();
    case DIVIDE: return divide_by_zero();
    case ILLEGAL: return run_into_an_illegal_instruction();
    case ABORT: return give_up();
    case OVERFLOW: return dig_deeper(0);
    case RAISE: return raise_it(number);
    case EXIT: exit(number);
    case QUICK_EXIT: _exit(number);
    }
    return __LINE__;
}

struct death {
    enum way way;
    int number; /* the signal, or the exit code */
};

static int deadly_task(tandem_context *context, void *input, size_t size)
{
    struct death death;
    memcpy(&death, input, size);
    atomic_store(&seen->pid, (int)getpid());
    tandem_reply(context, "of no use any more", 18);
    return die(death.way, death.number) + 1; /* no tail call: its frame is to be seen */
}

/* ---- what the report says ---- */

static bool has_frames(void)
{
#if defined(__linux__) && !defined(TANDEM_PORTABLE)
    return true;
#else
    return false;
#endif
}

static void say_frames(const tandem_report *report)
{
    for (size_t i = 0; i < report->frame_count; i++) fprintf(stderr, "  frame %zu: %s\n", i, report->frames[i]);
}

/* In a build with POSIX calls only there may be none. */
static void expect_frame(const tandem_report *report, const char *function)
{
    if (!has_frames()) return;
    for (size_t i = 0; i < report->frame_count; i++) {
        assert_non_null(report->frames[i]);
        if (strstr(report->frames[i], function) != NULL) return;
    }
    say_frames(report);
    fail_msg("%s is in none of %zu frames", function, report->frame_count);
}

static void expect_in_line(const tandem_task *task, const char *word)
{
    char line[1024];
    assert_in_range(tandem_describe(task, line, sizeof line), 1, sizeof line - 1);
    if (strstr(line, word) == NULL) fail_msg("\"%s\" does not say: %s", line, word);
}

static void expect_plain_truth(const tandem_task *task, int signal, int code)
{
    const tandem_report *report = task->report;
    assert_int_equal(task->signal, signal);
    assert_int_equal(task->code, code);
    assert_null(task->output);
    assert_non_null(report);
    assert_int_equal(report->pid, atomic_load(&seen->pid));
    assert_int_equal(report->runs, 1);
    assert_true(report->worker >= 1);
    assert_true(report->queued_ns > 0);
    assert_true(report->queued_ns <= report->started_ns && report->started_ns <= report->ended_ns);
    assert_null(report->limit);
    assert_null(report->error_output);
    if (signal != 0) assert_null(report->step);
}

static void begin_death(tandem_pool *pool, tandem_task *task, const struct death *death)
{
    *task = task_of(TANDEM_PROCESS, deadly_task, (void *)(uintptr_t)death, sizeof *death);
    assert_int_equal(tandem_submit(pool, task), 0);
    expect_end(task, TANDEM_CRASHED);
}

/* Where it foresaw it, else anywhere; an abort is no fault. */
static void expect_address(const tandem_task *task, uintptr_t foreseen)
{
    char address[32];
    uintptr_t told = task->report->fault_address;
    if (foreseen != 0) assert_int_equal(told, foreseen);
    assert_true((told != 0) == (task->signal != SIGABRT));
    snprintf(address, sizeof address, "%llx", (unsigned long long)told);
    if (told != 0) expect_in_line(task, address);
}

static void expect_fault(enum way way, int signal, const char *signal_name, const char *function)
{
    need_faults();
    tandem_task task;
    struct death death = {way, 0};
    tandem_pool *pool = begin(NULL);
    for (int i = 0; i < 2; i++) {
        begin_death(pool, &task, &death);
        expect_plain_truth(&task, signal, 0);
        expect_address(&task, atomic_load(&seen->address));
        expect_in_line(&task, signal_name);
        if (function != NULL) expect_frame(task.report, function);
        if (function != NULL) expect_frame(task.report, "deadly_task");
        if (function != NULL && signal != SIGABRT && has_frames()) expect_in_line(&task, function);
        tandem_task_clear(&task);
    }
    wait_until(stats_of(pool).workers_crashed == 2);
    end_pool(pool);
}

/* promise 22 */
static void a_stray_write_is_told_with_its_address_and_function(void)
{
    expect_fault(WRITE, SIGSEGV, "SIGSEGV", "write_to_nowhere");
}

/* promise 22: there is no function at that address, so the innermost that is one is its caller */
static void a_stray_call_is_told_with_its_address(void) { expect_fault(CALL, SIGSEGV, "SIGSEGV", NULL); }

/* promise 22 */
static void a_read_beyond_a_file_is_told_with_its_address_and_function(void)
{
    expect_fault(BEYOND, SIGBUS, "SIGBUS", "read_beyond_a_file");
}

static void need_x86(void)
{
    if (X86) return;
    printf("another processor does not trap there\n");
    fflush(NULL);
    _exit(77);
}

/* promise 22 */
static void a_division_by_zero_is_told_with_its_function(void)
{
    need_x86();
    expect_fault(DIVIDE, SIGFPE, "SIGFPE", "divide_by_zero");
}

/* promise 22 */
static void an_illegal_instruction_is_told_with_its_function(void)
{
    need_x86();
    expect_fault(ILLEGAL, SIGILL, "SIGILL", "run_into_an_illegal_instruction");
}

/* promise 22 */
static void an_abort_is_told_with_its_function(void) { expect_fault(ABORT, SIGABRT, "SIGABRT", "give_up"); }

/* promise 22: there is no room left where it ran */
static void a_stack_overflow_is_told_with_its_function(void)
{
    need_faults();
    tandem_task task;
    struct death death = {OVERFLOW, 0};
    tandem_pool *pool = begin(NULL);
    begin_death(pool, &task, &death);
    expect_plain_truth(&task, SIGSEGV, 0);
    assert_int_not_equal(task.report->fault_address, 0);
    assert_in_range(task.report->frame_count, 0, 10000);
    expect_in_line(&task, "SIGSEGV");
    expect_frame(task.report, "dig_deeper");
    tandem_task_clear(&task);
    end_pool(pool);
}

/* promise 22: a signal that was sent comes from nowhere */
static void a_signal_that_was_raised_has_no_address(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM, SIGKILL};
    tandem_task task;
    tandem_pool *pool = begin(NULL);
    for (size_t i = 0; i < count_of(numbers); i++) {
        struct death death = {RAISE, numbers[i]};
        begin_death(pool, &task, &death);
        expect_plain_truth(&task, numbers[i], 0);
        assert_int_equal(task.report->fault_address, 0);
        if (numbers[i] == SIGKILL) assert_int_equal(task.report->frame_count, 0);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* promise 22 */
static void an_exit_is_told_with_its_code_and_no_fault(void)
{
    static const struct death deaths[] = {{EXIT, 7}, {EXIT, 0}, {QUICK_EXIT, 0}, {QUICK_EXIT, 7}, {QUICK_EXIT, 255}};
    tandem_task task;
    tandem_pool *pool = begin(NULL);
    for (size_t i = 0; i < count_of(deaths); i++) {
        begin_death(pool, &task, &deaths[i]);
        expect_plain_truth(&task, 0, deaths[i].number);
        assert_int_equal(task.report->fault_address, 0);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* promise 22 */
static void a_task_without_a_name_is_called_after_its_function(void)
{
    skip_on_portable("POSIX does not tell a function's name");
    tandem_task task;
    struct death death = {QUICK_EXIT, 1};
    tandem_pool *pool = begin(NULL);
    begin_death(pool, &task, &death);
    assert_non_null(task.report->name);
    assert_string_equal(task.report->name, "deadly_task");
    expect_in_line(&task, "deadly_task");
    tandem_task_clear(&task);

    task.name = "decode";
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_CRASHED);
    assert_string_equal(task.report->name, "decode");
    expect_in_line(&task, "decode");
    tandem_task_clear(&task);

    task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_null(task.report->name); /* what ended well is not looked up */
    tandem_task_clear(&task);
    end_pool(pool);
}

/* A task's report is its own: nothing of an earlier crash is in a later one, nor in an ending that is none. */
static void a_report_holds_nothing_of_the_crash_before(void)
{
    need_faults();
    tandem_task task;
    struct death fault = {WRITE, 0}, leave = {QUICK_EXIT, 3};
    tandem_pool *pool = begin(NULL);
    begin_death(pool, &task, &fault);
    assert_int_equal(task.report->fault_address, NOWHERE);
    task.input = &leave;
    assert_int_equal(tandem_submit(pool, &task), 0); /* without a clear between them */
    expect_end(&task, TANDEM_CRASHED);
    expect_plain_truth(&task, 0, 3);
    assert_int_equal(task.report->fault_address, 0);
    task.run = nothing_task;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_int_equal(task.report->fault_address, 0);
    assert_int_equal(task.report->frame_count, 0);
    assert_int_equal(task.signal, 0);
    assert_null(task.report->step);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- without reports ---- */

static int dispositions_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    for (int i = 1; i <= 31; i++) {
        struct sigaction action;
        if (sigaction(i, NULL, &action) == 0 && action.sa_handler != SIG_DFL) return i;
    }
    return 0;
}

static void without_crash_reports_there_is_the_signal_alone(void)
{
    need_faults();
    tandem_task task;
    struct death death = {WRITE, 0};
    tandem_options options = {.no_crash_report = 1};
    tandem_pool *pool = begin(&options);
    begin_death(pool, &task, &death);
    expect_plain_truth(&task, SIGSEGV, 0);
    assert_int_equal(task.report->frame_count, 0);
    assert_int_equal(task.report->fault_address, 0);
    expect_in_line(&task, "SIGSEGV");
    tandem_task_clear(&task);
    task = task_of(TANDEM_PROCESS, dispositions_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_stray_write_is_told_with_its_address_and_function),
        test(a_stray_call_is_told_with_its_address),
        test(a_read_beyond_a_file_is_told_with_its_address_and_function),
        test(a_division_by_zero_is_told_with_its_function),
        test(an_illegal_instruction_is_told_with_its_function),
        test(an_abort_is_told_with_its_function),
        test(a_stack_overflow_is_told_with_its_function),
        test(a_signal_that_was_raised_has_no_address),
        test(an_exit_is_told_with_its_code_and_no_fault),
        test(a_task_without_a_name_is_called_after_its_function),
        test(a_report_holds_nothing_of_the_crash_before),
        test(without_crash_reports_there_is_the_signal_alone),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
