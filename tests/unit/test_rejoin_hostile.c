// SPDX-License-Identifier: MIT
/*
 * test_rejoin_hostile: segments of other runs and such as contradict their run in any byte, and all else that a peer may send that is
 * authenticated and no more than that.
 */
#include <stdlib.h>

#include "test_rejoin_runs.h"

// ---- what is of no run, or of another

static void start_run(const struct recipe *recipe)
{
    struct recipe long_one = *recipe;

    long_one.payload_len = 6000;
    make_run(&long_one, 1000, 1000, 1);
    forget();
    receive(&segments[0]);
    receive(&segments[1]);
    assert_int_equal(verdict, REJOIN_JOINED);
}

static void other_runs_begin_anew(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(recipes); i++)
        for (int change = 0; change < 6; change++) {
            start_run(&recipes[i]);
            struct segment segment = segments[2];
            segment.receiver_index += change == 0;
            segment.counter += change == 1;
            segment.counter -= change == 2;
            segment.outer_ecn = change == 3 ? 3 : 0; // a mark is for the packets that got it
            segment.index = change == 4 ? 3 : 2;     // of a run that began one counter earlier
            if (change == 5)
                segment.counter++, segment.index++; // the one in between is missing
            assert_int_equal(rejoin_add(&run, &segment), REJOIN_BEGINS);
            assert_true(run.is_open); // and nothing has changed
            assert_int_equal(run.payload_len, 2000);
            assert_int_equal(rejoin_add(&run, &segments[2]), REJOIN_JOINED);
        }
    forget();
    assert_int_equal(rejoin_add(&run, &segments[0]), REJOIN_BEGINS); // there is none
}

// The mark of the datagrams is that of the run: the next one joins with the same, and with no other.
static void runs_have_one_mark(void **state)
{
    (void)state;
    for (uint8_t first = 0; first < 4; first++)
        for (uint8_t next = 0; next < 4; next++) {
            start_run(&recipes[first % N_OF(recipes)]);
            for (size_t i = 0; i < 2; i++)
                segments[i].outer_ecn = i ? next : first;
            assert_true(rejoin_begin(&run, &segments[0]));
            assert_int_equal(run.outer_ecn, first);
            assert_int_equal(rejoin_add(&run, &segments[1]), first == next ? REJOIN_JOINED : REJOIN_BEGINS);
            assert_int_equal(run.outer_ecn, first);
        }
}

// The first segment of the next run, with `size` bytes of payload in each of the first one's two.
static struct segment start_next(const struct recipe *recipe, size_t size)
{
    struct recipe long_one = *recipe;

    long_one.payload_len = 6000;
    if (recipe->flags)
        long_one.flags = recipe->flags & (uint8_t) ~(TCP_FIN | TCP_PSH | TCP_CWR);
    make_run(&long_one, 1000, size, 1);
    forget();
    cut_run_of(0, size, 2000 / size, FIRST);
    for (uint8_t i = 0; i < cut.count; i++)
        receive(&segments[i]);
    assert_true(run.is_open);
    cut_run_of(2000, size, 2000 / size, FIRST + cut.count);
    return segments[0];
}

// It goes on there, and nowhere else: whatever else comes begins anew, and changes nothing.
static void the_next_run_must_be_the_next(void **state)
{
    (void)state;
    for (size_t r = 0; r < N_OF(recipes); r++)
        for (int change = 0; change < 14; change++) {
            bool is_tcp = recipes[r].protocol == IPPROTO_TCP;
            size_t size = change == 13 && is_tcp ? 500 : 1000;
            struct segment segment = start_next(&recipes[r], size);
            uint8_t *ip = headers[0] + packet.l3, *l4 = headers[0] + packet.l4;
            bool is_next = change == 0 || change == 13;
            segment.receiver_index += change == 1;
            segment.counter += change == 2;
            segment.counter -= change == 3;
            segment.gso_size = change == 4 ? 1001 : 1000;
            segment.outer_ecn = change == 5 ? 3 : 0;
            if (change == 6) {
                segment.index = 1; // of the run in which the first one is missing
                segment.counter++;
            } else if (change == 7 && is_tcp) {
                put32(l4 + 4, get32(l4 + 4) + 1);
            } else if (change == 8 && is_tcp) {
                l4[13] |= TCP_CWR; // something new begins
            } else if (change == 9 && recipes[r].version == 4) {
                put16(ip + 4, get16(ip + 4) + 1U);
            } else if (change == 10) {
                ip[1] ^= 0x10; // another traffic class or flow
            } else if (change == 11) {
                segment.payload_len = 1001;
            } else if (change == 12) {
                run.is_complete = true; // the last one was shorter …
                run.payload_len--;
            } else if (!is_next && change > 6) {
                continue;
            }
            const struct run before = run;
            assert_int_equal(rejoin_add(&run, &segment), is_next ? REJOIN_JOINED : REJOIN_BEGINS);
            if (!is_next)
                assert_memory_equal(&run, &before, sizeof run);
            assert_int_equal(run.first_counter, is_next ? segment.counter : FIRST);
        }
}

