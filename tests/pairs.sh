#!/bin/sh
# Fails when an atomic's pair name, such as [deque-publish] in a comment of src/, stands at one end only: pairs.sh [TREE]
#
# With --self-test it shows that it notices one.
set -eu
tests=$(cd "$(dirname "$0")" && pwd)

if [ "${1-}" = --self-test ]; then
    tree=$(mktemp -d)
    trap 'rm -rf "$tree"' EXIT
    mkdir -p "$tree/src/base"
    printf '/* [the-pair] */\nint x; // [the-pair]\nint y = a[no-name];\n' >"$tree/src/base/list.c"
    sh "$0" "$tree" >/dev/null || { echo "a sound tree is refused"; exit 1; }
    printf 'int y; /* its writer is elsewhere:\n [lone-end] */\n' >"$tree/src/pool.c"
    ! sh "$0" "$tree" >/dev/null || { echo "not noticed: a lone [lone-end]"; exit 1; }
    exit 0
fi

cd "${1:-$tests/..}/src"
find . -name '*.[ch]' | sort | xargs awk '
    # What of this line is comment; one that began on an earlier line is still open if `inside`.
    function comment_of(line, text, at) {
        text = ""
        while (line != "") {
            if (!inside) {
                if (!(at = match(line, "/[*]|//"))) break
                inside = substr(line, at, 2) == "/*"
                line = substr(line, at + 2)
                if (!inside) return text line
            }
            at = index(line, "*/")
            text = text (at ? substr(line, 1, at - 1) : line) " "
            line = at ? substr(line, at + 2) : ""
            inside = !at
        }
        return text
    }
    FNR == 1 { inside = 0 }
    {
        comment = comment_of($0)
        while (match(comment, /\[[a-z]+(-[a-z]+)+\]/)) {
            pair = substr(comment, RSTART, RLENGTH)
            ends[pair]++
            where[pair] = substr(FILENAME, 3) ":" FNR
            comment = substr(comment, RSTART + RLENGTH)
        }
    }
    END {
        for (pair in ends)
            if (ends[pair] < 2) {
                print "src/" where[pair] ": nothing pairs with " pair
                failed = 1
            }
        exit failed
    }'
