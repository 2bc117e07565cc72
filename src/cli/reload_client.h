// SPDX-License-Identifier: MIT
/*
 * reload_client: what a reload of a running instance does, or would do, as its daemon tells it; and that as text for a person.
 */
#ifndef ETHERCORD_CLI_RELOAD_CLIENT_H
#define ETHERCORD_CLI_RELOAD_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "control_client.h"

// NULL with the problem. `is_trial`: nothing is changed. `name` may be NULL if there is one instance only; it gets the name that it has.
json_t *reload_fetch(const char *run_dir, const char *name, bool is_trial, char problem[static CONTROL_PROBLEM_CAP]);
// What changes and what needs a restart, a line each, to `out`; what is wrong goes to `errors`. Returns the exit code that this means.
int reload_print(const json_t *document, FILE *out, FILE *errors);

#endif
