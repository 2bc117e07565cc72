// SPDX-License-Identifier: MIT
/*
 * sim_net: the twin of the UDP socket, and the network between the nodes: loss, duplicates, delay, reordering, damage, wrong ways.
 * Addresses and NATs are in sim_addr.c.
 *
 * A datagram goes: send -> the sender's NAT -> the books -> recorded -> the test's filter -> blocked, loss, duplicate, damage -> the heap
 * of those in flight -> whoever is seen at that address when it arrives, if his NAT lets it in -> his inbox -> the books. Wherever one is
 * lost it is counted, and sim_check_net() misses none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/ecn.h"
#include "ethercord/wire.h"
#include "sim.h"

bool sim_is_data(const struct sim_datagram *datagram)
{
    return datagram->bytes[0] == MESSAGE_DATA;
}

/* ---- lists and the heap ---- */

static void push(struct sim_datagrams *list, struct sim_datagram *datagram)
{
    if (list->n == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 64;
        list->at = realloc(list->at, list->cap * sizeof *list->at);
        if (!list->at)
            abort();
    }
    list->at[list->n++] = datagram;
}

void sim_datagrams_free(struct sim_datagrams *datagrams)
{
    for (size_t i = 0; i < datagrams->n; i++)
        free(datagrams->at[i]);
    free(datagrams->at);
    *datagrams = (struct sim_datagrams){0};
}

struct sim_datagram *sim_copy(const struct sim_datagram *datagram)
{
    struct sim_datagram *copy = malloc(sizeof *copy + datagram->len);

    if (!copy)
        abort();
    memcpy(copy, datagram, sizeof *copy + datagram->len);
    return copy;
}

static bool is_before(const struct sim_datagram *a, const struct sim_datagram *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void swap(struct sim_datagrams *heap, size_t i, size_t j)
{
    struct sim_datagram *kept = heap->at[i];

    heap->at[i] = heap->at[j];
    heap->at[j] = kept;
}

// Takes the datagram.
static void heap_put_take(struct sim_datagrams *heap, struct sim_datagram *datagram)
{
    push(heap, datagram);
    for (size_t i = heap->n - 1; i > 0 && is_before(heap->at[i], heap->at[(i - 1) / 2]); i = (i - 1) / 2)
        swap(heap, i, (i - 1) / 2);
}

static struct sim_datagram *heap_get(struct sim_datagrams *heap)
{
    struct sim_datagram *first = heap->at[0];
    size_t i = 0;

    heap->at[0] = heap->at[--heap->n];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < heap->n && is_before(heap->at[child + 1], heap->at[child]))
            child++;
        if (child >= heap->n || is_before(heap->at[i], heap->at[child]))
            return first;
        swap(heap, i, child);
        i = child;
    }
}

/* ---- the network ---- */

static void fly(struct sim *sim, const struct sim_datagram *datagram, const struct sim_link *link)
{
    struct sim_datagram *copy = sim_copy(datagram);

    copy->at_ns = sim->now_ns + link->delay_ms * NS_PER_MS + sim_below(sim, link->reorder_ms * NS_PER_MS);
    copy->order = sim->n_sends++;
    sim->has_reordered = sim->has_reordered || link->reorder_ms > 0;
    if (datagram->sender != SIM_NOBODY) { // a shorter delay from now on lets nobody overtake
        uint64_t *last_ns = &sim->nodes[datagram->sender].last_arrival_ns;
        if (link->reorder_ms == 0 && copy->at_ns < *last_ns)
            copy->at_ns = *last_ns;
        *last_ns = copy->at_ns > *last_ns ? copy->at_ns : *last_ns;
    }
    heap_put_take(&sim->flying, copy);
}

void sim_lose(struct sim *sim, enum sim_loss where)
{
    sim->n_lost[where]++;
}

static void misroute(struct sim *sim, struct sim_datagram *datagram)
{
    datagram->to = sim->nodes[sim_below(sim, sim->n_nodes)].seen;
}

static void fly_somehow(struct sim *sim, const struct sim_datagram *datagram, const struct sim_link *link)
{
    bool is_damaged = sim_chance(sim, link->corrupt);
    bool is_misrouted = sim_chance(sim, link->misroute) && sim_who_is_at(sim, &datagram->to);

    if (!is_damaged && !is_misrouted) {
        fly(sim, datagram, link);
        return;
    }
    struct sim_datagram *copy = is_damaged ? sim_damaged(sim, datagram) : sim_copy(datagram);
    if (is_misrouted)
        misroute(sim, copy);
    fly(sim, copy, link);
    free(copy);
}

