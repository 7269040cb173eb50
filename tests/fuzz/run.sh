#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [SECONDS [target...]]: builds the fuzz targets with libFuzzer and runs each for SECONDS
# (60 if not given), as many at a time as there are cores, or SEGUE_FUZZ_JOBS. Prints the executions
# of each. Exit code 1: something was found; what was wrong, the inputs (as base64, too) and what they
# do when run again are printed, and the inputs are in build/fuzz-findings. What is new goes into
# build/fuzz-corpus; `run.sh merge` adds what of it reaches new code to the corpus in the tree.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
. third_party/common.sh

bin=build/fuzz/tests/fuzz/bin
corpus=tests/fuzz/corpus
work=build/fuzz-corpus
findings=build/fuzz-findings

fail_usage() {
  echo "usage: tests/fuzz/run.sh [SECONDS [target...]] | merge [target...]" >&2
  exit 2
}

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

# Options of a target: those of its line in CMakeLists.txt, and its dictionary.
options_of() {
  cat "$bin/fuzz_$1.options"
  [ ! -f "tests/fuzz/$1.dict" ] || echo "-dict=tests/fuzz/$1.dict"
}

# fuzz SECONDS target: a failure leaves the file build/fuzz-findings/target.failed. A minute for one
# input is a hang, and not another program that has the processor.
fuzz() {
  mkdir -p "$work/$2" "$findings/$2"
  # shellcheck disable=SC2046
  "$bin/fuzz_$2_libfuzzer" $(options_of "$2") -max_total_time="$1" -timeout=60 \
    -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="$findings/$2/" \
    "$work/$2" "$corpus/$2" >"build/fuzz-$2.log" 2>&1 || : >"$findings/$2.failed"
}

merge() {
  mkdir -p "$work/$1"
  # shellcheck disable=SC2046
  "$bin/fuzz_$1_libfuzzer" $(options_of "$1") -merge=1 -use_counters=0 "$corpus/$1" "$work/$1" \
    >"build/fuzz-$1-merge.log" 2>&1
  echo "$1: $(find "$corpus/$1" -type f | wc -l) files"
}

# report target: all that is needed to look into a finding on another machine.
report() {
  log=build/fuzz-$1.log
  echo "what build/fuzz-$1.log says:"
  grep -aE -A 25 '^[^ ]+\.[ch]:[0-9]+: |runtime error:|ERROR: ' "$log" | head -n 60
  for input in "$findings/$1"/*; do
    [ -f "$input" ] || continue
    echo "$input, as base64:"
    head -c 16384 "$input" | base64
    echo "run again, its last calls:"
    # shellcheck disable=SC2046
    SEGUE_FUZZ_VERBOSE=1 timeout 120 "$bin/fuzz_$1_libfuzzer" $(options_of "$1") "$input" \
      >"$log.again" 2>&1 || true
    grep -a -m 1 -B 40 -A 2 -E '^[^ ]+\.[ch]:[0-9]+: |runtime error:|ERROR: |Executed ' \
      "$log.again" | cut -c 1-400
  done
}

# By itself, below: run.sh --one SECONDS target.
if [ "${1:-}" = --one ]; then
  fuzz "$2" "$3"
  exit 0
fi

seconds=${1:-60}
[ $# -eq 0 ] || shift
case $seconds in
  merge) ;;
  '' | *[!0-9]*) fail_usage ;;
esac

command -v clang >/dev/null || install_packages clang libclang-rt-dev
mkdir -p build
{ cmake --preset fuzz && cmake --build --preset fuzz --parallel "$(nproc)" \
  --target segue_fuzzers; } >build/fuzz-make.log 2>&1 || {
  tail -n 60 build/fuzz-make.log
  exit 2
}
# What CMakeLists.txt lists.
targets=$*
if [ -z "$targets" ]; then
  targets=$(cd "$bin" && ls -- *.options | sed 's/^fuzz_//; s/\.options$//')
fi
for target in $targets; do
  [ -f "$bin/fuzz_$target.options" ] && [ -n "$(ls "$corpus/$target")" ] || {
    echo "fuzz_$target: no such target, or no corpus in $corpus/$target" >&2
    exit 2
  }
done

if [ "$seconds" = merge ]; then
  for target in $targets; do
    merge "$target"
  done
  exit 0
fi

rm -rf "$findings"
# shellcheck disable=SC2086
printf '%s\n' $targets |
  xargs -n 1 -P "${SEGUE_FUZZ_JOBS:-$(nproc)}" tests/fuzz/run.sh --one "$seconds"

failed=0
all=0
for target in $targets; do
  count=$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz-$target.log")
  all=$((all + ${count:-0}))
  if [ -f "$findings/$target.failed" ] || [ "${count:-0}" = 0 ]; then
    failed=1
    echo "fuzz_$target: ${count:-0} executions, FAILED"
    report "$target"
  else
    echo "fuzz_$target: $count executions, nothing found"
  fi
done
echo "$all executions in all, $seconds seconds each"
exit $failed
