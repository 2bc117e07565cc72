// SPDX-License-Identifier: MIT
/*
 * too_big: see too_big.h. First the frame is read into a `struct ip_packet`, with every length checked; then it is judged whether its
 * sender may be told; then the answer is written. What is quoted is the packet from its IP header on, as much of it as the answer's limit
 * allows.
 */
#include "ethercord/too_big.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "ethercord/bucket.h"
#include "ethercord/bytes.h"
#include "ethercord/checksum.h"
#include "ethercord/clock.h"
#include "ethercord/packet.h"

enum {
    IPV4_DONT_FRAGMENT = 0x4000,
    IPV4_OFFSET_BITS = 0x1fff,
    IPV4_TTL_AT = 8,
    IPV4_DESTINATION_AT = 16,
    IPV6_HOP_LIMIT_AT = 7,
    IPV6_DESTINATION_AT = 24,
    IPV6_EXTENSION_MIN = 8,
    IPV6_EXTENSIONS_MAX = 8, // headers; who sends more is not answered
    IPV6_FRAGMENT_OFFSET_BITS = 0xfff8,
    IPV6_GROUP = 0xff, // first byte
    ICMP_HEADER_LEN = 8,
    ICMP_CHECKSUM_AT = 2,
    ICMP_MTU_AT = 6,   // two bytes (RFC 1191 4)
    ICMPV6_MTU_AT = 4, // four bytes (RFC 4443 3.2)
    ICMPV6_FIRST_INFORMATIONAL = 128,
    TOS_INTERNETWORK_CONTROL = 0xc0, // RFC 1812 4.3.2.5
    HOP_LIMIT = 64
};

struct ip_packet {
    uint8_t version;     // 4 or 6
    uint8_t protocol;    // behind extension headers
    const uint8_t *ip;   // its header; there are `len` bytes
    size_t len;          // of the whole packet
    size_t l4_at;        // from ip on; <= len
    bool is_cuttable;    // routers may cut it
    bool is_later_piece; // a fragment, and not the first
};

/* ---- reading ---- */

static bool read_ipv4(struct ip_packet *packet, size_t left)
{
    const uint8_t *ip = packet->ip;

    if (left < IPV4_HEADER_MIN || ip[0] >> 4 != 4)
        return false;
    size_t header_len = (size_t)(ip[0] & 0x0fU) * 4U, len = load_be16(ip + IPV4_LEN_AT);
    if (header_len < IPV4_HEADER_MIN || len < header_len || len > left)
        return false;
    unsigned fragment = load_be16(ip + IPV4_FRAGMENT_AT);
    packet->version = 4;
    packet->len = len;
    packet->l4_at = header_len;
    packet->protocol = ip[IPV4_PROTOCOL_AT];
    packet->is_cuttable = !(fragment & IPV4_DONT_FRAGMENT);
    packet->is_later_piece = (fragment & IPV4_OFFSET_BITS) != 0;
    return true;
}

static bool read_ipv6(struct ip_packet *packet, size_t left)
{
    const uint8_t *ip = packet->ip;

    if (left < IPV6_HEADER_LEN || ip[0] >> 4 != 6)
        return false;
    size_t len = IPV6_HEADER_LEN + (size_t)load_be16(ip + IPV6_LEN_AT);
    if (len > left)
        return false;
    packet->version = 6;
    packet->len = len;
    packet->l4_at = IPV6_HEADER_LEN;
    packet->protocol = ip[IPV6_NEXT_AT];
    return true;
}

// False when there is no whole IP packet in the frame.
static bool read_packet(struct ip_packet *packet, const struct frame_view *frame)
{
    size_t left = frame->len - frame->l3_offset;

    *packet = (struct ip_packet){.ip = frame->bytes + frame->l3_offset};
    if (frame->ether_type == ETHER_TYPE_IPV4)
        return read_ipv4(packet, left);
    return frame->ether_type == ETHER_TYPE_IPV6 && read_ipv6(packet, left);
}

// RFC 8200 4, RFC 4302. Behind an ESP header nothing can be read.
static bool is_extension(uint8_t next)
{
    return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS || next == IPPROTO_FRAGMENT || next == IPPROTO_AH;
}

// Of one that has at least IPV6_EXTENSION_MIN bytes at `at`.
static size_t extension_len(uint8_t next, const uint8_t *at)
{
    if (next == IPPROTO_FRAGMENT)
        return IPV6_EXTENSION_MIN;
    return next == IPPROTO_AH ? (at[1] + 2U) * 4U : (at[1] + 1U) * 8U;
}

