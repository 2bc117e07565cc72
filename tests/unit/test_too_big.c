// SPDX-License-Identifier: MIT
/*
 * What senders are told about packets that are too big: every byte of the answer, every packet that must not be answered, and packets
 * that are cut off, mutated or random. What is answerable is decided here a second time, from the RFCs, and checksums are summed word by
 * word.
 */
#include "test_packets.h"

#include <stdlib.h>

#include "ethercord/clock.h"
#include "ethercord/too_big.h"

enum { IPV4_QUOTE_MAX = 576 - 28, IPV6_QUOTE_MAX = 1280 - 48, N_MUTATED = 400000, N_RANDOM = 200000 };

static const struct recipe shapes[] = {
    {.version = 4, .protocol = IPPROTO_TCP, .is_whole = true},
    {.version = 4, .protocol = IPPROTO_UDP, .n_tags = 1},
    {.version = 4, .protocol = IPPROTO_TCP, .n_tags = 2, .ip_words = 10, .tcp_words = 10},
    {.version = 4, .protocol = IPPROTO_UDP, .n_tags = 8, .ip_words = 1, .tos = 0xb9},
    {.version = 6, .protocol = IPPROTO_TCP, .is_whole = true},
    {.version = 6, .protocol = IPPROTO_UDP, .n_tags = 1},
    {.version = 6, .protocol = IPPROTO_TCP, .n_tags = 3, .extensions = {{0, 0}, {43, 2}, {60, 1}}, .n_extensions = 3},
    {.version = 6, .protocol = IPPROTO_UDP, .n_tags = 8, .extensions = {{60, 31}, {44, 0}, {51, 0}}, .n_extensions = 3},
};
static const struct mac_address own_mac = {{0x02, 0xec, 0, 0, 0, 1}};
static struct packet_bytes packet;

// A packet of `l3_len` bytes.
static void make_sized(const struct recipe *shape, size_t l3_len)
{
    struct recipe recipe = *shape;

    make_packet(&packet, &recipe, 5);
    recipe.payload_len = l3_len - (packet.len - packet.l3);
    make_packet(&packet, &recipe, (uint32_t)l3_len);
    assert_int_equal(packet.len - packet.l3, l3_len);
    if (recipe.n_extensions == 3 && recipe.extensions[1].type == 44)
        memset(packet.b + packet.l3 + 40 + 256 + 2, 0, 2); // the first fragment, and the last
}

static bool exceeds(const uint8_t *bytes, size_t len, uint16_t mtu)
{
    struct frame_view frame;

    return frame_parse(&frame, bytes, len) && too_big_exceeds(&frame, mtu);
}

// Frame and answer lie in memory of their own, so that sanitizers see each byte too many.
static size_t answer_to(const uint8_t *bytes, size_t len, uint16_t mtu, uint8_t *out)
{
    uint8_t *copy = malloc(len + 1), *room = malloc(TOO_BIG_FRAME_MAX);
    struct frame_view frame;
    size_t answer_len = 0;

    assert_true(copy && room);
    memcpy(copy, bytes, len);
    if (frame_parse(&frame, copy, len))
        answer_len = too_big_answer(&frame, mtu, &own_mac, room);
    assert_true(answer_len <= TOO_BIG_FRAME_MAX);
    if (answer_len)
        memcpy(out, room, answer_len);
    assert_memory_equal(copy, bytes, len);
    free(copy);
    free(room);
    return answer_len;
}

static bool is_answered(uint16_t mtu)
{
    static uint8_t out[TOO_BIG_FRAME_MAX];

    return answer_to(packet.b, packet.len, mtu, out) > 0;
}

/* ---- the answer, read from the RFCs ---- */

