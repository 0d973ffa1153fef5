/* locks.c - locks in shared memory, among threads and worker processes, also those that die. */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_LOCKS 64

struct desk {
    tandem_mutex mutex;
    uint64_t first, second; /* equal whenever nobody holds the lock in peace */
    uint64_t rounds;
    atomic_ullong changes;
    atomic_int begun, told, wrong, stop;
    atomic_int go;
    tandem_mutex many[MOST_LOCKS + 1];
};

static struct desk *desk_in(tandem_pool *pool)
{
    struct desk *desk = tandem_shared_alloc(pool, sizeof *desk);
    assert_non_null(desk);
    return desk;
}

/* ---- bad use ---- */

static int misuse_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    char *bytes = input;
    (void)context, (void)size;
    for (int i = 1; i < 8; i++) {
        if (tandem_lock((tandem_mutex *)(void *)(bytes + i), 0) != -EINVAL) return __LINE__;
        if (tandem_unlock((tandem_mutex *)(void *)(bytes + i)) != -EINVAL) return __LINE__;
    }
    if (tandem_lock(NULL, 0) != -EINVAL || tandem_unlock(NULL) != -EINVAL) return __LINE__;
    if (tandem_unlock(&desk->mutex) != -EPERM) return __LINE__;
    if (tandem_lock(&desk->mutex, 0) != 0) return __LINE__;
    if (tandem_lock(&desk->mutex, 0) != -EDEADLK || tandem_lock(&desk->mutex, -1) != -EDEADLK) return __LINE__;
    if (tandem_unlock(&desk->mutex) != 0 || tandem_unlock(&desk->mutex) != -EPERM) return __LINE__;
    return tandem_lock(&desk->mutex, -1) == 0 && tandem_unlock(&desk->mutex) == 0 ? 0 : __LINE__;
}

static void bad_use_is_told(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    struct desk *desk = desk_in(pool);
    tandem_task task = task_of(isolation, misuse_task, desk, sizeof *desk);
    expect_end((tandem_submit(pool, &task), &task), TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

static int many_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < MOST_LOCKS; i++)
            if (tandem_lock(&desk->many[i], 0) != 0) return __LINE__;
        if (tandem_lock(&desk->many[MOST_LOCKS], 0) != -ENOLCK) return __LINE__;
        for (int i = 0; i < MOST_LOCKS; i++)
            if (tandem_unlock(&desk->many[i]) != 0) return __LINE__;
    }
    return 0;
}

