// SPDX-License-Identifier: MIT
/*
 * Frames of all sizes over networks of all sizes, and what becomes of those that can't cross; the shortcut at both ends of the link.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ethercord/bytes.h"
#include "ethercord/checksum.h"
#include "ethercord/frame.h"
#include "sim.h"

static void set_sizes(struct sim *sim, uint16_t path_mtu, uint16_t tap_mtu)
{
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].config.peer.path_mtu = path_mtu;
        sim->nodes[id].config.self.tap_mtu = tap_mtu;
    }
}

static void start_up(struct sim *sim)
{
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 10 * NS_PER_S));
    sim_run(sim, 100 * NS_PER_MS);
}

static void assert_all_arrived(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++)
        sim_assert(sim, sim_n_received(sim, id) == sim_n_sent(sim, id));
}

// Every size, one by one and in bursts; no datagram is larger than the path.
static void every_size(struct sim *sim)
{
    static const uint16_t path_mtus[] = {576, 1280, 1420, 1500, 9000};
    uint16_t path_mtu = path_mtus[sim->seed % 5];

    set_sizes(sim, path_mtu, 9000);
    sim_link(sim, (struct sim_link){.delay_ms = 2, .mtu = path_mtu - SIM_HEADERS_LEN, .busy = sim->seed & 1 ? 0.5 : 0});
    start_up(sim);
    for (size_t len = SIM_FRAME_MIN; len <= 9018; len += 1 + sim_below(sim, 7)) {
        sim_send_frame(sim, SIM_A, len);
        sim_send_frame(sim, SIM_B, 9018 + SIM_FRAME_MIN - len);
        if (sim_chance(sim, 0.3))
            sim_run(sim, sim_below(sim, 3 * NS_PER_MS));
    }
    sim_run(sim, NS_PER_S);
    assert_all_arrived(sim);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_RX_REASSEMBLED_FRAMES) > 0 || path_mtu == 9000);
}

static void test_every_size(void **state)
{
    (void)state;
    sim_each_seed("test_every_size", 10, every_size);
}

// Fragments get lost, doubled and out of order: a frame comes whole or not at all, and what is unfinished is counted and forgotten.
static void lossy_fragments(struct sim *sim)
{
    set_sizes(sim, sim->seed & 1 ? 576 : 1280, 9000);
    sim_link(sim, (struct sim_link){.delay_ms = 5, .loss = 0.02, .duplicate = 0.1, .reorder_ms = sim->seed & 2 ? 20 : 0});
    start_up(sim);
    sim_flow(sim, SIM_A, 3 * NS_PER_MS, 1400, 9018);
    sim_flow(sim, SIM_B, 3 * NS_PER_MS, 1400, 9018);
    sim_run(sim, 3 * NS_PER_S);
    sim_flow(sim, SIM_A, 0, 0, 0);
    sim_flow(sim, SIM_B, 0, 0, 0);
    sim_run(sim, 3 * NS_PER_S);
    sim_assert(sim, sim_n_received(sim, SIM_A) > 300 && sim_n_received(sim, SIM_A) < sim_n_sent(sim, SIM_A));
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_FRAGMENT_TIMEOUT) + sim_dropped(sim, SIM_B, DROP_FRAGMENT_NO_ROOM) > 0);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_BAD_FRAGMENT) == 0);
    sim_assert(sim, reassembly_unfinished(&sim->nodes[SIM_B].node->rx.reassembly) == 0);
    sim_heal(sim);
}

static void test_lossy_fragments(void **state)
{
    (void)state;
    sim_each_seed("test_lossy_fragments", 8, lossy_fragments);
}

// Memory for seven frames, and more than seven lose a fragment in the time that they are waited for: the others come, and each frame is
// either delivered or counted.
static void little_memory(struct sim *sim)
{
    set_sizes(sim, 576, 9000);
    sim->nodes[SIM_B].config.reassembly.memory_bytes = REASSEMBLY_MEMORY_MIN;
    sim->nodes[SIM_B].config.reassembly.timeout_ns = sim->seed & 1 ? 10 * NS_PER_MS : NS_PER_S;
    start_up(sim);
    sim_link(sim, (struct sim_link){.delay_ms = 5, .loss = 0.02, .duplicate = 0.1, .reorder_ms = sim->seed & 2 ? 1 : 0});
    sim_flow(sim, SIM_A, 500000, 8000, 9018);
    sim_run(sim, NS_PER_S);
    sim_flow(sim, SIM_A, 0, 0, 0);
    sim_run(sim, 3 * NS_PER_S);
    uint64_t no_room = sim_dropped(sim, SIM_B, DROP_FRAGMENT_NO_ROOM), timeout = sim_dropped(sim, SIM_B, DROP_FRAGMENT_TIMEOUT);
    sim_assert(sim, timeout > 0 && (no_room > 100 || sim->seed & 1));
    sim_assert(sim, sim_n_received(sim, SIM_A) > sim_n_sent(sim, SIM_A) / 3);
    sim_assert(sim, sim_n_received(sim, SIM_A) + no_room + timeout == sim_n_sent(sim, SIM_A));
    sim_assert(sim, reassembly_unfinished(&sim->nodes[SIM_B].node->rx.reassembly) == 0);
    sim_heal(sim);
}

static void test_little_memory(void **state)
{
    (void)state;
    sim_each_seed("test_little_memory", 8, little_memory);
}

// The underlay takes less than the configured path MTU: what is too long is refused and counted, once per frame; the rest crosses.
static void path_is_smaller(struct sim *sim)
{
    set_sizes(sim, 1500, 9000);
    start_up(sim);
    sim_link(sim, (struct sim_link){.mtu = 1200});
    for (int i = 0; i < 50; i++) {
        sim_send_frame(sim, SIM_A, 100);
        sim_send_frame(sim, SIM_A, 1400);
        sim_send_frame(sim, SIM_A, 8000);
        sim_run(sim, sim_below(sim, 2) * NS_PER_MS);
    }
    sim_run(sim, NS_PER_S);
    uint64_t refused = sim_dropped(sim, SIM_A, DROP_SEND_FAILED);
    sim_assert(sim, refused >= 100 && sim_n_received(sim, SIM_A) + refused == 150);
    sim_heal(sim);
}

static void test_path_is_smaller(void **state)
{
    (void)state;
    sim_each_seed("test_path_is_smaller", 5, path_is_smaller);
}

// Bursts that the socket refuses again and again: nothing is lost and the order stays.
static void busy_underlay(struct sim *sim)
{
    sim->slow_us = 500;
    start_up(sim);
    sim_link(sim, (struct sim_link){.busy = 0.8});
    for (int i = 0; i < 20; i++) {
        sim_send_frames(sim, SIM_A, 200, 60 + sim_below(sim, 100));
        sim_send_frames(sim, SIM_B, 50, 1000 + sim_below(sim, 500));
        sim_run(sim, 20 * NS_PER_MS);
    }
    sim_run(sim, 10 * NS_PER_S);
    assert_all_arrived(sim);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_SEND_BLOCKED) > 0);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_TX_DATAGRAMS) < 4000); // many small frames in one
    sim_heal(sim);
}

static void test_busy_underlay(void **state)
{
    (void)state;
    sim_each_seed("test_busy_underlay", 5, busy_underlay);
}

// What does not cross is counted under its own reason.
static void not_for_the_wire(struct sim *sim)
{
    static const uint8_t pause[60] = {0x01, 0x80, 0xc2, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x88, 0x08};
    static const uint8_t stp[60] = {0x01, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 39};
    static uint8_t large[FRAME_MAX + 1] = {2};

    set_sizes(sim, 1420, 9000);
    sim->nodes[SIM_B].config.self.tap_mtu = 1500;
    start_up(sim);
    sim_send_raw(sim, SIM_A, pause, sizeof pause);
    sim_send_raw(sim, SIM_A, stp, sizeof stp);
    sim_send_raw(sim, SIM_A, pause, 13);
    sim_send_raw(sim, SIM_A, large, sizeof large);
    sim_send_raw(sim, SIM_A, large, FRAME_MAX);
    sim_send_frame(sim, SIM_A, 1518);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, sim_dropped(sim, SIM_A, DROP_EXCEEDS_FAR_TAP_MTU) == 1 && sim_dropped(sim, SIM_B, DROP_EXCEEDS_TAP_MTU) == 0);
    sim->nodes[SIM_A].node->tx.session->far_tap_mtu = UINT16_MAX; // a peer that does not care
    sim_send_raw(sim, SIM_A, large, FRAME_MAX);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, sim_dropped(sim, SIM_A, DROP_LINK_LOCAL_CONTROL) == 1 && sim_dropped(sim, SIM_A, DROP_FRAME_TOO_SHORT) == 1);
    sim_assert(sim, sim_dropped(sim, SIM_A, DROP_FRAME_TOO_LONG) == 1 && sim_dropped(sim, SIM_B, DROP_EXCEEDS_TAP_MTU) == 1);
    sim_assert(sim, sim_n_received(sim, SIM_A) == 1 && sim->nodes[SIM_B].written.n == 1);
    sim->nodes[SIM_B].is_tap_down = true;
    sim_send_frames(sim, SIM_A, 7, 100);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_TAP_DOWN) == 7);
    sim->nodes[SIM_B].is_tap_down = false;
    sim_heal(sim);
}

static void test_not_for_the_wire(void **state)
{
    (void)state;
    sim_each_seed("test_not_for_the_wire", 4, not_for_the_wire);
}

static void carrier(struct sim *sim)
{
    sim->nodes[SIM_A].config.is_carrier_peer_up = true;
    sim_start(sim);
    sim_assert(sim, !sim->nodes[SIM_A].has_carrier && sim->nodes[SIM_B].has_carrier);
    sim_assert(sim, sim_run_until_up(sim, 10 * NS_PER_S));
    sim_assert(sim, sim->nodes[SIM_A].has_carrier);
    sim_link(sim, (struct sim_link){.is_blocked = true});
    sim_run(sim, 11 * NS_PER_S);
    sim_assert(sim, !sim->nodes[SIM_A].has_carrier);
    sim_heal(sim);
    sim_assert(sim, sim->nodes[SIM_A].has_carrier);
}

static void test_carrier(void **state)
{
    (void)state;
    sim_each_seed("test_carrier", 4, carrier);
}

/* ---- the shortcut ---- */

