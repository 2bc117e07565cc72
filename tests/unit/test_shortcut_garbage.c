// SPDX-License-Identifier: MIT
/*
 * The shortcut under mutated and random frames: nothing crashes, every frame is counted once, and whatever is answered is a valid request
 * by a second, plain reading of the RFCs; the answer is valid by it too.
 */
#include "test_shortcut_frames.h"

enum { N_FRAMES = 300000, SEEDS = 6 };

static uint32_t next_random(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

static bool is_own_v4(const uint8_t *ip)
{
    return memcmp(ip, own_v4, 4) == 0 || memcmp(ip, own_v4b, 4) == 0;
}

static bool is_own_v6(const uint8_t *ip)
{
    return memcmp(ip, own_v6, 16) == 0 || memcmp(ip, own_ll, 16) == 0;
}

static size_t l3_of(const uint8_t *b, size_t len, unsigned *type)
{
    size_t at = 12;
    while (at + 2 <= len) {
        *type = get16(b + at);
        if (*type != 0x8100 && *type != 0x88a8 && *type != 0x9100)
            return at + 2;
        at += 4;
    }
    return len;
}

// Could this frame cause an answer at once? ARP for or from one of ours, echo or solicitation with good sums; `*is_fragment` = can't say.
static bool is_answerable(const uint8_t *b, size_t len, bool *is_fragment)
{
    unsigned type = 0;
    size_t at = len >= 14 ? l3_of(b, len, &type) : len;
    const uint8_t *ip = b + at;
    size_t left = len - at;
    *is_fragment = false;
    if (type == 0x0806 && left >= 28)
        return memcmp(ip, "\0\1\x08\0\6\4", 6) == 0 && (is_own_v4(ip + 14) || (ip[7] == 1 && is_own_v4(ip + 24)));
    if (type == 0x0800 && left >= 20) {
        size_t header = (ip[0] & 15u) * 4u, total = get16(ip + 2);
        if (memcmp(b, own_mac, 6) != 0 || !is_own_v4(ip + 16) || ip[9] != 1 || header < 20 || total > left || total < header)
            return false;
        *is_fragment = (get16(ip + 6) & 0x3fff) != 0;
        return naive_sum(0, ip, header) == 0xffff && ip[12] >> 4 != 14 && memcmp(ip + 12, broadcast_mac, 4) != 0 && ip[12] != 127 &&
               ip[12] != 0 && (*is_fragment || (naive_sum(0, ip + header, total - header) == 0xffff && ip[header] == 8));
    }
    if (type != 0x86dd || left < 48 || ip[0] >> 4 != 6 || get16(ip + 4) + 40u > left)
        return false;
    size_t header = 40, end = get16(ip + 4) + 40u;
    uint8_t protocol = ip[6];
    while ((protocol == 0 || protocol == 60 || protocol == 43 || protocol == 44) && header + 8 <= end) {
        *is_fragment |= protocol == 44;
        size_t step = protocol == 44 ? 8 : (ip[header + 1] + 1u) * 8u;
        protocol = ip[header];
        header += step;
    }
    if (*is_fragment)
        return memcmp(b, own_mac, 6) == 0 && is_own_v6(ip + 24) && ip[8] != 0xff;
    if (protocol != 58 || header + 8 > end || naive_icmp6_sum(ip + 8, ip + 24, ip + header, end - header) != 0xffff)
        return false;
    if (ip[header] == 128)
        return memcmp(b, own_mac, 6) == 0 && is_own_v6(ip + 24) && ip[8] != 0xff;
    return (ip[header] == 135 || ip[header] == 136) && header + 24 <= end && ip[7] == 255 && is_own_v6(ip + header + 8);
}

static void check_reply(const uint8_t *b, size_t len)
{
    unsigned type = 0;
    size_t at = l3_of(b, len, &type);
    const uint8_t *ip = b + at;
    assert_memory_equal(b + 6, own_mac, 6);
    assert_memory_not_equal(b, own_mac, 6);
    assert_memory_not_equal(b, zero_mac, 6);
    if (type == 0x0806) {
        assert_int_equal(len - at, 28);
        assert_true(is_own_v4(ip + 14));
        return;
    }
    if (type == 0x0800) {
        assert_int_equal(b[0] & 1, 0);
        assert_int_equal(get16(ip + 2), len - at);
        assert_int_equal(naive_sum(0, ip, 20), 0xffff);
        assert_true(is_own_v4(ip + 12) && !is_own_v4(ip + 16) && ip[16] >> 4 != 14);
        return;
    }
    assert_int_equal(type, 0x86dd);
    assert_int_equal(get16(ip + 4) + 40u, len - at);
    assert_true(is_own_v6(ip + 8));
    if (ip[6] == 58)
        assert_int_equal(naive_icmp6_sum(ip + 8, ip + 24, ip + 40, len - at - 40), 0xffff);
}

static void put_ndp(struct frame *frame, uint8_t type)
{
    struct ping ip = {.family = T_V6, .src = host_v6, .dst = own_group};
    static const uint8_t mac[6] = {0x33, 0x33, 0xff, 0, 0x02, 0x51};
    uint8_t *icmp = put_header6(&ip, put_ether(frame, mac, host_mac, 0x86dd, 0), 32, 255);
    memset(icmp, 0, 32);
    icmp[0] = type;
    memcpy(icmp + 8, own_v6, 16);
    icmp[24] = type == 135 ? 1 : 2;
    icmp[25] = 1;
    memcpy(icmp + 26, host_mac, 6);
    put16(icmp + 2, ~naive_icmp6_sum(host_v6, own_group, icmp, 32) & 0xffff);
    frame->len += 72;
}

static void put_seed(struct frame *frame, unsigned i)
{
    static const uint8_t arp[28] = {0, 1, 8, 0, 6, 4, 0, 1, 2, 0xaa, 0, 0, 0, 2, 10, 9, 0, 2, 0, 0, 0, 0, 0, 0, 10, 9, 0, 251};
    static const uint8_t fragment[8] = {58, 0, 0, 1};
    struct ping ping = ping_of(i % 2 ? T_V6 : T_V4);
    ping.size = 16;
    ping.n_tags = (int)(i / SEEDS % 3);
    if (i % SEEDS == 2)
        ping.fragment_word = 0x2000;
    if (i % SEEDS == 3) {
        ping.options = fragment;
        ping.options_len = 8;
        ping.next_header = 44;
    }
    put_ping(frame, &ping);
    if (i % SEEDS == 4) {
        memcpy(put_ether(frame, broadcast_mac, host_mac, 0x0806, ping.n_tags), arp, 28);
        frame->len += 28;
    }
    if (i % SEEDS == 5)
        put_ndp(frame, i / SEEDS % 2 ? 135 : 136);
}

// Makes the sums of a mutated packet right again, else nearly nothing would get past them.
static void mend(struct frame *frame)
{
    unsigned type = 0;
    size_t at = frame->len >= 14 ? l3_of(frame->b, frame->len, &type) : frame->len;
    uint8_t *ip = frame->b + at;
    size_t left = frame->len - at;
    size_t header = left > 0 ? (ip[0] & 15u) * 4u : 0;
    if (type == 0x0800 && header >= 20 && header + 8 <= left) {
        put16(ip + 10, 0);
        put16(ip + 10, ~naive_sum(0, ip, header) & 0xffff);
        size_t end = get16(ip + 2) <= left && get16(ip + 2) >= header + 8 ? get16(ip + 2) : left;
        put16(ip + header + 2, 0);
        put16(ip + header + 2, ~naive_sum(0, ip + header, end - header) & 0xffff);
    }
    if (type == 0x86dd && left >= 48 && ip[6] == 58) {
        put16(ip + 42, 0);
        put16(ip + 42, ~naive_icmp6_sum(ip + 8, ip + 24, ip + 40, left - 40) & 0xffff);
    }
}

static void mutate(struct frame *frame, uint32_t *x)
{
    unsigned n = next_random(x) % 5;
    for (unsigned i = 0; i < n; i++) {
        uint8_t *p = &frame->b[next_random(x) % frame->len];
        uint32_t r = next_random(x);
        *p = (uint8_t)(r % 3 ? r >> 8 : *p ^ 1u << (r >> 8) % 8);
    }
    if (next_random(x) % 8 == 0)
        frame->len = next_random(x) % (frame->len + 1);
    if (next_random(x) % 2)
        mend(frame);
}

static void test_garbage(void **state)
{
    (void)state;
    static struct frame frame;
    struct shortcut_config config = default_config();
    struct bench *bench = bench_open(&config, SHORTCUT_TAP);
    uint32_t x = 0x2545f491;
    uint64_t n_taken = 0, n_answers = 0;
    for (unsigned i = 0; i < N_FRAMES; i++) {
        bool is_fragment;
        if (i % 16 == 15) {
            frame.len = next_random(&x) % 200;
            for (size_t k = 0; k < frame.len; k++)
                frame.b[k] = (uint8_t)next_random(&x);
            size_t len = frame.len;
            if (len >= 14 && i % 32 == 31)
                put_ether(&frame, own_mac, host_mac, i % 64 == 31 ? 0x0800 : 0x86dd, 0);
            frame.len = len;
        } else {
            put_seed(&frame, next_random(&x) % (6 * SEEDS));
            mutate(&frame, &x);
        }
        n_taken += bench_send(bench, &frame) == SHORTCUT_TAKEN;
        bool is_good = is_answerable(frame.b, frame.len, &is_fragment);
        if (bench->n_replies > 0 && !is_good)
            fail_msg("frame %u was answered", i);
        for (size_t k = 0; k < bench->n_replies; k++)
            check_reply(bench->reply[k], bench->reply_len[k]);
        if (!is_fragment && bench->n_replies == 1)
            assert_true(bench->reply_len[0] <= frame.len + 8); // an advertisement may be 8 bytes longer than a solicitation
        n_answers += bench->n_replies > 0;
        bench->now_ns += 10 * NS_PER_MS;
    }
    shortcut_tick(bench->shortcut, bench->now_ns + 10 * NS_PER_S); // gives up what is held
    bench_drain(bench);
    assert_int_equal(n_settled(bench), n_taken);
    assert_true(n_answers > N_FRAMES / 10); // the test would be worth nothing otherwise
    bench_close(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_garbage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
