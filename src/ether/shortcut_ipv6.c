// SPDX-License-Identifier: MIT
/*
 * shortcut_ipv6: which IPv6 packets are for the shortcut, and whether they may be answered.
 *
 *   advertisement for one of ours, to whomever -> perhaps a conflict (shortcut_ndp.c); passes
 *   listener query                             -> perhaps reports (shortcut_mld.c); passes
 *   solicitation for one of ours               -> shortcut_ndp.c
 *   other group frames, other MAC addresses    -> pass
 *   to our MAC address                         -> echo requests are answered (shortcut_icmp.c), all else refused
 *
 * Nothing is answered with an ICMPv6 error, so an option that asks for one only gets its packet dropped.
 */
#include "shortcut_private.h"

#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/checksum.h"

enum {
    OPTION_PAD1 = 0,
    OPTION_ROUTER_ALERT = 5,
    OPTION_ACTION_MASK = 0xc0, // RFC 8200 4.2: 0 = skip over it when unknown
    FRAGMENT_MORE = 1
};

void shortcut_ipv6_header(uint8_t out[static IPV6_HEADER_LEN], size_t payload_len, uint8_t protocol, uint8_t hop_limit)
{
    memset(out, 0, IPV6_HEADER_LEN);
    out[0] = 0x60;
    store_be16(out + 4, (uint16_t)payload_len);
    out[6] = protocol;
    out[7] = hop_limit;
}

void shortcut_solicited_group(const uint8_t ip[static IPV6_LEN], uint8_t group[static IPV6_LEN])
{
    static const uint8_t prefix[13] = {0xff, 0x02, [11] = 0x01, [12] = 0xff};
    memcpy(group, prefix, sizeof(prefix));
    memcpy(group + sizeof(prefix), ip + sizeof(prefix), IPV6_LEN - sizeof(prefix));
}

bool shortcut_ipv6_is_bad_source(struct shortcut *shortcut, const uint8_t ip[static IPV6_LEN])
{
    static const uint8_t loopback[IPV6_LEN] = {[15] = 1};
    static const uint8_t unspecified[IPV6_LEN] = {0};
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; // never on a wire: RFC 4942 2.2
    return ip[0] == 0xff || memcmp(ip, loopback, IPV6_LEN) == 0 || memcmp(ip, unspecified, IPV6_LEN) == 0 ||
           memcmp(ip, mapped, sizeof(mapped)) == 0 || shortcut_find_own(shortcut, AF_INET6, ip);
}

bool shortcut_ipv6_is_checksum_good(const struct ip_packet *packet)
{
    uint64_t sum = checksum_pseudo_ipv6(packet->src, packet->dst, IPPROTO_ICMPV6, (uint32_t)packet->len);
    return checksum_finish(checksum_add(sum, packet->payload, packet->len)) == 0;
}

static bool read_options(struct ip_packet *packet, const uint8_t *options, size_t len)
{
    size_t at = 0;
    while (at < len) {
        uint8_t type = options[at];
        if (type == OPTION_PAD1) {
            at++;
            continue;
        }
        if (len - at < 2 || (size_t)options[at + 1] + 2 > len - at || (type & OPTION_ACTION_MASK))
            return false;
        if (type == OPTION_ROUTER_ALERT && packet->protocol == IPPROTO_HOPOPTS)
            packet->has_router_alert = true;
        at += 2 + (size_t)options[at + 1];
    }
    return true;
}

static bool read_fragment_header(struct ip_packet *packet)
{
    const uint8_t *p = packet->payload;
    unsigned offset = load_be16(p + 2);
    packet->has_fragment_header = true;
    packet->has_more = offset & FRAGMENT_MORE;
    packet->fragment_offset = offset & ~7U;
    packet->fragment_id = load_be32(p + 4);
    packet->is_fragment = packet->has_more || packet->fragment_offset != 0;
    return true;
}

static bool is_extension(uint8_t protocol)
{
    return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_FRAGMENT;
}

// A header's own rules; `len` bytes of it are there.
static bool read_extension(struct ip_packet *packet, size_t len)
{
    const uint8_t *p = packet->payload;
    switch (packet->protocol) {
    case IPPROTO_FRAGMENT:
        return !packet->has_fragment_header && read_fragment_header(packet);
    case IPPROTO_ROUTING:
        return p[3] == 0; // segments left: we are no router
    default:
        return read_options(packet, p + 2, len - 2);
    }
}

