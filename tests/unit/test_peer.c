// SPDX-License-Identifier: MIT
/*
 * peer, from nothing to a session: the steps of a handshake and their order, messages that come twice, late, damaged or from a clock
 * that went back, wrong keys, the choice of the cipher, cookies, and a keystore that is full.
 */
#include "test_peer_wire.h"

/* ---- handshake ---- */

// Each step happens when the table in peer.h says so, and not before.
static void check_steps(struct wire *wire)
{
    struct end *a = &wire->a, *b = &wire->b;

    a->is_rx_slow = b->is_rx_slow = true;
    assert_int_equal(peer_state(&a->peer), PEER_DOWN);
    tick(a);
    assert_int_equal(peer_state(&a->peer), PEER_HANDSHAKING);
    assert_true(endpoint_equal(&a->outbox[0].to, &b->at));

    pass(a);
    assert_int_equal(b->n_out, 0); // the response is held back until rx has the key
    assert_true(b->peer.arriving.is_used);
    report(b);
    assert_true(b->peer.next.is_used && !b->peer.current.is_used && !b->peer.arriving.is_used);
    assert_true(endpoint_equal(&b->outbox[0].to, &a->at));
    tick(b);
    assert_null(b->send); // unconfirmed: nothing is sent under it, and its endpoint is not taken
    assert_false(b->peer.has_endpoint);
    assert_int_equal(peer_state(&b->peer), PEER_DOWN);

    pass(b);
    assert_true(a->peer.arriving.is_used && !a->peer.current.is_used);
    assert_null(a->send);
    assert_int_equal(a->n_acts[PEER_ACT_CAME_UP], 0);
    report(a);
    assert_true(a->peer.current.is_used && !a->peer.arriving.is_used);
    assert_non_null(a->send);
    assert_int_equal(a->n_acts[PEER_ACT_CAME_UP], 1);
    assert_int_equal(a->control.type, RECORD_ECHO); // it says something at once, so that the responder may
    assert_int_equal(peer_state(&a->peer), PEER_UP);

    talk(a);
    assert_true(b->peer.current.is_used && !b->peer.next.is_used);
    assert_int_equal(b->n_acts[PEER_ACT_CAME_UP], 1);
    assert_int_equal(b->n_acts[PEER_ACT_SET_ENDPOINT], 1);
    assert_true(endpoint_equal(&b->peer.endpoint, &a->at));
    assert_int_equal(peer_state(&b->peer), PEER_UP);
    assert_int_equal(b->peer.reason, PEER_REASON_UP);
    talk(b);
    check_keypairs_agree(wire);
    check_places(a);
    check_places(b);
}

static void test_steps(void **state)
{
    struct wire *wire = *state;

    check_steps(wire);
    init_wire(wire, true);
    check_steps(wire);
    init_wire(wire, false);
    handshake(&wire->a);
}

// A node refuses what it has sealed itself, even where the index is made to fit.
static void test_reflection(void **state)
{
    struct wire *wire = *state;

    handshake(&wire->a);
    struct data data = seal(&wire->a);
    assert_int_equal(open_from(&wire->a, data, &wire->b.at), DROP_UNKNOWN_INDEX);
    store_le32(data.bytes + 4, wire->a.peer.current.local_index);
    assert_int_equal(open_from(&wire->a, data, &wire->b.at), DROP_AUTH_FAILED);
}

// Reports about keypairs that are gone, or never were, are ignored.
static void test_unknown_reports(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a, *b = &wire->b;
    struct peer_acts acts = {0};

    handshake(a);
    remember(a);
    const uint32_t indices[] = {0, 1, a->peer.current.remote_index, a->peer.current.local_index + 1};
    struct peer_input input = input_of(a);
    for (size_t i = 0; i < sizeof indices / sizeof *indices; i++) {
        peer_recv_installed(&a->peer, indices[i], &input, &acts);
        peer_confirmed(&a->peer, indices[i], &b->at, &input, &acts);
        peer_goodbye_received(&a->peer, indices[i], &input, &acts);
    }
    peer_recv_installed(&a->peer, a->peer.current.local_index, &input, &acts); // it is there already
    assert_int_equal(acts.n, 0);
    check_unchanged(a);
}

// A second initiation arrives while rx is still busy with the first one's key.
static void test_overtaken(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a, *b = &wire->b;

    b->is_rx_slow = true;
    tick(a);
    pass(a);
    uint32_t first = b->peer.arriving.local_index;
    advance(wire, 6 * S);
    tick(a);
    pass(a);
    assert_int_not_equal(b->peer.arriving.local_index, first);
    assert_int_equal(count_recv(b), 1);
    assert_int_equal(b->n_installed, 2);
    report(b); // the first report is of a key that is gone
    assert_int_equal(b->n_out, 1);
    b->is_rx_slow = false;
    pass(b);
    talk_both(wire);
    check_keypairs_agree(wire);
}

