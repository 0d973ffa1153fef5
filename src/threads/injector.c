/* injector.c - the queue before a pool's threads. */
#define _POSIX_C_SOURCE 200809L
#include "threads/injector.h"

#include "base/clock.h"

#include <sched.h>
#include <stddef.h>

/* ---- the bits ---- */

bool tdm_injector_point_out(struct tdm_injector *injector)
{
    uintptr_t word = load_relaxed(&injector->word); /* relaxed, here and below: the swap decides */
    while (!cas_seq(&injector->word, &word, (word | TDM_INJECTOR_LOOK) & ~TDM_INJECTOR_CALL)) { /* [injector] */
    }
    return word & TDM_INJECTOR_CALL;
}

bool tdm_injector_ask_for_call(struct tdm_injector *injector)
{
    uintptr_t word = load_relaxed(&injector->word);
    do {
        if (tdm_injector_newest(word) || word & TDM_INJECTOR_LOOK) return false;
        if (word & TDM_INJECTOR_CALL) return true;                        /* also if somebody has taken it off since and calls */
    } while (!cas_seq(&injector->word, &word, word | TDM_INJECTOR_CALL)); /* [injector] */
    return true;
}

void tdm_injector_ask_for_call_anyway(struct tdm_injector *injector)
{
    or_seq(&injector->word, TDM_INJECTOR_CALL); /* [injector] */
}

void tdm_injector_ask_for_no_call(struct tdm_injector *injector)
{
    if (tdm_injector_look(injector) & TDM_INJECTOR_CALL) and_seq(&injector->word, ~TDM_INJECTOR_CALL); /* [injector] */
}

bool tdm_injector_take_look(struct tdm_injector *injector)
{
    if (!(tdm_injector_look(injector) & TDM_INJECTOR_LOOK)) return false;
    and_seq(&injector->word, ~TDM_INJECTOR_LOOK); /* [injector] */
    return true;
}

void tdm_injector_close(struct tdm_injector *injector) { or_seq(&injector->word, TDM_INJECTOR_ASK); /* [injector] */ }

/* ---- gaps ---- */

/* The submitter that closes it has two instructions to go, unless it has lost its processor: so that is soon given to others, and to those of
 * a lower priority too. */
void tdm_injector_wait_a_little(int looks)
{
    static _Atomic uint32_t nothing;
    if (looks < 100)
        tdm_pause();
    else if (looks < 200)
        sched_yield();
    else
        tdm_futex_wait(&nothing, 0, tdm_clock_ns() + 50000);
}

/* Which is not the newest, or is about not to be. */
static struct tdm_link *newer_than(struct tdm_link *link)
{
    struct tdm_link *newer;
    for (int looks = 0; (newer = load_acquire(&link->newer)) == link; looks++)
        tdm_injector_wait_a_little(looks); /* [injector-newer] */
    return newer;
}

/* The queue is not empty. */
static struct tdm_link *oldest_of(struct tdm_injector *injector)
{
    if (injector->oldest) return injector->oldest;
    struct tdm_link *first;
    for (int looks = 0; !(first = load_acquire(&injector->first)); looks++)
        tdm_injector_wait_a_little(looks); /* [injector-first] */
    store_relaxed(&injector->first, NULL); /* relaxed: the next is written only after a swap that empties the queue */
    return injector->oldest = first;
}

static void wait_until_known(struct tdm_link *older, const struct tdm_link *link)
{
    for (int looks = 0; load_acquire(&older->newer) != link; looks++) tdm_injector_wait_a_little(looks); /* [injector-newer] */
}

/* ---- taking out ---- [injector-older] */

static struct tdm_link *older_than(const struct tdm_link *link)
{
    return (struct tdm_link *)(load_relaxed(&link->older) & ~TDM_INJECTOR_BITS);
}

static bool is_counted(const struct tdm_link *link) { return load_relaxed(&link->older) & 1; }

/* Its older neighbour, which knows of it, or NULL: it is the oldest. */
static struct tdm_link *left_of(struct tdm_injector *injector, struct tdm_link *link)
{
    struct tdm_link *older = older_than(link);
    if (!older) oldest_of(injector);
    if (injector->oldest == link) return NULL; /* whatever its own link says: that has gone */
    wait_until_known(older, link);
    return older;
}

