// SPDX-License-Identifier: MIT
/*
 * The shortcut's neighbour discovery and multicast listener reports.
 */
#include "test_shortcut_frames.h"

static const uint8_t group_mac[6] = {0x33, 0x33, 0xff, 0, 0x02, 0x51}, all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
static const uint8_t reports_mac[6] = {0x33, 0x33, 0, 0, 0, 0x16}, reports_ip[16] = {0xff, 0x02, [15] = 0x16};
static const uint8_t ll_group[16] = {0xff, 0x02, [11] = 1, 0xff, 0, 0, 1};

// An ICMPv6 message of any kind: 24 bytes, then options.
struct message {
    const uint8_t *dst_mac, *src_mac, *src, *dst;
    int n_tags;
    uint8_t type, code, flags, hop_limit;
    unsigned max_response;
    const uint8_t *target;
    uint8_t options[32];
    size_t options_len;
    uint8_t extension[16];
    size_t extension_len;
    uint8_t next_header;
};

static struct message solicitation(void)
{
    return (struct message){
        .dst_mac = group_mac,
        .src_mac = host_mac,
        .src = host_v6,
        .dst = own_group,
        .type = 135,
        .hop_limit = 255,
        .target = own_v6,
        .options = {1, 1, 0x02, 0xaa, 0, 0, 0, 2},
        .options_len = 8,
    };
}

static struct message advertisement(void)
{
    struct message m = solicitation();
    m.type = 136;
    m.src_mac = other_mac;
    m.src = other_v6;
    m.dst_mac = all_nodes_mac;
    m.dst = all_nodes_v6;
    m.flags = 0x20;
    m.options[0] = 2;
    memcpy(m.options + 2, other_mac, 6);
    return m;
}

static struct message dad(void)
{
    struct message m = solicitation();
    m.src = none_v6;
    m.options_len = 0;
    return m;
}

static void put_message(struct frame *frame, const struct message *m)
{
    struct ping ip = {.family = T_V6, .src = m->src, .dst = m->dst, .options = m->extension, .options_len = m->extension_len};
    ip.next_header = m->next_header;
    size_t len = 24 + m->options_len;
    uint8_t *icmp = put_header6(&ip, put_ether(frame, m->dst_mac, m->src_mac, 0x86dd, m->n_tags), len, m->hop_limit);
    memset(icmp, 0, 24);
    icmp[0] = m->type;
    icmp[1] = m->code;
    icmp[4] = m->flags;
    if (m->max_response)
        put16(icmp + 4, m->max_response);
    memcpy(icmp + 8, m->target, 16);
    memcpy(icmp + 24, m->options, m->options_len);
    put16(icmp + 2, ~naive_icmp6_sum(m->src, m->dst, icmp, len) & 0xffff);
    frame->len = (size_t)(icmp - frame->b) + len;
}

static void expect_message(const struct bench *bench, size_t i, const struct message *want)
{
    static struct frame frame;
    put_message(&frame, want);
    assert_int_equal(bench->reply_len[i], frame.len);
    assert_memory_equal(bench->reply[i], frame.b, frame.len);
}

static struct message answer_to(const struct message *asked, const uint8_t *dst_mac, const uint8_t *dst, uint8_t flags)
{
    struct message m = advertisement();
    m.dst_mac = dst_mac;
    m.src_mac = own_mac;
    m.src = m.target = asked->target;
    m.dst = dst;
    m.flags = flags;
    m.n_tags = asked->n_tags;
    memcpy(m.options + 2, own_mac, 6);
    return m;
}

static void test_solicitations(void **state)
{
    (void)state;
    static struct frame frame;
    struct bench *bench = bench_default();
    for (int n_tags = 0; n_tags < 3; n_tags++) {
        struct message asked = solicitation();
        asked.n_tags = n_tags;
        put_message(&frame, &asked);
        frame.len += 3; // padding
        expect_taken(bench, &frame, DROP_COUNT, 1);
        struct message want = answer_to(&asked, host_mac, host_v6, 0x60);
        expect_message(bench, 0, &want);
        asked.target = own_ll; // another address, unicast
        asked.dst = own_ll;
        asked.dst_mac = own_mac;
        put_message(&frame, &asked);
        expect_taken(bench, &frame, DROP_COUNT, 1);
        want = answer_to(&asked, host_mac, host_v6, 0x60);
        expect_message(bench, 0, &want);
        asked.options_len = 0; // then the answer needs no option either, and is no larger
        put_message(&frame, &asked);
        expect_taken(bench, &frame, DROP_COUNT, 1);
        want = answer_to(&asked, host_mac, host_v6, 0x40);
        want.options_len = 0;
        expect_message(bench, 0, &want);
    }
    // The option, not the frame, says where the answer goes; without it, the frame.
    struct message asked = solicitation();
    asked.src_mac = other_mac;
    put_message(&frame, &asked);
    expect_taken(bench, &frame, DROP_COUNT, 1);
    assert_memory_equal(bench->reply[0], host_mac, 6);
    asked.options_len = 0;
    put_message(&frame, &asked);
    expect_taken(bench, &frame, DROP_COUNT, 1);
    struct message want = answer_to(&asked, other_mac, host_v6, 0x60);
    expect_message(bench, 0, &want);
    bench_close(bench);
}

