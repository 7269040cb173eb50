#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian package from scratch, as docs/releasing.md says, unpacks it into an empty root,
# and uses it there: its programs run, its dependencies are declared, and a user's programs build.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for tool in dpkg-deb dpkg-shlibdeps; do
  command -v $tool >/dev/null || {
    echo "skipped: no $tool here (Debian's package dpkg-dev)"
    exit 77
  }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$here/use_installed.sh"

cd "$SOURCE_DIR"
run_logged "$CMAKE" --preset package -B "$work/build" -DCMAKE_C_COMPILER="$CC" \
  -DSEGUE_CUDA_INCLUDE_DIR="$CUDA_INCLUDE_DIR"
run_logged "$CMAKE" --build "$work/build"
run_logged "${CMAKE%cmake}cpack" -G DEB --config "$work/build/CPackConfig.cmake" -B "$work/out"
libdir=$(sed -n 's/^CMAKE_INSTALL_LIBDIR:[A-Z]*=//p' "$work/build/CMakeCache.txt")

deb=$(echo "$work"/out/*.deb)
[ "$(dpkg-deb -f "$deb" Package Version)" = "Package: segue
Version: $VERSION" ]
depends=" $(dpkg-deb -f "$deb" Depends | sed 's/([^)]*)//g; s/,/ /g') "
root=$work/root
dpkg-deb -x "$deb" "$root"
for file in "$libdir/libsegue.so.$VERSION" "$libdir/pkgconfig/segue.pc" include/segue/segue.h \
  share/man/man1/segue-replay.1 share/bash-completion/completions/segue-replay \
  share/doc/segue/LICENSE; do
  [ -f "$root/usr/$file" ] || {
    echo "not in the package: $file"
    exit 1
  }
done
outside=$(cd "$root" && find . -type f ! -path './usr/*')
[ -z "$outside" ] || {
  echo "not below /usr: $outside"
  exit 1
}

# Whatever the loader takes from outside the package belongs to a declared dependency.
for file in "$root"/usr/bin/* "$root/usr/$libdir"/*.so; do
  ldd "$file" >"$work/ldd"
  sed -n "s|^.*=> \\([^ ]*\\).*|\\1|p" "$work/ldd" | while read -r library; do
    case $library in
      "$root"/*) continue ;;
      not)
        cat "$work/ldd"
        exit 1
        ;;
    esac
    declared=no
    for package in $(dpkg -S "*/$(basename "$library")" | sed 's/:.*//' | sort -u); do
      case $depends in *" $package "*) declared=yes ;; esac
    done
    [ $declared = yes ] || {
      echo "$(basename "$file") takes $library, but the package depends on$depends"
      exit 1
    }
  done
done

bin=$root/usr/bin
expect_output "segue-replay $VERSION" "$bin/segue-replay" --version
step="$bin/segue-llama --model 1b --layers 1 --context 4 --device soft://"
# shellcheck disable=SC2086
run_logged env -i HOME="$work" $step --expect --out "$work/step.json"
run_logged env -i HOME="$work" "$bin/segue-replay" run "$work/step.json" --device soft://
completion=$root/usr/share/bash-completion/completions/segue-replay
# shellcheck disable=SC2016
run_logged bash -c '. "$1" && complete -p segue-replay' bash "$completion"

extract_example
use_by_cmake "$root/usr" "$libdir"
use_by_pkg_config "$root/usr" "$libdir"
