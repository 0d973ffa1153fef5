/* harness.c - runs each test of a program in a process of its own, watches its time, and judges what became of it. */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "leftovers.h"

enum { EXIT_SKIPPED = 77 };

static char *program;

/* ---- in the test's own process ---- */

static void skip_test(const char *reason)
{
    printf("%s\n", reason);
    fflush(NULL);
    _exit(EXIT_SKIPPED);
}

void skip_on_portable(const char *reason)
{
#if defined(TANDEM_PORTABLE) || !defined(__linux__)
    skip_test(reason);
#else
    (void)reason;
#endif
}

void skip_without(const char *path, const char *reason)
{
    if (access(path, R_OK) != 0) skip_test(reason);
}

void skip_unless(bool possible, const char *reason)
{
    if (!possible) skip_test(reason);
}

static bool is_alone(void) { return getenv(MARK) == NULL; }

void skip_alone(const char *reason)
{
    if (is_alone()) skip_test(reason);
}

void skip_under_sanitizer(const char *reason)
{
    if (sanitized()) skip_test(reason);
}

void skip_under_valgrind(const char *reason)
{
    if (slowness() > 1 && !sanitized()) skip_test(reason);
}

static void run_and_look_around(void **state)
{
    const struct harness_test *one = *state;
    struct belongings *before = belongings_now();
    if (one->run_where != NULL)
        one->run_where(one->isolation);
    else
        one->run();
    assert_int_equal(tandem_quit(), 0);
    assert_nothing_left(before);
    belongings_free(before);
}

static int run_one(const struct harness_test *one)
{
    const struct CMUnitTest group[] = {
        {.name = one->name, .test_func = run_and_look_around, .initial_state = (void *)(uintptr_t)one}};
    return _cmocka_run_group_tests(program, group, 1, NULL, NULL) == 0 ? 0 : 1;
}

/* ---- in the process that watches ---- */

struct watched {
    const struct harness_test *test;
    char mark[64];
    char folder[4096];
    FILE *output;
    struct names *shm;
    pid_t pid;
    int status;
    bool hung;
};

static void begin(struct watched *run, const struct harness_test *one)
{
    static unsigned number;
    const char *base = getenv("TMPDIR");
    *run = (struct watched){.test = one, .output = tmpfile(), .shm = names_in("/dev/shm")};
    assert_non_null(run->output);
    snprintf(run->mark, sizeof run->mark, MARK "=%ld-%u", (long)getpid(), ++number);
    snprintf(run->folder, sizeof run->folder, "%s/tandem-test-XXXXXX", base != NULL && *base != 0 ? base : "/tmp");
    assert_non_null(mkdtemp(run->folder));
}

static void start(struct watched *run)
{
    fflush(NULL);
    run->pid = fork();
    assert_true(run->pid >= 0);
    if (run->pid != 0) return;
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* who is killed while watching takes the test along */
#endif
    dup2(fileno(run->output), STDOUT_FILENO);
    dup2(fileno(run->output), STDERR_FILENO);
    close(fileno(run->output));
    setenv("TANDEM_TEST", run->test->name, 1);
    setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failed assertion ends the process there: its tasks may be on its stack */
    setenv("TMPDIR", run->folder, 1);
    putenv(run->mark);
    execlp(program, program, (char *)NULL);
    perror(program);
    _exit(127);
}

/* Reaps whatever ends here; true if it was the test. */
static bool reap(struct watched *run)
{
    int status;
    pid_t pid;
    bool ended = false;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != run->pid) continue;
        run->status = status;
        ended = true;
    }
    return ended;
}

static void wait_for_end(struct watched *run)
{
    const int64_t limit = 2 * patience_ms();
    const int64_t begun = now_ms();
    while (!reap(run)) {
        if (!run->hung && now_ms() - begun > limit) {
            run->hung = true;
            fprintf(stderr, "%s did not end within %lld s; its processes now:\n", run->test->name, (long long)limit / 1000);
            print_marked(stderr, run->mark);
            kill_marked(run->mark);
        }
        moment();
    }
    while (kill_marked(run->mark) != 0) moment();
    reap(run);
}

