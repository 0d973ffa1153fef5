/* thread_stress.c - a soak of the thread lane: mixed tasks in pools whose threads come and go, in one process.
 *
 *   thread_stress [--seconds N] [--seed N]
 *
 * Players share a pool that lasts; churners have pools of their own, which they end under their tasks. Every task must run as often as its end says,
 * once or never, and end in a way that fits what was asked; at the end the pool's books must say the same. Exit status 1: something was lost, and
 * standard error says what. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/dice.h"

enum { PLAYERS = 3, CHURNERS = 2, CREW = PLAYERS + CHURNERS, BATCH_MOST = 200, INDICES = 500, WRONG = 99 };

static int64_t seconds = 60, begun_ms;
static uint64_t seed;
static atomic_int over, losses;
static atomic_ullong judged[16], all, pools;
static _Atomic int64_t looks = 1; /* a clock that stands still while the program is stopped */

__attribute__((format(printf, 1, 2))) static void loss(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "LOSS after %lld ms, seed %llu: ", (long long)(now_ms() - begun_ms), (unsigned long long)seed);
    vfprintf(stderr, format, list);
    fprintf(stderr, "\n");
    va_end(list);
    while (getenv("TANDEM_CHAOS_HOLD") != NULL) pause();
    if (atomic_fetch_add(&losses, 1) == 20) _exit(1);
}

static bool chance(struct dice *dice, uint32_t percent) { return roll_below(dice, 100) < percent; }

/* ---- the tasks ---- */

enum kind { GOOD, FAILS, SPINS, NESTS, SPLITS, LOOPS, EXITS, KINDS };
static const char *const kind_names[KINDS] = {"good", "fails", "spins", "nests", "splits", "loops", "exits"};

/* A task, what was asked of it, and what is known of it beside what the library says. */
struct record {
    tandem_task task;
    enum kind kind;
    tandem_pool *pool;
    bool pool_ends;
    int relays;             /* so often on_done submits it again; */
    bool relayed;           /* so nobody else waits for it, or cancels it */
    atomic_int asked, runs; /* to be cancelled; begun, since it was submitted */
    atomic_int yours;       /* on_done has given it back */
    _Atomic int64_t *since; /* the look at which it was submitted, if it is not judged; else 0 */
};

static int split(tandem_context *context, void *input, size_t size)
{
    int n = *(int *)input, one = n - 1, two = n - 2;
    (void)size;
    if (n < 2) return n;
    tandem_branch branch = {.run = split, .input = &one, .input_size = sizeof one};
    tandem_spawn(context, &branch);
    int rest = split(context, &two, sizeof two);
    return tandem_join(context, &branch) + rest;
}

static int visit(tandem_context *context, size_t begin, size_t end, void *argument)
{
    (void)context;
    for (size_t i = begin; i < end; i++) atomic_fetch_add((atomic_int *)argument + i, 1);
    return 0;
}

/* Each index once; where the pool ends meanwhile, once at most. */
static int loop(tandem_pool *pool, bool pool_ends, size_t grain)
{
    atomic_int visits[INDICES];
    for (int i = 0; i < INDICES; i++) atomic_init(&visits[i], 0);
    int error = tandem_for(pool, 0, INDICES, grain, visit, visits, TANDEM_THREAD);
    if (error != 0 && !pool_ends) return WRONG;
    for (int i = 0; i < INDICES; i++)
        if (atomic_load(&visits[i]) > 1 || (error == 0 && atomic_load(&visits[i]) != 1)) return WRONG;
    return 0;
}

static int nest(struct record *record)
{
    atomic_int runs = 0, *pointer = &runs;
    tandem_task task = task_of(TANDEM_THREAD, count_task, &pointer, sizeof pointer);
    if (record->task.input_size % 2 == 0) task.flags = TANDEM_NO_HELP;
    int status = tandem_call(record->pool, &task);
    bool ran = atomic_load(&runs) == 1;
    if (status == TANDEM_OK && ran) return 0;
    return record->pool_ends && !ran && (status == TANDEM_CANCELLED || status == -ESHUTDOWN) ? 0 : WRONG;
}

static int work(tandem_context *context, void *input, size_t size)
{
    struct record *record = input;
    int n = 5 + (int)(size % 7);
    atomic_fetch_add(&record->runs, 1);
    switch (record->kind) {
    case FAILS: return 7;
    case SPINS:
        while (!tandem_cancelled(context)) moment();
        return 8;
    case NESTS: return nest(record);
    case SPLITS: return split(context, &n, sizeof n) == (const int[]){5, 8, 13, 21, 34, 55, 89}[n - 5] ? 0 : WRONG;
    case LOOPS: return loop(record->pool, record->pool_ends, size % 64);
    case EXITS: pthread_exit(NULL);
    default: return 0;
    }
}

