// SPDX-License-Identifier: MIT
/*
 * node_commands: check, run and answer: the commands that take a configuration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "ethercord/config.h"
#include "ethercord/log.h"
#include "ethercord/program.h"
#include "ethercord/run.h"
#include "plan.h"
#include "summary.h"

static void print_messages(const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->n_messages; i++) {
        const struct config_message *message = &errors->messages[i];
        if (log_is_journal())
            log_write(message->is_warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "%s", message->text);
        else
            fprintf(stderr, "%s%s\n", message->text, message->is_warning ? " (warning)" : "");
    }
    size_t n_more = errors->n_errors + errors->n_warnings - errors->n_messages;
    if (n_more > 0)
        fprintf(stderr, "... and %zu more\n", n_more);
}

struct config *command_load_config(const char *path, const struct config_answer *answer, int *exit_code)
{
    struct config *config = config_new();
    struct config_errors *errors = malloc(sizeof(*errors));
    bool is_good = false;
    *exit_code = CODE_FAILED;
    if (config && errors) {
        is_good = path ? config_parse_file(path, config, errors) : config_make_answer(answer, config, errors);
        print_messages(errors);
        *exit_code = is_good ? CODE_DONE : CODE_USAGE;
    } else {
        fprintf(stderr, "ethercord: out of memory (locked memory: see ulimit -l)\n");
    }
    free(errors);
    if (is_good)
        return config;
    config_free(config);
    return NULL;
}

// What can be read again later, as an absolute path; NULL = nothing (a pipe, a descriptor of the shell's). Free with free().
static char *absolute_path(const char *path)
{
    struct stat st;
    char *folder, *absolute = NULL;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0)
        return NULL;
    if (path[0] == '/')
        return strdup(path);
    folder = getcwd(NULL, 0);
    if (folder && asprintf(&absolute, "%s/%s", folder, path) < 0)
        absolute = NULL;
    free(folder);
    return absolute;
}

int command_check(const struct command_line *line)
{
    int exit_code;
    struct config *config = command_load_config(line->arguments[0], NULL, &exit_code);
    if (!config)
        return exit_code;
    printf("%s: OK\n", line->arguments[0]);
    summary_print(config);
    plan_print_reload(command_run_dir(line), config->name, line->arguments[0]);
    config_free(config);
    return exit_code;
}

static void dry_run(const struct command_line *line, const struct config *config)
{
    printf("%s: OK\n", line->arguments[0]);
    summary_print(config);
    plan_print_start(command_run_dir(line), config);
    plan_print_reload(command_run_dir(line), config->name, line->arguments[0]);
}

int command_run(const struct command_line *line)
{
    int exit_code;
    struct config *config = command_load_config(line->arguments[0], NULL, &exit_code);
    if (!config)
        return exit_code;
    if (line->is_dry_run) {
        dry_run(line, config);
        config_free(config);
        return exit_code;
    }
    char *path = absolute_path(line->arguments[0]);
    exit_code = run_node(config, path, command_run_dir(line), !line->has_no_sandbox);
    free(path);
    config_free(config);
    return exit_code;
}

int command_answer(const struct command_line *line)
{
    const struct config_answer answer = {.tap = line->tap, .addresses = line->address, .mtu = line->mtu};
    int exit_code;
    struct config *config = command_load_config(NULL, &answer, &exit_code);
    if (!config)
        return exit_code;
    exit_code = run_node(config, NULL, command_run_dir(line), !line->has_no_sandbox);
    config_free(config);
    return exit_code;
}
