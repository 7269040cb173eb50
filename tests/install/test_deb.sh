#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian package from scratch, as docs/releasing.md says, unpacks it, and uses it: its
# programs run, its dependencies are declared, and a user's programs build. Then dpkg installs it
# into a root that holds nothing but the packages it depends on, and its programs and the README's
# example run in that root.
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

# A clean root: what the package depends on, as it is on this system, and the two essential packages
# that its script needs (a shell and ldconfig).
PATH=$PATH:/usr/sbin:/sbin
as_root=
[ "$(id -u)" = 0 ] || as_root="unshare --map-root-user"
if ! $as_root chroot / true 2>/dev/null; then
  echo "not allowed to change the root: the package was not installed into a clean one"
  exit 0
fi
clean=$work/clean
mkdir -p "$clean/usr/bin" "$clean/usr/sbin" "$clean/usr/lib" "$clean/usr/lib64" "$clean/etc" \
  "$clean/tmp" "$clean/var/cache" "$clean/var/lib/dpkg/info" "$clean/var/lib/dpkg/updates"
(cd "$clean" && ln -s usr/bin usr/sbin usr/lib usr/lib64 .)
: >"$clean/var/lib/dpkg/status"
for package in $depends dash libc-bin; do
  dpkg -L "$package" | while read -r file; do
    case $file in
      *.so | *.so.* | */sh | */dash | */ldconfig) ;;
      *) continue ;;
    esac
    [ -f "$file" ] || continue
    mkdir -p "$clean$(dirname "$file")"
    cp -a "$file" "$clean$file"
  done
done
[ -e "$clean/bin/sh" ] || ln -s dash "$clean/bin/sh"
# dpkg does not know of what was put there by hand.
# shellcheck disable=SC2086
run_logged $as_root dpkg --root="$clean" --force-depends --install "$deb"
dpkg-query --admindir="$clean/var/lib/dpkg" -W -f '${Status}\n' segue |
  grep -qx 'install ok installed'

# in_clean_root command...
in_clean_root() {
  # shellcheck disable=SC2086
  env -i PATH="$PATH" HOME=/tmp $as_root chroot "$clean" "$@"
}
[ "$(in_clean_root /usr/bin/segue-replay --version)" = "segue-replay $VERSION" ]
run_logged in_clean_root /usr/bin/segue-llama --model 1b --layers 1 --context 4 --device soft:// \
  --expect --out /tmp/step.json
run_logged in_clean_root /usr/bin/segue-replay run /tmp/step.json --device soft://
cp "$work/shared/example" "$clean/usr/bin/example"
[ "$(in_clean_root /usr/bin/example)" = "...hello........" ]
# shellcheck disable=SC2086
run_logged $as_root dpkg --root="$clean" --force-depends --remove segue
[ -z "$(find "$clean" -name '*segue*' -path '*/usr/*')" ]
