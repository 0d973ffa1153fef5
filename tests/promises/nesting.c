/* nesting.c - tasks that submit tasks and wait for them, deeper than there are workers, and pools inside process tasks. */
#include "harness.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- threads ---- */

static struct {
    tandem_pool *pool;
    uint32_t flags;
    uint32_t timeout_ms;
    void (*on_done)(tandem_task *task);
    bool by_group;
    atomic_int callbacks;
} nest;

static void count_callback(tandem_task *task)
{
    (void)task;
    atomic_fetch_add(&nest.callbacks, 1);
}

static int down_task(tandem_context *context, void *input, size_t size);

static tandem_task down(int *depth)
{
    tandem_task task = task_of(TANDEM_THREAD, down_task, depth, sizeof *depth);
    task.flags = nest.flags;
    task.timeout_ms = nest.timeout_ms;
    task.on_done = nest.on_done;
    return task;
}

/* Goes one deeper, and counts the floors on its way up. */
static int down_task(tandem_context *context, void *input, size_t size)
{
    int depth, below = 0;
    memcpy(&depth, input, size);
    if (depth > 0) {
        int next = depth - 1;
        tandem_group group = {0};
        tandem_task child = down(&next);
        if (nest.by_group) child.group = &group;
        if (tandem_submit(nest.pool, &child) != 0) return __LINE__;
        if (nest.by_group && tandem_group_wait(&group, -1) != TANDEM_OK) return __LINE__;
        if (tandem_wait(&child) != TANDEM_OK) return __LINE__;
        memcpy(&below, child.output, sizeof below);
        tandem_task_clear(&child);
    }
    below++;
    return tandem_reply(context, &below, sizeof below);
}

static void nested_64_deep(uint32_t threads, const tandem_options *options)
{
    int depth = 64, floors = 0;
    nest.pool = pool_of(TANDEM_THREAD, threads, options);
    tandem_task top = down(&depth);
    assert_int_equal(tandem_submit(nest.pool, &top), 0);
    expect_end(&top, TANDEM_OK);
    memcpy(&floors, top.output, sizeof floors);
    assert_int_equal(floors, 65);
    assert_int_equal(tandem_pool_drain(nest.pool, -1), 0);
    if (nest.on_done != NULL) assert_int_equal(atomic_load(&nest.callbacks), 65);
    tandem_task_clear(&top);
    end_pool(nest.pool);
}

/* promise 13 */
static void nested_waits_end_on_one_worker(void) { nested_64_deep(1, NULL); }

/* promise 13 */
static void nested_waits_end_on_two_workers(void) { nested_64_deep(2, NULL); }

/* promise 13 */
static void nested_waits_for_groups_end(void)
{
    nest.by_group = true;
    nested_64_deep(1, NULL);
}

/* promise 13: no outside waiter would take such tasks back, a pool's own thread does */
static void nested_waits_for_tasks_with_a_timeout_end(void)
{
    nest.timeout_ms = (uint32_t)patience_ms();
    nested_64_deep(1, NULL);
}

/* promise 13 */
static void nested_waits_for_tasks_with_a_callback_end(void)
{
    nest.on_done = count_callback;
    nested_64_deep(1, NULL);
}

/* promise 13: nobody takes such a task back; other threads stand in for those that wait, and go when they are not needed */
static void nested_waits_for_tasks_that_nobody_helps_with_end(void)
{
    nest.flags = TANDEM_NO_HELP;
    nested_64_deep(1, &(tandem_options){.idle_ms = 1});
    nested_64_deep(2, NULL);
}

