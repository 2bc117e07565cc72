// SPDX-License-Identifier: MIT
/*
 * Somebody records everything and sends it again: to whom it was meant for, to whom it came from, from elsewhere, and later. Nothing is
 * delivered twice (sim_tap.c sees to that), nothing moves, everything is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ethercord/wire.h"
#include "sim.h"

// Some seconds of traffic with a few rekeys, recorded; then silence.
static void record(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].config.peer.timing.rekey_after_ns = NS_PER_S;
        sim->nodes[id].config.self.tap_mtu = 9000; // all that is sent crosses
    }
    sim->is_recording = true;
    sim_start(sim);
    sim_flow(sim, SIM_A, 10 * NS_PER_MS, 60, 3000);
    sim_flow(sim, SIM_B, 10 * NS_PER_MS, 60, 3000);
    sim_run(sim, 5 * NS_PER_S);
    sim_flow(sim, SIM_A, 0, 0, 0);
    sim_flow(sim, SIM_B, 0, 0, 0);
    for (int id = 0; id < SIM_NODES; id++)
        sim->nodes[id].node->secrets->peer.config.timing.rekey_after_ns = 120 * NS_PER_S;
    sim_run(sim, 2 * NS_PER_S);
    sim->is_recording = false;
    sim_assert(sim, sim_are_up(sim) && sim->recorded.n > 1000);
}

static uint64_t all_drops(const struct sim *sim, int id)
{
    uint64_t sum = 0;

    for (enum drop_reason reason = 0; reason < DROP_COUNT; reason++)
        sum += sim_dropped(sim, id, reason);
    return sum;
}

// Sends all that `sender` ever sent to `at`, from `from`; asserts that each is refused and counted, and that nothing else comes of it.
static void replay_all(struct sim *sim, int sender, int at, const struct addr *from)
{
    uint64_t dropped = all_drops(sim, at), n = 0, received = sim_n_received(sim, sender), answers = sim->n_sends;
    uint32_t current = sim_peer(sim, at)->current.local_index, next = sim_peer(sim, at)->next.local_index;

    for (size_t i = 0; i < sim->recorded.n; i++)
        if (sim->recorded.at[i]->sender == sender) {
            sim_inject(sim, sim->recorded.at[i], from, &sim->nodes[at].seen);
            answers++; // it counts as sent, too
            n++;
            sim_run(sim, 10000);
        }
    sim_run(sim, 20 * NS_PER_MS);
    sim_assert(sim, all_drops(sim, at) == dropped + n);
    sim_assert(sim, sim->n_sends == answers);
    sim_assert(sim, sim_n_received(sim, sender) == received);
    sim_assert(sim, sim_peer(sim, at)->current.local_index == current && sim_peer(sim, at)->next.local_index == next);
    sim_assert(sim, addr_equal(&sim_peer(sim, at)->endpoint.remote, &sim->nodes[1 - at].seen));
}

static void replay(struct sim *sim)
{
    struct addr elsewhere = sim_addr(66, 666);

    record(sim);
    replay_all(sim, SIM_A, SIM_B, &sim->nodes[SIM_A].seen);
    replay_all(sim, SIM_B, SIM_A, &sim->nodes[SIM_B].seen);
    replay_all(sim, SIM_A, SIM_B, &elsewhere);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_REPLAYED) > 100 && sim_dropped(sim, SIM_B, DROP_UNKNOWN_INDEX) > 100);
    sim_assert(sim, sim_dropped(sim, SIM_A, DROP_HANDSHAKE_REPLAYED) + sim_dropped(sim, SIM_B, DROP_HANDSHAKE_REPLAYED) > 0);
    sim_heal(sim);
}

static void test_replay(void **state)
{
    (void)state;
    sim_each_seed("test_replay", 6, replay);
}

// What a node sent comes back to itself.
static void reflect(struct sim *sim)
{
    record(sim);
    replay_all(sim, SIM_A, SIM_A, &sim->nodes[SIM_B].seen);
    replay_all(sim, SIM_B, SIM_B, &sim->nodes[SIM_A].seen);
    sim_assert(sim, sim_dropped(sim, SIM_A, DROP_UNKNOWN_INDEX) > 0 && sim_dropped(sim, SIM_A, DROP_BAD_MAC1) > 0);
    sim_heal(sim);
}

static void test_reflect(void **state)
{
    (void)state;
    sim_each_seed("test_reflect", 6, reflect);
}

// Each datagram a second time, with one bit changed: nothing of it is believed.
static void damage(struct sim *sim)
{
    record(sim);
    for (size_t i = 0; i < sim->recorded.n; i++) {
        struct sim_datagram *datagram = sim->recorded.at[i];
        datagram->bytes[sim_below(sim, datagram->len)] ^= (uint8_t)(1U << sim_below(sim, 8));
    }
    replay_all(sim, SIM_A, SIM_B, &sim->nodes[SIM_A].seen);
    replay_all(sim, SIM_B, SIM_A, &sim->nodes[SIM_B].seen);
    sim_heal(sim);
}

static void test_damage(void **state)
{
    (void)state;
    sim_each_seed("test_damage", 6, damage);
}

// A whole night's recording, played to a node that was restarted and has forgotten everything: it may answer, but nothing comes of it.
static void replay_after_restart(struct sim *sim)
{
    record(sim);
    sim_stop_node(sim, SIM_B, false);
    sim_start_node(sim, SIM_B);
    for (size_t i = 0; i < sim->recorded.n; i++) {
        sim_inject(sim, sim->recorded.at[i], &sim->nodes[SIM_A].seen, &sim->nodes[SIM_B].seen);
        sim_run(sim, 10000);
    }
    sim_heal(sim);
}

static void test_replay_after_restart(void **state)
{
    (void)state;
    sim_each_seed("test_replay_after_restart", 10, replay_after_restart);
}

/* ---- the replay window's edges ---- */

