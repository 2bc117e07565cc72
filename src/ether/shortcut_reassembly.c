// SPDX-License-Identifier: MIT
/*
 * shortcut_reassembly: echo requests that came in IP fragments (RFC 791, RFC 8200 4.5), two at a time.
 *
 * Bounded in memory (two buffers) and time (5 s). A map with one bit per 8 bytes tells what is there. A fragment that overlaps others
 * with different bytes, or contradicts the length, kills the packet, and what else comes of it is thrown away too (RFC 5722). A fragment
 * that repeats bytes that are already there is a duplicate made by the network: only that one is thrown away.
 *
 *   free -> held (first fragment) -> whole (taken by the caller: free) | dead (contradiction) | free (timeout, or the oldest must go)
 */
#include "shortcut_private.h"

#include <string.h>

#include "ethercord/clock.h"

enum span { SPAN_NEW, SPAN_DUPLICATE, SPAN_OVERLAP };

static void give_up(struct shortcut *shortcut, struct reassembly *slot)
{
    count_add(&shortcut->counters->drops[DROP_SHORTCUT_FRAGMENT], slot->n_frames);
    slot->n_frames = 0;
}

// RFC 791: addresses, protocol and id; RFC 8200: addresses and id. The MAC addresses and tags must be the same as well.
static bool is_same_packet(const struct reassembly *slot, const struct l2_header *l2, const struct ip_packet *packet)
{
    const struct ip_packet *first = &slot->packet;
    return slot->is_used && first->family == packet->family && first->fragment_id == packet->fragment_id &&
           (packet->family == AF_INET6 || first->protocol == packet->protocol) && memcmp(first->src, packet->src, IPV6_LEN) == 0 &&
           memcmp(first->dst, packet->dst, IPV6_LEN) == 0 && slot->l2.len == l2->len && memcmp(slot->l2.bytes, l2->bytes, l2->len) == 0;
}

static struct reassembly *find_slot(struct shortcut *shortcut, const struct l2_header *l2, const struct ip_packet *packet, uint64_t now_ns)
{
    struct reassembly *oldest = &shortcut->reassemblies[0];
    for (size_t i = 0; i < SHORTCUT_REASSEMBLIES; i++) {
        struct reassembly *slot = &shortcut->reassemblies[i];
        if (is_same_packet(slot, l2, packet))
            return slot;
        if (oldest->is_used && (!slot->is_used || slot->deadline_ns < oldest->deadline_ns))
            oldest = slot;
    }
    give_up(shortcut, oldest);
    oldest->is_used = true;
    oldest->is_dead = false;
    oldest->l2 = *l2;
    oldest->packet = *packet;
    oldest->packet.payload = NULL;
    oldest->deadline_ns = now_ns + REASSEMBLY_TIMEOUT_S * NS_PER_S;
    oldest->n_units = oldest->end = oldest->total_len = 0;
    memset(oldest->seen, 0, sizeof(oldest->seen));
    shortcut_update_deadline(shortcut);
    return oldest;
}

static bool is_seen(const struct reassembly *slot, size_t unit)
{
    return slot->seen[unit / 8] >> (unit % 8) & 1;
}

static enum span look_at_span(const struct reassembly *slot, const struct ip_packet *packet)
{
    size_t first = packet->fragment_offset / FRAGMENT_UNIT;
    size_t n_units = (packet->len + FRAGMENT_UNIT - 1) / FRAGMENT_UNIT;
    size_t n_seen = 0;
    for (size_t i = 0; i < n_units; i++)
        n_seen += is_seen(slot, first + i);
    if (n_seen == 0)
        return SPAN_NEW;
    bool is_same = n_seen == n_units && memcmp(slot->bytes + packet->fragment_offset, packet->payload, packet->len) == 0;
    return is_same ? SPAN_DUPLICATE : SPAN_OVERLAP;
}

// Do this fragment's end and its more-fragments bit agree with what the others said about the length?
static bool agrees_on_length(const struct reassembly *slot, const struct ip_packet *packet)
{
    size_t end = packet->fragment_offset + packet->len;
    if (packet->has_more)
        return slot->total_len == 0 || end < slot->total_len;
    return slot->total_len == 0 ? end >= slot->end : end == slot->total_len;
}

static void store(struct reassembly *slot, const struct ip_packet *packet)
{
    size_t first = packet->fragment_offset / FRAGMENT_UNIT;
    size_t n_units = (packet->len + FRAGMENT_UNIT - 1) / FRAGMENT_UNIT;
    size_t end = packet->fragment_offset + packet->len;
    memcpy(slot->bytes + packet->fragment_offset, packet->payload, packet->len);
    for (size_t i = first; i < first + n_units; i++)
        slot->seen[i / 8] |= (uint8_t)(1U << (i % 8));
    slot->n_units += n_units;
    slot->n_frames++;
    if (end > slot->end)
        slot->end = end;
    if (!packet->has_more)
        slot->total_len = end;
    if (packet->largest > slot->packet.largest)
        slot->packet.largest = packet->largest;
    // RFC 8200 4.5: only the first fragment's next header says what the payload is.
    if (packet->fragment_offset == 0) {
        slot->packet.protocol = packet->protocol;
        slot->packet.tos = packet->tos;
        slot->packet.hop_limit = packet->hop_limit;
    }
}

static bool is_whole(const struct reassembly *slot)
{
    return slot->total_len > 0 && slot->n_units == (slot->total_len + FRAGMENT_UNIT - 1) / FRAGMENT_UNIT;
}

enum reassembly_result shortcut_reassembly_add(struct shortcut *shortcut, const struct l2_header *l2, const struct ip_packet *packet,
                                               uint64_t now_ns, struct reassembly **whole)
{
    struct reassembly *slot = find_slot(shortcut, l2, packet, now_ns);
    if (slot->is_dead)
        return REASSEMBLY_REFUSED;
    enum span span = look_at_span(slot, packet);
    if (span == SPAN_OVERLAP || !agrees_on_length(slot, packet)) {
        give_up(shortcut, slot);
        slot->is_dead = true;
        return REASSEMBLY_REFUSED;
    }
    if (span == SPAN_DUPLICATE)
        return REASSEMBLY_REFUSED;
    store(slot, packet);
    if (!is_whole(slot))
        return REASSEMBLY_HELD;
    slot->packet.payload = slot->bytes;
    slot->packet.len = slot->total_len;
    *whole = slot;
    return REASSEMBLY_WHOLE;
}

void shortcut_reassembly_forget_strange(struct shortcut *shortcut)
{
    for (size_t i = 0; i < SHORTCUT_REASSEMBLIES; i++) {
        struct reassembly *slot = &shortcut->reassemblies[i];
        if (!slot->is_used || shortcut_find_own(shortcut, slot->packet.family, slot->packet.dst))
            continue;
        give_up(shortcut, slot);
        slot->is_used = false;
    }
}

void shortcut_reassembly_tick(struct shortcut *shortcut, uint64_t now_ns)
{
    for (size_t i = 0; i < SHORTCUT_REASSEMBLIES; i++) {
        struct reassembly *slot = &shortcut->reassemblies[i];
        if (!slot->is_used || now_ns < slot->deadline_ns)
            continue;
        give_up(shortcut, slot);
        slot->is_used = false;
    }
}
