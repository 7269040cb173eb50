# SPDX-License-Identifier: Apache-2.0
# bash completion for segue-replay. All commands, options and values come from
# `segue-replay --list-options`, so this file needs no change when they do.

_segue_replay()
{
    local current=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]}
    local list kind
    COMPREPLY=()
    list=$("${COMP_WORDS[0]}" --list-options 2>/dev/null) || return 0

    if ((COMP_CWORD == 1)); then
        local commands
        commands=$(awk '{ print $1 }' <<<"$list" | sort -u)
        mapfile -t COMPREPLY < <(
            compgen -W "$commands --help --version --list-options" -- "$current")
        return 0
    fi

    # With --option=value, bash gives the '=' as a word of its own.
    if [[ $current == '=' ]]; then
        current=
    elif [[ $previous == '=' ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    kind=$(awk -v command="$command" -v option="$previous" \
        '$1 == command && $2 == option { print $3 }' <<<"$list")
    case $kind in
    choice:*)
        local choices=${kind#choice:}
        mapfile -t COMPREPLY < <(compgen -W "${choices//|/ }" -- "$current")
        return 0
        ;;
    text)
        if [[ $previous == --device || $previous == -d ]]; then
            mapfile -t COMPREPLY < <(compgen -W "auto cuda:// soft://" -- "$current")
            # bash breaks words at ':', so what stands before it must not be repeated.
            declare -F __ltrim_colon_completions >/dev/null &&
                __ltrim_colon_completions "$current"
        fi
        return 0
        ;;
    number | setting)
        return 0
        ;;
    esac

    if [[ -z $kind || $kind == flag ]] && [[ $current == -* ]]; then
        local options
        options=$(awk -v command="$command" '$1 == command { print $2 }' <<<"$list")
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return 0
    fi
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
}

complete -F _segue_replay segue-replay
