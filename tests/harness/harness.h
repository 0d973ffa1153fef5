/* harness.h - what the programs in promises/ stand on: one process a test, a time limit, and nothing may be left behind.
 *
 * A program lists its tests and calls harness_main().  Run by hand, it takes patterns: `submission '*EBUSY*'`.  Each test is run
 * by the program executing itself again with TANDEM_TEST=name, so that every test begins with one thread and no zygote, and a
 * crash or a hang costs one test.  Set TANDEM_TEST yourself to have a test in a debugger: then it gets the orphans that else come to the harness.  TANDEM_FULL=1 runs the full counts.
 * Under valgrind give --trace-children=yes.
 *
 * Include this first: it asks the system for more than C11 shows.  cmocka's assertions are for the test's own thread; what runs
 * as a task or on another thread returns __LINE__ or a complaint instead. */
#ifndef TANDEM_HARNESS_H
#define TANDEM_HARNESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tandem.h"

/* ---- the list of tests ---- */

struct harness_test {
    const char *name;
    void (*run)(void);
    void (*run_where)(int isolation);
    int isolation;
};

/* The layout tool takes these braces for blocks. */
/* clang-format off */
#define test(body) {.name = #body, .run = body}

/* One body, run for either isolation. */
#define both(body)                                                                \
    {.name = #body "_on_a_thread", .run_where = body, .isolation = TANDEM_THREAD}, \
    {.name = #body "_in_a_process", .run_where = body, .isolation = TANDEM_PROCESS}
/* clang-format on */

#define count_of(array) (sizeof(array) / sizeof *(array))

/* What main() returns. */
int harness_main(int argc, char **argv, const struct harness_test *tests, size_t count);

/* ---- over pipes or over rings ---- */

/* With TANDEM_TEST_PIPES=1 the pools of a test talk to their workers over pipes; else as the library chooses. */
bool over_pipes(void);
int create_pool(tandem_pool **pool, const tandem_options *options);
#define tandem_pool_create(pool, options) create_pool((pool), (options))

/* ---- how much, how long ---- */

/* The full count with TANDEM_FULL=1, else a hundredth; a thousandth under valgrind. */
size_t scaled(size_t full);
bool full_run(void);

/* How much longer than on a quiet machine things may take: sanitizers and valgrind. */
int slowness(void);

/* A promised time with what a test allows on top: ten times as much, fifty where everything is slow. */
int64_t allowed_ms(int64_t promised_ms);

/* How long to wait for what must happen some time. */
int64_t patience_ms(void);

int64_t now_ms(void);

/* ---- what a test cannot do here: each says why; only before the first pool ---- */

void skip_on_portable(const char *reason);               /* in a build with POSIX calls only */
void skip_without(const char *path, const char *reason); /* where the system has no such file */
void skip_unless(bool possible, const char *reason);
void skip_alone(const char *reason); /* with TANDEM_TEST set by hand */
void skip_under_sanitizer(const char *reason);
void skip_under_valgrind(const char *reason);
bool sanitized(void);

/* ---- seeing and being seen across processes ---- */

/* Zeroed memory that workers share, if it was taken before tandem_init() or the first pool. */
void *shared(size_t size);

/* Waits until *word is at least value.  Watching a word is all that a worker can do: it has no descriptor to wait on, and a
 * lock would be lost with a killed holder.  False when patience is over. */
bool await(atomic_int *word, int value);

/* Gives others a moment: one turn of a loop that looks at what the outside world does. */
void moment(void);

#define wait_until(condition)            wait_or_fail(condition, #condition, patience_ms())
#define wait_until_within(condition, ms) wait_or_fail(condition, #condition, ms)

#define wait_or_fail(condition, text, ms)                                                                                          \
    do {                                                                                                                           \
        const int64_t begun_ = now_ms();                                                                                           \
        const int64_t limit_ = (ms);                                                                                               \
        while (!(condition)) {                                                                                                     \
            if (now_ms() - begun_ > limit_) fail_msg("not within %lld ms: %s", (long long)limit_, text);                           \
            moment();                                                                                                              \
        }                                                                                                                          \
    } while (0)

/* The processes that descend from this test, itself not counted: those that carry its mark, and their zombies. */
size_t processes_of_ours(void);

/* Whether a process lives; a zombie does not. */
bool process_lives(pid_t pid);

/* Whether this thread, by the system's number, sleeps in a call of the system's; 0: no.  Needs /proc. */
bool thread_sleeps(pid_t tid);

/* Entries of a folder of /proc, such as /proc/self/fd; the look itself is not counted. */
size_t entries_in(const char *folder);

/* ---- pools and tasks ---- */

/* A pool with so many workers of one kind and none of the other; the other options as given (NULL: defaults). */
tandem_pool *pool_of(int isolation, uint32_t workers, const tandem_options *more);
tandem_pool *pool_of_both(uint32_t threads, uint32_t processes);
void end_pool(tandem_pool *pool);

tandem_task task_of(int isolation, tandem_fn *run, void *input, size_t input_size);

/* The whole task in one assertion: waits, then expects this ending. */
void expect_end(tandem_task *task, int status);

tandem_stats stats_of(tandem_pool *pool);

/* Tasks that many tests use.  Their input is the bytes of a pointer into shared(). */
struct gate {
    atomic_int entered; /* runs that have begun */
    atomic_int opened;  /* set it to let them go on */
    atomic_int left;    /* runs that went through */
    atomic_int pid;     /* of the last that entered */
};

int nothing_task(tandem_context *context, void *input, size_t size); /* returns 0 */
int echo_task(tandem_context *context, void *input, size_t size);    /* replies its input */
int count_task(tandem_context *context, void *input, size_t size);   /* input: atomic_int *, raised by one */
int gate_task(tandem_context *context, void *input, size_t size);    /* input: struct gate * */
int spin_task(tandem_context *context, void *input, size_t size);    /* input: struct gate *; raises left until cancelled */

#endif
