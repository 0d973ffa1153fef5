#!/bin/sh
# Fails when a file in src/ includes one that its floor must not know, or when two files there share a name: layers.sh [TREE]
#
#   base < job < { task | child < guards } < { threads | process | command } < the roof, which is src/ itself
#
# Side by side in braces means: these never see each other. With --self-test it shows that it notices each such breach.
set -eu
tests=$(cd "$(dirname "$0")" && pwd)

if [ "${1-}" = --self-test ]; then
    tree=$(mktemp -d)
    trap 'rm -rf "$tree"' EXIT
    must_be_noticed() { # in this file, this include
        rm -rf "$tree/src"
        mkdir -p "$tree/src/base" "$tree/src/task" "$tree/src/child" "$tree/src/guards" "$tree/src/threads" \
            "$tree/src/process"
        for file in pool base/list task/wait child/zygote guards/link threads/deque process/slot; do
            printf '#include "base/list.h"\n' >"$tree/src/$file.h"
        done
        sh "$0" "$tree" >/dev/null || { echo "a sound tree is refused"; exit 1; }
        printf '#include "%s"\n' "$2" >"$tree/src/$1"
        ! sh "$0" "$tree" >/dev/null || { echo "not noticed: src/$1 includes $2"; exit 1; }
    }
    must_be_noticed base/list.c task/wait.h    # upwards
    must_be_noticed task/wait.c child/guard.h # across the fork
    must_be_noticed child/guard.c task/wait.h
    must_be_noticed guards/link.c task/wait.h
    must_be_noticed task/wait.c guards/link.h
    must_be_noticed guards/link.c process/slot.h
    must_be_noticed threads/deque.c process/slot.h # from lane to lane
    must_be_noticed process/slot.c pool.h          # the roof
    must_be_noticed task/wait.c wait.h             # not written as seen from src/
    must_be_noticed task/list.h base/list.h        # a name that is there twice
    exit 0
fi

cd "${1:-$tests/..}/src"
find . -name '*.[ch]' | sed 's|^\./||' | sort | xargs awk '
    BEGIN {
        below["base"] = " base "
        below["job"] = below["base"] "job "
        below["task"] = below["job"] "task "
        below["child"] = below["job"] "child "
        below["guards"] = below["child"] "guards "
        for (lane = split("threads process command", lanes); lane; lane--)
            below[lanes[lane]] = below["job"] "task child guards " lanes[lane] " "
        below["roof"] = below["job"] "task child guards threads process command roof "
    }
    function floor(path) { return sub("/.*", "", path) ? path : "roof" }
    function breach(what) { print "src/" FILENAME ":" FNR ": " what; failed = 1 }
    function check(include) {
        if (include == "tandem.h") return
        if ((getline line <include) < 0) breach("there is no src/" include)
        else if (!index(below[floor(FILENAME)], " " floor(include) " ")) breach(floor(FILENAME) " must not know " include)
        close(include)
    }
    FNR == 1 {
        base = FILENAME
        sub(".*/", "", base)
        if (base in seen) breach("has the name of src/" seen[base])
        seen[base] = FILENAME
    }
    /^ *# *include *"/ { split($0, part, "\""); check(part[2]) }
    END { exit failed }'
