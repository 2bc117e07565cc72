// SPDX-License-Identifier: MIT
/*
 * options: see options.h. getopt_long does the work; its table is made from the command's, and its own messages are off.
 */
#include "options.h"

#include <getopt.h>
#include <stdint.h>
#include <string.h>

#include "ethercord/suggest.h"

enum {
    OPTIONS_ROWS_MAX = 8,
    FIRST_LONG = 0x100, // value of the first row; --help comes with the value 'h', as -h does
    WORD_SHOWN_MAX = 40,
    LEFT_CAP = 64,  // of an option with its letter and argument
    LEFT_WIDTH = 25 // of the column with them, at the least
};

struct getopt_tables {
    struct option longs[OPTIONS_ROWS_MAX + 2];
    char shorts[2 * OPTIONS_ROWS_MAX + 4];
};

static size_t count_rows(const struct command *command)
{
    size_t n = 0;
    while (command->options && n < OPTIONS_ROWS_MAX && command->options[n].name)
        n++;
    return n;
}

static void make_tables(const struct command *command, struct getopt_tables *tables)
{
    size_t n = count_rows(command);
    char *letter = tables->shorts;
    memset(tables, 0, sizeof(*tables));
    *letter++ = ':'; // a missing argument is told apart from an unknown option
    *letter++ = 'h';
    for (size_t i = 0; i < n; i++) {
        const struct option_row *row = &command->options[i];
        int has_arg = row->kind == OPTION_FLAG ? no_argument : required_argument;
        tables->longs[i] = (struct option){.name = row->name, .has_arg = has_arg, .val = FIRST_LONG + (int)i};
        if (row->letter) {
            *letter++ = row->letter;
            if (has_arg == required_argument)
                *letter++ = ':';
        }
    }
    tables->longs[n] = (struct option){.name = "help", .has_arg = no_argument, .val = 'h'};
}

static const struct option_row *find_row(const struct command *command, int value)
{
    size_t n = count_rows(command);
    for (size_t i = 0; i < n; i++) {
        if (value == FIRST_LONG + (int)i || (command->options[i].letter && value == command->options[i].letter))
            return &command->options[i];
    }
    return NULL;
}

static void store(const struct option_row *row, const char *text, struct command_line *line)
{
    char *field = (char *)line + row->offset;
    if (row->kind == OPTION_FLAG)
        *(bool *)field = true;
    else
        *(const char **)field = text;
}

static void describe_unknown(const struct command *command, const char *word, char problem[static OPTIONS_PROBLEM_CAP])
{
    struct suggestion suggestion;
    char name[WORD_SHOWN_MAX + 1];
    size_t len = strcspn(word, "=");
    size_t n = count_rows(command);
    if (len > WORD_SHOWN_MAX)
        len = WORD_SHOWN_MAX;
    memcpy(name, word, len);
    name[len] = '\0';
    suggest_init(&suggestion, name + strspn(name, "-"));
    for (size_t i = 0; i < n; i++)
        suggest_offer(&suggestion, command->options[i].name);
    suggest_offer(&suggestion, "help");
    if (suggestion.best)
        snprintf(problem, OPTIONS_PROBLEM_CAP, "unknown option '%s'; did you mean --%s?", name, suggestion.best);
    else
        snprintf(problem, OPTIONS_PROBLEM_CAP, "unknown option '%s'; see 'ethercord %s --help'", name, command->name);
}

static void describe_bad_option(const struct command *command, int value, char **argv, char problem[static OPTIONS_PROBLEM_CAP])
{
    // getopt_long permutes argv only after it has looked at the word, so this is the word in question, unless letters were joined.
    const char *word = argv[optind - 1];
    const struct option_row *row = find_row(command, optopt);
    char letter[3] = {'-', (char)optopt, '\0'};
    if (value == ':' && row)
        snprintf(problem, OPTIONS_PROBLEM_CAP, "option --%s needs a value; expected --%s %s", row->name, row->name, row->argument);
    else if (row || optopt == 'h')
        snprintf(problem, OPTIONS_PROBLEM_CAP, "option --%s takes no value", row ? row->name : "help");
    else
        describe_unknown(command, optopt ? letter : word, problem);
}

