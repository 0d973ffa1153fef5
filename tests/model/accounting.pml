/* accounting.pml - who has a task on its way through a worker that may die or be stopped at any step: a model for the checker spin.
 *
 * spin tries every order in which the steps below can follow each other, and says if one of them breaks a promise.  By hand,
 * instead of by check.sh:
 *
 *   spin -a -DWORKERS=1 accounting.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m100000
 *
 * and where that needs too much memory, -DBITSTATE in place of -DCOLLAPSE, and `./pan -m100000 -w34 -k3`: it tries all that it can
 * tell apart in 2 GB.  The bounds, further down, are set by -D.  After an error `spin -t -p -g`, with the same -D, shows the way
 * there.
 *
 * How to read it.  A `do` or `if` takes any of its `::` lines whose condition, the part before `->`, holds; if several hold, each
 * is tried; if none does, it waits.  What stands in one `atomic` happens at once; between two of them anybody else may do anything.
 * One is a single look at, or change of, what host and worker share, and what goes with it that only its own side can see.  `x ! a`
 * puts into a pipe, `x ? a` takes out.  An `inline` is a macro: its w, me, i and k are those of the process that uses it.
 *
 * What is mirrored where:
 *   Slot    process/slot.c          tdm_slot_offer (hand_over, hand_over_shortly), tdm_slot_stop (cancel, time_out, doubt),
 *                                   tdm_slot_revoke_all, tdm_slot_look, tdm_slot_take_newest, put_back_all
 *           process/replies.c       take_reply, take_replies (answers); slot_reactor.c: bury_now, judge
 *           process/slot_inside.h   tdm_slot_drop; process_lane.c: tdm_process_lane_put_back; verdict.c: tdm_verdict
 *   Worker  child/process_worker.c  take, run, reply; leave
 *           child/guard.c           kill_worker, report_ends
 *   words   job/control.h           tdm_control_move, tdm_control_is
 * A slot's lock makes serial what the host does to one worker, so there is one process Slot for each.  Memory is taken to be
 * sequentially consistent: the words are, and a pipe is a system call.  A frame is in its pipe whole or not at all: nobody acts on
 * a part of one.
 * Not here: starting, a worker that breaks the protocol, one that cannot be killed, a guard's death, tasks that may run again.
 *
 * Mutants, each a mistake that is easily made, and what it does.  With one of these as -D spin must find an error:
 *   stalls_after_any_lost_finish   a worker whose FINISHED fails waits for its death, also if the host has only moved on: it hangs
 *   goes_on_after_a_lost_finish    or never does, also if it is to be killed: the kill hits its next task
 *   finishes_before_it_replies     FINISHED before the reply: a worker that is stopped in between is taken for broken
 *   judges_by_the_word_alone       an entry lasts until its word is FINISHED: a worker that dies just before ends its task twice
 *   judges_before_it_reads         the verdict, and then the replies: blames a task that was done
 *   kills_without_the_word         looks for CLAIMED and kills, with no KILLING: hits the next task
 *   deadline_knows_claimed_only    nothing is done about a task that its worker does not claim: it waits for ever
 *   deadline_kills_what_is_begun   finds a task OFFERED, then claimed, and kills without trying KILLING again: hits the next
 *   kills_with_the_oldest_revoked  takes the oldest task from an unresponsive worker and kills it: hits the next one
 *   kills_though_not_all_revoked   kills it even if revoking shows that it has claimed one: hits that
 *   offers_to_the_dying            a worker that is to be killed gets another task: hits that
 *   frame_before_the_word          the frame is in the pipe before the word is OFFERED: the worker skips it
 *   words_without_sequence         the frame of a task that was taken back claims the next one
 *   two_workers_one_channel        a start is asked for twice with the same pipes, two processes are behind one slot: wrong blame
 *   counts_the_retired             a worker that left of its own accord counts as one that its next task may have killed
 *   counts_all_that_is_revoked     so does one that did not begin the task before
 */

