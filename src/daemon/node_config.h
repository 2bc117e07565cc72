// SPDX-License-Identifier: MIT
/*
 * node_config: what the node is told of the configuration, at the start and after a reload. Nothing but translation.
 */
#ifndef ETHERCORD_DAEMON_NODE_CONFIG_H
#define ETHERCORD_DAEMON_NODE_CONFIG_H

#include "ethercord/config.h"
#include "ethercord/node.h"

// Secret; the caller wipes it.
void node_config_fill(struct node_config *node_config, const struct config *config, const struct mac_address *tap_mac);

#endif
