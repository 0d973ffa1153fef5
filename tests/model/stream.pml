/* stream.pml - who reads a worker's replies, who sleeps meanwhile and on what, and who wakes whom: a model for the checker spin.
 *
 * How to use and to read it stands at the head of accounting.pml; here it is
 *
 *   spin -a stream.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m100000
 *
 * One worker, whose tasks come and whose replies go through two rings in memory that it shares with the host.  Each waiter hands
 * its own task over and waits for it, until its time is over or for ever; the remaining tasks nobody waits for.  Meanwhile a task
 * may be cancelled, and the worker may die at any step, or say something that is only for the reactor, a special.
 *
 * What is mirrored where:
 *   Thread   process/reading.c        tdm_reading_lead (wait, try), tdm_reading_take (insist), let_go; read_until, watch_and_sleep;
 *                                     wake_reader (kick); tdm_reading_pass (over)
 *            process/replies.c        tdm_replies_take_plain
 *            process/slot_reactor.c   tdm_slot_bury, judge
 *            process/slot.c           tdm_slot_offer (hand_over, hand_over_shortly)
 *            process/ringing.c        tdm_ringing_expect, tdm_ringing_arm
 *            job/stream.c             the host's half: wake_worker, after_host_read (make_room), pull_single (alone)
 *   Worker   child/process_worker.c   take, reply
 *            job/stream.c             the worker's half: after_worker_write, tdm_channel_settle, wait_for_news.  That it puts a bell
 *                                     off looks as if it came late to the flag
 *   Outside  process/slot.c           tdm_slot_stop, for a cancel; child/guard.c: report_ends
 *
 * What is done under a slot's lock, with at most one look at or change of what is not guarded by it, is one step: nobody can tell.
 * A channel is a ring: putting into it is the store of tail, taking out the store of head.  Memory is sequentially consistent, as
 * the stores that publish, the flags and the looks at either are.  A sleeper whose time will be over does not fall asleep here, but
 * goes on at any later time; so who does fall asleep sleeps until somebody wakes it.
 *
 * Not here: what a broken worker writes into a ring; two threads that wait for the same task; systems without a futex.  A wish to be told
 * later, or unless somebody comes by, for who has it looks by himself after a while, or has the reactor look: so he never sleeps here, and a bell
 * that is to ring later is one that is posted.  A look that is put off, since somebody has come by, is one that comes late.
 *
 * Mutants.  With one of these as -D spin must find an error.  Of who holds the right:
 *   never_looks_again              who lets go does not look at the ring once more: a reply just before is seen by nobody
 *   task_without_a_wish            who let go of an idle worker left the flag lowered, and who gives it a task does not raise it
 *   raises_after_the_task          or only when the task is published
 *   caller_stays_away              who calls a task raises no flag, and does not read
 *   arms_after_freeing             the right is free before the flag says BELL: the next reader's wish is overwritten
 *   leaves_with_the_right          a waiter was handed the right just when its time was over, and goes home
 *   given_beside_the_word          what it sleeps on does not change when it is handed the right: it falls asleep with it
 *   taken_over_in_silence          who was given the right, and has not noticed that another has taken it since, reads too
 *   leaves_it_and_tells_nobody     a waiter lets go because of what is only for the reactor, and does not post it
 *   has_enough_and_tells_nobody    who has what it wanted lets go though there is more, and does not post the reactor
 *   reactor_asks_once              the right was taken when the reactor came for it; who lets go does not post the reactor
 *   bell_emptied_late              the reactor finds the right taken, then empties the bell: it was rung again in between
 * Of the reader's sleep:
 *   reader_looks_then_raises       it looks, then raises the flag
 *   sleeps_though_its_task_ended   it raises the flag, and looks at the ring only,
 *   sleeps_though_the_worker_died  or not at that
 *   death_wakes_nobody             the reactor marks a death, and the reader sleeps on
 *   cancel_wakes_nobody            so does the reader whose task was cancelled
 *   kicks_before_the_end           it is woken first, sees nothing, sleeps again; then its task ends
 *   kick_takes_back_the_bell       a kick that comes late lowers the flag though it says BELL
 *   kick_trusts_the_flag           who finds the flag lowered wakes nobody: the worker that lowered it died before it did
 *   flag_before_tail               the worker looks at the flag, then publishes
 *   flag_read_then_cleared         it reads the flag, then stores AWAKE, instead of exchanging: that was another wish
 * Of the worker's sleep:
 *   worker_looks_then_raises       it looks for tasks, then raises its flag
 *   worker_looks_for_room_first    it looks for room, then says that it wants some
 *   room_before_head               the reader looks whether room is wanted, then makes some
 *   alone_in_a_full_ring           what is alone in a ring that has no room beside it is taken as if the worker did not wait for that
 *   room_leaves_the_flag           or wakes the worker without lowering its flag: it was just about to sleep
 *   task_leaves_the_flag           so does who hands a task over
 */

