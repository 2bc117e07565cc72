// SPDX-License-Identifier: MIT
/*
 * peer, the life of a session: rekeys without the loss of a frame, goodbye, age and silence, and where the peer is: candidates for its
 * endpoint with their probes, and the order in which addresses are tried.
 */
#include "test_peer_wire.h"

/* ---- rekey ---- */

static void check_rekey(struct wire *wire, struct end *initiator)
{
    struct end *responder = other_of(initiator);
    struct keypair old = initiator->peer.current, old_far = responder->peer.current;

    pass(initiator);
    talk_both(wire); // meanwhile the old keypair serves
    assert_int_equal(responder->peer.current.local_index, old_far.local_index);
    struct data late = seal(initiator);
    pass(responder);
    assert_int_not_equal(initiator->peer.current.local_index, old.local_index);
    assert_int_equal(initiator->peer.previous.local_index, old.local_index);
    talk(responder); // still under the old one
    assert_int_equal(responder->peer.current.local_index, old_far.local_index);
    struct data late_far = seal(responder);
    talk(initiator);
    assert_int_equal(responder->peer.previous.local_index, old_far.local_index);
    assert_int_equal(open_from(responder, late, &initiator->at), DROP_COUNT); // no frame is lost
    assert_int_equal(open_from(initiator, late_far, &responder->at), DROP_COUNT);
    assert_int_equal(open_from(initiator, late_far, &responder->at), DROP_REPLAYED);
    talk_both(wire);
    check_keypairs_agree(wire);
    assert_int_equal(initiator->n_acts[PEER_ACT_CAME_UP], 1); // it never was down
    assert_int_equal(responder->n_acts[PEER_ACT_WENT_DOWN], 0);
    assert_int_equal(count_recv(initiator), 2);
    assert_int_equal(count_recv(responder), 2);
    check_places(initiator);
    check_places(responder);
}

// Nothing is due but what age brings: both ends have heard each other now.
static void age_by(struct wire *wire, uint64_t by_ns)
{
    advance(wire, by_ns);
    talk_both(wire);
}

static void test_rekey(void **state)
{
    struct wire *wire = *state;

    handshake(&wire->a);
    for (int i = 0; i < 4; i++) { // only two keypairs at any time
        age_by(wire, 120 * S - 1);
        tick(&wire->a);
        tick(&wire->b);
        assert_int_equal(wire->a.n_out + wire->b.n_out, 0);
        age_by(wire, 1);
        tick(&wire->b);
        assert_int_equal(wire->b.n_out, 0);
        tick(&wire->a);
        check_rekey(wire, &wire->a);
    }
}

static void check_backup(struct wire *wire)
{
    handshake(&wire->a);
    age_by(wire, 135 * S - 1);
    tick(&wire->b);
    assert_int_equal(wire->b.n_out, 0);
    age_by(wire, 1);
    tick(&wire->b);
    check_rekey(wire, &wire->b); // the roles have swapped
}

static void test_rekey_by_responder(void **state)
{
    check_backup(*state);
    init_wire(*state, true);
    check_backup(*state);
}

static void test_wants_rekey(void **state)
{
    struct wire *wire = *state;
    struct end *b = &wire->b;

    handshake(&wire->a);
    for (int i = 0; i < 3; i++) { // so often that a previous keypair is replaced before its age ends it
        age_by(wire, S);
        tick(b);
        assert_int_equal(b->n_out, 0);
        b->wants_rekey = true;
        tick(b);
        b->wants_rekey = false;
        check_rekey(wire, b);
    }
}

// The peer was restarted and has forgotten everything: a new handshake takes over, under the same timestamps.
static void test_restarted(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;
    uint64_t n_random = a->n_random + 1000;

    handshake(a);
    init_end(wire, a, 0, (uint8_t[NOISE_KEY_LEN]){0});
    make_keys(a->self.static_private, (uint8_t[NOISE_KEY_LEN]){0});
    noise_public_key(a->self.static_public, a->self.static_private);
    cookie_checker_init(&a->checker, a->self.static_public);
    memcpy(a->config.public_key, wire->b.self.static_public, NOISE_KEY_LEN);
    a->n_random = n_random;
    a->at = endpoint_at(77, 777);
    advance(wire, 3 * S);
    start_peer(a);
    set_addresses(a, &wire->b.at.remote, 1);
    handshake(a);
    check_keypairs_agree(wire);
    assert_true(endpoint_equal(&wire->b.peer.endpoint, &a->at));
    assert_int_equal(wire->b.n_acts[PEER_ACT_WENT_DOWN], 0);
}

/* ---- ends ---- */

static void goodbye(struct end *end, uint32_t local_index)
{
    struct peer_acts acts = {0};
    struct peer_input input = input_of(end);

    peer_goodbye_received(&end->peer, local_index, &input, &acts);
    execute(end, &acts);
}

