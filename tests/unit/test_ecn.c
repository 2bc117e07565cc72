// SPDX-License-Identifier: MIT
/*
 * test_ecn: the whole table of RFC 6040, where the field is read from and written to, and that IPv4's header checksum keeps up with it:
 * right ones stay right, wrong ones stay as wrong as they were.
 */
#include "test_packets.h"

#include "ethercord/ecn.h"

static void is_the_table_of_rfc_6040(void **state)
{
    (void)state;
    enum { DROP = -1 };
    static const int table[4][4] = {
        // figure 4; columns: outer Not-ECT, ECT(1), ECT(0), CE
        [ECN_NOT_ECT] = {[ECN_NOT_ECT] = ECN_NOT_ECT, [ECN_ECT0] = ECN_NOT_ECT, [ECN_ECT1] = ECN_NOT_ECT, [ECN_CE] = DROP},
        [ECN_ECT0] = {[ECN_NOT_ECT] = ECN_ECT0, [ECN_ECT0] = ECN_ECT0, [ECN_ECT1] = ECN_ECT1, [ECN_CE] = ECN_CE},
        [ECN_ECT1] = {[ECN_NOT_ECT] = ECN_ECT1, [ECN_ECT0] = ECN_ECT1, [ECN_ECT1] = ECN_ECT1, [ECN_CE] = ECN_CE},
        [ECN_CE] = {[ECN_NOT_ECT] = ECN_CE, [ECN_ECT0] = ECN_CE, [ECN_ECT1] = ECN_CE, [ECN_CE] = ECN_CE},
    };
    assert_int_equal(ECN_ECT1, 1); // RFC 3168 5, figure 1
    assert_int_equal(ECN_ECT0, 2);
    assert_int_equal(ECN_CE, 3);
    for (int inner = 0; inner < 4; inner++)
        for (int outer = 0; outer < 4; outer++) {
            enum ecn ecn = (enum ecn)inner;
            bool is_kept = ecn_decapsulate(&ecn, (enum ecn)outer);
            if (is_kept != (table[inner][outer] != DROP) || (is_kept && (int)ecn != table[inner][outer]))
                fail_msg("inner %d, outer %d: %s %d", inner, outer, is_kept ? "is" : "is dropped", (int)ecn);
        }
}

static void reads_every_traffic_class(void **state)
{
    (void)state;
    static struct packet_bytes packet;
    for (unsigned i = 0; i < 256 * 4; i++) {
        struct recipe recipe = {.version = i & 256 ? 4 : 6, .protocol = IPPROTO_UDP, .n_tags = i & 512 ? 3 : 0, .tos = (uint8_t)i};
        make_packet(&packet, &recipe, 1);
        struct frame_view view;
        assert_true(frame_parse(&view, packet.b, packet.len));
        assert_int_equal(ecn_of(&view), i & 3);
    }
}

static void what_is_no_packet_has_none(void **state)
{
    (void)state;
    static const struct {
        uint16_t ether_type;
        uint8_t first; // byte of the packet: its version, and the length of IPv4's header
        size_t l3_len; // less than a header: nothing to read from
        bool has_ecn;
    } rows[] = {
        {0x0800, 0x45, 0, false},  {0x0800, 0x45, 19, false}, {0x0800, 0x45, 20, true},  {0x0800, 0x4f, 46, true},
        {0x0800, 0x44, 46, false}, {0x0800, 0x65, 46, false}, {0x0800, 0x55, 46, false}, {0x86dd, 0x60, 0, false},
        {0x86dd, 0x60, 39, false}, {0x86dd, 0x60, 40, true},  {0x86dd, 0x6f, 40, true},  {0x86dd, 0x40, 46, false},
        {0x86dd, 0x7f, 46, false}, {0x0806, 0x45, 46, false}, {0x8100, 0x45, 46, false}, // a tag that is cut off
        {0x0026, 0x45, 46, false}, {0x88b5, 0x45, 46, false},
    };
    for (size_t i = 0; i < N_OF(rows); i++) {
        uint8_t bytes[14 + 4 + 46];
        size_t l3 = rows[i].ether_type == 0x8100 ? 18 : 14;
        memset(bytes, 0xff, sizeof bytes); // every field there is says CE
        put16(bytes + 12, rows[i].ether_type);
        bytes[l3] = rows[i].first;
        struct frame_view view;
        assert_true(frame_parse(&view, bytes, l3 + rows[i].l3_len));
        if ((ecn_of(&view) != ECN_NOT_ECT) != rows[i].has_ecn)
            fail_msg("row %zu", i);
    }
}

