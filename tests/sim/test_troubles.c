// SPDX-License-Identifier: MIT
/*
 * All troubles at once, drawn anew for each seed: up to 50 nodes in one network with NATs, loss, damage, wrong ways, holes for large
 * datagrams, blocked directions, replays, restarts, moves, and clocks that jump, stand still or sleep. Nothing is asserted here but what
 * must always hold (docs/simulator.md), and that each cord finds its other end again once the troubles are over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim.h"

enum { NAT_FIRST = 200, N_NATS = 3, MOVED_FIRST = 60, ATTACKER = 199, ATTACKER_PORT = 666, REKEY_MESSAGES = 60 };
// A node may sleep for 12 s more; then it takes 10 s to find that the peer is gone, up to 15 s for its name to be asked for again, and up
// to 5.3 s for the next attempt.
#define RECOVERY_NS (45 * NS_PER_S)
#define NAT_LIFETIME_NS (2 * NS_PER_S)

static int any_node(struct sim *sim)
{
    return (int)sim_below(sim, sim->n_nodes);
}

static bool is_behind_nat(const struct sim *sim, int id)
{
    return sim->nodes[id].nat.lifetime_ns > 0;
}

/* ---- troubles ---- */

static double some(struct sim *sim, double most) // of a probability; half the time none
{
    return sim_chance(sim, 0.5) ? 0 : most * (double)sim_below(sim, 1000) / 1000;
}

static void new_weather(struct sim *sim)
{
    int id = any_node(sim);

    sim->links[id] = (struct sim_link){
        .loss = some(sim, 0.4),
        .duplicate = some(sim, 0.3),
        .corrupt = some(sim, 0.3),
        .misroute = some(sim, 0.1),
        .busy = some(sim, 0.4),
        .delay_ms = (unsigned)sim_below(sim, 60),
        .reorder_ms = sim_chance(sim, 0.5) ? (unsigned)sim_below(sim, 150) : 0,
        .carries = sim_chance(sim, 0.5) ? PATH_MTU_MIN - SIM_HEADERS_LEN + (size_t)sim_below(sim, 1000) : 0,
        .mtu = sim_chance(sim, 0.1) ? PATH_MTU_MIN - SIM_HEADERS_LEN + (size_t)sim_below(sim, 1000) : 0,
        .has_icmp = sim_chance(sim, 0.5),
        .is_marking = sim_chance(sim, 0.1),
    };
}

// One direction; it opens again at the next weather, and some not before the ends have given each other up.
static void block_half(struct sim *sim)
{
    sim->links[any_node(sim)].is_blocked = true;
    if (sim->n_nodes == SIM_NODES && sim_chance(sim, 0.3))
        sim_run(sim, sim_below(sim, 20 * NS_PER_S));
}

static void stop_or_start(struct sim *sim)
{
    int id = any_node(sim);

    if (!sim->nodes[id].node)
        sim_start_node(sim, id);
    else
        sim_stop_node(sim, id, sim_chance(sim, 0.3));
}

static void restart(struct sim *sim)
{
    int id = any_node(sim);

    if (sim->nodes[id].node)
        sim_stop_node(sim, id, sim_chance(sim, 0.3));
    sim_run(sim, sim_below(sim, 300 * NS_PER_MS));
    sim_start_node(sim, id);
}

static void move(struct sim *sim)
{
    int id = any_node(sim);

    if (is_behind_nat(sim, id))
        sim->nodes[id].nat.until_ns = 0; // it gets another port
    else
        sim_move(sim, id, sim_addr(MOVED_FIRST + (unsigned)id, (uint16_t)(5000 + sim_below(sim, 1000))), sim_chance(sim, 0.5));
}

// To anybody, from where it came from or from the attacker.
static void replay(struct sim *sim)
{
    for (uint64_t n = 1 + sim_below(sim, 20); n-- > 0 && sim->recorded.n > 0;) {
        const struct sim_datagram *datagram = sim->recorded.at[sim_below(sim, sim->recorded.n)];
        struct addr from = sim_chance(sim, 0.7) ? datagram->from : sim_addr(ATTACKER, ATTACKER_PORT);
        sim_inject(sim, datagram, &from, &sim->nodes[any_node(sim)].seen);
    }
}

static void burst(struct sim *sim)
{
    sim_send_frames(sim, any_node(sim), 1 + (size_t)sim_below(sim, 60), SIM_FRAME_MIN + (size_t)sim_below(sim, 3000));
}

static void sleep_or_jump(struct sim *sim)
{
    int id = any_node(sim);

    switch (sim_below(sim, 3)) {
    case 0: // suspended, seen from within
        sim_jump(sim, id, sim_below(sim, 200 * NS_PER_S));
        break;
    case 1: // suspended, or a guest that its host forgets for a while
        sim_sleep(sim, id, sim_below(sim, 12 * NS_PER_S), sim_chance(sim, 0.5));
        break;
    default: // held up
        sim_sleep(sim, id, sim_below(sim, 300 * NS_PER_MS), true);
    }
}