static void check_ipv4(const uint8_t *ip, size_t len, const uint8_t *sent, uint16_t mtu)
{
    size_t sent_len = get16(sent + 2), quoted = sent_len < IPV4_QUOTE_MAX ? sent_len : IPV4_QUOTE_MAX;

    assert_int_equal(len, 28 + quoted);
    assert_int_equal(ip[0], 0x45);
    assert_int_equal(get16(ip + 2), len);
    assert_int_equal(naive_sum(0, ip, 20), 0xffff);
    assert_int_equal(ip[8], 64);
    assert_int_equal(ip[9], 1);
    assert_memory_equal(ip + 12, sent + 16, 4);
    assert_memory_equal(ip + 16, sent + 12, 4);
    assert_memory_equal(ip + 20, "\3\4", 2); // destination unreachable: fragmentation needed and DF set
    assert_int_equal(naive_sum(0, ip + 20, len - 20), 0xffff);
    assert_int_equal(get16(ip + 24), 0);
    assert_int_equal(get16(ip + 26), mtu);
    assert_memory_equal(ip + 28, sent, quoted);
}

static void check_ipv6(const uint8_t *ip, size_t len, const uint8_t *sent, uint16_t mtu)
{
    size_t sent_len = 40 + get16(sent + 4), quoted = sent_len < IPV6_QUOTE_MAX ? sent_len : IPV6_QUOTE_MAX;
    const struct recipe icmp = {.version = 6, .protocol = 58};

    assert_int_equal(len, 48 + quoted);
    assert_int_equal(get32(ip), 0x60000000);
    assert_int_equal(get16(ip + 4), len - 40);
    assert_int_equal(ip[6], 58);
    assert_int_equal(ip[7], 64);
    assert_memory_equal(ip + 8, sent + 24, 16);
    assert_memory_equal(ip + 24, sent + 8, 16);
    assert_memory_equal(ip + 40, "\2\0", 2); // packet too big
    assert_int_equal(naive_sum(pseudo_sum(&icmp, ip, len - 40), ip + 40, len - 40), 0xffff);
    assert_int_equal(get32(ip + 44), mtu);
    assert_memory_equal(ip + 48, sent, quoted);
}

static void check_answer(const uint8_t *sent, size_t l3, const uint8_t *answer, size_t len, uint16_t mtu)
{
    assert_memory_equal(answer, sent + 6, 6);
    assert_memory_equal(answer + 6, own_mac.b, 6); // not the far host's: bridges learn from it
    assert_memory_equal(answer + 12, sent + 12, l3 - 12);
    assert_true(len > l3);
    if (get16(sent + l3 - 2) == 0x0800)
        check_ipv4(answer + l3, len - l3, sent + l3, mtu);
    else
        check_ipv6(answer + l3, len - l3, sent + l3, mtu);
}

static void every_shape_is_answered(void **state)
{
    static const uint16_t mtus[] = {1280, 1400, 1499, 8999};
    uint8_t out[TOO_BIG_FRAME_MAX];

    (void)state;
    for (size_t i = 0; i < N_OF(shapes) * N_OF(mtus); i++) {
        uint16_t mtu = mtus[i % N_OF(mtus)];
        make_sized(&shapes[i / N_OF(mtus)], mtu + 1U);
        size_t len = answer_to(packet.b, packet.len, mtu, out);
        check_answer(packet.b, packet.l3, out, len, mtu);
        assert_int_equal(len - packet.l3, packet.b[packet.l3] >> 4 == 4 ? 576 : 1280);
    }
}

static void short_packets_are_quoted_whole(void **state)
{
    uint8_t out[TOO_BIG_FRAME_MAX];

    (void)state;
    for (size_t l3_len = 100; l3_len < 700; l3_len++) {
        make_sized(&shapes[0], l3_len);
        size_t len = answer_to(packet.b, packet.len, 99, out);
        check_answer(packet.b, packet.l3, out, len, 99);
    }
}

