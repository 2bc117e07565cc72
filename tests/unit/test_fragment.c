// SPDX-License-Identifier: MIT
/*
 * test_fragment: plans for every length, then reassembly: order, doubles, contradictions, marks, bounds of time and room; random runs;
 * storms of pieces whose frames never get whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/ecn.h"
#include "ethercord/fragment.h"

enum { INDEX = 0x01020304, PIECE = 100, RUNS = 32, STORM = 1000000, GUARD_BYTE = 0xa5 };
// Around the memory that is given away. The sanitizer has guards of its own, right at its ends.
#ifdef __SANITIZE_ADDRESS__
static const size_t guard_len = 0;
#else
static const size_t guard_len = 64 * 1024;
#endif
#define TIMEOUT_NS (REASSEMBLY_TIMEOUT_MS_DEFAULT * UINT64_C(1000000))

static struct reassembly reassembly;
static struct reassembly_limits limits;
static uint8_t *memory; // between its guards
static size_t memory_len;
static struct counters counters;
static uint8_t frame[FRAME_MAX + 1000];

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void free_memory(void)
{
    for (size_t i = 0; memory && i < guard_len; i++) {
        assert_int_equal(memory[i], GUARD_BYTE);
        assert_int_equal(memory[guard_len + memory_len + i], GUARD_BYTE);
    }
    free(memory);
    memory = NULL;
}

// With these limits, from scratch.
static void restart(void)
{
    free_memory();
    memory_len = reassembly_needs(&limits);
    assert_true(memory_len > 0 && memory_len <= limits.memory_bytes);
    memory = malloc(memory_len + 2 * guard_len);
    assert_non_null(memory);
    memset(memory, GUARD_BYTE, memory_len + 2 * guard_len);
    reassembly_init(&reassembly, &limits, memory + guard_len);
    memset(&counters, 0, sizeof counters);
}

static int start(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = (uint8_t)next_random(&seed);
    reassembly_limits_default(&limits);
    restart();
    return 0;
}

// With room for exactly RUNS frames.
static int start_small(void **state)
{
    start(state);
    for (limits.memory_bytes = REASSEMBLY_MEMORY_MIN; reassembly_cap(&reassembly) != RUNS; limits.memory_bytes += 1024)
        restart();
    return 0;
}

static int end(void **state)
{
    (void)state;
    free_memory();
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
    (void)reassembly_expire(&reassembly, 10 * TIMEOUT_NS, &counters);
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
    (void)reassembly_expire(&reassembly, 10 * TIMEOUT_NS, &counters);
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
    assert_null(add_at(piece(10, 0, 150), 50 + TIMEOUT_NS, &len));
    assert_int_equal(reassembly_expire(&reassembly, 99 + TIMEOUT_NS, &counters), 100 + TIMEOUT_NS);
    assert_int_equal(all_drops(), 0);
    assert_int_equal(reassembly_expire(&reassembly, 100 + TIMEOUT_NS, &counters), 50 + 2 * TIMEOUT_NS);
    assert_int_equal(drops(DROP_FRAGMENT_TIMEOUT), 1);
    // Too late, and nothing new either.
    assert_null(add_at(piece(0, 1, 150), 101 + TIMEOUT_NS, &len));
    assert_int_equal(reassembly_expire(&reassembly, 102 + TIMEOUT_NS, &counters), 50 + 2 * TIMEOUT_NS);
    // In time by one nanosecond.
    assert_non_null(add_at(piece(10, 1, 150), 49 + 2 * TIMEOUT_NS, &len));
    // Without a call of expire in between.
    assert_null(add_at(piece(20, 0, 150), 60 + 2 * TIMEOUT_NS, &len));
    assert_null(add_at(piece(20, 1, 150), 60 + 3 * TIMEOUT_NS, &len));
    assert_int_equal(drops(DROP_FRAGMENT_TIMEOUT), 2);
    assert_int_equal(all_drops(), 2);
    assert_int_equal(reassembly_expire(&reassembly, 60 + 4 * TIMEOUT_NS, &counters), 0);
}

static void the_oldest_makes_room(void **state)
{
    (void)state;
    size_t len = 0;
    // Two by two at the same time, so that the lower counter decides.
    for (unsigned i = 0; i < RUNS; i++)
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
    for (unsigned i = 2; i < RUNS; i++)
        assert_non_null(add_at(piece(10 * i, 1, 150), 100, &len));
    assert_int_equal(all_drops(), 1);
}

// A storm of pieces whose frames never get whole: each frame is counted once.
static void a_storm_is_counted_exactly(void **state)
{
    (void)state;
    enum { N = 200000 };
    size_t len = 0;
    for (uint64_t i = 0; i < N; i++)
        assert_null(add_at(piece(i * 64, (uint8_t)(i % 3), 250), 1 + i * 1000, &len));
    assert_int_equal(drops(DROP_FRAGMENT_NO_ROOM), N - RUNS);
    assert_int_equal(reassembly_expire(&reassembly, UINT64_MAX / 2, &counters), 0);
    assert_int_equal(drops(DROP_FRAGMENT_TIMEOUT), RUNS);
    assert_int_equal(all_drops(), N);
    assert_null(add_at(piece(1, 0, 150), UINT64_MAX / 2, &len));
    assert_non_null(add_at(piece(1, 1, 150), UINT64_MAX / 2, &len));
}

// The memory is kept to, and divided as far as it goes.
static void keeps_to_its_memory(void **state)
{
    (void)state;
    static const size_t lens[] = {598, 1522, 4000, FRAME_MAX};
    for (size_t l = 0; l < sizeof lens / sizeof lens[0]; l++) {
        limits.frame_len_max = lens[l];
        for (limits.memory_bytes = REASSEMBLY_MEMORY_MIN; limits.memory_bytes < 3U * 1024 * 1024; limits.memory_bytes += 100 * 1024 + 7) {
            restart();
            assert_int_equal(reassembly_unfinished(&reassembly), 0);
            size_t for_frames = reassembly_bytes(&reassembly, reassembly_cap(&reassembly));
            assert_true(for_frames <= memory_len && memory_len >= limits.memory_bytes * 97 / 100 - lens[l]);
            assert_true(for_frames >= reassembly_cap(&reassembly) * lens[l] && reassembly_cap(&reassembly) >= 7);
        }
    }
    limits.memory_bytes = 0;
    assert_int_equal(reassembly_needs(&limits), 0);
    limits.memory_bytes = REASSEMBLY_MEMORY_MIN / 2;
    assert_int_equal(reassembly_needs(&limits), 0);
    limits.memory_bytes = REASSEMBLY_MEMORY_MAX;
    limits.frame_len_max = 598;
    restart();
    assert_true(reassembly_cap(&reassembly) > 80000);
}

// What the documentation says.
static void holds_so_many_frames(void **state)
{
    (void)state;
    static const struct {
        size_t memory_bytes;
        uint16_t mtu;
        uint32_t n;
    } rows[] = {
        {REASSEMBLY_MEMORY_DEFAULT, 1500, 618},
        {REASSEMBLY_MEMORY_DEFAULT, 9000, 108},
        {REASSEMBLY_MEMORY_MIN, 1500, 41},
        {REASSEMBLY_MEMORY_MIN, 9000, 7},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        limits.memory_bytes = rows[i].memory_bytes;
        limits.frame_len_max = frame_max_len(rows[i].mtu, 1);
        restart();
        assert_int_equal(reassembly_cap(&reassembly), rows[i].n);
    }
}

// A frame that the TAP has no room for ends with the piece that shows it, and takes no place of another.
static void too_long_for_the_tap_counts_once(void **state)
{
    (void)state;
    limits.frame_len_max = 349;
    restart();
    for (uint64_t i = 0; i < 4; i++) { // whichever piece comes first: the last one tells more than the others
        uint64_t first = 10 * i;
        for (uint8_t k = 0; k < 4; k++)
            assert_null(add(piece(first, (uint8_t)((k + i) % 4), 350)));
        assert_int_equal(drops(DROP_EXCEEDS_TAP_MTU), i + 1);
        for (uint8_t index = 0; index < 4; index++)
            assert_null(add(piece(first, index, 350)));
        assert_int_equal(reassembly_unfinished(&reassembly), 0);
    }
    assert_int_equal(all_drops(), 4);
    for (uint8_t index = 0; index < 4; index++)
        assert_int_equal(add(piece(100, index, 349)) != NULL, index == 3);
    for (uint64_t i = 0; i < reassembly_cap(&reassembly); i++)
        assert_null(add(piece(1000 + 10 * i, 0, 300)));
    for (uint8_t index = 0; index < 5; index++)
        assert_null(add(piece(UINT64_C(1) << 40, index, 450))); // none of its pieces fits
    assert_int_equal(drops(DROP_EXCEEDS_TAP_MTU), 5);
    assert_int_equal(all_drops(), 5);
    assert_int_equal(reassembly_unfinished(&reassembly), reassembly_cap(&reassembly));
}

static void keeps_to_its_timeout(void **state)
{
    (void)state;
    size_t len = 0;
    limits.timeout_ns = 10 * 1000000;
    restart();
    assert_null(add_at(piece(0, 0, 150), 1000, &len));
    assert_int_equal(reassembly_expire(&reassembly, 1000, &counters), 10001000);
    assert_int_equal(reassembly_unfinished(&reassembly), 1);
    assert_int_equal(reassembly_expire(&reassembly, 10001000, &counters), 0);
    assert_int_equal(reassembly_unfinished(&reassembly), 0);
    assert_int_equal(drops(DROP_FRAGMENT_TIMEOUT), 1);
}

/* ---- storms ---- */

