/* dedicated.c - a task with a process of its own: at once, beyond the pool's processes, and none of it is left after it. */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static tandem_task dedicated(tandem_fn *run, void *input, size_t size)
{
    tandem_task task = task_of(TANDEM_PROCESS, run, input, size);
    task.flags = TANDEM_DEDICATED;
    return task;
}

static int pid_task(tandem_context *context, void *input, size_t size)
{
    pid_t pid = getpid();
    (void)input, (void)size;
    return tandem_reply(context, &pid, sizeof pid);
}

/* Keeps the pool's only worker busy until the gate opens; its pid. */
static pid_t occupy(tandem_pool *pool, tandem_task *task, struct gate **gate)
{
    *task = task_of(TANDEM_PROCESS, gate_task, gate, sizeof *gate);
    assert_int_equal(tandem_submit(pool, task), 0);
    assert_true(await(&(*gate)->entered, 1));
    return (pid_t)atomic_load(&(*gate)->pid);
}

/* ---- beyond the pool's processes ---- */

static void dedicated_tasks_run_at_once_beyond_the_pools_processes(void)
{
    enum { TASKS = 5 };
    tandem_task usual, tasks[TASKS];
    pid_t pids[TASKS + 1];
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    pids[TASKS] = occupy(pool, &usual, &gate);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = dedicated(gate_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&gate->entered, TASKS + 1));
    assert_int_equal(stats_of(pool).processes, TASKS + 1);
    assert_int_equal(stats_of(pool).running, TASKS + 1);
    atomic_store(&gate->opened, 1);
    expect_end(&usual, TANDEM_OK);
    assert_int_equal(usual.report->pid, pids[TASKS]);
    for (int i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        pids[i] = tasks[i].report->pid;
        assert_true(pids[i] > 0 && pids[i] != pids[TASKS]);
        assert_true(tasks[i].report->worker >= 1);
        for (int k = 0; k < i; k++) assert_int_not_equal(pids[i], pids[k]);
        for (int k = 0; k < i; k++) assert_int_not_equal(tasks[i].report->worker, tasks[k].report->worker);
    }
    for (int i = 0; i < TASKS; i++) wait_until(!process_lives(pids[i]));
    wait_until(stats_of(pool).processes == 1); /* the pool's own stays */
    assert_true(process_lives(pids[TASKS]));
    assert_int_equal(stats_of(pool).workers_crashed, 0);
    assert_int_equal(stats_of(pool).workers_recycled, 0);
    for (int i = 0; i < TASKS; i++) tandem_task_clear(&tasks[i]);
    tandem_task_clear(&usual);
    end_pool(pool);
}

static void a_dedicated_task_does_not_wait_behind_others(void)
{
    enum { TASKS = 3 };
    tandem_task usual, waiting[TASKS];
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    occupy(pool, &usual, &gate);
    for (int i = 0; i < TASKS; i++) {
        waiting[i] = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        assert_int_equal(tandem_submit(pool, &waiting[i]), 0);
    }
    tandem_task task = dedicated(nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    assert_int_equal(stats_of(pool).waiting, TASKS); /* nor is its process used for those */
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < TASKS; i++) {
        expect_end(&waiting[i], TANDEM_OK);
        assert_int_equal(waiting[i].report->pid, atomic_load(&gate->pid));
        tandem_task_clear(&waiting[i]);
    }
    tandem_task_clear(&usual);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void each_dedicated_task_finds_a_fresh_process(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, NULL);
    tandem_task usual = task_of(TANDEM_PROCESS, pid_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &usual), TANDEM_OK); /* an idle worker is there, and is not taken */
    pid_t idle = usual.report->pid;
    uint32_t last = usual.report->worker;
    size_t descriptors = entries_in("/proc/self/fd");
    size_t processes = processes_of_ours();
    for (size_t i = 0; i < scaled(2000); i++) {
        tandem_task task = dedicated(pid_task, NULL, 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        assert_int_equal(*(pid_t *)task.output, task.report->pid);
        assert_int_not_equal(task.report->pid, idle);
        assert_int_not_equal(task.report->worker, last);
        last = task.report->worker;
        tandem_task_clear(&task);
    }
    tandem_task_clear(&usual);
    wait_until(stats_of(pool).processes == 1);
    wait_until(entries_in("/proc/self/fd") == descriptors);
    wait_until(processes_of_ours() == processes);
    assert_int_equal(stats_of(pool).workers_started, 1 + scaled(2000));
    assert_int_equal(stats_of(pool).workers_crashed, 0);
    end_pool(pool);
}

