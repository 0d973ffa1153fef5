/* stop_grace.c - with kill_grace_ms a task that is to be stopped is asked by SIGTERM first, and killed when its grace is over. */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { GRACE_MS = 150, TIMEOUT_MS = 500 };

static struct seen {
    atomic_int entered, turns;
    atomic_int asked;   /* SIGTERM has come */
    atomic_int cleaned; /* what it had to clean up is clean */
    atomic_int pid;     /* of the worker */
    atomic_int child;
    atomic_int open;
} * seen; /* shared */

static uint32_t timeout_ms(void) { return (uint32_t)(TIMEOUT_MS * slowness()); }

/* More than any task needs: who ends before has not been killed. */
static uint32_t ample_ms(void) { return (uint32_t)(2 * patience_ms()); }

static tandem_pool *begin(uint32_t processes, uint32_t grace_ms)
{
    tandem_options options = {.kill_grace_ms = grace_ms};
    seen = shared(sizeof *seen);
    return pool_of(TANDEM_PROCESS, processes, &options);
}

static void enter(void)
{
    atomic_store(&seen->pid, (int)getpid());
    atomic_fetch_add(&seen->entered, 1);
}

static _Noreturn void turn(void)
{
    for (;;) atomic_fetch_add(&seen->turns, 1);
}

enum way { BY_TIMEOUT, BY_CANCEL };

/* Begins the task and has it stopped that way; how long it took from its start to its end. */
static int64_t stop(tandem_pool *pool, tandem_fn *run, enum way way)
{
    int before = atomic_load(&seen->entered);
    tandem_task task = task_of(TANDEM_PROCESS, run, NULL, 0);
    if (way == BY_TIMEOUT) task.timeout_ms = timeout_ms();
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&seen->entered, before + 1));
    if (way == BY_CANCEL) assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, way == BY_TIMEOUT ? TANDEM_TIMED_OUT : TANDEM_CANCELLED);
    assert_null(task.output);
    assert_int_equal(task.report->runs, 1);
    assert_int_equal(task.report->pid, atomic_load(&seen->pid));
    wait_until(!process_lives(task.report->pid));
    int turns = atomic_load(&seen->turns);
    moment();
    assert_int_equal(atomic_load(&seen->turns), turns);
    int64_t took = (int64_t)(task.report->ended_ns - task.report->started_ns) / 1000000;
    tandem_task_clear(&task);

    tandem_task next = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &next), 0);
    expect_end(&next, TANDEM_OK);
    tandem_task_clear(&next);
    assert_int_equal(stats_of(pool).workers_crashed, 0); /* killed on purpose is no crash */
    return took;
}

static void stop_both_ways(tandem_fn *run, uint32_t grace_ms, int asked, int cleaned)
{
    tandem_pool *pool = begin(1, grace_ms);
    for (enum way way = BY_TIMEOUT; way <= BY_CANCEL; way++) {
        atomic_store(&seen->asked, 0);
        atomic_store(&seen->cleaned, 0);
        stop(pool, run, way);
        assert_int_equal(atomic_load(&seen->asked) > 0, asked);
        assert_int_equal(atomic_load(&seen->cleaned) > 0, cleaned);
    }
    end_pool(pool);
}

/* ---- who listens ---- */

static volatile sig_atomic_t asked; /* in the worker */

static void note(int number)
{
    (void)number;
    asked = 1;
    atomic_fetch_add(&seen->asked, 1);
}

static void note_and_leave(int number)
{
    note(number);
    atomic_store(&seen->cleaned, 1);
    _exit(3);
}

static void handle(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
}

static int leave_when_asked_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    handle(note_and_leave);
    enter();
    turn();
}

/* promise 18: a grace so long that a kill would be noticed */
static void a_task_that_is_asked_may_clean_up_and_leave(void) { stop_both_ways(leave_when_asked_task, ample_ms(), 1, 1); }

static int return_when_asked_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    asked = 0;
    handle(note);
    enter();
    while (!asked) atomic_fetch_add(&seen->turns, 1);
    atomic_store(&seen->cleaned, 1);
    return tandem_reply(context, "too late", 8);
}

/* promise 18: its end was decided when it was asked */
static void a_task_that_is_asked_may_clean_up_and_return(void) { stop_both_ways(return_when_asked_task, ample_ms(), 1, 1); }

static int turn_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    enter();
    turn();
}

