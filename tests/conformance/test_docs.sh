#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test_docs.sh PROGRAM DOCUMENT: the document lists exactly the cases that PROGRAM has, says what each
# shows, and counts them right.
set -eu
program=$1
document=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

"$program" list | sort >"$work/cases"
[ "$(wc -l <"$work/cases")" -ge 100 ] || fail "only $(wc -l <"$work/cases") cases are listed"
sed -n 's/^| `\([a-z]*\.[a-z_0-9]*\)` | .* | \(yes\|part\|no\) |$/\1/p' "$document" | sort >"$work/told"
diff -u "$work/cases" "$work/told" || fail "$document lists other cases"

cases=$(wc -l <"$work/cases")
areas=$(cut -d . -f 1 "$work/cases" | sort -u | wc -l)
grep -q "holds $cases cases in $areas areas" "$document" || fail "there are $cases cases in $areas areas"
for area in $(cut -d . -f 1 "$work/cases" | sort -u); do
  grep -qx "### $area: $(grep -c "^$area\\." "$work/cases")" "$document" || fail "the count of $area"
done
peer() {
  grep -c "^| \`[a-z]*\\..* | $1 |\$" "$document"
}
grep -q "Of $cases, $(peer yes) have a counterpart and $(peer part) one that shows a part of it; $(peer no) have none" \
  "$document" || fail "$(peer yes) have a counterpart, $(peer part) a part of one, $(peer no) none"
