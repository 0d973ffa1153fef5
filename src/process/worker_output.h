/* worker_output.h - what a worker writes to its standard output and error, for on_worker_output: read as it comes, up to a limit, and passed
 * on a piece at a time. */
#ifndef TDM_PROCESS_WORKER_OUTPUT_H
#define TDM_PROCESS_WORKER_OUTPUT_H

#include "base/reactor.h"

#include <stdbool.h>
#include <stddef.h>

struct tdm_slot;
struct tdm_worker_piece;

/* Zeroed with both descriptors -1: none. */
struct tdm_worker_output {
    struct tdm_source sources[2]; /* the reactor's; fd -1: not streamed, or ended */
    /* guarded by the slot's lock */
    size_t waiting;                 /* bytes for which on_worker_output has not returned */
    bool paused;                    /* nothing more is read before it has */
    struct tdm_worker_piece *spare; /* for when there is no memory; NULL: it is on its way, or was never needed */
};

/* ---- the reactor ---- */

/* The pipe of stream 1 or 2; its other end is the caller's.  0 or -errno. */
int tdm_worker_output_open(struct tdm_slot *slot, int stream, int *write_end);
/* Reads on where it was paused and need not be. */
void tdm_worker_output_attend(struct tdm_slot *slot);
/* What is still there is read; it will be given. */
void tdm_worker_output_close(struct tdm_slot *slot);

/* Nobody calls any more. */
void tdm_worker_output_free(struct tdm_slot *slot);

#endif
