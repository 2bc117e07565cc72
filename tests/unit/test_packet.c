// SPDX-License-Identifier: MIT
/*
 * test_packet: headers of every shape and cut off at every length; lengths, fragments and chains that are none of ours; another length
 * against a packet that was made with it; whole checksums of every length, zero included.
 */
#include <stdlib.h>

#include "test_packets.h"

// Shapes that are whole TCP or UDP packets.
static const struct recipe shapes[] = {
    {.version = 4, .protocol = IPPROTO_TCP},
    {.version = 4, .protocol = IPPROTO_UDP},
    {.version = 6, .protocol = IPPROTO_TCP},
    {.version = 6, .protocol = IPPROTO_UDP},
    {.version = 4, .protocol = IPPROTO_TCP, .n_tags = 1, .ip_words = 1, .tcp_words = 3},
    {.version = 4, .protocol = IPPROTO_TCP, .n_tags = 2, .ip_words = 10, .tcp_words = 10},
    {.version = 4, .protocol = IPPROTO_UDP, .n_tags = 8, .ip_words = 10},
    {.version = 6, .protocol = IPPROTO_TCP, .n_tags = 8, .tcp_words = 10},
    {.version = 6, .protocol = IPPROTO_TCP, .extensions = {{0, 0}}, .n_extensions = 1},
    {.version = 6, .protocol = IPPROTO_UDP, .extensions = {{60, 3}}, .n_extensions = 1},
    {.version = 6, .protocol = IPPROTO_UDP, .extensions = {{43, 2}}, .n_extensions = 1, .is_routed = true},
    {.version = 6, .protocol = IPPROTO_TCP, .extensions = {{0, 1}, {60, 0}, {43, 2}, {60, 0}}, .n_extensions = 4, .is_routed = true},
    {.version = 6, .protocol = IPPROTO_TCP, .extensions = {{60, 255}}, .n_extensions = 1, .n_tags = 1},
    {.version = 6,
     .protocol = IPPROTO_UDP,
     .extensions = {{0, 0}, {60, 0}, {60, 0}, {60, 0}, {60, 0}, {60, 0}, {60, 0}, {43, 2}},
     .n_extensions = 8},
    {.version = 6,
     .protocol = IPPROTO_TCP,
     .extensions = {{0, 255}, {60, 255}, {60, 255}, {60, 255}, {60, 255}, {60, 255}, {60, 255}, {60, 255}},
     .n_extensions = 8,
     .n_tags = 8},
};

static struct packet_bytes packet, other;

static void check_view(const struct packet_view *view, const struct recipe *recipe)
{
    assert_int_equal(view->version, recipe->version);
    assert_int_equal(view->protocol, recipe->protocol);
    assert_int_equal(view->l3_offset, packet.l3);
    assert_int_equal(view->l4_offset, packet.l4);
    assert_int_equal(view->payload_offset, packet.payload);
    assert_int_equal(view->l4_len, packet.payload - packet.l4 + recipe->payload_len);
}

// Whether the first `len` bytes are taken; on an own piece of memory, so that ASan sees a byte too far.
static bool takes(struct packet_view *view, const uint8_t *bytes, size_t len)
{
    struct frame_view frame;
    uint8_t *exact = malloc(len);

    assert_non_null(exact);
    memcpy(exact, bytes, len);
    assert_true(frame_parse(&frame, exact, len));
    bool is_taken = packet_parse(view, &frame);
    free(exact);
    return is_taken;
}

static bool takes_packet(void)
{
    struct packet_view view;

    return takes(&view, packet.b, packet.len);
}

static void finds_its_way(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 100, 1448};
    for (size_t i = 0; i < N_OF(shapes) * N_OF(lens); i++) {
        struct recipe recipe = shapes[i % N_OF(shapes)];
        recipe.payload_len = lens[i / N_OF(shapes)];
        make_packet(&packet, &recipe, 1);
        struct packet_view view;
        assert_true(takes(&view, packet.b, packet.len));
        check_view(&view, &recipe);
        memset(packet.b + packet.len, 0, 46);
        assert_true(takes(&view, packet.b, packet.len + 46)); // what follows the packet is none of it
        check_view(&view, &recipe);
    }
    assert_int_equal(packet.payload - packet.l3, 40 + 8 * 2048 + 20); // the longest headers there are
}

