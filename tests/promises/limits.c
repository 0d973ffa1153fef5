/* limits.c - what a task may use of its process: processor time, files, reply, descriptors; that task, and no other. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

/* What a task saw, in memory that all share: one that is killed replies nothing. */
static struct {
    atomic_int count;  /* of descriptors opened */
    atomic_int result; /* of a call */
    atomic_int turns;
    atomic_int released; /* replies */
} * seen;

/* Everything here is set before the first pool, so that workers have it. */
static tandem_pool *begin(const tandem_options *more)
{
    seen = shared(sizeof *seen);
    return pool_of(TANDEM_PROCESS, 1, more);
}

/* The task ends so, and the report names this limit, or none; the pid of its worker. */
static pid_t expect_limited_end(tandem_task *task, int status, const char *limit)
{
    char line[512];
    expect_end(task, status);
    pid_t pid = task->report->pid;
    if (limit == NULL) {
        assert_null(task->report->limit);
    } else {
        assert_non_null(task->report->limit);
        assert_string_equal(task->report->limit, limit);
        assert_true(tandem_describe(task, line, sizeof line) > 0);
        if (strstr(line, limit) == NULL) fail_msg("\"%s\" does not name %s", line, limit);
        assert_null(task->output);
        assert_int_equal(task->output_size, 0);
    }
    tandem_task_clear(task);
    return pid;
}

static pid_t run(tandem_pool *pool, tandem_fn *function, int number, const tandem_limits *limits, int status, const char *limit)
{
    tandem_task task = task_of(TANDEM_PROCESS, function, &number, sizeof number);
    task.limits = limits;
    assert_int_equal(tandem_submit(pool, &task), 0);
    return expect_limited_end(&task, status, limit);
}

static int number_in(const void *input)
{
    int number;
    memcpy(&number, input, sizeof number);
    return number;
}

/* ---- processor time ---- */

static int64_t own_cpu_ms(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

static int burn_task(tandem_context *context, void *input, size_t size)
{
    int64_t until = own_cpu_ms() + number_in(input);
    (void)context, (void)size;
    while (own_cpu_ms() < until) continue;
    return 0;
}

static _Noreturn void loop(void)
{
    for (;;) atomic_fetch_add(&seen->turns, 1);
}

static int loop_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    loop();
}

static int deaf_loop_task(tandem_context *context, void *input, size_t size)
{
    sigset_t all;
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 1; i <= 64; i++) sigaction(i, &action, NULL);
    (void)context, (void)input, (void)size;
    loop();
}

static void *loop_thread(void *argument)
{
    (void)argument;
    loop();
}

static int loop_beside_task(tandem_context *context, void *input, size_t size)
{
    pthread_t thread;
    (void)context, (void)size;
    if (pthread_create(&thread, NULL, loop_thread, input) != 0) return __LINE__;
    return pthread_join(thread, NULL);
}

static void expect_cpu_limit(tandem_fn *function)
{
    enum { LIMIT = 200 };
    tandem_pool *pool = begin(NULL);
    tandem_limits limits = {.cpu_ms = LIMIT};
    for (int i = 0; i < 2; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, function, NULL, 0);
        task.limits = &limits;
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OVER_LIMIT);
        pid_t pid = task.report->pid;
        uint64_t used = (task.report->cpu_user_ns + task.report->cpu_system_ns) / 1000000;
        if (used != 0) assert_in_range(used, LIMIT - 20, LIMIT + allowed_ms(200));
        assert_int_not_equal(task.signal, 0);
        expect_limited_end(&task, TANDEM_OVER_LIMIT, "cpu_ms");
        wait_until(!process_lives(pid));
        int turns = atomic_load(&seen->turns);
        moment();
        assert_int_equal(atomic_load(&seen->turns), turns);
        run(pool, burn_task, 1, NULL, TANDEM_OK, NULL);
    }
    assert_int_equal(stats_of(pool).ended[TANDEM_OVER_LIMIT], 2);
    end_pool(pool);
}

static void an_endless_loop_ends_by_its_processor_time(void) { expect_cpu_limit(loop_task); }

static void no_task_is_deaf_to_its_processor_time(void)
{
    skip_on_portable("POSIX has no look at another process's clock; its own timer ends a process by a signal");
    expect_cpu_limit(deaf_loop_task);
}

static void processor_time_is_that_of_the_whole_process(void) { expect_cpu_limit(loop_beside_task); }

static int wait_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)size;
    poll(NULL, 0, number_in(input));
    return 0;
}

static void waiting_takes_no_processor_time(void)
{
    tandem_pool *pool = begin(NULL);
    tandem_limits limits = {.cpu_ms = 200};
    run(pool, wait_task, 700, &limits, TANDEM_OK, NULL);
    end_pool(pool);
}