/* ---- bounds ---- */

#ifndef WORKERS /* 1 or 2 */
#define WORKERS 2
#endif
#ifndef TASKS
#define TASKS 3
#endif
#ifndef IN_HAND /* TDM_IN_HAND: tasks handed to one worker at a time */
#define IN_HAND 2
#endif
#ifndef CRASHES /* so often, in all, may a worker die by itself, */
#define CRASHES 2
#endif
#ifndef RETIRES /* leave with nothing begun, */
#define RETIRES 0
#endif
#ifndef STOPS /* be stopped, for a time or for good; */
#define STOPS 1
#endif
#ifndef CANCELS /* and a task be cancelled, */
#define CANCELS 1
#endif
#ifndef DEADLINES /* be late, */
#define DEADLINES 1
#endif
#ifndef STEALS /* be taken back for a worker that has none. */
#define STEALS 1
#endif
#ifndef DEATHS_MOST /* as in slot_reactor.c */
#define DEATHS_MOST 3
#endif

/* The frame of a task that was taken back stays in the pipe. */
#define FRAMES (IN_HAND + CANCELS + STEALS + DEADLINES * (IN_HAND - 1))

/* ---- promises: nothing of this may ever happen ---- */

bool ended_twice;              /* a task */
bool entered_twice;            /* a task's function */
bool entered_after_its_end;    /* its input may be gone by then */
bool put_back_though_entered;  /* into the queue: it would run again */
bool crashed_by_our_own_kill;  /* a task is CRASHED only if its worker died by itself */
bool crashed_though_elsewhere; /* with that task in its hands, */
bool crashed_without_cause;    /* or if it was the next of so many that died, or did not begin it */
bool honest_taken_for_broken;  /* what the host saw only a broken worker can do, so it thinks */
bool awake_taken_for_stuck;    /* a worker with something to do just does not do it */
bool deadline_in_vain;         /* a worker is stopped for good, a task's time is over, and nothing comes of it */
bool entry_without_task;       /* all tasks have ended, and one is still in a slot */

/* And: nobody waits for ever, while a task has not ended.  That spin sees by itself: an invalid end state. */

#define MUST(condition, otherwise) \
    if \
    :: (condition) \
    :: else -> otherwise = true; assert(!otherwise) \
    fi

/* ---- what there is ---- */

mtype = { FREE, OFFERED, CLAIMED, FINISHED, REVOKED, KILLING } /* a word */
mtype = { READY, DYING, LEAVING }                              /* a slot */
mtype = { AWAKE, STOPPED, STOPPED_FOR_GOOD, DEAD, REPORTED }   /* a worker's process */
mtype = { BY_ITSELF, RETIRED, BY_US }                          /* why it is dead */
mtype = { TAKES, RUNS, REPLIES, FINISHES, STALLS }             /* what it does next */
mtype = { NONE, OK, CRASHED, CANCELLED, TIMED_OUT }            /* how a task ended, or will end */
mtype = { LOOKS, LATE, CERTAINLY_LATE }                        /* why tasks are taken back */

typedef word_t { mtype state; byte sequence }
typedef page_t { word_t word[IN_HAND] }
typedef entry_t { byte task, word, sequence; mtype decided }

/* Shared by host and worker: the page with its words, and two pipes. */
page_t page[WORKERS]
chan requests[WORKERS] = [FRAMES] of { byte, byte, byte } /* sequence, task, which word */
chan replies[WORKERS] = [IN_HAND] of { byte }             /* sequence */

/* The host's: what it has handed over and not seen the end of, oldest first. */
typedef slot_t {
    mtype state;
    byte open; /* entries in use */
    entry_t entry[IN_HAND];
    bool suspect;  /* the oldest task's word says that it has finished, when its reply was due */
    byte sequence; /* of the last task handed over */
    byte pulled    /* of a reply that the reactor has read, and not yet taken the lock for; 0: none */
}
slot_t slot[WORKERS]
chan queue = [TASKS] of { byte } /* in order of submission */
byte deaths[TASKS]
mtype ended[TASKS]
byte still_open = TASKS