/* promise 18 */
static void a_task_that_knows_nothing_of_it_ends_when_it_is_asked(void) { stop_both_ways(turn_task, ample_ms(), 0, 0); }

/* ---- who does not ---- */

static int deaf_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    handle(SIG_IGN);
    enter();
    turn();
}

static int blocked_task(tandem_context *context, void *input, size_t size)
{
    sigset_t all;
    (void)context, (void)input, (void)size;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    enter();
    turn();
}

static int note_only_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    handle(note);
    enter();
    turn();
}

/* It has the whole of its grace, and not much more. */
static void expect_killed_after_grace(tandem_fn *run)
{
    tandem_pool *pool = begin(1, GRACE_MS);
    int64_t took = stop(pool, run, BY_TIMEOUT);
    assert_in_range(took, timeout_ms() + GRACE_MS - 2, timeout_ms() + GRACE_MS + allowed_ms(200));
    took = stop(pool, run, BY_CANCEL);
    assert_true(took >= GRACE_MS - 2);
    end_pool(pool);
}

/* promise 18 */
static void a_task_that_ignores_it_is_killed_after_its_grace(void) { expect_killed_after_grace(deaf_task); }

/* promise 18 */
static void a_task_that_blocks_it_is_killed_after_its_grace(void) { expect_killed_after_grace(blocked_task); }

/* promise 18 */
static void a_task_that_notes_it_and_goes_on_is_killed_after_its_grace(void)
{
    expect_killed_after_grace(note_only_task);
    assert_true(atomic_load(&seen->asked) >= 2);
}

static int stopped_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    handle(note);
    enter();
    raise(SIGSTOP);
    turn();
}

/* promises 18 and 21: one that cannot hear */
static void a_stopped_task_is_killed_after_its_grace(void) { expect_killed_after_grace(stopped_task); }

/* promise 18 */
static void without_grace_nobody_is_asked(void) { stop_both_ways(note_only_task, 0, 0, 0); }

/* ---- during its grace ---- */

/* promise 18: it has not ended, it holds its worker, and its end stays what was decided first */
static void a_task_in_its_grace_has_not_ended(void)
{
    tandem_pool *pool = begin(1, 1000 * (uint32_t)slowness());
    tandem_task task = task_of(TANDEM_PROCESS, note_only_task, NULL, 0);
    tandem_task next = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    task.timeout_ms = timeout_ms();
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&seen->asked, 1));
    assert_int_equal(tandem_submit(pool, &next), 0);
    assert_int_equal(tandem_wait_for(&task, 0), TANDEM_PENDING);
    assert_int_equal(tandem_cancel(&task), 0);
    assert_int_equal(tandem_wait_for(&task, 0), TANDEM_PENDING);
    assert_int_equal(stats_of(pool).running, 1);
    assert_int_equal(stats_of(pool).waiting, 1);
    assert_int_equal(tandem_task_clear(&task), -EBUSY);
    expect_end(&task, TANDEM_TIMED_OUT);
    expect_end(&next, TANDEM_OK);
    assert_int_not_equal(next.report->pid, task.report->pid);
    tandem_task_clear(&task);
    tandem_task_clear(&next);
    end_pool(pool);
}

static void a_pool_that_ends_grants_its_tasks_their_grace(void)
{
    tandem_pool *pool = begin(1, ample_ms());
    tandem_task task = task_of(TANDEM_PROCESS, leave_when_asked_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&seen->entered, 1));
    end_pool(pool);
    expect_end(&task, TANDEM_CANCELLED);
    assert_int_equal(atomic_load(&seen->cleaned), 1);
    tandem_task_clear(&task);
}

static void a_pool_that_ends_does_not_wait_for_the_deaf(void)
{
    tandem_pool *pool = begin(2, GRACE_MS);
    tandem_task tasks[2];
    for (int i = 0; i < 2; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, deaf_task, NULL, 0);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&seen->entered, 2));
    int64_t begun = now_ms();
    end_pool(pool);
    assert_in_range(now_ms() - begun, 0, GRACE_MS + allowed_ms(100));
    for (int i = 0; i < 2; i++) {
        expect_end(&tasks[i], TANDEM_CANCELLED);
        tandem_task_clear(&tasks[i]);
    }
}

/* ---- who goes with it, and who does not ---- */

static int deaf_family_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    atomic_store(&seen->child, 0);
    pid_t pid = fork();
    if (pid < 0) return __LINE__;
    if (pid == 0) {
        handle(SIG_IGN);
        atomic_store(&seen->child, (int)getpid());
        turn();
    }
    if (!await(&seen->child, 1)) return __LINE__;
    enter();
    for (;;) pause();
}

