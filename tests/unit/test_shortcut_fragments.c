// SPDX-License-Identifier: MIT
/*
 * The shortcut's reassembly: echo requests in fragments, in every order, overlapping, contradicting, too many, too late.
 */
#include "test_shortcut_frames.h"

static const int families[2] = {T_V4, T_V6};

static void put_piece(struct frame *frame, const struct ping *ping, size_t at, size_t len, bool has_more)
{
    static uint8_t header[8];
    struct ping piece = *ping;
    piece.piece_at = at;
    piece.piece_len = len;
    if (ping->family == T_V4) {
        piece.fragment_word = (unsigned)(at / 8) | (has_more ? 0x2000u : 0);
    } else {
        memset(header, 0, sizeof(header));
        header[0] = 58;
        put16(header + 2, (unsigned)at | has_more);
        put16(header + 6, ping->id);
        piece.options = header;
        piece.options_len = 8;
        piece.next_header = 44;
    }
    put_ping(frame, &piece);
}

static enum shortcut_verdict send_piece(struct bench *bench, const struct ping *ping, size_t at, size_t len, bool has_more)
{
    static struct frame frame;
    put_piece(&frame, ping, at, len, has_more);
    return bench_send(bench, &frame);
}

// Sends the whole request in pieces of `step` bytes; `order`: 0 forward, 1 backward, 2 odd ones first.
static size_t send_all(struct bench *bench, const struct ping *ping, size_t step, int order)
{
    size_t total = ping->size + 8;
    size_t n = (total + step - 1) / step;
    size_t n_answers = 0;
    for (size_t k = 0; k < n; k++) {
        size_t i = order == 0 ? k : order == 1 ? n - 1 - k : k < n / 2 ? 2 * k + 1 : 2 * (k - n / 2);
        size_t len = i == n - 1 ? total - i * step : step;
        assert_int_equal(send_piece(bench, ping, i * step, len, i != n - 1), SHORTCUT_TAKEN);
        if (k + 1 < n)
            assert_int_equal(bench->n_replies, 0);
        n_answers += bench->n_replies > 0;
    }
    return n_answers;
}

static void test_sizes_and_orders(void **state)
{
    (void)state;
    static const size_t sizes[] = {9, 100, 1473, 2000, 2953, 9000, 65000, 65507};
    static const size_t steps[] = {8, 16, 1280, 1432, 1480, 8952};
    struct bench *bench = bench_default();
    uint64_t n_frames = 0;
    for (size_t f = 0; f < 2; f++) {
        for (size_t i = 0; i < 8 * 6 * 3; i++) {
            struct ping ping = ping_of(families[f]);
            size_t step = steps[i / 8 % 6];
            ping.size = sizes[i % 8];
            ping.id = (unsigned)i;
            ping.n_tags = (int)(i % 3);
            if (step >= ping.size + 8 || ping.size / step > 500)
                continue;
            assert_int_equal(send_all(bench, &ping, step, (int)(i / 48)), 1);
            expect_echo(bench, &ping, 1500);
            n_frames += (ping.size + 8 + step - 1) / step;
            assert_int_equal(traffic_of(bench, COUNT_SHORTCUT_TAKEN), n_frames);
            assert_int_equal(n_settled(bench), n_frames);
            bench->now_ns += 100 * NS_PER_MS;
        }
    }
    bench_close(bench);
}

static void test_largest(void **state)
{
    (void)state;
    struct bench *bench = bench_default();
    struct ping ping = ping_of(T_V4);
    ping.size = 65507;
    assert_int_equal(send_all(bench, &ping, 1480, 0), 1);
    assert_int_equal(bench->n_replies, 45);
    ping = ping_of(T_V6);
    ping.size = 65527;
    assert_int_equal(send_all(bench, &ping, 1448, 0), 1);
    expect_echo(bench, &ping, 1500);
    // One byte more does not exist: the last fragment would end past 65535.
    ping = ping_of(T_V4);
    ping.size = 65508;
    ping.id = 2;
    send_all(bench, &ping, 1480, 0);
    assert_int_equal(bench->n_replies, 0);
    assert_int_equal(drops_of(bench, DROP_SHORTCUT_BAD), 1);
    bench_close(bench);
}