static const uint8_t host_mac[MAC_ADDRESS_LEN] = {2, 0, 0, 0, 9, 9};
static const uint8_t host_ip[IPV4_LEN] = {10, 9, 0, 7};

static void set_shortcut(struct sim_node *node, uint8_t last_byte)
{
    struct shortcut_config *shortcut = &node->config.shortcut;

    shortcut->n_addresses = 1;
    shortcut->addresses[0] = (struct cidr){.family = AF_INET, .prefix_len = 24, .ip = {10, 9, 0, last_byte}};
    mac_derive(&shortcut->mac, node->config.self.static_public);
    shortcut->mtu = TAP_MTU_DEFAULT;
}

static void ask_arp(struct sim *sim, int from, uint8_t last_byte)
{
    uint8_t frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t fixed[] = {0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1};

    memcpy(frame + 6, host_mac, sizeof host_mac);
    memcpy(frame + 12, fixed, sizeof fixed);
    memcpy(frame + 22, host_mac, sizeof host_mac);
    memcpy(frame + 28, host_ip, sizeof host_ip);
    memcpy(frame + 38, (uint8_t[]){10, 9, 0, last_byte}, IPV4_LEN);
    sim_send_raw(sim, from, frame, sizeof frame);
}

static void ask_echo(struct sim *sim, int from, const struct sim_node *whom, size_t data_len)
{
    uint8_t frame[ETHER_HEADER_LEN + TAP_MTU_DEFAULT] = {0};
    uint8_t *ip = frame + ETHER_HEADER_LEN, *icmp = ip + 20;
    size_t ip_len = 20 + 8 + data_len;

    memcpy(frame, whom->config.shortcut.mac.b, MAC_ADDRESS_LEN);
    memcpy(frame + 6, host_mac, sizeof host_mac);
    store_be16(frame + 12, ETHER_TYPE_IPV4);
    ip[0] = 0x45;
    store_be16(ip + 2, (uint16_t)ip_len);
    ip[8] = 64;
    ip[9] = 1;
    memcpy(ip + 12, host_ip, sizeof host_ip);
    memcpy(ip + 16, whom->config.shortcut.addresses[0].ip, IPV4_LEN);
    store_be16(ip + 10, checksum_finish(checksum_add(0, ip, 20)));
    icmp[0] = 8;
    store_be16(icmp + 4, 4711);
    store_be16(icmp + 2, checksum_finish(checksum_add(0, icmp, 8 + data_len)));
    sim_send_raw(sim, from, frame, ETHER_HEADER_LEN + ip_len);
}

