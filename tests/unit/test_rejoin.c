// SPDX-License-Identifier: MIT
/*
 * test_rejoin: what was split comes together again, headers and payload, for whole runs and for runs with gaps anywhere; what is out of
 * its turn or doubled does not join, and costs nothing.
 */
#include "test_rejoin_runs.h"

// Runs that are whole, longer and shorter segments than gso_size, last ones of any length.
static const struct {
    size_t payload_len;
    uint16_t gso_size;
    size_t size;
} cuts[] = {
    {5000, 1000, 1000}, {5000, 1000, 999}, {5001, 1000, 1000}, {5999, 1000, 1000}, {1001, 1000, 1000}, {1001, 1000, 700},
    {2, 1, 1},          {63, 1, 1},        {62, 1, 1},         {6300, 100, 100},   {6299, 100, 100},   {6201, 100, 100},
    {1000, 1000, 999},  {2000, 1000, 32},  {2016, 1000, 32},   {5000, 1000, 500},  {5000, 1000, 334},  {60000, 1448, 1402},
};

static void for_each_run(void (*check)(const struct recipe *recipe))
{
    for (size_t i = 0; i < N_OF(recipes) * N_OF(cuts); i++) {
        struct recipe recipe = recipes[i % N_OF(recipes)];
        size_t c = i / N_OF(recipes);
        if (recipe.protocol == IPPROTO_UDP && cuts[c].size < cuts[c].gso_size)
            continue;
        recipe.payload_len = cuts[c].payload_len;
        make_run(&recipe, cuts[c].gso_size, cuts[c].size, (uint32_t)i);
        assert_int_equal(cut.len, recipe.payload_len);
        forget();
        check(&recipe);
    }
}

// ---- whole runs

static void check_identity(const struct recipe *recipe)
{
    for (uint8_t i = 0; i < cut.count; i++) {
        receive(&segments[i]);
        assert_int_equal(verdict, i == 0 ? REJOIN_BEGINS : REJOIN_JOINED);
    }
    finish();
    assert_int_equal(n_outs, 1);
    assert_int_equal(n_bad, 0);
    check_out(&outs[0], recipe, 0, cut.count);
    check_kernel_cut(&outs[0], recipe, 0);
    size_t field = packet.l4 + l4_checksum_at(recipe);
    memcpy(outs[0].bytes + field, packet.b + field, 2); // compared above; it may be 0 for ffff
    assert_memory_equal(outs[0].bytes, packet.b, packet.len);
}

static void what_was_split_comes_together(void **state)
{
    (void)state;
    for_each_run(check_identity);
}

// A run that nothing can follow is closed at once: nothing waits. Behind a multiple of gso_size the next run may go on.
static void check_closing(const struct recipe *recipe)
{
    for (uint8_t i = 0; i < cut.count; i++)
        receive(&segments[i]);
    bool is_shorter = cut.len % cut.size != 0 && cut.len > (recipe->protocol == IPPROTO_UDP ? 0 : cut.size);
    bool has_flags = recipe->protocol == IPPROTO_TCP && recipe->flags & (TCP_FIN | TCP_PSH);
    bool is_multiple = cut.len % super.gso_size == 0;
    assert_int_equal(run.is_open, !has_flags && (is_multiple || !(is_shorter || cut.count == SEGMENTS_MAX)));
}

static void the_last_one_closes(void **state)
{
    (void)state;
    for_each_run(check_closing);
}

// ---- one run behind the other

struct going_on {
    size_t at, len, n; // of what is joined now
};

// What has come so far is a super-frame of its own.
static void end_part(struct going_on *part, const struct recipe *recipe, size_t *n)
{
    if (part->n == 0)
        return;
    check_out_at(&outs[*n], recipe, part->at, part->len, part->n);
    check_kernel_cut_at(&outs[*n], recipe, part->at);
    *n += 1;
    *part = (struct going_on){.at = part->at + part->len};
}

