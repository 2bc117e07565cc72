// SPDX-License-Identifier: MIT
/*
 * peer, where it is: candidates for its endpoint, what they may get, and that nobody is moved by what he can forge; which of the addresses
 * known has its turn, and when a name is looked up.
 */
#include "test_peer_wire.h"

static void moved(struct end *end, const struct endpoint *from, uint64_t bytes)
{
    struct peer_acts acts = {0};
    struct peer_input input = input_of(end);

    peer_moved(&end->peer, from, bytes, &input, &acts);
    execute(end, &acts);
}

static void probe_answered(struct end *end, const uint8_t token[static WIRE_TOKEN_LEN])
{
    struct peer_acts acts = {0};
    struct peer_input input = input_of(end);

    peer_probe_answered(&end->peer, token, &input, &acts);
    execute(end, &acts);
}

static void check_is_probe(const struct end *end, const struct endpoint *to)
{
    assert_int_equal(end->control.type, RECORD_PROBE);
    assert_false(end->control.is_keepalive);
    assert_true(end->control.has_to && endpoint_equal(&end->control.to, to));
}

// Whatever comes from there, and whenever: never more than three times that goes there.
static void test_amplification(void **state)
{
    static const uint64_t reports[] = {1, 15, 0, 1, 32, 0, 0, 17, 33, 1, 0, 100, 0, 0, 0, 0, 0, 0, 1500, 0, 0, 0};
    struct wire *wire = *state;
    struct end *b = &wire->b;
    struct endpoint there = endpoint_at(66, 666);
    uint64_t received = 0, shared = 0;

    handshake(&wire->a);
    unsigned n_before = b->n_acts[PEER_ACT_SEND_CONTROL];
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        unsigned n_probes = b->n_acts[PEER_ACT_SEND_CONTROL];
        received += reports[i];
        if (reports[i])
            moved(b, &there, reports[i]);
        else
            tick(b);
        bool is_probed = b->n_acts[PEER_ACT_SEND_CONTROL] != n_probes;
        if (is_probed)
            check_is_probe(b, &there);
        assert_int_equal(is_probed, (n_probes - n_before + 1) * PROBE_LEN + shared <= 3 * received);
        shared = b->n_shared;
        assert_true((b->n_acts[PEER_ACT_SEND_CONTROL] - n_before) * (uint64_t)PROBE_LEN + shared <= 3 * received);
        advance(wire, b->config.timing.probe_every_ns);
    }
    assert_true(shared > 0);
    assert_int_equal(b->n_acts[PEER_ACT_SET_ENDPOINT], 1);
    assert_true(endpoint_equal(&b->peer.endpoint, &wire->a.at));
}

static void test_probe_interval(void **state)
{
    struct wire *wire = *state;
    struct end *b = &wire->b;
    struct endpoint there = endpoint_at(66, 666);

    handshake(&wire->a);
    unsigned n_probes = b->n_acts[PEER_ACT_SEND_CONTROL];
    moved(b, &there, 1500);
    assert_int_equal(b->n_acts[PEER_ACT_SEND_CONTROL], n_probes + 1);
    moved(b, &there, 1500);
    advance(wire, b->config.timing.probe_every_ns - 1);
    moved(b, &there, 1500);
    tick(b);
    assert_int_equal(b->n_acts[PEER_ACT_SEND_CONTROL], n_probes + 1);
    advance(wire, 1);
    tick(b);
    assert_int_equal(b->n_acts[PEER_ACT_SEND_CONTROL], n_probes + 2);
}

