// SPDX-License-Identifier: MIT
/*
 * sim: the clock, the turns of the threads, and the life of the nodes. See sim.h.
 *
 * There is no list of events: each thread has a moment when its turn is due, each flow and each datagram in flight has one, and time
 * jumps to the least of them. Of several threads that are due the PRNG picks one, so that seeds explore interleavings as well.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/frame.h"

#define START_NS (1000 * NS_PER_S)
#define WALL_NS (UINT64_C(1700000000) * NS_PER_S)
enum { TURNS_PER_S_MAX = 400000 }; // of the two ends of a cord

/* ---- chance ---- */

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
    node->own = node->seen = sim_addr((unsigned)id + 1, 36160);
    node->far = sim_addr((unsigned)sim_other(id) + 1, 36160);
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
    for (int i = 0; i < NODE_THREADS; i++)
        node->threads[i].due_ns = UINT64_MAX;
}

static void sow_node(struct sim_node *node)
{
    node->random = sim_random(node->sim);
    make_keys(node);
}

static void introduce(struct sim *sim, int id)
{
    memcpy(sim->nodes[id].config.peer.public_key, sim->nodes[sim_other(id)].config.self.static_public, NOISE_KEY_LEN);
}

void sim_sow(struct sim *sim, uint64_t seed)
{
    sim->random = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
    for (size_t id = 0; id < sim->n_nodes; id++)
        sow_node(&sim->nodes[id]);
    for (size_t id = 0; id < sim->n_nodes; id++)
        introduce(sim, (int)id);
}

void sim_add_cords(struct sim *sim, size_t n)
{
    size_t first = sim->n_nodes;

    sim_assert(sim, first + 2 * n <= SIM_NODES_MAX);
    for (; sim->n_nodes < first + 2 * n; sim->n_nodes++) {
        node_defaults(sim, (int)sim->n_nodes);
        sow_node(&sim->nodes[sim->n_nodes]);
    }
    for (size_t id = first; id < sim->n_nodes; id++)
        introduce(sim, (int)id);
}

void sim_open(struct sim *sim, const char *name, uint64_t seed)
{
    memset(sim, 0, sizeof *sim);
    sim->scenario = name;
    sim->seed = seed;
    sim->now_ns = sim->turns_from_ns = sim->check_ns = START_NS;
    sim->seals = sim_seals_new();
    for (; sim->n_nodes < SIM_NODES; sim->n_nodes++)
        node_defaults(sim, (int)sim->n_nodes);
    sim_sow(sim, seed);
}

void sim_close(struct sim *sim)
{
    sim_check_net(sim);
    for (size_t id = 0; id < sim->n_nodes; id++) {
        struct sim_node *node = &sim->nodes[id];
        sim_check_node(sim, node);
        if (node->node)
            sim_stop_node(sim, (int)id, false);
        sim_frames_free(&node->to_read);
        sim_frames_free(&node->written);
        sim_datagrams_free(&node->inbox);
        free(sim->traffic[id].sent);
        free(sim->traffic[id].runs);
    }
    sim_datagrams_free(&sim->flying);
    sim_datagrams_free(&sim->held);
    sim_datagrams_free(&sim->recorded);
    sim_seals_free(sim->seals);
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
    sim_books_open(node);
    node->asleep_until_ns = 0;
    node->is_resolving = false;
    node->wait = TX_WAIT_TAP;
    node->node = aligned_alloc(64, (sizeof *node->node + 63) / 64 * 64);
    sim_assert(sim, node->node && node_init(node->node, &node->config, &devices, &hooks, sim_boot_clock(node)) == 0);
    node_start(node->node, sim_boot_clock(node));
    for (enum node_thread thread = 0; thread < NODE_THREADS; thread++)
        sim_wake(node, thread);
}

void sim_start(struct sim *sim)
{
    for (size_t id = 0; id < sim->n_nodes; id++)
        sim_start_node(sim, (int)id);
}

uint64_t sim_boot_clock(const struct sim_node *node)
{
    return node->sim->now_ns + (uint64_t)node->boot_skew_ns;
}

static uint64_t wall_of(const struct sim_node *node)
{
    return WALL_NS + (node->wall_stands_ns ? node->wall_stands_ns : node->sim->now_ns) + (uint64_t)node->wall_skew_ns;
}

void sim_jump(struct sim *sim, int id, uint64_t by_ns)
{
    struct sim_node *node = &sim->nodes[id];

    node->boot_skew_ns += (int64_t)by_ns;
    for (enum node_thread thread = 0; node->node && thread < NODE_THREADS; thread++)
        sim_wake(node, thread);
}

void sim_sleep(struct sim *sim, int id, uint64_t duration_ns, bool is_counted)
{
    struct sim_node *node = &sim->nodes[id];

    if (!node->node || node->asleep_until_ns > sim->now_ns)
        return;
    node->asleep_until_ns = sim->now_ns + duration_ns;
    if (!is_counted) // nobody looks at it before it is right again
        node->boot_skew_ns -= (int64_t)duration_ns;
}

