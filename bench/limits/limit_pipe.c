/* limit_pipe.c - the least that two processes can do over pipes: one small message there, one back. */
#include "limits/echo.h"
#include "must.h"
#include "peers/peer.h"

#include <stdlib.h>

static void *start(size_t task_count)
{
    (void)task_count;
    struct echo *echo = must_reserve(1, sizeof *echo);
    echo_start(echo);
    return echo;
}

static void round_trip(void *echo)
{
    char message[MESSAGE_SIZE] = {0};
    echo_send(echo, message, sizeof message);
    echo_receive(echo, message, sizeof message);
}

static void stop(void *echo)
{
    echo_stop(echo);
    free(echo);
}

const struct peer limit_pipe = {.name = "limit_pipe", .start = start, .round_trip = round_trip, .stop = stop};
