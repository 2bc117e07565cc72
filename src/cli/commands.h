// SPDX-License-Identifier: MIT
/*
 * commands: what `ethercord COMMAND` does. Each function gets its parsed command line, prints what the user should see, and returns the
 * exit code. Results go to stdout; everything else to stderr.
 */
#ifndef ETHERCORD_CLI_COMMANDS_H
#define ETHERCORD_CLI_COMMANDS_H

#include <stdio.h>

#include "ethercord/config.h"
#include "options.h"

// The table; NULL = no such command.
const struct command *commands_find(const char *name);
// By place in the table; NULL behind the last one.
const struct command *commands_at(size_t i);
void commands_print_help(FILE *out);
// Runs what argv says, --help and --version included. Returns the exit code.
int commands_dispatch(int argc, char **argv);

// For all of them: one line on stderr, as "ethercord COMMAND: problem", or what failed and why (an errno), which is CODE_FAILED.
void command_problem(const char *command, const char *problem);
int command_fail(const char *command, const char *what, int error);
const char *command_run_dir(const struct command_line *line);
// A configuration from a file, or from the options of `answer` if there is no file; NULL with everything said, and what to exit with. Free
// it with config_free().
struct config *command_load_config(const char *path, const struct config_answer *answer, int *exit_code);

int command_genkey(const struct command_line *line);
int command_genpsk(const struct command_line *line);
int command_pubkey(const struct command_line *line);
int command_check(const struct command_line *line);
int command_run(const struct command_line *line);
int command_reload(const struct command_line *line);
int command_stop(const struct command_line *line);
int command_ping(const struct command_line *line);
int command_status(const struct command_line *line);
int command_doctor(const struct command_line *line);
int command_answer(const struct command_line *line);
int command_capture(const struct command_line *line);
int command_speed(const struct command_line *line);

#endif
