// SPDX-License-Identifier: MIT
/*
 * sim: the clock, the turns of the threads, and the life of the nodes. See sim.h.
 *
 * There is no list of events: each thread has a moment when its turn is due, each flow and each datagram in flight has one, and time
 * jumps to the least of them. Of several threads that are due the PRNG picks one, so that seeds explore interleavings as well.
 */
#include "sim.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ethercord/frame.h"
#include "ethercord/log.h"

#define START_NS (1000 * NS_PER_S)
#define WALL_NS (UINT64_C(1700000000) * NS_PER_S)
enum { TURNS_PER_S_MAX = 400000, FULL_FACTOR = 10 };

/* ---- seeds ---- */

static uint64_t step(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15); // SplitMix64

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_random(struct sim *sim)
{
    return step(&sim->random);
}

uint64_t sim_below(struct sim *sim, uint64_t limit)
{
    return limit ? sim_random(sim) % limit : 0;
}

bool sim_chance(struct sim *sim, double p)
{
    return p > 0 && (double)(sim_random(sim) >> 11) / (double)(UINT64_C(1) << 53) < p;
}

static void fill_random(void *ctx, void *out, size_t len)
{
    struct sim_node *node = ctx;
    uint8_t *bytes = out;

    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)step(&node->random);
}

static void print_keypair(const char *epoch, const struct keypair *keypair)
{
    if (keypair->is_used)
        print_error("  %s: %08x -> %08x, %s, born at %.6f s\n", epoch, keypair->local_index, keypair->remote_index,
                    keypair->is_initiator ? "initiator" : "responder", (double)(keypair->born_ns - START_NS) / 1e9);
}

static void print_node(const struct sim_node *node)
{
    if (!node->node || !node->config.has_peer)
        return;
    const struct peer *peer = node_peer(node->node);
    print_error("%c: state %d, %s key, up %u down %u times\n", 'A' + node->id, peer_state(peer), peer->is_greater ? "greater" : "lesser",
                node->n_up, node->n_down);
    print_keypair("previous", &peer->previous);
    print_keypair("current", &peer->current);
    print_keypair("next", &peer->next);
    print_keypair("arriving", &peer->arriving);
}

void sim_fail(const struct sim *sim, const char *file, int line, const char *what)
{
    print_error("%s:%d: %s (at %.6f s)\nrepeat: SIM_SEED=%llu SIM_ONLY=%s %s\n", file, line, what, (double)(sim->now_ns - START_NS) / 1e9,
                (unsigned long long)sim->seed, sim->scenario, program_invocation_name);
    for (int id = 0; id < SIM_NODES; id++)
        print_node(&sim->nodes[id]);
    _fail(file, line);
    abort(); // cmocka has left by now
}

