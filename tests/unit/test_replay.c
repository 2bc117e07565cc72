// SPDX-License-Identifier: MIT
/*
 * replay: ordered tables for every edge of the window, then ten million random counters against a model that remembers everything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/replay.h"

#define W UINT64_C(8192) // the window, as docs/protocol.md says it
#define BIG (UINT64_C(1) << 63)
#define LAST UINT64_MAX

_Static_assert(REPLAY_WINDOW == 8192, "docs/protocol.md#replay-window");

struct step {
    uint64_t counter;
    bool is_accepted;
};

static const struct step start[] = {
    {0, true}, {0, false}, {1, true}, {1, false}, {0, false}, {9, true},  {8, true},
    {7, true}, {7, false}, {2, true}, {3, true},  {10, true}, {9, false},
};
static const struct step word_edges[] = {
    {63, true}, {64, true}, {63, false}, {64, false}, {127, true}, {128, true},
    {65, true}, {62, true}, {0, true},   {0, false},  {126, true}, {126, false},
};
static const struct step window_edge[] = {
    {W, true},     {0, false}, // exactly W behind the newest
    {1, true},     {1, false}, // W - 1 behind
    {W + 1, true}, {1, false},  {2, true},      {2, false},  {W + 63, true}, {64, true},      {63, false},
    {65, true},    {64, false}, {W + 64, true}, {64, false}, {66, true},     {W + 64, false},
};
static const struct step window_edge_from_zero[] = {
    {W - 1, true}, {0, true}, {0, false}, {W, true}, {0, false}, {1, true}, {W - 1, false},
};
// The ring has one word more than the window; its words come round again.
static const struct step ring_edges[] = {
    {0, true},   {W + 63, true},      {0, false},       {W + 64, true},  {W + 64, false},     {W, true},
    {128, true}, {2 * W + 128, true}, {W + 128, false}, {W + 129, true}, {2 * W + 127, true}, {W + 64, false},
};
static const struct step jumps[] = {
    {5, true},
    {3 * W, true},
    {5, false},
    {2 * W, false},
    {2 * W + 1, true},
    {3 * W - 1, true},
    {BIG, true},
    {3 * W, false},
    {BIG - W, false},
    {BIG - W + 1, true},
    {BIG - 1, true},
    {BIG, false},
    {BIG + 129 * 64, true},
    {BIG, false},
    {BIG + 129 * 64 - 1, true},
};
static const struct step top[] = {
    {LAST, false},    {LAST - 1, true},      {LAST - 1, false}, {LAST, false}, {LAST - 2, true},
    {LAST - W, true}, {LAST - 1 - W, false}, {LAST - W, false}, {0, false},
};
static const struct step never_the_last[] = {{LAST, false}, {0, true}, {LAST, false}, {1, true}};

static void run_steps(const struct step *steps, size_t n)
{
    struct replay replay = {0};
    for (size_t i = 0; i < n; i++) {
        if (replay_accept(&replay, steps[i].counter) != steps[i].is_accepted)
            fail_msg("step %zu, counter %llu", i, (unsigned long long)steps[i].counter);
    }
}

#define RUN(table) run_steps(table, sizeof table / sizeof table[0])

static void test_tables(void **state)
{
    (void)state;
    RUN(start);
    RUN(word_edges);
    RUN(window_edge);
    RUN(window_edge_from_zero);
    RUN(ring_edges);
    RUN(jumps);
    RUN(top);
    RUN(never_the_last);
}

// Whole windows in order and backwards: everything once.
static void test_sweeps(void **state)
{
    static struct replay forward;
    static struct replay backward;
    (void)state;
    for (uint64_t i = 0; i < 3 * W; i++) {
        assert_true(replay_accept(&forward, i));
        assert_false(replay_accept(&forward, i));
    }
    for (uint64_t i = 3 * W; i-- > 2 * W;) {
        assert_false(replay_accept(&forward, i));
        assert_true(replay_accept(&backward, i));
    }
    assert_false(replay_accept(&backward, 2 * W - 1));
}

static void test_every_jump(void **state)
{
    (void)state;
    for (uint64_t jump = 1; jump < W + 200; jump++) {
        struct replay replay = {0};
        uint64_t newest = 1000 + jump;
        assert_true(replay_accept(&replay, 1000));
        assert_true(replay_accept(&replay, newest));
        assert_false(replay_accept(&replay, 1000));
        assert_int_equal(replay_accept(&replay, 999), jump + 1 < W);
        if (newest >= W) {
            assert_false(replay_accept(&replay, newest - W));
            assert_int_equal(replay_accept(&replay, newest - W + 1), newest - W + 1 != 1000 && newest - W + 1 != 999);
        }
    }
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

enum { N_RANDOM = 10000000, MODEL_BITS = 1 << 27 };

static void test_random_against_model(void **state)
{
    uint8_t *seen = calloc(MODEL_BITS / 8, 1); // a bit for every counter there is in this test
    struct replay replay = {0};
    uint64_t newest = 0;
    uint64_t seed = 42;
    size_t n_accepted = 0;
    (void)state;
    assert_non_null(seen);
    assert_true(replay_accept(&replay, 0));
    seen[0] = 1;
    for (size_t i = 0; i < N_RANDOM; i++) {
        uint64_t random = next_random(&seed);
        // Mostly around the window, a little ahead of it, and now and then far ahead.
        uint64_t ahead = random % 1024 == 0 ? 3 * W : 100;
        uint64_t low = newest > W + 200 ? newest - W - 200 : 0;
        uint64_t counter = low + (random >> 16) % (newest - low + ahead);
        assert_true(counter < MODEL_BITS);
        bool is_seen = (seen[counter / 8] >> counter % 8 & 1) != 0;
        bool is_expected = !is_seen && counter + W > newest;
        assert_int_equal(replay_accept(&replay, counter), is_expected);
        if (is_expected) {
            seen[counter / 8] |= (uint8_t)(1U << counter % 8);
            newest = counter > newest ? counter : newest;
            n_accepted++;
        }
    }
    free(seen);
    assert_true(n_accepted > N_RANDOM / 10 && n_accepted < N_RANDOM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_sweeps),
        cmocka_unit_test(test_every_jump),
        cmocka_unit_test(test_random_against_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
