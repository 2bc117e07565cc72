// SPDX-License-Identifier: MIT
/*
 * run: the daemon, from start to end.
 */
#ifndef ETHERCORD_RUN_H
#define ETHERCORD_RUN_H

#include <stdbool.h>

#include "ethercord/config.h"

// Returns the exit code, in monitor and worker. Wipes the secrets in `config` as soon as the worker has them.
// config_path: absolute, of the file that it came from and that a reload reads again; NULL = none.
// wants_sandbox: false = system calls are not filtered and files stay in sight, to look for an error.
int run_node(struct config *config, const char *config_path, const char *run_dir, bool wants_sandbox);

#endif