// How many unicast frames for our host, with that EtherType, came out of the TAP; forgets all that did.
static size_t take_answers(struct sim_node *node, uint16_t ether_type)
{
    size_t n = 0;

    for (size_t i = 0; i < node->written.n; i++)
        n += memcmp(node->written.at[i].bytes, host_mac, sizeof host_mac) == 0 && load_be16(node->written.at[i].bytes + 12) == ether_type;
    sim_frames_free(&node->written);
    return n;
}

static void shortcut_near_and_far(struct sim *sim)
{
    int near = (int)(sim->seed & 1), far = 1 - near;

    set_shortcut(&sim->nodes[SIM_A], 251);
    set_shortcut(&sim->nodes[SIM_B], 252);
    sim_link(sim, (struct sim_link){.delay_ms = 10});
    start_up(sim);
    sim_run(sim, 5 * NS_PER_S);
    for (int i = 0; i < SIM_NODES; i++) {
        take_answers(&sim->nodes[near], 0);
        ask_arp(sim, near, (uint8_t)(251 + i));
        sim_run(sim, 100 * NS_PER_MS);
        sim_assert(sim, take_answers(&sim->nodes[near], ETHER_TYPE_ARP) == 1);
        for (size_t len = 0; len <= 1472; len += 368) {
            ask_echo(sim, near, &sim->nodes[i], len);
            sim_run(sim, i == near ? NS_PER_MS : 25 * NS_PER_MS);
            sim_assert(sim, take_answers(&sim->nodes[near], ETHER_TYPE_IPV4) == 1);
        }
    }
    sim_assert(sim, take_answers(&sim->nodes[far], ETHER_TYPE_IPV4) == 0);
    sim_assert(sim, sim->nodes[near].n_conflicts == 0 && sim->nodes[far].n_conflicts == 0);
    sim_heal(sim);
}

static void test_shortcut_near_and_far(void **state)
{
    (void)state;
    sim_each_seed("test_shortcut_near_and_far", 6, shortcut_near_and_far);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size),      cmocka_unit_test(test_lossy_fragments),       cmocka_unit_test(test_little_memory),
        cmocka_unit_test(test_path_is_smaller), cmocka_unit_test(test_busy_underlay),         cmocka_unit_test(test_not_for_the_wire),
        cmocka_unit_test(test_carrier),         cmocka_unit_test(test_shortcut_near_and_far),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