/* ---- bounds ---- */

#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef TASKS /* at least so many */
#define TASKS 2
#endif
#ifndef IN_HAND /* TDM_IN_HAND; what is more waits in the queue, and who has read a reply hands it over */
#define IN_HAND 2
#endif
#ifndef LIMITED /* waiters with a time limit */
#define LIMITED 1
#endif
#ifndef PIECES /* that a reply is published in */
#define PIECES 1
#endif
#ifndef RING /* so many of them have room at a time */
#define RING 2
#endif
#ifndef SPECIALS /* so often may the worker say something that is only for the reactor, */
#define SPECIALS 0
#endif
#ifndef CRASHES /* 0 or 1: may it die; */
#define CRASHES 0
#endif
#ifndef CALLS /* 0 or 1: do waiters without a time limit call, that is wait at once? */
#define CALLS 1
#endif
#ifndef CANCELS /* and so many tasks be cancelled. */
#define CANCELS 0
#endif

/* ---- promises: nothing of this may ever happen ---- */

bool ended_twice;             /* a task */
bool two_read_at_once;        /* who reads does not hold the right */
bool honest_taken_for_broken; /* a reply to nothing */
bool not_armed;               /* the worker has tasks, nobody reads, and its next reply would reach nobody */
bool right_left_behind;       /* all is over, and the right is held */
bool somebody_waits_for_ever; /* nothing can happen any more, and not all is over */

#define MUST(condition, otherwise) \
    if \
    :: (condition) \
    :: else -> otherwise = true; assert(!otherwise) \
    fi

/* ---- what there is ---- */

mtype = { AWAKE, BELL, FUTEX }                  /* a flag: what its owner wants when there is something for it */
mtype = { NEW, QUEUED, OFFERED, CLAIMED, GONE } /* a task, as slot and queue have it */

/* Shared by host and worker. */
chan requests = [TASKS] of { byte } /* a task */
chan replies = [RING] of { byte }   /* the task whose reply's last piece it is, or */
#define PIECE   100
#define SPECIAL 101
mtype reply_flag = BELL    /* of whoever reads the replies */
mtype request_flag = AWAKE /* of the worker, whatever it waits for */
bool want_room

/* A thread: its number is that of the task it waits for, or */
#define REACTOR WAITERS
#define NOBODY  255

/* Guarded by the slot's lock. */
byte reader = NOBODY
bool owed /* the reactor has to have the right next */
bool dead, judged
byte in_hand
mtype place[TASKS]
chan queue = [TASKS] of { byte }
bool waiting[WAITERS] /* for its task, with nothing to read */

/* The words of the tasks, on which their waiters sleep, and a mark in them. */
bool ended[TASKS]
bool given[WAITERS]

/* The reactor's news: a reply in a ring, a job posted by a thread, a guard's EXIT. */
bool bell, posted, told_of_death
bool unlooked /* posted, too: should nobody read, there may be something */

/* What the kernel knows. */
bool parked[WAITERS]              /* asleep on its task's word */
bool reader_asleep, worker_asleep /* on a flag */
bool alive = true

/* What may still come. */
byte crashes, cancels, specials = SPECIALS

/* For the promises only. */
byte still_open = TASKS
bool rings /* the worker has taken BELL from the flag, and not rung yet */
bool comes /* the reactor knows, and has not tried for the right yet */
byte caller = NOBODY /* has called its task, and has not tried either */

