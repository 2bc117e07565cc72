// SPDX-License-Identifier: MIT
/*
 * A node is configured otherwise while frames cross: what did not change goes on as if nothing had happened, no frame is lost by what did,
 * and in the end both ends have one session again, whatever was changed on the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ethercord/wire.h"
#include "sim.h"

static void start_up(struct sim *sim)
{
    sim->slow_us = 1000;
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_run(sim, 300 * NS_PER_MS);
}

static void flow(struct sim *sim, uint64_t every_ns)
{
    for (int id = 0; id < SIM_NODES; id++)
        sim_flow(sim, id, every_ns, 60, 1514);
}

static void assert_nothing_lost(struct sim *sim)
{
    flow(sim, 0);
    sim_run(sim, 500 * NS_PER_MS);
    for (int id = 0; id < SIM_NODES; id++) {
        sim_assert(sim, sim_n_sent(sim, id) > 100 && sim_n_received(sim, id) == sim_n_sent(sim, id));
        sim_assert(sim, sim->nodes[id].n_up == 1 && sim->nodes[id].n_down == 0);
    }
    sim_assert(sim, sim_is_converged(sim));
}

/* ---- nothing changes ---- */

static void nothing(struct sim *sim)
{
    struct peer before[SIM_NODES];
    uint64_t n_datagrams;

    for (int id = 0; id < SIM_NODES; id++)
        sim->nodes[id].config.shortcut =
            (struct shortcut_config){.addresses = {{AF_INET, 24, {10, 9, 0, (uint8_t)(251 + id)}}}, .n_addresses = 1};
    start_up(sim);
    sim_run(sim, 3 * NS_PER_S); // announcements are over
    n_datagrams = sim->n_taken;
    for (int id = 0; id < SIM_NODES; id++)
        before[id] = *sim_peer(sim, id);
    for (int i = 0; i < 1000; i++)
        sim_reload(sim, (int)sim_below(sim, SIM_NODES), false);
    sim_run(sim, 500 * NS_PER_MS); // before an echo is due
    sim_assert(sim, sim->n_taken == n_datagrams);
    for (int id = 0; id < SIM_NODES; id++)
        sim_assert(sim, memcmp(&before[id], sim_peer(sim, id), sizeof before[id]) == 0);
}

static void test_nothing(void **state)
{
    (void)state;
    sim_each_seed("test_nothing", 5, nothing);
}

/* ---- one thing, or several ---- */

static void change_psk(struct sim *sim)
{
    uint8_t byte = (uint8_t)(sim->nodes[SIM_A].config.peer.psk[3] + 1 + sim_below(sim, 255)); // another one
    int first = (int)sim_below(sim, SIM_NODES);

    for (int i = 0; i < SIM_NODES; i++) {
        int id = i ? sim_other(first) : first;
        sim->nodes[id].config.peer.psk[3] = byte;
        sim_reload(sim, id, false);
        if (i == 0)
            sim_run(sim, sim_below(sim, 20 * NS_PER_S)); // the operator is on his way to the other end
    }
    uint64_t now_ns = sim->now_ns;
    sim_run(sim, 7 * NS_PER_S); // a handshake that met the other end's old PSK is tried again
    for (int id = 0; id < SIM_NODES; id++)
        sim_assert(sim, sim_peer(sim, id)->current.born_ns >= now_ns);
}

static void change_shortcut(struct sim_node *node)
{
    struct shortcut_config *shortcut = &node->config.shortcut;

    shortcut->n_addresses = sim_below(node->sim, 4);
    for (size_t i = 0; i < shortcut->n_addresses; i++)
        shortcut->addresses[i] =
            i < 3 ? (struct cidr){AF_INET, 24, {10, 9, 0, (uint8_t)(sim_below(node->sim, 100) + 100U * (unsigned)node->id)}}
                  : (struct cidr){AF_INET6, 64, {0xfd, [14] = (uint8_t)node->id, [15] = (uint8_t)(1 + sim_below(node->sim, 9))}};
    shortcut->answer = sim_chance(node->sim, 0.5) ? SHORTCUT_ANSWER_PEER_UP : SHORTCUT_ANSWER_ALWAYS;
}