// Fragments go back no larger than they came (but for the least MTU that there is).
static void test_path(void **state)
{
    (void)state;
    struct bench *bench = bench_default();
    for (size_t f = 0; f < 2; f++) {
        struct ping ping = ping_of(families[f]);
        size_t headers = families[f] == T_V4 ? 20 : 48, least = families[f] == T_V4 ? 576 : 1280;
        ping.size = 5000;
        send_all(bench, &ping, 1304, 0);
        expect_echo(bench, &ping, 1304 + headers);
        assert_int_equal(bench->n_replies, 4);
        ping.id++;
        send_all(bench, &ping, 400, 0);
        expect_echo(bench, &ping, least);
        assert_int_equal(bench->n_replies, (5008 + least - headers - 1) / ((least - headers) / 8 * 8));
    }
    bench_close(bench);
}

static void test_contradictions(void **state)
{
    (void)state;
    const struct {
        size_t at, len;
        bool has_more;
        uint64_t n_lost; // frames that this one costs; 1 = only itself
    } rows[] = {
        {16, 32, true, 3},  // overlaps both
        {24, 16, true, 3},  // overlaps the second with other... the same bytes, but adds new ones
        {48, 16, false, 3}, // ends before what is there
        {0, 24, true, 1},   // the first again
        {8, 8, true, 1},    // a part of it again
        {48, 8, true, 1},   // a part of the second again
    };
    for (size_t f = 0; f < 2; f++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct bench *bench = bench_default();
            struct ping ping = ping_of(families[f]);
            ping.size = 120;
            send_piece(bench, &ping, 0, 24, true);
            send_piece(bench, &ping, 32, 64, true);
            assert_int_equal(n_settled(bench), 0);
            assert_int_equal(send_piece(bench, &ping, rows[i].at, rows[i].len, rows[i].has_more), SHORTCUT_TAKEN);
            assert_int_equal(drops_of(bench, DROP_SHORTCUT_FRAGMENT), rows[i].n_lost);
            send_piece(bench, &ping, 24, 8, true);
            send_piece(bench, &ping, 96, 32, false);
            assert_int_equal(bench->n_replies > 0, rows[i].n_lost == 1);
            assert_int_equal(n_settled(bench), 5);
            assert_int_equal(drops_of(bench, DROP_SHORTCUT_FRAGMENT), rows[i].n_lost == 1 ? 1 : 5);
            bench_close(bench);
        }
    }
}

static void test_different_bytes_and_ends(void **state)
{
    (void)state;
    static struct frame frame;
    for (size_t f = 0; f < 2; f++) {
        struct bench *bench = bench_default();
        struct ping ping = ping_of(families[f]);
        put_piece(&frame, &ping, 0, 24, true);
        bench_send(bench, &frame);
        frame.b[frame.len - 1] ^= 1; // the same place, other bytes
        bench_send(bench, &frame);
        assert_int_equal(drops_of(bench, DROP_SHORTCUT_FRAGMENT), 2);
        ping.id++; // two last fragments that end elsewhere
        send_piece(bench, &ping, 40, 24, false);
        send_piece(bench, &ping, 32, 8, false);
        assert_int_equal(drops_of(bench, DROP_SHORTCUT_FRAGMENT), 4);
        ping.id++; // more to come behind the last one
        send_piece(bench, &ping, 40, 24, false);
        send_piece(bench, &ping, 24, 40, true);
        assert_int_equal(drops_of(bench, DROP_SHORTCUT_FRAGMENT), 6);
        ping.id++; // lengths that no fragment has
        send_piece(bench, &ping, 0, 9, true);
        assert_int_equal(drops_of(bench, DROP_SHORTCUT_BAD), 1);
        put_piece(&frame, &ping, 8, 8, true);
        frame.len -= 8;
        uint8_t *ip = frame.b + 14;
        put16(ip + (families[f] == T_V4 ? 2 : 4), (unsigned)(frame.len - 14 - (families[f] == T_V4 ? 0 : 40)));
        put16(ip + 10, families[f] == T_V4 ? 0 : get16(ip + 10));
        if (families[f] == T_V4)
            put16(ip + 10, ~naive_sum(0, ip, 20) & 0xffff);
        bench_send(bench, &frame);
        assert_int_equal(drops_of(bench, DROP_SHORTCUT_BAD), 2);
        assert_int_equal(n_settled(bench), 8);
        bench_close(bench);
    }
}

