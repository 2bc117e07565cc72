// SPDX-License-Identifier: MIT
/*
 * Nodes move, and somebody else tries to move them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ethercord/wire.h"
#include "sim.h"

enum { DELAY_MS = 10, FAR_MS = 100, FLOW_DATAGRAM_MAX = 1514 + 60 };

static void start_flowing(struct sim *sim)
{
    sim_link(sim, (struct sim_link){.delay_ms = DELAY_MS});
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_flow(sim, SIM_A, 5 * NS_PER_MS, 60, 1514);
    sim_flow(sim, SIM_B, 5 * NS_PER_MS, 60, 1514);
    sim_run(sim, NS_PER_S);
}

static bool is_known_at(const struct sim *sim, int id, const struct addr *where)
{
    return addr_equal(&sim_peer(sim, 1 - id)->endpoint.remote, where);
}

// One end has another address: its own (it knows) or that of its NAT (it does not).
static void move(struct sim *sim)
{
    int id = (int)(sim->seed & 1);
    struct addr to = sim_addr(50, 5000);

    start_flowing(sim);
    sim_move(sim, id, to, sim->seed & 2);
    sim_run(sim, 4 * DELAY_MS * NS_PER_MS); // its next frame, a probe and the answer, and half a trip for what follows
    sim_assert(sim, is_known_at(sim, id, &to));
    size_t before = sim_n_received(sim, 1 - id);
    sim_run(sim, 100 * NS_PER_MS);
    sim_assert(sim, sim_n_received(sim, 1 - id) - before >= 15);
    sim_assert(sim, sim->nodes[SIM_A].n_down == 0 && sim->nodes[SIM_B].n_down == 0);
    sim_heal(sim);
}

static void test_move(void **state)
{
    (void)state;
    sim_each_seed("test_move", 40, move);
}

// A path of 100 ms each way. The end that moved loses nothing of what it sends; of what it is to receive it loses what was sent before the
// other end heard of it, a round trip, but nothing more while it is asked whether it is there.
static void move_far_away(struct sim *sim)
{
    int id = (int)(sim->seed & 1);
    struct addr to = sim_addr(50, 5000);

    sim_link(sim, (struct sim_link){.delay_ms = FAR_MS});
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_flow(sim, SIM_A, NS_PER_MS, 100, 400);
    sim_flow(sim, SIM_B, NS_PER_MS, 100, 400);
    sim_run(sim, NS_PER_S);
    sim_move(sim, id, to, sim->seed & 2);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, is_known_at(sim, id, &to));
    sim_flow(sim, SIM_A, 0, 0, 0);
    sim_flow(sim, SIM_B, 0, 0, 0);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, sim_n_sent(sim, id) == sim_n_received(sim, id));
    size_t lost = sim_n_sent(sim, 1 - id) - sim_n_received(sim, 1 - id);
    sim_assert(sim, lost > FAR_MS && lost <= 2 * FAR_MS + 10);
    sim_assert(sim, sim_counted(sim, 1 - id, COUNT_TX_COPIES) > FAR_MS);
    sim_heal(sim);
}

static void test_move_far_away(void **state)
{
    (void)state;
    sim_each_seed("test_move_far_away", 8, move_far_away);
}

// Without a frame to send: the echo that probes silence does it.
static void move_while_idle(struct sim *sim)
{
    int id = (int)(sim->seed & 1);
    struct addr to = sim_addr(50, 5000);

    sim_link(sim, (struct sim_link){.delay_ms = DELAY_MS});
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_run(sim, NS_PER_S);
    sim_move(sim, id, to, sim->seed & 2);
    sim_run(sim, 12 * NS_PER_S);
    sim_assert(sim, is_known_at(sim, id, &to));
    sim_heal(sim);
}

static void test_move_while_idle(void **state)
{
    (void)state;
    sim_each_seed("test_move_while_idle", 20, move_while_idle);
}

// Again and again, while keys change and the network loses a tenth.
static void move_often(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++)
        sim->nodes[id].config.peer.timing.rekey_after_ns = NS_PER_S;
    start_flowing(sim);
    sim_link(sim, (struct sim_link){.delay_ms = DELAY_MS, .loss = 0.1, .reorder_ms = 20});
    for (unsigned i = 0; i < 20; i++) {
        sim_move(sim, (int)sim_below(sim, SIM_NODES), sim_addr(100 + i, 5000), sim_chance(sim, 0.5));
        sim_run(sim, 500 * NS_PER_MS + sim_below(sim, NS_PER_S));
    }
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].far = sim->nodes[1 - id].seen; // in case that both moved at once: dynamic DNS
        sim->nodes[id].node->secrets->peer.config.timing.rekey_after_ns = 120 * NS_PER_S;
    }
    sim_run(sim, 40 * NS_PER_S);
    sim_heal(sim);
}

static void test_move_often(void **state)
{
    (void)state;
    sim_each_seed("test_move_often", 8, move_often);
}

/* ---- the attacker: at an address of his own, he sees everything, and is faster ---- */

