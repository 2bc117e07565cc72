// SPDX-License-Identifier: MIT
/*
 * Two peers wired together by hand. What a peer wants done is done by execute(), one act at a time: keys go into two small tables that
 * stand for tx and rx, handshake messages into an outbox that a test takes from, when and as often as it likes. There is no clock and no
 * chance in here: time is what the test says it is, and randomness counts up.
 *
 * The simulator (tests/sim) shows that whole nodes converge; with this, each rule is tested at its boundary. What a verdict other than
 * acceptance promises ("nothing has changed") is checked over every byte of the peer.
 */
#ifndef ETHERCORD_TESTS_PEER_WIRE_H
#define ETHERCORD_TESTS_PEER_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/clock.h"
#include "ethercord/peer.h"

#define S NS_PER_S
#define MS NS_PER_MS
#define START (1000 * S)
#define WALL (UINT64_C(1700000000) * S)
#define LIFE (180 * S)
#define HOUR (3600 * S)

enum { OUTBOX_MAX = 8, PROBE_LEN = WIRE_DATA_OVERHEAD + WIRE_TOKEN_LEN + WIRE_RECORD_OVERHEAD + 28 }; // 28: IPv4 and UDP headers

struct datagram {
    uint8_t bytes[WIRE_INITIATION_LEN];
    size_t len;
    struct endpoint to;
};

struct data {
    uint8_t bytes[64];
    size_t len;
};

struct wire;
struct end {
    struct wire *wire;
    struct peer_self self;
    struct peer_config config;
    struct peer peer;
    struct keystore *keystore;
    struct cookie_checker checker;
    struct activity activity;
    struct random_source random;
    uint64_t n_random;
    bool wants_rekey;
    struct endpoint at; // where its datagrams come from

    struct send_session *send;                  // tx's
    struct recv_session *recv[KEYSTORE_PLACES]; // rx's
    uint32_t installed[KEYSTORE_PLACES];        // reports of rx that have not been passed on
    size_t n_installed;
    bool is_rx_slow; // keeps them until a test says report()

    struct datagram outbox[OUTBOX_MAX];
    size_t n_out;
    unsigned n_acts[PEER_ACT_RESOLVE + 1];
    struct peer_control control; // the last one
    bool is_sharing;
    struct endpoint share_to;
    uint64_t n_shared; // bytes, in all
};

struct wire {
    uint64_t now_ns, wall_ns;
    struct end a, b; // a knows where b is; b does not know where a is
};

/* ---- the wire ---- */

static inline void fill_counting(void *ctx, void *out, size_t len)
{
    struct end *end = ctx;
    uint8_t seed[randombytes_SEEDBYTES];

    memcpy(seed, end->self.static_public, sizeof seed); // the two ends must not draw the same
    store_le64(seed, end->n_random++);
    randombytes_buf_deterministic(out, len, seed);
}

static inline struct endpoint endpoint_at(uint8_t last, uint16_t port)
{
    return (struct endpoint){.remote = {.family = AF_INET, .port = port, .ip = {192, 0, 2, last}}};
}

static inline struct peer_input input_of(struct end *end)
{
    return (struct peer_input){
        .now_ns = end->wire->now_ns,
        .wall_ns = end->wire->wall_ns,
        .random = &end->random,
        .activity = &end->activity,
        .wants_rekey = end->wants_rekey,
    };
}

static inline void drop_recv(struct end *end, uint32_t local_index)
{
    for (size_t i = 0; i < KEYSTORE_PLACES; i++)
        if (end->recv[i] && end->recv[i]->local_index == local_index) {
            keystore_put_recv(end->recv[i]);
            end->recv[i] = NULL;
            return;
        }
    fail_msg("rx was told to give back a key that it does not have");
}

static inline void install_recv(struct end *end, struct recv_session *recv)
{
    size_t i = 0;

    while (i < KEYSTORE_PLACES && end->recv[i])
        i++;
    assert_true(i < KEYSTORE_PLACES);
    end->recv[i] = recv;
    end->installed[end->n_installed++] = recv->local_index;
}

static inline void switch_send(struct end *end, struct send_session *send)
{
    if (end->send)
        keystore_put_send(end->send);
    end->send = send;
}