static uint64_t storm_ns; // time of a storm, which goes on
static uint64_t storm_counter;

static void rain(struct fragment fragment)
{
    size_t len = 0;
    assert_null(add_at(fragment, storm_ns, &len));
}

static void assert_one_gets_through(void)
{
    uint64_t before = all_drops();
    size_t len = 0;
    assert_null(add_at(piece(storm_counter, 0, 250), storm_ns, &len));
    assert_null(add_at(piece(storm_counter, 1, 250), storm_ns, &len));
    const uint8_t *whole = add_at(piece(storm_counter, 2, 250), storm_ns, &len);
    assert_non_null(whole);
    assert_int_equal(len, 250);
    assert_memory_equal(whole, frame, len);
    assert_true(all_drops() - before <= 1); // the one whose place or whose time it was
    storm_counter += 3;
}

// A good frame comes through right after it, and when all of it is forgotten. By then each of `n` frames has been counted, once.
static void assert_storm_passes(uint64_t n)
{
    uint32_t unfinished = reassembly_unfinished(&reassembly);
    assert_true(unfinished <= reassembly_cap(&reassembly));
    assert_true(reassembly_bytes(&reassembly, unfinished) <= limits.memory_bytes);
    assert_int_equal(all_drops(), n - unfinished);
    assert_one_gets_through();
    storm_ns += limits.timeout_ns;
    assert_int_equal(reassembly_expire(&reassembly, storm_ns, &counters), 0);
    assert_int_equal(reassembly_unfinished(&reassembly), 0);
    assert_int_equal(all_drops(), n);
    assert_one_gets_through();
    assert_int_equal(all_drops(), n);
}