struct attack {
    struct addr from;
    size_t every, n_seen;
    size_t n_bytes; // sent by him, of outer packets
    bool with_handshakes;
};

static enum sim_fate forward_copy(struct sim *sim, const struct sim_datagram *datagram)
{
    struct attack *attack = sim->filter_ctx;

    if (datagram->sender != SIM_A || (!sim_is_data(datagram) && !attack->with_handshakes) || attack->n_seen++ % attack->every != 0)
        return SIM_PASS;
    attack->n_bytes += datagram->len + SIM_HEADERS_LEN;
    sim_inject(sim, datagram, &attack->from, &datagram->to);
    return SIM_PASS;
}

static bool is_no_more_than_three_times(const struct sim *sim, const struct attack *attack)
{
    return sim->stray_bytes + sim->n_stray * SIM_HEADERS_LEN <= 3 * attack->n_bytes;
}

static void forward(struct sim *sim)
{
    struct attack attack = {.from = sim_addr(66, 666), .every = 1 + sim->seed % 10};

    start_flowing(sim);
    size_t lost = sim_n_sent(sim, SIM_B) - sim_n_received(sim, SIM_B);
    sim->filter = forward_copy;
    sim->filter_ctx = &attack;
    sim_run(sim, 10 * NS_PER_S);
    sim_assert(sim, attack.n_bytes > 10000 && sim->n_stray > 0);
    sim_assert(sim, is_no_more_than_three_times(sim, &attack));
    // Probes, five a second, and in the first of every ten seconds copies of what B sends.
    sim_assert(sim, sim->stray_bytes <= 60 * 60 + (2 * NS_PER_S / (5 * NS_PER_MS) + 10) * FLOW_DATAGRAM_MAX);
    sim_assert(sim, is_known_at(sim, SIM_A, &sim->nodes[SIM_A].seen));
    sim_assert(sim, sim_n_sent(sim, SIM_B) - sim_n_received(sim, SIM_B) <= lost + 5); // B's frames went on to A
    sim_heal(sim);
}

static void test_forward(void **state)
{
    (void)state;
    sim_each_seed("test_forward", 20, forward);
}

// One long datagram pays for many short ones, and of those a third is headers.
static void forward_long_ones(struct sim *sim)
{
    struct attack attack = {.from = sim_addr(66, 666), .every = 1};

    start_flowing(sim);
    sim_flow(sim, SIM_A, 5 * NS_PER_MS, 1300, 1350);
    sim_flow(sim, SIM_B, NS_PER_MS / 20, 60, 64);
    sim_run(sim, 100 * NS_PER_MS);
    sim->filter = forward_copy;
    sim->filter_ctx = &attack;
    sim_run(sim, 800 * NS_PER_MS);
    sim->filter = NULL;
    sim_flow(sim, SIM_B, 0, 0, 0);
    sim_run(sim, 2 * DELAY_MS * NS_PER_MS);
    sim_assert(sim, sim_counted(sim, SIM_B, COUNT_TX_COPIES) > 1000);
    sim_assert(sim, is_no_more_than_three_times(sim, &attack));
    sim_heal(sim);
}

static void test_forward_long_ones(void **state)
{
    (void)state;
    sim_each_seed("test_forward_long_ones", 2, forward_long_ones);
}

// A single datagram, seen first from the attacker, aims no more than three times its bytes at him.
static void forward_once(struct sim *sim)
{
    struct attack attack = {.from = sim_addr(66, 666), .every = 1000000};

    start_flowing(sim);
    sim_flow(sim, SIM_A, 0, 0, 0);
    sim_run(sim, 100 * NS_PER_MS);
    sim->filter = forward_copy;
    sim->filter_ctx = &attack;
    sim_send_frame(sim, SIM_A, 32);
    sim_run(sim, 60 * NS_PER_S);
    sim_assert(sim, attack.n_bytes > 0 && sim->n_stray > 0 && is_no_more_than_three_times(sim, &attack));
    sim_heal(sim);
}

static void test_forward_once(void **state)
{
    (void)state;
    sim_each_seed("test_forward_once", 10, forward_once);
}

static enum sim_fate forward_probe(struct sim *sim, const struct sim_datagram *datagram)
{
    struct attack *attack = sim->filter_ctx;

