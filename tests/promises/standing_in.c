/* standing_in.c - threads that stand in for those that sleep in the middle of a task: where they are needed, and where not. */
#include "harness.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- they begin; for other waits see nesting.c, channels.c, locks.c ---- */

static atomic_uint word;

static int sleep_on_word_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    while (atomic_load(&word) == 0)
        if (tandem_atomic_wait(&word, 0, -1) != 0) return __LINE__;
    return 0;
}

static int wake_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    atomic_store(&word, 1);
    return tandem_atomic_notify(&word, 1);
}

/* promise 13: the pool's only thread sleeps until the second task has run */
static void the_task_that_wakes_the_only_thread_from_a_word_runs(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, &(tandem_options){.idle_ms = 1});
    for (size_t round = 0; round < scaled(5000); round++) {
        tandem_task sleeper = task_of(TANDEM_THREAD, sleep_on_word_task, NULL, 0);
        tandem_task waker = task_of(TANDEM_THREAD, wake_task, NULL, 0);
        sleeper.flags = waker.flags = TANDEM_NO_HELP;
        atomic_store(&word, 0);
        assert_int_equal(tandem_submit(pool, &sleeper), 0);
        assert_int_equal(tandem_submit(pool, &waker), 0);
        expect_end(&waker, TANDEM_OK);
        expect_end(&sleeper, TANDEM_OK);
    }
    wait_until(stats_of(pool).threads == 1);
    end_pool(pool);
}

/* ---- they do not begin ---- */

static struct {
    pthread_key_t key;
    atomic_int starts, stops, gone;
} ends;

static void nap(int milliseconds)
{
    static atomic_uint never;
    tandem_atomic_wait(&never, 0, milliseconds);
}

static int count_start(void **data, void *argument)
{
    (void)data, (void)argument;
    atomic_fetch_add(&ends.starts, 1);
    return 0;
}

static void stop_sleeping(void *data, void *argument)
{
    (void)data, (void)argument;
    nap(5);
    atomic_fetch_add(&ends.stops, 1);
}

static int nap_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    nap(10);
    return 0;
}

/* Each would have another begin, which ends in the same way. */
static void one_that_sleeps_in_on_worker_stop_is_not_stood_in_for(void)
{
    tandem_options options = {.idle_ms = 1, .on_worker_start = count_start, .on_worker_stop = stop_sleeping};
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, &options);
    tandem_task task = task_of(TANDEM_THREAD, nap_task, NULL, 0);
    task.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    wait_until(stats_of(pool).threads == 1 && atomic_load(&ends.starts) == 2 && atomic_load(&ends.stops) == 1);
    end_pool(pool);
    assert_int_equal(atomic_load(&ends.starts), 2);
    assert_int_equal(atomic_load(&ends.stops), 2);
}

static void sleep_and_go(void *unused)
{
    (void)unused;
    nap(20);
    atomic_fetch_add(&ends.gone, 1);
}

static int start_with_own_data(void **data, void *argument)
{
    pthread_setspecific(ends.key, &ends);
    return count_start(data, argument);
}

static void one_that_sleeps_while_its_own_data_is_destroyed_is_not_stood_in_for(void)
{
    tandem_options options = {.on_worker_start = start_with_own_data};
    assert_int_equal(pthread_key_create(&ends.key, sleep_and_go), 0);
    end_pool(pool_of(TANDEM_THREAD, 1, &options));
    assert_int_equal(atomic_load(&ends.starts), 1);
    assert_int_equal(atomic_load(&ends.gone), 1);
}

/* ---- in a child ---- */

struct family {
    tandem_pool *pool;
    tandem_task waits; /* behind the one that forks */
};

static int fork_task(tandem_context *context, void *input, size_t size)
{
    struct family *family;
    int status;
    (void)context;
    memcpy(&family, input, size);
    if (tandem_submit(family->pool, &family->waits) != 0) return __LINE__;
    pid_t pid = fork();
    if (pid < 0) return __LINE__;
    if (pid == 0) {
        alarm(60);
        if (tandem_init() != 0) _exit(1);
        nap(20);
        _exit(tandem_quit() == 0 ? 0 : 2);
    }
    return waitpid(pid, &status, 0) == pid ? status : __LINE__;
}

/* promise 34 */
static void in_a_child_that_starts_afresh_nobody_stands_in_for_a_thread_of_its_parents_pool(void)
{
    skip_under_sanitizer("a forked child of a program with threads may not start threads under it");
    atomic_int *runs = shared(sizeof *runs);
    struct family family = {.pool = pool_of(TANDEM_THREAD, 1, NULL)}, *pointer = &family;
    tandem_task task = task_of(TANDEM_THREAD, fork_task, &pointer, sizeof pointer);
    family.waits = task_of(TANDEM_THREAD, count_task, &runs, sizeof runs);
    task.flags = family.waits.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(family.pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    expect_end(&family.waits, TANDEM_OK);
    assert_int_equal(atomic_load(runs), 1);
    end_pool(family.pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(the_task_that_wakes_the_only_thread_from_a_word_runs),
        test(one_that_sleeps_in_on_worker_stop_is_not_stood_in_for),
        test(one_that_sleeps_while_its_own_data_is_destroyed_is_not_stood_in_for),
        test(in_a_child_that_starts_afresh_nobody_stands_in_for_a_thread_of_its_parents_pool),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
