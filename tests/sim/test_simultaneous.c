// SPDX-License-Identifier: MIT
/*
 * Both ends call each other in the same millisecond, over networks from perfect to dreadful: in the end there is one session, the same at
 * both ends, and frames cross both ways.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim.h"

static void random_link(struct sim *sim)
{
    sim_link(sim, (struct sim_link){.loss = (double)sim_below(sim, 5) / 10,
                                    .duplicate = (double)sim_below(sim, 4) / 10,
                                    .busy = (double)sim_below(sim, 2) / 10,
                                    .delay_ms = (unsigned)sim_below(sim, 60),
                                    .reorder_ms = (unsigned)sim_below(sim, 3) * (unsigned)sim_below(sim, 100)});
    sim->slow_us = (unsigned)sim_below(sim, 3) * (unsigned)sim_below(sim, 20000);
}

static void start_together(struct sim *sim)
{
    random_link(sim);
    sim_start(sim);
    sim_flow(sim, SIM_A, 50 * NS_PER_MS, 60, 1514);
    sim_flow(sim, SIM_B, 50 * NS_PER_MS, 60, 1514);
    sim_run(sim, NS_PER_S + sim_below(sim, 4 * NS_PER_S));
    sim_heal(sim);
}

static void test_start_together(void **state)
{
    (void)state;
    sim_each_seed("test_start_together", 1000, start_together);
}

// Both want a new keypair all the time.
static void rekey_together(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++) {
        struct timing *timing = &sim->nodes[id].config.peer.timing;
        timing->rekey_after_ns = timing->rekey_backup_ns = 400 * NS_PER_MS + sim_below(sim, 3) * NS_PER_MS;
    }
    random_link(sim);
    sim_start(sim);
    sim_flow(sim, SIM_A, 20 * NS_PER_MS, 60, 1514);
    sim_flow(sim, SIM_B, 20 * NS_PER_MS, 60, 1514);
    sim_run(sim, 6 * NS_PER_S);
    for (int id = 0; id < SIM_NODES; id++) // settle on the last one
        sim->nodes[id].node->secrets->peer.config.timing.rekey_after_ns = sim->nodes[id].node->secrets->peer.config.timing.rekey_backup_ns =
            120 * NS_PER_S;
    sim_heal(sim);
}

static void test_rekey_together(void **state)
{
    (void)state;
    sim_each_seed("test_rekey_together", 100, rekey_together);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_together),
        cmocka_unit_test(test_rekey_together),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
