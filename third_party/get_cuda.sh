#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# get_cuda.sh: where there is no CUDA toolkit, takes cuda.h and NVRTC from NVIDIA's wheels on PyPI
# into build/cuda-wheels/. Does nothing where both are there. Exit code 2: could not get them.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/third_party/common.sh"

header=$(find_cuda_header) || header=
nvrtc=$(find_nvrtc) || nvrtc=
if [ -n "$header" ] && [ -n "$nvrtc" ]; then
  exit 0
fi

# The newest NVRTC that drivers of CUDA 12 and of CUDA 13 both take the code of. (Some wheels of 13
# do not find their own libnvrtc-builtins.)
runtime=nvidia-cuda-runtime==13.0.96
compiler=nvidia-cuda-nvrtc-cu12==12.9.86
wanted=
[ -n "$header" ] || wanted="$wanted $runtime"
[ -n "$nvrtc" ] || wanted="$wanted $compiler"

python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null || ! "$python" -m pip --version >/dev/null 2>&1; then
  install_packages python3 python3-pip ca-certificates
fi

echo "No CUDA toolkit found: taking$wanted from PyPI into build/cuda-wheels"
mkdir -p "$root/build"
work=$(mktemp -d "$root/build/cuda-wheels.XXXXXX")
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2086
if ! "$python" -m pip download --quiet --disable-pip-version-check --no-deps \
  --only-binary=:all: --dest "$work/wheels" $wanted; then
  echo "Could not download$wanted. Install the CUDA toolkit (12.4 or newer) and name its folder" >&2
  echo "in CUDA_HOME, or put cuda.h into build/cuda-wheels/include and libnvrtc.so.12 with" >&2
  echo "libnvrtc-builtins.so.12.* into build/cuda-wheels/lib." >&2
  exit 2
fi
mkdir -p "$cuda_wheels/include" "$cuda_wheels/lib"
for wheel in "$work"/wheels/*.whl; do
  "$python" -m zipfile -e "$wheel" "$work/files"
done
# The wheels have a folder per product (CUDA 12) or per major version (13).
for folder in "$work"/files/nvidia/*/; do
  if [ -f "$folder/include/cuda.h" ]; then
    cp "$folder"/include/cuda.h "$folder"/include/cudaTypedefs.h "$cuda_wheels/include/"
  fi
  for file in "$folder"/lib/libnvrtc*.so.*; do
    case $file in
      *.alt.so*) ;;
      *) [ ! -f "$file" ] || mv "$file" "$cuda_wheels/lib/" ;;
    esac
  done
done

find_cuda_header >/dev/null && find_nvrtc >/dev/null || {
  echo "The wheels did not contain what was expected ($wanted)." >&2
  exit 2
}