/* The truth, which the host does not see. */
typedef worker_t { mtype life, cause, next; byte task, word, sequence }
worker_t worker[WORKERS + 1]
bool entered[TASKS]
byte lost[TASKS] /* workers that have died, or been given up, with this task next */
byte crashes = CRASHES, retires = RETIRES, stops = STOPS, cancels = CANCELS, deadlines = DEADLINES, steals = STEALS

#define TWIN   WORKERS /* the process too many of one mutant */
#define NOBODY 255

/* ---- the words: job/control.c ---- */

#define WORD(w, k) page[w].word[k]
#ifdef words_without_sequence
#define IS(w, k, s, it) (WORD(w, k).state == it)
#else
#define IS(w, k, s, it) (WORD(w, k).state == it && WORD(w, k).sequence == s)
#endif

/* tdm_control_move.  It begins a `::` line, which is taken if this call moved it. */
#define MOVE(w, k, s, from, to) IS(w, k, s, from) -> WORD(w, k).state = to

/* ---- the worker ---- */

#define ME       worker[me]
#define ALIVE    (ME.life == AWAKE || ME.life == STOPPED || ME.life == STOPPED_FOR_GOOD)
#define WILL(it) (ME.life == AWAKE && ME.next == it)

inline forget() { ME.next = TAKES; ME.task = NOBODY; ME.word = 0; ME.sequence = 0 }

/* What it had claimed and not replied to stays to be seen. */
inline die(why)
{
    ME.life = DEAD;
    ME.cause = why;
    if
    :: ME.next == RUNS || ME.next == REPLIES -> ME.next = TAKES; ME.word = 0; ME.sequence = 0
    :: else -> forget()
    fi
}

/* Each line is one step. */
proctype Worker(byte me, w)
{
end_idle: /* may wait here for ever */
    do
    /* take: it claims on the header.  If it cannot, the task was taken back, and the frame is skipped. */
    :: atomic {
        WILL(TAKES) && nempty(requests[w]) ->
        requests[w] ? ME.sequence, ME.task, ME.word;
        if
        :: MOVE(w, ME.word, ME.sequence, OFFERED, CLAIMED); ME.next = RUNS
        :: else -> forget()
        fi
    }
    /* run */
    :: atomic {
        WILL(RUNS) ->
        MUST(ended[ME.task] == NONE, entered_after_its_end);
        MUST(!entered[ME.task], entered_twice);
        entered[ME.task] = true;
#ifdef finishes_before_it_replies
        ME.next = FINISHES
#else
        ME.next = REPLIES
#endif
    }
    /* reply */
    :: atomic {
        WILL(REPLIES) && nfull(replies[w]) ->
        replies[w] ! ME.sequence;
#ifdef finishes_before_it_replies
        forget()
#else
        ME.next = FINISHES
#endif
    }
    /* take, its end.  If it cannot because of KILLING it touches nothing more.  If it cannot otherwise, the host has read the reply
     * and the word is the next task's.  The look after the move is no step of its own: KILLING does not come or go between. */
    :: atomic {
        WILL(FINISHES) ->
        if
#ifdef finishes_before_it_replies
        :: MOVE(w, ME.word, ME.sequence, CLAIMED, FINISHED); ME.next = REPLIES
#else
        :: MOVE(w, ME.word, ME.sequence, CLAIMED, FINISHED); forget()
#endif
#if defined(goes_on_after_a_lost_finish)
        :: else -> forget()
#elif defined(stalls_after_any_lost_finish)
        :: else -> ME.next = STALLS
#else
        :: IS(w, ME.word, ME.sequence, KILLING) -> die(BY_US)
        :: else -> forget()
#endif
        fi
    }
    /* leave: the last task has left a child, or so */
    :: atomic { retires > 0 && WILL(TAKES) -> retires--; die(RETIRED) }

    /* What befalls it at any of these steps; a twin is left alone. */
    :: atomic { crashes > 0 && ALIVE && me != TWIN -> crashes--; die(BY_ITSELF) }
    :: atomic { stops > 0 && ME.life == AWAKE && me != TWIN -> stops--; ME.life = STOPPED }
    :: atomic { stops > 0 && ME.life == AWAKE && me != TWIN -> stops--; ME.life = STOPPED_FOR_GOOD }
    :: ME.life == STOPPED -> ME.life = AWAKE
    /* kill_worker: the host has asked for it */
    :: atomic { slot[w].state == DYING && ALIVE && me != TWIN -> die(BY_US) }
    /* report_ends */
    :: ME.life == DEAD && me != TWIN -> ME.life = REPORTED
    od
}

