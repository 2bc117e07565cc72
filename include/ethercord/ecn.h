// SPDX-License-Identifier: MIT
/*
 * ecn: Explicit Congestion Notification of IP packets that are carried in datagrams (RFC 6040, normal mode): the underlay's routers see
 * whether the flow inside understands marks, and their marks reach the hosts of the overlay.
 */
#ifndef ETHERCORD_ECN_H
#define ETHERCORD_ECN_H

#include <stdbool.h>
#include <stdint.h>

#include "ethercord/frame.h"

enum ecn { ECN_NOT_ECT = 0, ECN_ECT1 = 1, ECN_ECT0 = 2, ECN_CE = 3, ECN_MASK = 3 }; // RFC 3168 5

// Of the packet in a frame; ECN_NOT_ECT when there is none.
enum ecn ecn_of(const struct frame_view *frame);
// What becomes of a packet that arrived in a datagram with `outer`: false = drop it (its sender does not understand the mark that it
// ought to get); else `inner` is what the packet has to say (RFC 6040 4.2, figure 4).
bool ecn_decapsulate(enum ecn *inner, enum ecn outer) __attribute__((warn_unused_result));
// Writes it into the packet, IPv4 header checksum included. The frame must be one of which ecn_of() is not ECN_NOT_ECT.
void ecn_set(const struct frame_view *frame, uint8_t *bytes, enum ecn ecn);

#endif
