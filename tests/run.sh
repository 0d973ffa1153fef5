#!/bin/sh
# Sets up, builds and runs the tests; the last line says how many passed, failed and were skipped.
#
#   sh tests/run.sh [--build DIR] [--only NAMES] [--label LABELS] [--without LABELS] [--jobs N] [-DNAME=VALUE ...]
#
# --build DIR: where to build, default build/ beside this folder. --only, --label, --without: only tests with such a name, with such
# a CTest label, or without it, each a regular expression. The labels: promises, unit, faults, example, tree (checks of the source tree),
# library (checks of what was built). --jobs: how many run at a time, default one. -D: a setting of the build, as for cmake; it stays
# with that folder. With TANDEM_FULL=1 in the environment the tests run their full counts, which takes hours.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)

usage() { sed -n '4s/^# */usage: /p' "$0" >&2; exit 2; }
build=$root/build only='' label='' without='' jobs=1 timeout=120
[ "${TANDEM_FULL:-0}" = 0 ] || timeout=7200
while [ $# -gt 0 ]; do
    case $1 in
    -D?*) break ;;
    --build | --only | --label | --without | --jobs) [ $# -ge 2 ] || usage ;;
    *) usage ;;
    esac
    case $1 in
    --build) build=$2 ;;
    --only) only=$2 ;;
    --label) label=$2 ;;
    --without) without=$2 ;;
    --jobs) jobs=$2 ;;
    esac
    shift 2
done

sh "$root/tests/setup.sh" compiler cmake cmocka
cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
mkdir -p "$build"
build=$(cd "$build" && pwd)

echo "building in $build"
{
    cmake -S "$root" -B "$build" -DTANDEM_BUILD_TESTS=ON -DTANDEM_BUILD_EXAMPLES=ON -DTANDEM_BUILD_BENCH=ON \
        -DTANDEM_TEST_TIMEOUT="$timeout" "$@" && cmake --build "$build" -j "$cores"
} >"$build/build.log" 2>&1 </dev/null || { cat "$build/build.log"; echo "the build failed"; exit 1; }
! grep -F 'warning:' "$build/build.log" || echo "the build has warnings: see $build/build.log"

echo "running the tests; all that they print is in $build/tests.log"
cd "$build"
# CTest's verdict arrives as lines, like all the rest.
{ ctest -V -j "$jobs" ${only:+-R "$only"} ${label:+-L "$label"} ${without:+-LE "$without"} 2>&1 </dev/null || :; } | tee tests.log |
    awk -f "$root/tests/summary.awk"
