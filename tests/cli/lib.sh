# SPDX-License-Identifier: Apache-2.0
# Shared by the CLI's tests. The environment gives
#   SEGUE_REPLAY     the program under test
#   SEGUE_CLI_TOOLS  folder of make_traces and json_get
#   SEGUE_CLI_PLUGIN the plugin with the tests' kernels
set -u
: "${SEGUE_REPLAY:?}" "${SEGUE_CLI_TOOLS:?}" "${SEGUE_CLI_PLUGIN:?}"

. "$(dirname "${BASH_SOURCE[0]}")/outcome.sh"

# replay CODE ARGUMENT...
replay() { run_program segue-replay "$SEGUE_REPLAY" "$@"; }

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
