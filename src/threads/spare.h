/* spare.h - threads that stand in for a pool's threads while those sleep in the middle of a task, waiting for something that others have to do. */
#ifndef TDM_THREADS_SPARE_H
#define TDM_THREADS_SPARE_H

#include <stdbool.h>
#include <stdint.h>

struct tdm_thread_lane;
struct tdm_thread_worker;

/* Most of them at a time; beyond that who waits is not stood in for. */
#define TDM_SPARES_MOST 64u

/* Guarded by the ledger's lock. */
struct tdm_spares {
    uint32_t blocked; /* threads of the queue that sleep in the middle of a task */
    uint32_t alive;   /* spares that have not decided to end */
};

/* The worker is about to sleep in the middle of a task; or goes on. */
void tdm_spare_block(struct tdm_thread_worker *worker, bool begins);
/* As many as are missing begin, as far as they can be started. */
void tdm_spare_make_up(struct tdm_thread_lane *lane);

#endif
