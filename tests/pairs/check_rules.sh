#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_rules.sh PROGRAM SOURCE_FOLDER SITES: runs the pairs, whose refusals PROGRAM notes in the
# file SITES, and asserts that they came from every place in hal/ that refuses something. Exempt are
# those that report want of host memory, which the fault tests bring about, and those in exempt.txt.
set -eu
program=$1
source=$2
sites=$3
exempt=$(dirname "$0")/exempt.txt

rm -f "$sites"
SEGUE_PAIRS_SITES=$sites "$program" >"$sites.log" 2>&1 || {
  tail -n 40 "$sites.log"
  exit 1
}

# A place is a call of one of the macros, from the line it begins on to the line it ends on, since
# compilers differ in which of them they take for its line.
cd "$source"
awk -v sites="$sites" -v exempt="$exempt" '
  BEGIN {
    while ((getline line < sites) > 0)
      reached[line] = 1
    while ((getline line < exempt) > 0) {
      if (line ~ /^ *(#|$)/)
        continue
      split(line, field, "|")
      exemptions++
      exempt_file[exemptions] = field[1]
      exempt_text[exemptions] = field[2]
      if (field[3] == "") {
        print "exempt.txt: no reason: " line
        failed = 1
      }
    }
  }
  function finish(    line, i, found) {
    open_call = 0
    places++
    for (line = first; line <= FNR; line++)
      if ((FILENAME ":" line) in reached)
        found = 1
    for (i = 1; i <= exemptions; i++)
      if (FILENAME == exempt_file[i] && index(text, exempt_text[i]) > 0) {
        used[i]++
        if (found) {
          print "exempt, but reached: " FILENAME ":" first ": " exempt_text[i]
          failed = 1
        }
        exempted++
        return
      }
    if (text ~ /SEGUE_OUT_OF_HOST_MEMORY/) {
      memory++
      return
    }
    if (found) {
      covered++
    } else {
      print "no pair reaches " FILENAME ":" first ": " text
      failed = 1
    }
  }
  !open_call && /(segue_fail|segue_fail_driver|segue_record_fail|fail_check)\(/ && !/#define/ {
    # Of a macro that is made of another one, its uses count.
    if (!/\\$/) {
      open_call = 1
      first = FNR
      text = ""
    }
  }
  open_call {
    line = $0
    sub(/^ +/, " ", line)
    text = text line
    if (/\);$/)
      finish()
  }
  END {
    for (i = 1; i <= exemptions; i++)
      if (used[i] != 1) {
        print "exempt.txt: " used[i] + 0 " places match: " exempt_file[i] "|" exempt_text[i]
        failed = 1
      }
    printf "%d places refuse something: %d reached by pairs, %d for want of memory, %d exempt\n",
      places, covered, memory, exempted
    exit failed
  }
' hal/*.c
