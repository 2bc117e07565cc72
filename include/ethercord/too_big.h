// SPDX-License-Identifier: MIT
/*
 * too_big: packets for which a TAP's MTU is too small, and what their sender is told: ICMP "fragmentation needed" (RFC 792, RFC 1191 4) and
 * ICMPv6 "packet too big" (RFC 4443 3.2).
 *
 * The answer has the packet's own IP addresses the other way round, as if the far host had sent it, since a cord has no IP address of its
 * own, and its VLAN tags. It comes from a MAC address of the cord: a bridge floods what is for a host that has been silent, and from an
 * answer in that host's name it would learn that the host is behind the cord, though it may be at another port. No I/O, no clock, no heap.
 */
#ifndef ETHERCORD_TOO_BIG_H
#define ETHERCORD_TOO_BIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/frame.h"

// Specification constants, bytes of the answer's whole IP packet.
enum {
    TOO_BIG_IPV4_MAX = 576,                    // RFC 1812 4.3.2.3
    TOO_BIG_IPV6_MAX = 1280,                   // RFC 4443 2.4 (c): the least MTU of IPv6
    TOO_BIG_IPV6_LEAST_MTU = TOO_BIG_IPV6_MAX, // RFC 8201 4: a host discards what says less
    TOO_BIG_FRAME_MAX = ETHER_HEADER_LEN + FRAME_VLAN_TAGS_MAX * VLAN_TAG_LEN + TOO_BIG_IPV6_MAX
};
// Tuning constants: answers, of all senders together.
enum { TOO_BIG_PER_S = 1000, TOO_BIG_BURST = 100 };

// Whether the frame has an IP packet longer than `mtu`, by the length in its IP header as far as the frame has that many bytes. False for
// everything that is no whole IP packet: frame_max_len() is the limit of those, and of what lies behind a packet.
bool too_big_exceeds(const struct frame_view *frame, uint16_t mtu);

// Writes the frame that tells the sender of `frame` about `mtu`, from that MAC address; returns its length, or 0 when there is nothing to
// tell or nobody to be told: packets that fit, and those that may be fragmented on the way (IPv4 without DF); ICMP errors and ICMPv6
// redirects, fragments but the first, group or zero MAC addresses, IP addresses that are no single host's or equal (RFC 1122 3.2.2, RFC
// 4443 2.4 (e)); broken packets; IPv6 where `mtu` is below TOO_BIG_IPV6_LEAST_MTU, which no host may act on.
size_t too_big_answer(const struct frame_view *frame, uint16_t mtu, const struct mac_address *from, uint8_t out[static TOO_BIG_FRAME_MAX]);

// The limit of answers, a token bucket: `full_ns` is the time at which it will be full again, 0 at first. False when it is empty.
bool too_big_take_turn(uint64_t *full_ns, uint64_t now_ns);

#endif
