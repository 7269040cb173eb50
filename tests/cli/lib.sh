# SPDX-License-Identifier: Apache-2.0
# Shared by the CLI's tests. The environment gives
#   SEGUE_REPLAY     the program under test
#   SEGUE_CLI_TOOLS  folder of make_traces and json_get
#   SEGUE_CLI_PLUGIN the plugin with the tests' kernels
set -u
: "${SEGUE_REPLAY:?}" "${SEGUE_CLI_TOOLS:?}" "${SEGUE_CLI_PLUGIN:?}"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# fail TEXT: counts a failure and shows what the last program printed.
fail() {
    printf 'FAILED: %s\n' "$1"
    sed 's/^/  stdout| /' "$scratch/stdout"
    sed 's/^/  stderr| /' "$scratch/stderr"
    failures=$((failures + 1))
}

# replay CODE ARGUMENT...: runs the program and requires that exit code; an error is one line on
# stderr that names the program, success is silence there.
replay() {
    local wanted=$1 code=0
    shift
    last="segue-replay $*"
    "$SEGUE_REPLAY" "$@" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
    [ "$code" -eq "$wanted" ] || fail "$last: exit code $code, not $wanted"
    if [ "$wanted" -eq 0 ]; then
        [ ! -s "$scratch/stderr" ] || fail "$last: prints on stderr"
    else
        [ "$(wc -l <"$scratch/stderr")" -eq 1 ] || fail "$last: not one line on stderr"
        grep -q '^segue-replay: ' "$scratch/stderr" || fail "$last: stderr without the name"
    fi
}

# Each requires or forbids an extended regular expression in a line of the last output.
out_has() { grep -Eq -- "$1" "$scratch/stdout" || fail "$last: stdout lacks '$1'"; }
out_lacks() { ! grep -Eq -- "$1" "$scratch/stdout" || fail "$last: stdout has '$1'"; }
err_has() { grep -Eq -- "$1" "$scratch/stderr" || fail "$last: stderr lacks '$1'"; }

# json FILE POINTER: prints a value, "" if there is none.
json() { "$SEGUE_CLI_TOOLS/json_get" "$1" "$2" 2>>"$scratch/stderr"; }

# json_is FILE POINTER VALUE
json_is() {
    local value
    value=$(json "$1" "$2") || fail "$last: JSON has no $2"
    [ "$value" = "$3" ] || fail "$last: JSON $2 is '$value', not '$3'"
}

# json_positive FILE POINTER
json_positive() {
    local value
    value=$(json "$1" "$2") || fail "$last: JSON has no $2"
    awk -v value="$value" 'BEGIN { exit !(value > 0) }' || fail "$last: JSON $2 is '$value', not > 0"
}

# Fills $traces; without them no test means anything.
make_traces() {
    traces=$scratch/traces
    mkdir "$traces"
    "$SEGUE_CLI_TOOLS/make_traces" "$traces" || exit 1
}

finish() {
    [ "$failures" -eq 0 ] || printf '%d checks failed\n' "$failures"
    exit $((failures > 0))
}
