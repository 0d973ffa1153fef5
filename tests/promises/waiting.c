/* waiting.c - waiting for one, for any, by many, and by helping. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* ---- helping ---- */

static int whose_thread_task(tandem_context *context, void *input, size_t size)
{
    pthread_t self = pthread_self();
    (void)input, (void)size;
    if (tandem_where(context) != TANDEM_THREAD) return __LINE__;
    return tandem_reply(context, &self, sizeof self);
}

/* The only thread is held up; the task behind it is waited for. */
static void expect_help(bool helped, uint32_t flags, uint32_t timeout_ms)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task running = task_of(TANDEM_THREAD, gate_task, &gate, sizeof gate);
    tandem_task task = task_of(TANDEM_THREAD, whose_thread_task, NULL, 0);
    pthread_t ran_on;
    running.flags = TANDEM_NO_HELP;
    task.flags = flags;
    task.timeout_ms = timeout_ms;
    assert_int_equal(tandem_submit(pool, &running), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_int_equal(tandem_wait_for(&task, 20), TANDEM_PENDING); /* never runs anything itself */
    if (!helped) atomic_store(&gate->opened, 1);
    expect_end(&task, TANDEM_OK);
    memcpy(&ran_on, task.output, sizeof ran_on);
    assert_true((pthread_equal(ran_on, pthread_self()) != 0) == helped);
    atomic_store(&gate->opened, 1);
    expect_end(&running, TANDEM_OK);
    tandem_task_clear(&running);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void a_waiter_runs_a_task_that_has_not_started(void) { expect_help(true, 0, 0); }

static void a_task_with_NO_HELP_is_left_to_the_pool(void) { expect_help(false, TANDEM_NO_HELP, 0); }

static void a_task_with_a_timeout_is_left_to_the_pool(void) { expect_help(false, 0, (uint32_t)patience_ms()); }

/* ---- many waiters ---- */

struct waiter {
    pthread_t thread;
    tandem_task *task;
    int status;
};

static void *wait_for_it(void *argument)
{
    struct waiter *me = argument;
    me->status = tandem_wait(me->task);
    return NULL;
}

static void any_number_of_threads_may_wait_for_one_task(int isolation)
{
    enum { WAITERS = 8 };
    struct waiter waiters[WAITERS];
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (int round = 1; round <= 10; round++) {
        tandem_task task = task_of(isolation, gate_task, &gate, sizeof gate);
        atomic_store(&gate->opened, 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        for (int i = 0; i < WAITERS; i++) {
            waiters[i].task = &task;
            assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_for_it, &waiters[i]), 0);
        }
        assert_true(await(&gate->entered, round));
        atomic_store(&gate->opened, 1);
        for (int i = 0; i < WAITERS; i++) {
            assert_int_equal(pthread_join(waiters[i].thread, NULL), 0);
            assert_int_equal(waiters[i].status, TANDEM_OK);
        }
        assert_int_equal(tandem_wait(&task), TANDEM_OK); /* and again, when it is long over */
        assert_int_equal(tandem_wait_for(&task, 0), TANDEM_OK);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* Threads that wait for tasks on each other's workers: whoever reads a reply hands it to whom it concerns. */
static void *call_and_check(void *argument)
{
    tandem_pool *pool = argument;
    for (size_t i = 0; i < scaled(50000); i++) {
        tandem_task tasks[3];
        for (int k = 0; k < 3; k++) {
            tasks[k] = task_of(TANDEM_PROCESS, echo_task, &i, sizeof i);
            if (tandem_submit(pool, &tasks[k]) != 0) return "a submit was refused";
        }
        for (int k = 2; k >= 0; k--) {
            if (tandem_wait(&tasks[k]) != TANDEM_OK) return "a task did not end well";
            if (memcmp(tasks[k].output, &i, sizeof i) != 0) return "a reply went astray";
            tandem_task_clear(&tasks[k]);
        }
    }
    return NULL;
}

static void waiters_get_their_own_replies(void)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, NULL);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, call_and_check, pool), 0);
    for (int i = 0; i < THREADS; i++) {
        void *complaint;
        assert_int_equal(pthread_join(threads[i], &complaint), 0);
        if (complaint != NULL) fail_msg("%s", (char *)complaint);
    }
    end_pool(pool);
}

/* ---- any of several ---- */