// What a node says of its clock, by ours. 0 = no deadline.
static uint64_t due_of(const struct sim_node *node, uint64_t deadline_ns)
{
    uint64_t clock_ns = sim_boot_clock(node);

    if (!deadline_ns)
        return UINT64_MAX;
    return node->sim->now_ns + (deadline_ns > clock_ns ? deadline_ns - clock_ns : 0);
}

static void run_main(struct sim_node *node)
{
    uint64_t deadline_ns = node_run_main(node->node, sim_boot_clock(node), wall_of(node));

    node->threads[NODE_MAIN].due_ns = due_of(node, deadline_ns);
    if (node->is_resolving) {
        node->is_resolving = false;
        node_set_addresses(node->node, &node->far, node->far.family == AF_UNSPEC ? 0 : 1, sim_boot_clock(node));
        sim_wake(node, NODE_MAIN);
    }
}

static void run_tx(struct sim_node *node)
{
    bool is_readable = node->to_read.first < node->to_read.n;
    uint64_t deadline_ns = 0;
    struct sim_thread *thread = &node->threads[NODE_TX];

    node->wait = node_run_tx(node->node, is_readable, sim_boot_clock(node), &deadline_ns);
    uint64_t due_ns = due_of(node, deadline_ns);
    if (node->wait == TX_WAIT_UDP || node->wait == TX_WAIT_A_BIT)
        due_ns = node->sim->now_ns + NS_PER_MS;
    if (due_ns < thread->due_ns)
        thread->due_ns = due_ns;
    if (node->wait == TX_WAIT_NOTHING || (node->wait == TX_WAIT_TAP && node->to_read.first < node->to_read.n))
        sim_wake(node, NODE_TX);
}

static void run_rx(struct sim_node *node)
{
    uint64_t deadline_ns = 0, now_ns = sim_boot_clock(node);
    if (node->icmp.error)
        rx_take_errors(&node->node->rx, 0, now_ns);
    bool is_empty = node_run_rx(node->node, node->inbox.n > 0 ? 0 : -1, now_ns, &deadline_ns);
    struct sim_thread *thread = &node->threads[NODE_RX];
    uint64_t due_ns = due_of(node, deadline_ns);

    if (due_ns < thread->due_ns)
        thread->due_ns = due_ns;
    if (!is_empty || node->inbox.n > 0)
        sim_wake(node, NODE_RX);
    sim_check_books(node);
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

    if (has_goodbye && node->asleep_until_ns <= sim->now_ns) {
        node_stop(node->node, sim_boot_clock(node), wall_of(node));
        run_turn(node, NODE_TX); // the goodbye
        run_turn(node, NODE_RX);
    }
    for (size_t i = 0; i < node->inbox.n; i++)
        sim_lose(sim, SIM_LOST_UNREAD);
    node_deinit(node->node);
    free(node->node);
    node->node = NULL;
    for (int i = 0; i < NODE_THREADS; i++)
        node->threads[i].due_ns = UINT64_MAX;
    sim_datagrams_free(&node->inbox);
}

void sim_reload(struct sim *sim, int id, bool is_elsewhere)
{
    struct sim_node *node = &sim->nodes[id];

    node_reconfigure(node->node, &node->config, is_elsewhere, sim_boot_clock(node), wall_of(node));
    sim_wake(node, NODE_MAIN);
}

