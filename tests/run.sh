#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [quick]: builds Segue and runs all its tests: optimised, under the address and
# undefined-behaviour sanitizers, and what is threaded under the thread sanitizer. `quick` stops
# after the first. Tests that need a GPU are skipped, with a reason, where there is none.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. third_party/common.sh

case ${1:-} in
  '' | quick) ;;
  *)
    echo "usage: tests/run.sh [quick]" >&2
    exit 2
    ;;
esac

third_party/install.sh tests
export_nvrtc
jobs=$(nproc)
# Warnings of compilers that we have not met yet stop CI, not a user.
warnings=
[ -n "${CI:-}" ] || warnings=-DSEGUE_WERROR=OFF
mkdir -p build
summary=$root/build/test-summary.txt
: >"$summary"
failed=0

# run_preset preset target [ctest arguments...]
run_preset() {
  preset=$1
  target=$2
  shift 2
  echo "== $preset: build"
  # shellcheck disable=SC2086
  cmake --preset "$preset" $warnings >"build/$preset.log" 2>&1 || {
    cat "build/$preset.log"
    exit 1
  }
  cmake --build --preset "$preset" --parallel "$jobs" --target "$target"
  echo "== $preset: test"
  log=build/$preset-tests.log
  ctest --preset "$preset" --parallel "$jobs" "$@" --output-log "$log" || failed=1
  echo "$preset: $(grep '% tests passed' "$log" || echo 'no test ran')" >>"$summary"
  skipped=$(grep -c '\*\*\*Skipped' "$log" || true)
  if [ "$skipped" != 0 ]; then
    reason=$(sed -n 's/^skipped: //p' "build/$preset/Testing/Temporary/LastTest.log" | head -n 1)
    echo "  $skipped of them skipped; the first says: $reason" >>"$summary"
  fi
}

run_preset release all
if [ "${1:-}" != quick ]; then
  # Fewer random programs, since the sanitizers make them slow; the GPU is tested above.
  export SEGUE_TEST_PROGRAMS="${SEGUE_TEST_PROGRAMS:-20}"
  run_preset asan all --label-exclude 'gpu|install'
  run_preset tsan segue_thread_tests
fi

echo
cat "$summary"
exit $failed
