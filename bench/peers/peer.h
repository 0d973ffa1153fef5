/* peer.h - what a row asks of everything it compares: start, run empty tasks, stop. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "gate.h"

#include <stddef.h>

enum {
    THREADS = 2,      /* of every thread pool */
    MESSAGE_SIZE = 64 /* bytes that a limit sends for one task, and gets back */
};

/* One subject of a row.  A function that no row asks of it is NULL. */
struct peer {
    const char *name;
    const char *absent; /* why it cannot be measured in this build; NULL: it can */
    size_t task_size;   /* bytes of the struct that its caller keeps for each task */
    size_t processes;   /* worker processes that it has warm */

    /* Starts the pool, with room for so many tasks.  What it returns goes into all the others. */
    void *(*start)(size_t tasks);

    /* Hands the pool the empty tasks first to first + count - 1.  One that has ended may be handed over again. */
    void (*submit)(void *pool, size_t first, size_t count);

    /* Returns when the tasks 0 to count - 1, which are all that was submitted, have ended, and those that were held too. */
    void (*await)(void *pool, size_t count);

    /* Runs one empty task and returns when it has ended. */
    void (*round_trip)(void *pool);

    /* Occupies each thread of the pool with a task that waits at the gate. */
    void (*hold)(void *pool, struct gate *gate);

    /* Ends the pool after an await. */
    void (*stop)(void *pool);
};

extern const struct peer peer_tandem_threads;
extern const struct peer peer_tandem_no_help;
extern const struct peer peer_tandem_process;
extern const struct peer peer_tandem_processes;
extern const struct peer peer_tandem_both;
extern const struct peer peer_glib;
extern const struct peer peer_libuv;
extern const struct peer peer_textbook;
extern const struct peer limit_futex;
extern const struct peer limit_pipe;
extern const struct peer limit_pipe_batched;
extern const struct peer limit_spsc;

#endif
