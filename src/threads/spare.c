/* spare.c - threads that stand in for others.
 *
 * For each thread of the queue that sleeps in the middle of a task there is to be one more, so that as many are at work as the pool was made
 * with; so tasks that wait for tasks end, however deep. A spare is a worker like the others. It ends when it has nothing to do and nobody
 * needs it, at the latest after idle_ms; its record is left to the next one. */
#define _POSIX_C_SOURCE 200809L
#include "threads/spare.h"

#include "threads/owed.h"
#include "threads/thread_lane.h"

static void lock(struct tdm_thread_lane *lane) { tdm_ledger_lock(tdm_thread_ledger(lane)); }
static void unlock(struct tdm_thread_lane *lane) { tdm_ledger_unlock(tdm_thread_ledger(lane)); }

/* With the lock held: a record that nobody uses; NULL: all are in use. */
static struct tdm_thread_worker *take_record(struct tdm_thread_lane *lane)
{
    uint32_t made = load_relaxed(&lane->made); /* relaxed: written under this lock */
    for (uint32_t i = lane->options->threads; i < made; i++)
        if (!lane->workers[i].in_use) return &lane->workers[i];
    if (made == lane->options->threads + TDM_SPARES_MOST) return NULL;
    struct tdm_thread_worker *worker = &lane->workers[made];
    tdm_thread_worker_open(lane, worker, made + 1);
    worker->is_spare = true;
    store_release(&lane->made, made + 1); /* [lane-made] */
    return worker;
}

/* One, if one is missing.  False: none is, or it cannot be started, and will be tried again. */
static bool start(struct tdm_thread_lane *lane)
{
    lock(lane);
    bool wanted = lane->spares.alive < lane->spares.blocked && lane->spares.alive < TDM_SPARES_MOST;
    struct tdm_thread_worker *worker = wanted ? take_record(lane) : NULL;
    if (worker) tdm_life_count(worker);
    unlock(lane);
    if (!worker) return false;
    bool started = tdm_life_start(worker) == 0;
    if (!started) tdm_owed_note(lane);
    return started;
}

void tdm_spare_make_up(struct tdm_thread_lane *lane)
{
    while (start(lane)) continue;
}

void tdm_spare_block(struct tdm_thread_worker *worker, bool begins)
{
    struct tdm_thread_lane *lane = worker->lane;
    lock(lane);
    if (begins)
        lane->spares.blocked++;
    else
        lane->spares.blocked--;
    bool wanted = begins && lane->spares.alive < lane->spares.blocked;
    unlock(lane);
    if (wanted) tdm_spare_make_up(lane);
}
