/* crash_places_test.c - crashes where little can be relied on: in handlers, in malloc, in threads, in the crash handler itself. */
#include "crashed.h"

#include <dlfcn.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZED 1
#endif
#endif
#ifndef THREAD_SANITIZED
#define THREAD_SANITIZED 0
#endif

/* ---- the unwinder, with its accidents ---- */

enum accident { NONE, FAULTS, FAULTS_OTHERWISE, HANGS };
static enum accident accident;
static char *volatile cut_file; /* a write to it is a SIGBUS */

#if HAS_FRAMES
int backtrace(void **frames, int most);

static int (*true_backtrace)(void **frames, int most);

CRASHING int backtrace(void **frames, int most)
{
    if (!true_backtrace) true_backtrace = (int (*)(void **, int))(uintptr_t)dlsym(RTLD_NEXT, "backtrace");
    switch (accident) {
    case FAULTS: *target = 1; break;
    case FAULTS_OTHERWISE: *cut_file = 1; break;
    case HANGS:
        for (;;) pause();
    case NONE: break;
    }
    return true_backtrace ? true_backtrace(frames, most) : 0;
}
#endif

/* ---- in bad places ---- */

CRASHING static void crash_on_signal(int signal)
{
    (void)signal;
    write_there();
    atomic_fetch_add(&after, 1);
}

CRASHING static void crash_in_a_handler(void)
{
    signal(SIGUSR1, crash_on_signal);
    raise(SIGUSR1);
    atomic_fetch_add(&after, 1);
}

static void a_crash_in_a_signal_handler_names_what_was_interrupted_too(void)
{
#if THREAD_SANITIZED
    skip_under_sanitizer("ThreadSanitizer runs handlers with all signals blocked, and the kernel then asks no handler");
#endif
    target = map_page(PROT_READ, -1);
    struct tdm_last_words words = expect_signal(crash_in_a_handler, SIGSEGV);
    assert_int_equal(words.address, (uintptr_t)target);
    if (HAS_PLACE) assert_int_equal(expect_frame(&words, 0, "write_there"), 0);
    if (HAS_FRAMES) expect_frame(&words, expect_frame(&words, 1, "crash_on_signal") + 1, "crash_in_a_handler");
    munmap(target, (size_t)sysconf(_SC_PAGESIZE));
}

#if defined(__GLIBC__)
static char *volatile block;

/* The second thread makes malloc take its lock; the top of the heap then has a size that cannot be, and malloc aborts with it held. */
CRASHING static void damage_the_heap(void)
{
    for (int i = 0; i < 100; i++) block = malloc(100000);
    memset(block + malloc_usable_size(block), 0xff, sizeof(size_t));
    for (int i = 0; i < 100; i++) block = malloc(100000);
    atomic_fetch_add(&after, 1);
}

static void *stay(void *unused)
{
    for (;;) pause();
    return unused;
}

static void damage_the_heap_beside_a_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, stay, NULL) == 0) damage_the_heap();
}

static void a_crash_inside_malloc_is_noted(void)
{
    skip_under_sanitizer("it has a malloc of its own");
    skip_under_valgrind("it has a malloc of its own");
    struct tdm_last_words words = expect_signal(damage_the_heap_beside_a_thread, SIGABRT);
    expect_caller(&words, "damage_the_heap");
}
#endif

CRASHING static void *crash_in_thread(void *unused)
{
    write_there();
    atomic_fetch_add(&after, 1);
    return unused;
}

static void crash_beside(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, crash_in_thread, NULL) == 0) pthread_join(thread, NULL);
}

static void a_thread_of_a_tasks_crashes_like_its_worker(void)
{
    target = map_page(PROT_READ, -1);
    struct tdm_last_words words = expect_signal(crash_beside, SIGSEGV);
    assert_int_equal(words.address, (uintptr_t)target);
    if (HAS_PLACE) assert_int_equal(expect_frame(&words, 0, "write_there"), 0);
    if (HAS_FRAMES) expect_frame(&words, 1, "crash_in_thread");
    munmap(target, (size_t)sysconf(_SC_PAGESIZE));
}

/* What the handler calls would otherwise end the thread there, and only the thread. */
static void *crash_cancelled(void *unused)
{
    pthread_cancel(pthread_self());
    write_there();
    return unused;
}

static void crash_in_a_cancelled_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, crash_cancelled, NULL) == 0) pthread_join(thread, NULL);
}

static void a_thread_that_was_cancelled_crashes_all_the_same(void)
{
    target = map_page(PROT_READ, -1);
    struct tdm_last_words words = expect_signal(crash_in_a_cancelled_thread, SIGSEGV);
    assert_int_equal(words.address, (uintptr_t)target);
    munmap(target, (size_t)sysconf(_SC_PAGESIZE));
}

enum { THREADS = 8 };
static atomic_int arrived;

static void *crash_together(void *unused)
{
    atomic_fetch_add(&arrived, 1);
    while (atomic_load(&arrived) < THREADS) continue;
    write_there();
    return unused;
}

static void crash_in_all_threads(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, crash_together, NULL) != 0) return;
    for (;;) pause();
}

/* The first may be killed by another one's fault before it has written all; what counts is that the process dies of it. */
static void threads_that_crash_together_die_of_it(void)
{
    target = map_page(PROT_READ, -1);
    for (size_t i = 0; i < scaled(2000); i++) {
        int status;
        struct tdm_last_words words = words_after(crash_in_all_threads, &status);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        if (load_relaxed(&words.crash) == 0) continue;
        assert_int_equal(words.signal, SIGSEGV);
        assert_int_equal(words.address, (uintptr_t)target);
    }
    munmap(target, (size_t)sysconf(_SC_PAGESIZE));
}

