/* pool.c - the library's start and end, and a pool's. */
#define _POSIX_C_SOURCE 200809L
#include "pool.h"

#include "base/clock.h"
#include "base/cpus.h"
#include "base/identity.h"
#include "base/memory.h"
#include "base/proc.h"
#include "base/quick_clock.h"
#include "base/region.h"
#include "base/symbols.h"
#include "guards/guard_link.h"
#include "job/member.h"
#include "process/belt_book.h"
#include "quiet.h"
#include "task/group.h"
#include "task/self.h"
#include "task/talk.h"
#include "task/wait.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the process ---- */

/* Guarded by lock, but for settled. */
static struct {
    struct tdm_lock lock; /* rank POOLS */
    size_t pools;
} process;
static _Atomic uint32_t settled; /* the process for which all rooms' globals are right; written by settle [settled] */

/* The pools of this process, as far as there are places; written under lock, looked at by any call [known-pools]. */
#define PLACES 64
static _Atomic(const struct tandem_pool *) known[PLACES];
static _Atomic uint32_t unplaced; /* pools for which there was no place [known-pools] */

static void forget_pools(void)
{
    process.pools = 0;
    for (size_t i = 0; i < PLACES; i++) store_seq(&known[i], NULL);
    store_seq(&unplaced, 0);
}

bool tdm_pool_is_known(const tandem_pool *pool)
{
    for (size_t i = 0; i < PLACES; i++)
        if (load_acquire(&known[i]) == pool) return true; /* [known-pools] */
    return load_acquire(&unplaced) > 0;                   /* [known-pools] */
}

/* After a fork that was adopted (see identity.h) drops what the rooms keep of the parent.  That child has one thread. */
static void settle(void)
{
    uint32_t me = tdm_identity(), was = load_seq(&settled); /* [settled] */
    if (was == me) return;
    if (was != 0) {
        process.lock = (struct tdm_lock){0};
        forget_pools();
        tdm_group_reset();
        tdm_wait_reset();
        tdm_talk_reset();
        tdm_proc_reset();
        tdm_reactor_reset();
        tdm_belt_book_reset();
        tdm_region_reset();
        tdm_symbols_reset();
        tdm_guards_reset();
    }
    store_seq(&settled, me);
}

/* Is the calling process one that may start something?  A forked child with one thread becomes it. */
static int enter_process(bool asked_for)
{
    if (tdm_identity() == 0) {
        int threads = tdm_proc_threads();
        if (threads > 1 || (threads < 0 && !asked_for)) return -EPERM;
        tdm_identity_adopt();
        tdm_member_leave();
        tdm_self_reset();
    }
    settle();
    return 0;
}

static int start_guards(bool asked_for)
{
    tdm_lock(&process.lock, TDM_RANK_POOLS);
    tdm_quick_clock_open();
    int error = tdm_guards_start(asked_for);
    tdm_unlock(&process.lock, TDM_RANK_POOLS);
    return error;
}

int tandem_init(void)
{
    struct quiet quiet = begin_quietly();
    int error = enter_process(true);
    if (error == 0) error = start_guards(true);
    return end_quietly(&quiet, error);
}

static int quit(void)
{
    if (tdm_identity() == 0) return -EPERM;
    settle();
    tdm_lock(&process.lock, TDM_RANK_POOLS);
    int error = process.pools > 0 ? -EBUSY : 0;
    if (error == 0) {
        tdm_guards_stop();
        tdm_region_close();
    }
    tdm_unlock(&process.lock, TDM_RANK_POOLS);
    return error;
}

int tandem_quit(void)
{
    struct quiet quiet = begin_quietly();
    return end_quietly(&quiet, quit());
}

/* ---- options ---- */

/* It travels in one frame, with the environment. */
#define ARGUMENT_MOST (UINT32_MAX - ((size_t)64 << 20))

#define SPIN_MOST 1000000u

/* Where a worker's output may lead. */
static bool is_place_for_output(const tandem_options *options, uint32_t place)
{
    return place <= TANDEM_STDIO_NULL || (place == TANDEM_STDIO_STREAM && options->on_worker_output);
}

static int check_options(const tandem_options *options)
{
    if (options->when_full < TANDEM_FULL_BLOCK || options->when_full > TANDEM_FULL_RUN_HERE) return -EINVAL;
    if (options->callbacks_by_host > 1 || options->no_crash_report > 1 || options->core_dumps > 1) return -EINVAL;
    if (options->pipes_only > 1 || (options->spin_us > SPIN_MOST && options->spin_us != TANDEM_NONE)) return -EINVAL;
    if (!is_place_for_output(options, options->worker_output) || options->worker_output == TANDEM_STDIO_CAPTURE) return -EINVAL;
    if (!is_place_for_output(options, options->worker_error)) return -EINVAL;
    if (!tdm_limits_are_valid(&options->limits)) return -EINVAL;
    if (options->threads == TANDEM_NONE && options->processes == TANDEM_NONE) return -EINVAL;
    if (options->argument_size > 0 && !options->argument) return -EINVAL;
    if (options->argument_size > ARGUMENT_MOST) return -EINVAL;
    for (size_t i = 0; i < sizeof options->reserved / sizeof *options->reserved; i++)
        if (options->reserved[i] != 0) return -EINVAL;
    return 0;
}