// The whole pieces of it are, and the rest goes on.
static void end_whole(struct going_on *part, const struct recipe *recipe, size_t *n)
{
    size_t left = part->len % super.gso_size, n_left = (left + cut.size - 1) / cut.size;
    struct going_on whole = {.at = part->at, .len = part->len - left, .n = part->n - n_left};

    end_part(&whole, recipe, n);
    *part = (struct going_on){.at = whole.at, .len = left, .n = n_left};
}

static void rest_part(struct going_on *part, const struct recipe *recipe, size_t *n)
{
    rest();
    if (part->len < super.gso_size)
        return;
    end_whole(part, recipe, n);
    assert_int_equal(run.is_open, part->len > 0);
}

// All runs of a super-frame, `n_segments` in each at the most: they join as far as they go on at a multiple of gso_size, and as one
// super-frame may have. In `rests` of 100 places nothing more has arrived for a while.
static void check_runs(const struct recipe *recipe, uint16_t gso_size, size_t size, size_t n_segments, uint32_t rests)
{
    struct going_on part = {0};
    uint64_t counter = FIRST;
    uint32_t seed = (uint32_t)(gso_size + size + rests);
    size_t n = 0;

    make_run(recipe, gso_size, size, 3);
    forget();
    for (size_t at = 0; at < recipe->payload_len; at += cut.len) {
        cut_run_of(at, size, n_segments, counter);
        counter += cut.count;
        for (uint8_t i = 0; i < cut.count; i++) {
            receive(&segments[i]);
            size_t len = segments[i].payload_len;
            bool goes_on = part.n > 0 && (i > 0 || part.len % gso_size == 0);
            bool fits = part.len + len <= (size_t)SEGMENTS_MAX * gso_size && packet.payload - packet.l3 + part.len + len <= IP_PACKET_MAX;
            if (goes_on && !fits) // its whole pieces have gone, so that what follows is cut where the kernel would
                end_whole(&part, recipe, &n);
            else if (!goes_on)
                end_part(&part, recipe, &n);
            assert_int_equal(verdict, goes_on && part.len > 0 ? REJOIN_JOINED : REJOIN_BEGINS);
            part.len += len;
            part.n++;
            if (run.is_open && next_random(&seed) % 100 < rests)
                rest_part(&part, recipe, &n);
        }
    }
    finish();
    end_part(&part, recipe, &n);
    assert_int_equal(n_outs, n);
    assert_int_equal(n_bad, 0);
}

static void runs_follow_each_other(void **state)
{
    (void)state;
    static const struct {
        uint16_t gso_size;
        size_t size, n_segments;
    } ways[] = {{64, 64, 63},    {64, 32, 63},   {64, 63, 63},    {64, 50, 10},     {64, 64, 1},      {64, 64, 7},    {1000, 1000, 5},
                {1000, 999, 63}, {1000, 500, 2}, {1000, 400, 20}, {1448, 1402, 45}, {1448, 1448, 44}, {1448, 1448, 1}};
    static const size_t payload_lens[] = {10000, 10048, 9999, 64 * 63, 64 * 63 + 1, 64 * 126, 20000, 60000};
    for (size_t r = 0; r < N_OF(recipes); r++)
        for (size_t w = 0; w < N_OF(ways); w++)
            for (size_t p = 0; p < N_OF(payload_lens); p++) {
                struct recipe recipe = recipes[r];
                if (recipe.protocol == IPPROTO_UDP && ways[w].size < ways[w].gso_size)
                    continue;
                recipe.payload_len = payload_lens[p] < 60000U || ways[w].gso_size > 100 ? payload_lens[p] : 30000;
                for (uint32_t rests = 0; rests < 4; rests++)
                    check_runs(&recipe, ways[w].gso_size, ways[w].size, ways[w].n_segments, rests);
            }
}

// Between any two segments nothing has arrived for a while: only the whole pieces are written, and it goes on.
static void check_rest(const struct recipe *recipe)
{
    for (size_t place = 0; place < cut.count; place += 1 + place / 4) {
        struct going_on part = {0};
        size_t n = 0;
        forget();
        for (uint8_t i = 0; i < cut.count; i++) {
            receive(&segments[i]);
            part.len += segments[i].payload_len;
            part.n++;
            if (i == place && run.is_open)
                rest_part(&part, recipe, &n);
        }
        finish();
        end_part(&part, recipe, &n);
        assert_int_equal(n_outs, n);
    }
}

