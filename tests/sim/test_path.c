// SPDX-License-Identifier: MIT
/*
 * Path MTU discovery between two whole nodes: sizes found, black holes, wider paths, other endpoints, ICMP true and forged, and that no
 * frame is lost but those that were in datagrams too large for the path.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "sim.h"

static size_t path_mtu(const struct sim *sim, int id)
{
    return sim_peer(sim, id)->pmtu.size;
}

static bool is_found(const struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++)
        if (sim_peer(sim, id)->pmtu.state != PMTU_FOUND)
            return false;
    return true;
}

static void assert_path(struct sim *sim, size_t mtu)
{
    for (int id = 0; id < SIM_NODES; id++) {
        sim_assert(sim, path_mtu(sim, id) == mtu);
        sim_assert(sim, sim->nodes[id].node->tx.path_mtu == mtu);
    }
}

static void run_until_found(struct sim *sim, uint64_t limit_ns)
{
    for (uint64_t end_ns = sim->now_ns + limit_ns; !is_found(sim) && sim->now_ns < end_ns;)
        sim_run(sim, 10 * NS_PER_MS);
    sim_assert(sim, is_found(sim));
}

// An interface of Ethernet, and a path that carries less.
static struct sim_link narrow(size_t mtu)
{
    return (struct sim_link){.delay_ms = 5, .mtu = 1500 - SIM_HEADERS_LEN, .carries = mtu - SIM_HEADERS_LEN};
}

static void start_up(struct sim *sim, const struct sim_link *link)
{
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].config.peer.path_mtu = 0;
        sim->nodes[id].config.self.tap_mtu = 9000;
    }
    sim_link(sim, *link);
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 30 * NS_PER_S));
}

static size_t n_lost(const struct sim *sim, int from)
{
    return sim_n_sent(sim, from) - sim_n_received(sim, from);
}

// From the first frame on all arrive, while the search goes on.
static void every_path(struct sim *sim)
{
    size_t mtu = PATH_MTU_MIN + sim_below(sim, 1500 - PATH_MTU_MIN + 1);
    struct sim_link link = narrow(mtu < PMTU_BASE ? PMTU_BASE : mtu);

    link.has_icmp = sim_chance(sim, 0.5);
    start_up(sim, &link);
    sim_flow(sim, SIM_A, 3 * NS_PER_MS, 60, 3000);
    sim_flow(sim, SIM_B, 7 * NS_PER_MS, 60, 9000);
    run_until_found(sim, 20 * NS_PER_S);
    assert_path(sim, link.carries + SIM_HEADERS_LEN);
    sim_flow(sim, SIM_A, 0, 0, 0);
    sim_flow(sim, SIM_B, 0, 0, 0);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, n_lost(sim, SIM_A) == 0 && n_lost(sim, SIM_B) == 0);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_BLACK_HOLES) == 0);
    sim_assert(sim, sim_dropped(sim, SIM_A, DROP_SEND_FAILED) == 0);
    sim_assert(sim, sim->nodes[SIM_A].n_paths_found == 1);
}

static void test_every_path(void **state)
{
    (void)state;
    sim_each_seed("test_every_path", 30, every_path);
}

// Narrower than any path should be: the base itself does not pass.
static void below_the_base(struct sim *sim)
{
    size_t mtu = PATH_MTU_MIN + sim_below(sim, PMTU_BASE - PATH_MTU_MIN);
    struct sim_link link = narrow(mtu);

    start_up(sim, &link);
    run_until_found(sim, 30 * NS_PER_S);
    assert_path(sim, mtu);
    sim_send_frames(sim, SIM_A, 20, 9018);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, n_lost(sim, SIM_A) == 0);
}

static void test_below_the_base(void **state)
{
    (void)state;
    sim_each_seed("test_below_the_base", 20, below_the_base);
}

static void start_with_1500(struct sim *sim)
{
    struct sim_link link = narrow(1500);

    start_up(sim, &link);
    run_until_found(sim, 2 * NS_PER_S);
    assert_path(sim, 1500);
}

// The path gets narrower while frames flow: within half a second they flow again, all of them.
static void black_hole(struct sim *sim)
{
    size_t mtu = 1300 + sim_below(sim, 199);
    struct sim_link link = narrow(mtu);

    link.has_icmp = sim_chance(sim, 0.3);
    start_with_1500(sim);
    sim_flow(sim, SIM_A, NS_PER_MS, 1200, 1430);
    if (sim_chance(sim, 0.5)) // so that the peer has something to say, or not
        sim_flow(sim, SIM_B, 50 * NS_PER_MS, 60, 100);
    sim_run(sim, sim_below(sim, 3 * NS_PER_S));
    sim_link(sim, link);
    sim_run(sim, 500 * NS_PER_MS);
    size_t n_before = n_lost(sim, SIM_A);
    sim_run(sim, 4500 * NS_PER_MS);
    sim_assert(sim, n_lost(sim, SIM_A) <= n_before + 20); // but for those on their way just then
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_BLACK_HOLES) == 1);
    run_until_found(sim, 20 * NS_PER_S);
    sim_run(sim, 10 * NS_PER_S);
    sim_assert(sim, path_mtu(sim, SIM_A) == mtu);
    sim_assert(sim, sim->nodes[SIM_A].n_down == 0 && sim->nodes[SIM_B].n_down == 0);
    // and wider again
    sim_flow(sim, SIM_A, 0, 0, 0);
    sim_flow(sim, SIM_B, 0, 0, 0);
    sim_link(sim, narrow(1500));
    sim_run(sim, 125 * NS_PER_S); // the raise may have backed off to 60 s
    sim_assert(sim, path_mtu(sim, SIM_A) == 1500);
}

static void test_black_hole(void **state)
{
    (void)state;
    sim_each_seed("test_black_hole", 20, black_hole);
}

// Our own interface gets a smaller MTU: what was cut for the old one is lost, no more.
static void interface_shrinks(struct sim *sim)
{
    size_t mtu = PATH_MTU_MIN + sim_below(sim, 1499 - PATH_MTU_MIN);

    start_with_1500(sim);
    sim_flow(sim, SIM_A, NS_PER_MS, 1200, 4000);
    sim_run(sim, NS_PER_S);
    sim_link(sim, (struct sim_link){.delay_ms = 5, .mtu = mtu - SIM_HEADERS_LEN});
    sim_run(sim, NS_PER_S);
    size_t n_before = n_lost(sim, SIM_A);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, n_lost(sim, SIM_A) <= n_before + 20);
    sim_assert(sim, n_before < 200);
    run_until_found(sim, 20 * NS_PER_S);
    sim_assert(sim, path_mtu(sim, SIM_A) == mtu);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_BLACK_HOLES) == 0);
}

static void test_interface_shrinks(void **state)
{
    (void)state;
    sim_each_seed("test_interface_shrinks", 20, interface_shrinks);
}

// Forged ICMP, thousands of messages: not a frame is lost, and the size is less for a round trip each second only.
static void forged_icmp(struct sim *sim)
{
    unsigned n_smaller = 0; // of 3000 ms

    start_with_1500(sim);
    uint64_t n_before = sim_counted(sim, SIM_A, COUNT_PATH_PROBES);
    sim_flow(sim, SIM_A, 2 * NS_PER_MS, 60, 3000);
    for (int i = 0; i < 3000; i++) {
        uint32_t size = sim_chance(sim, 0.2) ? (uint32_t)sim_random(sim) : (uint32_t)sim_below(sim, 1600);
        sim_icmp(&sim->nodes[SIM_A], &sim->nodes[SIM_B].seen, size);
        sim_run(sim, NS_PER_MS);
        sim_assert(sim, path_mtu(sim, SIM_A) >= PMTU_BASE);
        n_smaller += path_mtu(sim, SIM_A) != 1500;
    }
    sim_flow(sim, SIM_A, 0, 0, 0);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, n_lost(sim, SIM_A) == 0);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_PATH_PROBES) < n_before + 10);
    sim_assert(sim, n_smaller < 100 && path_mtu(sim, SIM_A) == 1500);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_BLACK_HOLES) == 0);
}

static void test_forged_icmp(void **state)
{
    (void)state;
    sim_each_seed("test_forged_icmp", 10, forged_icmp);
}

// Losing one in ten, duplicated and out of order: at worst a little small for half a minute, never too large.
static void rough_weather(struct sim *sim)
{
    size_t mtu = PMTU_BASE + sim_below(sim, 1500 - PMTU_BASE + 1);
    struct sim_link link = narrow(mtu);

    link.loss = 0.1;
    link.duplicate = 0.1;
    link.reorder_ms = 20;
    start_up(sim, &link);
    sim_flow(sim, SIM_A, 20 * NS_PER_MS, 60, 2000);
    for (int i = 0; i < 120; i++) {
        sim_run(sim, NS_PER_S);
        for (int id = 0; id < SIM_NODES; id++)
            sim_assert(sim, path_mtu(sim, id) <= mtu);
    }
    link.loss = 0;
    sim_link(sim, link);
    sim_flow(sim, SIM_A, 0, 0, 0);
    sim_run(sim, 600 * NS_PER_S);
    assert_path(sim, mtu);
}

static void test_rough_weather(void **state)
{
    (void)state;
    sim_each_seed("test_rough_weather", 8, rough_weather);
}

// The peer turns up elsewhere: the size of the old path says nothing about the new one.
static void another_endpoint(struct sim *sim)
{
    size_t mtu = PMTU_BASE + sim_below(sim, 200);

    start_with_1500(sim);
    sim_link(sim, narrow(mtu));
    sim_move(sim, SIM_B, sim_addr(77, 4000), sim_chance(sim, 0.5));
    sim_flow(sim, SIM_A, 2 * NS_PER_MS, 60, 3000);
    sim_flow(sim, SIM_B, 2 * NS_PER_MS, 60, 600);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, path_mtu(sim, SIM_A) <= mtu);
    run_until_found(sim, 20 * NS_PER_S);
    sim_assert(sim, path_mtu(sim, SIM_A) == mtu);
}

static void test_another_endpoint(void **state)
{
    (void)state;
    sim_each_seed("test_another_endpoint", 20, another_endpoint);
}

// A path that is down for a while is no black hole: afterwards the size is what it was.
static void outage(struct sim *sim)
{
    struct sim_link link = narrow(1500);

    start_with_1500(sim);
    sim_flow(sim, SIM_A, 2 * NS_PER_MS, 1200, 1400);
    sim_run(sim, NS_PER_S);
    link.is_blocked = true;
    sim_link(sim, link);
    sim_run(sim, sim_below(sim, 60 * NS_PER_S));
    sim_link(sim, narrow(1500));
    sim_run(sim, 15 * NS_PER_S);
    sim_assert(sim, sim_are_up(sim));
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_BLACK_HOLES) == 0);
    sim_assert(sim, path_mtu(sim, SIM_A) == 1500);
    sim_heal(sim);
}

static void test_outage(void **state)
{
    (void)state;
    sim_each_seed("test_outage", 20, outage);
}

// Nothing gets from A to B for a while, the other direction is in order: that says nothing about sizes.
static void one_way_outage(struct sim *sim)
{
    start_with_1500(sim);
    sim_flow(sim, SIM_A, NS_PER_MS, 1200, 1430);
    sim_flow(sim, SIM_B, 5 * NS_PER_MS, 60, 1430);
    sim_run(sim, NS_PER_S);
    sim->links[SIM_A].is_blocked = true;
    sim_run(sim, 300 * NS_PER_MS + sim_below(sim, 7 * NS_PER_S));
    sim->links[SIM_A].is_blocked = false;
    sim_run(sim, 3 * NS_PER_S);
    assert_path(sim, 1500);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_BLACK_HOLES) == 0);
}

static void test_one_way_outage(void **state)
{
    (void)state;
    sim_each_seed("test_one_way_outage", 30, one_way_outage);
}

// A flood of ICMP, each of which says something else: main's ring has room for handshakes all the time.
static void icmp_flood(struct sim *sim)
{
    start_with_1500(sim);
    struct node *node = sim->nodes[SIM_A].node;
    for (uint32_t i = 0; i < 5000; i++) {
        sim_icmp(&sim->nodes[SIM_A], i % 2 ? &sim->nodes[SIM_B].seen : &(struct addr){.family = AF_INET, .port = 1}, 600 + i % 800);
        rx_take_errors(&node->rx, 0, sim->now_ns);
    }
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_ICMP_ERRORS) >= 5000);
    sim_assert(sim, !ring_is_crowded(&node->hints_rx));
    sim_run(sim, NS_PER_S);
    assert_path(sim, 1500);
}

static void test_icmp_flood(void **state)
{
    (void)state;
    sim_each_seed("test_icmp_flood", 3, icmp_flood);
}

// Reports are about large datagrams, and are none: two nodes that have nothing to say do not keep each other awake.
static void quiet_when_idle(struct sim *sim)
{
    start_with_1500(sim);
    sim_send_frames(sim, SIM_A, 50, 1400);
    sim_send_frames(sim, SIM_B, 50, 60);
    sim_run(sim, 5 * NS_PER_S);
    uint64_t n_before = sim_counted(sim, SIM_A, COUNT_TX_DATAGRAMS) + sim_counted(sim, SIM_B, COUNT_TX_DATAGRAMS);
    sim_run(sim, 60 * NS_PER_S);
    uint64_t n_sent = sim_counted(sim, SIM_A, COUNT_TX_DATAGRAMS) + sim_counted(sim, SIM_B, COUNT_TX_DATAGRAMS) - n_before;
    sim_assert(sim, n_sent < 100); // echoes each 5 s and their answers, a raise or two, a handshake
}

static void test_quiet_when_idle(void **state)
{
    (void)state;
    sim_each_seed("test_quiet_when_idle", 5, quiet_when_idle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_path),        cmocka_unit_test(test_below_the_base), cmocka_unit_test(test_black_hole),
        cmocka_unit_test(test_interface_shrinks), cmocka_unit_test(test_forged_icmp),    cmocka_unit_test(test_rough_weather),
        cmocka_unit_test(test_another_endpoint),  cmocka_unit_test(test_outage),         cmocka_unit_test(test_one_way_outage),
        cmocka_unit_test(test_quiet_when_idle),   cmocka_unit_test(test_icmp_flood),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