/* ---- the host ---- */

#define SLOT                    slot[w]
#define ENTRY(i)                slot[w].entry[i]
#define OLDEST                  ENTRY(0)
#define NEWEST                  ENTRY(SLOT.open - 1)
#define ENTRY_IS(i, it)         IS(w, ENTRY(i).word, ENTRY(i).sequence, it)
#define MOVE_ENTRY(i, from, to) MOVE(w, ENTRY(i).word, ENTRY(i).sequence, from, to)

/* At the end of what is done under a slot's lock. */
#define UNLOCK i = 0; why = 0; goto unlocked

/* tdm_task_finish */
inline finish(it, how)
{
    MUST(ended[it] == NONE, ended_twice);
    ended[it] = how;
    still_open--
}

/* tdm_slot_drop: the entry is free.  Here, what is newer moves up. */
inline drop(i)
{
    k = i;
    do
    :: k + 1 < SLOT.open ->
        ENTRY(k).task = ENTRY(k + 1).task; ENTRY(k).word = ENTRY(k + 1).word; ENTRY(k).sequence = ENTRY(k + 1).sequence;
        ENTRY(k).decided = ENTRY(k + 1).decided;
        k++
    :: else -> break
    od;
    ENTRY(k).task = 0; ENTRY(k).word = 0; ENTRY(k).sequence = 0; ENTRY(k).decided = NONE;
    k = 0;
    SLOT.open--;
    if
    :: i == 0 -> SLOT.suspect = false
    :: else
    fi
}

/* tdm_process_lane_put_back: to its old place in the queue */
inline put_back(it)
{
    MUST(!entered[it], put_back_though_entered);
    queue !! it
}

/* Or it ends, if it was the next of too many workers that died, or did not begin it. */
inline put_back_or_crash(it)
{
    if
    :: deaths[it] < DEATHS_MOST -> put_back(it)
    :: else ->
        MUST(lost[it] == DEATHS_MOST, crashed_without_cause);
        finish(it, CRASHED)
    fi
}

/* hand_over, the host's own part: the queue's first task gets the lowest word that no open entry has, be it just out of use. */
inline fill_entry()
{
    do
    :: i < SLOT.open && ENTRY(i).word == k -> k++; i = 0
    :: i < SLOT.open && ENTRY(i).word != k -> i++
    :: i == SLOT.open -> break
    od;
    SLOT.sequence++;
    queue ? ENTRY(i).task;
    ENTRY(i).word = k;
    ENTRY(i).sequence = SLOT.sequence;
    SLOT.open++; /* suspect is false: it was never set, or ended with the entry before */
    i = 0;
    k = 0
}

inline store_word() { WORD(w, NEWEST.word).state = OFFERED; WORD(w, NEWEST.word).sequence = NEWEST.sequence }
inline send_frame() { requests[w] ! NEWEST.sequence, NEWEST.task, NEWEST.word }

/* decide, if the task was claimed: its end comes with the worker's. */
inline kill_claimed(how)
{
    atomic {
        if
#ifdef kills_without_the_word
        :: ENTRY_IS(i, CLAIMED) ->
#else
        :: MOVE_ENTRY(i, CLAIMED, KILLING);
#endif
            ENTRY(i).decided = how;
            SLOT.state = DYING;
            UNLOCK
        :: else
        fi
    }
}

