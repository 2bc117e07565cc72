// SPDX-License-Identifier: MIT
/*
 * packet: a TCP or UDP packet over IPv4 or IPv6 inside a frame: where its headers are, and how to give it another length. Everything that
 * cuts, rejoins or leaves checksums undone works on what is parsed here, from the frame's own bytes, never on what somebody says about it.
 */
#ifndef ETHERCORD_PACKET_H
#define ETHERCORD_PACKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/frame.h"
#include "ethercord/offload.h"

enum { TCP_HEADER_MIN = 20, UDP_HEADER_LEN = 8, IPV4_HEADER_MIN = 20, IPV6_HEADER_LEN = 40, IP_PACKET_MAX = 65535 };
// Where fields are in their headers.
enum {
    IPV4_TOS_AT = 1,
    IPV4_LEN_AT = 2,
    IPV4_ID_AT = 4,
    IPV4_FRAGMENT_AT = 6,
    IPV4_PROTOCOL_AT = 9,
    IPV4_CHECKSUM_AT = 10,
    IPV4_SOURCE_AT = 12,
    IPV6_LEN_AT = 4,
    IPV6_NEXT_AT = 6,
    IPV6_SOURCE_AT = 8,
    UDP_LEN_AT = 4,
    TCP_SEQUENCE_AT = 4,
    TCP_FLAGS_AT = 13
};
enum tcp_flag { TCP_FIN = 0x01, TCP_PSH = 0x08, TCP_CWR = 0x80 }; // of byte 13 of the TCP header (RFC 9293 3.1)

// All offsets from the start of the frame, bytes.
struct packet_view {
    uint8_t version;         // 4 or 6
    uint8_t protocol;        // IPPROTO_TCP or IPPROTO_UDP
    uint16_t l3_offset;      // IP header
    uint16_t l4_offset;      // TCP or UDP header, behind IPv4 options or IPv6 extension headers
    uint16_t payload_offset; // what follows it
    uint32_t l4_len;         // TCP or UDP header and payload, as the IP header says: may be more than the frame holds
};

// False for all that is not a whole chain of headers up to the end of a TCP or UDP header: other protocols, IP fragments, headers that are
// cut off or that the packet's own length does not cover.
bool packet_parse(struct packet_view *packet, const struct frame_view *frame) __attribute__((warn_unused_result));

// Offset of the L4 checksum from l4_offset.
uint16_t packet_checksum_offset(const struct packet_view *packet);
// What is undone in a frame whose L4 checksum is partial, and nothing else.
struct offload packet_partial(const struct packet_view *packet);
// Makes a partial checksum of one that is whole: the sum of the pseudo-header.
void packet_reset_checksum(const struct packet_view *packet, uint8_t *headers);

// Writes what follows from another length: IP length, IPv4 header checksum, UDP length; a partial L4 checksum is moved along with
// it (so it stays right whatever addresses went into it: RFC 8200 8.1 has it take the last address of a routing header). `headers` are the
// bytes of the frame up to payload_offset. packet->l4_len is what they say now, and then l4_len; l3 and l4 together are at most
// IP_PACKET_MAX.
void packet_resize(struct packet_view *packet, uint8_t *headers, size_t l4_len);
// Turns the partial L4 checksum in `headers` into a whole one, over the payload that lies elsewhere.
void packet_complete(const struct packet_view *packet, uint8_t *headers, const uint8_t *payload, size_t len);

#endif