// What lies behind the packet is none of it, neither for the MTU nor for the quote.
static void trailers_do_not_count(void **state)
{
    uint8_t out[TOO_BIG_FRAME_MAX];

    (void)state;
    for (size_t i = 0; i < N_OF(shapes); i++) {
        make_sized(&shapes[i], 1400);
        memset(packet.b + packet.len, 0xee, 300);
        assert_false(exceeds(packet.b, packet.len + 300, 1400));
        assert_int_equal(answer_to(packet.b, packet.len + 300, 1400, out), 0);
        assert_true(exceeds(packet.b, packet.len + 300, 1399));
    }
    make_sized(&shapes[0], 200);
    memset(packet.b + packet.len, 0xee, 300);
    size_t len = answer_to(packet.b, packet.len + 300, 150, out);
    check_answer(packet.b, packet.l3, out, len, 150);
}

static void the_mtu_is_the_boundary(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(shapes); i++)
        for (uint16_t mtu = 1280; mtu <= 9000; mtu = (uint16_t)(mtu + 193)) {
            for (int more = -1; more <= 1; more++) {
                make_sized(&shapes[i], (size_t)(mtu + more));
                assert_int_equal(exceeds(packet.b, packet.len, mtu), more > 0);
                assert_int_equal(is_answered(mtu), more > 0);
            }
        }
}

// The length counts before anything is said about who may be told.
static void what_can_not_be_answered_exceeds_too(void **state)
{
    (void)state;
    make_sized(&shapes[0], 1500);
    packet.b[packet.l3 + 6] = 0; // no DF
    assert_true(exceeds(packet.b, packet.len, 1400));
    assert_false(is_answered(1400));
    make_sized(&shapes[4], 1500);
    packet.b[packet.l3 + 24] = 0xff;
    assert_true(exceeds(packet.b, packet.len, 1400));
    assert_false(is_answered(1400));
}

static void other_frames_have_no_packet(void **state)
{
    static const unsigned types[] = {0x0806, 0x8847, 0x88cc, 0x05dc, 0x86de, 0x0801, 0x8864};

    (void)state;
    for (size_t i = 0; i < N_OF(shapes); i++) {
        for (size_t j = 0; j < N_OF(types); j++) {
            make_sized(&shapes[i], 1500);
            put16(packet.b + packet.l3 - 2, types[j]);
            assert_false(exceeds(packet.b, packet.len, 100));
            assert_false(is_answered(100));
        }
        make_sized(&shapes[i], 1500);
        put16(packet.b + packet.l3 - 2, shapes[i].version == 4 ? 0x86dd : 0x0800); // the other version
        assert_false(exceeds(packet.b, packet.len, 100));
    }
}

/* ---- refusals ---- */

struct change {
    size_t at; // from the frame's beginning, or from the IP header's
    size_t n;
    uint8_t bytes[16];
};

static void refuse(const struct recipe *shape, bool is_in_ip, const struct change *change)
{
    make_sized(shape, 1500);
    assert_true(is_answered(1400));
    memcpy(packet.b + (is_in_ip ? packet.l3 : 0) + change->at, change->bytes, change->n);
    if (shape->version == 4 && !(is_in_ip && change->at == 10))
        put_ipv4_checksum(packet.b + packet.l3);
    if (is_answered(1400))
        fail_msg("answered: IPv%u, change at %zu", (unsigned)shape->version, change->at);
}

