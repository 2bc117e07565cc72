// SPDX-License-Identifier: MIT
/*
 * packet: see packet.h. IPv4 by RFC 791, IPv6 and its extension headers by RFC 8200 4, UDP by RFC 768, TCP by RFC 9293 3.1.
 */
#include "ethercord/packet.h"

#include "ethercord/bytes.h"
#include "ethercord/checksum.h"

enum {
    IPV4_FRAGMENT_BITS = 0x3fff, // more fragments, and the offset
    IPV6_EXTENSIONS_MAX = 8,     // headers; longer chains are left alone
    TCP_DATA_OFFSET_AT = 12,
    TCP_CHECKSUM_AT = 16,
    UDP_CHECKSUM_AT = 6
};

static bool parse_ipv4(struct packet_view *packet, const uint8_t *ip, size_t left)
{
    if (left < IPV4_HEADER_MIN || ip[0] >> 4 != 4)
        return false;
    size_t header_len = (size_t)(ip[0] & 0x0fU) * 4U, total_len = load_be16(ip + IPV4_LEN_AT);
    if (header_len < IPV4_HEADER_MIN || header_len > left || total_len < header_len)
        return false;
    if ((load_be16(ip + IPV4_FRAGMENT_AT) & IPV4_FRAGMENT_BITS) != 0)
        return false;
    packet->version = 4;
    packet->protocol = ip[IPV4_PROTOCOL_AT];
    packet->l4_offset = (uint16_t)(packet->l3_offset + header_len);
    packet->l4_len = (uint32_t)(total_len - header_len);
    return true;
}

// Those whose length is told in their second byte, in units of 8 (RFC 8200 4.3, 4.4, 4.6). A fragment header is none of them.
static bool is_extension(uint8_t next)
{
    return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS;
}

static bool parse_ipv6(struct packet_view *packet, const uint8_t *ip, size_t left)
{
    if (left < IPV6_HEADER_LEN || ip[0] >> 4 != 6)
        return false;
    size_t payload_len = load_be16(ip + IPV6_LEN_AT), at = IPV6_HEADER_LEN;
    uint8_t next = ip[IPV6_NEXT_AT];
    for (int i = 0; is_extension(next); i++) {
        if (i == IPV6_EXTENSIONS_MAX || left - at < 8)
            return false;
        size_t len = ((size_t)ip[at + 1] + 1) * 8U;
        next = ip[at];
        if (left - at < len)
            return false;
        at += len;
    }
    if (payload_len < at - IPV6_HEADER_LEN)
        return false;
    packet->version = 6;
    packet->protocol = next;
    packet->l4_offset = (uint16_t)(packet->l3_offset + at);
    packet->l4_len = (uint32_t)(payload_len - (at - IPV6_HEADER_LEN));
    return true;
}

static bool parse_l4(struct packet_view *packet, const struct frame_view *frame)
{
    const uint8_t *l4 = frame->bytes + packet->l4_offset;
    size_t left = frame->len - packet->l4_offset, header_len = UDP_HEADER_LEN;

    if (packet->protocol == IPPROTO_TCP) {
        if (left < TCP_HEADER_MIN)
            return false;
        header_len = (size_t)(l4[TCP_DATA_OFFSET_AT] >> 4) * 4U;
        if (header_len < TCP_HEADER_MIN)
            return false;
    } else if (packet->protocol != IPPROTO_UDP) {
        return false;
    }
    if (header_len > left || header_len > packet->l4_len)
        return false;
    packet->payload_offset = (uint16_t)(packet->l4_offset + header_len);
    return true;
}

bool packet_parse(struct packet_view *packet, const struct frame_view *frame)
{
    const uint8_t *ip = frame->bytes + frame->l3_offset;
    size_t left = frame->len - frame->l3_offset;
    bool is_ip = false;

    *packet = (struct packet_view){.l3_offset = (uint16_t)frame->l3_offset};
    if (frame->ether_type == ETHER_TYPE_IPV4)
        is_ip = parse_ipv4(packet, ip, left);
    else if (frame->ether_type == ETHER_TYPE_IPV6)
        is_ip = parse_ipv6(packet, ip, left);
    return is_ip && parse_l4(packet, frame);
}

uint16_t packet_checksum_offset(const struct packet_view *packet)
{
    return packet->protocol == IPPROTO_TCP ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT;
}

struct offload packet_partial(const struct packet_view *packet)
{
    return (struct offload){.is_partial = true, .checksum_start = packet->l4_offset, .checksum_offset = packet_checksum_offset(packet)};
}

void packet_reset_checksum(const struct packet_view *packet, uint8_t *headers)
{
    const uint8_t *ip = headers + packet->l3_offset;
    uint64_t sum = packet->version == 4
                       ? checksum_pseudo_ipv4(ip + IPV4_SOURCE_AT, ip + IPV4_SOURCE_AT + IPV4_LEN, packet->protocol, packet->l4_len)
                       : checksum_pseudo_ipv6(ip + IPV6_SOURCE_AT, ip + IPV6_SOURCE_AT + IPV6_LEN, packet->protocol, packet->l4_len);

    store_be16(headers + packet->l4_offset + packet_checksum_offset(packet), (uint16_t)~checksum_finish(sum));
}

void packet_resize(struct packet_view *packet, uint8_t *headers, size_t l4_len)
{
    uint8_t *ip = headers + packet->l3_offset, *l4 = headers + packet->l4_offset;
    size_t ip_header_len = (size_t)packet->l4_offset - packet->l3_offset;

    if (packet->version == 4) {
        store_be16(ip + IPV4_LEN_AT, (uint16_t)(ip_header_len + l4_len));
        store_be16(ip + IPV4_CHECKSUM_AT, 0);
        store_be16(ip + IPV4_CHECKSUM_AT, checksum_finish(checksum_add(0, ip, ip_header_len)));
    } else {
        store_be16(ip + IPV6_LEN_AT, (uint16_t)(ip_header_len - IPV6_HEADER_LEN + l4_len));
    }
    if (packet->protocol == IPPROTO_UDP)
        store_be16(l4 + UDP_LEN_AT, (uint16_t)l4_len);
    // The length is one of the words that went into the pseudo-header's sum.
    uint8_t *checksum = l4 + packet_checksum_offset(packet);
    store_be16(checksum, checksum_replace(load_be16(checksum), (uint16_t)packet->l4_len, (uint16_t)l4_len));
    packet->l4_len = (uint32_t)l4_len;
}

void packet_complete(const struct packet_view *packet, uint8_t *headers, const uint8_t *payload, size_t len)
{
    uint8_t *l4 = headers + packet->l4_offset;
    uint64_t sum = checksum_add(0, l4, (size_t)packet->payload_offset - packet->l4_offset); // of even length

    uint16_t checksum = checksum_finish(checksum_add(sum, payload, len));
    store_be16(l4 + packet_checksum_offset(packet), checksum ? checksum : UINT16_MAX);
}