static void test_unexpected_responses(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a, *b = &wire->b;

    tick(a);
    pass(a);
    struct datagram old = take(b);
    advance(wire, 6 * S);
    tick(a);
    remember(a);
    assert_int_equal(deliver(a, &old), DROP_HANDSHAKE_UNEXPECTED); // to an initiation that was given up
    check_unchanged(a);
    pass(a);
    struct datagram response = take(b);
    assert_int_equal(deliver(a, &response), DROP_COUNT);
    remember(a);
    assert_int_equal(deliver(a, &response), DROP_HANDSHAKE_UNEXPECTED); // a second time
    assert_int_equal(deliver(a, &old), DROP_HANDSHAKE_UNEXPECTED);
    check_unchanged(a);
    assert_int_equal(deliver_from(a, response, &b->at), DROP_HANDSHAKE_UNEXPECTED);
    talk_both(wire);
}

static enum drop_reason receive_response(struct end *end, struct datagram datagram)
{
    struct peer_acts acts = {0};
    struct peer_input input = input_of(end);
    struct response_msg msg;

    response_decode(datagram.bytes, &msg);
    enum drop_reason verdict = peer_response_received(&end->peer, &msg, &input, &acts);
    execute(end, &acts);
    return verdict;
}

static void test_flipped_response(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a, *b = &wire->b;

    tick(a);
    pass(a);
    struct datagram response = take(b);
    remember(a);
    for (size_t bit = 8 * 8; bit < 8 * (WIRE_RESPONSE_LEN - 2 * MAC_LEN); bit++) { // receiver index and what noise protects
        struct datagram flipped = response;
        flipped.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        enum drop_reason expected = bit < 12 * 8 ? DROP_HANDSHAKE_UNEXPECTED : DROP_HANDSHAKE_FAILED;
        if (receive_response(a, flipped) != expected)
            fail_msg("bit %zu", bit);
        check_unchanged(a);
    }
    assert_int_equal(receive_response(a, response), DROP_COUNT);
    talk_both(wire);
}

/* ---- timestamps ---- */

static void test_timestamps_never_go_back(void **state)
{
    static const int64_t steps[] = {0, 0, 0, 1, 20 * 1000 * 1000, -(int64_t)HOUR, 0, 0, (int64_t)HOUR, (int64_t)HOUR, -1};
    struct wire *wire = *state;
    uint8_t last[WIRE_TIMESTAMP_LEN] = {0};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        wire->wall_ns += (uint64_t)steps[i];
        wire->now_ns += 6 * S;
        tick(&wire->a);
        pass(&wire->a); // accepted, so it was newer
        take(&wire->b);
        assert_true(memcmp(wire->b.peer.received_timestamp, last, sizeof last) > 0);
        memcpy(last, wire->b.peer.received_timestamp, sizeof last);
    }
}

static void test_replayed_initiation(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a, *b = &wire->b;

    tick(a);
    struct datagram old = take(a);
    assert_int_equal(deliver(b, &old), DROP_COUNT);
    take(b);
    remember(b);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(deliver(b, &old), DROP_HANDSHAKE_REPLAYED);
        check_unchanged(b);
        assert_int_equal(b->peer.clock_behind_ns, 0);
    }
    advance(wire, 10 * S);
    handshake(a);
    remember(b);
    struct endpoint elsewhere = endpoint_at(99, 99);
    assert_int_equal(deliver_from(b, old, &elsewhere), DROP_HANDSHAKE_REPLAYED); // from wherever it comes
    check_unchanged(b);
    assert_true(b->peer.clock_behind_ns >= 10 * S - 40 * MS && b->peer.clock_behind_ns <= 10 * S + 40 * MS);
    assert_int_equal(b->peer.reason, PEER_REASON_UP); // a replay says nothing about a peer that is there
    assert_int_equal(b->n_out, 0);
    talk_both(wire);
}

// The other end is restarted with a clock that is an hour behind.
static void test_clock_behind(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a, *b = &wire->b;

    handshake(a);
    advance(wire, LIFE);
    tick(b); // expired, and it calls itself
    take(b);
    tick(a);
    take(a);
    assert_int_equal(peer_state(&b->peer), PEER_HANDSHAKING);
    start_peer(a);
    wire->wall_ns = WALL - HOUR;
    set_addresses(a, &b->at.remote, 1);
    tick(a);
    struct datagram initiation = take(a);
    remember(b);
    assert_int_equal(deliver(b, &initiation), DROP_HANDSHAKE_REPLAYED);
    check_unchanged(b);
    assert_true(b->peer.clock_behind_ns >= HOUR - 40 * MS && b->peer.clock_behind_ns <= HOUR + 40 * MS);
    assert_int_equal(b->peer.reason, PEER_REASON_CLOCK);
    wire->now_ns += 6 * S; // the clock is set right
    wire->wall_ns = WALL + HOUR;
    tick(a);
    pass(a);
    assert_int_equal(b->peer.clock_behind_ns, 0);
    pass(b);
    talk_both(wire);
    assert_int_equal(b->peer.reason, PEER_REASON_UP);
}

