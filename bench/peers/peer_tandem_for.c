/* peer_tandem_for.c - tandem_for on threads: parts of a size that it chooses, and of one that was picked by hand. */
#include "elements.h"
#include "must.h"
#include "peers/peer.h"

#include <stdlib.h>
#include <tandem.h>

enum { PICKED = 1000 };

struct looper {
    tandem_pool *pool;
    size_t grain;
};

static void *start(size_t grain)
{
    struct looper *looper = must_reserve(1, sizeof *looper);
    const tandem_options options = {.threads = THREADS, .processes = TANDEM_NONE};
    must(tandem_pool_create(&looper->pool, &options), "tandem_pool_create");
    looper->grain = grain;
    return looper;
}

static void *start_chosen(size_t tasks)
{
    (void)tasks;
    return start(0);
}

static void *start_picked(size_t tasks)
{
    (void)tasks;
    return start(PICKED);
}

static int make_part(tandem_context *context, size_t begin, size_t end, void *argument)
{
    (void)context, (void)argument;
    for (size_t i = begin; i < end; i++) element_make(i);
    return 0;
}

static void loop(void *pool, size_t count)
{
    struct looper *looper = pool;
    must(tandem_for(looper->pool, 0, count, looper->grain, make_part, NULL, TANDEM_THREAD), "tandem_for");
}

static void stop(void *pool)
{
    struct looper *looper = pool;
    must(tandem_pool_destroy(looper->pool), "tandem_pool_destroy");
    free(looper);
}

const struct peer peer_tandem_for = {.name = "tandem", .start = start_chosen, .loop = loop, .stop = stop};
const struct peer peer_tandem_for_picked = {.name = "tandem_picked", .start = start_picked, .loop = loop, .stop = stop};
