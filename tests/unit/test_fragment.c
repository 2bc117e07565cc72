// SPDX-License-Identifier: MIT
/*
 * test_fragment: plans for every length, then reassembly: order, doubles, contradictions, marks, bounds of time and room; random runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ethercord/ecn.h"
#include "ethercord/fragment.h"

enum { INDEX = 0x01020304, PIECE = 100 };

static struct reassembly reassembly;
static struct counters counters;
static uint8_t frame[FRAME_MAX + 1000];

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static int start(void **state)
{
    (void)state;
    uint32_t seed = 7;
    memset(&reassembly, 0, sizeof reassembly);
    memset(&counters, 0, sizeof counters);
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (uint8_t)next_random(&seed);
    return 0;
}

static uint64_t drops(enum drop_reason reason)
{
    return atomic_load(&counters.drops[reason]);
}

static uint64_t all_drops(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < DROP_COUNT; i++)
        sum += atomic_load(&counters.drops[i]);
    return sum;
}

// Piece `index` of `frame`, in pieces of PIECE bytes; the whole is `len` bytes long.
static struct fragment piece(uint64_t first_counter, uint8_t index, size_t len)
{
    size_t offset = (size_t)index * PIECE;
    return (struct fragment){
        .receiver_index = INDEX,
        .counter = first_counter + index,
        .size = PIECE,
        .index = index,
        .count = (uint8_t)((len + PIECE - 1) / PIECE),
        .body = frame + offset,
        .len = (uint16_t)(len - offset < PIECE ? len - offset : PIECE),
    };
}

static const uint8_t *add_at(struct fragment fragment, uint64_t now_ns, size_t *len)
{
    struct reassembled whole;

    if (!reassembly_add(&reassembly, &fragment, now_ns, &counters, &whole))
        return NULL;
    *len = whole.len;
    return whole.bytes;
}

static const uint8_t *add(struct fragment fragment)
{
    size_t len = 0;
    const uint8_t *whole = add_at(fragment, 1, &len);
    if (whole)
        assert_memory_equal(whole, frame, len);
    return whole;
}

static void plans_every_length(void **state)
{
    (void)state;
    static const size_t rooms[] = {1, 2, 3, 63, 64, 65, 140, 141, 500, 1371, 1400, 9022, SIZE_MAX};
    for (size_t r = 0; r < sizeof rooms / sizeof rooms[0]; r++) {
        for (size_t len = 0; len <= FRAME_MAX + 2; len++) {
            struct fragment_plan plan = {0};
            size_t least = len / rooms[r] + (len % rooms[r] != 0);
            bool can = fragment_plan(&plan, len, rooms[r]);
            assert_int_equal(can, len > 0 && len <= FRAME_MAX && least <= FRAGMENTS_MAX);
            if (!can)
                continue;
            assert_int_equal(plan.count, least);
            assert_true(plan.size <= rooms[r]);
            assert_int_equal(plan.size, (len + plan.count - 1) / plan.count);
            size_t before_last = (size_t)plan.size * (plan.count - 1U);
            assert_true(before_last < len && len - before_last <= plan.size);
        }
    }
    struct fragment_plan plan;
    assert_false(fragment_plan(&plan, 1, 0));
    assert_false(fragment_plan(&plan, SIZE_MAX, SIZE_MAX));
}

static void takes_pieces_in_any_order(void **state)
{
    (void)state;
    static const uint8_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t i = 0; i < 6; i++) {
        uint64_t first = 100 * i;
        size_t len = 0;
        assert_null(add(piece(first, orders[i][0], 201)));
        assert_null(add(piece(first, orders[i][1], 201)));
        assert_non_null(add_at(piece(first, orders[i][2], 201), 1, &len));
        assert_int_equal(len, 201);
    }
    assert_int_equal(all_drops(), 0);
    assert_int_equal(reassembly_expire(&reassembly, 1, &counters), 0);
}

static void a_single_piece_is_a_frame(void **state)
{
    (void)state;
    size_t len = 0;
    struct fragment whole = {.receiver_index = INDEX, .counter = 0, .size = FRAME_MAX, .count = 1, .body = frame, .len = FRAME_MAX};
    assert_memory_equal(add_at(whole, 1, &len), frame, FRAME_MAX);
    assert_int_equal(len, FRAME_MAX);
}

static void ignores_doubles(void **state)
{
    (void)state;
    assert_null(add(piece(5, 2, 250)));
    assert_null(add(piece(5, 2, 250)));
    assert_null(add(piece(5, 0, 250)));
    assert_null(add(piece(5, 0, 250)));
    struct fragment other_bytes = piece(5, 0, 250); // the first one counts
    other_bytes.body = frame + 1;
    assert_null(add(other_bytes));
    assert_non_null(add(piece(5, 1, 250)));
    for (uint8_t i = 0; i < 3; i++)
        assert_null(add(piece(5, i, 250))); // the frame is through already
    (void)reassembly_expire(&reassembly, 10 * FRAGMENT_TIMEOUT_NS, &counters);
    assert_int_equal(all_drops(), 0);
}

static void a_contradiction_ends_the_run(void **state)
{
    (void)state;
    struct fragment bad[7];
    for (size_t i = 0; i < 7; i++)
        bad[i] = piece(1000 * i, 1, 350);
    bad[0].size++, bad[0].len++;
    bad[1].count++;
    bad[2].len--;
    bad[3].len = 0;
    bad[4] = piece(4000, 3, 349); // another length of the last one than before
    bad[5].count = FRAGMENTS_MAX + 1;
    bad[6].count = 1; // index beyond the count
    for (size_t i = 0; i < 7; i++) {
        uint64_t first = 1000 * i;
        assert_null(add(piece(first, 3, 350)));
        assert_null(add(piece(first, 0, 350)));
        assert_null(add(bad[i]));
        assert_int_equal(drops(DROP_BAD_FRAGMENT), i + 1);
        for (uint8_t index = 0; index < 4; index++)
            assert_null(add(piece(first, index, 350))); // it stays ended
        assert_null(add(bad[i]));
        assert_int_equal(drops(DROP_BAD_FRAGMENT), i + 1);
    }
    (void)reassembly_expire(&reassembly, 10 * FRAGMENT_TIMEOUT_NS, &counters);
    assert_int_equal(all_drops(), 7);
}

static void refuses_impossible_numbers(void **state)
{
    (void)state;
    struct fragment before_zero = piece(0, 3, 350);
    before_zero.counter = 2;
    assert_null(add(before_zero));
    assert_int_equal(drops(DROP_BAD_FRAGMENT), 1);
    static const struct {
        uint16_t size, len;
        uint8_t index, count;
    } rows[] = {
        {65535, 65535, 0, 2},         // far too long a whole
        {65535, 65535, 63, 64},       //
        {FRAME_MAX, FRAME_MAX, 0, 2}, // one byte too many at least
        {FRAME_MAX - 1, 2, 1, 2},     // one byte too many
        {FRAME_MAX + 1, FRAME_MAX + 1, 0, 1},
        {142, 142, 63, 64}, // 63 * 142 + 142 > FRAME_MAX
        {144, 144, 0, 64},  // 63 * 144 >= FRAME_MAX
        {100, 100, 0, 0},
        {100, 100, 255, 255},
        {0, 0, 0, 2},
        {100, 101, 1, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fragment fragment = {.receiver_index = INDEX,
                                    .counter = 1000 * (i + 1) + rows[i].index,
                                    .size = rows[i].size,
                                    .index = rows[i].index,
                                    .count = rows[i].count,
                                    .body = frame,
                                    .len = rows[i].len};
        assert_null(add(fragment));
        assert_int_equal(drops(DROP_BAD_FRAGMENT), i + 2);
    }
    assert_int_equal(all_drops(), drops(DROP_BAD_FRAGMENT));
    assert_int_equal(reassembly_expire(&reassembly, 1, &counters), 0);
}

static void takes_the_largest_frame(void **state)
{
    (void)state;
    struct fragment_plan plan;
    assert_true(fragment_plan(&plan, FRAME_MAX, 141));
    assert_int_equal(plan.count, 64);
    for (unsigned i = 64; i-- > 0;) {
        size_t offset = i * plan.size;
        struct fragment fragment = {.receiver_index = INDEX, .counter = UINT64_MAX - 63 + i, .size = plan.size, .index = (uint8_t)i};
        fragment.count = plan.count;
        fragment.body = frame + offset;
        fragment.len = (uint16_t)(i == 63 ? FRAME_MAX - offset : plan.size);
        size_t len = 0;
        const uint8_t *whole = add_at(fragment, 1, &len);
        assert_int_equal(whole != NULL, i == 0);
        if (whole) {
            assert_int_equal(len, FRAME_MAX);
            assert_memory_equal(whole, frame, len);
        }
    }
}

static struct fragment marked_piece(uint64_t first_counter, uint8_t index, enum ecn ecn)
{
    struct fragment fragment = piece(first_counter, index, 350);

    fragment.ecn = (uint8_t)ecn;
    return fragment;
}

// RFC 3168 5.3: what one piece experienced the frame has experienced, whenever the piece came. Else it is what the first one says.
static void marks_are_merged(void **state)
{
    (void)state;
    static const uint8_t orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}};
    uint64_t first = 0;
    for (unsigned i = 0; i < 256 * 3; i++, first += 10) { // every combination of four marks
        const uint8_t *order = orders[i / 256];
        bool has_ce = false;
        for (unsigned k = 0; k < 4; k++) {
            enum ecn ecn = (enum ecn)(i >> 2 * order[k] & ECN_MASK);
            struct fragment fragment = marked_piece(first, order[k], ecn);
            struct reassembled whole = {0};
            has_ce = has_ce || ecn == ECN_CE;
            assert_int_equal(reassembly_add(&reassembly, &fragment, 1, &counters, &whole), k == 3);
            if (k < 3)
                continue;
            assert_int_equal(whole.len, 350);
            assert_memory_equal(whole.bytes, frame, 350);
            assert_int_equal(whole.ecn, has_ce ? ECN_CE : (i >> 2 * order[0] & ECN_MASK));
        }
    }
    assert_int_equal(all_drops(), 0);
}

// Runs that are open at the same time, and the place of one that has ended, keep their marks apart.
static void marks_do_not_mix(void **state)
{
    (void)state;
    struct reassembled whole;
    for (int round = 0; round < 2; round++) {
        uint64_t marked = 100U + 100U * (unsigned)round, other = marked + 50;
        for (uint8_t i = 0; i < 4; i++) {
            struct fragment a = marked_piece(marked, i, i == 1 ? ECN_CE : ECN_ECT0), b = marked_piece(other, i, ECN_ECT0);
            assert_int_equal(reassembly_add(&reassembly, &a, 1, &counters, &whole), i == 3);
            if (i == 3)
                assert_int_equal(whole.ecn, ECN_CE);
            assert_int_equal(reassembly_add(&reassembly, &b, 1, &counters, &whole), i == 3);
        }
        assert_int_equal(whole.ecn, ECN_ECT0);
    }
    // A frame in one piece has that one's mark.
    for (unsigned ecn = 0; ecn < 4; ecn++) {
        struct fragment alone = {.receiver_index = INDEX, .counter = 1000 + ecn, .size = 50, .count = 1, .body = frame, .len = 50};
        alone.ecn = (uint8_t)ecn;
        assert_true(reassembly_add(&reassembly, &alone, 1, &counters, &whole));
        assert_int_equal(whole.ecn, ecn);
    }
    assert_int_equal(all_drops(), 0);
}

static void keys_do_not_mix(void **state)
{
    (void)state;
    struct fragment other = piece(9, 1, 150);
    other.receiver_index++;
    assert_null(add(piece(9, 0, 150)));
    assert_null(add(other));
    assert_non_null(add(piece(9, 1, 150)));
    other.counter--, other.index--, other.body = frame, other.len = PIECE;
    size_t len = 0;
    assert_non_null(add_at(other, 1, &len));
    assert_int_equal(all_drops(), 0);
}

static void gives_up_after_the_timeout(void **state)
{
    (void)state;
    size_t len = 0;
    assert_null(add_at(piece(0, 0, 150), 100, &len));
    assert_null(add_at(piece(10, 0, 150), 50 + FRAGMENT_TIMEOUT_NS, &len));
    assert_int_equal(reassembly_expire(&reassembly, 99 + FRAGMENT_TIMEOUT_NS, &counters), 100 + FRAGMENT_TIMEOUT_NS);
    assert_int_equal(all_drops(), 0);
    assert_int_equal(reassembly_expire(&reassembly, 100 + FRAGMENT_TIMEOUT_NS, &counters), 50 + 2 * FRAGMENT_TIMEOUT_NS);
    assert_int_equal(drops(DROP_FRAGMENT_TIMEOUT), 1);
    // Too late, and nothing new either.
    assert_null(add_at(piece(0, 1, 150), 101 + FRAGMENT_TIMEOUT_NS, &len));
    assert_int_equal(reassembly_expire(&reassembly, 102 + FRAGMENT_TIMEOUT_NS, &counters), 50 + 2 * FRAGMENT_TIMEOUT_NS);
    // In time by one nanosecond.
    assert_non_null(add_at(piece(10, 1, 150), 49 + 2 * FRAGMENT_TIMEOUT_NS, &len));
    // Without a call of expire in between.
    assert_null(add_at(piece(20, 0, 150), 60 + 2 * FRAGMENT_TIMEOUT_NS, &len));
    assert_null(add_at(piece(20, 1, 150), 60 + 3 * FRAGMENT_TIMEOUT_NS, &len));
    assert_int_equal(drops(DROP_FRAGMENT_TIMEOUT), 2);
    assert_int_equal(all_drops(), 2);
    assert_int_equal(reassembly_expire(&reassembly, 60 + 4 * FRAGMENT_TIMEOUT_NS, &counters), 0);
}

static void the_oldest_makes_room(void **state)
{
    (void)state;
    size_t len = 0;
    // Two by two at the same time, so that the lower counter decides.
    for (unsigned i = 0; i < FRAGMENT_RUNS; i++)
        assert_null(add_at(piece(10 * (i ^ 1), 0, 150), 1 + i / 2, &len));
    assert_int_equal(all_drops(), 0);
    assert_null(add_at(piece(5000, 0, 150), 100, &len));
    assert_int_equal(drops(DROP_FRAGMENT_NO_ROOM), 1);
    assert_null(add_at(piece(0, 1, 150), 100, &len)); // pushed out, and does not push out another in turn
    assert_int_equal(drops(DROP_FRAGMENT_NO_ROOM), 1);
    assert_non_null(add_at(piece(10, 1, 150), 100, &len));
    assert_null(add_at(piece(6000, 0, 150), 100, &len)); // in the place that became free
    assert_int_equal(all_drops(), 1);
    assert_non_null(add_at(piece(5000, 1, 150), 100, &len));
    for (unsigned i = 2; i < FRAGMENT_RUNS; i++)
        assert_non_null(add_at(piece(10 * i, 1, 150), 100, &len));
    assert_int_equal(all_drops(), 1);
}

// A storm of pieces whose frames never get whole: each frame is counted once.
static void a_storm_is_counted_exactly(void **state)
{
    (void)state;
    size_t len = 0;
    enum { STORM = 200000 };
    for (uint64_t i = 0; i < STORM; i++)
        assert_null(add_at(piece(i * 64, (uint8_t)(i % 3), 250), 1 + i * 1000, &len));
    assert_int_equal(drops(DROP_FRAGMENT_NO_ROOM), STORM - FRAGMENT_RUNS);
    assert_int_equal(reassembly_expire(&reassembly, UINT64_MAX / 2, &counters), 0);
    assert_int_equal(drops(DROP_FRAGMENT_TIMEOUT), FRAGMENT_RUNS);
    assert_int_equal(all_drops(), STORM);
    assert_null(add_at(piece(1, 0, 150), UINT64_MAX / 2, &len));
    assert_non_null(add_at(piece(1, 1, 150), UINT64_MAX / 2, &len));
}

// Random frames, cut at random, several runs at a time, their pieces shuffled and some doubled, must come out byte for byte.
enum { FLIGHT_RUNS = 20, FLIGHT_PIECES = FLIGHT_RUNS * FRAGMENTS_MAX * 2 };
struct flight {
    struct fragment pieces[FLIGHT_PIECES];
    size_t n;
    size_t offsets[FLIGHT_RUNS], lens[FLIGHT_RUNS];
    uint64_t first_counters[FLIGHT_RUNS];
    unsigned delivered[FLIGHT_RUNS];
};
static struct flight flight;

static void launch(size_t run, uint64_t *counter, uint32_t *seed)
{
    size_t len = 1 + next_random(seed) % FRAME_MAX;
    size_t least_room = (len + FRAGMENTS_MAX - 1) / FRAGMENTS_MAX;
    struct fragment_plan plan;
    assert_true(fragment_plan(&plan, len, least_room + next_random(seed) % 1500));
    flight.offsets[run] = next_random(seed) % 1000;
    flight.lens[run] = len;
    flight.first_counters[run] = *counter;
    flight.delivered[run] = 0;
    for (size_t i = 0; i < plan.count; i++) {
        size_t at = i * plan.size;
        struct fragment fragment = {.receiver_index = INDEX, .counter = (*counter)++, .size = plan.size, .index = (uint8_t)i};
        fragment.count = plan.count;
        fragment.body = frame + flight.offsets[run] + at;
        fragment.len = (uint16_t)(len - at < plan.size ? len - at : plan.size);
        flight.pieces[flight.n++] = fragment;
        if (next_random(seed) % 4 == 0)
            flight.pieces[flight.n++] = fragment;
    }
}

static void land(struct fragment fragment)
{
    size_t len = 0;
    const uint8_t *whole = add_at(fragment, 1, &len);
    if (!whole)
        return;
    size_t run = 0;
    while (flight.first_counters[run] != fragment.counter - fragment.index)
        run++;
    assert_int_equal(len, flight.lens[run]);
    assert_memory_equal(whole, frame + flight.offsets[run], len);
    flight.delivered[run]++;
}

static void random_runs_come_out_whole(void **state)
{
    (void)state;
    uint32_t seed = 12345;
    uint64_t counter = 0;
    for (int round = 0; round < 200; round++) {
        flight.n = 0;
        for (size_t run = 0; run < FLIGHT_RUNS; run++)
            launch(run, &counter, &seed);
        for (size_t i = flight.n; i > 1; i--) {
            size_t j = next_random(&seed) % i;
            struct fragment swapped = flight.pieces[i - 1];
            flight.pieces[i - 1] = flight.pieces[j];
            flight.pieces[j] = swapped;
        }
        for (size_t i = 0; i < flight.n; i++)
            land(flight.pieces[i]);
        for (size_t run = 0; run < FLIGHT_RUNS; run++)
            assert_int_equal(flight.delivered[run], 1);
    }
    assert_int_equal(all_drops(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_every_length),
        cmocka_unit_test_setup(takes_pieces_in_any_order, start),
        cmocka_unit_test_setup(a_single_piece_is_a_frame, start),
        cmocka_unit_test_setup(ignores_doubles, start),
        cmocka_unit_test_setup(a_contradiction_ends_the_run, start),
        cmocka_unit_test_setup(refuses_impossible_numbers, start),
        cmocka_unit_test_setup(takes_the_largest_frame, start),
        cmocka_unit_test_setup(marks_are_merged, start),
        cmocka_unit_test_setup(marks_do_not_mix, start),
        cmocka_unit_test_setup(keys_do_not_mix, start),
        cmocka_unit_test_setup(gives_up_after_the_timeout, start),
        cmocka_unit_test_setup(the_oldest_makes_room, start),
        cmocka_unit_test_setup(a_storm_is_counted_exactly, start),
        cmocka_unit_test_setup(random_runs_come_out_whole, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
