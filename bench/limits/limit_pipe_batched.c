/* limit_pipe_batched.c - many small messages over pipes: as many as fill a page go with one write, and come with one read. */
#include "limits/echo.h"
#include "must.h"
#include "peers/peer.h"

#include <stdlib.h>

enum { BATCH = ECHO_MOST / MESSAGE_SIZE };

struct batches {
    struct echo echo;
    size_t unanswered; /* messages sent that have not come back */
    char messages[ECHO_MOST];
};

static void *start(size_t task_count)
{
    (void)task_count;
    struct batches *batches = must_reserve(1, sizeof *batches);
    echo_start(&batches->echo);
    return batches;
}

static void receive(struct batches *batches, size_t messages)
{
    echo_receive(&batches->echo, batches->messages, messages * MESSAGE_SIZE);
    batches->unanswered -= messages;
}

/* One batch is under way while the next is written, so that both processes have work.  It is never so many that both pipes could be
 * full, whatever their capacity, and each process wait for the other to read. */
static void submit(void *pool, size_t first, size_t count)
{
    (void)first;
    struct batches *batches = pool;
    while (count > 0) {
        size_t messages = count < BATCH ? count : BATCH;
        echo_send(&batches->echo, batches->messages, messages * MESSAGE_SIZE);
        batches->unanswered += messages;
        if (batches->unanswered > messages) receive(batches, batches->unanswered - messages);
        count -= messages;
    }
}

static void await(void *pool, size_t count)
{
    (void)count;
    receive(pool, ((struct batches *)pool)->unanswered);
}

static void stop(void *pool)
{
    struct batches *batches = pool;
    echo_stop(&batches->echo);
    free(batches);
}

const struct peer limit_pipe_batched = {
    .name = "limit_pipe_batched",
    .start = start,
    .submit = submit,
    .await = await,
    .stop = stop,
};
