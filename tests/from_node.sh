#!/bin/sh
# Fails when a row of examples/from_node.md names a test or a name of the header that is not there, or shows C that does not
# compile: from_node.sh [TREE]
#
# A row is | Node | tandem | FILE.c: test |, the last is - where there is nothing to show. What stands in `...;` in the middle is
# C. With --self-test it shows that it notices each such breach.
set -eu
tests=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [ "${1-}" = --self-test ]; then
    mkdir -p "$scratch/examples" "$scratch/tests/promises" "$scratch/include"
    cp "$tests/../include/tandem.h" "$scratch/include"
    printf '        both(a_thing_is_so),\n        test(another_is_so),\n' >"$scratch/tests/promises/things.c"
    try() { # the middle, the end
        printf '| Node | tandem | shown by |\n|---|---|---|\n| `x` | %s | %s |\n' "$1" "$2" >"$scratch/examples/from_node.md"
        sh "$0" "$scratch" >/dev/null 2>&1
    }
    must_be_noticed() { ! try "$@" || { echo "not noticed: $*"; exit 1; }; }
    try '`tandem_cancel(task);`' 'things.c: a_thing_is_so' || { echo "a sound tree is refused"; exit 1; }
    try 'no meaning in C: `nothing`' '-' || { echo "a sound tree is refused"; exit 1; }
    must_be_noticed '`tandem_cancel(task);`' 'things.c: a_thing_is'
    must_be_noticed '`tandem_cancel(task);`' 'others.c: a_thing_is_so'
    must_be_noticed '`tandem_cancel(task);`' '-'
    must_be_noticed '`tandem_dance`' 'things.c: another_is_so'
    must_be_noticed '`TANDEM_DANCE`' 'things.c: another_is_so'
    must_be_noticed '`tandem_cancel(task, 1);`' 'things.c: another_is_so'
    must_be_noticed '`task->nothing = 1;`' 'things.c: another_is_so'
    must_be_noticed '`tandem_cancel(task);` | too much' 'things.c: another_is_so'
    exit 0
fi

tree=${1:-$tests/..}
table=$tree/examples/from_node.md
failed=0
complain() {
    echo "examples/from_node.md: $*"
    failed=1
}

# ---- each row, as three lines of a file ----
awk -F ' *[|] *' '/^[|]/ && !/^[|]---/ && $2 != "Node" {
    if (NF != 5) { print "examples/from_node.md:" FNR ": not three columns"; failed = 1 }
    print FNR "\t" $3 "\t" $4 >rows
}
END { exit failed }' rows="$scratch/rows" "$table" || failed=1
[ -s "$scratch/rows" ] || complain "there are no rows"

# ---- tests ----
tab=$(printf '\t')
while IFS="$tab" read -r line middle shown; do
    file=${shown%%: *} name=${shown#*: }
    case $shown in
    -)
        case $middle in
        "no meaning in C"* | "not in tandem"* | "not in this version"*) ;;
        *) complain "line $line has a counterpart, and no test" ;;
        esac
        ;;
    *) grep -Eqs "^ *(test|both)\($name\)," "$tree/tests/promises/$file" || complain "line $line: there is no test $shown" ;;
    esac
done <"$scratch/rows"

# ---- names ----
for name in $(grep -Eo '\b(tandem|TANDEM)_[A-Za-z_]+\b' "$table" | sort -u); do
    grep -qw "$name" "$tree/include/tandem.h" || complain "there is no $name in the header"
done

# ---- C ----
{
    cat <<'PRELUDE'
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include "tandem.h"
int run(tandem_context *context, void *input, size_t size);
void on_done(tandem_task *task);
void on_message(tandem_task *task, const tandem_message *message);
void on_output(tandem_task *task, int stream, const void *data, size_t size);
void on_worker_output(uint32_t worker, int stream, const void *data, size_t size, void *argument);
int rows(tandem_pool *pool, tandem_task *task, tandem_task *worker, tandem_task **tasks, tandem_command *command,
         tandem_options *options, tandem_limits *limits, tandem_group *group, tandem_context *context, tandem_message *message,
         tandem_mutex *mutex, tandem_channel *channel, int subscriber, const char *const *argv, const char *const *environment,
         void *bytes, size_t size, int fd);
int rows(tandem_pool *pool, tandem_task *task, tandem_task *worker, tandem_task **tasks, tandem_command *command,
         tandem_options *options, tandem_limits *limits, tandem_group *group, tandem_context *context, tandem_message *message,
         tandem_mutex *mutex, tandem_channel *channel, int subscriber, const char *const *argv, const char *const *environment,
         void *bytes, size_t size, int fd)
{
    static _Atomic uint32_t word;
    tandem_message answer;
    uid_t user = 65534;
    gid_t group_id = 65534;
PRELUDE
    awk -F '\t' '{
        for (part = split($2, parts, "`"); part > 0; part--)
            if (part % 2 == 0 && parts[part] ~ /;$/) printf "#line %d \"examples/from_node.md\"\n    { %s }\n", $1, parts[part]
            else if (part % 2 == 0 && parts[part] ~ /}$/) printf "#line %d \"examples/from_node.md\"\n    { %s }\n", $1, parts[part]
    }' "$scratch/rows"
    echo '    return 0;'
    echo '}'
} >"$scratch/rows.c"
${CC:-cc} -std=c11 -Wall -Wextra -Wno-unused -Wno-unused-parameter -Werror -fsyntax-only -I"$tree/include" "$scratch/rows.c" ||
    failed=1
exit $failed
