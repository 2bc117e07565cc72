// SPDX-License-Identifier: MIT
/*
 * test_frame: parsing at every length, tags of all kinds and depths, what never crosses, derived MAC addresses, largest lengths.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/frame.h"

static const uint8_t dst[] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
static const uint8_t src[] = {0x06, 0x66, 0x77, 0x88, 0x99, 0xaa};

// Writes an Ethernet header with these types one behind the other (each but the last being a tag's); returns its length.
static size_t make_frame(uint8_t *out, const uint16_t *types, size_t n_types)
{
    memcpy(out, dst, sizeof dst);
    memcpy(out + 6, src, sizeof src);
    size_t len = 12;
    for (size_t i = 0; i < n_types; i++) {
        store_be16(out + len, types[i]);
        len += 2;
        if (i + 1 < n_types) {
            store_be16(out + len, (uint16_t)(i + 1)); // the tag's VLAN id
            len += 2;
        }
    }
    return len;
}

static void parses_types_and_tags(void **state)
{
    (void)state;
    static const struct {
        uint16_t types[12];
        size_t n_types;
        uint16_t ether_type;
        uint8_t n_tags;
    } rows[] = {
        {{ETHER_TYPE_IPV4}, 1, ETHER_TYPE_IPV4, 0},
        {{ETHER_TYPE_ARP}, 1, ETHER_TYPE_ARP, 0},
        {{ETHER_TYPE_IPV6}, 1, ETHER_TYPE_IPV6, 0},
        {{0x0000}, 1, 0, 0},
        {{0x0026}, 1, 0x26, 0}, // 802.3 length (spanning tree)
        {{1500}, 1, 1500, 0},
        {{0x05ff}, 1, 0x05ff, 0},
        {{0x0600}, 1, 0x0600, 0},
        {{0xffff}, 1, 0xffff, 0},
        {{ETHER_TYPE_VLAN, ETHER_TYPE_IPV4}, 2, ETHER_TYPE_IPV4, 1},
        {{ETHER_TYPE_QINQ, ETHER_TYPE_ARP}, 2, ETHER_TYPE_ARP, 1},
        {{0x9100, ETHER_TYPE_IPV6}, 2, ETHER_TYPE_IPV6, 1},
        {{ETHER_TYPE_VLAN, 0x0040}, 2, 0x0040, 1},
        {{ETHER_TYPE_QINQ, ETHER_TYPE_VLAN, ETHER_TYPE_IPV4}, 3, ETHER_TYPE_IPV4, 2},
        {{0x9100, ETHER_TYPE_QINQ, ETHER_TYPE_VLAN, 0x8847}, 4, 0x8847, 3},
        {{0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x0800}, 9, 0x0800, 8},
        // one deeper than is parsed: the ninth tag is opaque
        {{0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x8100, 0x88a8, 0x0800}, 10, 0x88a8, 8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[128];
        size_t len = make_frame(bytes, rows[i].types, rows[i].n_types);
        memset(bytes + len, 0x81, 20); // a payload that looks like tags
        struct frame_view view;
        assert_true(frame_parse(&view, bytes, len + 20));
        assert_ptr_equal(view.bytes, bytes);
        assert_int_equal(view.len, len + 20);
        assert_memory_equal(view.dst.b, dst, 6);
        assert_memory_equal(view.src.b, src, 6);
        assert_int_equal(view.ether_type, rows[i].ether_type);
        assert_int_equal(view.n_tags, rows[i].n_tags);
        assert_int_equal(view.l3_offset, 14 + 4 * rows[i].n_tags);
    }
}

// Whatever the length, l3_offset <= len, and tags that are cut off end the parsing with the tag's own type.
static void survives_every_truncation(void **state)
{
    (void)state;
    static const uint16_t types[] = {0x9100, 0x88a8, 0x8100, 0x0800};
    uint8_t bytes[64];
    size_t whole = make_frame(bytes, types, 4);
    assert_int_equal(whole, 26);
    for (size_t len = 0; len <= whole; len++) {
        uint8_t *exact = test_malloc(len ? len : 1); // cmocka and ASan see a read beyond
        memcpy(exact, bytes, len);
        struct frame_view view;
        bool is_whole = frame_parse(&view, exact, len);
        assert_int_equal(is_whole, len >= 14);
        if (is_whole) {
            size_t n_tags = (len - 14) / 4;
            assert_int_equal(view.n_tags, n_tags);
            assert_int_equal(view.ether_type, types[n_tags]);
            assert_int_equal(view.l3_offset, 14 + 4 * n_tags);
            assert_true(view.l3_offset <= view.len);
        }
        test_free(exact);
    }
}

static void knows_what_never_crosses(void **state)
{
    (void)state;
    static const struct {
        uint8_t dst[6];
        uint16_t types[3];
        size_t n_types;
        bool is_control;
    } rows[] = {
        {{0x01, 0x80, 0xc2, 0, 0, 0x01}, {0x8808}, 1, true},         {{0x01, 0x80, 0xc2, 0, 0, 0x01}, {0x0800}, 1, true},
        {{0x01, 0x80, 0xc2, 0, 0, 0x01}, {0x8100, 0x0026}, 2, true}, {{0x02, 0, 0, 0, 0, 1}, {0x8808}, 1, true},
        {{0x02, 0, 0, 0, 0, 1}, {0x8100, 0x8808}, 2, true},          {{0x02, 0, 0, 0, 0, 1}, {0x88a8, 0x8100, 0x8808}, 3, true},
        {{0x01, 0x80, 0xc2, 0, 0, 0x00}, {0x0026}, 1, false}, // spanning tree
        {{0x01, 0x80, 0xc2, 0, 0, 0x02}, {0x8809}, 1, false}, // LACP
        {{0x01, 0x80, 0xc2, 0, 0, 0x0e}, {0x88cc}, 1, false}, // LLDP
        {{0x01, 0x80, 0xc2, 0, 1, 0x01}, {0x0800}, 1, false},        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x0806}, 1, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[64] = {0};
        size_t len = make_frame(bytes, rows[i].types, rows[i].n_types);
        memcpy(bytes, rows[i].dst, 6);
        struct frame_view view;
        assert_true(frame_parse(&view, bytes, len));
        assert_int_equal(frame_is_link_local_control(&view), rows[i].is_control);
    }
}

static void tells_mac_addresses_apart(void **state)
{
    (void)state;
    const struct mac_address zero = {{0}};
    const struct mac_address last = {{0, 0, 0, 0, 0, 1}};
    const struct mac_address multicast = {{0x33, 0x33, 0, 0, 0, 1}};
    const struct mac_address broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    const struct mac_address unicast = {{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff}};
    assert_true(mac_is_zero(&zero));
    assert_false(mac_is_zero(&last));
    assert_true(mac_is_group(&multicast));
    assert_true(mac_is_group(&broadcast));
    assert_false(mac_is_group(&unicast));
    assert_false(mac_is_group(&zero));
    assert_true(mac_equal(&broadcast, &broadcast));
    for (size_t i = 0; i < MAC_ADDRESS_LEN; i++) {
        struct mac_address other = broadcast;
        other.b[i] ^= 1;
        assert_false(mac_equal(&broadcast, &other));
    }
}

static void derives_local_unicast_addresses(void **state)
{
    (void)state;
    // Fixed for ever: the address must not change with a new version of the program.
    static const struct mac_address of_zero_key = {{0x9e, 0x2a, 0x55, 0x2e, 0xb6, 0xfe}};
    uint8_t key[32] = {0};
    struct mac_address mac;
    mac_derive(&mac, key);
    assert_memory_equal(mac.b, of_zero_key.b, 6);
    struct mac_address before = mac;
    for (unsigned i = 0; i < 1000; i++) {
        store_be32(key + 28, i + 1);
        mac_derive(&mac, key);
        assert_false(mac_is_group(&mac));
        assert_int_equal(mac.b[0] & 2, 2);
        assert_false(mac_equal(&mac, &before));
        before = mac;
    }
}

static void knows_the_largest_frames(void **state)
{
    (void)state;
    static const struct {
        uint16_t mtu;
        uint8_t n_tags;
        size_t len;
    } rows[] = {
        {1500, 0, 1518}, {1500, 1, 1522}, {1500, 2, 1522}, {1500, 8, 1522},     {576, 0, 594},
        {9000, 0, 9018}, {9000, 1, 9022}, {9000, 2, 9022}, {65535, 255, 65557},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(frame_max_len(rows[i].mtu, rows[i].n_tags), rows[i].len);
    assert_int_equal(frame_max_len(TAP_MTU_MAX, 2), FRAME_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_types_and_tags),           cmocka_unit_test(survives_every_truncation),
        cmocka_unit_test(knows_what_never_crosses),        cmocka_unit_test(tells_mac_addresses_apart),
        cmocka_unit_test(derives_local_unicast_addresses), cmocka_unit_test(knows_the_largest_frames),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
