// SPDX-License-Identifier: MIT
/*
 * test_split: what is a super-frame and what only says so; runs that cover a payload exactly, for every combination of sizes and room; and
 * the headers of every piece against those of a cut in the plainest possible way.
 */
#include <stdlib.h>

#include "test_packets.h"

static struct packet_bytes packet;
static uint8_t piece[PACKET_CAP], expected[PACKET_CAP];

static const struct recipe tcp4 = {.version = 4, .protocol = IPPROTO_TCP, .tcp_words = 3, .id = 0xfffe, .sequence = 0xffffff00};
static const struct recipe tcp6 = {.version = 6, .protocol = IPPROTO_TCP, .tcp_words = 3, .sequence = 0x7fffffff};
static const struct recipe udp4 = {.version = 4, .protocol = IPPROTO_UDP, .id = 7};
static const struct recipe udp6 = {.version = 6, .protocol = IPPROTO_UDP};

static bool parse(struct super_frame *super, const struct offload *offload, size_t len)
{
    struct frame_view frame;

    return frame_parse(&frame, packet.b, len) && split_parse(super, &frame, offload);
}

static void make_super(struct super_frame *super, const struct recipe *recipe, uint16_t gso_size, uint32_t seed)
{
    make_packet(&packet, recipe, seed);
    struct offload offload = super_of(recipe, &packet, gso_size);
    assert_true(parse(super, &offload, packet.len));
}

// ---- what is a super-frame

static void takes_what_it_is(void **state)
{
    (void)state;
    static const struct recipe recipes[] = {
        {.version = 4, .protocol = IPPROTO_TCP, .payload_len = 1},
        {.version = 4, .protocol = IPPROTO_TCP, .payload_len = 3000, .n_tags = 2, .ip_words = 10, .tcp_words = 10},
        {.version = 6, .protocol = IPPROTO_TCP, .payload_len = 3000, .extensions = {{0, 0}, {43, 2}}, .n_extensions = 2},
        {.version = 4, .protocol = IPPROTO_UDP, .payload_len = 3000},
        {.version = 6, .protocol = IPPROTO_UDP, .payload_len = 65535 - 40 - 8, .n_tags = 8},
        {.version = 6, .protocol = IPPROTO_UDP, .payload_len = 3000, .extensions = {{60, 31}}, .n_extensions = 1}, // headers of 318
    };
    for (size_t i = 0; i < N_OF(recipes); i++) {
        struct super_frame super;
        make_super(&super, &recipes[i], 1400, 1);
        assert_ptr_equal(super.headers, packet.b);
        assert_ptr_equal(super.payload, packet.b + packet.payload);
        assert_int_equal(super.payload_len, recipes[i].payload_len);
        assert_int_equal(super.gso_size, 1400);
        assert_int_equal(super.packet.payload_offset, packet.payload);
        assert_int_equal(super.packet.l4_offset, packet.l4);
        assert_int_equal(super.packet.l3_offset, packet.l3);
    }
}