enum { HELD_LEN = 999 };
struct edge {
    uint64_t held_counter, last_counter;
};

static enum sim_fate hold_one(struct sim *sim, const struct sim_datagram *datagram)
{
    struct edge *edge = sim->filter_ctx;
    struct data_header header;

    if (datagram->sender != SIM_A || !sim_is_data(datagram))
        return SIM_PASS;
    data_header_decode(datagram->bytes, &header);
    edge->last_counter = header.counter;
    if (datagram->len < HELD_LEN)
        return SIM_PASS;
    edge->held_counter = header.counter;
    return SIM_HOLD;
}

// One datagram arrives `distance` counters late.
static void be_late(struct sim *sim, uint64_t distance, bool is_in_time)
{
    struct edge edge = {0};

    sim->filter = hold_one;
    sim->filter_ctx = &edge;
    sim_send_frame(sim, SIM_A, HELD_LEN);
    sim_run(sim, NS_PER_MS);
    while (edge.last_counter - edge.held_counter < distance) {
        sim_send_frame(sim, SIM_A, 60);
        sim_run(sim, 100000);
    }
    sim_assert(sim, sim->held.n == 1 && edge.last_counter - edge.held_counter == distance);
    size_t received = sim_n_received(sim, SIM_A), replayed = sim_dropped(sim, SIM_B, DROP_REPLAYED);
    sim_release(sim, 0);
    sim_run(sim, NS_PER_MS);
    sim_assert(sim, sim_n_received(sim, SIM_A) - received == (is_in_time ? 1 : 0));
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_REPLAYED) - replayed == (is_in_time ? 0 : 1));
}

static void window_edges(struct sim *sim)
{
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_run(sim, 100 * NS_PER_MS);
    be_late(sim, 1, true);
    be_late(sim, 63, true);
    be_late(sim, 64, true);
    be_late(sim, 65, true);
    be_late(sim, REPLAY_WINDOW - 1, true);
    be_late(sim, REPLAY_WINDOW, false);
    be_late(sim, REPLAY_WINDOW + 1, false);
}

static void test_window_edges(void **state)
{
    (void)state;
    sim_each_seed("test_window_edges", 2, window_edges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay),       cmocka_unit_test(test_reflect),
        cmocka_unit_test(test_damage),       cmocka_unit_test(test_replay_after_restart),
        cmocka_unit_test(test_window_edges),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
