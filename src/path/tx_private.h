// SPDX-License-Identifier: MIT
/*
 * What the files of the tx pipeline share: tx.c (turns, orders, steps 1 to 4), tx_too_big.c (what the far TAP has no room for), tx_cut.c (5
 * to 7: frames become sealed datagrams), tx_send.c (8: trains).
 */
#ifndef ETHERCORD_TX_PRIVATE_H
#define ETHERCORD_TX_PRIVATE_H

#include "ethercord/frame.h"
#include "ethercord/peer.h"
#include "ethercord/tx.h"

// tx.c
void tx_set_path_mtu(struct tx *tx, uint16_t path_mtu);
// tx_too_big.c. Whether the peer's TAP has no room for a frame.
bool tx_is_too_big(const struct tx *tx, const struct frame_view *frame);
// Drops such a frame and tells its sender.
void tx_drop_too_big(struct tx *tx, struct tap_read *read, const struct frame_view *frame, uint64_t now_ns);
// The same for the super-frame in tx->cut, whose L4 checksum is partial: what counts is the length of its segments.
bool tx_is_super_too_big(const struct tx *tx);
void tx_drop_super_too_big(struct tx *tx, uint64_t now_ns);

// tx_cut.c. Whether there is room for all that one call of the functions below makes of the longest frame.
bool tx_has_room(const struct tx *tx);
// A frame to the peer, in a datagram of its own, in pieces, or together with others. Its bytes are not needed any more afterwards.
void tx_send_frame(struct tx *tx, const struct tx_frame *frame, uint64_t now_ns);
// Begins with a super-frame; its bytes must stay until tx_go_on_cutting() has returned false. Counts it as dropped when it is none, or when
// its segments are too big.
void tx_begin_cutting(struct tx *tx, const struct frame_view *view, const struct tap_read *read, uint64_t now_ns);
// One more run. False when nothing is left.
bool tx_go_on_cutting(struct tx *tx, uint64_t now_ns);
// Seals the small frames that wait for more of them.
void tx_close_open(struct tx *tx, uint64_t now_ns);
// One record, or none (a keepalive), in a datagram of its own. Nothing when there is no keypair or nowhere to send it to. Uses frame_buf.
void tx_send_control(struct tx *tx, const struct peer_control *control, uint64_t now_ns);

// tx_send.c. The peer need not miss that one, sealed under the present key (or just before): it may not get there, or does not leave.
void tx_excuse(struct tx *tx, struct tx_datagram *datagram);
// True when all is sent; else what to wait for.
bool tx_flush(struct tx *tx, enum tx_wait *wait, uint64_t now_ns);

#endif
