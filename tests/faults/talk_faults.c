/* talk_faults.c - memory fails once, at each place in turn, while a pool is told things, tasks are asked and workers are listened to:
 * each call says so or does its work, and nobody waits for ever. */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

static char complaint[200];

#define expect(condition)                                                                                                          \
    do {                                                                                                                           \
        if (!(condition) && !complaint[0]) snprintf(complaint, sizeof complaint, "line %d: %s", __LINE__, #condition);             \
    } while (0)

static int look_task(tandem_context *context, void *input, size_t size)
{
    size_t found;
    const char *value = tandem_pool_data(context, "key", &found);
    (void)input, (void)size;
    if (!value) return ENOENT;
    return found == 5 && memcmp(value, "value", 6) == 0 && write(1, "x", 1) == 1 ? 0 : EINVAL;
}

static int answer_task(tandem_context *context, void *input, size_t size)
{
    tandem_message message;
    int error;
    (void)input, (void)size;
    while ((error = tandem_receive(context, &message, -1)) == 0) {
        tandem_message answer = {.data = message.data, .size = message.size, .request = message.request};
        error = tandem_send(context, &answer, -1);
        if (error != 0) return -error;
    }
    return error == -EPIPE ? 0 : -error;
}

static atomic_int started, heard;

static void note_start(tandem_task *task, const tandem_message *message)
{
    (void)task;
    if (message->started) atomic_fetch_add(&started, 1);
}

static void hear(uint32_t worker, int stream, const void *data, size_t size, void *argument)
{
    (void)worker, (void)stream, (void)data, (void)argument;
    atomic_fetch_add(&heard, (int)size);
}

static bool is_sad(int status) { return status == TANDEM_NOT_STARTED || status == TANDEM_FAILED || status == TANDEM_CRASHED; }

/* A task that finds what was set, or what was not. */
static void look(tandem_pool *pool, int isolation, bool was_set)
{
    tandem_task task = task_of(isolation, look_task, NULL, 0);
    int status = tandem_call(pool, &task);
    expect(status == TANDEM_OK ? was_set : status == -ENOMEM || status == -EAGAIN || is_sad(status));
    expect(status != TANDEM_FAILED || task.code == ENOENT || task.code == ENOMEM);
    tandem_task_clear(&task);
}

static void ask(tandem_pool *pool, int isolation)
{
    tandem_task task = task_of(isolation, answer_task, NULL, 0);
    tandem_message answer = {0};
    task.flags = TANDEM_DEDICATED | TANDEM_TELL_START;
    task.on_message = note_start;
    atomic_store(&started, 0);
    int error = tandem_submit(pool, &task);
    expect(error == 0 || error == -ENOMEM || error == -EAGAIN);
    if (error != 0) return;
    error = tandem_request(&task, &(tandem_message){.data = "ask", .size = 3}, &answer, patience_ms());
    expect(error == 0 || error == -ENOMEM || error == -EPIPE);
    expect(error != 0 || (answer.size == 3 && memcmp(answer.data, "ask", 4) == 0));
    tandem_message_clear(&answer);
    tandem_close(&task);
    int status = tandem_wait_for(&task, patience_ms());
    expect(status == TANDEM_OK || is_sad(status));
    while (tandem_task_clear(&task) == -EBUSY) moment();
    expect(status != TANDEM_OK || atomic_load(&started) == 1);
}

static void once(void)
{
    tandem_options options = {
        .threads = 1, .processes = 1, .worker_output = TANDEM_STDIO_STREAM, .on_worker_output = hear, .no_crash_report = 1};
    tandem_pool *pool;
    int error = tandem_pool_create(&pool, &options);
    expect(error == 0 || error == -ENOMEM || error == -EAGAIN);
    if (error != 0) return;
    look(pool, TANDEM_PROCESS, false);
    error = tandem_pool_set_data(pool, "key", "value", 5);
    expect(error == 0 || error == -ENOMEM);
    look(pool, TANDEM_THREAD, error == 0);
    look(pool, TANDEM_PROCESS, error == 0);
    ask(pool, TANDEM_THREAD);
    ask(pool, TANDEM_PROCESS);
    end_pool(pool);
}

static void memory_may_fail_wherever_tasks_are_told_and_asked(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    assert_int_equal(tandem_init(), 0);
    for (uint64_t pass = 1;; pass++) {
        tdm_fault_arm(TDM_FAULT_memory, pass, TDM_FAULT_FAIL, ENOMEM);
        once();
        if (complaint[0]) fail_msg("memory, pass %llu: %s", (unsigned long long)pass, complaint);
        if (tdm_fault_fired(TDM_FAULT_memory) == 0) break;
        tdm_fault_disarm_all();
    }
    tdm_fault_disarm_all();
    atomic_store(&heard, 0);
    once();
    assert_string_equal(complaint, "");
    assert_int_equal(atomic_load(&heard), 1);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(memory_may_fail_wherever_tasks_are_told_and_asked),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
