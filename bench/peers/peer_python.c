/* peer_python.c - Python's ProcessPoolExecutor, in executor.py: it breaks with its worker, and a new one is made. */
#if defined(BENCH_PYTHON)
#define _POSIX_C_SOURCE 200809L
#include "limits/echo.h"
#include "must.h"
#include "peers/peer.h"

#include <stdlib.h>

static void *start(size_t calls)
{
    (void)calls;
    char python[] = BENCH_PYTHON, script[] = BENCH_EXECUTOR;
    char *arguments[] = {python, script, NULL};
    struct echo *echo = must_reserve(1, sizeof *echo);
    echo_start_program(echo, arguments);
    return echo;
}

/* The script takes one character for what it is to do, and gives it back when it has. */
static void tell(const struct echo *echo, char what)
{
    echo_send(echo, &what, 1);
    echo_receive(echo, &what, 1);
}

static void ready(void *echo) { tell(echo, 'b'); }

static void round_trip(void *echo) { tell(echo, 'k'); }

static void stop(void *echo)
{
    echo_stop(echo);
    free(echo);
}

const struct peer peer_python = {.name = "python", .start = start, .ready = ready, .round_trip = round_trip, .stop = stop};

#else
#include "peers/peer.h"

const struct peer peer_python = {.name = "python", .absent = "built without python3"};
#endif
