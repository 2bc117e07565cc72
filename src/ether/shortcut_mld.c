// SPDX-License-Identifier: MIT
/*
 * shortcut_mld: membership in the solicited-node groups of our IPv6 addresses (RFC 3810; RFC 2710 for an old querier).
 *
 * Without it a snooping bridge that knows a querier would never let a solicitation through to us. Joined with every announcement, and
 * reported again after each query, at a time chosen at random within the delay that the query allows. Queries and other hosts' reports
 * pass; nothing is left out because others have reported, as bridges and not routers are whom this is for.
 */
#include "shortcut_private.h"

#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/checksum.h"
#include "ethercord/clock.h"

enum {
    MLD1_QUERY_LEN = 24,
    MLD2_QUERY_LEN = 28,
    MLD_HOP_LIMIT = 1,
    HOP_BY_HOP_LEN = 8,
    REPORT_HEADER_LEN = 8,
    RECORD_LEN = 20,
    RECORD_IS_EXCLUDE = 2, // MODE_IS_EXCLUDE: the answer to a query
    RECORD_TO_EXCLUDE = 4, // CHANGE_TO_EXCLUDE_MODE: a join
    GROUP_AT = 8
};

static const uint8_t all_routers_v2[IPV6_LEN] = {0xff, 0x02, [15] = 0x16};

// Addresses may share a group: the first one of them stands for it.
static bool is_first_of_group(const struct shortcut *shortcut, size_t index)
{
    if (shortcut->own[index].cidr.family != AF_INET6)
        return false;
    for (size_t i = 0; i < index; i++) {
        if (shortcut->own[i].cidr.family == AF_INET6 && memcmp(shortcut->own[i].cidr.ip + 13, shortcut->own[index].cidr.ip + 13, 3) == 0)
            return false;
    }
    return true;
}

// IPv6 and hop-by-hop header around a message of `len` bytes that is already in its place, and its checksum.
static size_t wrap(const struct shortcut *shortcut, const uint8_t dst[static IPV6_LEN], size_t len, uint8_t *out)
{
    static const uint8_t hop_by_hop[HOP_BY_HOP_LEN] = {IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0}; // router alert "MLD", PadN
    const uint8_t *src = shortcut->own[shortcut->n_own - 1].cidr.ip;
    uint8_t *message = out + IPV6_HEADER_LEN + HOP_BY_HOP_LEN;
    shortcut_ipv6_header(out, HOP_BY_HOP_LEN + len, IPPROTO_HOPOPTS, MLD_HOP_LIMIT);
    memcpy(out + 8, src, IPV6_LEN);
    memcpy(out + 24, dst, IPV6_LEN);
    memcpy(out + IPV6_HEADER_LEN, hop_by_hop, HOP_BY_HOP_LEN);
    uint64_t sum = checksum_pseudo_ipv6(src, dst, IPPROTO_ICMPV6, (uint32_t)len);
    store_be16(message + 2, checksum_finish(checksum_add(sum, message, len)));
    return IPV6_HEADER_LEN + HOP_BY_HOP_LEN + len;
}

static size_t write_report(const struct shortcut *shortcut, uint8_t record_type, uint8_t *out)
{
    uint8_t *message = out + IPV6_HEADER_LEN + HOP_BY_HOP_LEN;
    size_t n_records = 0;
    memset(message, 0, MLD_REPORT_LEN);
    for (size_t i = 0; i < shortcut->n_own; i++) {
        if (!is_first_of_group(shortcut, i))
            continue;
        uint8_t *record = message + REPORT_HEADER_LEN + n_records++ * RECORD_LEN;
        record[0] = record_type;
        shortcut_solicited_group(shortcut->own[i].cidr.ip, record + 4);
    }
    message[0] = ICMPV6_MLD2_REPORT;
    store_be16(message + 6, (uint16_t)n_records);
    return wrap(shortcut, all_routers_v2, REPORT_HEADER_LEN + n_records * RECORD_LEN, out);
}

static size_t write_v1_report(const struct shortcut *shortcut, const uint8_t group[static IPV6_LEN], uint8_t *out)
{
    uint8_t *message = out + IPV6_HEADER_LEN + HOP_BY_HOP_LEN;
    memset(message, 0, MLD1_QUERY_LEN);
    message[0] = ICMPV6_MLD1_REPORT;
    memcpy(message + GROUP_AT, group, IPV6_LEN);
    return wrap(shortcut, group, MLD1_QUERY_LEN, out);
}

void shortcut_mld_init(struct shortcut *shortcut)
{
    shortcut->mld.due_ns = shortcut->mld.v1_due_ns = NO_DEADLINE;
}

// RFC 3810 5.1.3: above 32767 the code is a floating-point number.
static uint64_t response_delay_ms(const struct ip_packet *packet)
{
    unsigned code = load_be16(packet->payload + 4);
    if (packet->len == MLD1_QUERY_LEN || code < 0x8000)
        return code;
    return (uint64_t)((code & 0x0fff) | 0x1000) << (((code >> 12) & 7) + 3);
}

