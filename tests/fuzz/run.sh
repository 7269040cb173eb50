#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [SECONDS [target...]]: builds the fuzz targets with libFuzzer and runs each for SECONDS
# (60 if not given), as many at a time as there are cores. Prints the executions of each. Exit code
# 1: something was found; the inputs are in build/fuzz-findings. What is new goes into
# build/fuzz-corpus; `run.sh merge` adds what of it reaches new code to the corpus in the tree.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
. third_party/common.sh

targets='api cache ptx safetensors trace'
bin=build/fuzz/tests/fuzz/bin
corpus=tests/fuzz/corpus
work=build/fuzz-corpus
findings=build/fuzz-findings

fail_usage() {
  echo "usage: tests/fuzz/run.sh [SECONDS [target...]] | merge [target...]" >&2
  exit 2
}

seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -eq 0 ] || targets=$*
case $seconds in
  merge) ;;
  '' | *[!0-9]*) fail_usage ;;
esac

command -v clang >/dev/null || install_packages clang
mkdir -p build
cmake --preset fuzz >build/fuzz.log 2>&1 || {
  cat build/fuzz.log
  exit 2
}
cmake --build --preset fuzz --parallel "$(nproc)" --target segue_fuzzers

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

# Options of a target: its dictionary, and how large inputs may be.
options_of() {
  [ ! -f "tests/fuzz/$1.dict" ] || printf '%s ' "-dict=tests/fuzz/$1.dict"
  case $1 in
    api) printf '%s' '-max_len=1024 -len_control=20 -entropic=0' ;;
    cache) printf '%s' '-max_len=512' ;;
    trace) printf '%s' '-max_len=8192' ;;
    *) printf '%s' '-max_len=4096' ;;
  esac
}

# run_target name seconds: a failure leaves the file build/fuzz-findings/name.failed.
run_target() {
  mkdir -p "$work/$1" "$findings/$1"
  # shellcheck disable=SC2046
  "$bin/fuzz_$1_libfuzzer" $(options_of "$1") -max_total_time="$2" -timeout=20 \
    -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="$findings/$1/" \
    "$work/$1" "$corpus/$1" >"build/fuzz-$1.log" 2>&1 || : >"$findings/$1.failed"
}

merge_target() {
  mkdir -p "$work/$1"
  # shellcheck disable=SC2046
  "$bin/fuzz_$1_libfuzzer" $(options_of "$1") -merge=1 -use_counters=0 "$corpus/$1" "$work/$1" \
    >"build/fuzz-$1-merge.log" 2>&1
  echo "$1: $(find "$corpus/$1" -type f | wc -l) files"
}

if [ "$seconds" = merge ]; then
  for target in $targets; do
    merge_target "$target"
  done
  exit 0
fi

rm -rf "$findings"
running=0
for target in $targets; do
  run_target "$target" "$seconds" &
  running=$((running + 1))
  if [ "$running" -ge "$(nproc)" ]; then
    wait
    running=0
  fi
done
wait

failed=0
for target in $targets; do
  count=$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz-$target.log")
  if [ -f "$findings/$target.failed" ]; then
    failed=1
    echo "fuzz_$target: ${count:-0} executions, FAILED; build/fuzz-$target.log ends:"
    tail -n 40 "build/fuzz-$target.log"
  else
    echo "fuzz_$target: $count executions, nothing found"
  fi
done
exit $failed
