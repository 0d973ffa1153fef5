/* scenario.h - what a host does in one run: a bit of everything, and a look at whether all of it was true.
 *
 * Whatever fails meanwhile, a call says so by a negative errno or does its work, and each task that was taken ends once, with a status
 * that fits what its runs have counted in memory that all processes share. */
#ifndef TANDEM_SCENARIO_H
#define TANDEM_SCENARIO_H

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

#include "leftovers.h"

/* What may come of a fault besides what comes without one. */
enum {
    MAY_CRASH = 1,       /* a worker can die of it: CRASHED */
    MAY_NOT_START = 2,   /* NOT_STARTED, never having run */
    MAY_LOSE_REPLY = 4,  /* FAILED with ENOMEM */
    MAY_LOSE_STATUS = 8, /* nobody is left who could tell how a worker ended */
    MAY_BE_STOPPED = 16, /* process tasks get a time limit, and time out */
    STAYS_BROKEN = 32,   /* what failed once goes on failing */
    ADOPTS = 64,         /* the host gets what its descendants leave, and must have collected it in the end */
};

static struct verdicts {
    unsigned may;
    int complaints;
} verdicts;

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("  - ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    verdicts.complaints++;
}

static bool is_portable(void)
{
#if defined(TANDEM_PORTABLE) || !defined(__linux__)
    return true;
#else
    return false;
#endif
}

/* ---- tasks ---- */

enum kind { ECHO, FAIL, DIE, DIE_ONCE, OVERSIZED, SPIN_TIMED, SPIN_CANCELLED };

struct order { /* the beginning of a task's input */
    struct cell *cell;
    enum kind kind;
};

struct cell {
    atomic_int runs;
    atomic_int done; /* calls of on_done */
};

struct job {
    const char *name;
    enum kind kind;
    int isolation;
    uint32_t flags;
    bool calls_back, in_group;
    bool taken;
    tandem_task task;
    struct cell *cell;
    char input[5000];
};

static int job_task(tandem_context *context, void *input, size_t size)
{
    struct order order;
    memcpy(&order, input, sizeof order);
    atomic_fetch_add(&order.cell->runs, 1);
    switch (order.kind) {
    case ECHO: return -tandem_reply(context, input, size);
    case FAIL: return 7;
    case OVERSIZED: return -tandem_reply(context, input, size);
    case DIE: return raise(SIGKILL);
    case DIE_ONCE: return atomic_load(&order.cell->runs) == 1 ? raise(SIGKILL) : -tandem_reply(context, input, size);
    default: break;
    }
    while (!tandem_cancelled(context)) moment();
    return ECANCELED;
}

static void count_done(tandem_task *task)
{
    struct job *job = task->user_data;
    atomic_fetch_add(&job->cell->done, 1);
}

static const tandem_limits limits = {.output = 100, .cpu_ms = 60000};

static void make(struct job *job, struct cell *cell, tandem_group *group)
{
    struct order order = {.cell = cell, .kind = job->kind};
    memset(job->input, 'i', sizeof job->input);
    memcpy(job->input, &order, sizeof order);
    job->cell = cell;
    job->task = (tandem_task){.run = job_task,
                              .name = job->name,
                              .input = job->input,
                              .input_size = sizeof job->input,
                              .isolation = job->isolation,
                              .flags = job->flags,
                              .limits = job->kind == OVERSIZED ? &limits : NULL,
                              .group = job->in_group ? group : NULL,
                              .on_done = job->calls_back ? count_done : NULL,
                              .user_data = job};
    if (job->kind == SPIN_TIMED) job->task.timeout_ms = 10;
    if (job->isolation == TANDEM_PROCESS && job->kind != SPIN_TIMED && verdicts.may & MAY_BE_STOPPED)
        job->task.timeout_ms = (uint32_t)(150 * slowness());
}

/* A call that may be refused because of the fault; once more, and it is not, unless the fault stays. */
static bool try_again(const char *call, int result, int *tries)
{
    if (result >= 0) return false;
    if (++*tries == 1) return true;
    if (!(verdicts.may & STAYS_BROKEN)) complain("%s fails again and again: %s", call, tandem_strerror(result));
    return false;
}

/* With POSIX calls only, nobody can end a worker that has lost its guards and runs on. */
static bool could_never_be_ended(const struct job *job)
{
    return is_portable() && verdicts.may & MAY_LOSE_STATUS && job->isolation == TANDEM_PROCESS && job->kind >= SPIN_TIMED;
}

static void submit(tandem_pool *pool, struct job *job)
{
    int result, tries = 0;
    if (could_never_be_ended(job)) return;
    do result = tandem_submit(pool, &job->task);
    while (try_again("tandem_submit", result, &tries));
    job->taken = result == 0;
    if (result > 0) complain("tandem_submit gives %d", result);
    if (result < 0 && job->task.status != TANDEM_PENDING) complain("%s was refused, and has a status", job->name);
    if (job->taken && job->kind == SPIN_CANCELLED) tandem_cancel(&job->task);
}

