#!/bin/sh
# Makes sure that the named tools are there, and installs those that are missing: setup.sh [compiler] [cmake] [cmocka]
#
# It asks apt-get, dnf, apk or brew, through sudo if need be, and says so. If nothing is missing it does nothing and says nothing.
set -eu

say() { printf 'setup: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# A compiler without the headers of the C library is no use, so each is asked to read one.
compiles() { printf '%s\n' "$1" | "${CC:-cc}" -std=c11 -fsyntax-only -x c - >/dev/null 2>&1; }
have_compiler() { have make && compiles '#include <pthread.h>'; }
have_cmocka() {
    compiles '#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>' || { have brew && [ -e "$(brew --prefix)/include/cmocka.h" ]; }
}
have_cmake() {
    have cmake && cmake --version | awk 'NR == 1 { split($3, v, "."); exit !(v[1] > 3 || v[1] == 3 && v[2] >= 16) }'
}

packages() { # of a tool, as the manager calls them
    case $manager-$1 in
    apt-get-compiler) echo gcc libc6-dev make ;;
    dnf-compiler) echo gcc glibc-devel make ;;
    apk-compiler) echo gcc musl-dev linux-headers make ;;
    brew-compiler) die "no C compiler: install Apple's with 'xcode-select --install'" ;;
    apt-get-cmocka) echo libcmocka-dev ;;
    dnf-cmocka) echo libcmocka-devel ;;
    apk-cmocka) echo cmocka-dev ;;
    *) echo "$1" ;;
    esac
}

install_packages() {
    case $manager in
    apt-get)
        $sudo apt-get update -qq
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
        ;;
    dnf) $sudo dnf install -y -q "$@" ;;
    apk) $sudo apk add --quiet "$@" ;;
    brew) brew install --quiet "$@" ;;
    esac </dev/null
}

missing=
for tool in "$@"; do
    "have_$tool" || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0

for manager in apt-get dnf apk brew none; do
    have "$manager" && break
done
[ "$manager" != none ] || die "missing:$missing; install it by hand: there is no apt-get, dnf, apk or brew here"

wanted=
for tool in $missing; do
    wanted="$wanted $(packages "$tool")"
done
sudo=
if [ "$manager" != brew ] && [ "$(id -u)" -ne 0 ]; then
    sudo=sudo
    have sudo || die "missing:$missing; to install it needs root, and there is no sudo: as root, install$wanted"
fi
say "missing:$missing; installing with ${sudo:+sudo }$manager:$wanted"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # a list of words
install_packages $wanted >"$log" 2>&1 || { cat "$log" >&2; die "$manager failed"; }

for tool in $missing; do
    "have_$tool" || die "$tool is still missing, or too old (CMake must be 3.16 or later), after installing:$wanted"
done
say "done"
