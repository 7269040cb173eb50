#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Help, version, and every way to get the command line wrong (exit code 2).
. "$(dirname "$0")/lib.sh"

replay 0 --version
out_has '^segue-replay [0-9]+\.[0-9]+\.[0-9]+$'
replay 0 -V
replay 0 --help
for command in run check bench dump report; do
    out_has "^  $command +[a-z]"
done
out_has 'Exit codes: 0 good, 1 verification failed, 2 usage, 3 invalid trace'
replay 0 -h

for command in run check bench dump report; do
    replay 0 "$command" --help
    out_has "^Usage: segue-replay $command "
    out_has '--device URI'
    replay 0 "$command" -h
    replay 2 "$command"
    err_has 'no TRACE given'
    replay 2 "$command" a b
    err_has "'b' is one argument too many"
    replay 2 "$command" --nonsense a
    err_has "unknown or ambiguous option '--nonsense'.*segue-replay $command --help"
    replay 2 "$command" -Z a
    err_has "'-Z'"
    replay 2 "$command" --device
    err_has 'needs an argument'
    replay 2 "$command" --devise soft:// a
    err_has "did you mean '--device'"
done
replay 0 run --help
out_has '--mode auto\|graph\|stream'
replay 0 dump --help
out_has '--stage segments\|dag\|graph'
out_has '--format text\|json\|dot'
replay 0 report --help
out_has '--times auto\|measured\|modelled'
for command in run check bench dump report; do
    replay 0 "$command" --help
    out_has '--order auto\|hazard\|barrier'
done

replay 2
err_has 'no command given'
replay 2 rum
err_has "unknown command 'rum'; did you mean 'run'"
replay 2 --nonsense
err_has "unknown option '--nonsense'"
replay 2 run --mode fast a
err_has "'fast' is not one of auto\|graph\|stream"
replay 2 run --iterations 0 a
replay 2 run --iterations 1e3 a
replay 2 check --seeds -1 a
replay 2 bench --warmup x a
replay 2 dump --stage nodes a
replay 2 dump --format svg a
replay 2 dump --stage segments --format dot a
err_has 'dot needs --stage dag or graph'
replay 2 run --validate=yes a
err_has "'--validate' takes no argument"
replay 2 check --mode graph a
replay 2 check --order serial a
err_has "'serial' is not one of auto\|hazard\|barrier"
replay 2 report --times guessed a
replay 2 report --stage dag a
replay 2 bench --profile
replay 2 $'\033[31mrun'
err_has "'\?\[31mrun'"

plugins=()
for i in $(seq 17); do
    plugins+=(-k "plugin$i")
done
replay 2 run "${plugins[@]}" a
err_has "plugin17"

# Output that cannot be written is not success.
last='--help with a full stdout'
code=0
"$SEGUE_REPLAY" --help >/dev/full 2>"$scratch/stderr" || code=$?
[ "$code" -eq 4 ] || fail "$last: exit code $code"

finish
