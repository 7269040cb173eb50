#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sourced by the tests of an installed tree. Expects $here (this folder) and $work (a scratch
# folder), and the environment of CMakeLists.txt.

# run_logged command...: quiet unless it fails.
run_logged() {
  "$@" >"$work/log" 2>&1 || {
    cat "$work/log"
    echo "failed: $*"
    exit 1
  }
}

# expect_output text command...: as a user without a GPU and with nothing set up.
expect_output() {
  expected=$1
  shift
  printed=$(env -i PATH=/usr/bin:/bin HOME="$work" SEGUE_LIBCUDA=/nonexistent "$@") || {
    echo "failed: $*"
    exit 1
  }
  [ "$printed" = "$expected" ] || {
    printf '%s printed:\n%s\nand should print:\n%s\n' "$*" "$printed" "$expected"
    exit 1
  }
}

# expect_both folder [VAR=value]: runs the two programs of the consumer project that are there.
expect_both() {
  folder=$1
  shift
  expect_output "$VERSION on the software driver
copied: as expected
exact: as expected
empty: as expected
chosen: as expected
loaded" "$@" "$folder/consumer" "$SOURCE_DIR/tests/traces/good/everything.json"
  expect_output "...hello........" "$@" "$folder/example"
}

# The README's example as $work/example.c.
extract_example() {
  awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$SOURCE_DIR/README.md" \
    >"$work/example.c"
  [ -s "$work/example.c" ]
}

# use_by_cmake prefix libdir: find_package, shared and static.
use_by_cmake() {
  for kind in shared static; do
    run_logged "$CMAKE" -G Ninja -S "$here/consumer" -B "$work/$kind" -DKIND=$kind \
      -DCMAKE_PREFIX_PATH="$1" -DCMAKE_C_COMPILER="$CC" -DEXAMPLE="$work/example.c" \
      -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF
    grep -q "^segue_DIR:PATH=$1/" "$work/$kind/CMakeCache.txt"
    run_logged "$CMAKE" --build "$work/$kind"
  done
  expect_both "$work/shared"
  # Linked statically, Segue has no library of its own beside which to look.
  expect_both "$work/static" SEGUE_LIBSOFT="$1/$2/libsegue_soft.so"
  if "$READELF" -d "$work/static/consumer" | grep -q 'NEEDED.*libsegue'; then
    echo "the static consumer needs a shared library of Segue"
    exit 1
  fi
}

# static_flags module...: all that a static link needs, but no folder with shared libraries of Segue.
static_flags() {
  pkg-config --cflags --static --libs "$@" | tr ' ' '\n' | grep -v '^-L'
}

# use_by_pkg_config prefix libdir: shared, and static by way of the archives alone.
use_by_pkg_config() {
  if ! command -v pkg-config >/dev/null; then
    echo "no pkg-config here: the .pc files are not tested"
    return 0
  fi
  PKG_CONFIG_PATH=$1/$2/pkgconfig
  export PKG_CONFIG_PATH
  for module in segue segue_kernels segue_prepack segue_trace; do
    [ "$(pkg-config --modversion $module)" = "$VERSION" ]
  done
  # Each by itself brings the core.
  for file in "$PKG_CONFIG_PATH"/*.pc; do
    case " $(pkg-config --libs "$(basename "$file" .pc)") " in
      *" -lsegue "*) ;;
      *)
        echo "$file does not require segue"
        exit 1
        ;;
    esac
  done
  mkdir "$work/pc" "$work/pc_static" "$work/archives"
  # shellcheck disable=SC2046
  run_logged "$CC" "$here/consumer/main.c" -o "$work/pc/consumer" \
    $(pkg-config --cflags --libs segue_prepack segue_trace segue_kernels) -Wl,-rpath,"$1/$2"
  # shellcheck disable=SC2046
  run_logged "$CC" "$work/example.c" -o "$work/pc/example" \
    $(pkg-config --cflags --libs segue) -Wl,-rpath,"$1/$2"
  expect_both "$work/pc"

  cp "$1/$2"/libsegue*.a "$work/archives"
  # shellcheck disable=SC2046
  run_logged "$CC" "$here/consumer/main.c" -o "$work/pc_static/consumer" -L"$work/archives" \
    $(static_flags segue_prepack segue_trace segue_kernels)
  # shellcheck disable=SC2046
  run_logged "$CC" "$work/example.c" -o "$work/pc_static/example" -L"$work/archives" \
    $(static_flags segue)
  expect_both "$work/pc_static" SEGUE_LIBSOFT="$1/$2/libsegue_soft.so"
}