static void transmit(struct sim *sim, const struct sim_datagram *datagram)
{
    const struct sim_link *link = &sim->links[datagram->sender];
    enum sim_fate fate = sim->filter ? sim->filter(sim, datagram) : SIM_PASS;

    if (fate == SIM_HOLD) {
        sim->has_reordered = true;
        push(&sim->held, sim_copy(datagram));
    } else if (fate != SIM_PASS) {
        sim_lose(sim, SIM_LOST_FILTERED);
    } else if (link->is_blocked) {
        sim_lose(sim, SIM_LOST_BLOCKED);
    } else if (sim_chance(sim, link->loss)) {
        sim_lose(sim, SIM_LOST_BY_CHANCE);
    } else {
        fly_somehow(sim, datagram, link);
        if (sim_chance(sim, link->duplicate)) {
            sim->n_made++;
            fly_somehow(sim, datagram, link);
        }
    }
}

void sim_link(struct sim *sim, struct sim_link link)
{
    for (size_t id = 0; id < sim->n_nodes; id++)
        sim->links[id] = link;
}

static void inject(struct sim *sim, const struct sim_datagram *datagram, const struct addr *from, const struct addr *to)
{
    static const struct sim_link perfect;
    struct sim_datagram *copy = sim_copy(datagram);

    sim->has_reordered = true; // a copy overtakes the original
    copy->sender = SIM_NOBODY;
    copy->from = *from;
    copy->to = *to;
    fly(sim, copy, &perfect);
    free(copy);
}

void sim_inject(struct sim *sim, const struct sim_datagram *datagram, const struct addr *from, const struct addr *to)
{
    sim->n_made++;
    inject(sim, datagram, from, to);
}

void sim_release(struct sim *sim, size_t i)
{
    struct sim_datagram *datagram = sim->held.at[i];

    inject(sim, datagram, &datagram->from, &datagram->to);
    free(datagram);
    memmove(&sim->held.at[i], &sim->held.at[i + 1], (--sim->held.n - i) * sizeof *sim->held.at);
}

uint64_t sim_next_arrival(const struct sim *sim)
{
    return sim->flying.n ? sim->flying.at[0]->at_ns : UINT64_MAX;
}

static void arrive_take(struct sim *sim, struct sim_datagram *datagram)
{
    struct sim_node *node = sim_who_is_at(sim, &datagram->to);
    enum sim_loss where = SIM_LOST_UNREAD;

    if (!node) {
        sim->n_stray++;
        sim->stray_bytes += datagram->len;
        where = SIM_LOST_STRAY;
    } else if (!sim_nat_lets_in(node, &datagram->from)) {
        where = SIM_LOST_IN_NAT;
    } else if (node->node) {
        push(&node->inbox, datagram);
        sim_wake(node, NODE_RX);
        return;
    }
    sim_lose(sim, where);
    free(datagram);
}

void sim_deliver(struct sim *sim)
{
    while (sim->flying.n && sim->flying.at[0]->at_ns <= sim->now_ns)
        arrive_take(sim, heap_get(&sim->flying));
}

/* ---- the socket ---- */

// What goes nowhere is neither misrouted nor recorded: the probe of an attacker's address must not get to the peer, who would answer it.
static void record(struct sim *sim, const struct sim_datagram *datagram)
{
    if (!sim_who_is_at(sim, &datagram->to))
        return;
    if (!sim->recorded_max || sim->recorded.n < sim->recorded_max) {
        push(&sim->recorded, sim_copy(datagram));
        return;
    }
    size_t i = (size_t)sim_below(sim, sim->recorded.n);
    free(sim->recorded.at[i]);
    sim->recorded.at[i] = sim_copy(datagram);
}

// What tx says of the datagram, NULL if it is main's.
static const struct tx_datagram *find_made(const struct node *node, const uint8_t *bytes)
{
    for (int i = node->tx.first_out; i < node->tx.n_out; i++)
        if (node->tx.out[i].bytes == bytes)
            return &node->tx.out[i];
    return NULL;
}

static void leave(struct sim_node *node, const struct sim_datagram *datagram)
{
    struct sim *sim = node->sim;
    const struct sim_link *link = &sim->links[node->id];

    if (sim->is_recording)
        record(sim, datagram);
    if (!link->carries || datagram->len <= link->carries) {
        transmit(sim, datagram);
        return;
    }
    sim_lose(sim, SIM_LOST_TOO_LONG);
    if (link->has_icmp)
        sim_icmp(node, &datagram->to, (uint32_t)link->carries + SIM_HEADERS_LEN);
}

static int send_one(struct sim_node *node, const struct udp_train *from, size_t at)
{
    struct sim *sim = node->sim;
    _Alignas(struct sim_datagram) static uint8_t room[sizeof(struct sim_datagram) + SIM_DATAGRAM_CAP];
    struct sim_datagram *datagram = (struct sim_datagram *)(void *)room;
    const struct addr *source = &from->endpoint.source;
    size_t left = from->len - at, len = left < from->datagram_len ? left : from->datagram_len;

    sim_assert(sim, len > 0 && len <= SIM_DATAGRAM_CAP);
    sim_assert(sim, from->endpoint.remote.family == AF_INET && from->endpoint.remote.port != 0);
    if (source->family != AF_UNSPEC && !addr_equal_ip(source, &node->own))
        return -EINVAL; // as the kernel says when it is not ours (any more)
    if (sim->links[node->id].mtu && len > sim->links[node->id].mtu) {
        sim_icmp(node, &from->endpoint.remote, (uint32_t)sim->links[node->id].mtu + SIM_HEADERS_LEN);
        node->icmp.is_local = true;
        return -EMSGSIZE;
    }
    sim_nat_out(node, &from->endpoint.remote);
    *datagram = (struct sim_datagram){.sender = node->id, .from = node->seen, .to = from->endpoint.remote, .ecn = from->ecn, .len = len};
    if (sim->links[node->id].is_marking && from->ecn != ECN_NOT_ECT)
        datagram->ecn = ECN_CE;
    memcpy(datagram->bytes, from->bytes + at, len);
    sim_book_sent(node, datagram, find_made(node->node, from->bytes + at));
    leave(node, datagram);
    return 0;
}

