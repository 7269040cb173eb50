#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# segue-cache from outside: what each command prints and returns. The environment gives
#   SEGUE_CACHE           the program under test
#   SEGUE_MAKE_CACHE      makes folders
#   SEGUE_CACHE_MAN       its man page
#   SEGUE_CACHE_COMPLETION  its bash completion
set -u
: "${SEGUE_CACHE:?}" "${SEGUE_MAKE_CACHE:?}" "${SEGUE_CACHE_MAN:?}" "${SEGUE_CACHE_COMPLETION:?}"

"$SEGUE_CACHE" --version >/dev/null || exit 1

. "$(dirname "$0")/../cli/outcome.sh"

# cache CODE ARGUMENT...
cache() { run_program segue-cache "$SEGUE_CACHE" "$@"; }

# Usage.
cache 0 --help
for command in list verify diff gc bench; do
    out_has "^  $command +[a-z]"
done
cache 0 --version
out_has '^segue-cache [0-9]+\.[0-9]+\.[0-9]+$'
cache 2
cache 2 lst
err_has "unknown command 'lst'"
for command in list verify gc bench; do
    cache 0 "$command" --help
    out_has "^Usage: segue-cache $command \[OPTION\]... DIR"
    cache 2 "$command"
    err_has 'DIR is needed'
    cache 2 "$command" a b
    err_has "'b' is one argument too many"
    cache 2 "$command" --nonsense a
    err_has "'--nonsense'"
    cache 3 "$command" "$scratch/nothing"
    err_has 'No such file'
    [ ! -e "$scratch/nothing" ] || fail "$command makes a folder"
done
cache 2 diff a
cache 2 gc --size-limit 12x a
cache 2 gc --size-limit a
cache 2 gc --max-age 0 a
cache 2 gc --size-limit 99999999999999999999 a
cache 2 gc --size-limit 99999999999T a
cache 2 bench --iterations 0 a
cache 2 bench --verify some a
last='--help with a full stdout'
code=0
"$SEGUE_CACHE" --help >/dev/full 2>"$scratch/stderr" || code=$?
[ "$code" -eq 4 ] || fail "$last: exit code $code"

# list, verify.
one=$scratch/one
"$SEGUE_MAKE_CACHE" "$one" llama 1 3 100000 || exit 1
"$SEGUE_MAKE_CACHE" "$one" other 4 1 5000 || exit 1
cache 0 list "$one"
out_has '^llama +tensor 1 +97.7 KiB +layout 3.1 +arch 90 +generation 1 '
out_has '^other +tensor 4 '
out_has '^4 tensors, 298 KiB; 2 files'
cache 0 list --model other "$one"
out_lacks llama
out_has '^1 tensors'
cache 0 list "$one" --json
out_has '"name": "tensor 2"'
out_has '"file": "generation-0000000000000001.pack"'
cache 0 verify "$one"
out_has '^2 files, 4 tensors, 4 chunks, 298 KiB: 0 corrupt tensors'
cache 0 verify --json "$one"
out_has '"sound": true'

# diff.
two=$scratch/two
"$SEGUE_MAKE_CACHE" "$two" llama 1 2 100000 || exit 1
"$SEGUE_MAKE_CACHE" "$two" llama 3 1 100000 7 || exit 1
"$SEGUE_MAKE_CACHE" "$two" llama 9 1 10 || exit 1
cache 0 diff "$one" "$one"
cache 1 diff "$one" "$two"
out_has '^! llama  tensor 3  '
out_has '^> llama  tensor 9  '
out_has '^< other  tensor 4  '
out_lacks 'tensor 1'
err_has 'differ in 3 tensors, 2 are equal'
cache 0 diff --model nobody "$one" "$two"
cache 1 diff --json "$one" "$two"
out_has '"kind": "content"'

# A corrupt chunk.
printf 'x' | dd of="$two/generation-0000000000000001.pack" bs=1 seek=5000 conv=notrunc 2>/dev/null
cache 1 verify "$two"
out_has 'generation-0000000000000001.pack: chunk 0 of tensor 1 of llama.*checksum'
err_has '1 corrupt entries'
cache 1 verify --json "$two"
out_has '"corrupt_entries": 1'
# gc drops it; then the folder is sound.
cache 0 gc --size-limit 150K "$two"
cache 0 verify "$two"

# A file that is not valid is named on request, and removed by gc.
printf 'SEGUEPK1 but cut' >"$one/generation-0000000000000007.pack"
printf 'left' >"$one/build-1-0123456789abcdef"
cache 0 list "$one"
out_has '1 files left out'
"$SEGUE_CACHE" list -v "$one" >/dev/null 2>"$scratch/stderr"
last='list -v'
err_has 'generation-0000000000000007.pack.*too short'
cache 1 verify "$one"
cache 0 gc --dry-run "$one"
out_has '^would be: 0 tensors removed, 4 kept'
[ -e "$one/build-1-0123456789abcdef" ] || fail 'gc --dry-run removes files'
cache 0 gc "$one"
out_has '2 files removed'
[ "$(find "$one" -name '*.pack' | wc -l)" -eq 2 ] || fail 'gc leaves the broken file'
cache 0 verify "$one"
cache 0 gc --model other --json "$one"
out_has '"removed_entries": 1'
cache 0 gc --max-age 30d "$one"
out_has '^0 tensors removed, 3 kept'

# bench.
cache 0 bench --iterations 2 --verify full --device soft:// "$one"
out_has '^pass 2: 293 KiB, read and checked \(full\) [0-9.]+ GB/s, uploaded [0-9.]+ GB/s'
cache 0 bench -n 1 --json "$one"
out_has '"read_gb_per_s"'
cache 4 bench --device nonsense:// "$one"

# A folder that others may write.
chmod 0777 "$one"
cache 3 list "$one"
err_has 'SEGUE_PACKED_CACHE_SHARED_FOLDER'
cache 0 list --shared "$one"

# Names in files come from strangers.
cache 3 list "$scratch/"$'\033'
err_has '\?'

# Completion and man page forget no option.
cache 0 --list-options
cp "$scratch/stdout" "$scratch/options"
for command in list verify diff gc bench; do
    "$SEGUE_CACHE" "$command" --help | grep -Eo -- '--[a-z][a-z-]*' | sort -u >"$scratch/helped"
    while read -r option; do
        grep -q -- "^$command $option " "$scratch/options" || fail "$command $option is not listed"
        grep -Eq -- "Fl -${option#--}( |$)" "$SEGUE_CACHE_MAN" || fail "$option is not in the man page"
    done <"$scratch/helped"
done
# shellcheck source=/dev/null
. "$SEGUE_CACHE_COMPLETION"
PATH=$(dirname "$SEGUE_CACHE"):$PATH
COMP_WORDS=(segue-cache bench --verify '')
COMP_CWORD=3
_segue_cache
[ "${COMPREPLY[*]}" = 'sampled full off' ] || fail "completion: '${COMPREPLY[*]}'"
if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning "$SEGUE_CACHE_MAN" >"$scratch/stdout" 2>&1 || fail 'mandoc -T lint'
fi
if command -v groff >/dev/null; then
    groff -mdoc -Tutf8 -ww "$SEGUE_CACHE_MAN" 2>"$scratch/stderr" >/dev/null
    [ ! -s "$scratch/stderr" ] || fail 'groff has warnings'
fi

finish
