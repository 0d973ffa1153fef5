/* pipes.pml - who reads a worker's replies that come over a pipe, and when the reactor listens for them: a model for the checker spin.
 *
 * How to use and to read it stands at the head of accounting.pml; stream.pml is the same for rings.
 *
 * One worker.  Each waiter hands its own task over and waits for it: with tandem_call, or with tandem_submit and then tandem_wait; the
 * remaining tasks nobody waits for.  Meanwhile a task may be cancelled, and the worker may die, or say something that is only for the reactor.
 *
 * What is mirrored where:
 *   Thread   process/reading.c        tdm_reading_lead, read_by_thread (wait); read_plain (reads); let_go; tdm_reading_ready (reactor),
 *                                     tdm_reading_take (insist)
 *            process/ringing.c        tdm_ringing_handed_over (hand_over)
 *            process/reading_pipes.c  tdm_reading_begin_at_pipe (begins), tdm_reading_sleep_on_pipe (sleeps), listen
 *            process/process_lane.c   submit, tdm_process_lane_put_back: whose task is called
 *   Outside  process/slot.c           take_back, for a cancel; child/guard.c: report_ends
 *
 * What is done under a slot's lock is one step.  The reactor's poller is told of a pipe for as long as there is something in it, unless it is
 * hushed, and of its end always.
 *
 * Mutants.  With one of these as -D spin must find an error:
 *   lets_go_in_silence      who lets go with tasks in the worker's hands leaves the reactor hushed
 *   hands_over_in_silence   so does who hands a task over, and does not come for it
 *   called_by_another       a task that is called waits in the queue, and another thread that hands it over takes it for its own
 *   call_has_no_bell        the thread that reads is told to look up, and sleeps on
 *   empties_the_bell_late   who sleeps looks whether he is to look up, then empties his bell
 *   asks_once               the right was taken when the reactor came for it; who lets go does not post the reactor
 *   leaves_with_the_right   a waiter was handed the right just when its task had ended, and goes home
 *   leads_without_its_task  or just when its task had been taken away, and waits here for news of it
 */

#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef TASKS /* at least so many */
#define TASKS 3
#endif
#ifndef IN_HAND
#define IN_HAND 2
#endif
#ifndef SPECIALS
#define SPECIALS 0
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif

/* ---- promises: nothing of this may ever happen ---- */

bool ended_twice;             /* a task */
bool two_read_at_once;        /* who reads does not hold the right */
bool not_armed;               /* the worker has tasks, and its next reply would reach nobody */
bool right_left_behind;       /* all is over, and the right is held */
bool somebody_waits_for_ever; /* nothing can happen any more, and not all is over */

#define MUST(condition, otherwise) \
    if \
    :: (condition) \
    :: else -> otherwise = true; assert(!otherwise) \
    fi

mtype = { NEW, QUEUED, OFFERED, CLAIMED, GONE } /* a task, as slot and queue have it */

#define SPECIAL 100
#define REACTOR WAITERS
#define NOBODY  255

chan requests = [TASKS] of { byte }
chan replies = [4] of { byte } /* the pipe; SPECIALS and all tasks in hand fit */
bool alive = true

/* Guarded by the slot's lock. */
byte reader = NOBODY
bool owed, look_up, hushed
bool dead, judged
byte in_hand
mtype place[TASKS]
chan queue = [TASKS] of { byte }
bool waiting[WAITERS]

bool ended[TASKS]
bool given[WAITERS], parked[WAITERS]
bool called[TASKS] /* its thread is just about to lead */

bool bell /* of the thread that reads */
bool posted, told_of_death, told_of_end

byte crashes, cancels, specials = SPECIALS
byte still_open = TASKS
bool comes /* the reactor knows, and has not tried for the right yet */
byte leads_soon = 0 /* threads that have handed over what they call, and have not come for it */

#define ARMED \
    (in_hand == 0 || reader != NOBODY || owed || posted || comes || leads_soon > 0 || !hushed || (!alive && !judged))

proctype Worker()
{
    byte task;
    {
end_worker:
        do
        :: atomic {
            requests ? task;
            if
            :: place[task] == OFFERED -> place[task] = CLAIMED
            :: else -> task = NOBODY
            fi
        }
           if
           :: task != NOBODY ->
               if
               :: specials > 0 -> atomic { specials--; replies ! SPECIAL }
               :: true
               fi;
               atomic { replies ! task; task = 0 }
           :: else -> task = 0
           fi
        od
    }
#if CRASHES
    unless { !alive }
#endif
}