/* What a sanitizer or valgrind says about any of the test's processes: one of them may end well all the same. */
static bool complains(const char *line)
{
    static const char *const complaints[] = {
        "Sanitizer: ", "Sanitizer:DEADLYSIGNAL", "runtime error: ", "Invalid read", "Invalid write", "uninitialised value"};
    for (size_t i = 0; i < count_of(complaints); i++)
        if (strstr(line, complaints[i]) != NULL) return true;
    return false;
}

static bool scan_output(struct watched *run, bool print)
{
    char line[1024];
    bool complaint = false;
    rewind(run->output);
    while (fgets(line, sizeof line, run->output) != NULL) {
        complaint = complaint || complains(line);
        if (print) fprintf(stderr, "  | %s%s", line, strchr(line, '\n') != NULL ? "" : "\n");
    }
    return complaint;
}

/* Files in the test's folder and names in /dev/shm that were not there before. */
static bool left_files(struct watched *run)
{
    struct names *files = names_in(run->folder);
    bool left = names_print(stderr, run->folder, files, NULL);
    names_unlink(run->folder, files);
    names_free(files);
    rmdir(run->folder);
    const int64_t begun = now_ms();
    for (;;) { /* a program beside us may have a name there for a moment */
        struct names *shm = names_in("/dev/shm");
        bool last = now_ms() - begun > 5000;
        bool more = names_print(last ? stderr : NULL, "/dev/shm", shm, run->shm);
        names_free(shm);
        if (!more || last) return left || more;
        moment();
    }
}

static void judge(struct watched *run)
{
    bool ended_well = WIFEXITED(run->status) && WEXITSTATUS(run->status) == 0;
    bool skipped = WIFEXITED(run->status) && WEXITSTATUS(run->status) == EXIT_SKIPPED;
    bool left = left_files(run);
    bool complaint = scan_output(run, false);
    bool bad = run->hung || left || complaint || !(ended_well || skipped);
    if (bad || skipped || getenv("TANDEM_TEST_VERBOSE") != NULL) scan_output(run, true);
    fclose(run->output);
    names_free(run->shm);
    if (skipped && !bad) skip();
    if (!bad) return;
    if (run->hung) fail_msg("%s hung", run->test->name);
    if (WIFSIGNALED(run->status) && WTERMSIG(run->status) != SIGABRT)
        fail_msg("%s was killed by signal %d", run->test->name, WTERMSIG(run->status));
    if (left) fail_msg("%s left files behind", run->test->name);
    if (complaint) fail_msg("%s: see the report above", run->test->name);
    fail_msg("%s failed", run->test->name);
}

static void watch(void **state)
{
    struct watched run;
    begin(&run, *state);
    start(&run);
    wait_for_end(&run);
    judge(&run);
}

static int watch_all(const struct harness_test *tests, size_t count)
{
    struct CMUnitTest *group = calloc(count, sizeof *group);
    if (group == NULL) return 1;
    for (size_t i = 0; i < count; i++) {
        group[i].name = tests[i].name;
        group[i].test_func = watch;
        group[i].initial_state = (void *)(uintptr_t)&tests[i];
    }
#ifdef __linux__
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* what a broken test orphans comes here, to be found and reaped */
#endif
    const char *name = strrchr(program, '/');
    int failed = _cmocka_run_group_tests(name != NULL ? name + 1 : program, group, count, NULL, NULL);
    free(group);
    return failed == 0 ? 0 : 1;
}

/* ThreadSanitizer has a process that has several threads sleep for a second before it ends: as long as a worker may take to begin a task. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "atexit_sleep_ms=0"; }

int harness_main(int argc, char **argv, const struct harness_test *tests, size_t count)
{
    program = argv[0];
    const char *only = getenv("TANDEM_TEST");
    if (only == NULL) {
        if (argc > 1) cmocka_set_test_filter(argv[1]);
        return watch_all(tests, count);
    }
#ifdef __linux__
    if (is_alone()) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* the guards are orphans, and would be nobody's to be found */
#endif
    for (size_t i = 0; i < count; i++)
        if (strcmp(tests[i].name, only) == 0) return run_one(&tests[i]);
    fprintf(stderr, "%s: no test is called %s\n", program, only);
    return 2;
}