// One piece of each of STORM frames.
static void storm_of(uint8_t index, uint64_t interval_ns)
{
    restart();
    storm_ns = 1, storm_counter = 0;
    for (uint64_t i = 0; i < STORM; i++, storm_counter += 3, storm_ns += interval_ns)
        rain(piece(storm_counter, index, 250));
    assert_int_equal(drops(DROP_FRAGMENT_NO_ROOM) + drops(DROP_FRAGMENT_TIMEOUT), all_drops());
    assert_storm_passes(STORM);
}

static void one_piece_of_each(void **state)
{
    (void)state;
    limits.frame_len_max = 1522;
    for (uint8_t index = 0; index < 3; index++) {
        storm_of(index, 1000); // so fast that they push each other out
        storm_of(index, 0);
        storm_of(index, TIMEOUT_NS / 400); // so slow that time takes them
        assert_int_equal(drops(DROP_FRAGMENT_NO_ROOM), 0);
    }
}

// All pieces but one, and later, too late or not, the one that was missing.
static void late_pieces_do_not_count_again(void **state)
{
    (void)state;
    enum { FRAMES = 2000 }; // less than a replay window
    size_t len = 0;
    uint64_t n_whole = 0, cap = reassembly_cap(&reassembly);
    assert_true(cap < FRAMES && 3 * FRAMES < FRAGMENT_ENDED);
    for (uint64_t i = 0; i < FRAMES; i++) {
        rain(piece(3 * i, 0, 250));
        rain(piece(3 * i, 2, 250));
    }
    assert_int_equal(drops(DROP_FRAGMENT_NO_ROOM), FRAMES - cap);
    for (uint64_t i = 0; i < FRAMES; i++)
        n_whole += add_at(piece(3 * i, 1, 250), storm_ns, &len) != NULL;
    assert_int_equal(n_whole, cap);
    assert_int_equal(all_drops(), FRAMES - cap);
    assert_int_equal(reassembly_unfinished(&reassembly), 0);
}

