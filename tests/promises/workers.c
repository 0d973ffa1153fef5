/* workers.c - how workers begin and end: on_worker_start and stop, argument, data, names, how many are ready, how long idle. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What start and stop saw, in memory that all share. */
struct log {
    atomic_int starts, stops, wrong;
};

static struct log *records;
static void *hosts_argument;
static int expected_where;
static pid_t host_pid;

static void begin_log(int isolation)
{
    records = shared(sizeof *records);
    expected_where = isolation;
    host_pid = getpid();
}

/* The worker's data is a number of its own, found again by its tasks and by stop. */
static int start(void **worker_data, void *argument)
{
    bool thread = getpid() == host_pid;
    int number = atomic_fetch_add(&records->starts, 1) + 1;
    if (thread != (expected_where == TANDEM_THREAD)) atomic_fetch_add(&records->wrong, 1);
    if (argument == NULL || strcmp(argument, "argument") != 0) atomic_fetch_add(&records->wrong, 1);
    if (thread != (argument == hosts_argument)) atomic_fetch_add(&records->wrong, 1);
    int *data = malloc(sizeof *data);
    if (data == NULL) return ENOMEM;
    *data = number;
    *worker_data = data;
    return 0;
}

static void stop(void *worker_data, void *argument)
{
    int *data = worker_data;
    if (argument == NULL || strcmp(argument, "argument") != 0) atomic_fetch_add(&records->wrong, 1);
    if (*data < 1 || *data > atomic_load(&records->starts)) atomic_fetch_add(&records->wrong, 1);
    free(data);
    atomic_fetch_add(&records->stops, 1);
}

static tandem_options with_start(char *argument, size_t size)
{
    hosts_argument = argument;
    return (tandem_options){.on_worker_start = start, .on_worker_stop = stop, .argument = argument, .argument_size = size};
}

static int data_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    memcpy(&gate, input, size);
    int *data = tandem_worker_data(context);
    if (data == NULL) return __LINE__;
    atomic_fetch_add(&gate->entered, 1);
    if (!await(&gate->opened, 1)) return __LINE__;
    return tandem_reply(context, data, sizeof *data);
}

/* ---- start and stop ---- */

static void every_worker_starts_and_stops_with_its_data(int isolation)
{
    enum { WORKERS = 3 };
    tandem_task tasks[WORKERS];
    char argument[] = "argument";
    bool found[WORKERS + 1] = {false};
    struct gate *gate = shared(sizeof *gate);
    begin_log(isolation);
    tandem_options options = with_start(argument, sizeof argument);
    tandem_pool *pool = pool_of(isolation, WORKERS, &options);
    if (isolation == TANDEM_THREAD)
        assert_int_equal(atomic_load(&records->starts), 1); /* the others begin when there is something for them */
    else
        strcpy(argument, "changed"); /* workers that start later still get what it was */
    for (int i = 0; i < WORKERS; i++) {
        tasks[i] = task_of(isolation, data_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&gate->entered, WORKERS));
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < WORKERS; i++) {
        int number;
        expect_end(&tasks[i], TANDEM_OK);
        memcpy(&number, tasks[i].output, sizeof number);
        assert_in_range(number, 1, WORKERS);
        assert_false(found[number]);
        found[number] = true;
        tandem_task_clear(&tasks[i]);
    }
    end_pool(pool);
    assert_int_equal(atomic_load(&records->starts), WORKERS);
    assert_int_equal(atomic_load(&records->stops), WORKERS);
    assert_int_equal(atomic_load(&records->wrong), 0);
}

static int null_argument_start(void **worker_data, void *argument)
{
    (void)worker_data;
    return argument == NULL ? 0 : EINVAL;
}

static int no_data_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    return tandem_worker_data(context) == NULL ? 0 : __LINE__;
}

static void without_a_size_processes_get_no_argument(void)
{
    int argument = 0;
    tandem_options options = {.on_worker_start = null_argument_start, .argument = &argument};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task task = task_of(TANDEM_PROCESS, no_data_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

static int same_thread_task(tandem_context *context, void *input, size_t size)
{
    pthread_t caller;
    memcpy(&caller, input, size);
    (void)context;
    return pthread_equal(caller, pthread_self()) ? 1 : 0;
}

static void with_on_worker_start_no_task_runs_on_a_waiter(void)
{
    char argument[] = "argument";
    begin_log(TANDEM_THREAD);
    tandem_options options = with_start(argument, 0);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, &options);
    pthread_t caller = pthread_self();
    for (int i = 0; i < 200; i++) {
        tandem_task task = task_of(TANDEM_THREAD, same_thread_task, &caller, sizeof caller);
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static void a_worker_that_is_killed_does_not_stop_in_peace(void)
{
    char argument[] = "argument";
    struct gate *gate = shared(sizeof *gate);
    begin_log(TANDEM_PROCESS);
    tandem_options options = with_start(argument, sizeof argument);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task task = task_of(TANDEM_PROCESS, spin_task, &gate, sizeof gate);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    end_pool(pool);
    assert_int_equal(tandem_wait(&task), TANDEM_CANCELLED);
    assert_int_equal(atomic_load(&records->stops), 0);
    tandem_task_clear(&task);
}

static void hang_in_stop(void *worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    for (;;) pause();
}

static void a_worker_that_does_not_stop_is_killed(void)
{
    tandem_options options = {.on_worker_stop = hang_in_stop, .start_timeout_ms = 100};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, &options);
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    int64_t begun = now_ms();
    end_pool(pool);
    assert_in_range(now_ms() - begun, 0, allowed_ms(200));
    tandem_task_clear(&task);
}

/* ---- how many, how long ---- */

static void run_at_once(tandem_pool *pool, struct gate *gate, int count)
{
    tandem_task tasks[8];
    *gate = (struct gate){0};
    for (int i = 0; i < count; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&gate->entered, count));
    assert_int_equal(stats_of(pool).processes, count);
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < count; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
}

static void idle_workers_end_but_for_those_kept_ready(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_options options = {.processes_ready = 2, .idle_ms = 50};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 4, &options);
    wait_until(stats_of(pool).processes == 2); /* without any task */
    for (int round = 0; round < 3; round++) {
        run_at_once(pool, gate, 4);
        wait_until(stats_of(pool).processes == 2);
    }
    assert_int_equal(stats_of(pool).workers_started, 2 + 3 * 2);
    assert_int_equal(stats_of(pool).workers_crashed, 0);
    for (int i = 0; i < 100; i++) moment(); /* twice their idle time: those two stay */
    assert_int_equal(stats_of(pool).processes, 2);
    end_pool(pool);
}