static void refuses_mac_addresses(void **state)
{
    static const struct change changes[] = {
        {0, 6, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, {0, 6, {0x01, 0, 0x5e, 1, 2, 3}}, {0, 6, {0x33, 0x33}}, {0, 6, {0}},
        {6, 6, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, {6, 6, {0x03, 1, 2, 3, 4, 5}},    {6, 6, {0}},
    };

    (void)state;
    for (size_t i = 0; i < N_OF(shapes); i++)
        for (size_t j = 0; j < N_OF(changes); j++)
            refuse(&shapes[i], false, &changes[j]);
}

static void refuses_ipv4(void **state)
{
    static const struct change changes[] = {
        {0, 1, {0x35}},
        {0, 1, {0x65}},
        {0, 1, {0x44}}, // version, header length
        {0, 1, {0x40}},
        {2, 2, {0, 0}},
        {2, 2, {0, 19}}, // … and length
        {2, 2, {0x05, 0xdd}},
        {2, 2, {0xff, 0xff}}, // more than the frame has
        {2, 2, {0x05, 0x78}}, // no more than 1400
        {6, 2, {0, 0}},
        {6, 2, {0x20, 0}},
        {6, 2, {0x80, 0}}, // no DF
        {6, 2, {0x40, 1}},
        {6, 2, {0x60, 185}},
        {6, 2, {0x5f, 0xff}},  // later fragments
        {10, 2, {0x12, 0x34}}, // checksum
        {12, 4, {0}},
        {12, 4, {0, 1, 2, 3}},
        {12, 4, {127, 0, 0, 1}},
        {12, 4, {224, 0, 0, 1}},
        {12, 4, {239, 1, 2, 3}},
        {12, 4, {240, 0, 0, 1}},
        {12, 4, {255, 255, 255, 255}},
        {16, 4, {0}},
        {16, 4, {127, 9, 9, 9}},
        {16, 4, {224, 0, 0, 251}},
        {16, 4, {255, 255, 255, 255}},
        {12, 8, {10, 9, 0, 2, 10, 9, 0, 2}}, // to itself
    };

    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < N_OF(changes); j++)
            if (shapes[i].ip_words == 0 || changes[j].at != 2 || changes[j].bytes[0] != 0) // the change's own header length
                refuse(&shapes[i], true, &changes[j]);
}

static void refuses_ipv6(void **state)
{
    static const struct change changes[] = {
        {0, 1, {0x40}},
        {0, 1, {0x70}},
        {4, 2, {0x05, 0xb5}},
        {4, 2, {0xff, 0xff}},
        {4, 2, {0, 0}},
        {4, 2, {0x05, 0x50}}, // too long, jumbogram, 1400
        {8, 16, {0}},
        {8, 16, {[15] = 1}},
        {8, 16, {0xff, 2, [15] = 1}},
        {24, 16, {0}},
        {24, 16, {[15] = 1}},
        {24, 16, {0xff, 2, [15] = 1}},
        {24, 16, {0xff, 0x0e, [15] = 9}},
    };

    (void)state;
    for (size_t i = 4; i < 8; i++)
        for (size_t j = 0; j < N_OF(changes); j++)
            refuse(&shapes[i], true, &changes[j]);
    make_sized(&shapes[4], 1500);
    memcpy(packet.b + packet.l3 + 24, packet.b + packet.l3 + 8, 16); // to itself
    assert_false(is_answered(1400));
}

static void refuses_icmp_errors(void **state)
{
    static const struct recipe with_extension = {.version = 6, .protocol = IPPROTO_TCP, .extensions = {{60, 0}, {0, 1}}, .n_extensions = 2};

    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        bool is_error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
        for (size_t words = 0; words <= 10; words += 5) {
            struct recipe shape = shapes[0];
            shape.ip_words = (uint8_t)words;
            make_sized(&shape, 1500);
            packet.b[packet.l3 + 9] = 1;
            packet.b[packet.l4] = (uint8_t)type;
            put_ipv4_checksum(packet.b + packet.l3);
            assert_int_equal(is_answered(1400), !is_error);
        }
        for (int i = 0; i < 2; i++) {
            make_sized(i ? &with_extension : &shapes[4], 1500);
            packet.b[packet.l3 + (i ? 48 : 6)] = 58;
            packet.b[packet.l4] = (uint8_t)type;
            assert_int_equal(is_answered(1400), type >= 128 && type != 137);
        }
    }
}