/* Every default of tandem_options is here. */
static void resolve_options(struct tandem_pool *pool, const tandem_options *given)
{
    tandem_options *options = &pool->options;
    pool->cpus = tdm_cpus();
    if (given) *options = *given;
    if (options->threads == 0) options->threads = pool->cpus;
    if (options->threads == TANDEM_NONE) options->threads = 0;
    if (options->processes == 0) options->processes = pool->cpus;
    if (options->processes == TANDEM_NONE) options->processes = 0;
    if (options->processes_ready > options->processes) options->processes_ready = options->processes;
    if (options->idle_ms == 0) options->idle_ms = 30000;
    if (options->start_timeout_ms == 0) options->start_timeout_ms = 10000;
    if (options->spin_us == 0) options->spin_us = 50;
    snprintf(pool->name, sizeof pool->name, "%s", options->name ? options->name : "tandem");
    options->name = pool->name;
}

/* ---- a pool's beginning ---- */

static int open_core(struct tandem_pool *pool)
{
    struct tdm_core *core = &pool->core;
    core->home = tdm_identity();
    core->waiters_help = !pool->options.on_worker_start;
    core->one_processor = pool->cpus <= 1;
    core->watch_ns = !core->one_processor && pool->options.spin_us != TANDEM_NONE ? pool->options.spin_us * 1000u : 0;
    core->ledger.limit = pool->options.queue_limit;
    core->ledger.when_full = pool->options.when_full;
    core->ledger.others.shared = true;
    tdm_deadlines_open(&core->deadlines);
    tdm_sleepers_open(&core->sleepers);
    return tdm_callbacks_open(&core->callbacks, core, pool->options.callbacks_by_host != 0, pool->options.stack_size);
}

/* Before any thread of ours exists: the guards are forked from a program that has one. */
static int open_lanes(struct tandem_pool *pool)
{
    struct tdm_core *core = &pool->core;
    const tandem_options *options = &pool->options;
    int guards = options->processes > 0 ? start_guards(false) : 0;
    if (options->threads > 0) {
        int error = tdm_thread_lane_open(&pool->threads, core, options);
        if (error != 0) return error;
        pool->has_threads = true;
    }
    if (options->processes > 0) {
        const char *step = guards == -ENOTSUP ? "tandem_init" : "zygote";
        tdm_shared_open(&pool->shared, options->shared_size); /* each worker maps it from its start on */
        pool->processes.shared = &pool->shared;
        int error = options->on_worker_output ? tdm_callbacks_need(&core->callbacks) : 0;
        if (error == 0) error = tdm_process_lane_open(&pool->processes, core, options, -guards, step);
        if (error != 0) return error;
        tdm_command_lane_open(&pool->commands, core, options, -guards, step);
        pool->has_processes = true;
    }
    return 0;
}

/* With the lock held.  False: there is none. */
static bool replace_known(const struct tandem_pool *old, const struct tandem_pool *new)
{
    size_t i = 0;
    while (i < PLACES && load_seq(&known[i]) != old) i++;
    if (i < PLACES) store_seq(&known[i], new); /* [known-pools] */
    return i < PLACES;
}

static void count_in(const struct tandem_pool *pool)
{
    tdm_lock(&process.lock, TDM_RANK_POOLS);
    process.pools++;
    if (!replace_known(NULL, pool)) add_seq(&unplaced, 1);
    tdm_unlock(&process.lock, TDM_RANK_POOLS);
}

/* It is freed, and its place alone is looked for. */
static void count_out(const struct tandem_pool *pool)
{
    tdm_lock(&process.lock, TDM_RANK_POOLS);
    process.pools--;
    if (!replace_known(pool, NULL)) add_seq(&unplaced, (uint32_t)-1);
    tdm_unlock(&process.lock, TDM_RANK_POOLS);
}

