/* dump.c - a pool writes down what each of its workers is doing, for a person, at any time, to any descriptor. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a dump wrote: lines, each with its end, and no 0 byte. */
static char *dump_of(tandem_pool *pool)
{
    FILE *file = tmpfile();
    struct stat stat;
    assert_non_null(file);
    assert_int_equal(tandem_pool_dump(pool, fileno(file)), 0);
    assert_int_equal(fstat(fileno(file), &stat), 0);
    assert_in_range(stat.st_size, 1, 1 << 20);
    char *text = calloc(1, (size_t)stat.st_size + 1);
    assert_non_null(text);
    assert_int_equal(pread(fileno(file), text, (size_t)stat.st_size, 0), stat.st_size);
    fclose(file);
    assert_int_equal(strlen(text), stat.st_size);
    assert_int_equal(text[strlen(text) - 1], '\n');
    return text;
}

/* The line that holds this number as a word of its own, or NULL. */
static char *line_with(const char *text, pid_t number)
{
    char word[32];
    int length = snprintf(word, sizeof word, "%ld", (long)number);
    for (const char *at = text; (at = strstr(at, word)) != NULL; at += length) {
        bool begins = at == text || strchr("0123456789.", at[-1]) == NULL;
        bool ends = strchr("0123456789.", at[length]) == NULL || at[length] == 0;
        if (!begins || !ends) continue;
        const char *from = at;
        while (from > text && from[-1] != '\n') from--;
        return strndup(from, strcspn(from, "\n"));
    }
    return NULL;
}

static void begin_named(tandem_pool *pool, tandem_task *task, struct gate **gate, const char *name)
{
    int before = atomic_load(&(*gate)->entered);
    *task = task_of(TANDEM_PROCESS, gate_task, gate, sizeof *gate);
    task->name = name;
    assert_int_equal(tandem_submit(pool, task), 0);
    assert_true(await(&(*gate)->entered, before + 1));
}

/* ---- what it says ---- */

static void a_dump_tells_which_worker_runs_which_task(void)
{
    static const char *const names[] = {"decode a picture", "draw a map", "count the words"};
    enum { TASKS = 3 };
    tandem_task tasks[TASKS];
    pid_t pids[TASKS];
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, TASKS, NULL);
    for (int i = 0; i < TASKS; i++) {
        begin_named(pool, &tasks[i], &gate, names[i]);
        pids[i] = (pid_t)atomic_load(&gate->pid);
    }
    char *busy = dump_of(pool);
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < TASKS; i++) {
        char *line = line_with(busy, pids[i]);
        if (line == NULL) fail_msg("no line for pid %ld in:\n%s", (long)pids[i], busy);
        for (int k = 0; k < TASKS; k++)
            if ((strstr(line, names[k]) != NULL) != (i == k)) fail_msg("pid %ld runs %s, not: %s", (long)pids[i], names[i], line);
        free(line);
        expect_end(&tasks[i], TANDEM_OK);
    }
    char *idle = dump_of(pool);
    for (int i = 0; i < TASKS; i++) {
        char *line = line_with(idle, pids[i]);
        if (line == NULL) fail_msg("no line for pid %ld in:\n%s", (long)pids[i], idle);
        assert_null(strstr(idle, names[i])); /* it has ended */
        char *before = line_with(busy, pids[i]);
        assert_string_not_equal(before, line); /* and its worker does something else: nothing */
        free(before);
        free(line);
        tandem_task_clear(&tasks[i]);
    }
    free(busy);
    free(idle);
    end_pool(pool);
}

static void a_dump_shows_dedicated_processes_too(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task usual, own;
    begin_named(pool, &usual, &gate, "usual work");
    pid_t usual_pid = (pid_t)atomic_load(&gate->pid);
    own = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
    own.name = "work alone";
    own.flags = TANDEM_DEDICATED;
    assert_int_equal(tandem_submit(pool, &own), 0);
    assert_true(await(&gate->entered, 2));
    char *text = dump_of(pool);
    char *first = line_with(text, usual_pid), *second = line_with(text, (pid_t)atomic_load(&gate->pid));
    atomic_store(&gate->opened, 1);
    assert_non_null(first);
    assert_non_null(second);
    assert_non_null(strstr(first, "usual work"));
    assert_non_null(strstr(second, "work alone"));
    free(first);
    free(second);
    free(text);
    expect_end(&usual, TANDEM_OK);
    expect_end(&own, TANDEM_OK);
    tandem_task_clear(&usual);
    tandem_task_clear(&own);
    end_pool(pool);
}