// In the middle of a piece nothing goes on, however well it fits.
static void a_run_ends_at_a_whole_piece(void **state)
{
    (void)state;
    for (size_t r = 0; r < 4; r++)
        for (uint8_t n = 1; n < 6; n++) {
            (void)start_next(&recipes[r], 500);
            cut_run_of(0, 500, 12, FIRST);
            forget();
            for (uint8_t i = 0; i < n; i++)
                receive(&segments[i]);
            segments[n].index = 0; // its counter, sequence number and ID are those of the next one
            assert_int_equal(rejoin_add(&run, &segments[n]), n % 2 ? REJOIN_BEGINS : REJOIN_JOINED);
        }
}

// Behind FIN and PSH nothing goes on.
static void no_run_goes_on_behind_the_last(void **state)
{
    (void)state;
    for (size_t r = 0; r < 4; r++)
        for (uint8_t flag = 1; flag <= 8; flag = (uint8_t)(flag * 8)) {
            struct segment segment = start_next(&recipes[r], 1000);
            run.headers[packet.l4 + 13] |= flag; // of the last segment that joined
            run.is_complete = true;
            assert_false(rejoin_may_go_on(&run));
            assert_int_equal(rejoin_add(&run, &segment), REJOIN_BEGINS);
        }
}

// Runs of tiny segments, one behind the other, as nobody but a hostile peer sends them: each of them counts.
static void many_tiny_segments_are_counted(void **state)
{
    (void)state;
    struct recipe recipe = recipes[3];
    size_t n = 0;
    recipe.payload_len = 60 * 20;
    make_run(&recipe, 60, 1, 1);
    forget();
    uint64_t counter = FIRST;
    for (size_t at = 0; at < recipe.payload_len; at += cut.len) {
        cut_run_of(at, 1, SEGMENTS_MAX, counter);
        counter += cut.count;
        for (uint8_t i = 0; i < cut.count; i++, n++) {
            receive(&segments[i]);
            assert_int_equal(n_outs, 0);
            assert_int_equal(run.payload_len, n + 1);
            assert_int_equal(run.n_segments, n + 1);
        }
    }
}

static void a_contradiction_is_bad(void **state)
{
    (void)state;
    static const uint16_t sizes[] = {1, 999, 1001, 2000, 65535};
    for (size_t i = 0; i < N_OF(recipes); i++)
        for (size_t s = 0; s < N_OF(sizes); s++) {
            start_run(&recipes[i]);
            segments[2].gso_size = sizes[s];
            receive(&segments[2]);
            assert_int_equal(verdict, REJOIN_BAD);
            for (uint8_t k = 3; k < cut.count; k++)
                receive(&segments[k]);
            finish();
            assert_int_equal(n_bad, 3); // and those that had joined
            assert_int_equal(n_outs, 1);
            struct recipe recipe = recipes[i];
            recipe.payload_len = 6000;
            check_out(&outs[0], &recipe, 3, cut.count - 3U);
        }
}

