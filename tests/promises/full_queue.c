/* full_queue.c - a queue with a limit: block, refuse or run here, at exactly the limit, and never for the pool's own threads. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT = 3 };

/* One worker, held up by a task that waits at the gate, and as many tasks waiting as the queue takes. */
struct full {
    struct gate *gate;
    tandem_pool *pool;
    tandem_task running;
    tandem_task waiting[LIMIT];
};

static tandem_task gated(struct full *full, int isolation)
{
    tandem_task task = task_of(isolation, gate_task, &full->gate, sizeof full->gate);
    task.flags = TANDEM_NO_HELP;
    return task;
}

static void fill_queue(struct full *full, int isolation, int32_t when_full)
{
    full->gate = shared(sizeof *full->gate);
    full->pool = pool_of(isolation, 1, &(tandem_options){.queue_limit = LIMIT, .when_full = when_full});
    full->running = gated(full, isolation);
    assert_int_equal(tandem_submit(full->pool, &full->running), 0);
    assert_true(await(&full->gate->entered, 1));
    for (int i = 0; i < LIMIT; i++) {
        full->waiting[i] = gated(full, isolation);
        assert_int_equal(tandem_submit(full->pool, &full->waiting[i]), 0);
    }
    assert_int_equal(stats_of(full->pool).waiting, LIMIT);
}

static void let_all_end(struct full *full)
{
    atomic_store(&full->gate->opened, 1);
    expect_end(&full->running, TANDEM_OK);
    tandem_task_clear(&full->running);
    for (int i = 0; i < LIMIT; i++) {
        expect_end(&full->waiting[i], TANDEM_OK);
        tandem_task_clear(&full->waiting[i]);
    }
}

/* ---- refuse ---- */

/* promise 9 */
static void refuse_refuses_at_exactly_the_limit(int isolation)
{
    struct full full;
    fill_queue(&full, isolation, TANDEM_FULL_REFUSE);
    tandem_task more = gated(&full, isolation), before = more;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tandem_submit(full.pool, &more), -EAGAIN);
        assert_memory_equal(&more, &before, offsetof(tandem_task, reserved));
        assert_int_equal(tandem_wait(&more), -EINVAL); /* it is still one that was never submitted */
    }
    assert_int_equal(stats_of(full.pool).submitted, 1 + LIMIT);

    assert_int_equal(tandem_cancel(&full.waiting[0]), 0); /* one goes, one may come */
    expect_end(&full.waiting[0], TANDEM_CANCELLED);
    assert_int_equal(tandem_submit(full.pool, &full.waiting[0]), 0);
    assert_int_equal(tandem_submit(full.pool, &more), -EAGAIN);
    let_all_end(&full);
    assert_int_equal(tandem_submit(full.pool, &more), 0);
    expect_end(&more, TANDEM_OK);
    tandem_task_clear(&more);
    end_pool(full.pool);
}

/* promise 9 */
static void submit_many_takes_what_there_is_room_for(int isolation)
{
    struct full full;
    fill_queue(&full, isolation, TANDEM_FULL_REFUSE);
    tandem_task more[4], *list[4];
    for (int i = 0; i < 4; i++) {
        more[i] = gated(&full, isolation);
        list[i] = &more[i];
    }
    assert_int_equal(tandem_submit_many(full.pool, list, 4), -EAGAIN);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tandem_cancel(&full.waiting[i]), 0);
        expect_end(&full.waiting[i], TANDEM_CANCELLED);
    }
    assert_int_equal(tandem_submit_many(full.pool, list, 4), 2);
    assert_int_equal(tandem_wait_for(&more[1], 0), TANDEM_PENDING);
    assert_int_equal(tandem_wait(&more[2]), -EINVAL);
    atomic_store(&full.gate->opened, 1);
    for (int i = 0; i < 2; i++) {
        expect_end(&more[i], TANDEM_OK);
        tandem_task_clear(&more[i]);
        tandem_task_clear(&full.waiting[i]);
    }
    expect_end(&full.running, TANDEM_OK);
    tandem_task_clear(&full.running);
    expect_end(&full.waiting[2], TANDEM_OK);
    tandem_task_clear(&full.waiting[2]);
    end_pool(full.pool);
}

/* ---- block ---- */

