// SPDX-License-Identifier: MIT
/*
 * Everything at once: random networks, rekeys, restarts, moves, replays and bursts in random order. Nothing is asserted here but what must
 * always hold (sim_check.c, sim_tap.c), and that the pair finds itself again once the network is sound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim.h"

static void new_weather(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++)
        sim->links[id] = (struct sim_link){.loss = (double)sim_below(sim, 4) / 10,
                                           .duplicate = (double)sim_below(sim, 3) / 10,
                                           .busy = (double)sim_below(sim, 5) / 10,
                                           .delay_ms = (unsigned)sim_below(sim, 50),
                                           .reorder_ms = (unsigned)sim_below(sim, 2) * (unsigned)sim_below(sim, 100),
                                           .is_blocked = sim_chance(sim, 0.1),
                                           .carries = PATH_MTU_MIN - SIM_HEADERS_LEN + sim_below(sim, 1000)};
}

static void restart_one(struct sim *sim)
{
    int id = (int)sim_below(sim, SIM_NODES);

    sim_stop_node(sim, id, sim_chance(sim, 0.5));
    sim_run(sim, sim_below(sim, 2 * NS_PER_S));
    sim_start_node(sim, id);
}

static void replay_some(struct sim *sim)
{
    for (size_t i = 0; i < 20 && sim->recorded.n; i++) {
        const struct sim_datagram *datagram = sim->recorded.at[sim_below(sim, sim->recorded.n)];
        struct addr from = sim_chance(sim, 0.5) ? datagram->from : sim_addr(66, 666);
        sim_inject(sim, datagram, &from, &sim->nodes[sim_below(sim, SIM_NODES)].seen);
    }
}

static void move_one(struct sim *sim)
{
    int id = (int)sim_below(sim, SIM_NODES);

    sim_move(sim, id, sim_addr(100 + 50 * (unsigned)id + (unsigned)sim_below(sim, 50), 5000), sim_chance(sim, 0.5));
}

static void burst(struct sim *sim)
{
    sim_send_frames(sim, (int)sim_below(sim, SIM_NODES), sim_below(sim, 200), SIM_FRAME_MIN + sim_below(sim, 3000));
}

static void set_rekey(struct sim *sim, uint64_t age_ns)
{
    for (int id = 0; id < SIM_NODES; id++) {
        struct timing *running = &sim->nodes[id].node->secrets->peer.config.timing, *kept = &sim->nodes[id].config.peer.timing;
        running->rekey_after_ns = kept->rekey_after_ns = age_ns;
        running->rekey_backup_ns = kept->rekey_backup_ns = age_ns + 15 * NS_PER_S;
    }
}

static void chaos(struct sim *sim)
{
    static void (*const events[])(struct sim * sim) = {new_weather, restart_one, replay_some, move_one, burst};

    sim->is_recording = true;
    sim->slow_us = (unsigned)sim_below(sim, 3) * 3000;
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].config.self.tap_mtu = 9000;
        sim->nodes[id].config.peer.path_mtu = sim_chance(sim, 0.8) ? 0 : 1420;
    }
    new_weather(sim);
    sim_start(sim);
    set_rekey(sim, 500 * NS_PER_MS + sim_below(sim, 20 * NS_PER_S));
    sim_flow(sim, SIM_A, 20 * NS_PER_MS, 60, 4000);
    sim_flow(sim, SIM_B, 20 * NS_PER_MS, 60, 4000);
    for (int i = 0; i < 30; i++) {
        events[sim_below(sim, sizeof events / sizeof *events)](sim);
        sim_run(sim, sim_below(sim, 1500 * NS_PER_MS));
    }
    for (int id = 0; id < SIM_NODES; id++)
        sim->nodes[id].far = sim->nodes[1 - id].seen;
    set_rekey(sim, 120 * NS_PER_S);
    sim_link(sim, (struct sim_link){.delay_ms = 5});
    sim_run(sim, 40 * NS_PER_S); // both may have to be found by name again
    sim_heal(sim);
}

static void test_chaos(void **state)
{
    (void)state;
    sim_each_seed("test_chaos", 40, chaos);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chaos),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
