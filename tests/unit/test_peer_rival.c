// SPDX-License-Identifier: MIT
/*
 * peer, what handshakes say beyond keys: how the other clock goes, and whether two nodes use one key.
 */
#include "test_peer_wire.h"

// Another process with a's key goes on, at that place: what a test sees of `b` is the same as if there were two.
static void other_process(struct end *a, uint8_t last)
{
    memset(a->keystore, 0, sizeof *a->keystore);
    memset(a->recv, 0, sizeof a->recv);
    a->send = NULL;
    a->at = endpoint_at(last, 1000);
    a->n_out = 0;
    start_peer(a);
    set_addresses(a, &a->wire->b.at.remote, 1);
}

// b hears a until 4 s before, then the other process begins a handshake.
static void take_over(struct wire *wire, uint8_t last)
{
    talk(&wire->a);
    advance(wire, 4 * S);
    other_process(&wire->a, last);
    handshake(&wire->a);
}

static void test_two_nodes_with_one_key(void **state)
{
    struct wire *wire = *state;
    const struct peer_rival *rival = &wire->b.peer.rival;

    handshake(&wire->a);
    assert_int_equal(rival->taken_ns, 0);
    take_over(wire, 77);
    assert_int_equal(rival->taken_ns, wire->now_ns);
    assert_int_equal(rival->n_returns, 0);
    assert_int_equal(rival->at.ip[3], 1);
    for (unsigned i = 1; i <= 5; i++) {
        take_over(wire, i % 2 ? 1 : 77);
        assert_int_equal(rival->n_returns, i);
        assert_int_equal(rival->returned_ns, wire->now_ns);
        assert_int_equal(rival->at.ip[3], i % 2 ? 77 : 1);
    }
}

// A node that is started again, here and there, is not told to be two; nor one that goes back after long.
static void test_restarts(void **state)
{
    struct wire *wire = *state;
    const struct peer_rival *rival = &wire->b.peer.rival;

    handshake(&wire->a);
    for (int i = 0; i < 3; i++)
        take_over(wire, 1); // where it was
    assert_int_equal(rival->taken_ns, 0);
    for (uint8_t i = 2; i < 8; i++)
        take_over(wire, i); // somewhere else each time
    assert_int_equal(rival->n_returns, 0);
    take_over(wire, 20);
    for (int i = 0; i < 16; i++) {
        advance(wire, 4 * S);
        talk(&wire->a);
    }
    take_over(wire, 7);
    assert_int_equal(rival->n_returns, 0);
}

// A single node that has lost its way begins again after 10 s of silence; its uplinks may fail in turns.
static void test_silence_is_no_rival(void **state)
{
    struct wire *wire = *state;

    handshake(&wire->a);
    for (int i = 0; i < 6; i++) {
        advance(wire, 8 * S);
        other_process(&wire->a, i % 2 ? 1 : 77);
        handshake(&wire->a);
    }
    assert_int_equal(wire->b.peer.rival.taken_ns, 0);
}

// Nor is a new keypair when it is time for one.
static void test_rekey_from_elsewhere(void **state)
{
    struct wire *wire = *state;

    handshake(&wire->a);
    for (int i = 0; i < 30; i++) {
        advance(wire, 4 * S);
        talk(&wire->a);
    }
    take_over(wire, 77);
    assert_int_equal(wire->b.peer.rival.taken_ns, 0);
}

// What is not confirmed by a data message takes nothing, however often it comes.
static void test_initiations_alone_take_nothing(void **state)
{
    struct wire *wire = *state;

    handshake(&wire->a);
    struct end first = wire->a;
    for (int i = 0; i < 4; i++) {
        advance(wire, S);
        other_process(&wire->a, i % 2 ? 66 : 77);
        tick(&wire->a);
        pass(&wire->a);
        take(&wire->b);
    }
    assert_int_equal(wire->b.peer.rival.taken_ns, 0);
    assert_int_equal(wire->b.peer.endpoint.remote.ip[3], first.at.remote.ip[3]);
}

static void test_clock_skew(void **state)
{
    struct wire *wire = *state;
    const struct peer *peer = &wire->b.peer;

    assert_false(peer->has_clock_skew);
    tick(&wire->a);
    wire->wall_ns -= HOUR; // of b, which receives it
    pass(&wire->a);
    assert_true(peer->has_clock_skew);
    assert_true(peer->clock_skew_ns > (int64_t)(HOUR - 40 * MS) && peer->clock_skew_ns <= (int64_t)HOUR);
    assert_false(wire->a.peer.has_clock_skew); // nothing was said to the initiator
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_WIRE(test_two_nodes_with_one_key), ON_WIRE(test_restarts),   ON_WIRE(test_silence_is_no_rival),
        ON_WIRE(test_rekey_from_elsewhere),   ON_WIRE(test_clock_skew), ON_WIRE(test_initiations_alone_take_nothing),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
