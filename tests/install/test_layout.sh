#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The rules of docs/design.md that a machine can check: what may include what, licence lines, sizes.
set -eu
cd "$SOURCE_DIR"
failed=0
list=$(mktemp)
trap 'rm -f "$list"' EXIT

complain() {
  echo "$1"
  failed=1
}

# forbid what where...: no file there may include it.
forbid() {
  pattern=$1
  shift
  found=$(grep -rnE "^ *# *include *[<\"]${pattern}[>\"]" "$@" || true)
  [ -z "$found" ] || complain "not allowed here: $found"
}

forbid '(cuda|cudaTypedefs|nvrtc)\.h' hal samples kernels
# hal/ knows nothing of cuda/; only the line that opens the backend crosses over, by backend.h.
forbid '(\.\./)*cuda/.*' hal samples kernels
for header in cuda/*.h; do
  name=$(basename "$header")
  # Of the same name in hal/: there it is hal's own.
  [ -f "hal/$name" ] || forbid "$(echo "$name" | sed 's/\./\\./')" hal samples
done
# Samples, the trace and the prepack library use the public headers only.
for header in hal/*.h; do
  name=$(basename "$header")
  [ ! -f "hal/trace/$name" ] || continue
  for folder in hal/trace hal/prepack samples/*/; do
    [ ! -f "$folder/$name" ] || continue
    forbid "$(echo "$name" | sed 's/\./\\./')" "$folder"
  done
done

find hal cuda kernels samples tests third_party -name '*.[ch]' -o -name '*.cu' \
  -o -name '*.sh' -o -name '*.cmake' -o -name CMakeLists.txt >"$list"
while read -r file; do
  head -n 2 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
    complain "$file: no licence line"
  lines=$(wc -l <"$file")
  [ "$lines" -le 900 ] || complain "$file: $lines lines; split it"
done <"$list"

# Names at the top are fixed; dot-files may stand beside them.
for entry in *; do
  case $entry in
    CMakeLists.txt | CMakePresets.json | hal | cuda | kernels | samples | tests | third_party) ;;
    README.md | CHANGELOG.md | LICENSE | docs | build) ;;
    *) complain "$entry: not a name for the top folder" ;;
  esac
done

[ ! -e TODO ] || complain "a TODO file"
found=$(grep -rnE '\b(TODO|FIXME|XXX)\b' hal cuda kernels samples --include='*.[ch]' || true)
[ -z "$found" ] || complain "open ends: $found"
exit $failed
