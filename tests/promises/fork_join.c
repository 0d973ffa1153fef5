/* fork_join.c - a running task splits itself into branches, and joins them. */
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

/* ---- a number that takes many calls ---- */

struct number {
    int n;
    int result;
};

static int fibonacci(tandem_context *context, void *input, size_t size)
{
    struct number *number = input;
    if (number->n < 2) {
        number->result = number->n;
        return number->n;
    }
    struct number first = {.n = number->n - 1}, second = {.n = number->n - 2};
    tandem_branch branch = {.run = fibonacci, .input = &first, .input_size = size};
    tandem_spawn(context, &branch);
    int code = fibonacci(context, &second, size);
    if (tandem_join(context, &branch) != first.result || branch.code != first.result || code != second.result) return -1;
    return number->result = first.result + second.result;
}

static int compute_task(tandem_context *context, void *input, size_t size)
{
    struct number number = {0};
    memcpy(&number.n, input, size);
    return fibonacci(context, &number, sizeof number) == 6765 ? 0 : 1;
}

static void branches_spawn_branches(int isolation)
{
    for (uint32_t workers = 1; workers <= 3; workers++) {
        int n = 20;
        tandem_pool *pool = pool_of(isolation, workers, NULL);
        for (size_t round = 0; round < scaled(10000); round++) {
            tandem_task task = task_of(isolation, compute_task, &n, sizeof n);
            if (round % 2 == 0) task.flags = TANDEM_NO_HELP; /* else on the thread that waits */
            assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
            tandem_task_clear(&task);
        }
        end_pool(pool);
    }
}

/* ---- each branch runs once ---- */

enum { WIDE = 1000 };

static int count_run(tandem_context *context, void *input, size_t size)
{
    (void)context;
    atomic_fetch_add((atomic_int *)input, 1);
    return (int)size;
}

/* More at once than a worker has room for, in the order that is asked for. */
static int wide_task(tandem_context *context, void *input, size_t size)
{
    static _Thread_local tandem_branch branches[WIDE];
    tandem_branch *mine = branches; /* the function goes on on this thread, whoever runs its branches */
    atomic_int *cells;
    memcpy(&cells, input, size);
    for (int i = 0; i < WIDE; i++) {
        mine[i] = (tandem_branch){.run = count_run, .input = &cells[i], .input_size = (size_t)i + 1};
        tandem_spawn(context, &mine[i]);
    }
    for (int i = WIDE; i-- > 0;)
        if (tandem_join(context, &mine[i]) != i + 1 || mine[i].code != i + 1) return 1;
    return 0;
}

static void each_branch_runs_once(int isolation)
{
    atomic_int *cells = shared(WIDE * sizeof *cells);
    size_t rounds = scaled(20000);
    for (uint32_t workers = 1; workers <= 3; workers++) {
        tandem_pool *pool = pool_of(isolation, workers, NULL);
        for (int i = 0; i < WIDE; i++) atomic_store(&cells[i], 0);
        for (size_t round = 0; round < rounds; round++) {
            tandem_task task = task_of(isolation, wide_task, &cells, sizeof cells);
            task.flags = TANDEM_NO_HELP;
            assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
            tandem_task_clear(&task);
        }
        end_pool(pool);
        for (int i = 0; i < WIDE; i++) assert_int_equal(atomic_load(&cells[i]), (int)rounds);
    }
}

/* ---- two at once ---- */

static struct {
    atomic_int here;
    int expected;
    pthread_t threads[3];
} meeting;

/* Comes back only when the others are there too. */
static int meet(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)size;
    meeting.threads[*(int *)input] = pthread_self();
    atomic_fetch_add(&meeting.here, 1);
    return await(&meeting.here, meeting.expected) ? 0 : 1;
}

static int meet_task(tandem_context *context, void *input, size_t size)
{
    int numbers[] = {0, 1, 2}, code = 0;
    tandem_branch branches[2];
    (void)input;
    for (int i = 0; i < meeting.expected - 1; i++) {
        branches[i] = (tandem_branch){.run = meet, .input = &numbers[i]};
        tandem_spawn(context, &branches[i]);
    }
    while (atomic_load(&meeting.here) < meeting.expected - 1) { /* whoever has nothing to do gets one when something is spawned */
        tandem_branch other = {.run = nothing_task};
        tandem_spawn(context, &other);
        if (tandem_join(context, &other) != 0) return 1;
        moment();
    }
    code = meet(context, &numbers[2], size);
    for (int i = meeting.expected - 1; i-- > 0;)
        if (tandem_join(context, &branches[i]) != 0) code = 1;
    return code;
}

static void expect_meetings(uint32_t threads)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, threads, NULL);
    meeting.expected = (int)threads;
    for (size_t round = 0; round < scaled(1000); round++) {
        tandem_task task = task_of(TANDEM_THREAD, meet_task, NULL, 0);
        task.flags = TANDEM_NO_HELP;
        atomic_store(&meeting.here, 0);
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        assert_false(pthread_equal(meeting.threads[0], meeting.threads[2]));
    }
    end_pool(pool);
}

/* The one sleeps when the branch is spawned, and has never seen one. */
static void a_thread_that_has_nothing_to_do_takes_a_branch(void) { expect_meetings(2); }