struct blocked {
    tandem_pool *pool;
    tandem_task *task;
    atomic_int begun, returned;
};

static void *submit_blocked(void *argument)
{
    struct blocked *me = argument;
    atomic_store(&me->begun, 1);
    int result = tandem_submit(me->pool, me->task);
    atomic_store(&me->returned, 1);
    return result == 0 ? NULL : "the submit failed";
}

/* Runs a submit on another thread, sees that it does not return while the queue is full, opens, sees that it does. */
static void expect_blocked_until_open(struct full *full, tandem_task *more)
{
    struct blocked blocked = {.pool = full->pool, .task = more};
    pthread_t other;
    void *complaint;
    assert_int_equal(pthread_create(&other, NULL, submit_blocked, &blocked), 0);
    assert_true(await(&blocked.begun, 1));
    for (int i = 0; i < 20; i++) { /* not to wait for something: to give a wrong return the time to show */
        moment();
        assert_int_equal(atomic_load(&blocked.returned), 0);
        assert_int_equal(stats_of(full->pool).submitted, 1 + LIMIT);
    }
    let_all_end(full);
    assert_true(await(&blocked.returned, 1));
    assert_int_equal(pthread_join(other, &complaint), 0);
    assert_null(complaint);
    expect_end(more, TANDEM_OK);
    tandem_task_clear(more);
}

/* promise 9 */
static void block_blocks_until_there_is_room(int isolation)
{
    struct full full;
    fill_queue(&full, isolation, TANDEM_FULL_BLOCK);
    tandem_task more = gated(&full, isolation);
    expect_blocked_until_open(&full, &more);
    end_pool(full.pool);
}

/* promise 9 */
static void run_here_waits_with_a_process_task(void)
{
    struct full full;
    fill_queue(&full, TANDEM_PROCESS, TANDEM_FULL_RUN_HERE);
    tandem_task more = gated(&full, TANDEM_PROCESS);
    expect_blocked_until_open(&full, &more);
    end_pool(full.pool);
}

/* ---- run here ---- */

static int whose_thread_task(tandem_context *context, void *input, size_t size)
{
    pthread_t self = pthread_self();
    (void)input, (void)size;
    return tandem_reply(context, &self, sizeof self);
}

/* promise 9 */
static void run_here_runs_on_the_caller(void)
{
    struct full full;
    pthread_t ran_on;
    fill_queue(&full, TANDEM_THREAD, TANDEM_FULL_RUN_HERE);
    tandem_task more = task_of(TANDEM_THREAD, whose_thread_task, NULL, 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tandem_submit(full.pool, &more), 0);
        assert_int_equal(tandem_wait_for(&more, 0), TANDEM_OK); /* it has run when submit returns */
        memcpy(&ran_on, more.output, sizeof ran_on);
        assert_true(pthread_equal(ran_on, pthread_self()));
        tandem_task_clear(&more);
    }
    tandem_stats stats = stats_of(full.pool);
    assert_int_equal(stats.submitted, 1 + LIMIT + 5);
    assert_int_equal(stats.waiting, LIMIT);
    assert_int_equal(stats.ended[TANDEM_OK], 5);
    let_all_end(&full);
    end_pool(full.pool);
}

static int no_start(void **worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    return 0;
}

/* promise 9: a task that needs what on_worker_start made runs on workers only */
static void run_here_waits_where_workers_are_prepared(void)
{
    struct full full;
    full.gate = shared(sizeof *full.gate);
    full.pool = pool_of(TANDEM_THREAD, 1,
                        &(tandem_options){.queue_limit = LIMIT, .when_full = TANDEM_FULL_RUN_HERE, .on_worker_start = no_start});
    full.running = gated(&full, TANDEM_THREAD);
    assert_int_equal(tandem_submit(full.pool, &full.running), 0);
    assert_true(await(&full.gate->entered, 1));
    for (int i = 0; i < LIMIT; i++) {
        full.waiting[i] = gated(&full, TANDEM_THREAD);
        assert_int_equal(tandem_submit(full.pool, &full.waiting[i]), 0);
    }
    tandem_task more = gated(&full, TANDEM_THREAD);
    expect_blocked_until_open(&full, &more);
    end_pool(full.pool);
}

/* ---- the pool's own threads ---- */

enum { CHILDREN = 20 };

static tandem_pool *own_pool;
static tandem_task children[CHILDREN];