// What may differ in the headers of two neighbours: bits of byte `i`.
static uint8_t free_bits(const struct recipe *recipe, size_t i)
{
    size_t ip = i - packet.l3, l4 = i - packet.l4;

    if (recipe->version == 4 && i >= packet.l3 && (ip == 2 || ip == 3 || ip == 4 || ip == 5 || ip == 10 || ip == 11))
        return 0xff; // length, ID, header checksum
    if (recipe->version == 6 && i >= packet.l3 && (ip == 4 || ip == 5))
        return 0xff; // length
    if (i >= packet.l4 && (l4 == l4_checksum_at(recipe) || l4 == l4_checksum_at(recipe) + 1))
        return 0xff;
    if (recipe->protocol == IPPROTO_UDP && i >= packet.l4 && (l4 == 4 || l4 == 5))
        return 0xff; // length
    if (recipe->protocol == IPPROTO_TCP && i >= packet.l4 && l4 == 13)
        return TCP_FIN | TCP_PSH;
    return 0;
}

static void a_bit_that_differs_is_bad(void **state)
{
    (void)state;
    for (size_t r = 0; r < N_OF(recipes); r++) {
        struct recipe recipe = recipes[r];
        start_run(&recipe);
        const struct run before = run;
        for (size_t bit = 0; bit < 8 * packet.payload; bit++) {
            uint8_t mask = (uint8_t)(1U << bit % 8), *byte = &headers[2][bit / 8];
            bool is_free = (free_bits(&recipe, bit / 8) & mask) != 0;
            run = before;
            *byte ^= mask;
            if (rejoin_add(&run, &segments[2]) != (is_free ? REJOIN_JOINED : REJOIN_BAD))
                fail_msg("recipe %zu: bit %zu of byte %zu", r, bit % 8, bit / 8);
            if (!is_free)
                assert_memory_equal(&run, &before, sizeof run); // a bad one leaves no trace
            *byte ^= mask;
        }
    }
}

static void other_lengths_of_headers_are_bad(void **state)
{
    (void)state;
    for (size_t r = 0; r < N_OF(recipes); r++) {
        start_run(&recipes[r]);
        uint8_t right = segments[2].headers_len;
        for (unsigned len = 0; len <= 255; len++) {
            if (len == right)
                continue;
            segments[2].headers_len = (uint8_t)len;
            uint8_t *exact = malloc(len + 1U); // ASan sees a byte too far
            assert_non_null(exact);
            memset(exact, 0, len);
            memcpy(exact, headers[2], len < right ? len : right);
            segments[2].headers = exact;
            assert_int_equal(rejoin_add(&run, &segments[2]), REJOIN_BAD);
            free(exact);
        }
    }
}

// The next in the stream of bytes, not only the next counter.
static void a_sequence_number_that_does_not_follow_is_bad(void **state)
{
    (void)state;
    static const uint32_t jumps[] = {1, UINT32_MAX, 1000, 0x80000000, (uint32_t)-1000};
    for (size_t r = 0; r < 4; r++)
        for (size_t j = 0; j < N_OF(jumps); j++) {
            start_run(&recipes[r]);
            put32(headers[2] + packet.l4 + 4, get32(headers[2] + packet.l4 + 4) + jumps[j]);
            assert_int_equal(rejoin_add(&run, &segments[2]), REJOIN_BAD);
        }
}

static void cwr_is_the_first_ones_alone(void **state)
{
    (void)state;
    for (size_t r = 0; r < 4; r++) {
        start_run(&recipes[r]);
        headers[2][packet.l4 + 13] |= TCP_CWR;
        assert_int_equal(rejoin_add(&run, &segments[2]), REJOIN_BAD);
    }
}

