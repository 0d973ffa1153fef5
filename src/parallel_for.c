/* parallel_for.c - a range of indices, cut into parts, each of them run once by one of a pool's workers. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "base/memory.h"
#include "base/proc.h"
#include "pool.h"
#include "portions.h"
#include "quiet.h"

#include <errno.h>
#include <time.h>

/* ---- the range ---- */

typedef int body_fn(tandem_context *context, size_t begin, size_t end, void *argument);

/* Parts a worker process, where the caller leaves their size to us: enough that none has to wait long for the slowest. */
#define PARTS 8

struct loop {
    body_fn *body;
    void *argument;
    size_t begin, end, grain, parts; /* grain 0: on threads, that share out the range among themselves while they work */
    _Atomic uint64_t next; /* the first part that nobody has taken; raised by who takes it, and beyond the last by who finds none */
    _Atomic uint32_t failed; /* 1: a part was; set by who ran it */
    struct tdm_portions portions;
};

static size_t begin_of(const struct loop *loop, size_t part) { return loop->begin + part * loop->grain; }
static size_t end_of(const struct loop *loop, size_t part) { return part + 1 < loop->parts ? begin_of(loop, part + 1) : loop->end; }

/* ---- on threads: as many tasks as threads are to work on it, each takes part after part ---- */

static void run_one(tandem_context *context, struct loop *loop, size_t begin, size_t end)
{
    if (loop->body(context, begin, end, loop->argument) != 0) store_seq(&loop->failed, 1);
}

static int run_portions(tandem_context *context, void *input, size_t size)
{
    struct loop *loop = input;
    struct tdm_pace pace = {0};
    size_t begin, end;
    (void)size;
    while (tdm_portions_take(&loop->portions, &pace, tdm_clock_ns(), &begin, &end)) run_one(context, loop, begin, end);
    return 0;
}

static int run_parts(tandem_context *context, void *input, size_t size)
{
    struct loop *loop = input;
    (void)size;
    for (uint64_t next; (next = add_seq(&loop->next, 1)) < loop->parts;) {
        size_t part = (size_t)next;
        run_one(context, loop, begin_of(loop, part), end_of(loop, part));
    }
    return 0;
}

/* How many are to work on it.  The calling thread, where it helps, is one of them, and one more than the pool has where there is a
 * processor for it. */
static size_t count_threads(const tandem_pool *pool, size_t most)
{
    size_t count = pool->options.threads;
    if (pool->core.waiters_help && !tdm_self_worker(&pool->core) && count < pool->cpus) count++;
    return count < most ? count : most;
}

/* The wait runs one of them that no worker has begun yet, for as long as there is something to do; then what others were too late for. */
static int run_on_threads(tandem_pool *pool, struct loop *loop)
{
    bool chosen = loop->grain == 0;
    size_t count = count_threads(pool, chosen ? loop->end - loop->begin : loop->parts), taken = 0;
    if (chosen) loop->portions = (struct tdm_portions){.begin = loop->begin, .length = loop->end - loop->begin, .takers = count};
    tandem_group all = {{0}};
    tandem_task *tasks = tdm_calloc(count, sizeof *tasks);
    int error = tasks ? 0 : -ENOMEM;
    for (; error == 0 && taken < count; taken += error == 0) {
        tasks[taken] = (tandem_task){.run = chosen ? run_portions : run_parts,
                                     .input = loop,
                                     .input_size = sizeof *loop,
                                     .group = &all,
                                     .name = "tandem_for"};
        error = tandem_submit(pool, &tasks[taken]);
    }
    int status = taken > 0 ? tandem_group_wait(&all, -1) : (int)TANDEM_OK;
    free(tasks);                  /* such a task has no results to be cleared */
    if (taken == 0) return error; /* else one does it all if need be */
    return status != TANDEM_OK || load_seq(&loop->failed) ? -ECANCELED : 0;
}

/* ---- in processes: each part a task, and a few of them at a time ---- */

/* Travels. */
struct part {
    body_fn *body;
    size_t begin, end;
    void *argument;
};

static int run_part(tandem_context *context, void *input, size_t size)
{
    const struct part *part = input;
    (void)size;
    return part->body(context, part->begin, part->end, part->argument);
}

/* Two tasks for each worker, so that none waits for this thread. */
struct crew {
    size_t count, busy;
    tandem_task *tasks, **submitted; /* the same tasks where one is in the pool, else NULL */
    struct part *parts;
};

