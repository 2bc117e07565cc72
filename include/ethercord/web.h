// SPDX-License-Identifier: MIT
/*
 * web: the third process, there only with [Metrics] in the configuration: it serves metrics and the status page over HTTP
 * (docs/metrics.md).
 *
 * What reads HTTP of whoever can connect shares nothing with the keys: this process never had them, has no privilege, no files, a filter
 * of its own, and three kinds of descriptors: the listening socket, its visitors, and a socketpair over which it asks the worker for the
 * status like anybody at the control socket. It ends when the worker does, and when it ends nothing else does.
 */
#ifndef ETHERCORD_WEB_H
#define ETHERCORD_WEB_H

#include <stdbool.h>
#include <stddef.h>

#include "ethercord/config.h"
#include "ethercord/sandbox.h"

struct web_order {
    const struct config *config; // its secrets are wiped
    int listen_fd;
    int worker_fd;
    bool wants_sandbox;
    const char *run_dir;       // to be able to leave it
    struct sandbox_page *page; // not the worker's
};

// Before the fork. Returns the descriptor, or negative errno with one line about what to do in `text`.
int web_listen(const struct addr *at, char *text, size_t cap);
// In the child, right after the fork. Returns the exit code.
int web_main(const struct web_order *order);

#endif