// FIN and PSH are the last one's; whatever comes behind begins a new run, even when it says that it is the next.
static void nothing_joins_behind_the_last(void **state)
{
    (void)state;
    static const uint8_t flags[] = {TCP_FIN, TCP_PSH, TCP_FIN | TCP_PSH};
    for (size_t r = 0; r < 4; r++)
        for (size_t f = 0; f < N_OF(flags); f++)
            for (size_t last = 0; last < 4; last++) {
                struct recipe recipe = recipes[r];
                recipe.payload_len = 6000;
                make_run(&recipe, 1000, 1000, 1);
                forget();
                headers[last][packet.l4 + 13] |= flags[f];
                for (size_t i = 0; i <= last; i++)
                    receive(&segments[i]);
                assert_int_equal(n_outs, 1); // finished at once
                assert_int_equal(outs[0].bytes[packet.l4 + 13] & (TCP_FIN | TCP_PSH), flags[f]);
                receive(&segments[last + 1]);
                assert_int_equal(verdict, REJOIN_BEGINS);
                assert_int_equal(run.n_segments, 1);
            }
    // Nor while the run is still open.
    for (size_t r = 0; r < N_OF(recipes); r++) {
        start_run(&recipes[r]);
        run.is_complete = true;
        assert_int_equal(rejoin_add(&run, &segments[2]), REJOIN_BEGINS);
        assert_int_equal(run.n_segments, 2);
    }
    // A shorter one is a last one, too; a longer one can't be of the run.
    for (size_t r = 0; r < N_OF(recipes); r++) {
        start_run(&recipes[r]);
        segments[2].payload_len = 999;
        receive(&segments[2]);
        assert_int_equal(n_outs, 1);
        assert_int_equal(outs[0].len, packet.payload + 2999);
        start_run(&recipes[r]);
        segments[2].payload_len = 1001;
        assert_int_equal(rejoin_add(&run, &segments[2]), REJOIN_BEGINS);
    }
}

// ---- hostile: authenticated, and nothing more

static struct segment hostile(const struct recipe *recipe, uint16_t payload_len, uint16_t gso_size, uint8_t index)
{
    struct recipe one = *recipe;

    one.payload_len = payload_len;
    make_packet(&packet, &one, 1);
    memcpy(headers[0], packet.b, packet.payload < SEGMENT_HEADERS_MAX ? packet.payload : SEGMENT_HEADERS_MAX);
    return (struct segment){.receiver_index = INDEX,
                            .counter = FIRST + index,
                            .index = index,
                            .gso_size = gso_size,
                            .payload_len = payload_len,
                            .headers_len = (uint8_t)packet.payload,
                            .headers = headers[0]};
}

// Headers must be a whole TCP or UDP packet's of exactly that length.
static void begins_with_headers_only(void **state)
{
    (void)state;
    for (size_t r = 0; r < N_OF(recipes); r++) {
        struct segment segment = hostile(&recipes[r], 500, 500, 0);
        assert_true(rejoin_begin(&run, &segment));
        for (int delta = -60; delta <= 60; delta++) {
            segment = hostile(&recipes[r], 500, 500, 0);
            segment.payload_len = (uint16_t)(segment.payload_len + delta);
            assert_int_equal(rejoin_begin(&run, &segment), delta == 0);
            assert_int_equal(run.is_open, delta == 0);
        }
        for (unsigned len = 0; len <= 255; len++) {
            segment = hostile(&recipes[r], 500, 500, 0);
            uint8_t right = segment.headers_len, *exact = malloc(len + 1U);
            assert_non_null(exact);
            memset(exact, 0, len);
            memcpy(exact, headers[0], len < right ? len : right);
            segment.headers_len = (uint8_t)len;
            segment.headers = exact;
            assert_int_equal(rejoin_begin(&run, &segment), len == right);
            assert_int_equal(run.is_open, len == right);
            free(exact);
        }
        // Fragments, other protocols, other EtherTypes.
        segment = hostile(&recipes[r], 500, 500, 0);
        headers[0][packet.l3 + (recipes[r].version == 4 ? 9 : 6)] = IPPROTO_ICMP;
        assert_false(rejoin_begin(&run, &segment));
        segment = hostile(&recipes[r], 500, 500, 0);
        headers[0][packet.l3 - 1] ^= 1;
        assert_false(rejoin_begin(&run, &segment));
        segment = hostile(&recipes[r], 500, 500, 0);
        headers[0][packet.l3 + 6] ^= 0x20; // more fragments; or another next header
        assert_false(rejoin_begin(&run, &segment));
    }
}

