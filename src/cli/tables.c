// SPDX-License-Identifier: MIT
/*
 * tables: a program for the build alone, which prints the tables of commands, options and keys: what `--help` is printed from is what
 * src/manual makes manual pages and completions from, so none of them can say something else.
 *
 * One row a line, its fields separated by tabs; what there is none of is empty:
 *
 *     command  NAME  ARGUMENTS  HELP
 *     option   COMMAND  NAME  LETTER  ARGUMENT  needed|free  HELP
 *     key      SECTION  NAME  FORM  DEFAULT  HELP
 */
#include <stdio.h>

#include "commands.h"
#include "ethercord/config.h"

static const char *text_or_nothing(const char *text)
{
    return text ? text : "";
}

static void print_options(const struct command *command)
{
    for (const struct option_row *row = command->options; row && row->name; row++) {
        const char letter[] = {row->letter, '\0'};
        printf("option\t%s\t%s\t%s\t%s\t%s\t%s\n", command->name, row->name, letter, text_or_nothing(row->argument),
               row->is_needed ? "needed" : "free", row->help);
    }
}

int main(void)
{
    const struct command *command;
    struct config_key_text key;
    for (size_t i = 0; (command = commands_at(i)); i++) {
        printf("command\t%s\t%s\t%s\n", command->name, command->arguments, command->help);
        print_options(command);
    }
    for (size_t i = 0; config_key_text(i, &key); i++)
        printf("key\t%s\t%s\t%s\t%s\t%s\n", key.section, key.name, key.form, text_or_nothing(key.default_text), key.help);
    return fflush(stdout) == 0 ? 0 : 1;
}
