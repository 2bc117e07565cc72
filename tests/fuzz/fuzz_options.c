// SPDX-License-Identifier: MIT
/*
 * options: command lines, each line of the input one argument. Understood, asked for help, or one line that says what is wrong.
 */
#include "../../src/cli/options.h"

#include "../../src/cli/commands.h"
#include "fuzz.h"

enum { ARGUMENTS_MAX = 16 };

static FILE *nowhere;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    nowhere = fopen("/dev/null", "w");
    ensure(nowhere);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *argv[ARGUMENTS_MAX + 1] = {0}, problem[OPTIONS_PROBLEM_CAP] = "";
    struct command_line line;
    int argc = 0;

    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    for (char *at = strtok(text, "\n"); at && argc < ARGUMENTS_MAX; at = strtok(NULL, "\n"))
        argv[argc++] = at;
    const struct command *command = argc > 0 ? commands_find(argv[0]) : NULL;
    if (command)
        switch (options_parse(command, argc, argv, &line, problem)) {
        case OPTIONS_RUN:
            ensure(line.n_arguments >= command->n_arguments_min && line.n_arguments <= command->n_arguments_max);
            for (size_t i = 0; i < line.n_arguments; i++)
                ensure(line.arguments[i] >= text && line.arguments[i] <= text + size);
            break;
        case OPTIONS_BAD:
            ensure(problem[0] != '\0' && memchr(problem, '\0', sizeof problem) && !strchr(problem, '\n'));
            break;
        case OPTIONS_HELP:
            options_print_help(command, nowhere);
            break;
        }
    free(text);
    return 0;
}
