/* fork_join.c - tandem_spawn and tandem_join: a running task splits itself.
 *
 * A worker keeps what it has spawned in its deque, and takes it out again when it joins: a few plain loads and stores.  Only when another
 * worker has nothing to do does it make some public, points that out in the queue, and calls a sleeper.  No branch needs a thief: the thread that
 * joins it finds it, or finds the thief that runs it.  While it waits for the thief it takes work from that one alone (leapfrogging): what the thief
 * has spawned is part of what it waits for, so it never sits on something unrelated and long. */
#define _POSIX_C_SOURCE 200809L
#include "threads/fork_join.h"

#include "base/clock.h"
#include "base/watch.h"
#include "job/context.h"
#include "threads/thread_lane.h"

#include <errno.h>
#include <pthread.h>

/* What a tandem_branch's reserved words hold. */
struct TDM_MAY_ALIAS branch {
    const tandem_context *origin; /* of who spawned it */
    _Atomic uint32_t
        state; /* 0, then by the thief that runs it: its number, and that it is done; by the joiner: that it sleeps on this
                                     [branch-state] */
};

enum { DONE = 1, WAITED = 2, THIEF_SHIFT = 2 };

_Static_assert(sizeof(struct branch) <= sizeof((tandem_branch *)0)->reserved, "it fits the public struct");

static struct branch *private_of(tandem_branch *public) { return (struct branch *)(void *)public->reserved; }

/* ---- where it is run ---- */

static void run_at_once(tandem_context *context, tandem_branch *public)
{
    context->in_branch++;
    public->code = public->run(context, public->input, public->input_size);
    context->in_branch--;
    store_relaxed(&private_of(public)->state, DONE); /* relaxed: this thread joins it */
}

/* The exchange is the last touch. */
static void end_stolen(tandem_branch *public, int code)
{
    struct branch *branch = private_of(public);
    public->code = code;
    if (exchange_seq(&branch->state, DONE) & WAITED) tdm_futex_wake_all(&branch->state); /* [branch-state] */
}

struct stolen {
    struct tdm_thread_worker *thief;
    tandem_branch *branch;
    struct tdm_inside inside;
};

/* A task that it waited for, and so ran in the middle of it, has ended the thread: who joins it is not to wait for ever. */
static void end_for_want_of_a_return(void *argument)
{
    struct stolen *stolen = argument;
    tdm_self_leave(&stolen->inside);
    tdm_deque_drop(&stolen->thief->deque);
    end_stolen(stolen->branch, -ECANCELED);
}

/* On another thread than that which joins it, whose context it sees with its own worker's data. */
static void run_stolen(struct tdm_thread_worker *thief, tandem_branch *public)
{
    struct branch *branch = private_of(public);
    const tandem_context *origin = branch->origin;
    or_seq(&branch->state, thief->number << THIEF_SHIFT); /* [branch-state] */
    tandem_context context = {.isolation = TANDEM_THREAD,
                              .home = origin->home,
                              .talk = origin->talk,
                              .run = origin->run,
                              .worker_data = thief->data,
                              .wishes = origin->wishes,
                              .closing = origin->closing,
                              .reply_most = SIZE_MAX,
                              .in_branch = 1,
                              .worker = thief,
                              .deque = &thief->deque,
                              .task = origin->task};
    context.branches = &context;
    struct stolen stolen = {.thief = thief, .branch = public};
    bool runs = thief->runs;
    int code;
    thief->runs = true; /* a task that it waits for is run, and seen to, in the middle of it */
    tdm_self_enter(&stolen.inside, thief->lane->lane.core, origin->task, origin->task ? origin->task->group : NULL);
    pthread_cleanup_push(end_for_want_of_a_return, &stolen);
    code = public->run(&context, public->input, public->input_size);
    pthread_cleanup_pop(0);
    tdm_self_leave(&stolen.inside);
    thief->runs = runs;
    end_stolen(public, code);
}

/* others_sleep: one of them is to be called for the next that the victim has. */
static bool steal_from(struct tdm_thread_worker *thief, struct tdm_thread_worker *victim, bool others_sleep)
{
    tandem_branch *public = tdm_deque_steal(&victim->deque);
    if (!public) return false;
    if (others_sleep) tdm_deque_want(&victim->deque);
    run_stolen(thief, public);
    return true;
}