static enum options_result take_arguments(const struct command *command, char **arguments, size_t n, struct command_line *line,
                                          char problem[static OPTIONS_PROBLEM_CAP])
{
    if (n < command->n_arguments_min) {
        snprintf(problem, OPTIONS_PROBLEM_CAP, "%s is missing; expected 'ethercord %s %s'", command->arguments, command->name,
                 command->arguments);
        return OPTIONS_BAD;
    }
    if (n > command->n_arguments_max) {
        snprintf(problem, OPTIONS_PROBLEM_CAP, "too many arguments; expected 'ethercord %s%s%s'", command->name,
                 *command->arguments ? " " : "", command->arguments);
        return OPTIONS_BAD;
    }
    for (size_t i = 0; i < n && i < OPTIONS_ARGUMENTS_MAX; i++)
        line->arguments[line->n_arguments++] = arguments[i];
    return OPTIONS_RUN;
}

static enum options_result check_needed(const struct command *command, const struct command_line *line,
                                        char problem[static OPTIONS_PROBLEM_CAP])
{
    size_t n = count_rows(command);
    for (size_t i = 0; i < n; i++) {
        const struct option_row *row = &command->options[i];
        if (row->is_needed && !*(const char *const *)((const char *)line + row->offset)) {
            snprintf(problem, OPTIONS_PROBLEM_CAP, "option --%s is missing; expected --%s %s", row->name, row->name, row->argument);
            return OPTIONS_BAD;
        }
    }
    return OPTIONS_RUN;
}

enum options_result options_parse(const struct command *command, int argc, char **argv, struct command_line *line,
                                  char problem[static OPTIONS_PROBLEM_CAP])
{
    struct getopt_tables tables;
    int value;
    make_tables(command, &tables);
    memset(line, 0, sizeof(*line));
    problem[0] = '\0';
    opterr = 0;
    optind = 0; // glibc: begin anew
    while ((value = getopt_long(argc, argv, tables.shorts, tables.longs, NULL)) != -1) {
        if (value == 'h')
            return OPTIONS_HELP;
        const struct option_row *row = value == '?' || value == ':' ? NULL : find_row(command, value);
        if (!row) {
            describe_bad_option(command, value, argv, problem);
            return OPTIONS_BAD;
        }
        store(row, optarg, line);
    }
    enum options_result result = take_arguments(command, argv + optind, (size_t)(argc - optind), line, problem);
    return result == OPTIONS_RUN ? check_needed(command, line, problem) : result;
}

// "-j, --json" or "    --run-dir DIR". Returns its length.
static int describe_option(const struct option_row *row, char out[static LEFT_CAP])
{
    char letter[5] = {'-', row->letter, ',', ' ', '\0'};
    const char *argument = row->argument ? row->argument : "";
    return snprintf(out, LEFT_CAP, "%s--%s%s%s", row->letter ? letter : "    ", row->name, *argument ? " " : "", argument);
}

void options_print_help(const struct command *command, FILE *out)
{
    size_t n = count_rows(command);
    char left[LEFT_CAP];
    int width = LEFT_WIDTH;
    for (size_t i = 0; i < n; i++) {
        int len = describe_option(&command->options[i], left);
        width = len > width ? len : width;
    }
    fprintf(out, "Usage: ethercord %s", command->name);
    for (size_t i = 0; i < n; i++) {
        const struct option_row *row = &command->options[i];
        fprintf(out, row->is_needed ? " --%s%s%s" : " [--%s%s%s]", row->name, row->argument ? " " : "", row->argument ? row->argument : "");
    }
    fprintf(out, "%s%s\n\n%s.\n\nOptions:\n", *command->arguments ? " " : "", command->arguments, command->help);
    for (size_t i = 0; i < n; i++) {
        (void)describe_option(&command->options[i], left);
        fprintf(out, "  %-*s  %s\n", width, left, command->options[i].help);
    }
    fprintf(out, "  %-*s  %s\n", width, "-h, --help", "this text");
    if (command->print_more_help)
        command->print_more_help(out);
}
