// SPDX-License-Identifier: MIT
/*
 * test_packets: TCP and UDP packets of every shape for the tests of what looks into them, built byte by byte; checksums and the pieces of
 * a super-frame are computed in the plainest possible way, from the RFCs and with nothing of the code under test.
 */
#ifndef TEST_PACKETS_H
#define TEST_PACKETS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>

#include "ethercord/frame.h"
#include "ethercord/offload.h"
#include "ethercord/packet.h"
#include "ethercord/split.h"

#define N_OF(array) (sizeof(array) / sizeof(array)[0])

enum { EXTENSIONS_MAX = 10, PACKET_CAP = SUPER_FRAME_MAX + 400, TCP_ACK = 0x10, TCP_SYN = 0x02, TCP_URG = 0x20, TCP_ECE = 0x40 };

struct extension {
    uint8_t type;   // 0 hop-by-hop, 43 routing, 60 destination options, or whatever
    uint8_t blocks; // its length byte: 8-byte blocks beyond the first
};

struct recipe {
    uint8_t version, protocol, n_tags;
    uint8_t ip_words;  // of IPv4 options
    uint8_t tcp_words; // of TCP options
    struct extension extensions[EXTENSIONS_MAX];
    size_t n_extensions;
    bool is_routed; // the pseudo-header has an address that is not that of the IPv6 header (RFC 8200 8.1)
    uint8_t tos;    // or traffic class
    uint8_t flags;  // of TCP; 0 = ACK
    uint16_t id;    // of IPv4
    uint32_t sequence;
    size_t payload_len;
    bool is_whole; // the L4 checksum is complete; else partial
};

struct packet_bytes {
    uint8_t b[PACKET_CAP];
    size_t len, l3, l4, payload;
};

static inline uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static inline void put16(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}

static inline unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static inline uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

// One's complement sum of 16-bit words, one after the other.
static inline unsigned naive_sum(unsigned sum, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 ? p[i] : (unsigned)p[i] << 8;
        if (sum > 0xffff)
            sum -= 0xffff;
    }
    return sum;
}

// 0 and ffff are the same number.
static inline bool same_sum(unsigned a, unsigned b)
{
    return a % 0xffff == b % 0xffff;
}

static const uint8_t final_address[16] = {0x20, 0x01, 0x0d, 0xb8, [8] = 0x99, [15] = 0x77};

// The sum of the pseudo-header of a packet whose IP header is at `ip`.
static inline unsigned pseudo_sum(const struct recipe *recipe, const uint8_t *ip, size_t l4_len)
{
    uint8_t tail[8] = {(uint8_t)(l4_len >> 24), (uint8_t)(l4_len >> 16), (uint8_t)(l4_len >> 8), (uint8_t)l4_len, 0, 0, 0,
                       recipe->protocol};
    unsigned sum = naive_sum(0, tail, sizeof tail);

    if (recipe->version == 4)
        return naive_sum(sum, ip + 12, 8);
    return naive_sum(naive_sum(sum, ip + 8, 16), recipe->is_routed ? final_address : ip + 24, 16);
}

static inline size_t l4_checksum_at(const struct recipe *recipe)
{
    return recipe->protocol == IPPROTO_TCP ? 16 : 6;
}

// Of a packet in one piece, whatever its checksum field holds now.
static inline unsigned whole_checksum(const struct recipe *recipe, const uint8_t *ip, const uint8_t *l4, size_t l4_len)
{
    size_t at = l4_checksum_at(recipe);
    unsigned sum = pseudo_sum(recipe, ip, l4_len);

    sum = naive_sum(sum, l4, at);
    sum = naive_sum(sum, l4 + at + 2, l4_len - at - 2);
    return sum == 0xffff ? 0xffff : 0xffff - sum; // zero is "none" to UDP, and the same number to TCP
}

static inline void put_ipv4_checksum(uint8_t *ip)
{
    put16(ip + 10, 0);
    put16(ip + 10, 0xffff - naive_sum(0, ip, (ip[0] & 15U) * 4));
}