// The payload may be missing, of the headers no byte.
static void needs_whole_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(shapes); i++) {
        struct recipe recipe = shapes[i];
        recipe.payload_len = 10;
        make_packet(&packet, &recipe, 1);
        for (size_t len = 14; len <= packet.len; len++) {
            struct packet_view view;
            bool is_taken = takes(&view, packet.b, len);
            if (is_taken != (len >= packet.payload))
                fail_msg("shape %zu, %zu bytes of %zu", i, len, packet.len);
            if (is_taken)
                check_view(&view, &recipe);
        }
    }
}

// The packet's own length must cover the headers; it may be more than what is there.
static void needs_lengths_that_cover_the_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(shapes); i++) {
        make_packet(&packet, &shapes[i], 1);
        uint8_t *ip = packet.b + packet.l3;
        size_t before_ip_len = shapes[i].version == 4 ? 0 : 40, headers_len = packet.payload - packet.l3;
        for (size_t len = 0; len <= 65535; len += len > headers_len && len < 65000 ? 977 : 1) {
            put16(ip + (shapes[i].version == 4 ? 2 : 4), len);
            struct packet_view view;
            bool is_taken = takes(&view, packet.b, packet.len);
            if (is_taken != (len + before_ip_len >= headers_len))
                fail_msg("shape %zu, length %zu", i, len);
            if (is_taken)
                assert_int_equal(view.l4_len, len + before_ip_len - (packet.l4 - packet.l3));
        }
    }
}

static void needs_the_right_version(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(shapes); i++) {
        for (unsigned version = 0; version < 16; version++) {
            make_packet(&packet, &shapes[i], 1);
            uint8_t *ip = packet.b + packet.l3;
            ip[0] = (uint8_t)(ip[0] % 16 | version << 4);
            assert_int_equal(takes_packet(), version == shapes[i].version);
        }
        static const uint16_t types[] = {0x0806, 0x0026, 0x8847, 0x88b5, 0, 0xffff};
        for (size_t t = 0; t < N_OF(types); t++) {
            make_packet(&packet, &shapes[i], 1);
            put16(packet.b + packet.l3 - 2, types[t]);
            assert_false(takes_packet());
        }
        make_packet(&packet, &shapes[i], 1);
        put16(packet.b + packet.l3 - 2, shapes[i].version == 4 ? 0x86dd : 0x0800); // the other one
        assert_false(takes_packet());
    }
    struct recipe deep = {.version = 4, .protocol = IPPROTO_UDP, .n_tags = 9}; // a tag more than is parsed
    make_packet(&packet, &deep, 1);
    assert_false(takes_packet());
}

static void knows_two_protocols(void **state)
{
    (void)state;
    for (unsigned protocol = 0; protocol < 256; protocol++) {
        bool is_known = protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
        for (int version = 4; version <= 6; version += 2) {
            struct recipe recipe = {.version = (uint8_t)version, .protocol = IPPROTO_TCP, .payload_len = 100};
            make_packet(&packet, &recipe, 1);
            // What is an extension header in IPv6 would be one of 8 + 8 * 0x67 bytes: cut off.
            packet.b[packet.l3 + (version == 4 ? 9 : 6)] = (uint8_t)protocol;
            assert_int_equal(takes_packet(), is_known);
        }
        // The same behind an extension header.
        struct recipe recipe = {.version = 6, .protocol = IPPROTO_TCP, .extensions = {{60, 0}}, .n_extensions = 1, .payload_len = 100};
        make_packet(&packet, &recipe, 1);
        packet.b[packet.l3 + 40] = (uint8_t)protocol;
        assert_int_equal(takes_packet(), is_known);
    }
}

static void takes_no_ipv4_fragments(void **state)
{
    (void)state;
    struct recipe recipe = {.version = 4, .protocol = IPPROTO_UDP, .payload_len = 8};
    for (unsigned field = 0; field < 0x10000; field++) {
        if (field % 4096 == 0)
            make_packet(&packet, &recipe, 1);
        put16(packet.b + packet.l3 + 6, field);
        struct frame_view frame;
        struct packet_view view;
        assert_true(frame_parse(&frame, packet.b, packet.len));
        assert_int_equal(packet_parse(&view, &frame), field % 0x4000 == 0); // the first two bits are no matter of fragments
    }
}

