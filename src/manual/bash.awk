# SPDX-License-Identifier: MIT
#
# bash: fills completion.bash with the rows of its case statements.

function insert(name,   i, k, command) {
    for (k = 1; k <= n_commands; k++) {
        command = commands[k]
        if (name == "options") print "        " command ") echo \"" options_of(command) "\" ;;"
        else if (name == "values")
            for (i = 1; i <= n_options[command]; i++) value_row(command, i)
        else if (name == "arguments")
            for (i = 1; i <= n_arguments[command]; i++) print "        " command "/" i ") echo " kind_of_argument(command, i) " ;;"
        else if (name == "commands") print "        " command
        else fail("nothing is known of @@" name "@@")
    }
}

function options_of(command,   i, list) {
    for (i = 1; i <= n_options[command]; i++) list = list "--" long[command, i] " "
    return list "--help"
}

function value_row(command, i,   short) {
    if (value[command, i] == "") return
    short = letter[command, i] == "" ? "" : " | " command "/-" letter[command, i]
    print "        " command "/--" long[command, i] short ") echo " kind_of_value(command, i) " ;;"
}
