#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# coverage.sh [--update] [FOLDER]: runs the tests that need no GPU in a build that counts branches,
# in FOLDER (build/coverage), prints the branch coverage of hal/ (with hal/trace), cuda/ and, apart,
# cuda/soft/, and fails below 90 % of the first two. --update also writes the table of
# docs/coverage.md anew. Fewer random programs are taken than usual, and fewer faults, but for those
# of scenarios that live and die with a device. Tests of what is not counted (kernels/, samples/) and
# those that repeat the same branches thousands of times are left out.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. third_party/common.sh
export_nvrtc

least=90
update=no
if [ "${1:-}" = --update ]; then
  update=yes
  shift
fi
build=${1:-$root/build/coverage}
jobs=$(nproc)
mkdir -p "$build"
export SEGUE_TEST_PROGRAMS="${SEGUE_TEST_PROGRAMS:-20}" SEGUE_TEST_FAULTS="${SEGUE_TEST_FAULTS:-2}"

cmake --preset coverage -B "$build" >"$build/configure.log" || {
  cat "$build/configure.log"
  exit 1
}
cmake --build "$build" --parallel "$jobs"
# Counts of earlier runs, and of sources that are no more.
find "$build" -name '*.gcda' -exec rm {} +
# The installed package is another build; benchmarks show nothing that tests do not; whether each
# refusal has a test is a question of its own; a process that is killed does not count. The barrier
# area's fault loop is one recording of 10,000 commands, over and over.
left_out='pairs_rules|unit_attention_long|unit_int4|unit_quant|emulate_|random_many_mutants'
left_out="$left_out|prepack_packed_crash|cli_llama|conformance_quant|fault_(quant|barrier)"
failed=0
# run_tests ctest arguments...
run_tests() {
  ctest --test-dir "$build" --parallel $((jobs + 1)) --output-on-failure "$@" \
    >"$build/tests-now.log" 2>&1 || {
    failed=1
    tail -n 60 "$build/tests-now.log"
  }
  grep 'tests passed' "$build/tests-now.log"
}
# The cleaning up after each call of these is looked at; of the others, a sample.
every_fault='^fault_(lives|(device|failure)_.*)$'
run_tests --label-exclude 'gpu|install|bench' \
  --exclude-regex "^($left_out)|$every_fault"
export SEGUE_TEST_FAULTS=all
run_tests --tests-regex "$every_fault"

# Branches that only the compiler made, by its own judgement, do not count; nothing else is left out.
gcovr --root "$root" --object-directory "$build" --filter hal/ --filter cuda/ \
  --exclude-throw-branches --exclude-unreachable-branches --json "$build/counts.json" "$build" \
  >"$build/gcovr.log" 2>&1 || {
  cat "$build/gcovr.log"
  exit 1
}

# report NAME LEAST filters...: the text goes to $build/NAME.txt.
report() {
  name=$1
  fail_under=$2
  shift 2
  gcovr --root "$root" --add-tracefile "$build/counts.json" --branches "$@" \
    --fail-under-branch "$fail_under" --output "$build/$name.txt" 2>"$build/$name.log" || {
    [ -s "$build/$name.txt" ] || cat "$build/$name.log"
    failed=1
    echo "$name: below $fail_under %:"
  }
  awk -v name="$name" \
    '$1 == "TOTAL" {printf "%s: %d of %d branches taken, %.1f %%\n", name, $3, $2, 100 * $3 / $2}' \
    "$build/$name.txt" | tee "$build/$name.total"
}
report hal "$least" --filter hal/
report cuda "$least" --filter cuda/ --exclude cuda/soft/
report soft 0 --filter cuda/soft/

[ "$update" = no ] && exit "$failed"

# The table: per file, the lines with a branch that no test takes, by what the line is about.
{
  sed '/<!-- table -->/q' docs/coverage.md
  echo
  sed 's/$/  /; s/^hal:/`hal\/`:/; s/^cuda:/`cuda\/` without `cuda\/soft\/`:/; s/^soft:/`cuda\/soft\/`:/' \
    "$build/hal.total" "$build/cuda.total" "$build/soft.total"
  echo
  echo '| File | Taken | Memory | Passing on | Argument | System | Other |'
  echo '|---|---|---|---|---|---|---|'
  cat "$build/hal.txt" "$build/cuda.txt" "$build/soft.txt" | awk '
    function kind_of(file, number,    line, text, n, i) {
      n = 0
      text = ""
      while ((getline line < file) > 0) {
        n++
        if (n >= number && n <= number + 2)
          text = text line
        if (n == number)
          here = line
        if (n > number + 2)
          break
      }
      close(file)
      if (text ~ /OUT_OF_HOST_MEMORY|fail_memory|no_memory|out_of_memory|segue_grow|alloc|strdup/)
        return 1
      if (here ~ /status [!=]= SEGUE_OK|status != SEGUE_OK|CUDA_SUCCESS|result [!=]= /)
        return 2
      if (here ~ /= *NULL \|\||\(![a-z_]+ \|\||\? .*: NULL|== NULL|!= NULL|[(! ]!?[a-z_]+ \? /)
        return 3
      if (text ~ /errno|snprintf|close\(|read\(|write\(|open\(|pthread_|unlink|rename|stat\(|dl[a-z]+\(/)
        return 4
      return 5
    }
    $1 ~ /^(hal|cuda)\// && $2 > $3 {
      split("", kinds)
      count = split($5, lines, ",")
      for (i = 1; i <= count; i++) {
        k = kind_of($1, lines[i] + 0)
        kinds[k] = kinds[k] (kinds[k] == "" ? "" : ", ") lines[i]
      }
      printf "| %s | %d of %d | %s | %s | %s | %s | %s |\n", $1, $3, $2, kinds[1], kinds[2],
        kinds[3], kinds[4], kinds[5]
    }'
  echo
  sed -n '/<!-- end of table -->/,$p' docs/coverage.md
} >"$build/coverage.md"
mv "$build/coverage.md" docs/coverage.md
exit "$failed"