static bool is_valid_query(const struct shortcut *shortcut, const struct request *request, const struct ip_packet *packet)
{
    if (packet->hop_limit != MLD_HOP_LIMIT || !packet->has_router_alert || packet->has_fragment_header)
        return false;
    if (packet->src[0] != 0xfe || (packet->src[1] & 0xc0) != 0x80)
        return false;
    if (packet->len != MLD1_QUERY_LEN && packet->len < MLD2_QUERY_LEN)
        return false;
    return shortcut_is_good_mac(shortcut, &request->view.src) && shortcut_ipv6_is_checksum_good(packet);
}

static bool asks_for_us(const struct shortcut *shortcut, const uint8_t group[static IPV6_LEN])
{
    static const uint8_t every_group[IPV6_LEN] = {0};
    if (memcmp(group, every_group, IPV6_LEN) == 0)
        return true;
    for (size_t i = 0; i < shortcut->n_own; i++) {
        uint8_t own_group[IPV6_LEN];
        shortcut_solicited_group(shortcut->own[i].cidr.ip, own_group);
        if (shortcut->own[i].cidr.family == AF_INET6 && memcmp(group, own_group, IPV6_LEN) == 0)
            return true;
    }
    return false;
}

static void schedule(uint64_t due_ns, const struct l2_header *query_l2, uint64_t *pending_ns, struct l2_header *l2)
{
    *l2 = *query_l2;
    if (due_ns < *pending_ns)
        *pending_ns = due_ns;
}

void shortcut_mld_query(struct shortcut *shortcut, const struct request *request, const struct ip_packet *packet)
{
    struct mld_state *mld = &shortcut->mld;
    if (!shortcut->has_link_local || shortcut_is_silent(shortcut) || !is_valid_query(shortcut, request, packet))
        return;
    if (!asks_for_us(shortcut, packet->payload + GROUP_AT))
        return;
    if (!shortcut_limit_allows(shortcut, LIMIT_NEIGHBOUR, request, packet, 1))
        return;
    uint64_t due_ns = request->now_ns + shortcut_random(shortcut) % (response_delay_ms(packet) * NS_PER_MS + 1);
    struct mac_address group;
    struct l2_header l2;
    shortcut_ipv6_group_mac(all_routers_v2, &group);
    shortcut_l2_answer(shortcut, request, &group, &l2);
    if (packet->len == MLD1_QUERY_LEN)
        schedule(due_ns, &l2, &mld->v1_due_ns, &mld->v1_l2);
    else
        schedule(due_ns, &l2, &mld->due_ns, &mld->l2);
    shortcut_update_deadline(shortcut);
}

void shortcut_mld_tick(struct shortcut *shortcut, uint64_t now_ns)
{
    struct mld_state *mld = &shortcut->mld;
    if (now_ns >= mld->due_ns) {
        mld->due_ns = NO_DEADLINE;
        mld->wants_report = true;
    }
    if (now_ns < mld->v1_due_ns)
        return;
    mld->v1_due_ns = NO_DEADLINE;
    for (size_t i = 0; i < shortcut->n_own; i++) {
        if (is_first_of_group(shortcut, i))
            mld->v1_reports_left |= (uint16_t)(1U << i);
    }
}

static size_t next_v1_report(struct shortcut *shortcut, struct l2_header *l2, uint8_t packet[static MLD_PACKET_MAX])
{
    struct mld_state *mld = &shortcut->mld;
    size_t i = 0;
    while (!(mld->v1_reports_left >> i & 1))
        i++;
    mld->v1_reports_left &= (uint16_t) ~(1U << i);
    uint8_t group[IPV6_LEN];
    struct mac_address mac;
    shortcut_solicited_group(shortcut->own[i].cidr.ip, group);
    shortcut_ipv6_group_mac(group, &mac);
    *l2 = mld->v1_l2;
    memcpy(l2->bytes, mac.b, MAC_ADDRESS_LEN);
    return write_v1_report(shortcut, group, packet);
}

size_t shortcut_mld_next(struct shortcut *shortcut, uint8_t *out, size_t cap)
{
    struct mld_state *mld = &shortcut->mld;
    uint8_t packet[MLD_PACKET_MAX];
    struct l2_header l2 = {.len = 0};
    size_t len = 0;
    if (mld->wants_join) {
        struct mac_address group;
        mld->wants_join = false;
        shortcut_ipv6_group_mac(all_routers_v2, &group);
        shortcut_l2_plain(shortcut, &group, ETHER_TYPE_IPV6, &l2);
        len = write_report(shortcut, RECORD_TO_EXCLUDE, packet);
    } else if (mld->wants_report) {
        mld->wants_report = false;
        l2 = mld->l2;
        len = write_report(shortcut, RECORD_IS_EXCLUDE, packet);
    } else if (mld->v1_reports_left) {
        len = next_v1_report(shortcut, &l2, packet);
    }
    if (len == 0 || l2.len + len > cap)
        return 0;
    memcpy(out, l2.bytes, l2.len);
    memcpy(out + l2.len, packet, len);
    return l2.len + len;
}
