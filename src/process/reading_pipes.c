/* reading_pipes.c - a worker's replies that come over a pipe: what the thread that reads them sleeps on, and when the reactor listens. */
#define _POSIX_C_SOURCE 200809L
#include "process/reading_pipes.h"

#include "base/fds.h"
#include "base/quick_clock.h"

#include <sched.h>

static bool is_hushed(const struct tdm_slot *slot) { return load_seq(&slot->reply_source.hushed) != 0; /* [source-hushed] */ }

void tdm_reading_listen_to_pipe(struct tdm_slot *slot)
{
    if (is_hushed(slot)) tdm_reactor_hush(&slot->reply_source, false);
}

/* What it costs to hush the reactor is to be paid once, not for each task: so it stays so until something may come that nobody reads. */
void tdm_reading_hush_pipe(struct tdm_slot *slot)
{
    if (!is_hushed(slot)) tdm_reactor_hush(&slot->reply_source, true);
}

/* Where the worker is on this thread's processor, to give way to it until it has replied costs far less than to be put to sleep and woken.
 * Where that was in vain, for it is on another or takes longer, the next so many waits sleep at once; and far more of them where others have
 * had the processor meanwhile, for a time slice each. */
#define SLEEPS_MOST 255
#define SLICE_NS    200000u
#define SLEEPS_LATE 4095

static void sleep_the_next_times(struct tdm_slot *slot, uint32_t most)
{
    slot->gave_way = false;
    slot->sleeps = 2 * slot->sleeps + 1 < most ? 2 * slot->sleeps + 1 : most;
    slot->sleeps_left = slot->sleeps;
}

static void give_way(struct tdm_slot *slot)
{
    uint64_t before = tdm_quick_clock_now();
    slot->gave_way = true;
    sched_yield();
    if (tdm_quick_clock_now() - before > SLICE_NS) sleep_the_next_times(slot, SLEEPS_LATE);
}

/* Who is called looks whether he is to look up after he has emptied the bell. */
void tdm_reading_sleep_on_pipe(struct tdm_slot *slot, uint64_t deadline_ns)
{
    if (load_seq(&slot->look_up) != 0) return; /* [look-up] */
    if (slot->gave_way) sleep_the_next_times(slot, SLEEPS_MOST);
    if (slot->sleeps_left == 0) {
        give_way(slot);
        return;
    }
    slot->sleeps_left--;
    if (tdm_fds_wait(slot->in.fd, slot->call[0], deadline_ns)) tdm_fds_empty(slot->call);
}

/* A look in vain costs as much as the reply: where one is not expected, the sleep tells. */
void tdm_reading_begin_at_pipe(struct tdm_slot *slot, uint64_t deadline_ns)
{
    if (slot->gave_way) slot->sleeps = 0; /* and then there was something */
    slot->gave_way = false;
    if (slot->sleeps_left > 0 && !slot->has_held && !tdm_inbox_has_more(&slot->inbox)) tdm_reading_sleep_on_pipe(slot, deadline_ns);
}