static void refuses_what_contradicts_itself(void **state)
{
    (void)state;
    static const struct recipe *const recipes[] = {&tcp4, &tcp6, &udp4, &udp6};
    for (size_t i = 0; i < N_OF(recipes); i++) {
        struct recipe recipe = *recipes[i];
        struct super_frame super;
        recipe.payload_len = 3000;
        make_packet(&packet, &recipe, 1);
        const struct offload right = super_of(&recipe, &packet, 1000);
        struct offload offload = right;
        assert_true(parse(&super, &offload, packet.len));
        for (int kind = SUPER_NONE; kind <= SUPER_UNKNOWN; kind++) {
            offload.kind = (enum super_kind)kind;
            assert_int_equal(parse(&super, &offload, packet.len), offload.kind == right.kind);
        }
        for (int delta = -40; delta <= 40; delta++) {
            offload = right;
            offload.checksum_start = (uint16_t)(offload.checksum_start + delta);
            assert_int_equal(parse(&super, &offload, packet.len), delta == 0);
            offload = right;
            offload.checksum_offset = (uint16_t)(offload.checksum_offset + delta);
            assert_int_equal(parse(&super, &offload, packet.len), delta == 0);
        }
        offload = right;
        assert_false(parse(&super, &offload, packet.len - 1)); // cut off
        assert_false(parse(&super, &offload, packet.len + 1)); // something behind it
        assert_false(parse(&super, &offload, packet.payload));
        put16(packet.b + packet.l3 + (recipe.version == 4 ? 2 : 4), 0); // a length that is none
        assert_false(parse(&super, &offload, packet.len));
        make_packet(&packet, &recipe, 1);
        packet.b[packet.l3 + (recipe.version == 4 ? 9 : 6)] = recipe.protocol == IPPROTO_TCP ? IPPROTO_UDP : IPPROTO_TCP;
        assert_false(parse(&super, &offload, packet.len));
        if (recipe.version == 4) { // fragments
            make_packet(&packet, &recipe, 1);
            put16(packet.b + packet.l3 + 6, 0x2000);
            assert_false(parse(&super, &offload, packet.len));
        }
        recipe.payload_len = 0; // nothing to cut
        make_packet(&packet, &recipe, 1);
        assert_false(parse(&super, &offload, packet.len));
        assert_false(parse(&super, &(struct offload){.kind = right.kind, .gso_size = 1000}, packet.len));
    }
}

// ---- runs

static struct super_frame super_like(uint8_t protocol, size_t headers_len, size_t payload_len, size_t gso_size)
{
    return (struct super_frame){
        .packet = {.version = 4, .protocol = protocol, .payload_offset = (uint16_t)headers_len},
        .payload_len = payload_len,
        .gso_size = (uint16_t)gso_size,
    };
}

// Goes through all runs; returns whether there were any. The first of them tells whether there can be one.
static bool check_runs(const struct super_frame *super, size_t room, size_t n_segments)
{
    const struct split_limits limits = {.room = room, .n_segments = n_segments};
    size_t headers_len = super->packet.payload_offset, gso_size = super->gso_size;
    bool has_room = headers_len <= SEGMENT_HEADERS_MAX && room > headers_len;
    size_t size = has_room && room - headers_len < gso_size ? room - headers_len : gso_size;
    bool is_possible = has_room && (super->packet.protocol == IPPROTO_TCP || size == gso_size) &&
                       (super->payload_len <= n_segments * size || n_segments * size >= gso_size);

    for (size_t at = 0; at < super->payload_len;) {
        struct split_run run;
        if (!split_next_run(super, at, &limits, &run)) {
            assert_false(is_possible);
            assert_int_equal(at, 0); // if the first can be made, so can all
            return false;
        }
        bool is_last = at + run.len == super->payload_len;
        assert_true(is_possible);
        assert_int_equal(run.at, at);
        assert_int_equal(run.size, size); // as much as there is room for, and no more than gso_size
        assert_in_range(run.len, 1, super->payload_len - at);
        assert_in_range(run.count, 1, n_segments);
        assert_true(run.size * (run.count - 1U) < run.len && run.len <= (size_t)run.size * run.count); // the last has 1 to `size`
        if (!is_last) {
            assert_int_equal(run.len % gso_size, 0);
            assert_true(run.len + gso_size > n_segments * size); // there was no room for one more
        }
        at += run.len;
    }
    return true;
}