/* ---- verdicts ---- */

static int ordinary_end(const struct job *job)
{
    switch (job->kind) {
    case ECHO:
    case DIE_ONCE: return TANDEM_OK;
    case OVERSIZED: return TANDEM_OVER_LIMIT;
    case FAIL: return TANDEM_FAILED;
    case DIE: return TANDEM_CRASHED;
    case SPIN_TIMED: return TANDEM_TIMED_OUT;
    case SPIN_CANCELLED: return TANDEM_CANCELLED;
    }
    return -1;
}

static bool whole(const struct job *job)
{
    const tandem_task *task = &job->task;
    return task->output_size == sizeof job->input && memcmp(task->output, job->input, sizeof job->input) == 0;
}

static int most_runs(const struct job *job) { return job->flags & TANDEM_RETRY ? 2 : 1; }

static bool ran_as_often_as_it_should(const struct job *job, int runs)
{
    if (job->kind == DIE_ONCE) return runs == 2;
    if (runs == 0) return job->kind == SPIN_CANCELLED || job->kind == SPIN_TIMED; /* its worker was still reading */
    return runs <= (verdicts.may & MAY_CRASH ? most_runs(job) : 1);
}

/* As without any fault. */
static bool ended_as_ever(const struct job *job, int runs)
{
    const tandem_task *task = &job->task;
    if (task->status != ordinary_end(job) || !ran_as_often_as_it_should(job, runs)) return false;
    if (job->kind == ECHO || job->kind == DIE_ONCE) return whole(job);
    if (job->kind == OVERSIZED) return task->report && task->report->limit && strcmp(task->report->limit, "output") == 0;
    if (job->kind == FAIL) return task->code == 7;
    return job->kind != DIE || task->signal == SIGKILL || verdicts.may & MAY_LOSE_STATUS;
}

static bool ended_by_fault(const struct job *job, int runs)
{
    const tandem_task *task = &job->task;
    switch (task->status) {
    case TANDEM_NOT_STARTED:
        return verdicts.may & MAY_NOT_START && runs <= (job->kind == DIE_ONCE) && task->code > 0 &&
               (!task->report || task->report->step);
    case TANDEM_FAILED: return verdicts.may & MAY_LOSE_REPLY && runs >= 1 && task->code == ENOMEM;
    case TANDEM_CRASHED: return verdicts.may & MAY_CRASH && runs <= most_runs(job) && job->isolation == TANDEM_PROCESS;
    case TANDEM_TIMED_OUT:
        return verdicts.may & (MAY_BE_STOPPED | MAY_CRASH) && runs <= most_runs(job) && task->timeout_ms != 0 &&
               job->isolation == TANDEM_PROCESS;
    default: return false;
    }
}

static void judge(struct job *job)
{
    char line[512];
    tandem_task *task = &job->task;
    int runs = atomic_load(&job->cell->runs), done = atomic_load(&job->cell->done);
    if (!job->taken) {
        if (runs != 0 || done != 0) complain("%s was refused, ran %d times, was called back %d times", job->name, runs, done);
        return;
    }
    if (!ended_as_ever(job, runs) && !ended_by_fault(job, runs)) {
        tandem_describe(task, line, sizeof line);
        complain("%s ran %d times: %s (status %d, code %d, signal %d, output %zu)", job->name, runs, line, task->status, task->code,
                 task->signal, task->output_size);
    }
    if (done != (job->calls_back ? 1 : 0)) complain("%s was called back %d times", job->name, done);
    if (tandem_task_clear(task) != 0) complain("%s cannot be cleared", job->name);
}

static void check_stats(tandem_pool *pool, size_t taken)
{
    tandem_stats stats;
    uint64_t ended = 0;
    if (tandem_pool_stats(pool, &stats) != 0) complain("no stats");
    for (size_t i = 0; i < count_of(stats.ended); i++) ended += stats.ended[i];
    if (stats.submitted == taken && ended == taken && stats.waiting == 0 && stats.running == 0) return;
    complain("%zu tasks were taken; the books say %llu submitted, %llu ended, %llu waiting, %llu running", taken,
             (unsigned long long)stats.submitted, (unsigned long long)ended, (unsigned long long)stats.waiting,
             (unsigned long long)stats.running);
}

/* ---- two pools ---- */

static tandem_pool *create(tandem_options options)
{
    tandem_pool *pool;
    int result, tries = 0;
    if (verdicts.may & MAY_BE_STOPPED) options.start_timeout_ms = (uint32_t)(300 * slowness());
    do {
        pool = NULL;
        result = tandem_pool_create(&pool, &options);
        if ((result == 0) != (pool != NULL)) complain("tandem_pool_create gives %d and %s pool", result, pool ? "a" : "no");
    } while (try_again("tandem_pool_create", result, &tries));
    return pool;
}

