// SPDX-License-Identifier: MIT
/*
 * shortcut_ndp: neighbour discovery for our IPv6 addresses: solicitations are answered (RFC 4861 7.2.4), duplicate address detection by
 * others included (RFC 4862 5.4.3); advertisements by others for our addresses are conflicts.
 *
 * Messages are checked by RFC 4861 7.1: hop limit 255 (so nobody outside this link can have sent them), checksum, code, lengths, options.
 * Fragmented ones are refused (RFC 6980).
 */
#include "shortcut_private.h"

#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/checksum.h"

enum {
    OPTION_SOURCE_MAC = 1,
    OPTION_TARGET_MAC = 2,
    FLAG_SOLICITED = 0x40,
    FLAG_OVERRIDE = 0x20,
    TARGET_AT = 8,
    ADVERTISEMENT_MAX = IPV6_HEADER_LEN + NDP_LEN + NDP_OPTION_LEN
};

static const uint8_t all_nodes[IPV6_LEN] = {0xff, 0x02, [15] = 0x01};
static const uint8_t unspecified[IPV6_LEN] = {0};

struct advertisement {
    const uint8_t *dst;
    uint8_t flags;
    bool has_target_mac;
};

// Finds the MAC address in the option of this type; `mac` stays as it is when there is none. False = an option is malformed.
static bool read_options(const struct ip_packet *packet, uint8_t wanted, bool *is_found, struct mac_address *mac)
{
    size_t at = NDP_LEN;
    *is_found = false;
    while (at < packet->len) {
        const uint8_t *option = packet->payload + at;
        size_t left = packet->len - at;
        if (left < 2 || option[1] == 0 || (size_t)option[1] * 8 > left)
            return false;
        if (option[0] == wanted && !*is_found) {
            *is_found = true;
            memcpy(mac->b, option + 2, MAC_ADDRESS_LEN);
        }
        at += (size_t)option[1] * 8;
    }
    return true;
}

static bool is_valid_message(const struct ip_packet *packet)
{
    return packet->hop_limit == NDP_HOP_LIMIT && !packet->has_fragment_header && packet->payload[1] == 0 &&
           shortcut_ipv6_is_checksum_good(packet);
}

static size_t write_advertisement(const struct shortcut *shortcut, const uint8_t own_ip[static IPV6_LEN], const struct advertisement *what,
                                  uint8_t out[static ADVERTISEMENT_MAX])
{
    size_t len = NDP_LEN + (what->has_target_mac ? NDP_OPTION_LEN : 0);
    shortcut_ipv6_header(out, len, IPPROTO_ICMPV6, NDP_HOP_LIMIT);
    memcpy(out + 8, own_ip, IPV6_LEN);
    memcpy(out + 24, what->dst, IPV6_LEN);
    uint8_t *message = out + IPV6_HEADER_LEN;
    memset(message, 0, TARGET_AT);
    message[0] = ICMPV6_NEIGHBOUR_ADVERTISEMENT;
    message[4] = what->flags;
    memcpy(message + TARGET_AT, own_ip, IPV6_LEN);
    if (what->has_target_mac) {
        message[NDP_LEN] = OPTION_TARGET_MAC;
        message[NDP_LEN + 1] = 1;
        memcpy(message + NDP_LEN + 2, shortcut->config.mac.b, MAC_ADDRESS_LEN);
    }
    uint64_t sum = checksum_pseudo_ipv6(own_ip, what->dst, IPPROTO_ICMPV6, (uint32_t)len);
    store_be16(message + 2, checksum_finish(checksum_add(sum, message, len)));
    return IPV6_HEADER_LEN + len;
}

size_t shortcut_ndp_announcement(const struct shortcut *shortcut, const struct own_address *own,
                                 uint8_t out[static IPV6_HEADER_LEN + NDP_LEN + NDP_OPTION_LEN])
{
    struct advertisement what = {.dst = all_nodes, .flags = FLAG_OVERRIDE, .has_target_mac = true};
    return write_advertisement(shortcut, own->cidr.ip, &what, out);
}

static void reply_to_all(struct shortcut *shortcut, const struct request *request, const struct own_address *own)
{
    struct l2_header l2;
    struct mac_address group;
    shortcut_ipv6_group_mac(all_nodes, &group);
    shortcut_l2_answer(shortcut, request, &group, &l2);
    shortcut_reply_whole(shortcut, &l2, shortcut_ndp_announcement(shortcut, own, shortcut->reply.bytes));
}

