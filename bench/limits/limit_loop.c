/* limit_loop.c - tasks that need a processor, run one after the other in a loop: by this process, or half of them by another. */
#define _POSIX_C_SOURCE 200809L
#include "busy.h"
#include "must.h"
#include "peers/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct loop {
    pid_t other; /* of the process that runs the other half; 0: there is none */
};

static void *start(size_t task_count)
{
    (void)task_count;
    return must_reserve(1, sizeof(struct loop));
}

static void run(size_t count)
{
    while (count-- > 0) busy_work();
}

static void submit(void *pool, size_t first, size_t count)
{
    (void)pool, (void)first;
    run(count);
}

static void submit_to_two(void *pool, size_t first, size_t count)
{
    (void)first;
    struct loop *loop = pool;
    must_call(fflush(NULL), "fflush");
    must_call(loop->other = fork(), "fork");
    if (loop->other == 0) {
        run(count / 2);
        _exit(EXIT_SUCCESS);
    }
    run(count - count / 2);
}

static void await(void *pool, size_t count)
{
    (void)count;
    struct loop *loop = pool;
    if (loop->other == 0) return;
    must_have_ended(loop->other, "the other loop");
    loop->other = 0;
}

const struct peer limit_loop = {.name = "limit_loop", .start = start, .submit = submit, .await = await, .stop = free};
const struct peer limit_loop_2 = {.name = "limit_loop_2", .start = start, .submit = submit_to_two, .await = await, .stop = free};