// Pieces that overlap with others of their run end it, and what then comes of it is nothing new.
static void contradictions_count_once_each(void **state)
{
    (void)state;
    storm_ns = 1, storm_counter = 0;
    for (uint64_t i = 0; i < STORM; i++, storm_counter += 3, storm_ns += 100) {
        struct fragment overlapping = piece(storm_counter, 1, 250);
        overlapping.size = overlapping.len = (uint16_t)(PIECE - 1 - i % 50);
        rain(piece(storm_counter, i & 1 ? 0 : 2, 250));
        rain(overlapping);
        rain(piece(storm_counter, 1, 250));
        rain(overlapping);
        rain(piece(storm_counter, i & 1 ? 2 : 0, 250));
    }
    assert_int_equal(drops(DROP_BAD_FRAGMENT), STORM);
    assert_storm_passes(STORM);
}

// Every counter carries a piece of any index, count and size: runs that overlap, contradict themselves, or say nothing possible.
static void anything_counts_once_per_run(void **state)
{
    (void)state;
    static uint8_t is_known[STORM + FRAGMENTS_MAX];
    uint32_t seed = 99;
    uint64_t n_runs = 0;
    memset(is_known, 0, sizeof is_known);
    storm_ns = 1, storm_counter = FRAGMENTS_MAX;
    for (uint64_t i = 0; i < STORM; i++, storm_counter++, storm_ns += next_random(&seed) % 3000) {
        struct fragment fragment = {.receiver_index = INDEX, .counter = storm_counter, .body = frame};
        fragment.count = (uint8_t)(60 + next_random(&seed) % 6);
        fragment.index = (uint8_t)(next_random(&seed) % FRAGMENTS_MAX);
        fragment.size = (uint16_t)(150 - (next_random(&seed) % 8 == 0));
        fragment.len = (uint16_t)(fragment.size - (next_random(&seed) % 16 == 0));
        uint8_t *known = &is_known[storm_counter - fragment.index];
        n_runs += !*known;
        *known = 1;
        rain(fragment);
    }
    assert_true(drops(DROP_BAD_FRAGMENT) > 1000 && drops(DROP_FRAGMENT_NO_ROOM) > 1000);
    assert_storm_passes(n_runs);
}

// At one moment, the newest first: the order is no longer exact, the books are.
static void backwards_counts_once_each(void **state)
{
    (void)state;
    enum { FRAMES = 2000 };
    storm_ns = 1;
    for (uint64_t i = FRAMES; i-- > 0;)
        rain(piece(3 * i, 0, 250));
    storm_counter = 3 * FRAMES;
    assert_storm_passes(FRAMES);
}

