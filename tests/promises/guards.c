/* guards.c - keeper and zygote replace each other: whichever is killed or stopped, no task is lost and every status is true. */
#include "guarding.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "../unit/dice.h"

enum { WORKERS = 3 };

/* ---- tasks that end in every way ---- */

struct fate {
    struct gate *gate;
    int signal; /* that it raises, or 0 */
    int code;   /* that it exits with, or -1: it returns 0 */
};

static int fate_task(tandem_context *context, void *input, size_t size)
{
    struct fate fate;
    (void)context;
    if (size != sizeof fate) return __LINE__;
    memcpy(&fate, input, sizeof fate);
    atomic_store(&fate.gate->pid, (int)getpid());
    atomic_fetch_add(&fate.gate->entered, 1);
    if (!await(&fate.gate->opened, 1)) return __LINE__;
    if (fate.signal != 0) raise(fate.signal);
    if (fate.code >= 0) _exit(fate.code);
    atomic_fetch_add(&fate.gate->left, 1);
    return 0;
}

static const struct fate fates[] = {
    {.code = -1},
    {.code = 0},
    {.code = 7},
    {.signal = SIGSEGV, .code = 0},
    {.signal = SIGKILL, .code = 0},
    {.code = -1},
    {.signal = SIGTERM, .code = 0},
    {.code = 99},
    {.signal = SIGABRT, .code = 0},
};

static void begin_fate(tandem_pool *pool, tandem_task *task, struct fate *fate, struct gate *gate)
{
    fate->gate = gate;
    *task = task_of(TANDEM_PROCESS, fate_task, fate, sizeof *fate);
    assert_int_equal(tandem_submit(pool, task), 0);
}

static void expect_fate(tandem_task *task, const struct fate *fate)
{
    bool good = fate->signal == 0 && fate->code < 0;
    expect_end(task, good ? TANDEM_OK : TANDEM_CRASHED);
    assert_int_equal(task->signal, fate->signal);
    assert_int_equal(task->code, good || fate->signal != 0 ? 0 : fate->code);
    assert_int_equal(task->report->runs, 1);
    tandem_task_clear(task);
}

/* ---- promise 26: one is killed ---- */

enum victim { KEEPER_ONLY, ZYGOTE_ONLY, IN_TURN, ANY };

static const struct member *choose(const struct guards *guards, enum victim victim, size_t round, struct dice *dice)
{
    bool keeper = victim == KEEPER_ONLY || (victim == IN_TURN && round % 2 == 0) || (victim == ANY && roll_below(dice, 2) == 0);
    return keeper ? &guards->keeper : &guards->zygote;
}

/* Tasks of every fate are on their way, some before and some after the kill. */
static void kill_one_under_load(tandem_pool *pool, enum victim victim, size_t round, struct dice *dice, struct gate *gate)
{
    tandem_task tasks[count_of(fates)];
    struct fate own[count_of(fates)];
    struct guards guards = guards_of_all();
    const struct member *one = choose(&guards, victim, round, dice);
    const uint32_t before = roll_below(dice, count_of(fates) + 1);
    *gate = (struct gate){.opened = roll_below(dice, 2) == 0};
    memcpy(own, fates, sizeof own);
    for (uint32_t i = 0; i < count_of(fates); i++) {
        if (i == before) strike(one, SIGKILL);
        begin_fate(pool, &tasks[i], &own[i], gate);
    }
    if (before == count_of(fates)) strike(one, SIGKILL);
    atomic_store(&gate->opened, 1);
    for (uint32_t i = 0; i < count_of(fates); i++) expect_fate(&tasks[i], &fates[i]);
    assert_int_equal(atomic_load(&gate->entered), count_of(fates)); /* each once */
    assert_int_equal(atomic_load(&gate->left), 2);
    wait_until(is_gone(one));
}