static void test_probe_tokens(void **state)
{
    struct wire *wire = *state;
    struct end *b = &wire->b;
    struct endpoint there = endpoint_at(66, 666), farther = endpoint_at(66, 667);
    uint8_t token[WIRE_TOKEN_LEN], token_farther[WIRE_TOKEN_LEN], wrong[WIRE_TOKEN_LEN];

    handshake(&wire->a);
    moved(b, &there, 1500);
    memcpy(token, b->control.body, sizeof token);
    remember(b);
    for (size_t bit = 0; bit < 8 * sizeof token; bit++) {
        memcpy(wrong, token, sizeof token);
        wrong[bit / 8] ^= (uint8_t)(1U << bit % 8);
        probe_answered(b, wrong);
    }
    probe_answered(b, (uint8_t[WIRE_TOKEN_LEN]){0});
    check_unchanged(b);

    moved(b, &farther, 1500); // each place has a token of its own
    memcpy(token_farther, b->control.body, sizeof token_farther);
    check_is_probe(b, &farther);
    assert_memory_not_equal(token, token_farther, sizeof token);
    probe_answered(b, token);
    assert_true(endpoint_equal(&b->peer.endpoint, &wire->a.at));
    probe_answered(b, token_farther);
    assert_true(endpoint_equal(&b->peer.endpoint, &farther));
    assert_int_equal(b->n_acts[PEER_ACT_SET_ENDPOINT], 2);
    probe_answered(b, token_farther); // over
    assert_int_equal(b->n_acts[PEER_ACT_SET_ENDPOINT], 2);
    unsigned n_probes = b->n_acts[PEER_ACT_SEND_CONTROL];
    advance(wire, b->config.timing.probe_every_ns);
    tick(b);
    assert_int_equal(b->n_acts[PEER_ACT_SEND_CONTROL], n_probes);
}

static void test_back_where_it_was(void **state)
{
    struct wire *wire = *state;
    struct end *b = &wire->b;
    struct endpoint there = endpoint_at(66, 666);
    uint8_t token[WIRE_TOKEN_LEN];

    handshake(&wire->a);
    moved(b, &there, 1500);
    memcpy(token, b->control.body, sizeof token);
    unsigned n_probes = b->n_acts[PEER_ACT_SEND_CONTROL];
    moved(b, &wire->a.at, 1500);
    advance(wire, b->config.timing.probe_every_ns);
    tick(b);
    probe_answered(b, token);
    assert_int_equal(b->n_acts[PEER_ACT_SEND_CONTROL], n_probes);
    assert_true(endpoint_equal(&b->peer.endpoint, &wire->a.at));
}

// Before any answer, without an endpoint: a zero token must not match the candidate that there is not.
static void test_answer_to_nothing(void **state)
{
    struct wire *wire = *state;
    struct end *b = &wire->b;

    remember(b);
    probe_answered(b, (uint8_t[WIRE_TOKEN_LEN]){0});
    check_unchanged(b);
    handshake(&wire->a);
    remember(b);
    probe_answered(b, (uint8_t[WIRE_TOKEN_LEN]){0});
    check_unchanged(b);
}

// Message 2 went to where message 1 came from; the first data message comes from elsewhere. That one has shown nothing yet.
static void test_confirmed_from_elsewhere(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a, *b = &wire->b;
    struct endpoint there = endpoint_at(66, 666);

    tick(a);
    pass(a);
    assert_true(endpoint_equal(&b->outbox[0].to, &a->at));
    pass(b);
    b->control = (struct peer_control){0};
    struct peer_acts acts = {0};
    struct peer_input input = input_of(b);
    assert_true(b->peer.next.is_used);
    peer_confirmed(&b->peer, b->peer.next.local_index, &there, &input, &acts);
    bool is_probed = false;
    for (size_t i = 0; i < acts.n; i++) {
        assert_int_not_equal(acts.at[i].kind, PEER_ACT_SET_ENDPOINT);
        if (acts.at[i].kind == PEER_ACT_SEND_CONTROL && acts.at[i].u.control.type == RECORD_PROBE) {
            is_probed = true;
            b->control = acts.at[i].u.control;
        }
    }
    assert_true(is_probed);
    check_is_probe(b, &there);
    uint8_t token[WIRE_TOKEN_LEN];
    memcpy(token, b->control.body, sizeof token);
    execute(b, &acts);
    assert_int_equal(peer_state(&b->peer), PEER_UP); // the keypair is good all the same
    assert_false(b->peer.has_endpoint);
    probe_answered(b, token);
    assert_true(b->peer.has_endpoint && endpoint_equal(&b->peer.endpoint, &there));
    assert_int_equal(b->n_acts[PEER_ACT_SET_ENDPOINT], 1);
}