static void test_timeout_and_eviction(void **state)
{
    (void)state;
    struct bench *bench = bench_default();
    struct ping a = ping_of(T_V4), b = a, c = ping_of(T_V6);
    b.id++;
    send_piece(bench, &a, 0, 24, true);
    uint64_t due_ns = bench->now_ns + 5 * NS_PER_S;
    assert_int_equal(shortcut_tick(bench->shortcut, bench->now_ns), due_ns);
    bench->now_ns += NS_PER_S;
    send_piece(bench, &b, 0, 24, true);
    bench->now_ns = due_ns - 1;
    shortcut_tick(bench->shortcut, bench->now_ns);
    assert_int_equal(n_settled(bench), 0);
    assert_int_equal(shortcut_tick(bench->shortcut, due_ns), due_ns + NS_PER_S);
    assert_int_equal(drops_of(bench, DROP_SHORTCUT_FRAGMENT), 1);
    bench->now_ns = due_ns;
    send_piece(bench, &a, 24, 40, false); // too late: the beginning of a new packet
    assert_int_equal(bench->n_replies, 0);
    send_piece(bench, &c, 0, 24, true); // the third: the oldest must go
    assert_int_equal(drops_of(bench, DROP_SHORTCUT_FRAGMENT), 2);
    send_piece(bench, &a, 0, 24, true);
    assert_int_equal(bench->n_replies, 1);
    send_piece(bench, &c, 24, 40, false);
    assert_int_equal(bench->n_replies, 1);
    expect_echo(bench, &c, 1500);
    assert_int_equal(shortcut_tick(bench->shortcut, bench->now_ns), 0);
    assert_int_equal(n_settled(bench), 6);
    bench_close(bench);
}

static void test_keys(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        struct ping first = ping_of(families[f]);
        for (int i = 0; i < 5; i++) {
            struct bench *bench = bench_default();
            struct ping second = first;
            if (i == 0)
                second.id++;
            if (i == 1)
                second.src = families[f] == T_V4 ? other_v4 : other_v6;
            if (i == 2)
                second.dst = families[f] == T_V4 ? own_v4b : own_ll;
            if (i == 3)
                second.n_tags = 1;
            if (i == 4)
                second.src_mac = other_mac;
            send_piece(bench, &first, 0, 24, true);
            send_piece(bench, &second, 24, 40, false);
            assert_int_equal(bench->n_replies, 0);
            bench_close(bench);
        }
    }
}

static void test_bad_whole_and_silence(void **state)
{
    (void)state;
    static struct frame frame;
    struct shortcut_config config = default_config();
    config.answer = SHORTCUT_ANSWER_PEER_UP;
    for (size_t f = 0; f < 2; f++) {
        struct bench *bench = bench_open(&config, SHORTCUT_PEER);
        struct ping ping = ping_of(families[f]);
        send_piece(bench, &ping, 0, 24, true);
        put_piece(&frame, &ping, 24, 40, false);
        frame.b[frame.len - 1] ^= 1;
        bench_send(bench, &frame);
        assert_int_equal(drops_of(bench, DROP_SHORTCUT_BAD), 2);
        ping.type = 3;
        ping.id++;
        send_all(bench, &ping, 24, 0);
        assert_int_equal(drops_of(bench, DROP_SHORTCUT_UNWANTED), 3);
        assert_int_equal(traffic_of(bench, COUNT_SHORTCUT_SENT), 0);
        bench_close(bench);
        bench = bench_open(&config, SHORTCUT_TAP);
        bench->is_peer_up = false;
        expect_taken(bench, &frame, DROP_SHORTCUT_SILENT, 0);
        bench_close(bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_and_orders),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_different_bytes_and_ends),
        cmocka_unit_test(test_timeout_and_eviction),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_bad_whole_and_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
