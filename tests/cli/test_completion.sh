#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Shell completion and the man page: neither may forget an option.
. "$(dirname "$0")/lib.sh"
: "${SEGUE_CLI_COMPLETION:?}" "${SEGUE_CLI_MAN:?}"

replay 0 --list-options
cp "$scratch/stdout" "$scratch/options"
for command in run check bench dump report; do
    "$SEGUE_REPLAY" "$command" --help | grep -Eo -- '--[a-z][a-z-]*' | sort -u >"$scratch/helped"
    while read -r option; do
        grep -q -- "^$command $option " "$scratch/options" || fail "$command $option is not listed"
        grep -Eq -- "Fl -${option#--}( |$)" "$SEGUE_CLI_MAN" || fail "$option is not in the man page"
    done <"$scratch/helped"
done

# shellcheck source=/dev/null
. "$SEGUE_CLI_COMPLETION"
PATH=$(dirname "$SEGUE_REPLAY"):$PATH

# completes WORD... -- CANDIDATE...: the last WORD is being typed.
completes() {
    COMP_WORDS=()
    while [ "$1" != -- ]; do
        COMP_WORDS+=("$1")
        shift
    done
    shift
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _segue_replay
    last="completion of ${COMP_WORDS[*]}"
    [ "${COMPREPLY[*]}" = "$*" ] || fail "$last: '${COMPREPLY[*]}', not '$*'"
}

completes segue-replay ru -- run
completes segue-replay --v -- --version
completes segue-replay run --it -- --iterations
completes segue-replay run --mode '' -- auto graph stream
completes segue-replay run --mode g -- graph
completes segue-replay run -m s -- stream
completes segue-replay run --mode = s -- stream
completes segue-replay run --mode = -- auto graph stream
completes segue-replay dump --stage '' -- segments dag graph
completes segue-replay dump --format d -- dot
completes segue-replay check --mode g --
completes segue-replay rep -- report
completes segue-replay check --order h -- hazard
completes segue-replay report --times m -- measured modelled
completes segue-replay report --tr -- --trace
completes segue-replay bench --iterations '' --
completes segue-replay run --device a -- auto
cd "$scratch" || exit 1
touch trace.json trace.safetensors
completes segue-replay run trace.j -- trace.json
completes segue-replay run --validate trace.j -- trace.json
completes segue-replay bench --json trace.s -- trace.safetensors

if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning "$SEGUE_CLI_MAN" >"$scratch/stdout" 2>&1 || fail 'mandoc -T lint'
fi
if command -v groff >/dev/null; then
    groff -mdoc -Tutf8 -ww "$SEGUE_CLI_MAN" 2>"$scratch/stderr" >/dev/null
    [ ! -s "$scratch/stderr" ] || fail 'groff has warnings'
fi

finish
