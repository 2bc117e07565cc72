// SPDX-License-Identifier: MIT
/*
 * commands: what `ethercord COMMAND` does. Each function gets its parsed command line, prints what the user should see, and returns the
 * exit code. Results go to stdout; everything else to stderr.
 */
#ifndef ETHERCORD_APP_COMMANDS_H
#define ETHERCORD_APP_COMMANDS_H

#include "config.h"
#include "options.h"

#ifndef ETHERCORD_VERSION
#define ETHERCORD_VERSION "0.1.0"
#endif

// The table; NULL = no such command.
const struct command *commands_find(const char *name);
void commands_print_help(FILE *out);
// Runs what argv says, --help and --version included. Returns the exit code.
int commands_dispatch(int argc, char **argv);

int command_genkey(const struct command_line *line);
int command_genpsk(const struct command_line *line);
int command_pubkey(const struct command_line *line);
int command_check(const struct command_line *line);
int command_run(const struct command_line *line);
int command_status(const struct command_line *line);
int command_answer(const struct command_line *line);
int command_speed(const struct command_line *line);

// In run.c: the daemon itself, from start to end. Returns the exit code.
// Wipes the secrets in `config` as soon as the worker has them.
// wants_sandbox: false = system calls are not filtered and files stay in sight, to look for an error.
int app_run(struct config *config, const char *run_dir, bool wants_sandbox);

#endif