/* Relaxed: the swap of the word, or the lock, orders it for who reads. */
static void join(struct tdm_injector *injector, struct tdm_link *older, struct tdm_link *newer)
{
    if (older)
        store_relaxed(&older->newer, newer ? newer : older);
    else
        injector->oldest = newer;
}

/* The newest goes: what is before it is made an end first, then the word goes back to it; a submitter that comes meanwhile has this one for
 * its older neighbour, and all is as before. */
static bool take_newest(struct tdm_injector *injector, struct tdm_link *older, struct tdm_link *link, uintptr_t bits)
{
    uintptr_t word = tdm_injector_look(injector);
    if (tdm_injector_newest(word) != link) return false;
    join(injector, older, NULL);
    do
        if (cas_seq(&injector->word, &word, (uintptr_t)older | (word & TDM_INJECTOR_BITS) | bits)) return true; /* [injector] */
    while (tdm_injector_newest(word) == link);
    join(injector, older, link);
    return false;
}

static void take_out(struct tdm_injector *injector, struct tdm_link *link, uint64_t *uncounted, uintptr_t bits)
{
    struct tdm_link *older = left_of(injector, link);
    if (load_acquire(&link->newer) != link || !take_newest(injector, older, link, older ? 0 : bits)) { /* [injector-newer] */
        struct tdm_link *newer = newer_than(link);
        join(injector, older, newer);
        store_relaxed(&newer->older, (uintptr_t)older | is_counted(newer));
    }
    *uncounted += !is_counted(link);
    tdm_link_init(link);
}

/* That the next one is the oldest now is not written into its own link. */
struct tdm_link *tdm_injector_pop(struct tdm_injector *injector, uint64_t *uncounted, uintptr_t bits)
{
    if (!injector->oldest && tdm_injector_is_empty(injector)) return NULL;
    struct tdm_link *oldest = oldest_of(injector);
    struct tdm_link *newer = load_acquire(&oldest->newer); /* [injector-newer] */
    if (newer == oldest) {
        take_out(injector, oldest, uncounted, bits);
        return oldest;
    }
    /* tasks often lie in an array, and were written by another processor */
    tdm_prefetch((void *)((uintptr_t)newer + 6 * ((uintptr_t)newer - (uintptr_t)oldest)));
    injector->oldest = newer;
    *uncounted += !is_counted(oldest);
    tdm_link_init(oldest);
    return oldest;
}

/* Whether one that is neither counted nor the newest, and knows no newer one, is there at all cannot be told: either it is about to be put in, or
 * the gap behind it is about to be closed.  Where nothing comes in this way there is neither. */
enum tdm_injector_found tdm_injector_take(struct tdm_injector *injector, struct tdm_link *link, uint64_t *uncounted)
{
    uintptr_t word = tdm_injector_look(injector);
    bool is_there = load_acquire(&link->newer) != link || tdm_injector_newest(word) == link; /* [injector-newer] */
    if (!is_there && !is_counted(link)) return word & TDM_INJECTOR_ASK ? TDM_INJECTOR_NOT_THERE : TDM_INJECTOR_UNTOLD;
    take_out(injector, link, uncounted, 0);
    return TDM_INJECTOR_TAKEN;
}

uint64_t tdm_injector_count(struct tdm_injector *injector)
{
    struct tdm_link *newest = tdm_injector_newest(tdm_injector_look(injector));
    uint64_t count = 0;
    if (!newest) return 0;
    for (struct tdm_link *link = oldest_of(injector);; link = newer_than(link)) {
        count += !is_counted(link);
        store_relaxed(&link->older, load_relaxed(&link->older) | 1);
        if (link == newest) return count;
    }
}

uint32_t tdm_injector_look_for(struct tdm_injector *injector, uint32_t most)
{
    struct tdm_link *newest = tdm_injector_newest(tdm_injector_look(injector));
    if (!newest || most == 0) return 0;
    uint32_t count = 1;
    for (struct tdm_link *link = oldest_of(injector); count < most && link != newest; count++) link = newer_than(link);
    return count;
}
