// SPDX-License-Identifier: MIT
/*
 * shortcut_icmp: echo requests, ICMP and ICMPv6 alike, whole or in fragments. No other ICMP message is ever answered, and none is made.
 *
 * The reply is the request with its type changed: same identifier, sequence number and payload, back to the MAC address that it came from.
 */
#include "shortcut_private.h"

#include <netinet/ip_icmp.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/checksum.h"

enum { ICMPV6_ECHO_ANSWER = ICMPV6_ECHO_REQUEST + 1 };

static uint64_t pseudo_sum(const struct ip_packet *packet)
{
    if (packet->family == AF_INET)
        return 0;
    return checksum_pseudo_ipv6(packet->src, packet->dst, IPPROTO_ICMPV6, (uint32_t)packet->len);
}

static enum drop_reason examine(const struct ip_packet *packet)
{
    bool is_ipv4 = packet->family == AF_INET;
    if (packet->protocol != (is_ipv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
        return DROP_SHORTCUT_UNWANTED;
    if (packet->len < ICMP_HEADER_LEN)
        return DROP_SHORTCUT_BAD;
    if (checksum_finish(checksum_add(pseudo_sum(packet), packet->payload, packet->len)) != 0)
        return DROP_SHORTCUT_BAD;
    if (packet->payload[0] != (is_ipv4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST) || packet->payload[1] != 0)
        return DROP_SHORTCUT_UNWANTED;
    return NOT_DROPPED;
}

static enum drop_reason answer(struct shortcut *shortcut, const struct request *request, const struct l2_header *l2,
                               const struct ip_packet *packet)
{
    enum drop_reason reason = examine(packet);
    if (reason != NOT_DROPPED)
        return reason;
    if (shortcut_is_silent(shortcut))
        return DROP_SHORTCUT_SILENT;
    size_t n_frames = shortcut_reply_prepare(shortcut, l2, packet, packet->len);
    if (!shortcut_limit_allows(shortcut, LIMIT_ECHO, request, packet, n_frames)) {
        shortcut->reply.kind = REPLY_NONE;
        return DROP_SHORTCUT_LIMIT;
    }
    uint8_t *icmp = shortcut->reply.bytes;
    memcpy(icmp, packet->payload, packet->len);
    icmp[0] = packet->family == AF_INET ? ICMP_ECHOREPLY : ICMPV6_ECHO_ANSWER;
    store_be16(icmp + 2, 0);
    // The pseudo-header's sum does not change when source and destination change places.
    store_be16(icmp + 2, checksum_finish(checksum_add(pseudo_sum(packet), icmp, packet->len)));
    return NOT_DROPPED;
}

static bool is_well_cut(const struct ip_packet *packet)
{
    if (packet->len == 0 || (packet->has_more && packet->len % FRAGMENT_UNIT != 0))
        return false;
    size_t header = packet->family == AF_INET ? IPV4_HEADER_LEN : 0;
    return header + packet->fragment_offset + packet->len <= SHORTCUT_IP_MAX;
}

// Behind an IPv6 fragment header there may be destination options, and ICMPv6 only behind them.
static bool may_be_icmp(const struct ip_packet *packet)
{
    if (packet->family == AF_INET)
        return packet->protocol == IPPROTO_ICMP;
    return packet->protocol == IPPROTO_ICMPV6 || packet->protocol == IPPROTO_DSTOPTS || packet->protocol == IPPROTO_ROUTING;
}

static enum shortcut_verdict deliver_fragment(struct shortcut *shortcut, const struct request *request, const struct l2_header *l2,
                                              const struct ip_packet *packet)
{
    if (!may_be_icmp(packet))
        return shortcut_settle(shortcut, DROP_SHORTCUT_UNWANTED, 1);
    if (!is_well_cut(packet))
        return shortcut_settle(shortcut, DROP_SHORTCUT_BAD, 1);
    if (shortcut_is_silent(shortcut))
        return shortcut_settle(shortcut, DROP_SHORTCUT_SILENT, 1);
    struct reassembly *slot = NULL;
    enum reassembly_result result = shortcut_reassembly_add(shortcut, l2, packet, request->now_ns, &slot);
    if (result == REASSEMBLY_REFUSED)
        return shortcut_settle(shortcut, DROP_SHORTCUT_FRAGMENT, 1);
    if (result == REASSEMBLY_HELD)
        return SHORTCUT_TAKEN;
    uint64_t n_frames = slot->n_frames;
    bool is_good = packet->family == AF_INET || shortcut_ipv6_skip_extensions(&slot->packet);
    enum drop_reason reason = is_good ? answer(shortcut, request, l2, &slot->packet) : DROP_SHORTCUT_BAD;
    slot->is_used = false;
    slot->n_frames = 0;
    shortcut_update_deadline(shortcut);
    return shortcut_settle(shortcut, reason, n_frames);
}

enum shortcut_verdict shortcut_icmp_deliver(struct shortcut *shortcut, const struct request *request, const struct ip_packet *packet)
{
    struct l2_header l2;
    shortcut_l2_answer(shortcut, request, &request->view.src, &l2);
    if (packet->is_fragment)
        return deliver_fragment(shortcut, request, &l2, packet);
    return shortcut_settle(shortcut, answer(shortcut, request, &l2, packet), 1);
}
