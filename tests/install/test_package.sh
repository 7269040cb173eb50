#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs, moves the installed tree, and builds and runs a user's program with it: by find_package,
# shared and static, and by pkg-config, shared and static.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The installed libraries must find their own software driver.
unset SEGUE_LIBSOFT

"$CMAKE" --install "$BUILD_DIR" --prefix "$work/first" >"$work/install.log"
mv "$work/first" "$work/moved"
prefix=$work/moved
for file in include/segue/segue.h "$LIBDIR/libsegue.so" "$LIBDIR/libsegue.a" \
  "$LIBDIR/libsegue_soft.so" "$LIBDIR/libsegue_trace.so" "$LIBDIR/cmake/segue/segueConfig.cmake" \
  "$LIBDIR/pkgconfig/segue.pc" "$LIBDIR/pkgconfig/segue_trace.pc" bin/segue-replay \
  share/man/man1/segue-replay.1 share/bash-completion/completions/segue-replay; do
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
"$prefix/bin/segue-replay" --help >/dev/null

expect_hello() {
  printed=$("$1")
  [ "$printed" = "0.1.0 software device, f32" ] || {
    echo "$1 printed: $printed"
    exit 1
  }
}

for kind in shared static; do
  "$CMAKE" -G Ninja -S "$here/consumer" -B "$work/$kind" -DKIND=$kind \
    -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" >"$work/$kind.log" 2>&1 || {
    cat "$work/$kind.log"
    exit 1
  }
  "$CMAKE" --build "$work/$kind" >"$work/$kind.log" 2>&1 || {
    cat "$work/$kind.log"
    exit 1
  }
done
expect_hello "$work/shared/consumer"
# Linked statically, Segue has no library of its own beside which to look.
SEGUE_LIBSOFT=$prefix/$LIBDIR/libsegue_soft.so expect_hello "$work/static/consumer"

if ! command -v pkg-config >/dev/null; then
  echo "no pkg-config here: the .pc files are not tested"
  exit 0
fi
export PKG_CONFIG_PATH="$prefix/$LIBDIR/pkgconfig"
[ "$(pkg-config --modversion segue)" = 0.1.0 ]
# shellcheck disable=SC2046
"$CC" "$here/consumer/main.c" -o "$work/by_pkg_config" \
  $(pkg-config --cflags --libs segue_trace) -Wl,-rpath,"$prefix/$LIBDIR"
expect_hello "$work/by_pkg_config"
mkdir "$work/archives"
cp "$prefix/$LIBDIR"/libsegue*.a "$work/archives"
# shellcheck disable=SC2046
"$CC" "$here/consumer/main.c" -o "$work/by_pkg_config_static" -L"$work/archives" \
  -Wl,-Bstatic -lsegue_trace -lsegue -Wl,-Bdynamic \
  $(pkg-config --cflags --static --libs-only-other segue_trace) \
  $(pkg-config --libs jansson libxxhash) -lm -ldl
SEGUE_LIBSOFT=$prefix/$LIBDIR/libsegue_soft.so expect_hello "$work/by_pkg_config_static"