/* doubt: it must have finished, or its worker is broken.  The reply is in the pipe, and will be read; if not by the next time, the
 * worker is broken, too. */
inline doubt()
{
    if
    :: ENTRY_IS(i, FINISHED) -> SLOT.suspect = true
#ifdef deadline_kills_what_is_begun
    :: else -> ENTRY(i).decided = TIMED_OUT; SLOT.state = DYING
#else
    :: else -> MUST(false, honest_taken_for_broken)
#endif
    fi
}

/* take_reply, under the lock.  The entry is free before the task ends. */
inline take_reply()
{
    if
    :: SLOT.open > 0 && OLDEST.decided != NONE /* that stands; what comes now is dropped */
    :: else ->
        /* answers */
        MUST(SLOT.open > 0 && OLDEST.sequence == SLOT.pulled && (ENTRY_IS(0, CLAIMED) || ENTRY_IS(0, FINISHED)),
             honest_taken_for_broken);
        finish(OLDEST.task, OK);
#ifndef judges_by_the_word_alone
        drop(0)
#endif
    fi;
    SLOT.pulled = 0
}

#ifdef counts_the_retired
#define COUNTS true
#else
#define COUNTS (worker[w].cause != RETIRED)
#endif

/* judge: each open entry, in order; i counts them. */
inline judge()
{
    do
    :: SLOT.open > 0 ->
        if
        /* We have decided it ourselves: its worker's death is then only the consequence. */
        :: OLDEST.decided != NONE -> finish(OLDEST.task, OLDEST.decided)
        /* It was not begun, so it goes back. */
        :: OLDEST.decided == NONE && ENTRY_IS(0, OFFERED) ->
            if
            :: i == 0 && worker[w].cause == BY_ITSELF -> lost[OLDEST.task]++
            :: else
            fi;
            if
            :: i == 0 && COUNTS -> deaths[OLDEST.task]++
            :: else
            fi;
            put_back_or_crash(OLDEST.task)
        :: else ->
            MUST(worker[w].cause == BY_ITSELF, crashed_by_our_own_kill);
            MUST(worker[w].task == OLDEST.task, crashed_though_elsewhere);
            finish(OLDEST.task, CRASHED)
        fi;
        drop(0);
        i++
    :: else -> break
    od;
    i = 0
}

/* Another worker behind this slot has pipes, a page and a number of its own. */
inline start_another()
{
    do
    :: nempty(requests[w]) -> requests[w] ? _, _, _
    :: nempty(replies[w]) -> replies[w] ? _
    :: empty(requests[w]) && empty(replies[w]) -> break
    od;
    do
    :: i < IN_HAND -> WORD(w, i).state = FREE; WORD(w, i).sequence = 0; i++
    :: else -> break
    od;
    i = 0;
    SLOT.state = READY;
    SLOT.sequence = 0;
    worker[w].life = AWAKE; worker[w].cause = BY_ITSELF; worker[w].task = NOBODY;
#ifdef two_workers_one_channel
    if
    :: w == 0 -> worker[TWIN].life = DEAD /* the pipes were its own, too */
    :: else
    fi
#endif
}

/* All that has come is read. */
#define READ_EMPTY (empty(replies[w]) && SLOT.pulled == 0)

/* What the host's threads do to one worker.  Each line, with the part that it goes to, is done under the slot's lock: it is over
 * before the next one begins. */