static void runs_cover_the_payload(void **state)
{
    (void)state;
    static const size_t gso_sizes[] = {1, 8, 64, 536, 1208, 1380, 1428, 1448, 1472, 4000, 8948, 9000, 32767, 65535};
    static const size_t headers_lens[] = {42, 54, 66, 74, 254, 255, 256, 300};
    static const size_t rooms[] = {1, 43, 55, 100, 255, 256, 257, 300, 500, 1200, 1371, 1392, 1422, 1448, 1514, 2000, 9000, 65535};
    static const size_t payload_lens[] = {1,     2,     62,     63,     64,    126,   127,        1447,       1448,       1449,
                                          2896,  2897,  9000,   33768,  33769, 65000, 65483,      65495,      63 * 1448,  63 * 536 - 1,
                                          33768, 33769, 64 * 8, 63 * 8, 64,    65535, 63 * 8 + 1, 2 * 63 * 8, 3 * 63 * 64};
    size_t n_possible = 0, n_checked = 0;
    for (size_t g = 0; g < N_OF(gso_sizes); g++)
        for (size_t h = 0; h < N_OF(headers_lens); h++)
            for (size_t r = 0; r < N_OF(rooms); r++)
                for (size_t p = 0; p < N_OF(payload_lens); p++)
                    for (int i = 0; i < 2; i++, n_checked++) {
                        struct super_frame super =
                            super_like(i ? IPPROTO_UDP : IPPROTO_TCP, headers_lens[h], payload_lens[p], gso_sizes[g]);
                        n_possible += check_runs(&super, rooms[r], (p + r) % 3 ? SEGMENTS_MAX : 1 + 5 * h);
                    }
    assert_true(n_possible > n_checked / 10 && n_possible < n_checked / 2);
}

// The same at every number of bytes around the limits, one by one.
static void runs_end_at_the_limits(void **state)
{
    (void)state;
    for (size_t payload_len = 1; payload_len < 1200; payload_len++)
        for (size_t gso_size = 1; gso_size < 40; gso_size += 1 + gso_size / 8)
            for (size_t room = 54; room < 54 + 45; room += 1 + (room - 54) / 8) {
                struct super_frame super = super_like(IPPROTO_TCP, 54, payload_len, gso_size);
                check_runs(&super, room, SEGMENTS_MAX - payload_len % 7 * 10);
            }
}

struct run_row {
    uint8_t protocol;
    size_t payload_len, gso_size, headers_len, at, room;
    struct split_run run; // count 0 = none
    size_t n_segments;    // 0 = SEGMENTS_MAX
};

