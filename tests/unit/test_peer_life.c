// SPDX-License-Identifier: MIT
/*
 * peer, the life of a session: rekeys without the loss of a frame, goodbye, age and silence. Where the peer is: test_peer_places.c.
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

// The lesser end's key is used up by the first that it sends: what the greater end hears first, and the new initiation, come in one turn.
static void test_wants_rekey_at_once(void **state)
{
    struct wire *wire = *state;

    for (int is_a_greater = 0; is_a_greater < 2; is_a_greater++) {
        init_wire(wire, is_a_greater);
        handshake(&wire->a);
        struct peer_input input = input_of(&wire->b);
        assert_true(
            peer_echo_answered(&wire->b.peer, wire->b.control.body, &input)); // else the lesser end waits: it may not have been heard
        wire->b.wants_rekey = true;
        tick(&wire->b);
        wire->b.wants_rekey = false;
        check_rekey(wire, &wire->b);
    }
}

static void forget_everything(struct end *end)
{
    memset(end->keystore, 0, sizeof *end->keystore);
    memset(end->recv, 0, sizeof end->recv);
    memset(&end->activity, 0, sizeof end->activity);
    end->send = NULL;
    start_peer(end);
    set_addresses(end, &other_of(end)->at.remote, 1);
}

// The peer was restarted and has forgotten everything: a new handshake takes over, under the same timestamps.
static void test_restarted(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;

    handshake(a);
    a->at = endpoint_at(77, 777);
    advance(wire, 3 * S);
    forget_everything(a);
    handshake(a);
    check_keypairs_agree(wire);
    assert_true(endpoint_equal(&wire->b.peer.endpoint, &a->at));
    assert_int_equal(wire->b.n_acts[PEER_ACT_WENT_DOWN], 0);
}

static void check_begins_anew(struct wire *wire, struct end *initiator)
{
    tick(initiator);
    assert_int_equal(initiator->n_out, 1);
    pass(initiator);
    pass(other_of(initiator));
    talk_both(wire);
    check_keypairs_agree(wire);
    check_places(&wire->a);
    check_places(&wire->b);
}

// It was restarted just after it had answered: what it begins then looks as if both had called at once. The end with the greater key does
// not stay with a keypair that nobody else has.
static void test_restarted_after_answering(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a, *b = &wire->b;

    init_wire(wire, true);
    tick(a);
    pass(a);
    pass(b);
    uint32_t current = a->peer.current.local_index;
    forget_everything(b);
    advance(wire, 50 * MS);
    tick(b);
    pass(b);
    pass(a);
    talk(b);
    assert_int_equal(a->peer.current.local_index, current);
    advance(wire, 2 * a->config.timing.retry_first_ns - 1);
    talk(b);
    tick(a);
    assert_int_equal(a->n_out, 0);
    advance(wire, 1);
    check_begins_anew(wire, a);
}

// The peer goes on under the old keypair and never under the new one: that is not for ever.
static void test_never_heard_under_current(void **state)
{
    struct wire *wire = *state;
    struct end *a = &wire->a;

    handshake(a);
    age_by(wire, 120 * S);
    tick(a);
    pass(a);
    pass(&wire->b);
    advance(wire, a->config.timing.dead_after_ns - 1);
    talk(&wire->b);
    tick(a);
    assert_int_equal(a->n_out, 0);
    advance(wire, 1);
    check_begins_anew(wire, a);
}

/* ---- ends ---- */

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
    assert_true(a->peer.quality.rtt_last_ns == 0);
    peer_echo_answered(&a->peer, id, &input);
    assert_true(a->peer.quality.rtt_last_ns == 30 * MS);
    advance(wire, 30 * MS);
    input = input_of(a);
    peer_echo_answered(&a->peer, id, &input); // an answer counts once
    assert_true(a->peer.quality.rtt_last_ns == 30 * MS);
}

/* ---- why it is up or down ---- */

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
        ON_WIRE(test_wants_rekey_at_once),
        ON_WIRE(test_restarted),
        ON_WIRE(test_restarted_after_answering),
        ON_WIRE(test_never_heard_under_current),
        ON_WIRE(test_goodbye),
        ON_WIRE(test_stop),
        ON_WIRE(test_expiry),
        ON_WIRE(test_expiry_of_next),
        ON_WIRE(test_silence),
        ON_WIRE(test_keepalive),
        ON_WIRE(test_echo_answers),
        ON_WIRE(test_reasons),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