static void change_ciphers(struct sim_node *node)
{
    static const uint16_t sets[] = {1U << CIPHER_CHACHA20_POLY1305, 1U << CIPHER_CHACHA20_POLY1305 | 1U << CIPHER_AES_256_GCM};

    node->config.self.ciphers = sets[sim_below(node->sim, 2)] & ciphers_available();
}

// One that loses nothing, of a node whose peer stays who it is and where it is.
static void change(struct sim *sim)
{
    static const uint16_t path_mtus[] = {0, 576, 1280, 1420};
    struct sim_node *node = &sim->nodes[sim_below(sim, SIM_NODES)];
    bool is_elsewhere = false;

    switch (sim_below(sim, 8)) {
    case 0:
        change_psk(sim);
        return;
    case 1:
        node->config.peer.path_mtu = path_mtus[sim_below(sim, 4)];
        break;
    case 2:
        node->config.peer.timing.persistent_keepalive_ns = sim_below(sim, 3) * NS_PER_S;
        break;
    case 3:
        change_shortcut(node);
        break;
    case 4:
        change_ciphers(node);
        break;
    case 5:
        node->config.reassembly.timeout_ns = (1 + sim_below(sim, 3)) * NS_PER_S;
        break;
    case 6:
        node->config.is_carrier_peer_up = !node->config.is_carrier_peer_up;
        break;
    case 7: // another name, for the same place
        is_elsewhere = true;
        break;
    }
    node->config.peer.name[0] = (char)('a' + sim_below(sim, 26));
    sim_reload(sim, node->id, is_elsewhere);
}

static void one_by_one(struct sim *sim)
{
    sim_link(sim, (struct sim_link){.delay_ms = 10, .reorder_ms = sim->seed & 1 ? 10 : 0, .duplicate = sim->seed & 2 ? 0.05 : 0});
    sim->has_reordered = true;
    start_up(sim);
    flow(sim, 5 * NS_PER_MS);
    for (int i = 0; i < 40; i++) {
        change(sim);
        sim_run(sim, sim_below(sim, NS_PER_S));
    }
    sim_run(sim, 10 * NS_PER_S);
    assert_nothing_lost(sim);
    for (int id = 0; id < SIM_NODES; id++) {
        const struct sim_node *node = &sim->nodes[id];
        const struct node *real = node->node;
        sim_assert(sim, strcmp(sim_peer(sim, id)->config.name, node->config.peer.name) == 0);
        sim_assert(sim, real->tx.is_path_mtu_fixed == (node->config.peer.path_mtu != 0));
        sim_assert(sim, real->rx.reassembly.limits.timeout_ns == node->config.reassembly.timeout_ns);
        sim_assert(sim, sim_peer(sim, id)->current.born_ns >= sim_peer(sim, id)->fresh_from_ns);
        sim_assert(sim, node->config.self.ciphers >> sim_peer(sim, id)->current.cipher & 1);
        sim_assert(sim, node->has_carrier);
    }
}

static void test_one_by_one(void **state)
{
    (void)state;
    sim_each_seed("test_one_by_one", 12, one_by_one);
}

// The cipher in use is not allowed any more.
static void forbidden_cipher(struct sim *sim)
{
    if (!cipher_is_available(CIPHER_AES_256_GCM))
        skip();
    for (int id = 0; id < SIM_NODES; id++)
        sim->nodes[id].config.self.ciphers = 1U << CIPHER_CHACHA20_POLY1305 | 1U << CIPHER_AES_256_GCM;
    sim_link(sim, (struct sim_link){.delay_ms = 10});
    start_up(sim);
    sim_assert(sim, sim_peer(sim, SIM_A)->current.cipher == CIPHER_AES_256_GCM);
    flow(sim, 5 * NS_PER_MS);
    sim->nodes[SIM_A].config.self.ciphers = 1U << CIPHER_CHACHA20_POLY1305;
    sim_reload(sim, SIM_A, false);
    sim_run(sim, 2 * NS_PER_S);
    for (int id = 0; id < SIM_NODES; id++)
        sim_assert(sim, sim_peer(sim, id)->current.cipher == CIPHER_CHACHA20_POLY1305);
    assert_nothing_lost(sim);
}

static void test_forbidden_cipher(void **state)
{
    (void)state;
    sim_each_seed("test_forbidden_cipher", 4, forbidden_cipher);
}