static inline size_t put_ipv4(uint8_t *ip, const struct recipe *recipe, size_t l4_len)
{
    size_t header_len = 20 + 4U * recipe->ip_words;

    memset(ip, 1, header_len); // options: no-operation
    ip[0] = (uint8_t)(0x40 | header_len / 4);
    ip[1] = recipe->tos;
    put16(ip + 2, header_len + l4_len);
    put16(ip + 4, recipe->id);
    put16(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = recipe->protocol;
    memcpy(ip + 12, (const uint8_t[]){10, 9, 0, 2, 10, 9, 1, 251}, 8);
    put_ipv4_checksum(ip);
    return header_len;
}

static inline size_t put_ipv6(uint8_t *ip, const struct recipe *recipe, size_t l4_len)
{
    size_t at = 40;
    uint8_t *next = ip + 6;

    memset(ip, 0, 40);
    ip[0] = (uint8_t)(0x60 | recipe->tos >> 4);
    ip[1] = (uint8_t)(recipe->tos << 4 | 0x05);
    put16(ip + 2, 0x4321);
    ip[7] = 64;
    memcpy(ip + 8, (const uint8_t[16]){0xfd, 0, 0, 9, [15] = 2}, 16);
    memcpy(ip + 24, (const uint8_t[16]){0xfd, 0, 0, 9, [13] = 0xff, [15] = 0x51}, 16);
    for (size_t i = 0; i < recipe->n_extensions; i++) {
        *next = recipe->extensions[i].type;
        memset(ip + at, 0, 8 + 8U * recipe->extensions[i].blocks);
        ip[at + 1] = recipe->extensions[i].blocks;
        next = ip + at;
        at += 8 + 8U * recipe->extensions[i].blocks;
    }
    *next = recipe->protocol;
    put16(ip + 4, at - 40 + l4_len);
    return at;
}

static inline void put_tcp(uint8_t *l4, const struct recipe *recipe)
{
    size_t header_len = 20 + 4U * recipe->tcp_words;

    memset(l4, 1, header_len);
    put16(l4, 4711);
    put16(l4 + 2, 5201);
    put32(l4 + 4, recipe->sequence);
    put32(l4 + 8, 0x89abcdef);
    l4[12] = (uint8_t)(header_len / 4 << 4);
    l4[13] = recipe->flags ? recipe->flags : TCP_ACK;
    put16(l4 + 14, 501);
    put16(l4 + 18, 0);
}

static inline void put_udp(uint8_t *l4, size_t l4_len)
{
    put16(l4, 4711);
    put16(l4 + 2, 4433);
    put16(l4 + 4, l4_len);
}

// The payload depends on `seed`.
static inline void make_packet(struct packet_bytes *packet, const struct recipe *recipe, uint32_t seed)
{
    static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    size_t l4_header_len = recipe->protocol == IPPROTO_UDP ? 8 : 20 + 4U * recipe->tcp_words;
    size_t l4_len = l4_header_len + recipe->payload_len, at = 12;

    memcpy(packet->b, macs, 12);
    for (uint8_t i = 0; i < recipe->n_tags; i++, at += 4) {
        put16(packet->b + at, i + 1 < recipe->n_tags ? 0x88a8 : 0x8100);
        put16(packet->b + at + 2, 100U + i);
    }
    put16(packet->b + at, recipe->version == 4 ? 0x0800 : 0x86dd);
    packet->l3 = at + 2;
    uint8_t *ip = packet->b + packet->l3;
    packet->l4 = packet->l3 + (recipe->version == 4 ? put_ipv4(ip, recipe, l4_len) : put_ipv6(ip, recipe, l4_len));
    uint8_t *l4 = packet->b + packet->l4;
    if (recipe->protocol == IPPROTO_UDP)
        put_udp(l4, l4_len);
    else
        put_tcp(l4, recipe);
    packet->payload = packet->l4 + l4_header_len;
    packet->len = packet->payload + recipe->payload_len;
    assert_true(packet->len <= sizeof packet->b);
    for (size_t i = packet->payload; i < packet->len; i++)
        packet->b[i] = (uint8_t)(next_random(&seed) >> 3);
    put16(l4 + l4_checksum_at(recipe), recipe->is_whole ? whole_checksum(recipe, ip, l4, l4_len) : pseudo_sum(recipe, ip, l4_len));
}

static inline struct offload super_of(const struct recipe *recipe, const struct packet_bytes *packet, uint16_t gso_size)
{
    enum super_kind tcp = recipe->version == 4 ? SUPER_TCP4 : SUPER_TCP6;

    return (struct offload){
        .kind = recipe->protocol == IPPROTO_UDP ? SUPER_UDP : tcp,
        .is_partial = !recipe->is_whole,
        .checksum_start = (uint16_t)packet->l4,
        .checksum_offset = (uint16_t)l4_checksum_at(recipe),
        .gso_size = gso_size,
    };
}

static inline void assert_same_offload(const struct offload *a, const struct offload *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->is_partial, b->is_partial);
    assert_int_equal(a->has_cwr, b->has_cwr);
    assert_int_equal(a->checksum_start, b->checksum_start);
    assert_int_equal(a->checksum_offset, b->checksum_offset);
    assert_int_equal(a->gso_size, b->gso_size);
    assert_int_equal(a->headers_len, b->headers_len);
}

static inline void parse_packet(struct packet_view *view, const uint8_t *bytes, size_t len)
{
    struct frame_view frame;

    assert_true(frame_parse(&frame, bytes, len));
    assert_true(packet_parse(view, &frame));
}

// The headers of the piece of `len` bytes at `at` of the payload, whole: what the kernel's software segmentation makes of it. (Zero in TCP
// it leaves alone there, and only there.)
static inline void naive_piece(const struct recipe *recipe, const struct packet_bytes *packet, size_t at, size_t len, uint16_t gso_size,
                               uint8_t *out)
{
    size_t headers_len = packet->payload, l4_len = headers_len - packet->l4 + len;
    uint8_t *ip = out + packet->l3, *l4 = out + packet->l4;
    bool is_last = at + len == packet->len - headers_len;

    memmove(out + headers_len, packet->b + headers_len + at, len);
    memcpy(out, packet->b, headers_len);
    if (recipe->version == 4) {
        put16(ip + 2, packet->l4 - packet->l3 + l4_len);
        put16(ip + 4, get16(ip + 4) + at / gso_size);
        put_ipv4_checksum(ip);
    } else {
        put16(ip + 4, packet->l4 - packet->l3 - 40 + l4_len);
    }
    if (recipe->protocol == IPPROTO_UDP) {
        put16(l4 + 4, l4_len);
    } else {
        put32(l4 + 4, get32(l4 + 4) + (uint32_t)at);
        l4[13] = (uint8_t)(l4[13] & ~((is_last ? 0 : TCP_FIN | TCP_PSH) | (at ? TCP_CWR : 0)));
    }
    unsigned checksum = whole_checksum(recipe, ip, l4, l4_len);
    put16(l4 + l4_checksum_at(recipe), recipe->protocol == IPPROTO_TCP && checksum == 0xffff ? 0 : checksum);
}

#endif
