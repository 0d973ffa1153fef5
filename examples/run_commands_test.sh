#!/bin/sh
# Fails unless run_commands does what its first lines say: run_commands_test.sh PROGRAM
set -eu
program=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

expect() { # this exit status, of run_commands with these arguments
    wanted=$1 status=0
    shift
    "$program" "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
    [ "$status" -eq "$wanted" ] || { cat "$scratch/out" "$scratch/err"; echo "$status, not $wanted: $*"; exit 1; }
}
says() { grep -q -- "$1" "$scratch/out" || { cat "$scratch/out"; echo "does not say: $1"; exit 1; }; }

expect 1
says '4 commands, 2 ended badly'
says 'failed, code 3 '
says 'crashed, signal 9'

printf '# a comment\necho one\n\necho two\n' >"$scratch/good"
expect 0 "$scratch/good"
says '2 commands, 0 ended badly'
expect 0 - <"$scratch/good"

printf 'exit 4\nsleep 100\nsleep 100\n' >"$scratch/bad"
expect 1 --jobs 2 --fail-fast "$scratch/bad"
says 'failed, code 4'
says 'cancelled .* sleep 100'
says '3 commands, 3 ended badly'

printf 'sleep 100\necho said; exit 5\n' >"$scratch/slow"
expect 1 --timeout 200 "$scratch/slow"
says 'timed out'
says '^said$'

expect 2 --no-such-option
expect 2 "$scratch/there-is-no-such-file"
