// SPDX-License-Identifier: MIT
/*
 * shortcut_ipv4: which IPv4 packets are for the shortcut, and whether they may be answered.
 *
 * For us is what is unicast to our MAC address; of what is unicast to the unbridged TAP's MAC address only what has our IP address.
 * Options are checked and then ignored (the reply has none); source routes are refused, as hosts do by default (RFC 7126 4.3).
 */
#include "shortcut_private.h"

#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/checksum.h"

enum {
    OPTION_END = 0,
    OPTION_NOP = 1,
    OPTION_LOOSE_ROUTE = 131,
    OPTION_STRICT_ROUTE = 137,
    FRAGMENT_DF = 0x4000,
    FRAGMENT_MF = 0x2000,
    FRAGMENT_OFFSET_MASK = 0x1fff
};

static bool is_subnet_broadcast(const struct cidr *cidr, uint32_t ip)
{
    if (cidr->family != AF_INET || cidr->prefix_len > 30) // RFC 3021: /31 has none
        return false;
    uint32_t host_mask = UINT32_MAX >> cidr->prefix_len;
    return ip == (load_be32(cidr->ip) | host_mask);
}

bool shortcut_ipv4_is_bad_source(const struct shortcut *shortcut, const uint8_t ip[static IPV4_LEN])
{
    if (ip[0] == 0 || ip[0] == 127 || (ip[0] & 0xf0) == 224 || load_be32(ip) == UINT32_MAX)
        return true;
    for (size_t i = 0; i < shortcut->n_own; i++) {
        if (is_subnet_broadcast(&shortcut->own[i].cidr, load_be32(ip)))
            return true;
    }
    return false;
}

static bool are_options_good(const uint8_t *options, size_t len)
{
    size_t at = 0;
    while (at < len && options[at] != OPTION_END) {
        if (options[at] == OPTION_NOP) {
            at++;
            continue;
        }
        if (options[at] == OPTION_LOOSE_ROUTE || options[at] == OPTION_STRICT_ROUTE)
            return false;
        if (len - at < 2 || options[at + 1] < 2 || options[at + 1] > len - at)
            return false;
        at += options[at + 1];
    }
    return true;
}

static bool parse(const struct request *request, struct ip_packet *packet)
{
    const uint8_t *ip = request->l3;
    if (request->l3_len < IPV4_HEADER_LEN || ip[0] >> 4 != 4)
        return false;
    size_t header_len = (size_t)(ip[0] & 0x0f) * 4;
    size_t total_len = load_be16(ip + 2);
    if (header_len < IPV4_HEADER_LEN || total_len < header_len || total_len > request->l3_len)
        return false;
    if (checksum_finish(checksum_add(0, ip, header_len)) != 0)
        return false;
    if (!are_options_good(ip + IPV4_HEADER_LEN, header_len - IPV4_HEADER_LEN))
        return false;
    unsigned fragment = load_be16(ip + 6);
    *packet = (struct ip_packet){
        .family = AF_INET,
        .tos = ip[1],
        .hop_limit = ip[8],
        .protocol = ip[9],
        .has_df = (fragment & FRAGMENT_DF) && !(fragment & (FRAGMENT_MF | FRAGMENT_OFFSET_MASK)),
        .has_more = fragment & FRAGMENT_MF,
        .is_fragment = fragment & (FRAGMENT_MF | FRAGMENT_OFFSET_MASK),
        .fragment_offset = (fragment & FRAGMENT_OFFSET_MASK) * (size_t)FRAGMENT_UNIT,
        .fragment_id = load_be16(ip + 4),
        .largest = total_len,
        .payload = ip + header_len,
        .len = total_len - header_len,
    };
    memcpy(packet->src, ip + 12, IPV4_LEN);
    memcpy(packet->dst, ip + 16, IPV4_LEN);
    return true;
}

enum shortcut_verdict shortcut_ipv4_handle(struct shortcut *shortcut, const struct request *request)
{
    if (!shortcut_is_to_us(shortcut, request, true)) // most frames: the MAC address says enough
        return SHORTCUT_PASS;
    bool is_own_ip = request->l3_len >= IPV4_HEADER_LEN && shortcut_find_own(shortcut, AF_INET, request->l3 + 16);
    if (!shortcut_is_to_us(shortcut, request, is_own_ip))
        return SHORTCUT_PASS;
    struct ip_packet packet;
    if (!parse(request, &packet) || !shortcut_is_good_mac(shortcut, &request->view.src))
        return shortcut_settle(shortcut, DROP_SHORTCUT_BAD, 1);
    if (!is_own_ip)
        return shortcut_settle(shortcut, DROP_SHORTCUT_UNWANTED, 1);
    if (shortcut_ipv4_is_bad_source(shortcut, packet.src) || shortcut_find_own(shortcut, AF_INET, packet.src))
        return shortcut_settle(shortcut, DROP_SHORTCUT_BAD, 1);
    return shortcut_icmp_deliver(shortcut, request, &packet);
}
