/* command_lane.h - run that program: a pool's commands and the queue in front of them. */
#ifndef TDM_COMMAND_COMMAND_LANE_H
#define TDM_COMMAND_COMMAND_LANE_H

#include "command/environment.h"
#include "job/program.h"
#include "task/lane.h"

struct tdm_run;

struct tdm_command_lane {
    struct tdm_lane lane;
    const tandem_options *options; /* the pool's resolved copy */
    int cannot_start;              /* why no program can ever be started, a positive errno; 0: they can */
    const char *cannot_step;

    /* guarded by the ledger's lock */
    uint64_t alive;        /* taken from the queue, or never in it, and not ended */
    uint32_t seated;       /* those of them that count; at most `processes`, except for pipelines */
    uint64_t pipelines;    /* ever: their numbers */
    bool is_short;         /* one could not be started for lack of descriptors or memory: none is until another has ended */
    struct tdm_node begun; /* runs that the reactor has not seen yet */
    bool cancels, returns; /* a running one was to be cancelled, an on_output has returned, since the reactor looked */
    struct tdm_environment *environment; /* that of the last submit */
    struct tdm_program_block spare;
    bool closing;

    /* the reactor's */
    bool listening;
    struct tdm_node running; /* runs; changed under the ledger's lock, too */
    struct tdm_node dead;
    struct tdm_job tend_job, close_job;

    _Atomic uint32_t ends;   /* counts ends; the end of the lane sleeps on it [command-ends] */
    _Atomic uint32_t closed; /* 1: the reactor has nothing of this lane any more [command-closed] */
};

/* error, step: why there can be none, or 0. */
void tdm_command_lane_open(struct tdm_command_lane *lane, struct tdm_core *core, const tandem_options *options, int error,
                           const char *step);
void tdm_command_lane_free(struct tdm_command_lane *lane);

/* Puts what the command's start will need with the report that its task will have; on the submitting thread.  0 or -errno. */
int tdm_command_lane_order(struct tdm_command_lane *lane, const tandem_task *task, tandem_report *report);

/* Those of a pipeline, in order, all QUEUED in name and in no queue yet.  0, or a negative errno value and none was taken. */
int tdm_command_lane_submit_pipeline(struct tdm_command_lane *lane, struct tdm_task *const *tasks, size_t count);

/* What a person is shown of one that runs. */
struct tdm_command_view {
    long pid;
    uint64_t since_ns;
    char name[64];
};

/* Any thread: of the first so many that have been started.  How many. */
size_t tdm_command_lane_view(struct tdm_command_lane *lane, struct tdm_command_view *views, size_t most);

/* ---- for its runs ---- */

static inline void tdm_command_lane_lock(const struct tdm_command_lane *lane) { tdm_ledger_lock(&lane->lane.core->ledger); }
static inline void tdm_command_lane_unlock(const struct tdm_command_lane *lane) { tdm_ledger_unlock(&lane->lane.core->ledger); }

/* With the lock held, any thread: the reactor has a look. */
void tdm_command_lane_note_return(struct tdm_command_lane *lane);

/* Any thread: one that may be of use, or none; and back, when no other process has it mapped. */
struct tdm_program_block tdm_command_lane_take_block(struct tdm_command_lane *lane);
void tdm_command_lane_give_block(struct tdm_command_lane *lane, struct tdm_program_block *block);

/* The environment that was ordered, or NULL. */
const struct tdm_environment *tdm_command_lane_environment(const tandem_task *task);

/* The reactor: it ends its task, and is freed a little later. */
void tdm_command_lane_finish(struct tdm_command_lane *lane, struct tdm_run *run, const struct tdm_outcome *outcome);

#endif
