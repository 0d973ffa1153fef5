/* peer_tandem_message.c - tandem's messages: to a task on a thread and to one in a worker process, which send each back, or answer, or only
 * take them. */
#include "must.h"
#include "peers/end_well.h"
#include "peers/peer.h"

#include <stdint.h>
#include <stdlib.h>
#include <tandem.h>

struct message_subject {
    tandem_pool *pool;
    tandem_task task;
    uint64_t answers; /* by on_message, which runs where the callbacks are run: here */
};

/* Sends back what it gets; of a stream only what is empty, which says that all before it has come. */
static int echo(tandem_context *context, void *input, size_t input_size)
{
    tandem_message message;
    (void)input, (void)input_size;
    while (tandem_receive(context, &message, -1) == 0)
        if (tandem_send(context, &message, -1) != 0) return 1;
    return 0;
}

static int take(tandem_context *context, void *input, size_t input_size)
{
    tandem_message message;
    (void)input, (void)input_size;
    while (tandem_receive(context, &message, -1) == 0)
        if (message.size == 0 && tandem_send(context, &message, -1) != 0) return 1;
    return 0;
}

static void count_answer(tandem_task *task, const tandem_message *message)
{
    struct message_subject *subject = task->user_data;
    (void)message;
    subject->answers++;
}

static void *start(tandem_fn *run, tandem_options options, int isolation)
{
    must(tandem_init(), "tandem_init");
    struct message_subject *subject = must_reserve(1, sizeof *subject);
    options.callbacks_by_host = 1;
    must(tandem_pool_create(&subject->pool, &options), "tandem_pool_create");
    subject->task = (tandem_task){.run = run, .isolation = isolation, .on_message = count_answer, .user_data = subject};
    must(tandem_submit(subject->pool, &subject->task), "tandem_submit");
    return subject;
}

static const tandem_options one_thread = {.threads = 1, .processes = TANDEM_NONE},
                            one_process = {.threads = TANDEM_NONE, .processes = 1},
                            over_pipe = {.threads = TANDEM_NONE, .processes = 1, .pipes_only = 1};

static void *start_thread(size_t tasks)
{
    (void)tasks;
    return start(echo, one_thread, TANDEM_THREAD);
}

static void *start_process(size_t tasks)
{
    (void)tasks;
    return start(echo, one_process, TANDEM_PROCESS);
}

static void *start_pipe(size_t tasks)
{
    (void)tasks;
    return start(echo, over_pipe, TANDEM_PROCESS);
}

static void *start_thread_stream(size_t tasks)
{
    (void)tasks;
    return start(take, one_thread, TANDEM_THREAD);
}

static void *start_process_stream(size_t tasks)
{
    (void)tasks;
    return start(take, one_process, TANDEM_PROCESS);
}

static void *start_pipe_stream(size_t tasks)
{
    (void)tasks;
    return start(take, over_pipe, TANDEM_PROCESS);
}

static void post(struct message_subject *subject, size_t size)
{
    static const char bytes[MESSAGE_SIZE];
    must(tandem_post(&subject->task, &(tandem_message){.data = bytes, .size = size}, -1), "tandem_post");
}

static void await_answer(struct message_subject *subject, uint64_t before)
{
    while (subject->answers == before)
        if (tandem_run_callbacks(subject->pool, 0) < 0) give_up("tandem_run_callbacks", "an error");
}

static void round_trip(void *pool)
{
    struct message_subject *subject = pool;
    uint64_t before = subject->answers;
    post(subject, MESSAGE_SIZE);
    await_answer(subject, before);
}

static void request(void *pool)
{
    struct message_subject *subject = pool;
    static const char bytes[MESSAGE_SIZE];
    tandem_message answer;
    must(tandem_request(&subject->task, &(tandem_message){.data = bytes, .size = sizeof bytes}, &answer, -1), "tandem_request");
    must(tandem_message_clear(&answer), "tandem_message_clear");
}

static void submit(void *pool, size_t first, size_t count)
{
    (void)first;
    for (size_t i = 0; i < count; i++) post(pool, MESSAGE_SIZE);
}

static void await(void *pool, size_t count)
{
    struct message_subject *subject = pool;
    uint64_t before = subject->answers;
    (void)count;
    post(subject, 0);
    await_answer(subject, before);
}

static void stop(void *pool)
{
    struct message_subject *subject = pool;
    must(tandem_close(&subject->task), "tandem_close");
    must_end_well(&subject->task, tandem_wait(&subject->task));
    while (tandem_task_clear(&subject->task) != 0) tandem_run_callbacks(subject->pool, 0);
    must(tandem_pool_destroy(subject->pool), "tandem_pool_destroy");
    must(tandem_quit(), "tandem_quit");
    free(subject);
}

/* The functions that they share; only the start tells them apart. */
#define EVERY_TRIP   .round_trip = round_trip, .stop = stop
#define EVERY_ASKING .round_trip = request, .stop = stop
#define EVERY_STREAM .submit = submit, .await = await, .stop = stop

const struct peer peer_message_thread = {.name = "tandem_thread", .start = start_thread, EVERY_TRIP};
const struct peer peer_message_process = {.name = "tandem", .processes = 1, .start = start_process, EVERY_TRIP};
const struct peer peer_message_pipe = {.name = "tandem_pipe", .processes = 1, .start = start_pipe, EVERY_TRIP};
const struct peer peer_request_thread = {.name = "tandem_thread", .start = start_thread, EVERY_ASKING};
const struct peer peer_request_process = {.name = "tandem", .processes = 1, .start = start_process, EVERY_ASKING};
const struct peer peer_stream_thread = {.name = "tandem_thread", .start = start_thread_stream, EVERY_STREAM};
const struct peer peer_stream_process = {.name = "tandem", .processes = 1, .start = start_process_stream, EVERY_STREAM};
const struct peer peer_stream_pipe = {.name = "tandem_pipe", .processes = 1, .start = start_pipe_stream, EVERY_STREAM};
