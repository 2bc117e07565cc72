// SPDX-License-Identifier: MIT
/*
 * control_client: how commands ask a running instance something, over its control socket <run-dir>/<name>.sock (docs/control.md).
 *
 * One line goes out; documents (a line of JSON each) come back, and perhaps bytes. Bounded in time and size. Prints nothing: problems come
 * back as one line, without a line feed, that says what to do.
 */
#ifndef ETHERCORD_CLI_CONTROL_CLIENT_H
#define ETHERCORD_CLI_CONTROL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ethercord/config.h"

enum { CONTROL_DOCUMENT_MAX = 1024 * 1024, CONTROL_TIMEOUT_MS = 5000, CONTROL_PROBLEM_CAP = 512 };

struct control_client {
    int fd; // for poll(); non-blocking
    char name[INSTANCE_NAME_CAP];
    size_t begin, end; // what came and was not taken yet
    char *room;        // CONTROL_DOCUMENT_MAX
};

// `name` may be NULL if there is exactly one instance in `run_dir`. Sends `request`, a line without its line feed, of less than
// CONTROL_LINE_CAP bytes (daemon/control.h). False with `problem`; then there is nothing to close.
bool control_client_open(struct control_client *client, const char *run_dir, const char *name, const char *request,
                         char problem[static CONTROL_PROBLEM_CAP]);
void control_client_close(struct control_client *client);

// The next document, at the latest at the deadline (UINT64_MAX = whenever it comes). NULL with `problem`, which is "" when the instance has
// ended the connection. A document with a member "error" is such a problem, too.
json_t *control_client_read(struct control_client *client, uint64_t deadline_ns, char problem[static CONTROL_PROBLEM_CAP]);
// Bytes that follow the last document: at least one, at most cap. 0: the instance has ended the connection. -EAGAIN: nothing there yet;
// else negative errno.
ssize_t control_client_read_bytes(struct control_client *client, void *bytes, size_t cap);
// Whether a call of control_client_read() would find a whole document, without any wait.
bool control_client_has_document(const struct control_client *client);

#endif
