/* peer_calls.c - worker processes as other languages have them: Python's ProcessPoolExecutor, Node.js's child_process.fork.  Programs of
 * their own, calls.py and calls.js, are told by a line what to do and answer with a line. */
#define _POSIX_C_SOURCE 200809L
#include "limits/echo.h"
#include "must.h"
#include "peers/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(BENCH_PYTHON)
#define PYTHON_ABSENT NULL
#else
#define PYTHON_ABSENT      "built without python3"
#define BENCH_PYTHON       ""
#define BENCH_PYTHON_CALLS ""
#endif

#if defined(BENCH_NODE)
#define NODE_ABSENT NULL
#else
#define NODE_ABSENT      "built without node"
#define BENCH_NODE       ""
#define BENCH_NODE_CALLS ""
#endif

enum {
    LONGEST_LINE = 80,
    PYTHON_MOST = 5000, /* tasks: it needs some seconds for them */
    NODE_MOST = 50000
};

static void *start(const char *program, const char *script)
{
    char *arguments[] = {strdup(program), strdup(script), NULL};
    if (!arguments[0] || !arguments[1]) give_up("memory", "there is none");
    struct echo *echo = must_reserve(1, sizeof *echo);
    echo_start_program(echo, arguments);
    free(arguments[0]);
    free(arguments[1]);
    return echo;
}

static void tell(void *echo, const char *what, size_t count)
{
    char line[LONGEST_LINE];
    int size = snprintf(line, sizeof line, "%s %zu\n", what, count);
    echo_send(echo, line, (size_t)size);
}

static double answer(void *echo)
{
    char line[LONGEST_LINE] = "";
    for (size_t at = 0; at < sizeof line - 1; at++) {
        echo_receive(echo, &line[at], 1);
        if (line[at] == '\n') break;
    }
    char *end;
    double number = strtod(line, &end);
    if (end == line || *end != '\n') give_up("a program that calls", "it does not answer with a number");
    return number;
}

static double median_trip(void *echo, size_t count)
{
    tell(echo, "trips", count);
    return answer(echo);
}

static void submit(void *echo, size_t first, size_t count)
{
    (void)first;
    tell(echo, "submit", count);
}

static void await(void *echo, size_t count)
{
    if (answer(echo) != (double)count) give_up("a program that calls", "it has not made all the calls");
}

static void stop(void *echo)
{
    echo_stop(echo);
    free(echo);
}

#define EVERY_PROGRAM .median_trip = median_trip, .submit = submit, .await = await, .stop = stop

static void *start_python(size_t tasks)
{
    (void)tasks;
    return start(BENCH_PYTHON, BENCH_PYTHON_CALLS);
}

static void *start_node(size_t tasks)
{
    (void)tasks;
    return start(BENCH_NODE, BENCH_NODE_CALLS);
}

const struct peer peer_python_calls = {
    .name = "python", .absent = PYTHON_ABSENT, .start = start_python, .most = PYTHON_MOST, EVERY_PROGRAM};
const struct peer peer_node_calls = {.name = "node", .absent = NODE_ABSENT, .start = start_node, .most = NODE_MOST, EVERY_PROGRAM};
