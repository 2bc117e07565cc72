// SPDX-License-Identifier: MIT
/*
 * capture_text: the line for frames of all kinds, as far as they go; and that no frame, whatever is in it and wherever it ends, makes it
 * read past the end or say anything but plain characters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../src/cli/capture_text.h"

#define AT_NS UINT64_C(1700000000123456789)
enum { BYTES_CAP = 256, GARBAGE_LEN = 200, ROUNDS = 20000 };

// From hexadecimal; blanks don't count.
static size_t bytes_of(const char *hex, uint8_t *bytes)
{
    size_t n = 0;
    unsigned byte;

    for (; *hex; hex += *hex == ' ' ? 1 : 2)
        if (*hex != ' ' && sscanf(hex, "%2x", &byte) == 1)
            bytes[n++] = (uint8_t)byte;
    return n;
}

static const char *line_of(const uint8_t *bytes, size_t len, struct captured captured)
{
    static char text[CAPTURE_TEXT_CAP];
    uint8_t *copy = malloc(len ? len : 1); // so that a sanitizer sees a byte too much

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    captured.wall_ns = AT_NS;
    captured.bytes = copy;
    captured.len = len;
    captured.frame_len = captured.frame_len ? captured.frame_len : (uint32_t)len;
    capture_text_format(&captured, text);
    free(copy);
    for (const char *c = text; *c; c++)
        assert_in_range(*c, ' ', '~');
    return text;
}

#define MACS "020000000002 020000000001 "
#define MACS_TEXT "02:00:00:00:00:01 > 02:00:00:00:00:02 "
#define V4(protocol) "0800 45000054 0000 0000 40 " protocol " 0000 0a090001 0a090002 "
#define V6(next) "86dd 60000000 0020 " next " ff fd000009000000000000000000000001 ff020000000000000000000000000001 "

static const struct {
    const char *hex, *text;
} rows[] = {
    {MACS V4("01") "0800 0000 0007 0001", "10.9.0.1 > 10.9.0.2 ICMP echo request id 7 seq 1, 42 bytes"},
    {MACS V4("01") "0000 0000 0007 0002", "10.9.0.1 > 10.9.0.2 ICMP echo reply id 7 seq 2, 42 bytes"},
    {MACS V4("01") "0304 0000 0000 0578", "10.9.0.1 > 10.9.0.2 ICMP unreachable code 4, 42 bytes"},
    {MACS V4("01") "2a00 0000 0000 0000", "10.9.0.1 > 10.9.0.2 ICMP type 0x2a, 42 bytes"},
    {MACS V4("01") "0800", "10.9.0.1 > 10.9.0.2 ICMP, 36 bytes"},
    {MACS V4("06") "0016 8000 00000001 00000000 5012 0000 0000 0000", "10.9.0.1:22 > 10.9.0.2:32768 TCP SYN, 54 bytes"},
    {MACS V4("06") "0016 8000 00000001 00000000 5011 0000 0000 0000", "10.9.0.1:22 > 10.9.0.2:32768 TCP FIN, 54 bytes"},
    {MACS V4("06") "0016 8000 00000001", "10.9.0.1 > 10.9.0.2 TCP, 42 bytes"},
    {MACS V4("11") "0035 03e8 0040 0000", "10.9.0.1:53 > 10.9.0.2:1000 UDP, 42 bytes"},
    {MACS V4("84"), "10.9.0.1 > 10.9.0.2 SCTP, 34 bytes"},
    {MACS V4("fe"), "10.9.0.1 > 10.9.0.2 IP protocol 0xfe, 34 bytes"},
    {MACS "0800 45000054 0000 2000 40 01 0000 0a090001 0a090002 0800 0000 0007 0001",
     "10.9.0.1 > 10.9.0.2 ICMP echo request id 7 seq 1 fragment, 42 bytes"},
    {MACS "0800 45000054 0000 00b9 40 01 0000 0a090001 0a090002 0800 0000 0007 0001", "10.9.0.1 > 10.9.0.2 ICMP fragment, 42 bytes"},
    {MACS "0800 4500", MACS_TEXT "EtherType 0x800, 16 bytes"},
    {MACS V6("3a") "8700 0000 00000000 fd000009000000000000000000000002",
     "fd00:9::1 > ff02::1 ICMPv6 neighbour solicitation of fd00:9::2, 78 bytes"},
    {MACS V6("3a") "8000 0000 0009 0003", "fd00:9::1 > ff02::1 ICMPv6 echo request id 9 seq 3, 62 bytes"},
    {MACS V6("00") "3a00 050200000100 8f00 0000 0000 0001", "fd00:9::1 > ff02::1 ICMPv6 MLD report, 70 bytes"},
    {MACS V6("2c") "1100 0009 00000001 0000", "fd00:9::1 > ff02::1 UDP fragment, 64 bytes"},
    {MACS V6("11") "0035 03e8 0020 0000", "[fd00:9::1]:53 > [ff02::1]:1000 UDP, 62 bytes"},
    {MACS "0806 00010800 0604 0001 020000000001 0a090001 000000000000 0a090002", MACS_TEXT "ARP who has 10.9.0.2, asks 10.9.0.1, 42 bytes"},
    {MACS "0806 00010800 0604 0002 020000000001 0a090001 020000000002 0a090002",
     MACS_TEXT "ARP answer 10.9.0.1 is at 02:00:00:00:00:01, 42 bytes"},
    {MACS "0806 00010800 0604", MACS_TEXT "ARP, 20 bytes"},
    {MACS "0026 424203", MACS_TEXT "STP, 17 bytes"},
    {MACS "0026 e0e003", MACS_TEXT "IPX, 17 bytes"},
    {MACS "0026 aaaa03 080007 809b", MACS_TEXT "AppleTalk, 22 bytes"},
    {MACS "0026 123403", MACS_TEXT "LLC 0x12, 17 bytes"},
    {MACS "0026", MACS_TEXT "802.3, 14 bytes"},
    {MACS "88cc 0207", MACS_TEXT "LLDP, 16 bytes"},
    {MACS "1234", MACS_TEXT "EtherType 0x1234, 14 bytes"},
    {MACS "88a8 0009 8100 2008 88cc", MACS_TEXT "LLDP, VLAN 9.8, 22 bytes"},
    {MACS, "less than an Ethernet header, 12 bytes"},
    {"", "less than an Ethernet header, 0 bytes"},
};

static void test_kinds(void **state)
{
    uint8_t bytes[BYTES_CAP];
    char wanted[CAPTURE_TEXT_CAP];
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(wanted, sizeof wanted, "22:13:20.123456 out %s", rows[i].text);
        assert_string_equal(line_of(bytes, bytes_of(rows[i].hex, bytes), (struct captured){0}), wanted);
    }
}

static void test_fates(void **state)
{
    uint8_t bytes[BYTES_CAP];
    size_t len = bytes_of(MACS "88cc", bytes);
    (void)state;

    assert_string_equal(line_of(bytes, len, (struct captured){.is_inbound = true, .frame_len = 65000, .fate = "dropped: tap_down"}),
                        "22:13:20.123456 in  " MACS_TEXT "LLDP, 65000 bytes, dropped: tap_down");
    assert_string_equal(line_of(bytes, len, (struct captured){.is_own = true}),
                        "22:13:20.123456 out " MACS_TEXT "LLDP, 14 bytes, made by this node");
}

// Each of them, ending at each of its bytes.
static void test_cut_off(void **state)
{
    uint8_t bytes[BYTES_CAP];
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t whole = bytes_of(rows[i].hex, bytes);
        for (size_t len = 0; len < whole; len++)
            line_of(bytes, len, (struct captured){.frame_len = (uint32_t)whole});
    }
}

// Half a known frame, half chance.
static void test_garbage(void **state)
{
    uint8_t bytes[BYTES_CAP + GARBAGE_LEN];
    unsigned seed = 1;
    (void)state;

    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t len = bytes_of(rows[round % (sizeof rows / sizeof rows[0])].hex, bytes);
        size_t from = (seed >> 8) % (len + 1);
        for (size_t i = from; i < from + GARBAGE_LEN; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (uint8_t)(seed >> 16);
        }
        line_of(bytes, from + (seed >> 8) % GARBAGE_LEN, (struct captured){.is_own = true, .fate = "dropped: handshake_unknown_peer"});
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_fates),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_garbage),
    };

    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
