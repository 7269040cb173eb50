#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh [--only PATTERNS] [--jobs N] [--work FOLDER]: plants the defects of commands.txt and
# objects.txt, one at a time, in a copy of the sources, and runs the conformance suite in both modes, the
# pairs and the fault loop on each. Prints which suite sees which defect; fails if a defect goes unseen, if one
# cannot be planted any more, or (without --only) if a conformance case has not failed for any. Takes
# 20 minutes of two processors; with --jobs, that many copies share the defects.
#
# Graphs made in a random order and the fault loop run only where the rest sees nothing, and for the
# defects that are marked `fault`: these the fault loop must be the only one to see. Those marked
# `unseen` are known to go unseen, for the reason given with them.
#
# run.sh --stale: only says, within seconds, which of them can no longer be planted.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/build/defects
only='*'
jobs=1
part=
# Areas of the fault loop that take about a second each; the first that fails is enough.
fault_areas='lives event executable failure queue secondary semaphore slots update reuse buffer'
# More on a busy machine: what takes longer has failed.
patience_s=${SEGUE_TEST_PATIENCE_S:-10}

names() {
  sed -n 's/^\[\([a-z_0-9]*\)\].*/\1/p' "$here"/*.txt
}

# Of each defect: "[NAME] FILE [fault|unseen]"...
head_of() {
  sed -n "s/^\[$1\] //p" "$here"/*.txt
}

# ... then a sed script up to the next one.
script_of() {
  awk -v name="[$1]" '/^\[/ { on = $1 == name; next } on && !/^#/' "$here"/*.txt
}

if [ "${1:-}" = --stale ]; then
  stale=0
  for name in $(names); do
    file=$(head_of "$name")
    file=$root/${file%% *}
    if script_of "$name" | sed -f - "$file" | cmp -s - "$file"; then
      echo "$name: its script changes nothing in $file"
      stale=$((stale + 1))
    fi
  done
  echo "$stale of $(names | wc -l) defects cannot be planted"
  [ "$stale" = 0 ]
  exit
fi

while [ $# -gt 0 ]; do
  case $1 in
    --only) only=$2 ;;
    --jobs) jobs=$2 ;;
    --work) work=$2 ;;
    # K/N: the defects whose number modulo N is K. For --jobs.
    --part) part=$2 ;;
    *)
      echo "usage: run.sh --stale | [--only PATTERNS] [--jobs N] [--work FOLDER]" >&2
      exit 2
      ;;
  esac
  shift 2
done
mkdir -p "$work"
# What sees them, as NAME MODE AREA.CASE or the like; and NAME: VERDICT.
results=$work/results.txt
verdicts=$work/verdicts.txt
: >"$results"
: >"$verdicts"

# Whether a name is one that --only asks for, which may be several patterns.
wanted() {
  set -f
  for pattern in $only; do
    # shellcheck disable=SC2254
    case $1 in
      $pattern)
        set +f
        return 0
        ;;
    esac
  done
  set +f
  return 1
}

# Counts, and whether all is well.
conclude() {
  awk '
    !($1 in number) { number[$1]; planted++ }
    {
      seen[$1, $2 == "graph" || $2 == "stream" || $2 == "random" ? "conformance" : $2]
      only_random[$1] = (NR == 1 || !($1 in only_random) || only_random[$1]) && $2 == "random"
    }
    END {
      for (name in number) {
        c += (name, "conformance") in seen
        p += (name, "pairs") in seen
        both += ((name, "conformance") in seen) && ((name, "pairs") in seen)
        r += only_random[name]
        f += !((name, "conformance") in seen) && !((name, "pairs") in seen)
      }
      printf "%d planted defects were seen: %d by the conformance suite (%d in random order only), ",
        planted, c, r
      printf "%d by the pairs (%d by both), %d by the fault loop only\n", p, both, f
    }' "$results"
  echo "$(grep -c ': known to go unseen' "$verdicts" || true) are known to go unseen"
  bad=$(grep -cv ': seen by\|: known to go unseen' "$verdicts" || true)
  echo "$bad were not seen, or could not be planted"
  grep -v ': seen by\|: known to go unseen' "$verdicts" || true
  if [ "$only" = '*' ]; then
    cut -d ' ' -f 3 "$results" | sort -u >"$work/failed"
    never=$(grep -vxFf "$work/failed" "$work/cases" || true)
    total=$(wc -l <"$work/cases")
    left=$(printf '%s' "$never" | grep -c . || true)
    echo "$((total - left)) of $total conformance cases have failed for some defect"
    if [ -n "$never" ]; then
      printf 'never failed:\n%s\n' "$never"
      bad=$((bad + 1))
    fi
  fi
  [ "$bad" = 0 ]
}

if [ "$jobs" != 1 ]; then
  pids=
  for k in $(seq 0 $((jobs - 1))); do
    "$0" --only "$only" --part "$k/$jobs" --work "$work/$k" >"$work/log.$k" 2>&1 &
    pids="$pids $!"
  done
  broken=0
  for pid in $pids; do
    wait "$pid" || broken=$((broken + 1))
  done
  for k in $(seq 0 $((jobs - 1))); do
    cat "$work/$k/results.txt" >>"$results"
    cat "$work/$k/verdicts.txt" >>"$verdicts"
  done
  cp "$work/0/cases" "$work/cases"
  sort "$verdicts"
  if [ "$broken" != 0 ]; then
    echo "$broken of the jobs broke off:"
    tail -n 5 "$work"/log.*
    exit 1
  fi
  conclude
  exit
fi

copy=$work/source
build=$work/build
logs=$work/logs
rm -rf "$copy"
mkdir -p "$copy" "$logs"
# All newer than whatever was built from the copy before.
(cd "$root" && tar cf - --exclude=./build --exclude=./.git .) | (cd "$copy" && tar xmf -)
cmake -S "$copy" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_C_FLAGS_RELEASE='-O1 -DNDEBUG' -DSEGUE_WERROR=OFF \
  ${SEGUE_LIBNVRTC:+"-DSEGUE_LIBNVRTC=$SEGUE_LIBNVRTC"} >"$work/configure.log"
export SEGUE_LIBSOFT="$build/lib/libsegue_soft.so" XDG_CACHE_HOME="$work/cache"
export ASAN_OPTIONS=detect_leaks=0

compile() {
  ninja -C "$build" -j 2 segue_conformance segue_pairs segue_fault segue_soft \
    >"$work/build.log" 2>&1
}

# Of the modes, `random` is graphs made in a random order: there, no lane hides a missing edge.
conformance() {
  case $1 in
    random) mode=graph seed=7 ;;
    *) mode=$1 seed=0 ;;
  esac
  SEGUE_TEST_MODE=$mode SEGUE_TEST_ORDER_SEED=$seed timeout $patience_s \
    "$build/tests/conformance/bin/segue_conformance" "$2" >"$logs/$1-$2" 2>&1
}

# The cases that fail, as MODE AREA.CASE. Each has failed by itself: what a case leaves behind may fail
# the ones after it.
run_conformance() {
  for area in $areas; do
    code=0
    conformance "$1" "$area" || code=$?
    [ $code != 0 ] && [ $code != 77 ] || continue
    grep "^$area\." "$work/cases" >"$logs/$1-cases"
    while read -r case; do
      code=0
      conformance "$1" "$case" || code=$?
      [ $code = 0 ] || [ $code = 77 ] || echo "$1 $case"
    done <"$logs/$1-cases"
  done
}

run_pairs() {
  timeout $patience_s "$build/tests/pairs/bin/segue_pairs" >"$logs/pairs" 2>&1 ||
    awk '/^\[  (FAILED |ERROR  ) \] [a-z_0-9]+$/ { failed[$NF]; any = 1 }
      END {
        for (name in failed)
          print "pairs", name
        if (!any)
          print "pairs ?"
      }' "$logs/pairs"
}

run_fault() {
  for area in $fault_areas; do
    for mode in graph stream; do
      SEGUE_TEST_MODE=$mode timeout 300 "$build/tests/fault/bin/segue_fault" all "$area" \
        >"$logs/fault-$mode-$area" 2>&1 || {
        echo "fault $area"
        return
      }
    done
  done
}

run_suites() {
  run_conformance graph >"$work/seen.graph" &
  run_conformance stream >"$work/seen.stream"
  run_pairs >"$work/seen.pairs"
  wait $!
  cat "$work/seen.graph" "$work/seen.stream" "$work/seen.pairs" >"$work/seen"
  if [ "$1" = fault ] || [ ! -s "$work/seen" ]; then
    run_conformance random >>"$work/seen"
  fi
  if [ "$1" = fault ] || [ ! -s "$work/seen" ]; then
    run_fault >>"$work/seen"
  fi
}

compile || {
  tail -n 20 "$work/build.log"
  exit 1
}
"$build/tests/conformance/bin/segue_conformance" list >"$work/cases"
areas=$(cut -d . -f 1 "$work/cases" | uniq)
echo "without a defect"
run_suites fault
if [ -s "$work/seen" ]; then
  echo "the suites fail without any defect:"
  cat "$work/seen"
  exit 1
fi

number=0
for name in $(names); do
  number=$((number + 1))
  wanted "$name" || continue
  [ -z "$part" ] || [ $((number % ${part#*/})) = "${part%/*}" ] || continue
  head=$(head_of "$name")
  file=${head%% *}
  mark=${head#"$file"}
  mark=${mark# }
  script_of "$name" >"$work/script.sed"
  cp "$copy/$file" "$work/right"
  sed -f "$work/script.sed" "$work/right" >"$copy/$file"
  if cmp -s "$work/right" "$copy/$file"; then
    verdict="STALE: its script changes nothing in $file"
  elif ! compile; then
    verdict="STALE: it does not compile: $(grep -m 1 error: "$work/build.log" || true)"
  else
    run_suites "${mark:-no}"
    sed "s/^/$name /" "$work/seen" >>"$results"
    suites=$(cut -d ' ' -f 1 "$work/seen" | sort | uniq -c | awk '{ printf " %s (%d)", $2, $1 }')
    verdict="seen by$suites"
    [ -n "$suites" ] || verdict=UNSEEN
    if [ "$mark" = unseen ]; then
      [ -n "$suites" ] && verdict="NOT MARKED RIGHT, $verdict" || verdict="known to go unseen"
    fi
    if [ "$mark" = fault ] && grep -qv '^fault ' "$work/seen"; then
      verdict="NOT FOR THE FAULT LOOP ALONE:$suites"
    fi
  fi
  echo "$name: $verdict" | tee -a "$verdicts"
  cp "$work/right" "$copy/$file"
done
[ -n "$part" ] || conclude
