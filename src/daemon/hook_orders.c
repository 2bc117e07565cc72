// SPDX-License-Identifier: MIT
/*
 * hook_orders: see hook_orders.h.
 */
#include "hook_orders.h"

#include <errno.h>
#include <stdbool.h>

#include "ethercord/peer.h"
#include "ipc.h"

static const char *const reason_names[] = {
    [HOOK_REASON_NONE] = "",
    [HOOK_REASON_STOP] = "stop",
    [HOOK_REASON_POST_UP_FAILED] = "post-up-failed",
    [HOOK_REASON_WORKER_FAILED] = "worker-failed",
    [HOOK_REASON_WORKER_DIED] = "worker-died",
};
_Static_assert(sizeof reason_names / sizeof reason_names[0] == HOOK_REASON_COUNT, "a name for each");

static const char *const peer_reason_names[] = {
    [PEER_REASON_STARTING] = "starting",     [PEER_REASON_NO_ENDPOINT] = "no-endpoint",
    [PEER_REASON_UNRESOLVED] = "unresolved", [PEER_REASON_NO_ANSWER] = "no-answer",
    [PEER_REASON_SILENT] = "silent",         [PEER_REASON_GOODBYE] = "goodbye",
    [PEER_REASON_EXPIRED] = "expired",       [PEER_REASON_CLOCK] = "clock",
    [PEER_REASON_REMOVED] = "removed",       [PEER_REASON_UP] = "up",
};
_Static_assert(sizeof peer_reason_names / sizeof peer_reason_names[0] == PEER_REASON_COUNT, "a name for each");

static bool is_of_peer(uint32_t event)
{
    return event == HOOK_PEER_UP || event == HOOK_PEER_DOWN;
}

static bool is_endpoint_valid(const struct addr *endpoint)
{
    bool is_ip = endpoint->family == AF_INET || endpoint->family == AF_INET6;

    return endpoint->family == AF_UNSPEC || (is_ip && endpoint->port != 0);
}

static bool is_run_valid(const struct hook_order *order)
{
    return order->event < HOOK_EVENT_COUNT && order->n_failed == 0 && is_endpoint_valid(&order->endpoint) &&
           order->reason < (is_of_peer(order->event) ? (uint32_t)PEER_REASON_COUNT : (uint32_t)HOOK_REASON_COUNT);
}

static bool is_valid(const struct hook_order *order)
{
    switch (order->kind) {
    case HOOK_ORDER_RUN:
        return is_run_valid(order);
    case HOOK_ORDER_CANCEL:
    case HOOK_ORDER_END:
        return order->n_failed == 0;
    case HOOK_ORDER_DONE:
        return order->n_failed <= HOOKS_MAX;
    default:
        return false;
    }
}

int hook_order_send(int fd, const struct hook_order *order)
{
    return ipc_send_bytes(fd, order, sizeof *order);
}

int hook_order_receive(int fd, struct hook_order *order)
{
    int got = ipc_receive_bytes(fd, order, sizeof *order);

    return got <= 0 || is_valid(order) ? got : -EBADMSG;
}

const char *hook_reason_name(enum hook_event event, uint32_t reason)
{
    return is_of_peer(event) ? peer_reason_names[reason] : reason_names[reason];
}