static void runs_are_these(void **state)
{
    (void)state;
    enum { TCP = IPPROTO_TCP, UDP = IPPROTO_UDP };
    static const struct run_row rows[] = {
        // 1448 bytes of payload fit as they are
        {TCP, 65160, 1448, 66, 0, 1514, {0, 65160, 1448, 45}, 0},
        {TCP, 65160, 1448, 66, 0, 1515, {0, 65160, 1448, 45}, 0},
        {TCP, 65161, 1448, 66, 0, 1514, {0, 65161, 1448, 46}, 0},
        {TCP, 1448, 1448, 66, 0, 1514, {0, 1448, 1448, 1}, 0},
        {TCP, 1449, 1448, 66, 0, 1514, {0, 1449, 1448, 2}, 0},
        {TCP, 1, 1448, 66, 0, 1514, {0, 1, 1448, 1}, 0},
        // one byte does not: smaller ones, 63 of them are 91161 bytes
        {TCP, 65160, 1448, 66, 0, 1513, {0, 65160, 1447, 46}, 0},
        // 1000 bytes each, 63 in the first run, which ends at 43 * 1448
        {TCP, 65160, 1448, 66, 0, 1066, {0, 62264, 1000, 63}, 0},
        {TCP, 65160, 1448, 66, 62264, 1066, {62264, 2896, 1000, 3}, 0},
        // 63 of them are less than one of the kernel's
        {TCP, 65160, 1448, 66, 0, 66 + 22, {0, 0, 0, 0}, 0},
        {TCP, 65160, 1448, 66, 0, 66 + 23, {0, 1448, 23, 63}, 0},
        {TCP, 1386, 1448, 66, 0, 66 + 22, {0, 1386, 22, 63}, 0},
        {TCP, 1387, 1448, 66, 0, 66 + 22, {0, 0, 0, 0}, 0},
        // small ones of the kernel: 63 at a time
        {TCP, 640, 10, 66, 0, 1514, {0, 630, 10, 63}, 0},
        {TCP, 640, 10, 66, 630, 1514, {630, 10, 10, 1}, 0},
        {TCP, 630, 10, 66, 0, 1514, {0, 630, 10, 63}, 0},
        {TCP, 631, 10, 66, 0, 1514, {0, 630, 10, 63}, 0},
        {TCP, 631, 10, 66, 630, 1514, {630, 1, 10, 1}, 0},
        {TCP, 640, 10, 66, 0, 75, {0, 560, 9, 63}, 0},
        // headers
        {TCP, 3000, 1000, 255, 0, 1255, {0, 3000, 1000, 3}, 0},
        {TCP, 3000, 1000, 256, 0, 1256, {0, 0, 0, 0}, 0},
        {TCP, 3000, 1000, 66, 0, 66, {0, 0, 0, 0}, 0},
        {TCP, 30, 1000, 66, 0, 67, {0, 30, 1, 30}, 0},
        {TCP, 30, 1000, 66, 0, 0, {0, 0, 0, 0}, 0},
        // a datagram of UDP is not cut
        {UDP, 3000, 1000, 42, 0, 1042, {0, 3000, 1000, 3}, 0},
        {UDP, 3000, 1000, 42, 0, 1041, {0, 0, 0, 0}, 0},
        {UDP, 1200 * 64, 1200, 42, 0, 1300, {0, 1200 * 63, 1200, 63}, 0},
        {UDP, 1200 * 64, 1200, 42, 1200 * 63, 1300, {1200 * 63, 1200, 1200, 1}, 0},
        {UDP, 1200 * 63 - 1, 1200, 42, 0, 1300, {0, 1200 * 63 - 1, 1200, 63}, 0},
        {UDP, 1200 * 63 + 1, 1200, 42, 0, 1300, {0, 1200 * 63, 1200, 63}, 0},
        {UDP, 500, 1200, 42, 0, 1242, {0, 500, 1200, 1}, 0},
        // shorter trains
        {TCP, 65160, 1448, 66, 0, 1514, {0, 44 * 1448, 1448, 44}, 44},
        {TCP, 65160, 1448, 66, 44 * 1448, 1514, {44 * 1448, 1448, 1448, 1}, 44},
        {TCP, 65160, 1448, 66, 0, 1514, {0, 65160, 1448, 45}, 45},
        {TCP, 65160, 1448, 66, 0, 1513, {0, 44 * 1448, 1447, 45}, 45},
        {TCP, 65160, 1448, 66, 0, 66 + 724, {0, 1448, 724, 2}, 2},
        {TCP, 65160, 1448, 66, 0, 66 + 723, {0, 0, 0, 0}, 2},
        {TCP, 65160, 1448, 66, 0, 1514, {0, 1448, 1448, 1}, 1},
        {UDP, 3000, 1000, 42, 0, 1042, {0, 2000, 1000, 2}, 2},
    };
    for (size_t i = 0; i < N_OF(rows); i++) {
        const struct run_row *row = &rows[i];
        struct super_frame super = super_like(row->protocol, row->headers_len, row->payload_len, row->gso_size);
        const struct split_limits limits = {.room = row->room, .n_segments = row->n_segments ? row->n_segments : SEGMENTS_MAX};
        struct split_run run = {0};
        bool has_run = split_next_run(&super, row->at, &limits, &run);
        if (has_run != (row->run.count > 0) || run.at != row->run.at || run.len != row->run.len || run.size != row->run.size ||
            run.count != row->run.count)
            fail_msg("row %zu: %d, at %zu, %zu bytes, %u of %u", i, has_run, run.at, run.len, run.count, run.size);
    }
}

// ---- headers

