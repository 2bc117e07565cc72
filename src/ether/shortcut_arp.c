// SPDX-License-Identifier: MIT
/*
 * shortcut_arp: requests and probes for our IPv4 addresses (RFC 826), and claims by others to them (RFC 5227).
 *
 *   sender address ours, sender MAC address not ours -> conflict, perhaps a defence; the frame passes
 *   request for one of ours (broadcast or to us)     -> answered, taken
 *   reply to our MAC address                         -> taken without a word
 *   not Ethernet/IPv4 ARP, but to our MAC address    -> bad
 *   all else                                         -> passes
 */
#include "shortcut_private.h"

#include <string.h>

#include "ethercord/bytes.h"

enum { ARP_REQUEST = 1, ARP_REPLY = 2, ARP_ETHERNET = 1 };

struct arp {
    uint16_t operation;
    struct mac_address sender_mac;
    uint8_t sender_ip[IPV4_LEN];
    uint8_t target_ip[IPV4_LEN];
};

static const struct mac_address broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static bool parse(const struct request *request, struct arp *arp)
{
    const uint8_t *p = request->l3;
    if (request->l3_len < ARP_LEN)
        return false;
    if (load_be16(p) != ARP_ETHERNET || load_be16(p + 2) != ETHER_TYPE_IPV4 || p[4] != MAC_ADDRESS_LEN || p[5] != IPV4_LEN)
        return false;
    arp->operation = load_be16(p + 6);
    memcpy(arp->sender_mac.b, p + 8, MAC_ADDRESS_LEN);
    memcpy(arp->sender_ip, p + 14, IPV4_LEN);
    memcpy(arp->target_ip, p + 24, IPV4_LEN);
    return arp->operation == ARP_REQUEST || arp->operation == ARP_REPLY;
}

static void write_arp(uint8_t out[static ARP_LEN], uint16_t operation, const struct mac_address *sender_mac, const uint8_t *sender_ip)
{
    store_be16(out, ARP_ETHERNET);
    store_be16(out + 2, ETHER_TYPE_IPV4);
    out[4] = MAC_ADDRESS_LEN;
    out[5] = IPV4_LEN;
    store_be16(out + 6, operation);
    memcpy(out + 8, sender_mac->b, MAC_ADDRESS_LEN);
    memcpy(out + 14, sender_ip, IPV4_LEN);
}

size_t shortcut_arp_announcement(const struct shortcut *shortcut, const struct own_address *own, uint8_t out[static ARP_LEN])
{
    write_arp(out, ARP_REQUEST, &shortcut->config.mac, own->cidr.ip);
    memset(out + 18, 0, MAC_ADDRESS_LEN);
    memcpy(out + 24, own->cidr.ip, IPV4_LEN);
    return ARP_LEN;
}

static void note_claim(struct shortcut *shortcut, const struct request *request, struct own_address *own, const struct arp *arp)
{
    if (!shortcut_note_conflict(shortcut, own, &arp->sender_mac, request->now_ns))
        return;
    struct l2_header l2;
    shortcut_l2_answer(shortcut, request, &broadcast, &l2);
    shortcut_reply_whole(shortcut, &l2, shortcut_arp_announcement(shortcut, own, shortcut->reply.bytes));
}

static enum drop_reason answer(struct shortcut *shortcut, const struct request *request, const struct arp *arp)
{
    static const uint8_t unspecified[IPV4_LEN] = {0};
    bool is_probe = memcmp(arp->sender_ip, unspecified, IPV4_LEN) == 0;
    if (!shortcut_is_good_mac(shortcut, &request->view.src) || !shortcut_is_good_mac(shortcut, &arp->sender_mac))
        return DROP_SHORTCUT_BAD;
    if (!is_probe && shortcut_ipv4_is_bad_source(shortcut, arp->sender_ip))
        return DROP_SHORTCUT_BAD;
    if (shortcut_is_silent(shortcut))
        return DROP_SHORTCUT_SILENT;
    if (!shortcut_limit_allows(shortcut, LIMIT_NEIGHBOUR, request, NULL, 1))
        return DROP_SHORTCUT_LIMIT;
    uint8_t *out = shortcut->reply.bytes;
    struct l2_header l2;
    write_arp(out, ARP_REPLY, &shortcut->config.mac, arp->target_ip);
    memcpy(out + 18, arp->sender_mac.b, MAC_ADDRESS_LEN);
    memcpy(out + 24, arp->sender_ip, IPV4_LEN);
    shortcut_l2_answer(shortcut, request, &arp->sender_mac, &l2);
    shortcut_reply_whole(shortcut, &l2, ARP_LEN);
    return NOT_DROPPED;
}

enum shortcut_verdict shortcut_arp_handle(struct shortcut *shortcut, const struct request *request)
{
    struct arp arp;
    bool is_to_us = shortcut_is_to_us(shortcut, request, false);
    if (!parse(request, &arp))
        return is_to_us ? shortcut_settle(shortcut, DROP_SHORTCUT_BAD, 1) : SHORTCUT_PASS;
    struct own_address *claimed = shortcut_find_own(shortcut, AF_INET, arp.sender_ip);
    if (claimed) {
        // Our own announcement, back through a loop, is no claim.
        if (shortcut_is_good_mac(shortcut, &arp.sender_mac))
            note_claim(shortcut, request, claimed, &arp);
        else if (is_to_us)
            return shortcut_settle(shortcut, DROP_SHORTCUT_BAD, 1);
        return SHORTCUT_PASS;
    }
    if (arp.operation == ARP_REPLY)
        return is_to_us ? shortcut_settle(shortcut, NOT_DROPPED, 1) : SHORTCUT_PASS;
    if (!is_to_us && !mac_is_group(&request->view.dst))
        return SHORTCUT_PASS;
    if (!shortcut_find_own(shortcut, AF_INET, arp.target_ip))
        return SHORTCUT_PASS;
    return shortcut_settle(shortcut, answer(shortcut, request, &arp), 1);
}