/* Together they take more than each may. */
static void the_next_task_has_its_own_processor_time(void)
{
    tandem_pool *pool = begin(NULL);
    tandem_limits limits = {.cpu_ms = (uint64_t)(300 * slowness())};
    pid_t pid = run(pool, burn_task, 150, &limits, TANDEM_OK, NULL);
    for (int i = 0; i < 4; i++) assert_int_equal(run(pool, burn_task, 150, &limits, TANDEM_OK, NULL), pid);
    assert_int_equal(run(pool, burn_task, 400 * slowness(), NULL, TANDEM_OK, NULL), pid);
    end_pool(pool);
}

/* A limit that is reached about when the task ends is that task's, or nobody's. */
static void no_task_is_ended_for_the_processor_time_of_the_one_before(void)
{
    tandem_pool *pool = begin(NULL);
    tandem_limits limits = {.cpu_ms = 2};
    size_t rounds = scaled(5000);
    for (size_t i = 0; i < rounds; i++) {
        tandem_task tight = task_of(TANDEM_PROCESS, burn_task, &(int){1 + (int)(i % 3)}, sizeof(int));
        tandem_task next = task_of(TANDEM_PROCESS, burn_task, &(int){3}, sizeof(int));
        tight.limits = &limits;
        assert_int_equal(tandem_submit(pool, &tight), 0);
        assert_int_equal(tandem_submit(pool, &next), 0);
        int status = tandem_wait(&tight);
        assert_true(status == TANDEM_OK || status == TANDEM_OVER_LIMIT);
        expect_limited_end(&tight, status, status == TANDEM_OK ? NULL : "cpu_ms");
        expect_limited_end(&next, TANDEM_OK, NULL);
    }
    end_pool(pool);
}

/* ---- files ---- */

enum { FILE_LIMIT = 1 << 16 };

static char path[4096];

static void choose_path(void)
{
    const char *folder = getenv("TMPDIR");
    assert_non_null(folder);
    assert_in_range(snprintf(path, sizeof path, "%s/written", folder), 1, sizeof path - 1);
}

static int write_task(tandem_context *context, void *input, size_t size)
{
    static const char block[1024];
    (void)context, (void)size;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return __LINE__;
    for (ssize_t left = number_in(input); left > 0;) {
        ssize_t written = write(fd, block, left < (ssize_t)sizeof block ? (size_t)left : sizeof block);
        if (written < 0) return errno;
        left -= written;
    }
    return close(fd);
}

static off_t size_written(void)
{
    struct stat stat_now;
    assert_int_equal(stat(path, &stat_now), 0);
    return stat_now.st_size;
}

static void a_task_that_writes_too_large_a_file_is_killed(void)
{
    choose_path();
    tandem_pool *pool = begin(NULL);
    tandem_limits limits = {.file_size = FILE_LIMIT};
    pid_t pid = run(pool, write_task, FILE_LIMIT, &limits, TANDEM_OK, NULL);
    assert_int_equal(size_written(), FILE_LIMIT);
    assert_int_equal(run(pool, write_task, 4 * FILE_LIMIT, NULL, TANDEM_OK, NULL), pid); /* the next may */
    assert_int_equal(size_written(), 4 * FILE_LIMIT);

    tandem_task task = task_of(TANDEM_PROCESS, write_task, &(int){FILE_LIMIT + 1}, sizeof(int));
    task.limits = &limits;
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OVER_LIMIT);
    assert_int_equal(task.signal, SIGXFSZ);
    expect_limited_end(&task, TANDEM_OVER_LIMIT, "file_size");
    assert_int_equal(size_written(), FILE_LIMIT);
    run(pool, write_task, 4 * FILE_LIMIT, NULL, TANDEM_OK, NULL);
    assert_int_equal(size_written(), 4 * FILE_LIMIT);
    unlink(path);
    end_pool(pool);
}

/* The worker begins while the program's own limit is low. */
static void a_limit_does_not_raise_that_of_the_program(void)
{
    struct rlimit usual, low;
    choose_path();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
    low = usual;
    low.rlim_cur = MIB;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    tandem_pool *pool = begin(NULL);
    run(pool, write_task, MIB + 1, NULL, TANDEM_CRASHED, NULL); /* no limit of a task's */
    assert_int_equal(size_written(), MIB);
    tandem_task task = task_of(TANDEM_PROCESS, write_task, &(int){2 * MIB}, sizeof(int));
    task.limits = &(tandem_limits){.file_size = 4 * MIB};
    assert_int_equal(tandem_call(pool, &task) == TANDEM_OK, 0);
    assert_int_equal(task.signal, SIGXFSZ);
    assert_int_equal(size_written(), MIB);
    tandem_task_clear(&task);
    run(pool, write_task, MIB, &(tandem_limits){.file_size = 4 * MIB}, TANDEM_OK, NULL);
    run(pool, write_task, MIB, &(tandem_limits){.file_size = 1024}, TANDEM_OVER_LIMIT, "file_size");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
    unlink(path);
    end_pool(pool);
}

