/* worker_output.c - what a worker writes to its standard output and error, for on_worker_output.
 *
 * The reader never waits for the function that is called, so a slow one holds up nothing here but, in the end, the worker that writes so much.
 * When the pool ends there is no limit any more: then nobody may be there to call until all workers have ended. */
#include "process/worker_output.h"

#include "base/fds.h"
#include "base/memory.h"
#include "process/slot_inside.h"
#include "task/self.h"

#include <errno.h>
#include <stdlib.h>

#define PIECE        ((size_t)16 << 10)
#define WAITING_MOST ((size_t)1 << 20)

/* Not without end, lest somebody who writes on and on hold up the reactor; the last time more than any pipe holds. */
#define READS_MOST 16
#define LAST_READS ((2u << 20) / PIECE)

struct tdm_worker_piece {
    struct tdm_call call;
    struct tdm_slot *slot;
    uint32_t worker;
    int stream;
    size_t size;
    char bytes[PIECE];
};

/* ---- giving ---- */

/* With the lock held. */
static struct tdm_worker_piece *keep_one(struct tdm_worker_output *output, struct tdm_worker_piece *piece)
{
    if (output->spare) return piece;
    output->spare = piece;
    return NULL;
}

/* On a thread that calls back.  The reactor is told under the lock, and only while there is a worker: so the lane's end comes after that. */
static void give(struct tdm_call *call)
{
    struct tdm_worker_piece *piece = container_of(call, struct tdm_worker_piece, call);
    struct tdm_slot *slot = piece->slot;
    struct tdm_worker_output *output = &slot->output;
    const tandem_options *options = slot->lane->options;
    struct tdm_inside inside;
    tdm_self_enter(&inside, slot->lane->lane.core, NULL, NULL);
    options->on_worker_output(piece->worker, piece->stream, piece->bytes, piece->size, options->argument);
    tdm_self_leave(&inside);
    tdm_slot_lock(slot);
    output->waiting -= piece->size;
    bool goes_on = output->paused && output->waiting <= WAITING_MOST / 2;
    if (goes_on) output->paused = false;
    piece = keep_one(output, piece);
    if (goes_on && slot->state != TDM_SLOT_EMPTY) tdm_reactor_post(&slot->attend);
    tdm_slot_unlock(slot);
    free(piece);
}

/* ---- reading: the reactor ---- */

/* The spare one is taken last: while it is on its way there is nothing to read into, and its return goes on. */
static struct tdm_worker_piece *take_piece(struct tdm_slot *slot, bool last)
{
    struct tdm_worker_output *output = &slot->output;
    bool ending = last || load_seq(&slot->lane->lane.core->closing) != 0; /* [closing] */
    tdm_slot_lock(slot);
    struct tdm_worker_piece *piece = NULL;
    if (ending || output->waiting < WAITING_MOST) piece = tdm_malloc(sizeof *piece);
    if (!piece && (ending || output->waiting < WAITING_MOST)) {
        piece = output->spare;
        output->spare = NULL;
    }
    if (!piece) output->paused = true; /* for both streams, until who is called says otherwise */
    tdm_slot_unlock(slot);
    return piece;
}

static void give_back(struct tdm_slot *slot, struct tdm_worker_piece *piece)
{
    tdm_slot_lock(slot);
    piece = keep_one(&slot->output, piece);
    tdm_slot_unlock(slot);
    free(piece);
}

static void hand_over(struct tdm_slot *slot, struct tdm_worker_piece *piece, int stream, size_t size)
{
    piece->call.run = give;
    tdm_list_init(&piece->call.link);
    piece->slot = slot;
    piece->worker = slot->number;
    piece->stream = stream;
    piece->size = size;
    tdm_slot_lock(slot);
    slot->output.waiting += size;
    tdm_slot_unlock(slot);
    tdm_callbacks_push_call(&slot->lane->lane.core->callbacks, &piece->call);
}

static void close_one(struct tdm_source *source)
{
    if (source->wants != 0) tdm_reactor_watch(source, 0);
    tdm_fds_close(&source->fd);
}

/* As long as there is something, but not without end. */
static void pull(struct tdm_slot *slot, int stream, unsigned most, bool last)
{
    struct tdm_source *source = &slot->output.sources[stream - 1];
    for (unsigned i = 0; i < most; i++) {
        struct tdm_worker_piece *piece = take_piece(slot, last);
        if (!piece) {
            tdm_reactor_watch(source, 0);
            return;
        }
        ssize_t got = tdm_fds_read(source->fd, piece->bytes, PIECE);
        if (got > 0) {
            hand_over(slot, piece, stream, (size_t)got);
            continue;
        }
        give_back(slot, piece);
        if (got != -EAGAIN) close_one(source);
        return;
    }
}

static void output_ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    pull(container_of(source, struct tdm_slot, output.sources[0]), 1, READS_MOST, false);
}

static void error_ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    pull(container_of(source, struct tdm_slot, output.sources[1]), 2, READS_MOST, false);
}

void tdm_worker_output_attend(struct tdm_slot *slot)
{
    struct tdm_worker_output *output = &slot->output;
    if (output->sources[0].fd < 0 && output->sources[1].fd < 0) return;
    for (int i = 0; i < 2; i++)
        if (output->sources[i].fd >= 0 && output->sources[i].wants == 0) pull(slot, i + 1, READS_MOST, false);
    tdm_slot_lock(slot);
    bool paused = output->paused;
    tdm_slot_unlock(slot);
    for (int i = 0; i < 2 && !paused; i++)
        if (output->sources[i].fd >= 0 && output->sources[i].wants == 0) tdm_reactor_watch(&output->sources[i], TDM_POLL_IN);
}

/* ---- opening and closing ---- */

/* Without a spare piece it is opened all the same: the first that is had becomes one when it comes back. */
int tdm_worker_output_open(struct tdm_slot *slot, int stream, int *write_end)
{
    struct tdm_source *source = &slot->output.sources[stream - 1];
    int ends[2];
    int error = tdm_fds_pipe(ends);
    if (error != 0) return error;
    *write_end = ends[1];
    *source = (struct tdm_source){.fd = ends[0], .ready = stream == 1 ? output_ready : error_ready};
    error = tdm_fds_nonblocking(ends[0]);
    struct tdm_worker_piece *spare = error == 0 && !slot->output.spare ? tdm_malloc(sizeof *spare) : NULL;
    if (error == 0 && spare) give_back(slot, spare);
    if (error == 0) error = tdm_reactor_watch(source, TDM_POLL_IN);
    if (error != 0) tdm_fds_close(&source->fd);
    return error;
}

void tdm_worker_output_close(struct tdm_slot *slot)
{
    for (int i = 0; i < 2; i++) {
        struct tdm_source *source = &slot->output.sources[i];
        if (source->fd >= 0) pull(slot, i + 1, LAST_READS, true);
        if (source->fd >= 0) close_one(source);
    }
}

void tdm_worker_output_free(struct tdm_slot *slot)
{
    free(slot->output.spare);
    slot->output.spare = NULL;
}