// A run of the largest segments there are ends before the packet would be longer than its length field can say.
static void ends_at_64_kib(void **state)
{
    (void)state;
    static const uint16_t lens[] = {1041, 1448, 8948, 20000, 32700, 65000};
    for (size_t r = 0; r < N_OF(recipes); r++)
        for (size_t i = 0; i < N_OF(lens); i++) {
            struct recipe recipe = recipes[r];
            recipe.flags = TCP_ACK;
            struct segment segment = hostile(&recipe, lens[i], lens[i], 0);
            assert_true(rejoin_begin(&run, &segment));
            size_t l3_headers_len = packet.payload - packet.l3, most = (IP_PACKET_MAX - l3_headers_len) / lens[i], n = 1;
            for (; n < SEGMENTS_MAX; n++) {
                segment.index = (uint8_t)n;
                segment.counter = FIRST + n;
                put32(headers[0] + packet.l4 + 4, get32(headers[0] + packet.l4 + 4) + (recipe.protocol == IPPROTO_TCP ? lens[i] : 0));
                if (rejoin_add(&run, &segment) != REJOIN_JOINED)
                    break;
            }
            assert_int_equal(n, most < SEGMENTS_MAX ? most : SEGMENTS_MAX);
            assert_int_equal(run.payload_len, n * lens[i]);
            struct rejoined whole;
            rejoin_finish(&run, &whole);
            assert_int_equal(get16(whole.headers + packet.l3 + (recipe.version == 4 ? 2 : 4)),
                             n * lens[i] + l3_headers_len - (recipe.version == 4 ? 0 : 40));
        }
}

// The last byte of 64 KiB, by a last segment that just fits and one that does not.
static void fills_64_kib_to_the_last_byte(void **state)
{
    (void)state;
    for (int too_many = 0; too_many < 2; too_many++) {
        struct recipe recipe = {.version = 4, .protocol = IPPROTO_TCP};
        struct segment segment = hostile(&recipe, 32000, 32000, 0);
        assert_true(rejoin_begin(&run, &segment));
        for (uint8_t n = 1; n < 3; n++) {
            segment.index = n;
            segment.counter = FIRST + n;
            segment.payload_len = (uint16_t)(n == 1 ? 32000 : IP_PACKET_MAX - 40 - 64000 + too_many);
            put32(headers[0] + packet.l4 + 4, n * 32000U);
            assert_int_equal(rejoin_add(&run, &segment), n == 2 && too_many ? REJOIN_FULL : REJOIN_JOINED);
        }
        assert_int_equal(run.payload_len, too_many ? 64000 : IP_PACKET_MAX - 40);
        struct rejoined whole;
        rejoin_finish(&run, &whole);
        assert_int_equal(get16(whole.headers + 16), too_many ? 64040 : 65535);
    }
}

// A place in the run that its counter has no room for: rx drops it before; here it joins nothing that is older.
static void an_index_beyond_the_counter_joins_nothing(void **state)
{
    (void)state;
    struct segment segment = hostile(&recipes[4], 100, 100, 0);
    segment.counter = 0;
    assert_true(rejoin_begin(&run, &segment));
    for (uint8_t index = 2; index <= 62; index++) {
        segment.index = index;
        segment.counter = 1;
        assert_int_equal(rejoin_add(&run, &segment), REJOIN_BEGINS);
    }
    segment.index = 62;
    assert_true(rejoin_begin(&run, &segment)); // counters around the end of all numbers do no harm
    assert_true(run.is_complete);
    struct rejoined whole;
    rejoin_finish(&run, &whole);
}

// A datagram of UDP that is shorter than gso_size is a last one, from the first on.
static void a_short_datagram_is_the_last(void **state)
{
    (void)state;
    for (uint16_t len = 1; len <= 100; len++) {
        struct segment segment = hostile(&recipes[4], len, 100, 3);
        assert_true(rejoin_begin(&run, &segment));
        assert_int_equal(run.is_complete, len < 100);
        struct rejoined whole;
        rejoin_finish(&run, &whole);
        assert_int_equal(whole.offload.kind, SUPER_NONE);
    }
}

static void check_rejoined(const struct rejoined *whole)
{
    size_t len = whole->packet.payload_offset + whole->payload_len;
    struct frame_view frame;
    struct packet_view again;

    assert_true(offload_is_valid(&whole->offload, len));
    assert_int_equal(whole->packet.l4_len + whole->packet.l4_offset, len);
    assert_true(len - whole->packet.l3_offset <= IP_PACKET_MAX);
    assert_true(whole->payload_len <= (size_t)SEGMENTS_MAX * whole->gso_size);
    assert_true(whole->n_segments >= 1);
    assert_true(frame_parse(&frame, whole->headers, whole->packet.payload_offset) && packet_parse(&again, &frame));
    assert_memory_equal(&again, &whole->packet, sizeof again);
}

