#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# measure.sh [OUT]: on a machine with a GPU, runs the GPU tests and prints every figure that
# docs/performance.md quotes. With OUT, traces and JSON results are left in that folder.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
. third_party/common.sh
export_nvrtc
out=${1:-$root/build/measure}
mkdir -p "$out" build
bin=$root/build/release/bin

cmake --preset release >build/release.log 2>&1 || { cat build/release.log; exit 1; }
cmake --build --preset release --parallel "$(nproc)" >>build/release.log 2>&1 ||
  { tail -n 50 build/release.log; exit 1; }

echo "== Tests"
ctest --preset release -L gpu --output-on-failure >"$out/gpu-tests.log" 2>&1 || true
grep -E '\*\*\*|tests passed|Skipped' "$out/gpu-tests.log" || true

echo "== Microbenchmarks"
build/release/tests/bench/bin/segue-bench --device cuda://0 --json "$out/bench.json" \
  >"$out/bench.txt" || echo "segue-bench failed"
cat "$out/bench.txt"

for layers in 1 16; do
  trace=$out/llama-$layers.json
  echo "== Llama 3.2 1B, $layers layers"
  "$bin/segue-llama" --model 1b --layers $layers --context 512 --out "$trace" --expect
  "$bin/segue-replay" run --device cuda://0 "$trace"
  for mode in graph stream; do
    "$bin/segue-replay" bench --device cuda://0 --mode $mode --iterations 100 --no-restore \
      --json "$out/llama-$layers-$mode.json" "$trace"
  done
done
"$bin/segue-replay" check --device cuda://0 --seeds 3 "$out/llama-1.json"

echo "== Kept graphs of the shape of that step"
build/release/tests/bench/bin/segue-bench --device cuda://0 --filter cache/trace \
  --trace "$out/llama-16.json" --json "$out/cache-trace.json" || echo "segue-bench --trace failed"

echo "== Cost model, and streams beside graphs for what runs once"
XDG_CACHE_HOME=$out/calibrated build/release/tests/bench/bin/segue-bench --device cuda://0 \
  --calibrate || echo "segue-bench --calibrate failed"

echo "== Shapes of graphs, side by side"
build/release/tests/bench/bin/segue-bench --shapes --device cuda://0 --trace "$out/llama-16.json" \
  --json "$out/shapes.json" >"$out/shapes.txt" || echo "segue-bench --shapes failed"
cat "$out/shapes.txt"

echo "== How long each dispatch takes, and what that does for the graph"
"$bin/segue-replay" bench --device cuda://0 --iterations 20 --profile "$out/llama-16-profiled.json" \
  "$out/llama-16.json"
"$bin/segue-replay" bench --device cuda://0 --mode graph --iterations 100 --no-restore \
  "$out/llama-16-profiled.json"
"$bin/segue-replay" report --device cuda://0 --output "$out/llama-16.html" \
  --trace "$out/llama-16-lanes.json" "$out/llama-16-profiled.json"

# What is left of a step when its kernels do nothing: the same traces with empty bodies.
mkdir -p "$out/empty"
for layers in 1 16; do
  echo "== Llama 3.2 1B, $layers layers, kernels that do nothing"
  for file in json safetensors; do
    cp "$out/llama-$layers.$file" "$out/empty/"
  done
  sed '/^extern "C" __global__/,/^{/ s/^{/{ return;/' "$out/llama-$layers.cu" \
    >"$out/empty/llama-$layers.cu"
  for mode in graph stream; do
    "$bin/segue-replay" bench --device cuda://0 --mode $mode --iterations 100 --no-restore \
      "$out/empty/llama-$layers.json"
  done
done
