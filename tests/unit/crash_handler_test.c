/* crash_handler_test.c - a worker that crashes writes down where, and dies of that very signal: one child for each way to crash. */
#include "crashed.h"

#include <signal.h>
#include <stdlib.h>

/* ---- faults ---- */

static void a_write_to_nowhere_is_noted_with_its_address(void)
{
    skip_under_valgrind("valgrind complains of the write first");
    target = (char *)64;
    struct tdm_last_words words = expect_signal(write_there, SIGSEGV);
    assert_int_equal(words.address, 64);
    assert_int_equal(words.si_code, SEGV_MAPERR);
    expect_place(&words, "write_there");
}

static void a_write_through_null_is_noted(void)
{
    skip_under_valgrind("valgrind complains of the write first");
    target = NULL;
    struct tdm_last_words words = expect_signal(write_there, SIGSEGV);
    assert_int_equal(words.address, 0);
    assert_int_equal(words.si_code, SEGV_MAPERR);
    expect_place(&words, "write_there");
}

static void a_write_to_constant_memory_is_noted_with_its_address(void)
{
    char *page = map_page(PROT_READ, -1);
    target = page + 100;
    struct tdm_last_words words = expect_signal(write_there, SIGSEGV);
    assert_int_equal(words.address, (uintptr_t)page + 100);
    assert_int_equal(words.si_code, SEGV_ACCERR);
    expect_place(&words, "write_there");
    munmap(page, (size_t)sysconf(_SC_PAGESIZE));
}

static void a_mapped_file_that_was_cut_is_a_bus_error(void)
{
    char *page = map_cut_file();
    target = page + 10;
    struct tdm_last_words words = expect_signal(write_there, SIGBUS);
    assert_int_equal(words.address, (uintptr_t)page + 10);
    expect_place(&words, "write_there");
    munmap(page, (size_t)sysconf(_SC_PAGESIZE));
}

#if defined(__x86_64__) || defined(__i386__)
static volatile int dividend = 7, divisor;

CRASHING static void divide_by_zero(void)
{
    dividend = dividend / divisor;
    atomic_fetch_add(&after, 1);
}

CRASHING static void run_no_instruction(void)
{
    __asm__ volatile("ud2");
    atomic_fetch_add(&after, 1);
}

CRASHING static void hit_a_breakpoint(void)
{
    __asm__ volatile("int3");
    atomic_fetch_add(&after, 1);
}

static void a_division_by_zero_is_noted_with_its_instruction(void)
{
    skip_under_valgrind("valgrind tells an address in code of its own");
    struct tdm_last_words words = expect_signal(divide_by_zero, SIGFPE);
    assert_int_equal(words.si_code, FPE_INTDIV);
    if (HAS_PLACE) assert_int_equal(words.address, words.frames[0]);
    expect_place(&words, "divide_by_zero");
}

static void an_illegal_instruction_is_noted_with_its_address(void)
{
    struct tdm_last_words words = expect_signal(run_no_instruction, SIGILL);
    if (HAS_PLACE) assert_int_equal(words.address, words.frames[0]);
    expect_place(&words, "run_no_instruction");
}

/* The program would go on behind it. */
static void a_breakpoint_kills(void)
{
    struct tdm_last_words words = expect_signal(hit_a_breakpoint, SIGTRAP);
    expect_place(&words, "hit_a_breakpoint");
}
#endif

static void (*volatile function)(void);

CRASHING static void call_it(void)
{
    function();
    atomic_fetch_add(&after, 1);
}

static void expect_wild_call(uintptr_t to)
{
    function = (void (*)(void))to;
    struct tdm_last_words words = expect_signal(call_it, SIGSEGV);
    assert_int_equal(words.address, to);
    if (!HAS_PLACE) return;
    assert_int_equal(words.frames[0], to);
    if (!HAS_FRAMES) return;
    assert_int_equal(expect_frame(&words, 0, "call_it"), 1);
    expect_frame(&words, 2, "crash_in_child");
}

static void a_call_to_where_no_code_is_names_the_caller(void)
{
    char *data = map_page(PROT_READ | PROT_WRITE, -1);
    expect_wild_call(0);
    expect_wild_call(4096 + 1);
    expect_wild_call((uintptr_t)data);
    munmap(data, (size_t)sysconf(_SC_PAGESIZE));
}

static volatile size_t depth;

#if defined(__clang__)
#pragma clang diagnostic ignored "-Winfinite-recursion"
#elif defined(__GNUC__) && __GNUC__ >= 12
#pragma GCC diagnostic ignored "-Winfinite-recursion"
#endif
CRASHING static size_t recurse(size_t level)
{
    volatile char frame[1000];
    frame[level % sizeof frame] = (char)level;
    depth = level;
    return recurse(level + 1) + (size_t)frame[0];
}

CRASHING static void overflow_the_stack(void) { atomic_fetch_add(&after, (int)recurse(1)); }

static void an_overflow_of_the_stack_is_noted(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_STACK, &limit);
    if (limit.rlim_cur > 8 << 20) limit.rlim_cur = 8 << 20;
    setrlimit(RLIMIT_STACK, &limit);
    struct tdm_last_words words = expect_signal(overflow_the_stack, SIGSEGV);
    assert_in_range((uintptr_t)&words - words.address, 1 << 18, (uintptr_t)16 << 20);
    if (HAS_PLACE) assert_int_equal(expect_frame(&words, 0, "recurse"), 0);
    if (!HAS_FRAMES) return;
    assert_int_equal(load_relaxed(&words.frame_count), TDM_FRAMES_MOST);
    for (size_t i = 1; i < TDM_FRAMES_MOST; i++) assert_true(frame_is_in(&words, i, "recurse"));
}

/* ---- signals that are sent ---- */

CRASHING static void abort_here(void) { abort(); }

static void abort_is_noted_with_its_caller(void)
{
    struct tdm_last_words words = expect_signal(abort_here, SIGABRT);
    assert_int_equal(words.address, 0);
    expect_caller(&words, "abort_here");
}

static volatile int to_raise;

CRASHING static void raise_here(void)
{
    raise(to_raise);
    atomic_fetch_add(&after, 1);
}

static void every_signal_that_is_raised_kills_as_itself(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < count_of(signals); i++) {
        to_raise = signals[i];
        struct tdm_last_words words = expect_signal(raise_here, signals[i]);
        assert_int_equal(words.address, 0);
        expect_caller(&words, "raise_here");
    }
}

static void kill_myself(void)
{
    kill(getpid(), SIGSEGV);
    for (;;) pause();
}

static void a_signal_from_another_process_has_no_address(void)
{
    struct tdm_last_words words = expect_signal(kill_myself, SIGSEGV);
    assert_int_equal(words.address, 0);
    assert_int_equal(words.si_code, SI_USER);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_write_to_nowhere_is_noted_with_its_address),
        test(a_write_through_null_is_noted),
        test(a_write_to_constant_memory_is_noted_with_its_address),
        test(a_mapped_file_that_was_cut_is_a_bus_error),
#if defined(__x86_64__) || defined(__i386__)
        test(a_division_by_zero_is_noted_with_its_instruction),
        test(an_illegal_instruction_is_noted_with_its_address),
        test(a_breakpoint_kills),
#endif
        test(a_call_to_where_no_code_is_names_the_caller),
        test(an_overflow_of_the_stack_is_noted),
        test(abort_is_noted_with_its_caller),
        test(every_signal_that_is_raised_kills_as_itself),
        test(a_signal_from_another_process_has_no_address),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
