/* limit_memcpy.c - a large input and its answer, each copied once, within one process and to memory that has been touched before. */
#include "must.h"
#include "peers/peer.h"

#include <stdlib.h>
#include <string.h>

struct copies {
    char *input;
    char *there;
    char *answer;
};

static void *start(size_t task_count)
{
    (void)task_count;
    struct copies *copies = must_reserve(1, sizeof *copies);
    copies->input = must_reserve(PAYLOAD, 1);
    copies->there = must_reserve(PAYLOAD, 1);
    copies->answer = must_reserve(PAYLOAD, 1);
    return copies;
}

/* Each input differs from the last one, and what is copied is looked at: no compiler may leave a copy out. */
static void round_trip(void *pool)
{
    struct copies *copies = pool;
    copies->input[PAYLOAD - 1]++;
    memcpy(copies->there, copies->input, PAYLOAD);
    memcpy(copies->answer, copies->there, PAYLOAD);
    if (copies->answer[PAYLOAD - 1] != copies->input[PAYLOAD - 1]) give_up("memcpy", "has copied something else");
}

static void stop(void *pool)
{
    struct copies *copies = pool;
    free(copies->input);
    free(copies->there);
    free(copies->answer);
    free(copies);
}

const struct peer limit_memcpy = {.name = "limit_memcpy", .start = start, .round_trip = round_trip, .stop = stop};
