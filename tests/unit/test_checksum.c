// SPDX-License-Identifier: MIT
/*
 * test_checksum: against known values and against the definition (RFC 1071), at all alignments and lengths.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/checksum.h"

enum { BYTES_CAP = 70000 };
static uint8_t bytes[BYTES_CAP];

static uint16_t naive(const uint8_t *at, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static int fill_bytes(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)next_random(&seed);
    return 0;
}

static void known_values(void **state)
{
    (void)state;
    static const uint8_t rfc1071[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    assert_int_equal(checksum_finish(checksum_add(0, rfc1071, sizeof rfc1071)), 0xffff - 0xddf2);
    static const uint8_t ipv4_header[] = {0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7};
    assert_int_equal(checksum_finish(checksum_add(0, ipv4_header, sizeof ipv4_header)), 0);
    assert_int_equal(checksum_finish(0), 0xffff);
    assert_int_equal(checksum_finish(checksum_add(0, (const uint8_t *)"\xff", 1)), 0x00ff);
}

static void equals_the_definition(void **state)
{
    (void)state;
    for (size_t offset = 0; offset < 16; offset++)
        for (size_t len = 0; len < 300; len++)
            assert_int_equal(checksum_finish(checksum_add(0, bytes + offset, len)), naive(bytes + offset, len));
    uint32_t seed = 2;
    for (int i = 0; i < 2000; i++) {
        size_t len = next_random(&seed) % 9100;
        size_t offset = next_random(&seed) % 1000;
        assert_int_equal(checksum_finish(checksum_add(0, bytes + offset, len)), naive(bytes + offset, len));
    }
    assert_int_equal(checksum_finish(checksum_add(0, bytes + 1, 65535)), naive(bytes + 1, 65535));
}

static void all_ones_never_overflow(void **state)
{
    (void)state;
    static uint8_t ones[65536];
    memset(ones, 0xff, sizeof ones);
    for (size_t len = 0; len < 100; len++)
        assert_int_equal(checksum_finish(checksum_add(0, ones, len)), naive(ones, len));
    assert_int_equal(checksum_finish(checksum_add(0, ones, sizeof ones)), 0);
    assert_int_equal(checksum_finish(UINT64_MAX), 0);
    assert_int_equal(checksum_finish(checksum_add(UINT32_MAX, ones, sizeof ones)), 0);
}

static void pieces_sum_to_the_whole(void **state)
{
    (void)state;
    uint32_t seed = 3;
    for (int i = 0; i < 1000; i++) {
        size_t len = next_random(&seed) % 3000;
        size_t first = next_random(&seed) % (len + 1) & ~(size_t)1;
        uint64_t sum = checksum_add(checksum_add(0, bytes, first), bytes + first, len - first);
        assert_int_equal(checksum_finish(sum), naive(bytes, len));
    }
}

static void a_right_checksum_gives_zero(void **state)
{
    (void)state;
    uint8_t message[1501];
    for (size_t len = 2; len <= sizeof message; len += 7) {
        memcpy(message, bytes + len, len);
        store_be16(message, 0);
        store_be16(message, checksum_finish(checksum_add(0, message, len)));
        assert_int_equal(checksum_finish(checksum_add(0, message, len)), 0);
        message[len - 1] ^= 0x10;
        assert_int_not_equal(checksum_finish(checksum_add(0, message, len)), 0);
    }
}

static void pseudo_headers(void **state)
{
    (void)state;
    static const uint32_t lens[] = {0, 1, 20, 255, 256, 1480, 65515, 65535, 65536, 0x12345678, UINT32_MAX};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        uint8_t ipv4[12] = {0};
        memcpy(ipv4, bytes, 8);
        ipv4[9] = 17;
        uint64_t sum = checksum_pseudo_ipv4(bytes, bytes + 4, 17, lens[i]);
        if (lens[i] <= UINT16_MAX) { // the real one has 16 bits of length
            store_be16(ipv4 + 10, (uint16_t)lens[i]);
            assert_int_equal(checksum_finish(sum), naive(ipv4, sizeof ipv4));
        }
        uint8_t ipv6[40] = {0};
        memcpy(ipv6, bytes, 32);
        store_be32(ipv6 + 32, lens[i]);
        ipv6[39] = 58;
        assert_int_equal(checksum_finish(checksum_pseudo_ipv6(bytes, bytes + 16, 58, lens[i])), naive(ipv6, sizeof ipv6));
    }
    // Neighbour solicitation of fe80::1 for itself would do as well; here an echo request ::1 to ::1 with id 1, sequence 1.
    static const uint8_t loopback[16] = {[15] = 1};
    static const uint8_t echo[] = {128, 0, 0x7f, 0xb9, 0, 1, 0, 1};
    uint64_t sum = checksum_pseudo_ipv6(loopback, loopback, 58, sizeof echo);
    assert_int_equal(checksum_finish(checksum_add(sum, echo, sizeof echo)), 0);
}

// Every pair of words from the edges, into every kind of sum: what a sum made anew would be, but for the two ways to write zero.
static void a_word_is_replaced(void **state)
{
    (void)state;
    static const uint16_t edges[] = {0, 1, 2, 0x7fff, 0x8000, 0x8001, 0xfffd, 0xfffe, 0xffff, 1500, 65495};
    enum { N_EDGES = sizeof edges / sizeof edges[0], N_WORDS = 5 };
    uint32_t seed = 3;
    for (unsigned round = 0; round < 200000; round++) {
        uint8_t words[2 * N_WORDS];
        for (size_t i = 0; i < N_WORDS; i++)
            store_be16(words + 2 * i, round % 2 ? edges[next_random(&seed) % N_EDGES] : (uint16_t)next_random(&seed));
        size_t at = 2 * (next_random(&seed) % N_WORDS);
        uint16_t sum = (uint16_t)~naive(words, sizeof words), old_word = load_be16(words + at),
                 new_word = edges[next_random(&seed) % N_EDGES];
        store_be16(words + at, new_word);
        uint16_t expected = (uint16_t)~naive(words, sizeof words), got = checksum_replace(sum, old_word, new_word);
        assert_int_equal(got % 0xffff, expected % 0xffff);
        if (got != expected) // ffff is written for a zero that is none, and never the other way round
            assert_true(got == 0xffff && expected == 0);
    }
    for (size_t i = 0; i < N_EDGES; i++)
        for (size_t k = 0; k < N_EDGES; k++) {
            assert_int_equal(checksum_replace(edges[i], edges[k], edges[k]) % 0xffff, edges[i] % 0xffff);
            assert_int_equal(checksum_replace(checksum_replace(edges[i], 0, edges[k]), edges[k], 0) % 0xffff, edges[i] % 0xffff);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(equals_the_definition),
        cmocka_unit_test(all_ones_never_overflow),
        cmocka_unit_test(pieces_sum_to_the_whole),
        cmocka_unit_test(a_right_checksum_gives_zero),
        cmocka_unit_test(pseudo_headers),
        cmocka_unit_test(a_word_is_replaced),
    };
    return cmocka_run_group_tests(tests, fill_bytes, NULL);
}