static int submit_children_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    for (int i = 0; i < CHILDREN; i++)
        if (tandem_submit(own_pool, &children[i]) != 0) return __LINE__;
    return 0;
}

static void expect_children_taken(int32_t when_full)
{
    own_pool = pool_of(TANDEM_THREAD, 1, &(tandem_options){.queue_limit = 1, .when_full = when_full});
    for (int i = 0; i < CHILDREN; i++) children[i] = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    tandem_task parent = task_of(TANDEM_THREAD, submit_children_task, NULL, 0);
    parent.flags = TANDEM_NO_HELP; /* so that the pool's own thread submits */
    assert_int_equal(tandem_call(own_pool, &parent), TANDEM_OK);
    for (int i = 0; i < CHILDREN; i++) {
        expect_end(&children[i], TANDEM_OK);
        tandem_task_clear(&children[i]);
    }
    tandem_task_clear(&parent);
    end_pool(own_pool);
}

/* promise 9 */
static void a_task_that_submits_is_never_blocked(void) { expect_children_taken(TANDEM_FULL_BLOCK); }

/* promise 9 */
static void a_task_that_submits_is_never_refused(void) { expect_children_taken(TANDEM_FULL_REFUSE); }

/* promise 9 */
static void a_task_that_submits_never_runs_its_own_here(void) { expect_children_taken(TANDEM_FULL_RUN_HERE); }

static atomic_int refused;

static void submit_children(tandem_task *task)
{
    (void)task;
    for (int i = 0; i < CHILDREN; i++)
        if (tandem_submit(own_pool, &children[i]) != 0) atomic_fetch_add(&refused, 1);
}

/* promise 9 */
static void a_callback_that_submits_is_never_refused(int isolation)
{
    own_pool = pool_of(isolation, 1, &(tandem_options){.queue_limit = 1, .when_full = TANDEM_FULL_REFUSE});
    for (int i = 0; i < CHILDREN; i++) children[i] = task_of(isolation, nothing_task, NULL, 0);
    tandem_task parent = task_of(isolation, nothing_task, NULL, 0);
    parent.on_done = submit_children;
    assert_int_equal(tandem_submit(own_pool, &parent), 0);
    assert_int_equal(tandem_pool_drain(own_pool, -1), 0);
    assert_int_equal(atomic_load(&refused), 0);
    for (int i = 0; i < CHILDREN; i++) {
        expect_end(&children[i], TANDEM_OK);
        tandem_task_clear(&children[i]);
    }
    tandem_task_clear(&parent);
    end_pool(own_pool);
}

/* ---- with others at the same task ---- */

struct rival {
    tandem_task *task;
    atomic_int over;
};

static void *cancels(void *argument)
{
    struct rival *rival = argument;
    while (!atomic_load(&rival->over)) tandem_cancel(rival->task);
    return NULL;
}

static void a_cancel_while_a_task_is_refused_finds_nothing(int isolation)
{
    struct full full;
    fill_queue(&full, isolation, TANDEM_FULL_REFUSE);
    tandem_task more = task_of(isolation, nothing_task, NULL, 0);
    struct rival rival = {.task = &more};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancels, &rival), 0);
    for (size_t i = 0; i < scaled(10000000); i++) {
        int result = tandem_submit(full.pool, &more);
        if (result != 0) {
            assert_int_equal(result, -EAGAIN);
            continue;
        }
        expect_end(&more, TANDEM_CANCELLED); /* cancelled before it was counted */
        tandem_task_clear(&more);
    }
    atomic_store(&rival.over, 1);
    pthread_join(thread, NULL);
    let_all_end(&full);
    tandem_task_clear(&more);
    end_pool(full.pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(refuse_refuses_at_exactly_the_limit),
        both(submit_many_takes_what_there_is_room_for),
        both(block_blocks_until_there_is_room),
        test(run_here_waits_with_a_process_task),
        test(run_here_runs_on_the_caller),
        test(run_here_waits_where_workers_are_prepared),
        test(a_task_that_submits_is_never_blocked),
        test(a_task_that_submits_is_never_refused),
        test(a_task_that_submits_never_runs_its_own_here),
        both(a_callback_that_submits_is_never_refused),
        both(a_cancel_while_a_task_is_refused_finds_nothing),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
