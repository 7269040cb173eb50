#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The site of the public headers is made without a warning, and everything there has a comment but
# fields and enumerators whose names say it all.
set -eu
command -v doxygen >/dev/null || {
  echo "skipped: no doxygen here"
  exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$SOURCE_DIR"
export SEGUE_DOCS_OUTPUT="$work" SEGUE_VERSION="$VERSION"
doxygen docs/Doxyfile
for header in hal/include/segue/*.h kernels/include/segue/*.h; do
  name=$(basename "$header" .h)
  [ -f "$work/html/$(echo "$name" | sed 's/_/__/g')_8h.html" ] || {
    echo "$header is not in the site"
    exit 1
  }
  grep -qF "$name.h" docs/api.md || {
    echo "docs/api.md does not name $name.h"
    exit 1
  }
done

{
  cat docs/Doxyfile
  printf '%s\n' 'EXTRACT_ALL = NO' 'GENERATE_HTML = NO' 'GENERATE_XML = YES' 'WARN_AS_ERROR = NO'
} >"$work/Doxyfile"
doxygen "$work/Doxyfile" 2>"$work/warnings"
if grep -vE ' \((variable|enumvalue)\) of ' "$work/warnings"; then
  echo "no comment"
  exit 1
fi
