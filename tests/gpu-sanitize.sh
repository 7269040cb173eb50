#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gpu-sanitize.sh [BUILD_FOLDER [area...]]: the conformance suite of a build (build/release) on
# cuda://0, as graph and as stream, under compute-sanitizer's memcheck and racecheck; and the tests of
# all kernels, at their odd shapes (unit_int4_device, unit_kernels_device: areas by those names), also
# under its initcheck and synccheck. Prints a line for each area, mode and tool, and the totals. Exit
# code 1: a tool reported something, or a test failed; 77: skipped, since there is no GPU or no
# compute-sanitizer. Logs: BUILD_FOLDER/sanitize.
# SEGUE_SANITIZE_JOBS: how many run at a time (as many as there are cores); they share the GPU.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/third_party/common.sh"

# judge LOG CODE: prints what a run came to, from the tool's log and its exit code.
judge() {
  reported=$(sed -n 's/^=* *\(ERROR\|RACECHECK\) SUMMARY: *\([0-9]*\) .*/\2/p' "$1" | tail -n 1)
  cases=$(sed -n 's/^\[  PASSED  \] *\([0-9]*\) test.*/\1/p' "$1" | tail -n 1)
  if [ -z "$reported" ]; then
    echo "FAILED: the tool did not finish (exit code $2)"
  elif [ "$reported" != 0 ]; then
    echo "FAILED: $reported reported"
  elif [ "$2" = 77 ]; then
    echo "skipped, $(sed -n 's/^skipped: .*: //p' "$1" | head -n 1)"
  elif [ "$2" != 0 ]; then
    echo "FAILED: exit code $2"
  else
    echo "${cases:-0} cases, 0 reported"
  fi
}

# By itself, below: gpu-sanitize.sh --one AREA:MODE:TOOL, one run; leaves two files in $logs.
if [ "${1:-}" = --one ]; then
  area=${2%%:*}
  tool=${2##*:}
  mode=${2#*:}
  mode=${mode%:*}
  log=$logs/$area-$mode-$tool
  case $area in
    unit_*) set -- "$units/$area" ;;
    *) set -- "$program" "$area" ;;
  esac
  start=$(date +%s)
  code=0
  # API errors are no news: the suite provokes them, and a kernel's parameters are counted by asking
  # until the driver refuses.
  SEGUE_TEST_MODE=$mode timeout "${SEGUE_SANITIZE_TIMEOUT:-300}" "$sanitizer" --tool "$tool" \
    --report-api-errors no --error-exitcode 99 "$@" >"$log.log" 2>&1 || code=$?
  echo "$area $mode $tool: $(judge "$log.log" $code), $(($(date +%s) - start)) s" |
    tee "$log.result"
  exit 0
fi

build=$(cd "${1:-$root/build/release}" && pwd)
[ $# -eq 0 ] || shift
program=$build/tests/conformance/bin/segue_conformance
units=$build/tests/unit/bin
kernel_tests='unit_int4_device unit_kernels_device'
logs=$build/sanitize
for needed in "$program" "$units/unit_int4_device" "$units/unit_kernels_device"; do
  [ -x "$needed" ] || {
    echo "$needed is not there: build it first" >&2
    exit 2
  }
done
sanitizer=$(PATH=$PATH:/usr/local/cuda/bin command -v "${COMPUTE_SANITIZER:-compute-sanitizer}") || {
  echo "skipped: no compute-sanitizer here"
  exit 77
}
SEGUE_TEST_DEVICE=cuda://0
# The area `device` opens the software driver, too.
SEGUE_LIBSOFT=$build/lib/libsegue_soft.so
XDG_CACHE_HOME=$logs/cache
export SEGUE_TEST_DEVICE SEGUE_LIBSOFT XDG_CACHE_HOME program units logs sanitizer
export_nvrtc
rm -rf "$logs"
mkdir -p "$logs"

# Whether there is a GPU; this also fills the compile cache.
code=0
"$program" dispatch >"$logs/plain.log" 2>&1 || code=$?
if [ $code = 77 ]; then
  sed -n '/^skipped: /p' "$logs/plain.log"
  exit 77
elif [ $code != 0 ]; then
  tail -n 20 "$logs/plain.log"
  echo "FAILED already without a tool"
  exit 1
fi

areas=$*
[ -n "$areas" ] || areas="$kernel_tests $("$program" 2>&1 | sed -n 's/^areas: *//p')"
# The longest first.
for area in $areas; do
  case $area in
    unit_*)
      for tool in memcheck racecheck initcheck synccheck; do
        echo "$area:graph:$tool"
      done
      ;;
    *)
      for tool in memcheck racecheck; do
        echo "$area:graph:$tool"
        echo "$area:stream:$tool"
      done
      ;;
  esac
done >"$logs/runs"
xargs -n 1 -P "${SEGUE_SANITIZE_JOBS:-$(nproc)}" "$0" --one <"$logs/runs"

cat "$logs"/*.result >"$logs/results"
count=$(wc -l <"$logs/runs")
failed=$((count - $(grep -vc FAILED "$logs/results" || true)))
awk -v count="$count" -v failed="$failed" '
  / cases, 0 reported/ { cases += $4; ++passed }
  /: skipped/ { ++skipped }
  END {
    printf "%d runs: %d passed with %d cases, %d skipped, %d failed\n", count, passed, cases,
      skipped, failed
  }' "$logs/results"
[ "$failed" = 0 ] || exit 1
# A suite in which nothing ran has shown nothing.
grep -q ' cases, 0 reported' "$logs/results"
