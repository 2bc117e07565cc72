// SPDX-License-Identifier: MIT
/*
 * status: what a node is like right now, as a JSON document (schema 1, docs/status.md).
 */
#ifndef ETHERCORD_DAEMON_STATUS_H
#define ETHERCORD_DAEMON_STATUS_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "ethercord/config.h"
#include "ethercord/confine.h"
#include "ethercord/node.h"
#include "ethercord/ports.h"
#include "ethercord/queues.h"
#include "ethercord/sandbox.h"

// What the node itself does not know.
struct status_facts {
    const struct config *config; // its secrets are wiped
    struct mac_address tap_mac;
    uint16_t listen_port;
    uint64_t started_ns;
    pid_t pid;
    uint64_t n_conflicts;
    struct queues *queues;
    const struct ports *ports;
    struct confinement confinement;
    bool is_memory_locked;
    const struct sandbox *sandbox;
    const struct sandbox_page *page;
};

// One line: why the peer is up or down. Returns `text`.
const char *status_reason(const struct peer *peer, uint64_t now_ns, char *text, size_t cap);
// On the main thread. The caller owns the result; NULL when memory is short.
json_t *status_build(const struct node *node, const struct status_facts *facts, uint64_t now_ns);

#endif
