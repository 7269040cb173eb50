#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh: builds Segue, records one decode layer of Llama 3.2 1B through its API, replays it as a
# CUDA graph (or on the software driver where there is no GPU) and verifies the result.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. third_party/common.sh

step() {
  echo
  echo "== $1"
  shift
  echo "\$ $*"
  "$@"
}

third_party/install.sh
export_nvrtc
echo "== Build"
mkdir -p build/demo
{ cmake --preset release -DSEGUE_BUILD_TESTS=OFF -DSEGUE_WERROR=OFF -B build/demo/build \
  >build/demo/build.log 2>&1 &&
  cmake --build build/demo/build --parallel "$(nproc)" >>build/demo/build.log 2>&1; } || {
  cat build/demo/build.log
  exit 1
}
PATH=$root/build/demo/build/bin:$PATH
trace=build/demo/llama1.json

step "Record one decode layer of Llama 3.2 1B, with expected outputs from the C reference" \
  segue-llama --model 1b --layers 1 --out $trace --expect
step "Replay it as a graph and verify" segue-replay run $trace
step "Check it: serial against graph and stream, in random orders" \
  segue-replay check $trace --seeds 2
echo
echo "== What the driver was given (its first lines; --format dot makes a picture)"
echo "\$ segue-replay dump $trace --stage graph --format text | head -n 20"
segue-replay dump $trace --stage graph --format text | head -n 20
segue-replay dump $trace --stage graph --format dot >build/demo/llama1.dot
echo
echo "The graph is in build/demo/llama1.dot, the trace in $trace."
