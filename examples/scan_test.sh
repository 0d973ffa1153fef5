#!/bin/sh
# Tests scan on a tree of odd files, against sha256sum and wc.  Usage: scan_test.sh SCAN [files|walk|json|poison|timeouts|exit_codes]...
set -eu
LC_ALL=C # bytes are bytes, for scan's table and for the tools here
export LC_ALL

scan=$1
shift
[ $# -gt 0 ] || set -- files walk json poison timeouts exit_codes

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
trap 'exit 1' HUP INT TERM
tree=$temp/tree
odd_name=$(printf 'new\nline "quoted" back\\slash \200\377')

fail() {
    printf 'scan_test: %s\n' "$*" >&2
    exit 1
}

# expect_exit STATUS ARGUMENT...: runs scan, leaves its output in $temp/out and $temp/err.
expect_exit() {
    expected=$1
    shift
    status=0
    "$scan" "$@" >"$temp/out" 2>"$temp/err" || status=$?
    [ "$status" -eq "$expected" ] || fail "scan $* ended with $status instead of $expected: $(cat "$temp/err")"
}

# expect_line FILE TEXT: a line of that file has that text.
expect_line() {
    grep -F -q -e "$2" "$1" || fail "there is no '$2' in: $(cat "$1")"
}

sha256_of() {
    if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

# field NAME: of the first row in $temp/out.
field() {
    sed -n "1s/.*\"$1\":\"\{0,1\}\([0-9a-z.]*\).*/\1/p" "$temp/out"
}

# Files that can all be scanned.
make_files() {
    mkdir -p "$tree/deep/er"
    : >"$tree/empty"
    printf 'no newline at the end' >"$tree/no_newline"
    printf '\n\n\n' >"$tree/only_newlines"
    printf 'The cat and the dog.\nTHE END, and: the Cat.\n' >"$tree/deep/words"
    for size in 55 56 63 64 65 119 120; do head -c $size /dev/zero >"$tree/deep/er/zeros_$size"; done
    dd if=/dev/urandom of="$tree/binary" bs=65536 count=48 2>/dev/null
    echo odd >"$tree/$odd_name" || odd_name=
}

# Names that stand for no file, or for one that cannot be read, and folders that are left out.
make_traps() {
    ln -s . "$tree/deep/loop"
    ln -s nowhere "$tree/dangling"
    mkfifo "$tree/fifo"
    mkdir "$tree/.hidden" "$tree/build"
    : >"$tree/.hidden/unseen"
    : >"$tree/build/CMakeCache.txt"
    : >"$tree/unreadable"
    chmod 000 "$tree/unreadable"
}

# What scan finds is what the system's own tools find, wherever it runs.
files() {
    make_files
    find "$tree" -type f >"$temp/names" # the odd name takes two lines there; it is tested on its own
    while read -r name; do
        [ -f "$name" ] || continue
        compare "$name"
    done <"$temp/names"
    [ -z "$odd_name" ] || compare "$tree/$odd_name"

    expect_exit 0 --json "$tree/deep/words"
    expect_line "$temp/out" '"words":[{"word":"the","count":4},{"word":"and","count":2},{"word":"cat","count":2}]'
    expect_exit 0 --json "$tree/deep/er/zeros_64"
    expect_line "$temp/out" '"entropy":0.000000'
    expect_exit 0 --json "$tree/binary"
    expect_line "$temp/out" '"entropy":7.99'
}

compare() {
    for isolation in "" --isolate; do
        expect_exit 0 --json $isolation -- "$1"
        [ "$(field sha256)" = "$(sha256_of "$1")" ] || fail "sha256sum does not agree on $1"
        [ "$(field size)" -eq "$(wc -c <"$1")" ] || fail "wc -c does not agree on $1"
        [ "$(field lines)" -eq "$(wc -l <"$1")" ] || fail "wc -l does not agree on $1"
    done
}

# Every name has its row, whatever it stands for; both isolations say the same of all of them.
walk() {
    make_files
    make_traps
    for isolation in "" --isolate; do
        expect_exit 1 --json $isolation "$tree" "$temp/vanished"
        expect_line "$temp/out" "tree/deep/loop\",\"time_ms\":0.000,\"status\":\"skipped\",\"code\":"
        expect_line "$temp/out" '"why":"a folder loop: it leads back to one it lies in"'
        expect_line "$temp/out" '"why":"a symbolic link to nothing"'
        expect_line "$temp/out" '"why":"a fifo, not a file"'
        expect_line "$temp/out" "vanished\",\"time_ms\":0.000,\"status\":\"skipped\""
        expect_line "$temp/out" '"folders_left_out":2'
        if [ "$(id -u)" -ne 0 ]; then expect_line "$temp/out" '"why":"Permission denied"'; fi
        sed 's/"where".*"status"/"status"/; s/"time_ms":[0-9.]*//' "$temp/out" >"$temp/rows$isolation"
    done
    cmp "$temp/rows" "$temp/rows--isolate" || fail "threads and processes do not agree"

    expect_exit 1 --jobs 3 "$tree"
    expect_line "$temp/out" ' skipped '
    [ -z "$odd_name" ] || expect_line "$temp/out" 'new\x0aline "quoted" back\\slash \x80\xff'
    expect_exit 0 "$tree/.hidden" "$tree/build" # what is named is never left out
    expect_line "$temp/out" '2 of 2 files scanned on '
}

# Each line is JSON, and the true name can be had from it.
json() {
    if ! command -v python3 >/dev/null; then
        echo "scan_test: no python3 here, so nobody reads the JSON"
        return
    fi
    make_files
    make_traps
    expect_exit 1 --json "$tree"
    python3 - "$tree" "$temp/out" <<'END'
import json, os, sys
tree, out = os.fsencode(sys.argv[1]), sys.argv[2]
lines = [json.loads(line) for line in open(out, "rb")]
rows, summary = lines[:-1], lines[-1]["summary"]
names = {bytes.fromhex(row["file_hex"]) if "file_hex" in row else row["file"].encode() for row in rows}
there = {os.path.join(tree, name) for name in os.listdir(tree)} - {tree + b"/deep", tree + b"/.hidden", tree + b"/build"}
assert there <= names, there - names
assert len(names) == len(rows) == summary["files"]
assert summary["scanned"] == sum(row["status"] == "ok" for row in rows)
assert summary["bytes"] == sum(row.get("size", 0) for row in rows)
END
}

# Three tasks end badly, and every file is scanned.
poison() {
    make_files
    expect_exit 1 --isolate --poison --json --jobs 2 "$tree"
    expect_line "$temp/err" 'the task that loops gets 2000 ms'
    for ending in '"poison":"crashes".*"status":"crashed"' '"poison":"loops for ever".*"status":"timed out"' \
        '"poison":"eats memory".*"status":"crashed"'; do
        grep -q "$ending" "$temp/out" || fail "there is no $ending in: $(cat "$temp/out")"
    done
    expect_line "$temp/out" '"poisons":3,"poisons_ended_badly":3'
    if grep '"file":' "$temp/out" | grep -v '"status":"ok"'; then fail "poison has harmed a file's task"; fi
}

# A file that is too large for its time costs its own row only.  It has a hole of 16 GiB, which takes no room.
timeouts() {
    mkdir "$tree"
    echo small >"$tree/small"
    dd if=/dev/null of="$tree/huge" bs=1048576 seek=16384 2>/dev/null
    for isolation in "" --isolate; do
        expect_exit 1 --timeout 1000 $isolation "$tree"
        grep -q '/huge .* timed out .* it ran longer than its timeout$' "$temp/out" || fail "no such row: $(cat "$temp/out")"
        expect_line "$temp/out" '1 of 2 files scanned'
    done
}

exit_codes() {
    make_files
    expect_exit 0 "$tree"
    expect_exit 0 --isolate "$tree"
    expect_exit 0 --help
    expect_exit 1 "$tree/vanished"
    expect_line "$temp/out" 'No such file or directory'
    for bad in --jobs --jobs=2 '--jobs 0' '--jobs x' '--jobs 99999' '--timeout -1' '--timeout 4294967296' --no-such-option; do
        # shellcheck disable=SC2086 # these are words
        expect_exit 2 $bad
    done
    expect_exit 2 --poison "$tree"
    expect_line "$temp/err" '--poison needs --isolate, because'
}

for part; do
    rm -rf "$tree"
    "$part"
done
