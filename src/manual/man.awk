# SPDX-License-Identifier: MIT
#
# man: fills the templates of the manual pages, which are in the language of scdoc(5). What a key means stands in the tables of
# docs/configuration.md; a key that has no row there gets the short text of the tables.

# ---- docs/configuration.md -----------------------------------------------------------------------------------------------------------

file == 2 && /^#+ / { section = /^### \[/ ? substr($0, 6, match($0, /[] ][^[]*$/) - 6) : "" }
file == 2 && section != "" && /^\| `[A-Za-z]+` \|/ {
    gsub(/\\\|/, "\001") # a | in a cell
    split($0, cells, "|")
    gsub(/[ `]/, "", cells[2])
    gsub(/^ +| +$/, "", cells[5])
    gsub("\001", "|", cells[5])
    if (cells[5] == "") fail("docs/configuration.md does not say what " cells[2] " of [" section "] means")
    meanings[section, cells[2]] = cells[5]
}

# of_markdown TEXT: as scdoc has it. Code is bold; a link is its text and the file that it leads to, and one that is alone in parentheses
# only the file.
function of_markdown(text,   out, at) {
    while (match(text, /\(\[[^]]*\]\([^)]*\)\)/)) text = with_link(text, RSTART + 1, RLENGTH - 2, "see ", "")
    while (match(text, /\[[^]]*\]\([^)]*\)/)) text = with_link(text, RSTART, RLENGTH, " (see ", ")")
    out = ""
    while ((at = index(text, "`")) > 0) {
        out = out escaped(substr(text, 1, at - 1))
        text = substr(text, at + 1)
        at = index(text, "`")
        out = out "*" escaped(substr(text, 1, at - 1)) "*"
        text = substr(text, at + 1)
    }
    return out escaped(text)
}

# with_link TEXT START LENGTH BEFORE AFTER: with the file's name for the link that is there, between two texts; the link's own text stays
# unless the link is alone.
function with_link(text, start, len, before, after,   link, at, file) {
    link = substr(text, start, len)
    at = index(link, "](")
    file = substr(link, at + 2, length(link) - at - 2)
    sub(/#.*/, "", file)
    if (file == "") file = "configuration.md"
    link = after == "" ? "" : substr(link, 2, at - 2)
    return substr(text, 1, start - 1) link before file after substr(text, start + len)
}

function escaped(text) {
    gsub(/[\\*_#<>~[\]|.'-]/, "\\\\&", text)
    return text
}

# ---- what is inserted ----------------------------------------------------------------------------------------------------------------

function insert(name) {
    if (name == "synopsis") synopsis()
    else if (name == "commands") all_commands()
    else if (name == "keys") all_sections()
    else fail("nothing is known of @@" name "@@")
}

# ---- commands ------------------------------------------------------------------------------------------------------------------------

function usage(command,   i, text, option) {
    text = "*ethercord " command "*"
    for (i = 1; i <= n_options[command]; i++) {
        option = "*\\-\\-" escaped(long[command, i]) "*" (value[command, i] == "" ? "" : " _" escaped(value[command, i]) "_")
        text = text " " (is_needed[command, i] ? option : "\\[" option "\\]")
    }
    for (i = 1; i <= n_arguments[command]; i++) text = text " " argument_in_usage(argument[command, i])
    return text
}

function argument_in_usage(word) {
    if (word !~ /^\[/) return "_" escaped(word) "_"
    gsub(/\[|\]/, "", word)
    return "\\[_" escaped(word) "_\\]"
}

function synopsis(   i) {
    for (i = 1; i <= n_commands; i++) print usage(commands[i]) "++"
    print "*ethercord* \\[_COMMAND_\\] *\\-\\-help*++"
    print "*ethercord* *\\-\\-version*"
}

function all_commands(   i) {
    for (i = 1; i <= n_commands; i++) one_command(commands[i])
}

function one_command(command,   i, text) {
    print "## " command "\n"
    print usage(command) "\n"
    print escaped(command_help[command]) ".\n"
    for (i = 1; i <= n_options[command]; i++) {
        text = letter[command, i] == "" ? "" : "*\\-" letter[command, i] "*, "
        text = text "*\\-\\-" escaped(long[command, i]) "*"
        print text (value[command, i] == "" ? "" : " _" escaped(value[command, i]) "_")
        print "\t" sentence(escaped(option_help[command, i])) "\n"
    }
    if (command in about) print about[command]
}

function sentence(text) { return toupper(substr(text, 1, 1)) substr(text, 2) "." }

# ---- keys ----------------------------------------------------------------------------------------------------------------------------

function all_sections(   s) {
    for (s = 1; s <= n_sections; s++) {
        print "# SECTION " toupper(sections[s]) "\n"
        if (sections[s] in about) print about[sections[s]]
        one_section(sections[s])
    }
}

function one_section(name,   i, text) {
    for (i = 1; i <= n_keys[name]; i++) {
        print "*" escaped(key[name, i]) "* = _" escaped(form[name, i]) "_"
        text = (name, key[name, i]) in meanings ? of_markdown(meanings[name, key[name, i]]) : sentence(escaped(key_help[name, i]))
        print "\t" text (key_default[name, i] == "" ? "" : " Default: *" escaped(key_default[name, i]) "*.") "\n"
    }
}
