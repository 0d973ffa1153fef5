/* peer.h - what a row asks of everything it compares: start, run empty tasks, stop. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "gate.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    THREADS = 2,          /* of every thread pool */
    MESSAGE_SIZE = 64,    /* bytes that a limit sends for one task, and gets back */
    CAPTURED = 256000000, /* bytes that a command writes */
    PAYLOAD = 64 << 20    /* bytes of a large input, and of a large answer */
};

/* What writes them. */
#define CAPTURED_PROGRAM                                                                                                           \
    {                                                                                                                              \
        "head", "-c", "256000000", "/dev/zero", NULL                                                                               \
    }

/* One subject of a row.  A function that no row asks of it is NULL. */
struct peer {
    const char *name;
    const char *absent; /* why it cannot be measured in this build; NULL: it can */
    size_t task_size;   /* bytes of the struct that its caller keeps for each task */
    size_t processes;   /* worker processes that it has warm */
    size_t touched;     /* bytes of memory that its program has in use besides */
    bool only_in_full;  /* not with --quick */
    size_t most;        /* a slow one gets no more tasks or round trips than these; 0: all of the row */
    size_t least;       /* a quick one gets no fewer */

    /* Starts the pool, with room for so many tasks.  What it returns goes into all the others. */
    void *(*start)(size_t tasks);

    /* Hands the pool the empty tasks first to first + count - 1.  One that has ended may be handed over again. */
    void (*submit)(void *pool, size_t first, size_t count);

    /* Returns when the tasks 0 to count - 1, which are all that was submitted, have ended, and those that were held too. */
    void (*await)(void *pool, size_t count);

    /* Brings about what the next round trip begins with; not measured.  NULL: nothing is to be done. */
    void (*ready)(void *pool);

    /* Runs one empty task and returns when it has ended. */
    void (*round_trip)(void *pool);

    /* The median of so many round trips in ns, after a tenth of them unmeasured; or NULL: they are timed here.  A program of its own looks
     * at its own clock, so that the way there is not measured too. */
    double (*median_trip)(void *pool, size_t count);

    /* Calls element_make for each index below count, on THREADS threads, of which the calling one may be one.  See elements.h. */
    void (*loop)(void *pool, size_t count);

    /* Occupies each thread of the pool with a task that waits at the gate. */
    void (*hold)(void *pool, struct gate *gate);

    /* Ends the pool after an await. */
    void (*stop)(void *pool);
};

extern const struct peer peer_tandem_threads;
extern const struct peer peer_tandem_no_help;
extern const struct peer peer_tandem_fork;
extern const struct peer peer_tandem_fork_1;
extern const struct peer peer_tandem_process;
extern const struct peer peer_tandem_call;
extern const struct peer peer_tandem_processes;
extern const struct peer peer_message_thread;
extern const struct peer peer_message_process;
extern const struct peer peer_message_pipe;
extern const struct peer peer_request_thread;
extern const struct peer peer_request_process;
extern const struct peer peer_channel_thread;
extern const struct peer peer_channel_process;
extern const struct peer peer_stream_thread;
extern const struct peer peer_stream_process;
extern const struct peer peer_stream_pipe;
extern const struct peer peer_tandem_pipe;
extern const struct peer peer_tandem_working;
extern const struct peer peer_tandem_working_2;
extern const struct peer peer_tandem_payload;
extern const struct peer peer_tandem_no_input;
extern const struct peer peer_tandem_copied;
extern const struct peer peer_tandem_copied_64k;
extern const struct peer peer_tandem_shared;
extern const struct peer peer_tandem_shared_64k;
extern const struct peer peer_tandem_in_place;
extern const struct peer peer_tandem_both;
extern const struct peer peer_tandem_10MB;
extern const struct peer peer_tandem_1GB;
extern const struct peer peer_tandem_4GB;
extern const struct peer peer_tandem_1GB_before;
extern const struct peer peer_tandem_recovery;
extern const struct peer peer_tandem_crashing;
extern const struct peer peer_tandem_sound;
extern const struct peer peer_tandem_for;
extern const struct peer peer_tandem_for_picked;
extern const struct peer peer_tandem_command_10MB;
extern const struct peer peer_tandem_command_1GB;
extern const struct peer peer_tandem_capture;
extern const struct peer peer_libuv_command_10MB;
extern const struct peer peer_libuv_command_1GB;
extern const struct peer peer_libuv_capture;
extern const struct peer peer_glib_command_10MB;
extern const struct peer peer_glib_command_1GB;
extern const struct peer peer_glib_capture;
extern const struct peer peer_python;
extern const struct peer peer_python_calls;
extern const struct peer peer_node_calls;
extern const struct peer peer_apr;
extern const struct peer peer_glib;
extern const struct peer peer_libuv;
extern const struct peer peer_openmp_static;
extern const struct peer peer_openmp_dynamic;
extern const struct peer peer_openmp_tasks;
extern const struct peer peer_serial;
extern const struct peer peer_tbb;
extern const struct peer peer_tbb_for;
extern const struct peer peer_textbook;
extern const struct peer limit_capture;
extern const struct peer limit_fork_10MB;
extern const struct peer limit_fork_1GB;
extern const struct peer limit_fork_4GB;
extern const struct peer limit_futex;
extern const struct peer limit_loop;
extern const struct peer limit_loop_2;
extern const struct peer limit_memcpy;
extern const struct peer limit_pipe;
extern const struct peer limit_pipe_batched;
extern const struct peer limit_pipe_payload;
extern const struct peer limit_posix_spawn;
extern const struct peer limit_serial;
extern const struct peer limit_spin;
extern const struct peer limit_spsc;
extern const struct peer limit_tasks;

#endif
