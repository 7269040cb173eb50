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

# A filter takes a part, or the whole where a pattern matches it; what matches nothing is an error.
[ "$("$SEGUE_BENCH" --quick --list --filter record/fill_4 | wc -l)" = 2 ] || fail "--filter part"
[ "$("$SEGUE_BENCH" --quick --list --filter 'lower/*/100/own' | wc -l)" = 2 ] ||
  fail "--filter pattern"
result=0
"$SEGUE_BENCH" --quick --filter nothing/of/that/name 2>/dev/null || result=$?
[ "$result" = 2 ] || fail "a filter that matches nothing exits with $result"