static void kill_many(enum victim victim)
{
    struct dice dice = {0x9e3779b97f4a7c15u + (uint64_t)victim};
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, WORKERS, NULL);
    expect_it_works(pool);
    for (size_t i = 0; i < scaled(1000); i++) kill_one_under_load(pool, victim, i, &dice, gate);
    guards_now();
    expect_full_strength(pool, WORKERS, gate);
    expect_no_zombies();
    assert_int_equal(stats_of(pool).ended[TANDEM_NOT_STARTED], 0);
    end_pool(pool);
}

/* promise 26 */
static void a_killed_keeper_costs_no_task(void) { kill_many(KEEPER_ONLY); }

/* promise 26 */
static void a_killed_zygote_costs_no_task(void) { kill_many(ZYGOTE_ONLY); }

/* promise 26 */
static void guards_killed_in_turn_cost_no_task(void) { kill_many(IN_TURN); }

/* promise 26 */
static void guards_killed_at_random_cost_no_task(void) { kill_many(ANY); }

/* promise 26 */
static void an_idle_programs_guards_replace_each_other(void)
{
    assert_int_equal(tandem_init(), 0);
    struct guards guards = guards_now();
    put_to_death(&guards.zygote);
    guards = guards_now();
    put_to_death(&guards.keeper);
    guards_now();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL); /* only now somebody listens to them */
    expect_it_works(pool);
    end_pool(pool);
}

/* ---- workers that have lost the guard that forked them ---- */

/* promise 26: whoever inherits a worker knows how it ended */
static void how_a_worker_ends_after_its_guard_is_told_truly(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    expect_it_works(pool);
    for (size_t i = 0; i < 2 * count_of(fates); i++) {
        tandem_task task;
        struct fate fate = fates[i / 2];
        struct guards guards = guards_of_all();
        *gate = (struct gate){0};
        begin_fate(pool, &task, &fate, gate);
        assert_true(await(&gate->entered, 1));
        strike(i % 2 == 0 ? &guards.zygote : &guards.keeper, SIGKILL);
        atomic_store(&gate->opened, 1);
        expect_fate(&task, &fate);
        wait_until(is_gone(i % 2 == 0 ? &guards.zygote : &guards.keeper));
    }
    end_pool(pool);
}

/* promise 26: it is dead already, and nobody has been told yet */
static void how_a_worker_ended_just_before_its_guard_is_told_truly(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    expect_it_works(pool);
    for (size_t i = 0; i < 2 * count_of(fates); i++) {
        tandem_task task;
        struct fate fate = fates[i / 2];
        struct guards guards = guards_of_all();
        *gate = (struct gate){0};
        begin_fate(pool, &task, &fate, gate);
        assert_true(await(&gate->entered, 1));
        strike(&guards.zygote, SIGSTOP);
        atomic_store(&gate->opened, 1);
        if (fate.signal == 0 && fate.code < 0)
            assert_true(await(&gate->left, 1));
        else
            wait_until(!process_lives(atomic_load(&gate->pid)));
        if (i % 2 == 1) strike(&guards.keeper, SIGKILL); /* the other one then has to do both */
        strike(&guards.zygote, i % 2 == 0 ? SIGKILL : SIGCONT);
        expect_fate(&task, &fate);
        wait_until(is_gone(i % 2 == 0 ? &guards.zygote : &guards.keeper));
    }
    end_pool(pool);
}

/* promise 26: one that has lost a guard must not lose the other with the status of a task */
static void idle_workers_that_have_lost_a_guard_are_replaced(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, WORKERS, NULL); /* of which one is needed */
    expect_it_works(pool);
    for (int i = 0; i < 6; i++) {
        struct guards guards = guards_of_all();
        const struct member *one = i % 2 == 0 ? &guards.zygote : &guards.keeper;
        put_to_death(one);
        guards_of_all();
        expect_it_works(pool);
    }
    assert_in_range(stats_of(pool).processes, 1, WORKERS);
    end_pool(pool);
}