    if (datagram->sender != SIM_A)
        return SIM_PASS;
    if (attack->n_bytes == 0 && sim_peer(sim, SIM_A)->candidate.is_active && addr_equal(&datagram->to, &sim->nodes[SIM_B].seen)) {
        attack->n_bytes = datagram->len + SIM_HEADERS_LEN;
        sim_inject(sim, datagram, &attack->from, &datagram->to);
    }
    return attack->n_bytes ? SIM_DROP : SIM_PASS;
}

// What comes from elsewhere is a probe of A's, which is answered there: that counts, too.
static void forward_one_probe(struct sim *sim)
{
    struct attack attack = {.from = sim_addr(66, 666)};

    start_flowing(sim);
    sim_flow(sim, SIM_A, 0, 0, 0);
    sim_flow(sim, SIM_B, 0, 0, 0);
    sim_run(sim, 300 * NS_PER_MS); // and nothing is left that goes to where B is no more, such as reports
    sim->filter = forward_probe;
    sim->filter_ctx = &attack;
    sim_move(sim, SIM_B, sim_addr(50, 5000), true);
    sim_send_frame(sim, SIM_B, 32);
    sim_run(sim, 9 * NS_PER_S);
    sim_assert(sim, attack.n_bytes > 0 && sim->n_stray > 1 && is_no_more_than_three_times(sim, &attack));
    sim->filter = NULL;
    sim_heal(sim);
}

static void test_forward_one_probe(void **state)
{
    (void)state;
    sim_each_seed("test_forward_one_probe", 4, forward_one_probe);
}

// From the very first message on, handshakes included.
static void forward_from_the_start(struct sim *sim)
{
    struct attack attack = {.from = sim_addr(66, 666), .every = 1 + sim->seed % 4, .with_handshakes = true};

    sim_link(sim, (struct sim_link){.delay_ms = DELAY_MS});
    sim->nodes[SIM_B].config.peer.has_endpoint_name = sim->seed & 1;
    sim->filter = forward_copy;
    sim->filter_ctx = &attack;
    sim_start(sim);
    sim_flow(sim, SIM_A, 20 * NS_PER_MS, 60, 1514);
    sim_run(sim, 10 * NS_PER_S);
    sim_assert(sim, is_no_more_than_three_times(sim, &attack));
    sim_assert(sim, !is_known_at(sim, SIM_A, &attack.from));
    sim_heal(sim);
    sim_assert(sim, is_known_at(sim, SIM_A, &sim->nodes[SIM_A].seen));
}

static void test_forward_from_the_start(void **state)
{
    (void)state;
    sim_each_seed("test_forward_from_the_start", 40, forward_from_the_start);
}

/* ---- … and to make an end do more than it can ---- */

static int send_nothing(struct udp *udp, const struct udp_train *trains, int n)
{
    (void)udp;
    (void)trains;
    (void)n;
    return 0; // would block
}

// Copies come from two places in turn, so that the peer seems to be somewhere else all the time; and nothing can be sent meanwhile.
static void forward_to_one_who_is_stuck(struct sim *sim)
{
    struct attack attack = {.from = sim_addr(66, 666), .every = 1};
    struct udp *udp = &sim->nodes[SIM_B].udp[0];

    start_flowing(sim);
    const struct udp_ops *usual = udp->ops;
    const struct udp_ops stuck = {usual->recv_batch, send_nothing, usual->next_error};
    sim_flow(sim, SIM_A, NS_PER_MS, 60, 200);
    sim->filter = forward_copy;
    sim->filter_ctx = &attack;
    udp->ops = &stuck;
    for (unsigned ms = 0; ms < 25000; ms++) {
        attack.from = sim_addr(66 + ms / 2 % 2, 666);
        sim_run(sim, NS_PER_MS);
    }
    udp->ops = usual;
    sim->filter = NULL;
    sim_run(sim, NS_PER_S);
    sim_assert(sim, is_no_more_than_three_times(sim, &attack));
    sim_heal(sim);
}

static void test_forward_to_one_who_is_stuck(void **state)
{
    (void)state;
    sim_each_seed("test_forward_to_one_who_is_stuck", 2, forward_to_one_who_is_stuck);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_move_far_away),
        cmocka_unit_test(test_move_while_idle),
        cmocka_unit_test(test_move_often),
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_forward_long_ones),
        cmocka_unit_test(test_forward_once),
        cmocka_unit_test(test_forward_one_probe),
        cmocka_unit_test(test_forward_from_the_start),
        cmocka_unit_test(test_forward_to_one_who_is_stuck),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