/* All of a pool, from whatever state of its making. */
static void end_pool(struct tandem_pool *pool)
{
    struct tdm_core *core = &pool->core;
    struct tdm_lane *threads = pool->has_threads ? &pool->threads.lane : NULL;
    struct tdm_lane *processes = pool->has_processes ? &pool->processes.lane : NULL;
    struct tdm_lane *commands = pool->has_processes ? &pool->commands.lane : NULL;
    tdm_ledger_close(&core->ledger, TDM_GATE_CLOSED);
    tdm_belt_book_close(&pool->shared);
    if (threads) threads->ops->begin_end(threads); /* what waits is cancelled before what runs is told to return */
    store_seq(&core->closing, 1);                  /* [closing] */
    tdm_sleepers_wake(&core->sleepers);
    if (processes) processes->ops->begin_end(processes);
    if (commands) commands->ops->begin_end(commands);
    if (threads) threads->ops->end(threads);
    if (processes) processes->ops->end(processes);
    if (commands) commands->ops->end(commands);
    tdm_ledger_wait_quiet(&core->ledger, TDM_FOREVER); /* what other threads have taken back, and are about to end */
    tdm_wait_pass_doors();
    tdm_talk_pass();
    tdm_callbacks_close(&core->callbacks);
    tdm_deadlines_close(&core->deadlines);
    tdm_core_release_reactor(core);
    if (threads) tdm_thread_lane_free(&pool->threads);
    if (processes) tdm_process_lane_free(&pool->processes);
    if (commands) tdm_command_lane_free(&pool->commands);
    tdm_belt_book_forget(&pool->shared);
    tdm_shared_close(&pool->shared);
    tdm_pool_data_let_go(core->data);
    free(pool);
}

static int create(tandem_pool **pool, const tandem_options *options)
{
    int error = options ? check_options(options) : 0;
    if (error == 0) error = enter_process(false);
    if (error != 0) return error;
    struct tandem_pool *made = tdm_alloc_lines(sizeof *made);
    if (!made) return -ENOMEM;
    resolve_options(made, options);
    error = open_core(made);
    if (error != 0) {
        free(made);
        return error;
    }
    count_in(made); /* before the guards are asked for: from here on it may not be ended */
    error = open_lanes(made);
    if (error != 0) {
        end_pool(made);
        count_out(made);
        return error;
    }
    *pool = made;
    return 0;
}

int tandem_pool_create(tandem_pool **pool, const tandem_options *options)
{
    if (!pool) return -EINVAL;
    struct quiet quiet = begin_quietly();
    return end_quietly(&quiet, create(pool, options));
}

/* ---- and its end ---- */

int tdm_pool_check(const tandem_pool *pool)
{
    if (!pool) return -EINVAL;
    return tdm_pool_is_ours(pool) ? 0 : -EPERM;
}

int tandem_pool_drain(tandem_pool *pool, int64_t timeout_ms)
{
    int error = tdm_pool_check(pool);
    if (error != 0) return error;
    if (tdm_self_inside_pool(&pool->core)) return -EDEADLK;
    tdm_ledger_close(&pool->core.ledger, TDM_GATE_DRAINING);
    if (pool->has_threads) pool->threads.lane.ops->collect(&pool->threads.lane, true);
    return tdm_ledger_wait_quiet(&pool->core.ledger, tdm_clock_deadline(timeout_ms));
}

int tandem_pool_destroy(tandem_pool *pool)
{
    if (!pool) return 0;
    int error = tdm_pool_check(pool);
    if (error != 0) return error;
    if (tdm_self_inside_pool(&pool->core)) return -EDEADLK;
    struct quiet quiet = begin_quietly();
    end_pool(pool);
    count_out(pool);
    return end_quietly(&quiet, 0);
}

/* ---- looking in, and the host's own loop ---- */

int tandem_pool_stats(tandem_pool *pool, tandem_stats *stats)
{
    if (!pool || !stats) return -EINVAL;
    int error = tdm_pool_check(pool);
    if (error != 0) return error;
    *stats = (tandem_stats){0};
    if (pool->has_threads) pool->threads.lane.ops->collect(&pool->threads.lane, false);
    tdm_ledger_fill_stats(&pool->core.ledger, stats);
    if (pool->has_threads) pool->threads.lane.ops->fill_stats(&pool->threads.lane, stats);
    if (pool->has_processes) pool->processes.lane.ops->fill_stats(&pool->processes.lane, stats);
    return 0;
}

int tandem_pool_dump(tandem_pool *pool, int fd)
{
    int error = tdm_pool_check(pool);
    if (error != 0) return error;
    struct quiet quiet = begin_quietly();
    return end_quietly(&quiet, tdm_dump_pool(pool, fd));
}

int tandem_fd(tandem_pool *pool)
{
    int error = tdm_pool_check(pool);
    if (error != 0) return error;
    return pool->core.callbacks.by_host ? pool->core.callbacks.bell[0] : -EINVAL;
}

int tandem_run_callbacks(tandem_pool *pool, size_t most)
{
    int error = tdm_pool_check(pool);
    if (error != 0) return error;
    if (!pool->core.callbacks.by_host) return -EINVAL;
    tdm_callbacks_begin_look(&pool->core.callbacks);
    if (pool->has_processes && tdm_process_lane_talks(&pool->processes))
        tdm_process_lane_look(&pool->processes);
    else
        tdm_callbacks_watch(&pool->core.callbacks);
    return tdm_callbacks_end_look(&pool->core.callbacks, most);
}