/* ---- descriptors ---- */

static int open_task(tandem_context *context, void *input, size_t size)
{
    enum { MOST = 64 };
    int fds[MOST], count = 0, error = 0;
    (void)context, (void)size;
    while (count < number_in(input) && count < MOST && (fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) count++;
    if (count < number_in(input)) error = errno;
    atomic_store(&seen->count, count);
    for (int i = 0; i < count; i++) close(fds[i]);
    return error;
}

static void a_task_opens_so_many_descriptors_and_no_more(void)
{
    tandem_pool *pool = begin(NULL);
    tandem_limits limits = {.open_files = 8};
    pid_t pid = run(pool, open_task, 5, &limits, TANDEM_OK, NULL); /* beside its three standard streams */
    for (int i = 0; i < 3; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, open_task, &(int){6}, sizeof(int));
        task.limits = &limits;
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_FAILED);
        assert_int_equal(task.code, EMFILE);
        assert_int_equal(atomic_load(&seen->count), 5);
        assert_int_equal(expect_limited_end(&task, TANDEM_FAILED, NULL), pid);
        assert_int_equal(run(pool, open_task, 40, NULL, TANDEM_OK, NULL), pid);
        assert_int_equal(run(pool, open_task, 6, &(tandem_limits){.open_files = 9}, TANDEM_OK, NULL), pid);
    }
    end_pool(pool);
}

/* ---- replies ---- */

struct order {
    int32_t size;  /* of the reply */
    int32_t owned; /* by tandem_reply_owned() */
    int32_t then;  /* of a second one, or -1 */
    int32_t code;  /* to return */
};

static void release(void *data)
{
    atomic_fetch_add(&seen->released, 1);
    free(data);
}

static int reply_owned(tandem_context *context, size_t size)
{
    void *data = calloc(1, size);
    if (data == NULL) return -__LINE__;
    int result = tandem_reply_owned(context, data, size, release);
    if (result != 0) free(data); /* it stayed ours */
    return result;
}

static int reply_task(tandem_context *context, void *input, size_t size)
{
    static const char bytes[MIB];
    struct order order;
    memcpy(&order, input, size);
    size_t first = (size_t)order.size;
    atomic_store(&seen->result, order.owned ? reply_owned(context, first) : tandem_reply(context, bytes, first));
    if (order.then >= 0 && tandem_reply(context, bytes, (size_t)order.then) != 0) return __LINE__;
    return order.code;
}

static void reply_so(tandem_pool *pool, struct order order, const tandem_limits *limits, int result, int status)
{
    tandem_task task = task_of(TANDEM_PROCESS, reply_task, &order, sizeof order);
    task.limits = limits;
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, status);
    assert_int_equal(atomic_load(&seen->result), result);
    if (status != TANDEM_OVER_LIMIT) assert_int_equal(task.output_size, order.then >= 0 ? order.then : order.size);
    expect_limited_end(&task, status, status == TANDEM_OVER_LIMIT ? "output" : NULL);
}

static void a_reply_may_be_as_large_as_its_limit_and_no_larger(void)
{
    tandem_pool *pool = begin(NULL);
    tandem_limits limits = {.output = 1000};
    for (int owned = 0; owned < 2; owned++) {
        reply_so(pool, (struct order){999, owned, -1, 0}, &limits, 0, TANDEM_OK);
        reply_so(pool, (struct order){1000, owned, -1, 0}, &limits, 0, TANDEM_OK);
        reply_so(pool, (struct order){1000, owned, -1, 3}, &limits, 0, TANDEM_FAILED);
        reply_so(pool, (struct order){1001, owned, -1, 0}, &limits, -EMSGSIZE, TANDEM_OVER_LIMIT);
        reply_so(pool, (struct order){MIB, owned, -1, 0}, &limits, -EMSGSIZE, TANDEM_OVER_LIMIT);
        reply_so(pool, (struct order){MIB, owned, -1, 0}, NULL, 0, TANDEM_OK);
    }
    wait_until(atomic_load(&seen->released) >= 4); /* each when it has been sent, the last one perhaps only now */
    assert_int_equal(atomic_load(&seen->released), 4);
    end_pool(pool);
}

