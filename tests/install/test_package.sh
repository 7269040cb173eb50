#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs, moves the installed tree, and builds and runs a user's programs with it: by find_package
# and by pkg-config, each shared and static.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$here/use_installed.sh"

run_logged "$CMAKE" --install "$BUILD_DIR" --prefix "$work/first"
mv "$work/first" "$work/moved"
prefix=$work/moved
for file in include/segue/segue.h "$LIBDIR/libsegue.so" "$LIBDIR/libsegue.a" \
  "$LIBDIR/libsegue_soft.so" "$LIBDIR/libsegue_trace.so" "$LIBDIR/cmake/segue/segueConfig.cmake" \
  "$LIBDIR/pkgconfig/segue.pc" "$LIBDIR/pkgconfig/segue_trace.pc" bin/segue-replay \
  share/man/man1/segue-replay.1 share/bash-completion/completions/segue-replay \
  share/doc/segue/LICENSE; do
  [ -e "$prefix/$file" ] || {
    echo "not installed: $file"
    exit 1
  }
done
found=$(grep -rlF "$BUILD_DIR" "$prefix/include" "$prefix/$LIBDIR/cmake" \
  "$prefix/$LIBDIR/pkgconfig" || true)
[ -z "$found" ] || {
  echo "the build folder is named in: $found"
  exit 1
}
expect_output "segue-replay $VERSION" "$prefix/bin/segue-replay" --version

extract_example
use_by_cmake "$prefix" "$LIBDIR"
use_by_pkg_config "$prefix" "$LIBDIR"
