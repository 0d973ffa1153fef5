/* peer_tandem_shared.c - tandem with an input that lies in shared memory, beside the same input copied, and beside none: what handing it
 * to one worker process takes, and what it takes to have the worker answer in place. */
#include "must.h"
#include "peers/end_well.h"
#include "peers/peer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <tandem.h>

enum {
    SMALL_PAYLOAD = 64 << 10,
    MOST_COPIED = 10 /* round trips with a large input that is copied */
};

struct shared_subject {
    tandem_pool *pool;
    tandem_task task;
    bool shared; /* the input lies in shared memory */
};

static int do_nothing(tandem_context *context, void *input, size_t input_size)
{
    (void)context, (void)input, (void)input_size;
    return 0;
}

/* The first half of the input is what came, the other half the place for the answer. */
static int answer_in_place(tandem_context *context, void *input, size_t input_size)
{
    (void)context;
    memcpy((char *)input + input_size / 2, input, input_size / 2);
    return 0;
}

static void *share(tandem_pool *pool, size_t size)
{
    void *memory = tandem_shared_alloc(pool, size);
    if (!memory) give_up("tandem_shared_alloc", "no room");
    memset(memory, 0, size); /* so that no page fault of ours falls into a measured time */
    return memory;
}

static struct shared_subject *start(tandem_fn *run, size_t input_size, bool shared)
{
    must(tandem_init(), "tandem_init");
    struct shared_subject *subject = must_reserve(1, sizeof *subject);
    tandem_options options = {.threads = TANDEM_NONE, .processes = 1, .processes_ready = 1};
    must(tandem_pool_create(&subject->pool, &options), "tandem_pool_create");
    subject->shared = shared;
    subject->task = (tandem_task){.run = run, .input_size = input_size, .isolation = TANDEM_PROCESS};
    if (input_size > 0) subject->task.input = shared ? share(subject->pool, input_size) : must_reserve(input_size, 1);
    return subject;
}

static void *start_without(size_t trips)
{
    (void)trips;
    return start(do_nothing, 0, false);
}

static void *start_copied(size_t trips)
{
    (void)trips;
    return start(do_nothing, PAYLOAD, false);
}

static void *start_copied_64k(size_t trips)
{
    (void)trips;
    return start(do_nothing, SMALL_PAYLOAD, false);
}

static void *start_shared(size_t trips)
{
    (void)trips;
    return start(do_nothing, PAYLOAD, true);
}

static void *start_shared_64k(size_t trips)
{
    (void)trips;
    return start(do_nothing, SMALL_PAYLOAD, true);
}

static void *start_in_place(size_t trips)
{
    (void)trips;
    return start(answer_in_place, 2 * (size_t)PAYLOAD, true);
}

static void round_trip(void *pool)
{
    struct shared_subject *subject = pool;
    must(tandem_submit(subject->pool, &subject->task), "tandem_submit");
    must_end_well(&subject->task, tandem_wait(&subject->task));
}

/* Each input differs from the last one, so that an answer is known to be this one's. */
static void round_trip_in_place(void *pool)
{
    struct shared_subject *subject = pool;
    char *input = subject->task.input;
    const char *answer = input + PAYLOAD;
    input[PAYLOAD - 1]++;
    round_trip(pool);
    if (answer[PAYLOAD - 1] != input[PAYLOAD - 1]) give_up("tandem", "the answer is not in shared memory");
}

static void stop(void *pool)
{
    struct shared_subject *subject = pool;
    must(tandem_task_clear(&subject->task), "tandem_task_clear");
    if (subject->shared)
        must(tandem_shared_free(subject->pool, subject->task.input), "tandem_shared_free");
    else
        free(subject->task.input);
    must(tandem_pool_destroy(subject->pool), "tandem_pool_destroy");
    must(tandem_quit(), "tandem_quit");
    free(subject);
}

/* The functions that they share; only the start tells them apart. */
#define EVERY_HANDOVER .processes = 1, .round_trip = round_trip, .stop = stop

const struct peer peer_tandem_no_input = {.name = "tandem_no_input", .start = start_without, EVERY_HANDOVER};
const struct peer peer_tandem_copied = {.name = "tandem_copied", .most = MOST_COPIED, .start = start_copied, EVERY_HANDOVER};
const struct peer peer_tandem_copied_64k = {.name = "tandem_copied", .start = start_copied_64k, EVERY_HANDOVER};
const struct peer peer_tandem_shared = {.name = "tandem_shared", .start = start_shared, EVERY_HANDOVER};
const struct peer peer_tandem_shared_64k = {.name = "tandem_shared", .start = start_shared_64k, EVERY_HANDOVER};
const struct peer peer_tandem_in_place = {
    .name = "tandem_shared",
    .processes = 1,
    .start = start_in_place,
    .round_trip = round_trip_in_place,
    .stop = stop,
};
