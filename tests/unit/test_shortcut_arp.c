// SPDX-License-Identifier: MIT
/*
 * The shortcut's ARP: requests and probes, what is malformed, conflicts and their defence, announcements, silence.
 */
#include "test_shortcut_frames.h"

struct arp_frame {
    const uint8_t *dst_mac, *src_mac;
    int n_tags;
    unsigned op;
    const uint8_t *sender_mac, *sender_ip, *target_ip;
};

static const uint8_t none_v4[16] = {0};

static struct arp_frame request_of(void)
{
    return (struct arp_frame){broadcast_mac, host_mac, 0, 1, host_mac, host_v4, own_v4};
}

static void put_arp(struct frame *frame, const struct arp_frame *arp)
{
    static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
    uint8_t *p = put_ether(frame, arp->dst_mac, arp->src_mac, 0x0806, arp->n_tags);
    memcpy(p, head, 6);
    put16(p + 6, arp->op);
    memcpy(p + 8, arp->sender_mac, 6);
    memcpy(p + 14, arp->sender_ip, 4);
    memset(p + 18, 0, 6);
    memcpy(p + 24, arp->target_ip, 4);
    frame->len += 28;
}

static void expect_arp_reply(const struct bench *bench, const struct arp_frame *arp)
{
    struct frame *want = calloc(1, sizeof(*want));
    struct arp_frame turned = {arp->sender_mac, own_mac, arp->n_tags, 2, own_mac, arp->target_ip, arp->sender_ip};
    put_arp(want, &turned);
    memcpy(want->b + want->len - 10, arp->sender_mac, 6);
    assert_int_equal(bench->reply_len[0], want->len);
    assert_memory_equal(bench->reply[0], want->b, want->len);
    free(want);
}

static void expect_announcement(const struct bench *bench, size_t i, const uint8_t *ip, int n_tags)
{
    struct frame *want = calloc(1, sizeof(*want));
    put_arp(want, &(struct arp_frame){broadcast_mac, own_mac, n_tags, 1, own_mac, ip, ip});
    assert_int_equal(bench->reply_len[i], want->len);
    assert_memory_equal(bench->reply[i], want->b, want->len);
    free(want);
}

static void test_requests(void **state)
{
    (void)state;
    const struct {
        const uint8_t *dst_mac, *sender_ip, *target_ip;
        int n_tags;
        size_t padding;
    } rows[] = {
        {broadcast_mac, host_v4, own_v4, 0, 0}, {broadcast_mac, host_v4, own_v4, 0, 18},    {own_mac, host_v4, own_v4, 0, 18},
        {broadcast_mac, none_v4, own_v4, 0, 0}, {broadcast_mac, other_v4, own_v4b, 0, 0},   {broadcast_mac, host_v4, own_v4, 1, 0},
        {broadcast_mac, none_v4, own_v4, 2, 3}, {broadcast_mac, other_v4, own_v4b, 8, 100},
    };
    struct bench *bench = bench_default();
    struct frame *frame = calloc(1, sizeof(*frame));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arp_frame arp = request_of();
        arp.dst_mac = rows[i].dst_mac;
        arp.sender_ip = rows[i].sender_ip;
        arp.target_ip = rows[i].target_ip;
        arp.n_tags = rows[i].n_tags;
        put_arp(frame, &arp);
        frame->len += rows[i].padding;
        expect_taken(bench, frame, DROP_COUNT, 1);
        expect_arp_reply(bench, &arp);
    }
    free(frame);
    bench_close(bench);
}

