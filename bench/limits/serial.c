/* serial.c - a loop that is not parallel. */
#include "elements.h"
#include "must.h"
#include "peers/peer.h"

#include <stdlib.h>

static void *start(size_t tasks)
{
    (void)tasks;
    return must_reserve(1, 1);
}

static void loop(void *pool, size_t count)
{
    (void)pool;
    for (size_t i = 0; i < count; i++) element_make(i);
}

const struct peer peer_serial = {.name = "serial", .start = start, .loop = loop, .stop = free};