bool shortcut_ndp_advertisement(struct shortcut *shortcut, const struct request *request, const struct ip_packet *packet)
{
    struct mac_address mac = request->view.src;
    bool has_mac;
    if (packet->len < NDP_LEN || !is_valid_message(packet) || !read_options(packet, OPTION_TARGET_MAC, &has_mac, &mac))
        return false;
    if (packet->dst[0] == 0xff && (packet->payload[4] & FLAG_SOLICITED))
        return false;
    struct own_address *own = shortcut_find_own(shortcut, AF_INET6, packet->payload + TARGET_AT);
    if (!own || !shortcut_is_good_mac(shortcut, &mac) || mac_equal(&request->view.src, &shortcut->config.mac))
        return false;
    if (shortcut_note_conflict(shortcut, own, &mac, request->now_ns))
        reply_to_all(shortcut, request, own);
    return true;
}

static bool is_solicited_group(const uint8_t ip[static IPV6_LEN])
{
    uint8_t group[IPV6_LEN];
    shortcut_solicited_group(ip, group);
    return memcmp(ip, group, IPV6_LEN) == 0;
}

// RFC 4861 7.1.1; `mac` is where the answer goes: to the option's MAC address, else to the frame's source.
static bool is_valid_solicitation(struct shortcut *shortcut, const struct request *request, const struct ip_packet *packet,
                                  struct mac_address *mac)
{
    bool has_mac;
    bool is_dad = memcmp(packet->src, unspecified, IPV6_LEN) == 0;
    *mac = request->view.src;
    if (!is_valid_message(packet) || !read_options(packet, OPTION_SOURCE_MAC, &has_mac, mac))
        return false;
    if (!shortcut_is_good_mac(shortcut, &request->view.src) || !shortcut_is_good_mac(shortcut, mac))
        return false;
    if (is_dad)
        return !has_mac && is_solicited_group(packet->dst);
    return !shortcut_ipv6_is_bad_source(shortcut, packet->src);
}

static void reply_to_one(struct shortcut *shortcut, const struct request *request, const struct ip_packet *packet,
                         const struct mac_address *mac)
{
    // RFC 4861 7.2.4: may be left out of the answer to a unicast solicitation. It is when the answer would be the larger one.
    bool has_target_mac = packet->dst[0] == 0xff || packet->len >= NDP_LEN + NDP_OPTION_LEN;
    struct advertisement what = {
        .dst = packet->src,
        .flags = has_target_mac ? FLAG_SOLICITED | FLAG_OVERRIDE : FLAG_SOLICITED,
        .has_target_mac = has_target_mac,
    };
    struct l2_header l2;
    shortcut_l2_answer(shortcut, request, mac, &l2);
    size_t len = write_advertisement(shortcut, packet->payload + TARGET_AT, &what, shortcut->reply.bytes);
    shortcut_reply_whole(shortcut, &l2, len);
}

static enum drop_reason answer(struct shortcut *shortcut, const struct request *request, const struct ip_packet *packet,
                               struct own_address *own)
{
    struct mac_address mac;
    if (!is_valid_solicitation(shortcut, request, packet, &mac))
        return DROP_SHORTCUT_BAD;
    bool is_dad = memcmp(packet->src, unspecified, IPV6_LEN) == 0;
    if (is_dad) // the answer below is the defence
        shortcut_note_conflict(shortcut, own, &mac, request->now_ns);
    if (shortcut_is_silent(shortcut))
        return DROP_SHORTCUT_SILENT;
    if (!shortcut_limit_allows(shortcut, LIMIT_NEIGHBOUR, request, packet, 1))
        return DROP_SHORTCUT_LIMIT;
    if (is_dad)
        reply_to_all(shortcut, request, own);
    else
        reply_to_one(shortcut, request, packet, &mac);
    return NOT_DROPPED;
}

enum shortcut_verdict shortcut_ndp_solicitation(struct shortcut *shortcut, const struct request *request, const struct ip_packet *packet)
{
    bool is_group_frame = mac_is_group(&request->view.dst);
    bool is_to_us = shortcut_is_to_us(shortcut, request, shortcut_find_own(shortcut, AF_INET6, packet->dst));
    if (packet->len < NDP_LEN)
        return is_to_us ? shortcut_settle(shortcut, DROP_SHORTCUT_BAD, 1) : SHORTCUT_PASS;
    struct own_address *own = shortcut_find_own(shortcut, AF_INET6, packet->payload + TARGET_AT);
    bool is_to_group_or_own = packet->dst[0] == 0xff || shortcut_find_own(shortcut, AF_INET6, packet->dst);
    if (!own || !is_to_group_or_own || (is_group_frame && packet->dst[0] != 0xff))
        return is_to_us ? shortcut_settle(shortcut, DROP_SHORTCUT_UNWANTED, 1) : SHORTCUT_PASS;
    return shortcut_settle(shortcut, answer(shortcut, request, packet, own), 1);
}