static void all_threads_that_have_nothing_to_do_take_branches(void) { expect_meetings(3); }

static struct {
    atomic_int ended;
    pthread_t thread;
} last;

static int note_thread(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    last.thread = pthread_self();
    atomic_store(&last.ended, 1);
    return 0;
}

/* More one after the other than a worker has room for, each ended elsewhere before it is joined. */
static int give_away_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    for (int i = 0; i < 600; i++) {
        tandem_branch branch = {.run = note_thread};
        atomic_store(&last.ended, 0);
        tandem_spawn(context, &branch);
        while (atomic_load(&last.ended) == 0) {
            tandem_branch other = {.run = nothing_task};
            tandem_spawn(context, &other);
            if (tandem_join(context, &other) != 0) return __LINE__;
            sched_yield();
        }
        if (tandem_join(context, &branch) != 0 || pthread_equal(last.thread, pthread_self())) return __LINE__;
    }
    return 0;
}

static void any_number_of_branches_can_be_taken_one_after_the_other(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 2, NULL);
    tandem_task task = task_of(TANDEM_THREAD, give_away_task, NULL, 0);
    task.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    end_pool(pool);
}

static int gate_branch(tandem_context *context, void *input, size_t size)
{
    (void)size;
    return gate_task(context, &input, sizeof input);
}

/* Ends when its branch does, which somebody else has begun. */
static int behind_a_gate_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    memcpy(&gate, input, size);
    tandem_branch branch = {.run = gate_branch, .input = gate};
    tandem_spawn(context, &branch);
    while (atomic_load(&gate->entered) == 0) {
        tandem_branch other = {.run = nothing_task};
        tandem_spawn(context, &other);
        if (tandem_join(context, &other) != 0) return 1;
        moment();
    }
    return tandem_join(context, &branch);
}

/* The third one sleeps, and nobody else comes by. */
static void a_task_that_comes_while_others_are_busy_with_branches_is_run(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 3, NULL);
    for (size_t round = 0; round < scaled(1000); round++) {
        struct gate shut = {0}, *gate = &shut;
        tandem_task task = task_of(TANDEM_THREAD, behind_a_gate_task, &gate, sizeof gate);
        tandem_task next = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
        task.flags = next.flags = TANDEM_NO_HELP;
        assert_int_equal(tandem_submit(pool, &task), 0);
        assert_true(await(&gate->entered, 1));
        assert_int_equal(tandem_submit(pool, &next), 0);
        expect_end(&next, TANDEM_OK);
        atomic_store(&gate->opened, 1);
        expect_end(&task, TANDEM_OK);
    }
    end_pool(pool);
}

/* ---- what a branch may do ---- */

static int try_to_reply(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message = {.data = "x", .size = 1};
    if (tandem_reply(context, "x", 1) != -EPERM || tandem_reply_owned(context, NULL, 0, NULL) != -EPERM) return 1;
    if (tandem_send(context, &message, 0) != -EPERM || tandem_receive(context, &message, 0) != -EPERM) return 1;
    return tandem_progress(context, 1, 2) == 0 ? 0 : 1;
}

static int reply_task(tandem_context *context, void *input, size_t size)
{
    tandem_branch branch = {.run = try_to_reply};
    (void)input, (void)size;
    tandem_spawn(context, &branch);
    if (tandem_join(context, &branch) != 0) return 1;
    return tandem_reply(context, "task", 4);
}

static void only_the_task_itself_replies_and_talks(int isolation)
{
    uint64_t done = 0, total = 0;
    tandem_pool *pool = pool_of(isolation, 2, NULL);
    for (int i = 0; i < 20; i++) {
        tandem_task task = task_of(isolation, reply_task, NULL, 0);
        task.flags = i % 2 == 0 ? TANDEM_NO_HELP : 0;
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        assert_string_equal(task.output, "task");
        assert_int_equal(tandem_read_progress(&task, &done, &total), 0);
        assert_int_equal(done, 1);
        assert_int_equal(total, 2);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static tandem_task *asked; /* the task that a branch is part of */

static int wait_for_the_task_itself(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    if (tandem_wait(asked) != -EDEADLK) return 1;
    tandem_cancel(asked);
    return tandem_cancelled(context) ? 0 : 2;
}

static int ask_task(tandem_context *context, void *input, size_t size)
{
    tandem_branch branch = {.run = wait_for_the_task_itself};
    (void)input, (void)size;
    tandem_spawn(context, &branch);
    return tandem_join(context, &branch);
}

static void a_branch_is_part_of_its_task(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 2, NULL);
    for (size_t round = 0; round < scaled(10000); round++) {
        tandem_task task = task_of(TANDEM_THREAD, ask_task, NULL, 0);
        task.flags = TANDEM_NO_HELP;
        asked = &task;
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(branches_spawn_branches),
        both(each_branch_runs_once),
        test(a_thread_that_has_nothing_to_do_takes_a_branch),
        test(all_threads_that_have_nothing_to_do_take_branches),
        test(any_number_of_branches_can_be_taken_one_after_the_other),
        test(a_task_that_comes_while_others_are_busy_with_branches_is_run),
        both(only_the_task_itself_replies_and_talks),
        test(a_branch_is_part_of_its_task),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
