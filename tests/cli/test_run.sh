#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# segue-replay run: tables, JSON, outputs, and the exit codes 0, 1, 2, 3 and 4.
. "$(dirname "$0")/lib.sh"
make_traces
soft=(--device soft://)

replay 0 run "${soft[@]}" "$traces/good.json"
out_has '^device: .*soft://'
out_has '^command buffer +mode +commands +nodes +edges +bytes/command +record +lower +build'
out_has '^transfers +graph +8 +3 +'
out_has '^1 submission +launch +device +total$'
out_has '^one iteration +[0-9]'
[ "$(grep -c '^ok  ' "$scratch/stdout")" -eq 2 ] || fail "$last: not two good expectations"
out_has 'copied'
out_has 'filled'

replay 0 run "${soft[@]}" --mode stream --iterations 5 "$traces/good.json"
out_has '^transfers +stream +8 +0 +0 '
out_has '^first iteration'
out_has '^median of 5 '

# Buffers are restored between iterations: the kernel changes its input in place.
replay 0 run "${soft[@]}" -k "$SEGUE_CLI_PLUGIN" -o "$scratch/once" "$traces/honest.json"
out_has 'nothing was verified'
replay 0 run "${soft[@]}" -k "$SEGUE_CLI_PLUGIN" -n 3 -o "$scratch/thrice" "$traces/honest.json"
cmp -s "$scratch/once" "$scratch/thrice" || fail "$last: iterations are not independent"
cp "$SEGUE_CLI_PLUGIN" "$scratch/plugin.so"
last='run with a plugin in the working folder'
(cd "$scratch" && "$SEGUE_REPLAY" run "${soft[@]}" -k plugin.so "$traces/honest.json") \
    >"$scratch/stdout" 2>"$scratch/stderr" || fail "$last"

replay 0 run "${soft[@]}" --json --iterations 3 "$traces/good.json"
cp "$scratch/stdout" "$scratch/run.json"
json_is "$scratch/run.json" /passed true
json_is "$scratch/run.json" /iterations 3
json_is "$scratch/run.json" /device/software true
json_is "$scratch/run.json" /command_buffers 1
json_is "$scratch/run.json" /command_buffers/0/name transfers
json_is "$scratch/run.json" /command_buffers/0/mode graph
json_is "$scratch/run.json" /command_buffers/0/commands 8
json_is "$scratch/run.json" /command_buffers/0/nodes 3
json_positive "$scratch/run.json" /command_buffers/0/recorded_bytes
json_positive "$scratch/run.json" /total_ns/p50
json_is "$scratch/run.json" /expectations 2
json_positive "$scratch/run.json" /graph_cache/misses
json_is "$scratch/run.json" /graph_cache/falls/update 0
json_is "$scratch/run.json" /expectations/0/passed true

# Outputs: safetensors begin with the length of their header, which is JSON.
replay 0 run "${soft[@]}" --outputs "$scratch/out.safetensors" "$traces/good.json"
tail -c +9 "$scratch/out.safetensors" | head -c 2 | grep -q '{"' || fail "$last: no safetensors"
[ "$(wc -c <"$scratch/out.safetensors")" -gt 8192 ] || fail "$last: too small for two outputs"

# Constant slots get other values: what comes out differs, and what does not fit is refused.
cp "$(dirname "$0")"/../traces/good/everything.* "$scratch"
everything=$scratch/everything.json
replay 0 run "${soft[@]}" --set unused=-1 "$everything"
replay 1 run "${soft[@]}" --set pattern=1.5 "$everything"
out_has '^FAILED  chosen'
replay 1 run "${soft[@]}" --set pattern=-2 -n 2 "$everything"
replay 2 run "${soft[@]}" --set width=1 "$everything"
err_has 'no constant slot of that name'
replay 2 run "${soft[@]}" --set pattern=4294967296 "$everything"
err_has 'not a number that fits 4 bytes'
replay 0 run "${soft[@]}" --set unused=-0x1e "$everything"
replay 2 run "${soft[@]}" --set pattern=-0x1e0000000 "$everything"
err_has 'not a number that fits 4 bytes'
replay 2 run "${soft[@]}" --set pattern=x "$everything"
replay 2 run "${soft[@]}" --set pattern "$everything"
err_has 'not of the form NAME=VALUE'

# 1: an expectation does not hold.
replay 1 run "${soft[@]}" "$traces/mismatch.json"
err_has '1 of 2 expectations do not hold'
out_has '^ok  .*copied'
out_has '^FAILED .*filled'
replay 1 run "${soft[@]}" --json "$traces/mismatch.json"
cp "$scratch/stdout" "$scratch/run.json"
json_is "$scratch/run.json" /passed false
json_is "$scratch/run.json" /expectations/0/passed true
json_is "$scratch/run.json" /expectations/1/passed false

# 1: full validation, only where it was asked for (stream mode runs as recorded).
replay 1 run "${soft[@]}" --validate "$traces/missing_barrier.json"
err_has 'missing_barrier.json: '
replay 0 run "${soft[@]}" --mode stream "$traces/missing_barrier.json"
replay 0 run "${soft[@]}" --validate "$traces/good.json"

# 2: the URI.
replay 2 run --device nonsense://0 "$traces/good.json"

# 3: no trace, no JSON, no sense; also where the device is wrong, too.
replay 3 run "${soft[@]}" "$scratch/missing.json"
err_has 'missing.json'
printf '{"broken' >"$scratch/broken.json"
replay 3 run "${soft[@]}" "$scratch/broken.json"
printf '{}' >"$scratch/empty.json"
replay 3 run "${soft[@]}" "$scratch/empty.json"
replay 3 run --device cuda://99 "$scratch/empty.json"
head -c 300 "$traces/good.json" >"$scratch/cut.json"
replay 3 run "${soft[@]}" "$scratch/cut.json"
replay 3 run "${soft[@]}" "$traces"
for command in check bench dump; do
    replay 3 "$command" "${soft[@]}" "$scratch/empty.json"
done

# 4: no device, no kernel, no plugin, no output file.
replay 4 run --device cuda://99 "$traces/good.json"
SEGUE_LIBSOFT=$scratch/no.so replay 4 run "${soft[@]}" "$traces/good.json"
replay 4 run "${soft[@]}" "$traces/honest.json"
err_has 'cli_honest'
replay 4 run "${soft[@]}" --kernels "$scratch/no.so" "$traces/honest.json"
replay 4 run "${soft[@]}" --kernels "$(dirname "$SEGUE_LIBSOFT")/libsegue.so" "$traces/honest.json"
err_has 'does not export segue_plugin_kernels'
replay 4 run "${soft[@]}" --outputs "$scratch/no/folder" "$traces/good.json"

# The log is for those who ask.
"$SEGUE_REPLAY" run --verbose "${soft[@]}" "$traces/good.json" >"$scratch/stdout" \
    2>"$scratch/stderr" || fail 'run --verbose'

finish
