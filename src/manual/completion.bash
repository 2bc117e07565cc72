# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Completion of ethercord(8) for bash. Made from the tables that `ethercord --help` is made from.

_ethercord_commands=(
@@commands@@
)

# _ethercord_options COMMAND: its options.
_ethercord_options()
{
    case $1 in
@@options@@
    esac
}

# _ethercord_value COMMAND/OPTION: of which kind the option's value is; nothing if it has none.
_ethercord_value()
{
    case $1 in
@@values@@
    esac
}

# _ethercord_argument COMMAND/PLACE: of which kind the argument at that place is.
_ethercord_argument()
{
    case $1 in
@@arguments@@
    esac
}

# _ethercord_instances FOLDER: those that have a control socket there.
_ethercord_instances()
{
    local socket
    for socket in "${1/#\~\//$HOME/}"/*.sock; do
        [[ ! -S $socket ]] || basename "$socket" .sock
    done
}

_ethercord_taps()
{
    local flags
    for flags in /sys/class/net/*/tun_flags; do
        # Bit 1 is IFF_TAP; a TUN has bit 0.
        [[ ! -r $flags || $(<"$flags") != *[2367abef] ]] || basename "${flags%/*}"
    done
}

# Those of /etc/ethercord are offered whichever folder one is in.
_ethercord_configurations()
{
    compgen -G '/etc/ethercord/*.conf'
    compgen -f -X '!*.conf' -- "$1"
    compgen -d -- "$1"
}

# _ethercord_offer KIND FOLDER WORD: into COMPREPLY what begins with WORD.
_ethercord_offer()
{
    local IFS=$'\n' words=
    case $1 in
        folder) words=$(compgen -d -- "$3") ;;
        file) words=$(compgen -f -- "$3") ;;
        configuration) words=$(_ethercord_configurations "$3") ;;
        instance) words=$(_ethercord_instances "$2") ;;
        tap) words=$(_ethercord_taps) ;;
        *) return ;;
    esac
    mapfile -t COMPREPLY < <(printf '%s\n' "$words" | sort -u | while read -r word; do
        [[ -z $word || $word != "$3"* ]] || printf '%s\n' "$word"
    done)
    [[ $1 != folder && $1 != file && $1 != configuration ]] || compopt -o filenames 2>/dev/null
}

_ethercord()
{
    local word=${COMP_WORDS[COMP_CWORD]} command='' option='' run_dir=/run/ethercord place=1 i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == = ]]; then
            continue # --option=value comes as three words
        elif [[ -z $command ]]; then
            command=${COMP_WORDS[i]}
        elif [[ -n $option ]]; then
            [[ $option != --run-dir ]] || run_dir=${COMP_WORDS[i]}
            option=
        elif [[ ${COMP_WORDS[i]} == -* ]]; then
            [[ -z $(_ethercord_value "$command/${COMP_WORDS[i]}") ]] || option=${COMP_WORDS[i]}
        else
            ((place += 1))
        fi
    done
    [[ $word != = ]] || word=
    if [[ -z $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${_ethercord_commands[*]} --help --version" -- "$word")
    elif [[ -n $option ]]; then
        _ethercord_offer "$(_ethercord_value "$command/$option")" "$run_dir" "$word"
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_ethercord_options "$command")" -- "$word")
    else
        _ethercord_offer "$(_ethercord_argument "$command/$place")" "$run_dir" "$word"
    fi
}

complete -F _ethercord ethercord
