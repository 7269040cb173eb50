# SPDX-License-Identifier: Apache-2.0
# For check_rules.sh: reads sources and looks for the places that refuse something: calls of what
# matches `macros`, except those that report want of host memory or are in the file `exempt`. Fails if
# one of them is not in the file `sites` of FILE:LINE.
#
# A place is a call from the line it begins on to the line it ends on, since compilers differ in which
# of them they take for its line.
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
      print exempt ": no reason: " line
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
  if (text ~ /SEGUE_OUT_OF_HOST_MEMORY|fail_memory/) {
    memory++
    return
  }
  if (found) {
    covered++
  } else {
    print "no test reaches " FILENAME ":" first ": " text
    failed = 1
  }
}
!open_call && match($0, macros) && !/#define/ {
  # Of a macro that is made of another one, its uses count; and of a function its calls.
  if (!/\\$/ && $0 !~ /^(static )?(segue_status|bool|void) /) {
    open_call = 1
    first = FNR
    text = ""
  }
}
open_call {
  line = $0
  sub(/^ +/, " ", line)
  text = text line
  if (/\)+;$|; *\\$/)
    finish()
}
END {
  for (i = 1; i <= exemptions; i++)
    if (used[i] != 1) {
      print exempt ": " used[i] + 0 " places match: " exempt_file[i] "|" exempt_text[i]
      failed = 1
    }
  printf "%d places refuse something: %d reached, %d for want of memory, %d exempt\n",
    places, covered, memory, exempted
  exit failed
}
