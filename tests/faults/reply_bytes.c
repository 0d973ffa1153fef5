/* reply_bytes.c - a worker killed at every step of the protocol, and at every byte that it reads or writes.
 *
 * What must come of it: a task whose reply is not whole has CRASHED by signal 9, one whose reply is whole is OK, one that the worker
 * had not begun runs elsewhere.  Every run counts itself in memory that all processes share, so a lost one and a double one show. */
#include "harness.h"

#include <signal.h>
#include <string.h>

#include "base/fault.h"

#define MOST_REPLY 64

static struct ledger {
    atomic_int runs[16];
    atomic_int read_at_start, read_at_run; /* bytes that the worker had read, one at a time */
} * ledger;
static tandem_pool *pool;

/* A task's input. */
struct order {
    atomic_int *runs;
    size_t reply_size;
    char more[16];
};

static int counted_task(tandem_context *context, void *input, size_t size)
{
    struct order order;
    char reply[MOST_REPLY];
    if (size != sizeof order) return __LINE__;
    memcpy(&order, input, sizeof order);
    atomic_store(&ledger->read_at_run, (int)tdm_fault_fired(TDM_FAULT_worker_read));
    atomic_fetch_add(order.runs, 1);
    memset(reply, 'r', sizeof reply);
    return order.reply_size > 0 ? tandem_reply(context, reply, order.reply_size) : 0;
}

static int note_start(void **worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    atomic_store(&ledger->read_at_start, (int)tdm_fault_fired(TDM_FAULT_worker_read));
    return 0;
}

static void open_pool(void) { pool = pool_of(TANDEM_PROCESS, 1, &(tandem_options){.on_worker_start = note_start}); }

static void begin(void)
{
    ledger = shared(sizeof *ledger);
    assert_int_equal(tdm_fault_open(), 0);
    assert_int_equal(tandem_init(), 0);
    open_pool();
}

static void end(void)
{
    tdm_fault_disarm_all();
    end_pool(pool);
}

static tandem_task task_for(struct order *order, size_t index, size_t reply_size)
{
    atomic_store(&ledger->runs[index], 0);
    *order = (struct order){.runs = &ledger->runs[index], .reply_size = reply_size};
    return task_of(TANDEM_PROCESS, counted_task, order, sizeof *order);
}

/* The verdict, and whether all of it is true: an OK ran once and has its whole reply; no other ran twice. */
static void check(const tandem_task *task, size_t index, size_t reply_size, int status, int runs, const char *where, long at)
{
    char line[512];
    int ran = atomic_load(&ledger->runs[index]);
    bool right = task->status == status && ran == runs && task->signal == (status == TANDEM_CRASHED ? SIGKILL : 0) &&
                 task->output_size == (status == TANDEM_OK ? reply_size : 0);
    for (size_t i = 0; right && i < task->output_size; i++) right = ((const char *)task->output)[i] == 'r';
    if (right) return;
    tandem_describe(task, line, sizeof line);
    fail_msg("killed at %s %ld: task %zu should be %s after %d runs, but: %s; it ran %d times, its output has %zu bytes", where, at,
             index, tandem_status_name(status), runs, line, ran, task->output_size);
}

static void run_one(size_t reply_size, int status, int runs, const char *where, long at)
{
    struct order order;
    tandem_task task = task_for(&order, 0, reply_size);
    assert_true(tandem_call(pool, &task) > 0);
    check(&task, 0, reply_size, status, runs, where, at);
    tandem_task_clear(&task);
}

/* A worker that is idle, and has nothing left to do for the task before. */
static void settle(void)
{
    tdm_fault_disarm_all();
    const uint64_t finished = tdm_fault_passes(TDM_FAULT_worker_finished);
    run_one(1, TANDEM_OK, 1, "no point", 0);
    wait_until(tdm_fault_passes(TDM_FAULT_worker_finished) > finished);
}

/* ---- steps ---- */

struct step {
    enum tdm_fault_point point;
    int status, runs;
};

static const struct step steps[] = {
    {TDM_FAULT_worker_read_header, TANDEM_OK, 1},      {TDM_FAULT_worker_claimed, TANDEM_CRASHED, 0},
    {TDM_FAULT_worker_read_input, TANDEM_CRASHED, 0},  {TDM_FAULT_worker_ran, TANDEM_CRASHED, 1},
    {TDM_FAULT_worker_reply_begun, TANDEM_CRASHED, 1}, {TDM_FAULT_worker_replied, TANDEM_OK, 1},
    {TDM_FAULT_worker_finished, TANDEM_OK, 1}};

/* promise 24 */
static void a_worker_killed_at_any_step_leaves_the_right_verdict(void)
{
    begin();
    for (size_t round = 0; round < scaled(500); round++) {
        for (size_t i = 0; i < count_of(steps); i++) {
            settle();
            tdm_fault_arm(steps[i].point, 1, TDM_FAULT_KILL, 0);
            run_one(round % MOST_REPLY, steps[i].status, steps[i].runs, tdm_fault_name(steps[i].point), 1);
            wait_until(tdm_fault_fired(steps[i].point) == 1);
        }
    }
    settle();
    wait_until(stats_of(pool).workers_crashed == scaled(500) * count_of(steps));
    end();
}

