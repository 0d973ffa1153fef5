#!/bin/sh
# Fails when hello at -O2, statically linked with tandem as CMake builds it by default and stripped, has 200 KB of text or more: size.sh BUILD
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:?usage: size.sh BUILD}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

text_of() { size "$1" | awk 'NR == 2 { print $1 }'; }
link_hello() { ${CC:-cc} -O2 -s "$@" -o "$scratch/program"; }

link_hello -I"$root/include" "$root/examples/hello.c" "$build/libtandem.a" -pthread
text=$(text_of "$scratch/program")
echo 'int main(void) { return 0; }' >"$scratch/empty.c"
link_hello "$scratch/empty.c"
empty=$(text_of "$scratch/program")

echo "hello has $text bytes of text; $((text - empty)) of them are not in an empty program: tandem's, and its own few lines"
[ "$text" -lt 200000 ]