static void a_pool_that_was_idle_starts_workers_again(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_options options = {.idle_ms = 20};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, &options);
    assert_int_equal(stats_of(pool).processes, 0);
    for (int round = 0; round < 3; round++) {
        run_at_once(pool, gate, 2);
        wait_until(stats_of(pool).processes == 0);
    }
    end_pool(pool);
}

/* A worker that was kept and dies is replaced without a task that asks for it. */
static void a_ready_worker_that_dies_is_replaced(void)
{
    tandem_options options = {.processes_ready = 1};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_int_equal(kill(task.report->pid, SIGKILL), 0);
    wait_until(stats_of(pool).workers_crashed == 1 && stats_of(pool).processes == 1);
    assert_int_equal(stats_of(pool).workers_started, 2);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- names and stacks ---- */

static int name_task(tandem_context *context, void *input, size_t size)
{
    char path[64], name[64] = "";
    (void)input, (void)size;
    snprintf(path, sizeof path, "/proc/thread-self/comm");
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(name, sizeof name, file) == NULL) return __LINE__;
    fclose(file);
    name[strcspn(name, "\n")] = 0;
    return tandem_reply(context, name, strlen(name));
}

static void workers_bear_the_name_of_their_pool(int isolation)
{
    skip_on_portable("POSIX has no call to name a thread or a process");
    tandem_options options = {.name = "a name that is too long"};
    tandem_pool *pool = pool_of(isolation, 1, &options);
    tandem_task task = task_of(isolation, name_task, NULL, 0);
    task.flags = TANDEM_NO_HELP;
    for (int i = 0; i < 2; i++) {
        if (i == 1) task.flags |= TANDEM_DEDICATED;
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        assert_string_equal(task.output, "a name that is ");
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* 0, or the first that is not blocked. */
static int first_open_signal(void)
{
    static const int all[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGALRM, SIGTERM, SIGCHLD,
                              SIGPIPE, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT, SIGSEGV};
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    for (size_t i = 0; i < count_of(all); i++)
        if (!sigismember(&blocked, all[i])) return all[i];
    return 0;
}

static int open_signal_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    return first_open_signal();
}

static int end_thread_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    pthread_exit(NULL);
}

static void note_open_signal(tandem_task *task) { atomic_store((atomic_int *)task->user_data, first_open_signal()); }

static void all_signals_are_blocked_in_threads_of_the_library(void)
{
    atomic_int in_callback = -1;
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task task = task_of(TANDEM_THREAD, open_signal_task, NULL, 0), ending = task_of(TANDEM_THREAD, end_thread_task, NULL, 0);
    task.on_done = note_open_signal;
    task.user_data = &in_callback;
    ending.flags = TANDEM_NO_HELP;
    for (int i = 0; i < 3; i++) { /* a usual thread, a dedicated one, one that has taken the place of another */
        task.flags = i == 1 ? TANDEM_NO_HELP | TANDEM_DEDICATED : TANDEM_NO_HELP;
        if (i == 2) assert_int_equal(tandem_call(pool, &ending), TANDEM_CRASHED);
        atomic_store(&in_callback, -1);
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        wait_until(atomic_load(&in_callback) != -1);
        assert_int_equal(atomic_load(&in_callback), 0);
        wait_until(tandem_task_clear(&task) == 0);
    }
    tandem_task_clear(&ending);
    end_pool(pool);
}

static int deep_task(tandem_context *context, void *input, size_t size)
{
    volatile char floor[3 << 20];
    (void)context, (void)input, (void)size;
    for (size_t i = 0; i < sizeof floor; i += 4096) floor[i] = 1;
    return floor[4096] - 1;
}

static void threads_have_the_stack_they_were_promised(void)
{
    tandem_options options = {.stack_size = 4 << 20};
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, &options);
    tandem_task task = task_of(TANDEM_THREAD, deep_task, NULL, 0);
    task.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
    options.stack_size = 1; /* raised to the system's least */
    pool = pool_of(TANDEM_THREAD, 1, &options);
    task.run = nothing_task;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(every_worker_starts_and_stops_with_its_data),
        test(without_a_size_processes_get_no_argument),
        test(with_on_worker_start_no_task_runs_on_a_waiter),
        test(a_worker_that_is_killed_does_not_stop_in_peace),
        test(a_worker_that_does_not_stop_is_killed),
        test(idle_workers_end_but_for_those_kept_ready),
        test(a_pool_that_was_idle_starts_workers_again),
        test(a_ready_worker_that_dies_is_replaced),
        both(workers_bear_the_name_of_their_pool),
        test(threads_have_the_stack_they_were_promised),
        test(all_signals_are_blocked_in_threads_of_the_library),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
