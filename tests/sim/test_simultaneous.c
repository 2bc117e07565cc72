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

#include "ethercord/wire.h"
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

// At the most two keypairs are alive: one is sent with, under another something may still arrive. Of a third, nothing was ever heard.
static void assert_two_keys(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++) {
        const struct rx *rx = &sim->nodes[id].node->rx;
        size_t n_confirmed = 0;
        for (size_t i = 0; i < rx->n_sessions; i++)
            n_confirmed += rx->sessions[i]->is_confirmed;
        sim_assert(sim, n_confirmed >= 1 && n_confirmed <= 2 && rx->n_sessions <= 3);
    }
}

static void start_together(struct sim *sim)
{
    random_link(sim);
    sim_start(sim);
    sim_flow(sim, SIM_A, 50 * NS_PER_MS, 60, 1514);
    sim_flow(sim, SIM_B, 50 * NS_PER_MS, 60, 1514);
    sim_run(sim, NS_PER_S + sim_below(sim, 4 * NS_PER_S));
    sim_heal(sim);
    assert_two_keys(sim);
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
    assert_two_keys(sim);
}

static void test_rekey_together(void **state)
{
    (void)state;
    sim_each_seed("test_rekey_together", 100, rekey_together);
}

/* ---- the lesser end's first words under a new keypair arrive late ---- */

struct late {
    int lesser;
    uint32_t old, late; // receiver indices of the greater end
};

static enum sim_fate hold_first_words(struct sim *sim, const struct sim_datagram *datagram)
{
    struct late *late = sim->filter_ctx;

    if (datagram->sender != late->lesser || !sim_is_data(datagram) || wire_index(datagram->bytes) == late->old)
        return SIM_PASS;
    if (late->late == 0)
        late->late = wire_index(datagram->bytes);
    return wire_index(datagram->bytes) == late->late ? SIM_HOLD : SIM_PASS;
}

// The greater end makes a new keypair; the lesser one hears it, and wants another one at once. Whoever has not heard the lesser end under
// the first of them by then must not take them for crossed.
static void late_first_words(struct sim *sim)
{
    struct timing *timing[SIM_NODES];
    struct late late = {0};

    sim_link(sim, (struct sim_link){.delay_ms = 10});
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_run(sim, NS_PER_S);
    for (int id = 0; id < SIM_NODES; id++)
        timing[id] = &sim->nodes[id].node->secrets->peer.config.timing;
    late.lesser = sim_peer(sim, SIM_A)->is_greater ? SIM_B : SIM_A;
    late.old = sim_peer(sim, 1 - late.lesser)->current.local_index;
    sim->filter = hold_first_words;
    sim->filter_ctx = &late;
    sim_flow(sim, SIM_A, 20 * NS_PER_MS, 60, 1514);
    sim_flow(sim, SIM_B, 20 * NS_PER_MS, 60, 1514);
    timing[1 - late.lesser]->rekey_after_ns = timing[1 - late.lesser]->rekey_backup_ns = NS_PER_S; // at once
    sim_run(sim, 100 * NS_PER_MS);
    timing[1 - late.lesser]->rekey_after_ns = timing[1 - late.lesser]->rekey_backup_ns = 120 * NS_PER_S;
    sim_assert(sim, sim->held.n > 0 && sim_peer(sim, 1 - late.lesser)->current.is_initiator);
    timing[late.lesser]->rekey_backup_ns = 200 * NS_PER_MS;
    sim_run(sim, NS_PER_S);
    timing[late.lesser]->rekey_backup_ns = 120 * NS_PER_S;
    while (sim->held.n > 0)
        sim_release(sim, 0);
    sim_heal(sim);
}

static void test_late_first_words(void **state)
{
    (void)state;
    sim_each_seed("test_late_first_words", 20, late_first_words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_together),
        cmocka_unit_test(test_rekey_together),
        cmocka_unit_test(test_late_first_words),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