/* promise 18: the task listens, its child does not */
static void the_grandchildren_are_gone_when_the_task_is(void)
{
    tandem_pool *pool = begin(1, GRACE_MS);
    for (enum way way = BY_TIMEOUT; way <= BY_CANCEL; way++) {
        tandem_task task = task_of(TANDEM_PROCESS, deaf_family_task, NULL, 0);
        if (way == BY_TIMEOUT) task.timeout_ms = timeout_ms();
        int before = atomic_load(&seen->entered);
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_true(await(&seen->entered, before + 1));
        if (way == BY_CANCEL) assert_int_equal(tandem_cancel(&task), 0);
        expect_end(&task, way == BY_TIMEOUT ? TANDEM_TIMED_OUT : TANDEM_CANCELLED);
        wait_until_within(!process_lives(atomic_load(&seen->child)), GRACE_MS + allowed_ms(50));
        wait_until(!process_lives(task.report->pid));
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static int free_child_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    pid_t pid = fork();
    if (pid < 0) return __LINE__;
    if (pid == 0) {
        setpgid(0, 0);
        handle(note);
        atomic_store(&seen->child, (int)getpid());
        while (!atomic_load(&seen->open)) {
            atomic_fetch_add(&seen->turns, 1);
            moment();
        }
        _exit(0);
    }
    if (!await(&seen->child, 1)) return __LINE__;
    enter();
    for (;;) pause();
}

/* promise 18: what left the group is not ours */
static void a_grandchild_that_left_the_group_is_not_touched(void)
{
    tandem_pool *pool = begin(1, GRACE_MS);
    tandem_task task = task_of(TANDEM_PROCESS, free_child_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(&seen->entered, 1));
    assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    wait_until(!process_lives(task.report->pid));
    end_pool(pool);
    int turns = atomic_load(&seen->turns);
    assert_true(await(&seen->turns, turns + 3));
    assert_true(process_lives(atomic_load(&seen->child)));
    assert_int_equal(atomic_load(&seen->asked), 0);
    atomic_store(&seen->open, 1);
    tandem_task_clear(&task);
}

static struct seen *bystander; /* shared */

static void note_as_bystander(int number)
{
    (void)number;
    atomic_fetch_add(&bystander->asked, 1);
}

static int bystander_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    handle(note_as_bystander);
    atomic_fetch_add(&bystander->entered, 1);
    return await(&bystander->open, 1) ? 0 : __LINE__;
}

/* promise 18 */
static void bystanders_are_neither_asked_nor_killed(void)
{
    bystander = shared(sizeof *bystander);
    tandem_pool *pool = begin(3, GRACE_MS);
    tandem_task others[2];
    for (int i = 0; i < 2; i++) {
        others[i] = task_of(TANDEM_PROCESS, bystander_task, NULL, 0);
        assert_int_equal(tandem_submit(pool, &others[i]), 0);
    }
    assert_true(await(&bystander->entered, 2));
    stop(pool, deaf_task, BY_TIMEOUT);
    stop(pool, turn_task, BY_CANCEL);
    stop(pool, leave_when_asked_task, BY_CANCEL);
    assert_int_equal(atomic_load(&bystander->asked), 0);
    atomic_store(&bystander->open, 1);
    for (int i = 0; i < 2; i++) {
        expect_end(&others[i], TANDEM_OK);
        tandem_task_clear(&others[i]);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_task_that_is_asked_may_clean_up_and_leave),
        test(a_task_that_is_asked_may_clean_up_and_return),
        test(a_task_that_knows_nothing_of_it_ends_when_it_is_asked),
        test(a_task_that_ignores_it_is_killed_after_its_grace),
        test(a_task_that_blocks_it_is_killed_after_its_grace),
        test(a_task_that_notes_it_and_goes_on_is_killed_after_its_grace),
        test(a_stopped_task_is_killed_after_its_grace),
        test(without_grace_nobody_is_asked),
        test(a_task_in_its_grace_has_not_ended),
        test(a_pool_that_ends_grants_its_tasks_their_grace),
        test(a_pool_that_ends_does_not_wait_for_the_deaf),
        test(the_grandchildren_are_gone_when_the_task_is),
        test(a_grandchild_that_left_the_group_is_not_touched),
        test(bystanders_are_neither_asked_nor_killed),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
