#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# segue-replay bench: the table, and JSON in Google Benchmark's schema.
. "$(dirname "$0")/lib.sh"
make_traces
soft=(--device soft:// --iterations 9 --warmup 2)

replay 0 bench "${soft[@]}" --json "$scratch/bench.json" "$traces/good.json"
out_has '^9 iterations after 2 to warm up$'
out_has '^ +min +p50 +p90 +p99 +max +mean$'
# Percentiles grow from left to right; the mean lies between the first and the last.
for metric in issue device total; do
    out_has "^$metric +[0-9]"
    awk -v metric="$metric" '
        BEGIN { scale["ns"] = 1; scale["us"] = 1e3; scale["ms"] = 1e6; scale["s"] = 1e9 }
        $1 == metric { for (i = 2; i < NF; i += 2) time[++count] = $i * scale[$(i + 1)] }
        END {
            for (i = 2; i <= 5; ++i)
                if (time[i] < time[i - 1])
                    exit 1
            exit !(count == 6 && time[6] >= time[1] && time[6] <= time[5])
        }' "$scratch/stdout" || fail "$last: $metric is not in order"
done

file=$scratch/bench.json
[ -n "$(json "$file" /context/date)" ] || fail "$last: no date"
json "$file" /context/date | grep -Eq '^[0-9]{4}(-[0-9]{2}){2}T[0-9:]{8}[+-][0-9]{2}:[0-9]{2}$' ||
    fail "$last: date is not ISO 8601"
json_is "$file" /context/host_name ''
json_positive "$file" /context/num_cpus
json_is "$file" /context/caches 0
json "$file" /context/library_build_type | grep -Eq '^(release|debug)$' || fail "$last: build type"
json_positive "$file" /context/driver_version
json "$file" /context/device | grep -q . || fail "$last: no device"
json "$file" /context/segue_version | grep -Eq '^[0-9.]+$' || fail "$last: no version"
json_is "$file" /benchmarks 24
index=0
for metric in issue device total; do
    entry=/benchmarks/$index
    json_is "$file" $entry/name "good/graph/$metric"
    json_is "$file" $entry/run_name "good/graph/$metric"
    json_is "$file" $entry/run_type iteration
    json_is "$file" $entry/repetitions 1
    json_is "$file" $entry/iterations 9
    json_is "$file" $entry/time_unit ns
    json "$file" $entry/real_time >/dev/null || fail "$last: no real_time"
    json "$file" $entry/cpu_time >/dev/null || fail "$last: no cpu_time"
    entry=/benchmarks/$((index + 2))
    json_is "$file" $entry/name "good/graph/${metric}_median"
    json_is "$file" $entry/run_type aggregate
    json_is "$file" $entry/aggregate_name median
    # min, median, p90, p99, max
    previous=0
    for offset in 4 2 5 6 7; do
        value=$(json "$file" /benchmarks/$((index + offset))/real_time)
        awk -v a="$previous" -v b="$value" 'BEGIN { exit !(a <= b) }' ||
            fail "$last: $metric: entry $offset is out of order"
        previous=$value
    done
    index=$((index + 8))
done
json_positive "$file" /benchmarks/16/real_time

replay 0 bench "${soft[@]}" --mode stream --no-restore --json - "$traces/good.json"
cp "$scratch/stdout" "$file"
json_is "$file" /benchmarks/0/name good/stream/issue

replay 0 bench "${soft[@]}" "$traces/slots.json"
replay 0 bench --device soft:// --iterations 1 --warmup 0 "$traces/good.json"
replay 4 bench "${soft[@]}" --json "$scratch/no/folder" "$traces/good.json"
replay 4 bench "${soft[@]}" "$traces/honest.json"

finish
