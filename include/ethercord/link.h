// SPDX-License-Identifier: MIT
/*
 * link: what the monitor does with the TAP's interface, and its undo.
 *
 * link_set_up() makes the interface what `[Tap]` says; what it changed it remembers, so that link_undo() can restore a TAP that existed
 * beforehand. A TAP that ethercord created itself disappears when its descriptor is closed: link_undo() does not mind. Does not create the
 * TAP (that is tap_open()), and creates no bridge: that is the administrator's.
 */
#ifndef ETHERCORD_LINK_H
#define ETHERCORD_LINK_H

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/addr.h"
#include "ethercord/rtnl.h"

enum { LINK_ADDRESSES_MAX = 16 };

struct link_settings {
    const char *name;             // of the TAP
    uint32_t mtu;                 // 0 = leave it as it is
    uint32_t txqueuelen;          // frames; 0 = leave it as it is
    const char *bridge;           // name of the bridge to join; "" or NULL = none
    const struct cidr *addresses; // the kernel's own on it; borrowed during the call
    size_t n_addresses;           // at most LINK_ADDRESSES_MAX
};

// Private to the module. Starts out zeroed; a zeroed one may be undone.
struct link {
    struct rtnl rtnl;        // stays open for the undo; its descriptor is close-on-exec
    struct rtnl_link before; // as found
    unsigned changes;        // what has to be restored
    struct cidr addresses[LINK_ADDRESSES_MAX];
    size_t n_addresses; // those that were not there before
};

// All or nothing: on failure what was done is undone. Returns 0 or negative errno. `text` gets one line without a line feed: on failure
// the cause and what to do about it; on success "", or something that the operator should know (a bridge that is down).
int link_set_up(struct link *link, const struct link_settings *settings, char *text, size_t cap) __attribute__((warn_unused_result));

// Restores in reverse order, goes on after a failure, and returns the first one. An interface that is gone is no failure. May be called
// more than once.
int link_undo(struct link *link);

#endif