void sim_begin(void)
{
    const char *only = getenv("SIM_ONLY");

    if (only)
        cmocka_set_test_filter(only);
    if (sodium_init() < 0)
        abort();
    log_set_level(getenv("SIM_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
}

/* ---- making and unmaking ---- */

static void make_keys(struct sim_node *node)
{
    struct peer_self *self = &node->config.self;

    fill_random(node, self->static_private, sizeof self->static_private);
    noise_public_key(self->static_public, self->static_private);
}

static void node_defaults(struct sim *sim, int id)
{
    struct sim_node *node = &sim->nodes[id];

    node->sim = sim;
    node->id = id;
    node->random = sim_random(sim);
    node->own = node->seen = sim_addr((unsigned)id + 1, 36160);
    node->far = sim_addr((unsigned)(1 - id) + 1, 36160);
    node->has_carrier = true;
    node->config = (struct node_config){.has_peer = true};
    node->config.self.ciphers = 1U << CIPHER_CHACHA20_POLY1305;
    node->config.self.tap_mtu = TAP_MTU_DEFAULT;
    node->config.self.features = FEATURES_ALL;
    node->tap_offload = TAP_OFFLOAD_FULL;
    node->config.peer.path_mtu = 1420;
    node->config.peer.has_endpoint_name = true;
    timing_default(&node->config.peer.timing);
    session_limits_default(&node->config.peer.limits);
    reassembly_limits_default(&node->config.reassembly);
    make_keys(node);
    for (int i = 0; i < NODE_THREADS; i++)
        node->threads[i].due_ns = UINT64_MAX;
}

static void sim_open(struct sim *sim, const char *name, uint64_t seed)
{
    memset(sim, 0, sizeof *sim);
    sim->scenario = name;
    sim->seed = seed;
    sim->random = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
    sim->now_ns = sim->turns_from_ns = sim->check_ns = START_NS;
    sim->seals = sim_seals_new();
    for (int id = 0; id < SIM_NODES; id++)
        node_defaults(sim, id);
    for (int id = 0; id < SIM_NODES; id++)
        memcpy(sim->nodes[id].config.peer.public_key, sim->nodes[1 - id].config.self.static_public, NOISE_KEY_LEN);
}

static void sim_close(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++) {
        struct sim_node *node = &sim->nodes[id];
        sim_check_node(sim, node);
        if (node->node)
            sim_stop_node(sim, id, false);
        sim_frames_free(&node->to_read);
        sim_frames_free(&node->written);
        sim_datagrams_free(&node->inbox);
        free(sim->traffic[id].sent);
    }
    sim_datagrams_free(&sim->flying);
    sim_datagrams_free(&sim->held);
    sim_datagrams_free(&sim->recorded);
    sim_seals_free(sim->seals);
}

static void run_seed(const char *name, uint64_t seed, sim_scenario scenario)
{
    static struct sim sim; // too large for a stack

    sim_open(&sim, name, seed);
    scenario(&sim);
    sim_close(&sim);
}

void sim_each_seed(const char *name, unsigned n, sim_scenario scenario)
{
    const char *only = getenv("SIM_SEED");

    if (only) {
        run_seed(name, strtoull(only, NULL, 10), scenario);
        return;
    }
    if (getenv("ETHERCORD_FULL"))
        n *= FULL_FACTOR;
    for (uint64_t seed = 1; seed <= n; seed++)
        run_seed(name, seed, scenario);
}

/* ---- nodes ---- */

void sim_wake(struct sim_node *node, enum node_thread thread)
{
    uint64_t due_ns = node->sim->now_ns + sim_below(node->sim, (uint64_t)node->sim->slow_us * 1000);

    if (due_ns < node->threads[thread].due_ns)
        node->threads[thread].due_ns = due_ns;
}

static void on_wake(void *ctx, enum node_thread thread)
{
    sim_wake(ctx, thread);
}

static void on_event(void *ctx, enum handshake_event event, const struct shortcut_conflict *conflict)
{
    struct sim_node *node = ctx;
    (void)conflict;

    switch (event) {
    case HANDSHAKE_PEER_UP:
        node->n_up++;
        break;
    case HANDSHAKE_PEER_DOWN:
        node->n_down++;
        break;
    case HANDSHAKE_PATH_FOUND:
        node->n_paths_found++;
        break;
    case HANDSHAKE_BLACK_HOLE:
        break; // counted by the node itself
    case HANDSHAKE_RESOLVE:
        node->is_resolving = true;
        break;
    case HANDSHAKE_CONFLICT:
        node->n_conflicts++;
        break;
    }
}

void sim_start_node(struct sim *sim, int id)
{
    struct sim_node *node = &sim->nodes[id];
    struct node_devices devices = {.tap = &node->tap, .udp = node->udp};
    struct node_hooks hooks = {.ctx = node, .wake = on_wake, .event = on_event, .random = {.fill = fill_random, .ctx = node}};

    sim_tap_open(node);
    sim_udp_open(node);
    node->is_resolving = false;
    node->wait = TX_WAIT_TAP;
    node->node = aligned_alloc(64, (sizeof *node->node + 63) / 64 * 64);
    sim_assert(sim, node->node && node_init(node->node, &node->config, &devices, &hooks, sim->now_ns) == 0);
    node_start(node->node, sim->now_ns);
    for (enum node_thread thread = 0; thread < NODE_THREADS; thread++)
        sim_wake(node, thread);
}

void sim_start(struct sim *sim)
{
    sim_start_node(sim, SIM_A);
    sim_start_node(sim, SIM_B);
}

static uint64_t wall_of(const struct sim_node *node)
{
    return WALL_NS + node->sim->now_ns + (uint64_t)node->wall_skew_ns;
}

static void run_main(struct sim_node *node)
{
    uint64_t deadline_ns = node_run_main(node->node, node->sim->now_ns, wall_of(node));

    node->threads[NODE_MAIN].due_ns = deadline_ns;
    if (node->is_resolving) {
        node->is_resolving = false;
        node_set_addresses(node->node, &node->far, node->far.family == AF_UNSPEC ? 0 : 1, node->sim->now_ns);
        sim_wake(node, NODE_MAIN);
    }
}

static void run_tx(struct sim_node *node)
{
    bool is_readable = node->to_read.first < node->to_read.n;
    uint64_t deadline_ns = 0;
    struct sim_thread *thread = &node->threads[NODE_TX];

    node->wait = node_run_tx(node->node, is_readable, node->sim->now_ns, &deadline_ns);
    uint64_t due_ns = deadline_ns ? deadline_ns : UINT64_MAX;
    if (node->wait == TX_WAIT_UDP || node->wait == TX_WAIT_A_BIT)
        due_ns = node->sim->now_ns + NS_PER_MS;
    if (due_ns < thread->due_ns)
        thread->due_ns = due_ns;
    if (node->wait == TX_WAIT_NOTHING || (node->wait == TX_WAIT_TAP && node->to_read.first < node->to_read.n))
        sim_wake(node, NODE_TX);
}

static void run_rx(struct sim_node *node)
{
    uint64_t deadline_ns = 0;
    if (node->icmp.error)
        rx_take_errors(&node->node->rx, 0, node->sim->now_ns);
    bool is_empty = node_run_rx(node->node, node->inbox.n > 0 ? 0 : -1, node->sim->now_ns, &deadline_ns);
    struct sim_thread *thread = &node->threads[NODE_RX];

    if (deadline_ns && deadline_ns < thread->due_ns)
        thread->due_ns = deadline_ns;
    if (!is_empty || node->inbox.n > 0)
        sim_wake(node, NODE_RX);
}

static void run_turn(struct sim_node *node, enum node_thread thread)
{
    static void (*const turns[NODE_THREADS])(struct sim_node *) = {run_main, run_tx, run_rx};

    node->threads[thread].due_ns = UINT64_MAX; // a wake-up from within counts
    turns[thread](node);
}

void sim_stop_node(struct sim *sim, int id, bool has_goodbye)
{
    struct sim_node *node = &sim->nodes[id];

    if (has_goodbye) {
        node_stop(node->node, sim->now_ns, wall_of(node));
        run_turn(node, NODE_TX); // the goodbye
        run_turn(node, NODE_RX);
    }
    node_deinit(node->node);
    free(node->node);
    node->node = NULL;
    for (int i = 0; i < NODE_THREADS; i++)
        node->threads[i].due_ns = UINT64_MAX;
    sim_datagrams_free(&node->inbox);
}

/* ---- time ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_moment(const struct sim *sim)
{
    uint64_t next_ns = least(sim_next_arrival(sim), sim->check_ns);

    for (int id = 0; id < SIM_NODES; id++) {
        const struct sim_node *node = &sim->nodes[id];
        if (node->flow.every_ns)
            next_ns = least(next_ns, node->flow.next_ns);
        for (int i = 0; i < NODE_THREADS; i++)
            next_ns = least(next_ns, node->threads[i].due_ns);
    }
    return next_ns;
}

// One turn of one of the threads that are due.
static void run_one(struct sim *sim)
{
    int due[SIM_NODES * NODE_THREADS];
    unsigned n = 0;

    for (int i = 0; i < SIM_NODES * NODE_THREADS; i++)
        if (sim->nodes[i / NODE_THREADS].threads[i % NODE_THREADS].due_ns <= sim->now_ns)
            due[n++] = i;
    if (n == 0)
        return;
    int pick = due[sim_below(sim, n)];
    run_turn(&sim->nodes[pick / NODE_THREADS], (enum node_thread)(pick % NODE_THREADS));
    sim->n_turns++;
    sim->now_ns += sim_below(sim, 2000); // time passes while a thread works
}

static void check_now_and_then(struct sim *sim)
{
    if (sim->now_ns < sim->check_ns)
        return;
    sim_assert(sim, sim->n_turns < TURNS_PER_S_MAX); // else some thread spins
    sim->n_turns = 0;
    sim->check_ns = sim->now_ns + NS_PER_S;
    for (int id = 0; id < SIM_NODES; id++)
        sim_check_node(sim, &sim->nodes[id]);
}

static void run_until(struct sim *sim, uint64_t end_ns, bool (*is_done)(const struct sim *sim))
{
    while (!is_done || !is_done(sim)) {
        uint64_t next_ns = next_moment(sim);
        if (next_ns >= end_ns) {
            sim->now_ns = sim->now_ns > end_ns ? sim->now_ns : end_ns;
            return;
        }
        if (next_ns > sim->now_ns)
            sim->now_ns = next_ns;
        check_now_and_then(sim);
        for (int id = 0; id < SIM_NODES; id++)
            sim_feed_flow(&sim->nodes[id]);
        sim_deliver(sim);
        run_one(sim);
    }
}

void sim_run(struct sim *sim, uint64_t duration_ns)
{
    run_until(sim, sim->now_ns + duration_ns, NULL);
}

bool sim_are_up(const struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++)
        if (!sim->nodes[id].node || peer_state(sim_peer(sim, id)) != PEER_UP)
            return false;
    return true;
}

bool sim_run_until_up(struct sim *sim, uint64_t limit_ns)
{
    run_until(sim, sim->now_ns + limit_ns, sim_are_up);
    return sim_are_up(sim);
}

/* ---- what tests ask ---- */

const struct peer *sim_peer(const struct sim *sim, int id)
{
    return node_peer(sim->nodes[id].node);
}

static void count(const struct sim *sim, int id, struct counters *sum)
{
    memset(sum, 0, sizeof *sum);
    node_count(sim->nodes[id].node, sum);
}

uint64_t sim_dropped(const struct sim *sim, int id, enum drop_reason reason)
{
    struct counters sum;

    count(sim, id, &sum);
    return sum.drops[reason];
}

uint64_t sim_counted(const struct sim *sim, int id, enum traffic_counter counter)
{
    struct counters sum;

    count(sim, id, &sum);
    return sum.traffic[counter];
}

static bool is_converged(const struct sim *sim)
{
    const struct keypair *a = &sim_peer(sim, SIM_A)->current, *b = &sim_peer(sim, SIM_B)->current;

    return sim_are_up(sim) && a->is_used && b->is_used && a->local_index == b->remote_index && a->remote_index == b->local_index &&
           a->is_initiator != b->is_initiator;
}

void sim_heal(struct sim *sim)
{
    sim_link(sim, (struct sim_link){.delay_ms = 5});
    sim->filter = NULL;
    sim_run(sim, 12 * NS_PER_S); // the longest wait between two attempts, twice
    sim_assert(sim, sim_are_up(sim));
    sim_assert(sim, is_converged(sim));
    for (int id = 0; id < SIM_NODES; id++) {
        size_t n = sim_n_received(sim, id);
        sim_send_frames(sim, id, 10, 200);
        sim_run(sim, 100 * NS_PER_MS);
        sim_assert(sim, sim->nodes[id].flow.every_ns || sim_n_received(sim, id) == n + 10);
        sim_check_node(sim, &sim->nodes[id]);
    }
}