// Goes through the extension headers to what is behind them. False when they end nowhere.
static bool follow_extensions(struct ip_packet *packet)
{
    for (int i = 0; is_extension(packet->protocol); i++) {
        const uint8_t *at = packet->ip + packet->l4_at;
        size_t left = packet->len - packet->l4_at;
        if (i == IPV6_EXTENSIONS_MAX || left < IPV6_EXTENSION_MIN)
            return false;
        size_t len = extension_len(packet->protocol, at);
        if (len > left)
            return false;
        if (packet->protocol == IPPROTO_FRAGMENT && (load_be16(at + 2) & IPV6_FRAGMENT_OFFSET_BITS) != 0) {
            packet->is_later_piece = true;
            return true;
        }
        packet->protocol = at[0];
        packet->l4_at += len;
    }
    return true;
}

/* ---- judging ---- */

static bool is_host_mac(const struct mac_address *mac)
{
    return !mac_is_group(mac) && !mac_is_zero(mac);
}

// Neither "this host", nor loopback, nor multicast, reserved or broadcast (RFC 1122 3.2.1.3). A subnet's broadcast is not to be told from
// here; its MAC address is a group's.
static bool is_host_ipv4(const uint8_t *address)
{
    return address[0] != 0 && address[0] != 127 && address[0] < 224;
}

static bool is_host_ipv6(const uint8_t *address)
{
    static const uint8_t zero[IPV6_LEN - 1];
    bool is_unspecified_or_loopback = memcmp(address, zero, sizeof zero) == 0 && address[IPV6_LEN - 1] <= 1;

    return address[0] != IPV6_GROUP && !is_unspecified_or_loopback;
}

// Errors about errors would never end.
static bool is_icmp_error(uint8_t type)
{
    return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT || type == ICMP_TIME_EXCEEDED ||
           type == ICMP_PARAMETERPROB;
}

static bool may_tell_ipv4(const struct ip_packet *packet)
{
    const uint8_t *ip = packet->ip, *src = ip + IPV4_SOURCE_AT, *dst = ip + IPV4_DESTINATION_AT;

    if (packet->is_cuttable || packet->is_later_piece || checksum_finish(checksum_add(0, ip, packet->l4_at)) != 0)
        return false;
    if (packet->protocol == IPPROTO_ICMP && (packet->l4_at == packet->len || is_icmp_error(ip[packet->l4_at])))
        return false;
    return is_host_ipv4(src) && is_host_ipv4(dst) && memcmp(src, dst, IPV4_LEN) != 0;
}

static bool may_tell_ipv6(struct ip_packet *packet, uint16_t mtu)
{
    const uint8_t *ip = packet->ip, *src = ip + IPV6_SOURCE_AT, *dst = ip + IPV6_DESTINATION_AT;

    if (mtu < TOO_BIG_IPV6_LEAST_MTU || !follow_extensions(packet) || packet->is_later_piece)
        return false;
    if (packet->protocol == IPPROTO_ICMPV6 && packet->l4_at == packet->len)
        return false;
    if (packet->protocol == IPPROTO_ICMPV6 && (ip[packet->l4_at] < ICMPV6_FIRST_INFORMATIONAL || ip[packet->l4_at] == ND_REDIRECT))
        return false;
    return is_host_ipv6(src) && is_host_ipv6(dst) && memcmp(src, dst, IPV6_LEN) != 0;
}

/* ---- writing ---- */

// The Ethernet header and the tags; returns their length.
static size_t put_l2(const struct frame_view *frame, const struct mac_address *from, uint8_t *out)
{
    memcpy(out, frame->bytes, frame->l3_offset);
    memcpy(out, frame->src.b, MAC_ADDRESS_LEN);
    memcpy(out + MAC_ADDRESS_LEN, from->b, MAC_ADDRESS_LEN);
    return frame->l3_offset;
}

// ICMP header and quote; the checksum is still zero. Returns their length.
static size_t put_icmp(const struct ip_packet *packet, size_t room, uint8_t *icmp)
{
    size_t quoted = packet->len < room - ICMP_HEADER_LEN ? packet->len : room - ICMP_HEADER_LEN;

    memset(icmp, 0, ICMP_HEADER_LEN);
    memcpy(icmp + ICMP_HEADER_LEN, packet->ip, quoted);
    return ICMP_HEADER_LEN + quoted;
}