static void test_goodbye(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;

    handshake(a);
    age_by(wire, 120 * S);
    handshake(a);
    uint32_t current = a->peer.current.local_index, previous = a->peer.previous.local_index;

    goodbye(a, previous); // ends that one, and no newer one
    assert_false(a->peer.previous.is_used);
    assert_int_equal(a->peer.current.local_index, current);
    assert_int_equal(count_recv(a), 1);
    assert_int_equal(peer_state(&a->peer), PEER_UP);
    talk_both(wire);

    remember(a);
    goodbye(a, previous); // of a keypair that is gone
    goodbye(a, 0);
    check_unchanged(a);

    goodbye(a, current);
    assert_false(a->peer.current.is_used);
    assert_null(a->send);
    assert_int_equal(count_recv(a), 0);
    assert_int_equal(a->n_acts[PEER_ACT_WENT_DOWN], 1);
    assert_int_equal(a->peer.reason, PEER_REASON_GOODBYE);
    assert_int_not_equal(peer_state(&a->peer), PEER_UP);

    tick(a); // it may be restarting: not at once
    assert_int_equal(a->n_out, 0);
    advance(wire, a->config.timing.retry_first_ns - 1);
    tick(a);
    assert_int_equal(a->n_out, 0);
    advance(wire, 1);
    tick(a);
    assert_int_equal(a->n_out, 1);
}

static void test_stop(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;
    struct peer_acts acts = {0};

    tick(a);
    struct peer_input input = input_of(a);
    peer_stop(&a->peer, &input, &acts); // nobody is there to say goodbye to
    assert_int_equal(acts.n, 0);
    assert_int_equal(peer_state(&a->peer), PEER_DOWN);
    init_wire(wire, false);
    handshake(a);
    input = input_of(a);
    peer_stop(&a->peer, &input, &acts);
    assert_int_equal(acts.at[0].kind, PEER_ACT_SEND_CONTROL); // before the key goes
    assert_int_equal(acts.at[0].u.control.type, RECORD_GOODBYE);
    assert_false(acts.at[0].u.control.is_keepalive);
    execute(a, &acts);
    assert_null(a->send);
    assert_int_equal(count_recv(a), 0);
    assert_int_equal(a->n_acts[PEER_ACT_WENT_DOWN], 1);
    goodbye(&wire->b, wire->b.peer.current.local_index);
    assert_int_equal(wire->b.peer.reason, PEER_REASON_GOODBYE);
}

static void test_expiry(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;

    handshake(a);
    age_by(wire, 120 * S);
    handshake(a);
    age_by(wire, LIFE - 120 * S - 1);
    tick(a);
    assert_true(a->peer.previous.is_used);
    age_by(wire, 1);
    tick(a);
    assert_false(a->peer.previous.is_used); // the previous one, at its own age
    assert_int_equal(count_recv(a), 1);
    assert_int_equal(peer_state(&a->peer), PEER_UP);

    advance(wire, 120 * S - 1);
    activity_note(&a->activity.received_ns, wire->now_ns);
    tick(a);
    assert_true(a->peer.current.is_used);
    take(a); // it tries to rekey
    advance(wire, 1);
    tick(a);
    assert_false(a->peer.current.is_used);
    assert_null(a->send);
    assert_int_equal(count_recv(a), 0);
    assert_int_equal(a->n_acts[PEER_ACT_WENT_DOWN], 1);
    assert_int_equal(a->peer.reason, PEER_REASON_EXPIRED);
    assert_int_equal(peer_state(&a->peer), PEER_HANDSHAKING);
}

// A keypair that is never confirmed does not stay for ever.
static void test_expiry_of_next(void **state)
{
    struct wire *wire = *state;
    struct end *b = &wire->b;

    tick(&wire->a);
    pass(&wire->a);
    take(b);
    advance(wire, LIFE - 1);
    tick(b);
    assert_true(b->peer.next.is_used);
    advance(wire, 1);
    tick(b);
    assert_false(b->peer.next.is_used);
    assert_int_equal(count_recv(b), 0);
    assert_int_equal(b->n_acts[PEER_ACT_WENT_DOWN], 0); // it never was up
}

static void test_silence(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;

    handshake(a);
    unsigned n_echoes = a->n_acts[PEER_ACT_SEND_CONTROL];
    advance(wire, 5 * S - 1);
    tick(a);
    assert_int_equal(a->n_acts[PEER_ACT_SEND_CONTROL], n_echoes);
    advance(wire, 1);
    tick(a);
    assert_int_equal(a->n_acts[PEER_ACT_SEND_CONTROL], n_echoes + 1);
    assert_int_equal(a->control.type, RECORD_ECHO);
    tick(a); // asked already
    assert_int_equal(a->n_acts[PEER_ACT_SEND_CONTROL], n_echoes + 1);
    advance(wire, 5 * S - 1);
    tick(a);
    assert_int_equal(peer_state(&a->peer), PEER_UP);
    advance(wire, 1);
    tick(a);
    assert_int_equal(a->n_acts[PEER_ACT_WENT_DOWN], 1);
    assert_int_equal(a->peer.reason, PEER_REASON_SILENT);
    assert_true(a->peer.current.is_used); // the keys are good still
    assert_int_equal(a->n_out, 1);        // it calls, too
    take(a);
    talk(&wire->b);
    tick(a);
    assert_int_equal(a->n_acts[PEER_ACT_CAME_UP], 2);
    assert_int_equal(peer_state(&a->peer), PEER_UP);
}

