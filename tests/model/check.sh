#!/bin/sh
# Fails unless spin finds no error in the models, and one in each of their mutants: check.sh [--large]
#
# One line for each search: its name, how many states spin has seen, the seconds it took with its build, and what came of it. Takes
# about a minute and a half on two cores, and less than 2 GB. With --large it searches wider bounds instead: a quarter of an hour, 3 GB.
# Skipped where spin or a C compiler is missing, but not under CI.
set -eu
models=$(cd "$(dirname "$0")" && pwd)
cc=${CC:-cc}
case ${1-} in
'' | --large) ;;
*) sed -n '2s/.*: /usage: /p' "$0" >&2; exit 2 ;;
esac

for tool in spin "$cc"; do
    command -v "$tool" >/dev/null 2>&1 && continue
    echo "skipped: $tool is not here"
    [ -z "${CI-}" ] || exit 1
    exit 77
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
cd "$scratch"
count=0 failed=0 slow=-O1 exact='-DCOLLAPSE -DMEMLIM=1900' most=

search() { # with these bounds; what spin says is in the file said
    rm -f said
    # shellcheck disable=SC2086 # lists of words
    spin -a -P"$cc -E -x c" "$@" "$models/$model" >said 2>&1 && "$cc" -w $optimize -DSAFETY $memory -o pan pan.c >>said 2>&1 &&
        ./pan -m100000 $most >>said 2>&1
}

