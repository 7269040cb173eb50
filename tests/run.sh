#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [quick]: builds Segue and runs all its tests: optimised and without assertions (NDEBUG);
# under the address and undefined-behaviour sanitizers; under the thread sanitizer; built by clang;
# with branches counted (tests/coverage.sh); and a minute of each fuzz target (tests/fuzz/run.sh).
# The sanitizers' builds and the counted one have assertions. `quick` stops after the first, and
# leaves out its longest tests. Tests that need a GPU are skipped, with a reason, where there is none.
# What each part came to stands at the end and in build/test-summary.txt.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. third_party/common.sh

case ${1:-} in
  '') builds='release asan tsan clang coverage fuzz' ;;
  quick) builds=release ;;
  *)
    echo "usage: tests/run.sh [quick]" >&2
    exit 2
    ;;
esac

# Every configuration but the optimised one takes fewer random programs and fewer of the faults of
# long scenarios, since it is slower. Packaging, whether each refusal has a test, whether NVRTC
# takes every kernel, and what a process leaves that is killed at any of its system calls are looked
# at in the optimised one only, since they do not depend on how the code is compiled.
fewer_programs=${SEGUE_TEST_PROGRAMS:-20}
fewer_faults=${SEGUE_TEST_FAULTS:-2}
fuzz_seconds=${SEGUE_TEST_FUZZ_SECONDS:-60}

began=$(date +%s)
jobs=$(nproc)
# Warnings of compilers that we have not met yet stop CI, not a user.
warnings=
[ -n "${CI:-}" ] || warnings=-DSEGUE_WERROR=OFF
state=$root/build/run
rm -rf "$state"
mkdir -p "$state"
summary=$root/build/test-summary.txt
: >"$summary"
failed=0
builder=
trap '[ -z "$builder" ] || kill "$builder" 2>/dev/null' EXIT

say() {
  printf '[%4d s] %s\n' $(($(date +%s) - began)) "$*"
}

# timed NAME command...: leaves "WALL CPU", in seconds, in $state/NAME.time.
timed() {
  name=$1
  shift
  start=$(date +%s)
  code=0
  (
    code=0
    "$@" || code=$?
    times >"$state/$name.times"
    exit $code
  ) || code=$?
  sed -n 2p "$state/$name.times" | tr 'ms' '  ' |
    awk -v wall=$(($(date +%s) - start)) '{printf "%d %d\n", wall, $1 * 60 + $2 + $3 * 60 + $4}' \
      >"$state/$name.time"
  return $code
}

# build NAME: configures and builds a preset. Leaves $state/NAME.built or $state/NAME.broken.
configure_and_build() {
  target=all
  [ "$1" != fuzz ] || target=segue_fuzzers
  # shellcheck disable=SC2086
  cmake --preset "$1" $warnings && cmake --build --preset "$1" --parallel "$jobs" --target $target
}
build() {
  if timed "build-$1" configure_and_build "$1" >"build/$1-build.log" 2>&1; then
    : >"$state/$1.built"
  else
    : >"$state/$1.broken"
  fi
}

# The builds that come later, and then the fuzzers, beside the tests.
build_the_rest() {
  for preset in $builds; do
    [ "$preset" = release ] || build "$preset"
  done
  if [ -f "$state/fuzz.built" ]; then
    timed fuzz tests/fuzz/run.sh "$fuzz_seconds" >build/fuzz.log 2>&1 || : >"$state/fuzz.failed"
  fi
}

# cost NAME: how long it took, for the summary.
cost() {
  awk -v name="$1" '{printf "%s %d s (%d s of CPU)", name, $1, $2}' "$state/$2.time"
}

# wait_for_build NAME: false if it failed, or never came about.
wait_for_build() {
  while [ ! -f "$state/$1.built" ] && [ ! -f "$state/$1.broken" ]; do
    [ -z "$builder" ] || kill -0 "$builder" 2>/dev/null || break
    sleep 0.3
  done
  if [ ! -f "$state/$1.built" ]; then
    tail -n 60 "build/$1-build.log" || true
    echo "$1: the build FAILED; see build/$1-build.log" | tee -a "$summary"
    failed=1
    return 1
  fi
  count=$(grep -c 'warning:' "build/$1-build.log" || true)
  [ "$count" = 0 ] || echo "$1: $count warnings; see build/$1-build.log" | tee -a "$summary"
}

# run_tests NAME note [ctest arguments...]: the tests of a preset. `note` says what is left out.
run_tests() {
  preset=$1
  note=$2
  shift 2
  wait_for_build "$preset" || return 0
  say "$preset: test"
  log=build/$preset-tests.log
  timed "test-$preset" $runner ctest --preset "$preset" --parallel $((jobs + 1)) --quiet "$@" \
    --output-log "$log" || {
    failed=1
    sed -n '/\*\*\*Failed\|\*\*\*Timeout\|\*\*\*Exception\|Not Run/p' "$log"
    tail -n 200 "$log"
  }
  {
    echo "$preset: $(sed -n '/% tests passed/p' "$log" | grep . || echo 'no test ran, FAILED');" \
      "$(cost build "build-$preset"), $(cost tests "test-$preset")${note:+; $note}"
    tests/summary.sh "build/$preset" "$log"
  } | tee -a "$summary"
  grep -q '% tests passed' "$log" || failed=1
}

