/* owed.c - threads that could not be started.
 *
 * All others may sleep meanwhile in calls of the program's own, and nobody bring a task: so it is the reactor that tries again, after a while, and
 * goes on doing so until nothing is owed.  A pool that has had no need of the reactor starts it for this.  Where that cannot be either, it is
 * left to whoever comes next: a thread of the pool to another that looks for a task, or to whoever brings one; one that is to stand in to the next
 * that sleeps in the middle of a task. */
#define _POSIX_C_SOURCE 200809L
#include "threads/owed.h"

#include "base/clock.h"
#include "threads/thread_lane.h"

#include <pthread.h>

static void due(struct tdm_timer *timer)
{
    struct tdm_thread_lane *lane = container_of(timer, struct tdm_thread_lane, owed);
    tdm_spare_make_up(lane);
    tdm_thread_queue_look_again(lane);
}

void tdm_owed_open(struct tdm_thread_lane *lane) { lane->owed.due = due; }

/* On a thread of the program's own, too, which may be cancelled.  The reactor is there as long as the lane is. */
void tdm_owed_note(struct tdm_thread_lane *lane)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    bool has_reactor = tdm_core_need_reactor(lane->lane.core) == 0;
    tdm_lock(&lane->front_lock, TDM_RANK_FRONT);
    bool stopping = load_seq(&lane->stopping) != 0; /* written under this lock, and the timer is cleared after it [lane-stopping] */
    if (has_reactor && !stopping) tdm_reactor_set_timer(&lane->owed, tdm_clock_ns() + TDM_OWED_NS);
    tdm_unlock(&lane->front_lock, TDM_RANK_FRONT);
    pthread_setcancelstate(cancel_state, NULL);
}

void tdm_owed_close(struct tdm_thread_lane *lane) { tdm_reactor_clear_timer(&lane->owed); }
