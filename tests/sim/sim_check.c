// SPDX-License-Identifier: MIT
/*
 * sim_check: what must hold in every run, looked at each second and at the end.
 *
 *   - every datagram is in flight, held, in an inbox, given to a node, or counted as lost
 *   - every frame that went in came out, was taken, or is counted under a drop reason
 *   - every handshake message is counted under a drop reason or has done something, and each only once
 *   - every place of the keystore is where the keypairs say, and no more than two generations of keys are confirmed
 *
 * What becomes of each single datagram is in sim_books.c, of each numbered frame in sim_tap.c.
 */
#include "sim.h"

/* ---- datagrams ---- */

void sim_check_net(struct sim *sim)
{
    uint64_t sum = sim->n_given + sim->flying.n + sim->held.n;

    for (enum sim_loss where = 0; where < SIM_LOSS_COUNT; where++)
        sum += sim->n_lost[where];
    for (size_t id = 0; id < sim->n_nodes; id++)
        sum += sim->nodes[id].inbox.n;
    sim_assert(sim, sim->n_taken + sim->n_made == sum);
}

/* ---- sums ---- */

static uint64_t sum_of_drops(const struct counters *counters, enum drop_reason first, enum drop_reason last)
{
    uint64_t sum = 0;

    for (enum drop_reason reason = first; reason <= last; reason++)
        sum += counters->drops[reason];
    return sum;
}

static void check_sums(struct sim *sim, const struct node *node)
{
    const struct counters *tx = &node->counters[NODE_TX], *rx = &node->counters[NODE_RX];
    uint64_t replies = rx->traffic[COUNT_SHORTCUT_SENT] - rx->drops[DROP_RING_FULL];
    uint64_t not_written = tx->drops[DROP_TAP_DOWN] + tx->drops[DROP_TAP_WRITE_FAILED]; // of what tx has to say to its own TAP

    sim_assert(sim, tx->traffic[COUNT_TAP_READ_FRAMES] + replies + not_written ==
                        tx->traffic[COUNT_TX_FRAMES] + tx->traffic[COUNT_SHORTCUT_TAKEN] + sum_of_drops(tx, 0, DROP_COUNT - 1));
    sim_assert(sim,
               tx->traffic[COUNT_TAP_WRITTEN_FRAMES] + not_written == tx->traffic[COUNT_SHORTCUT_SENT] + tx->traffic[COUNT_TOO_BIG_SENT]);
    sim_assert(sim, rx->traffic[COUNT_RX_FRAMES] == rx->traffic[COUNT_TAP_WRITTEN_FRAMES] + rx->traffic[COUNT_SHORTCUT_TAKEN] +
                                                        rx->drops[DROP_TAP_DOWN] + rx->drops[DROP_TAP_WRITE_FAILED] +
                                                        sum_of_drops(rx, DROP_SHORTCUT_SILENT, DROP_COUNT - 1));
}

// Of handshakes: rx and main drop or use each, and use each that the peer made once at the most.
static void check_handshakes(struct sim *sim, const struct sim_node *node)
{
    const struct counters *main = &node->node->counters[NODE_MAIN], *rx = &node->node->counters[NODE_RX];
    uint64_t n_dropped =
        sum_of_drops(rx, DROP_BAD_MAC2, DROP_HANDSHAKE_UNEXPECTED) + sum_of_drops(main, DROP_BAD_MAC2, DROP_HANDSHAKE_UNEXPECTED);

    sim_assert(sim, n_dropped <= node->books.n_handshake);
    sim_assert(sim, node->books.n_handshake - n_dropped <= node->books.n_genuine);
}

static void check_tap(struct sim *sim, const struct sim_node *node)
{
    const struct counters *tx = &node->node->counters[NODE_TX];

    sim_assert(sim, tx->traffic[COUNT_TX_FRAMES] == node->books.n_sent);
    sim_assert(sim, node->books.n_super_read > 0 || tx->traffic[COUNT_TAP_READ_FRAMES] == node->books.n_read);
}

static void check_datagrams(struct sim *sim, const struct sim_node *node)
{
    struct counters sum = {0};

    node_count(node->node, &sum);
    sim_assert(sim, sum.traffic[COUNT_TX_DATAGRAMS] + sum.traffic[COUNT_TX_COPIES] == node->books.n_taken);
    sim_assert(sim, sum.traffic[COUNT_RX_DATAGRAMS] == node->books.n_given);
}

/* ---- keys ---- */

static size_t n_taken(const struct keystore *keystore, bool is_send)
{
    size_t n = 0;

    for (size_t i = 0; i < KEYSTORE_PLACES; i++)
        n += is_send ? keystore->send[i].is_taken : keystore->recv[i].is_taken;
    return n;
}

static bool has_recv(const struct rx *rx, uint32_t local_index)
{
    for (size_t i = 0; i < rx->n_sessions; i++)
        if (rx->sessions[i]->local_index == local_index)
            return true;
    return false;
}

enum { LIVE_MAX = 2, UNCONFIRMED_MAX = 1 };

// Two generations of keys are in use at the most; beside them there may be one that the peer has not used yet.
static void check_generations(struct sim *sim, const struct rx *rx)
{
    size_t n_confirmed = 0;

    for (size_t i = 0; i < rx->n_sessions; i++)
        n_confirmed += rx->sessions[i]->is_confirmed;
    sim_assert(sim, n_confirmed <= LIVE_MAX && rx->n_sessions <= LIVE_MAX + UNCONFIRMED_MAX);
}

static void check_keys(struct sim *sim, const struct node *node)
{
    const struct peer *peer = node_peer(node);
    const struct keypair *all[] = {&peer->previous, &peer->current, &peer->next, &peer->arriving};
    size_t n_used = 0, n_send = node->tx.session ? 1 : 0;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!all[i]->is_used)
            continue;
        n_used++;
        n_send += all[i]->send ? 1 : 0;
        sim_assert(sim, !all[i]->recv && has_recv(&node->rx, all[i]->local_index));
    }
    sim_assert(sim, !peer->arriving.is_used);
    sim_assert(sim, node->rx.n_sessions == n_used);
    sim_assert(sim, (node->tx.session != NULL) == peer->current.is_used);
    sim_assert(sim, !node->tx.session || node->tx.session->local_index == peer->current.local_index);
    sim_assert(sim, n_taken(&node->secrets->keystore, true) == n_send);
    sim_assert(sim, n_taken(&node->secrets->keystore, false) == n_used);
}

static bool is_settled(struct node *node)
{
    struct ring *all[] = {&node->orders_tx,  &node->orders_rx, &node->records,  &node->reports_tx,
                          &node->reports_rx, &node->hints_tx,  &node->hints_rx, &node->cookie_requests};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!ring_is_empty(all[i]))
            return false;
    return tx_is_idle(&node->tx);
}

void sim_check_node(struct sim *sim, const struct sim_node *node)
{
    if (!node->node || !is_settled(node->node))
        return;
    check_sums(sim, node->node);
    check_tap(sim, node);
    check_datagrams(sim, node);
    if (!sim->has_hostile_peer)
        check_handshakes(sim, node);
    check_generations(sim, &node->node->rx);
    if (node_peer(node->node))
        check_keys(sim, node->node);
}
