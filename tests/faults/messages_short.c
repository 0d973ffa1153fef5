/* messages_short.c - messages when memory runs out somewhere, or bytes come short: a call says so, the task ends once, nothing hangs. */
#include "harness.h"

#include "base/fault.h"

#include <errno.h>
#include <string.h>

static struct {
    atomic_int messages, ends, wrong;
    uint64_t next;
} seen;

static char large[30000];

static int echo_until_closed_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    tandem_message message;
    int error;
    while ((error = tandem_receive(context, &message, -1)) == 0)
        if (tandem_send(context, &message, -1) != 0) return 1;
    return error == -EPIPE ? 0 : 2;
}

/* Numbers first, in order: what could not be sent may be missing, nothing comes twice. */
static void expect_rising(tandem_task *task, const tandem_message *message)
{
    uint64_t number;
    (void)task;
    memcpy(&number, message->data, sizeof number);
    if (number < seen.next || number >= 20) atomic_fetch_add(&seen.wrong, 1);
    seen.next = number + 1;
    atomic_fetch_add(&seen.messages, 1);
}

static void count_end(tandem_task *task)
{
    (void)task;
    atomic_fetch_add(&seen.ends, 1);
}

/* A few messages there and back.  How it ended, or that it was not taken. */
static int talk(tandem_pool *pool, int isolation)
{
    tandem_task task = task_of(isolation, echo_until_closed_task, NULL, 0);
    int ends = atomic_load(&seen.ends);
    task.on_message = expect_rising;
    task.on_done = count_end;
    seen.next = 0;
    int error = tandem_submit(pool, &task);
    if (error != 0) return error;
    for (uint64_t i = 0; i < 4; i++) {
        memcpy(large, &i, sizeof i);
        tandem_message message = {.data = large, .size = i % 2 ? sizeof large : sizeof i};
        error = tandem_post(&task, &message, -1);
        if (error != 0 && error != -ENOMEM && error != -EPIPE) fail_msg("tandem_post says %d", error);
    }
    while ((error = tandem_close(&task)) == -ENOMEM) continue;
    if (error != 0 && error != -EPIPE) fail_msg("tandem_close says %d", error);
    int status = tandem_wait_for(&task, patience_ms());
    if (status == TANDEM_PENDING) fail_msg("it has not ended");
    wait_until(atomic_load(&seen.ends) == ends + 1);
    assert_int_equal(atomic_load(&seen.wrong), 0);
    assert_int_equal(tandem_task_clear(&task), 0);
    return status;
}

/* A pool that works, then the fault at the nth pass, then a pool that works again. */
static void without_memory_somewhere_a_call_says_so_and_the_task_ends(int isolation)
{
    static const unsigned fine = 1u << TANDEM_OK | 1u << TANDEM_FAILED | 1u << TANDEM_CRASHED | 1u << TANDEM_NOT_STARTED;
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    assert_int_equal(talk(pool, isolation), TANDEM_OK);
    uint64_t fired = 1;
    for (uint64_t nth = 1; fired > 0 && nth < 1000; nth++) {
        tdm_fault_arm(TDM_FAULT_memory, nth, TDM_FAULT_FAIL, ENOMEM);
        int result = talk(pool, isolation);
        fired = tdm_fault_fired(TDM_FAULT_memory);
        tdm_fault_disarm_all();
        if (result < 0 ? result != -ENOMEM : (fine >> result & 1) == 0) fail_msg("pass %d ended as %d", (int)nth, result);
        int again = talk(pool, isolation);
        if (again != TANDEM_OK) fail_msg("after pass %d it ended as %d", (int)nth, again);
    }
    assert_int_equal(fired, 0); /* all were walked through */
    end_pool(pool);
}

static void messages_may_be_cut_short(void)
{
    static const enum tdm_fault_point points[] = {TDM_FAULT_host_read, TDM_FAULT_host_write, TDM_FAULT_worker_read,
                                                  TDM_FAULT_worker_write};
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    assert_int_equal(talk(pool, TANDEM_PROCESS), TANDEM_OK);
    for (size_t i = 0; i < count_of(points); i++) {
        atomic_store(&seen.messages, 0);
        tdm_fault_arm(points[i], 1, TDM_FAULT_CUT_SHORT, -1);
        assert_int_equal(talk(pool, TANDEM_PROCESS), TANDEM_OK);
        tdm_fault_disarm_all();
        assert_int_equal(atomic_load(&seen.messages), 4);
    }
    end_pool(pool);
}

/* Killed after each so many bytes that it has written: what was whole has arrived. */
static void a_worker_that_dies_within_a_message_has_sent_the_ones_before(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    assert_int_equal(talk(pool, TANDEM_PROCESS), TANDEM_OK);
    for (int bytes = 1; bytes < 400; bytes += full_run() ? 1 : 23) {
        atomic_store(&seen.messages, 0);
        tdm_fault_arm(TDM_FAULT_worker_write, 1, TDM_FAULT_CUT_SHORT, bytes);
        assert_int_equal(talk(pool, TANDEM_PROCESS), TANDEM_CRASHED);
        tdm_fault_disarm_all();
        assert_int_equal(atomic_load(&seen.messages), bytes >= 72 ? 1 : 0); /* the first: a header and a number */
        assert_int_equal(talk(pool, TANDEM_PROCESS), TANDEM_OK);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(without_memory_somewhere_a_call_says_so_and_the_task_ends),
        test(messages_may_be_cut_short),
        test(a_worker_that_dies_within_a_message_has_sent_the_ones_before),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