struct tai {
    uint64_t wall_ns;
    const char *bytes;
    uint64_t back_ns;
};
static const struct tai tais[] = {
    {0, "400000000000000a00000000", 0},
    {1, "400000000000000a00000000", 0},
    {0xffffff, "400000000000000a00000000", 0},
    {0x1000000, "400000000000000a01000000", 0x1000000},
    {999999999, "400000000000000a3b000000", 0x3b000000},
    {S, "400000000000000b00000000", S},
    {WALL, "400000006553f10a00000000", WALL},
    {WALL + 123456789, "400000006553f10a07000000", WALL + 0x7000000},
    {UINT64_C(4294967296) * S, "400000010000000a00000000", UINT64_C(4294967296) * S},
    {UINT64_C(18446744073) * S, "400000044b82fa1300000000", UINT64_C(18446744073) * S}, // the last second that 64 bits of ns hold
};

static void test_tai64n(void **state)
{
    uint8_t bytes[WIRE_TIMESTAMP_LEN];
    char hex[2 * WIRE_TIMESTAMP_LEN + 1];

    (void)state;
    for (size_t i = 0; i < sizeof tais / sizeof *tais; i++) {
        tai64n_from_wall(bytes, tais[i].wall_ns);
        sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes);
        assert_string_equal(hex, tais[i].bytes);
        assert_true(tai64n_to_wall(bytes) == tais[i].back_ns);
    }
}

/* ---- who may, and how ---- */

static void test_wrong_psk(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a, *b = &wire->b;

    b->peer.config.psk[31] ^= 1;
    tick(a);
    pass(a); // message 1 does not depend on it
    struct datagram response = take(b);
    remember(a);
    assert_int_equal(deliver(a, &response), DROP_HANDSHAKE_FAILED);
    check_unchanged(a);
    assert_int_equal(peer_state(&a->peer), PEER_HANDSHAKING);
    assert_int_equal(peer_state(&b->peer), PEER_DOWN);
    assert_int_equal(a->n_out + b->n_out, 0);
    b->peer.config.psk[31] ^= 1;
    advance(wire, 6 * S);
    handshake(a);
}

// A low-order static key: every Diffie-Hellman with it is zero.
static void test_low_order_key(void **state)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    struct wire *wire = *state;
    struct end *a = &wire->a;

    for (size_t i = 0; i < 2 * (sizeof points / sizeof *points); i++) {
        uint8_t *key = a->config.public_key;
        sodium_hex2bin(key, NOISE_KEY_LEN, points[i / 2], 2 * NOISE_KEY_LEN, NULL, NULL, NULL);
        key[31] = (uint8_t)(key[31] | (i % 2 ? 0x80 : 0));
        start_peer(a);
        set_addresses(a, &wire->b.at.remote, 1);
        for (int attempt = 0; attempt < 4; attempt++) {
            tick(a);
            assert_int_equal(a->n_acts[PEER_ACT_SEND_HANDSHAKE], 0); // nothing leaves
            assert_int_equal(peer_state(&a->peer), PEER_DOWN);
            advance(wire, 6 * S);
        }
    }
}

struct choice_row {
    unsigned a, b; // sets
    enum cipher expected;
};
enum { CHACHA = 1 << CIPHER_CHACHA20_POLY1305, AES = 1 << CIPHER_AES_256_GCM, UNKNOWN = 1 << 9 };
static const struct choice_row choices[] = {
    {CHACHA, CHACHA, CIPHER_CHACHA20_POLY1305},
    {AES, AES, CIPHER_AES_256_GCM},
    {CHACHA | AES, CHACHA | AES, CIPHER_AES_256_GCM},
    {CHACHA | AES, CHACHA, CIPHER_CHACHA20_POLY1305},
    {CHACHA, CHACHA | AES, CIPHER_CHACHA20_POLY1305},
    {AES, CHACHA | AES, CIPHER_AES_256_GCM},
    {CHACHA | UNKNOWN, CHACHA | UNKNOWN, CIPHER_CHACHA20_POLY1305},
    {CHACHA, AES, CIPHER_NONE},
    {AES, CHACHA, CIPHER_NONE},
    {0, CHACHA, CIPHER_NONE},
    {UNKNOWN, UNKNOWN | CHACHA, CIPHER_NONE},
};

