# SPDX-License-Identifier: MIT
#
# Completion of ethercord(8) for fish. Made from the tables that `ethercord --help` is made from.

# __ethercord_takes COMMAND/OPTION: true if the option has a value, as a word of its own.
function __ethercord_takes
    switch $argv[1]
@@options with values@@
    end
    return 1
end

function __ethercord_needs_command
    set -l words (commandline -opc)
    test (count $words) -eq 1
end

# __ethercord_in COMMAND [PLACE]: true if this is the command, and what is to be completed is the argument at that place.
function __ethercord_in
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test "$words[2]" = $argv[1]; or return 1
    set -q argv[2]; or return 0
    set -l place 1
    set -l is_value 0
    for word in $words[3..]
        if test $is_value -eq 1
            set is_value 0
        else if string match -q -- '-*' $word
            __ethercord_takes $argv[1]/$word; and set is_value 1
        else
            set place (math $place + 1)
        end
    end
    test $place -eq $argv[2]
end

# Those that have a control socket in the folder that --run-dir names.
function __ethercord_instances
    set -l folder /run/ethercord
    set -l words (commandline -opc)
    for i in (seq 2 (count $words))
        if test "$words[$i]" = --run-dir; and set -q words[(math $i + 1)]
            set folder $words[(math $i + 1)]
        else if string match -q -- '--run-dir=*' $words[$i]
            set folder (string replace -- --run-dir= '' $words[$i])
        end
    end
    set folder (string replace -r -- '^~/' $HOME/ $folder)
    for socket in $folder/*.sock
        test -S $socket; and basename $socket .sock
    end
end

# Those of /etc/ethercord are offered whichever folder one is in.
function __ethercord_configurations
    for file in /etc/ethercord/*.conf
        echo $file
    end
    __fish_complete_suffix .conf | string match -er '(/|\.conf)(\t|$)'
end

# Bit 1 of the flags is IFF_TAP; a TUN has bit 0.
function __ethercord_taps
    for flags in /sys/class/net/*/tun_flags
        string match -qr '[2367abef]$' <$flags; and basename (dirname $flags)
    end
end

complete -c ethercord -f
complete -c ethercord -n __ethercord_needs_command -l help -s h -d 'the list of commands'
complete -c ethercord -n __ethercord_needs_command -l version -d 'the version'
@@commands@@
@@arguments@@
