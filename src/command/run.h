/* run.h - one command from its start to its end. */
#ifndef TDM_COMMAND_RUN_H
#define TDM_COMMAND_RUN_H

#include "command/capture.h"
#include "command/feed.h"
#include "command/stream_out.h"
#include "guards/guard_children.h"
#include "job/program.h"
#include "task/lane.h"

struct tdm_command_lane;

enum tdm_run_phase {
    TDM_RUN_PREPARED = 0, /* the guards have not been asked yet */
    TDM_RUN_STARTING,
    TDM_RUN_RUNNING,
    TDM_RUN_DRAINING, /* it has been reaped */
    TDM_RUN_ENDED
};

/* Made by any thread, from then on the reactor's. */
struct tdm_run {
    struct tdm_command_lane *lane;
    struct tdm_task *task; /* held */
    struct tdm_node link;  /* begun: guarded by the ledger's lock; then the reactor's */
    bool has_seat;         /* it counts among those of which there may be so many */
    enum tdm_run_phase phase;
    struct tdm_child child;
    struct tdm_program_block block;
    bool was_looked_for;
    bool was_told; /* by the guards what became of its start: no other process has the block any more */
    int ends[2];   /* of the pipes to its neighbours in a pipeline, or -1; until it has been started */
    struct tdm_feed feed;
    struct tdm_capture outputs[2]; /* standard output, standard error */
    struct tdm_stream_out stream;
    struct tdm_timer timer; /* timeout, grace, death, drain: whatever comes next */
    uint64_t started_ns;
    long seen_pid;        /* 0: it has not been started; guarded by the ledger's lock, for others to see */
    unsigned tries;       /* zygotes that died over it */
    int decided;          /* TIMED_OUT, CANCELLED, OVER_LIMIT: it has been stopped for that; or 0 */
    bool killed;          /* for good */
    bool over_time;       /* it is not waited for any longer */
    bool has_ended, lost; /* its end is known; or that nobody will tell */
    struct tdm_guard_notice end;
    struct tdm_source watch; /* of an orphan: its process; fd -1: none */
    const char *step;
    int error; /* it could not be started: a positive errno */
};

/* Any thread.  What it needs is opened, the ends (-1: none) are taken over in any case.  NULL: *error, *step tell why not. */
struct tdm_run *tdm_run_make(struct tdm_command_lane *lane, struct tdm_task *task, int ends[2], int *error, const char **step);

/* The reactor. */
void tdm_run_begin(struct tdm_run *run);
void tdm_run_stop(struct tdm_run *run, int status);
void tdm_run_close(struct tdm_run *run); /* the pool ends: whatever it does, and whoever does not call back */
void tdm_run_go_on(struct tdm_run *run); /* an on_output has returned */
void tdm_run_free(struct tdm_run *run);  /* one that has ended */

#endif
