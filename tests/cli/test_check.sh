#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# segue-replay check: planted errors must be found, each by what is there to find it.
. "$(dirname "$0")/lib.sh"
make_traces
soft=(--device soft:// --kernels "$SEGUE_CLI_PLUGIN")

for trace in good two honest slots; do
    replay 0 check "${soft[@]}" "$traces/$trace.json"
    out_has '^ok +full validation '
    out_has '^ok +serial reference '
    out_has '^(ok|-) +expectations '
    out_has '^ok +graph mode +same bytes in 9 orders$'
    out_has '^ok +stream mode +same bytes in 8 orders$'
    out_has '^ok +static hazards +none in any graph$'
    out_lacks FAILED
done
replay 0 check "${soft[@]}" --seeds 1 "$traces/good.json"
out_has '^ok +expectations +2 of 2 hold$'
out_has '^ok +graph mode +same bytes in 2 orders$'
out_has '^ok +stream mode +same bytes in 1 order$'
replay 0 check "${soft[@]}" --seeds 0 "$traces/honest.json"
out_has '^- +expectations +the trace has none$'
out_has '^ok +graph mode +same bytes in 1 order$'
out_lacks 'stream mode'

# An expectation that does not hold, with orders that all agree.
replay 1 check "${soft[@]}" "$traces/mismatch.json"
err_has '1 of the checks above failed'
out_has '^FAILED +expectations .*filled'
out_has '^ok +graph mode '

# A missing barrier: full validation, the driver's static check, and the results.
replay 1 check "${soft[@]}" --seeds 16 "$traces/missing_barrier.json"
out_has '^FAILED +full validation '
out_has '^FAILED +static hazards +[0-9]+ found; the first: .'
out_has '^FAILED +graph mode +results differ from the reference with seed [0-9]+$'
out_has '^FAILED +stream mode +results differ from the reference with seed [0-9]+$'
out_has 'differs first at command 3 of "transfers": copy to buffer "target" in group "layer0/stage"'
out_has 'buffer "target" from byte 3 on \([0-9]+ bytes differ\); at byte 0:'
out_has 'expected 00 00 00 40 00 00 00 40 .*f32 2,'
out_has 'actual   00 00 00 00 b1 79 37 9e '

# The same in the second of two command buffers.
replay 1 check "${soft[@]}" --seeds 16 "$traces/two_missing_barrier.json"
out_has 'differs first at command 1 of "second": copy to buffer "target"$'

# The same after more commands than are tried one by one.
replay 1 check "${soft[@]}" --seeds 16 "$traces/long.json"
out_has 'differs first at command 152 of "long": copy to buffer "target"$'
replay 1 check "${soft[@]}" --seeds 16 "$traces/longer.json"
out_has 'differs first at command 157 of "long": copy to buffer "target"$'

# A kernel that writes what it is declared to read: only the driver's check and results can tell.
replay 1 check "${soft[@]}" --seeds 0 "$traces/liar.json"
out_has '^ok +full validation '
out_has '^FAILED +static hazards +[0-9]+ found; the first: .'
replay 1 check "${soft[@]}" --seeds 16 "$traces/liar.json"
out_has '^FAILED +stream mode '
out_has 'differs first at command 1 of "kernels": copy to buffer "target"$'

# A kernel whose results are never the same is no reference.
replay 1 check "${soft[@]}" --seeds 1 "$traces/counter.json"
out_has '^FAILED +serial reference +two serial runs leave different bytes in buffer "source"'

finish
