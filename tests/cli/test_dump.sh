#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# segue-replay dump: all stages and formats, of one and of several command buffers.
. "$(dirname "$0")/lib.sh"
make_traces
soft=(--device soft://)

for stage in segments dag graph; do
    replay 0 dump "${soft[@]}" --stage $stage "$traces/good.json"
    out_has 'copy'
    replay 0 dump "${soft[@]}" --stage $stage --format json "$traces/good.json"
    cp "$scratch/stdout" "$scratch/$stage.json"
    json "$scratch/$stage.json" '' >/dev/null || fail "$last: not JSON"
done
# Three commands do work: a fill, after the barrier a copy of what it has filled, and a fill of
# something else, which only the barrier orders.
file=$scratch/dag.json
json_is "$file" /nodes 3
json_is "$file" /edges 1
json_is "$file" /edges/0/from 0
json_is "$file" /edges/0/to 1
json_is "$file" /edges/0/type full
json_is "$file" /edges/0/reasons/0 read_after_write
json_is "$file" /edges/0/conflicts/0/range/buffer source
json_is "$file" /edges/0/conflicts/0/range/length 4096
json_is "$file" /nodes/0/lane null
json_is "$scratch/graph.json" /nodes 3
json_is "$scratch/graph.json" /nodes/0/id 0
json_positive "$scratch/graph.json" /lanes
json_positive "$scratch/graph.json" /nodes/0/duration_ns
json "$scratch/graph.json" /nodes/0/type | grep -Eq '^(kernel|memcpy|memset)$' || fail 'node type'
json "$scratch/graph.json" /nodes/0/lane | grep -Eq '^[0-9]+$' || fail 'lane'

replay 0 dump "${soft[@]}" --stage dag --format json --order barrier "$traces/good.json"
cp "$scratch/stdout" "$file"
json_is "$file" /edges 2
json_is "$file" /edges/1/to 2
json_is "$file" /edges/1/reasons/0 barrier
json_is "$file" /edges/1/why 'order of a barrier'
replay 0 dump "${soft[@]}" --stage dag "$traces/good.json"
out_has '^ +0 +1 +full +read after write: source\[0\+4096\] \(target of command 2, source of command 4\)$'

for stage in dag graph; do
    replay 0 dump "${soft[@]}" --stage $stage --format dot "$traces/good.json"
    out_has '^digraph '
    out_has ' -> n[0-9]+ \[.*tooltip="read after write: '
done
out_has '^  subgraph cluster_lane0 \{$'

# The default is the graph; slots get one when they are run.
replay 0 dump "${soft[@]}" --format json "$traces/slots.json"
cp "$scratch/stdout" "$scratch/slots.json"
json_is "$scratch/slots.json" /nodes 2

replay 0 dump "${soft[@]}" "$traces/two.json"
out_has '^== first ==$'
out_has '^== second ==$'
replay 0 dump "${soft[@]}" --command-buffer second "$traces/two.json"
out_lacks '=='
replay 0 dump "${soft[@]}" --format json --command-buffer first "$traces/two.json"
cp "$scratch/stdout" "$scratch/first.json"
json_is "$scratch/first.json" /nodes 1
replay 2 dump "${soft[@]}" --format json "$traces/two.json"
err_has 'one of: first, second'
replay 2 dump "${soft[@]}" --command-buffer third "$traces/two.json"
err_has "'third' is not one of: first, second"

replay 0 dump "${soft[@]}" --format dot --output "$scratch/graph.dot" "$traces/good.json"
[ ! -s "$scratch/stdout" ] || fail "$last: prints on stdout"
grep -q '^digraph ' "$scratch/graph.dot" || fail "$last: no graph in the file"
replay 4 dump "${soft[@]}" --output "$scratch/no/folder" "$traces/good.json"

finish