struct spinner {
    struct gate *gate;
    atomic_int *child; /* of the worker, in its process group */
};

static int spin_with_child_task(tandem_context *context, void *input, size_t size)
{
    struct spinner spinner;
    (void)context;
    memcpy(&spinner, input, size);
    pid_t pid = fork();
    if (pid < 0) return __LINE__;
    if (pid == 0) {
        atomic_store(spinner.child, (int)getpid());
        for (;;) pause();
    }
    if (!await(spinner.child, 1)) return __LINE__;
    atomic_store(&spinner.gate->pid, (int)getpid());
    atomic_fetch_add(&spinner.gate->entered, 1);
    for (;;) atomic_fetch_add(&spinner.gate->left, 1);
}

static void stop_after_a_kill(bool keeper, bool by_timeout)
{
    struct gate *gate = shared(sizeof *gate);
    struct spinner spinner = {gate, shared(sizeof(atomic_int))};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, spin_with_child_task, &spinner, sizeof spinner);
    if (by_timeout) task.timeout_ms = 200 * (uint32_t)slowness();
    struct guards guards = guards_now();
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    strike(keeper ? &guards.keeper : &guards.zygote, SIGKILL);
    if (!by_timeout) assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, by_timeout ? TANDEM_TIMED_OUT : TANDEM_CANCELLED);
    assert_false(process_lives(atomic_load(&gate->pid)));
    wait_until(!process_lives(atomic_load(spinner.child)));
    expect_it_works(pool);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* promise 26 */
static void a_cancel_just_after_the_zygotes_death_kills_the_task(void) { stop_after_a_kill(false, false); }
static void a_cancel_just_after_the_keepers_death_kills_the_task(void) { stop_after_a_kill(true, false); }
static void a_timeout_after_the_zygotes_death_kills_the_task(void) { stop_after_a_kill(false, true); }
static void a_timeout_after_the_keepers_death_kills_the_task(void) { stop_after_a_kill(true, true); }

/* ---- stopped guards ---- */

/* promise 26: what it would have done is done by somebody else, and nobody waits for it for ever */
static void expect_a_stopped_one_to_do_no_harm(bool keeper)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_task tasks[count_of(fates)];
    struct fate own[count_of(fates)];
    tandem_pool *pool = pool_of(TANDEM_PROCESS, WORKERS, NULL);
    expect_it_works(pool);
    struct guards guards = guards_now();
    const struct member *victim = keeper ? &guards.keeper : &guards.zygote;
    strike(victim, SIGSTOP);
    atomic_store(&gate->opened, 1);
    memcpy(own, fates, sizeof own);
    for (size_t i = 0; i < count_of(fates); i++) begin_fate(pool, &tasks[i], &own[i], gate);
    for (size_t i = 0; i < count_of(fates); i++) expect_fate(&tasks[i], &fates[i]);
    expect_full_strength(pool, WORKERS, gate);
    if (!keeper) wait_until(!is_stopped(victim)); /* a keeper has nothing to do as long as the zygote lives */
    guards = guards_now();
    put_to_death(&guards.zygote);
    expect_full_strength(pool, WORKERS, gate);
    wait_until(!is_stopped(victim));
    guards_now();
    end_pool(pool);
}

static void a_stopped_zygote_is_woken_or_replaced(void) { expect_a_stopped_one_to_do_no_harm(false); }
static void a_stopped_keeper_is_woken_or_replaced(void) { expect_a_stopped_one_to_do_no_harm(true); }