static inline void carry_out(struct end *end, const struct peer_act *act)
{
    end->n_acts[act->kind]++;
    switch (act->kind) {
    case PEER_ACT_SEND_HANDSHAKE:
        assert_true(end->n_out < OUTBOX_MAX);
        memcpy(end->outbox[end->n_out].bytes, act->u.handshake.bytes, act->u.handshake.len);
        end->outbox[end->n_out].len = act->u.handshake.len;
        end->outbox[end->n_out++].to = act->u.handshake.to;
        break;
    case PEER_ACT_INSTALL_RECV:
        install_recv(end, act->u.recv);
        break;
    case PEER_ACT_DROP_RECV:
        drop_recv(end, act->u.local_index);
        break;
    case PEER_ACT_SWITCH_SEND:
        assert_non_null(act->u.send);
        switch_send(end, act->u.send);
        break;
    case PEER_ACT_STOP_SEND:
        assert_non_null(end->send);
        switch_send(end, NULL);
        break;
    case PEER_ACT_SEND_CONTROL:
        end->control = act->u.control;
        break;
    case PEER_ACT_SET_ENDPOINT:
        assert_true(end->peer.has_endpoint && endpoint_equal(&end->peer.endpoint, &act->u.endpoint));
        break;
    case PEER_ACT_SHARE:
        end->is_sharing = act->u.share.n_bytes > 0;
        end->share_to = act->u.share.to;
        end->n_shared += act->u.share.n_bytes;
        break;
    case PEER_ACT_SET_PATH_MTU:
    case PEER_ACT_PATH_FOUND:
    case PEER_ACT_BLACK_HOLE:
    case PEER_ACT_CAME_UP:
    case PEER_ACT_WENT_DOWN:
    case PEER_ACT_RESOLVE:
        break;
    }
}

static inline void report(struct end *end);

static inline void execute(struct end *end, struct peer_acts *acts)
{
    for (size_t i = 0; i < acts->n; i++)
        carry_out(end, &acts->at[i]);
    if (!end->is_rx_slow)
        report(end);
}

// rx says what it has installed, in order.
static inline void report(struct end *end)
{
    while (end->n_installed > 0) {
        struct peer_acts acts = {0};
        struct peer_input input = input_of(end);
        uint32_t index = end->installed[0];
        memmove(end->installed, end->installed + 1, --end->n_installed * sizeof end->installed[0]);
        peer_recv_installed(&end->peer, index, &input, &acts);
        for (size_t i = 0; i < acts.n; i++)
            carry_out(end, &acts.at[i]);
    }
}

static inline uint64_t tick(struct end *end)
{
    struct peer_acts acts = {0};
    struct peer_input input = input_of(end);
    uint64_t deadline_ns = peer_tick(&end->peer, &input, &acts);

    execute(end, &acts);
    assert_true(deadline_ns > end->wire->now_ns);
    return deadline_ns;
}

static inline void set_addresses(struct end *end, const struct addr *addresses, size_t n)
{
    struct peer_input input = input_of(end);

    peer_set_addresses(&end->peer, addresses, n, &input);
}

// The oldest handshake message that has not been taken yet.
static inline struct datagram take(struct end *end)
{
    assert_true(end->n_out > 0);
    struct datagram datagram = end->outbox[0];
    memmove(end->outbox, end->outbox + 1, --end->n_out * sizeof end->outbox[0]);
    return datagram;
}

static inline enum drop_reason open_initiation(struct end *end, struct datagram *datagram, struct initiation_in *in)
{
    uint8_t hello[WIRE_HELLO_LEN];
    struct initiation_msg msg;
    struct noise_params params = {
        .cipher = NOISE_CHACHAPOLY,
        .has_psk = true,
        .prologue = (const uint8_t *)WIRE_PROLOGUE,
        .prologue_len = sizeof WIRE_PROLOGUE - 1,
        .static_private = end->self.static_private,
    };

    initiation_decode(datagram->bytes, &msg);
    in->sender_index = msg.sender_index;
    noise_init(&in->noise, &params);
    if (!noise_consume_initiation(&in->noise, msg.noise, NOISE_INITIATION_OVERHEAD + WIRE_HELLO_LEN, hello))
        return DROP_HANDSHAKE_FAILED;
    assert_memory_equal(in->noise.rs, end->config.public_key, NOISE_KEY_LEN);
    assert_true(hello_decode(&in->hello, hello));
    return DROP_COUNT;
}

