// SPDX-License-Identifier: MIT
/*
 * node: wiring. Which ring goes where, and who is woken for it.
 */
#include "ethercord/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/frame.h"
#include "handshake_private.h"
#include "messages.h"

// Tuning constants: bytes of the rings. Orders and reports have room for every key many times over.
enum {
    ORDERS_CAP = 64 * 1024,
    RECORDS_CAP = 512 * 1024, // a whole echo of 64 KiB in fragments, several times
    REPORTS_CAP = 16 * 1024,
    HINTS_CAP = 128 * 1024, // all the handshake messages that rx admits in one moment, twice
    COOKIE_REQUESTS_CAP = 64 * 1024
};

static int rings_init(struct node *node)
{
    struct {
        struct ring *ring;
        size_t cap;
    } all[] = {{&node->orders_tx, ORDERS_CAP},   {&node->orders_rx, ORDERS_CAP},
               {&node->records, RECORDS_CAP},    {&node->reports_tx, REPORTS_CAP},
               {&node->reports_rx, REPORTS_CAP}, {&node->hints_tx, HINTS_CAP},
               {&node->hints_rx, HINTS_CAP},     {&node->cookie_requests, COOKIE_REQUESTS_CAP}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int error = ring_init(all[i].ring, all[i].cap);
        if (error)
            return error;
    }
    return 0;
}

static void rings_deinit(struct node *node)
{
    struct ring *all[] = {&node->orders_tx,  &node->orders_rx, &node->records,  &node->reports_tx,
                          &node->reports_rx, &node->hints_tx,  &node->hints_rx, &node->cookie_requests};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ring_deinit(all[i]);
}

static struct shortcut *new_shortcut(struct node *node, const struct node_config *config, enum shortcut_side side)
{
    struct shortcut *shortcut = calloc(1, shortcut_size());
    struct counters *counters = &node->counters[side == SHORTCUT_TAP ? NODE_TX : NODE_RX];
    uint8_t seed[16];

    if (!shortcut)
        return NULL;
    random_fill(&node->hooks.random, seed, sizeof seed);
    shortcut_init(shortcut, &config->shortcut, side, counters, seed);
    return shortcut;
}

static int tx_wire(struct node *node, const struct node_config *config, struct udp *udp)
{
    struct tx *tx = &node->tx;

    tx->tap = node->tap;
    tx->udp = udp;
    tx->counters = &node->counters[NODE_TX];
    tx->activity = &node->activity;
    tx->is_peer_up = &node->is_peer_up;
    tx->orders = &node->orders_tx;
    tx->records = &node->records;
    tx->reports = &node->reports_tx;
    tx->hints = &node->hints_tx;
    tx->has_peer = config->has_peer;
    tx->is_path_mtu_fixed = config->peer.path_mtu != 0;
    tx->path_mtu = tx->is_path_mtu_fixed ? config->peer.path_mtu : PMTU_BASE;
    tx->tap_mtu = config->self.tap_mtu;
    tx->own_mac = config->shortcut.mac;
    tx->shortcut = new_shortcut(node, config, SHORTCUT_TAP);
    return tx->shortcut ? tx_init(tx) : -ENOMEM;
}

// What is longer than the local TAP can take need not be put together: so more of what it can take has room.
static int reassembly_wire(struct node *node, const struct node_config *config)
{
    struct reassembly_limits limits = config->reassembly;

    limits.frame_len_max = frame_max_len(config->self.tap_mtu, 1);
    random_fill(&node->hooks.random, &limits.secret, sizeof limits.secret);
    size_t needed = reassembly_needs(&limits);
    if (needed == 0)
        return -EINVAL;
    node->reassembly_memory = calloc(1, needed); // pages that are not written to cost nothing
    if (!node->reassembly_memory)
        return -ENOMEM;
    reassembly_init(&node->rx.reassembly, &limits, node->reassembly_memory);
    return 0;
}

