#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The example in README.md is samples/hello/hello.c, and prints what the README says.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$SOURCE_DIR/README.md" \
  >"$work/readme.c"
diff -u "$SOURCE_DIR/samples/hello/hello.c" "$work/readme.c"
[ "$(wc -l <"$work/readme.c")" -ge 30 ]

printed=$("$BUILD_DIR/bin/segue-hello")
[ "$printed" = "...hello........" ] || {
  echo "segue-hello printed: $printed"
  exit 1
}
grep -qF "$printed" "$SOURCE_DIR/README.md" || {
  echo "the README does not show the output"
  exit 1
}
# The two commands of the README exist.
for command in samples/demo.sh tests/run.sh; do
  grep -qF "./$command" "$SOURCE_DIR/README.md"
  [ -x "$SOURCE_DIR/$command" ]
done
