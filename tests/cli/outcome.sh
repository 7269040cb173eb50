# SPDX-License-Identifier: Apache-2.0
# Running a program from outside and looking at what it printed; shared by the tests of segue-replay
# and of segue-cache.

scratch=$(mktemp -d)
trap 'chmod -R u+rwx "$scratch"; rm -rf "$scratch"' EXIT
failures=0

# fail TEXT: counts a failure and shows what the last program printed.
fail() {
    printf 'FAILED: %s\n' "$1"
    sed 's/^/  stdout| /' "$scratch/stdout"
    sed 's/^/  stderr| /' "$scratch/stderr"
    failures=$((failures + 1))
}

# run_program NAME PATH CODE ARGUMENT...: runs it and requires that exit code; an error is one line on
# stderr that names the program, success is silence there.
run_program() {
    local name=$1 path=$2 wanted=$3 code=0
    shift 3
    last="$name $*"
    "$path" "$@" >"$scratch/stdout" 2>"$scratch/stderr" || code=$?
    [ "$code" -eq "$wanted" ] || fail "$last: exit code $code, not $wanted"
    if [ "$wanted" -eq 0 ]; then
        [ ! -s "$scratch/stderr" ] || fail "$last: prints on stderr"
    else
        [ "$(wc -l <"$scratch/stderr")" -eq 1 ] || fail "$last: not one line on stderr"
        grep -q "^$name: " "$scratch/stderr" || fail "$last: stderr without the name"
    fi
}

# Each requires or forbids an extended regular expression in a line of the last output.
out_has() { grep -Eq -- "$1" "$scratch/stdout" || fail "$last: stdout lacks '$1'"; }
out_lacks() { ! grep -Eq -- "$1" "$scratch/stdout" || fail "$last: stdout has '$1'"; }
err_has() { grep -Eq -- "$1" "$scratch/stderr" || fail "$last: stderr lacks '$1'"; }

finish() {
    [ "$failures" -eq 0 ] || printf '%d checks failed\n' "$failures"
    exit $((failures > 0))
}
