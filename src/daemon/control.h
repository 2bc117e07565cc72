// SPDX-License-Identifier: MIT
/*
 * control: the control socket, a Unix stream socket: one line in ("status"), one JSON document out, and the connection ends.
 *
 * The socket is opened by the monitor before the fork and served by the worker's main loop. Clients are strangers with a permission:
 * few at a time, one short line, a deadline, and no effect on the datapath.
 */
#ifndef ETHERCORD_DAEMON_CONTROL_H
#define ETHERCORD_DAEMON_CONTROL_H

#include <jansson.h>
#include <stddef.h>
#include <uv.h>

enum { CONTROL_PATH_CAP = 108 };

// Makes the folder where it is missing, removes a socket that nobody serves any more, and listens (mode 0660). Returns the descriptor
// with the path in `path`, or negative errno with one line about what to do in `text`. -EADDRINUSE: the instance runs already.
int control_open(const char *run_dir, const char *name, char path[static CONTROL_PATH_CAP], char *text, size_t cap);

struct control {
    uv_pipe_t server;
    json_t *(*build)(void *ctx); // the answer to "status"; NULL = out of memory
    void *ctx;
    int n_clients;
};
// Takes the descriptor. Returns 0 or negative errno.
int control_start(struct control *control, uv_loop_t *loop, int fd);
void control_stop(struct control *control);

#endif
