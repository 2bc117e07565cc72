// SPDX-License-Identifier: MIT
/*
 * node_settings: what tx and rx have of the configuration and may be told anew while they run (node_reconfigure()). Nothing secret. Each of
 * them looks at what is its own, and does nothing where that is what it has already.
 */
#ifndef ETHERCORD_NODE_SETTINGS_H
#define ETHERCORD_NODE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "ethercord/shortcut.h"

struct node_settings {
    bool has_peer;
    bool is_path_mtu_fixed;
    bool is_peer_up; // when it was ordered: what is new is announced on the peer's side, too
    uint64_t reassembly_timeout_ns;
    struct shortcut_addresses shortcut;
};

#endif
