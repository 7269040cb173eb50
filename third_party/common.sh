#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts: where cuda.h and NVRTC are, and how packages are installed.
# Expects $root, the root of the checkout.

cuda_wheels=$root/build/cuda-wheels
oldest_cuda=12040

# Prints the first cuda.h that is new enough; fails if there is none.
find_cuda_header() {
  for folder in "$cuda_wheels" "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda /opt/cuda /usr; do
    header=$folder/include/cuda.h
    [ -n "$folder" ] && [ -f "$header" ] || continue
    version=$(sed -n 's/^#define CUDA_VERSION *\([0-9]*\).*/\1/p' "$header" | head -n 1)
    if [ "${version:-0}" -ge "$oldest_cuda" ]; then
      echo "$header"
      return 0
    fi
  done
  return 1
}

# Prints the path of NVRTC 12 or 13, or "loader" if the loader finds it by name; fails if neither.
find_nvrtc() {
  if [ -n "${SEGUE_LIBNVRTC:-}" ] && [ -f "$SEGUE_LIBNVRTC" ]; then
    echo "$SEGUE_LIBNVRTC"
    return 0
  fi
  if PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | grep -q 'libnvrtc\.so\.1[23] '; then
    echo loader
    return 0
  fi
  for folder in "$cuda_wheels" "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda /opt/cuda; do
    [ -n "$folder" ] || continue
    for file in "$folder"/lib64/libnvrtc.so.13 "$folder"/lib64/libnvrtc.so.12 \
      "$folder"/lib/libnvrtc.so.13 "$folder"/lib/libnvrtc.so.12; do
      if [ -f "$file" ]; then
        echo "$file"
        return 0
      fi
    done
  done
  return 1
}

# Sets SEGUE_LIBNVRTC where the loader would not find NVRTC.
export_nvrtc() {
  nvrtc=$(find_nvrtc) || return 0
  if [ "$nvrtc" != loader ]; then
    SEGUE_LIBNVRTC=$nvrtc
    export SEGUE_LIBNVRTC
  fi
}

# install_packages package...: with apt if that is allowed, else says what to install and exits 2.
install_packages() {
  sudo=
  if ! command -v apt-get >/dev/null; then
    echo "Missing, and there is no apt here. The Debian packages are: $*" >&2
    exit 2
  fi
  if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
      sudo="sudo -n"
    else
      echo "Missing packages, and not allowed to install them. Run:" >&2
      echo "  sudo apt-get install $*" >&2
      exit 2
    fi
  fi
  echo "Installing with apt: $*"
  if ! { $sudo apt-get update -qq &&
    $sudo env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }; then
    echo "apt could not install these packages; install them by hand: $*" >&2
    exit 2
  fi
}
