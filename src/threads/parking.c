/* parking.c - workers that have nothing to do.
 *
 * WHY NO WAKE-UP IS LOST.  One worker at a time is on its way to the queue: it was called, or it looks out.  When it gets there and finds more
 * than it takes, it calls the next; when nothing is left, and others sleep, it sets CALL in the word of each part of the queue, by steps that fail if
 * something has come there meanwhile.  A worker that lies down while nobody is on the way does the same.  So whenever the lock is open and workers
 * sleep, one of three is true: somebody is on the way; or of each part, that CALL is set and it is empty, or that a submitter has just taken
 * CALL off and is about to take the lock and call.  What is in the workers' hands was looked at under the same lock before.
 * A record that has no thread lies there like a sleeper, and is called by starting one: see thread_life.c.
 * tests/model/parking.pml goes through all of it.
 *
 * The last worker that has nothing looks out for a while before it sleeps: see watch.h.  On the only processor it gives that to others once
 * instead.  There, a woken thread goes before the one that wakes it: a submitter would be interrupted for every task or few.  One that has only given
 * way finds what the submitter had time for.  But where others want the processor, too, each of them may have it for a time slice first, and a woken thread would
 * go before them; so one that was away for long, for no more than one task, sleeps the next times. */
#define _POSIX_C_SOURCE 200809L
#include "threads/parking.h"

#include "base/clock.h"
#include "base/futex.h"
#include "base/watch.h"

#include <sched.h>

/* Nobody hands over one task for so long. */
#define LONG_AWAY_NS 1000000

#define TIMES_MOST 1024 /* a power of 2 */

void tdm_parking_open(struct tdm_parking *parking, uint64_t longest_watch_ns, bool one_processor)
{
    *parking =
        (struct tdm_parking){.watch_ns = longest_watch_ns, .longest_watch_ns = longest_watch_ns, .one_processor = one_processor};
    tdm_list_init(&parking->idle);
}

struct tdm_parker *tdm_parking_choose(struct tdm_parking *parking)
{
    struct tdm_node *node = parking->on_the_way ? NULL : tdm_list_pop_front(&parking->idle);
    if (!node) return NULL;
    parking->on_the_way = true;
    return container_of(node, struct tdm_parker, idle);
}

void tdm_parking_call(struct tdm_parker *parker)
{
    if (!parker) return;
    store_seq(&parker->called, 1); /* [parker-called] */
    tdm_futex_wake_one(&parker->called);
}

void tdm_parking_put_absent(struct tdm_parking *parking, struct tdm_parker *parker)
{
    parker->is_absent = true;
    tdm_list_push_back(&parking->idle, &parker->idle);
}

bool tdm_parking_would_choose_absent(const struct tdm_parking *parking)
{
    return !parking->on_the_way && tdm_parking_has_sleepers(parking) &&
           container_of(parking->idle.next, struct tdm_parker, idle)->is_absent;
}

void tdm_parking_lie_down(struct tdm_parking *parking, struct tdm_parker *parker)
{
    store_seq(&parker->called, 0);
    tdm_list_push_front(&parking->idle, &parker->idle);
}

void tdm_parking_get_up(struct tdm_parker *parker) { tdm_list_remove(&parker->idle); }

uint64_t tdm_parking_sleep(struct tdm_parker *parker, uint64_t deadline_ns)
{
    uint64_t since = tdm_clock_ns(), now = since;
    while (load_seq(&parker->called) == 0 && now < deadline_ns) { /* [parker-called] */
        tdm_futex_wait(&parker->called, 0, deadline_ns);
        now = tdm_clock_ns();
    }
    return now - since;
}

void tdm_parking_awake(struct tdm_parking *parking, uint64_t slept_ns)
{
    parking->on_the_way = false;
    parking->watch_ns = tdm_watch_after_sleep(parking->watch_ns, parking->longest_watch_ns, slept_ns);
}

bool tdm_parking_may_watch(struct tdm_parking *parking)
{
    if (parking->on_the_way) return false;
    if (!parking->one_processor) return parking->watch_ns > 0;
    if (parking->still_to_sleep == 0) return true;
    parking->still_to_sleep--;
    return false;
}

bool tdm_parking_watch(const struct tdm_shards *shards, uint64_t watch_ns, bool *paid)
{
    struct tdm_look look = {.until_ns = tdm_clock_ns() + watch_ns};
    *paid = false;
    if (watch_ns == 0) {
        sched_yield();
        *paid = tdm_clock_ns() - look.until_ns < LONG_AWAY_NS;
        return tdm_shards_have_something(shards);
    }
    do
        if (tdm_shards_have_something(shards)) {
            *paid = !look.gave_way;
            return true;
        }
    while (tdm_watch_goes_on(&look));
    return false;
}

void tdm_parking_watched(struct tdm_parking *parking, bool paid)
{
    parking->on_the_way = false;
    parking->sleeps = paid ? 0 : (2 * parking->sleeps + 1) % TIMES_MOST;
    parking->still_to_sleep = parking->sleeps;
    parking->watch_ns = tdm_watch_after(parking->watch_ns, parking->longest_watch_ns, paid);
}
