#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each shared library exports exactly what is listed here, and needs nothing but what is documented.
# With UPDATE=1 the lists are written instead.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

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
check libsegue_trace libsegue.so.0.1 libjansson.so.4 libxxhash.so.0
check libsegue_soft
exit $failed
