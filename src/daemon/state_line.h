// SPDX-License-Identifier: MIT
/*
 * state_line: what `systemctl status` shows of the cord: one line, made by the worker, who knows, and told to the monitor when something
 * in it has changed, once a second at most.
 */
#ifndef ETHERCORD_DAEMON_STATE_LINE_H
#define ETHERCORD_DAEMON_STATE_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "ethercord/addr.h"
#include "ethercord/peer.h"

// What the line is made of, as far as it makes a new line worth while.
struct state_line_facts {
    bool is_up;
    enum peer_reason reason;
    uint16_t path_mtu;
    struct addr at;
};

struct state_line {
    bool is_wanted; // somebody listens
    bool has_told;
    struct state_line_facts told;
    uint64_t next_ns; // not again before
};

// After each turn of the main thread. `peer`: NULL = there is none. Returns when to come again at the latest; UINT64_MAX = no need.
uint64_t state_line_note(struct state_line *line, const struct peer *peer, int ipc_fd, uint64_t now_ns);
// How the peer is, in one line. Printable ASCII only.
void state_line_format(const struct peer *peer, uint64_t now_ns, uint64_t wall_ns, char *text, size_t cap);

#endif