static uint8_t next_target(struct end *end)
{
    end->wire->now_ns += 6 * S; // longer than any wait
    tick(end);
    return take(end).to.remote.ip[3];
}

static void test_targets(void **state)
{
    static const uint8_t without[] = {11, 12, 13, 11, 12, 13, 11}, with[] = {2, 11, 12, 13, 2, 11, 12, 13, 2};
    struct wire *wire = *state;
    struct end *a = &wire->a;
    struct addr addresses[PEER_ADDRESSES_MAX + 1];

    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        addresses[i] = endpoint_at((uint8_t)(11 + i), 36160).remote;
    start_peer(a);
    set_addresses(a, addresses, 3);
    for (size_t i = 0; i < sizeof without; i++)
        assert_int_equal(next_target(a), without[i]);

    // An endpoint that has served is tried first, then the addresses.
    start_peer(a);
    set_addresses(a, &wire->b.at.remote, 1);
    advance(wire, HOUR);
    handshake(a);
    set_addresses(a, addresses, 3);
    set_addresses(a, addresses, 0); // the name has none now: the old ones are better than nothing
    goodbye(a, a->peer.current.local_index);
    for (size_t i = 0; i < sizeof with; i++)
        assert_int_equal(next_target(a), with[i]);

    // Of too many the first ones are used.
    start_peer(a);
    set_addresses(a, addresses, PEER_ADDRESSES_MAX + 1);
    for (size_t i = 0; i <= PEER_ADDRESSES_MAX; i++)
        assert_int_equal(next_target(a), 11 + i % PEER_ADDRESSES_MAX);
}

/* ---- copies for a candidate ---- */

// So long as it may have moved, for a second; and no more when it turns out that it has not.
static void test_sharing(void **state)
{
    struct wire *wire = *state;
    struct end *b = &wire->b;
    struct endpoint there = endpoint_at(66, 666);

    handshake(&wire->a);
    moved(b, &there, 32); // three times that is one probe and not much more
    assert_int_equal(b->n_shared, 0);
    moved(b, &there, 1000);
    assert_true(b->is_sharing && endpoint_equal(&b->share_to, &there));
    assert_int_equal(b->n_shared, 3 * 1032 - 5 * PROBE_LEN); // one that was sent, four that may be sent again
    moved(b, &wire->a.at, 0);
    assert_false(b->is_sharing);
    moved(b, &there, 1000);
    assert_true(b->is_sharing);
    advance(wire, S);
    tick(b);
    assert_false(b->is_sharing);
    uint64_t shared = b->n_shared;
    moved(b, &there, 100000);
    struct endpoint farther = endpoint_at(67, 666);
    moved(b, &farther, 100000); // nor with others, for a while
    assert_int_equal(b->n_shared, shared);
    advance(wire, 9 * S);
    moved(b, &farther, 1000);
    assert_true(b->is_sharing && b->n_shared > shared);
}

// Whoever has answered once is believed at once the next time.
static void test_sharing_again(void **state)
{
    struct wire *wire = *state;
    struct end *b = &wire->b;

    handshake(&wire->a);
    for (uint8_t i = 0; i < 5; i++) {
        struct endpoint there = endpoint_at((uint8_t)(66 + i), 666);
        moved(b, &there, 1000);
        assert_true(b->is_sharing);
        probe_answered(b, b->control.body);
        assert_false(b->is_sharing);
        assert_true(endpoint_equal(&b->peer.endpoint, &there));
        advance(wire, S);
    }
}

/* ---- addresses ---- */

static void unreachable(struct end *end)
{
    struct peer_input input = input_of(end);

    peer_unreachable(&end->peer, &input);
}