/* A number that nothing else in the table can be. */
static void a_dump_tells_the_pools_counters(void)
{
    enum { TASKS = 4321 };
    tandem_pool *pool = pool_of_both(1, 1);
    tandem_task task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    for (int i = 0; i < TASKS; i++) assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    char *text = dump_of(pool);
    char *line = line_with(text, TASKS);
    if (line == NULL) fail_msg("%d is not in:\n%s", TASKS, text);
    free(line);
    free(text);
    end_pool(pool);
}

static void a_pool_with_nothing_to_tell_has_a_dump(void)
{
    tandem_pool *threads = pool_of(TANDEM_THREAD, 2, NULL), *processes = pool_of(TANDEM_PROCESS, 2, NULL);
    tandem_pool *both = pool_of_both(1, 1);
    free(dump_of(threads));
    free(dump_of(processes));
    free(dump_of(both));
    assert_int_equal(tandem_pool_drain(both, -1), 0);
    free(dump_of(both)); /* closed, and still to be looked at */
    end_pool(threads);
    end_pool(processes);
    end_pool(both);
}

static void a_dump_takes_any_name(void)
{
    static char long_name[5000];
    const char *const names[] = {"%s%n%d", "", long_name, NULL};
    struct gate *gate = shared(sizeof *gate);
    memset(long_name, 'n', sizeof long_name - 1);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (size_t i = 0; i < count_of(names); i++) {
        tandem_task task;
        atomic_store(&gate->opened, 0);
        begin_named(pool, &task, &gate, names[i]);
        char *text = dump_of(pool);
        char *line = line_with(text, (pid_t)atomic_load(&gate->pid));
        assert_non_null(line);
        if (i == 0) assert_non_null(strstr(line, "%s%n%d"));
        free(line);
        free(text);
        atomic_store(&gate->opened, 1);
        expect_end(&task, TANDEM_OK);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* ---- where it goes ---- */

static int dump_to(tandem_pool *pool, int fd)
{
    errno = EXDEV;
    int result = tandem_pool_dump(pool, fd);
    assert_int_equal(errno, EXDEV); /* the library never changes it */
    return result;
}

static void a_dump_that_cannot_be_written_says_why(void)
{
    int pipes[2];
    tandem_pool *pool = pool_of_both(1, 1);
    assert_int_equal(dump_to(NULL, 1), -EINVAL);
    assert_int_equal(dump_to(pool, -1), -EBADF);
    int closed = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(closed >= 0);
    close(closed);
    assert_int_equal(dump_to(pool, closed), -EBADF);
    int unwritable = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(dump_to(pool, unwritable), -EBADF);
    close(unwritable);
    assert_int_equal(pipe(pipes), 0);
    close(pipes[0]);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(dump_to(pool, pipes[1]), -EPIPE);
    signal(SIGPIPE, SIG_DFL);
    close(pipes[1]);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (full >= 0) assert_int_equal(dump_to(pool, full), -ENOSPC);
    if (full >= 0) close(full);
    end_pool(pool);
}

static void *read_slowly(void *argument)
{
    int fd = *(int *)argument;
    char byte;
    size_t count = 0, ends = 0;
    while (read(fd, &byte, 1) == 1) {
        count++;
        ends = byte == '\n' ? ends + 1 : 0;
        if (count % 512 == 0) moment();
    }
    return (void *)(uintptr_t)(ends > 0 ? count : 0); /* the last byte was an end of a line */
}

/* A pipe that holds less than the table: the call waits for its reader, and no worker waits for the call. */
static void a_dump_to_a_pipe_that_is_read_slowly_is_whole(void)
{
    enum { TASKS = 12 };
    static tandem_task tasks[TASKS];
    static char long_name[2000];
    int pipes[2];
    pthread_t reader;
    void *count;
    struct gate *gate = shared(sizeof *gate);
    memset(long_name, 'n', sizeof long_name - 1);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, TASKS, NULL);
    for (int i = 0; i < TASKS; i++) begin_named(pool, &tasks[i], &gate, long_name);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
#ifdef F_SETPIPE_SZ
    fcntl(pipes[1], F_SETPIPE_SZ, 4096);
#endif
    assert_int_equal(pthread_create(&reader, NULL, read_slowly, &pipes[0]), 0);
    assert_int_equal(tandem_pool_dump(pool, pipes[1]), 0);
    close(pipes[1]);
    assert_int_equal(pthread_join(reader, &count), 0);
    close(pipes[0]);
    assert_true((uintptr_t)count > TASKS * 10);
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    end_pool(pool);
}

/* ---- while everything moves ---- */

static struct {
    tandem_pool *pool;
    int fd;
    atomic_int over, dumps, bad;
} watch;

static void *dump_again_and_again(void *argument)
{
    (void)argument;
    while (!atomic_load(&watch.over)) {
        if (tandem_pool_dump(watch.pool, watch.fd) != 0) atomic_fetch_add(&watch.bad, 1);
        atomic_fetch_add(&watch.dumps, 1);
    }
    return NULL;
}

static int turbulent_task(tandem_context *context, void *input, size_t size)
{
    int number;
    char *name;
    memcpy(&number, input, sizeof number);
    (void)context, (void)size;
    if (number % 10 == 3) raise(SIGKILL);
    name = malloc((size_t)number % 100 + 1);
    free(name);
    return 0;
}

/* Names come and go with their tasks; workers die and are replaced. */
static void a_dump_can_be_taken_while_everything_moves(void)
{
    pthread_t watcher;
    size_t rounds = scaled(20000);
    tandem_options options = {.tasks_per_worker = 20};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, &options);
    watch.pool = pool;
    watch.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(watch.fd >= 0);
    assert_int_equal(pthread_create(&watcher, NULL, dump_again_and_again, NULL), 0);
    for (size_t i = 0; i < rounds || atomic_load(&watch.dumps) < 20; i++) {
        int numbers[4];
        tandem_task tasks[4];
        char *names[4];
        for (size_t k = 0; k < 4; k++) {
            numbers[k] = (int)(i * 4 + k);
            names[k] = malloc(32);
            assert_non_null(names[k]);
            snprintf(names[k], 32, "task %d", numbers[k]);
            tasks[k] = task_of(TANDEM_PROCESS, turbulent_task, &numbers[k], sizeof numbers[k]);
            tasks[k].name = names[k];
            assert_int_equal(tandem_submit(pool, &tasks[k]), 0);
        }
        for (size_t k = 0; k < 4; k++) {
            expect_end(&tasks[k], numbers[k] % 10 == 3 ? TANDEM_CRASHED : TANDEM_OK);
            tandem_task_clear(&tasks[k]);
            memset(names[k], '#', 31); /* who still reads it shall be seen */
            free(names[k]);
        }
    }
    atomic_store(&watch.over, 1);
    assert_int_equal(pthread_join(watcher, NULL), 0);
    assert_int_equal(atomic_load(&watch.bad), 0);
    close(watch.fd);
    end_pool(pool);
}