static void needs_possible_ipv4_header_lengths(void **state)
{
    (void)state;
    struct recipe recipe = {.version = 4, .protocol = IPPROTO_UDP, .payload_len = 0, .ip_words = 4};
    for (unsigned words = 0; words < 16; words++) {
        make_packet(&packet, &recipe, 1);
        packet.b[packet.l3] = (uint8_t)(0x40 | words);
        // 20 + 4 * 4 + 8 bytes are there: a UDP header fits behind 5 to 9 words, at whatever place.
        struct packet_view view;
        bool is_taken = takes(&view, packet.b, packet.len);
        assert_int_equal(is_taken, words >= 5 && words <= 9);
        if (is_taken)
            assert_int_equal(view.l4_offset, packet.l3 + 4 * words);
    }
}

static void needs_possible_tcp_header_lengths(void **state)
{
    (void)state;
    for (int version = 4; version <= 6; version += 2)
        for (unsigned words = 0; words < 16; words++)
            for (size_t payload_len = 0; payload_len <= 41; payload_len++) {
                struct recipe recipe = {.version = (uint8_t)version, .protocol = IPPROTO_TCP, .payload_len = payload_len};
                make_packet(&packet, &recipe, 1);
                packet.b[packet.l4 + 12] = (uint8_t)(words << 4 | 0x0f); // the rest of the byte is reserved
                memset(packet.b + packet.len, 0, 60);
                struct packet_view view;
                bool is_taken = takes(&view, packet.b, packet.len + 60); // in the frame, but is it in the packet?
                assert_int_equal(is_taken, words >= 5 && 4 * words <= 20 + payload_len);
                assert_int_equal(takes(&view, packet.b, packet.len), is_taken);
                if (is_taken)
                    assert_int_equal(view.payload_offset, packet.l4 + 4 * words);
            }
}

static void follows_chains_so_far(void **state)
{
    (void)state;
    static const uint8_t strangers[] = {44 /* fragment */, 50, 51, 59, 135, 139, 140, 253, 255};
    struct recipe recipe = {.version = 6, .protocol = IPPROTO_UDP};
    for (size_t n = 0; n <= EXTENSIONS_MAX; n++) {
        recipe.n_extensions = n;
        for (size_t i = 0; i < n; i++)
            recipe.extensions[i] = (struct extension){i == 0 ? 0 : 60, (uint8_t)(i % 3)};
        make_packet(&packet, &recipe, 1);
        assert_int_equal(takes_packet(), n <= 8);
        for (size_t place = 0; place < n; place++)
            for (size_t i = 0; i < N_OF(strangers); i++) {
                struct recipe strange = recipe;
                strange.extensions[place].type = strangers[i];
                make_packet(&packet, &strange, 1);
                assert_false(takes_packet());
            }
    }
    // A length that leads out of the packet, or to its very end.
    for (unsigned blocks = 0; blocks < 256; blocks++) {
        recipe = (struct recipe){.version = 6, .protocol = IPPROTO_UDP, .extensions = {{60, 20}}, .n_extensions = 1};
        make_packet(&packet, &recipe, 1);
        packet.b[packet.l3 + 41] = (uint8_t)blocks;
        assert_int_equal(takes_packet(), blocks <= 20); // behind a shorter one any 8 bytes are a UDP header
    }
}

static void never_leaves_the_frame(void **state)
{
    (void)state;
    uint32_t seed = 99;
    size_t n_taken = 0;
    for (int round = 0; round < 100000; round++) {
        make_packet(&packet, &shapes[next_random(&seed) % 12], seed);
        size_t len = next_random(&seed) % 2 ? packet.len : 14 + next_random(&seed) % (packet.len - 13);
        for (unsigned n = 1 + next_random(&seed) % 3; n > 0; n--) {
            uint32_t random = next_random(&seed);
            packet.b[packet.l3 + next_random(&seed) % (packet.len - packet.l3)] = (uint8_t)(random % 3 ? random >> 2 : 0);
        }
        struct packet_view view;
        if (!takes(&view, packet.b, len))
            continue;
        n_taken++;
        assert_true(view.version == 4 || view.version == 6);
        assert_true(view.protocol == IPPROTO_TCP || view.protocol == IPPROTO_UDP);
        assert_true(view.l3_offset + (view.version == 4 ? 20 : 40) <= view.l4_offset);
        assert_true(view.l4_offset + (view.protocol == IPPROTO_TCP ? 20 : 8) <= view.payload_offset);
        assert_true(view.payload_offset <= len);
        assert_true(view.l4_len >= (size_t)view.payload_offset - view.l4_offset && view.l4_len <= IP_PACKET_MAX);
    }
    assert_true(n_taken > 20000 && n_taken < 90000);
}