static void wait_for_all(struct job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!jobs[i].taken) continue;
        int status = tandem_wait(&jobs[i].task);
        if (status != jobs[i].task.status) complain("the wait for %s gives %d", jobs[i].name, status);
    }
}

static void end(tandem_pool *pool, struct job *jobs, size_t count)
{
    size_t taken = 0;
    for (size_t i = 0; i < count; i++) taken += jobs[i].taken;
    int drained = tandem_pool_drain(pool, -1);
    if (drained != 0) complain("tandem_pool_drain gives %d", drained);
    check_stats(pool, taken);
    int destroyed = tandem_pool_destroy(pool);
    if (destroyed != 0) complain("tandem_pool_destroy gives %d", destroyed);
    for (size_t i = 0; i < count; i++) judge(&jobs[i]);
}

static void use_a_pool(struct cell *cells)
{
    static struct job jobs[] = {
        {.name = "echo_on_a_thread", .kind = ECHO, .isolation = TANDEM_THREAD},
        {.name = "echo_with_report", .kind = ECHO, .isolation = TANDEM_THREAD, .flags = TANDEM_REPORT | TANDEM_NO_HELP},
        {.name = "echo_in_a_process", .kind = ECHO, .isolation = TANDEM_PROCESS},
        {.name = "fails_in_a_process", .kind = FAIL, .isolation = TANDEM_PROCESS},
        {.name = "dies", .kind = DIE, .isolation = TANDEM_PROCESS},
        {.name = "called_back_from_a_thread", .kind = ECHO, .isolation = TANDEM_THREAD, .calls_back = true},
        {.name = "called_back_from_a_process", .kind = ECHO, .isolation = TANDEM_PROCESS, .calls_back = true},
        {.name = "group_on_a_thread", .kind = ECHO, .isolation = TANDEM_THREAD, .in_group = true},
        {.name = "group_in_a_process", .kind = ECHO, .isolation = TANDEM_PROCESS, .in_group = true},
        {.name = "group_called_back", .kind = FAIL, .isolation = TANDEM_PROCESS, .in_group = true, .calls_back = true},
        {.name = "timed_in_a_process", .kind = SPIN_TIMED, .isolation = TANDEM_PROCESS},
        {.name = "timed_on_a_thread", .kind = SPIN_TIMED, .isolation = TANDEM_THREAD},
        {.name = "cancelled_in_a_process", .kind = SPIN_CANCELLED, .isolation = TANDEM_PROCESS},
        {.name = "cancelled_on_a_thread", .kind = SPIN_CANCELLED, .isolation = TANDEM_THREAD, .calls_back = true},
    };
    tandem_group group = {0};
    tandem_pool *pool = create((tandem_options){.threads = 2, .processes = 2});
    if (!pool) return;
    for (size_t i = 0; i < count_of(jobs); i++) {
        make(&jobs[i], &cells[i], &group);
        submit(pool, &jobs[i]);
    }
    int grouped = tandem_group_wait(&group, -1);
    if (grouped <= TANDEM_PENDING) complain("tandem_group_wait gives %d", grouped);
    wait_for_all(jobs, count_of(jobs));
    end(pool, jobs, count_of(jobs));
}

static int remember_argument(void **worker_data, void *argument)
{
    *worker_data = argument;
    return argument && strcmp(argument, "argument") == 0 ? 0 : EINVAL;
}

static void dump(tandem_pool *pool)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int dumped = tandem_pool_dump(pool, null);
    if (dumped != 0 && !(verdicts.may & (MAY_NOT_START | STAYS_BROKEN))) complain("tandem_pool_dump gives %d", dumped);
    close(null);
}

