/* injector.pml - a queue whose links are the tasks themselves, put in without a lock, taken out under one: a model for the checker spin.
 *
 * How to use and to read it stands at the head of accounting.pml; here it is
 *
 *   spin -a injector.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m100000
 *
 * Each submitter puts its task in, so many times, and may take it back itself each time; somebody else cancels one; a worker takes the oldest
 * until all that came in went out.  Whoever takes a task out owns it, and may free it at once: nobody else touches it from then on.
 *
 * What is mirrored where, all in threads/injector.c: put (tdm_injector_put), know_oldest (oldest_of), left_of, join, take_newest, take_out, pop
 * and take, with what thread_queue.c adds to it (tdm_thread_queue_take_back).  A wait for a gap to be closed is a step that cannot be made
 * before.  The bits in the word are the subject of parking.pml.
 *
 * Mutants.  With one of these as -D spin must find an error:
 *   pops_over_a_gap           the oldest knows no newer one and goes all the same, though it is not the newest
 *   takes_over_a_gap          one from the middle goes before its older neighbour knows of it
 *   ends_late                 the newest goes: first the word, then what is before it is made an end: somebody has put one behind that
 *   first_is_left             who is told the oldest does not take the note of it away
 *   trusts_its_own_link       whether a task is the oldest is seen from its link, though that one has gone
 *   leaves_it_to_the_worker   where it cannot be told whether a task is there it is said not to be
 *   chained_before_it_is_in   of tasks that are put in together each knows its newer one before: one is taken out that is not in yet
 */

#ifndef SUBMITTERS
#define SUBMITTERS 3
#endif
#ifndef TIMES
#define TIMES 1
#endif

#ifndef AGAIN
#define AGAIN 1 /* 0: who takes his own back looks once and may leave it, which takes fewer states */
#endif

#ifndef CHAIN
#define CHAIN 0 /* so many are put in at once by one more submitter: the last numbers */
#endif

#define NONE 0
#define TASKS (SUBMITTERS + CHAIN)

byte word, first, oldest; /* tasks are numbers from 1 */
byte newer[TASKS + 1], older[TASKS + 1];
bool inside[TASKS + 1]; /* it is in the queue, or about to be put in; else it is somebody's own: tdm_thread_in_queue */
byte put, gone;              /* how often */
bool locked;

bool taken_twice, touched_after_it_went, left_behind;

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }

/* Another one's link is written or looked at. */
inline touch(task) { touched_after_it_went = touched_after_it_went || !inside[task]; assert(!(touched_after_it_went)) }

inline went(task)
{
    atomic {
        taken_twice = !inside[task];
        assert(!(taken_twice));
        newer[task] = task;
        older[task] = NONE;
        inside[task] = false;
        gone++
    }
}

/* ---- with the lock held ---- */

inline know_oldest()
{
    if
    :: oldest == NONE ->
        first != NONE; /* waits */
        oldest = first;
#ifndef first_is_left
        first = NONE
#endif
    :: else
    fi
}

inline left_of(task)
{
    left = older[task];
    if
    :: left == NONE -> know_oldest()
    :: else
    fi;
    known = false;
#ifndef trusts_its_own_link
    if
    :: oldest == task -> known = true; left = NONE
    :: else
    fi;
#endif
    if
    :: left != NONE && !known ->
#ifndef takes_over_a_gap
        newer[left] == task; /* waits */
#endif
        touch(left)
    :: else
    fi
}

inline join(to)
{
    if
    :: left != NONE && to != NONE -> touch(left); newer[left] = to
    :: left != NONE && to == NONE -> touch(left); newer[left] = left
    :: else -> oldest = to
    fi
}

inline take_newest(task)
{
    done = false;
    if
    :: word == task ->
#ifdef ends_late
        atomic { word == task -> word = left; done = true }
        join(NONE)
#else
        join(NONE);
        atomic { if :: word == task -> word = left; done = true :: else fi };
        if :: !done -> join(task) :: else fi
#endif
    :: else
    fi
}