// ---- another length

// The headers of `packet`, resized to a payload of `len` bytes, are those that the same packet has when it is made with it.
static void check_resized(const struct recipe *recipe, struct packet_view *view, size_t len)
{
    struct recipe again = *recipe;

    again.payload_len = len;
    make_packet(&other, &again, 1);
    packet_resize(view, packet.b, packet.payload - packet.l4 + len);
    assert_int_equal(view->l4_len, packet.payload - packet.l4 + len);
    uint8_t *field = packet.b + packet.l4 + l4_checksum_at(recipe), *right = other.b + packet.l4 + l4_checksum_at(recipe);
    assert_true(same_sum(get16(field), get16(right)));
    memcpy(right, field, 2);
    assert_memory_equal(packet.b, other.b, packet.payload);
}

static size_t longest(void)
{
    return IP_PACKET_MAX - (packet.payload - packet.l3);
}

static void another_length_is_right_at_once(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 2, 255, 256, 257, 1447, 1448, 32767, 32768, 40000, SIZE_MAX};
    for (size_t i = 0; i < N_OF(shapes); i++)
        for (size_t from = 0; from < N_OF(lens); from++)
            for (size_t to = 0; to < N_OF(lens); to++) {
                struct recipe recipe = shapes[i];
                recipe.tos = 0x5a;
                make_packet(&packet, &recipe, 1);
                size_t most = longest();
                recipe.payload_len = lens[from] < most ? lens[from] : most;
                make_packet(&packet, &recipe, 1);
                struct packet_view view;
                parse_packet(&view, packet.b, packet.len);
                check_resized(&recipe, &view, lens[to] < most ? lens[to] : most);
                check_resized(&recipe, &view, recipe.payload_len); // and back
            }
}

// The sum that a partial checksum begins with may be anything; a change moves it by that change, round and round.
static void a_partial_checksum_moves_along(void **state)
{
    (void)state;
    uint32_t seed = 5;
    for (int round = 0; round < 100000; round++) {
        struct recipe recipe = shapes[round % 4];
        recipe.payload_len = next_random(&seed) % 100;
        make_packet(&packet, &recipe, 1);
        struct packet_view view;
        parse_packet(&view, packet.b, packet.len);
        uint8_t *field = packet.b + packet.l4 + l4_checksum_at(&recipe);
        unsigned sum = round % 8 < 4 ? next_random(&seed) % 0x10000 : (round % 2 ? 0xffff : 0);
        put16(field, sum);
        size_t now = view.l4_len, least = packet.payload - packet.l4;
        for (int step = 0; step < 3; step++) {
            size_t next = least + next_random(&seed) % (IP_PACKET_MAX - 40 - least);
            packet_resize(&view, packet.b, next);
            sum = sum + (unsigned)next + 0xffff - (unsigned)now;
            now = next;
            assert_true(same_sum(get16(field), sum));
        }
    }
}

// ---- partial and whole checksums

// Whatever the field holds, it is the sum of the pseudo-header then.
static void makes_whole_ones_partial(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 100, 1448, 40000, SIZE_MAX};
    for (size_t i = 0; i < N_OF(shapes) * N_OF(lens); i++) {
        struct recipe recipe = shapes[i % N_OF(shapes)];
        make_packet(&packet, &recipe, 1);
        recipe.payload_len = lens[i / N_OF(shapes)] < longest() ? lens[i / N_OF(shapes)] : longest();
        recipe.is_routed = false; // the address of the header is the last one: the packet has arrived there
        make_packet(&other, &recipe, 1);
        recipe.is_whole = true;
        make_packet(&packet, &recipe, 1);
        struct packet_view view;
        parse_packet(&view, packet.b, packet.len);
        packet_reset_checksum(&view, packet.b);
        uint8_t *field = packet.b + packet.l4 + l4_checksum_at(&recipe), *right = other.b + other.l4 + l4_checksum_at(&recipe);
        assert_true(same_sum(get16(field), get16(right)));
        memcpy(right, field, 2);
        assert_memory_equal(packet.b, other.b, packet.len);
        const struct offload offload = packet_partial(&view);
        const struct offload expected = {
            .is_partial = true, .checksum_start = (uint16_t)packet.l4, .checksum_offset = (uint16_t)l4_checksum_at(&recipe)};
        assert_same_offload(&offload, &expected);
        assert_true(offload_is_valid(&offload, packet.len));
        // There and back.
        packet_complete(&view, packet.b, packet.b + packet.payload, recipe.payload_len);
        make_packet(&other, &recipe, 1);
        assert_memory_equal(packet.b, other.b, packet.len);
    }
}