static void what_arrives_in_parts_is_cut_all_the_same(void **state)
{
    (void)state;
    for_each_run(check_rest);
}

// After each segment: each piece comes out when it is whole.
static void check_rest_always(const struct recipe *recipe)
{
    size_t at = 0;
    for (uint8_t i = 0; i < cut.count; i++) {
        n_outs = 0;
        receive(&segments[i]);
        rest();
        assert_in_range(n_outs, 0, 1);
        if (n_outs == 0)
            continue;
        size_t len = outs[0].len - packet.payload;
        assert_true(len % super.gso_size == 0 || at + len == cut.len);
        check_out_at(&outs[0], recipe, at, len, outs[0].n_segments);
        check_kernel_cut_at(&outs[0], recipe, at);
        at += len;
    }
    n_outs = 0;
    finish();
    if (n_outs > 0)
        check_out_at(&outs[0], recipe, at, cut.len - at, outs[0].n_segments);
    else
        assert_int_equal(at, cut.len);
}

static void pieces_come_out_one_by_one(void **state)
{
    (void)state;
    for_each_run(check_rest_always);
}

// ---- gaps

// `count` segments from `first` on are missing: what is before and what is behind are super-frames of their own.
static void check_gap(const struct recipe *recipe, size_t first, size_t count)
{
    forget();
    for (uint8_t i = 0; i < cut.count; i++)
        if (i < first || i >= first + count)
            receive(&segments[i]);
    finish();
    size_t behind = cut.count - first - count, n = 0;
    assert_int_equal(n_bad, 0);
    assert_int_equal(n_outs, (first > 0) + (behind > 0));
    if (first > 0) {
        check_out(&outs[n], recipe, 0, first);
        check_kernel_cut(&outs[n++], recipe, 0);
    }
    if (behind > 0) {
        check_out(&outs[n], recipe, first + count, behind);
        check_kernel_cut(&outs[n], recipe, first + count);
    }
}

static void check_gaps(const struct recipe *recipe)
{
    for (size_t first = 0; first<cut.count; first += cut.count> 20 && first > 1 && first + 3 < cut.count ? 7 : 1)
        for (size_t count = 1; first + count <= cut.count; count += 1 + count / 2)
            check_gap(recipe, first, count);
}

static void a_gap_costs_its_segments_and_no_others(void **state)
{
    (void)state;
    for_each_run(check_gaps);
}

// Each second one is missing: each that is there is a frame of its own.
static void check_every_second(const struct recipe *recipe)
{
    for (uint8_t odd = 0; odd < 2; odd++) {
        forget();
        for (uint8_t i = odd; i < cut.count; i += 2)
            receive(&segments[i]);
        finish();
        assert_int_equal(n_bad, 0);
        assert_int_equal(n_outs, (cut.count + 1U - odd) / 2);
        for (size_t i = 0; i < n_outs; i++)
            check_out(&outs[i], recipe, 2 * i + odd, 1);
    }
}

static void gaps_everywhere(void **state)
{
    (void)state;
    for_each_run(check_every_second);
}

// ---- out of turn

static void check_reversed(const struct recipe *recipe)
{
    for (uint8_t i = cut.count; i-- > 0;) {
        receive(&segments[i]);
        assert_int_equal(verdict, REJOIN_BEGINS);
    }
    finish();
    assert_int_equal(n_bad, 0);
    assert_int_equal(n_outs, cut.count);
    for (size_t i = 0; i < n_outs; i++)
        check_out(&outs[i], recipe, cut.count - 1 - i, 1);
}

static void backwards_each_is_its_own(void **state)
{
    (void)state;
    for_each_run(check_reversed);
}

