#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A quick run of segue-bench on $SEGUE_TEST_DEVICE: it succeeds, its JSON can be read, every listed
# benchmark is in it, and a baseline made of it agrees with it.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

"$SEGUE_BENCH" --quick --list >"$work/listed"
[ "$(wc -l <"$work/listed")" -ge 60 ] || fail "only $(wc -l <"$work/listed") benchmarks are listed"
[ "$(sort -u "$work/listed" | wc -l)" = "$(wc -l <"$work/listed")" ] || fail "a name is used twice"

result=0
"$SEGUE_BENCH" --quick --json "$work/run.json" --write-baseline "$work/baseline.json" || result=$?
if [ "$result" = 77 ]; then
  case $SEGUE_TEST_DEVICE in
    cuda:*) exit 77 ;;
  esac
fi
[ "$result" = 0 ] || fail "segue-bench exits with $result"

"$SEGUE_BENCH_COMPARE" --names "$work/run.json" >"$work/measured"
diff -u "$work/listed" "$work/measured" || fail "what is listed and what was measured differ"
for key in machine driver_version commit device; do
  grep -q "\"$key\":" "$work/run.json" || fail "the context has no $key"
done
"$SEGUE_BENCH_COMPARE" "$work/run.json" "$work/baseline.json" ||
  fail "a run does not agree with the baseline made of it"

# With a trace there are more: its graph, kept.
"$SEGUE_LLAMA" --layers 1 --context 16 --out "$work/step.json" >/dev/null ||
  fail "segue-llama exits with $?"
"$SEGUE_BENCH" --quick --time 1 --trace "$work/step.json" --json "$work/trace-run.json" \
  --filter cache/trace/10/,cache/trace/alternate/2/ >/dev/null || fail "cache/trace exits with $?"
for metric in launch rebuild update all stream nodes; do
  for changed in 0 1 10; do
    grep -q "\"cache/trace/10/$changed/$metric\"" "$work/trace-run.json" ||
      fail "cache/trace/10/$changed/$metric is not in the JSON"
  done
done

# Shapes: all of them are built and run, and the software driver finds no missing edge.
"$SEGUE_BENCH" --shapes --list >"$work/shapes"
[ "$(wc -l <"$work/shapes")" -ge 190 ] || fail "only $(wc -l <"$work/shapes") shapes are listed"
[ "$(sort -u "$work/shapes" | wc -l)" = "$(wc -l <"$work/shapes")" ] || fail "a shape is there twice"
"$SEGUE_BENCH" --shapes --quick --json "$work/shapes.json" >"$work/shapes.txt" ||
  fail "segue-bench --shapes exits with $?"
while read -r name; do
  for lowering in segue fork_join join_kernel all_to_all chain stream segue_submit; do
    grep -q "\"$name/$lowering\"" "$work/shapes.json" || fail "$name/$lowering is not in the JSON"
  done
done <"$work/shapes"

# A filter takes a part, or the whole where a pattern matches it; what matches nothing is an error.
[ "$("$SEGUE_BENCH" --quick --list --filter record/fill_4 | wc -l)" = 2 ] || fail "--filter part"
[ "$("$SEGUE_BENCH" --quick --list --filter 'lower/*/100/own' | wc -l)" = 2 ] ||
  fail "--filter pattern"
[ "$("$SEGUE_BENCH" --quick --list --filter record/fill_4,,record/copy | wc -l)" = 4 ] ||
  fail "--filter with two patterns"
for time in 0 -1 60001 5s; do
  result=0
  "$SEGUE_BENCH" --list --time $time 2>/dev/null || result=$?
  [ "$result" = 2 ] || fail "--time $time exits with $result"
done
# What is worse by more than the spread is told, and so is what a run lacks.
"$SEGUE_BENCH" --quick --time 1 --filter record/fill_4 --json "$work/part.json" >"$work/log"
result=0
"$SEGUE_BENCH_COMPARE" "$work/part.json" "$work/baseline.json" >"$work/log" || result=$?
[ "$result" = 1 ] || fail "comparing a part exits with $result"
grep -q "^MISSING  record/dispatch " "$work/log" || fail "the comparison misses nothing"
result=0
"$SEGUE_BENCH" --quick --filter nothing/of/that/name 2>/dev/null || result=$?
[ "$result" = 2 ] || fail "a filter that matches nothing exits with $result"

# A cost model is measured on a GPU and kept where devices look for it; the software driver has none.
result=0
XDG_CACHE_HOME=$work/made/for/it "$SEGUE_BENCH" --calibrate >"$work/model" 2>"$work/log" || result=$?
case $SEGUE_TEST_DEVICE in
  cuda:*)
    [ "$result" = 0 ] || fail "--calibrate exits with $result: $(cat "$work/log")"
    grep -q '^node_ns [1-9]' "$work"/made/for/it/segue/cost-*.txt || fail "no model was kept"
    [ "$(grep -c '^[a-z_]* [0-9]*$' "$work/model")" -ge 23 ] || fail "the model lacks figures"
    for name in stream_launch_ns graph_launch_ns graph_write_node_ns graph_build_node_ns; do
      grep -q "^$name [1-9][0-9][0-9]*\$" "$work/model" || fail "$name was not measured"
    done
    grep -q '^# kept, same beats the stream from [1-9]' "$work/model" || fail "no crossover is printed"
    ;;
  *)
    [ "$result" = 1 ] || fail "--calibrate of the software driver exits with $result"
    grep -q 'takes no time' "$work/log" || fail "it does not say why"
    [ ! -e "$work/made" ] || fail "something was kept all the same"
    ;;
esac
