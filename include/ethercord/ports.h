// SPDX-License-Identifier: MIT
/*
 * ports: what others do to the TAP's interface and to the bridge that it is in, while the node runs.
 *
 * A bridge drops frames that are longer than the MTU of the port they should leave by, and tells nobody; so a port with a smaller MTU than
 * the TAP's is worth a warning, and a line in the status. Also said, once per change: the TAP was taken down or is up again, has another
 * MTU than [Tap] says, or has left its bridge. Changes nothing.
 *
 * Looks when it starts and after notifications of the kernel, which say only *that* something has changed: they are thrown away unread, and
 * however many there are, it looks at most once in PORTS_EVERY_MS. What came and went in between is not noticed.
 */
#ifndef ETHERCORD_PORTS_H
#define ETHERCORD_PORTS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "ethercord/log.h"
#include "ethercord/rtnl.h"

enum {
    // Tuning constants.
    PORTS_NARROW_MAX = 16, // told one by one, of those that are too narrow
    PORTS_SETTLE_MS = 100, // from the first notification to a look: changes seldom come alone
    PORTS_EVERY_MS = 2000  // from a look to the next
};

struct narrow_port {
    char name[IFNAMSIZ];
    int index;
    uint32_t mtu;
};

struct ports_config {
    const char *tap_name; // as the interface is called when it is opened
    uint32_t mtu;         // by [Tap] MTU
    const char *bridge;   // by [Tap] Bridge, "" = none; borrowed for as long as it is open
    // The TAP is not in this network namespace any more: deleted, or given to another one.
    void (*on_gone)(void *ctx);
    void *ctx;
};

struct ports {
    struct ports_config config;
    struct rtnl rtnl, watch;
    struct rtnl_link tap;       // when last looked at; index 0 = can't be looked at
    char bridge_name[IFNAMSIZ]; // that it is in, "" = none
    struct narrow_port narrow[PORTS_NARROW_MAX];
    size_t n_narrow; // may be more than there is room for above
    bool is_gone;    // said once
    bool has_missed; // the last look failed: another one is due
    struct log_budget lines;
    uint64_t looked_ms;
    uv_poll_t changed;
    uv_timer_t timer;
};

// Looks for the first time. Needs no privilege. What can't be opened says nothing later; a warning is logged then.
void ports_open(struct ports *ports, const struct ports_config *config);
// From then on what changes is noticed, on this loop. The handles end with the others of the loop (loop_close_handles).
int ports_start(struct ports *ports, uv_loop_t *uv) __attribute__((warn_unused_result));
// Once the loop has ended. A zeroed struct is fine.
void ports_close(struct ports *ports);

// What the notifications lead to.
void ports_look(struct ports *ports);

#endif
