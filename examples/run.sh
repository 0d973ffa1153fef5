#!/bin/sh
# Sets up, builds and shows tandem at work: scan reads this project's own tree, on threads, then in processes, then with poison.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build

sh "$root/tests/setup.sh" compiler cmake
mkdir -p "$build"
log=$build/examples.log
cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
echo "building in $build"
{
    cmake -S "$root" -B "$build" -DTANDEM_BUILD_TESTS=OFF -DTANDEM_BUILD_EXAMPLES=ON -DTANDEM_BUILD_BENCH=OFF &&
        cmake --build "$build" -j "$cores" --target scan
} >"$log" 2>&1 </dev/null || { cat "$log"; echo "the build failed"; exit 1; }

scan=$build/examples/scan
printf '\n== scan: every file is a task on a thread of this program\n'
"$scan"

printf '\n== scan --isolate: the same function, in worker processes\n'
"$scan" --isolate

printf '\n== scan --isolate --poison: and three more tasks, which crash, loop for ever and eat memory\n'
status=0
"$scan" --isolate --poison || status=$?
[ $status -eq 1 ] || { echo "scan returned $status, but 1 was due: not all of its tasks could end well"; exit 1; }

printf '\nThree tasks ended badly, as they were meant to; every file was scanned, and the program lives. Welcome to tandem.\n'
