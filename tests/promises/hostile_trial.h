/* hostile_trial.h - a task that has its worker do hostile things, honest ones beside it, and what must become of them.
 *
 * Promised is only: every task ends exactly once, the host and the tasks of other workers go on as if nothing were, and the worker is
 * replaced.  What such a worker says of the tasks in its own hands may be a lie. */
#ifndef TANDEM_HOSTILE_TRIAL_H
#define TANDEM_HOSTILE_TRIAL_H

#include "hostile_deeds.h"

#define ONLY(status) (1u << (status))
#define CRASHED_ONLY ONLY(TANDEM_CRASHED)
#define STOPPED      (ONLY(TANDEM_CRASHED) | ONLY(TANDEM_TIMED_OUT))
#define ANY          (STOPPED | ONLY(TANDEM_OK) | ONLY(TANDEM_FAILED) | ONLY(TANDEM_OVER_LIMIT) | ONLY(TANDEM_NOT_STARTED))
#define NEVER        600000 /* a timeout that no test reaches */

/* ---- a hostile task, and others beside it ---- */

enum ending { RETURNS, EXITS, ABORTS, LINGERS, SPINS };

#define PIDS       (1u << 22) /* more than any Linux has */
#define DEEDS      4u         /* most of one task */
#define BYSTANDERS 5u

/* Seen by all workers. */
static struct shared_state {
    atomic_int begun;      /* hostile tasks and starts */
    atomic_int bad_starts; /* that are still to come */
    atomic_int last;       /* pid */
    atomic_uchar is_hostile[PIDS];
} * state;

struct order {
    deed_fn *deeds[DEEDS]; /* one after the other, until NULL */
    uint64_t variant, seed;
    enum ending ending;
    bool is_heard; /* somebody takes its messages, if slowly */
};

static inline void turn_hostile(void)
{
    atomic_store(&state->last, (int)getpid());
    atomic_store(&state->is_hostile[(unsigned)getpid() % PIDS], 1);
    atomic_fetch_add(&state->begun, 1);
}

/* It is no more, and its number may be given to another. */
static inline void forget_hostile(pid_t pid) { atomic_store(&state->is_hostile[(unsigned)pid % PIDS], 0); }

static inline bool is_hostile(pid_t pid) { return atomic_load(&state->is_hostile[(unsigned)pid % PIDS]) != 0; }

/* A deed that needs what cannot be found here does nothing, and 99 says so. */
static inline int obey(const struct order *order)
{
    struct own own = find_own(order->variant, order->seed);
    if (own.replies < 0 || own.requests < 0 || own.lifeline < 0) return 99;
    for (size_t i = 0; i < DEEDS && order->deeds[i] != NULL; i++) order->deeds[i](&own);
    return 0;
}

static inline int hostile_task(tandem_context *context, void *input, size_t size)
{
    static const struct rlimit no_core;
    struct order order;
    if (size != sizeof order) return __LINE__;
    memcpy(&order, input, size);
    turn_hostile();
    setrlimit(RLIMIT_CORE, &no_core);
    int found = obey(&order);
    if (found != 0) return found;
    tandem_reply(context, "an honest reply", 15);
    switch (order.ending) {
    case EXITS: _exit(3);
    case ABORTS: abort();
    case SPINS:
        for (;;) moment();
    case LINGERS:
        for (int i = 0; i < 100; i++) moment();
        break;
    default: break;
    }
    return 0;
}

struct counted {
    tandem_task task;
    atomic_int ends;
};

static inline void count_end(tandem_task *task) { atomic_fetch_add((atomic_int *)task->user_data, 1); }

static inline void submit(tandem_pool *pool, struct counted *one, tandem_group *group)
{
    one->task.on_done = count_end;
    one->task.user_data = &one->ends;
    one->task.group = group;
    atomic_store(&one->ends, 0);
    assert_int_equal(tandem_submit(pool, &one->task), 0);
}

static inline void wait_for_all(tandem_group *group)
{
    if (tandem_group_wait(group, patience_ms()) == TANDEM_PENDING)
        fail_msg("a task has not ended within %d s", (int)(patience_ms() / 1000));
}

static char pattern[100000];

static inline void begin(void)
{
    if (state != NULL) return;
    state = shared(sizeof *state);
    for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (char)(i * 7 + i / 251);
}

/* An honest task with a reply of its own.  A hostile worker may hold it for ever: it says that it has begun it, and that is all. */
static inline void submit_bystander(tandem_pool *pool, struct counted *one, unsigned number, int64_t timeout_ms,
                                    tandem_group *group)
{
    static const size_t sizes[] = {1, 40, 3000, 70000, 0, 8192};
    one->task = task_of(TANDEM_PROCESS, echo_task, pattern + number % 1000, sizes[number % count_of(sizes)]);
    one->task.timeout_ms = (uint32_t)timeout_ms;
    submit(pool, one, group);
}

/* Once, and as it should unless a hostile worker had it in its hands. */
static inline void check_bystander(struct counted *one)
{
    tandem_task *task = &one->task;
    assert_int_equal(atomic_load(&one->ends), 1);
    assert_int_not_equal(task->status, TANDEM_PENDING);
    if (!is_hostile(task->report->pid)) {
        expect_end(task, TANDEM_OK);
        assert_int_equal(task->output_size, task->input_size);
        if (task->output_size > 0) assert_int_equal(memcmp(task->output, task->input, task->output_size), 0);
    }
    tandem_task_clear(task);
}

static inline void take_slowly(tandem_task *task, const tandem_message *message)
{
    static unsigned taken; /* one thread calls */
    (void)task, (void)message;
    if (++taken % 16 == 0) moment();
}

static inline void submit_hostile(tandem_pool *pool, struct counted *one, struct order *order, uint32_t timeout_ms,
                                  tandem_group *group)
{
    one->task = task_of(TANDEM_PROCESS, hostile_task, order, sizeof *order);
    if (order->is_heard) one->task.on_message = take_slowly;
    one->task.timeout_ms = timeout_ms;
    submit(pool, one, group);
}

static inline void check_hostile(struct counted *one, unsigned statuses)
{
    char line[512];
    assert_int_equal(atomic_load(&one->ends), 1);
    tandem_describe(&one->task, line, sizeof line);
    if (one->task.status == TANDEM_FAILED && one->task.code == 99) fail_msg("the worker did not find its own channel");
    if ((statuses >> one->task.status & 1) == 0) fail_msg("ended in another way than it should: %s", line);
    if (getenv("TANDEM_TEST_VERBOSE") != NULL) printf("%s\n", line);
    tandem_task_clear(&one->task);
}

/* The books balance, and nothing is left in them. */
static inline void check_books(tandem_pool *pool)
{
    tandem_stats stats = stats_of(pool);
    uint64_t ended = 0;
    for (size_t i = 0; i < count_of(stats.ended); i++) ended += stats.ended[i];
    assert_int_equal(stats.submitted, ended);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.running, 0);
}

#endif
