// SPDX-License-Identifier: MIT
/*
 * ipc: see ipc.h.
 */
#include "ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ethercord/bucket.h"
#include "ethercord/clock.h"

int ipc_pair(int fds[static 2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
}

int ipc_send_bytes(int fd, const void *bytes, size_t len)
{
    ssize_t sent;

    do {
        sent = send(fd, bytes, len, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

int ipc_send(int fd, const struct ipc_message *message)
{
    return ipc_send_bytes(fd, message, sizeof *message);
}

static bool is_address_valid(const struct addr *addr)
{
    return (addr->family == AF_INET || addr->family == AF_INET6) && addr->port != 0;
}

// What others get to see: nothing that could begin another line or field there.
static bool is_line(const char *text, size_t cap)
{
    size_t len = strnlen(text, cap);

    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return len > 0 && len < cap;
}

// A bool of somebody else's may hold any byte.
static bool is_bool(const bool *flag)
{
    return *(const uint8_t *)flag <= 1;
}

static bool is_payload_valid(const struct ipc_message *message)
{
    switch (message->kind) {
    case IPC_STATE:
        return is_line(message->text, sizeof message->text);
    case IPC_RELOAD:
        return is_bool(&message->reload.is_trial);
    case IPC_SETTINGS:
        return is_bool(&message->settings.is_elsewhere) && config_live_is_valid(&message->settings.live);
    case IPC_LINE:
        return message->line.what < IPC_LINE_COUNT && is_line(message->line.text, sizeof message->line.text);
    case IPC_RELOADED:
        return message->result < IPC_RESULT_COUNT;
    default:
        return true;
    }
}

static bool is_valid(const struct ipc_message *message)
{
    if (message->kind == 0 || message->kind >= IPC_KIND_COUNT)
        return false;
    bool is_peer = message->kind == IPC_PEER_UP || message->kind == IPC_PEER_DOWN;
    uint32_t n_addresses_max = message->kind == IPC_ADDRESSES ? PEER_ADDRESSES_MAX : is_peer ? 1 : 0;
    if (message->n_addresses > n_addresses_max || message->reason >= (is_peer ? PEER_REASON_COUNT : 1))
        return false;
    for (uint32_t i = 0; i < message->n_addresses; i++)
        if (!is_address_valid(&message->addresses[i]))
            return false;
    return is_payload_valid(message);
}

// A state, not a wish: the last one counts, so none may be lost. Who takes them reads so many a second and no more, and limits what it
// does about them.
static enum ipc_verdict judge_peer(struct ipc_guard *guard, bool is_up)
{
    if (!guard->is_ready || guard->is_peer_up == is_up)
        return IPC_HOSTILE;
    guard->is_peer_up = is_up;
    return IPC_TAKE;
}

enum ipc_verdict ipc_judge(struct ipc_guard *guard, const struct ipc_message *message, uint64_t now_ns)
{
    bool was_ready = guard->is_ready;

    switch (message->kind) {
    case IPC_RESOLVE:
        return bucket_take(&guard->lookups_full_ns, IPC_LOOKUP_EVERY_MS * NS_PER_MS, IPC_LOOKUPS_MAX, now_ns) ? IPC_TAKE : IPC_TOO_OFTEN;
    case IPC_RELOAD:
        return bucket_take(&guard->reloads_full_ns, IPC_RELOAD_EVERY_MS * NS_PER_MS, IPC_RELOADS_MAX, now_ns) ? IPC_TAKE : IPC_TOO_OFTEN;
    case IPC_QUIT: // it could end by itself as well
        return IPC_TAKE;
    case IPC_STATE:
        return bucket_take(&guard->states_full_ns, IPC_STATE_EVERY_MS * NS_PER_MS, IPC_STATES_MAX, now_ns) ? IPC_TAKE : IPC_TOO_OFTEN;
    case IPC_READY:
        guard->is_ready = true;
        return was_ready ? IPC_HOSTILE : IPC_TAKE;
    case IPC_PEER_UP:
    case IPC_PEER_DOWN:
        return judge_peer(guard, message->kind == IPC_PEER_UP);
    default: // only the monitor says that
        return IPC_HOSTILE;
    }
}

int ipc_receive_bytes(int fd, void *bytes, size_t len)
{
    ssize_t got;

    do {
        got = recv(fd, bytes, len, MSG_TRUNC); // MSG_TRUNC: the real length of a longer one
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
    if (got == 0)
        return -EPIPE;
    return got == (ssize_t)len ? 1 : -EBADMSG;
}

int ipc_receive(int fd, struct ipc_message *message)
{
    int got = ipc_receive_bytes(fd, message, sizeof *message);

    return got <= 0 || is_valid(message) ? got : -EBADMSG;
}
