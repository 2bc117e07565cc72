// SPDX-License-Identifier: MIT
/*
 * status_client: asks a running instance for its status, and looks whether it is one of a form that this program knows.
 */
#ifndef ETHERCORD_CLI_STATUS_CLIENT_H
#define ETHERCORD_CLI_STATUS_CLIENT_H

#include <jansson.h>
#include <stdint.h>

#include "control_client.h"

// `name` may be NULL if there is exactly one instance in `run_dir`. Returns the document (json_decref() it), or NULL and `problem`.
json_t *status_fetch(const char *run_dir, const char *name, char problem[static CONTROL_PROBLEM_CAP]);
// The same, of a connection that tells it again and again (request "status MILLISECONDS").
json_t *status_read(struct control_client *client, uint64_t deadline_ns, char problem[static CONTROL_PROBLEM_CAP]);

#endif
