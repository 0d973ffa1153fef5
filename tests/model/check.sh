#!/bin/sh
# Fails unless spin finds no error in accounting.pml, and one in each of its mutants: check.sh [--large]
#
# One line for each search: its name, how many states spin has seen, the seconds it took with its build, and what came of it. Takes
# about a minute and a half on one core, and less than 1 GB. With --large it searches wider bounds instead: about ten minutes, 3 GB.
# Skipped where spin or a C compiler is missing, but not under CI.
set -eu
model=$(cd "$(dirname "$0")" && pwd)/accounting.pml
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
    spin -a -P"$cc -E -x c" "$@" "$model" >said 2>&1 && "$cc" -w $optimize -DSAFETY $memory -o pan pan.c >>said 2>&1 &&
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

mutant() { # NAME BROKEN-PROMISE BOUND...
    optimize=-O0 memory=$exact name=$1 broken=$2
    shift 2
    expect "$name" "$broken" -DWORKERS=1 "-D$name" "$@"
}

if [ "${1-}" = --large ]; then
    slow=-O2 exact='-DCOLLAPSE -DMEMLIM=5000'
    clean 'one worker, three in hand' -DWORKERS=1 -DIN_HAND=3 -DTASKS=4 -DRETIRES=1 -DDEATHS_MOST=2
    clean 'two workers, two at a time' -DAT_A_TIME=2 -DRETIRES=1 -DDEATHS_MOST=2
    exact=-DBITSTATE most='-w34 -k3' # a state that it cannot tell from another it leaves out
    clean 'two workers, all at once' -DTASKS=2 -DDEATHS_MOST=2
else
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
fi
echo "model: $count checks, $failed failed"
[ $failed -eq 0 ]