/* ---- time ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t due_ns_of(const struct sim_node *node, int thread)
{
    uint64_t due_ns = node->threads[thread].due_ns;

    return due_ns < node->asleep_until_ns ? node->asleep_until_ns : due_ns;
}

static uint64_t next_moment(const struct sim *sim)
{
    uint64_t next_ns = least(sim_next_arrival(sim), sim->check_ns);

    for (size_t id = 0; id < sim->n_nodes; id++) {
        const struct sim_node *node = &sim->nodes[id];
        if (node->flow.every_ns)
            next_ns = least(next_ns, node->flow.next_ns);
        for (int i = 0; i < NODE_THREADS; i++)
            next_ns = least(next_ns, due_ns_of(node, i));
    }
    return next_ns;
}

// One turn of one of the threads that are due.
static void run_one(struct sim *sim)
{
    int due[SIM_NODES_MAX * NODE_THREADS];
    unsigned n = 0;

    for (int i = 0; i < (int)sim->n_nodes * NODE_THREADS; i++)
        if (due_ns_of(&sim->nodes[i / NODE_THREADS], i % NODE_THREADS) <= sim->now_ns)
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
    sim_assert(sim, sim->n_turns < TURNS_PER_S_MAX * sim->n_nodes / 2); // else some thread spins
    sim->n_turns = 0;
    sim->check_ns = sim->now_ns + NS_PER_S;
    sim_check_net(sim);
    for (size_t id = 0; id < sim->n_nodes; id++)
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
        for (size_t id = 0; id < sim->n_nodes; id++)
            sim_feed_flow(&sim->nodes[id]);
        sim_deliver(sim);
        if (sim->before_step)
            sim->before_step(sim);
        sim->n_steps++;
        run_one(sim);
    }
}

void sim_run(struct sim *sim, uint64_t duration_ns)
{
    run_until(sim, sim->now_ns + duration_ns, NULL);
}

bool sim_are_up(const struct sim *sim)
{
    for (size_t id = 0; id < sim->n_nodes; id++)
        if (!sim->nodes[id].node || peer_state(sim_peer(sim, (int)id)) != PEER_UP)
            return false;
    return true;
}

bool sim_run_until(struct sim *sim, uint64_t limit_ns, bool (*is_done)(const struct sim *sim))
{
    run_until(sim, sim->now_ns + limit_ns, is_done);
    return is_done(sim);
}

bool sim_run_until_up(struct sim *sim, uint64_t limit_ns)
{
    return sim_run_until(sim, limit_ns, sim_are_up);
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

bool sim_is_converged(const struct sim *sim)
{
    if (!sim_are_up(sim))
        return false;
    for (int id = 0; id < (int)sim->n_nodes; id += 2) {
        const struct keypair *a = &sim_peer(sim, id)->current, *b = &sim_peer(sim, id + 1)->current;
        if (!a->is_used || !b->is_used || a->local_index != b->remote_index || a->remote_index != b->local_index ||
            a->is_initiator == b->is_initiator)
            return false;
    }
    return true;
}

void sim_heal(struct sim *sim)
{
    sim_link(sim, (struct sim_link){.delay_ms = 5});
    sim->filter = NULL;
    sim_run(sim, 12 * NS_PER_S); // the longest wait between two attempts, twice
    sim_assert(sim, sim_are_up(sim));
    sim_assert(sim, sim_is_converged(sim));
    for (int id = 0; id < (int)sim->n_nodes; id++) {
        size_t n = sim_n_received(sim, id);
        sim_send_frames(sim, id, 10, 200);
        sim_run(sim, 100 * NS_PER_MS);
        sim_assert(sim, sim->nodes[id].flow.every_ns || sim_n_received(sim, id) == n + 10);
        sim_check_node(sim, &sim->nodes[id]);
    }
}

/* ---- recovery ---- */

static void end_troubles(struct sim *sim)
{
    sim_link(sim, (struct sim_link){.delay_ms = 5});
    sim->filter = NULL;
    sim->slow_us = 0;
    for (int id = 0; id < (int)sim->n_nodes; id++) {
        struct sim_node *node = &sim->nodes[id], *other = &sim->nodes[sim_other(id)];
        node->wall_skew_ns = 0;
        node->wall_stands_ns = 0;
        node->far = other->nat.lifetime_ns ? node->far : other->seen;
        sim_flow(sim, id, 0, 0, 0);
        if (!node->node)
            sim_start_node(sim, id);
    }
}

static void note_sent(const struct sim *sim, size_t *n_sent)
{
    for (int id = 0; id < (int)sim->n_nodes; id++)
        n_sent[id] = sim_n_sent(sim, id);
}

// Of those that each node sent after n_sent[].
static bool has_one_come(const struct sim *sim, const size_t *n_sent)
{
    for (size_t id = 0; id < sim->n_nodes; id++)
        if (sim->traffic[id].next <= n_sent[id])
            return false;
    return true;
}

static bool have_all_come(const struct sim *sim, const size_t *n_sent)
{
    for (size_t id = 0; id < sim->n_nodes; id++)
        for (size_t i = n_sent[id]; i < sim->traffic[id].n_sent; i++)
            if (!sim->traffic[id].sent[i].is_received)
                return false;
    return true;
}

static void try_frames(struct sim *sim, size_t n, uint64_t duration_ns)
{
    for (int id = 0; id < (int)sim->n_nodes; id++)
        sim_send_frames(sim, id, n, 200);
    sim_run(sim, duration_ns);
}

void sim_recover(struct sim *sim, uint64_t limit_ns)
{
    size_t n_sent[SIM_NODES_MAX];
    uint64_t until_ns = sim->now_ns + limit_ns;

    end_troubles(sim);
    note_sent(sim, n_sent);
    while (!sim_is_converged(sim) || !has_one_come(sim, n_sent)) {
        sim_assert(sim, sim->now_ns < until_ns);
        try_frames(sim, 1, 250 * NS_PER_MS);
    }
    sim_run(sim, 100 * NS_PER_MS);
    note_sent(sim, n_sent);
    try_frames(sim, 5, 100 * NS_PER_MS);
    sim_assert(sim, have_all_come(sim, n_sent));
    sim_assert(sim, sim_run_until(sim, NS_PER_S, sim_is_converged)); // a rekey may be going on
    for (size_t id = 0; id < sim->n_nodes; id++)
        sim_check_node(sim, &sim->nodes[id]);
}
