/* chaos_crew.c - the threads that submit, cancel and wait. */
#include "chaos.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { BATCH_MOST = 24, CHURN_BATCH = 12, CREW_MOST = 64 };

/* One thread.  The last of the crew has pools of its own, which it ends under their tasks. */
struct hand {
    pthread_t thread;
    struct dice dice;
    struct record *records;
    size_t room;
    tandem_pool *pool;
    bool limited; /* a submit may block: all that spins must end by itself */
    tandem_group group;
};

static struct hand crew[CREW_MOST];

static size_t crew_size(void) { return settings.threads + 1; }

/* ---- submitting ---- */

/* From its entry the task is ours: judged, and perhaps submitted once more, under the eyes of whoever cancels. */
static void on_done(tandem_task *task)
{
    struct record *record = task->user_data;
    if (atomic_fetch_add(&record->calls, 1) != 0) loss("on_done was called twice");
    if (record->relays > 0 && !atomic_load(&over)) {
        record->relays--;
        judge(record);
        plan_again(record);
        atomic_store(&record->since_ms, now_ms());
        int error = tandem_submit(record->pool, task);
        if (error == 0) return; /* from here on it is not ours any more */
        loss("a submit from on_done: %s", tandem_strerror(error));
        record->judged = true; /* its former run has been */
        atomic_store(&record->since_ms, 0);
    }
    atomic_store(&record->yours, 1);
}

/* Who spins and has no timeout would never end. */
static bool must_be_cancelled(const struct record *record) { return record->order->kind == SPINS && record->task.timeout_ms == 0; }

static void dress(struct hand *hand, struct record *record, bool grouped)
{
    if (grouped) record->task.group = &hand->group;
    if (!chance(&hand->dice, 30)) return;
    record->task.on_done = on_done;
    bool can = record->order->kind != NESTS && !must_be_cancelled(record) && !record->pool_ends;
    if (!can || !chance(&hand->dice, 30)) return;
    record->relayed = true;
    record->relays = (int)roll_between(&hand->dice, 1, 3);
}

static void submit_some(struct hand *hand, struct record *records, size_t count)
{
    tandem_task *list[BATCH_MOST];
    for (size_t i = 0; i < count; i++) {
        list[i] = &records[i].task;
        atomic_store(&records[i].since_ms, now_ms());
    }
    int taken = count == 1 ? tandem_submit(hand->pool, list[0]) : tandem_submit_many(hand->pool, list, count);
    if (taken == (count == 1 ? 0 : (int)count)) return;
    loss("a submit of %zu tasks: %d, %s", count, taken, taken < 0 ? tandem_strerror(taken) : "too few");
    _exit(1); /* who is waited for is not known any more */
}

void submit_nested_and_wait(struct record *record)
{
    atomic_store(&record->since_ms, now_ms());
    int result = tandem_call(record->pool, &record->task);
    if (result < 0)
        loss("a submit inside a task: %s", tandem_strerror(result));
    else
        judge(record);
    atomic_store(&record->since_ms, 0);
}

/* ---- cancelling ---- */

/* What its own on_done may submit again, nobody else may cancel. */
static void cancel(struct record *record)
{
    if (record->relayed) return;
    atomic_store(&record->asked, 1);
    int result = tandem_cancel(&record->task);
    if (result != 0 && result != -EALREADY) loss("a cancel: %s", tandem_strerror(result));
}

static void cancel_some(struct hand *hand, size_t count, bool grouped)
{
    bool storm = chance(&hand->dice, 10);
    if (chance(&hand->dice, 50)) pass_ms(roll_below(&hand->dice, 10));
    for (size_t i = 0; i < count; i++)
        if (must_be_cancelled(&hand->records[i]) || chance(&hand->dice, storm ? 60 : 4)) cancel(&hand->records[i]);
    if (!grouped || !chance(&hand->dice, 10)) return;
    for (size_t i = 0; i < count; i++)
        if (hand->records[i].relayed) return;
    for (size_t i = 0; i < count; i++) atomic_store(&hand->records[i].asked, 1);
    int asked = tandem_group_cancel(&hand->group);
    if (asked < 0) loss("a cancel of a group: %d", asked);
}

/* ---- waiting ---- */

static void wait_for_each(struct hand *hand, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct record *record = &hand->records[i];
        if (record->relayed) continue; /* on_done may have it submitted anew: nobody else may wait for it */
        int status = chance(&hand->dice, 30) ? tandem_wait_for(&record->task, roll_between(&hand->dice, 0, 20)) : TANDEM_PENDING;
        if (status == TANDEM_PENDING) status = tandem_wait(&record->task);
        if (status <= 0) loss("a wait: %d", status);
    }
}

static void wait_for_any(struct hand *hand, size_t count)
{
    tandem_task *list[BATCH_MOST];
    size_t left = 0;
    for (size_t i = 0; i < count; i++) {
        list[i] = hand->records[i].relayed ? NULL : &hand->records[i].task;
        if (list[i] != NULL) left++;
    }
    while (left > 0) {
        int index = tandem_wait_any(list, count, chance(&hand->dice, 50) ? -1 : 5);
        if (index == -ETIMEDOUT) continue;
        if (index < 0 || (size_t)index >= count || list[index] == NULL) {
            loss("tandem_wait_any: %d", index);
            return;
        }
        list[index] = NULL;
        left--;
    }
}

static void wait_for_group(struct hand *hand)
{
    int status = TANDEM_PENDING;
    if (chance(&hand->dice, 30)) status = tandem_group_wait(&hand->group, roll_between(&hand->dice, 0, 20));
    if (status == TANDEM_PENDING) status = tandem_group_wait(&hand->group, -1);
    if (status <= 0) loss("a wait for a group: %d", status);
}