static size_t put_ipv4(const struct ip_packet *packet, uint16_t mtu, uint8_t *ip)
{
    uint8_t *icmp = ip + IPV4_HEADER_MIN;
    size_t icmp_len = put_icmp(packet, TOO_BIG_IPV4_MAX - IPV4_HEADER_MIN, icmp);

    icmp[0] = ICMP_DEST_UNREACH;
    icmp[1] = ICMP_FRAG_NEEDED;
    store_be16(icmp + ICMP_MTU_AT, mtu);
    store_be16(icmp + ICMP_CHECKSUM_AT, checksum_finish(checksum_add(0, icmp, icmp_len)));

    memset(ip, 0, IPV4_HEADER_MIN);
    ip[0] = 4 << 4 | IPV4_HEADER_MIN / 4;
    ip[IPV4_TOS_AT] = TOS_INTERNETWORK_CONTROL;
    store_be16(ip + IPV4_LEN_AT, (uint16_t)(IPV4_HEADER_MIN + icmp_len));
    store_be16(ip + IPV4_FRAGMENT_AT, IPV4_DONT_FRAGMENT); // so its ID means nothing (RFC 6864 4.1)
    ip[IPV4_TTL_AT] = HOP_LIMIT;
    ip[IPV4_PROTOCOL_AT] = IPPROTO_ICMP;
    memcpy(ip + IPV4_SOURCE_AT, packet->ip + IPV4_DESTINATION_AT, IPV4_LEN);
    memcpy(ip + IPV4_DESTINATION_AT, packet->ip + IPV4_SOURCE_AT, IPV4_LEN);
    store_be16(ip + IPV4_CHECKSUM_AT, checksum_finish(checksum_add(0, ip, IPV4_HEADER_MIN)));
    return IPV4_HEADER_MIN + icmp_len;
}

static size_t put_ipv6(const struct ip_packet *packet, uint16_t mtu, uint8_t *ip)
{
    uint8_t *icmp = ip + IPV6_HEADER_LEN, *src = ip + IPV6_SOURCE_AT, *dst = ip + IPV6_DESTINATION_AT;
    size_t icmp_len = put_icmp(packet, TOO_BIG_IPV6_MAX - IPV6_HEADER_LEN, icmp);

    memset(ip, 0, IPV6_HEADER_LEN);
    ip[0] = 6 << 4;
    store_be16(ip + IPV6_LEN_AT, (uint16_t)icmp_len);
    ip[IPV6_NEXT_AT] = IPPROTO_ICMPV6;
    ip[IPV6_HOP_LIMIT_AT] = HOP_LIMIT;
    memcpy(src, packet->ip + IPV6_DESTINATION_AT, IPV6_LEN);
    memcpy(dst, packet->ip + IPV6_SOURCE_AT, IPV6_LEN);

    icmp[0] = ICMP6_PACKET_TOO_BIG;
    store_be32(icmp + ICMPV6_MTU_AT, mtu);
    uint64_t pseudo = checksum_pseudo_ipv6(src, dst, IPPROTO_ICMPV6, (uint32_t)icmp_len);
    store_be16(icmp + ICMP_CHECKSUM_AT, checksum_finish(checksum_add(pseudo, icmp, icmp_len)));
    return IPV6_HEADER_LEN + icmp_len;
}

/* ---- public ---- */

bool too_big_exceeds(const struct frame_view *frame, uint16_t mtu)
{
    struct ip_packet packet;

    return read_packet(&packet, frame) && packet.len > mtu;
}

size_t too_big_answer(const struct frame_view *frame, uint16_t mtu, const struct mac_address *from, uint8_t out[static TOO_BIG_FRAME_MAX])
{
    struct ip_packet packet;

    if (!read_packet(&packet, frame) || packet.len <= mtu || !is_host_mac(&frame->src) || !is_host_mac(&frame->dst))
        return 0;
    if (!(packet.version == 4 ? may_tell_ipv4(&packet) : may_tell_ipv6(&packet, mtu)))
        return 0;
    size_t l2_len = put_l2(frame, from, out);
    return l2_len + (packet.version == 4 ? put_ipv4(&packet, mtu, out + l2_len) : put_ipv6(&packet, mtu, out + l2_len));
}

bool too_big_take_turn(uint64_t *full_ns, uint64_t now_ns)
{
    return bucket_take(full_ns, NS_PER_S / TOO_BIG_PER_S, TOO_BIG_BURST, now_ns);
}
