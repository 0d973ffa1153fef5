/* crashed.h - a child that crashes in a given way, and what it has written down by then. */
#ifndef TANDEM_CRASHED_H
#define TANDEM_CRASHED_H

#include "harness.h"

#include "base/symbols.h"
#include "child/crash_handler.h"
#include "forked.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* Crashes must be the processor's finding, not a sanitizer's, and their functions must stay functions of their own. */
#if defined(__clang__)
#define CRASHING __attribute__((noinline, no_sanitize("address", "thread", "undefined")))
#else
#define CRASHING __attribute__((noinline, noclone, no_sanitize("address", "thread", "undefined")))
#endif

#if defined(__GLIBC__) && !defined(TANDEM_PORTABLE)
#define HAS_FRAMES 1
#else
#define HAS_FRAMES 0
#endif
#if defined(__linux__) && !defined(TANDEM_PORTABLE) &&                                                                             \
    (defined(__x86_64__) || defined(__i386__) || defined(__aarch64__) || defined(__arm__) || defined(__riscv))
#define HAS_PLACE 1
#else
#define HAS_PLACE 0
#endif

static atomic_int after; /* keeps calls from becoming jumps */

/* ---- one crash ---- */

struct crash {
    void (*run)(void);
    struct tdm_last_words *words;
};

CRASHING static int crash_in_child(void *argument)
{
    const struct crash *crash = argument;
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    child_needs(tdm_crash_handler_install(crash->words));
    child_needs(tdm_crash_handler_is_intact());
    crash->run();
    return 1;
}

/* As the host does: copied first.  Both are gone by then, so there is no race. */
static inline struct tdm_last_words words_after(void (*run)(void), int *status)
{
    struct crash crash = {.run = run, .words = shared(sizeof *crash.words)};
    tdm_crash_handler_prepare();
    *status = status_of_child(crash_in_child, &crash);
    struct tdm_last_words words = *crash.words;
    munmap(crash.words, sizeof *crash.words);
    return words;
}

static inline struct tdm_last_words expect_signal(void (*run)(void), int signal)
{
    int status;
    struct tdm_last_words words = words_after(run, &status);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != signal) fail_msg("its status is %#x", (unsigned)status);
    assert_int_equal(load_relaxed(&words.crash), 1);
    assert_int_equal(words.signal, signal);
    assert_in_range(load_relaxed(&words.frame_count), 0, TDM_FRAMES_MOST);
    if (access("/proc/self/statm", R_OK) == 0) assert_in_range(words.memory, 1 << 16, UINT64_MAX);
    return words;
}

static inline bool frame_is_in(const struct tdm_last_words *words, size_t i, const char *function)
{
    char text[256];
    tdm_symbols_describe((uintptr_t)words->frames[i], i > 0, text, sizeof text);
    size_t length = strlen(function);
    return strncmp(text, function, length) == 0 && (text[length] == '+' || text[length] == '.'); /* .cold, .part.0 */
}

static inline void print_frames(const struct tdm_last_words *words)
{
    char text[256];
    for (size_t i = 0; i < load_relaxed(&words->frame_count); i++) {
        tdm_symbols_describe((uintptr_t)words->frames[i], i > 0, text, sizeof text);
        fprintf(stderr, "frame %zu: %s\n", i, text);
    }
}

/* Where the function is found from frame `from` on. */
static inline size_t expect_frame(const struct tdm_last_words *words, size_t from, const char *function)
{
    for (size_t i = from; i < load_relaxed(&words->frame_count); i++)
        if (frame_is_in(words, i, function)) return i;
    print_frames(words);
    fail_msg("no frame from %zu on is in %s", from, function);
    return 0;
}

/* The crash itself lies in this function, and who called it is told too. */
static inline void expect_place(const struct tdm_last_words *words, const char *function)
{
    if (!HAS_PLACE) assert_int_equal(load_relaxed(&words->frame_count), 0);
    if (!HAS_PLACE) return;
    assert_int_equal(expect_frame(words, 0, function), 0);
    if (HAS_FRAMES) expect_frame(words, 1, "crash_in_child");
}

/* It lies in the C library, below this function. */
static inline void expect_caller(const struct tdm_last_words *words, const char *function)
{
    if (!HAS_FRAMES) return;
    expect_frame(words, expect_frame(words, 0, function) + 1, "crash_in_child");
}

/* ---- ways to crash ---- */

static char *volatile target;

CRASHING static void write_there(void)
{
    *target = 1;
    atomic_fetch_add(&after, 1);
}

static inline char *map_page(int protection, int fd)
{
    char *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), protection, fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
    assert_true(page != MAP_FAILED);
    return page;
}

static inline char *map_cut_file(void)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), 100), 0);
    char *page = map_page(PROT_READ | PROT_WRITE, fileno(file));
    assert_int_equal(ftruncate(fileno(file), 0), 0);
    fclose(file);
    return page;
}

#endif
