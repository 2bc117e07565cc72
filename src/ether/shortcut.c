// SPDX-License-Identifier: MIT
/*
 * shortcut: one frame in, a verdict and perhaps a reply out; announcements when they are due.
 *
 *   1 peer up or down?   with Answer = peer-up the tap side says nothing at all while the peer is down
 *   2 deadlines          announcements, MLD reports, fragments that waited for too long
 *   3 parse, dispatch    ARP, IPv4, IPv6; everything else passes untouched
 *
 * The caller then drains shortcut_next(): first the reply to this frame, then what is due. Nothing is queued but bits: announcements
 * and reports are written when they are taken.
 */
#include "ethercord/shortcut.h"

#include <sodium.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/clock.h"
#include "ethercord/log.h"
#include "shortcut_private.h"

struct own_address *shortcut_find_own(struct shortcut *shortcut, uint16_t family, const uint8_t *ip)
{
    for (size_t i = 0; i < shortcut->n_own; i++) {
        struct own_address *own = &shortcut->own[i];
        if (own->cidr.family == family && memcmp(own->cidr.ip, ip, addr_ip_len(family)) == 0)
            return own;
    }
    return NULL;
}

bool shortcut_is_silent(const struct shortcut *shortcut)
{
    return shortcut->config.answer == SHORTCUT_ANSWER_PEER_UP && shortcut->side == SHORTCUT_TAP && !shortcut->is_peer_up;
}

bool shortcut_is_own_mac(const struct shortcut *shortcut, const struct mac_address *mac)
{
    return shortcut->config.n_addresses > 0 && mac_equal(mac, &shortcut->config.mac);
}

bool shortcut_is_to_us(const struct shortcut *shortcut, const struct request *request, bool is_own_ip)
{
    if (mac_equal(&request->view.dst, &shortcut->config.mac))
        return true;
    // Only the kernel at the other end of the TAP sends to the TAP's own MAC address; from the peer's side that means the kernel.
    return is_own_ip && shortcut->side == SHORTCUT_TAP && shortcut->config.has_tap_mac &&
           mac_equal(&request->view.dst, &shortcut->config.tap_mac);
}

bool shortcut_is_good_mac(const struct shortcut *shortcut, const struct mac_address *mac)
{
    return !mac_is_group(mac) && !mac_is_zero(mac) && !mac_equal(mac, &shortcut->config.mac);
}

uint64_t shortcut_random(struct shortcut *shortcut)
{
    uint8_t input[8];
    uint8_t hash[crypto_shorthash_BYTES];
    store_le64(input, shortcut->n_randoms++);
    crypto_shorthash(hash, input, sizeof(input), shortcut->seed);
    return load_le64(hash);
}

enum shortcut_verdict shortcut_settle(struct shortcut *shortcut, enum drop_reason reason, uint64_t n_frames)
{
    if (reason == NOT_DROPPED)
        count_traffic(shortcut->counters, COUNT_SHORTCUT_TAKEN, n_frames);
    else
        count_add(&shortcut->counters->drops[reason], n_frames);
    shortcut->refusal = reason;
    return SHORTCUT_TAKEN;
}

void shortcut_l2_answer(const struct shortcut *shortcut, const struct request *request, const struct mac_address *dst, struct l2_header *l2)
{
    l2->len = request->view.l3_offset;
    memcpy(l2->bytes, dst->b, MAC_ADDRESS_LEN);
    memcpy(l2->bytes + MAC_ADDRESS_LEN, shortcut->config.mac.b, MAC_ADDRESS_LEN);
    size_t at = 2 * (size_t)MAC_ADDRESS_LEN;
    memcpy(l2->bytes + at, request->view.bytes + at, l2->len - at);
}

void shortcut_l2_plain(const struct shortcut *shortcut, const struct mac_address *dst, uint16_t ether_type, struct l2_header *l2)
{
    l2->len = ETHER_HEADER_LEN;
    memcpy(l2->bytes, dst->b, MAC_ADDRESS_LEN);
    memcpy(l2->bytes + MAC_ADDRESS_LEN, shortcut->config.mac.b, MAC_ADDRESS_LEN);
    store_be16(l2->bytes + 2 * (size_t)MAC_ADDRESS_LEN, ether_type);
}

