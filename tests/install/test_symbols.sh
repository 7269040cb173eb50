#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each shared library exports exactly what is listed here, has the SONAME that docs/releasing.md
# says, and needs nothing but what is documented; archives define no name that could meet a user's.
# With UPDATE=1 the lists are written instead.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
case $VERSION in
  0.*) abi=${VERSION%.*} ;;
  *) abi=${VERSION%%.*} ;;
esac

check() {
  library=$BUILD_DIR/lib/$1.so
  list=$here/$1.symbols
  "$NM" -D --defined-only "$library" | sed 's/^[0-9a-f]* [A-Z] //; s/@.*//' | LC_ALL=C sort \
    >"$work/actual"
  if [ "${UPDATE:-}" = 1 ]; then
    cp "$work/actual" "$list"
  elif ! diff -u "$list" "$work/actual"; then
    echo "$1 exports other symbols than tests/install/$1.symbols lists"
    failed=1
  fi
  soname=$("$READELF" -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
  if [ "$soname" != "$1.so.$abi" ]; then
    echo "the SONAME of $1 is '$soname', and should be $1.so.$abi"
    failed=1
  fi
  shift
  # The C library's own parts are always fine.
  for needed in $("$READELF" -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    case " libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 ld-linux-x86-64.so.2 \
ld-linux-aarch64.so.1 $* " in
      *" $needed "*) ;;
      *)
        echo "$library needs $needed"
        failed=1
        ;;
    esac
  done
}

check libsegue
check libsegue_trace "libsegue.so.$abi" libjansson.so.4 libxxhash.so.0
# liburing only where it was found.
check libsegue_prepack "libsegue.so.$abi" "libsegue_trace.so.$abi" libxxhash.so.0 liburing.so.2
check libsegue_soft
for name in libsegue libsegue_kernels libsegue_prepack libsegue_trace; do
  archive=$BUILD_DIR/lib/$name.a
  found=$("$NM" -g --defined-only "$archive" | sed -n 's/^[0-9a-f]* [A-Z] //p' |
    grep -v '^segue_' || true)
  [ -z "$found" ] || {
    echo "$archive defines names without segue_: $found"
    failed=1
  }
done
exit $failed
