// SPDX-License-Identifier: MIT
/*
 * status_quality: how good the way to the peer is, as members of its object in the status document.
 */
#ifndef ETHERCORD_DAEMON_STATUS_QUALITY_H
#define ETHERCORD_DAEMON_STATUS_QUALITY_H

#include <jansson.h>
#include <stdint.h>

#include "ethercord/node.h"

// On the main thread. The node must have a peer.
void status_set_quality(json_t *object, const struct node *node, uint64_t now_ns);
// The way that echoes take, and its state: an object of its own. NULL when memory is short.
json_t *status_way(const struct node *node, uint64_t now_ns);

#endif