bool tdm_fork_join_steal(struct tdm_thread_lane *lane, struct tdm_thread_worker *thief, bool others_sleep)
{
    if (load_acquire(&lane->forks) == 0) return false; /* [lane-forks] */
    uint32_t made = load_acquire(&lane->made);         /* [lane-made] */
    for (uint32_t i = 1; i < made; i++) {
        struct tdm_thread_worker *victim = &lane->workers[(thief->number - 1 + i) % made];
        if (steal_from(thief, victim, others_sleep)) return true;
        tdm_deque_want(&victim->deque);
    }
    return false;
}

/* ---- spawning ---- */

static TDM_APART void publish(tandem_context *context)
{
    struct tdm_thread_lane *lane = context->worker->lane;
    if (tdm_deque_publish(context->deque) && tdm_shards_point_out(&lane->shards)) tdm_thread_queue_call(lane);
}

/* The first branch of a task on this thread, or there is no room. */
static TDM_APART void spawn_slowly(tandem_context *context, tandem_branch *branch)
{
    if (context->worker && !context->deque) {
        struct tdm_thread_lane *lane = context->worker->lane;
        if (load_acquire(&lane->forks) == 0) store_release(&lane->forks, 1); /* [lane-forks] */
        *context->branches = *context;
        context->branches->in_branch = 1;
        context->branches->deque = context->deque = &context->worker->deque;
        tdm_deque_want(context->deque); /* who sleeps since before any branch was spawned has not asked for one */
        tandem_spawn(context, branch);
    } else {
        run_at_once(context, branch);
    }
}

void tandem_spawn(tandem_context *context, tandem_branch *public)
{
    struct branch *branch = private_of(public);
    struct tdm_deque *deque = context->deque;
    branch->origin = context;
    store_relaxed(&branch->state, 0); /* relaxed: what makes the branch public carries it */
    if (!deque || !tdm_deque_push(deque, public))
        spawn_slowly(context, public);
    else if (tdm_deque_is_wanted(deque))
        publish(context);
}

/* ---- joining ---- */

/* While the thief is at work: takes what the thief has spawned, looks, and sleeps ever longer. */
#define FIRST_NAP_NS   50000
#define LONGEST_NAP_NS 1000000

static void wait_for_thief(struct tdm_thread_worker *worker, struct branch *branch)
{
    struct tdm_thread_lane *lane = worker->lane;
    struct tdm_look look = {.until_ns = tdm_clock_ns() + lane->lane.core->watch_ns};
    uint64_t nap_ns = FIRST_NAP_NS;
    for (uint32_t state; (state = load_acquire(&branch->state)) != DONE;) { /* [branch-state] */
        struct tdm_thread_worker *thief = state >> THIEF_SHIFT != 0 ? &lane->workers[(state >> THIEF_SHIFT) - 1] : NULL;
        if (thief && steal_from(worker, thief, false)) continue;
        if (thief) tdm_deque_want(&thief->deque);
        if (tdm_watch_goes_on(&look)) continue;
        if (!cas_seq(&branch->state, &state, state | WAITED)) continue; /* [branch-state] */
        tdm_futex_wait(&branch->state, state | WAITED, tdm_clock_ns() + nap_ns);
        if (nap_ns < LONGEST_NAP_NS) nap_ns *= 2;
    }
}

/* It is not the newest of those that are this worker's alone. */
static TDM_APART int join_slowly(tandem_context *context, tandem_branch *public)
{
    struct branch *branch = private_of(public);
    if (load_acquire(&branch->state) == DONE) { /* [branch-state] */
        if (context->deque) tdm_deque_settle(context->deque);
        return public->code;
    }
    if (tdm_deque_reclaim(context->deque)) return tandem_join(context, public);
    wait_for_thief(context->worker, branch);
    return public->code;
}

int tandem_join(tandem_context *context, tandem_branch *branch)
{
    struct tdm_deque *deque = context->deque;
    if (!deque || !tdm_deque_pop_private(deque, branch)) return join_slowly(context, branch);
    return branch->code = branch->run(context->branches, branch->input, branch->input_size);
}
