// SPDX-License-Identifier: MIT
/*
 * Somebody captures at one end of a cord with all kinds of trouble: what he sees agrees with the counters. Each frame that was read,
 * written or dropped is shown once, under what it is counted under; and that somebody looks changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ethercord/bytes.h"
#include "ethercord/frame.h"
#include "sim.h"

enum { RING_CAP = 1 << 20, FAR_MTU = 1400, LESS_MTU = 600, N_TROUBLES = 40 };

struct captor {
    struct capture_filter filter;
    struct capture_sink sinks[2];    // of rx, of tx
    uint64_t n[2][CAPTURE_VERDICTS]; // by direction
    uint64_t n_own;                  // of those: made by the node
    uint8_t message[CAPTURE_MESSAGE_MAX];
};

static struct captor *captor_new(struct node *node)
{
    struct captor *captor = calloc(1, sizeof *captor);

    assert_non_null(captor);
    captor->filter.snaplen = 64;
    for (int i = 0; i < 2; i++) {
        captor->sinks[i].filter = &captor->filter;
        assert_int_equal(ring_init(&captor->sinks[i].ring, RING_CAP), 0);
        assert_true(capture_add(i == 0 ? &node->rx.capture : &node->tx.capture, &captor->sinks[i]));
    }
    return captor;
}

static void captor_free(struct captor *captor)
{
    for (int i = 0; i < 2; i++)
        ring_deinit(&captor->sinks[i].ring);
    free(captor);
}

static void take(struct captor *captor, struct capture_sink *sink)
{
    struct capture_header header;

    while (ring_get(&sink->ring, captor->message, sizeof captor->message) > 0) {
        assert_true(capture_header_decode(&header, captor->message));
        assert_true(header.kind == CAPTURE_KIND_FRAME && header.verdict < CAPTURE_VERDICTS);
        assert_int_equal(header.len, header.frame_len < 64 ? header.frame_len : 64);
        captor->n[header.direction][header.verdict]++;
        captor->n_own += header.is_own;
    }
}

static void take_all(struct sim *sim)
{
    struct captor *captor = sim->step_ctx;

    for (int i = 0; i < 2; i++)
        take(captor, &captor->sinks[i]);
}

// PAUSE, less than a header, a ping for the shortcut's MAC address that is none, a frame for which the far TAP has no room.
static void send_odd(struct sim *sim, int from)
{
    static const uint8_t pause[60] = {0x01, 0x80, 0xc2, 0, 0, 0x01, 2, 0, 0, 0, 0, 1, 0x88, 0x08};
    static const uint8_t unwanted[60] = {0x02, 0xec, 0, 0, 0, 0x0a, 2, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45};
    static const uint8_t big[FAR_MTU + 100] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xcc};

    switch (sim_below(sim, 4)) {
    case 0:
        sim_send_raw(sim, from, pause, sizeof pause);
        break;
    case 1:
        sim_send_raw(sim, from, pause, 1 + (size_t)sim_below(sim, 13));
        break;
    case 2:
        sim_send_raw(sim, from, unwanted, sizeof unwanted);
        break;
    default:
        sim_send_raw(sim, from, big, sizeof big);
    }
}

static void trouble(struct sim *sim)
{
    switch (sim_below(sim, 5)) {
    case 0:
        sim->nodes[SIM_A].is_tap_down = !sim->nodes[SIM_A].is_tap_down;
        break;
    case 1:
        if (sim->nodes[SIM_B].node)
            sim_stop_node(sim, SIM_B, true);
        else
            sim_start_node(sim, SIM_B);
        break;
    case 2:
        send_odd(sim, SIM_A);
        break;
    case 3:
        if (sim->nodes[SIM_B].node)
            send_odd(sim, SIM_B);
        break;
    default:
        sim_send_frames(sim, SIM_A, 1 + (size_t)sim_below(sim, 30), SIM_FRAME_MIN + (size_t)sim_below(sim, FAR_MTU - 100));
        if (sim->nodes[SIM_B].node)
            sim_send_frames(sim, SIM_B, 1 + (size_t)sim_below(sim, 30), SIM_FRAME_MIN + (size_t)sim_below(sim, FAR_MTU - 100));
    }
    sim_run(sim, sim_below(sim, 200 * NS_PER_MS));
}

// Reasons that frames are dropped for, one by one.
static void assert_reasons_agree(const struct sim *sim, const struct captor *captor)
{
    static const enum drop_reason reasons[] = {
        DROP_NO_SESSION,      DROP_NO_ENDPOINT, DROP_FRAME_TOO_SHORT,  DROP_LINK_LOCAL_CONTROL, DROP_EXCEEDS_FAR_TAP_MTU,
        DROP_EXCEEDS_TAP_MTU, DROP_TAP_DOWN,    DROP_TAP_WRITE_FAILED, DROP_SHORTCUT_BAD,       DROP_SHORTCUT_UNWANTED};

    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        uint64_t n_seen = captor->n[CAPTURE_IN][reasons[i]] + captor->n[CAPTURE_OUT][reasons[i]];
        if (n_seen != sim_dropped(sim, SIM_A, reasons[i]))
            print_error("%s: %u were captured, %u counted\n", drop_name(reasons[i]), (unsigned)n_seen,
                        (unsigned)sim_dropped(sim, SIM_A, reasons[i]));
        sim_assert(sim, n_seen == sim_dropped(sim, SIM_A, reasons[i]));
    }
}

static void looked_at(struct sim *sim)
{
    sim->nodes[SIM_A].config.shortcut.mac = (struct mac_address){{0x02, 0xec, 0, 0, 0, 0x0a}};
    sim->nodes[SIM_A].config.shortcut.mtu = TAP_MTU_DEFAULT;
    assert_true(cidr_parse("10.9.0.251/24", &sim->nodes[SIM_A].config.shortcut.addresses[0]));
    sim->nodes[SIM_A].config.shortcut.n_addresses = 1;
    sim->nodes[SIM_B].config.self.tap_mtu = FAR_MTU;
    sim->nodes[SIM_A].config.peer.path_mtu = sim->nodes[SIM_B].config.peer.path_mtu = sim->seed & 1 ? 1420 : 700;
    sim_start(sim);
    struct captor *captor = captor_new(sim->nodes[SIM_A].node);
    if (sim->seed % 3 == 0) // the peer does not know that
        sim->nodes[SIM_A].node->rx.tap_mtu = LESS_MTU;
    sim->before_step = take_all;
    sim->step_ctx = captor;
    sim_run(sim, sim_below(sim, 2 * NS_PER_S));
    for (int i = 0; i < N_TROUBLES; i++)
        trouble(sim);
    sim->nodes[SIM_A].is_tap_down = false;
    sim->nodes[SIM_A].node->rx.tap_mtu = TAP_MTU_DEFAULT;
    if (!sim->nodes[SIM_B].node)
        sim_start_node(sim, SIM_B);
    sim_heal(sim);
    take_all(sim);
    assert_reasons_agree(sim, captor);
    sim_assert(sim, captor->n[CAPTURE_OUT][CAPTURE_PASSED] ==
                        sim_counted(sim, SIM_A, COUNT_TX_FRAMES) + sim_dropped(sim, SIM_A, DROP_SEND_FAILED));
    sim_assert(sim, captor->n[CAPTURE_IN][CAPTURE_PASSED] == sim_counted(sim, SIM_A, COUNT_TAP_WRITTEN_FRAMES));
    sim_assert(sim, captor->n[CAPTURE_OUT][CAPTURE_PASSED] > 10 && captor->n[CAPTURE_IN][CAPTURE_PASSED] > 10);
    sim_assert(sim, captor->n[CAPTURE_IN][DROP_EXCEEDS_TAP_MTU] > 0 || sim->seed % 3);
    sim_assert(sim, captor->n_own >= sim_counted(sim, SIM_A, COUNT_SHORTCUT_SENT));
    sim_assert(sim, captor->sinks[0].n_lost == 0 && captor->sinks[1].n_lost == 0);
    sim->before_step = NULL;
    sim_assert(sim, capture_remove(&sim->nodes[SIM_A].node->rx.capture, &captor->sinks[0]) % 2 == 0);
    sim_assert(sim, capture_remove(&sim->nodes[SIM_A].node->tx.capture, &captor->sinks[1]) % 2 == 0);
    captor_free(captor);
}

static void test_looked_at(void **state)
{
    (void)state;
    sim_each_seed("test_looked_at", 30, looked_at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_looked_at)};

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
