/* row.h - one row of the bench: a piece of work, and the subjects that do it. */
#ifndef BENCH_ROW_H
#define BENCH_ROW_H

#include "peers/peer.h"

#include <stdbool.h>
#include <stddef.h>

struct row {
    const char *name;
    const char *unit;
    const char *sentence; /* what is measured, for the list */
    bool less_is_better;
    double nothing;                  /* a figure below this is as good as 0: no ratio is taken to it */
    size_t count;                    /* how many tasks; a row without tasks says what it counts */
    size_t quick_count;              /* the same with --quick */
    const struct peer *const *peers; /* ended by NULL; tandem's come first */

    /* Why this machine cannot measure the row, or NULL.  The function itself may be NULL: every machine can. */
    const char *(*absent)(void);

    /* Why this machine cannot measure that subject now, or NULL.  The function itself may be NULL. */
    const char *(*subject_absent)(const struct peer *peer);

    /* Called first in the process that measures, before the pool is started; or NULL. */
    void (*prepare)(void);

    /* One figure, in the row's unit. */
    double (*measure)(const struct peer *peer, void *pool, size_t count);

    /* Prints a comment line on the subject, or NULL. */
    void (*remark)(const struct peer *peer);
};

extern const struct row row_thread_submit;
extern const struct row row_thread_submit_4;
extern const struct row row_thread_round_trip;
extern const struct row row_fork_join;
extern const struct row row_parallel_for;
extern const struct row row_parallel_for_skewed;
extern const struct row row_process_round_trip;
extern const struct row row_process_round_trip_pinned;
extern const struct row row_process_submit;
extern const struct row row_process_scaling;
extern const struct row row_process_payload;
extern const struct row row_shared_handover;
extern const struct row row_shared_handover_64k;
extern const struct row row_idle_cpu;
extern const struct row row_task_memory;
extern const struct row row_message_round_trip;
extern const struct row row_message_stream;
extern const struct row row_request_round_trip;
extern const struct row row_channel_round_trip;
extern const struct row row_worker_start;
extern const struct row row_crash_recovery;
extern const struct row row_crash_cost;
extern const struct row row_command_run;
extern const struct row row_command_capture;

#endif