static int rx_wire(struct node *node, const struct node_config *config, struct udp *udp)
{
    struct rx *rx = &node->rx;
    uint8_t secret[16];

    rx->tap = node->tap;
    rx->udp = udp;
    rx->counters = &node->counters[NODE_RX];
    rx->activity = &node->activity;
    rx->orders = &node->orders_rx;
    rx->records = &node->records;
    rx->reports = &node->reports_rx;
    rx->hints = &node->hints_rx;
    rx->tap_mtu = config->self.tap_mtu;
    rx->shortcut = new_shortcut(node, config, SHORTCUT_PEER);
    rx->cookie_requests = &node->cookie_requests;
    rx->pending_index = &node->handshake.pending_index;
    cookie_checker_init(&rx->checker, config->self.static_public);
    random_fill(&node->hooks.random, secret, sizeof secret);
    source_limit_init(&rx->sources, secret);
    if (!rx->shortcut)
        return -ENOMEM;
    int error = reassembly_wire(node, config);
    return error ? error : rx_init(rx);
}

static void handshake_wire(struct node *node, struct udp *udp)
{
    node->handshake = (struct handshake){
        .self = &node->secrets->self,
        .peer = node->has_peer ? &node->secrets->peer : NULL,
        .udp = udp,
        .counters = &node->counters[NODE_MAIN],
        .activity = &node->activity,
        .rekey_index = &node->tx.rekey_index,
        .is_peer_up = &node->is_peer_up,
        .random = node->hooks.random,
        .orders_tx = &node->orders_tx,
        .orders_rx = &node->orders_rx,
        .reports = {&node->reports_tx, &node->reports_rx},
        .hints = {&node->hints_tx, &node->hints_rx},
        .cookie_requests = &node->cookie_requests,
        .event_ctx = node,
        .tx_counters = &node->counters[NODE_TX],
        .rx = &node->rx,
    };
}

static void on_event(void *ctx, enum handshake_event event, const struct shortcut_conflict *conflict)
{
    struct node *node = ctx;

    if (node->is_carrier_peer_up && event == HANDSHAKE_PEER_UP)
        node->tap->ops->set_carrier(node->tap, true);
    if (node->is_carrier_peer_up && event == HANDSHAKE_PEER_DOWN)
        node->tap->ops->set_carrier(node->tap, false);
    node->hooks.event(node->hooks.ctx, event, conflict);
}

static void on_echoed(void *ctx, const uint8_t id[static WIRE_TOKEN_LEN], uint64_t now_ns)
{
    struct node *node = ctx;

    if (node->hooks.echoed)
        node->hooks.echoed(node->hooks.ctx, id, now_ns);
}

int node_init(struct node *node, const struct node_config *config, const struct node_devices *devices, const struct node_hooks *hooks,
              uint64_t now_ns)
{
    struct udp *udp = devices->udp;
    int error;

    memset(node, 0, sizeof *node);
    node->hooks = *hooks;
    node->tap = devices->tap;
    node->has_peer = config->has_peer;
    node->is_carrier_peer_up = config->is_carrier_peer_up && config->has_peer;
    node->is_announcing_at_start = !config->has_peer || config->shortcut.answer == SHORTCUT_ANSWER_ALWAYS;
    node->secrets = sodium_malloc(sizeof *node->secrets); // guarded; its size is a multiple of 64, and so is its address
    if (!node->secrets)
        return errno == EPERM ? -EPERM : -ENOMEM;
    memset(node->secrets, 0, sizeof *node->secrets);
    node->secrets->self = config->self;
    if ((error = rings_init(node)) || (error = tx_wire(node, config, udp)) || (error = rx_wire(node, config, udp)))
        return error;
    if (config->has_peer)
        peer_init(&node->secrets->peer, &config->peer, &node->secrets->self, &node->secrets->keystore, now_ns);
    handshake_wire(node, udp);
    node->handshake.event = on_event;
    node->handshake.echoed = on_echoed;
    handshake_init(&node->handshake, now_ns);
    return 0;
}