static atomic_int dumped;

static void dump_when_done(tandem_task *task)
{
    (void)task;
    if (tandem_pool_dump(watch.pool, watch.fd) == 0) atomic_fetch_add(&dumped, 1);
}

static int dump_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    return tandem_pool_dump(watch.pool, watch.fd);
}

static void a_dump_can_be_taken_inside_tasks_and_callbacks(void)
{
    tandem_pool *pool = pool_of_both(1, 1);
    watch.pool = pool;
    watch.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    tandem_task here = task_of(TANDEM_THREAD, dump_task, NULL, 0), there = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    here.on_done = there.on_done = dump_when_done;
    assert_int_equal(tandem_submit(pool, &here), 0);
    assert_int_equal(tandem_submit(pool, &there), 0);
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    assert_int_equal(here.status, TANDEM_OK);
    assert_int_equal(there.status, TANDEM_OK);
    assert_int_equal(atomic_load(&dumped), 2);
    tandem_task_clear(&here);
    tandem_task_clear(&there);
    close(watch.fd);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_dump_tells_which_worker_runs_which_task),
        test(a_dump_shows_dedicated_processes_too),
        test(a_dump_tells_the_pools_counters),
        test(a_pool_with_nothing_to_tell_has_a_dump),
        test(a_dump_takes_any_name),
        test(a_dump_that_cannot_be_written_says_why),
        test(a_dump_to_a_pipe_that_is_read_slowly_is_whole),
        test(a_dump_can_be_taken_while_everything_moves),
        test(a_dump_can_be_taken_inside_tasks_and_callbacks),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
