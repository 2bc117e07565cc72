# SPDX-License-Identifier: MIT
#
# tables: what the generators of manual pages and completions have in common. They are given four files: what src/cli/tables.c prints,
# docs/configuration.md, and the template twice. In a template a line "@@name@@" is replaced by what insert("name") of the generator prints.
# Lines from "@@about NAME@@" to "@@end@@" are not printed where they stand: the generator has them in about["NAME"], and prints them with
# what is said of NAME by the tables.

BEGIN { FS = "\t" }
FNR == 1 { file++ }

file == 1 && $1 == "command" {
    commands[++n_commands] = $2
    n_arguments[$2] = split($3, words, " ")
    for (i = 1; i <= n_arguments[$2]; i++) argument[$2, i] = words[i]
    command_help[$2] = $4
}
file == 1 && $1 == "option" {
    i = ++n_options[$2]
    long[$2, i] = $3
    letter[$2, i] = $4
    value[$2, i] = $5
    is_needed[$2, i] = $6 == "needed"
    option_help[$2, i] = $7
}
file == 1 && $1 == "key" {
    if (!($2 in n_keys)) sections[++n_sections] = $2
    i = ++n_keys[$2]
    key[$2, i] = $3
    form[$2, i] = $4
    key_default[$2, i] = $5
    key_help[$2, i] = $6
}

file >= 3 && /^@@about .*@@$/ {
    block = substr($0, 9, length($0) - 10)
    if (!(block in command_help) && !(block in n_keys)) fail("there is no command and no section " block)
}
file == 3 && block != "" && !/^@@/ { about[block] = about[block] $0 "\n" }
file == 4 && block == "" && /^@@.*@@$/ {
    insert(substr($0, 3, length($0) - 4))
    next
}
file == 4 && block == "" { print }
/^@@end@@$/ { block = "" }

# What a word in a usage line stands for, to complete it: an instance, a configuration file (one that is there), a file, a folder, a TAP, or
# text of which nothing is known.
function kind_of(word) {
    if (word ~ /DIR/) return "folder"
    if (word ~ /FILE/) return "file"
    return "text"
}
function kind_of_value(command, i) {
    if (value[command, i] == "") return ""
    return long[command, i] == "tap" ? "tap" : kind_of(value[command, i])
}
function kind_of_argument(command, i,   word) {
    word = argument[command, i]
    if (word ~ /NAME/) return "instance"
    return word == "FILE" ? "configuration" : kind_of(word)
}

function fail(problem) {
    print "manual: " problem >"/dev/stderr"
    exit 1
}