// RFC 2464 7
void shortcut_ipv6_group_mac(const uint8_t group[static IPV6_LEN], struct mac_address *mac)
{
    mac->b[0] = mac->b[1] = 0x33;
    memcpy(mac->b + 2, group + 12, 4);
}

bool shortcut_note_conflict(struct shortcut *shortcut, struct own_address *own, const struct mac_address *mac, uint64_t now_ns)
{
    count_traffic(shortcut->counters, COUNT_SHORTCUT_CONFLICTS, 1);
    shortcut->has_conflict = true;
    shortcut->conflict = (struct shortcut_conflict){.address = own->cidr, .mac = *mac};
    if (shortcut_is_silent(shortcut))
        return false;
    if (own->was_defended && now_ns - own->defended_ns < ARP_DEFEND_INTERVAL_S * NS_PER_S)
        return false;
    own->was_defended = true;
    own->defended_ns = now_ns;
    return true;
}

static void lower(uint64_t *deadline_ns, uint64_t candidate_ns)
{
    if (candidate_ns < *deadline_ns)
        *deadline_ns = candidate_ns;
}

void shortcut_update_deadline(struct shortcut *shortcut)
{
    shortcut->next_ns = NO_DEADLINE;
    for (size_t i = 0; i < SHORTCUT_REASSEMBLIES; i++) {
        if (shortcut->reassemblies[i].is_used)
            lower(&shortcut->next_ns, shortcut->reassemblies[i].deadline_ns);
    }
    if (shortcut->announcements_left > 0)
        lower(&shortcut->next_ns, shortcut->announce_ns);
    lower(&shortcut->next_ns, shortcut->mld.due_ns);
    lower(&shortcut->next_ns, shortcut->mld.v1_due_ns);
}

static void announce_all(struct shortcut *shortcut)
{
    for (size_t i = 0; i < shortcut->n_own; i++)
        shortcut->own[i].wants_announcement = true;
    shortcut->mld.wants_join = shortcut->has_link_local;
}

static void run_deadlines(struct shortcut *shortcut, uint64_t now_ns)
{
    if (now_ns < shortcut->next_ns)
        return;
    shortcut_reassembly_tick(shortcut, now_ns);
    shortcut_mld_tick(shortcut, now_ns);
    if (shortcut->announcements_left > 0 && now_ns >= shortcut->announce_ns) {
        shortcut->announcements_left--;
        shortcut->announce_ns = now_ns + ARP_ANNOUNCE_INTERVAL_S * NS_PER_S;
        announce_all(shortcut);
    }
    shortcut_update_deadline(shortcut);
}

void shortcut_fall_silent(struct shortcut *shortcut)
{
    shortcut->announcements_left = 0;
    memset(&shortcut->mld, 0, sizeof(shortcut->mld));
    shortcut_mld_init(shortcut);
    for (size_t i = 0; i < shortcut->n_own; i++)
        shortcut->own[i].wants_announcement = false;
    shortcut_update_deadline(shortcut);
}

static void note_peer(struct shortcut *shortcut, bool is_peer_up, uint64_t now_ns)
{
    if (is_peer_up == shortcut->is_peer_up)
        return;
    bool was_silent = shortcut_is_silent(shortcut);
    shortcut->is_peer_up = is_peer_up;
    if (shortcut_is_silent(shortcut))
        shortcut_fall_silent(shortcut);
    else if (was_silent)
        shortcut_announce(shortcut, now_ns);
}

size_t shortcut_size(void)
{
    return sizeof(struct shortcut);
}

void shortcut_init(struct shortcut *shortcut, const struct shortcut_config *config, enum shortcut_side side, struct counters *counters,
                   const uint8_t seed[static 16])
{
    ensure(config->n_addresses <= SHORTCUT_ADDRESSES_MAX);
    memset(shortcut, 0, sizeof(*shortcut));
    shortcut->config = *config;
    shortcut->side = side;
    shortcut->counters = counters;
    memcpy(shortcut->seed, seed, sizeof(shortcut->seed));
    shortcut->next_ipv4_id = (uint16_t)shortcut_random(shortcut);
    shortcut_set_own(shortcut);
    shortcut_mld_init(shortcut);
    shortcut->next_ns = NO_DEADLINE;
}