proctype Slot(byte w)
{
    byte i, k;
    mtype why;

unlocked:
    skip; /* spin does not let others in where a goto leads from one atomic right into another */
    do
#ifdef judges_by_the_word_alone
    :: atomic { SLOT.open > 0 && ENTRY_IS(0, FINISHED) && ended[OLDEST.task] != NONE -> drop(0) }
    :: still_open == 0 && SLOT.open == 0 -> goto over
#else
    :: atomic { still_open == 0 -> MUST(SLOT.open == 0, entry_without_task); goto over }
#endif

    /* tdm_slot_offer: the word, then the frame */
#if defined(offers_to_the_dying)
    :: atomic { SLOT.state != LEAVING && SLOT.open < IN_HAND && nempty(queue) && nfull(requests[w]) -> fill_entry(); store_word() }
       send_frame()
#elif defined(frame_before_the_word)
    :: atomic { SLOT.state == READY && SLOT.open < IN_HAND && nempty(queue) -> fill_entry(); send_frame() }
       store_word()
#else
    :: atomic { SLOT.state == READY && SLOT.open < IN_HAND && nempty(queue) -> fill_entry(); store_word() }
       send_frame()
#endif

    /* The reactor reads a reply, and only then takes the lock: another thread may have had it in between. */
    :: atomic { SLOT.pulled == 0 && nempty(replies[w]) -> replies[w] ? SLOT.pulled }
    :: atomic { SLOT.pulled != 0 -> take_reply() }

    /* tdm_slot_stop, for a cancel: of any task in hand.  Or one in the queue is cancelled. */
    :: atomic {
        cancels > 0 && SLOT.open > 0 ->
        cancels--;
        do
        :: i + 1 < SLOT.open -> i++
        :: break
        od
    }
       goto cancel
    :: atomic { cancels > 0 && nempty(queue) -> cancels--; queue ? i; finish(i, CANCELLED); i = 0 }

    /* The same for a deadline, of the oldest task, when all replies are read: one that comes early, and one that comes for certain,
     * which is when nothing else can happen any more. */
    :: atomic { deadlines > 0 && SLOT.open > 0 && SLOT.state == READY && READ_EMPTY -> deadlines--; why = LATE }
       goto late
    :: atomic {
        timeout && SLOT.open > 0 && SLOT.state == READY && READ_EMPTY ->
        MUST(worker[w].life == STOPPED_FOR_GOOD, awake_taken_for_stuck);
        why = CERTAINLY_LATE
    }
       goto late
    /* It had finished when it was looked at, long ago; all is read, and its reply is not there. */
    :: atomic { SLOT.suspect && READ_EMPTY -> MUST(false, honest_taken_for_broken) }
    /* tdm_slot_look: nothing was begun for some time. */
    :: atomic { deadlines > 0 && SLOT.open > 0 && SLOT.state == READY && ENTRY_IS(0, OFFERED) -> deadlines--; why = LOOKS }
       goto stuck

#if WORKERS == 2
    /* tdm_slot_take_newest, for the other worker, which has nothing */
    :: atomic { steals > 0 && SLOT.state == READY && SLOT.open > 1 && slot[1 - w].open == 0 -> steals-- }
       atomic {
        if
        :: MOVE_ENTRY(SLOT.open - 1, OFFERED, REVOKED); put_back(NEWEST.task); drop(SLOT.open - 1)
        :: else
        fi
       }
#endif

    /* bury: no more offers; then what it has replied; then the verdicts; then the grave. */
    :: atomic { worker[w].life == REPORTED && SLOT.state != LEAVING -> SLOT.state = LEAVING }
#ifdef judges_before_it_reads
    :: atomic { SLOT.state == LEAVING && SLOT.pulled == 0 -> judge(); start_another() }
#else
    :: atomic { SLOT.state == LEAVING && READ_EMPTY -> judge(); start_another() }
#endif
    od;

cancel: /* taken back, it is ours and ends at once */
    atomic {
        if
        :: ENTRY(i).decided != NONE -> UNLOCK
        :: ENTRY(i).decided == NONE && ENTRY_IS(i, OFFERED) ->
            WORD(w, ENTRY(i).word).state = REVOKED;
            finish(ENTRY(i).task, CANCELLED);
            drop(i);
            UNLOCK
        :: else
        fi
    }
    kill_claimed(CANCELLED);
    atomic { doubt(); UNLOCK }

late: /* time_out.  One that has not begun has not run: its time begins anew.  Whether it ever will is tdm_slot_look's to find out; what comes
       * for certain stands for both. */
#ifndef deadline_kills_what_is_begun
    atomic {
        if
        :: why == LATE && ENTRY_IS(0, OFFERED) -> UNLOCK
        :: else
        fi
    }
#endif
    kill_claimed(TIMED_OUT);
    if
#ifndef deadline_knows_claimed_only
    :: ENTRY_IS(0, OFFERED) -> goto stuck
#endif
    :: else
    fi;

begun: /* it has finished, or been claimed just now */
#ifndef deadline_kills_what_is_begun
    kill_claimed(TIMED_OUT);
#endif
    atomic {
#ifdef deadline_knows_claimed_only
        MUST(why != CERTAINLY_LATE, deadline_in_vain);
        if
        :: ENTRY_IS(0, OFFERED) -> UNLOCK
        :: else
        fi;
#endif
        doubt();
        UNLOCK
    }

stuck: /* tdm_slot_revoke_all: newest first, lest it claim one of them meanwhile.  It is killed only if there is nothing left for
        * the kill to hit.  The oldest was its next, and may be why it hangs.  What put_back_all does later is done here. */
    skip;
    atomic {
        if
#ifdef kills_with_the_oldest_revoked
        :: MOVE_ENTRY(0, OFFERED, REVOKED); put_back(OLDEST.task); drop(0); SLOT.state = DYING; UNLOCK
#else
        :: MOVE_ENTRY(SLOT.open - 1, OFFERED, REVOKED);
            if
            :: SLOT.open == 1 -> lost[OLDEST.task]++; deaths[OLDEST.task]++
#ifdef counts_all_that_is_revoked
            :: else -> deaths[NEWEST.task]++
#else
            :: else
#endif
            fi;
            put_back_or_crash(NEWEST.task);
            drop(SLOT.open - 1);
            if
            :: SLOT.open == 0 -> SLOT.state = DYING; UNLOCK
            :: else -> goto stuck
            fi
#endif
#ifdef kills_though_not_all_revoked
        :: else -> SLOT.state = DYING; UNLOCK
#else
        :: else -> MUST(why != CERTAINLY_LATE, deadline_in_vain) /* it works on, and has claimed one */
#endif
        fi
    }
    if
    :: why == LOOKS -> atomic {
        if
        :: ENTRY_IS(0, FINISHED) -> SLOT.suspect = true
        :: else
        fi;
        UNLOCK
    }
    :: else -> goto begun
    fi;

over:
}

