// SPDX-License-Identifier: MIT
/*
 * How sessions begin and end: under loss, with one end that must be called, with keys that don't fit, over restarts, and with clocks
 * that went back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "sim.h"

static void under_loss(struct sim *sim)
{
    sim_link(sim, (struct sim_link){.loss = (double)(sim->seed % 7) / 10, .delay_ms = 20, .reorder_ms = 10});
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 120 * NS_PER_S));
    sim_heal(sim);
}

static void test_under_loss(void **state)
{
    (void)state;
    sim_each_seed("test_under_loss", 70, under_loss);
}

static void one_end_is_called(struct sim *sim)
{
    sim->nodes[SIM_B].config.peer.has_endpoint_name = false;
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 2 * NS_PER_S));
    sim_run(sim, 400 * NS_PER_MS);
    sim_assert(sim, addr_equal(&sim_peer(sim, SIM_B)->endpoint.remote, &sim->nodes[SIM_A].seen));
    sim_heal(sim);
}

static void test_one_end_is_called(void **state)
{
    (void)state;
    sim_each_seed("test_one_end_is_called", 10, one_end_is_called);
}

// Neither is up, and what went wrong is counted.
static void assert_never_up(struct sim *sim, enum drop_reason reason)
{
    sim_start(sim);
    sim_send_frames(sim, SIM_A, 5, 100);
    sim_assert(sim, !sim_run_until_up(sim, 30 * NS_PER_S));
    sim_assert(sim, sim->nodes[SIM_A].n_up == 0 && sim->nodes[SIM_B].n_up == 0);
    sim_assert(sim, sim_dropped(sim, SIM_A, reason) > 0 && sim_dropped(sim, SIM_B, reason) > 0);
    sim_assert(sim, sim_dropped(sim, SIM_A, DROP_NO_SESSION) == 5 && sim_n_received(sim, SIM_A) == 0);
}

static void wrong_psk(struct sim *sim)
{
    sim->nodes[SIM_A].config.peer.psk[3] = 1;
    assert_never_up(sim, DROP_HANDSHAKE_FAILED);
}

static void test_wrong_psk(void **state)
{
    (void)state;
    sim_each_seed("test_wrong_psk", 4, wrong_psk);
}

static void no_common_cipher(struct sim *sim)
{
    sim->nodes[SIM_A].config.self.ciphers = 1U << CIPHER_AES_256_GCM;
    assert_never_up(sim, DROP_HANDSHAKE_NO_CIPHER);
}

static void test_no_common_cipher(void **state)
{
    (void)state;
    sim_each_seed("test_no_common_cipher", 4, no_common_cipher);
}

// B expects somebody else: A's initiations are for B's key and open there, but A is a stranger. Not one byte goes back to a stranger.
static enum sim_fate only_from_a(struct sim *sim, const struct sim_datagram *datagram)
{
    sim_assert(sim, datagram->sender == SIM_A);
    return SIM_PASS;
}

static void stranger(struct sim *sim)
{
    sim->nodes[SIM_B].config.peer.public_key[0] ^= 1;
    sim->nodes[SIM_B].config.peer.has_endpoint_name = false;
    sim->filter = only_from_a;
    sim_start(sim);
    sim_run(sim, 20 * NS_PER_S);
    sim_assert(sim, sim->n_sends > 5 && sim_dropped(sim, SIM_B, DROP_HANDSHAKE_UNKNOWN_PEER) == sim->n_sends);
}

static void test_stranger(void **state)
{
    (void)state;
    sim_each_seed("test_stranger", 4, stranger);
}

// A has the wrong key for B: nothing that it sends is even looked into.
static void wrong_static_key(struct sim *sim)
{
    uint8_t *key = sim->nodes[SIM_A].config.peer.public_key;

    memcpy(key, sim->nodes[SIM_A].config.self.static_public, NOISE_KEY_LEN);
    sim->nodes[SIM_B].config.peer.has_endpoint_name = false;
    sim->filter = only_from_a;
    sim_start(sim);
    sim_run(sim, 20 * NS_PER_S);
    sim_assert(sim, sim->n_sends > 5 && sim_dropped(sim, SIM_B, DROP_BAD_MAC1) == sim->n_sends);
}

static void test_wrong_static_key(void **state)
{
    (void)state;
    sim_each_seed("test_wrong_static_key", 4, wrong_static_key);
}

static void low_order_key(struct sim *sim)
{
    // All of them, with those that are the same modulo p.
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };

    sim_assert(sim,
               sodium_hex2bin(sim->nodes[SIM_A].config.peer.public_key, NOISE_KEY_LEN, points[sim->seed % 7], 64, NULL, NULL, NULL) == 0);
    sim_start_node(sim, SIM_A);
    sim_run(sim, 20 * NS_PER_S);
    sim_assert(sim, sim->n_sends == 0 && sim->n_stray == 0);
}

static void test_low_order_key(void **state)
{
    (void)state;
    sim_each_seed("test_low_order_key", 7, low_order_key);
}

// One end is started again, at any moment: before, in the middle of, or after a handshake.
static void restart(struct sim *sim)
{
    int id = (int)(sim->seed & 1);
    bool is_early = sim->seed & 4;

    sim_link(sim, (struct sim_link){.delay_ms = 20, .reorder_ms = sim->seed & 8 ? 20 : 0});
    sim_start(sim);
    sim_run(sim, (is_early ? 0 : 3 * NS_PER_S) + sim_below(sim, 200 * NS_PER_MS));
    sim_stop_node(sim, id, sim->seed & 2);
    sim_run(sim, sim_below(sim, 2 * NS_PER_S));
    sim_start_node(sim, id);
    sim_run(sim, 5 * NS_PER_S);
    sim_heal(sim);
}

static void test_restart(void **state)
{
    (void)state;
    sim_each_seed("test_restart", 320, restart);
}

static void goodbye(struct sim *sim)
{
    int id = (int)(sim->seed & 1);

    sim_link(sim, (struct sim_link){.delay_ms = 10});
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_run(sim, 2 * NS_PER_S);
    sim_stop_node(sim, id, true);
    sim_run(sim, 20 * NS_PER_MS);
    sim_assert(sim, peer_state(sim_peer(sim, 1 - id)) != PEER_UP && sim->nodes[1 - id].n_down == 1);
    sim_start_node(sim, id);
    sim_assert(sim, sim_run_until_up(sim, 2 * NS_PER_S));
    sim_heal(sim);
}

static void test_goodbye(void **state)
{
    (void)state;
    sim_each_seed("test_goodbye", 20, goodbye);
}

// The peer vanishes: that is noticed within ten seconds and a little; it comes back: that, too.
static void vanish(struct sim *sim)
{
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_run(sim, 20 * NS_PER_S);
    sim_assert(sim, sim->nodes[SIM_A].n_down == 0);
    sim->links[SIM_B].is_blocked = true; // B hears A, A does not hear B
    sim_run(sim, 11 * NS_PER_S);
    sim_assert(sim, peer_state(sim_peer(sim, SIM_A)) != PEER_UP && sim_peer(sim, SIM_A)->reason != PEER_REASON_UP);
    sim_run(sim, 300 * NS_PER_S);
    sim->links[SIM_B].is_blocked = false;
    sim_assert(sim, sim_run_until_up(sim, 8 * NS_PER_S));
    sim_heal(sim);
}

static void test_vanish(void **state)
{
    (void)state;
    sim_each_seed("test_vanish", 10, vanish);
}

// A restarts with its clock an hour back: B refuses it and says by how much. If B can call, they meet all the same.
static void clock_back(struct sim *sim)
{
    bool can_call = sim->seed & 1;

    sim->nodes[SIM_B].config.peer.has_endpoint_name = can_call;
    sim->nodes[SIM_B].far.family = AF_UNSPEC; // not yet: A has to initiate first
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_stop_node(sim, SIM_A, false);
    sim->nodes[SIM_A].wall_skew_ns = -(int64_t)(3600 * NS_PER_S);
    if (!can_call) // nor may it call where A was
        sim_move(sim, SIM_A, sim_addr(77, 1234), true);
    sim_start_node(sim, SIM_A);
    sim_run(sim, 9 * NS_PER_S);
    uint64_t behind_ns = sim_peer(sim, SIM_B)->clock_behind_ns;
    sim_assert(sim, behind_ns > 3590 * NS_PER_S && behind_ns < 3610 * NS_PER_S);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_HANDSHAKE_REPLAYED) > 0);
    sim_run(sim, 30 * NS_PER_S);
    if (can_call)
        sim_heal(sim);
    else
        sim_assert(sim, sim->nodes[SIM_A].n_up == 1 && sim_peer(sim, SIM_B)->reason == PEER_REASON_CLOCK);
}

static void test_clock_back(void **state)
{
    (void)state;
    sim_each_seed("test_clock_back", 10, clock_back);
}

static void idle_for_an_hour(struct sim *sim)
{
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    uint64_t before = sim->n_sends;
    sim_run(sim, 3600 * NS_PER_S);
    for (int id = 0; id < SIM_NODES; id++)
        sim_assert(sim, sim->nodes[id].n_up == 1 && sim->nodes[id].n_down == 0);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_HANDSHAKES_DONE) >= 29);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_HANDSHAKES_DONE) <= 33);
    sim_assert(sim, sim->n_sends - before < 4000); // some echoes and a handshake every two minutes
    sim_heal(sim);
}

static void test_idle_for_an_hour(void **state)
{
    (void)state;
    sim_each_seed("test_idle_for_an_hour", 4, idle_for_an_hour);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_under_loss),       cmocka_unit_test(test_one_end_is_called), cmocka_unit_test(test_wrong_psk),
        cmocka_unit_test(test_no_common_cipher), cmocka_unit_test(test_stranger),          cmocka_unit_test(test_wrong_static_key),
        cmocka_unit_test(test_low_order_key),    cmocka_unit_test(test_restart),           cmocka_unit_test(test_goodbye),
        cmocka_unit_test(test_vanish),           cmocka_unit_test(test_clock_back),        cmocka_unit_test(test_idle_for_an_hour),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
