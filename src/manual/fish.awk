# SPDX-License-Identifier: MIT
#
# fish: fills completion.fish with a line for each command, option and argument.

BEGIN {
    offer["instance"] = " -fa '(__ethercord_instances)'"
    offer["configuration"] = " -fka '(__ethercord_configurations)'"
    offer["folder"] = " -xa '(__fish_complete_directories (commandline -ct))'"
    offer["file"] = " -F"
    offer["tap"] = " -xa '(__ethercord_taps)'"
    offer["text"] = " -x"
}

function insert(name,   i, k) {
    for (k = 1; k <= n_commands; k++) {
        if (name == "commands") print "complete -c ethercord -n __ethercord_needs_command -fa " commands[k] " -d " quoted(command_help[commands[k]])
        else if (name == "arguments") all_of(commands[k])
        else if (name == "options with values")
            for (i = 1; i <= n_options[commands[k]]; i++) value_row(commands[k], i)
        else fail("nothing is known of @@" name "@@")
    }
}

function value_row(command, i) {
    if (value[command, i] == "") return
    print "        case " command "/--" long[command, i] (letter[command, i] == "" ? "" : " " command "/-" letter[command, i])
    print "            return 0"
}

function all_of(command,   i, line) {
    for (i = 1; i <= n_options[command]; i++) {
        line = "complete -c ethercord -n '__ethercord_in " command "' -l " long[command, i]
        if (letter[command, i] != "") line = line " -s " letter[command, i]
        if (value[command, i] != "") line = line (kind_of_value(command, i) == "file" ? " -r -F" : offer[kind_of_value(command, i)])
        print line " -d " quoted(option_help[command, i])
    }
    print "complete -c ethercord -n '__ethercord_in " command "' -l help -s h -d 'this text'"
    for (i = 1; i <= n_arguments[command]; i++) {
        if (kind_of_argument(command, i) == "text") continue
        print "complete -c ethercord -n '__ethercord_in " command " " i "'" offer[kind_of_argument(command, i)]
    }
}

function quoted(text) {
    gsub(/[\\']/, "\\\\&", text)
    return "'" text "'"
}