static void wait_any_tells_which_has_ended(int isolation)
{
    enum { TASKS = 4 };
    static const int order[TASKS] = {2, 0, 3, 1};
    tandem_task tasks[TASKS], *list[TASKS + 1] = {NULL};
    struct gate *gates = shared(TASKS * sizeof *gates), *addresses[TASKS];
    tandem_pool *pool = pool_of(isolation, TASKS, NULL);
    for (int i = 0; i < TASKS; i++) {
        addresses[i] = &gates[i];
        tasks[i] = task_of(isolation, gate_task, &addresses[i], sizeof addresses[i]);
        list[i + 1] = &tasks[i];
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        assert_true(await(&gates[i].entered, 1));
    }
    for (int i = 0; i < TASKS; i++) {
        assert_int_equal(tandem_wait_any(list, TASKS + 1, 0), -ETIMEDOUT);
        assert_int_equal(tandem_wait_any(list, TASKS + 1, 10), -ETIMEDOUT);
        atomic_store(&gates[order[i]].opened, 1);
        assert_int_equal(tandem_wait_any(list, TASKS + 1, -1), order[i] + 1);
        list[order[i] + 1] = NULL; /* dealt with */
        tandem_task_clear(&tasks[order[i]]);
    }
    end_pool(pool);
}

static void wait_any_gives_the_lowest_of_the_ended(int isolation)
{
    tandem_task tasks[3], *list[3];
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    for (int i = 0; i < 3; i++) {
        tasks[i] = task_of(isolation, nothing_task, NULL, 0);
        list[i] = &tasks[i];
        assert_int_equal(tandem_call(pool, &tasks[i]), TANDEM_OK);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tandem_wait_any(list, 3, -1), i);
        list[i] = NULL;
    }
    assert_int_equal(tandem_wait_any(list, 3, -1), -EINVAL);
    for (int i = 0; i < 3; i++) tandem_task_clear(&tasks[i]);
    end_pool(pool);
}

static void wait_any_takes_all_in_turn(void)
{
    enum { TASKS = 200 };
    static tandem_task tasks[TASKS];
    tandem_task *list[TASKS];
    tandem_pool *pool = pool_of_both(2, 2);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(i % 2, nothing_task, NULL, 0);
        list[i] = &tasks[i];
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (int i = 0; i < TASKS; i++) {
        int index = tandem_wait_any(list, TASKS, -1);
        assert_in_range(index, 0, TASKS - 1);
        assert_non_null(list[index]);
        list[index] = NULL;
        assert_int_equal(tasks[index].status, TANDEM_OK);
        tandem_task_clear(&tasks[index]);
    }
    end_pool(pool);
}

/* The lists of two threads overlap, and both see every end. */
struct any_waiter {
    pthread_t thread;
    tandem_task **list;
    size_t count;
    int result;
};

static void *wait_for_any(void *argument)
{
    struct any_waiter *me = argument;
    me->result = tandem_wait_any(me->list, me->count, -1);
    return NULL;
}

static void many_threads_may_wait_for_any_of_the_same(int isolation)
{
    enum { WAITERS = 6 };
    struct any_waiter waiters[WAITERS];
    struct gate *gates = shared(2 * sizeof *gates), *addresses[2] = {&gates[0], &gates[1]};
    tandem_task tasks[2], *list[2] = {&tasks[0], &tasks[1]};
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    for (int i = 0; i < 2; i++) {
        tasks[i] = task_of(isolation, gate_task, &addresses[i], sizeof addresses[i]);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        assert_true(await(&gates[i].entered, 1));
    }
    for (int i = 0; i < WAITERS; i++) {
        waiters[i].list = list;
        waiters[i].count = 2;
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_for_any, &waiters[i]), 0);
    }
    atomic_store(&gates[1].opened, 1);
    for (int i = 0; i < WAITERS; i++) {
        assert_int_equal(pthread_join(waiters[i].thread, NULL), 0);
        assert_int_equal(waiters[i].result, 1);
    }
    atomic_store(&gates[0].opened, 1);
    for (int i = 0; i < 2; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    end_pool(pool);
}

/* ---- among tasks that never end ---- */

enum { MOST_WORKERS = 16, HAND = 16, MOST_TASKS = HAND * MOST_WORKERS };

static atomic_int told;

static void tell(tandem_task *task)
{
    (void)task;
    atomic_fetch_add(&told, 1);
}

static void submit_all(tandem_pool *pool, tandem_task *tasks, int count)
{
    for (int i = 0; i < count; i++) assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
}

static int processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 2 ? 2 : count > MOST_WORKERS ? MOST_WORKERS : (int)count;
}

