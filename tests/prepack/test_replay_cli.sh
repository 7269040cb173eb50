#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A Llama trace through `segue-replay run --prepack-cache`: the second start loads all constants from
# the cache, a damaged cache is mended, and the results are those of a run without one. The
# environment gives SEGUE_LLAMA and SEGUE_REPLAY.
set -u
: "${SEGUE_LLAMA:?}" "${SEGUE_REPLAY:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0
fail() {
    echo "FAILED: $1"
    tail -n 30 "$scratch/out" "$scratch/err"
    failures=$((failures + 1))
}

"$SEGUE_LLAMA" --out "$scratch/step.json" --layers 1 --context 16 >"$scratch/out" || exit 1

# Sources changed a moment ago are not noted by the first load, but by a later one.
sleep 2.2

trace=$scratch/step.json
# run CODE OUTPUTS: replays $trace with the cache.
run() {
    local code=0
    "$SEGUE_REPLAY" run -d soft:// --prepack-cache "$scratch/cache" --json -o "$scratch/$2" \
        "$trace" >"$scratch/out" 2>"$scratch/err" || code=$?
    [ "$code" -eq "$1" ] || fail "exit code $code, not $1"
}
# has NAME VALUE: of the prepack object.
has() {
    sed -n '/"prepack": {/,/}/p' "$scratch/out" | grep -q "\"$1\": $2[,]*$" || fail "$1 is not $2"
}

"$SEGUE_REPLAY" run -d soft:// --json -o "$scratch/without" "$scratch/step.json" \
    >"$scratch/out" || fail 'the run without a cache'
! grep -q '"prepack"' "$scratch/out" || fail 'a plan without being asked for'
run 0 first
has constants 20
has hits 0
has packed 20
before=$(find "$scratch/cache" -name '*.pack' -printf '%f %T@ %s ')
run 0 second
has hits 20
has packed 0
[ "$(find "$scratch/cache" -name '*.pack' -printf '%f %T@ %s ')" = "$before" ] ||
    fail 'a load that changes nothing changes the file'
# The first chunk of a tensor is always checked.
printf 'damage' | dd of="$(echo "$scratch"/cache/*.pack)" bs=1 seek=4096 conv=notrunc 2>/dev/null
run 0 third
has hits 19
has corrupt 1
grep -q 'is corrupt on the disk' "$scratch/err" || fail 'nobody was told'
run 0 fourth
has hits 20
for outputs in first second third fourth; do
    cmp -s "$scratch/without" "$scratch/$outputs" || fail "the $outputs run's results differ"
done

# Weights that the trace has packed: packed once, whoever packs them; the same step as without.
"$SEGUE_LLAMA" --out "$scratch/packed.json" --layers 1 --context 16 --packed --expect \
    >"$scratch/out" || fail 'a packed step'
rm -r "$scratch/cache"
trace=$scratch/packed.json
grep -q '"entry": "segue_quant_pack"' "$trace" || fail 'no packing in the trace'
run 0 packed_first
has constants 13
has packed 13
run 0 packed_second
has hits 13
has packed 0
"$SEGUE_REPLAY" run -d soft:// -o "$scratch/packed_without" "$trace" >"$scratch/out" 2>"$scratch/err" ||
    fail 'the run without a cache'
for outputs in packed_first packed_second; do
    cmp -s "$scratch/packed_without" "$scratch/$outputs" || fail "the $outputs run's results differ"
done
# Another packing of the same bytes is none of these: its layout has another version.
sed 's/"layout_version": 1/"layout_version": 2/' "$trace" >"$scratch/other.json"
trace=$scratch/other.json
run 0 packed_other
has hits 6
has packed 7
has layout 7
has absent 0
"$SEGUE_REPLAY" dump -d soft:// --stage segments "$trace" >"$scratch/out" || fail 'dump'
grep -q '^layer0.down: packed by quant_pack segue_quant_pack .* from 2 sources' "$scratch/out" ||
    fail 'a packing is not dumped'

# A folder that cannot be used is an error, not a run without it.
mkdir -m 0777 "$scratch/open"
chmod 0777 "$scratch/open"
code=0
"$SEGUE_REPLAY" run -d soft:// --prepack-cache "$scratch/open" "$scratch/step.json" \
    >"$scratch/out" 2>"$scratch/err" || code=$?
[ "$code" -eq 4 ] || fail "a folder that others may write: exit code $code"
grep -q 'other users may write' "$scratch/err" || fail 'no reason'
exit $((failures > 0))
