#!/bin/sh
# Builds and runs a user's program in one of the ways the README offers: consumer.sh WAY KIND BUILD
# promise 54: every way of embedding; and with WAY header, promise 55: the header alone as C11 and as C++11
#
# WAY: add_subdirectory, fetch_content, find_package, pkg_config, plain_cc, plugins or header. KIND: static or shared; any for the
# last two. What has to be installed comes from the folder BUILD.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# -eq 3 ] || { sed -n '2s/^.*: /usage: /p' "$0" >&2; exit 2; }
way=$1 kind=$2 build=$3
cc=${CC:-cc}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix

logged() { "$@" >"$scratch/log" 2>&1 </dev/null || { cat "$scratch/log"; echo "failed: $*"; exit 1; }; }
compile() { logged "$cc" -std=c11 -Wall -Wextra -Werror -O2 "$@"; }
install_tandem() { logged cmake --install "$build" --prefix "$prefix"; }
skip() {
    echo "skipped: $*"
    [ -z "${CI-}" ] || exit 1 # there nothing may be missing
    exit 77
}

# It must work, and be linked as it was asked to be.
run_consumer() {
    "$@"
    for program in "$@"; do :; done
    if readelf -d "$program" | grep -q 'NEEDED.*libtandem\.so'; then found=shared; else found=static; fi
    [ $found = "$kind" ] || { echo "$program is $found"; exit 1; }
}

# configure FOLDER ARGUMENT...
configure() {
    into=$scratch/$1
    shift
    logged cmake -S "$here" -B "$into" -DWAY="$way" -DKIND="$kind" -DBUILD_SHARED_LIBS=$shared -DTANDEM_SOURCE="$root" \
        -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_EXPORT_COMPILE_COMMANDS=ON "$@"
}

# The consumer names no build type; his tandem is optimised all the same, and as small as the installed one.
is_optimised() {
    commands=$scratch/build/compile_commands.json
    ! grep '"command".*/tandem_static.dir/' "$commands" | grep -v ' -O2' || { echo "these are not optimised"; exit 1; }
    grep -q '"command".* -O[sz] .*/src/pool\.c' "$commands" || { echo "src/pool.c is not made small"; exit 1; }
}

# But what he says of it himself, in either way, holds.
is_left_alone() {
    for said in -DCMAKE_C_FLAGS=-O0 -DCONSUMER_OPTIONS=-O0; do
        configure said$said $said
        ! grep '"command".*/tandem_static.dir/' "$into/compile_commands.json" | grep -e '-O[^0]' -e '-fno-async' ||
            { echo "these are not as $said says"; exit 1; }
    done
}

by_cmake() {
    shared=OFF
    [ "$kind" = static ] || shared=ON
    configure build
    # The environment may name something, too.
    [ "$way" = find_package ] || [ -n "${CFLAGS-}${CMAKE_BUILD_TYPE-}" ] || { is_optimised && is_left_alone; }
    logged cmake --build "$scratch/build" -j 2
    run_consumer "$scratch/build/consumer"
    run_consumer "$scratch/build/consumer_exact"
}

by_pkg_config() {
    command -v pkg-config >/dev/null || skip "there is no pkg-config here"
    install_tandem
    # Moved after it was installed, as packagers do; and for the static one what the linker would prefer is taken away.
    mv "$prefix" "$scratch/moved"
    pc=$(find "$scratch/moved" -name tandem.pc)
    [ "$kind" = shared ] || find "$scratch/moved" -name 'libtandem.so*' -exec rm {} +
    PKG_CONFIG_PATH=$(dirname "$pc")
    export PKG_CONFIG_PATH
    set -- --cflags --libs tandem
    [ "$kind" = shared ] || set -- --static "$@"
    # shellcheck disable=SC2046 # it prints a list of words
    compile "$here/consumer.c" $(pkg-config "$@") -o "$scratch/consumer"
    run_consumer env LD_LIBRARY_PATH="$(dirname "$pc")/.." "$scratch/consumer"
}

by_plain_cc() {
    if [ "$kind" = static ]; then
        logged "$cc" -I"$root/include" -I"$root/src" "$here/consumer.c" "$root"/src/*.c "$root"/src/*/*.c -pthread \
            -o "$scratch/consumer"
    else
        logged "$cc" -DTANDEM_EXPORTS -fvisibility=hidden -shared -fPIC -I"$root/include" -I"$root/src" "$root"/src/*.c \
            "$root"/src/*/*.c -pthread -o "$scratch/libtandem.so"
        compile -I"$root/include" "$here/consumer.c" -L"$scratch" -ltandem -o "$scratch/consumer"
    fi
    run_consumer env LD_LIBRARY_PATH="$scratch" "$scratch/consumer"
}

plugins() {
    for plugin in 1 1000; do
        compile -shared -fPIC -DADDEND=$plugin -I"$root/include" "$here/plugin.c" "$build/libtandem.a" -pthread \
            -o "$scratch/plugin_$plugin.so"
    done
    compile "$here/plugin_host.c" -ldl -o "$scratch/plugin_host"
    "$scratch/plugin_host" "$scratch/plugin_1.so" "$scratch/plugin_1000.so"
}

# The header alone, by each compiler that is here; then a whole C++ program.
header() {
    echo '#include <tandem.h>' >"$scratch/header.c"
    strict="-Wall -Wextra -Wpedantic -Wundef -Werror -I$root/include -fsyntax-only"
    tried=
    for compiler in "$cc" gcc clang; do
        command -v "$compiler" >/dev/null || continue
        # shellcheck disable=SC2086 # lists of words, here and below
        logged "$compiler" -std=c11 $strict -Wstrict-prototypes "$scratch/header.c"
        tried="$tried $compiler"
    done
    cxx=
    for compiler in c++ g++ clang++; do
        command -v "$compiler" >/dev/null || continue
        # shellcheck disable=SC2086
        logged "$compiler" -std=c++11 $strict -x c++ "$scratch/header.c"
        cxx=$compiler tried="$tried $compiler"
    done
    echo "the header compiles alone with:$tried"
    [ -n "$cxx" ] || skip "there is no C++ compiler here"
    logged "$cxx" -std=c++11 -Wall -Wextra -Werror -I"$root/include" -x c++ "$here/consumer.c" -x none "$build/libtandem.a" \
        -pthread -o "$scratch/consumer"
    "$scratch/consumer"
}

case $way in
find_package) install_tandem && by_cmake ;;
add_subdirectory | fetch_content) by_cmake ;;
pkg_config) by_pkg_config ;;
plain_cc) by_plain_cc ;;
plugins) plugins ;;
header) header ;;
*) echo "unknown way: $way" >&2; exit 2 ;;
esac
