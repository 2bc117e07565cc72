// SPDX-License-Identifier: MIT
/*
 * What the files of the rx pipeline share: rx.c (orders, steps 1 to 6, control records), rx_deliver.c (7 to 9: frames into the TAP),
 * rx_handshake.c (handshake messages).
 */
#ifndef ETHERCORD_RX_PRIVATE_H
#define ETHERCORD_RX_PRIVATE_H

#include "ethercord/rx.h"
#include "messages.h"

// Tells main; false when the ring is full.
bool rx_hint(struct rx *rx, const struct report *message, const void *bytes, size_t len);

// rx_handshake.c. They take a datagram that was classified as such a message, and return DROP_COUNT, or why main does not get it.
enum drop_reason rx_take_initiation(struct rx *rx, const struct rx_datagram *datagram, uint64_t now_ns);
enum drop_reason rx_take_response(struct rx *rx, const struct rx_datagram *datagram, uint64_t now_ns);
enum drop_reason rx_take_cookie_reply(struct rx *rx, const struct rx_datagram *datagram, uint64_t now_ns);

// rx_deliver.c. They return DROP_COUNT, or why the record was dropped.
enum drop_reason rx_take_frame(struct rx *rx, const struct record *record, uint8_t outer_ecn, uint64_t now_ns);
enum drop_reason rx_take_segment(struct rx *rx, const struct record *record, const struct rx_datagram *datagram, uint64_t now_ns);
void rx_take_fragment(struct rx *rx, const struct record *record, const struct rx_datagram *datagram, uint64_t now_ns);
// Nothing more has arrived: writes of what was rejoined so far what can't be cut any better later.
void rx_rest(struct rx *rx, uint64_t now_ns);
// Writes all of it. No run is open then.
void rx_finish_run(struct rx *rx, uint64_t now_ns);
// All that the shortcut has to say to the peer.
void rx_answer_peer(struct rx *rx);
// To tx, the only one that sends data messages. False when its ring is full.
bool rx_send_record(struct rx *rx, const struct record_header *header, const uint8_t *body, size_t len);

#endif