static void test_dad(void **state)
{
    (void)state;
    static struct frame frame;
    struct bench *bench = bench_default();
    struct message asked = dad();
    struct shortcut_conflict conflict;
    for (unsigned i = 1; i < 4; i++) { // every time, not only once in 10 s
        put_message(&frame, &asked);
        expect_taken(bench, &frame, DROP_COUNT, 1);
        struct message want = answer_to(&asked, all_nodes_mac, all_nodes_v6, 0x20);
        expect_message(bench, 0, &want);
        assert_int_equal(traffic_of(bench, COUNT_SHORTCUT_CONFLICTS), i);
    }
    assert_true(shortcut_take_conflict(bench->shortcut, &conflict));
    assert_memory_equal(conflict.mac.b, host_mac, 6);
    assert_memory_equal(conflict.address.ip, own_v6, 16);
    asked.dst = all_nodes_v6; // RFC 4861 7.1.1
    put_message(&frame, &asked);
    expect_taken(bench, &frame, DROP_SHORTCUT_BAD, 0);
    asked = dad();
    asked.options_len = 8;
    put_message(&frame, &asked);
    expect_taken(bench, &frame, DROP_SHORTCUT_BAD, 0);
    bench_close(bench);
}

static void test_bad_solicitations(void **state)
{
    (void)state;
    static struct frame frame;
    struct bench *bench = bench_default();
    for (int i = 0; i < 13; i++) {
        struct message m = solicitation();
        if (i == 0)
            m.hop_limit = 254;
        if (i == 1)
            m.code = 1;
        if (i == 2)
            m.options[1] = 0;
        if (i == 3)
            m.options[1] = 2;
        if (i == 4)
            m.options_len = 1;
        if (i == 5)
            m.options[2] |= 1; // group address as source
        if (i == 6)
            memcpy(m.options + 2, own_mac, 6);
        if (i == 7)
            memcpy(m.options + 2, zero_mac, 6);
        if (i == 8)
            m.src = own_v6;
        if (i == 9)
            m.src = all_nodes_v6;
        if (i == 10)
            m.src_mac = zero_mac;
        if (i == 12) { // RFC 6980
            m.extension[0] = 58;
            m.extension_len = 8;
            m.next_header = 44;
        }
        put_message(&frame, &m);
        if (i == 11)
            frame.b[14 + 42] ^= 1; // checksum
        expect_taken(bench, &frame, DROP_SHORTCUT_BAD, 0);
    }
    bench_close(bench);
}

static void test_foreign_solicitations(void **state)
{
    (void)state;
    static struct frame frame;
    static const uint8_t twin[16] = {0xfd, 0, 0, 9, 1, [14] = 0x02, [15] = 0x51}; // the same group
    struct bench *bench = bench_default();
    for (int i = 0; i < 7; i++) {
        struct message m = solicitation();
        if (i == 0)
            m.target = twin;
        if (i == 1)
            m.dst_mac = other_mac;
        if (i == 2)
            m.dst = own_v6; // unicast IP in a group frame
        if (i == 3)
            m.type = 133;
        if (i == 4)
            m.type = 134;
        if (i == 5)
            m.type = 137;
        put_message(&frame, &m);
        if (i == 6) { // cut off before its target
            put16(frame.b + 14 + 4, 23);
            frame.len = 14 + 40 + 23;
        }
        expect_pass_silently(bench, &frame);
    }
    struct message m = solicitation();
    m.dst_mac = own_mac;
    m.dst = own_v6;
    m.target = other_v6;
    put_message(&frame, &m);
    expect_taken(bench, &frame, DROP_SHORTCUT_UNWANTED, 0);
    bench_close(bench);
}