/* With the lock held. */
inline listen() { hushed = false }

inline hand_over(mine)
{
    if
    :: !dead && in_hand < IN_HAND && len(queue) > 0 ->
        queue ? it;
#ifndef called_by_another
        called[it] = called[it] && it == mine;
#endif
        requests ! it;
        place[it] = OFFERED;
        in_hand++;
        if
        :: reader == NOBODY && !called[it] ->
#ifdef hands_over_in_silence
            skip
#else
            listen()
#endif
        :: else
        fi;
        if
        :: it == mine && called[it] -> leads_soon++; soon = true
        :: else
        fi;
        it = 0
    :: else
    fi
}

inline finish(task)
{
    MUST(!ended[task], ended_twice);
    ended[task] = true;
    still_open--;
    if
    :: task < WAITERS -> parked[task] = false
    :: else
    fi
}

/* tdm_reading_look_up, with the lock held. */
inline call_reader()
{
    if
    :: reader < WAITERS && !given[reader] ->
        look_up = true;
#ifndef call_has_no_bell
        bell = true
#endif
    :: else
    fi
}

#define IN_WORKER(task) (place[task] == OFFERED || place[task] == CLAIMED)
#define IS_REACTOR      (me == REACTOR)
#define FREE_FOR_ME     (reader == NOBODY && (IS_REACTOR || !owed))
#define HAS_ENDED       (!IS_REACTOR && ended[me])

inline no_longer_soon()
{
    if
    :: soon -> leads_soon--; soon = false
    :: else
    fi
}

proctype Thread(byte me)
{
    byte it, done;
    bool special, soon;

    if
    :: IS_REACTOR -> goto reactor
    :: else
    fi;

    /* tandem_call, or tandem_submit; one that finds no room waits in the queue, and then nobody's call is it any more */
    atomic {
        if
        :: called[me] = true
        :: skip
        fi;
        if
        :: dead -> finish(me)
        :: else -> place[me] = QUEUED; queue ! me; hand_over(me)
        fi
    }

wait:
    atomic {
        no_longer_soon();
        if
        :: ended[me] -> goto over
        :: !ended[me] && IN_WORKER(me) && FREE_FOR_ME -> reader = me; hushed = true; goto begins
        :: else -> waiting[me] = true
        fi
    }
    atomic {
        if
        :: !ended[me] && !given[me] -> parked[me] = true
        :: else
        fi
    }
    !parked[me];
    atomic {
        waiting[me] = false;
        if
#ifdef leaves_with_the_right
        :: given[me] && ended[me] -> given[me] = false; goto over
#else
        :: given[me] && ended[me] -> given[me] = false; hushed = true; goto let_go
#endif
#ifdef leads_without_its_task
        :: given[me] && !ended[me] -> given[me] = false; hushed = true; goto begins
#else
        :: given[me] && !ended[me] && IN_WORKER(me) -> given[me] = false; hushed = true; goto begins
        :: given[me] && !ended[me] && !IN_WORKER(me) -> given[me] = false; hushed = true; goto let_go
#endif
        :: !given[me] && ended[me] -> goto over
        :: else
        fi
    }
    goto wait;

begins: /* it may look first, or give way and look again, without any word of it */
    if
    :: goto reads
    :: skip
    fi;

sleeps:
    if
    :: look_up || ended[me] -> goto let_go
    :: else
    fi;
#ifdef empties_the_bell_late
    bell = false;
    (len(replies) > 0 || bell || !alive);
#else
    atomic { (len(replies) > 0 || bell || !alive) -> bell = false }
#endif

reads:
    atomic {
        if
        :: len(replies) == 0 ->
            if
            :: IS_REACTOR && dead && !judged -> goto judge
            :: IS_REACTOR && !(dead && !judged) -> goto let_go
            :: !IS_REACTOR && (HAS_ENDED || look_up) -> goto let_go
            :: !IS_REACTOR && !alive && !HAS_ENDED && !look_up -> special = true; goto let_go /* the pipe's end: held for the reactor */
            :: else -> goto sleeps
            fi
        :: else ->
            replies ? <it>;
            if
            :: HAS_ENDED || (!IS_REACTOR && look_up) -> it = 0; goto let_go
            :: !HAS_ENDED && !IS_REACTOR && !look_up && it == SPECIAL -> it = 0; special = true; goto let_go
            :: else -> MUST(reader == me, two_read_at_once); replies ? it
            fi
        fi
    }
    if
    :: it == SPECIAL -> it = 0
    :: else ->
        atomic {
            place[it] = GONE;
            in_hand--;
            done = it;
            it = 0;
            hand_over(NOBODY)
        }
        atomic { finish(done); done = 0 }
    fi;
    if
    :: IS_REACTOR && !dead -> goto let_go
    :: else -> goto reads
    fi;

let_go:
    atomic {
        look_up = false;
        if
        :: !IS_REACTOR && (owed || special) ->
            reader = NOBODY;
            owed = true;
            special = false;
#ifndef asks_once
            posted = true
#endif
        :: else ->
            do
            :: it < WAITERS && (it == me || !waiting[it] || !IN_WORKER(it)) -> it++
            :: it < WAITERS && it != me && waiting[it] && IN_WORKER(it) ->
                reader = it;
                given[it] = true;
                waiting[it] = false;
                parked[it] = false;
                break
            :: it == WAITERS ->
                reader = NOBODY;
                if
#ifndef lets_go_in_silence
                :: in_hand > 0 -> listen()
#endif
                :: else
                fi;
                break
            od;
            it = 0
        fi
    }
    if
    :: IS_REACTOR -> goto reactor
    :: else -> goto wait
    fi;

    /* ---- the reactor only ---- */

reactor:
end_reactor:
    do
    /* it listens; a thread that reads meanwhile is left alone */
    :: atomic { !hushed && len(replies) > 0 && !(reader < WAITERS && !given[reader]) -> comes = true }
       goto insist
    :: atomic { !alive && !told_of_end -> told_of_end = true; comes = true }
       goto insist
    :: atomic { posted -> posted = false; comes = true }
       goto insist
    :: atomic { told_of_death -> told_of_death = false; comes = true; dead = true }
       goto insist
    od;

insist: /* one who was given the right and has not noticed loses it again; else who lets go posts */
    atomic {
        comes = false;
        if
        :: reader < WAITERS && given[reader] -> given[reader] = false; waiting[reader] = true; reader = me; owed = false; goto reads
        :: reader == NOBODY -> reader = me; owed = false; goto reads
        :: else -> owed = true; call_reader()
        fi
    }
    goto reactor;

judge:
    do
    :: atomic {
        it < TASKS ->
        if
        :: IN_WORKER(it) -> in_hand--; place[it] = GONE; finish(it)
        :: place[it] == QUEUED -> place[it] = GONE; finish(it)
        :: else
        fi;
        it++
    }
    :: atomic { it == TASKS -> it = 0; judged = true; break }
    od;
    goto let_go;

over: skip
}

