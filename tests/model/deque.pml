/* deque.pml - what a worker has spawned and not joined, and thieves: a model for the checker spin.
 *
 * How to use and to read it stands at the head of accounting.pml; here it is
 *
 *   spin -a deque.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m100000
 *
 * The owner spawns and joins in any order that a stack allows, and makes public what it likes, when it likes; what finds no room it runs at
 * once.  Thieves steal.  Each item is run once, by one of them, and each thief gets what it has won.
 *
 * What is mirrored where, all in threads/deque.h and deque.c: push, pop (tdm_deque_pop_private), publish, reclaim, begin_again, steal.  The mark of
 * what is public is written by the owner into places that nobody else looks at then; here it is a bit of the place.
 *
 * Mutants.  With one of these as -D spin must find an error:
 *   thief_reads_first        the thief reads the place, then wins it
 *   fills_what_is_not_empty  the owner fills a place that a thief has won and not read yet
 *   takes_back_by_a_store    the owner takes back without a compare-and-swap
 *   marks_nothing            what is public looks like what is the owner's alone
 *   begins_again_too_early   the owner begins at the first place though something is public
 */

#ifndef PLACES
#define PLACES 2
#endif
#ifndef ITEMS
#define ITEMS 4
#endif
#ifndef THIEVES
#define THIEVES 2
#endif

#define NONE 0

byte top, split;         /* one word */
byte place[PLACES + 1];  /* items are numbers from 1; the one at the end is never filled */
bool public[PLACES + 1]; /* its mark */
byte runs[ITEMS + 1];
bool run_twice, got_nothing, finished;

inline note(item) { atomic { runs[item]++; run_twice = runs[item] > 1; assert(!(run_twice)) } }

proctype Thief()
{
    byte seen_top, seen_split, item;
    bool won;
end:
    do
    :: finished -> break
    :: atomic { top < split -> seen_top = top; seen_split = split }
#ifdef thief_reads_first
        item = place[seen_top];
#endif
        atomic { won = top == seen_top && split == seen_split; if :: won -> top++ :: else fi }
        if
        :: won ->
#ifndef thief_reads_first
            item = place[seen_top];
#endif
            got_nothing = item == NONE;
            assert(!(got_nothing));
            place[seen_top] = NONE;
            note(item)
        :: else
        fi
    od
}

proctype Owner()
{
    byte bottom, mine, next = 1, depth, item, seen_top, target, i; /* mine: its copy of split */
    byte open[ITEMS];
    bool room;
    do
    :: next <= ITEMS && depth < ITEMS -> /* spawns */
#ifdef fills_what_is_not_empty
        room = bottom < PLACES;
#else
        room = bottom < PLACES && place[bottom] == NONE;
#endif
        if
        :: room ->
            atomic { place[bottom] = next; public[bottom] = false }
            open[depth] = next;
            depth++;
            bottom++
        :: else -> note(next)
        fi;
        next++
    :: bottom > mine -> /* somebody wants something */
        target = mine + (bottom - mine + 1) / 2;
#ifndef marks_nothing
        atomic { i = mine; do :: i < target -> public[i] = true; i++ :: else -> break od }
#endif
        split = target; /* by a swap that only the other half of the word can make fail; then it is tried again */
        mine = target
    :: depth > 0 -> /* joins */
        depth--;
        item = open[depth];
joining:
        if
        :: bottom > 0 && place[bottom - 1] == item && !public[bottom - 1] ->
            bottom--;
            place[bottom] = NONE;
            note(item)
        :: else -> /* takes some back, or finds that all is stolen */
            seen_top = top;
            if
#ifdef begins_again_too_early
            :: true ->
#else
            :: seen_top == split ->
#endif
                atomic { top = 0; split = 0 }
                mine = 0;
                bottom = 0
            :: seen_top != split ->
                target = split - (split - seen_top + 1) / 2;
#ifdef takes_back_by_a_store
                split = target;
#else
                atomic { if :: top == seen_top -> split = target :: else -> goto joining fi }
#endif
                atomic { i = target; do :: i < mine -> public[i] = false; i++ :: else -> break od }
                mine = target;
                goto joining
            fi
        fi
    :: next > ITEMS && depth == 0 -> break
    od;
    do /* waits for who has stolen something */
    :: next > 1 -> next--; runs[next] == 1
    :: else -> break
    od;
    finished = true
}

init
{
    byte i;
    atomic {
        run Owner();
        do
        :: i < THIEVES -> run Thief(); i++
        :: else -> break
        od
    }
}
