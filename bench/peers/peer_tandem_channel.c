/* peer_tandem_channel.c - tandem's channels: one to a running task, in a worker process or on a thread, and one back. */
#include "must.h"
#include "peers/end_well.h"
#include "peers/peer.h"

#include <stdlib.h>
#include <tandem.h>

struct channel_subject {
    tandem_pool *pool;
    tandem_task task;
    tandem_channel *ways[2]; /* there and back */
};

static int send_back(tandem_context *context, void *input, size_t input_size)
{
    tandem_channel **ways = input;
    char bytes[MESSAGE_SIZE];
    ssize_t size;
    (void)context, (void)input_size;
    while ((size = tandem_channel_receive(ways[0], 0, bytes, sizeof bytes, -1)) >= 0)
        if (tandem_channel_send(ways[1], bytes, (size_t)size, -1) != 0) return 1;
    return 0;
}

static void *start(tandem_options options, int isolation)
{
    must(tandem_init(), "tandem_init");
    struct channel_subject *subject = must_reserve(1, sizeof *subject);
    must(tandem_pool_create(&subject->pool, &options), "tandem_pool_create");
    tandem_channel_options shape = {.message_size = MESSAGE_SIZE};
    for (int i = 0; i < 2; i++) must(tandem_channel_create(subject->pool, &subject->ways[i], &shape), "tandem_channel_create");
    subject->task = (tandem_task){.run = send_back, .isolation = isolation};
    subject->task.input = subject->ways;
    subject->task.input_size = sizeof subject->ways;
    must(tandem_submit(subject->pool, &subject->task), "tandem_submit");
    return subject;
}

static void *start_process(size_t trips)
{
    (void)trips;
    return start((tandem_options){.threads = TANDEM_NONE, .processes = 1}, TANDEM_PROCESS);
}

static void *start_thread(size_t trips)
{
    (void)trips;
    return start((tandem_options){.threads = 1, .processes = TANDEM_NONE}, TANDEM_THREAD);
}

static void round_trip(void *pool)
{
    struct channel_subject *subject = pool;
    char bytes[MESSAGE_SIZE] = {0};
    must(tandem_channel_send(subject->ways[0], bytes, sizeof bytes, -1), "tandem_channel_send");
    if (tandem_channel_receive(subject->ways[1], 0, bytes, sizeof bytes, -1) != MESSAGE_SIZE)
        give_up("tandem_channel_receive", "an error");
}

static void stop(void *pool)
{
    struct channel_subject *subject = pool;
    must(tandem_channel_close(subject->ways[0]), "tandem_channel_close");
    must_end_well(&subject->task, tandem_wait(&subject->task));
    must(tandem_task_clear(&subject->task), "tandem_task_clear");
    for (int i = 0; i < 2; i++) must(tandem_channel_destroy(subject->ways[i]), "tandem_channel_destroy");
    must(tandem_pool_destroy(subject->pool), "tandem_pool_destroy");
    must(tandem_quit(), "tandem_quit");
    free(subject);
}

#define EVERY_TRIP .round_trip = round_trip, .stop = stop

const struct peer peer_channel_process = {.name = "tandem", .processes = 1, .start = start_process, EVERY_TRIP};
const struct peer peer_channel_thread = {.name = "tandem_thread", .start = start_thread, EVERY_TRIP};
