// SPDX-License-Identifier: MIT
/*
 * A node is killed before the k-th turn of a thread: for every k there is, while keys are made, while they are replaced, and while one end
 * moves; this end or the other one. Some time later it is started again, having forgotten everything, and the cord must be whole soon.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim.h"

enum { STEPS_MAX = 320 }; // more than any of these scenes has
#define RECOVERY_NS (6 * NS_PER_S)

struct crash {
    int id;
    uint64_t at; // step
    bool has_come;
};

static void crash_if_due(struct sim *sim)
{
    struct crash *crash = sim->step_ctx;

    if (crash->has_come || sim->n_steps < crash->at)
        return;
    crash->has_come = true;
    sim_stop_node(sim, crash->id, false);
}

static void start_flowing(struct sim *sim)
{
    sim_start(sim);
    sim_flow(sim, SIM_A, 20 * NS_PER_MS, 60, 1514);
    sim_flow(sim, SIM_B, 30 * NS_PER_MS, 60, 3000);
}

/* ---- scenes: what goes on before, and how long it may come ---- */

static uint64_t handshake(struct sim *sim)
{
    start_flowing(sim);
    return 250 * NS_PER_MS;
}

static uint64_t rekey(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].config.peer.timing.rekey_after_ns = NS_PER_S;
        sim->nodes[id].config.peer.timing.rekey_backup_ns = NS_PER_S; // both at once
    }
    start_flowing(sim);
    sim_run(sim, 980 * NS_PER_MS);
    return 250 * NS_PER_MS;
}

static uint64_t roaming(struct sim *sim)
{
    start_flowing(sim);
    sim_run(sim, 500 * NS_PER_MS);
    sim_move(sim, SIM_A, sim_addr(50, 5000), true);
    return 250 * NS_PER_MS;
}

static uint64_t goodbye(struct sim *sim)
{
    start_flowing(sim);
    sim_run(sim, 500 * NS_PER_MS);
    sim_stop_node(sim, SIM_B, true);
    sim_start_node(sim, SIM_B);
    return 250 * NS_PER_MS;
}

/* ---- the sweep ---- */

static uint64_t (*const scenes[])(struct sim *sim) = {handshake, rekey, roaming, goodbye};
enum { N_SCENES = sizeof scenes / sizeof *scenes };

// The seed is scene, end and step; and then, with more of them, another order of events.
static void crash_somewhere(struct sim *sim)
{
    uint64_t scene = sim->seed % N_SCENES, step = sim->seed / N_SCENES / SIM_NODES % STEPS_MAX;
    struct crash crash = {.id = (int)(sim->seed / N_SCENES % SIM_NODES)};

    sim_sow(sim, sim->seed / N_SCENES / SIM_NODES / STEPS_MAX);
    sim_link(sim, (struct sim_link){.delay_ms = 10, .reorder_ms = 3});
    uint64_t duration_ns = scenes[scene](sim);
    crash.at = sim->n_steps + step;
    sim->step_ctx = &crash;
    sim->before_step = crash_if_due;
    sim_run(sim, duration_ns);
    sim->before_step = NULL;
    sim_assert(sim, !crash.has_come || step < STEPS_MAX - 1); // none is left out
    if (!crash.has_come)
        return;
    sim_run(sim, step % 5 * 300 * NS_PER_MS);
    sim_start_node(sim, crash.id);
    for (int id = 0; id < SIM_NODES; id++)
        sim->nodes[id].node->secrets->peer.config.timing.rekey_after_ns = 120 * NS_PER_S;
    sim_recover(sim, RECOVERY_NS);
}

static void test_crash_somewhere(void **state)
{
    (void)state;
    sim_each_seed("test_crash_somewhere", N_SCENES * SIM_NODES * STEPS_MAX, crash_somewhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash_somewhere),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