static void a_worker_holds_64_locks_and_no_more(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    struct desk *desk = desk_in(pool);
    tandem_task task = task_of(TANDEM_PROCESS, many_task, desk, sizeof *desk);
    expect_end((tandem_submit(pool, &task), &task), TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- one at a time ---- */

static int count_rounds_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    for (uint64_t i = 0; i < desk->rounds; i++) {
        if (tandem_lock(&desk->mutex, -1) != 0) return __LINE__;
        if (desk->first != desk->second) return __LINE__;
        desk->first++;
        if (i % 64 == 0) usleep(1); /* so that others come to wait, also on one processor */
        desk->second++;
        if (tandem_unlock(&desk->mutex) != 0) return __LINE__;
    }
    return 0;
}

static void threads_and_workers_hold_a_lock_one_at_a_time(void)
{
    enum { EACH = 3 };
    tandem_pool *pool = pool_of_both(EACH, EACH);
    struct desk *desk = desk_in(pool);
    desk->rounds = scaled(200000);
    tandem_task tasks[2 * EACH];
    for (int i = 0; i < 2 * EACH; i++) {
        tasks[i] = task_of(i % 2 == 0 ? TANDEM_THREAD : TANDEM_PROCESS, count_rounds_task, desk, sizeof *desk);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (int i = 0; i < 2 * EACH; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    assert_int_equal(desk->first, 2 * EACH * desk->rounds);
    assert_int_equal(desk->second, desk->first);
    end_pool(pool);
}

static int hold_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    if (tandem_lock(&desk->mutex, -1) != 0) return __LINE__;
    atomic_fetch_add(&desk->begun, 1);
    if (!await(&desk->go, 1)) return __LINE__;
    return tandem_unlock(&desk->mutex) == 0 ? 0 : __LINE__;
}

static void who_does_not_want_to_wait_is_told(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    struct desk *desk = desk_in(pool);
    tandem_task task = task_of(isolation, hold_task, desk, sizeof *desk);
    assert_int_equal(tandem_submit(pool, &task), 0);
    wait_until(atomic_load(&desk->begun) == 1);
    assert_int_equal(tandem_lock(&desk->mutex, 0), -EAGAIN);
    int64_t begun = now_ms();
    assert_int_equal(tandem_lock(&desk->mutex, 30), -ETIMEDOUT);
    assert_in_range(now_ms() - begun, 29, allowed_ms(100));
    assert_int_equal(tandem_unlock(&desk->mutex), -EPERM);
    atomic_store(&desk->go, 1);
    assert_int_equal(tandem_lock(&desk->mutex, -1), 0);
    assert_int_equal(tandem_unlock(&desk->mutex), 0);
    expect_end(&task, TANDEM_OK);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- children of a task ---- */

/* In a copy of the worker, which holds the lock. */
static int start_afresh(struct desk *desk)
{
    static tandem_mutex own;
    if (tandem_unlock(&desk->mutex) != -EPERM) return __LINE__ % 200 + 1;
    if (tandem_init() != 0) return __LINE__ % 200 + 1;
    if (tandem_unlock(&desk->mutex) != -EPERM) return __LINE__ % 200 + 1;
    if (tandem_lock(&desk->mutex, 0) != -EPERM) return __LINE__ % 200 + 1;
    if (tandem_lock(&desk->many[0], 0) != -EPERM) return __LINE__ % 200 + 1;
    return tandem_lock(&own, 0) == 0 && tandem_unlock(&own) == 0 ? 0 : __LINE__ % 200 + 1;
}

static int fork_with_a_lock_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    int status = 0;
    (void)context, (void)size;
    if (tandem_lock(&desk->mutex, 0) != 0) return __LINE__;
    pid_t pid = fork();
    if (pid == 0) _exit(start_afresh(desk));
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) return 1000 + WEXITSTATUS(status);
    return tandem_unlock(&desk->mutex) == 0 ? 0 : __LINE__;
}

/* promise 34: else its parent's lock would be its own, and what it locks would be opened when its parent dies, and not when it does */
static void a_forked_child_that_starts_afresh_has_no_part_in_its_workers_locks(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    struct desk *desk = desk_in(pool);
    tandem_task task = task_of(TANDEM_PROCESS, fork_with_a_lock_task, desk, sizeof *desk);
    expect_end((tandem_submit(pool, &task), &task), TANDEM_OK);
    tandem_task_clear(&task);
    assert_int_equal(tandem_lock(&desk->mutex, 0), 0);
    assert_int_equal(tandem_unlock(&desk->mutex), 0);
    end_pool(pool);
}

/* ---- deaths ---- */

static int die_holding_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    if (tandem_lock(&desk->mutex, -1) < 0) return __LINE__;
    desk->first++;
    kill(getpid(), SIGKILL);
    return __LINE__;
}

static int expect_told_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    int told = tandem_lock(&desk->mutex, -1);
    if (told != 1 || desk->first != desk->second + 1) return __LINE__;
    desk->second++;
    return tandem_unlock(&desk->mutex) == 0 ? 0 : __LINE__;
}

/* promise 46 */
static void the_next_to_lock_is_told_that_the_holder_has_died(int isolation)
{
    tandem_pool *pool = pool_of_both(1, 1);
    struct desk *desk = desk_in(pool);
    for (int i = 0; i < 10; i++) {
        tandem_task dying = task_of(TANDEM_PROCESS, die_holding_task, desk, sizeof *desk);
        assert_int_equal(tandem_call(pool, &dying), TANDEM_CRASHED);
        tandem_task_clear(&dying);
        assert_int_equal(tandem_lock(&desk->many[0], 0), 0); /* others are as they were */
        assert_int_equal(tandem_unlock(&desk->many[0]), 0);
        tandem_task next = task_of(isolation, expect_told_task, desk, sizeof *desk);
        assert_int_equal(tandem_call(pool, &next), TANDEM_OK);
        tandem_task_clear(&next);
        assert_int_equal(tandem_lock(&desk->mutex, 0), 0); /* told once */
        assert_int_equal(tandem_unlock(&desk->mutex), 0);
    }
    end_pool(pool);
}