/* What befalls them. */
proctype Outside()
{
    byte it, taken;
    bool soon;
end_outside:
    do
    :: atomic {
            cancels > 0 ->
            cancels--;
            do
            :: taken + 1 < TASKS -> taken++
            :: break
            od;
            if
            :: place[taken] == QUEUED -> queue ?? eval(taken); place[taken] = GONE
            :: place[taken] == OFFERED -> place[taken] = GONE; in_hand--; call_reader(); hand_over(NOBODY)
            :: else -> taken = NOBODY
            fi
        }
        if
        :: taken != NOBODY -> atomic { finish(taken) }
        :: else
        fi;
        taken = 0
    :: atomic { crashes > 0 -> crashes--; alive = false }
       told_of_death = true
    od
}

init
{
    byte i, it;
    bool soon;
    atomic {
        for (i : 0 .. TASKS - 1) {
            place[i] = NEW
        }
        if /* as whoever came before has left it */
        :: hushed = true
        :: skip
        fi;
        for (i : WAITERS .. TASKS - 1) {
            place[i] = QUEUED;
            queue ! i;
            hand_over(NOBODY)
        }
        i = 0;
        for (i : 0 .. WAITERS) {
            run Thread(i)
        }
        i = 0;
        run Worker();
        if
        :: crashes = CRASHES
        :: CRASHES > 0 -> crashes = 0
        fi;
        if
        :: cancels = CANCELS
        :: CANCELS > 0 -> cancels = 0
        fi;
        if
        :: crashes + cancels > 0 -> run Outside()
        :: else
        fi
    }
    do
    :: atomic { !ARMED -> MUST(false, not_armed) }
    :: atomic {
        timeout ->
        MUST(still_open == 0, somebody_waits_for_ever);
        MUST(reader == NOBODY, right_left_behind);
        break
    }
    od
}