run_coverage() {
  wait_for_build coverage || return 0
  say "coverage: test"
  timed coverage tests/coverage.sh >build/coverage.log 2>&1 || {
    failed=1
    tail -n 60 build/coverage.log
  }
  {
    echo "coverage: $(cost build build-coverage), $(cost 'tests and report' coverage)"
    sed -n 's/^.*\(tests passed\|branches taken\|: below\)/  &/p' build/coverage.log
  } | tee -a "$summary"
}

finish_fuzzing() {
  wait_for_build fuzz || return 0
  say "fuzz: wait for the rest of $fuzz_seconds seconds each"
  wait "$builder" || true
  builder=
  [ ! -f "$state/fuzz.failed" ] || failed=1
  {
    echo "fuzz: $(cost build build-fuzz), $(cost run fuzz)"
    sed 's/^/  /' build/fuzz.log
  } | tee -a "$summary"
}

# gcc's thread sanitizer does not start where the kernel spreads addresses too widely.
find_runner() {
  runner=
  program=build/tsan/tests/unit/bin/unit_status
  if [ -x "$program" ] && ! "$program" >"$state/tsan-start.log" 2>&1 &&
    grep -q 'unexpected memory mapping' "$state/tsan-start.log"; then
    runner="setarch $(uname -m) --addr-no-randomize"
    echo "tsan: run without address randomisation, since it does not start with it" |
      tee -a "$summary"
  fi
}

if [ "$builds" = release ]; then
  third_party/install.sh tests
else
  third_party/install.sh all
fi
export_nvrtc
runner=
say "release: build"
build release
if [ "$builds" != release ]; then
  build_the_rest &
  builder=$!
fi
if [ "$builds" = release ]; then
  export SEGUE_TEST_PROGRAMS="${SEGUE_TEST_PROGRAMS:-300}" SEGUE_TEST_FAULTS="$fewer_faults"
  run_tests release \
    "$SEGUE_TEST_PROGRAMS programs, $fewer_faults faults a scenario, without the longest tests" \
    --exclude-regex '^(install_deb|random_many_mutants|unit_int4_compile|prepack_packed_.*)$'
else
  # Every specialisation of the kernels for every architecture, here and nowhere else.
  export SEGUE_TEST_ARCHITECTURES=all
  run_tests release ''
  unset SEGUE_TEST_ARCHITECTURES
fi

if [ "$builds" != release ]; then
  export SEGUE_TEST_PROGRAMS="$fewer_programs" SEGUE_TEST_FAULTS="$fewer_faults"
  fewer="$fewer_programs programs, $fewer_faults faults a scenario; not packaging, NVRTC, kills"
  left_out='pairs_rules|unit_(int4|kernels)_compile|prepack_packed_crash|bench_quick'
  run_tests asan "$fewer" --label-exclude 'gpu|install' --exclude-regex "^($left_out)"
  wait_for_build tsan && find_runner
  # The longest of one thread, in which there is nothing to find for it.
  one_thread='unit_(attention_long|dag|depend|hazard|int4|plan|quant|shape|soft_order|trace_memory)'
  one_thread="$one_thread|prepack_(packed_damage|replay_cli)|cli_llama|random_mutants"
  one_thread="$one_thread|fault_(barrier|buffer|constants|copy|dispatch|executable|fill|group|order"
  one_thread="$one_thread|quant|secondary|slots|update)"
  run_tests tsan "$fewer, no long tests of one thread" --label-exclude 'gpu|install' \
    --exclude-regex "^($left_out|$one_thread)"
  runner=
  # What the optimised build has shown with more inputs.
  left_out="$left_out|unit_(attention_long|int4|quant|depend_patterns|trace_memory|trace_schema_valid)"
  left_out="$left_out|prepack_(packed_|replay_cli)|cli_llama"
  run_tests clang "only unit, pairs and cli, without the longest tests" \
    --label-regex 'unit|pairs|cli' --label-exclude 'gpu|install' --exclude-regex "^($left_out)"
  # It says itself how much it takes.
  unset SEGUE_TEST_PROGRAMS SEGUE_TEST_FAULTS
  run_coverage
  finish_fuzzing
fi

echo
say "done"
cat "$summary"
cat "$state"/*.time | awk -v wall=$(($(date +%s) - began)) -v jobs="$jobs" \
  '{cpu += $2} END {printf "in all: %d s, %d s of CPU on %d cores\n", wall, cpu, jobs}'
[ "$failed" = 0 ] || echo FAILED
exit $failed
