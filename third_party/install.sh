#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install.sh [tests|all]: installs what building Segue needs; with `tests`, also what its tests need;
# with `all`, also what all of tests/run.sh needs (clang, gcovr). With apt, where that is allowed.
# Does nothing where nothing is missing. Exit code 2: something is missing and could not be
# installed; the message names the packages. What only some tests need (doxygen), or the library can
# do without (liburing), may be missing.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/third_party/common.sh"

missing=
need() {
  missing="$missing $1"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# compiles compiler suffix header...: whether a file that includes these compiles.
compiles() {
  compiler=$1
  probe=$work/probe.$2
  shift 2
  for header in "$@"; do
    echo "#include <$header>"
  done >"$probe"
  $compiler -c "$probe" -o "$work/probe.o" 2>/dev/null
}

# Whether clang has libFuzzer and the sanitizers.
fuzzes() {
  echo 'int LLVMFuzzerTestOneInput(const char *data, long size) { return data == 0 && size; }' \
    >"$work/fuzz.c"
  clang -fsanitize=fuzzer,address,undefined "$work/fuzz.c" -o "$work/fuzz" 2>/dev/null
}

compiles "${CC:-cc}" c stdlib.h || need "gcc libc6-dev"
command -v cmake >/dev/null || need cmake
command -v ninja >/dev/null || need ninja-build
compiles "${CC:-cc}" c jansson.h || need libjansson-dev
compiles "${CC:-cc}" c xxhash.h || need libxxhash-dev
case ${1:-} in
  tests | all)
    compiles "${CXX:-c++}" cpp cstdlib || need g++
    compiles "${CC:-cc}" c stdarg.h stddef.h setjmp.h stdint.h cmocka.h || need libcmocka-dev
    ;;
esac
if [ "${1:-}" = all ]; then
  command -v gcovr >/dev/null || need gcovr
  command -v clang++ >/dev/null || need clang
  fuzzes || need "clang libclang-rt-dev"
fi
# Only convenient: asked for when something else is missing anyway.
if [ -n "$missing" ]; then
  command -v pkg-config >/dev/null || need pkg-config
  compiles "${CC:-cc}" c liburing.h || need liburing-dev
fi
if [ -n "$missing" ]; then
  # shellcheck disable=SC2086
  install_packages $missing
fi
if [ -n "${1:-}" ]; then
  missing=
  python3 -c 'import jsonschema' 2>/dev/null || need python3-jsonschema
  compiles "${CC:-cc}" c liburing.h || need liburing-dev
  command -v doxygen >/dev/null || need doxygen
  command -v dpkg-shlibdeps >/dev/null || need dpkg-dev
  if [ -n "$missing" ]; then
    # shellcheck disable=SC2086
    (install_packages $missing) || echo "Going on: what needs them is left out." >&2
  fi
fi

version=$(cmake --version | sed -n '1s/[^0-9]*\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
if [ "${version% *}" -lt 3 ] || { [ "${version% *}" -eq 3 ] && [ "${version#* }" -lt 25 ]; }; then
  echo "cmake is $(echo "$version" | tr ' ' .), but 3.25 or newer is needed." >&2
  exit 2
fi

"$root/third_party/get_cuda.sh"
