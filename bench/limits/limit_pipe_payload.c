/* limit_pipe_payload.c - a large input over one pipe, and when all of it has arrived, as large an answer over another. */
#define _POSIX_C_SOURCE 200809L
#include "limits/echo.h"
#include "must.h"
#include "peers/peer.h"

#include <stdlib.h>

struct payload {
    struct echo echo;
    char *bytes; /* the input, and the place for the answer */
};

static void *start(size_t task_count)
{
    (void)task_count;
    struct payload *payload = must_reserve(1, sizeof *payload);
    payload->bytes = must_reserve(PAYLOAD, 1);
    echo_start_whole(&payload->echo, PAYLOAD);
    return payload;
}

static void round_trip(void *pool)
{
    struct payload *payload = pool;
    echo_send(&payload->echo, payload->bytes, PAYLOAD);
    echo_receive(&payload->echo, payload->bytes, PAYLOAD);
}

static void stop(void *pool)
{
    struct payload *payload = pool;
    echo_stop(&payload->echo);
    free(payload->bytes);
    free(payload);
}

const struct peer limit_pipe_payload = {.name = "limit_pipe", .start = start, .round_trip = round_trip, .stop = stop};