static void use_a_pool_with_hooks(struct cell *cells)
{
    static struct job jobs[] = {
        {.name = "host_calls_back_from_a_thread", .kind = ECHO, .isolation = TANDEM_THREAD, .calls_back = true},
        {.name = "host_calls_back_from_a_process", .kind = ECHO, .isolation = TANDEM_PROCESS, .calls_back = true},
        {.name = "waits_in_a_process", .kind = ECHO, .isolation = TANDEM_PROCESS},
        {.name = "dies_once", .kind = DIE_ONCE, .isolation = TANDEM_PROCESS, .flags = TANDEM_RETRY},
        {.name = "could_run_twice", .kind = ECHO, .isolation = TANDEM_PROCESS, .flags = TANDEM_RETRY},
        {.name = "has_a_thread_of_its_own", .kind = ECHO, .isolation = TANDEM_THREAD, .flags = TANDEM_DEDICATED},
        {.name = "has_a_process_of_its_own", .kind = ECHO, .isolation = TANDEM_PROCESS, .flags = TANDEM_DEDICATED},
        {.name = "replies_too_much", .kind = OVERSIZED, .isolation = TANDEM_PROCESS},
        {.name = "cancelled_with_grace", .kind = SPIN_CANCELLED, .isolation = TANDEM_PROCESS},
    };
    char argument[] = "argument";
    tandem_pool *pool = create((tandem_options){.threads = 1,
                                                .processes = 1,
                                                .processes_ready = 1,
                                                .tasks_per_worker = 4,
                                                .kill_grace_ms = 5,
                                                .worker_error = TANDEM_STDIO_CAPTURE,
                                                .callbacks_by_host = 1,
                                                .on_worker_start = remember_argument,
                                                .argument = argument,
                                                .argument_size = sizeof argument});
    if (!pool) return;
    for (size_t i = 0; i < count_of(jobs); i++) {
        make(&jobs[i], &cells[i], NULL);
        submit(pool, &jobs[i]);
    }
    dump(pool);
    wait_for_all(jobs, count_of(jobs));
    while (tandem_run_callbacks(pool, 1) > 0) {
    }
    end(pool, jobs, count_of(jobs));
}

/* ---- shared memory ---- */

static int fill(tandem_context *context, size_t begin, size_t end, void *argument)
{
    char *bytes = argument;
    (void)context;
    for (size_t i = begin; i < end; i++) bytes[i]++;
    return 0;
}

/* What is there is zeroed, and holds what a worker writes; there may be none. */
static void use_shared_memory(void)
{
    enum { SMALL = 100, LARGE = 300000 };
    tandem_pool *pool = create((tandem_options){.threads = 1, .processes = 1});
    if (!pool) return;
    for (int round = 0; round < 2; round++) {
        char *small = tandem_shared_alloc(pool, SMALL), *large = tandem_shared_alloc(pool, LARGE);
        int result, tries = 0;
        for (size_t i = 0; small && i < SMALL; i++)
            if (small[i] != 0) complain("shared memory was not zeroed");
        for (size_t i = 0; large && i < LARGE; i++)
            if (large[i] != 0) complain("much shared memory was not zeroed");
        if (large) memset(large, 1, LARGE);
        do result = small ? tandem_for(pool, 0, SMALL, SMALL, fill, small, TANDEM_PROCESS) : 0;
        while (result != -ECANCELED && try_again("tandem_for", result, &tries));
        if (result == -ECANCELED && verdicts.may == 0) complain("a part of a loop has failed");
        for (size_t i = 0; small && i < SMALL; i++)
            if (small[i] != (result == 0) && result != -ECANCELED) complain("index %zu was visited %d times", i, small[i]);
        if (small && tandem_shared_free(pool, small) != 0) complain("shared memory cannot be freed");
        if (small && tandem_shared_free(pool, small) != -EINVAL) complain("shared memory can be freed twice");
        if (large && tandem_shared_free(pool, large) != 0) complain("much shared memory cannot be freed");
    }
    int destroyed = tandem_pool_destroy(pool);
    if (destroyed != 0) complain("tandem_pool_destroy gives %d", destroyed);
}

/* ---- the run ---- */

/* Also children that an ordinary wait does not see. */
static bool alone(size_t threads_before)
{
    siginfo_t info;
#ifdef __linux__
    bool children = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
#else
    bool children = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
#endif
    return !children && entries_in("/proc/self/task") <= threads_before + (sanitized() ? 1 : 0);
}

/* What this process still has; its descendants are for its parent to see. */
static void look_around(const struct names *descriptors_before, size_t threads_before)
{
    const int64_t begun = now_ms();
    struct names *now = names_in("/proc/self/fd");
    if (names_print(stderr, "/proc/self/fd", now, descriptors_before)) complain("left: descriptors");
    names_free(now);
    while (!alone(threads_before)) {
        if (now_ms() - begun > 5000 * slowness()) {
            complain("left: a thread, or a child that the host can see");
            return;
        }
        moment();
    }
}

/* All of it.  cells: zeroed shared memory.  How much there was to complain about. */
static int run_scenario(unsigned may, struct cell cells[32])
{
    int result, tries = 0;
    struct names *descriptors = names_in("/proc/self/fd");
    size_t threads = entries_in("/proc/self/task");
    verdicts = (struct verdicts){.may = may};
#ifdef __linux__
    if (may & ADOPTS) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
#endif
    do result = tandem_init();
    while (try_again("tandem_init", result, &tries));
    use_a_pool(cells);
    use_a_pool_with_hooks(cells + 16);
    use_shared_memory();
    result = tandem_quit();
    if (result != 0) complain("tandem_quit gives %d", result);
    look_around(descriptors, threads);
    if (may & ADOPTS && (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)) complain("a child of ours is left");
    names_free(descriptors);
    return verdicts.complaints;
}

#endif