init
{
    byte i, k;
    atomic {
        for (i : 0 .. TASKS - 1) {
            ended[i] = NONE;
            queue ! i
        }
        for (i : 0 .. WORKERS - 1) {
            slot[i].state = READY;
            for (k : 0 .. IN_HAND - 1) {
                page[i].word[k].state = FREE;
                slot[i].entry[k].decided = NONE
            }
        }
        for (i : 0 .. WORKERS) {
            worker[i].life = AWAKE; worker[i].cause = BY_ITSELF; worker[i].next = TAKES; worker[i].task = NOBODY
        }
#ifdef AT_A_TIME /* of what may befall a worker or a task only so many kinds; in turn any */
        crashes = 0; retires = 0; stops = 0; cancels = 0; deadlines = 0; steals = 0;
        for (i : 1 .. AT_A_TIME) {
            if
            :: crashes = CRASHES
            :: retires = RETIRES
            :: stops = STOPS
            :: cancels = CANCELS
            :: deadlines = DEADLINES
            :: steals = STEALS
            fi
        }
#endif
        i = 0;
        k = 0;
        run Slot(0);
        run Worker(0, 0);
#if WORKERS == 2
        run Slot(1);
        run Worker(1, 1);
#endif
#ifdef two_workers_one_channel
        run Worker(TWIN, 0)
#endif
    }
}