// Every change, with header checksums all over the range (the ID moves them), ffff and 0 next to each other included.
static void keeps_ipv4_checksums_right(void **state)
{
    (void)state;
    static struct packet_bytes packet;
    struct recipe recipe = {.version = 4, .protocol = IPPROTO_UDP, .n_tags = 1};
    bool has_seen_zero = false, has_seen_large = false;
    for (unsigned id = 0; id < 0x10000; id++) {
        for (unsigned change = 0; change < 12; change++) {
            unsigned before = 1 + change % 3, after = change / 3;
            recipe.tos = (uint8_t)(0xb8 | before);
            recipe.id = (uint16_t)id;
            if (id == 0) // the rest of the packet stays the same
                make_packet(&packet, &recipe, 1);
            uint8_t *ip = packet.b + packet.l3, expected[20];
            ip[1] = recipe.tos;
            put16(ip + 4, id);
            put_ipv4_checksum(ip);
            memcpy(expected, ip, 20);
            expected[1] = (uint8_t)(0xb8 | after);
            put_ipv4_checksum(expected);
            struct frame_view view;
            assert_true(frame_parse(&view, packet.b, packet.len));
            ecn_set(&view, packet.b, (enum ecn)after);
            assert_int_equal(naive_sum(0, ip, 20), 0xffff); // right
            assert_memory_equal(ip, expected, 20);          // and what a fresh one would be
            has_seen_zero = has_seen_zero || get16(ip + 10) == 0;
            has_seen_large = has_seen_large || get16(ip + 10) == 0xfffe;
        }
    }
    assert_true(has_seen_zero && has_seen_large);
}

// A packet whose checksum is wrong is not repaired: off by as much as before.
static void leaves_wrong_checksums_wrong(void **state)
{
    (void)state;
    static struct packet_bytes packet;
    struct recipe recipe = {.version = 4, .protocol = IPPROTO_TCP, .tos = ECN_ECT0};
    for (unsigned error = 0; error < 0x10000; error++) {
        if (error % 251 == 0)
            make_packet(&packet, &recipe, 1);
        uint8_t *ip = packet.b + packet.l3;
        struct frame_view view;
        ip[1] = ECN_ECT0;
        put16(ip + 10, error);
        unsigned before = naive_sum(0, ip, 20);
        assert_true(frame_parse(&view, packet.b, packet.len));
        ecn_set(&view, packet.b, ECN_CE);
        assert_true(same_sum(naive_sum(0, ip, 20), before));
        ecn_set(&view, packet.b, ECN_ECT0);
        assert_true(same_sum(get16(ip + 10), error));
    }
}

static void changes_nothing_else(void **state)
{
    (void)state;
    static struct packet_bytes packet, before;
    for (unsigned i = 0; i < 256 * 4 * 4; i++) {
        struct recipe recipe = {.version = i & 256 ? 4 : 6, .protocol = IPPROTO_UDP, .n_tags = i & 512 ? 8 : 0, .tos = (uint8_t)i};
        enum ecn ecn = (enum ecn)(i >> 10);
        if ((i & 3) == ECN_NOT_ECT)
            continue; // never asked for
        if (recipe.version == 4)
            recipe.ip_words = 10;
        make_packet(&packet, &recipe, 1);
        memcpy(before.b, packet.b, packet.len);
        recipe.tos = (uint8_t)((recipe.tos & ~3U) | ecn);
        struct frame_view view;
        assert_true(frame_parse(&view, packet.b, packet.len));
        ecn_set(&view, packet.b, ecn);
        assert_int_equal(ecn_of(&view), ecn);
        make_packet(&before, &recipe, 1);
        assert_memory_equal(packet.b, before.b, packet.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_the_table_of_rfc_6040),     cmocka_unit_test(reads_every_traffic_class),
        cmocka_unit_test(what_is_no_packet_has_none),   cmocka_unit_test(keeps_ipv4_checksums_right),
        cmocka_unit_test(leaves_wrong_checksums_wrong), cmocka_unit_test(changes_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