bool shortcut_ipv6_skip_extensions(struct ip_packet *packet)
{
    bool was_fragment = packet->is_fragment;
    packet->is_fragment = false;
    for (unsigned n = 0; is_extension(packet->protocol); n++) {
        if (n == IPV6_EXTENSIONS_MAX || packet->len < 8)
            return false;
        if (packet->protocol == IPPROTO_HOPOPTS && (n > 0 || was_fragment)) // RFC 8200 4.1: only right behind the IPv6 header
            return false;
        size_t len = packet->protocol == IPPROTO_FRAGMENT ? IPV6_FRAGMENT_HEADER_LEN : ((size_t)packet->payload[1] + 1) * 8;
        if (len > packet->len || !read_extension(packet, len))
            return false;
        packet->protocol = packet->payload[0];
        packet->payload += len;
        packet->len -= len;
        if (packet->is_fragment)
            return true;
    }
    packet->is_fragment = was_fragment;
    return true;
}

static bool parse(const struct request *request, struct ip_packet *packet)
{
    const uint8_t *ip = request->l3;
    if (request->l3_len < IPV6_HEADER_LEN || ip[0] >> 4 != 6)
        return false;
    size_t len = load_be16(ip + 4);
    if (len > request->l3_len - IPV6_HEADER_LEN)
        return false;
    *packet = (struct ip_packet){
        .family = AF_INET6,
        .tos = (uint8_t)(ip[0] << 4 | ip[1] >> 4),
        .protocol = ip[6],
        .hop_limit = ip[7],
        .largest = IPV6_HEADER_LEN + len,
        .payload = ip + IPV6_HEADER_LEN,
        .len = len,
    };
    memcpy(packet->src, ip + 8, IPV6_LEN);
    memcpy(packet->dst, ip + 24, IPV6_LEN);
    return shortcut_ipv6_skip_extensions(packet);
}

static bool is_icmp(const struct ip_packet *packet, uint8_t type)
{
    return packet->protocol == IPPROTO_ICMPV6 && !packet->is_fragment && packet->len > 0 && packet->payload[0] == type;
}

// A frame from one other host to another is only looked into when it is an advertisement: somebody may be claiming our address there.
static bool is_worth_parsing(const struct shortcut *shortcut, const struct request *request)
{
    if (mac_is_group(&request->view.dst) || shortcut_is_to_us(shortcut, request, true))
        return true;
    return request->l3_len >= IPV6_HEADER_LEN + NDP_LEN && request->l3[6] == IPPROTO_ICMPV6 &&
           request->l3[IPV6_HEADER_LEN] == ICMPV6_NEIGHBOUR_ADVERTISEMENT;
}

static enum shortcut_verdict handle_unicast(struct shortcut *shortcut, const struct request *request, const struct ip_packet *packet)
{
    if (!shortcut_is_good_mac(shortcut, &request->view.src))
        return shortcut_settle(shortcut, DROP_SHORTCUT_BAD, 1);
    if (!shortcut_find_own(shortcut, AF_INET6, packet->dst))
        return shortcut_settle(shortcut, DROP_SHORTCUT_UNWANTED, 1);
    if (shortcut_ipv6_is_bad_source(shortcut, packet->src))
        return shortcut_settle(shortcut, DROP_SHORTCUT_BAD, 1);
    return shortcut_icmp_deliver(shortcut, request, packet);
}

enum shortcut_verdict shortcut_ipv6_handle(struct shortcut *shortcut, const struct request *request)
{
    if (!is_worth_parsing(shortcut, request))
        return SHORTCUT_PASS;
    bool is_own_ip = request->l3_len >= IPV6_HEADER_LEN && shortcut_find_own(shortcut, AF_INET6, request->l3 + 24);
    bool is_to_us = shortcut_is_to_us(shortcut, request, is_own_ip);
    struct ip_packet packet;
    if (!parse(request, &packet))
        return is_to_us ? shortcut_settle(shortcut, DROP_SHORTCUT_BAD, 1) : SHORTCUT_PASS;
    if (is_icmp(&packet, ICMPV6_NEIGHBOUR_ADVERTISEMENT) && shortcut_ndp_advertisement(shortcut, request, &packet))
        return SHORTCUT_PASS;
    if (is_icmp(&packet, ICMPV6_NEIGHBOUR_SOLICITATION))
        return shortcut_ndp_solicitation(shortcut, request, &packet);
    if (is_icmp(&packet, ICMPV6_MLD_QUERY) && (is_to_us || mac_is_group(&request->view.dst))) {
        shortcut_mld_query(shortcut, request, &packet);
        return SHORTCUT_PASS;
    }
    return is_to_us ? handle_unicast(shortcut, request, &packet) : SHORTCUT_PASS;
}
