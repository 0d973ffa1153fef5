/* waiting_elsewhere.c - a task is waited for where it is, although it lay behind another in a worker's hands and was given to one that has
 * nothing to do. */
#include "harness.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The thread that waits stands still in the handler, so that all that happens to its task meanwhile has happened when it looks. */
static atomic_int is_held, is_let_go;

static void hold(int number)
{
    (void)number;
    atomic_store(&is_held, 1);
    while (!atomic_load(&is_let_go)) {
    }
}

struct waiter {
    tandem_task *task;
    atomic_int tid;
    int64_t returned_ms;
};

static void *wait_for_it(void *argument)
{
    struct waiter *waiter = argument;
    atomic_store(&waiter->tid, (int)syscall(SYS_gettid));
    tandem_wait(waiter->task);
    waiter->returned_ms = now_ms();
    return NULL;
}

enum { FIRST, OTHER, BEFORE, MINE, BEHIND, LAST, TASKS };

/* How long after its task has been let go the thread has returned. */
static int64_t one_round(struct gate **gates, tandem_pool *pool)
{
    tandem_task tasks[TASKS];
    struct waiter waiter = {.task = &tasks[MINE]};
    pthread_t thread;
    atomic_store(&is_held, 0);
    atomic_store(&is_let_go, 0);
    for (int i = 0; i < TASKS; i++) {
        *gates[i] = (struct gate){.opened = i >= BEHIND};
        tasks[i] = task_of(TANDEM_PROCESS, gate_task, &gates[i], sizeof gates[i]);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        if (i <= OTHER) assert_true(await(&gates[i]->entered, 1));
    }
    atomic_store(&gates[FIRST]->opened, 1); /* its worker gets what is behind it, up to MINE or so */
    assert_true(await(&gates[BEFORE]->entered, 1));
    moment();
    assert_int_equal(pthread_create(&thread, NULL, wait_for_it, &waiter), 0);
    wait_until(thread_sleeps(atomic_load(&waiter.tid)));
    assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
    assert_true(await(&is_held, 1));
    atomic_store(&gates[OTHER]->opened, 1); /* its worker does the rest, and then takes from the first one what waits there */
    assert_true(await(&gates[MINE]->entered, 1));
    pid_t worker = atomic_load(&gates[BEFORE]->pid);
    atomic_store(&gates[BEFORE]->opened, 1);
    assert_true(await(&gates[BEFORE]->left, 1));
    wait_until(thread_sleeps(worker)); /* it has replied */
    atomic_store(&is_let_go, 1);
    wait_until(thread_sleeps(atomic_load(&waiter.tid)));
    const int64_t opened_ms = now_ms();
    atomic_store(&gates[MINE]->opened, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (int i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    return waiter.returned_ms - opened_ms;
}

/* Who looks for its task where it is no more finds its end only when it looks around by itself, each time; who is merely slow, now and
 * then.  promise 11 */
static void who_waits_for_a_task_that_another_worker_has_taken_over_waits_there(void)
{
    enum { ROUNDS = 9, LATE_MS = 40 };
    struct gate *gates[TASKS];
    struct sigaction action = {.sa_handler = hold};
    int late = 0;
    skip_without("/proc/self/task", "nobody tells which thread sleeps");
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    for (int i = 0; i < TASKS; i++) gates[i] = shared(sizeof *gates[i]);
    for (int i = 0; i < ROUNDS; i++) {
        tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, NULL);
        int64_t took = one_round(gates, pool);
        if (took > LATE_MS) late++;
        end_pool(pool);
    }
    assert_true(late <= ROUNDS / 2);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {test(who_waits_for_a_task_that_another_worker_has_taken_over_waits_there)};
    return harness_main(argc, argv, tests, count_of(tests));
}