enum shortcut_verdict shortcut_handle(struct shortcut *shortcut, const uint8_t *frame, size_t len, bool is_peer_up, uint64_t now_ns)
{
    struct request request;
    if (shortcut->n_own == 0)
        return SHORTCUT_PASS;
    shortcut->reply.kind = REPLY_NONE;
    shortcut->refusal = NOT_DROPPED;
    note_peer(shortcut, is_peer_up, now_ns);
    run_deadlines(shortcut, now_ns);
    if (!frame_parse(&request.view, frame, len))
        return SHORTCUT_PASS;
    request.l3 = frame + request.view.l3_offset;
    request.l3_len = len - request.view.l3_offset;
    request.now_ns = now_ns;
    switch (request.view.ether_type) {
    case ETHER_TYPE_ARP:
        return shortcut_arp_handle(shortcut, &request);
    case ETHER_TYPE_IPV4:
        return shortcut_ipv4_handle(shortcut, &request);
    case ETHER_TYPE_IPV6:
        return shortcut_ipv6_handle(shortcut, &request);
    default:
        return SHORTCUT_PASS;
    }
}

enum drop_reason shortcut_refusal(const struct shortcut *shortcut)
{
    return shortcut->refusal;
}

void shortcut_announce(struct shortcut *shortcut, uint64_t now_ns)
{
    if (shortcut->n_own == 0 || shortcut_is_silent(shortcut))
        return;
    shortcut->announcements_left = ARP_ANNOUNCE_COUNT;
    shortcut->announce_ns = now_ns;
    shortcut_update_deadline(shortcut);
}

uint64_t shortcut_tick(struct shortcut *shortcut, uint64_t now_ns)
{
    run_deadlines(shortcut, now_ns);
    return shortcut->next_ns == NO_DEADLINE ? 0 : shortcut->next_ns;
}

static size_t write_announcement(struct shortcut *shortcut, struct own_address *own, uint8_t *out)
{
    static const uint8_t all_nodes[IPV6_LEN] = {0xff, 0x02, [15] = 0x01};
    bool is_ipv4 = own->cidr.family == AF_INET;
    struct mac_address dst = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    struct l2_header l2;
    own->wants_announcement = false;
    if (!is_ipv4)
        shortcut_ipv6_group_mac(all_nodes, &dst);
    shortcut_l2_plain(shortcut, &dst, is_ipv4 ? ETHER_TYPE_ARP : ETHER_TYPE_IPV6, &l2);
    memcpy(out, l2.bytes, l2.len);
    uint8_t *l3 = out + l2.len;
    return l2.len + (is_ipv4 ? shortcut_arp_announcement(shortcut, own, l3) : shortcut_ndp_announcement(shortcut, own, l3));
}

static size_t next_frame(struct shortcut *shortcut, uint8_t *out, size_t cap)
{
    size_t len = shortcut_reply_next(shortcut, out, cap);
    if (len == 0)
        len = shortcut_mld_next(shortcut, out, cap);
    for (size_t i = 0; len == 0 && i < shortcut->n_own; i++) {
        if (shortcut->own[i].wants_announcement)
            len = write_announcement(shortcut, &shortcut->own[i], out);
    }
    return len;
}

size_t shortcut_next(struct shortcut *shortcut, uint8_t *out, size_t cap)
{
    ensure(cap >= (size_t)shortcut->config.mtu + FRAME_EXTRA);
    size_t len = next_frame(shortcut, out, cap);
    if (len > 0)
        count_traffic(shortcut->counters, COUNT_SHORTCUT_SENT, 1);
    return len;
}

bool shortcut_take_conflict(struct shortcut *shortcut, struct shortcut_conflict *conflict)
{
    if (!shortcut->has_conflict)
        return false;
    *conflict = shortcut->conflict;
    shortcut->has_conflict = false;
    return true;
}
