#!/bin/sh
# Fails unless summary.awk counts what CTest prints as it should, and has the exit status that goes with it.
set -eu
awk_file=$(dirname "$0")/summary.awk

expect() { # this last line and exit status of what stdin holds
    status=0
    last=$(awk -f "$awk_file") || status=$?
    last=$(printf '%s\n' "$last" | tail -n 1)
    [ "$last" = "$1" ] && [ $status -eq "$2" ] || { echo "'$last' with status $status, not '$1' with $2"; exit 1; }
}

group() { # of a cmocka program, with these lines of it; then CTest's verdict
    printf '      Start  1: group\n1: [==========] Running some test(s).\n'
    verdict=$1
    shift
    printf '1: %s\n' "$@"
    printf ' 1/1 Test  #1: group ............%s    0.01 sec\n' "$verdict"
}
run='[ RUN      ]' ok='[       OK ]' bad='[  FAILED  ]' skip='[  SKIPPED ]'

group '   Passed' "$run a" "$ok a" "$run b" "noise$ok b" "$run c" "$skip c" "$skip 1 test(s), listed below:" "$skip c" |
    expect '2 passed, 0 failed, 1 skipped' 0
group '***Failed' "$run a" "$ok a" "$run b" "$bad b" "$bad 1 test(s), listed below:" "$bad b" |
    expect '1 passed, 1 failed, 0 skipped' 1
group '***Exception: SegFault' "$run a" "$ok a" "$run b" | expect '1 passed, 1 failed, 0 skipped' 1
group '***Timeout' "$run a" "$ok a" | expect '1 passed, 1 failed, 0 skipped' 1 # something after its last test
group '   Passed' "$run a" "$bad a" | expect '0 passed, 1 failed, 0 skipped' 1 # its exit status lies
group '   Passed' | expect '0 passed, 1 failed, 0 skipped' 1                   # no test in it
{
    group '   Passed' "$run a" "$ok a"
    printf '      Start  2: check\n2: fine\n 2/3 Test  #2: check ............   Passed    0.01 sec\n'
    printf '      Start  3: other\n3: no tool\n 3/3 Test  #3: other ............***Skipped   0.01 sec\n'
} | expect '2 passed, 0 failed, 1 skipped' 0
{ # two side by side
    printf '      Start  4: four\n      Start  5: five\n4: [==========] Running 2 test(s).\n5: [==========] Running 1 test(s).\n'
    printf '4: %s\n5: %s\n4: %s\n' "$run a" "$run a" "$ok a"
    printf '5: %s\n 1/2 Test  #5: five ............***Failed    0.01 sec\n' "$bad a"
    printf '4: %s\n 2/2 Test  #4: four ............   Passed    0.01 sec\n' "$run b
4: $ok b"
} | expect '2 passed, 1 failed, 0 skipped' 1
printf 'No tests were found!!!\n' | expect '0 passed, 0 failed, 0 skipped' 1
