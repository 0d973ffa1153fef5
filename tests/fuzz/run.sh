#!/bin/sh
# Feeds the host's readers with what a worker could write: run.sh [--seconds N] [--build DIR] [TARGET...]
#
# Builds in DIR (default build/fuzz beside tests/) and runs each target, all together for so many seconds (default 10). With clang and
# its libFuzzer that searches by what code is reached; elsewhere standalone.c changes the seeds at random. The seeds of corpus/TARGET are
# written for people, and seed.c turns them into bytes. What is found stays in DIR; an input that crashed is there as TARGET-crash-...,
# and `DIR/TARGET INPUT` runs it again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

seconds=10 build=$root/build/fuzz targets=''
while [ $# -gt 0 ]; do
    case $1 in
    --seconds | --build) [ $# -ge 2 ] || { sed -n '2s/^# */usage: /p' "$0" >&2; exit 2; } ;;
    esac
    case $1 in
    --seconds) seconds=$2; shift ;;
    --build) build=$2; shift ;;
    *) targets="$targets $1" ;;
    esac
    shift
done
[ -n "$targets" ] || for target in "$here"/corpus/*; do targets="$targets ${target##*/}"; done
mkdir -p "$build"
build=$(cd "$build" && pwd)

# ---- the best that there is here ----

links() { # COMMAND...: can it link a target?
    printf '#include <stddef.h>\nint LLVMFuzzerTestOneInput(const unsigned char *d, size_t n) { return (void)d, (void)n, 0; }\n%s' "$main" \
        >"$build/probe.c"
    "$@" "$build/probe.c" -o "$build/probe" >"$build/probe.log" 2>&1 && "$build/probe" -runs=1 >>"$build/probe.log" 2>&1
}
sanitizers=address,undefined main=''
if links clang -fsanitize=fuzzer,$sanitizers; then
    cc=clang objects=-fsanitize=fuzzer-no-link,$sanitizers program=-fsanitize=fuzzer,$sanitizers standalone=''
else
    main='int main(void) { return 0; }' cc=${CC:-cc} objects='' standalone=$here/standalone.c
    ! links "$cc" -fsanitize=$sanitizers || objects=-fsanitize=$sanitizers
    program=$objects
    echo "no libFuzzer here: seeds are changed at random${objects:+, under $objects}"
fi
flags="-std=c11 -g -O1 -pthread -fno-omit-frame-pointer -I$root/include -I$root/src"
[ -z "$objects" ] || flags="$flags $objects -fno-sanitize-recover=all"

# ---- building: what the targets need of the library, and they ----

rm -rf "$build/objects"
mkdir -p "$build/objects"
(cd "$root/src" && ls base/*.c job/*.c task/*.c process/verdict.c) | while read -r source; do
    printf '%s %s\n' "$source" "$build/objects/$(echo "$source" | tr / _).o"
done | xargs -n 2 -P "$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)" \
    sh -c 'cd "$0" && exec '"$cc $flags"' -c "$1" -o "$2"' "$root/src" >"$build/build.log" 2>&1 ||
    { cat "$build/build.log"; echo "the build failed"; exit 1; }
rm -f "$build/library.a"
ar rc "$build/library.a" "$build"/objects/*.o
compile() { # OUTPUT ARGUMENT...
    output=$1
    shift
    # shellcheck disable=SC2086 # lists of words
    $cc $flags "$@" "$build/library.a" -o "$output" >>"$build/build.log" 2>&1 ||
        { cat "$build/build.log"; echo "the build failed"; exit 1; }
}
compile "$build/seed" ${objects:+-fsanitize=$sanitizers} "$here/seed.c"
for target in $targets; do
    # shellcheck disable=SC2086
    compile "$build/$target" $program "$here/$target.c" $standalone
done

# ---- running ----

count=0 runs=0 crashes=0
for target in $targets; do count=$((count + 1)); done
each=$((seconds / count))
[ $each -gt 0 ] || each=1

for target in $targets; do
    seeds=$build/$target-seeds found=$build/$target-found log=$build/$target.log
    rm -rf "$seeds"
    mkdir -p "$seeds" "$found"
    for seed in "$here/corpus/$target"/*; do
        "$build/seed" <"$seed" >"$seeds/${seed##*/}" || { echo "$seed is no seed"; exit 1; }
    done
    status=0
    if [ -n "$standalone" ]; then
        "$build/$target" --seconds $each --save "$build/$target-crash-standalone" "$seeds"/* >"$log" 2>&1 </dev/null || status=$?
    else
        "$build/$target" -max_total_time=$each -max_len=16384 -timeout=20 -print_final_stats=1 \
            -artifact_prefix="$build/$target-" "$found" "$seeds" >"$log" 2>&1 </dev/null || status=$?
    fi
    done=$(sed -n 's/^Done \([0-9]*\) runs in .*/\1/p; s/^stat::number_of_executed_units: *\([0-9]*\)/\1/p' "$log" | tail -n 1)
    echo "$target: ${done:-?} runs in $each s"
    runs=$((runs + ${done:-0}))
    if [ $status -ne 0 ]; then
        crashes=$((crashes + 1))
        tail -n 60 "$log"
    fi
done
echo "fuzz: $count targets, $runs runs, $crashes crashes"
[ $crashes -eq 0 ]