/* ---- judging ---- */

/* May it have ended so, having run or not? */
static bool fits(const struct record *record, int status, bool ran)
{
    bool stopped = atomic_load(&record->asked) || record->pool_ends;
    switch (status) {
    case TANDEM_OK: return ran && record->kind != FAILS && record->kind != SPINS && record->kind != EXITS;
    case TANDEM_FAILED: return ran && record->kind == FAILS && record->task.code == 7;
    case TANDEM_CRASHED: return ran && record->kind == EXITS;
    case TANDEM_CANCELLED: return stopped && (!ran || record->kind == FAILS || record->kind == SPINS);
    case TANDEM_TIMED_OUT: return ran && record->task.timeout_ms != 0 && record->kind == SPINS;
    case TANDEM_EXPIRED: return !ran && record->task.queue_timeout_ms != 0;
    case TANDEM_NOT_STARTED: return !ran && record->pool_ends && record->task.flags & TANDEM_DEDICATED;
    default: return false;
    }
}

static void judge(struct record *record)
{
    int status = record->task.status, runs = atomic_load(&record->runs);
    if (runs > 1 || !fits(record, status, runs == 1))
        loss("one that %s ended %s, code %d, after %d runs%s", kind_names[record->kind], tandem_status_name(status),
             record->task.code, runs,
             record->pool_ends             ? ", its pool has ended"
             : atomic_load(&record->asked) ? ", asked to"
                                           : "");
    atomic_fetch_add(&all, 1);
    if (!record->pool_ends) atomic_fetch_add(&judged[status & 15], 1);
    atomic_store(record->since, 0);
}

/* ---- submitting ---- */

/* From its entry the task is ours. */
static void on_done(tandem_task *task)
{
    struct record *record = task->user_data;
    if (record->relays == 0 || atomic_load(&over)) {
        atomic_store(&record->yours, 1);
        return;
    }
    record->relays--;
    judge(record);
    atomic_store(&record->runs, 0);
    atomic_store(record->since, atomic_load(&looks));
    int error = tandem_submit(record->pool, task);
    if (error != 0) loss("a submit from on_done: %s", tandem_strerror(error));
}

static enum kind kind_of(struct dice *dice)
{
    static const enum kind kinds[] = {GOOD, GOOD, GOOD, GOOD, FAILS, NESTS, SPLITS, LOOPS, EXITS, SPINS};
    return chance(dice, 80) ? GOOD : kinds[roll_below(dice, 10)];
}

static void plan(struct record *record, struct dice *dice, tandem_pool *pool, tandem_group *group, bool pool_ends)
{
    *record = (struct record){.kind = kind_of(dice), .pool = pool, .pool_ends = pool_ends, .since = record->since};
    tandem_task *task = &record->task;
    *task = task_of(TANDEM_THREAD, work, record, 1 + roll_below(dice, 1000));
    task->user_data = record;
    task->group = group;
    if (chance(dice, 5)) task->priority = (int32_t)roll_below(dice, 3) - 1;
    if (record->kind == EXITS || chance(dice, 30)) task->flags |= TANDEM_NO_HELP;
    if (chance(dice, 1)) task->flags |= TANDEM_DEDICATED;
    if (chance(dice, 3)) task->queue_timeout_ms = 1 + roll_below(dice, 3);
    if (record->kind == SPINS && chance(dice, 50)) task->timeout_ms = 1 + roll_below(dice, 3);
    if (chance(dice, 80)) return;
    task->on_done = on_done;
    if (pool_ends || (record->kind == SPINS && task->timeout_ms == 0)) return;
    record->relayed = chance(dice, 50);
    if (record->relayed) record->relays = 1 + (int)roll_below(dice, 3);
}

static void submit(struct record *records, size_t count, tandem_pool *pool, struct dice *dice)
{
    tandem_task *list[BATCH_MOST];
    bool at_once = chance(dice, 30);
    for (size_t i = 0; i < count; i++) {
        list[i] = &records[i].task;
        atomic_store(records[i].since, atomic_load(&looks));
        if (at_once) continue;
        if (tandem_submit(pool, list[i]) != 0) loss("a submit fails");
        if (chance(dice, 1)) moment(); /* so that threads fall asleep, and end, between two */
    }
    if (at_once && tandem_submit_many(pool, list, count) != (int)count) loss("a submit of %zu fails", count);
}

/* Who spins without a time limit must be. */
static void cancel_some(struct record *records, size_t count, struct dice *dice)
{
    uint32_t percent = chance(dice, 10) ? 60 : 2;
    for (size_t i = 0; i < count; i++) {
        struct record *record = &records[i];
        if (record->relayed || ((record->kind != SPINS || record->task.timeout_ms != 0) && !chance(dice, percent))) continue;
        atomic_store(&record->asked, 1);
        int error = tandem_cancel(&record->task);
        if (error != 0 && error != -EALREADY) loss("a cancel: %s", tandem_strerror(error));
    }
}

