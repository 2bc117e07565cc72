// SPDX-License-Identifier: MIT
/*
 * split: cutting a super-frame: into segments of the tunnel's choosing on their way to the peer, or at gso_size as the kernel would do it,
 * for whoever takes no super-frames.
 *
 * Each piece is a frame of its own: TCP's sequence number, flags, IP ID, lengths and checksums are those that the kernel's own software
 * segmentation gives (tcp_gso_segment, __udp_gso_segment, inet_gso_segment): the IP ID grows by one per gso_size bytes, FIN and PSH stay
 * with the last piece, CWR with the first.
 */
#ifndef ETHERCORD_SPLIT_H
#define ETHERCORD_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/offload.h"
#include "ethercord/packet.h"

enum {
    SEGMENTS_MAX = 63,         // of one run (specification constant: a train has no more)
    SEGMENT_HEADERS_MAX = 255, // bytes of headers in a SEGMENT record (specification constant)
    // The longest super-frame: an IP packet behind an Ethernet header with as many tags as are parsed.
    SUPER_FRAME_MAX = IP_PACKET_MAX + ETHER_HEADER_LEN + FRAME_VLAN_TAGS_MAX * VLAN_TAG_LEN
};

struct super_frame {
    struct packet_view packet;
    const uint8_t *headers; // packet.payload_offset bytes
    const uint8_t *payload;
    size_t payload_len;
    uint16_t gso_size;
};

// False when frame and offload contradict each other. The L4 checksum has to be partial: see packet_reset_checksum().
bool split_parse(struct super_frame *super, const struct frame_view *frame, const struct offload *offload)
    __attribute__((warn_unused_result));

// The next run of segments from `at` bytes into the payload on: `count` segments of `size` bytes of payload, the last with what is left of
// `len`. A run that is not the last one ends at a multiple of gso_size, so that it is a super-frame by itself.
struct split_run {
    size_t at, len;
    uint16_t size;
    uint8_t count;
};
struct split_limits {
    size_t room;       // bytes of body that a datagram takes
    size_t n_segments; // of one run: SEGMENTS_MAX, or less where a train takes less
};
// False when no segment can be made: headers that are too long, or UDP datagrams that are.
bool split_next_run(const struct super_frame *super, size_t at, const struct split_limits *limits, struct split_run *run)
    __attribute__((warn_unused_result));

// Writes the headers of the piece that has `len` bytes of payload from `at` on: packet.payload_offset bytes. Its L4 checksum is partial.
void split_headers(const struct super_frame *super, size_t at, size_t len, uint8_t *out);
// Completes the checksum of such a piece. Zero in TCP stays zero here, where it is 0xffff in a packet that was not cut: the kernel makes
// that difference.
void split_complete(const struct packet_view *packet, uint8_t *headers, const uint8_t *payload, size_t len);
// split_headers() with the checksum completed.
void split_whole_headers(const struct super_frame *super, size_t at, size_t len, uint8_t *out);

#endif