// A rekey that is lost is no reason to go elsewhere; that there is no way to the endpoint is one, at once.
static void test_cut_off(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;
    struct addr addresses[] = {wire->b.at.remote, endpoint_at(11, 36160).remote, endpoint_at(12, 36160).remote};

    start_peer(a);
    set_addresses(a, addresses, 3);
    handshake(a);
    a->wants_rekey = true;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(next_target(a), 2);
        talk(&wire->b);
    }
    a->wants_rekey = false;
    advance(wire, 6 * S);
    handshake(a);
    tick(a);
    assert_int_equal(a->n_out, 0);
    unreachable(a);
    unreachable(a);
    tick(a);
    assert_int_equal(take(a).to.remote.ip[3], 11);
    talk(&wire->b); // it may be heard all the same
    assert_int_equal(next_target(a), 12);
    assert_true(a->peer.is_up && a->peer.current.is_used);
}

// Where else?
static void test_cut_off_for_good(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;

    handshake(a);
    unreachable(a);
    tick(a);
    assert_int_equal(a->n_out, 0);
    assert_false(a->peer.is_cut_off);
}

// All places are tried before the waits grow; an address that is new goes before.
static void test_new_address(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;
    struct addr addresses[PEER_ADDRESSES_MAX];

    for (size_t i = 0; i < PEER_ADDRESSES_MAX; i++)
        addresses[i] = endpoint_at((uint8_t)(11 + i), 36160).remote;
    start_peer(a);
    set_addresses(a, addresses, 7);
    for (size_t i = 0; i < 7; i++) {
        tick(a);
        assert_int_equal(take(a).to.remote.ip[3], 11 + i);
        advance(wire, a->config.timing.retry_first_ns + a->config.timing.retry_jitter_ns);
    }
    tick(a);
    take(a);
    set_addresses(a, addresses, 8);
    tick(a); // though the last attempt has time still
    assert_int_equal(take(a).to.remote.ip[3], 18);
    set_addresses(a, addresses, 8);
    tick(a);
    assert_int_equal(a->n_out, 0);
}

static unsigned n_lookups_in(struct end *end, uint64_t duration_ns)
{
    unsigned n_before = end->n_acts[PEER_ACT_RESOLVE];

    for (uint64_t at = 0; at < duration_ns; at += S / 4) {
        tick(end);
        end->n_out = 0;
        advance(end->wire, S / 4);
    }
    return end->n_acts[PEER_ACT_RESOLVE] - n_before;
}

static void test_lookups(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;

    start_peer(a);
    assert_int_equal(n_lookups_in(a, 8 * S), 4);  // at 0, 1, 3, 7 s
    assert_int_equal(n_lookups_in(a, 67 * S), 4); // at 15, 30, 45, 60
    assert_true(a->peer.is_resolving);
    set_addresses(a, &wire->b.at.remote, 1);
    assert_false(a->peer.is_resolving);
    handshake(a);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(n_lookups_in(a, 4 * S), 0);
        talk_both(wire);
    }
    assert_int_equal(n_lookups_in(a, 10 * S), 0); // it may be there still
    assert_int_equal(n_lookups_in(a, S), 1);      // the first initiation had no answer
    assert_int_equal(n_lookups_in(a, 14 * S), 0);
    assert_int_equal(n_lookups_in(a, 30 * S), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_WIRE(test_amplification),     ON_WIRE(test_probe_interval),    ON_WIRE(test_probe_tokens),
        ON_WIRE(test_back_where_it_was), ON_WIRE(test_answer_to_nothing), ON_WIRE(test_confirmed_from_elsewhere),
        ON_WIRE(test_sharing),           ON_WIRE(test_sharing_again),     ON_WIRE(test_targets),
        ON_WIRE(test_cut_off),           ON_WIRE(test_cut_off_for_good),  ON_WIRE(test_new_address),
        ON_WIRE(test_lookups),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