static void a_reply_beyond_its_limit_decides_whatever_comes_after(void)
{
    tandem_pool *pool = begin(NULL);
    tandem_limits limits = {.output = 1000};
    reply_so(pool, (struct order){1001, 0, 10, 0}, &limits, -EMSGSIZE, TANDEM_OVER_LIMIT);
    reply_so(pool, (struct order){1001, 0, -1, 3}, &limits, -EMSGSIZE, TANDEM_OVER_LIMIT);
    reply_so(pool, (struct order){1000, 0, 10, 0}, &limits, 0, TANDEM_OK);
    reply_so(pool, (struct order){0, 0, -1, 0}, &limits, 0, TANDEM_OK);
    end_pool(pool);
}

/* ---- whose limits ---- */

static int all_kinds_task(tandem_context *context, void *input, size_t size)
{
    static const char reply[128];
    int error = open_task(context, &(int){6}, sizeof(int));
    (void)input, (void)size;
    atomic_store(&seen->result, tandem_reply(context, reply, sizeof reply));
    return error;
}

static void a_tasks_own_limits_stand_in_place_of_the_pools(void)
{
    tandem_limits own = {.open_files = 8}, none = {0};
    tandem_options options = {.limits = {.output = 100}};
    tandem_pool *pool = begin(&options);
    run(pool, all_kinds_task, 0, NULL, TANDEM_OVER_LIMIT, "output");
    assert_int_equal(atomic_load(&seen->count), 6);
    assert_int_equal(atomic_load(&seen->result), -EMSGSIZE);
    run(pool, all_kinds_task, 0, &own, TANDEM_FAILED, NULL);
    assert_int_equal(atomic_load(&seen->count), 5);
    assert_int_equal(atomic_load(&seen->result), 0);
    run(pool, all_kinds_task, 0, &none, TANDEM_OK, NULL);
    run(pool, all_kinds_task, 0, NULL, TANDEM_OVER_LIMIT, "output");
    end_pool(pool);
}

static void of_several_limits_the_one_that_was_hit_is_named(void)
{
    static const tandem_limits limits = {.cpu_ms = 100, .file_size = 1024, .output = 100, .open_files = 40};
    choose_path();
    tandem_pool *pool = begin(NULL);
    run(pool, loop_task, 0, &limits, TANDEM_OVER_LIMIT, "cpu_ms");
    run(pool, write_task, 2000, &limits, TANDEM_OVER_LIMIT, "file_size");
    run(pool, all_kinds_task, 0, &limits, TANDEM_OVER_LIMIT, "output");
    run(pool, open_task, 5, &limits, TANDEM_OK, NULL);
    unlink(path);
    end_pool(pool);
}

enum { KINDS = 4 };

static void read_own_limits(struct rlimit limits[KINDS])
{
    memset(limits, 0, KINDS * sizeof *limits);
    getrlimit(RLIMIT_AS, &limits[0]);
    getrlimit(RLIMIT_CPU, &limits[1]);
    getrlimit(RLIMIT_FSIZE, &limits[2]);
    getrlimit(RLIMIT_NOFILE, &limits[3]);
}

static void limits_mean_nothing_on_a_thread(void)
{
    struct rlimit before[KINDS], now[KINDS];
    static const tandem_limits tight = {.memory = MIB, .cpu_ms = 1, .file_size = 1, .output = 1, .open_files = 4};
    seen = shared(sizeof *seen);
    read_own_limits(before);
    tandem_options options = {.limits = tight};
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, &options);
    for (int i = 0; i < 2; i++) {
        tandem_task task = task_of(TANDEM_THREAD, all_kinds_task, NULL, 0);
        if (i > 0) task.limits = &tight;
        task.flags = TANDEM_NO_HELP | TANDEM_REPORT;
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        assert_int_equal(task.output_size, 128);
        assert_null(task.report->limit);
        tandem_task_clear(&task);
        task.run = burn_task;
        task.input = &(int){50};
        task.input_size = sizeof(int);
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        tandem_task_clear(&task);
    }
    read_own_limits(now);
    assert_memory_equal(before, now, sizeof now);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(an_endless_loop_ends_by_its_processor_time),
        test(no_task_is_deaf_to_its_processor_time),
        test(processor_time_is_that_of_the_whole_process),
        test(waiting_takes_no_processor_time),
        test(the_next_task_has_its_own_processor_time),
        test(no_task_is_ended_for_the_processor_time_of_the_one_before),
        test(a_task_that_writes_too_large_a_file_is_killed),
        test(a_limit_does_not_raise_that_of_the_program),
        test(a_task_opens_so_many_descriptors_and_no_more),
        test(a_reply_may_be_as_large_as_its_limit_and_no_larger),
        test(a_reply_beyond_its_limit_decides_whatever_comes_after),
        test(a_tasks_own_limits_stand_in_place_of_the_pools),
        test(of_several_limits_the_one_that_was_hit_is_named),
        test(limits_mean_nothing_on_a_thread),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