// Headers that fill the packet, so that there is no type.
static void refuses_icmp_without_a_type(void **state)
{
    struct recipe six = {.version = 6, .protocol = IPPROTO_TCP, .n_extensions = 6};

    (void)state;
    make_sized(&shapes[2], 100); // 60 bytes of header
    packet.b[packet.l3 + 9] = 1;
    put16(packet.b + packet.l3 + 2, 60);
    put_ipv4_checksum(packet.b + packet.l3);
    assert_true(exceeds(packet.b, packet.len, 59));
    assert_false(is_answered(59));
    packet.b[packet.l3 + 9] = 6;
    put_ipv4_checksum(packet.b + packet.l3);
    assert_true(is_answered(59));

    for (size_t i = 0; i < 6; i++)
        six.extensions[i] = (struct extension){60, 31};
    make_sized(&six, 40 + 6 * 256 + 20);
    packet.b[packet.l3 + 40 + 5 * 256] = 58;
    assert_true(is_answered(1400) || packet.b[packet.l4] < 128);
    put16(packet.b + packet.l3 + 4, 6 * 256);
    assert_true(exceeds(packet.b, packet.len, 1400));
    assert_false(is_answered(1400));
    packet.b[packet.l3 + 40 + 5 * 256] = 59; // no next header
    assert_true(is_answered(1400));
}

static void refuses_later_ipv6_fragments(void **state)
{
    static const struct recipe fragment = {.version = 6, .protocol = IPPROTO_UDP, .extensions = {{0, 0}, {44, 0}}, .n_extensions = 2};

    (void)state;
    for (unsigned offset = 0; offset < 0x10000; offset += offset < 64 ? 1 : 37) {
        make_sized(&fragment, 1500);
        put16(packet.b + packet.l3 + 40 + 8 + 2, offset);
        assert_int_equal(is_answered(1400), offset < 8); // three bits are none of it
    }
}

static void follows_so_many_extensions(void **state)
{
    struct recipe shape = {.version = 6, .protocol = IPPROTO_UDP};

    (void)state;
    for (size_t n = 0; n < EXTENSIONS_MAX; n++) {
        shape.n_extensions = n;
        if (n > 0)
            shape.extensions[n - 1] = (struct extension){60, 1};
        make_sized(&shape, 1500);
        assert_int_equal(is_answered(1400), n <= 8);
    }
    shape.n_extensions = 2; // the second ends behind the packet
    make_sized(&shape, 1500);
    packet.b[packet.l3 + 40 + 16 + 1] = 181;
    assert_false(is_answered(1400));
    packet.b[packet.l3 + 40 + 16 + 1] = 179;
    assert_true(is_answered(1400));
}

// RFC 8201 4: a host discards what says less than 1280.
static void ipv6_is_not_told_less_than_1280(void **state)
{
    (void)state;
    make_sized(&shapes[4], 1500);
    assert_true(is_answered(1280));
    assert_false(is_answered(1279));
    assert_false(is_answered(576));
    assert_true(exceeds(packet.b, packet.len, 1279));
    make_sized(&shapes[0], 1500);
    assert_true(is_answered(576));
}

/* ---- hostile ---- */

static void cut_off_anywhere(void **state)
{
    uint8_t out[TOO_BIG_FRAME_MAX];

    (void)state;
    for (size_t i = 0; i < N_OF(shapes); i++) {
        make_sized(&shapes[i], 1500);
        for (size_t len = 0; len < packet.len; len++) {
            assert_false(exceeds(packet.b, len, 100));
            assert_int_equal(answer_to(packet.b, len, 1400, out), 0);
        }
        assert_true(answer_to(packet.b, packet.len, 1400, out) > 0);
    }
}

// The packet ends at every length by its own header.
static void ends_anywhere(void **state)
{
    uint8_t out[TOO_BIG_FRAME_MAX];

    (void)state;
    for (size_t i = 0; i < N_OF(shapes); i++)
        for (size_t l3_len = 0; l3_len <= 1500; l3_len++) {
            make_sized(&shapes[i], 1500);
            bool is_v4 = shapes[i].version == 4;
            put16(packet.b + packet.l3 + (is_v4 ? 2 : 4), is_v4 ? l3_len : (l3_len < 40 ? 0 : l3_len - 40));
            if (is_v4)
                put_ipv4_checksum(packet.b + packet.l3);
            size_t len = answer_to(packet.b, packet.len, 1280, out);
            assert_int_equal(len > 0, l3_len > 1280);
            len = answer_to(packet.b, packet.l3 + l3_len, 1280, out);
            assert_int_equal(len > 0, l3_len > 1280);
        }
}

