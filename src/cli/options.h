// SPDX-License-Identifier: MIT
/*
 * options: the command line, driven by tables: one of commands, and per command one of options.
 *
 * Says what is wrong as one line of text; prints nothing but help, and only where it is told to. Texts in struct command_line are borrowed
 * from argv.
 */
#ifndef ETHERCORD_CLI_OPTIONS_H
#define ETHERCORD_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { OPTIONS_ARGUMENTS_MAX = 128, OPTIONS_PROBLEM_CAP = 256 };

// What a command was told; NULL or false = not given.
struct command_line {
    const char *run_dir;
    const char *tap;
    const char *address;
    const char *mtu;
    const char *seconds;
    const char *count;
    const char *interval;
    const char *deadline;
    bool is_quiet;
    const char *write_file;
    const char *snaplen;
    const char *direction;
    bool wants_json;
    bool wants_watch;
    bool has_no_sandbox;
    bool is_dry_run;
    const char *arguments[OPTIONS_ARGUMENTS_MAX];
    size_t n_arguments;
};

enum option_kind { OPTION_FLAG, OPTION_TEXT };

struct option_row {
    const char *name; // long
    char letter;      // '\0' = none
    const char *argument;
    enum option_kind kind;
    size_t offset; // of the bool or the text in struct command_line
    bool is_needed;
    const char *help;
};

struct command {
    const char *name;
    const char *arguments; // for the usage line; "" = none
    size_t n_arguments_min;
    size_t n_arguments_max;
    const struct option_row *options; // ended by a row without a name; NULL = none but --help
    const char *help;
    void (*print_more_help)(FILE *out); // NULL = that is all
    int (*run)(const struct command_line *line);
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_BAD };

// argv[0] is the command's name. With OPTIONS_BAD, `problem` gets one line without a newline. Not for threads: getopt_long has state.
enum options_result options_parse(const struct command *command, int argc, char **argv, struct command_line *line,
                                  char problem[static OPTIONS_PROBLEM_CAP]);
void options_print_help(const struct command *command, FILE *out);

#endif