// Keys that were on their way when the threads ended come home before everything is wiped.
void node_deinit(struct node *node)
{
    tx_deinit(&node->tx);
    rx_deinit(&node->rx);
    handshake_deinit(&node->handshake);
    rings_deinit(node);
    free(node->tx.shortcut);
    free(node->rx.shortcut);
    free(node->reassembly_memory);
    if (node->secrets)
        sodium_free(node->secrets); // wipes
    memset(node, 0, sizeof *node);
}

static void wake_if(struct node *node, bool *is_needed, enum node_thread thread)
{
    if (*is_needed)
        node->hooks.wake(node->hooks.ctx, thread);
    *is_needed = false;
}

static void wake_after_main(struct node *node)
{
    wake_if(node, &node->handshake.needs_tx, NODE_TX);
    wake_if(node, &node->handshake.needs_rx, NODE_RX);
}

void node_touch_memory(struct node *node)
{
    if (!node->has_peer) // nothing will come
        return;
    pool_touch(&node->rx.pool);
    pool_touch(&node->rx.opened_pool);
}

void node_start(struct node *node, uint64_t now_ns)
{
    if (node->is_carrier_peer_up)
        node->tap->ops->set_carrier(node->tap, false);
    if (node->is_announcing_at_start)
        shortcut_announce(node->tx.shortcut, now_ns);
}

uint64_t node_run_main(struct node *node, uint64_t now_ns, uint64_t wall_ns)
{
    uint64_t deadline_ns = handshake_run(&node->handshake, now_ns, wall_ns), tell_ns = node_tell_settings(node, now_ns);

    wake_after_main(node);
    return tell_ns < deadline_ns ? tell_ns : deadline_ns;
}

enum tx_wait node_run_tx(struct node *node, bool is_readable, uint64_t now_ns, uint64_t *deadline_ns)
{
    enum tx_wait wait = tx_run(&node->tx, is_readable, now_ns);

    *deadline_ns = tx_tick(&node->tx, now_ns);
    wake_if(node, &node->tx.needs_main, NODE_MAIN);
    return wait;
}

bool node_run_rx(struct node *node, int which, uint64_t now_ns, uint64_t *deadline_ns)
{
    rx_take_orders(&node->rx, now_ns);
    bool is_empty = which < 0 || rx_run(&node->rx, which, now_ns);
    *deadline_ns = rx_tick(&node->rx, now_ns);
    wake_if(node, &node->rx.needs_tx, NODE_TX);
    wake_if(node, &node->rx.needs_main, NODE_MAIN);
    return is_empty;
}

void node_stop(struct node *node, uint64_t now_ns, uint64_t wall_ns)
{
    handshake_stop(&node->handshake, now_ns, wall_ns);
    wake_after_main(node);
}

void node_set_addresses(struct node *node, const struct addr *addresses, size_t n, uint64_t now_ns)
{
    handshake_set_addresses(&node->handshake, addresses, n, now_ns);
}

bool node_send_echo(struct node *node, const uint8_t id[static WIRE_TOKEN_LEN], uint64_t now_ns)
{
    bool is_sent = handshake_send_echo(&node->handshake, id, now_ns);

    wake_after_main(node);
    return is_sent;
}

void node_watch(struct node *node, uint64_t now_ns)
{
    if (node->has_peer)
        peer_watch(&node->secrets->peer, now_ns);
}

void node_look(const struct node *node, enum quality_span span, uint64_t now_ns, struct quality_change *change)
{
    handshake_look(&node->handshake, span, now_ns, change);
}

const struct peer *node_peer(const struct node *node)
{
    return node->has_peer ? &node->secrets->peer : NULL;
}

void node_count(const struct node *node, struct counters *sum)
{
    for (int i = 0; i < NODE_THREADS; i++)
        counters_sum(sum, &node->counters[i]);
}
