#!/bin/sh
# Fails unless the libraries show exactly what they should: symbols.sh BUILD
#
# The shared library exports every function that tandem.h declares and nothing else, and has the soname of its major version. In the
# static one every name that a linker sees begins with tandem_ or tdm_.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "${1:?usage: symbols.sh BUILD}"

wrong=0
complain() { echo "$*"; wrong=1; }

declared=$(sed -n 's/^TANDEM_API .*\(tandem_[a-z_]*\)(.*/\1/p' "$root/include/tandem.h" | sort)
[ -n "$declared" ] || complain "no declaration found in tandem.h"
exported=$(nm -D --defined-only libtandem.so | awk '{ print $3 }' | sort)
[ "$declared" = "$exported" ] ||
    complain "tandem.h declares
$declared
but libtandem.so exports
$exported"

major=$(sed -n 's/^#define TANDEM_VERSION_MAJOR *//p' "$root/include/tandem.h")
soname=$(readelf -d libtandem.so | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
[ "$soname" = "libtandem.so.$major" ] || complain "the soname is '$soname', not libtandem.so.$major"

foreign=$(nm -g --defined-only libtandem.a | awk 'NF == 3 && $3 !~ /^(tandem|tdm)_/ { print $3 }')
[ -z "$foreign" ] || complain "libtandem.a has names that could be a program's own: $foreign"
exit $wrong