/* Waits in every way that does not help. */
static int wait_in_all_ways(tandem_context *context, void *input, size_t size)
{
    tandem_task *const *late = input; /* submitted by another thread */
    (void)context, (void)size;
    for (int i = 0; i < 3; i++) {
        tandem_task own = task_of(TANDEM_THREAD, nothing_task, NULL, 0), *list[] = {&own};
        tandem_group group = {0};
        own.flags = TANDEM_NO_HELP;
        own.group = &group;
        if (tandem_submit(nest.pool, &own) != 0) return __LINE__;
        if (i == 0 && tandem_wait_for(&own, -1) != TANDEM_OK) return __LINE__;
        if (i == 1 && tandem_wait_any(list, 1, -1) != 0) return __LINE__;
        if (tandem_group_wait(&group, -1) != TANDEM_OK) return __LINE__;
    }
    atomic_fetch_add(&nest.callbacks, 1);
    if (!await(&nest.callbacks, 2)) return __LINE__;
    return tandem_wait_for(*late, -1) == TANDEM_OK ? 0 : __LINE__;
}

static void another_thread_stands_in_for_one_that_waits(void)
{
    nest.pool = pool_of(TANDEM_THREAD, 1, &(tandem_options){.idle_ms = 1});
    for (size_t round = 0; round < scaled(5000); round++) {
        struct gate gate = {0}, *where = &gate;
        tandem_task late = task_of(TANDEM_THREAD, gate_task, &where, sizeof where), *pointer = &late;
        tandem_task first = task_of(TANDEM_THREAD, wait_in_all_ways, &pointer, sizeof pointer);
        late.flags = first.flags = TANDEM_NO_HELP;
        atomic_store(&nest.callbacks, 0);
        assert_int_equal(tandem_submit(nest.pool, &first), 0);
        assert_true(await(&nest.callbacks, 1));
        assert_int_equal(tandem_submit(nest.pool, &late), 0);
        atomic_fetch_add(&nest.callbacks, 1);
        assert_true(await(&gate.entered, 1)); /* though the pool's only thread waits for it */
        atomic_store(&gate.opened, 1);
        expect_end(&first, TANDEM_OK);
        expect_end(&late, TANDEM_OK);
    }
    wait_until(stats_of(nest.pool).threads == 1);
    end_pool(nest.pool);
}

static int no_start(void **worker_data, void *argument)
{
    (void)argument;
    *worker_data = NULL;
    return 0;
}

/* promise 13 */
static void nested_waits_on_prepared_workers_end(void) { nested_64_deep(1, &(tandem_options){.on_worker_start = no_start}); }

/* promise 13: the queue's limit does not bind the pool's own threads */
static void nested_waits_with_a_full_queue_end(void)
{
    nested_64_deep(1, &(tandem_options){.queue_limit = 1, .when_full = TANDEM_FULL_BLOCK});
}

/* Each task makes two: a tree, on two workers and the waiter. */
static int tree_task(tandem_context *context, void *input, size_t size)
{
    int depth;
    memcpy(&depth, input, size);
    if (depth == 0) return 0;
    depth--;
    tandem_task children[2];
    for (int i = 0; i < 2; i++) {
        children[i] = task_of(TANDEM_THREAD, tree_task, &depth, sizeof depth);
        if (tandem_submit(nest.pool, &children[i]) != 0) return __LINE__;
    }
    for (int i = 0; i < 2; i++)
        if (tandem_wait(&children[i]) != TANDEM_OK) return __LINE__;
    (void)context;
    return 0;
}

/* promise 13 */
static void a_tree_of_waits_ends(void)
{
    int depth = full_run() ? 16 : 10;
    nest.pool = pool_of(TANDEM_THREAD, 2, NULL);
    tandem_task top = task_of(TANDEM_THREAD, tree_task, &depth, sizeof depth);
    assert_int_equal(tandem_call(nest.pool, &top), TANDEM_OK);
    assert_int_equal(stats_of(nest.pool).ended[TANDEM_OK], (2u << (unsigned)depth) - 1);
    tandem_task_clear(&top);
    end_pool(nest.pool);
}

/* Thread tasks that wait for process tasks of the same pool, more of them than there are threads. */
static int wait_for_process_task(tandem_context *context, void *input, size_t size)
{
    tandem_task child = task_of(TANDEM_PROCESS, echo_task, input, size);
    if (tandem_call(nest.pool, &child) != TANDEM_OK) return __LINE__;
    int bad = tandem_reply(context, child.output, child.output_size);
    tandem_task_clear(&child);
    return bad;
}