static void sixty_four_dedicated_tasks_run_at_once(void)
{
    enum { MOST = 64 };
    static tandem_task tasks[MOST];
    int count = slowness() > 1 ? 16 : MOST;
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < count; i++) {
        tasks[i] = dedicated(gate_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&gate->entered, count));
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < count; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    wait_until(stats_of(pool).processes == 0);
    end_pool(pool);
}

static void a_dedicated_task_carries_much_both_ways(void)
{
    const size_t size = 4 << 20;
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++) bytes[i] = (char)(i * 17 + i / 1000);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = dedicated(echo_task, bytes, size);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    assert_int_equal(task.output_size, size);
    assert_memory_equal(task.output, bytes, size);
    tandem_task_clear(&task);
    free(bytes);
    end_pool(pool);
}

/* ---- its endings ---- */

static int die_task(tandem_context *context, void *input, size_t size)
{
    int signal_or_code;
    memcpy(&signal_or_code, input, size);
    (void)context;
    if (signal_or_code > 0) raise(signal_or_code);
    _exit(-signal_or_code);
}

static void a_dedicated_tasks_crash_is_told_and_touches_no_other(void)
{
    static const int deaths[] = {SIGKILL, SIGABRT, -7, 0};
    tandem_task usual;
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    occupy(pool, &usual, &gate);
    for (size_t i = 0; i < count_of(deaths); i++) {
        tandem_task task = dedicated(die_task, (void *)(uintptr_t)&deaths[i], sizeof deaths[i]);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_CRASHED);
        assert_int_equal(task.signal, deaths[i] > 0 ? deaths[i] : 0);
        assert_int_equal(task.code, deaths[i] > 0 ? 0 : -deaths[i]);
        tandem_task_clear(&task);
    }
    wait_until(stats_of(pool).workers_crashed == count_of(deaths));
    wait_until(stats_of(pool).processes == 1);
    assert_int_equal(tandem_wait_for(&usual, 0), TANDEM_PENDING);
    atomic_store(&gate->opened, 1);
    expect_end(&usual, TANDEM_OK);
    tandem_task_clear(&usual);
    end_pool(pool);
}

static void a_dedicated_task_can_be_stopped_while_it_runs(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 1; i <= 4; i++) {
        bool by_timeout = i % 2 == 0;
        tandem_task task = dedicated(spin_task, &gate, sizeof gate);
        if (by_timeout) task.timeout_ms = 300 * (uint32_t)slowness(); /* time to come in */
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_true(await(&gate->entered, i));
        if (!by_timeout) assert_int_equal(tandem_cancel(&task), 0);
        expect_end(&task, by_timeout ? TANDEM_TIMED_OUT : TANDEM_CANCELLED);
        assert_int_equal(task.report->pid, atomic_load(&gate->pid));
        wait_until(!process_lives(task.report->pid));
        tandem_task_clear(&task);
    }
    wait_until(stats_of(pool).processes == 0);
    assert_int_equal(stats_of(pool).workers_crashed, 0);
    end_pool(pool);
}

