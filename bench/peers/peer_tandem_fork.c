/* peer_tandem_fork.c - tandem's fork and join, with one thread and with two; and the same function without any of it. */
#define _POSIX_C_SOURCE 200809L
#include "fibonacci.h"
#include "must.h"
#include "peers/end_well.h"
#include "peers/peer.h"

#include <stdlib.h>
#include <tandem.h>

struct fork_subject {
    tandem_pool *pool;
    tandem_task task;
    struct fibonacci fibonacci;
};

/* The first part forked off, the second here. */
static int run(tandem_context *context, void *input, size_t size)
{
    struct fibonacci *fibonacci = input;
    if (fibonacci->n < 2) {
        fibonacci->result = fibonacci->n;
        return 0;
    }
    struct fibonacci first = {.n = fibonacci->n - 1}, second = {.n = fibonacci->n - 2};
    tandem_branch branch = {.run = run, .input = &first};
    tandem_spawn(context, &branch);
    run(context, &second, size);
    tandem_join(context, &branch);
    fibonacci->result = first.result + second.result;
    return 0;
}

static void *start(uint32_t threads)
{
    struct fork_subject *subject = must_reserve(1, sizeof *subject);
    tandem_options options = {.threads = threads, .processes = TANDEM_NONE};
    must(tandem_pool_create(&subject->pool, &options), "tandem_pool_create");
    return subject;
}

static void *start_one(size_t n)
{
    (void)n;
    return start(1);
}

static void *start_two(size_t n)
{
    (void)n;
    return start(THREADS);
}

static void compute(void *pool)
{
    struct fork_subject *subject = pool;
    subject->fibonacci.n = FIBONACCI_N;
    subject->task = (tandem_task){.run = run, .input = &subject->fibonacci, .flags = TANDEM_NO_HELP};
    must_end_well(&subject->task, tandem_call(subject->pool, &subject->task));
    fibonacci_check(&subject->fibonacci);
}

static void stop(void *pool)
{
    struct fork_subject *subject = pool;
    must(tandem_pool_destroy(subject->pool), "tandem_pool_destroy");
    free(subject);
}

const struct peer peer_tandem_fork = {.name = "tandem", .start = start_two, .round_trip = compute, .stop = stop};
const struct peer peer_tandem_fork_1 = {.name = "tandem_1", .start = start_one, .round_trip = compute, .stop = stop};
