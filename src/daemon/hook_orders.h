// SPDX-License-Identifier: MIT
/*
 * hook_orders: what the monitor and the hook runner tell each other over their own socketpair (ipc_pair()): messages of one fixed size.
 *
 * No order carries text: it names an event, and the runner takes commands and names from its own copy of the configuration. So who is in
 * the monitor's place can have the operator's hooks run, one at a time, and nothing else.
 */
#ifndef ETHERCORD_DAEMON_HOOK_ORDERS_H
#define ETHERCORD_DAEMON_HOOK_ORDERS_H

#include <stdint.h>

#include "ethercord/addr.h"
#include "ethercord/hook_settings.h"

enum hook_order_kind {
    HOOK_ORDER_RUN = 1, // monitor: the hooks of an event, when those before are done
    HOOK_ORDER_CANCEL,  // monitor: end what runs
    HOOK_ORDER_END,     // monitor: the same, and then the runner itself
    HOOK_ORDER_DONE,    // runner: all of them have ended
    HOOK_ORDER_COUNT
};

// Of PreDown. Those of OnPeerDown are the peer's own, enum peer_reason.
enum hook_reason {
    HOOK_REASON_NONE,
    HOOK_REASON_STOP,
    HOOK_REASON_POST_UP_FAILED,
    HOOK_REASON_WORKER_FAILED, // it said why in the log: the TAP was deleted, say
    HOOK_REASON_WORKER_DIED,
    HOOK_REASON_COUNT
};

struct hook_order {
    uint32_t kind;
    uint32_t event;       // RUN: an enum hook_event
    uint32_t reason;      // RUN: an enum hook_reason, with a peer's event an enum peer_reason
    uint32_t n_failed;    // DONE
    struct addr endpoint; // RUN: of the peer; AF_UNSPEC = not known
};

// As ipc_send() and ipc_receive().
int hook_order_send(int fd, const struct hook_order *order);
int hook_order_receive(int fd, struct hook_order *order);
// As hooks are told it.
const char *hook_reason_name(enum hook_event event, uint32_t reason);

#endif
