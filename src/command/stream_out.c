/* stream_out.c - the outputs of a command that on_output gets. */
#define _POSIX_C_SOURCE 200809L
#include "command/stream_out.h"

#include "base/fds.h"
#include "base/memory.h"
#include "command/command_lane.h"
#include "command/run.h"
#include "task/self.h"

#include <errno.h>

#define PIECE ((size_t)64 << 10)

/* ---- giving ---- */

/* On a thread that calls back.  The last touch of the run is the word; the lane outlives it. */
static void give(struct tdm_call *call)
{
    struct tdm_stream_out *stream = container_of(call, struct tdm_stream_out, call);
    struct tdm_command_lane *lane = stream->run->lane;
    tandem_task *task = tdm_task_public(stream->run->task);
    struct tdm_inside inside;
    tdm_self_enter(&inside, lane->lane.core, task, task->group);
    task->command->on_output(task, stream->which + 1, stream->bytes, stream->size);
    tdm_self_leave(&inside);
    tdm_command_lane_lock(lane);
    store_seq(&stream->returned, 1); /* [output-returned] */
    tdm_command_lane_note_return(lane);
    tdm_command_lane_unlock(lane);
}

static void watch(struct tdm_stream_out *stream, unsigned wants)
{
    for (int i = 0; i < 2; i++)
        if (stream->sources[i].fd >= 0) tdm_reactor_watch(&stream->sources[i], wants);
}

/* ---- reading: the reactor ---- */

static void close_one(struct tdm_stream_out *stream, int which)
{
    struct tdm_source *source = &stream->sources[which];
    if (source->fd < 0) return;
    if (source->wants != 0) tdm_reactor_watch(source, 0);
    tdm_fds_close(&source->fd);
}

static void hand_over(struct tdm_stream_out *stream, int which, size_t size)
{
    stream->which = which;
    stream->size = size;
    stream->calling = true;
    store_seq(&stream->returned, 0); /* [output-returned] */
    watch(stream, 0);
    tdm_callbacks_push_call(&stream->run->lane->lane.core->callbacks, &stream->call);
}

static void ready(struct tdm_stream_out *stream, int which)
{
    struct tdm_run *run = stream->run;
    if (stream->calling || stream->sources[which].fd < 0) return;
    ssize_t now = tdm_fds_read(stream->sources[which].fd, stream->bytes, PIECE);
    if (now == -EAGAIN) return;
    if (now > 0) {
        hand_over(stream, which, (size_t)now);
        return;
    }
    close_one(stream, which);
    tdm_run_go_on(run);
}

/* A pipe holds one piece at most. */
bool tdm_stream_out_look_last(struct tdm_stream_out *stream)
{
    stream->last = true;
    for (int i = 0; i < 2 && !stream->calling; i++) {
        if (stream->sources[i].fd < 0) continue;
        ssize_t now = tdm_fds_read(stream->sources[i].fd, stream->bytes, PIECE);
        close_one(stream, i);
        if (now > 0) hand_over(stream, i, (size_t)now);
    }
    return stream->calling;
}

static void output_ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    ready(container_of(source, struct tdm_stream_out, sources[0]), 0);
}

static void error_ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    ready(container_of(source, struct tdm_stream_out, sources[1]), 1);
}

bool tdm_stream_out_go_on(struct tdm_stream_out *stream)
{
    if (!stream->calling || load_seq(&stream->returned) == 0) return false; /* [output-returned] */
    stream->calling = false;
    if (!stream->last) watch(stream, TDM_POLL_IN);
    return true;
}

/* ---- opening and closing ---- */

int tdm_stream_out_open(struct tdm_stream_out *stream, struct tdm_run *run, int which, int *other_end)
{
    int fds[2];
    if (!stream->bytes && !(stream->bytes = tdm_malloc(PIECE))) return -ENOMEM;
    int error = tdm_fds_pipe(fds);
    if (error != 0) return error;
    error = tdm_fds_nonblocking(fds[0]);
    if (error != 0) {
        tdm_fds_close(&fds[0]);
        tdm_fds_close(&fds[1]);
        return error;
    }
    stream->run = run;
    stream->call.run = give;
    tdm_list_init(&stream->call.link);
    stream->sources[which] = (struct tdm_source){.fd = fds[0], .ready = which == 0 ? output_ready : error_ready};
    *other_end = fds[1];
    return 0;
}

int tdm_stream_out_begin(struct tdm_stream_out *stream)
{
    int error = 0;
    for (int i = 0; i < 2 && error == 0; i++)
        if (stream->sources[i].fd >= 0) error = tdm_reactor_watch(&stream->sources[i], TDM_POLL_IN);
    return error;
}

void tdm_stream_out_close(struct tdm_stream_out *stream)
{
    close_one(stream, 0);
    close_one(stream, 1);
}

bool tdm_stream_out_is_open(const struct tdm_stream_out *stream)
{
    return stream->calling || stream->sources[0].fd >= 0 || stream->sources[1].fd >= 0;
}

void tdm_stream_out_withdraw(struct tdm_stream_out *stream)
{
    if (stream->calling && tdm_callbacks_withdraw_call(&stream->run->lane->lane.core->callbacks, &stream->call))
        stream->calling = false;
    tdm_stream_out_close(stream);
}

void tdm_stream_out_drop(struct tdm_stream_out *stream)
{
    tdm_stream_out_close(stream);
    free(stream->bytes);
    stream->bytes = NULL;
}
