/* ledger.c - a pool's books. */
#include "task/ledger.h"

#include "base/clock.h"
#include "task/self.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- coming in ---- */

/* What has gone is read first: it never overtakes what has come, so the difference is never negative [ledger-waiting] */
uint64_t tdm_ledger_waiting(const struct tdm_ledger *ledger)
{
    uint64_t gone = load_seq(&ledger->taken) + load_seq(&ledger->left);
    return load_seq(&ledger->entered) + load_seq(&ledger->arrived) - gone;
}

/* relaxed: the lock orders it among those that write; see [ledger-waiting] for who looks without */
void tdm_ledger_entered(struct tdm_ledger *ledger) { store_relaxed(&ledger->entered, load_relaxed(&ledger->entered) + 1); }

/* The count of changes is read under the lock and changed under it, so a change between the unlock and the sleep ends the sleep at
 * once [ledger-room]. */
static void wait_for_room(struct tdm_ledger *ledger)
{
    uint32_t seen = load_seq(&ledger->room);
    ledger->room_waiters++;
    tdm_ledger_unlock(ledger);
    tdm_futex_wait(&ledger->room, seen, TDM_FOREVER);
    tdm_ledger_lock(ledger);
    ledger->room_waiters--;
}

/* The gate is not open, or the queue is full: what happens then.  ADMITTED: nothing keeps it out. */
static int admit_exceptionally(struct tdm_ledger *ledger, const struct tdm_core *core, bool full, bool may_run_here)
{
    if (ledger->gate == TDM_GATE_CLOSED) return -ESHUTDOWN;
    if (tdm_self_inside_pool(core)) return TDM_ADMITTED;
    if (ledger->gate == TDM_GATE_DRAINING) return -ESHUTDOWN;
    if (!full) return TDM_ADMITTED;
    if (ledger->when_full == TANDEM_FULL_REFUSE) return -EAGAIN;
    if (may_run_here && ledger->when_full == TANDEM_FULL_RUN_HERE) return TDM_RUN_HERE;
    wait_for_room(ledger);
    return TDM_LOOK_AGAIN;
}

int tdm_ledger_admit(struct tdm_ledger *ledger, const struct tdm_core *core, bool waits, bool may_run_here)
{
    bool full = waits && ledger->limit != 0 && tdm_ledger_waiting(ledger) >= ledger->limit;
    int admission = TDM_ADMITTED;
    if (full || ledger->gate != TDM_GATE_OPEN) admission = admit_exceptionally(ledger, core, full, may_run_here);
    if (admission != TDM_ADMITTED && admission != TDM_RUN_HERE) return admission;
    ledger->submitted++;
    ledger->open++;
    if (waits && admission == TDM_ADMITTED) tdm_ledger_entered(ledger);
    return admission;
}

void tdm_ledger_admit_more(struct tdm_ledger *ledger, uint64_t count, bool wait)
{
    ledger->submitted += count;
    ledger->open += count;
    for (; wait && count > 0; count--) tdm_ledger_entered(ledger);
}

static void wake_room_waiters(struct tdm_ledger *ledger)
{
    add_seq(&ledger->room, 1);
    tdm_futex_wake_all(&ledger->room);
}

void tdm_ledger_taken(struct tdm_ledger *ledger, uint64_t count)
{
    add_seq(&ledger->taken, count); /* [ledger-waiting] */
    if (ledger->limit != 0 && ledger->room_waiters > 0) wake_room_waiters(ledger);
}

/* A release: who reads the count of those that have gone finds those counted that have come. [ledger-arrived] [ledger-waiting] */
void tdm_ledger_arrived(struct tdm_ledger *ledger, uint64_t count)
{
    store_release(&ledger->arrived, load_relaxed(&ledger->arrived) + count); /* relaxed: only who holds the front lock writes */
}

void tdm_ledger_left(struct tdm_ledger *ledger, uint64_t count)
{
    if (ledger->limit == 0) {
        store_release(&ledger->left, load_relaxed(&ledger->left) + count); /* relaxed: as above */
        return;
    }
    tdm_ledger_lock(ledger); /* somebody may wait for room */
    tdm_ledger_taken(ledger, count);
    tdm_ledger_unlock(ledger);
}

/* ---- ending ---- */

void tdm_tally_count(struct tdm_tally *tally, int status)
{
    if (tally->shared)
        add_seq(&tally->ended[status], 1);
    else
        tdm_tally_count_own(tally, status);
}

/* The counts wrap around; they are far enough apart for half of 32 bits to tell what is open. */
uint32_t tdm_ledger_open(const struct tdm_ledger *ledger)
{
    uint64_t open = ledger->open + load_seq(&ledger->arrived) + load_seq(&ledger->called); /* [ledger-arrived] [ledger-called] */
    return (uint32_t)(open - (load_seq(&ledger->departed) >> 1)) & UINT32_MAX >> 1;        /* [ledger-departed] */
}

