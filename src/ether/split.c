// SPDX-License-Identifier: MIT
/*
 * split: see split.h.
 */
#include "ethercord/split.h"

#include <string.h>

#include "ethercord/bytes.h"

static bool kind_agrees(enum super_kind kind, const struct packet_view *packet)
{
    switch (kind) {
    case SUPER_TCP4:
        return packet->protocol == IPPROTO_TCP && packet->version == 4;
    case SUPER_TCP6:
        return packet->protocol == IPPROTO_TCP && packet->version == 6;
    case SUPER_UDP:
        return packet->protocol == IPPROTO_UDP;
    case SUPER_NONE:
    case SUPER_UNKNOWN:
        break;
    }
    return false;
}

static bool checksum_agrees(const struct offload *offload, const struct packet_view *packet)
{
    return !offload->is_partial ||
           (offload->checksum_start == packet->l4_offset && offload->checksum_offset == packet_checksum_offset(packet));
}

bool split_parse(struct super_frame *super, const struct frame_view *frame, const struct offload *offload)
{
    struct packet_view *packet = &super->packet;

    if (!packet_parse(packet, frame) || !kind_agrees(offload->kind, packet) || !checksum_agrees(offload, packet))
        return false;
    if (packet->l4_len != frame->len - packet->l4_offset)
        return false;
    super->headers = frame->bytes;
    super->payload = frame->bytes + packet->payload_offset;
    super->payload_len = frame->len - packet->payload_offset;
    super->gso_size = offload->gso_size;
    return super->payload_len > 0;
}

bool split_next_run(const struct super_frame *super, size_t at, const struct split_limits *limits, struct split_run *run)
{
    size_t room = limits->room, headers_len = super->packet.payload_offset, gso_size = super->gso_size;

    if (headers_len > SEGMENT_HEADERS_MAX || headers_len >= room)
        return false;
    size_t size = room - headers_len < gso_size ? room - headers_len : gso_size;
    if (super->packet.protocol == IPPROTO_UDP && size < gso_size)
        return false; // a datagram is not cut
    size_t left = super->payload_len - at, most = limits->n_segments * size;
    if (left > most) {
        left = most / gso_size * gso_size;
        if (left == 0)
            return false;
    }
    *run = (struct split_run){.at = at, .len = left, .size = (uint16_t)size, .count = (uint8_t)((left + size - 1) / size)};
    return true;
}

static void patch_tcp(const struct super_frame *super, size_t at, size_t len, uint8_t *tcp)
{
    store_be32(tcp + TCP_SEQUENCE_AT, load_be32(tcp + TCP_SEQUENCE_AT) + (uint32_t)at);
    if (at > 0)
        tcp[TCP_FLAGS_AT] &= (uint8_t)~TCP_CWR;
    if (at + len < super->payload_len)
        tcp[TCP_FLAGS_AT] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
}

void split_headers(const struct super_frame *super, size_t at, size_t len, uint8_t *out)
{
    struct packet_view packet = super->packet;
    uint8_t *id = out + packet.l3_offset + IPV4_ID_AT;

    memcpy(out, super->headers, packet.payload_offset);
    if (packet.version == 4)
        store_be16(id, (uint16_t)(load_be16(id) + at / super->gso_size));
    if (packet.protocol == IPPROTO_TCP)
        patch_tcp(super, at, len, out + packet.l4_offset);
    packet_resize(&packet, out, (size_t)packet.payload_offset - packet.l4_offset + len);
}

void split_complete(const struct packet_view *packet, uint8_t *headers, const uint8_t *payload, size_t len)
{
    uint8_t *checksum = headers + packet->l4_offset + packet_checksum_offset(packet);

    packet_complete(packet, headers, payload, len);
    if (packet->protocol == IPPROTO_TCP && load_be16(checksum) == UINT16_MAX)
        store_be16(checksum, 0);
}

void split_whole_headers(const struct super_frame *super, size_t at, size_t len, uint8_t *out)
{
    split_headers(super, at, len, out);
    split_complete(&super->packet, out, super->payload + at, len);
}