static void thread_tasks_wait_for_process_tasks(void)
{
    enum { TASKS = 20 };
    tandem_task tasks[TASKS];
    char word[] = "there and back";
    nest.pool = pool_of_both(2, 1);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(TANDEM_THREAD, wait_for_process_task, word, sizeof word);
        assert_int_equal(tandem_submit(nest.pool, &tasks[i]), 0);
    }
    for (int i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        assert_string_equal(tasks[i].output, "there and back");
        tandem_task_clear(&tasks[i]);
    }
    end_pool(nest.pool);
}

/* ---- pools inside process tasks ---- */

static atomic_int *deepest; /* shared */

/* Makes a pool of its own inside its worker and goes one deeper there; the innermost runs a thread task too. */
static int pool_inside_task(tandem_context *context, void *input, size_t size)
{
    int depth;
    memcpy(&depth, input, size);
    atomic_fetch_add(deepest, 1);
    if (depth == 0) return 0;
    depth--;
    tandem_pool *pool;
    tandem_options options = {.threads = 1, .processes = 1};
    if (tandem_pool_create(&pool, &options) != 0) return __LINE__;
    tandem_task below = task_of(TANDEM_PROCESS, pool_inside_task, &depth, sizeof depth);
    tandem_task beside = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    int status = tandem_call(pool, &below);
    if (status != TANDEM_OK) return status == TANDEM_FAILED ? below.code : 10000 + status;
    if (tandem_call(pool, &beside) != TANDEM_OK) return __LINE__;
    tandem_task_clear(&below);
    (void)context;
    return tandem_pool_destroy(pool) == 0 ? 0 : __LINE__;
}

static void pools_inside(int depth)
{
    deepest = shared(sizeof *deepest);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 1; i <= 3; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, pool_inside_task, &depth, sizeof depth);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        assert_int_equal(atomic_load(deepest), i * (depth + 1));
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* promise 13 */
static void a_process_task_may_have_a_pool_of_its_own(void) { pools_inside(1); }

/* promise 13 */
static void pools_in_process_tasks_work_three_deep(void) { pools_inside(3); }

static struct gate *innermost; /* shared */

static int abandon_pool_task(tandem_context *context, void *input, size_t size)
{
    tandem_pool *pool;
    tandem_options options = {.threads = TANDEM_NONE, .processes = 1};
    (void)context, (void)input, (void)size;
    if (tandem_pool_create(&pool, &options) != 0) return __LINE__;
    tandem_task spinning = task_of(TANDEM_PROCESS, spin_task, &innermost, sizeof innermost);
    if (tandem_submit(pool, &spinning) != 0) return __LINE__;
    tandem_wait(&spinning);
    return __LINE__; /* not reached: this worker is killed meanwhile */
}

/* promise 13: killing a worker ends what it had made below it, and that is looked at when the test ends */
static void a_cancelled_task_takes_its_own_pool_with_it(void)
{
    innermost = shared(sizeof *innermost);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, abandon_pool_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&innermost->entered, 1));
    assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    wait_until(!process_lives(atomic_load(&innermost->pid)));
    tandem_task_clear(&task);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(nested_waits_end_on_one_worker),
        test(nested_waits_end_on_two_workers),
        test(nested_waits_for_groups_end),
        test(nested_waits_for_tasks_with_a_timeout_end),
        test(nested_waits_for_tasks_with_a_callback_end),
        test(nested_waits_on_prepared_workers_end),
        test(nested_waits_with_a_full_queue_end),
        test(nested_waits_for_tasks_that_nobody_helps_with_end),
        test(another_thread_stands_in_for_one_that_waits),
        test(a_tree_of_waits_ends),
        test(thread_tasks_wait_for_process_tasks),
        test(a_process_task_may_have_a_pool_of_its_own),
        test(pools_in_process_tasks_work_three_deep),
        test(a_cancelled_task_takes_its_own_pool_with_it),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