static void test_bad_and_foreign(void **state)
{
    (void)state;
    static const uint8_t multicast[16] = {224, 0, 0, 1}, subnet[16] = {10, 9, 0, 255}, loopback[16] = {127, 0, 0, 1};
    static const uint8_t all_ones[16] = {255, 255, 255, 255}, zero_net[16] = {0, 1, 2, 3}, group_mac[6] = {1, 0, 0x5e, 0, 0, 1};
    enum { PASSES, BAD, TAKES };
    const struct {
        struct arp_frame arp;
        int fate;
    } rows[] = {
        {{broadcast_mac, host_mac, 0, 1, host_mac, multicast, own_v4}, BAD},
        {{broadcast_mac, host_mac, 0, 1, host_mac, subnet, own_v4}, BAD},
        {{broadcast_mac, host_mac, 0, 1, host_mac, loopback, own_v4}, BAD},
        {{broadcast_mac, host_mac, 0, 1, host_mac, all_ones, own_v4}, BAD},
        {{broadcast_mac, host_mac, 0, 1, host_mac, zero_net, own_v4}, BAD},
        {{broadcast_mac, host_mac, 0, 1, zero_mac, host_v4, own_v4}, BAD},
        {{broadcast_mac, host_mac, 0, 1, group_mac, host_v4, own_v4}, BAD},
        {{broadcast_mac, host_mac, 0, 1, own_mac, host_v4, own_v4}, BAD},
        {{broadcast_mac, zero_mac, 0, 1, host_mac, host_v4, own_v4}, BAD},
        {{broadcast_mac, group_mac, 0, 1, host_mac, host_v4, own_v4}, BAD},
        {{broadcast_mac, own_mac, 0, 1, host_mac, host_v4, own_v4}, BAD},
        {{own_mac, host_mac, 0, 3, host_mac, host_v4, own_v4}, BAD},
        {{own_mac, host_mac, 0, 1, zero_mac, own_v4, own_v4}, BAD},
        {{broadcast_mac, host_mac, 0, 3, host_mac, host_v4, own_v4}, PASSES},
        {{broadcast_mac, host_mac, 0, 1, host_mac, host_v4, other_v4}, PASSES},
        {{broadcast_mac, host_mac, 0, 1, host_mac, other_v4, other_v4}, PASSES},
        {{own_mac, host_mac, 0, 1, host_mac, host_v4, other_v4}, PASSES},
        {{other_mac, host_mac, 0, 1, host_mac, host_v4, own_v4}, PASSES},
        {{other_mac, host_mac, 0, 2, host_mac, host_v4, own_v4}, PASSES},
        {{broadcast_mac, host_mac, 0, 2, host_mac, host_v4, host_v4}, PASSES},
        {{broadcast_mac, own_mac, 0, 1, own_mac, own_v4, own_v4}, PASSES},
        {{own_mac, host_mac, 0, 2, host_mac, host_v4, own_v4}, TAKES},
    };
    struct bench *bench = bench_default();
    struct frame *frame = calloc(1, sizeof(*frame));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put_arp(frame, &rows[i].arp);
        if (rows[i].fate == PASSES)
            expect_pass_silently(bench, frame);
        else
            expect_taken(bench, frame, rows[i].fate == BAD ? DROP_SHORTCUT_BAD : DROP_COUNT, 0);
    }
    assert_int_equal(traffic_of(bench, COUNT_SHORTCUT_CONFLICTS), 0);
    free(frame);
    bench_close(bench);
}

static void test_malformed(void **state)
{
    (void)state;
    struct bench *bench = bench_default();
    struct frame *frame = calloc(1, sizeof(*frame));
    struct arp_frame arp = request_of();
    // Each byte of the fixed part, and each length below that of ARP.
    for (int is_unicast = 0; is_unicast < 2; is_unicast++) {
        arp.dst_mac = is_unicast ? own_mac : broadcast_mac;
        for (size_t i = 0; i < 6 + 28; i++) {
            put_arp(frame, &arp);
            if (i < 6)
                frame->b[14 + i] ^= 0x11;
            else
                frame->len = 14 + i - 6;
            if (is_unicast)
                expect_taken(bench, frame, DROP_SHORTCUT_BAD, 0);
            else
                expect_pass_silently(bench, frame);
        }
    }
    free(frame);
    bench_close(bench);
}

static void test_conflict(void **state)
{
    (void)state;
    struct bench *bench = bench_default();
    struct frame *frame = calloc(1, sizeof(*frame));
    struct shortcut_conflict conflict;
    const struct arp_frame claims[] = {
        {broadcast_mac, other_mac, 0, 1, other_mac, own_v4, own_v4},  // gratuitous
        {broadcast_mac, other_mac, 0, 1, other_mac, own_v4, host_v4}, // asks from our address
        {host_mac, other_mac, 0, 2, other_mac, own_v4, host_v4},      // answers somebody
        {own_mac, other_mac, 0, 2, other_mac, own_v4, host_v4},
    };
    assert_false(shortcut_take_conflict(bench->shortcut, &conflict));
    for (size_t i = 0; i < 4; i++) {
        put_arp(frame, &claims[i]);
        expect_pass(bench, frame);
        assert_int_equal(bench->n_replies, i == 0); // at most one defence in 10 s
        if (i == 0)
            expect_announcement(bench, 0, own_v4, 0);
        assert_int_equal(traffic_of(bench, COUNT_SHORTCUT_CONFLICTS), i + 1);
        assert_true(shortcut_take_conflict(bench->shortcut, &conflict));
        assert_memory_equal(conflict.address.ip, own_v4, 4);
        assert_int_equal(conflict.address.prefix_len, 24);
        assert_memory_equal(conflict.mac.b, other_mac, 6);
        assert_false(shortcut_take_conflict(bench->shortcut, &conflict));
    }
    bench->now_ns += 10 * NS_PER_S - 1;
    expect_pass_silently(bench, frame);
    bench->now_ns += 1;
    expect_pass(bench, frame);
    assert_int_equal(bench->n_replies, 1);
    // Another address has its own 10 s; the defence has the claim's tags.
    put_arp(frame, &(struct arp_frame){broadcast_mac, other_mac, 2, 1, other_mac, own_v4b, own_v4b});
    expect_pass(bench, frame);
    assert_int_equal(bench->n_replies, 1);
    expect_announcement(bench, 0, own_v4b, 2);
    free(frame);
    bench_close(bench);
}

