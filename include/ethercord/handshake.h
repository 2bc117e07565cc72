// SPDX-License-Identifier: MIT
/*
 * handshake: the main thread's part of the datapath: handshake messages in and out, and the peer's state machine made real.
 *
 * Takes the reports of tx and rx, feeds them to peer.h, and carries out the acts that come back: as orders to tx and rx, datagrams (the
 * main thread sends handshake messages itself), and events for the application.
 */
#ifndef ETHERCORD_HANDSHAKE_H
#define ETHERCORD_HANDSHAKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ethercord/cookie.h"
#include "ethercord/drop.h"
#include "ethercord/log.h"
#include "ethercord/peer.h"
#include "ethercord/random.h"
#include "ethercord/ring.h"
#include "ethercord/rx.h"
#include "ethercord/shortcut.h"
#include "ethercord/udp.h"

enum handshake_event {
    HANDSHAKE_PEER_UP,
    HANDSHAKE_PEER_DOWN,
    HANDSHAKE_PATH_FOUND, // the path MTU is known: peer->pmtu.size
    HANDSHAKE_BLACK_HOLE, // packets of a size that passed before vanish; smaller ones are sent
    HANDSHAKE_RESOLVE,    // look the peer's endpoint up, then call node_set_addresses()
    HANDSHAKE_CONFLICT    // somebody else uses the shortcut's address
};

enum { COOKIE_REPLIES_MAX = UDP_BATCH_MAX };
// Room for those of one turn; holds nothing between two.
struct cookie_replies {
    uint8_t random[COOKIE_REPLIES_MAX][56];
    uint8_t bytes[COOKIE_REPLIES_MAX][WIRE_COOKIE_REPLY_LEN];
    struct udp_train trains[COOKIE_REPLIES_MAX];
};

struct handshake {
    const struct peer_self *self;
    struct peer *peer; // NULL = none is configured
    struct udp *udp;   // two of them: IPv4, IPv6
    struct counters *counters;
    struct activity *activity;
    const _Atomic uint32_t *rekey_index;
    atomic_bool *is_peer_up;
    struct random_source random;
    struct ring *orders_tx, *orders_rx;
    struct ring *reports[2], *hints[2]; // of tx, of rx
    void (*event)(void *ctx, enum handshake_event event, const struct shortcut_conflict *conflict);
    // An echo of the application's own was answered; NULL = there are none.
    void (*echoed)(void *ctx, const uint8_t id[static WIRE_TOKEN_LEN], uint64_t now_ns);
    void *event_ctx;

    const struct counters *tx_counters;
    const struct rx *rx;            // what it has counted
    struct quality_past past;       // of the peer
    struct ring *cookie_requests;   // of rx
    _Atomic uint32_t pending_index; // of our initiation that waits for its response, for rx; 0 = none
    struct cookie_checker checker;  // gives cookies out; rx looks at them when they come back
    uint64_t told_secret_ns;        // birth of the secret that rx has; 0 = none
    struct cookie_replies replies;
    struct peer_acts acts;
    struct log_limit send_failed, under_load;
    bool is_tx_sharing;      // as tx was told last
    bool needs_tx, needs_rx; // somebody has to be woken at the end of the turn
};

// The references are filled in by the caller before.
void handshake_init(struct handshake *handshake, uint64_t now_ns);
void handshake_deinit(struct handshake *handshake);

// Everything that has arrived and everything that is due; returns the next deadline.
uint64_t handshake_run(struct handshake *handshake, uint64_t now_ns, uint64_t wall_ns);
// Says goodbye to the peer, if there is a session; the datagram leaves with tx's next turn.
void handshake_stop(struct handshake *handshake, uint64_t now_ns, uint64_t wall_ns);
// An echo to the peer; `echoed` says when it is answered. False: there is no session to send it in.
bool handshake_send_echo(struct handshake *handshake, const uint8_t id[static WIRE_TOKEN_LEN], uint64_t now_ns);
// What the way to the peer was like over that span. There must be a peer.
void handshake_look(const struct handshake *handshake, enum quality_span span, uint64_t now_ns, struct quality_change *change);
void handshake_set_addresses(struct handshake *handshake, const struct addr *addresses, size_t n, uint64_t now_ns);

#endif
