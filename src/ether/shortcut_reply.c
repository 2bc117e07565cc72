// SPDX-License-Identifier: MIT
/*
 * shortcut_reply: the one reply that an instance is writing, frame by frame.
 *
 * An echo reply of up to 64 KiB is kept as its IP payload; each call cuts the next IP fragment from it. So a large ping needs no queue.
 */
#include "shortcut_private.h"

#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/checksum.h"
#include "ethercord/log.h"

enum { IPV4_DF = 0x4000, IPV4_MF = 0x2000, REPLY_TTL = 64 };

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

// shortcut_next()'s room is promised for two tags; with more of them the IP packets get smaller instead.
static size_t l3_room(const struct shortcut *shortcut, const struct l2_header *l2)
{
    return min_size(shortcut->config.mtu, (size_t)shortcut->config.mtu + FRAME_EXTRA - l2->len);
}

static size_t header_len(const struct reply *reply)
{
    return reply->kind == REPLY_IPV4 ? IPV4_HEADER_LEN : IPV6_HEADER_LEN;
}

static bool fits_whole(const struct reply *reply)
{
    return header_len(reply) + reply->len <= reply->l3_max;
}

static size_t fragment_len(const struct reply *reply)
{
    size_t header = header_len(reply) + (reply->kind == REPLY_IPV6 ? IPV6_FRAGMENT_HEADER_LEN : 0);
    return (reply->l3_max - header) / FRAGMENT_UNIT * FRAGMENT_UNIT;
}

size_t shortcut_reply_prepare(struct shortcut *shortcut, const struct l2_header *l2, const struct ip_packet *packet, size_t len)
{
    struct reply *reply = &shortcut->reply;
    bool is_ipv4 = packet->family == AF_INET;
    reply->kind = is_ipv4 ? REPLY_IPV4 : REPLY_IPV6;
    reply->l2 = *l2;
    memcpy(reply->src, packet->dst, IPV6_LEN);
    memcpy(reply->dst, packet->src, IPV6_LEN);
    reply->tos = packet->tos;
    reply->has_df = packet->has_df;
    reply->id = is_ipv4 ? shortcut->next_ipv4_id++ : (uint32_t)shortcut_random(shortcut);
    reply->l3_max = l3_room(shortcut, l2);
    // IPv6 routers don't fragment, neither does a cord, and we hear no packet-too-big: fragments no larger than those that came will find
    // their way back.
    size_t least = is_ipv4 ? TAP_MTU_MIN : IPV6_MTU_MIN;
    if (packet->is_fragment)
        reply->l3_max = min_size(reply->l3_max, packet->largest > least ? packet->largest : least);
    reply->len = len;
    reply->offset = 0;
    return fits_whole(reply) ? 1 : (len + fragment_len(reply) - 1) / fragment_len(reply);
}

void shortcut_reply_whole(struct shortcut *shortcut, const struct l2_header *l2, size_t len)
{
    shortcut->reply.kind = REPLY_WHOLE;
    shortcut->reply.l2 = *l2;
    shortcut->reply.len = len;
    shortcut->reply.offset = 0;
}

static size_t write_ipv4(const struct reply *reply, size_t piece, uint8_t *out)
{
    bool is_whole = piece == reply->len;
    unsigned fragment = (unsigned)(reply->offset / FRAGMENT_UNIT);
    if (reply->offset + piece < reply->len)
        fragment |= IPV4_MF;
    if (is_whole && reply->has_df)
        fragment |= IPV4_DF;
    out[0] = 0x45;
    out[1] = reply->tos;
    store_be16(out + 2, (uint16_t)(IPV4_HEADER_LEN + piece));
    store_be16(out + 4, (uint16_t)reply->id);
    store_be16(out + 6, (uint16_t)fragment);
    out[8] = REPLY_TTL;
    out[9] = IPPROTO_ICMP;
    store_be16(out + 10, 0);
    memcpy(out + 12, reply->src, IPV4_LEN);
    memcpy(out + 16, reply->dst, IPV4_LEN);
    store_be16(out + 10, checksum_finish(checksum_add(0, out, IPV4_HEADER_LEN)));
    return IPV4_HEADER_LEN;
}

static size_t write_ipv6(const struct reply *reply, size_t piece, uint8_t *out)
{
    bool is_whole = piece == reply->len;
    size_t extra = is_whole ? 0 : IPV6_FRAGMENT_HEADER_LEN;
    shortcut_ipv6_header(out, extra + piece, is_whole ? IPPROTO_ICMPV6 : IPPROTO_FRAGMENT, REPLY_TTL);
    out[0] |= reply->tos >> 4;
    out[1] |= (uint8_t)(reply->tos << 4);
    memcpy(out + 8, reply->src, IPV6_LEN);
    memcpy(out + 24, reply->dst, IPV6_LEN);
    if (is_whole)
        return IPV6_HEADER_LEN;
    uint8_t *fragment = out + IPV6_HEADER_LEN;
    bool has_more = reply->offset + piece < reply->len;
    fragment[0] = IPPROTO_ICMPV6;
    fragment[1] = 0;
    store_be16(fragment + 2, (uint16_t)(reply->offset | (has_more ? 1 : 0)));
    store_be32(fragment + 4, reply->id);
    return IPV6_HEADER_LEN + IPV6_FRAGMENT_HEADER_LEN;
}

size_t shortcut_reply_next(struct shortcut *shortcut, uint8_t *out, size_t cap)
{
    struct reply *reply = &shortcut->reply;
    if (reply->kind == REPLY_NONE)
        return 0;
    ensure(cap >= (size_t)shortcut->config.mtu + FRAME_EXTRA);
    memcpy(out, reply->l2.bytes, reply->l2.len);
    size_t at = reply->l2.len;
    size_t piece = reply->len;
    if (reply->kind != REPLY_WHOLE) {
        if (!fits_whole(reply))
            piece = min_size(fragment_len(reply), reply->len - reply->offset);
        at += reply->kind == REPLY_IPV4 ? write_ipv4(reply, piece, out + at) : write_ipv6(reply, piece, out + at);
    }
    memcpy(out + at, reply->bytes + reply->offset, piece);
    reply->offset += piece;
    if (reply->offset == reply->len)
        reply->kind = REPLY_NONE;
    return at + piece;
}