static void test_conflict(void **state)
{
    (void)state;
    static struct frame frame;
    struct bench *bench = bench_default();
    struct shortcut_conflict conflict;
    struct message m = advertisement();
    m.n_tags = 1;
    put_message(&frame, &m);
    expect_pass(bench, &frame);
    assert_int_equal(bench->n_replies, 1);
    struct message want = answer_to(&m, all_nodes_mac, all_nodes_v6, 0x20);
    expect_message(bench, 0, &want);
    assert_true(shortcut_take_conflict(bench->shortcut, &conflict));
    assert_memory_equal(conflict.mac.b, other_mac, 6);
    expect_pass_silently(bench, &frame);
    m.dst_mac = host_mac; // said to somebody else
    m.dst = host_v6;
    m.flags = 0x60;
    put_message(&frame, &m);
    expect_pass_silently(bench, &frame);
    assert_int_equal(traffic_of(bench, COUNT_SHORTCUT_CONFLICTS), 3);
    bench->now_ns += 10 * NS_PER_S;
    expect_pass(bench, &frame);
    assert_int_equal(bench->n_replies, 1);
    // None of these is a claim.
    bench->now_ns += 10 * NS_PER_S;
    for (int i = 0; i < 8; i++) {
        m = advertisement();
        if (i == 0)
            m.target = other_v6;
        if (i == 1)
            m.hop_limit = 64;
        if (i == 2)
            m.code = 1;
        if (i == 3)
            memcpy(m.options + 2, own_mac, 6);
        if (i == 4)
            m.src_mac = own_mac;
        if (i == 5)
            m.flags = 0x60; // solicited, to a group
        if (i == 6)
            m.options[1] = 0;
        put_message(&frame, &m);
        if (i == 7)
            frame.b[frame.len - 1] ^= 1;
        expect_pass_silently(bench, &frame);
    }
    assert_int_equal(traffic_of(bench, COUNT_SHORTCUT_CONFLICTS), 4);
    bench_close(bench);
}

static void test_neighbour_limit(void **state)
{
    (void)state;
    static struct frame frame;
    struct bench *bench = bench_default();
    struct message m = solicitation();
    put_message(&frame, &m);
    for (int i = 0; i < 100; i++)
        expect_taken(bench, &frame, DROP_COUNT, 1);
    expect_taken(bench, &frame, DROP_SHORTCUT_LIMIT, 0);
    bench->now_ns += 10 * NS_PER_MS;
    expect_taken(bench, &frame, DROP_COUNT, 1);
    expect_taken(bench, &frame, DROP_SHORTCUT_LIMIT, 0);
    m.src_mac = other_mac;
    put_message(&frame, &m);
    expect_taken(bench, &frame, DROP_COUNT, 1);
    bench_close(bench);
}

static void expect_report(const struct bench *bench, size_t i, uint8_t record_type, int n_tags)
{
    static const uint8_t alert[8] = {58, 0, 5, 2, 0, 0, 1, 0};
    static struct frame frame;
    uint8_t *ip = put_ether(&frame, reports_mac, own_mac, 0x86dd, n_tags);
    struct ping head = {.family = T_V6, .src = own_ll, .dst = reports_ip, .options = alert, .options_len = 8};
    uint8_t *icmp = put_header6(&head, ip, 48, 1);
    memset(icmp, 0, 48);
    icmp[0] = 143;
    icmp[7] = 2;
    icmp[8] = icmp[28] = record_type;
    memcpy(icmp + 12, own_group, 16);
    memcpy(icmp + 32, ll_group, 16);
    put16(icmp + 2, ~naive_icmp6_sum(own_ll, reports_ip, icmp, 48) & 0xffff);
    frame.len = (size_t)(icmp - frame.b) + 48;
    assert_int_equal(bench->reply_len[i], frame.len);
    assert_memory_equal(bench->reply[i], frame.b, frame.len);
}

static void test_announcements(void **state)
{
    (void)state;
    struct bench *bench = bench_default();
    shortcut_announce(bench->shortcut, bench->now_ns);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(shortcut_tick(bench->shortcut, bench->now_ns), i ? 0 : bench->now_ns + 2 * NS_PER_S);
        bench_drain(bench);
        assert_int_equal(bench->n_replies, 5); // report, 2 ARP, 2 advertisements
        expect_report(bench, 0, 4, 0);
        struct message asked = dad();
        struct message want = answer_to(&asked, all_nodes_mac, all_nodes_v6, 0x20);
        expect_message(bench, 2, &want);
        asked.target = own_ll;
        want = answer_to(&asked, all_nodes_mac, all_nodes_v6, 0x20);
        expect_message(bench, 4, &want);
        bench->now_ns += 2 * NS_PER_S;
    }
    bench_close(bench);
}