static void completes_every_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(shapes); i++) {
        struct recipe recipe = shapes[i];
        for (recipe.payload_len = 0; recipe.payload_len < 70; recipe.payload_len++) {
            make_packet(&packet, &recipe, (uint32_t)recipe.payload_len + 7);
            struct packet_view view;
            parse_packet(&view, packet.b, packet.len);
            uint8_t *l4 = packet.b + packet.l4, *elsewhere = malloc(recipe.payload_len + 1);
            assert_non_null(elsewhere);
            memcpy(elsewhere + 1, packet.b + packet.payload, recipe.payload_len); // at an odd address
            unsigned expected = whole_checksum(&recipe, packet.b + packet.l3, l4, packet.len - packet.l4);
            memcpy(other.b, packet.b, packet.payload);
            packet_complete(&view, packet.b, elsewhere + 1, recipe.payload_len);
            free(elsewhere);
            assert_int_equal(get16(l4 + l4_checksum_at(&recipe)), expected);
            put16(other.b + packet.l4 + l4_checksum_at(&recipe), expected);
            assert_memory_equal(packet.b, other.b, packet.payload); // nothing else was written
            assert_int_equal(packet_checksum_offset(&view), l4_checksum_at(&recipe));
        }
    }
}

static void completes_64_kib(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(shapes); i++) {
        struct recipe recipe = shapes[i];
        make_packet(&packet, &recipe, 1);
        recipe.payload_len = longest();
        make_packet(&packet, &recipe, 1);
        memset(packet.b + packet.payload, i % 2 ? 0xff : 0xa5, recipe.payload_len);
        struct packet_view view;
        parse_packet(&view, packet.b, packet.len);
        unsigned expected = whole_checksum(&recipe, packet.b + packet.l3, packet.b + packet.l4, packet.len - packet.l4);
        packet_complete(&view, packet.b, packet.b + packet.payload, recipe.payload_len);
        assert_int_equal(get16(packet.b + packet.l4 + l4_checksum_at(&recipe)), expected);
    }
}

static void zero_is_written_as_ffff(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (size_t odd = 0; odd < 2; odd++) {
            struct recipe recipe = shapes[i];
            recipe.payload_len = 4 + odd;
            make_packet(&packet, &recipe, 3);
            uint8_t *ip = packet.b + packet.l3, *l4 = packet.b + packet.l4;
            put16(packet.b + packet.payload, 0);
            put16(packet.b + packet.payload, whole_checksum(&recipe, ip, l4, packet.len - packet.l4));
            struct packet_view view;
            parse_packet(&view, packet.b, packet.len);
            packet_complete(&view, packet.b, packet.b + packet.payload, recipe.payload_len);
            assert_int_equal(get16(l4 + l4_checksum_at(&recipe)), 0xffff);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_its_way),
        cmocka_unit_test(needs_whole_headers),
        cmocka_unit_test(needs_lengths_that_cover_the_headers),
        cmocka_unit_test(needs_the_right_version),
        cmocka_unit_test(knows_two_protocols),
        cmocka_unit_test(takes_no_ipv4_fragments),
        cmocka_unit_test(needs_possible_ipv4_header_lengths),
        cmocka_unit_test(needs_possible_tcp_header_lengths),
        cmocka_unit_test(follows_chains_so_far),
        cmocka_unit_test(never_leaves_the_frame),
        cmocka_unit_test(another_length_is_right_at_once),
        cmocka_unit_test(a_partial_checksum_moves_along),
        cmocka_unit_test(makes_whole_ones_partial),
        cmocka_unit_test(completes_every_length),
        cmocka_unit_test(completes_64_kib),
        cmocka_unit_test(zero_is_written_as_ffff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
