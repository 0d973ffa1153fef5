/* thread_life.h - a pool's threads: when one begins, when it ends, and who joins it. */
#ifndef TDM_THREADS_THREAD_LIFE_H
#define TDM_THREADS_THREAD_LIFE_H

#include <stdbool.h>

struct tdm_parker;
struct tdm_thread_lane;
struct tdm_thread_worker;

/* Starts the first thread and waits for its on_worker_start.  0 or -errno; what has begun by then ends by the second. */
int tdm_life_open(struct tdm_thread_lane *lane);
/* The pool ends, and nobody begins a task any more: all threads of the queue are gone when it returns. */
void tdm_life_close(struct tdm_thread_lane *lane);

/* With the ledger's lock held: the record is about to have a thread.  Then, without it: starts that.  0 or -errno; then it has none. */
void tdm_life_count(struct tdm_thread_worker *worker);
int tdm_life_start(struct tdm_thread_worker *worker);

/* Whom to call, with the front lock held; NULL: nobody, or somebody is on the way.  Then, without it: who was chosen is woken, or started. */
struct tdm_parker *tdm_life_choose(struct tdm_thread_lane *lane);
void tdm_life_call(struct tdm_parker *parker);

/* By the thread itself.  It is there, and nobody relies on it to come soon. */
void tdm_life_arrived(struct tdm_thread_worker *worker);
/* Before it sets up the record as its own: the one that had it before is joined. */
void tdm_life_join(struct tdm_thread_worker *worker);
/* on_worker_start has returned, or ended it; failed: and it is to end, and counts no more. */
void tdm_life_started(struct tdm_thread_worker *worker, bool failed);
/* on_worker_start has failed: is it to be tried again, because there is something to do?  False: it is to end. */
bool tdm_life_is_wanted(struct tdm_thread_worker *worker);
/* With the front lock held: is it not the last that is ready?  It has slept long enough.  True: it is not the last, counts no more, and is to end. */
bool tdm_life_may_end(const struct tdm_thread_worker *worker);
bool tdm_life_retires(struct tdm_thread_worker *worker);
/* Its last deed: after it the record is another's. */
void tdm_life_end(struct tdm_thread_worker *worker);

#endif
