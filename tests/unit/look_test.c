/* look_test.c - threads/thread_lane.c: what waits under the ledger's lock can be found before its deadline can fire. */
#include "harness.h"

#include <pthread.h>

#include "pool.h"

static void *submit_one(void *argument)
{
    tandem_task *task = argument;
    return tandem_submit(task->user_data, task) == 0 ? task : NULL;
}

/* Its submitter is held where it arms the deadline; the only worker is busy, so nobody else takes LOOK off. */
static void who_hears_of_a_deadline_finds_the_task(void)
{
    tandem_options options = {.queue_limit = 1};
    pthread_t thread;
    void *submitted;
    struct gate *gate = shared(sizeof *gate);
    tandem_task running = task_of(TANDEM_THREAD, gate_task, &gate, sizeof gate);
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, &options);
    tandem_task task = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
    task.flags = TANDEM_NO_HELP;
    task.queue_timeout_ms = 1;
    task.user_data = pool;
    running.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &running), 0);
    assert_true(await(&gate->entered, 1));
    tdm_lock(&pool->core.deadlines.lock, TDM_RANK_DEADLINES);
    assert_int_equal(pthread_create(&thread, NULL, submit_one, &task), 0);
    wait_until(tdm_shards_have_something(&pool->threads.shards));
    tdm_unlock(&pool->core.deadlines.lock, TDM_RANK_DEADLINES);
    assert_int_equal(pthread_join(thread, &submitted), 0);
    assert_non_null(submitted);
    expect_end(&task, TANDEM_EXPIRED);
    atomic_store(&gate->opened, 1);
    expect_end(&running, TANDEM_OK);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(who_hears_of_a_deadline_finds_the_task),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
