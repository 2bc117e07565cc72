// SPDX-License-Identifier: MIT
/*
 * The shortcut's echo, IPv4 and IPv6: sizes, tags, options, what is never answered, limits, and the unbridged TAP.
 */
#include "test_shortcut_frames.h"

static const int families[2] = {T_V4, T_V6};

static void test_sizes(void **state)
{
    (void)state;
    struct bench *bench = bench_default();
    struct frame *frame = calloc(1, sizeof(*frame));
    for (size_t f = 0; f < 2; f++) {
        size_t largest = families[f] == T_V4 ? 1472 : 1452;
        for (size_t size = 0; size <= largest; size += size < 80 || size + 1 >= largest ? 1 : 97) {
            struct ping ping = ping_of(families[f]);
            ping.size = size;
            ping.padding = size < 18 ? 18 - size : size % 3;
            ping.tos = (uint8_t)(size * 5);
            ping.fragment_word = families[f] == T_V4 && size % 2 ? 0x4000 : 0;
            put_ping(frame, &ping);
            expect_taken(bench, frame, DROP_COUNT, 1);
            expect_echo(bench, &ping, 1500);
            bench->now_ns += NS_PER_MS;
        }
    }
    free(frame);
    bench_close(bench);
}

static void test_tags_and_mtus(void **state)
{
    (void)state;
    static const uint16_t mtus[] = {576, 1280, 1500, 9000};
    struct frame *frame = calloc(1, sizeof(*frame));
    for (size_t m = 0; m < 4; m++) {
        struct shortcut_config config = default_config();
        config.mtu = mtus[m];
        struct bench *bench = bench_open(&config, SHORTCUT_TAP);
        for (size_t f = 0; f < 2; f++) {
            for (int n_tags = 0; n_tags <= 8; n_tags++) {
                // A request may be larger than the MTU: then the reply comes in fragments. More than two tags make the packets smaller.
                for (size_t size = mtus[m] - 60u; size < mtus[m] + 30u; size++) {
                    struct ping ping = ping_of(families[f]);
                    ping.size = size;
                    ping.n_tags = n_tags;
                    ping.fragment_word = families[f] == T_V4 ? 0x4000 : 0;
                    put_ping(frame, &ping);
                    size_t room = n_tags > 2 ? mtus[m] - 4u * (unsigned)(n_tags - 2) : mtus[m];
                    size_t l3_len = size + 8 + (families[f] == T_V4 ? 20 : 40);
                    expect_taken(bench, frame, DROP_COUNT, l3_len <= room ? 1 : 2);
                    expect_echo(bench, &ping, room);
                    bench->now_ns += NS_PER_MS;
                }
            }
        }
        bench_close(bench);
    }
    free(frame);
}

struct row {
    const char *name;
    struct ping ping;
    enum drop_reason reason; // DROP_COUNT = passes
};

static void run_rows(const struct row *rows, size_t n)
{
    struct bench *bench = bench_default();
    struct frame *frame = calloc(1, sizeof(*frame));
    for (size_t i = 0; i < n; i++) {
        struct ping ping = ping_of(rows[i].ping.family);
        const struct ping *row = &rows[i].ping;
        ping.dst_mac = row->dst_mac ? row->dst_mac : ping.dst_mac;
        ping.src_mac = row->src_mac ? row->src_mac : ping.src_mac;
        ping.src = row->src ? row->src : ping.src;
        ping.dst = row->dst ? row->dst : ping.dst;
        ping.type = row->type ? row->type : ping.type;
        ping.code = row->code;
        ping.protocol = row->protocol;
        ping.fragment_word = row->fragment_word;
        ping.options = row->options;
        ping.options_len = row->options_len;
        ping.next_header = row->next_header;
        put_ping(frame, &ping);
        if (rows[i].reason == DROP_COUNT)
            expect_pass_silently(bench, frame);
        else
            expect_taken(bench, frame, rows[i].reason, 0);
    }
    free(frame);
    bench_close(bench);
}