#define ARMED \
    (in_hand == 0 || reader != NOBODY || owed || reply_flag == BELL || rings || bell || posted || unlooked || comes || caller != NOBODY || (!alive && !judged))

/* ---- the worker ---- */

/* What it cannot go on without: a task, or room for the next piece of its reply. */
#define CAN_GO_ON (left == 0 -> len(requests) > 0 : len(replies) < RING)
#define NEXT      (left > 1 -> PIECE : (task == NOBODY -> SPECIAL : task))

/* A piece is in the ring, and who wants to know has been told. */
inline said()
{
    wish = AWAKE;
    left--;
    if
    :: left == 0 -> task = NOBODY
    :: left == 0 && specials > 0 -> task = NOBODY; specials--; left = 1
    :: else
    fi
}

/* It may be killed between any two of its steps. */
proctype Worker()
{
    byte task = NOBODY, left; /* pieces of what it has to say */
    mtype wish = AWAKE;
    {
        do
        :: atomic {
            left == 0 && len(requests) > 0 ->
            requests ? task;
            if
            :: place[task] == OFFERED -> place[task] = CLAIMED; left = PIECES
            :: else -> task = NOBODY /* it was taken back */
            fi
        }
        /* tail, then the flag: a look, an exchange, and what was wished for */
#ifdef flag_before_tail
        :: left > 0 && CAN_GO_ON -> wish = reply_flag; atomic {
            replies ! NEXT;
#else
        :: atomic { left > 0 && CAN_GO_ON -> replies ! NEXT } atomic {
            wish = reply_flag;
#endif
            if
            :: wish == AWAKE -> said()
            :: else
            fi
        }
            if
            :: wish != AWAKE ->
                atomic {
#ifndef flag_read_then_cleared
                    wish = reply_flag;
#endif
                    reply_flag = AWAKE;
                    rings = (wish == BELL)
                }
                atomic {
                    if
                    :: wish == BELL -> bell = true; rings = false
                    :: wish == FUTEX -> reader_asleep = false
                    :: else
                    fi;
                    said()
                }
            :: else
            fi
        /* It sleeps.  In a loop: it may have been woken for the other reason, or for none. */
        :: !CAN_GO_ON ->
            if
            :: left > 0 -> want_room = true
            :: else
            fi;
            request_flag = FUTEX;
            if
#ifdef worker_looks_then_raises
            :: left > 0 && CAN_GO_ON
#elif defined(worker_looks_for_room_first)
            :: left == 0 && CAN_GO_ON
#else
            :: CAN_GO_ON
#endif
            :: else ->
                atomic {
                    if
                    :: request_flag == FUTEX -> worker_asleep = true
                    :: else
                    fi
                }
end_asleep:
                !worker_asleep
            fi;
            request_flag = AWAKE
        od
    }
#if CRASHES
    unless { !alive }
#endif
}

/* ---- the host ---- */

#ifdef task_without_a_wish
#define RAISE skip
#elif defined(raises_after_the_task)
#define RAISE late = true
#else
#define RAISE reply_flag = BELL
#endif

/* tdm_slot_offer, also when a place has become free: under the lock.  After that, locked or not, the worker is woken.  A worker without a task
 * has nothing to say, so nobody need read, and the flag is lowered; who gives it one raises it first, unless its caller is about to read.  The
 * worker may change the flag meanwhile, for what it has said before, but does not look at the ring: so that is one step. */
inline hand_over(by)
{
    if
    :: !dead && in_hand < IN_HAND && len(queue) > 0 ->
        queue ? it;
        if
        :: reader == NOBODY && in_hand == 0 && by != NOBODY -> caller = by
        :: reader == NOBODY && !(in_hand == 0 && by != NOBODY) && reply_flag == AWAKE -> RAISE
        :: else
        fi;
        requests ! it;
        place[it] = OFFERED;
        in_hand++;
        it = 0;
        published = true
    :: else
    fi
}

inline wake_worker()
{
#ifdef raises_after_the_task
    if
    :: late -> late = false; reply_flag = BELL
    :: else
    fi;
#endif
    if
    :: published ->
        atomic {
            published = false;
            if
            :: request_flag != AWAKE ->
#ifndef task_leaves_the_flag
                request_flag = AWAKE;
#endif
                worker_asleep = false
            :: else
            fi
        }
    :: else
    fi
}

/* After head is stored: the worker sleeps on its flag, whatever for, so that is what must be lowered. */
inline make_room()
{
    atomic {
        if
#ifdef room_before_head
        :: wanted && len(replies) <= RING / 2 -> wanted = false; want_room = false; rung = true
#else
        :: want_room && len(replies) <= RING / 2 -> want_room = false; rung = true
#endif
        :: else
        fi
    }
    if
    :: rung ->
        atomic {
#ifndef room_leaves_the_flag
            request_flag = AWAKE;
#endif
            worker_asleep = false;
            rung = false
        }
    :: else
    fi
}

/* tdm_task_finish: the exchange of the word; its waiter wakes. */
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

/* The reader may sleep though the flag says AWAKE: the worker has lowered it and not woken anybody yet, or died before it did. */
inline kick()
{
    atomic {
        if
#ifdef kick_takes_back_the_bell
        :: reply_flag != AWAKE -> reply_flag = AWAKE; reader_asleep = false
#else
        :: reply_flag == FUTEX -> reply_flag = AWAKE; reader_asleep = false
#endif
#ifdef kick_trusts_the_flag
        :: else
#else
        :: else -> reader_asleep = false
#endif
        fi
    }
}

#define IN_WORKER(task)  (place[task] == OFFERED || place[task] == CLAIMED)
#define IS_REACTOR       (me == REACTOR)
#define MAY_RUN_OUT      (me < LIMITED)
#define CALLED           (CALLS && !MAY_RUN_OUT && len(queue) == 1)
#define FREE_FOR_ME      (reader == NOBODY && (IS_REACTOR || !owed))
#define MAY_SPEAK        (in_hand > 0 || SPECIALS > 0)
#define HAS_ENDED        (!IS_REACTOR && ended[me])
/* A whole reply alone in its ring: the worker is not waiting for room, and if it does when this is taken, that is taken out yet. */
#ifdef alone_in_a_full_ring
#define IS_ALONE (len(replies) == 1)
#else
#define IS_ALONE (len(replies) == 1 && RING > 1 && it < TASKS)
#endif
#define NOTHING_FROM_NOW (HAS_ENDED || timed)

/* A thread in tandem_wait, for the task of its number, or the reactor. */
proctype Thread(byte me)
{
    byte it, done;
    bool timed, published, special, rung, wanted, enough, late, alone;

    if
    :: IS_REACTOR -> goto reactor
    :: else
    fi;

    /* tandem_submit */
    atomic {
        if
        :: dead -> finish(me)
        :: else ->
            place[me] = QUEUED;
            queue ! me;
            if
            :: CALLED -> hand_over(me)
            :: else -> hand_over(NOBODY)
            fi
        fi
    }
    wake_worker();
#ifdef caller_stays_away
    if
    :: caller == me -> caller = NOBODY; ended[me]; goto over
    :: else
    fi;
#endif

wait: /* tdm_reading_take.  A right that the reactor is owed is not free.  A task still in the queue is in no worker's hands. */
    atomic {
        if
        :: caller == me -> caller = NOBODY
        :: else
        fi;
        if
        :: ended[me] -> goto over
        :: !ended[me] && IN_WORKER(me) && FREE_FOR_ME -> reader = me; goto holds
        :: !ended[me] && IN_WORKER(me) && !owed && reader < WAITERS && given[reader] -> /* who has not noticed: it waits on */
            waiting[reader] = true;
#ifndef taken_over_in_silence
            given[reader] = false;
#endif
            reader = me;
            goto holds
        :: else -> waiting[me] = true
        fi
    }
#ifdef given_beside_the_word
    if
    :: given[me] -> goto woken
    :: else
    fi;
    atomic {
        if
        :: !ended[me] && MAY_RUN_OUT -> timed = true
        :: !ended[me] -> parked[me] = true
        :: else
        fi
    }
#else
    atomic {
        if
        :: !ended[me] && !given[me] && MAY_RUN_OUT -> timed = true
        :: !ended[me] && !given[me] -> parked[me] = true
        :: else
        fi
    }
#endif
    !parked[me];

woken: /* It may have been handed the right in the very moment its time was over or its task ended. */
    atomic {
        waiting[me] = false;
        if
#ifdef leaves_with_the_right
        :: given[me] && timed -> given[me] = false; goto over
#else
        :: given[me] && NOTHING_FROM_NOW -> given[me] = false; goto let_go
#endif
        :: given[me] && !NOTHING_FROM_NOW -> given[me] = false; goto holds
        :: !given[me] && NOTHING_FROM_NOW -> goto over
        :: else
        fi
    }
    goto wait;

holds: /* the right */
    reply_flag = AWAKE;

reads:
#ifdef room_before_head
    wanted = want_room;
#endif
    atomic {
        if
        :: len(replies) == 0 ->
            if
            :: IS_REACTOR && dead && !judged -> goto judge
            :: IS_REACTOR && !(dead && !judged) -> goto let_go
            :: !IS_REACTOR && (NOTHING_FROM_NOW || dead) -> goto let_go
            :: else -> goto sleeps
            fi
        :: else ->
            replies ? <it>;
            if
            :: HAS_ENDED || (IS_REACTOR && !dead) -> it = 0; enough = true; goto let_go
            :: it == SPECIAL && !IS_REACTOR -> it = 0; special = true; goto let_go /* it stays where it is */
            :: it != SPECIAL || IS_REACTOR -> MUST(reader == me, two_read_at_once); alone = IS_ALONE; replies ? it
            fi
        fi
    }
    if
    :: alone -> alone = false
    :: else -> make_room()
    fi;
    if
    :: it == PIECE || it == SPECIAL -> it = 0
    :: else ->
        /* take_reply: the worker has its next task before this one's end is told. */
        atomic {
            MUST(place[it] == CLAIMED, honest_taken_for_broken);
            place[it] = GONE;
            in_hand--;
            done = it;
            it = 0;
            if
            :: in_hand > 0 -> skip /* that is much, and it gets several at once later */
            :: hand_over(NOBODY)
            fi
        }
        wake_worker();
        atomic {
            finish(done);
            done = 0;
            if
            :: NOTHING_FROM_NOW -> goto let_go
            :: else
            fi
        }
    fi;
    goto reads;

sleeps: /* who reads and is not the reactor */
#ifdef reader_looks_then_raises
    if
    :: len(replies) > 0 || HAS_ENDED || dead -> goto holds
    :: else
    fi;
    reply_flag = FUTEX;
#else
    reply_flag = FUTEX;
    if
#ifdef sleeps_though_its_task_ended
    :: len(replies) > 0 || dead -> goto holds
#elif defined(sleeps_though_the_worker_died)
    :: len(replies) > 0 || HAS_ENDED -> goto holds
#else
    :: len(replies) > 0 || HAS_ENDED || dead -> goto holds
#endif
    :: else
    fi;
#endif
    atomic {
        if
        :: reply_flag == FUTEX && MAY_RUN_OUT -> timed = true
        :: reply_flag == FUTEX -> reader_asleep = true
        :: else
        fi
    }
    !reader_asleep;
    goto holds;

let_go: /* tdm_reading_let_go: to the reactor, if there is something that only it may do; to somebody who waits; to nobody. */
    skip;
    atomic {
        if
        :: !IS_REACTOR && (owed || special) ->
            reader = NOBODY;
            owed = true;
            special = false;
            enough = false;
            goto post
        :: else ->
            do
            :: it < WAITERS && (it == me || !waiting[it] || !IN_WORKER(it)) -> it++
            :: it < WAITERS && it != me && waiting[it] && IN_WORKER(it) ->
                reader = it;
                given[it] = true;
                waiting[it] = false;
                parked[it] = false;
                it = 0;
                enough = false;
                goto gone
            :: it == WAITERS -> it = 0; break
            od;
            reader = NOBODY;
            if
            :: enough || in_hand > 0 -> /* the second: brief tasks, who waits for one will wait for the next */
                enough = false;
#ifndef has_enough_and_tells_nobody
                unlooked = true;
#endif
                goto gone
            :: !enough
            fi;
#ifndef arms_after_freeing
            if
            :: MAY_SPEAK -> reply_flag = BELL
            :: else
            fi
#endif
        fi
    }
#ifdef arms_after_freeing
    if
    :: MAY_SPEAK -> reply_flag = BELL
    :: else
    fi;
#endif
#ifndef never_looks_again
    /* A reply that came before the flag said BELL has rung nowhere. */
    if
    :: len(replies) > 0 || (IS_REACTOR && dead && !judged) ->
        atomic {
            if
            :: FREE_FOR_ME -> reader = me; goto holds
            :: else
            fi
        }
    :: else
    fi;
#endif
    goto gone;

post:
#ifndef leaves_it_and_tells_nobody
    posted = true;
#endif

gone:
    if
    :: IS_REACTOR -> goto reactor
    :: !IS_REACTOR && timed -> goto over
    :: else -> goto wait
    fi;

    /* ---- the reactor only ---- */

reactor:
end_reactor:
    do
#ifdef bell_emptied_late
    :: bell -> goto try
#else
    :: atomic { bell -> bell = false; comes = true }
       goto try
#endif
    :: atomic { unlooked -> unlooked = false; comes = true }
       goto try
    :: atomic { posted -> posted = false; comes = true }
       goto insist
    :: atomic { told_of_death -> told_of_death = false; comes = true }
       goto bury
    od;

try: /* If somebody reads, then that one has been told, or sees it. */
    atomic {
        comes = false;
        if
        :: FREE_FOR_ME -> reader = me; owed = false; goto holds
        :: else
        fi
    }
#ifdef bell_emptied_late
    bell = false;
#endif
    goto reactor;

insist: /* Who lets go posts it again. */
    atomic {
        comes = false;
        if
        :: FREE_FOR_ME -> reader = me; owed = false; goto holds
#ifdef reactor_asks_once
        :: else
#else
        :: else -> owed = true
#endif
        fi
    }
    goto reactor;

bury: /* No more offers.  The reader lets go. */
    atomic {
        comes = false;
        dead = true;
        if
        :: FREE_FOR_ME -> reader = me; owed = false; goto holds
#ifdef reactor_asks_once
        :: else
#else
        :: else -> owed = true
#endif
        fi
    }
#ifndef death_wakes_nobody
    kick();
#endif
    goto reactor;

judge: /* all that it has published is read */
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

over: /* It may come by once more. */
    atomic {
        if
        :: HAS_ENDED && FREE_FOR_ME && len(replies) > 0 -> reader = me; goto holds
        :: skip
        fi
    }
}

/* What befalls them. */
proctype Outside()
{
    byte it, taken;
    bool published, late;
end_outside:
    do
    /* tdm_slot_stop, of a task that is not begun; another thread is first to end it */
    :: atomic {
            cancels > 0 ->
            cancels--;
            do
            :: taken + 1 < TASKS -> taken++
            :: break
            od;
            if
            :: place[taken] == QUEUED -> queue ?? eval(taken); place[taken] = GONE
            :: place[taken] == OFFERED -> place[taken] = GONE; in_hand--; hand_over(NOBODY)
            :: else -> taken = NOBODY
            fi
        }
        wake_worker();
        if
        :: taken != NOBODY ->
#ifdef kicks_before_the_end
            kick();
            atomic { finish(taken) }
#else
            atomic { finish(taken) }
#ifndef cancel_wakes_nobody
            kick()
#endif
#endif
        :: else
        fi;
        taken = 0
    :: atomic { crashes > 0 -> crashes--; alive = false }
       told_of_death = true /* report_ends */
    od
}

init
{
    byte i, it;
    bool published, late;
    atomic {
        for (i : 0 .. TASKS - 1) {
            place[i] = NEW
        }
        for (i : WAITERS .. TASKS - 1) {
            place[i] = QUEUED;
            queue ! i;
            hand_over(NOBODY)
        }
        published = false;
        i = 0;
        for (i : 0 .. WAITERS) {
            run Thread(i)
        }
        i = 0;
        run Worker();
        /* Settled before it begins: who waits for ever must not be saved by a crash or a cancel that is still to come. */
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
        MUST(still_open == 0 && len(replies) == 0 && !reader_asleep, somebody_waits_for_ever);
        MUST(reader == NOBODY, right_left_behind);
        MUST(reply_flag == BELL || SPECIALS == 0, not_armed);
        break
    }
    od
}
