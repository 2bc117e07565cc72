// SPDX-License-Identifier: MIT
/*
 * ipc: what monitor and worker tell each other over their socketpair: messages of one fixed size, each a datagram (SOCK_SEQPACKET).
 *
 * The worker reads what strangers send, so the monitor takes nothing from it on trust: ipc_receive() validates every field, and what a
 * message asks for is bounded by the monitor's own configuration (it resolves its own name, not one that it is told).
 */
#ifndef ETHERCORD_DAEMON_IPC_H
#define ETHERCORD_DAEMON_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/addr.h"
#include "ethercord/config_change.h"
#include "ethercord/peer.h"

enum ipc_kind {
    IPC_READY = 1, // worker: confined and running
    IPC_RESOLVE,   // worker: look the peer's endpoint up
    IPC_ADDRESSES, // monitor: the answer, perhaps with none
    IPC_PEER_UP,   // worker: a state, told when it has changed; with the endpoint, if there is one
    IPC_PEER_DOWN, // the same
    IPC_STOP,      // monitor: say goodbye and end
    IPC_STATE,     // worker: how it is, in a line for the service manager
    IPC_QUIT,      // worker: somebody who may wants the instance to stop
    IPC_RELOAD,    // worker: read the configuration again, and tell; reload.is_trial: change nothing
    IPC_SETTINGS,  // monitor: what is in force from now on. Secret
    IPC_LINE,      // monitor: one line of the answer to IPC_RELOAD
    IPC_RELOADED,  // monitor: the end of the answer
    IPC_KIND_COUNT
};

enum { IPC_LINE_CAP = CONFIG_CHANGE_CAP };
enum ipc_line { IPC_LINE_CHANGED, IPC_LINE_NEEDS_RESTART, IPC_LINE_ERROR, IPC_LINE_WARNING, IPC_LINE_COUNT };
enum ipc_result {
    IPC_RESULT_DONE,    // a trial included
    IPC_RESULT_INVALID, // the file: nothing has changed
    IPC_RESULT_FAILED,  // it could not be read, or not be put into force: nothing has changed
    IPC_RESULT_COUNT
};
enum { IPC_TEXT_CAP = 256 };

struct ipc_message {
    uint32_t kind;
    uint32_t id; // IPC_RELOAD, and the answer to it
    uint32_t n_addresses;
    uint32_t reason; // IPC_PEER_…: an enum peer_reason
    union {          // by kind; what is not named here has nothing more to say
        struct addr addresses[PEER_ADDRESSES_MAX];
        char text[IPC_TEXT_CAP]; // IPC_STATE: printable ASCII, with a NUL behind it
        struct {
            bool is_trial;
        } reload; // IPC_RELOAD
        struct {
            bool is_elsewhere; // Endpoint is another one
            struct config_live live;
        } settings; // IPC_SETTINGS
        struct {
            uint32_t what; // enum ipc_line
            char text[IPC_LINE_CAP];
        } line;          // IPC_LINE: printable, with a NUL behind it
        uint32_t result; // IPC_RELOADED: enum ipc_result
    };
};

// What the monitor takes from its worker, on top of what ipc_receive() looks at. Starts out zeroed.
struct ipc_guard {
    bool is_ready;
    bool is_peer_up;
    uint64_t lookups_full_ns; // buckets
    uint64_t states_full_ns;
    uint64_t reloads_full_ns;
};
enum ipc_verdict {
    IPC_TAKE,
    IPC_TOO_OFTEN, // not now
    IPC_HOSTILE    // no worker of ours says that
};
enum { IPC_LOOKUPS_MAX = 8, IPC_LOOKUP_EVERY_MS = 1000 }; // a worker asks each 15 s
enum { IPC_STATES_MAX = 4, IPC_STATE_EVERY_MS = 500 };    // a worker tells one a second
enum { IPC_RELOADS_MAX = 32, IPC_RELOAD_EVERY_MS = 5 };   // a worker asks one after the other, and half as often (reload_requests.c)
enum ipc_verdict ipc_judge(struct ipc_guard *guard, const struct ipc_message *message, uint64_t now_ns);

// Both ends non-blocking and close-on-exec. Returns 0 or negative errno.
int ipc_pair(int fds[static 2]);
// The two below, for messages of another kind over such a pair.
int ipc_send_bytes(int fd, const void *bytes, size_t len);
int ipc_receive_bytes(int fd, void *bytes, size_t len);
// Returns 0 or negative errno; -EAGAIN: the other end is not reading.
int ipc_send(int fd, const struct ipc_message *message);
// Returns 1 with a valid message, 0 = would block, -EPIPE = the other end is gone, -EBADMSG = not one of ours (skip it), other errno.
int ipc_receive(int fd, struct ipc_message *message);

#endif