static void test_never_answered(void **state)
{
    (void)state;
    static const uint8_t group_mac[6] = {0x01, 0, 0x5e, 0, 0, 1}, group_mac6[6] = {0x33, 0x33, 0, 0, 0, 1};
    static const uint8_t subnet_broadcast[16] = {10, 9, 0, 255};
    static const uint8_t none_v4[16] = {0};
    static const uint8_t loopback[16] = {127, 255, 0, 1};
    static const uint8_t multicast[16] = {224, 0, 0, 1};
    static const uint8_t multicast_last[16] = {239, 255, 255, 255};
    static const uint8_t all_ones[16] = {255, 255, 255, 255};
    static const uint8_t loopback_v6[16] = {[15] = 1};
    static const uint8_t mapped[16] = {[10] = 255, 255, 10, 9, 0, 2};
    static const struct row rows[] = {
        {"other IP", {.family = T_V4, .dst = other_v4}, DROP_SHORTCUT_UNWANTED},
        {"other MAC", {.family = T_V4, .dst_mac = other_mac}, DROP_COUNT},
        {"broadcast MAC", {.family = T_V4, .dst_mac = broadcast_mac}, DROP_COUNT},
        {"group MAC", {.family = T_V4, .dst_mac = group_mac}, DROP_COUNT},
        {"the TAP's MAC, bridged", {.family = T_V4, .dst_mac = tap_mac}, DROP_COUNT},
        {"broadcast IP", {.family = T_V4, .dst = subnet_broadcast}, DROP_SHORTCUT_UNWANTED},
        {"from group MAC", {.family = T_V4, .src_mac = group_mac}, DROP_SHORTCUT_BAD},
        {"from zero MAC", {.family = T_V4, .src_mac = zero_mac}, DROP_SHORTCUT_BAD},
        {"from own MAC", {.family = T_V4, .src_mac = own_mac}, DROP_SHORTCUT_BAD},
        {"from itself", {.family = T_V4, .src = own_v4}, DROP_SHORTCUT_BAD},
        {"from another of ours", {.family = T_V4, .src = own_v4b}, DROP_SHORTCUT_BAD},
        {"from 0.0.0.0", {.family = T_V4, .src = none_v4}, DROP_SHORTCUT_BAD},
        {"from loopback", {.family = T_V4, .src = loopback}, DROP_SHORTCUT_BAD},
        {"from multicast", {.family = T_V4, .src = multicast}, DROP_SHORTCUT_BAD},
        {"from multicast", {.family = T_V4, .src = multicast_last}, DROP_SHORTCUT_BAD},
        {"from broadcast", {.family = T_V4, .src = all_ones}, DROP_SHORTCUT_BAD},
        {"from subnet broadcast", {.family = T_V4, .src = subnet_broadcast}, DROP_SHORTCUT_BAD},
        {"TCP", {.family = T_V4, .protocol = 6}, DROP_SHORTCUT_UNWANTED},
        {"UDP", {.family = T_V4, .protocol = 17}, DROP_SHORTCUT_UNWANTED},
        {"UDP fragment", {.family = T_V4, .protocol = 17, .fragment_word = 0x2000}, DROP_SHORTCUT_UNWANTED},
        {"echo reply", {.family = T_V4, .type = 255, .code = 0}, DROP_SHORTCUT_UNWANTED},
        {"unreachable", {.family = T_V4, .type = 3, .code = 1}, DROP_SHORTCUT_UNWANTED},
        {"timestamp", {.family = T_V4, .type = 13}, DROP_SHORTCUT_UNWANTED},
        {"mask", {.family = T_V4, .type = 17}, DROP_SHORTCUT_UNWANTED},
        {"echo with a code", {.family = T_V4, .code = 1}, DROP_SHORTCUT_UNWANTED},
        {"other IP", {.family = T_V6, .dst = other_v6}, DROP_SHORTCUT_UNWANTED},
        {"other MAC", {.family = T_V6, .dst_mac = other_mac}, DROP_COUNT},
        {"group MAC, own IP", {.family = T_V6, .dst_mac = group_mac6}, DROP_COUNT},
        {"all nodes", {.family = T_V6, .dst_mac = group_mac6, .dst = all_nodes_v6}, DROP_COUNT},
        {"all nodes, own MAC", {.family = T_V6, .dst = all_nodes_v6}, DROP_SHORTCUT_UNWANTED},
        {"from group MAC", {.family = T_V6, .src_mac = group_mac6}, DROP_SHORTCUT_BAD},
        {"from own MAC", {.family = T_V6, .src_mac = own_mac}, DROP_SHORTCUT_BAD},
        {"from itself", {.family = T_V6, .src = own_v6}, DROP_SHORTCUT_BAD},
        {"from own link-local", {.family = T_V6, .src = own_ll}, DROP_SHORTCUT_BAD},
        {"from ::", {.family = T_V6, .src = none_v6}, DROP_SHORTCUT_BAD},
        {"from ::1", {.family = T_V6, .src = loopback_v6}, DROP_SHORTCUT_BAD},
        {"from multicast", {.family = T_V6, .src = all_nodes_v6}, DROP_SHORTCUT_BAD},
        {"from mapped", {.family = T_V6, .src = mapped}, DROP_SHORTCUT_BAD},
        {"TCP", {.family = T_V6, .protocol = 6}, DROP_SHORTCUT_UNWANTED},
        {"nothing", {.family = T_V6, .protocol = 59}, DROP_SHORTCUT_UNWANTED},
        {"echo reply", {.family = T_V6, .type = 129}, DROP_SHORTCUT_UNWANTED},
        {"unreachable", {.family = T_V6, .type = 1}, DROP_SHORTCUT_UNWANTED},
        {"too big", {.family = T_V6, .type = 2}, DROP_SHORTCUT_UNWANTED},
        {"router advertisement", {.family = T_V6, .type = 134}, DROP_SHORTCUT_UNWANTED},
        {"echo with a code", {.family = T_V6, .code = 9}, DROP_SHORTCUT_UNWANTED},
    };
    run_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

// The request with each of its bytes damaged: refused or passed on, never answered. Only what no check covers may be.
static void test_damaged(void **state)
{
    (void)state;
    struct bench *bench = bench_default();
    struct frame *frame = calloc(1, sizeof(*frame));
    for (size_t f = 0; f < 2; f++) {
        bool is_v4 = families[f] == T_V4;
        struct ping ping = ping_of(families[f]);
        ping.size = 9;
        put_ping(frame, &ping);
        size_t header = is_v4 ? 20 : 40;
        for (size_t i = 14; i < frame->len; i++) {
            put_ping(frame, &ping);
            frame->b[i] ^= 0x41;
            enum shortcut_verdict verdict = bench_send(bench, frame);
            size_t at = i - 14;
            bool is_unchecked = !is_v4 && (at == 1 || at == 2 || at == 3 || at == 7); // traffic class, flow label, hop limit
            assert_int_equal(verdict, SHORTCUT_TAKEN);
            assert_int_equal(bench->n_replies, is_unchecked);
            bench->now_ns += NS_PER_MS;
        }
        for (size_t len = 14; len < 14 + header + 17; len++) {
            put_ping(frame, &ping);
            frame->len = len;
            expect_taken(bench, frame, DROP_SHORTCUT_BAD, 0);
        }
        for (size_t len = 0; len < 14; len++) {
            frame->len = len;
            expect_pass_silently(bench, frame);
        }
    }
    free(frame);
    bench_close(bench);
}

static void test_ipv4_options(void **state)
{
    (void)state;
    static const uint8_t nops[40] = {1, 1, 1, 1}, record_route[40] = {7, 39, 4, [39] = 0}, timestamp[8] = {68, 8, 5, 0, 1, 2, 3, 4};
    static const uint8_t ended[4] = {0, 255, 255, 255}, router_alert[4] = {148, 4, 0, 0};
    static const uint8_t loose[8] = {131, 7, 4, 1, 2, 3, 4, 0}, strict[8] = {1, 137, 7, 8, 1, 2, 3, 4};
    static const uint8_t too_long[4] = {7, 5, 4, 0}, too_short[4] = {7, 1, 4, 0}, cut[4] = {1, 1, 1, 7};
    const struct {
        const uint8_t *options;
        size_t len;
        bool is_good;
    } rows[] = {
        {nops, 4, true},   {nops, 40, true},   {record_route, 40, true}, {timestamp, 8, true},  {ended, 4, true}, {router_alert, 4, true},
        {loose, 8, false}, {strict, 8, false}, {too_long, 4, false},     {too_short, 4, false}, {cut, 4, false},
    };
    struct bench *bench = bench_default();
    struct frame *frame = calloc(1, sizeof(*frame));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ping ping = ping_of(T_V4);
        ping.options = rows[i].options;
        ping.options_len = rows[i].len;
        put_ping(frame, &ping);
        if (!rows[i].is_good) {
            expect_taken(bench, frame, DROP_SHORTCUT_BAD, 0);
            continue;
        }
        expect_taken(bench, frame, DROP_COUNT, 1);
        expect_echo(bench, &ping, 1500);
    }
    free(frame);
    bench_close(bench);
}

