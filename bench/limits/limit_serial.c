/* limit_serial.c - the calls of fork_join as calls and nothing else. */
#define _POSIX_C_SOURCE 200809L
#include "fibonacci.h"
#include "must.h"
#include "peers/peer.h"

#include <stdlib.h>

static void run(struct fibonacci *fibonacci);

static void (*volatile call)(struct fibonacci *) = run; /* lest the compiler make one call of many */

static void run(struct fibonacci *fibonacci)
{
    if (fibonacci->n < 2) {
        fibonacci->result = fibonacci->n;
        return;
    }
    struct fibonacci first = {.n = fibonacci->n - 1}, second = {.n = fibonacci->n - 2};
    call(&first);
    call(&second);
    fibonacci->result = first.result + second.result;
}

static void *start(size_t n)
{
    (void)n;
    return must_reserve(1, sizeof(struct fibonacci));
}

static void compute(void *pool)
{
    struct fibonacci *fibonacci = pool;
    fibonacci->n = FIBONACCI_N;
    call(fibonacci);
    fibonacci_check(fibonacci);
}

const struct peer limit_serial = {.name = "limit_serial", .start = start, .round_trip = compute, .stop = free};
