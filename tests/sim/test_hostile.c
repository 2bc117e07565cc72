// SPDX-License-Identifier: MIT
/*
 * Each message of the protocol once more, with every single bit of it changed, and one initiation ten thousand times: nothing is believed,
 * nothing changes in the peer, nothing moves, and what goes out is not more than what came in. The unchanged message is accepted in the
 * end, so it was the change that was refused.
 *
 * mac2 alone is covered by nothing while a node is not under load: it has a test of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ethercord/wire.h"
#include "sim.h"

enum { SLOWLY_MS = 25, TIMES = 10000, FORGED_INDEX = 0x7e57 }; // so that no limit is reached: everything is looked into

// What is held back: datagrams of this length from this node.
struct wanted {
    int sender;
    size_t len;
};

static enum sim_fate hold_wanted(struct sim *sim, const struct sim_datagram *datagram)
{
    const struct wanted *wanted = sim->filter_ctx;

    return datagram->sender == wanted->sender && datagram->len == wanted->len && sim->held.n == 0 ? SIM_HOLD : SIM_PASS;
}

// Nobody tries again or makes a new keypair while a test is at it.
static void be_patient(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++) {
        struct peer_config *config = &sim->nodes[id].config.peer;
        config->timing.rekey_after_ns = config->timing.rekey_backup_ns = 3000 * NS_PER_S;
        config->timing.retry_first_ns = config->timing.retry_max_ns = 2000 * NS_PER_S;
        config->limits.reject_after_ns = 4000 * NS_PER_S;
    }
}

static void inject_flipped(struct sim *sim, size_t bit, const struct addr *from)
{
    struct sim_datagram *held = sim->held.at[0];

    held->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    sim_inject(sim, held, from, &held->to);
    held->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
}

static uint64_t all_drops(const struct sim *sim, int id)
{
    uint64_t sum = 0;

    for (enum drop_reason reason = 0; reason < DROP_COUNT; reason++)
        sum += sim_dropped(sim, id, reason);
    return sum;
}

// Every bit before `end` in what is held back, to node `at`: its peer is the same as before after each of them, and it says nothing to it.
static void flip_all(struct sim *sim, int at, size_t end)
{
    struct addr elsewhere = sim_addr(66, 666);
    static struct peer before;

    before = *sim_peer(sim, at);
    for (size_t bit = 0; bit < 8 * end; bit++) {
        uint64_t n_dropped = all_drops(sim, at), n_sent = sim_counted(sim, at, COUNT_TX_DATAGRAMS);
        inject_flipped(sim, bit, bit % 2 ? &elsewhere : &sim->held.at[0]->from);
        sim_run(sim, SLOWLY_MS * NS_PER_MS);
        sim_assert(sim, all_drops(sim, at) == n_dropped + 1);
        sim_assert(sim, sim_counted(sim, at, COUNT_TX_DATAGRAMS) == n_sent);
        sim_assert(sim, memcmp(sim_peer(sim, at), &before, sizeof before) == 0);
    }
    sim_assert(sim, sim->n_stray == 0);
}

static void finish(struct sim *sim)
{
    sim->filter = NULL;
    sim_release(sim, 0);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, sim_are_up(sim));
}

// A calls B, and what is wanted is held back.
static void start_and_hold(struct sim *sim, struct wanted *wanted)
{
    be_patient(sim);
    sim->filter = hold_wanted;
    sim->filter_ctx = wanted;
    sim->nodes[SIM_B].config.peer.has_endpoint_name = false;
    sim_start(sim);
    sim_run(sim, NS_PER_S);
}

static void initiation(struct sim *sim)
{
    struct wanted wanted = {SIM_A, WIRE_INITIATION_LEN};

    start_and_hold(sim, &wanted);
    flip_all(sim, SIM_B, WIRE_INITIATION_LEN - MAC_LEN);
    sim_assert(sim, !sim_peer(sim, SIM_B)->has_endpoint && !sim_peer(sim, SIM_B)->candidate.is_active);
    finish(sim);
}

static void test_initiation(void **state)
{
    (void)state;
    sim_each_seed("test_initiation", 1, initiation);
}

static void response(struct sim *sim)
{
    struct wanted wanted = {SIM_B, WIRE_RESPONSE_LEN};

    start_and_hold(sim, &wanted);
    sim->nodes[SIM_A].node->secrets->peer.config.has_endpoint_name = false; // or the name would be looked up again and again
    flip_all(sim, SIM_A, WIRE_RESPONSE_LEN - MAC_LEN);
    sim_assert(sim, sim_peer(sim, SIM_A)->pending.is_active);
    finish(sim);
}

static void test_response(void **state)
{
    (void)state;
    sim_each_seed("test_response", 1, response);
}

// So many calls that B answers with cookies. They are as good as A's but for what is inside.
static void load(struct sim *sim, const struct sim_datagram *initiation)
{
    _Alignas(struct sim_datagram) uint8_t room[sizeof(struct sim_datagram) + WIRE_INITIATION_LEN];
    struct sim_datagram *datagram = (struct sim_datagram *)(void *)room;
    struct cookie_jar jar;
    struct addr from = sim_addr(99, 99);

    memcpy(datagram, initiation, sizeof *datagram + WIRE_INITIATION_LEN);
    cookie_jar_init(&jar, sim->nodes[SIM_B].config.self.static_public);
    for (unsigned i = 0; i < 60; i++) {
        datagram->bytes[20] = (uint8_t)i;
        cookie_add_macs(&jar, datagram->bytes, WIRE_INITIATION_LEN, sim->now_ns);
        sim_inject(sim, datagram, &from, &sim->nodes[SIM_B].seen);
    }
    sim_run(sim, NS_PER_MS);
}

// A's initiation with each bit of mac2 set, to a node under load: a cookie is what comes of each, and nothing else.
static void mac2(struct sim *sim)
{
    struct wanted wanted = {SIM_A, WIRE_INITIATION_LEN};
    static struct peer before;

    start_and_hold(sim, &wanted);
    before = *sim_peer(sim, SIM_B);
    for (size_t bit = 8 * (WIRE_INITIATION_LEN - MAC_LEN); bit < 8 * WIRE_INITIATION_LEN; bit++) {
        load(sim, sim->held.at[0]);
        uint64_t n_sent = sim_counted(sim, SIM_B, COUNT_TX_DATAGRAM_BYTES), n_cookies = sim_counted(sim, SIM_B, COUNT_COOKIE_REPLIES);
        inject_flipped(sim, bit, &(struct addr){.family = AF_INET, .port = 5, .ip = {10, 0, 0, 5}});
        sim_run(sim, NS_PER_MS);
        sim_assert(sim, sim_counted(sim, SIM_B, COUNT_COOKIE_REPLIES) == n_cookies + 1);
        sim_assert(sim, sim_counted(sim, SIM_B, COUNT_TX_DATAGRAM_BYTES) == n_sent + WIRE_COOKIE_REPLY_LEN);
        sim_assert(sim, memcmp(sim_peer(sim, SIM_B), &before, sizeof before) == 0);
    }
    sim_run(sim, 2 * NS_PER_S); // it has time again
    finish(sim);
}

static void test_mac2(void **state)
{
    (void)state;
    sim_each_seed("test_mac2", 1, mac2);
}

static void cookie_reply(struct sim *sim)
{
    struct wanted wanted = {SIM_B, WIRE_COOKIE_REPLY_LEN}, first = {SIM_A, WIRE_INITIATION_LEN};

    be_patient(sim);
    sim->nodes[SIM_B].config.peer.has_endpoint_name = false;
    sim->filter = hold_wanted;
    sim->filter_ctx = &first;
    sim_start(sim);
    sim_run(sim, NS_PER_S);
    load(sim, sim->held.at[0]);
    sim_release(sim, 0); // A's initiation gets there now
    sim->filter_ctx = &wanted;
    sim_run(sim, 10 * NS_PER_MS);
    sim_assert(sim, sim->held.n == 1);
    sim->n_stray = 0;
    flip_all(sim, SIM_A, WIRE_COOKIE_REPLY_LEN);
    sim_assert(sim, !sim_peer(sim, SIM_A)->jar.has_cookie);
    sim->filter = NULL;
    sim_release(sim, 0);
    sim_run(sim, 10 * NS_PER_MS);
    sim_assert(sim, sim_peer(sim, SIM_A)->jar.has_cookie && sim_counted(sim, SIM_A, COUNT_COOKIES_TAKEN) == 1);
}

static void test_cookie_reply(void **state)
{
    (void)state;
    sim_each_seed("test_cookie_reply", 1, cookie_reply);
}

// The header is covered as associated data; the rest is sealed.
static void data(struct sim *sim)
{
    struct wanted wanted = {SIM_A, 0};
    struct addr elsewhere = sim_addr(66, 666);

    sim->nodes[SIM_B].config.peer.has_endpoint_name = false; // one keypair alone
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_run(sim, NS_PER_S);
    sim_send_frame(sim, SIM_A, 60);
    wanted.len = 60 + WIRE_DATA_OVERHEAD + WIRE_RECORD_OVERHEAD;
    sim->filter = hold_wanted;
    sim->filter_ctx = &wanted;
    sim_run(sim, NS_PER_MS);
    sim_assert(sim, sim->held.n == 1);
    const struct recv_session *session = sim->nodes[SIM_B].node->rx.sessions[0];
    sim_assert(sim, sim->nodes[SIM_B].node->rx.n_sessions == 1);
    uint64_t next = session->replay.next, n_dropped = all_drops(sim, SIM_B), n_received = sim_counted(sim, SIM_B, COUNT_RX_FRAMES);
    for (size_t bit = 0; bit < 8 * wanted.len; bit++) {
        inject_flipped(sim, bit, bit % 2 ? &elsewhere : &sim->nodes[SIM_A].seen);
        sim_run(sim, 10000);
        sim_assert(sim, session->replay.next == next);
    }
    sim_run(sim, 50 * NS_PER_MS);
    sim_assert(sim, all_drops(sim, SIM_B) == n_dropped + 8 * wanted.len);
    sim_assert(sim, sim_counted(sim, SIM_B, COUNT_RX_FRAMES) == n_received && sim->n_stray == 0);
    sim_assert(sim, !sim_peer(sim, SIM_B)->candidate.is_active);
    sim_assert(sim, addr_equal(&sim_peer(sim, SIM_B)->endpoint.remote, &sim->nodes[SIM_A].seen));
    sim->filter = NULL;
    sim_release(sim, 0);
    sim_run(sim, NS_PER_MS);
    sim_assert(sim, sim_counted(sim, SIM_B, COUNT_RX_FRAMES) == n_received + 1);
    sim_heal(sim);
}

static void test_data(void **state)
{
    (void)state;
    sim_each_seed("test_data", 2, data);
}

// One initiation of A's, good in its time, from everywhere: slowly, so that each is looked into, and fast.
static void replayed_initiation(struct sim *sim)
{
    struct addr from = sim->nodes[SIM_A].seen;

    be_patient(sim);
    sim->is_recording = true;
    sim->nodes[SIM_B].config.peer.has_endpoint_name = false;
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_run(sim, NS_PER_S);
    sim->is_recording = false;
    const struct sim_datagram *message = sim->recorded.at[0];
    sim_assert(sim, message->sender == SIM_A && message->len == WIRE_INITIATION_LEN);
    uint32_t current = sim_peer(sim, SIM_B)->current.local_index;
    for (unsigned i = 0; i < TIMES; i++) {
        if (i % 3 == 1)
            from = sim_addr(10 + i % 100, (uint16_t)(1 + i));
        sim_inject(sim, message, i % 3 ? &from : &sim->nodes[SIM_A].seen, &sim->nodes[SIM_B].seen);
        sim_run(sim, i < TIMES / 4 ? SLOWLY_MS * NS_PER_MS : 10000);
    }
    sim_run(sim, 100 * NS_PER_MS);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_HANDSHAKE_REPLAYED) >= TIMES / 4);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_HANDSHAKE_REPLAYED) + sim_dropped(sim, SIM_B, DROP_BAD_MAC2) == TIMES);
    for (int id = 0; id < SIM_NODES; id++)
        sim_assert(sim, sim_counted(sim, id, COUNT_HANDSHAKES_DONE) == 1 && sim->nodes[id].n_up == 1 && sim->nodes[id].n_down == 0);
    const struct peer *peer = sim_peer(sim, SIM_B);
    sim_assert(sim, peer->current.local_index == current && !peer->next.is_used && !peer->candidate.is_active);
    sim_assert(sim, addr_equal(&peer->endpoint.remote, &sim->nodes[SIM_A].seen));
    sim_assert(sim, sim->stray_bytes < TIMES * WIRE_INITIATION_LEN);
    sim_heal(sim);
}

static void test_replayed_initiation(void **state)
{
    (void)state;
    sim_each_seed("test_replayed_initiation", 1, replayed_initiation);
}

// An initiation from B to A. It could be made with A's private key as well, as the `ss` of both is the same.
static void forge(struct sim *sim, struct sim_datagram *datagram, uint64_t wall_ns)
{
    const struct peer_self *to = &sim->nodes[SIM_A].config.self;
    struct hello hello = {.ciphers = 1U << CIPHER_CHACHA20_POLY1305, .tap_mtu = 1500, .features = FEATURES_ALL};
    uint8_t payload[WIRE_HELLO_LEN], ephemeral[NOISE_KEY_LEN] = {1};
    struct initiation_msg msg;
    struct cookie_jar jar;
    struct noise noise;

    tai64n_from_wall(hello.timestamp, wall_ns);
    hello_encode(&hello, payload);
    noise_init(&noise, &(struct noise_params){.is_initiator = true,
                                              .has_psk = true,
                                              .prologue = (const uint8_t *)WIRE_PROLOGUE,
                                              .prologue_len = sizeof WIRE_PROLOGUE - 1,
                                              .static_private = sim->nodes[SIM_B].config.self.static_private,
                                              .remote_static = to->static_public});
    datagram->len = WIRE_INITIATION_LEN;
    initiation_begin(datagram->bytes, FORGED_INDEX, &msg);
    sim_assert(sim, noise_create_initiation(&noise, ephemeral, payload, sizeof payload, msg.noise));
    cookie_jar_init(&jar, to->static_public);
    cookie_add_macs(&jar, datagram->bytes, WIRE_INITIATION_LEN, sim->now_ns);
}

// Somebody has A's private key. With it he can call A in B's name, and nothing more: the answer is of no use without B's key.
static void stolen_key(struct sim *sim)
{
    _Alignas(struct sim_datagram) uint8_t room[sizeof(struct sim_datagram) + WIRE_INITIATION_LEN] = {0};
    struct sim_datagram *datagram = (struct sim_datagram *)(void *)room;
    struct addr thief = sim_addr(66, 666);

    sim->nodes[SIM_A].config.peer.has_endpoint_name = false; // B has called, so A knows how late it is there
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_run(sim, NS_PER_S);
    const struct peer *peer = sim_peer(sim, SIM_A);
    forge(sim, datagram, tai64n_to_wall(peer->received_timestamp) + 100 * NS_PER_MS);
    uint32_t current = peer->current.local_index;
    sim_flow(sim, SIM_A, 5 * NS_PER_MS, 60, 1000);
    sim_flow(sim, SIM_B, 5 * NS_PER_MS, 60, 1000);
    sim_inject(sim, datagram, &thief, &sim->nodes[SIM_A].seen);
    sim->nodes[SIM_A].books.n_genuine++; // as far as A can know
    sim_run(sim, 5 * NS_PER_S);
    sim_assert(sim, peer->next.is_used && peer->next.remote_index == FORGED_INDEX); // it was taken for B's …
    sim_assert(sim,
               peer->current.local_index == current && sim->n_stray == 1 && sim->stray_bytes == WIRE_RESPONSE_LEN); // … and that is all
    sim_assert(sim, addr_equal(&peer->endpoint.remote, &sim->nodes[SIM_B].seen) && !peer->candidate.is_active);
    sim->nodes[SIM_B].node->secrets->peer.config.timing.rekey_after_ns = NS_PER_S; // B itself takes its place
    sim_run(sim, 500 * NS_PER_MS);
    sim->nodes[SIM_B].node->secrets->peer.config.timing.rekey_after_ns = 120 * NS_PER_S;
    sim_flow(sim, SIM_A, 0, 0, 0);
    sim_flow(sim, SIM_B, 0, 0, 0);
    sim_run(sim, 100 * NS_PER_MS);
    sim_assert(sim, peer->current.local_index != current && !peer->next.is_used);
    for (int id = 0; id < SIM_NODES; id++)
        sim_assert(sim, sim_n_received(sim, id) == sim_n_sent(sim, id) && sim->nodes[id].n_down == 0);
    sim_heal(sim);
}

static void test_stolen_key(void **state)
{
    (void)state;
    sim_each_seed("test_stolen_key", 6, stolen_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initiation),   cmocka_unit_test(test_response), cmocka_unit_test(test_mac2),
        cmocka_unit_test(test_cookie_reply), cmocka_unit_test(test_data),     cmocka_unit_test(test_replayed_initiation),
        cmocka_unit_test(test_stolen_key),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