// `to` receives a handshake message as if from `from`.
static inline enum drop_reason deliver_from(struct end *to, struct datagram datagram, const struct endpoint *from)
{
    struct peer_acts acts = {0};
    struct peer_input input = input_of(to);
    struct initiation_in in = {.from = *from};
    struct response_msg response;
    enum drop_reason verdict;

    assert_true(cookie_check_mac1(&to->checker, datagram.bytes, datagram.len));
    switch (wire_classify(datagram.bytes, datagram.len)) {
    case MESSAGE_INITIATION:
        verdict = open_initiation(to, &datagram, &in);
        if (verdict == DROP_COUNT)
            verdict = peer_initiation_received(&to->peer, &in, &input, &acts);
        noise_deinit(&in.noise);
        break;
    case MESSAGE_RESPONSE:
        response_decode(datagram.bytes, &response);
        verdict = peer_response_received(&to->peer, &response, &input, &acts);
        break;
    default:
        fail_msg("not a handshake message");
        return DROP_MALFORMED;
    }
    assert_true(verdict == DROP_COUNT || acts.n == 0);
    execute(to, &acts);
    return verdict;
}

static inline struct end *other_of(struct end *end)
{
    return end == &end->wire->a ? &end->wire->b : &end->wire->a;
}

static inline enum drop_reason deliver(struct end *to, const struct datagram *datagram)
{
    return deliver_from(to, *datagram, &other_of(to)->at);
}

// The next message of `from` arrives and is accepted.
static inline void pass(struct end *from)
{
    struct datagram datagram = take(from);

    assert_int_equal(deliver(other_of(from), &datagram), DROP_COUNT);
}

static inline struct data seal(struct end *from)
{
    struct data data;
    uint64_t counter;

    assert_non_null(from->send);
    assert_true(send_session_reserve(from->send, 1, 0, from->wire->now_ns, &counter));
    session_seal(from->send, counter, data.bytes + WIRE_DATA_HEADER_LEN, 0, data.bytes);
    data.len = WIRE_DATA_OVERHEAD;
    return data;
}

// What rx does with a data message.
static inline enum drop_reason open_from(struct end *to, struct data data, const struct endpoint *from)
{
    struct peer_acts acts = {0};
    struct peer_input input = input_of(to);
    struct recv_session *recv = NULL;
    uint8_t payload[sizeof data.bytes];

    for (size_t i = 0; i < KEYSTORE_PLACES; i++)
        if (to->recv[i] && to->recv[i]->local_index == load_le32(data.bytes + 4))
            recv = to->recv[i];
    if (!recv)
        return DROP_UNKNOWN_INDEX;
    enum drop_reason verdict = session_open(recv, data.bytes, data.len, to->wire->now_ns, payload);
    if (verdict != DROP_COUNT)
        return verdict;
    activity_note(&to->activity.received_ns, to->wire->now_ns);
    if (!recv->is_confirmed) {
        recv->is_confirmed = true;
        peer_confirmed(&to->peer, recv->local_index, from, &input, &acts);
        execute(to, &acts);
    }
    return DROP_COUNT;
}

// One data message crosses.
static inline void talk(struct end *from)
{
    assert_int_equal(open_from(other_of(from), seal(from), &from->at), DROP_COUNT);
    activity_note(&from->activity.sent_ns, from->wire->now_ns);
}

static inline void talk_both(struct wire *wire)
{
    talk(&wire->a);
    talk(&wire->b);
}

static inline void advance(struct wire *wire, uint64_t by_ns)
{
    wire->now_ns += by_ns;
    wire->wall_ns += by_ns;
}

static inline void start_peer(struct end *end)
{
    peer_init(&end->peer, &end->config, &end->self, end->keystore, end->wire->now_ns);
}

static inline void init_end(struct wire *wire, struct end *end, uint8_t number, const uint8_t *private_key)
{
    static _Alignas(64) struct keystore keystores[2];

    memset(end, 0, sizeof *end);
    end->wire = wire;
    end->keystore = &keystores[number];
    memset(end->keystore, 0, sizeof *end->keystore);
    end->random = (struct random_source){.fill = fill_counting, .ctx = end};
    end->at = endpoint_at((uint8_t)(number + 1), (uint16_t)(1000 + number));
    memcpy(end->self.static_private, private_key, NOISE_KEY_LEN);
    noise_public_key(end->self.static_public, private_key);
    end->self.ciphers = ciphers_available();
    end->self.tap_mtu = (uint16_t)(1500 + number);
    cookie_checker_init(&end->checker, end->self.static_public);
    end->config.path_mtu = 1420; // no probes of its size: test_pmtu.c, and the simulator
    timing_default(&end->config.timing);
    session_limits_default(&end->config.limits);
    memset(end->config.psk, 7, sizeof end->config.psk);
}

