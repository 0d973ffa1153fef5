/* peer_tandem_payload.c - tandem with a large input, which one worker process replies as it has come. */
#include "must.h"
#include "peers/end_well.h"
#include "peers/peer.h"

#include <stdlib.h>
#include <tandem.h>

struct payload_subject {
    tandem_pool *pool;
    tandem_task task;
};

static int give_back(tandem_context *context, void *input, size_t input_size) { return tandem_reply(context, input, input_size); }

static void *start(size_t trips)
{
    (void)trips;
    must(tandem_init(), "tandem_init");
    struct payload_subject *subject = must_reserve(1, sizeof *subject);
    subject->task = (tandem_task){
        .run = give_back,
        .input = must_reserve(PAYLOAD, 1),
        .input_size = PAYLOAD,
        .isolation = TANDEM_PROCESS,
    };
    tandem_options options = {.threads = TANDEM_NONE, .processes = 1, .processes_ready = 1};
    must(tandem_pool_create(&subject->pool, &options), "tandem_pool_create");
    return subject;
}

/* Each input differs from the last one, so that an answer is known to be this one's. */
static void round_trip(void *pool)
{
    struct payload_subject *subject = pool;
    const tandem_task *task = &subject->task;
    const char *input = task->input;
    ((char *)task->input)[PAYLOAD - 1]++;
    must_end_well(&subject->task, tandem_call(subject->pool, &subject->task));
    const char *answer = task->output;
    if (task->output_size != PAYLOAD || answer[PAYLOAD - 1] != input[PAYLOAD - 1]) give_up("tandem", "has replied something else");
    must(tandem_task_clear(&subject->task), "tandem_task_clear");
}

static void stop(void *pool)
{
    struct payload_subject *subject = pool;
    must(tandem_pool_destroy(subject->pool), "tandem_pool_destroy");
    must(tandem_quit(), "tandem_quit");
    free(subject->task.input);
    free(subject);
}

const struct peer peer_tandem_payload = {.name = "tandem", .processes = 1, .start = start, .round_trip = round_trip, .stop = stop};