static void test_ipv6_extensions(void **state)
{
    (void)state;
    enum { GOOD, BAD, UNWANTED };
    static const struct {
        uint8_t next_header;
        uint8_t len;
        int fate;
        uint8_t bytes[80];
    } rows[] = {
        {0, 8, GOOD, {58, 0, 1, 4, 0, 0, 0, 0}},
        {0, 8, GOOD, {58, 0, 0, 0, 0, 0, 0, 0}},
        {0, 16, GOOD, {58, 1, 5, 2, 0, 0, 1, 8}},
        {60, 8, GOOD, {58, 0, 0x1e, 4, 1, 2, 3, 4}}, // unknown option that may be skipped
        {0, 16, GOOD, {60, 0, 1, 4, 0, 0, 0, 0, 58, 0, 1, 4, 0, 0, 0, 0}},
        {43, 8, GOOD, {58, 0, 3, 0, 0, 0, 0, 0}},
        {44, 8, GOOD, {58, 0, 0, 0, 1, 2, 3, 4}}, // atomic fragment
        {43, 8, BAD, {58, 0, 3, 1, 0, 0, 0, 0}},  // segments left
        {60, 8, BAD, {58, 0, 0x5e, 4, 1, 2, 3, 4}},
        {60, 8, BAD, {58, 0, 0x9e, 4, 1, 2, 3, 4}},
        {0, 8, BAD, {58, 0, 0xc2, 4, 0, 1, 0, 0}}, // jumbo
        {0, 8, BAD, {58, 0, 1, 5, 0, 0, 0, 0}},    // option past the end
        {0, 8, BAD, {58, 0, 1, 3, 0, 0, 0, 1}},    // option without a length
        {0, 8, BAD, {58, 255, 1, 4, 0, 0, 0, 0}},  // header past the end
        {60, 16, BAD, {0, 0, 1, 4, 0, 0, 0, 0, 58, 0, 1, 4, 0, 0, 0, 0}},
        {44, 16, BAD, {44, 0, 0, 0, 1, 2, 3, 4, 58, 0, 0, 0, 1, 2, 3, 4}},
        {51, 8, UNWANTED, {58, 0, 0, 0, 0, 0, 0, 0}},
        {50, 8, UNWANTED, {58, 0, 0, 0, 0, 0, 0, 0}},
        {59, 8, UNWANTED, {58, 0, 0, 0, 0, 0, 0, 0}},
        {60, 64, GOOD, {60, 0, [8] = 60, [16] = 60, [24] = 60, [32] = 60, [40] = 60, [48] = 60, [56] = 58}},
        {60, 72, BAD, {60, 0, [8] = 60, [16] = 60, [24] = 60, [32] = 60, [40] = 60, [48] = 60, [56] = 60, [64] = 58}},
    };
    struct bench *bench = bench_default();
    struct frame *frame = calloc(1, sizeof(*frame));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ping ping = ping_of(T_V6);
        ping.next_header = rows[i].next_header;
        ping.options = rows[i].bytes;
        ping.options_len = rows[i].len;
        put_ping(frame, &ping);
        static const enum drop_reason reasons[] = {DROP_COUNT, DROP_SHORTCUT_BAD, DROP_SHORTCUT_UNWANTED};
        expect_taken(bench, frame, reasons[rows[i].fate], rows[i].fate == GOOD);
        if (rows[i].fate == GOOD)
            expect_echo(bench, &ping, 1500);
    }
    free(frame);
    bench_close(bench);
}