// The piece at `at` against that of a naive cut: completed, and before.
static void check_piece(const struct super_frame *super, const struct recipe *recipe, size_t at, size_t len)
{
    size_t headers_len = packet.payload, field = packet.l4 + l4_checksum_at(recipe);
    struct recipe partial = *recipe;

    naive_piece(recipe, &packet, at, len, super->gso_size, expected);
    memset(piece, 0xa5, headers_len + 1);
    split_whole_headers(super, at, len, piece);
    if (memcmp(piece, expected, headers_len) != 0)
        for (size_t i = 0; i < headers_len; i++)
            if (piece[i] != expected[i])
                fail_msg("piece at %zu of %zu bytes: byte %zu of the headers is %02x, not %02x", at, len, i, piece[i], expected[i]);
    assert_int_equal(piece[headers_len], 0xa5);
    partial.is_whole = false;
    put16(expected + field, pseudo_sum(&partial, expected + packet.l3, headers_len - packet.l4 + len));
    split_headers(super, at, len, piece);
    assert_true(same_sum(get16(piece + field), get16(expected + field)));
    memcpy(piece + field, expected + field, 2);
    assert_memory_equal(piece, expected, headers_len);
}

static const struct recipe header_recipes[] = {
    {.version = 4, .protocol = IPPROTO_TCP, .tcp_words = 3, .id = 0xfffe, .sequence = 0xfffff000, .tos = 2},
    {.version = 4, .protocol = IPPROTO_TCP, .ip_words = 5, .n_tags = 2, .id = 0, .sequence = 0x7ffff000, .tos = 3},
    {.version = 6, .protocol = IPPROTO_TCP, .tcp_words = 10, .sequence = 1},
    {.version = 6, .protocol = IPPROTO_TCP, .extensions = {{0, 0}, {43, 2}, {60, 0}}, .n_extensions = 3, .is_routed = true},
    {.version = 4, .protocol = IPPROTO_UDP, .id = 0xffff, .tos = 1},
    {.version = 4, .protocol = IPPROTO_UDP, .n_tags = 1, .ip_words = 1},
    {.version = 6, .protocol = IPPROTO_UDP, .tos = 3},
    {.version = 6, .protocol = IPPROTO_UDP, .n_tags = 8, .extensions = {{60, 15}}, .n_extensions = 1},
};

static void headers_are_those_of_a_naive_cut(void **state)
{
    (void)state;
    static const uint16_t gso_sizes[] = {1, 7, 64, 536, 1208, 1448, 8948};
    static const size_t tails[] = {0, 1, 2, SIZE_MAX}; // bytes in the last piece, SIZE_MAX = one less than gso_size
    for (size_t i = 0; i < N_OF(header_recipes); i++)
        for (size_t g = 0; g < N_OF(gso_sizes); g++)
            for (size_t t = 0; t < N_OF(tails); t++) {
                struct recipe recipe = header_recipes[i];
                struct super_frame super;
                size_t tail = tails[t] < gso_sizes[g] ? tails[t] : gso_sizes[g] - 1U;
                recipe.payload_len = 4U * gso_sizes[g] + tail;
                make_super(&super, &recipe, gso_sizes[g], (uint32_t)(i + g));
                for (size_t at = 0; at < recipe.payload_len; at += gso_sizes[g]) {
                    size_t left = recipe.payload_len - at;
                    check_piece(&super, &recipe, at, left < gso_sizes[g] ? left : gso_sizes[g]);
                }
            }
}