/* promise 24 */
static void a_worker_killed_before_it_is_ready_costs_no_task(void)
{
    begin();
    for (size_t round = 0; round < scaled(1000); round++) {
        tdm_fault_arm(TDM_FAULT_worker_set_up, 1, TDM_FAULT_KILL, 0);
        run_one(7, TANDEM_OK, 1, "worker_set_up", 1);
        assert_int_equal(tdm_fault_fired(TDM_FAULT_worker_set_up), 1);
        end();
        open_pool();
    }
    end();
}

/* ---- bytes of a reply ---- */

static int reply_bytes(size_t reply_size)
{
    settle();
    tdm_fault_arm(TDM_FAULT_worker_write, 1, TDM_FAULT_CUT_SHORT, -1);
    run_one(reply_size, TANDEM_OK, 1, "no byte", 0);
    return (int)tdm_fault_fired(TDM_FAULT_worker_write);
}

/* promise 24 */
static void a_worker_killed_at_any_byte_of_its_reply_has_crashed_until_the_last(void)
{
    static const size_t sizes[] = {0, 1, 13, MOST_REPLY};
    begin();
    for (size_t i = 0; i < count_of(sizes); i++) {
        const int total = reply_bytes(sizes[i]);
        assert_true(total > (int)sizes[i]);
        for (int written = 0; written <= total; written++) {
            settle();
            tdm_fault_arm(TDM_FAULT_worker_write, 1, TDM_FAULT_CUT_SHORT, written);
            run_one(sizes[i], written < total ? TANDEM_CRASHED : TANDEM_OK, 1, "byte of the reply", written);
        }
    }
    end();
}

#define BATCH 5

/* Several at once, in one worker's hands where it takes more than one: only the one whose reply was begun has crashed. */
static void run_batch(size_t reply_size, size_t crashed, int written)
{
    struct order orders[BATCH];
    tandem_task tasks[BATCH], *all[BATCH];
    settle();
    tdm_fault_arm(TDM_FAULT_worker_write, 1, TDM_FAULT_CUT_SHORT, written);
    for (size_t i = 0; i < BATCH; i++) {
        tasks[i] = task_for(&orders[i], i, reply_size);
        all[i] = &tasks[i];
    }
    assert_int_equal(tandem_submit_many(pool, all, BATCH), BATCH);
    for (size_t i = 0; i < BATCH; i++) tandem_wait(&tasks[i]);
    for (size_t i = 0; i < BATCH; i++) {
        check(&tasks[i], i, reply_size, i == crashed ? TANDEM_CRASHED : TANDEM_OK, 1, "byte of five replies", written);
        tandem_task_clear(&tasks[i]);
    }
}

/* promise 24, promise 23 */
static void of_several_tasks_in_hand_only_the_one_that_was_running_crashes(void)
{
    const size_t reply_size = 3;
    begin();
    const int total = reply_bytes(reply_size);
    for (int written = 0; written < BATCH * total; written++) run_batch(reply_size, (size_t)(written / total), written);
    run_batch(reply_size, BATCH, BATCH * total);
    end();
}

/* ---- bytes of a request ---- */

/* In a pool of its own: what a worker reads first is its set-up. */
static void die_after_reading(int bytes, int status)
{
    end();
    tdm_fault_arm(TDM_FAULT_worker_read, 1, TDM_FAULT_CUT_SHORT, bytes);
    const uint64_t claimed = tdm_fault_passes(TDM_FAULT_worker_claimed);
    open_pool();
    run_one(2, status, status == TANDEM_OK, "byte of the request", bytes);
    assert_int_equal(tdm_fault_passes(TDM_FAULT_worker_claimed), claimed + 1);
}

/* Every one of a task; of the set-up before it only some. */
static int next_byte(int byte, int set_up)
{
    int next = full_run() || byte >= set_up ? byte + 1 : byte + 1 + set_up / 40;
    return byte < set_up && next > set_up ? set_up : next;
}

/* promise 24 */
static void a_worker_killed_at_any_byte_of_its_request_has_begun_with_the_last_of_the_header(void)
{
    struct order order;
    begin();
    end();
    tdm_fault_arm(TDM_FAULT_worker_read, 1, TDM_FAULT_CUT_SHORT, -1);
    open_pool();
    run_one(2, TANDEM_OK, 1, "no byte", 0);
    const int set_up = atomic_load(&ledger->read_at_start), all = atomic_load(&ledger->read_at_run);
    const int header = all - (int)sizeof order;
    assert_true(0 < set_up && set_up < header);
    for (int bytes = 0; bytes < all; bytes = next_byte(bytes, set_up))
        die_after_reading(bytes, bytes < header ? TANDEM_OK : TANDEM_CRASHED);
    end();
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_worker_killed_at_any_step_leaves_the_right_verdict),
        test(a_worker_killed_before_it_is_ready_costs_no_task),
        test(a_worker_killed_at_any_byte_of_its_reply_has_crashed_until_the_last),
        test(of_several_tasks_in_hand_only_the_one_that_was_running_crashes),
        test(a_worker_killed_at_any_byte_of_its_request_has_begun_with_the_last_of_the_header),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