static void test_announcements(void **state)
{
    (void)state;
    struct shortcut_config config = default_config();
    config.n_addresses = 1;
    struct bench *bench = bench_open(&config, SHORTCUT_PEER);
    assert_int_equal(shortcut_tick(bench->shortcut, bench->now_ns), 0);
    shortcut_announce(bench->shortcut, bench->now_ns);
    for (int i = 0; i < 2; i++) {
        uint64_t due_ns = shortcut_tick(bench->shortcut, bench->now_ns);
        assert_int_equal(due_ns, i == 0 ? bench->now_ns + 2 * NS_PER_S : 0);
        bench_drain(bench);
        assert_int_equal(bench->n_replies, 1);
        expect_announcement(bench, 0, own_v4, 0);
        bench->now_ns += 2 * NS_PER_S - 1;
        shortcut_tick(bench->shortcut, bench->now_ns);
        bench_drain(bench);
        assert_int_equal(bench->n_replies, 0);
        bench->now_ns++;
    }
    assert_int_equal(traffic_of(bench, COUNT_SHORTCUT_SENT), 2);
    bench_close(bench);
}

static void test_silence(void **state)
{
    (void)state;
    struct shortcut_config config = default_config();
    config.n_addresses = 1;
    config.answer = SHORTCUT_ANSWER_PEER_UP;
    struct bench *bench = bench_open(&config, SHORTCUT_TAP);
    struct frame *frame = calloc(1, sizeof(*frame));
    struct arp_frame arp = request_of();
    bench->is_peer_up = false;
    shortcut_announce(bench->shortcut, bench->now_ns);
    assert_int_equal(shortcut_tick(bench->shortcut, bench->now_ns), 0);
    put_arp(frame, &arp);
    expect_taken(bench, frame, DROP_SHORTCUT_SILENT, 0);
    // A claim is seen, but not answered.
    put_arp(frame, &(struct arp_frame){broadcast_mac, other_mac, 0, 1, other_mac, own_v4, own_v4});
    expect_pass_silently(bench, frame);
    assert_int_equal(traffic_of(bench, COUNT_SHORTCUT_CONFLICTS), 1);
    // The peer comes up: an answer, and the announcement with it.
    bench->is_peer_up = true;
    put_arp(frame, &arp);
    expect_taken(bench, frame, DROP_COUNT, 2);
    expect_arp_reply(bench, &arp);
    expect_announcement(bench, 1, own_v4, 0);
    // It goes down: the second announcement is off.
    bench->is_peer_up = false;
    expect_taken(bench, frame, DROP_SHORTCUT_SILENT, 0);
    assert_int_equal(shortcut_tick(bench->shortcut, bench->now_ns + 3 * NS_PER_S), 0);
    bench_close(bench);
    // The peer's side is never silent.
    bench = bench_open(&config, SHORTCUT_PEER);
    bench->is_peer_up = false;
    expect_taken(bench, frame, DROP_COUNT, 1);
    free(frame);
    bench_close(bench);
}

static void test_no_shortcut(void **state)
{
    (void)state;
    struct shortcut_config config = default_config();
    config.n_addresses = 0;
    struct bench *bench = bench_open(&config, SHORTCUT_TAP);
    struct frame *frame = calloc(1, sizeof(*frame));
    struct arp_frame arp = request_of();
    arp.dst_mac = own_mac;
    put_arp(frame, &arp);
    expect_pass_silently(bench, frame);
    shortcut_announce(bench->shortcut, bench->now_ns);
    assert_int_equal(shortcut_tick(bench->shortcut, bench->now_ns), 0);
    bench_drain(bench);
    assert_int_equal(bench->n_replies, 0);
    free(frame);
    bench_close(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),    cmocka_unit_test(test_bad_and_foreign), cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_conflict),    cmocka_unit_test(test_announcements),   cmocka_unit_test(test_silence),
        cmocka_unit_test(test_no_shortcut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