/* ---- the shortcut ---- */

static bool says(const struct sim_node *node, uint8_t last_byte)
{
    for (size_t i = node->written.first; i < node->written.n; i++) {
        const struct sim_frame *frame = &node->written.at[i];
        if (frame->len >= 42 && frame->bytes[12] == 8 && frame->bytes[13] == 6 && frame->bytes[31] == last_byte)
            return true;
    }
    return false;
}

static void new_address(struct sim *sim)
{
    struct sim_node *a = &sim->nodes[SIM_A];

    a->config.shortcut = (struct shortcut_config){.addresses = {{AF_INET, 24, {10, 9, 0, 7}}}, .n_addresses = 1};
    start_up(sim);
    sim_run(sim, 3 * NS_PER_S);
    sim_frames_free(&a->written);
    sim_frames_free(&sim->nodes[SIM_B].written);
    a->config.shortcut.addresses[1] = (struct cidr){AF_INET, 24, {10, 9, 0, 8}};
    a->config.shortcut.n_addresses = 2;
    sim_reload(sim, SIM_A, false);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, says(a, 8) && says(&sim->nodes[SIM_B], 8)); // announced on both sides
    a->config.shortcut.addresses[0] = a->config.shortcut.addresses[1];
    a->config.shortcut.n_addresses = 1;
    sim_run(sim, 5 * NS_PER_S);
    sim_frames_free(&a->written);
    sim_reload(sim, SIM_A, false);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, !says(a, 8) && !says(a, 7)); // one that goes is no news
}

static void test_new_address(void **state)
{
    (void)state;
    sim_each_seed("test_new_address", 4, new_address);
}

/* ---- another place ---- */

// Nobody is there: the session stays where it is, rekeys included, and nothing is lost.
static void nobody_there(struct sim *sim)
{
    sim_link(sim, (struct sim_link){.delay_ms = 10});
    start_up(sim);
    flow(sim, 20 * NS_PER_MS);
    sim_run(sim, sim_below(sim, 119 * NS_PER_S));
    sim->nodes[SIM_A].far = sim_addr(77, 36160);
    sim_reload(sim, SIM_A, true);
    sim_run(sim, 5 * NS_PER_S);
    sim_assert(sim, addr_equal(&sim_peer(sim, SIM_A)->tried, &sim->nodes[SIM_A].far) && sim->n_stray >= 2); // it is looked for there
    sim_run(sim, 30 * NS_PER_S);
    size_t n_stray = sim->n_stray;
    sim_run(sim, 115 * NS_PER_S);
    sim_assert(sim, !sim_peer(sim, SIM_A)->is_moving && sim->n_stray == n_stray); // and then no more
    sim_assert(sim, addr_equal(&sim_peer(sim, SIM_A)->endpoint.remote, &sim->nodes[SIM_B].seen));
    assert_nothing_lost(sim);
}

static void test_nobody_there(void **state)
{
    (void)state;
    sim_each_seed("test_nobody_there", 6, nobody_there);
}

// B has moved, and says nothing by itself: A finds it when it is told where, long before the silence would be noticed.
static void moved(struct sim *sim)
{
    start_up(sim);
    sim->nodes[SIM_B].config.peer.has_endpoint_name = false;
    sim_move(sim, SIM_B, sim_addr(9, 5555), true);
    sim->nodes[SIM_A].far = sim->nodes[SIM_B].seen;
    sim_reload(sim, SIM_A, true);
    sim_run(sim, 2 * NS_PER_S + 4 * sim->slow_us * UINT64_C(1000));
    sim_assert(sim, addr_equal(&sim_peer(sim, SIM_A)->endpoint.remote, &sim->nodes[SIM_B].seen));
    sim_assert(sim, sim->nodes[SIM_A].n_down == 0 && !sim_peer(sim, SIM_A)->is_moving);
    sim_heal(sim);
}

static void test_moved(void **state)
{
    (void)state;
    sim_each_seed("test_moved", 6, moved);
}

/* ---- another peer ---- */

static void swap_key(struct sim *sim, int id, bool is_right)
{
    uint8_t *key = sim->nodes[id].config.peer.public_key;

    memcpy(key, sim->nodes[sim_other(id)].config.self.static_public, NOISE_KEY_LEN);
    if (!is_right)
        key[5] ^= 1;
    sim_reload(sim, id, false);
}

