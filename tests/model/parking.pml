/* parking.pml - workers that sleep when there is nothing to do, and who calls them: a model for the checker spin.
 *
 * How to use and to read it stands at the head of accounting.pml; here it is
 *
 *   spin -a parking.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m100000
 *
 * Submitters bring tasks, each waits for the end of all; workers take one at a time, look out or sleep when there is none.  A task may
 * take for ever but for the end of another: so one worker alone does not do, and each has to be called for what the others leave.  Who finds
 * none may take a branch of a task's instead, which lasts as long.  Some have no thread at first, and lie with those that sleep; one that
 * sleeps may end, so often in all, but for the last.  Who takes may take two at once, and have one in his hand, where others find it.  A start may
 * fail, so often in all; then none is tried for a while, and the reactor tries again.
 *
 * What is mirrored where: the words threads/injector.h (how many are in each, and CALL), what is asked of all of them threads/shards.c; Worker threads/thread_queue.c (take_or_sleep, leave_to_others, choose_helper,
 * tdm_thread_queue_next); choose, lie_down, awake, watched threads/parking.c; beginning and ending threads/thread_life.c (tdm_life_choose, begin,
 * tdm_life_arrived, tdm_life_end); Reactor threads/owed.c; Submitter threads/thread_lane.c (submit).  LOOK is set and seen as a task is that comes in; it is not here, nor is pointed_out,
 * without which a branch is only found later.
 *
 * Mutants.  With one of these as -D spin must find an error:
 *   lies_down_and_asks_nobody   nobody is on the way, and who lies down does not set CALL
 *   asks_the_first_only         it sets CALL in one part of the queue, and something comes into the other
 *   asks_without_looking        it sets CALL though something has come in meanwhile
 *   leaves_and_calls_nobody     who takes one of several does not call the next
 *   takes_the_last_and_asks_nobody  who takes the last does not set CALL though others sleep
 *   called_stays_on_the_way     who was called never says that it has arrived
 *   watcher_arrives_silently    nor does who has looked out
 *   begins_silently             nor does one whose thread was started
 *   ends_and_looks_no_more      who has ended and lies there again, for another thread, does not look at what has come meanwhile
 *   ends_though_chosen          whose time is over ends though somebody has chosen it
 *   forgets_what_is_in_hands    who takes two looks only whether the queue is empty
 *   owes_and_tells_nobody    a start has failed, and the reactor is not told
 *   fails_on_the_way         nor is it said that nobody is on the way after all
 *   steals_and_asks_nobody      who takes a branch, with which he may be long, does not set CALL though others sleep
 */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef TASKS
#define TASKS 2
#endif

#ifndef BRANCHES
#define BRANCHES 0
#endif

#ifndef THREADS
#define THREADS WORKERS /* at first */
#endif
#ifndef ENDS
#define ENDS 0
#endif
#ifndef HANDS
#define HANDS 0 /* 1: tasks are taken two at once */
#endif
#ifndef FAILS
#define FAILS 0
#endif
#ifndef SHARDS
#define SHARDS 1 /* or 2: each submitter has its own */
#endif
#define LAST (SHARDS - 1)
#if SHARDS > 1
#define LOOK
#else
#define LOOK atomic /* one look, which takes fewer states */
#endif

byte branches = BRANCHES;
byte ends = ENDS;
byte fails = FAILS;
byte untold; /* starts that have failed, of which the reactor has not been told yet */
bool owed;   /* it has been told of one since it last looked */
bool rests;  /* none is started now */
byte alive = THREADS;
byte queued[SHARDS]; /* tasks in the injectors */
bool call[SHARDS];   /* their bits */
bool locked;
bool on_the_way;
bool idle[WORKERS], called[WORKERS], absent[WORKERS], started[WORKERS];
byte asleep;  /* how many lie in the list */
bool hand[WORKERS], in_hands;
byte begun;

#define NOBODY WORKERS

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

