/* message.c - how long a message to a running task takes until its answer is handed over, or until who asked has it, and how many a second one
 * thread can post. */
#include "measure.h"
#include "row.h"

/* Beside them what a task takes from submit to the end of the wait, in a process and on a thread. */
static const struct peer *const trip_peers[] = {
    &peer_message_process, &peer_message_pipe,   &peer_message_thread,
    &peer_tandem_call,     &peer_tandem_no_help, &peer_node_calls,
    &limit_pipe,           &limit_spin,          NULL,
};

static const struct peer *const stream_peers[] = {
    &peer_stream_process, &peer_stream_pipe, &peer_stream_thread, &peer_node_calls, &limit_pipe_batched, NULL,
};

static const struct peer *const request_peers[] = {
    &peer_request_process, &peer_request_thread, &peer_tandem_call, &peer_tandem_no_help,
    &peer_node_calls,      &limit_pipe,          &limit_spin,       NULL,
};

const struct row row_message_round_trip = {
    .name = "message_round_trip",
    .unit = "ns, p50",
    .sentence = "post 64 bytes to a running task (tandem_thread: on a thread), which sends them back, again and again",
    .less_is_better = true,
    .count = 100000,
    .quick_count = 5000,
    .peers = trip_peers,
    .measure = measure_round_trip,
};

const struct row row_message_stream = {
    .name = "message_stream",
    .unit = "messages/s",
    .sentence = "one thread posts messages of 64 bytes to a running task, until it has received the last",
    .count = 1000000,
    .quick_count = 100000,
    .peers = stream_peers,
    .measure = measure_throughput,
};

const struct row row_request_round_trip = {
    .name = "request_round_trip",
    .unit = "ns, p50",
    .sentence = "ask a running task with 64 bytes (tandem_thread: on a thread), which answers with the same: tandem_request",
    .less_is_better = true,
    .count = 100000,
    .quick_count = 5000,
    .peers = request_peers,
    .measure = measure_round_trip,
};
