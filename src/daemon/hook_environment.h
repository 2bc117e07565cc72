// SPDX-License-Identifier: MIT
/*
 * hook_environment: the variables that a hook gets: these and no others. Values are names of our own configuration, numbers and formatted
 * addresses; no text of a peer's choosing is among them. docs/hooks.md says what each means.
 */
#ifndef ETHERCORD_DAEMON_HOOK_ENVIRONMENT_H
#define ETHERCORD_DAEMON_HOOK_ENVIRONMENT_H

#include "ethercord/config.h"
#include "hook_orders.h"

enum { HOOK_VARIABLES = 10, HOOK_VARIABLE_CAP = 128 };

struct hook_environment {
    char texts[HOOK_VARIABLES][HOOK_VARIABLE_CAP];
    char *list[HOOK_VARIABLES + 1]; // into `texts`, ended by NULL
};

void hook_environment_fill(struct hook_environment *environment, const struct config *config, const struct hook_order *run);

#endif