// Two neighbours change places: nothing is lost, nothing is joined wrongly.
static void check_swapped(const struct recipe *recipe)
{
    for (size_t at = 0; at + 1 < cut.count && at < 6; at++) {
        forget();
        for (size_t i = 0; i < cut.count; i++)
            receive(&segments[i == at ? at + 1 : (i == at + 1 ? at : i)]);
        finish();
        assert_int_equal(n_bad, 0);
        // before them, the later one, the earlier one, and what is behind
        bool is_more = at + 2 < cut.count;
        assert_int_equal(n_outs, (at > 0) + 2 + is_more);
        size_t n = 0;
        if (at > 0)
            check_out(&outs[n++], recipe, 0, at);
        check_out(&outs[n++], recipe, at + 1, 1);
        check_out(&outs[n++], recipe, at, 1);
        if (is_more)
            check_out(&outs[n], recipe, at + 2, cut.count - at - 2);
    }
}

static void neighbours_that_change_places(void **state)
{
    (void)state;
    for_each_run(check_swapped);
}

// The replay window lets no double pass; one would not join, all the same.
static void doubles_do_not_join(void **state)
{
    (void)state;
    struct recipe recipe = recipes[0];
    recipe.payload_len = 5000;
    make_run(&recipe, 1000, 1000, 1);
    for (uint8_t doubled = 0; doubled < cut.count; doubled++) {
        forget();
        for (uint8_t i = 0; i < cut.count; i++) {
            receive(&segments[i]);
            if (i != doubled)
                continue;
            receive(&segments[i]);
            assert_int_equal(verdict, REJOIN_BEGINS);
        }
        finish();
        assert_int_equal(n_outs, 2);
        check_out(&outs[0], &recipe, 0, doubled + 1U);
        check_out(&outs[1], &recipe, doubled, cut.count - doubled);
    }
}

// ---- random rounds

// Super-frames cut at random, segments lost, doubled, out of place: what comes out is what a naive cut gives, each segment once at most
// (but for the doubles), in the order of arrival.
static void random_rounds(void **state)
{
    (void)state;
    enum { ROUNDS = 100000 };
    uint32_t seed = 777;
    size_t n_joined = 0, n_sent = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct recipe recipe = recipes[next_random(&seed) % N_OF(recipes)];
        uint16_t gso_size = (uint16_t)(1 + next_random(&seed) % 40);
        size_t size = recipe.protocol == IPPROTO_UDP ? gso_size : 1 + gso_size / 2 + next_random(&seed) % 40;
        recipe.payload_len = 1 + next_random(&seed) % 300;
        make_run(&recipe, gso_size, size, seed);
        forget();
        uint8_t order[2 * SEGMENTS_MAX];
        size_t n = 0;
        uint32_t trouble = next_random(&seed) % 8; // in one round of two there is none
        for (uint8_t i = 0; i < cut.count; i++)
            for (uint32_t k = trouble > 3 ? 1 : (next_random(&seed) % 8 + 6) / 7; k > 0; k--)
                order[n++] = i;
        for (size_t i = 1; i < n && trouble < 2; i++)
            if (next_random(&seed) % 8 == 0) {
                uint8_t kept = order[i];
                order[i] = order[i - 1];
                order[i - 1] = kept;
            }
        for (size_t i = 0; i < n; i++) {
            receive(&segments[order[i]]);
            n_joined += verdict == REJOIN_JOINED;
            if (n_outs > OUT_MAX - 2)
                break;
        }
        finish();
        assert_int_equal(n_bad, 0);
        for (size_t i = 0, at = 0; i < n_outs; at += outs[i++].n_segments)
            check_out(&outs[i], &recipe, order[at], outs[i].n_segments);
        if (trouble > 3)
            assert_int_equal(n_outs, 1);
        n_sent += n;
    }
    assert_true(n_joined > n_sent / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_split_comes_together),
        cmocka_unit_test(the_last_one_closes),
        cmocka_unit_test(runs_follow_each_other),
        cmocka_unit_test(what_arrives_in_parts_is_cut_all_the_same),
        cmocka_unit_test(pieces_come_out_one_by_one),
        cmocka_unit_test(a_gap_costs_its_segments_and_no_others),
        cmocka_unit_test(gaps_everywhere),
        cmocka_unit_test(backwards_each_is_its_own),
        cmocka_unit_test(neighbours_that_change_places),
        cmocka_unit_test(doubles_do_not_join),
        cmocka_unit_test(random_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
