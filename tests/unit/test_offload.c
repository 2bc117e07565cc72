// SPDX-License-Identifier: MIT
/*
 * test_offload: which claims about a frame can be true, to the last byte; and that completing a checksum does what a device would, for
 * every protocol and length.
 */
#include "test_packets.h"

static void knows_what_can_be(void **state)
{
    (void)state;
    static const struct {
        struct offload offload;
        size_t len;
        bool is_valid;
    } rows[] = {
        {{.kind = SUPER_NONE}, 0, true},
        {{.kind = SUPER_NONE}, 60, true},
        {{.kind = SUPER_NONE, .gso_size = 0}, 65000, true},
        {{.kind = SUPER_TCP4, .gso_size = 1}, 60, true},
        {{.kind = SUPER_TCP6, .gso_size = 65535}, 60, true},
        {{.kind = SUPER_UDP, .gso_size = 1472}, 60, true},
        {{.kind = SUPER_TCP4}, 60, false},
        {{.kind = SUPER_TCP6}, 60, false},
        {{.kind = SUPER_UDP}, 60, false},
        {{.kind = SUPER_UNKNOWN, .gso_size = 1448}, 60, false},
        {{.kind = SUPER_UNKNOWN}, 60, false},
        {{.kind = SUPER_UNKNOWN, .is_partial = true, .checksum_start = 34, .checksum_offset = 16, .gso_size = 1448}, 2000, false},
        // the checksum's field: not in the Ethernet header, and inside of the frame
        {{.is_partial = true, .checksum_start = 34, .checksum_offset = 16}, 54, true},
        {{.is_partial = true, .checksum_start = 34, .checksum_offset = 16}, 52, true},
        {{.is_partial = true, .checksum_start = 34, .checksum_offset = 16}, 51, false},
        {{.is_partial = true, .checksum_start = 34, .checksum_offset = 16}, 14, false},
        {{.is_partial = true, .checksum_start = 34, .checksum_offset = 16}, 0, false},
        {{.is_partial = true, .checksum_start = 14, .checksum_offset = 0}, 16, true},
        {{.is_partial = true, .checksum_start = 14, .checksum_offset = 0}, 15, false},
        {{.is_partial = true, .checksum_start = 13, .checksum_offset = 0}, 60, false},
        {{.is_partial = true, .checksum_start = 0, .checksum_offset = 16}, 60, false},
        {{.is_partial = true, .checksum_start = 58, .checksum_offset = 0}, 60, true},
        {{.is_partial = true, .checksum_start = 59, .checksum_offset = 0}, 60, false},
        {{.is_partial = true, .checksum_start = 60, .checksum_offset = 0}, 60, false},
        // no sum wraps around
        {{.is_partial = true, .checksum_start = 65535, .checksum_offset = 65535}, 60, false},
        {{.is_partial = true, .checksum_start = 65535, .checksum_offset = 65535}, 131071, false},
        {{.is_partial = true, .checksum_start = 65535, .checksum_offset = 65535}, 131072, true},
        {{.is_partial = true, .checksum_start = 14, .checksum_offset = 65535}, 60, false},
        {{.is_partial = true, .checksum_start = 65535, .checksum_offset = 1}, 60, false},
        // both
        {{.kind = SUPER_TCP4, .is_partial = true, .checksum_start = 34, .checksum_offset = 16, .gso_size = 1448}, 3000, true},
        {{.kind = SUPER_TCP4, .is_partial = true, .checksum_start = 34, .checksum_offset = 16, .gso_size = 0}, 3000, false},
        {{.kind = SUPER_TCP4, .is_partial = true, .checksum_start = 34, .checksum_offset = 16, .gso_size = 1448}, 51, false},
        // what is not partial is not looked at
        {{.checksum_start = 65535, .checksum_offset = 65535}, 60, true},
    };
    for (size_t i = 0; i < N_OF(rows); i++)
        if (offload_is_valid(&rows[i].offload, rows[i].len) != rows[i].is_valid)
            fail_msg("row %zu", i);
}

// Over every length of payload, so that the last byte is odd and even.
static void completes_tcp_and_udp(void **state)
{
    (void)state;
    static struct packet_bytes packet;
    for (int i = 0; i < 8; i++) {
        struct recipe recipe = {.version = i & 1 ? 4 : 6, .protocol = i & 2 ? IPPROTO_TCP : IPPROTO_UDP, .n_tags = i & 4 ? 2 : 0};
        for (recipe.payload_len = 0; recipe.payload_len < 300; recipe.payload_len++) {
            make_packet(&packet, &recipe, (uint32_t)recipe.payload_len);
            const uint8_t *ip = packet.b + packet.l3, *l4 = packet.b + packet.l4;
            unsigned expected = whole_checksum(&recipe, ip, l4, packet.len - packet.l4);
            struct offload offload = super_of(&recipe, &packet, 0);
            offload.kind = SUPER_NONE;
            packet.b[packet.len] = 0xa5; // nothing behind the end is summed
            offload_complete(&offload, packet.b, packet.len);
            assert_int_equal(get16(l4 + l4_checksum_at(&recipe)), expected);
            assert_false(offload.is_partial);
        }
    }
}

// A field anywhere: what was there takes part in the sum, nothing but the field is written.
static void completes_whatever_it_is(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[200], before[200];
        size_t len = 16 + next_random(&seed) % (sizeof bytes - 16);
        size_t start = 14 + next_random(&seed) % (len - 15), offset = next_random(&seed) % (len - start - 1);
        struct offload offload = {.is_partial = true, .checksum_start = (uint16_t)start, .checksum_offset = (uint16_t)offset};
        for (size_t i = 0; i < sizeof bytes; i++)
            before[i] = (uint8_t)(round % 3 ? next_random(&seed) : 0xff);
        memcpy(bytes, before, sizeof bytes);
        assert_true(offload_is_valid(&offload, len));
        offload_complete(&offload, bytes, len);
        unsigned sum = naive_sum(0, before + start, len - start);
        assert_int_equal(get16(bytes + start + offset), sum == 0xffff ? 0xffff : 0xffff - sum);
        memcpy(before + start + offset, bytes + start + offset, 2);
        assert_memory_equal(bytes, before, sizeof bytes);
    }
}

// Zero would say that there is no checksum.
static void never_writes_zero(void **state)
{
    (void)state;
    for (int protocol = 0; protocol < 2; protocol++) {
        static struct packet_bytes packet;
        struct recipe recipe = {.version = 4, .protocol = protocol ? IPPROTO_TCP : IPPROTO_UDP, .payload_len = 2};
        make_packet(&packet, &recipe, 1);
        uint8_t *l4 = packet.b + packet.l4, *payload = packet.b + packet.payload;
        put16(payload, 0);
        put16(payload, 0xffff - naive_sum(0, l4, packet.len - packet.l4)); // now the sum is ffff, and its complement zero
        struct offload offload = super_of(&recipe, &packet, 0);
        offload_complete(&offload, packet.b, packet.len);
        assert_int_equal(get16(l4 + l4_checksum_at(&recipe)), 0xffff);
    }
    // A sum of nothing but zeros.
    uint8_t zeros[64] = {0};
    struct offload offload = {.is_partial = true, .checksum_start = 20, .checksum_offset = 4};
    offload_complete(&offload, zeros, sizeof zeros);
    assert_int_equal(get16(zeros + 24), 0xffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_what_can_be),
        cmocka_unit_test(completes_tcp_and_udp),
        cmocka_unit_test(completes_whatever_it_is),
        cmocka_unit_test(never_writes_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