static void other_key(struct sim *sim)
{
    start_up(sim);
    flow(sim, 5 * NS_PER_MS);
    swap_key(sim, SIM_A, false);
    sim_run(sim, 200 * NS_PER_MS);
    sim_assert(sim, sim->nodes[SIM_A].n_down == 1 && sim->nodes[SIM_B].n_down == 1); // it was told
    sim_assert(sim, sim->nodes[SIM_A].node->rx.n_sessions == 0 && !sim->nodes[SIM_A].node->tx.session);
    sim_run(sim, 20 * NS_PER_S);
    sim_assert(sim, peer_state(sim_peer(sim, SIM_A)) != PEER_UP);
    swap_key(sim, SIM_A, true);
    sim_assert(sim, sim_run_until_up(sim, 10 * NS_PER_S));
    sim_heal(sim);
}

static void test_other_key(void **state)
{
    (void)state;
    sim_each_seed("test_other_key", 6, other_key);
}

static void set_peer(struct sim *sim, int id, bool has_peer)
{
    sim->nodes[id].config.has_peer = has_peer;
    sim_reload(sim, id, false);
}

static void come_and_go(struct sim *sim)
{
    sim->nodes[SIM_A].config.has_peer = false;
    sim_start(sim);
    sim_run(sim, 2 * NS_PER_S);
    set_peer(sim, SIM_A, true);
    sim_assert(sim, sim_run_until_up(sim, 10 * NS_PER_S));
    flow(sim, 5 * NS_PER_MS);
    sim_run(sim, NS_PER_S);
    set_peer(sim, SIM_A, false);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, !sim_peer(sim, SIM_A) && sim->nodes[SIM_B].n_down == 1);
    sim_assert(sim, sim_dropped(sim, SIM_A, DROP_NO_PEER) > 0);
    set_peer(sim, SIM_A, true);
    sim_assert(sim, sim_run_until_up(sim, 10 * NS_PER_S));
    sim_heal(sim);
}

static void test_come_and_go(void **state)
{
    (void)state;
    sim_each_seed("test_come_and_go", 6, come_and_go);
}

// All of it, with loss, while handshakes are under way, faster than anything can settle.
static void all_at_once(struct sim *sim)
{
    sim_link(sim, (struct sim_link){.delay_ms = 10, .loss = 0.1, .duplicate = 0.05, .reorder_ms = 20, .busy = 0.1});
    sim->has_reordered = true;
    sim->slow_us = 5000;
    sim_start(sim);
    flow(sim, 5 * NS_PER_MS);
    for (int i = 0; i < 300; i++) {
        int id = (int)sim_below(sim, SIM_NODES);
        switch (sim_below(sim, 4)) {
        case 0:
            swap_key(sim, id, sim_chance(sim, 0.5));
            break;
        case 1:
            set_peer(sim, id, sim_chance(sim, 0.7));
            break;
        case 2:
            sim->nodes[id].config.peer.psk[1] = (uint8_t)sim_below(sim, 2);
            sim_reload(sim, id, sim_chance(sim, 0.3));
            break;
        default:
            change_ciphers(&sim->nodes[id]);
            sim_reload(sim, id, false);
            break;
        }
        sim_run(sim, sim_below(sim, sim_chance(sim, 0.1) ? NS_PER_S : 30 * NS_PER_MS));
    }
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].config.peer.psk[1] = 1;
        sim->nodes[id].config.has_peer = true;
        swap_key(sim, id, true);
    }
    flow(sim, 0);
    sim_link(sim, (struct sim_link){0});
    sim_assert(sim, sim_run_until_up(sim, 30 * NS_PER_S));
    sim_heal(sim);
}

static void test_all_at_once(void **state)
{
    (void)state;
    sim_each_seed("test_all_at_once", 15, all_at_once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),     cmocka_unit_test(test_one_by_one),
        cmocka_unit_test(test_new_address), cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_moved),       cmocka_unit_test(test_other_key),
        cmocka_unit_test(test_come_and_go), cmocka_unit_test(test_forbidden_cipher),
        cmocka_unit_test(test_all_at_once),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