/* ---- waiting ---- */

static void wait_for_each(struct record *records, size_t count, struct dice *dice)
{
    for (size_t i = 0; i < count; i++) {
        if (records[i].relayed) continue;
        int status = chance(dice, 20) ? tandem_wait_for(&records[i].task, roll_below(dice, 3)) : TANDEM_PENDING;
        if (status == TANDEM_PENDING) status = tandem_wait(&records[i].task);
        if (status <= 0) loss("a wait: %d", status);
    }
}

static void wait_for_any(struct record *records, size_t count)
{
    tandem_task *list[BATCH_MOST];
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        list[i] = records[i].relayed ? NULL : &records[i].task;
        left += list[i] != NULL;
    }
    for (; left > 0; left--) {
        int index = tandem_wait_any(list, count, -1);
        if (index < 0 || (size_t)index >= count || list[index] == NULL) {
            loss("tandem_wait_any: %d", index);
            return;
        }
        list[index] = NULL;
    }
}

/* Those with an on_done are waited for again, by its sign: a wait for the task may return before it was called. */
static void judge_all(struct record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct record *record = &records[i];
        while (record->task.on_done != NULL && !atomic_load(&record->yours)) moment();
        int status = tandem_wait(&record->task);
        if (status != record->task.status) loss("a wait says %d, the task %d", status, record->task.status);
        judge(record);
        tandem_task_clear(&record->task);
    }
}

/* ---- the crew ---- */

struct member {
    pthread_t thread;
    struct dice dice;
    tandem_pool *pool; /* NULL: makes its own */
    struct record records[BATCH_MOST];
    _Atomic int64_t since[BATCH_MOST];
};

static struct member crew[CREW];

static void play_once(struct member *member)
{
    struct dice *dice = &member->dice;
    struct record *records = member->records;
    size_t count = 1 + roll_below(dice, chance(dice, 50) ? 3 : BATCH_MOST);
    tandem_group group = {{0}};
    for (size_t i = 0; i < count; i++) plan(&records[i], dice, member->pool, &group, false);
    submit(records, count, member->pool, dice);
    if (chance(dice, 5) && loop(member->pool, false, roll_below(dice, 3)) != 0)
        loss("a loop has missed an index, or gone twice to one");
    cancel_some(records, count, dice);
    switch (roll_below(dice, 4)) {
    case 0: wait_for_any(records, count); break;
    case 1:
        if (tandem_group_wait(&group, -1) <= 0) loss("a wait for a group");
        break;
    default: wait_for_each(records, count, dice);
    }
    judge_all(records, count);
    if (tandem_group_wait(&group, -1) <= 0) loss("a second wait for a group");
    if (chance(dice, 20)) moment();
}

static void *play(void *argument)
{
    struct member *member = argument;
    while (!atomic_load(&over)) play_once(member);
    return NULL;
}

/* How often the two were called in a pool; some starts fail, but not the first. */
struct hooks {
    atomic_int calls, starts, stops;
};

static int start(void **data, void *argument)
{
    struct hooks *hooks = argument;
    *data = hooks;
    if (atomic_fetch_add(&hooks->calls, 1) % 5 == 4) return 1;
    atomic_fetch_add(&hooks->starts, 1);
    return 0;
}

static void stop(void *data, void *argument)
{
    (void)argument;
    atomic_fetch_add(&((struct hooks *)data)->stops, 1);
}

static void churn_once(struct member *member)
{
    struct dice *dice = &member->dice;
    struct record *records = member->records;
    struct hooks hooks = {0};
    tandem_options options = {.threads = 1 + roll_below(dice, 4), .processes = TANDEM_NONE, .idle_ms = 1, .argument = &hooks};
    if (chance(dice, 50)) options.on_worker_start = start, options.on_worker_stop = stop;
    if (chance(dice, 30)) options.queue_limit = 8;
    if (chance(dice, 30)) options.spin_us = TANDEM_NONE;
    tandem_pool *pool = NULL;
    int error = tandem_pool_create(&pool, &options), crashed = 0;
    if (error != 0) {
        loss("no pool: %s", tandem_strerror(error));
        return;
    }
    size_t count = roll_below(dice, 60);
    for (size_t i = 0; i < count; i++) {
        plan(&records[i], dice, pool, NULL, true);
        if (options.queue_limit != 0 && records[i].kind == SPINS) records[i].kind = GOOD; /* nobody would make room */
    }
    submit(records, count, pool, dice);
    for (uint32_t moments = roll_below(dice, 4); moments > 0; moments--) moment();
    if (tandem_pool_destroy(pool) != 0) loss("a pool cannot be ended");
    judge_all(records, count);
    for (size_t i = 0; i < count; i++) crashed += records[i].task.status == TANDEM_CRASHED;
    if (options.on_worker_start && atomic_load(&hooks.starts) != atomic_load(&hooks.stops) + crashed)
        loss("%d threads have started and %d stopped, %d were ended", hooks.starts, hooks.stops, crashed);
    atomic_fetch_add(&pools, 1);
}

