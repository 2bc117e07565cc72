// SPDX-License-Identifier: MIT
/*
 * ipc: see ipc.h.
 */
#include "ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ethercord/clock.h"

int ipc_pair(int fds[static 2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
}

int ipc_send(int fd, const struct ipc_message *message)
{
    ssize_t sent;

    do {
        sent = send(fd, message, sizeof *message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

static bool is_address_valid(const struct addr *addr)
{
    return (addr->family == AF_INET || addr->family == AF_INET6) && addr->port != 0;
}

static bool is_valid(const struct ipc_message *message)
{
    if (message->kind == 0 || message->kind >= IPC_KIND_COUNT || message->n_addresses > PEER_ADDRESSES_MAX)
        return false;
    if (message->kind != IPC_ADDRESSES && message->n_addresses != 0)
        return false;
    for (uint32_t i = 0; i < message->n_addresses; i++)
        if (!is_address_valid(&message->addresses[i]))
            return false;
    return true;
}

static enum ipc_verdict judge_lookup(struct ipc_guard *guard, uint64_t now_ns)
{
    uint64_t every_ns = IPC_LOOKUP_EVERY_MS * NS_PER_MS;
    uint64_t n_new = (now_ns - guard->refilled_ns) / every_ns;

    if (!guard->has_begun || n_new >= IPC_LOOKUPS_MAX) {
        guard->n_lookups = IPC_LOOKUPS_MAX;
        guard->refilled_ns = now_ns;
    } else {
        guard->n_lookups = guard->n_lookups + n_new > IPC_LOOKUPS_MAX ? IPC_LOOKUPS_MAX : guard->n_lookups + (unsigned)n_new;
        guard->refilled_ns += n_new * every_ns;
    }
    guard->has_begun = true;
    if (guard->n_lookups == 0)
        return IPC_TOO_OFTEN;
    guard->n_lookups--;
    return IPC_TAKE;
}

enum ipc_verdict ipc_judge(struct ipc_guard *guard, const struct ipc_message *message, uint64_t now_ns)
{
    bool was_ready = guard->is_ready;

    switch (message->kind) {
    case IPC_RESOLVE:
        return judge_lookup(guard, now_ns);
    case IPC_READY:
        guard->is_ready = true;
        return was_ready ? IPC_HOSTILE : IPC_TAKE;
    default: // only the monitor says that
        return IPC_HOSTILE;
    }
}

int ipc_receive(int fd, struct ipc_message *message)
{
    ssize_t got;

    do {
        got = recv(fd, message, sizeof *message, MSG_TRUNC); // MSG_TRUNC: the real length of a longer one
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
    if (got == 0)
        return -EPIPE;
    return got == (ssize_t)sizeof *message && is_valid(message) ? 1 : -EBADMSG;
}