static void check_train(struct sim *sim, const struct udp_train *train)
{
    sim_assert(sim, train->datagram_len > 0 && train->len >= train->datagram_len && train->len <= UDP_TRAIN_BYTES_MAX);
    sim_assert(sim, train->len <= UDP_TRAIN_DATAGRAMS_MAX * train->datagram_len);
}

static int send_batch(struct udp *udp, const struct udp_train *trains, int n)
{
    struct sim_node *node = udp->impl;
    struct sim *sim = node->sim;
    uint64_t room = UINT64_MAX; // datagrams
    int sent = 0;

    sim_assert(sim, n > 0 && n <= UDP_BATCH_MAX);
    if (sim_chance(sim, sim->links[node->id].busy)) {
        room = sim_below(sim, (uint64_t)UDP_BATCH_MAX / 4);
        if (room == 0)
            return sim_chance(sim, 0.5) ? 0 : -ENOBUFS;
    }
    for (int i = 0; i < n; i++) {
        check_train(sim, &trains[i]);
        for (size_t at = 0; at < trains[i].len && room > 0; at += trains[i].datagram_len, room--, sent++) {
            int error = send_one(node, &trains[i], at);
            if (error)
                return sent > 0 ? sent : error;
        }
    }
    return sent;
}

// As UDP_GRO does: datagrams alike that lie one behind the other become a train, now and then.
static bool may_follow(struct sim *sim, const struct udp_train *train, const struct sim_datagram *datagram, size_t cap)
{
    return datagram->len > 0 && datagram->len <= train->datagram_len && train->len % train->datagram_len == 0 &&
           datagram->ecn == train->ecn && addr_equal(&datagram->from, &train->endpoint.remote) && train->len + datagram->len <= cap &&
           sim_chance(sim, 0.9);
}

static void begin_train(const struct sim_node *node, const struct sim_datagram *from, struct udp_train *to)
{
    to->is_truncated = from->len > to->len;
    to->len = to->datagram_len = to->is_truncated ? to->len : from->len;
    memcpy(to->bytes, from->bytes, to->len);
    to->ecn = from->ecn;
    to->endpoint = (struct endpoint){.remote = from->from, .source = node->own, .source_ifindex = 1};
    to->endpoint.source.port = 0;
}

static int recv_batch(struct udp *udp, struct udp_train *trains, int n)
{
    struct sim_node *node = udp->impl;
    struct sim_datagrams *inbox = &node->inbox;
    size_t taken = 0;
    int i = 0;

    for (; i < n && taken < inbox->n; i++) {
        size_t cap = trains[i].len;
        sim_book_given(node, inbox->at[taken]);
        begin_train(node, inbox->at[taken], &trains[i]);
        free(inbox->at[taken++]);
        while (taken < inbox->n && may_follow(node->sim, &trains[i], inbox->at[taken], cap)) {
            sim_book_given(node, inbox->at[taken]);
            memcpy(trains[i].bytes + trains[i].len, inbox->at[taken]->bytes, inbox->at[taken]->len);
            trains[i].len += inbox->at[taken]->len;
            free(inbox->at[taken++]);
        }
    }
    inbox->n -= taken;
    if (inbox->n)
        memmove(inbox->at, inbox->at + taken, inbox->n * sizeof *inbox->at);
    return i;
}

static int next_error(struct udp *udp, struct udp_error *error)
{
    struct sim_node *node = udp->impl;

    if (node->icmp.error == 0)
        return 0;
    *error = node->icmp;
    node->icmp.error = 0;
    return 1;
}

void sim_icmp(struct sim_node *node, const struct addr *remote, uint32_t mtu)
{
    node->icmp = (struct udp_error){.error = EMSGSIZE, .mtu = mtu, .remote = *remote};
    sim_wake(node, NODE_RX);
}

void sim_udp_open(struct sim_node *node)
{
    static const struct udp_ops ops = {recv_batch, send_batch, next_error};

    node->udp[0] = (struct udp){.ops = &ops, .family = AF_INET, .fd = -1, .impl = node};
    node->udp[1] = (struct udp){.ops = &ops, .family = AF_UNSPEC, .fd = -1, .impl = node};
}