static void take_back(struct hand *hand, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct record *record = &hand->records[i];
        if (record->task.on_done != NULL)
            while (atomic_load(&record->yours) == 0) moment();
        judge(record);
    }
}

/* ---- rounds ---- */

static void submit_all(struct hand *hand, size_t count, bool grouped, bool ends)
{
    for (size_t i = 0; i < count; i++) {
        plan(&hand->records[i], &hand->dice, hand->pool, ends);
        if (hand->limited && must_be_cancelled(&hand->records[i])) hand->records[i].task.timeout_ms = 30;
        dress(hand, &hand->records[i], grouped);
    }
    for (size_t i = 0; i < count;) {
        size_t some = chance(&hand->dice, 70) ? 1 : roll_between(&hand->dice, 1, (uint32_t)(count - i));
        submit_some(hand, &hand->records[i], some);
        i += some;
        if (chance(&hand->dice, 5)) cancel(&hand->records[roll_below(&hand->dice, (uint32_t)i)]);
    }
}

static void play_round(struct hand *hand)
{
    size_t count = roll_between(&hand->dice, 1, (uint32_t)hand->room);
    bool grouped = chance(&hand->dice, 30);
    submit_all(hand, count, grouped, false);
    cancel_some(hand, count, grouped);
    if (grouped)
        wait_for_group(hand);
    else if (chance(&hand->dice, 60))
        wait_for_each(hand, count);
    else
        wait_for_any(hand, count);
    take_back(hand, count);
}

static void *play(void *argument)
{
    struct hand *hand = argument;
    while (!atomic_load(&over)) play_round(hand);
    return NULL;
}

/* ---- pools that come and go ---- */

static tandem_pool *some_pool(struct hand *hand)
{
    struct dice *dice = &hand->dice;
    tandem_pool *pool = NULL;
    tandem_options options = {.threads = roll_between(dice, 1, 2),
                              .processes = roll_between(dice, 1, 3),
                              .processes_ready = chance(dice, 30) ? 1 : 0,
                              .idle_ms = chance(dice, 50) ? 5 : 0,
                              .queue_limit = chance(dice, 50) ? 3 : 0,
                              .tasks_per_worker = chance(dice, 50) ? roll_between(dice, 1, 5) : 0,
                              .kill_grace_ms = chance(dice, 30) ? 10 : 0,
                              .no_crash_report = chance(dice, 30) ? 1 : 0,
                              .worker_error = chance(dice, 30) ? TANDEM_STDIO_CAPTURE : 0,
                              .name = "chaos-churn"};
    hand->limited = options.queue_limit != 0;
    uint64_t begun = now_ns();
    int error = tandem_pool_create(&pool, &options);
    if (error != 0 && !may_lack_workers(begun, now_ns())) loss("a pool: %s", tandem_strerror(error));
    return error == 0 ? pool : NULL;
}

static void *churn(void *argument)
{
    struct hand *hand = argument;
    while (!atomic_load(&over)) {
        hand->pool = some_pool(hand);
        if (hand->pool == NULL) continue;
        size_t count = roll_between(&hand->dice, 1, CHURN_BATCH);
        submit_all(hand, count, false, true);
        if (chance(&hand->dice, 50)) pass_ms(roll_below(&hand->dice, 20));
        if (chance(&hand->dice, 50)) cancel_some(hand, count, false);
        int error = chance(&hand->dice, 20) ? tandem_pool_drain(hand->pool, roll_below(&hand->dice, 20)) : 0;
        if (error != 0 && error != -ETIMEDOUT) loss("a drain: %s", tandem_strerror(error));
        error = tandem_pool_destroy(hand->pool);
        if (error != 0) loss("the end of a pool: %s", tandem_strerror(error));
        take_back(hand, count);
        pass_ms(roll_below(&hand->dice, 100));
    }
    return NULL;
}

/* ---- the crew ---- */

/* Records first, for the ledger's pages must be there before the guards; then the threads. */
void crew_begin(tandem_pool *pool)
{
    for (size_t i = 0; i < crew_size() && pool == NULL; i++) {
        crew[i].room = i < settings.threads ? BATCH_MOST : CHURN_BATCH;
        crew[i].records = records_of(crew[i].room);
        crew[i].dice = dice_of(i);
    }
    for (size_t i = 0; i < crew_size() && pool != NULL; i++) {
        crew[i].pool = pool;
        crew[i].limited = queue_limit_of(settings.seed) != 0;
        if (pthread_create(&crew[i].thread, NULL, i < settings.threads ? play : churn, &crew[i]) != 0) abort();
    }
}

void crew_end(void)
{
    for (size_t i = 0; i < crew_size(); i++) pthread_join(crew[i].thread, NULL);
}

static void look_at(const struct record *record, int64_t limit_ms)
{
    int64_t since = atomic_load(&record->since_ms);
    if (since == 0 || now_ms() - since <= limit_ms) return;
    loss("a task has not ended for %lld ms: %s task that %s, flags %#x, on_done %d, asked %d, pool ends %d, ledger %u begun %u "
         "left, "
         "calls %d",
         (long long)(now_ms() - since), record->task.isolation == TANDEM_PROCESS ? "process" : "thread",
         kind_names[record->order->kind], record->task.flags, record->task.on_done != NULL, atomic_load(&record->asked),
         record->pool_ends, runs_begun(record->cell, record->generation), runs_left(record->cell, record->generation),
         atomic_load(&record->calls));
}

void crew_look(int64_t limit_ms)
{
    for (size_t i = 0; i < crew_size(); i++)
        for (size_t k = 0; k < 2 * crew[i].room; k++) look_at(&crew[i].records[k], limit_ms);
}
