// SPDX-License-Identifier: MIT
/*
 * ipc: datagrams on the socketpair between monitor and worker. Only messages that are right in every field come through, and those as they
 * were sent.
 */
#include "../../src/daemon/hook_orders.h"
#include "../../src/daemon/ipc.h"

#include <errno.h>
#include <sys/socket.h>

#include "ethercord/clock.h"
#include "fuzz.h"

static void check(const struct ipc_message *message)
{
    ensure(message->kind >= IPC_READY && message->kind < IPC_KIND_COUNT && message->n_addresses <= PEER_ADDRESSES_MAX);
    bool is_peer = message->kind == IPC_PEER_UP || message->kind == IPC_PEER_DOWN;
    ensure(message->kind == IPC_ADDRESSES || message->n_addresses <= is_peer);
    ensure(message->reason < (is_peer ? PEER_REASON_COUNT : 1));
    if (message->kind == IPC_LINE) {
        ensure(message->line.what < IPC_LINE_COUNT && message->line.text[0] && memchr(message->line.text, '\0', IPC_LINE_CAP));
        for (const char *c = message->line.text; *c; c++)
            ensure(*c >= ' ' && *c <= '~');
    }
    ensure(message->kind != IPC_RELOADED || message->result < IPC_RESULT_COUNT);
    ensure(message->kind != IPC_SETTINGS || config_live_is_valid(&message->settings.live));
    size_t len = message->kind == IPC_STATE ? strnlen(message->text, sizeof message->text) : 0;
    ensure(len < sizeof message->text && (len > 0) == (message->kind == IPC_STATE));
    for (size_t i = 0; i < len; i++)
        ensure(message->text[i] >= ' ' && message->text[i] <= '~');
    for (size_t i = 0; i < message->n_addresses; i++)
        ensure(message->addresses[i].port != 0 && (message->addresses[i].family == AF_INET || message->addresses[i].family == AF_INET6));
}

// The monitor's guard: two bytes a message, its kind and the time since the last one. So many lookups at once, and one each period.
static void check_guard(struct reader *in)
{
    struct ipc_guard guard = {0};
    uint64_t start_ns = 1000 * NS_PER_S, now_ns = start_ns, n_lookups = 0, n_states = 0, n_reloads = 0;
    bool has_been_ready = false, is_up = false;

    while (in->left > 0) {
        struct ipc_message message = {.kind = reader_u8(in) % (IPC_KIND_COUNT + 1)};
        now_ns += reader_u8(in) * (50 * NS_PER_MS);
        enum ipc_verdict verdict = ipc_judge(&guard, &message, now_ns);
        n_lookups += message.kind == IPC_RESOLVE && verdict == IPC_TAKE;
        n_reloads += message.kind == IPC_RELOAD && verdict == IPC_TAKE;
        bool is_limited = message.kind == IPC_RESOLVE || message.kind == IPC_RELOAD || message.kind == IPC_STATE;
        ensure(is_limited || message.kind == IPC_PEER_UP || message.kind == IPC_PEER_DOWN || message.kind == IPC_READY ||
               verdict == (message.kind == IPC_QUIT ? IPC_TAKE : IPC_HOSTILE));
        ensure(n_reloads <= 2U * IPC_RELOADS_MAX + (now_ns - start_ns) / (IPC_RELOAD_EVERY_MS * NS_PER_MS));
        n_states += message.kind == IPC_STATE && verdict == IPC_TAKE;
        bool is_peer = message.kind == IPC_PEER_UP || message.kind == IPC_PEER_DOWN;
        if (is_peer) {
            ensure(verdict == (has_been_ready && is_up != (message.kind == IPC_PEER_UP) ? IPC_TAKE : IPC_HOSTILE));
            is_up = verdict == IPC_TAKE ? !is_up : is_up;
        }
        ensure(message.kind != IPC_READY || verdict == (has_been_ready ? IPC_HOSTILE : IPC_TAKE));
        has_been_ready = has_been_ready || message.kind == IPC_READY;
        ensure(n_states <= 2U * IPC_STATES_MAX + (now_ns - start_ns) / (IPC_STATE_EVERY_MS * NS_PER_MS));
        ensure(n_lookups <= 2U * IPC_LOOKUPS_MAX + (now_ns - start_ns) / (IPC_LOOKUP_EVERY_MS * NS_PER_MS));
    }
}

// What the monitor tells the hook runner, and the other way round.
static void check_orders(struct reader *in)
{
    static int pair[2] = {-1, -1};
    struct hook_order order;

    if (pair[0] < 0)
        ensure(ipc_pair(pair) == 0);
    if (in->left == 0 || send(pair[0], in->at, in->left, MSG_NOSIGNAL) < 0)
        return;
    int result = hook_order_receive(pair[1], &order);
    ensure(result == 1 || result == -EBADMSG);
    if (result == 1 && order.kind == HOOK_ORDER_RUN)
        ensure(hook_reason_name((enum hook_event)order.event, order.reason) && hook_event_name((enum hook_event)order.event));
    if (result == 1)
        ensure(order.kind >= HOOK_ORDER_RUN && order.kind < HOOK_ORDER_COUNT && order.n_failed <= HOOKS_MAX);
    ensure(hook_order_receive(pair[1], &order) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fds[2] = {-1, -1};
    struct reader in = reader_of(data, size);
    struct ipc_message message, sent = {.kind = reader_u8(&in)};
    uint8_t how = reader_u8(&in);
    bool is_raw = how & 1;

    if (how & 2) {
        check_guard(&in);
        return 0;
    }

    if (how & 8) {
        check_orders(&in);
        return 0;
    }

    if (fds[0] < 0)
        ensure(ipc_pair(fds) == 0);
    if (how & 4) // what is raw below may be a state as well; this one is more often a good one
        reader_copy(&in, (uint8_t *)sent.text, in.left < 32 ? in.left : 32);
    if (is_raw) {
        if (in.left == 0 || send(fds[0], in.at, in.left, MSG_NOSIGNAL) < 0)
            return 0;
    } else {
        sent.n_addresses = reader_u8(&in) % (PEER_ADDRESSES_MAX + 2);
        reader_copy(&in, (uint8_t *)sent.addresses, in.left < sizeof sent.addresses ? in.left : sizeof sent.addresses);
        if (in.left > 0 && reader_u8(&in) & 1) // right but for what follows
            sent.settings.live = (struct config_live){.ciphers = 1U << CIPHER_CHACHA20_POLY1305, .peer.is_present = true};
        enum { BEGIN = offsetof(struct ipc_message, addresses), CAP = sizeof sent - BEGIN };
        size_t at = in.left > 1 ? reader_u8(&in) * (size_t)CAP / 256 : 0;
        reader_copy(&in, (uint8_t *)&sent + BEGIN + at, in.left < CAP - at ? in.left : CAP - at);
        ensure(ipc_send(fds[0], &sent) == 0);
    }
    int result = ipc_receive(fds[1], &message);
    ensure(result == 1 || result == -EBADMSG);
    if (result == 1)
        check(&message);
    if (result == 1 && !is_raw)
        ensure(memcmp(&message, &sent, sizeof sent) == 0);
    ensure(ipc_receive(fds[1], &message) == 0); // and nothing behind it
    return 0;
}