static void *churn(void *argument)
{
    struct member *member = argument;
    while (!atomic_load(&over)) churn_once(member);
    return NULL;
}

/* ---- the program ---- */

static void look_for_forgotten(void)
{
    atomic_fetch_add(&looks, 1);
    const int64_t limit = 30000 * (int64_t)slowness();
    for (int i = 0; i < CREW; i++)
        for (int k = 0; k < BATCH_MOST; k++) {
            int64_t since = atomic_load(&crew[i].since[k]);
            if (since == 0 || atomic_load(&looks) - since < limit) continue;
            loss("%d of crew member %d does not end", k, i);
            _exit(1);
        }
}

static void compare_books(tandem_pool *pool)
{
    tandem_stats stats = stats_of(pool);
    uint64_t sum = 0;
    if (stats.waiting != 0 || stats.running != 0) loss("nobody has one, but some wait or run");
    for (int i = 0; i < 16; i++) {
        sum += stats.ended[i];
        if (i != TANDEM_OK && stats.ended[i] != atomic_load(&judged[i]))
            loss("by the books %llu ended %s", (unsigned long long)stats.ended[i], tandem_status_name(i));
    }
    if (stats.ended[TANDEM_OK] < atomic_load(&judged[TANDEM_OK]))
        loss("fewer than were judged are in the books"); /* nested ones are not judged */
    if (stats.submitted != sum) loss("submitted %llu, ended %llu", (unsigned long long)stats.submitted, (unsigned long long)sum);
}

static void soak(void)
{
    uint64_t fewest = UINT64_MAX, most = 0;
    for (int64_t end = begun_ms + seconds * 1000; now_ms() < end && atomic_load(&losses) == 0;) {
        moment();
        look_for_forgotten();
        uint64_t threads = stats_of(crew[0].pool).threads;
        if (threads < fewest) fewest = threads;
        if (threads > most) most = threads;
    }
    atomic_store(&over, 1);
    for (;;) { /* who does not come back is told of */
        look_for_forgotten();
        int busy = 0;
        for (int i = 0; i < CREW; i++)
            for (int k = 0; k < BATCH_MOST; k++) busy += atomic_load(&crew[i].since[k]) != 0;
        if (busy == 0) break;
        moment();
    }
    printf("thread_stress: %llu to %llu threads; ", (unsigned long long)fewest, (unsigned long long)most);
}

static int run(void)
{
    tandem_options options = {.threads = 3, .processes = TANDEM_NONE, .idle_ms = 1, .spin_us = seed % 2 == 0 ? 0 : TANDEM_NONE};
    tandem_pool *pool = NULL;
    begun_ms = now_ms();
    if (tandem_pool_create(&pool, &options) != 0) abort();
    for (int i = 0; i < CREW; i++) {
        crew[i].dice = (struct dice){(seed + 1) * 0x9e3779b97f4a7c15u + (uint64_t)i * 0x94d049bb133111ebu};
        for (int k = 0; k < 10; k++) roll(&crew[i].dice);
        crew[i].pool = i < PLAYERS ? pool : NULL;
        for (int k = 0; k < BATCH_MOST; k++) crew[i].records[k].since = &crew[i].since[k];
        if (pthread_create(&crew[i].thread, NULL, i < PLAYERS ? play : churn, &crew[i]) != 0) abort();
    }
    soak();
    for (int i = 0; i < CREW; i++) pthread_join(crew[i].thread, NULL);
    compare_books(pool);
    if (tandem_pool_destroy(pool) != 0) loss("the pool cannot be ended");
    printf("%llu tasks, %llu pools, %lld s, seed %llu, %d losses\n", (unsigned long long)all, (unsigned long long)pools,
           (long long)(now_ms() - begun_ms) / 1000, (unsigned long long)seed, losses);
    return losses == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    seed = (uint64_t)now_ms() % 1000000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0) seconds = atoll(argv[i + 1]);
        if (strcmp(argv[i], "--seed") == 0) seed = strtoull(argv[i + 1], NULL, 10);
    }
    if (argc % 2 == 0) {
        fprintf(stderr, "usage: thread_stress [--seconds N] [--seed N]\n");
        return 2;
    }
    return run();
}