static bool is_single_v4(const uint8_t *address)
{
    return address[0] != 0 && address[0] != 127 && address[0] < 224;
}

static bool is_single_v6(const uint8_t *address)
{
    static const uint8_t zero[16];

    return address[0] != 0xff && memcmp(address, zero, 15) != 0;
}

// Whether the end of the chain may be answered: no error, no later fragment, nothing cut off.
static bool is_good_chain(const uint8_t *ip, size_t len)
{
    unsigned next = ip[6];
    size_t at = 40, n = 0;

    while (next == 0 || next == 43 || next == 44 || next == 51 || next == 60) {
        if (++n > 8 || at + 8 > len)
            return false;
        if (next == 44 && get16(ip + at + 2) >= 8)
            return false;
        size_t more = next == 44 ? 8 : next == 51 ? 4 * (ip[at + 1] + 2U) : 8 * (ip[at + 1] + 1U);
        next = ip[at];
        at += more;
        if (at > len)
            return false;
    }
    return next != 58 || (at < len && ip[at] >= 128 && ip[at] != 137);
}

// Zero, or the offset of the IP header of a packet above `mtu` that may be answered.
static size_t answerable(const uint8_t *b, size_t len, unsigned mtu)
{
    size_t at = 12, n = 0;

    if (len < 14 || b[0] & 1 || b[6] & 1 || memcmp(b, "\0\0\0\0\0\0", 6) == 0 || memcmp(b + 6, "\0\0\0\0\0\0", 6) == 0)
        return 0;
    for (; (get16(b + at) == 0x8100 || get16(b + at) == 0x88a8 || get16(b + at) == 0x9100) && at + 6 <= len && n < 8; n++)
        at += 4;
    const uint8_t *ip = b + at + 2;
    size_t left = len - at - 2;
    if (get16(b + at) == 0x0800 && left >= 20 && ip[0] >> 4 == 4) {
        size_t header = 4U * (ip[0] & 15U), total = get16(ip + 2);
        bool is_whole = header >= 20 && header <= total && total <= left && total > mtu;
        if (!is_whole || naive_sum(0, ip, header) != 0xffff || (get16(ip + 6) & 0x5fff) != 0x4000)
            return 0;
        if (!is_single_v4(ip + 12) || !is_single_v4(ip + 16) || get32(ip + 12) == get32(ip + 16))
            return 0;
        unsigned type = total > header ? ip[header] : 3;
        return ip[9] == 1 && (type == 3 || type == 4 || type == 5 || type == 11 || type == 12) ? 0 : at + 2;
    }
    if (get16(b + at) != 0x86dd || left < 40 || ip[0] >> 4 != 6 || mtu < 1280)
        return 0;
    size_t total = 40 + get16(ip + 4);
    if (total > left || total <= mtu || !is_good_chain(ip, total))
        return 0;
    return is_single_v6(ip + 8) && is_single_v6(ip + 24) && memcmp(ip + 8, ip + 24, 16) != 0 ? at + 2 : 0;
}

static bool check_hostile(const uint8_t *b, size_t len, uint16_t mtu)
{
    static uint8_t out[TOO_BIG_FRAME_MAX];
    size_t answer_len = answer_to(b, len, mtu, out), l3 = answerable(b, len, mtu);

    assert_int_equal(answer_len > 0, l3 > 0);
    if (l3 > 0) {
        assert_true(exceeds(b, len, mtu));
        check_answer(b, l3, out, answer_len, mtu);
    }
    return l3 > 0;
}