static void test_noarp(void **state)
{
    (void)state;
    struct shortcut_config config = default_config();
    config.has_tap_mac = true;
    memcpy(config.tap_mac.b, tap_mac, 6);
    struct frame *frame = calloc(1, sizeof(*frame));
    for (size_t f = 0; f < 2; f++) {
        struct bench *bench = bench_open(&config, SHORTCUT_TAP);
        struct bench *peer = bench_open(&config, SHORTCUT_PEER);
        struct ping ping = ping_of(families[f]);
        ping.dst_mac = ping.src_mac = tap_mac;
        put_ping(frame, &ping);
        expect_taken(bench, frame, DROP_COUNT, 1);
        expect_echo(bench, &ping, 1500);
        expect_pass_silently(peer, frame); // from there it is the kernel's
        ping.protocol = 17;
        put_ping(frame, &ping);
        expect_taken(bench, frame, DROP_SHORTCUT_UNWANTED, 0);
        ping = ping_of(families[f]); // our own MAC address is still ours
        put_ping(frame, &ping);
        expect_taken(bench, frame, DROP_COUNT, 1);
        ping.dst_mac = ping.src_mac = tap_mac;
        ping.dst = families[f] == T_V4 ? other_v4 : other_v6;
        put_ping(frame, &ping);
        expect_pass_silently(bench, frame);
        frame->len = 14 + 10;
        expect_pass_silently(bench, frame);
        bench_close(bench);
        bench_close(peer);
    }
    free(frame);
}