// All flags of TCP: which of them go where.
static void flags_go_where_they_belong(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 256; flags++) {
        struct recipe recipe = tcp4;
        struct super_frame super;
        recipe.payload_len = 250;
        recipe.flags = (uint8_t)flags;
        make_packet(&packet, &recipe, 1);
        packet.b[packet.l4 + 13] = (uint8_t)flags; // zero, too
        struct offload offload = super_of(&recipe, &packet, 100);
        offload.has_cwr = flags & TCP_CWR;
        assert_true(parse(&super, &offload, packet.len));
        for (size_t at = 0; at < 250; at += 100) {
            unsigned gone = (at > 0 ? TCP_CWR : 0) | (at < 200 ? TCP_FIN | TCP_PSH : 0);
            split_headers(&super, at, at < 200 ? 100 : 50, piece);
            assert_int_equal(piece[packet.l4 + 13], flags & ~gone);
            check_piece(&super, &recipe, at, at < 200 ? 100 : 50);
        }
    }
}

// Pieces of any size at any offset: the ID grows by one per gso_size bytes, whatever the pieces are.
static void ids_grow_with_the_offset(void **state)
{
    (void)state;
    static const uint16_t ids[] = {0, 1, 0x7fff, 0xfffe, 0xffff};
    for (size_t i = 0; i < N_OF(ids); i++) {
        struct recipe recipe = tcp4;
        struct super_frame super;
        recipe.id = ids[i];
        recipe.payload_len = 5000;
        make_super(&super, &recipe, 1000, 2);
        for (size_t at = 0; at < 5000; at += 1 + at % 7) {
            split_headers(&super, at, 1, piece);
            assert_int_equal(get16(piece + packet.l3 + 4), (ids[i] + at / 1000) & 0xffff);
        }
    }
}

// One that is whole has to be made partial first; then each piece gets its own.
static void whole_checksums_are_reset_before(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(header_recipes); i++) {
        struct recipe recipe = header_recipes[i];
        struct super_frame super;
        recipe.payload_len = 2500;
        recipe.is_whole = true;
        recipe.is_routed = false;
        make_super(&super, &recipe, 1000, 1);
        packet_reset_checksum(&super.packet, packet.b);
        for (size_t at = 0; at < 2500; at += 1000)
            check_piece(&super, &recipe, at, at < 2000 ? 1000 : 500);
    }
}

static size_t below(uint32_t *seed, size_t n)
{
    return next_random(seed) % n;
}

// Random super-frames, cut to random room, run by run: each piece against the naive cut.
static void random_rounds(void **state)
{
    (void)state;
    enum { ROUNDS = 100000 };
    uint32_t seed = 20240;
    size_t n_pieces = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct recipe recipe = header_recipes[below(&seed, N_OF(header_recipes))];
        struct super_frame super;
        struct split_run run;
        recipe.id = (uint16_t)next_random(&seed);
        recipe.sequence = next_random(&seed) << 8;
        recipe.flags = (uint8_t)next_random(&seed);
        recipe.payload_len = 1 + below(&seed, 200);
        make_super(&super, &recipe, (uint16_t)(1 + below(&seed, 150)), seed);
        const struct split_limits limits = {.room = packet.payload + below(&seed, 120), .n_segments = 1 + below(&seed, SEGMENTS_MAX)};
        for (size_t at = 0; at < super.payload_len && split_next_run(&super, at, &limits, &run); at += run.len) {
            size_t last = (run.count - 1U) * run.size, any = below(&seed, run.count) * run.size;
            check_piece(&super, &recipe, at + any, any == last ? run.len - last : run.size);
            check_piece(&super, &recipe, at + last, run.len - last);
            n_pieces += run.count;
        }
    }
    assert_true(n_pieces > (size_t)ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_it_is),
        cmocka_unit_test(refuses_what_contradicts_itself),
        cmocka_unit_test(runs_cover_the_payload),
        cmocka_unit_test(runs_end_at_the_limits),
        cmocka_unit_test(runs_are_these),
        cmocka_unit_test(headers_are_those_of_a_naive_cut),
        cmocka_unit_test(flags_go_where_they_belong),
        cmocka_unit_test(ids_grow_with_the_offset),
        cmocka_unit_test(whole_checksums_are_reset_before),
        cmocka_unit_test(random_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
