// SPDX-License-Identifier: MIT
/*
 * sim_check: what must hold in every run.
 *
 *   - a counter, once used under a key, belongs to that ciphertext for ever
 *   - every frame that went in came out, was taken, or is counted under a drop reason
 *   - every place of the keystore is where the keypairs say
 */
#include <stdlib.h>
#include <string.h>

#include "ethercord/wire.h"
#include "sim.h"

/* ---- counters are used once ---- */

struct seal {
    uint64_t counter, hash;
    uint32_t receiver_index;
    int sender;
    bool is_used;
};
struct sim_seals { // open addressing
    struct seal *at;
    size_t n, cap;
};

struct sim_seals *sim_seals_new(void)
{
    struct sim_seals *seals = calloc(1, sizeof *seals);

    if (!seals || !(seals->at = calloc(seals->cap = 1024, sizeof *seals->at)))
        abort();
    return seals;
}

void sim_seals_free(struct sim_seals *seals)
{
    free(seals->at);
    free(seals);
}

static uint64_t hash_of(const uint8_t *bytes, size_t len)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); // FNV-1a

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static struct seal *find(struct sim_seals *seals, const struct seal *wanted)
{
    uint64_t mixed = (wanted->counter + ((uint64_t)wanted->receiver_index << 20)) * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(mixed >> 20) % seals->cap;

    for (; seals->at[i].is_used; i = (i + 1) % seals->cap)
        if (seals->at[i].counter == wanted->counter && seals->at[i].receiver_index == wanted->receiver_index &&
            seals->at[i].sender == wanted->sender)
            break;
    return &seals->at[i];
}

static void grow(struct sim_seals *seals)
{
    struct sim_seals larger = {.n = seals->n, .cap = 2 * seals->cap};

    if (!(larger.at = calloc(larger.cap, sizeof *larger.at)))
        abort();
    for (size_t i = 0; i < seals->cap; i++)
        if (seals->at[i].is_used)
            *find(&larger, &seals->at[i]) = seals->at[i];
    free(seals->at);
    *seals = larger;
}

void sim_check_seal(struct sim *sim, const struct sim_datagram *datagram)
{
    struct data_header header;

    sim_assert(sim, wire_classify(datagram->bytes, datagram->len) == MESSAGE_DATA);
    data_header_decode(datagram->bytes, &header);
    const struct seal seal = {.counter = header.counter,
                              .receiver_index = header.receiver_index,
                              .sender = datagram->sender,
                              .hash = hash_of(datagram->bytes, datagram->len),
                              .is_used = true};
    if (2 * sim->seals->n >= sim->seals->cap)
        grow(sim->seals);
    struct seal *known = find(sim->seals, &seal);
    if (known->is_used) {
        sim_assert(sim, known->hash == seal.hash);
        return;
    }
    *known = seal;
    sim->seals->n++;
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

    sim_assert(sim, tx->traffic[COUNT_TAP_READ_FRAMES] + replies ==
                        tx->traffic[COUNT_TX_FRAMES] + tx->traffic[COUNT_SHORTCUT_TAKEN] + sum_of_drops(tx, 0, DROP_COUNT - 1));
    sim_assert(sim, tx->traffic[COUNT_TAP_WRITTEN_FRAMES] == tx->traffic[COUNT_SHORTCUT_SENT] + tx->traffic[COUNT_TOO_BIG_SENT]);
    sim_assert(sim, rx->traffic[COUNT_RX_FRAMES] == rx->traffic[COUNT_TAP_WRITTEN_FRAMES] + rx->traffic[COUNT_SHORTCUT_TAKEN] +
                                                        rx->drops[DROP_TAP_DOWN] + rx->drops[DROP_TAP_WRITE_FAILED] +
                                                        sum_of_drops(rx, DROP_SHORTCUT_SILENT, DROP_COUNT - 1));
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
    if (node_peer(node->node))
        check_keys(sim, node->node);
}
