// SPDX-License-Identifier: MIT
/*
 * node: one running instance: its devices, its three pipelines, and the rings between them. No global state: make as many as you like.
 *
 * The application (or a simulator) owns three threads of control and calls node_run_main(), node_run_tx() and node_run_rx() from them, each
 * only from its own. `wake` says that a thread has something to do; `event` is called on the main one.
 */
#ifndef ETHERCORD_NODE_H
#define ETHERCORD_NODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/drop.h"
#include "ethercord/fragment.h"
#include "ethercord/handshake.h"
#include "ethercord/node_settings.h"
#include "ethercord/peer.h"
#include "ethercord/ring.h"
#include "ethercord/rx.h"
#include "ethercord/shortcut.h"
#include "ethercord/tap.h"
#include "ethercord/timers.h"
#include "ethercord/tx.h"
#include "ethercord/udp.h"

enum node_thread { NODE_MAIN, NODE_TX, NODE_RX, NODE_THREADS };

struct node_config {
    struct peer_self self; // secret
    bool has_peer;
    struct peer_config peer;             // secret
    struct shortcut_config shortcut;     // n_addresses = 0: none
    struct reassembly_limits reassembly; // the node sets frame_len_max (what the TAP can take), and secret
    bool is_carrier_peer_up;             // the TAP has a carrier only while the peer is up
};

struct node_hooks {
    void *ctx;
    void (*wake)(void *ctx, enum node_thread thread);                                               // any thread
    void (*event)(void *ctx, enum handshake_event event, const struct shortcut_conflict *conflict); // on main
    void (*echoed)(void *ctx, const uint8_t id[static WIRE_TOKEN_LEN], uint64_t now_ns);            // on main; NULL = not wanted
    struct random_source random;
};

// What has to lie in locked memory.
struct node_secrets {
    _Alignas(64) struct keystore keystore;
    struct peer_self self;
    struct peer peer;
};

struct node {
    struct node_hooks hooks;
    struct node_secrets *secrets;
    struct tap *tap;
    bool has_peer;
    bool is_carrier_peer_up;
    bool is_announcing_at_start;
    atomic_bool is_peer_up;
    struct activity activity;
    struct counters counters[NODE_THREADS];
    struct ring orders_tx, orders_rx, records, reports_tx, reports_rx, hints_tx, hints_rx, cookie_requests;
    struct handshake handshake;
    struct node_settings settings;           // of the last reload …
    bool owes_settings_tx, owes_settings_rx; // … which a thread has not been told yet
    struct tx tx;
    struct rx rx;
    void *reassembly_memory;
};

struct node_devices {
    struct tap *tap;
    struct udp *udp; // two of them: IPv4, IPv6; family AF_UNSPEC = there is none
};

// Start-up only. The devices must outlive the node. The caller wipes `config` afterwards. Returns 0 or negative errno (-ENOMEM; -EPERM:
// memory can't be locked; -EINVAL: no
// frame fits config->reassembly); then node_deinit() must not be called.
int node_init(struct node *node, const struct node_config *config, const struct node_devices *devices, const struct node_hooks *hooks,
              uint64_t now_ns);
// All threads must have ended.
void node_deinit(struct node *node);

// Once, before the threads start: the memory that datagrams are received into becomes resident, so that no flood makes it grow.
void node_touch_memory(struct node *node);
// Before the threads start: announcements, and no carrier if it depends on the peer.
void node_start(struct node *node, uint64_t now_ns);
// A turn of each thread. Deadlines are boot-time ns, 0 = none.
uint64_t node_run_main(struct node *node, uint64_t now_ns, uint64_t wall_ns);
enum tx_wait node_run_tx(struct node *node, bool is_readable, uint64_t now_ns, uint64_t *deadline_ns);
// which: 0 or 1 = receive from that socket, -1 = orders and what is due only. False: that socket may have more.
bool node_run_rx(struct node *node, int which, uint64_t now_ns, uint64_t *deadline_ns);

// On main.
void node_stop(struct node *node, uint64_t now_ns, uint64_t wall_ns);
void node_set_addresses(struct node *node, const struct addr *addresses, size_t n, uint64_t now_ns);
// The node runs on with another configuration: `config` as for node_init(), of which its own keys, the TAP's MTU and MAC address, and the
// memory for reassembly can't change any more and are not looked at. Nothing happens to what is as it was before. `is_elsewhere`: the
// endpoint's name is another one than before. A peer with another public key is another peer: goodbye, and a new beginning.
void node_reconfigure(struct node *node, const struct node_config *config, bool is_elsewhere, uint64_t now_ns, uint64_t wall_ns);
// An echo to the peer: `echoed` says when it is answered. The id is to be unguessable. False: there is no session to send it in.
bool node_send_echo(struct node *node, const uint8_t id[static WIRE_TOKEN_LEN], uint64_t now_ns);
// Somebody looks at the peer: the round trip is measured more often for some seconds.
void node_watch(struct node *node, uint64_t now_ns);
// What the way to the peer was like over that span. There must be a peer.
void node_look(const struct node *node, enum quality_span span, uint64_t now_ns, struct quality_change *change);
// NULL when there is no peer.
const struct peer *node_peer(const struct node *node);
void node_count(const struct node *node, struct counters *sum);

#endif
