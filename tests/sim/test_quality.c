// SPDX-License-Identifier: MIT
/*
 * What the nodes say of the way between them is what the network did: loss each way, reordering and repetition to the message, through
 * rekeys and moves; round trips and jitter; rates. And that measuring stays cheap.
 *
 * The network here is a filter that decides itself what becomes of each data message, and keeps its own account by key and counter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ethercord/bytes.h"
#include "ethercord/wire.h"
#include "sim.h"

enum { KEYS_MAX = 256, COUNTERS_MAX = 1 << 14 };
#define HELD_NS (20 * NS_PER_MS)

struct key { // one direction of a keypair, as the network sees it
    int sender;
    uint32_t index;
    uint64_t next; // one above the greatest counter that arrived
    bool was_sent[COUNTERS_MAX], has_arrived[COUNTERS_MAX];
};
struct network {
    double loss[SIM_NODES], hold[SIM_NODES], twice[SIM_NODES]; // by sender
    struct key *keys[KEYS_MAX];
    size_t n_keys;
    uint64_t held_ns[COUNTERS_MAX]; // as sim.held, oldest first
    size_t n_held;
    uint64_t n_late[SIM_NODES], n_repeated[SIM_NODES]; // by sender
    uint64_t n_doubtful[SIM_NODES];                    // lost where the peer was: echoes, or probes, which nobody is to miss
};

static struct key *key_of(struct network *network, const struct sim_datagram *datagram, struct data_header *header)
{
    data_header_decode(datagram->bytes, header);
    for (size_t i = 0; i < network->n_keys; i++)
        if (network->keys[i]->index == header->receiver_index && network->keys[i]->sender == datagram->sender)
            return network->keys[i];
    assert_true(network->n_keys < KEYS_MAX);
    struct key *key = calloc(1, sizeof *key);
    assert_non_null(key);
    key->sender = datagram->sender;
    key->index = header->receiver_index;
    return network->keys[network->n_keys++] = key;
}

static void note_arrival(struct network *network, const struct sim_datagram *datagram)
{
    struct data_header header;
    struct key *key = key_of(network, datagram, &header);

    if (key->has_arrived[header.counter]) {
        network->n_repeated[key->sender]++;
    } else if (header.counter < key->next) {
        network->n_late[key->sender]++;
    } else {
        key->next = header.counter + 1;
    }
    key->has_arrived[header.counter] = true;
}

static enum sim_fate decide(struct sim *sim, const struct sim_datagram *datagram)
{
    struct network *network = sim->filter_ctx;
    int sender = datagram->sender;
    struct data_header header;

    if (!sim_is_data(datagram))
        return SIM_PASS;
    struct key *key = key_of(network, datagram, &header);
    assert_true(header.counter < COUNTERS_MAX);
    key->was_sent[header.counter] = true;
    if (datagram->len != WIRE_TOKEN_MESSAGE_LEN && sim_chance(sim, network->loss[sender])) // a probe looks like that
        return SIM_DROP;
    if (!sim_who_is_at(sim, &datagram->to)) {
        network->n_doubtful[sender] += datagram->len == WIRE_TOKEN_MESSAGE_LEN;
        return SIM_PASS; // astray
    }
    if (sim_chance(sim, network->hold[sender])) {
        network->held_ns[network->n_held++] = sim->now_ns;
        return SIM_HOLD;
    }
    note_arrival(network, datagram);
    if (sim_chance(sim, network->twice[sender])) {
        sim_inject(sim, datagram, &datagram->from, &datagram->to);
        note_arrival(network, datagram);
    }
    return SIM_PASS;
}

// What was held back long enough to come behind others goes on.
static void release_old(struct sim *sim)
{
    struct network *network = sim->filter_ctx;

    while (network->n_held > 0 && sim->now_ns >= network->held_ns[0] + HELD_NS) {
        const struct sim_datagram *datagram = sim->held.at[0];
        if (sim_who_is_at(sim, &datagram->to))
            note_arrival(network, datagram);
        else
            network->n_doubtful[datagram->sender] += datagram->len == WIRE_TOKEN_MESSAGE_LEN;
        sim_release(sim, 0);
        memmove(network->held_ns, network->held_ns + 1, --network->n_held * sizeof *network->held_ns);
    }
}

static void run(struct sim *sim, uint64_t duration_ns)
{
    for (uint64_t end_ns = sim->now_ns + duration_ns; sim->now_ns < end_ns;) {
        release_old(sim);
        sim_run(sim, NS_PER_MS);
    }
}

static struct arrivals true_arrivals(const struct network *network, int sender)
{
    struct arrivals sum = {.n_late = network->n_late[sender], .n_repeated = network->n_repeated[sender]};

    for (size_t i = 0; i < network->n_keys; i++) {
        const struct key *key = network->keys[i];
        if (key->sender != sender)
            continue;
        sum.n_expected += key->next;
        for (uint64_t counter = 0; counter < key->next; counter++)
            sum.n_lost += key->was_sent[counter] && !key->has_arrived[counter];
    }
    return sum;
}

static struct arrivals arrivals_at(const struct sim *sim, int id)
{
    struct arrivals arrivals;

    rx_arrivals(&sim->nodes[id].node->rx, &arrivals);
    return arrivals;
}

// `sender`'s messages, as its peer has counted them and as the sender was told.
static void assert_true_account(struct sim *sim, int sender)
{
    const struct network *network = sim->filter_ctx;
    struct arrivals truth = true_arrivals(network, sender), seen = arrivals_at(sim, sim_other(sender));
    const struct quality *quality = &sim_peer(sim, sender)->quality;

    sim_assert(sim, seen.n_expected == truth.n_expected);
    sim_assert(sim, seen.n_lost <= truth.n_lost && seen.n_lost + network->n_doubtful[sender] >= truth.n_lost);
    sim_assert(sim, seen.n_late == truth.n_late);
    sim_assert(sim, seen.n_repeated == truth.n_repeated);
    sim_assert(sim, quality->has_tx && quality->tx.n_expected <= truth.n_expected && quality->tx.n_expected + 20 > truth.n_expected);
    sim_assert(sim, quality->tx.n_lost == seen.n_lost && quality->tx.n_late == truth.n_late);
    sim_assert(sim, quality->tx.n_repeated == truth.n_repeated);
}

static void start_network(struct sim *sim, struct network *network)
{
    sim_start(sim);
    sim->filter = decide;
    sim->filter_ctx = network;
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
}

static void flow(struct sim *sim, uint64_t every_ns)
{
    sim_flow(sim, SIM_A, every_ns, 60, 1514);
    sim_flow(sim, SIM_B, every_ns, 60, 1514);
}

static void watch(struct sim *sim, int id)
{
    node_watch(sim->nodes[id].node, sim_boot_clock(&sim->nodes[id]));
}

static void make_perfect(struct network *network)
{
    for (int id = 0; id < SIM_NODES; id++)
        network->loss[id] = network->hold[id] = network->twice[id] = 0;
}

// The trouble is over: what is lost at the end of a key is seen by the next that comes, and each end asks the other what has arrived.
static void settle(struct sim *sim, struct network *network)
{
    make_perfect(network);
    for (int i = 0; i < 3; i++) {
        watch(sim, SIM_A);
        watch(sim, SIM_B);
        run(sim, NS_PER_S);
        flow(sim, 0);
    }
    while (sim->flying.n + sim->nodes[SIM_A].inbox.n + sim->nodes[SIM_B].inbox.n > 0) // a rekey may be under way
        sim_run(sim, NS_PER_MS / 10);
}

static void end_network(struct sim *sim, struct network *network)
{
    for (int id = 0; id < SIM_NODES; id++)
        assert_true_account(sim, id);
    sim->filter = NULL;
    for (size_t i = 0; i < network->n_keys; i++)
        free(network->keys[i]);
}

static void spoil(struct sim *sim, struct network *network)
{
    static const double parts[] = {0, 0.001, 0.01, 0.05, 0.2};

    for (int id = 0; id < SIM_NODES; id++) {
        network->loss[id] = parts[sim_below(sim, 5)];
        network->hold[id] = parts[sim_below(sim, 4)];
        network->twice[id] = parts[sim_below(sim, 4)];
    }
}

static void rekey_often(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].config.peer.timing.rekey_after_ns = 2 * NS_PER_S;
        sim->nodes[id].config.peer.timing.rekey_backup_ns = 3 * NS_PER_S;
    }
}

static void every_trouble(struct sim *sim)
{
    static struct network network;

    memset(&network, 0, sizeof network);
    if (sim->seed & 1)
        rekey_often(sim);
    start_network(sim, &network);
    spoil(sim, &network);
    flow(sim, 3 * NS_PER_MS);
    run(sim, 15 * NS_PER_S);
    settle(sim, &network);
    sim_assert(sim, network.n_doubtful[SIM_A] + network.n_doubtful[SIM_B] == 0);
    sim_assert(sim, sim->seed % 2 == 0 || sim_counted(sim, SIM_A, COUNT_HANDSHAKES_DONE) >= 5);
    end_network(sim, &network);
}

static void test_every_trouble(void **state)
{
    (void)state;
    sim_each_seed("test_every_trouble", 30, every_trouble);
}

// What is sent to where the peer was is lost; copies for where it is arrive once, or twice; probes of the new place are not missed.
static void moves(struct sim *sim)
{
    static struct network network;

    memset(&network, 0, sizeof network);
    start_network(sim, &network);
    spoil(sim, &network);
    flow(sim, 3 * NS_PER_MS);
    for (unsigned i = 0; i < 10; i++) {
        sim_move(sim, SIM_B, sim_addr(100 + i, (uint16_t)(4000 + i)), sim_chance(sim, 0.5));
        run(sim, NS_PER_S + sim_below(sim, NS_PER_S));
    }
    settle(sim, &network);
    sim_assert(sim, addr_equal(&sim_peer(sim, SIM_A)->endpoint.remote, &sim->nodes[SIM_B].seen));
    end_network(sim, &network);
}

static void test_moves(void **state)
{
    (void)state;
    sim_each_seed("test_moves", 10, moves);
}

static struct quality_change look(const struct sim *sim, int id, enum quality_span span)
{
    struct quality_change change;

    node_look(sim->nodes[id].node, span, sim_boot_clock(&sim->nodes[id]), &change);
    return change;
}

static bool is_about(double value, double aim, double tolerance)
{
    return value >= aim - tolerance && value <= aim + tolerance;
}

static double percent(uint64_t part, uint64_t whole)
{
    return 100.0 * (double)part / (double)whole;
}

// Over the last ten seconds, while it goes on; and forgotten when it is over. Nobody has to have looked before.
static void last_seconds(struct sim *sim)
{
    sim_link(sim, (struct sim_link){.delay_ms = 5});
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_flow(sim, SIM_A, 2 * NS_PER_MS, 1000, 1000);
    sim_run(sim, 20 * NS_PER_S);
    sim->links[SIM_A].loss = 0.1;
    sim_run(sim, 12 * NS_PER_S);
    struct quality_change near = look(sim, SIM_A, QUALITY_SHORT), far = look(sim, SIM_B, QUALITY_SHORT);
    sim_assert(sim, is_about(percent(near.tx.n_lost, near.tx.n_expected), 10, 2));
    sim_assert(sim, is_about(percent(far.counts.rx.n_lost, far.counts.rx.n_expected), 10, 2));
    sim_assert(sim, near.counts.rx.n_lost == 0 && far.tx.n_lost == 0);
    near = look(sim, SIM_A, QUALITY_RATE);
    sim_assert(sim, is_about((double)(near.counts.tx_frames * NS_PER_S) / (double)near.span_ns, 500, 10));
    sim_assert(sim, near.counts.tx_bytes == 1000 * near.counts.tx_frames);
    far = look(sim, SIM_B, QUALITY_RATE);
    sim_assert(sim, is_about((double)(far.counts.rx_frames * NS_PER_S) / (double)far.span_ns, 450, 40));

    sim->links[SIM_A].loss = 0;
    sim_run(sim, 12 * NS_PER_S);
    near = look(sim, SIM_A, QUALITY_SHORT);
    far = look(sim, SIM_B, QUALITY_LONG);
    sim_assert(sim, near.tx.n_expected > 4000 && near.tx.n_lost == 0);
    sim_assert(sim, far.counts.rx.n_lost > 400);
}

static void test_last_seconds(void **state)
{
    (void)state;
    sim_each_seed("test_last_seconds", 5, last_seconds);
}

// All that is too large for the path vanishes, and is missed by nobody: probes are sent to find that out.
static void probes_are_no_loss(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++)
        sim->nodes[id].config.peer.path_mtu = 0;
    sim_link(sim, (struct sim_link){.delay_ms = 5, .mtu = 9000, .carries = 1300 + sim_below(sim, 100)});
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    for (int i = 0; i < 50; i++) {
        sim_run(sim, NS_PER_S + sim_below(sim, NS_PER_S));
        uint64_t n_lost = arrivals_at(sim, SIM_A).n_lost + arrivals_at(sim, SIM_B).n_lost;
        sim_assert(sim, n_lost <= 4); // on the way still, or the report about them
    }
    for (int id = 0; id < SIM_NODES; id++) {
        sim_assert(sim, sim_peer(sim, id)->pmtu.state == PMTU_FOUND && sim_counted(sim, id, COUNT_PATH_PROBES) > 10);
        sim_assert(sim, arrivals_at(sim, id).n_lost == 0);
    }
}

static void test_probes_are_no_loss(void **state)
{
    (void)state;
    sim_each_seed("test_probes_are_no_loss", 10, probes_are_no_loss);
}

// What never left was not lost on the way.
static void refused_is_no_loss(struct sim *sim)
{
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    flow(sim, 3 * NS_PER_MS);
    sim_run(sim, NS_PER_S);
    sim_link(sim, (struct sim_link){.mtu = 600});
    sim_run(sim, NS_PER_S);
    sim_link(sim, (struct sim_link){0});
    for (int i = 0; i < 3; i++) {
        watch(sim, SIM_A);
        watch(sim, SIM_B);
        sim_run(sim, NS_PER_S);
    }
    for (int id = 0; id < SIM_NODES; id++) {
        sim_assert(sim, sim_dropped(sim, id, DROP_SEND_FAILED) > 100);
        sim_assert(sim, arrivals_at(sim, id).n_lost == 0);
    }
}

static void test_refused_is_no_loss(void **state)
{
    (void)state;
    sim_each_seed("test_refused_is_no_loss", 5, refused_is_no_loss);
}

// A peer that was started anew counts from 0.
static void peer_restarts(struct sim *sim)
{
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_flow(sim, SIM_A, 2 * NS_PER_MS, 1000, 1000);
    sim->links[SIM_A].loss = 0.05;
    sim_run(sim, 30 * NS_PER_S);
    sim_stop_node(sim, SIM_B, sim_chance(sim, 0.5));
    sim_run(sim, sim_below(sim, 3 * NS_PER_S));
    sim->links[SIM_A].loss = 0;
    sim_start_node(sim, SIM_B);
    sim_assert(sim, sim_run_until_up(sim, 30 * NS_PER_S));
    sim_run(sim, 15 * NS_PER_S);
    struct quality_change near = look(sim, SIM_A, QUALITY_SHORT);
    sim_assert(sim, near.tx.n_expected > 4000 && near.tx.n_lost == 0);
    sim_assert(sim, sim_peer(sim, SIM_A)->quality.tx.n_lost == arrivals_at(sim, SIM_B).n_lost);
}

static void test_peer_restarts(void **state)
{
    (void)state;
    sim_each_seed("test_peer_restarts", 6, peer_restarts);
}

static double ms(uint64_t ns)
{
    return (double)ns / (double)NS_PER_MS;
}

// A round trip of more than a second as well; where the two ways differ in length each time it jitters.
static void round_trips(struct sim *sim)
{
    static const unsigned delays_ms[] = {1, 20, 300, 800};
    unsigned delay_ms = delays_ms[sim->seed % 4], reorder_ms = sim->seed & 4 ? delay_ms / 2 : 0;

    sim_link(sim, (struct sim_link){.delay_ms = delay_ms, .reorder_ms = reorder_ms});
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 20 * NS_PER_S));
    for (int i = 0; i < 40; i++) {
        watch(sim, SIM_A);
        sim_run(sim, NS_PER_S);
    }
    const struct quality *quality = &sim_peer(sim, SIM_A)->quality;
    sim_assert(sim, is_about(ms(quality->rtt_ns), 2 * delay_ms + reorder_ms, 2 + 0.5 * reorder_ms));
    sim_assert(sim, is_about(ms(quality->rtt_last_ns), 2 * delay_ms + reorder_ms, 2 + reorder_ms));
    // Of the difference of two sums of two uniform parts each the mean distance is 7/15 of one.
    sim_assert(sim, is_about(ms(quality->jitter_ns), 7.0 / 15 * reorder_ms, 2 + 0.25 * reorder_ms));
}

static void test_round_trips(void **state)
{
    (void)state;
    sim_each_seed("test_round_trips", 8, round_trips);
}

static uint64_t n_messages(const struct sim *sim)
{
    return sim_counted(sim, SIM_A, COUNT_RX_MESSAGES) + sim_counted(sim, SIM_B, COUNT_RX_MESSAGES);
}

// While nobody looks, both ends together say no more than once in a second, and know their round trip all the same.
static void idle_is_quiet(struct sim *sim)
{
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 5 * NS_PER_S));
    sim_run(sim, 10 * NS_PER_S);
    uint64_t n_before = n_messages(sim);
    sim_run(sim, 100 * NS_PER_S);
    sim_assert(sim, n_messages(sim) - n_before <= 100);
    for (int id = 0; id < SIM_NODES; id++) {
        sim_assert(sim, sim_peer(sim, id)->quality.n_rtts >= 2);
        sim_assert(sim, look(sim, id, QUALITY_LONG).tx.n_expected > 0);
    }
    n_before = n_messages(sim);
    for (int i = 0; i < 20; i++) {
        watch(sim, SIM_A);
        sim_run(sim, NS_PER_S);
    }
    sim_assert(sim, n_messages(sim) - n_before >= 40 && n_messages(sim) - n_before <= 90); // echo, answer, report
}

static void test_idle_is_quiet(void **state)
{
    (void)state;
    sim_each_seed("test_idle_is_quiet", 3, idle_is_quiet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_trouble), cmocka_unit_test(test_moves),
        cmocka_unit_test(test_last_seconds),  cmocka_unit_test(test_probes_are_no_loss),
        cmocka_unit_test(test_peer_restarts), cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_idle_is_quiet), cmocka_unit_test(test_refused_is_no_loss),
    };
    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
