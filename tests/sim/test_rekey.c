// SPDX-License-Identifier: MIT
/*
 * One keypair follows another, by age and by use, and no frame is lost, doubled or late because of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ethercord/wire.h"
#include "sim.h"

static void use_cipher(struct sim *sim, enum cipher cipher)
{
    for (int id = 0; id < SIM_NODES; id++)
        sim->nodes[id].config.self.ciphers = (uint16_t)(1U << cipher);
}

// Every second seed runs under AES, where this CPU has it.
static enum cipher pick_cipher(struct sim *sim)
{
    enum cipher cipher = sim->seed & 1 ? CIPHER_CHACHA20_POLY1305 : cipher_choose(ciphers_available());

    use_cipher(sim, cipher);
    return cipher;
}

static void rekey_every(struct sim *sim, uint64_t age_ns)
{
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].config.peer.timing.rekey_after_ns = age_ns;
        sim->nodes[id].config.peer.timing.rekey_backup_ns = age_ns + 300 * NS_PER_MS;
    }
}

static void start_up(struct sim *sim)
{
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_run(sim, 200 * NS_PER_MS);
}

static void flow_both_ways(struct sim *sim, uint64_t every_ns, uint64_t duration_ns)
{
    sim_flow(sim, SIM_A, every_ns, 60, 1514);
    sim_flow(sim, SIM_B, every_ns, 60, 1514);
    sim_run(sim, duration_ns);
    sim_flow(sim, SIM_A, 0, 0, 0);
    sim_flow(sim, SIM_B, 0, 0, 0);
    sim_run(sim, 300 * NS_PER_MS);
}

static void assert_nothing_lost(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++) {
        sim_assert(sim, sim_n_sent(sim, id) > 100 && sim_n_received(sim, id) == sim_n_sent(sim, id));
        sim_assert(sim, sim->nodes[id].n_up == 1 && sim->nodes[id].n_down == 0);
    }
}

static void every_second(struct sim *sim)
{
    enum cipher cipher = pick_cipher(sim);

    rekey_every(sim, NS_PER_S);
    sim->slow_us = 2000;
    sim_link(sim, (struct sim_link){.delay_ms = 10, .reorder_ms = sim->seed & 2 ? 30 : 0, .duplicate = sim->seed & 4 ? 0.1 : 0});
    start_up(sim);
    flow_both_ways(sim, 5 * NS_PER_MS, 60 * NS_PER_S);
    assert_nothing_lost(sim);
    sim_assert(sim, sim_peer(sim, SIM_A)->current.cipher == cipher && sim_peer(sim, SIM_B)->current.cipher == cipher);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_HANDSHAKES_DONE) > 50);
}

static void test_every_second(void **state)
{
    (void)state;
    sim_each_seed("test_every_second", 4, every_second);
}

// Both ends start their rekeys in the same moment, over and over.
static void crossing(struct sim *sim)
{
    rekey_every(sim, NS_PER_S);
    for (int id = 0; id < SIM_NODES; id++)
        sim->nodes[id].config.peer.timing.rekey_backup_ns = NS_PER_S;
    sim->slow_us = 1000;
    sim_link(sim, (struct sim_link){.delay_ms = 10});
    start_up(sim);
    flow_both_ways(sim, 5 * NS_PER_MS, 30 * NS_PER_S);
    assert_nothing_lost(sim);
}

static void test_crossing(void **state)
{
    (void)state;
    sim_each_seed("test_crossing", 5, crossing);
}

static void limit_by_messages(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].config.peer.limits.rekey_after_messages = 100;
        sim->nodes[id].config.peer.limits.reject_after_messages = 200;
    }
    sim_link(sim, (struct sim_link){.delay_ms = 10});
    start_up(sim);
    flow_both_ways(sim, NS_PER_MS, 5 * NS_PER_S);
    assert_nothing_lost(sim);
}

static void test_limit_by_messages(void **state)
{
    (void)state;
    sim_each_seed("test_limit_by_messages", 5, limit_by_messages);
}

static void limit_by_blocks(struct sim *sim)
{
    if (!cipher_is_available(CIPHER_AES_256_GCM))
        skip();
    use_cipher(sim, CIPHER_AES_256_GCM);
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].config.peer.limits.rekey_after_blocks = 10000;
        sim->nodes[id].config.peer.limits.reject_after_blocks = 20000;
    }
    sim_link(sim, (struct sim_link){.delay_ms = 10});
    start_up(sim);
    flow_both_ways(sim, NS_PER_MS, 5 * NS_PER_S);
    assert_nothing_lost(sim);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_HANDSHAKES_DONE) >= 20);
}

static void test_limit_by_blocks(void **state)
{
    (void)state;
    sim_each_seed("test_limit_by_blocks", 5, limit_by_blocks);
}

static enum sim_fate only_data(struct sim *sim, const struct sim_datagram *datagram)
{
    (void)sim;
    return sim_is_data(datagram) ? SIM_PASS : SIM_DROP;
}

// No rekey gets through: exactly as many messages as allowed are sealed, and not one more. Then it does.
static void exactly_to_the_limit(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].config.peer.limits.rekey_after_messages = 90;
        sim->nodes[id].config.peer.limits.reject_after_messages = 100;
    }
    start_up(sim);
    sim->filter = only_data;
    for (int i = 0; i < 150; i++) {
        sim_send_frame(sim, SIM_A, 100);
        sim_run(sim, 5 * NS_PER_MS);
    }
    sim_assert(sim, sim->nodes[SIM_A].node->tx.session->next_counter == 100);
    sim_assert(sim, sim_n_received(sim, SIM_A) + sim_dropped(sim, SIM_A, DROP_COUNTER_EXHAUSTED) == 150);
    sim_assert(sim, sim_n_received(sim, SIM_A) > 90 && sim_n_received(sim, SIM_A) <= 100);
    sim_heal(sim);
}

static void test_exactly_to_the_limit(void **state)
{
    (void)state;
    sim_each_seed("test_exactly_to_the_limit", 5, exactly_to_the_limit);
}

// The real limits, five messages away, of either cipher: exactly five more are sealed, and all the rest waits for the next keypair, or is
// lost by a count.
static void five_more(struct sim *sim)
{
    enum { LEN = 100, BLOCKS = (LEN + WIRE_RECORD_OVERHEAD + 15) / 16 + 2 };
    enum cipher cipher = pick_cipher(sim);

    start_up(sim);
    sim->filter = only_data;
    struct send_session *session = sim->nodes[SIM_A].node->tx.session;
    if (cipher == CIPHER_AES_256_GCM)
        session->n_blocks = session->limits.reject_after_blocks - 5 * BLOCKS;
    else
        session->next_counter = session->limits.reject_after_messages - 5;
    uint64_t counter = session->next_counter;
    size_t n = sim_n_received(sim, SIM_A);
    for (int i = 0; i < 20; i++) {
        sim_send_frame(sim, SIM_A, LEN);
        sim_run(sim, 5 * NS_PER_MS);
    }
    sim_assert(sim, session == sim->nodes[SIM_A].node->tx.session && session->next_counter == counter + 5);
    sim_assert(sim, sim_n_received(sim, SIM_A) == n + 5 && sim_dropped(sim, SIM_A, DROP_COUNTER_EXHAUSTED) == 15);
    sim_assert(sim, sim_peer(sim, SIM_A)->pending.is_active); // it has been calling for a new one all the time
    sim_heal(sim);
    sim_assert(sim, sim->nodes[SIM_A].node->tx.session->next_counter < 1000);
}

static void test_five_more(void **state)
{
    (void)state;
    sim_each_seed("test_five_more", 4, five_more);
}

// The same by age: at 180 s the key is dead at both ends.
static void expire(struct sim *sim)
{
    start_up(sim);
    sim->filter = only_data;
    sim_flow(sim, SIM_A, 100 * NS_PER_MS, 100, 100);
    sim_run(sim, 179 * NS_PER_S);
    sim_assert(sim, sim_are_up(sim));
    sim_run(sim, 2 * NS_PER_S);
    for (int id = 0; id < SIM_NODES; id++) {
        sim_assert(sim, peer_state(sim_peer(sim, id)) != PEER_UP && !sim->nodes[id].node->tx.session);
        sim_assert(sim, sim->nodes[id].node->rx.n_sessions == 0);
    }
    sim_heal(sim);
}

static void test_expire(void **state)
{
    (void)state;
    sim_each_seed("test_expire", 4, expire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_second),
        cmocka_unit_test(test_crossing),
        cmocka_unit_test(test_limit_by_messages),
        cmocka_unit_test(test_limit_by_blocks),
        cmocka_unit_test(test_exactly_to_the_limit),
        cmocka_unit_test(test_five_more),
        cmocka_unit_test(test_expire),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