/* Who sleeps until it is quiet does so on the word that others count their ends in: so that one is counted here which is none. */
static void close_some(struct tdm_ledger *ledger, uint64_t some)
{
    ledger->open -= some;
    if (ledger->quiet_waiters == 0 || tdm_ledger_open(ledger) > 0) return;
    ledger->open++;
    add_seq(&ledger->departed, 2); /* [ledger-departed] */
    tdm_futex_wake_all(&ledger->departed);
}

void tdm_ledger_uncall(struct tdm_ledger *ledger)
{
    add_seq(&ledger->called, (uint64_t)-1); /* [ledger-called] */
    tdm_ledger_lock(ledger);
    close_some(ledger, 0);
    tdm_ledger_unlock(ledger);
}

/* The count is the last access to the ledger: if it was the last task, who waits for quiet may free all of it now.  The wake uses the
 * address only. */
void tdm_ledger_settle_one(struct tdm_ledger *ledger, struct tdm_tally *tally)
{
    if (!tally->shared)
        tdm_ledger_settle_later(tally);
    else if (add_seq(&ledger->departed, 2) & 1) /* [ledger-departed] */
        tdm_futex_wake_all(&ledger->departed);
}

void tdm_ledger_settle(struct tdm_ledger *ledger, struct tdm_tally *tally)
{
    if (tally->unsettled > 0) close_some(ledger, tally->unsettled);
    tally->unsettled = 0;
}

void tdm_ledger_close(struct tdm_ledger *ledger, enum tdm_gate gate)
{
    tdm_ledger_lock(ledger);
    if (ledger->gate < gate) ledger->gate = gate;
    wake_room_waiters(ledger);
    tdm_ledger_unlock(ledger);
}

int tdm_ledger_wait_quiet(struct tdm_ledger *ledger, uint64_t deadline_ns)
{
    tdm_ledger_lock(ledger);
    ledger->quiet_waiters++;
    or_seq(&ledger->departed, 1);
    uint32_t open;
    for (;;) {
        uint32_t seen = load_seq(&ledger->departed); /* before the look: an end after it changes the word [ledger-departed] */
        open = tdm_ledger_open(ledger);
        if (open == 0 || (deadline_ns != TDM_FOREVER && tdm_clock_ns() >= deadline_ns)) break;
        tdm_ledger_unlock(ledger);
        tdm_futex_wait(&ledger->departed, seen, deadline_ns);
        tdm_ledger_lock(ledger);
    }
    if (--ledger->quiet_waiters == 0) and_seq(&ledger->departed, ~(uint32_t)1);
    tdm_ledger_unlock(ledger);
    return open > 0 ? -ETIMEDOUT : 0;
}

/* ---- looking in ---- */

static uint32_t cut(uint64_t ns) { return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX; }

void tdm_ledger_add_sample(struct tdm_ledger *ledger, uint64_t wait_ns, uint64_t run_ns)
{
    tdm_ledger_lock(ledger);
    size_t at = ledger->samples++ % TDM_SAMPLES;
    ledger->wait_samples[at] = cut(wait_ns);
    ledger->run_samples[at] = cut(run_ns);
    tdm_ledger_unlock(ledger);
}

static int ascending(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static void fill_percentiles(uint32_t *samples, size_t count, uint64_t *p50, uint64_t *p99)
{
    if (count == 0) return;
    qsort(samples, count, sizeof *samples, ascending);
    *p50 = samples[(count - 1) * 50 / 100];
    *p99 = samples[(count - 1) * 99 / 100];
}

static uint64_t add_tally(const struct tdm_tally *tally, tandem_stats *stats)
{
    uint64_t sum = 0;
    for (int i = 0; i < TDM_STATUSES; i++) {
        uint64_t count = load_seq(&tally->ended[i]);
        stats->ended[i] += count;
        sum += count;
    }
    return sum;
}

void tdm_ledger_fill_stats(struct tdm_ledger *ledger, tandem_stats *stats)
{
    uint32_t waits[TDM_SAMPLES], runs[TDM_SAMPLES];
    tdm_ledger_lock(ledger);
    uint64_t ended = add_tally(&ledger->others, stats);
    for (struct tdm_tally *tally = ledger->tallies; tally; tally = tally->next) ended += add_tally(tally, stats);
    stats->waiting = tdm_ledger_waiting(ledger); /* in this order, so that no difference is negative */
    stats->submitted = ledger->submitted + load_seq(&ledger->arrived) + load_seq(&ledger->called); /* [ledger-called] */
    stats->running = stats->submitted - stats->waiting - ended;
    size_t count = ledger->samples < TDM_SAMPLES ? (size_t)ledger->samples : TDM_SAMPLES;
    memcpy(waits, ledger->wait_samples, sizeof waits);
    memcpy(runs, ledger->run_samples, sizeof runs);
    tdm_ledger_unlock(ledger);
    fill_percentiles(waits, count, &stats->wait_ns_p50, &stats->wait_ns_p99);
    fill_percentiles(runs, count, &stats->run_ns_p50, &stats->run_ns_p99);
}