static int hold_and_return_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    return tandem_lock(&desk->mutex, -1) >= 0 ? 0 : __LINE__;
}

/* Also if the task took less time than a look at the worker would. */
static void a_task_that_returns_with_a_lock_counts_as_a_death(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    struct desk *desk = desk_in(pool);
    for (int i = 0; i < 20; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, hold_and_return_task, desk, sizeof *desk);
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        tandem_task_clear(&task);
        assert_int_equal(tandem_lock(&desk->mutex, patience_ms()), 1);
        assert_int_equal(tandem_unlock(&desk->mutex), 0);
    }
    end_pool(pool);
}

static void who_is_told_and_dies_leaves_it_to_the_next(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    struct desk *desk = desk_in(pool);
    for (int i = 0; i < 3; i++) {
        tandem_task dying = task_of(TANDEM_PROCESS, die_holding_task, desk, sizeof *desk);
        assert_int_equal(tandem_call(pool, &dying), TANDEM_CRASHED);
        tandem_task_clear(&dying);
    }
    assert_int_equal(tandem_lock(&desk->mutex, 0), 1);
    assert_int_equal(desk->first, 3);
    assert_int_equal(tandem_unlock(&desk->mutex), 0);
    end_pool(pool);
}

static int wait_for_told_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    atomic_fetch_add(&desk->begun, 1);
    int told = tandem_lock(&desk->mutex, -1);
    if (told < 0) return __LINE__;
    atomic_fetch_add(&desk->told, told);
    return tandem_unlock(&desk->mutex) == 0 ? 0 : __LINE__;
}

static int hold_and_spin_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    if (tandem_lock(&desk->mutex, -1) != 0) return __LINE__;
    atomic_store(&desk->go, 1);
    for (;;) pause();
}

/* promise 46: one of those who wait is told, the others just get it */
static void who_sleeps_for_a_lock_is_woken_by_the_death_of_its_holder(int isolation)
{
    enum { WAITERS = 4 };
    tandem_pool *pool = pool_of_both(WAITERS, WAITERS + 1);
    struct desk *desk = desk_in(pool);
    tandem_task holder = task_of(TANDEM_PROCESS, hold_and_spin_task, desk, sizeof *desk), waiters[WAITERS];
    assert_int_equal(tandem_submit(pool, &holder), 0);
    wait_until(atomic_load(&desk->go) == 1);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = task_of(isolation, wait_for_told_task, desk, sizeof *desk);
        assert_int_equal(tandem_submit(pool, &waiters[i]), 0);
    }
    wait_until(atomic_load(&desk->begun) == WAITERS);
    for (int i = 0; i < 20; i++) moment();
    assert_int_equal(tandem_cancel(&holder), 0);
    for (int i = 0; i < WAITERS; i++) {
        expect_end(&waiters[i], TANDEM_OK);
        tandem_task_clear(&waiters[i]);
    }
    expect_end(&holder, TANDEM_CANCELLED);
    tandem_task_clear(&holder);
    assert_int_equal(atomic_load(&desk->told), 1);
    end_pool(pool);
}

/* ---- deaths at any moment ---- */

/* In peace first and second are equal; who is told may find them one apart, and mends that. */
static int change_for_ever_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    atomic_fetch_add(&desk->begun, 1);
    while (!atomic_load(&desk->stop)) {
        int told = tandem_lock(&desk->mutex, -1);
        if (told < 0) return __LINE__;
        if (told == 0 && desk->first != desk->second) atomic_fetch_add(&desk->wrong, 1);
        if (told == 1 && desk->first - desk->second > 1) atomic_fetch_add(&desk->wrong, 1);
        if (told == 1) atomic_fetch_add(&desk->told, 1);
        desk->second = desk->first;
        desk->first++;
        atomic_signal_fence(memory_order_seq_cst);
        desk->second++;
        atomic_fetch_add(&desk->changes, 1);
        if (tandem_unlock(&desk->mutex) != 0) return __LINE__;
    }
    return 0;
}

