#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# summary.sh BUILD_FOLDER CTEST_LOG: what the last ctest run in a build folder came to: per suite
# (the first word of a test's name) the tests and the cases in them, with what the tests count
# themselves: fault points, random programs, mutants, fuzz inputs. CTEST_LOG is what ctest printed.
set -eu
details=$1/Testing/Temporary/LastTest.log
log=$2

awk '
  function suite_of(name) {
    sub(/_.*/, "", name)
    return name
  }
  # What ctest printed: "12/319 Test  #12: unit_arena ....   Passed    0.01 sec".
  FNR == NR {
    if (!match($0, /Test +#[0-9]+: /))
      next
    rest = substr($0, RSTART + RLENGTH)
    name = rest
    sub(/ .*/, "", name)
    suite = suite_of(name)
    if (!(suite in tests))
      order[++suite_count] = suite
    ++tests[suite]
    if (rest ~ /Skipped/) {
      ++skipped[suite]
      is_skipped[name] = 1
    } else if (rest !~ / Passed /)
      ++failed[suite]
    next
  }
  /^[0-9]+\/[0-9]+ Testing: / {
    suite = suite_of($3)
    wants_reason = $3 in is_skipped
  }
  /^\[  PASSED  \]/ { cases[suite] += $4 }
  wants_reason && /^skipped: / {
    wants_reason = 0
    reason = $0
    sub(/^skipped: /, "", reason)
    if (!reasons[reason]++)
      reason_order[++reason_count] = reason
  }
  / fault points of [0-9]+,/ {
    for (i = 2; i + 3 <= NF; ++i) {
      if ($i == "fault" && $(i + 1) == "points" && $(i + 2) == "of") {
        fault_points += $(i - 1)
        fault_points_possible += $(i + 3)
      }
    }
  }
  / defects$/ && /fault points in all/ { fault_defects += $(NF - 1) }
  /programs of [0-9]+ commands, [0-9]+ runs$/ {
    programs += $1
    commands += $4
    runs += $6
  }
  /^\| all \| \| / {
    planted += $5
    equivalent += $7
    missed += $(NF - 1)
  }
  /^[0-9]+ inputs$/ { inputs += $1 }
  END {
    for (i = 1; i <= suite_count; ++i) {
      suite = order[i]
      line = sprintf("  %-12s %4d tests", suite, tests[suite])
      if (cases[suite])
        line = line sprintf(", %d cases", cases[suite])
      if (suite == "fault")
        line = line sprintf(": %d fault points of %d, %d defects", fault_points,
                            fault_points_possible, fault_defects)
      if (suite == "random") {
        line = line sprintf(": %d programs, %d commands, %d runs", programs, commands, runs)
        line = line sprintf("; %d mutants, of which %d matter and %d were missed", planted,
                            planted - equivalent, missed)
      }
      if (suite == "fuzz")
        line = line sprintf(": %d inputs replayed", inputs)
      if (skipped[suite])
        line = line sprintf("; %d skipped", skipped[suite])
      if (failed[suite])
        line = line sprintf("; %d FAILED", failed[suite])
      print line
    }
    for (i = 1; i <= reason_count; ++i)
      printf "  %d tests skipped: %s\n", reasons[reason_order[i]], reason_order[i]
  }' "$log" "$details"