static void clear_all(tandem_task *tasks, int count)
{
    for (int i = 0; i < count; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
}

/* From these a pool learns that tasks take no time, and hands over many at once. */
static void run_short_tasks(tandem_pool *pool)
{
    static tandem_task tasks[500];
    for (int i = 0; i < 500; i++) tasks[i] = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    submit_all(pool, tasks, 500);
    clear_all(tasks, 500);
}

/* Short ones, as many that do not end as there are workers, short ones again.  Of half of the first nobody waits for the end. */
static void submit_mixed(tandem_pool *pool, tandem_task *tasks, int workers, struct gate **stuck)
{
    for (int i = 0; i < 8 * workers; i++) {
        bool is_stuck = i >= 3 * workers && i < 4 * workers;
        tasks[i] = task_of(TANDEM_PROCESS, is_stuck ? gate_task : nothing_task, stuck, sizeof *stuck);
        if (i < 3 * workers && i % 2 == 0) tasks[i].on_done = tell;
    }
    submit_all(pool, tasks, 8 * workers);
}

/* They gather while the workers are held up.  So each worker gets, in one go, short ones, one that does not end, and some behind it; and
 * every processor is in use. */
static void what_has_ended_is_told_though_what_follows_it_does_not_end(void)
{
    static tandem_task held[MOST_WORKERS], tasks[MOST_TASKS];
    struct gate *gates = shared(2 * sizeof *gates), *first = &gates[0], *stuck = &gates[1];
    int workers = processors();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, (uint32_t)workers, NULL);
    for (int round = 0; round < 10; round++) {
        gates[0] = gates[1] = (struct gate){0};
        atomic_store(&told, 0);
        run_short_tasks(pool);
        for (int i = 0; i < workers; i++) held[i] = task_of(TANDEM_PROCESS, gate_task, &first, sizeof first);
        submit_all(pool, held, workers);
        assert_true(await(&first->entered, workers));
        submit_mixed(pool, tasks, workers, &stuck);
        atomic_store(&first->opened, 1);
        for (int i = 1; i < 3 * workers; i += 2) expect_end(&tasks[i], TANDEM_OK);
        wait_until(atomic_load(&told) == (3 * workers + 1) / 2);
        atomic_store(&stuck->opened, 1);
        clear_all(tasks, 8 * workers);
        clear_all(held, workers);
    }
    end_pool(pool);
}

struct opener {
    struct gate *first, *middle;
};

/* A middle one runs, so much has been handed over, and who waits for it sleeps most likely. */
static void *open_both(void *argument)
{
    const struct opener *opener = argument;
    atomic_store(&opener->first->opened, 1);
    await(&opener->middle->entered, 1);
    moment();
    atomic_store(&opener->middle->opened, 1);
    return NULL;
}

/* What a worker gets at once begins with one that is waited for; then comes one that does not end, with many behind it. */
static void who_waits_learns_of_an_end_though_what_follows_it_does_not_end(void)
{
    static tandem_task held[MOST_WORKERS], tasks[MOST_TASKS];
    struct gate *gates = shared(3 * sizeof *gates), *first = &gates[0], *middle = &gates[1], *stuck = &gates[2];
    int workers = processors();
    struct opener opener = {first, middle};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, (uint32_t)workers, NULL);
    for (int round = 0; round < 10; round++) {
        pthread_t thread;
        gates[0] = gates[1] = gates[2] = (struct gate){0};
        run_short_tasks(pool);
        for (int i = 0; i < workers; i++) held[i] = task_of(TANDEM_PROCESS, gate_task, &first, sizeof first);
        submit_all(pool, held, workers);
        assert_true(await(&first->entered, workers));
        for (int i = 0; i < HAND * workers; i++) {
            struct gate **gate = i % HAND == 0 ? &middle : &stuck;
            tasks[i] = task_of(TANDEM_PROCESS, i % HAND < 2 ? gate_task : nothing_task, gate, sizeof *gate);
        }
        submit_all(pool, tasks, HAND * workers);
        assert_int_equal(pthread_create(&thread, NULL, open_both, &opener), 0);
        clear_all(held, workers);
        expect_end(&tasks[0], TANDEM_OK); /* the first that begins, so it is behind none of those */
        assert_int_equal(pthread_join(thread, NULL), 0);
        atomic_store(&stuck->opened, 1);
        clear_all(tasks, HAND * workers);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_waiter_runs_a_task_that_has_not_started),
        test(a_task_with_NO_HELP_is_left_to_the_pool),
        test(a_task_with_a_timeout_is_left_to_the_pool),
        both(any_number_of_threads_may_wait_for_one_task),
        test(waiters_get_their_own_replies),
        both(wait_any_tells_which_has_ended),
        both(wait_any_gives_the_lowest_of_the_ended),
        test(wait_any_takes_all_in_turn),
        both(many_threads_may_wait_for_any_of_the_same),
        test(what_has_ended_is_told_though_what_follows_it_does_not_end),
        test(who_waits_learns_of_an_end_though_what_follows_it_does_not_end),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