static inline void make_keys(uint8_t lesser[static NOISE_KEY_LEN], uint8_t greater[static NOISE_KEY_LEN])
{
    uint8_t public_lesser[NOISE_KEY_LEN], public_greater[NOISE_KEY_LEN], swapped[NOISE_KEY_LEN];

    memset(lesser, 0x11, NOISE_KEY_LEN);
    memset(greater, 0x22, NOISE_KEY_LEN);
    noise_public_key(public_lesser, lesser);
    noise_public_key(public_greater, greater);
    if (memcmp(public_lesser, public_greater, NOISE_KEY_LEN) < 0)
        return;
    memcpy(swapped, lesser, NOISE_KEY_LEN);
    memcpy(lesser, greater, NOISE_KEY_LEN);
    memcpy(greater, swapped, NOISE_KEY_LEN);
}

static inline void init_wire(struct wire *wire, bool is_a_greater)
{
    uint8_t lesser[NOISE_KEY_LEN], greater[NOISE_KEY_LEN];

    wire->now_ns = START;
    wire->wall_ns = WALL;
    make_keys(lesser, greater);
    init_end(wire, &wire->a, 0, is_a_greater ? greater : lesser);
    init_end(wire, &wire->b, 1, is_a_greater ? lesser : greater);
    memcpy(wire->a.config.public_key, wire->b.self.static_public, NOISE_KEY_LEN);
    memcpy(wire->b.config.public_key, wire->a.self.static_public, NOISE_KEY_LEN);
    wire->a.config.has_endpoint_name = true;
    start_peer(&wire->a);
    start_peer(&wire->b);
    set_addresses(&wire->a, &wire->b.at.remote, 1);
}

static inline int set_up(void **state)
{
    static struct wire wire;

    init_wire(&wire, false);
    *state = &wire;
    return 0;
}

// From anything to an established session that `from` has initiated.
static inline void handshake(struct end *from)
{
    struct end *to = other_of(from);

    tick(from);
    pass(from);
    pass(to);
    talk(from);
    talk(to);
}

static inline void goodbye(struct end *end, uint32_t local_index)
{
    struct peer_acts acts = {0};
    struct peer_input input = input_of(end);

    peer_goodbye_received(&end->peer, local_index, &input, &acts);
    execute(end, &acts);
}

// Keys are never lost: each place that is taken belongs to somebody.
static inline void check_places(const struct end *end)
{
    const struct keypair *keypairs[] = {&end->peer.previous, &end->peer.current, &end->peer.next, &end->peer.arriving};
    int n_send = end->send ? 1 : 0, n_recv = 0;

    for (size_t i = 0; i < sizeof keypairs / sizeof *keypairs; i++) {
        n_send += keypairs[i]->send ? 1 : 0;
        n_recv += keypairs[i]->recv ? 1 : 0;
    }
    for (size_t i = 0; i < KEYSTORE_PLACES; i++) {
        n_send -= end->keystore->send[i].is_taken ? 1 : 0;
        n_recv += (end->recv[i] ? 1 : 0) - (end->keystore->recv[i].is_taken ? 1 : 0);
    }
    assert_int_equal(n_send, 0);
    assert_int_equal(n_recv, 0);
}

static inline int tear_down(void **state)
{
    struct wire *wire = *state;

    check_places(&wire->a);
    check_places(&wire->b);
    peer_deinit(&wire->a.peer);
    assert_true(sodium_is_zero((const uint8_t *)&wire->a.peer, sizeof wire->a.peer));
    return 0;
}

// The peer as it was, byte by byte; its answer to a clock that went back may differ.
static struct peer before;
static inline void remember(const struct end *end)
{
    memcpy(&before, &end->peer, sizeof before);
}

static inline void check_unchanged(const struct end *end)
{
    before.clock_behind_ns = end->peer.clock_behind_ns;
    before.reason = end->peer.reason;
    assert_memory_equal(&end->peer, &before, sizeof before);
}

static inline size_t count_recv(const struct end *end)
{
    size_t n = 0;

    for (size_t i = 0; i < KEYSTORE_PLACES; i++)
        n += end->recv[i] ? 1 : 0;
    return n;
}

static inline void check_keypairs_agree(const struct wire *wire)
{
    const struct keypair *a = &wire->a.peer.current, *b = &wire->b.peer.current;

    assert_true(a->is_used && b->is_used);
    assert_true(a->is_initiator != b->is_initiator);
    assert_int_equal(a->local_index, b->remote_index);
    assert_int_equal(b->local_index, a->remote_index);
    assert_true(a->local_index != 0 && b->local_index != 0);
    assert_int_equal(a->cipher, b->cipher);
    assert_int_equal(a->far_tap_mtu, wire->b.self.tap_mtu);
    assert_int_equal(b->far_tap_mtu, wire->a.self.tap_mtu);
}

#define ON_WIRE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