static int open_crew(struct crew *crew, const struct loop *loop, size_t workers)
{
    *crew = (struct crew){.count = loop->parts / 2 < workers ? loop->parts : 2 * workers};
    crew->tasks = tdm_calloc(crew->count, sizeof *crew->tasks);
    crew->submitted = tdm_calloc(crew->count, sizeof(tandem_task *));
    crew->parts = tdm_calloc(crew->count, sizeof *crew->parts);
    return crew->tasks && crew->submitted && crew->parts ? 0 : -ENOMEM;
}

static void close_crew(struct crew *crew)
{
    free(crew->tasks);
    free(crew->submitted);
    free(crew->parts);
}

/* By one that is not busy; there is one. */
static int submit_part(struct crew *crew, tandem_pool *pool, const struct loop *loop, size_t part)
{
    size_t i = 0;
    while (crew->submitted[i]) i++;
    crew->parts[i] = (struct part){loop->body, begin_of(loop, part), end_of(loop, part), loop->argument};
    crew->tasks[i] = (tandem_task){.run = run_part,
                                   .input = &crew->parts[i],
                                   .input_size = sizeof(struct part),
                                   .isolation = TANDEM_PROCESS,
                                   .name = "tandem_for"};
    int error = tandem_submit(pool, &crew->tasks[i]);
    if (error != 0) return error;
    crew->submitted[i] = &crew->tasks[i];
    crew->busy++;
    return 0;
}

/* Waits for one to end.  Was it well? */
static bool collect(struct crew *crew)
{
    int i = tandem_wait_any(crew->submitted, crew->count, -1);
    bool well = tandem_wait(crew->submitted[i]) == TANDEM_OK;
    tandem_task_clear(crew->submitted[i]);
    crew->submitted[i] = NULL;
    crew->busy--;
    return well;
}

/* The pool is full of other tasks than ours. */
static void nap(void)
{
    struct quiet quiet = begin_quietly();
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    end_quietly(&quiet, 0);
}

/* Once a part is in, a full pool is no reason to give up. */
static int run_all(struct crew *crew, tandem_pool *pool, const struct loop *loop)
{
    size_t next = 0;
    bool failed = false;
    for (int error = 0;;) {
        while (error == 0 && next < loop->parts && crew->busy < crew->count) {
            error = submit_part(crew, pool, loop, next);
            if (error == 0) next++;
        }
        if (next == 0) return error;
        if (error == -EAGAIN) error = 0;
        if (crew->busy > 0)
            failed |= !collect(crew);
        else if (error == 0 && next < loop->parts)
            nap();
        else
            return failed || next < loop->parts ? -ECANCELED : 0;
    }
}

static int run_in_processes(tandem_pool *pool, const struct loop *loop, size_t workers)
{
    struct crew crew;
    int error = open_crew(&crew, loop, workers);
    if (error == 0) error = run_all(&crew, pool, loop);
    close_crew(&crew);
    return error;
}

/* ---- both ---- */

static int check(tandem_pool *pool, const struct loop *loop, int isolation)
{
    int error = tdm_pool_check(pool);
    if (error != 0) return error;
    if (!loop->body || loop->end < loop->begin) return -EINVAL;
    if (isolation == TANDEM_THREAD) return pool->has_threads ? 0 : -EINVAL;
    if (isolation != TANDEM_PROCESS || !pool->has_processes) return -EINVAL;
    if (loop->argument && !tdm_shared_holds(&pool->shared, loop->argument, 1)) return -EINVAL;
    return pool->processes.cannot_start != 0 || tdm_proc_had_code((uintptr_t)loop->body) ? 0 : -ENOEXEC;
}

static size_t part_for(size_t length, size_t workers)
{
    size_t size = length / PARTS / workers;
    return size > 0 ? size : 1;
}

static int run(tandem_pool *pool, struct loop *loop, int isolation)
{
    int error = check(pool, loop, isolation);
    size_t length = loop->end - loop->begin;
    if (error != 0 || length == 0) return error;
    if (loop->grain == 0 && isolation == TANDEM_PROCESS) loop->grain = part_for(length, pool->options.processes);
    if (loop->grain > 0) loop->parts = length / loop->grain + (length % loop->grain != 0);
    return isolation == TANDEM_THREAD ? run_on_threads(pool, loop) : run_in_processes(pool, loop, pool->options.processes);
}

int tandem_for(tandem_pool *pool, size_t begin, size_t end, size_t grain, body_fn *body, void *argument, tandem_isolation isolation)
{
    int saved = errno;
    struct loop loop = {.body = body, .argument = argument, .begin = begin, .end = end, .grain = grain};
    int error = run(pool, &loop, (int)isolation);
    errno = saved;
    return error;
}
