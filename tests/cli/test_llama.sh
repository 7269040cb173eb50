#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# segue-llama on $SEGUE_LLAMA_DEVICE: the step in both modes against the C reference, and as a trace
# that segue-replay replays and verifies. $SEGUE_LLAMA_LAYERS layers, one if not set.
. "$(dirname "$0")/lib.sh"
: "${SEGUE_LLAMA:?}" "${SEGUE_LLAMA_DEVICE:?}"
device=(--device "$SEGUE_LLAMA_DEVICE")
layers=(--layers "${SEGUE_LLAMA_LAYERS:-1}")

# llama CODE ARGUMENT...: runs segue-llama and requires that exit code.
llama() {
    local wanted=$1 code=0
    shift
    last="segue-llama $*"
    "$SEGUE_LLAMA" "$@" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
    [ "$code" -eq "$wanted" ] || fail "$last: exit code $code, not $wanted"
    if [ "$wanted" -eq 0 ]; then
        [ ! -s "$scratch/stderr" ] || fail "$last: prints on stderr"
    else
        grep -q 'segue-llama: ' "$scratch/stderr" || fail "$last: stderr without the name"
    fi
}

# A GPU that is not there skips; the software driver is always there.
case $SEGUE_LLAMA_DEVICE in
cuda*)
    "$SEGUE_LLAMA" "${device[@]}" --layers 0 --run >/dev/null 2>"$scratch/stderr"
    if [ $? -eq 4 ]; then
        printf 'skipped: %s\n' "$(cat "$scratch/stderr")"
        exit 77
    fi
    ;;
esac

llama 0 --help
out_has '^Usage: segue-llama'
llama 2
err_has 'nothing to do'
llama 2 --run --model 2b
err_has "'2b' is not 1b, 3b or 8b"
llama 2 --run --layers 17
err_has 'has 16 layers'
llama 2 --run --context 131072
err_has 'from 0 to 131071'
llama 2 --run --tokens 2
err_has 'tokens is 1, or with --fused more'
llama 2 --run --fused --tokens 0
llama 2 --run --fused --tokens 65
err_has 'from 0 to 64'
llama 2 --run --device nowhere://
llama 2 --run extra
llama 4 --run --device cuda://4711
llama 1 --out "$scratch/no/such/folder.json" --layers 0 --device soft://

# Both modes, and the reference on the software driver.
llama 0 "${device[@]}" "${layers[@]}" --run --expect --iterations 3
out_has '^graph +[0-9]'
out_has '^stream +[0-9]'
out_has '^relative error of the logits .*, token equal$'
llama 0 "${device[@]}" --layers 1 --context 0 --run --expect
# The same matrices, packed: other kernels, the same token.
token=$(sed -n 's/^graph .* //p' "$scratch/stdout")
llama 0 "${device[@]}" --layers 1 --context 0 --packed --run --expect
[ -n "$token" ] && [ "$(sed -n 's/^graph .* //p' "$scratch/stdout")" = "$token" ] ||
    fail "$last: not the token of weights that are not packed"
llama 0 "${device[@]}" --layers 1 --model 3b --context 65 --run --expect

# All in the products, two tokens one after the other: nothing is changed between them. (A seed by
# which both tokens win clearly: rounding decides for no other.)
llama 0 "${device[@]}" --layers 1 --context 6 --seed 8 --fused --tokens 2 --run --expect --iterations 0
out_has '^relative error of the logits .*, token equal$'
out_has '^2 tokens: graphs made 1, of 7 nodes; nodes changed 0$'

# As a trace: what generates the weights is stored, not the weights.
trace=$scratch/step.json
llama 0 "${device[@]}" "${layers[@]}" --out "$trace" --expect
out_has 'dispatches'
out_has 'deviations$'
total=$(cat "$scratch"/step.* | wc -c)
[ "$total" -lt 2000000 ] || fail "$last: the trace has $total bytes"
for mode in graph stream; do
    replay 0 run "${device[@]}" --mode "$mode" "$trace"
    [ "$(grep -c '^ok ' "$scratch/stdout")" -eq 2 ] || fail "$last: not two good expectations"
    out_has 'logits'
    out_has 'token'
done
replay 0 check "${device[@]}" --seeds 1 "$trace"

# q, k and v, and gate and up, wait for nothing but the stage before them.
replay 0 dump "${device[@]}" --stage dag --format json "$trace"
cp "$scratch/stdout" "$scratch/dag.json"
edges=$(grep -o '"from"' "$scratch/dag.json" | wc -l)
nodes=$(grep -o '"id"' "$scratch/dag.json" | wc -l)
wanted_nodes=$((4 + 14 * ${SEGUE_LLAMA_LAYERS:-1}))
# A chain but for two nodes more to fork to and to join from (q, k, v) and one more (gate, up).
wanted_edges=$((wanted_nodes - 1 + 3 * ${SEGUE_LLAMA_LAYERS:-1}))
[ "$nodes" -eq "$wanted_nodes" ] || fail "$last: $nodes nodes, not $wanted_nodes"
[ "$edges" -eq "$wanted_edges" ] || fail "$last: $edges edges, not $wanted_edges"
replay 0 dump "${device[@]}" --stage segments --format text "$trace"
for group in embedding layer0/attention layer0/mlp head; do
    out_has "$group"
done

# Fused, a layer is five nodes, and all are a chain of programmatic edges.
llama 0 "${device[@]}" "${layers[@]}" --fused --out "$scratch/fused.json"
replay 0 dump "${device[@]}" --stage graph --format json "$scratch/fused.json"
fused_nodes=$((2 + 5 * ${SEGUE_LLAMA_LAYERS:-1}))
[ "$(grep -c '"command"' "$scratch/stdout")" -eq "$fused_nodes" ] ||
    fail "$last: not $fused_nodes nodes"
if [ "$(grep -c '"type": "programmatic"' "$scratch/stdout")" -ne $((fused_nodes - 1)) ] ||
    [ "$(grep -c '"from": ' "$scratch/stdout")" -ne $((fused_nodes - 1)) ]; then
    fail "$last: not a chain of programmatic edges"
fi

# The same options make the same bytes; weights that differ are noticed.
again=$scratch/again
mkdir "$again"
llama 0 "${device[@]}" "${layers[@]}" --out "$again/step.json" --expect
for file in "$scratch"/step.*; do
    case $SEGUE_LLAMA_DEVICE in
    soft*) cmp -s "$file" "$again/${file##*/}" || fail "$last: ${file##*/} is not the same" ;;
    esac
done
sed -i 's/\("seed": *\)\([0-9]\)/\11\2/' "$again/step.json"
replay 1 run "${device[@]}" "$again/step.json"
finish