static void locks_survive_holders_and_waiters_that_are_killed_at_any_moment(void)
{
    enum { THREADS = 1, WORKERS = 4, ALL = THREADS + WORKERS };
    tandem_pool *pool = pool_of_both(THREADS, WORKERS);
    struct desk *desk = desk_in(pool);
    tandem_task tasks[ALL];
    for (int i = 0; i < ALL; i++) {
        tasks[i] = task_of(i < WORKERS ? TANDEM_PROCESS : TANDEM_THREAD, change_for_ever_task, desk, sizeof *desk);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    wait_until(atomic_load(&desk->begun) == ALL);
    unsigned dice = (unsigned)getpid();
    const int64_t end = now_ms() + (full_run() ? 60000 : 1000);
    size_t deaths = 0;
    for (; now_ms() < end; deaths++) {
        tandem_task *victim = &tasks[(unsigned)rand_r(&dice) % WORKERS];
        usleep((unsigned)rand_r(&dice) % 3000); /* so that it is killed anywhere in its work; nothing relies on it */
        assert_int_equal(tandem_cancel(victim), 0);
        int status = tandem_wait_for(victim, patience_ms());
        assert_int_equal(status, TANDEM_CANCELLED);
        assert_int_equal(tandem_submit(pool, victim), 0);
    }
    uint64_t before = atomic_load(&desk->changes);
    wait_until(atomic_load(&desk->changes) > before + 1000); /* all is well and goes on */
    atomic_store(&desk->stop, 1);
    for (int i = 0; i < ALL; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        tandem_task_clear(&tasks[i]);
    }
    assert_int_equal(atomic_load(&desk->wrong), 0);
    if (full_run()) print_message("%zu deaths, %d of them told of\n", deaths, atomic_load(&desk->told));
    assert_int_equal(tandem_lock(&desk->mutex, 0), 0);
    assert_int_equal(desk->first, desk->second);
    assert_int_equal(tandem_unlock(&desk->mutex), 0);
    end_pool(pool);
}

static int take_lock_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    atomic_store(&desk->begun, 1);
    return tandem_lock(&desk->mutex, -1) == 0 && tandem_unlock(&desk->mutex) == 0 ? 0 : __LINE__;
}

static int tell_task(tandem_context *context, void *input, size_t size)
{
    struct desk *desk = input;
    (void)context, (void)size;
    atomic_store(&desk->told, 1);
    return 0;
}

/* promise 13: the pool has one thread, and it sleeps until the other task has run */
static void another_thread_stands_in_for_one_that_waits_for_a_lock(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    struct desk *desk = desk_in(pool);
    tandem_task taker = task_of(TANDEM_THREAD, take_lock_task, desk, sizeof *desk);
    tandem_task teller = task_of(TANDEM_THREAD, tell_task, desk, sizeof *desk);
    assert_int_equal(tandem_lock(&desk->mutex, 0), 0);
    assert_int_equal(tandem_submit(pool, &taker), 0);
    wait_until(atomic_load(&desk->begun) == 1);
    assert_int_equal(tandem_submit(pool, &teller), 0);
    wait_until(atomic_load(&desk->told) == 1);
    assert_int_equal(tandem_unlock(&desk->mutex), 0);
    expect_end(&teller, TANDEM_OK);
    expect_end(&taker, TANDEM_OK);
    tandem_task_clear(&taker);
    tandem_task_clear(&teller);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(bad_use_is_told),
        test(a_worker_holds_64_locks_and_no_more),
        test(threads_and_workers_hold_a_lock_one_at_a_time),
        both(who_does_not_want_to_wait_is_told),
        test(a_forked_child_that_starts_afresh_has_no_part_in_its_workers_locks),
        both(the_next_to_lock_is_told_that_the_holder_has_died),
        test(a_task_that_returns_with_a_lock_counts_as_a_death),
        test(another_thread_stands_in_for_one_that_waits_for_a_lock),
        test(who_is_told_and_dies_leaves_it_to_the_next),
        both(who_sleeps_for_a_lock_is_woken_by_the_death_of_its_holder),
        test(locks_survive_holders_and_waiters_that_are_killed_at_any_moment),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