/* With the lock held. */
inline choose(whom)
{
    whom = NOBODY;
    if
    :: !on_the_way && asleep > 0 ->
        if /* the latest that has a thread; which one that is does not matter */
        :: idle[0] && !absent[0] -> whom = 0
        :: WORKERS > 1 && idle[WORKERS - 1] && !absent[WORKERS - 1] -> whom = WORKERS - 1
        :: WORKERS > 2 && idle[1] && !absent[1] -> whom = 1
        :: else ->
            if
            :: rests -> call[0] = true; call[LAST] = true
            :: !rests && idle[0] -> whom = 0; alive++
            :: !rests && WORKERS > 1 && idle[WORKERS - 1] -> whom = WORKERS - 1; alive++
            :: !rests && WORKERS > 2 && idle[1] -> whom = 1; alive++
            fi
        fi;
        if
        :: whom != NOBODY ->
            idle[whom] = false;
            asleep--;
            on_the_way = true
        :: else
        fi
    :: else
    fi
}

/* By a step that fails if something is there. */
inline ask_one(asked, part)
{
    atomic {
#ifdef asks_without_looking
        call[part] = true;
        asked = true
#else
        if
        :: queued[part] == 0 -> call[part] = true; asked = true
        :: else -> asked = false
        fi
#endif
    }
}

inline ask_for_call(asked)
{
    ask_one(asked, 0);
#ifndef asks_the_first_only
    if
    :: asked && SHARDS > 1 -> ask_one(asked, LAST)
    :: else
    fi
#endif
}

/* With the lock held, one or two out of that part. */
inline take_from(part)
{
    atomic {
        if
        :: queued[part] > HANDS && HANDS > 0 ->
            queued[part] = queued[part] - 2;
            took = true;
            hand[me] = true;
            in_hands = true
        :: queued[part] > 0 && !(queued[part] > HANDS && HANDS > 0) ->
            queued[part]--;
            took = true
        :: else
        fi;
#ifndef takes_the_last_and_asks_nobody
        if
        :: took && queued[part] == 0 && asleep > 0 && !on_the_way -> call[part] = true
        :: else
        fi
#endif
    }
}

#define HELD (hand[0] || (WORKERS > 1 && hand[WORKERS - 1]) || (WORKERS > 2 && hand[1]))

/* With the lock held, by who leaves the queue: whom to call for what is left. */
inline choose_helper(whom, asked)
{
    whom = NOBODY;
    if
    :: asleep > 0 && !on_the_way ->
        if :: in_hands && !HELD -> in_hands = false :: else fi;
        asked = false;
#ifndef forgets_what_is_in_hands
        if :: !in_hands -> ask_for_call(asked) :: else fi;
#else
        ask_for_call(asked);
#endif
        if :: !asked -> choose(whom) :: else fi
    :: else
    fi
}

/* Without it.  Whom one calls that could not be started has a thread: none is started now. */
inline wake(whom, asked)
{
    if
    :: whom != NOBODY && absent[whom] ->
        if
        :: fails > 0 ->
            fails--;
            lock();
#ifndef fails_on_the_way
            on_the_way = false;
#endif
            alive--;
            rests = true;
            untold++;
            idle[whom] = true;
            asleep++;
            choose_helper(whom, asked);
            unlock();
            if
            :: whom != NOBODY -> called[whom] = true
            :: else
            fi;
            atomic {
                untold--;
#ifndef owes_and_tells_nobody
                owed = true
#endif
            }
        :: true -> absent[whom] = false; started[whom] = true
        fi
    :: whom != NOBODY && !absent[whom] -> called[whom] = true
    :: else
    fi
}

