#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# segue-replay report: a page that stands alone, lanes for Perfetto, and a trace with durations.
. "$(dirname "$0")/lib.sh"
make_traces
soft=(--device soft:// --kernels "$SEGUE_CLI_PLUGIN")

# data PAGE: takes the page's data out of it.
data() {
    sed -n 's|^<script type="application/json" id="data">\(.*\)</script>$|\1|p' "$1" >"$scratch/data.json"
    [ -s "$scratch/data.json" ] || fail "$last: no data in the page"
}

replay 0 report "${soft[@]}" --output "$scratch/page.html" --trace "$scratch/lanes.json" \
    "$traces/good.json"
[ ! -s "$scratch/stdout" ] || fail "$last: prints on stdout"
# Nothing is loaded from anywhere.
grep -Eq 'src=|href=|url\(|@import|https?://' "$scratch/page.html" && fail "$last: not self-contained"
grep -q "default-src 'none'" "$scratch/page.html" || fail "$last: no content security policy"
grep -q '@DATA@' "$scratch/page.html" && fail "$last: the data is missing"
data "$scratch/page.html"
file=$scratch/data.json
json_is "$file" /trace good.json
json_is "$file" /views 1
json_is "$file" /views/0/name transfers
json_is "$file" /views/0/nodes 3
json_is "$file" /views/0/nodes/1/0 4
json_is "$file" /views/0/nodes/1/3 layer0/stage/copy
json_positive "$file" /views/0/end
json_positive "$file" /views/0/lanes
json_positive "$file" /views/0/nodes/1/5
json "$file" /views/0/edges/0/4 | grep -q 'read after write: source\[0+4096\]' || fail 'no reason'
json_is "$file" /views/0/totals/0/name 'This graph'
json_is "$file" /views/0/totals/0/how modelled
json "$file" /views/0/notes/0 | grep -q 'not measured' || fail 'nothing says that times are modelled'
json_is "$scratch/lanes.json" /traceEvents/0/ph M
json_is "$scratch/lanes.json" /displayTimeUnit ns
grep -q '"name": "layer0/stage/copy"' "$scratch/lanes.json" || fail "$last: a node is not in the lanes"

# Measured: the graph and a stream of launches are among the totals.
replay 0 report "${soft[@]}" --times measured --iterations 2 --output "$scratch/page.html" \
    "$traces/honest.json"
data "$scratch/page.html"
json_is "$file" /views/0/totals/0/how measured
json "$file" /views/0/totals | grep -qx 5 || fail "$last: not five totals"
json "$file" /views/0/notes/0 | grep -q 'was measured on the device' || fail "$last: notes"

# Several command buffers, slots, standard output, both orders.
replay 0 report "${soft[@]}" "$traces/two.json"
data "$scratch/stdout"
json_is "$file" /views 2
for order in auto hazard barrier; do
    replay 0 report "${soft[@]}" --order $order --output "$scratch/page.html" "$traces/slots.json"
done
replay 4 report "${soft[@]}" --output "$scratch/no/folder" "$traces/good.json"
replay 4 report "${soft[@]}" --output "$scratch/page.html" --trace "$scratch/no/folder" \
    "$traces/good.json"

# A name cannot end the script that the data is in.
sed 's|"label": "stage"|"label": "</script><b>"|' "$traces/good.json" >"$traces/evil.json"
replay 0 report "${soft[@]}" --output "$scratch/page.html" "$traces/evil.json"
[ "$(grep -o '</script>' "$scratch/page.html" | wc -l)" -eq 2 ] || fail "$last: a name breaks the page"
data "$scratch/page.html"
json "$file" /views/0/nodes/1/3 | grep -qF '</script><b>' || fail "$last: the name is lost"

# What a profile writes back is read as hints.
replay 0 bench "${soft[@]}" --iterations 2 --warmup 1 --profile "$traces/profiled.json" \
    "$traces/honest.json"
json_positive "$traces/profiled.json" /command_buffers/0/commands/0/duration_ns
replay 0 run "${soft[@]}" "$traces/profiled.json"
wanted=$(json "$traces/profiled.json" /command_buffers/0/commands/0/duration_ns)
replay 0 dump "${soft[@]}" --format json "$traces/profiled.json"
cp "$scratch/stdout" "$scratch/graph.json"
json_is "$scratch/graph.json" /nodes/0/duration_ns "$wanted"
replay 4 bench "${soft[@]}" --iterations 1 --profile "$scratch/elsewhere.json" "$traces/honest.json"
err_has 'must be in the folder of'

finish