static void test_cipher_choice(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a, *b = &wire->b;

    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        if (((choices[i].a | choices[i].b) & AES) && !cipher_is_available(CIPHER_AES_256_GCM))
            continue;
        init_wire(wire, false);
        a->self.ciphers = (uint16_t)choices[i].a;
        b->self.ciphers = (uint16_t)choices[i].b;
        if (choices[i].expected != CIPHER_NONE) {
            handshake(a);
            check_keypairs_agree(wire);
            assert_int_equal(a->peer.current.cipher, choices[i].expected);
            assert_int_equal(a->send->key.cipher, choices[i].expected);
            continue;
        }
        tick(a);
        struct datagram initiation = take(a);
        remember(b);
        assert_int_equal(deliver(b, &initiation), DROP_HANDSHAKE_NO_CIPHER);
        check_unchanged(b);
        assert_int_equal(b->n_out, 0);
    }
}

// The responder chooses what the initiator does not allow (any more).
static void test_cipher_not_allowed(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;

    tick(a);
    pass(a);
    a->self.ciphers = 0;
    struct datagram response = take(&wire->b);
    assert_int_equal(deliver(a, &response), DROP_HANDSHAKE_NO_CIPHER);
    assert_int_not_equal(peer_state(&a->peer), PEER_UP);
    assert_int_equal(count_recv(a), 0);
}

static void test_full_keystore(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a, *b = &wire->b;
    struct recv_session *taken[KEYSTORE_PLACES];

    for (int i = 0; i < KEYSTORE_PLACES; i++)
        taken[i] = keystore_get_recv(b->keystore);
    tick(a);
    struct datagram initiation = take(a);
    assert_int_equal(deliver(b, &initiation), DROP_HANDSHAKE_QUEUE_FULL);
    assert_false(b->peer.arriving.is_used);
    assert_int_equal(b->n_out, 0);
    for (int i = 0; i < KEYSTORE_PLACES; i++)
        keystore_put_recv(taken[i]);
    check_places(b);                                       // the sending half that there was room for is not lost either
    assert_int_equal(deliver(b, &initiation), DROP_COUNT); // it was not used up
    pass(b);
    talk_both(wire);
}

static void test_cookie(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a, *b = &wire->b;
    struct cookie_reply_msg reply = {0};
    uint8_t random[56] = {1};

    tick(a);
    struct datagram initiation = take(a);
    assert_false(cookie_check_mac2(&b->checker, initiation.bytes, initiation.len, &a->at.remote, wire->now_ns));
    cookie_create_reply(&b->checker, initiation.bytes, initiation.len, &a->at.remote, wire->now_ns, random, &reply.cookie);
    struct peer_input input = input_of(a);

    remember(a);
    reply.receiver_index = a->peer.pending.local_index + 1;
    assert_int_equal(peer_cookie_received(&a->peer, &reply, &input), DROP_HANDSHAKE_UNEXPECTED);
    reply.receiver_index = a->peer.pending.local_index;
    reply.cookie.sealed[3] ^= 1;
    assert_int_equal(peer_cookie_received(&a->peer, &reply, &input), DROP_HANDSHAKE_UNEXPECTED);
    reply.cookie.sealed[3] ^= 1;
    check_unchanged(a);
    assert_int_equal(peer_cookie_received(&a->peer, &reply, &input), DROP_COUNT);
    assert_int_equal(peer_cookie_received(&a->peer, &reply, &input), DROP_HANDSHAKE_UNEXPECTED); // once

    advance(wire, 6 * S);
    tick(a);
    initiation = take(a);
    assert_true(cookie_check_mac2(&b->checker, initiation.bytes, initiation.len, &a->at.remote, wire->now_ns));
    assert_int_equal(deliver(b, &initiation), DROP_COUNT);
    pass(b);
    talk_both(wire);
    remember(a);
    assert_int_equal(peer_cookie_received(&a->peer, &reply, &input), DROP_HANDSHAKE_UNEXPECTED); // nothing is pending
    check_unchanged(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_WIRE(test_steps),
        ON_WIRE(test_reflection),
        ON_WIRE(test_unknown_reports),
        ON_WIRE(test_overtaken),
        ON_WIRE(test_unexpected_responses),
        ON_WIRE(test_flipped_response),
        ON_WIRE(test_timestamps_never_go_back),
        ON_WIRE(test_replayed_initiation),
        ON_WIRE(test_clock_behind),
        cmocka_unit_test(test_tai64n),
        ON_WIRE(test_wrong_psk),
        ON_WIRE(test_low_order_key),
        ON_WIRE(test_cipher_choice),
        ON_WIRE(test_cipher_not_allowed),
        ON_WIRE(test_full_keystore),
        ON_WIRE(test_cookie),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
