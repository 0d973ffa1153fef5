/* fork_join.h - how workers with nothing to do take branches that others have spawned. */
#ifndef TDM_THREADS_FORK_JOIN_H
#define TDM_THREADS_FORK_JOIN_H

#include <stdbool.h>

struct tdm_thread_lane;
struct tdm_thread_worker;

/* Takes a branch from any other worker and runs it; others_sleep: who spawns more is to call one of them.  False: there is none; who spawns one,
 * makes it public and points it out. */
bool tdm_fork_join_steal(struct tdm_thread_lane *lane, struct tdm_thread_worker *thief, bool others_sleep);

#endif