inline take_out(task)
{
    left_of(task);
    done = false;
    if
    :: newer[task] == task -> take_newest(task)
    :: else
    fi;
    if
    :: !done ->
        newer[task] != task; /* waits */
        right = newer[task];
        join(right);
        older[right] = left
    :: else
    fi;
    went(task)
}

/* Whether one that knows no newer one and is not the newest is there at all cannot be told. */
inline take(task)
{
    lock();
    if
    :: inside[task] && (newer[task] != task || word == task) -> take_out(task)
    :: else
    fi;
    unlock()
}

/* By who has put it in himself: he looks again then, and if he does not have it somebody else has it. */
inline take_back(task)
{
    do
    :: !AGAIN -> take(task); break
    :: AGAIN && !inside[task] -> break
    :: AGAIN && inside[task] && (newer[task] != task || word == task) -> take(task) /* waits until it is so */
#ifdef leaves_it_to_the_worker
    :: inside[task] && newer[task] == task && word != task -> break
#endif
    od;
    left_behind = AGAIN && inside[task];
    assert(!(left_behind))
}

/* ---- the threads ---- */

proctype Submitter(byte me)
{
    byte before, left, right, times;
    bool done, known;
    do
    :: times < TIMES ->
        times++;
        !inside[me]; /* it has ended: it may be put in again */
        atomic { newer[me] = me; older[me] = NONE; inside[me] = true }
        do
        :: before = word;
           older[me] = before;
           atomic { if :: word == before -> word = me; put++; break :: else fi }
        od;
        if
        :: before != NONE -> atomic { touch(before); newer[before] = me }
        :: else -> first = me
        fi;
        if
        :: take_back(me)
        :: true
        fi
    :: else -> break
    od
}

/* Several at once, then the gaps between them from the newest on, then that before them. */
proctype Chainer()
{
    byte before, left, right, link = SUBMITTERS + 1;
    bool done, known;
    atomic {
        do
        :: link <= TASKS ->
            newer[link] = link;
            older[link] = (link == SUBMITTERS + 1 -> NONE : link - 1);
#ifdef chained_before_it_is_in
            newer[link] = (link == TASKS -> link : link + 1);
#endif
            inside[link] = true;
            link++
        :: else -> break
        od
    }
    do
    :: before = word;
       older[SUBMITTERS + 1] = before;
       atomic { if :: word == before -> word = TASKS; put = put + CHAIN; break :: else fi }
    od;
    link = TASKS;
    do
    :: link > SUBMITTERS + 1 ->
        left = older[link];
        atomic { touch(left); newer[left] = link }
        link = left
    :: else -> break
    od;
    if
    :: before != NONE -> atomic { touch(before); newer[before] = SUBMITTERS + 1 }
    :: else -> first = SUBMITTERS + 1
    fi;
    if
    :: take(SUBMITTERS + 1)
    :: take(TASKS)
    :: true
    fi
}

/* It does not know how far the submitter of that task has come. */
proctype Canceller()
{
    byte left, right;
    bool done, known;
    if
    :: take(1)
#if CHAIN
    :: take(TASKS - 1)
    :: take(TASKS)
#else
    :: take(2)
#endif
    fi
}

proctype Worker()
{
    byte task, left, right;
    bool done, known;
    do
    :: gone == SUBMITTERS * TIMES + CHAIN -> break
    :: word != NONE || oldest != NONE ->
        lock();
        if
        :: word == NONE && oldest == NONE
        :: else ->
            know_oldest();
            task = oldest;
            if
#ifdef pops_over_a_gap
            :: newer[task] == task && word == task -> take_out(task)
            :: newer[task] == task && word != task -> oldest = NONE; went(task)
#else
            :: newer[task] == task -> take_out(task)
#endif
            :: newer[task] != task -> oldest = newer[task]; went(task)
            fi
        fi;
        unlock()
    od
}

init
{
    byte i = 1;
    atomic {
        run Worker();
        run Canceller();
#if CHAIN
        run Chainer();
#endif
        do
        :: i <= SUBMITTERS -> run Submitter(i); i++
        :: else -> break
        od
    }
}
