// SPDX-License-Identifier: MIT
/*
 * plan: what a start with a configuration would do to this machine, and what a reload would do to the instance that runs with it. Changes
 * nothing, needs no permission but (for the reload) that of the control socket.
 */
#ifndef ETHERCORD_CLI_PLAN_H
#define ETHERCORD_CLI_PLAN_H

#include "ethercord/config.h"

void plan_print_start(const char *run_dir, const struct config *config);
// Nothing is printed when no instance of that name runs. `file` is what the configuration was read from.
void plan_print_reload(const char *run_dir, const char *name, const char *file);

#endif
