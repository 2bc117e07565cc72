// SPDX-License-Identifier: MIT
/*
 * test_shortcut_frames: what the shortcut's unit tests share: an instance with its counters, frames to feed it, and checksums computed
 * in the plainest possible way, independent of the code under test.
 */
#ifndef TEST_SHORTCUT_FRAMES_H
#define TEST_SHORTCUT_FRAMES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ethercord/clock.h"
#include "ethercord/shortcut.h"

enum { REPLIES_MAX = 140, REPLY_CAP = 9100, FRAME_CAP = 70000, T_V4 = 4, T_V6 = 6 };

struct frame {
    size_t len;
    uint8_t b[FRAME_CAP];
};

struct bench {
    struct shortcut *shortcut;
    struct shortcut_config config;
    struct counters counters;
    uint64_t now_ns;
    bool is_peer_up;
    size_t n_replies;
    size_t reply_len[REPLIES_MAX];
    uint8_t reply[REPLIES_MAX][REPLY_CAP];
};

static const uint8_t own_mac[6] = {0x02, 0xec, 0, 0, 0, 1};
static const uint8_t tap_mac[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
static const uint8_t host_mac[6] = {0x02, 0xaa, 0, 0, 0, 2};
static const uint8_t other_mac[6] = {0x02, 0xbb, 0, 0, 0, 3};
static const uint8_t broadcast_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t zero_mac[6] = {0};
static const uint8_t own_v4[16] = {10, 9, 0, 251};
static const uint8_t own_v4b[16] = {192, 168, 7, 9};
static const uint8_t host_v4[16] = {10, 9, 0, 2};
static const uint8_t other_v4[16] = {10, 9, 0, 77};
static const uint8_t own_v6[16] = {0xfd, 0, 0, 9, [14] = 0x02, [15] = 0x51};
static const uint8_t own_ll[16] = {0xfe, 0x80, [8] = 0x00, 0xec, 0x00, 0xff, 0xfe, 0x00, 0x00, 0x01};
static const uint8_t host_v6[16] = {0xfd, 0, 0, 9, [15] = 2};
static const uint8_t host_ll[16] = {0xfe, 0x80, [15] = 2};
static const uint8_t other_v6[16] = {0xfd, 0, 0, 9, [15] = 0x77};
static const uint8_t all_nodes_v6[16] = {0xff, 0x02, [15] = 1};
static const uint8_t own_group[16] = {0xff, 0x02, [11] = 1, 0xff, 0, 0x02, 0x51};
static const uint8_t none_v6[16] = {0};

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

static inline unsigned naive_icmp6_sum(const uint8_t *src, const uint8_t *dst, const uint8_t *icmp, size_t len)
{
    uint8_t tail[8] = {0, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, 0, 0, 0, 58};
    return naive_sum(naive_sum(naive_sum(naive_sum(0, src, 16), dst, 16), tail, 8), icmp, len);
}

static inline void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static inline struct bench *bench_open(const struct shortcut_config *config, enum shortcut_side side)
{
    static const uint8_t seed[16] = "sixteen bytes of";
    struct bench *bench = calloc(1, sizeof(*bench));
    size_t size = (shortcut_size() + 15) / 16 * 16;
    assert_non_null(bench);
    bench->shortcut = aligned_alloc(16, size);
    assert_non_null(bench->shortcut);
    memset(bench->shortcut, 0, size);
    bench->config = *config;
    bench->now_ns = 1000 * NS_PER_S;
    bench->is_peer_up = true;
    shortcut_init(bench->shortcut, config, side, &bench->counters, seed);
    return bench;
}

static inline struct shortcut_config default_config(void)
{
    struct shortcut_config config = {.n_addresses = 3, .mtu = 1500};
    memcpy(config.mac.b, own_mac, 6);
    config.addresses[0] = (struct cidr){.family = AF_INET, .prefix_len = 24};
    config.addresses[1] = (struct cidr){.family = AF_INET6, .prefix_len = 64};
    config.addresses[2] = (struct cidr){.family = AF_INET, .prefix_len = 31};
    memcpy(config.addresses[0].ip, own_v4, 16);
    memcpy(config.addresses[1].ip, own_v6, 16);
    memcpy(config.addresses[2].ip, own_v4b, 16);
    return config;
}

static inline struct bench *bench_default(void)
{
    struct shortcut_config config = default_config();
    return bench_open(&config, SHORTCUT_TAP);
}

static inline void bench_close(struct bench *bench)
{
    free(bench->shortcut);
    free(bench);
}

static inline void bench_drain(struct bench *bench)
{
    bench->n_replies = 0;
    size_t len;
    size_t cap = (size_t)bench->config.mtu + FRAME_EXTRA;
    assert_true(cap <= REPLY_CAP);
    uint8_t *exact = malloc(cap); // so that the sanitizer sees a byte too many
    while ((len = shortcut_next(bench->shortcut, exact, cap)) > 0) {
        assert_true(len <= cap && bench->n_replies < REPLIES_MAX);
        memcpy(bench->reply[bench->n_replies], exact, len);
        bench->reply_len[bench->n_replies++] = len;
    }
    free(exact);
}

static inline enum shortcut_verdict bench_send(struct bench *bench, const struct frame *frame)
{
    uint8_t *exact = malloc(frame->len ? frame->len : 1);
    memcpy(exact, frame->b, frame->len);
    enum shortcut_verdict verdict = shortcut_handle(bench->shortcut, exact, frame->len, bench->is_peer_up, bench->now_ns);
    bench_drain(bench);
    free(exact);
    return verdict;
}

static inline uint64_t drops_of(const struct bench *bench, enum drop_reason reason)
{
    return bench->counters.drops[reason];
}

static inline uint64_t traffic_of(const struct bench *bench, enum traffic_counter counter)
{
    return bench->counters.traffic[counter];
}

static inline uint64_t n_settled(const struct bench *bench)
{
    uint64_t n = traffic_of(bench, COUNT_SHORTCUT_TAKEN);
    for (int i = 0; i < DROP_COUNT; i++)
        n += bench->counters.drops[i];
    return n;
}

// What became of one frame: exactly one count for a taken one, none for one that passes. DROP_COUNT = answered or taken without a word.
static inline void expect_taken(struct bench *bench, const struct frame *frame, enum drop_reason reason, size_t n_replies)
{
    uint64_t settled = n_settled(bench);
    uint64_t taken = traffic_of(bench, COUNT_SHORTCUT_TAKEN);
    uint64_t dropped = reason == DROP_COUNT ? 0 : drops_of(bench, reason);
    uint64_t sent = traffic_of(bench, COUNT_SHORTCUT_SENT);
    assert_int_equal(bench_send(bench, frame), SHORTCUT_TAKEN);
    assert_int_equal(bench->n_replies, n_replies);
    assert_int_equal(traffic_of(bench, COUNT_SHORTCUT_SENT), sent + n_replies);
    assert_int_equal(n_settled(bench), settled + 1);
    if (reason == DROP_COUNT)
        assert_int_equal(traffic_of(bench, COUNT_SHORTCUT_TAKEN), taken + 1);
    else
        assert_int_equal(drops_of(bench, reason), dropped + 1);
}

static inline void expect_pass(struct bench *bench, const struct frame *frame)
{
    uint64_t settled = n_settled(bench);
    assert_int_equal(bench_send(bench, frame), SHORTCUT_PASS);
    assert_int_equal(n_settled(bench), settled);
}

static inline void expect_pass_silently(struct bench *bench, const struct frame *frame)
{
    expect_pass(bench, frame);
    assert_int_equal(bench->n_replies, 0);
}

// Ethernet header with this many tags; returns where the payload goes.
static inline uint8_t *put_ether(struct frame *frame, const uint8_t *dst, const uint8_t *src, unsigned ether_type, int n_tags)
{
    memcpy(frame->b, dst, 6);
    memcpy(frame->b + 6, src, 6);
    frame->len = 12;
    for (int i = 0; i < n_tags; i++) {
        put16(frame->b + frame->len, i == 0 && n_tags > 1 ? 0x88a8 : 0x8100);
        put16(frame->b + frame->len + 2, 0x6000u + 10u * (unsigned)(i + 1));
        frame->len += 4;
    }
    put16(frame->b + frame->len, ether_type);
    frame->len += 2;
    return frame->b + frame->len;
}

// An IP packet with an ICMP message, or a fragment of one.
struct ping {
    int family;
    const uint8_t *dst_mac, *src_mac;
    int n_tags;
    const uint8_t *src, *dst;
    const uint8_t *options; // IPv4 options, or IPv6 extension headers
    size_t options_len;
    uint8_t protocol;    // 0 = ICMP; IPv6: of the last header
    uint8_t next_header; // IPv6: of the IPv6 header when there are extension headers
    uint8_t type, code;
    uint8_t tos;
    size_t size; // payload of the echo
    size_t padding;
    unsigned fragment_word; // IPv4: flags and offset
    unsigned id;
    size_t piece_at, piece_len; // piece_len 0 = all of the ICMP message
};

static inline struct ping ping_of(int family)
{
    bool is_v4 = family == T_V4;
    return (struct ping){
        .family = family,
        .dst_mac = own_mac,
        .src_mac = host_mac,
        .src = is_v4 ? host_v4 : host_v6,
        .dst = is_v4 ? own_v4 : own_v6,
        .type = is_v4 ? 8 : 128,
        .size = 56,
        .id = 0x4711,
    };
}

static inline size_t put_echo(const struct ping *ping, uint8_t *icmp)
{
    size_t len = 8 + ping->size;
    icmp[0] = ping->type;
    icmp[1] = ping->code;
    put16(icmp + 2, 0);
    put16(icmp + 4, 0xbeef);
    put16(icmp + 6, 0x0102);
    for (size_t i = 0; i < ping->size; i++)
        icmp[8 + i] = (uint8_t)(i * 7 + (i >> 8));
    unsigned sum = ping->family == T_V4 ? naive_sum(0, icmp, len) : naive_icmp6_sum(ping->src, ping->dst, icmp, len);
    put16(icmp + 2, ~sum & 0xffff);
    return len;
}

static inline uint8_t *put_header4(const struct ping *ping, uint8_t *ip, size_t len)
{
    size_t header = 20 + ping->options_len;
    memset(ip, 0, 20);
    ip[0] = (uint8_t)(0x40 | header / 4);
    ip[1] = ping->tos;
    put16(ip + 2, (unsigned)(header + len));
    put16(ip + 4, ping->id);
    put16(ip + 6, ping->fragment_word);
    ip[8] = 61;
    ip[9] = ping->protocol ? ping->protocol : 1;
    memcpy(ip + 12, ping->src, 4);
    memcpy(ip + 16, ping->dst, 4);
    if (ping->options_len)
        memcpy(ip + 20, ping->options, ping->options_len);
    put16(ip + 10, ~naive_sum(0, ip, header) & 0xffff);
    return ip + header;
}

static inline uint8_t *put_header6(const struct ping *ping, uint8_t *ip, size_t len, uint8_t hop_limit)
{
    uint8_t protocol = ping->protocol ? ping->protocol : 58;
    memset(ip, 0, 40);
    ip[0] = (uint8_t)(0x60 | ping->tos >> 4);
    ip[1] = (uint8_t)(ping->tos << 4);
    put16(ip + 4, (unsigned)(ping->options_len + len));
    ip[6] = ping->options_len ? ping->next_header : protocol;
    ip[7] = hop_limit;
    memcpy(ip + 8, ping->src, 16);
    memcpy(ip + 24, ping->dst, 16);
    if (ping->options_len)
        memcpy(ip + 40, ping->options, ping->options_len);
    return ip + 40 + ping->options_len;
}

static inline void put_ping(struct frame *frame, const struct ping *ping)
{
    static uint8_t icmp[FRAME_CAP];
    bool is_v4 = ping->family == T_V4;
    size_t len = put_echo(ping, icmp);
    size_t at = ping->piece_len ? ping->piece_at : 0;
    if (ping->piece_len)
        len = ping->piece_len;
    uint8_t *ip = put_ether(frame, ping->dst_mac, ping->src_mac, is_v4 ? 0x0800 : 0x86dd, ping->n_tags);
    uint8_t *payload = is_v4 ? put_header4(ping, ip, len) : put_header6(ping, ip, len, 64);
    memcpy(payload, icmp + at, len);
    memset(payload + len, 0xee, ping->padding);
    frame->len = (size_t)(payload - frame->b) + len + ping->padding;
}

// Puts the replies' fragments together and compares with the one right answer. `l3_max`: no reply packet is longer.
static inline void expect_echo(const struct bench *bench, const struct ping *ping, size_t l3_max)
{
    static uint8_t want[FRAME_CAP];
    static uint8_t got[FRAME_CAP];
    struct frame *l2 = calloc(1, sizeof(*l2));
    struct ping turned = *ping;
    bool is_v4 = ping->family == T_V4;
    turned.src = ping->dst;
    turned.dst = ping->src;
    turned.type = is_v4 ? 0 : 129;
    size_t want_len = put_echo(&turned, want);
    size_t got_len = 0;
    put_ether(l2, ping->src_mac, own_mac, is_v4 ? 0x0800 : 0x86dd, ping->n_tags);
    assert_true(bench->n_replies > 0);
    for (size_t i = 0; i < bench->n_replies; i++) {
        const uint8_t *ip = bench->reply[i] + l2->len;
        size_t l3_len = bench->reply_len[i] - l2->len;
        bool is_last = i + 1 == bench->n_replies;
        bool is_whole = bench->n_replies == 1;
        size_t header = is_v4 ? 20 : is_whole ? 40 : 48;
        unsigned word = is_v4 ? get16(ip + 6) : is_whole ? 0 : get16(ip + 42);
        size_t offset = is_v4 ? (word & 0x1fff) * 8u : word & ~7u;
        assert_memory_equal(bench->reply[i], l2->b, l2->len);
        assert_true(l3_len <= l3_max);
        if (is_v4) {
            assert_int_equal(ip[0], 0x45);
            assert_int_equal(ip[1], ping->tos);
            assert_int_equal(get16(ip + 2), l3_len);
            assert_int_equal(naive_sum(0, ip, 20), 0xffff);
            assert_int_equal(ip[8], 64);
            assert_int_equal(ip[9], 1);
            assert_memory_equal(ip + 4, bench->reply[0] + l2->len + 4, 2);
            assert_memory_equal(ip + 12, ping->dst, 4);
            assert_memory_equal(ip + 16, ping->src, 4);
            assert_int_equal(word >> 13 & 1, !is_last);
            assert_int_equal(word >> 14, is_whole && ping->fragment_word == 0x4000);
        } else {
            assert_int_equal(get16(ip), 0x6000u | (unsigned)ping->tos << 4);
            assert_int_equal(get16(ip + 4), l3_len - 40);
            assert_int_equal(ip[6], is_whole ? 58 : 44);
            assert_int_equal(ip[7], 64);
            assert_memory_equal(ip + 8, ping->dst, 16);
            assert_memory_equal(ip + 24, ping->src, 16);
            if (!is_whole) {
                assert_int_equal(ip[40], 58);
                assert_int_equal(word & 1, !is_last);
                assert_memory_equal(ip + 44, bench->reply[0] + l2->len + 44, 4);
            }
        }
        assert_int_equal(offset, got_len);
        if (!is_last)
            assert_int_equal((l3_len - header) % 8, 0);
        memcpy(got + got_len, ip + header, l3_len - header);
        got_len += l3_len - header;
    }
    assert_int_equal(got_len, want_len);
    assert_memory_equal(got, want, want_len);
    free(l2);
}

#endif