// Bytes of a peer gone mad: whatever is in the headers and numbers, what comes out is a frame that is true to itself.
static void random_bytes_do_no_harm(void **state)
{
    (void)state;
    enum { ROUNDS = 100000 };
    uint32_t seed = 4242;
    size_t n_begun = 0, n_joined = 0;
    forget();
    for (int round = 0; round < ROUNDS; round++) {
        if (round % 64 == 0) {
            struct recipe recipe = recipes[next_random(&seed) % N_OF(recipes)];
            recipe.payload_len = 100 + next_random(&seed) % 3000;
            make_run(&recipe, (uint16_t)(50 + next_random(&seed) % 100), 150, seed);
        }
        struct segment segment = segments[next_random(&seed) % 4 ? (unsigned)round % cut.count : next_random(&seed) % cut.count];
        segment.counter += (uint64_t)round / 64 * 100; // no counter comes twice
        uint8_t mad[SEGMENT_HEADERS_MAX];
        memcpy(mad, segment.headers, segment.headers_len);
        if (next_random(&seed) % 8 == 0)
            mad[next_random(&seed) % segment.headers_len] ^= (uint8_t)next_random(&seed);
        if (next_random(&seed) % 32 == 0)
            segment.gso_size = (uint16_t)(1 + next_random(&seed) % 65535);
        if (next_random(&seed) % 32 == 0)
            segment.payload_len = (uint16_t)(1 + next_random(&seed) % segment.gso_size);
        if (next_random(&seed) % 32 == 0)
            segment.headers_len = (uint8_t)(next_random(&seed) % (segment.headers_len + 1U));
        if (next_random(&seed) % 32 == 0)
            segment.outer_ecn = (uint8_t)(next_random(&seed) % 4);
        uint8_t *exact = malloc(segment.headers_len + 1U);
        assert_non_null(exact);
        memcpy(exact, mad, segment.headers_len);
        segment.headers = exact;
        struct rejoined whole;
        verdict = rejoin_add(&run, &segment);
        n_joined += verdict == REJOIN_JOINED;
        if (verdict == REJOIN_BEGINS) {
            if (run.is_open) {
                rejoin_finish(&run, &whole);
                check_rejoined(&whole);
            }
            n_begun += rejoin_begin(&run, &segment);
        } else if (verdict == REJOIN_BAD && next_random(&seed) % 2) {
            run.is_open = false;
        }
        if (run.is_open && next_random(&seed) % 16 == 0 && rejoin_take_whole(&run, &whole)) {
            check_rejoined(&whole);
            assert_int_equal(whole.payload_len % whole.gso_size, 0);
            assert_true(run.payload_len < whole.gso_size || !run.is_open);
        }
        free(exact);
        assert_true(run.payload_len <= IP_PACKET_MAX);
        assert_true(!run.is_open || run.n_segments >= 1);
    }
    assert_true(n_begun > 10000 && n_joined > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_runs_begin_anew),
        cmocka_unit_test(runs_have_one_mark),
        cmocka_unit_test(the_next_run_must_be_the_next),
        cmocka_unit_test(a_run_ends_at_a_whole_piece),
        cmocka_unit_test(no_run_goes_on_behind_the_last),
        cmocka_unit_test(many_tiny_segments_are_counted),
        cmocka_unit_test(a_contradiction_is_bad),
        cmocka_unit_test(a_bit_that_differs_is_bad),
        cmocka_unit_test(other_lengths_of_headers_are_bad),
        cmocka_unit_test(a_sequence_number_that_does_not_follow_is_bad),
        cmocka_unit_test(cwr_is_the_first_ones_alone),
        cmocka_unit_test(nothing_joins_behind_the_last),
        cmocka_unit_test(begins_with_headers_only),
        cmocka_unit_test(ends_at_64_kib),
        cmocka_unit_test(fills_64_kib_to_the_last_byte),
        cmocka_unit_test(an_index_beyond_the_counter_joins_nothing),
        cmocka_unit_test(a_short_datagram_is_the_last),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