static void mutated(void **state)
{
    uint32_t seed = 1;
    size_t n_answered = 0;

    (void)state;
    for (size_t i = 0; i < N_MUTATED; i++) {
        const struct recipe *shape = &shapes[next_random(&seed) % N_OF(shapes)];
        make_sized(shape, 1281 + next_random(&seed) % 20);
        for (uint32_t n = next_random(&seed) % 4; n > 0; n--) {
            size_t at = next_random(&seed) % (packet.payload + 4);
            static const uint8_t interesting[] = {0, 1, 44, 58, 0x40, 0x60, 0x7f, 0x80, 0xe0, 0xff};
            packet.b[at] = next_random(&seed) % 2 ? (uint8_t)next_random(&seed) : interesting[next_random(&seed) % N_OF(interesting)];
        }
        if (shape->version == 4 && next_random(&seed) % 4 != 0) {
            uint8_t *ip = packet.b + packet.l3;
            if ((ip[0] & 15) >= 5)
                put_ipv4_checksum(ip);
        }
        size_t len = next_random(&seed) % 8 ? packet.len : next_random(&seed) % (packet.len + 1);
        n_answered += check_hostile(packet.b, len, 1280);
    }
    assert_true(n_answered > N_MUTATED / 8 && n_answered < N_MUTATED * 7 / 8);
}

static void random_bytes(void **state)
{
    uint8_t b[200];
    uint32_t seed = 2;

    (void)state;
    for (size_t i = 0; i < N_RANDOM; i++) {
        size_t len = next_random(&seed) % sizeof b;
        for (size_t j = 0; j < len; j++)
            b[j] = (uint8_t)next_random(&seed);
        if (len >= 40) {
            put16(b + 12, i % 2 ? 0x0800 : 0x86dd);
            b[14] = i % 2 ? 0x45 : 0x60;
            put16(b + (i % 2 ? 16 : 18), next_random(&seed) % len);
            b[20] = 0x40;
            b[0] = b[6] = 2;
            if (i % 2)
                put_ipv4_checksum(b + 14);
        }
        check_hostile(b, len, 30);
    }
}

/* ---- the limit ---- */

static unsigned take_all(uint64_t *full_ns, uint64_t now_ns)
{
    unsigned n = 0;

    while (too_big_take_turn(full_ns, now_ns))
        n++;
    return n;
}

static void so_many_and_no_more(void **state)
{
    uint64_t full_ns = 0, now_ns = 5 * NS_PER_S;
    unsigned n = 0;

    (void)state;
    assert_int_equal(take_all(&full_ns, now_ns), TOO_BIG_BURST);
    assert_int_equal(take_all(&full_ns, now_ns), 0);
    assert_int_equal(take_all(&full_ns, now_ns + NS_PER_S / TOO_BIG_PER_S - 1), 0);
    assert_int_equal(take_all(&full_ns, now_ns + NS_PER_S / TOO_BIG_PER_S), 1);
    assert_int_equal(take_all(&full_ns, now_ns + 11 * NS_PER_S / TOO_BIG_PER_S), 10);
    for (uint64_t at = 0; at < 10 * NS_PER_S; at += NS_PER_S / 7777)
        n += take_all(&full_ns, now_ns + NS_PER_S + at);
    assert_in_range(n, TOO_BIG_BURST + 10 * TOO_BIG_PER_S - 1, TOO_BIG_BURST + 10 * TOO_BIG_PER_S);
    assert_int_equal(take_all(&full_ns, now_ns + 60 * NS_PER_S), TOO_BIG_BURST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_is_answered),
        cmocka_unit_test(short_packets_are_quoted_whole),
        cmocka_unit_test(trailers_do_not_count),
        cmocka_unit_test(the_mtu_is_the_boundary),
        cmocka_unit_test(what_can_not_be_answered_exceeds_too),
        cmocka_unit_test(other_frames_have_no_packet),
        cmocka_unit_test(refuses_mac_addresses),
        cmocka_unit_test(refuses_ipv4),
        cmocka_unit_test(refuses_ipv6),
        cmocka_unit_test(refuses_icmp_errors),
        cmocka_unit_test(refuses_icmp_without_a_type),
        cmocka_unit_test(refuses_later_ipv6_fragments),
        cmocka_unit_test(follows_so_many_extensions),
        cmocka_unit_test(ipv6_is_not_told_less_than_1280),
        cmocka_unit_test(cut_off_anywhere),
        cmocka_unit_test(ends_anywhere),
        cmocka_unit_test(mutated),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(so_many_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
