#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_rules.sh AREA SOURCE_FOLDER SITES PROGRAM...: asserts that every place of an area of the
# sources that refuses something has been reached. Exempt are those that report want of host memory,
# which other tests bring about, and those in exempt-AREA.txt.
#
#   hal    by the pairs, of which PROGRAM notes what its wrong halves come to
#   cuda   (calls of the driver that fail are the fault tests' business),
#   kernels and
#   trace  by unit tests and corpora: PROGRAMs that note where failures are raised; a program and its
#          argument are joined by a colon. What is put right must pass there, too.
set -eu
area=$1
source=$2
sites=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)

rm -f "$sites"
for program in "$@"; do
  argument=${program#*:}
  [ "$argument" != "$program" ] || argument=
  SEGUE_PAIRS_SITES=$sites SEGUE_TEST_SITES=$sites "${program%%:*}" ${argument:+"$argument"} \
    >"$sites.log" 2>&1 || {
    tail -n 40 "$sites.log"
    echo "${program%%:*} failed"
    exit 1
  }
done

cd "$source"
case $area in
  hal) files='hal/*.c' macros='(segue_fail|segue_fail_driver|segue_record_fail|fail_check)[(]' ;;
  cuda) files='cuda/*.c' macros='(segue_fail|segue_fail_driver)[(]' ;;
  kernels) files='kernels/*/*.c' macros='quant_fail[(]' ;;
  trace) files='hal/trace/*.c' macros='(segue_trace_fail|segue_trace_fail_on|segue_json_fail)[(]' ;;
esac
# Split on purpose.
# shellcheck disable=SC2086
awk -v sites="$sites" -v exempt="$here/exempt-$area.txt" -v macros="$macros" -f "$here/rules.awk" \
  $files