static void crash_in_a_child(void)
{
    pid_t pid = fork();
    int status;
    if (pid == 0) write_there();
    if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) _exit(99);
}

static void a_child_of_a_tasks_crashes_without_a_word(void)
{
    int status;
    target = map_page(PROT_READ, -1);
    struct tdm_last_words words = words_after(crash_in_a_child, &status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 99);
    assert_int_equal(load_relaxed(&words.crash), 0);
    munmap(target, (size_t)sysconf(_SC_PAGESIZE));
}

/* ---- an unwinder that breaks down ---- */

static enum accident next_accident;

/* Only from here on: the preparation needs it whole. */
static void crash_with_accident(void)
{
    accident = next_accident;
    signal(SIGALRM, SIG_IGN);
    sigset_t alarm_only;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
    write_there();
}

static void expect_accident(enum accident which, int signal)
{
    if (!HAS_FRAMES) return;
    int status;
    target = map_page(PROT_READ, -1);
    cut_file = map_cut_file();
    next_accident = which;
    struct tdm_last_words words = words_after(crash_with_accident, &status);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), signal);
    assert_int_equal(load_relaxed(&words.crash), 1);
    assert_int_equal(words.signal, SIGSEGV);
    assert_int_equal(words.address, (uintptr_t)target);
    assert_int_equal(load_relaxed(&words.frame_count), HAS_PLACE);
    if (HAS_PLACE) assert_int_equal(expect_frame(&words, 0, "write_there"), 0);
    munmap(target, (size_t)sysconf(_SC_PAGESIZE));
    munmap(cut_file, (size_t)sysconf(_SC_PAGESIZE));
}

static void a_fault_in_the_unwinder_leaves_what_was_written(void)
{
    expect_accident(FAULTS, SIGSEGV);
    expect_accident(FAULTS_OTHERWISE, SIGBUS);
}

static void an_unwinder_that_hangs_is_ended_by_an_alarm(void) { expect_accident(HANGS, SIGALRM); }

/* The kernel asks nobody then. */
static void crash_with_all_blocked(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    write_there();
}

static void a_fault_while_all_signals_are_blocked_still_kills(void)
{
    int status;
    target = map_page(PROT_READ, -1);
    words_after(crash_with_all_blocked, &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    munmap(target, (size_t)sysconf(_SC_PAGESIZE));
}

static struct tdm_last_words *gone;

static void crash_without_words(void)
{
    munmap(gone, sizeof *gone);
    write_there();
}

static int lose_words(void *argument)
{
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    gone = argument;
    child_needs(tdm_crash_handler_install(gone));
    crash_without_words();
    return 1;
}

static void a_crash_whose_words_are_unmapped_still_kills(void)
{
    skip_under_valgrind("valgrind complains of the write to what is gone");
    struct tdm_last_words *words = shared(sizeof *words);
    target = map_page(PROT_READ, -1);
    int status = status_of_child(lose_words, words);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    munmap(words, sizeof *words);
    munmap(target, (size_t)sysconf(_SC_PAGESIZE));
}

/* ---- are they still ours? ---- */

static void on_signal(int signal) { (void)signal; }

static int look_after_changes(void *argument)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    struct sigaction ours, other = {.sa_handler = SIG_DFL};
    child_needs(tdm_crash_handler_install(argument));
    child_needs(tdm_crash_handler_is_intact());
    for (size_t i = 0; i < count_of(signals); i++) {
        static void (*const others[])(int) = {SIG_DFL, SIG_IGN, on_signal};
        for (size_t j = 0; j < count_of(others); j++) {
            other.sa_handler = others[j];
            child_needs(sigaction(signals[i], &other, &ours) == 0);
            child_needs(!tdm_crash_handler_is_intact());
            child_needs(sigaction(signals[i], &ours, NULL) == 0);
            child_needs(tdm_crash_handler_is_intact());
        }
    }
    child_needs(signal(SIGUSR1, on_signal) != SIG_ERR && signal(SIGCHLD, on_signal) != SIG_ERR);
    child_needs(tdm_crash_handler_is_intact());
    child_needs(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    child_needs(!tdm_crash_handler_is_intact());
    other = (struct sigaction){.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    child_needs(sigaction(SIGCHLD, &other, NULL) == 0);
    child_needs(!tdm_crash_handler_is_intact());
    child_needs(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
    child_needs(tdm_crash_handler_is_intact());
    return 0;
}

static void a_change_of_what_crashes_need_is_seen(void)
{
    struct tdm_last_words *words = shared(sizeof *words);
    expect_in_child(look_after_changes, words);
    assert_int_equal(load_relaxed(&words->crash), 0);
    munmap(words, sizeof *words);
}

static int is_not_there(void *unused)
{
    (void)unused;
    return tdm_crash_handler_is_intact() ? 1 : 0;
}

static void before_the_installation_nothing_is_intact(void) { expect_in_child(is_not_there, NULL); }

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_crash_in_a_signal_handler_names_what_was_interrupted_too),
#if defined(__GLIBC__)
        test(a_crash_inside_malloc_is_noted),
#endif
        test(a_thread_of_a_tasks_crashes_like_its_worker),
        test(a_thread_that_was_cancelled_crashes_all_the_same),
        test(threads_that_crash_together_die_of_it),
        test(a_child_of_a_tasks_crashes_without_a_word),
        test(a_fault_in_the_unwinder_leaves_what_was_written),
        test(an_unwinder_that_hangs_is_ended_by_an_alarm),
        test(a_fault_while_all_signals_are_blocked_still_kills),
        test(a_crash_whose_words_are_unmapped_still_kills),
        test(a_change_of_what_crashes_need_is_seen),
        test(before_the_installation_nothing_is_intact),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
