/* process_submit.c - how many empty tasks a second one thread can hand to worker processes. */
#include "measure.h"
#include "row.h"

/* libuv and GLib hand the same tasks to threads, as in thread_submit: what isolation costs. */
static const struct peer *const peers[] = {
    &peer_tandem_process, &peer_tandem_processes, &peer_tandem_pipe,   &peer_libuv, &peer_glib,
    &peer_python_calls,   &peer_node_calls,       &limit_pipe_batched, NULL,
};

enum { LEAST_MS = 200 };

/* As in thread_submit, but again and again until a while has passed: threads are done so soon with what takes worker processes long that
 * one time slice of something else would be all that is measured. */
static double measure(const struct peer *peer, void *pool, size_t count)
{
    warm_up(peer, pool, count);
    double ended = 0, passed;
    uint64_t start = now_ns();
    do {
        peer->submit(pool, 0, count);
        peer->await(pool, count);
        ended += (double)count;
        passed = (double)(now_ns() - start);
    } while (passed < LEAST_MS * 1e6);
    return ended * 1e9 / passed;
}

const struct row row_process_submit = {
    .name = "process_submit",
    .unit = "tasks/s",
    .sentence = "one thread submits isolated empty tasks to 1 worker process (tandem_2: to 2), then awaits them all",
    .count = 1000000,
    .quick_count = 20000,
    .peers = peers,
    .measure = measure,
};
