# SPDX-License-Identifier: MIT
#
# zsh: fills completion.zsh with a line for each command and a call of _arguments for each one's options and arguments.

BEGIN {
    action["instance"] = "_ethercord_instances"
    action["configuration"] = "_ethercord_configurations"
    action["folder"] = "_directories"
    action["file"] = "_files"
    action["tap"] = "_ethercord_taps"
    action["text"] = " "
}

function insert(name,   k) {
    for (k = 1; k <= n_commands; k++) {
        if (name == "commands") print "    " quoted(commands[k] ":" command_help[commands[k]])
        else if (name == "arguments") all_of(commands[k])
        else fail("nothing is known of @@" name "@@")
    }
}

function all_of(command,   i) {
    print "    (" command ")"
    print "      _arguments -s -S \\"
    for (i = 1; i <= n_options[command]; i++) print "        " option_of(command, i) " \\"
    for (i = 1; i <= n_arguments[command]; i++)
        print "        " quoted(i (argument[command, i] ~ /^\[/ ? "::" : ":") plain(argument[command, i]) ":" action[kind_of_argument(command, i)]) " \\"
    print "        '(- *)'{-h,--help}'[this text]'"
    print "      ;;"
}

function option_of(command, i,   name, text) {
    name = "--" long[command, i]
    text = "[" described(option_help[command, i]) "]"
    if (value[command, i] != "") text = text ":" plain(value[command, i]) ":" action[kind_of_value(command, i)]
    if (letter[command, i] == "") return quoted(name (value[command, i] == "" ? "" : "=") text)
    return "'(-" letter[command, i] " " name ")'{-" letter[command, i] (value[command, i] == "" ? "" : "+") "," name (value[command, i] == "" ? "" : "=") "}" quoted(text)
}

# Brackets end a description, colons a message.
function described(text) {
    gsub(/\[|\]|:|\\/, "\\\\&", text)
    return text
}
function plain(text) {
    gsub(/\[|\]/, "", text)
    gsub(/:/, "\\:", text)
    return text
}
function quoted(text) {
    gsub(/'/, "'\\''", text)
    return "'" text "'"
}