/* Each task ends when all have begun. */
proctype Worker(byte me)
{
    byte whom, shard;
    bool asked, took;
    if :: me >= THREADS -> goto beginning :: else fi;
again:
    atomic { if :: hand[me] -> hand[me] = false; begun++; begun == TASKS; goto again :: else fi }
    lock();
taking:
    LOOK {
    took = false;
    if
    :: hand[me] -> hand[me] = false; took = true
    :: else -> if :: shard = 0 :: SHARDS > 1 -> shard = LAST fi; take_from(shard)
    fi;
    if
    :: !took && SHARDS > 1 -> take_from(LAST - shard)
    :: else
    fi;
    atomic {
        if
        :: !took && hand[0] -> hand[0] = false; took = true
        :: !took && hand[WORKERS - 1] -> hand[WORKERS - 1] = false; took = true
        :: WORKERS > 2 && !took && hand[1] -> hand[1] = false; took = true
        :: else
        fi
    }
    }
    if
    :: took ->
        whom = NOBODY;
#ifndef leaves_and_calls_nobody
#ifdef takes_the_last_and_asks_nobody
        if
        :: asleep > 0 && !on_the_way && (queued[0] > 0 || queued[LAST] > 0) -> choose(whom)
        :: else
        fi;
#else
        choose_helper(whom, asked);
#endif
#endif
        unlock();
        wake(whom, asked);
        begun++;
        begun == TASKS; /* waits */
        goto again
    :: else
    fi;
    if
    :: branches > 0 ->
        branches--;
        asked = true;
#ifndef steals_and_asks_nobody
        if
        :: asleep > 0 && !on_the_way -> ask_for_call(asked)
        :: else
        fi;
#endif
        if
        :: !asked -> branches++; goto taking
        :: else
        fi;
        unlock();
        begun == TASKS; /* waits */
        goto again
    :: true
    fi;
    if
    :: !on_the_way -> /* looks out */
        on_the_way = true;
        call[0] = false;
        call[LAST] = false;
        unlock();
        if :: queued[0] > 0 || queued[LAST] > 0 :: true fi; /* sees something, or the time is over */
        lock();
#ifndef watcher_arrives_silently
        on_the_way = false;
#endif
        goto taking /* and then looks out once more, or sleeps */
    :: true
    fi;
    called[me] = false;
    idle[me] = true;
    asleep++;
    asked = true;
#ifndef lies_down_and_asks_nobody
    if
    :: !on_the_way -> ask_for_call(asked)
    :: else
    fi;
#endif
    if
    :: !asked -> idle[me] = false; asleep--; goto taking
    :: else
    fi;
    unlock();
end_asleep:
    if
    :: called[me] /* sleeps */
    :: ends > 0 && !called[me] -> /* until its time is over */
        lock();
        if
#ifndef ends_though_chosen
        :: !idle[me] -> unlock(); called[me] /* in a moment */
#else
        :: !idle[me] -> ends--; alive--; choose_helper(whom, asked); unlock(); wake(whom, asked); goto ending
#endif
        :: idle[me] ->
            idle[me] = false;
            asleep--;
            if
            :: alive == 1 -> goto taking
            :: else
            fi;
            ends--;
            alive--;
            choose_helper(whom, asked);
            unlock();
            wake(whom, asked);
            goto ending
        fi
    fi;
    lock();
#ifndef called_stays_on_the_way
    on_the_way = false;
#endif
    goto taking;
ending:
    lock();
    absent[me] = true;
    idle[me] = true;
    asleep++;
    whom = NOBODY;
#ifndef ends_and_looks_no_more
    choose_helper(whom, asked);
#endif
    unlock();
    wake(whom, asked);
beginning:
end_absent:
    started[me]; /* by who has chosen it */
    started[me] = false;
    lock();
#ifndef begins_silently
    on_the_way = false;
#endif
    unlock();
    goto again
}

/* The while is over when it tries again, but for one that begins later. */
proctype Reactor()
{
    byte whom;
    bool asked;
end_idle:
    atomic { owed -> owed = false; rests = untold > 0 }
    lock();
    choose_helper(whom, asked);
    unlock();
    wake(whom, asked);
    goto end_idle
}

proctype Submitter(byte count, shard)
{
    byte whom;
    bool found, asked;
    do
    :: count > 0 ->
        count--;
        atomic { queued[shard]++; found = call[shard]; call[shard] = false }
        if
        :: found -> lock(); choose(whom); unlock(); wake(whom, asked)
        :: else
        fi
    :: else -> break
    od;
    begun == TASKS /* waits for the end of all */
}

init
{
    byte i;
    atomic {
        do
        :: i < WORKERS ->
            if
            :: i >= THREADS -> absent[i] = true; idle[i] = true; asleep++
            :: else
            fi;
            run Worker(i);
            i++
        :: else -> break
        od;
        if :: FAILS > 0 -> run Reactor() :: else fi;
        run Submitter(TASKS - TASKS / 2, 0);
        run Submitter(TASKS / 2, LAST)
    }
}