static void test_other_ether_types(void **state)
{
    (void)state;
    static const unsigned types[] = {0x0000, 0x0026, 0x05dc, 0x0600, 0x8035, 0x809b, 0x80f3, 0x8137, 0x8847, 0x8864, 0x88cc, 0xffff};
    struct bench *bench = bench_default();
    struct frame *frame = calloc(1, sizeof(*frame));
    struct ping ping = ping_of(T_V4);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        put_ping(frame, &ping);
        put16(frame->b + 12, types[i]);
        expect_pass_silently(bench, frame);
    }
    ping.n_tags = 9; // one more than are parsed
    put_ping(frame, &ping);
    expect_pass_silently(bench, frame);
    free(frame);
    bench_close(bench);
}

static void test_link_local(void **state)
{
    (void)state;
    struct bench *bench = bench_default();
    struct frame *frame = calloc(1, sizeof(*frame));
    struct ping ping = ping_of(T_V6);
    ping.dst = own_ll;
    ping.src = host_ll;
    put_ping(frame, &ping);
    expect_taken(bench, frame, DROP_COUNT, 1);
    expect_echo(bench, &ping, 1500);
    bench_close(bench);
    // Without an IPv6 address there is none.
    struct shortcut_config config = default_config();
    config.n_addresses = 1;
    bench = bench_open(&config, SHORTCUT_TAP);
    expect_taken(bench, frame, DROP_SHORTCUT_UNWANTED, 0);
    free(frame);
    bench_close(bench);
}

