// SPDX-License-Identifier: MIT
/*
 * What the files of the main thread's part share: handshake.c (reports, handshake messages, acts), handshake_cookies.c (cookie replies),
 * handshake_settings.c and node_settings.c (another configuration).
 */
#ifndef ETHERCORD_HANDSHAKE_PRIVATE_H
#define ETHERCORD_HANDSHAKE_PRIVATE_H

#include "ethercord/handshake.h"
#include "ethercord/node.h"
#include "messages.h"

void handshake_order_tx(struct handshake *handshake, const struct order *order);
void handshake_order_rx(struct handshake *handshake, const struct order *order);
// What comes with each event of the peer, which there is.
struct peer_input handshake_input(const struct handshake *handshake, uint64_t now_ns, uint64_t wall_ns);
void handshake_carry_out(struct handshake *handshake, uint64_t now_ns);

// handshake_settings.c
// There is no peer any more; it may be wiped.
void handshake_end_peer(struct handshake *handshake, uint64_t now_ns, uint64_t wall_ns);
void handshake_change_peer(struct handshake *handshake, const struct peer_config *config, bool is_elsewhere, uint64_t now_ns);
void handshake_refresh_peer(struct handshake *handshake, uint64_t now_ns);

// node_settings.c
// Tells tx and rx what they are owed; returns when to try again.
uint64_t node_tell_settings(struct node *node, uint64_t now_ns);
// One batch of cookie replies. Returns whether there are more to be made.
bool handshake_answer_requests(struct handshake *handshake, uint64_t now_ns);

#endif
