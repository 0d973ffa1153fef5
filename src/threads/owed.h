/* owed.h - threads that a pool should have and could not start: they are tried again. */
#ifndef TDM_THREADS_OWED_H
#define TDM_THREADS_OWED_H

#include <stdint.h>

struct tdm_thread_lane;

/* So long after one that could not be started. */
#define TDM_OWED_NS ((uint64_t)10000000)

void tdm_owed_open(struct tdm_thread_lane *lane);
/* Without a lock, after a start that failed.  From then on until the pool's end it may be tried again at any time, on the reactor's thread. */
void tdm_owed_note(struct tdm_thread_lane *lane);
/* The lane is stopping: nothing is tried any more. */
void tdm_owed_close(struct tdm_thread_lane *lane);

#endif
