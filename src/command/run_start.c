/* run_start.c - what a command needs before the guards are asked for it: pipes, descriptors, the block that tells of it. */
#define _POSIX_C_SOURCE 200809L
#include "command/run_start.h"

#include "base/fds.h"
#include "base/memory.h"
#include "base/platform.h"
#include "command/command_lane.h"
#include "guards/guard_link.h"

#include <errno.h>

#define USUAL_LIMIT ((size_t)64 << 20)
#define LIMIT_MOST  (SIZE_MAX / 4) /* so that what is added to it does not overflow */

const tandem_limits *tdm_run_limits(const struct tdm_run *run)
{
    const tandem_task *task = tdm_task_public(run->task);
    return task->limits ? task->limits : &run->lane->options->limits;
}

/* ---- the three standard streams ---- */

/* The program's own may be closed: then it is nowhere. */
static int duplicate(int fd, bool may_be_closed, int *copy)
{
    int made = tdm_fds_duplicate(fd);
    if (made == -EBADF && may_be_closed) return 0;
    if (made < 0) return made;
    *copy = made;
    return 0;
}

static int open_input(struct tdm_run *run)
{
    const tandem_task *task = tdm_task_public(run->task);
    int *place = &run->child.fds[TDM_PROGRAM_IN];
    if (run->ends[0] >= 0) return duplicate(run->ends[0], false, place);
    switch (task->command->in) {
    case TANDEM_STDIO_DEFAULT: return task->input_size > 0 ? tdm_feed_open(&run->feed, task->input, task->input_size, place) : 0;
    case TANDEM_STDIO_INHERIT: return duplicate(0, true, place);
    case TANDEM_STDIO_FD: return duplicate(task->command->in_fd, false, place);
    default: return 0;
    }
}

static int open_output(struct tdm_run *run, int which, int kind, int given)
{
    const tandem_command *command = tdm_task_public(run->task)->command;
    int *place = &run->child.fds[TDM_PROGRAM_OUT + which];
    switch (kind) {
    case TANDEM_STDIO_DEFAULT:
        if (command->flags & TANDEM_COMMAND_DETACHED) return 0; /* else as: */
    /* fall through */
    case TANDEM_STDIO_CAPTURE:
        run->outputs[which].limit = command->output_limit ? command->output_limit : USUAL_LIMIT;
        if (run->outputs[which].limit > LIMIT_MOST) run->outputs[which].limit = LIMIT_MOST;
        run->outputs[which].overflow = command->overflow;
        return tdm_capture_open(&run->outputs[which], place);
    case TANDEM_STDIO_INHERIT: return duplicate(which + 1, true, place);
    case TANDEM_STDIO_FD: return duplicate(given, false, place);
    case TANDEM_STDIO_STREAM: return tdm_stream_out_open(&run->stream, run, which, place);
    default: return 0;
    }
}

static int open_outputs(struct tdm_run *run)
{
    const tandem_command *command = tdm_task_public(run->task)->command;
    int error = run->ends[1] >= 0 ? duplicate(run->ends[1], false, &run->child.fds[TDM_PROGRAM_OUT])
                                  : open_output(run, 0, command->out, command->out_fd);
    if (error == 0 && !(command->flags & TANDEM_COMMAND_ERR_TO_OUT)) error = open_output(run, 1, command->err, command->err_fd);
    return error;
}

/* A working directory that cannot be opened (it has been removed) is one that nobody can be in. */
static int open_directory(struct tdm_run *run)
{
    int directory = tdm_platform_open_cwd();
    if (directory < 0) return directory == -EMFILE || directory == -ENFILE ? directory : 0;
    directory = tdm_fds_take_in(directory);
    if (directory < 0) return directory;
    run->child.fds[TDM_PROGRAM_CWD] = directory;
    return 0;
}

/* ---- all of it ---- */

static int make_program(struct tdm_run *run)
{
    const tandem_task *task = tdm_task_public(run->task);
    const struct tdm_environment *environment = tdm_command_lane_environment(task);
    struct tdm_program_plan plan = {.command = task->command, .limits = tdm_run_limits(run)};
    if (environment) {
        plan.environment = environment->entries;
        plan.environment_size = environment->size;
    }
    run->block = tdm_command_lane_take_block(run->lane);
    int error = tdm_program_make(&plan, &run->block);
    return error == 0 ? duplicate(run->block.fd, false, &run->child.fds[TDM_PROGRAM_BLOCK]) : error;
}

static void reset(struct tdm_run *run)
{
    for (int i = 0; i < TDM_FDS_MOST; i++) run->child.fds[i] = -1;
    for (int i = 0; i < 2; i++) {
        run->outputs[i].source.fd = run->outputs[i].spill = -1;
        run->stream.sources[i].fd = -1;
    }
    run->feed.source.fd = run->watch.fd = -1;
    run->block = TDM_NO_BLOCK;
    run->was_told = false;
}

int tdm_run_prepare(struct tdm_run *run)
{
    reset(run);
    run->step = "credentials";
    int error = tdm_guards_have_our_credentials() ? 0 : -EPERM;
    if (error == 0) {
        run->step = "descriptors";
        error = open_input(run);
        if (error == 0) error = open_outputs(run);
        if (error == 0) error = open_directory(run);
    }
    if (error == 0) {
        run->step = "memory";
        error = make_program(run);
    }
    if (error == 0) return 0;
    tdm_run_close_all(run);
    return error;
}

int tdm_run_watch(struct tdm_run *run)
{
    int error = tdm_feed_begin(&run->feed);
    for (int i = 0; i < 2 && error == 0; i++) error = tdm_capture_begin(&run->outputs[i]);
    return error == 0 ? tdm_stream_out_begin(&run->stream) : error;
}

void tdm_run_close_all(struct tdm_run *run)
{
    for (int i = 0; i < TDM_FDS_MOST; i++) tdm_fds_close(&run->child.fds[i]);
    tdm_feed_close(&run->feed);
    for (int i = 0; i < 2; i++) tdm_capture_close(&run->outputs[i]);
    tdm_stream_out_close(&run->stream);
    if (run->watch.fd >= 0) {
        if (run->watch.wants != 0) tdm_reactor_watch(&run->watch, 0);
        tdm_fds_close(&run->watch.fd);
    }
    if (run->block.program && run->was_told)
        tdm_command_lane_give_block(run->lane, &run->block);
    else
        tdm_program_drop(&run->block);
}