static void test_silence(void **state)
{
    (void)state;
    struct shortcut_config config = default_config();
    config.answer = SHORTCUT_ANSWER_PEER_UP;
    struct bench *bench = bench_open(&config, SHORTCUT_TAP);
    struct frame *frame = calloc(1, sizeof(*frame));
    for (size_t f = 0; f < 2; f++) {
        struct ping ping = ping_of(families[f]);
        bench->is_peer_up = false;
        put_ping(frame, &ping);
        expect_taken(bench, frame, DROP_SHORTCUT_SILENT, 0);
        ping.protocol = 17;
        put_ping(frame, &ping);
        expect_taken(bench, frame, DROP_SHORTCUT_UNWANTED, 0);
        bench->is_peer_up = true;
        ping.protocol = 0;
        put_ping(frame, &ping);
        assert_int_equal(bench_send(bench, frame), SHORTCUT_TAKEN);
        assert_true(bench->n_replies >= 1);
    }
    free(frame);
    bench_close(bench);
}

static size_t n_answered(struct bench *bench, const struct ping *ping, size_t n, uint64_t step_ns)
{
    static struct frame frame;
    size_t n_good = 0;
    put_ping(&frame, ping);
    for (size_t i = 0; i < n; i++) {
        uint64_t limited = drops_of(bench, DROP_SHORTCUT_LIMIT);
        assert_int_equal(bench_send(bench, &frame), SHORTCUT_TAKEN);
        assert_int_equal(drops_of(bench, DROP_SHORTCUT_LIMIT), limited + (bench->n_replies == 0));
        n_good += bench->n_replies;
        bench->now_ns += step_ns;
    }
    return n_good;
}

// 10000 at once and 50000/s from one source; 20000 at once and 100000/s from all (docs/shortcut.md).
static void test_limits(void **state)
{
    (void)state;
    struct bench *bench = bench_default();
    struct ping ping = ping_of(T_V4);
    assert_int_equal(n_answered(bench, &ping, 10500, 0), 10000);
    assert_int_equal(n_answered(bench, &ping, 2, 0), 0);
    bench->now_ns += 20000;
    assert_int_equal(n_answered(bench, &ping, 2, 0), 1);
    assert_int_equal(n_answered(bench, &ping, 1000, 20000), 999); // the rate itself goes on for ever
    struct ping other = ping;
    other.src = other_v4; // somebody else is not held up by that
    assert_int_equal(n_answered(bench, &other, 9000, 0), 9000);
    struct ping third = ping;
    uint8_t ip[16] = {10, 9, 0, 3};
    third.src = ip;
    bench->now_ns += 10 * NS_PER_S;
    assert_int_equal(n_answered(bench, &ping, 10000, 0), 10000);
    assert_int_equal(n_answered(bench, &other, 10000, 0), 10000);
    assert_int_equal(n_answered(bench, &third, 5, 0), 0);
    bench->now_ns += NS_PER_S;
    assert_int_equal(n_answered(bench, &third, 5, 0), 5);
    bench_close(bench);
}

// A source that forges addresses gets many buckets, and nobody's bucket is lost for good.
static void test_many_sources(void **state)
{
    (void)state;
    struct bench *bench = bench_default();
    struct ping ping = ping_of(T_V4);
    uint8_t ip[16] = {172, 16, 0, 0};
    ping.src = ip;
    for (unsigned i = 0; i < 5000; i++) {
        put16(ip + 2, i + 1);
        assert_int_equal(n_answered(bench, &ping, 1, 10000), 1);
    }
    bench_close(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),          cmocka_unit_test(test_tags_and_mtus),
        cmocka_unit_test(test_never_answered), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_ipv4_options),   cmocka_unit_test(test_ipv6_extensions),
        cmocka_unit_test(test_noarp),          cmocka_unit_test(test_other_ether_types),
        cmocka_unit_test(test_link_local),     cmocka_unit_test(test_silence),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_many_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