static void a_pool_that_ends_takes_its_dedicated_tasks_with_it(void)
{
    enum { TASKS = 6 };
    tandem_task tasks[TASKS];
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = dedicated(spin_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&gate->entered, TASKS));
    end_pool(pool);
    for (int i = 0; i < TASKS; i++) {
        expect_end(&tasks[i], TANDEM_CANCELLED);
        wait_until(!process_lives(tasks[i].report->pid));
        tandem_task_clear(&tasks[i]);
    }
}

static void a_drain_waits_for_dedicated_tasks(void)
{
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = dedicated(gate_task, &gate, sizeof gate);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&gate->entered, 1));
    assert_int_equal(tandem_pool_drain(pool, 10), -ETIMEDOUT);
    atomic_store(&gate->opened, 1);
    assert_int_equal(tandem_pool_drain(pool, -1), 0);
    assert_int_equal(tandem_wait_for(&task, 0), TANDEM_OK);
    tandem_task late = dedicated(nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &late), -ESHUTDOWN);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- while its process starts ---- */

static struct {
    atomic_int starts, stops;
    atomic_int hang; /* on_worker_start stays for as long as this is set */
    atomic_int fail; /* what it returns */
    atomic_int runs;
} * records; /* shared */

static int start(void **worker_data, void *argument)
{
    int number = atomic_fetch_add(&records->starts, 1) + 1;
    (void)argument;
    while (atomic_load(&records->hang)) moment();
    *worker_data = (void *)(uintptr_t)number;
    return atomic_load(&records->fail);
}

static void stop(void *worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    atomic_fetch_add(&records->stops, 1);
}

static int run_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    atomic_fetch_add(&records->runs, 1);
    return tandem_worker_data(context) != NULL ? 0 : __LINE__;
}

static tandem_pool *begin_recorded(void)
{
    records = shared(sizeof *records);
    tandem_options options = {.on_worker_start = start, .on_worker_stop = stop};
    return pool_of(TANDEM_PROCESS, 1, &options);
}

static void a_dedicated_process_starts_and_stops_as_any_worker(void)
{
    tandem_pool *pool = begin_recorded();
    for (int i = 1; i <= 5; i++) {
        tandem_task task = dedicated(run_task, NULL, 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_OK);
        wait_until(atomic_load(&records->stops) == i); /* it ends after its task, not with the pool */
        assert_int_equal(atomic_load(&records->starts), i);
        tandem_task_clear(&task);
    }
    end_pool(pool);
    assert_int_equal(atomic_load(&records->stops), 5);
}

static void a_dedicated_task_can_be_stopped_while_its_process_starts(void)
{
    tandem_pool *pool = begin_recorded();
    tandem_task cancelled = dedicated(run_task, NULL, 0), expired = cancelled;
    expired.queue_timeout_ms = 50;
    atomic_store(&records->hang, 1);
    assert_int_equal(tandem_submit(pool, &cancelled), 0);
    assert_int_equal(tandem_submit(pool, &expired), 0);
    assert_true(await(&records->starts, 1));
    assert_int_equal(tandem_cancel(&cancelled), 0);
    expect_end(&cancelled, TANDEM_CANCELLED);
    expect_end(&expired, TANDEM_EXPIRED);
    assert_int_equal(cancelled.report->started_ns, 0);
    assert_int_equal(expired.report->started_ns, 0);
    atomic_store(&records->hang, 0);
    wait_until(stats_of(pool).processes == 0); /* those that nobody needs any more */
    assert_int_equal(atomic_load(&records->runs), 0);
    tandem_task next = dedicated(run_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &next), 0);
    expect_end(&next, TANDEM_OK);
    tandem_task_clear(&cancelled);
    tandem_task_clear(&expired);
    tandem_task_clear(&next);
    end_pool(pool);
    assert_int_equal(atomic_load(&records->runs), 1);
}