static struct message query(void)
{
    struct message m = solicitation();
    m.type = 130;
    m.src = host_ll;
    m.dst = all_nodes_v6;
    m.dst_mac = all_nodes_mac;
    m.hop_limit = 1;
    m.target = none_v6;
    m.max_response = 1000;
    memset(m.options, 0, 8);
    m.options_len = 4; // MLDv2
    memcpy(m.extension, (uint8_t[8]){58, 0, 5, 2, 0, 0, 1, 0}, 8);
    m.extension_len = 8;
    return m;
}

static void test_queries(void **state)
{
    (void)state;
    static struct frame frame;
    static const struct {
        unsigned code;
        uint64_t delay_ms;
    } rows[] = {{0, 0}, {1, 1}, {1000, 1000}, {0x7fff, 32767}, {0x8000, 32768}, {0x8001, 32776}, {0xffff, 8387584}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bench *bench = bench_default();
        struct message m = query();
        m.max_response = rows[i].code;
        m.n_tags = (int)i % 2;
        put_message(&frame, &m);
        expect_pass_silently(bench, &frame);
        uint64_t due_ns = shortcut_tick(bench->shortcut, bench->now_ns - 1);
        assert_in_range(due_ns, bench->now_ns, bench->now_ns + rows[i].delay_ms * NS_PER_MS);
        if (rows[i].delay_ms > 1000)
            assert_true(due_ns > bench->now_ns + NS_PER_MS);
        shortcut_tick(bench->shortcut, due_ns - 1);
        bench_drain(bench);
        assert_int_equal(bench->n_replies, 0);
        assert_int_equal(shortcut_tick(bench->shortcut, due_ns), 0);
        bench_drain(bench);
        assert_int_equal(bench->n_replies, 1);
        expect_report(bench, 0, 2, m.n_tags);
        bench_close(bench);
    }
}

static void test_mld1_query(void **state)
{
    (void)state;
    static struct frame frame;
    struct bench *bench = bench_default();
    struct message m = query();
    m.options_len = 0;
    m.target = own_group; // for one of ours: all are reported
    put_message(&frame, &m);
    expect_pass_silently(bench, &frame);
    shortcut_tick(bench->shortcut, bench->now_ns + NS_PER_S);
    bench_drain(bench);
    assert_int_equal(bench->n_replies, 2);
    m.type = 131;
    m.max_response = 0;
    m.src_mac = own_mac;
    m.src = own_ll;
    m.dst = own_group;
    m.dst_mac = group_mac;
    expect_message(bench, 0, &m);
    static const uint8_t ll_group_mac[6] = {0x33, 0x33, 0xff, 0, 0, 1};
    m.dst = m.target = ll_group;
    m.dst_mac = ll_group_mac;
    expect_message(bench, 1, &m);
    bench_close(bench);
}

static void test_unanswered_queries(void **state)
{
    (void)state;
    static struct frame frame;
    for (int i = 0; i < 10; i++) {
        struct bench *bench = bench_default();
        struct message m = query();
        if (i == 0)
            m.hop_limit = 2;
        if (i == 1)
            m.extension_len = 0;
        if (i == 2)
            m.extension[2] = 1; // padding instead of the router alert
        if (i == 3)
            m.src = host_v6;
        if (i == 4)
            m.src = none_v6;
        if (i == 5)
            m.target = all_nodes_v6;
        if (i == 6)
            m.options_len = 3;
        if (i == 7)
            m.src_mac = own_mac;
        if (i == 8)
            m.dst_mac = other_mac;
        put_message(&frame, &m);
        if (i == 9)
            frame.b[frame.len - 1] ^= 1;
        expect_pass_silently(bench, &frame);
        assert_int_equal(shortcut_tick(bench->shortcut, bench->now_ns), 0);
        bench_close(bench);
    }
    // Without IPv6 addresses there is nothing to report.
    struct shortcut_config config = default_config();
    config.n_addresses = 1;
    struct bench *bench = bench_open(&config, SHORTCUT_TAP);
    struct message m = query();
    put_message(&frame, &m);
    expect_pass_silently(bench, &frame);
    assert_int_equal(shortcut_tick(bench->shortcut, bench->now_ns), 0);
    bench_close(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_solicitations),         cmocka_unit_test(test_dad),      cmocka_unit_test(test_bad_solicitations),
        cmocka_unit_test(test_foreign_solicitations), cmocka_unit_test(test_conflict), cmocka_unit_test(test_neighbour_limit),
        cmocka_unit_test(test_announcements),         cmocka_unit_test(test_queries),  cmocka_unit_test(test_mld1_query),
        cmocka_unit_test(test_unanswered_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
