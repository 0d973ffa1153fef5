#!/bin/sh
# Runs every code block of README.md and src/README.md, each as its reader would: readme.sh BUILD
#
#   ```c            a whole program: compiled without a warning, run, and must return 0. If its first line names a file, as in
#                   /* hello.c - ..., the blocks after it find it under that name
#   ```text output  what the program of the block before must have printed
#   ```sh           run by `sh -e` in a copy of the tree, with HOME an empty folder that cmake and pkg-config also look in
#   ```cmake        the middle of a project with one program, which is configured and built; a download is replaced by the copy
#
# Any other kind of block fails: nobody would run it. The line `sh tests/run.sh` is not run again, for it is what runs this.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "${1:?usage: readme.sh BUILD}" && pwd)
cc=${CC:-cc}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/tandem
mkdir "$tree" "$scratch/home"
(cd "$root" && tar -cf - CMakeLists.txt LICENSE README.md .clang-format .gitignore include src tests examples bench) |
    tar -xf - -C "$tree"

HOME=$scratch/home
PKG_CONFIG_PATH=$HOME/.local/lib/pkgconfig
CMAKE_PREFIX_PATH=$HOME/.local
CMAKE_BUILD_PARALLEL_LEVEL=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
export HOME PKG_CONFIG_PATH CMAKE_PREFIX_PATH CMAKE_BUILD_PARALLEL_LEVEL

fail() { echo "$where: $*"; exit 1; }
logged() { "$@" >"$scratch/log" 2>&1 </dev/null || { cat "$scratch/log"; fail "failed: $*"; }; }

run_c() {
    logged "$cc" -std=c11 -Wall -Wextra -Werror -O2 -I"$root/include" -x c "$block" -x none "$build/libtandem.a" \
        -pthread -o "$scratch/program"
    "$scratch/program" >"$scratch/output" </dev/null || fail "the program returned $?"
    name=$(sed -n '1s,^/[/*] *\([a-z_]*\.c\)[ :].*,\1,p' "$block")
    [ -z "$name" ] || cp "$block" "$tree/$name"
}

run_text_output() {
    [ "$previous" = c ] || fail "output of what? No program stands before it"
    diff "$block" "$scratch/output" || fail "the program printed something else"
}

run_sh() {
    if grep -q pkg-config "$block" && ! command -v pkg-config >/dev/null; then
        [ -z "${CI-}" ] || fail "there is no pkg-config here" # where nothing may be missing
        echo "$where: not run, there is no pkg-config here"
        return 0
    fi
    if grep -qx 'sh tests/run.sh' "$block"; then
        [ -f "$tree/tests/run.sh" ] || fail "there is no tests/run.sh"
        echo "$where: sh tests/run.sh is what runs this"
    fi
    grep -vx 'sh tests/run.sh' "$block" >"$scratch/script" || return 0
    cd "$tree"
    logged sh -e "$scratch/script"
}

run_cmake() {
    project=$scratch/project
    rm -rf "$project"
    mkdir "$project"
    program=$(sed -n 's/^ *target_link_libraries(\([a-z_]*\).*/\1/p' "$block" | head -n 1)
    folder=$(sed -n 's/^ *add_subdirectory(\([^ )]*\).*/\1/p' "$block")
    if [ -n "$folder" ]; then
        mkdir -p "$project/$(dirname "$folder")"
        ln -s "$tree" "$project/$folder"
    fi
    cp "$root/examples/hello.c" "$project/$program.c"
    {
        printf 'cmake_minimum_required(VERSION 3.16)\nproject(reader C)\n'
        grep -q add_executable "$block" || printf 'add_executable(%s %s.c)\n' "$program" "$program"
        cat "$block"
    } >"$project/CMakeLists.txt"
    [ -d "$HOME/.local" ] || ! grep -q 'find_package(tandem' "$block" || logged cmake --install "$build" --prefix "$HOME/.local"
    logged cmake -S "$project" -B "$project/build" -DFETCHCONTENT_SOURCE_DIR_TANDEM="$tree"
    logged cmake --build "$project/build"
    logged "$project/build/$program"
}

# Cuts the page into numbered files and prints, for each: its number, the line it begins at, and its kind.
cut_blocks() {
    awk -v out="$scratch/block" '
        function line(text) { print text >(out blocks) }
        !/^ *```/ { if (inside) line($0); next }
        inside { inside = 0; close(out blocks); next }
        { inside = 1; sub(/^ *``` */, ""); blocks++; printf "" >(out blocks); print blocks, FNR, $0 }
        END { if (inside) print blocks + 1, FNR, "block that never ends" }' "$1"
}

ran=0
for page in README.md src/README.md; do
    previous=none
    cut_blocks "$root/$page" >"$scratch/blocks"
    while read -r number line kind <&3; do
        block=$scratch/block$number where=$page:$line
        case $kind in
        c) run_c ;;
        'text output') run_text_output ;;
        sh) (run_sh) ;;
        cmake) run_cmake ;;
        *) fail "a block of kind '$kind': nobody runs this block" ;;
        esac
        echo "$where: $kind, good"
        previous=$kind ran=$((ran + 1))
    done 3<"$scratch/blocks"
done
[ "$ran" -gt 0 ] || { echo "README.md has no code block"; exit 1; }