/* promises 26 and 36: the host cannot take the new one's descriptor, for a while */
static void guards_that_die_while_descriptors_run_short_are_replaced(void)
{
    struct rlimit before, low;
    struct gate *gate = shared(sizeof *gate);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, WORKERS, NULL);
    expect_it_works(pool);
    for (int i = 0; i < 6; i++) {
        struct guards guards = guards_now();
        const struct member *victim = i % 2 == 0 ? &guards.zygote : &guards.keeper;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        assert_int_equal(kill(victim->pid, SIGKILL), 0); /* there is no descriptor to hold it by; nobody reaps it so soon */
        for (int k = 0; k < 20; k++) moment();
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        wait_until(is_gone(victim));
        guards_now();
        expect_full_strength(pool, WORKERS, gate);
    }
    end_pool(pool);
}

static void a_guard_that_is_stopped_for_a_moment_goes_on(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, WORKERS, NULL);
    for (int i = 0; i < 10; i++) {
        struct guards guards = guards_now();
        strike(i % 2 == 0 ? &guards.keeper : &guards.zygote, SIGSTOP);
        tandem_task task;
        struct fate fate = {.code = 3};
        *gate = (struct gate){.opened = 1};
        begin_fate(pool, &task, &fate, gate);
        for (int k = 0; k < 5; k++) moment();
        strike(i % 2 == 0 ? &guards.keeper : &guards.zygote, SIGCONT);
        expect_fate(&task, &fate);
    }
    end_pool(pool);
}

/* promise 26 */
static void killed_guards_leave_no_descriptors(void)
{
    struct gate *gate = shared(sizeof *gate);
    struct dice dice = {4711};
    size_t host = 0, keeper = 0, zygote = 0;
    char folder[64];
    tandem_pool *pool = pool_of(TANDEM_PROCESS, WORKERS, NULL);
    for (size_t i = 0; i < 5 + scaled(10000); i++) {
        struct guards guards = guards_now();
        put_to_death(choose(&guards, ANY, i, &dice));
        expect_full_strength(pool, WORKERS, gate);
        if (i == 4) /* nobody is just being replaced, and the host has heard of the new zygote */
            while (guards_of_all(), stats_of(pool).processes != WORKERS) expect_full_strength(pool, WORKERS, gate);
        guards = guards_now();
        expect_no_zombies();
        const size_t now = entries_in("/proc/self/fd");
        if (i <= 4 && now > host) host = now; /* the most, for a worker may just be replaced */
        if (i < 4) continue;                  /* until all that is kept for good is there */
        snprintf(folder, sizeof folder, "/proc/%d/fd", (int)guards.keeper.pid);
        if (i == 4) keeper = entries_in(folder);
        wait_until(entries_in("/proc/self/fd") <= host);
        wait_until(entries_in(folder) <= keeper);
        snprintf(folder, sizeof folder, "/proc/%d/fd", (int)guards.zygote.pid);
        if (i == 4) zygote = entries_in(folder);
        wait_until(entries_in(folder) <= zygote);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_killed_keeper_costs_no_task),
        test(a_killed_zygote_costs_no_task),
        test(guards_killed_in_turn_cost_no_task),
        test(guards_killed_at_random_cost_no_task),
        test(an_idle_programs_guards_replace_each_other),
        test(how_a_worker_ends_after_its_guard_is_told_truly),
        test(how_a_worker_ended_just_before_its_guard_is_told_truly),
        test(idle_workers_that_have_lost_a_guard_are_replaced),
        test(a_cancel_just_after_the_zygotes_death_kills_the_task),
        test(a_cancel_just_after_the_keepers_death_kills_the_task),
        test(a_timeout_after_the_zygotes_death_kills_the_task),
        test(a_timeout_after_the_keepers_death_kills_the_task),
        test(a_stopped_zygote_is_woken_or_replaced),
        test(a_stopped_keeper_is_woken_or_replaced),
        test(guards_that_die_while_descriptors_run_short_are_replaced),
        test(a_guard_that_is_stopped_for_a_moment_goes_on),
        test(killed_guards_leave_no_descriptors),
    };
    if (getenv("TANDEM_TEST") != NULL) skip_on_portable("only Linux lets one process inherit another's children");
    return harness_main(argc, argv, tests, count_of(tests));
}