// A node with a clock that went back can't call (docs/protocol.md#timestamps): then the other end has to, which a NAT would prevent.
static void set_wall_clock(struct sim *sim)
{
    struct sim_node *node = &sim->nodes[any_node(sim)];

    if (sim_chance(sim, 0.3))
        node->wall_stands_ns = node->wall_stands_ns ? 0 : sim->now_ns;
    else if (!is_behind_nat(sim, node->id))
        node->wall_skew_ns = (int64_t)sim_below(sim, 7200 * NS_PER_S) - (int64_t)(3600 * NS_PER_S);
}

/* ---- a run ---- */

static void set_rekey(struct sim *sim, uint64_t age_ns)
{
    for (size_t id = 0; id < sim->n_nodes; id++) {
        struct sim_node *node = &sim->nodes[id];
        struct timing *kept = &node->config.peer.timing;
        kept->rekey_after_ns = age_ns;
        kept->rekey_backup_ns = age_ns + (sim_chance(sim, 0.5) ? 300 * NS_PER_MS : 15 * NS_PER_S);
        if (node->node)
            node->node->secrets->peer.config.timing = *kept;
    }
}

static void put_behind_nat(struct sim *sim, int id)
{
    sim_nat_put(sim, id, NAT_FIRST + (unsigned)sim_below(sim, N_NATS), NAT_LIFETIME_NS);
    sim->nodes[sim_other(id)].far.family = AF_UNSPEC;
    if (sim_chance(sim, 0.8))
        sim->nodes[id].config.peer.timing.persistent_keepalive_ns = NS_PER_S;
}

static void set_up(struct sim *sim)
{
    uint16_t ciphers = sim_chance(sim, 0.3) ? ciphers_available() : 1U << CIPHER_CHACHA20_POLY1305;
    uint64_t rekey_after_messages = sim_chance(sim, 0.2) ? REKEY_MESSAGES : UINT64_C(1) << 60;

    for (int id = 0; id < (int)sim->n_nodes; id++) {
        struct sim_node *node = &sim->nodes[id];
        node->config.self.ciphers = ciphers;
        node->config.self.tap_mtu = 9000;
        node->config.peer.path_mtu = sim_chance(sim, 0.3) ? 0 : 1420;
        node->config.peer.limits.rekey_after_messages = rekey_after_messages;
        node->tap_offload = (enum tap_offload)sim_below(sim, TAP_OFFLOAD_COUNT);
        if ((id & 1) && sim_chance(sim, 0.4))
            put_behind_nat(sim, sim_chance(sim, 0.5) ? id : sim_other(id));
    }
    sim->is_recording = true;
    sim->recorded_max = 64;
    sim->slow_us = (unsigned)sim_below(sim, 3) * 2000;
    set_rekey(sim, sim_chance(sim, 0.5) ? 600 * NS_PER_MS + sim_below(sim, 7 * NS_PER_S) : 120 * NS_PER_S);
}

static size_t some_cords(struct sim *sim) // beside the first
{
    uint64_t pick = sim_below(sim, 100);

    return pick < 70 ? 0 : pick < 90 ? 1 : pick < 99 ? 2 + (size_t)sim_below(sim, 3) : SIM_NODES_MAX / 2 - 1;
}

// Whatever the attacker repeats, nobody believes that the peer is where he is.
static void check_endpoints(struct sim *sim)
{
    struct addr attacker = sim_addr(ATTACKER, ATTACKER_PORT);

    for (int id = 0; id < (int)sim->n_nodes; id++)
        sim_assert(sim, !sim->nodes[id].node || !addr_equal(&sim_peer(sim, id)->endpoint.remote, &attacker));
}

static void troubles(struct sim *sim)
{
    static void (*const all[])(struct sim * sim) = {new_weather, new_weather, new_weather,   block_half,     stop_or_start, restart,
                                                    move,        replay,      sleep_or_jump, set_wall_clock, burst};
    size_t n_more = some_cords(sim), n_events = 8 + 2 * n_more;

    sim_add_cords(sim, n_more);
    set_up(sim);
    sim_start(sim);
    for (size_t id = 0; id < sim->n_nodes; id++)
        sim_flow(sim, (int)id, (80 + sim_below(sim, 220)) * NS_PER_MS, 60, sim_chance(sim, 0.3) ? 4000 : 1000);
    for (size_t i = 0; i < n_events; i++) {
        sim_run(sim, sim_below(sim, 2000 * NS_PER_MS / (1 + n_more)));
        all[sim_below(sim, sizeof all / sizeof *all)](sim);
        check_endpoints(sim);
    }
    sim_run(sim, sim_below(sim, 3 * NS_PER_S));
    set_rekey(sim, 120 * NS_PER_S);
    sim_recover(sim, RECOVERY_NS);
    for (size_t id = 0; id < sim->n_nodes; id++)
        sim_assert(sim, sim->nodes[id].written.n == 0); // nothing but what was sent comes out
}

static void test_troubles(void **state)
{
    (void)state;
    sim_each_seed("test_troubles", 10000, troubles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_troubles),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
