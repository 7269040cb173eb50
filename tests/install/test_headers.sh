#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every public header compiles alone, first and twice, as C11 and C17 and as C++, without a warning.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
warnings="-Wall -Wextra -Wpedantic -Werror"
count=0
includes="-I$SOURCE_DIR/hal/include -I$SOURCE_DIR/kernels/include"
for header in "$SOURCE_DIR"/hal/include/segue/*.h "$SOURCE_DIR"/kernels/include/segue/*.h; do
  name=segue/$(basename "$header")
  printf '#include <%s>\n#include <%s>\nint segue_probe;\n' "$name" "$name" >"$work/probe.c"
  cp "$work/probe.c" "$work/probe.cpp"
  for standard in c11 c17; do
    # shellcheck disable=SC2086
    $CC -std=$standard $warnings $includes -c "$work/probe.c" -o "$work/probe.o"
  done
  if [ -n "$CXX" ]; then
    for standard in c++11 c++20; do
      # shellcheck disable=SC2086
      $CXX -std=$standard $warnings $includes -c "$work/probe.cpp" -o "$work/probe.o"
    done
  fi
  count=$((count + 1))
done
[ "$count" -ge 10 ]
[ -n "$CXX" ] || echo "no C++ compiler: checked as C only"
echo "$count headers"
