// SPDX-License-Identifier: MIT
/*
 * status_client: asks a running instance for its status over its control socket, <run-dir>/<name>.sock.
 *
 * The request is the line "status"; the reply is one JSON document, and ends with the connection or with a line feed after the document.
 * Bounded in time and size. Prints nothing: problems come back as one line that says what to do.
 */
#ifndef ETHERCORD_CLI_STATUS_CLIENT_H
#define ETHERCORD_CLI_STATUS_CLIENT_H

#include <jansson.h>

enum { STATUS_REPLY_MAX = 1024 * 1024, STATUS_TIMEOUT_MS = 5000, STATUS_PROBLEM_CAP = 512 };

// `name` may be NULL if there is exactly one instance in `run_dir`. Returns the document (json_decref() it), or NULL and `problem`, without
// a newline.
json_t *status_fetch(const char *run_dir, const char *name, char problem[static STATUS_PROBLEM_CAP]);

#endif