# What it has found: a broken promise, somebody who waits for ever, nothing, or nothing to be relied on.
verdict() {
    awk '/assertion violated/ && match($0, /!\([a-z_]+\)/) { found = substr($0, RSTART + 2, RLENGTH - 3) }
        /invalid end state \(/ { found = "somebody_waits_for_ever" }
        /max search depth too small|out of memory|max.* exceeded|Search not completed/ { cut = 1 }
        /errors: 0$/ { done = 1 }
        END { print found ? found : done && !cut ? "no_error" : "no_result" }' said
}

expect() { # NAME VERDICT BOUND...
    name=$1 wanted=$2 begun=$(date +%s)
    shift 2
    search "$@" || :
    found=$(verdict)
    count=$((count + 1))
    result="ok: $found"
    [ "$found" = "$wanted" ] || { failed=$((failed + 1)); result="FAILED: $found, not $wanted"; }
    states=$(awk '$2 == "states," && $3 == "stored" { print $1 }' said)
    printf '%-31s %9s states %3d s  %s\n' "$name" "${states:-no}" $(($(date +%s) - begun)) "$result"
    [ "$found" != no_result ] || tail -n 20 said
}

clean() { # NAME BOUND...
    optimize=$slow memory=$exact name=$1
    shift
    expect "$name" no_error "$@"
}

clean_as_far_as_seen() { # NAME BOUND...; a state that it cannot tell from another it leaves out
    optimize=$slow memory=-DBITSTATE most='-w34 -k3' name=$1
    shift
    expect "$name" no_error "$@"
    most=
}

mutant() { # NAME BROKEN-PROMISE BOUND...
    optimize=-O0 memory=$exact name=$1 broken=$2
    shift 2
    # shellcheck disable=SC2086 # a list of words
    expect "$name" "$broken" $small "-D$name" "$@"
}

accounting() {
    model=accounting.pml small=-DWORKERS=1
    clean 'one worker' -DWORKERS=1
    clean 'one worker, one in hand' -DWORKERS=1 -DIN_HAND=1
    clean 'one worker, some retire' -DWORKERS=1 -DSTOPS=0 -DRETIRES=1 -DDEATHS_MOST=2
    clean 'two workers, two at a time' -DAT_A_TIME=2 -DCRASHES=1
    mutant stalls_after_any_lost_finish awake_taken_for_stuck
    mutant goes_on_after_a_lost_finish crashed_by_our_own_kill
    mutant finishes_before_it_replies honest_taken_for_broken
    mutant judges_by_the_word_alone ended_twice -DIN_HAND=1
    mutant judges_before_it_reads crashed_though_elsewhere
    mutant kills_without_the_word crashed_by_our_own_kill
    mutant deadline_knows_claimed_only deadline_in_vain
    mutant deadline_kills_what_is_begun crashed_by_our_own_kill
    mutant kills_with_the_oldest_revoked crashed_by_our_own_kill
    mutant kills_though_not_all_revoked crashed_by_our_own_kill
    mutant offers_to_the_dying crashed_by_our_own_kill -DDEATHS_MOST=9
    mutant frame_before_the_word awake_taken_for_stuck
    mutant words_without_sequence entered_after_its_end -DDEADLINES=0
    mutant two_workers_one_channel crashed_though_elsewhere
    mutant counts_the_retired crashed_without_cause -DSTOPS=0 -DCANCELS=0 -DRETIRES=1 -DDEATHS_MOST=2
    mutant counts_all_that_is_revoked crashed_without_cause -DSTOPS=0 -DCANCELS=0 -DDEATHS_MOST=2
}

pipes() {
    model=pipes.pml small=
    clean 'two waiters'
    clean 'one waiter, a death, a cancel' -DWAITERS=1 -DCRASHES=1 -DCANCELS=1
    clean 'two waiters, a cancel' -DCANCELS=1
    clean 'two waiters, a special' -DSPECIALS=1
    mutant lets_go_in_silence not_armed
    mutant hands_over_in_silence not_armed
    mutant called_by_another not_armed -DTASKS=2 -DIN_HAND=1 -DCANCELS=1
    mutant call_has_no_bell right_left_behind -DCANCELS=1
    mutant empties_the_bell_late right_left_behind -DCANCELS=1
    mutant asks_once somebody_waits_for_ever -DCRASHES=1
    mutant leaves_with_the_right right_left_behind -DCANCELS=1
    mutant leads_without_its_task right_left_behind -DCANCELS=1
}

pipes_large() {
    model=pipes.pml
    clean 'two waiters, a death, a cancel' -DCRASHES=1 -DCANCELS=1
    clean 'three waiters, one in hand' -DWAITERS=3 -DIN_HAND=1
}

accounting_large() {
    model=accounting.pml
    clean 'one worker, three in hand' -DWORKERS=1 -DIN_HAND=3 -DTASKS=4 -DRETIRES=1 -DDEATHS_MOST=2
    clean 'two workers, two at a time' -DAT_A_TIME=2 -DRETIRES=1 -DDEATHS_MOST=2
    clean_as_far_as_seen 'two workers, all at once' -DTASKS=2 -DDEATHS_MOST=2
}

stream() {
    model=stream.pml small=
    clean 'one waiter' -DWAITERS=1 -DCRASHES=1 -DCANCELS=1
    clean 'one waiter, a special' -DWAITERS=1 -DTASKS=1 -DSPECIALS=1 -DCRASHES=1 -DCANCELS=1
    clean 'one waiter, little room' -DWAITERS=1 -DPIECES=2 -DRING=1 -DCANCELS=1
    clean 'one waiter, some room' -DWAITERS=1 -DPIECES=3 -DCANCELS=1
    clean 'two waiters, a cancel' -DCANCELS=1
    clean 'two waiters, a death' -DLIMITED=0 -DCRASHES=1
    clean 'two waiters, a special' -DLIMITED=0 -DIN_HAND=1 -DSPECIALS=1
    clean 'three tasks, one in hand' -DTASKS=3 -DIN_HAND=1
    mutant never_looks_again somebody_waits_for_ever
    mutant task_without_a_wish not_armed
    mutant raises_after_the_task not_armed
    mutant caller_stays_away not_armed -DLIMITED=0
    mutant arms_after_freeing not_armed
    mutant leaves_with_the_right somebody_waits_for_ever
    mutant given_beside_the_word somebody_waits_for_ever
    mutant taken_over_in_silence two_read_at_once
    mutant leaves_it_and_tells_nobody somebody_waits_for_ever -DSPECIALS=1
    mutant has_enough_and_tells_nobody not_armed -DWAITERS=1
    mutant reactor_asks_once somebody_waits_for_ever -DCRASHES=1
    mutant bell_emptied_late not_armed
    mutant reader_looks_then_raises somebody_waits_for_ever
    mutant sleeps_though_its_task_ended somebody_waits_for_ever -DWAITERS=1 -DTASKS=1 -DCANCELS=1
    mutant sleeps_though_the_worker_died somebody_waits_for_ever -DCRASHES=1
    mutant death_wakes_nobody somebody_waits_for_ever -DCRASHES=1
    mutant cancel_wakes_nobody somebody_waits_for_ever -DWAITERS=1 -DTASKS=1 -DCANCELS=1
    mutant kicks_before_the_end somebody_waits_for_ever -DWAITERS=1 -DTASKS=1 -DCANCELS=1
    mutant kick_takes_back_the_bell not_armed -DWAITERS=1 -DCANCELS=1
    mutant kick_trusts_the_flag somebody_waits_for_ever -DWAITERS=1 -DTASKS=1 -DCRASHES=1
    mutant flag_before_tail somebody_waits_for_ever
    mutant flag_read_then_cleared somebody_waits_for_ever
    mutant worker_looks_then_raises somebody_waits_for_ever
    mutant worker_looks_for_room_first somebody_waits_for_ever -DWAITERS=1 -DTASKS=1 -DPIECES=2 -DRING=1
    mutant room_before_head somebody_waits_for_ever -DWAITERS=1 -DTASKS=1 -DPIECES=2 -DRING=1
    mutant alone_in_a_full_ring somebody_waits_for_ever -DWAITERS=1 -DTASKS=1 -DPIECES=2 -DRING=1
    mutant room_leaves_the_flag somebody_waits_for_ever -DWAITERS=1 -DTASKS=1 -DPIECES=2 -DRING=1
    mutant task_leaves_the_flag somebody_waits_for_ever
}

stream_large() {
    model=stream.pml
    clean 'two waiters, a cancel, a death' -DLIMITED=2 -DCANCELS=1 -DCRASHES=1
    clean 'two waiters, a special, a death' -DSPECIALS=1 -DCRASHES=1
    clean 'three tasks, a cancel, a death' -DTASKS=3 -DCANCELS=1 -DCRASHES=1
}

injector() {
    model=injector.pml small=
    clean 'three submitters'
    clean 'two submitters, twice' -DSUBMITTERS=2 -DTIMES=2
    mutant pops_over_a_gap somebody_waits_for_ever
    mutant takes_over_a_gap somebody_waits_for_ever
    mutant ends_late somebody_waits_for_ever
    mutant first_is_left somebody_waits_for_ever
    mutant trusts_its_own_link somebody_waits_for_ever
    mutant leaves_it_to_the_worker left_behind
    clean 'a submitter, and three at once' -DSUBMITTERS=1 -DCHAIN=3
    clean 'two submitters, and two at once' -DSUBMITTERS=2 -DCHAIN=2 -DAGAIN=0
    mutant chained_before_it_is_in somebody_waits_for_ever -DSUBMITTERS=1 -DCHAIN=3
}

injector_large() {
    model=injector.pml
    clean 'three submitters, twice' -DTIMES=2 -DAGAIN=0
    clean 'two, and two at once, again' -DSUBMITTERS=2 -DCHAIN=2
}

parking() {
    model=parking.pml small=
    clean 'two workers'
    clean 'three workers' -DWORKERS=3
    clean 'three workers, a branch' -DWORKERS=3 -DBRANCHES=1
    clean 'one thread at first, two end' -DTHREADS=1 -DENDS=2
    clean 'two in hand, one thread' -DTHREADS=1 -DENDS=1 -DHANDS=1
    clean 'one thread, a start fails' -DTHREADS=1 -DFAILS=1
    clean 'two parts' -DSHARDS=2
    mutant asks_the_first_only somebody_waits_for_ever -DSHARDS=2
    mutant begins_silently somebody_waits_for_ever -DWORKERS=3 -DTASKS=3 -DTHREADS=1
    mutant owes_and_tells_nobody somebody_waits_for_ever -DTHREADS=1 -DFAILS=1
    mutant fails_on_the_way somebody_waits_for_ever -DTHREADS=1 -DFAILS=1
    mutant ends_and_looks_no_more somebody_waits_for_ever -DENDS=1
    mutant ends_though_chosen somebody_waits_for_ever -DENDS=1
    mutant forgets_what_is_in_hands somebody_waits_for_ever -DHANDS=1
    mutant lies_down_and_asks_nobody somebody_waits_for_ever
    mutant asks_without_looking somebody_waits_for_ever
    mutant leaves_and_calls_nobody somebody_waits_for_ever
    mutant takes_the_last_and_asks_nobody somebody_waits_for_ever
    mutant called_stays_on_the_way somebody_waits_for_ever
    mutant watcher_arrives_silently somebody_waits_for_ever
    mutant steals_and_asks_nobody somebody_waits_for_ever -DWORKERS=3 -DBRANCHES=1
}

parking_large() {
    model=parking.pml
    clean 'one of three threads, one ends' -DWORKERS=3 -DTHREADS=1 -DENDS=1
    clean 'one of three, two starts fail' -DWORKERS=3 -DTHREADS=1 -DFAILS=2
    clean 'three workers, two parts' -DWORKERS=3 -DSHARDS=2
    clean 'three tasks, two in hand' -DTASKS=3 -DWORKERS=3 -DHANDS=1
}

deque() {
    model=deque.pml small=
    clean 'two thieves'
    mutant thief_reads_first run_twice
    mutant fills_what_is_not_empty got_nothing
    mutant takes_back_by_a_store run_twice
    mutant marks_nothing run_twice
    mutant begins_again_too_early somebody_waits_for_ever
}

deque_large() {
    model=deque.pml
    clean 'two thieves, more items' -DITEMS=6 -DPLACES=3
}

queues() { injector && parking && deque; }

side_by_side() { # PART...: each in a folder of its own, on a core of its own if there are so many
    for part; do
        mkdir "$part"
        (cd "$part" && "$part" >out && echo "$count $failed" >sums) &
    done
    wait
    for part; do
        cat "$part/out"
        read -r part_count part_failed <"$part/sums"
        count=$((count + part_count)) failed=$((failed + part_failed))
    done
}

if [ "${1-}" = --large ]; then
    slow=-O2 exact='-DCOLLAPSE -DMEMLIM=5000'
    accounting_large
    stream_large
    pipes_large
    injector_large
    parking_large
    deque_large
else
    side_by_side accounting stream pipes queues
fi
echo "model: $count checks, $failed failed"
[ $failed -eq 0 ]
