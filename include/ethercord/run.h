// SPDX-License-Identifier: MIT
/*
 * run: the daemon, from start to end.
 */
#ifndef ETHERCORD_RUN_H
#define ETHERCORD_RUN_H

#include <stdbool.h>

#include "ethercord/config.h"

// Returns the exit code, in monitor and worker. Wipes the secrets in `config` as soon as the worker has them.
// wants_sandbox: false = system calls are not filtered and files stay in sight, to look for an error.
int run_node(struct config *config, const char *run_dir, bool wants_sandbox);

#endif