static void test_keepalive(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;

    a->config.timing.persistent_keepalive_ns = 3 * S;
    start_peer(a);
    set_addresses(a, &wire->b.at.remote, 1);
    handshake(a);
    advance(wire, 3 * S - 1);
    tick(a);
    assert_false(a->control.is_keepalive);
    advance(wire, 1);
    tick(a);
    assert_true(a->control.is_keepalive);
    assert_false(a->control.has_to);
}

static void test_echo_answers(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;
    uint8_t id[WIRE_TOKEN_LEN], wrong[WIRE_TOKEN_LEN];

    handshake(a);
    memcpy(id, a->control.body, sizeof id);
    memcpy(wrong, id, sizeof wrong);
    wrong[7] ^= 1;
    advance(wire, 30 * MS);
    struct peer_input input = input_of(a);
    peer_echo_answered(&a->peer, wrong, &input);
    assert_true(a->peer.rtt_ns == 0);
    peer_echo_answered(&a->peer, id, &input);
    assert_true(a->peer.rtt_ns == 30 * MS);
    advance(wire, 30 * MS);
    input = input_of(a);
    peer_echo_answered(&a->peer, id, &input); // an answer counts once
    assert_true(a->peer.rtt_ns == 30 * MS);
}

/* ---- where the peer is ---- */

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
    uint64_t received = 0;

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
        assert_int_equal(is_probed, (n_probes - n_before + 1) * PROBE_LEN <= 3 * received);
        assert_true((b->n_acts[PEER_ACT_SEND_CONTROL] - n_before) * (uint64_t)PROBE_LEN <= 3 * received);
        advance(wire, b->config.timing.probe_every_ns);
    }
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

static void test_reasons(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a, *b = &wire->b;

    start_peer(a);
    assert_int_equal(a->peer.reason, PEER_REASON_STARTING);
    assert_int_equal(b->peer.reason, PEER_REASON_NO_ENDPOINT);
    tick(a);
    tick(b);
    tick(a);
    assert_int_equal(a->n_acts[PEER_ACT_RESOLVE], 1);
    assert_int_equal(b->n_acts[PEER_ACT_RESOLVE], 0);
    assert_int_equal(a->n_out + b->n_out, 0); // there is no place to send to
    set_addresses(a, NULL, 0);
    assert_int_equal(a->peer.reason, PEER_REASON_UNRESOLVED);
    set_addresses(a, &b->at.remote, 1);
    tick(a); // at once
    take(a);
    advance(wire, 6 * S);
    tick(a);
    assert_int_equal(a->peer.reason, PEER_REASON_NO_ANSWER);
    pass(a);
    pass(b);
    assert_int_equal(a->peer.reason, PEER_REASON_UP);
    for (int i = 0; i < 10; i++) {
        advance(wire, 2 * S);
        talk_both(wire);
        tick(a);
    }
    assert_int_equal(a->n_acts[PEER_ACT_RESOLVE], 1); // a peer that is there is not looked up

    init_wire(wire, false); // nor one that has called first, though its name has no address
    b->config.has_endpoint_name = true;
    start_peer(b);
    handshake(a);
    for (int i = 0; i < 10; i++) {
        tick(b);
        advance(wire, 2 * S);
        talk_both(wire);
    }
    assert_int_equal(b->n_acts[PEER_ACT_RESOLVE], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_WIRE(test_rekey),
        ON_WIRE(test_rekey_by_responder),
        ON_WIRE(test_wants_rekey),
        ON_WIRE(test_restarted),
        ON_WIRE(test_goodbye),
        ON_WIRE(test_stop),
        ON_WIRE(test_expiry),
        ON_WIRE(test_expiry_of_next),
        ON_WIRE(test_silence),
        ON_WIRE(test_keepalive),
        ON_WIRE(test_echo_answers),
        ON_WIRE(test_amplification),
        ON_WIRE(test_probe_interval),
        ON_WIRE(test_probe_tokens),
        ON_WIRE(test_back_where_it_was),
        ON_WIRE(test_answer_to_nothing),
        ON_WIRE(test_confirmed_from_elsewhere),
        ON_WIRE(test_targets),
        ON_WIRE(test_reasons),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