// Room for three frames is enough to be of use.
static void the_smallest_memory_does(void **state)
{
    (void)state;
    limits.memory_bytes = REASSEMBLY_MEMORY_MIN / 2 + 3 * (FRAME_MAX + 64);
    restart();
    assert_int_equal(reassembly_cap(&reassembly), 3);
    storm_ns = 1, storm_counter = 0;
    for (uint64_t i = 0; i < STORM; i++, storm_counter += 3)
        rain(piece(storm_counter, (uint8_t)(i % 3), 250));
    assert_storm_passes(STORM);
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

static unsigned longest_chain(void)
{
    unsigned longest = 0;

    for (uint64_t i = 0; i < UINT64_C(1) << (64 - reassembly.hash_shift); i++) {
        unsigned n = 0;
        for (uint32_t at = reassembly.buckets[i]; at != UINT32_MAX >> 1; at = reassembly.runs[at].next)
            n++;
        longest = n > longest ? n : longest;
    }
    return longest;
}

// Counters of which one who knows the multiplier would know that they meet.
static unsigned chain_of_chosen_counters(uint64_t secret)
{
    uint64_t known, counter = 0;

    limits.secret = 0;
    restart();
    known = reassembly.multiplier;
    limits.secret = secret;
    restart();
    for (uint32_t n = 0; n < reassembly_cap(&reassembly); n++) {
        do
            counter += 2;
        while ((counter ^ (uint64_t)INDEX << 32) * known >> reassembly.hash_shift != 0);
        assert_null(add(piece(counter, 0, 2 * PIECE)));
    }
    assert_int_equal(reassembly_unfinished(&reassembly), reassembly_cap(&reassembly));
    return longest_chain();
}

static void chosen_counters_do_not_meet(void **state)
{
    uint32_t seed = 3;

    (void)state;
    assert_int_equal(chain_of_chosen_counters(0), reassembly_cap(&reassembly));
    for (int i = 0; i < 10; i++) {
        uint64_t secret = (uint64_t)next_random(&seed) << 44 ^ (uint64_t)next_random(&seed) << 22 ^ next_random(&seed);
        assert_in_range(chain_of_chosen_counters(secret), 1, 30);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_every_length),
        cmocka_unit_test_setup_teardown(takes_pieces_in_any_order, start, end),
        cmocka_unit_test_setup_teardown(a_single_piece_is_a_frame, start, end),
        cmocka_unit_test_setup_teardown(ignores_doubles, start, end),
        cmocka_unit_test_setup_teardown(a_contradiction_ends_the_run, start, end),
        cmocka_unit_test_setup_teardown(refuses_impossible_numbers, start, end),
        cmocka_unit_test_setup_teardown(takes_the_largest_frame, start, end),
        cmocka_unit_test_setup_teardown(marks_are_merged, start, end),
        cmocka_unit_test_setup_teardown(marks_do_not_mix, start, end),
        cmocka_unit_test_setup_teardown(keys_do_not_mix, start, end),
        cmocka_unit_test_setup_teardown(gives_up_after_the_timeout, start, end),
        cmocka_unit_test_setup_teardown(the_oldest_makes_room, start_small, end),
        cmocka_unit_test_setup_teardown(a_storm_is_counted_exactly, start_small, end),
        cmocka_unit_test_setup_teardown(random_runs_come_out_whole, start, end),
        cmocka_unit_test_setup_teardown(keeps_to_its_memory, start, end),
        cmocka_unit_test_setup_teardown(holds_so_many_frames, start, end),
        cmocka_unit_test_setup_teardown(too_long_for_the_tap_counts_once, start, end),
        cmocka_unit_test_setup_teardown(keeps_to_its_timeout, start, end),
        cmocka_unit_test_setup_teardown(one_piece_of_each, start, end),
        cmocka_unit_test_setup_teardown(late_pieces_do_not_count_again, start, end),
        cmocka_unit_test_setup_teardown(contradictions_count_once_each, start, end),
        cmocka_unit_test_setup_teardown(anything_counts_once_per_run, start, end),
        cmocka_unit_test_setup_teardown(backwards_counts_once_each, start, end),
        cmocka_unit_test_setup_teardown(the_smallest_memory_does, start, end),
        cmocka_unit_test_setup_teardown(chosen_counters_do_not_meet, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