static void a_pool_ends_while_a_dedicated_process_starts(void)
{
    tandem_pool *pool = begin_recorded();
    tandem_task task = dedicated(run_task, NULL, 0);
    atomic_store(&records->hang, 1);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&records->starts, 1));
    end_pool(pool);
    expect_end(&task, TANDEM_CANCELLED);
    assert_int_equal(atomic_load(&records->runs), 0);
    tandem_task_clear(&task);
}

static void a_dedicated_task_whose_process_cannot_start_says_why(void)
{
    tandem_pool *pool = begin_recorded();
    atomic_store(&records->fail, ENODEV);
    for (int i = 0; i < 2; i++) {
        tandem_task task = dedicated(run_task, NULL, 0);
        assert_int_equal(tandem_submit(pool, &task), 0);
        expect_end(&task, TANDEM_NOT_STARTED);
        assert_int_equal(task.code, ENODEV);
        assert_string_equal(task.report->step, "on_worker_start");
        tandem_task_clear(&task);
    }
    atomic_store(&records->fail, 0);
    tandem_task task = dedicated(run_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    assert_int_equal(atomic_load(&records->runs), 1);
    end_pool(pool);
}

/* ---- at any moment; and where it means nothing ---- */

/* promise 17 */
static void dedicated_tasks_cancelled_at_random_moments_end_once(void)
{
    enum { WINDOW = 8 };
    static tandem_task tasks[WINDOW];
    static atomic_int *cells[WINDOW];
    atomic_int *ledger = shared(WINDOW * sizeof *ledger);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    uint32_t random = 4711;
    size_t rounds = scaled(1000);
    for (size_t round = 0; round < rounds; round++) {
        for (int i = 0; i < WINDOW; i++) {
            cells[i] = &ledger[i];
            tasks[i] = dedicated(count_task, &cells[i], sizeof cells[i]);
            atomic_store(&ledger[i], 0);
            assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
        }
        for (int i = 0; i < WINDOW; i++) {
            random = random * 1664525u + 1013904223u;
            if ((random >> 24) % 4 == 0) moment();
            int asked = tandem_cancel(&tasks[(random >> 8) % WINDOW]);
            assert_true(asked == 0 || asked == -EALREADY);
        }
        for (int i = 0; i < WINDOW; i++) {
            int status = tandem_wait(&tasks[i]);
            assert_true(status == TANDEM_OK || status == TANDEM_CANCELLED);
            if (status == TANDEM_OK) assert_int_equal(atomic_load(&ledger[i]), 1);
            assert_in_range(atomic_load(&ledger[i]), 0, 1);
            tandem_task_clear(&tasks[i]);
        }
    }
    wait_until(stats_of(pool).processes == 0);
    assert_int_equal(stats_of(pool).submitted, rounds * WINDOW);
    end_pool(pool);
}

static void a_pool_without_processes_has_none_for_a_dedicated_task(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    tandem_task task = dedicated(nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), -EINVAL);
    task.isolation = TANDEM_THREAD; /* where the flag means nothing */
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(dedicated_tasks_run_at_once_beyond_the_pools_processes),
        test(a_dedicated_task_does_not_wait_behind_others),
        test(each_dedicated_task_finds_a_fresh_process),
        test(sixty_four_dedicated_tasks_run_at_once),
        test(a_dedicated_task_carries_much_both_ways),
        test(a_dedicated_tasks_crash_is_told_and_touches_no_other),
        test(a_dedicated_task_can_be_stopped_while_it_runs),
        test(a_pool_that_ends_takes_its_dedicated_tasks_with_it),
        test(a_drain_waits_for_dedicated_tasks),
        test(a_dedicated_process_starts_and_stops_as_any_worker),
        test(a_dedicated_task_can_be_stopped_while_its_process_starts),
        test(a_pool_ends_while_a_dedicated_process_starts),
        test(a_dedicated_task_whose_process_cannot_start_says_why),
        test(dedicated_tasks_cancelled_at_random_moments_end_once),
        test(a_pool_without_processes_has_none_for_a_dedicated_task),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
