/* spare.c - threads that stand in for others.
 *
 * For each thread of the queue that sleeps in the middle of a task there is to be one more, so that as many are at work as the pool was made
 * with; so tasks that wait for tasks end, however deep. A spare is a worker like the others. It ends when it has nothing to do and nobody
 * needs it, at the latest after idle_ms; its record, and the joining of its thread, are left to the next one, or to the pool's end. */
#define _POSIX_C_SOURCE 200809L
#include "threads/spare.h"

#include "base/thread.h"
#include "threads/thread_lane.h"

#include <pthread.h>

static void lock(struct tdm_thread_lane *lane) { tdm_ledger_lock(tdm_thread_ledger(lane)); }
static void unlock(struct tdm_thread_lane *lane) { tdm_ledger_unlock(tdm_thread_ledger(lane)); }

/* With the lock held: a record that nobody uses, BEGINNING now; NULL: all are in use.  *was_used: its last thread is to be joined. */
static struct tdm_thread_worker *take_record(struct tdm_thread_lane *lane, bool *was_used)
{
    uint32_t made = load_relaxed(&lane->made); /* relaxed: written under this lock */
    *was_used = false;
    for (uint32_t i = lane->options->threads; i < made; i++) {
        struct tdm_thread_worker *worker = &lane->workers[i];
        if (worker->life != TDM_LIFE_NONE && worker->life != TDM_LIFE_OVER) continue;
        *was_used = worker->life == TDM_LIFE_OVER;
        worker->life = TDM_LIFE_BEGINNING;
        return worker;
    }
    if (made == lane->options->threads + TDM_SPARES_MOST) return NULL;
    struct tdm_thread_worker *worker = &lane->workers[made];
    tdm_thread_worker_open(lane, worker, made + 1);
    worker->is_spare = true;
    worker->life = TDM_LIFE_BEGINNING;
    store_release(&lane->made, made + 1); /* [lane-made] */
    return worker;
}

static void start(struct tdm_thread_lane *lane)
{
    bool was_used;
    lock(lane);
    bool wanted = lane->spares.alive < lane->spares.blocked && lane->spares.alive < TDM_SPARES_MOST;
    struct tdm_thread_worker *worker = wanted ? take_record(lane, &was_used) : NULL;
    if (worker) lane->spares.alive++;
    unlock(lane);
    if (!worker) return;
    if (was_used) tdm_thread_worker_join(worker);
    tdm_thread_worker_renew(worker);
    pthread_t unused; /* it says itself which it is: it may have been replaced before this returns */
    int error = tdm_thread_start(&unused, tdm_thread_worker_main, worker, lane->options->stack_size);
    lock(lane);
    if (error == 0) {
        worker->life = worker->life == TDM_LIFE_BEGINNING ? TDM_LIFE_GOES_ON : TDM_LIFE_OVER;
    } else { /* then nobody stands in, this time */
        worker->life = TDM_LIFE_NONE;
        lane->spares.alive--;
    }
    unlock(lane);
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
    if (wanted) start(lane);
}

bool tdm_spare_retires(struct tdm_thread_worker *worker)
{
    struct tdm_thread_lane *lane = worker->lane;
    lock(lane);
    bool retires = lane->spares.alive > lane->spares.blocked;
    if (retires) lane->spares.alive--;
    worker->has_retired = retires;
    unlock(lane);
    return retires;
}

/* Its starter may not know yet that it has begun: ENDING then, and the starter makes it OVER. */
void tdm_spare_leaves(struct tdm_thread_worker *worker)
{
    struct tdm_thread_lane *lane = worker->lane;
    lock(lane);
    if (!worker->has_retired) lane->spares.alive--;
    worker->has_retired = false;
    worker->life = worker->life == TDM_LIFE_BEGINNING ? TDM_LIFE_ENDING : TDM_LIFE_OVER;
    unlock(lane);
}

static struct tdm_thread_worker *next_to_join(struct tdm_thread_lane *lane)
{
    struct tdm_thread_worker *found = NULL;
    lock(lane);
    for (uint32_t i = lane->options->threads; !found && i < load_relaxed(&lane->made); i++) /* relaxed: as above */
        if (lane->workers[i].life == TDM_LIFE_GOES_ON || lane->workers[i].life == TDM_LIFE_OVER) found = &lane->workers[i];
    unlock(lane);
    return found;
}

/* One that is only just being started is so by one that is found, and that has not come to its end. */
void tdm_spares_end(struct tdm_thread_lane *lane)
{
    for (struct tdm_thread_worker *worker; (worker = next_to_join(lane)) != NULL;) {
        tdm_parking_call(&worker->parker);
        tdm_thread_worker_join(worker);
        lock(lane);
        worker->life = TDM_LIFE_NONE;
        unlock(lane);
    }
}
