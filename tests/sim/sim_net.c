// SPDX-License-Identifier: MIT
/*
 * sim_net: the twin of the UDP socket, and the network between the nodes: loss, duplicates, delay, reordering, addresses that move.
 *
 * A datagram goes: send -> (is it sealed twice?) -> recorded -> the test's filter -> blocked, loss, duplicate -> the heap of those in
 * flight -> the inbox of whoever is seen at that address when it arrives.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/ecn.h"
#include "ethercord/wire.h"
#include "sim.h"

struct addr sim_addr(unsigned last_byte, uint16_t port)
{
    return (struct addr){.family = AF_INET, .port = port, .ip = {192, 0, 2, (uint8_t)last_byte}};
}

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

static struct sim_datagram *copy_of(const struct sim_datagram *datagram)
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
    struct sim_datagram *copy = copy_of(datagram);

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

static void transmit(struct sim *sim, const struct sim_datagram *datagram)
{
    const struct sim_link *link = &sim->links[datagram->sender];
    enum sim_fate fate = sim->filter ? sim->filter(sim, datagram) : SIM_PASS;

    if (fate == SIM_HOLD) {
        sim->has_reordered = true;
        push(&sim->held, copy_of(datagram));
    }
    if (fate != SIM_PASS || link->is_blocked || sim_chance(sim, link->loss))
        return;
    fly(sim, datagram, link);
    if (sim_chance(sim, link->duplicate))
        fly(sim, datagram, link);
}

void sim_link(struct sim *sim, struct sim_link link)
{
    for (int id = 0; id < SIM_NODES; id++)
        sim->links[id] = link;
}

void sim_inject(struct sim *sim, const struct sim_datagram *datagram, const struct addr *from, const struct addr *to)
{
    static const struct sim_link perfect;
    struct sim_datagram *copy = copy_of(datagram);

    sim->has_reordered = true; // a copy overtakes the original
    copy->sender = SIM_NOBODY;
    copy->from = *from;
    copy->to = *to;
    fly(sim, copy, &perfect);
    free(copy);
}

void sim_release(struct sim *sim, size_t i)
{
    struct sim_datagram *datagram = sim->held.at[i];

    sim_inject(sim, datagram, &datagram->from, &datagram->to);
    free(datagram);
    memmove(&sim->held.at[i], &sim->held.at[i + 1], (--sim->held.n - i) * sizeof *sim->held.at);
}

void sim_move(struct sim *sim, int id, struct addr to, bool is_own)
{
    sim->nodes[id].seen = to;
    if (is_own)
        sim->nodes[id].own = to;
}

uint64_t sim_next_arrival(const struct sim *sim)
{
    return sim->flying.n ? sim->flying.at[0]->at_ns : UINT64_MAX;
}

static struct sim_node *who_is_at(struct sim *sim, const struct addr *addr)
{
    for (int id = 0; id < SIM_NODES; id++)
        if (addr_equal(&sim->nodes[id].seen, addr))
            return &sim->nodes[id];
    return NULL;
}

void sim_deliver(struct sim *sim)
{
    while (sim->flying.n && sim->flying.at[0]->at_ns <= sim->now_ns) {
        struct sim_datagram *datagram = heap_get(&sim->flying);
        struct sim_node *node = who_is_at(sim, &datagram->to);

        if (!node) {
            sim->n_stray++;
            sim->stray_bytes += datagram->len;
        }
        if (node && node->node) {
            push(&node->inbox, datagram);
            sim_wake(node, NODE_RX);
        } else {
            free(datagram);
        }
    }
}

/* ---- the socket ---- */

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
    *datagram = (struct sim_datagram){.sender = node->id, .from = node->seen, .to = from->endpoint.remote, .ecn = from->ecn, .len = len};
    if (sim->links[node->id].is_marking && from->ecn != ECN_NOT_ECT)
        datagram->ecn = ECN_CE;
    memcpy(datagram->bytes, from->bytes + at, len);
    if (sim_is_data(datagram))
        sim_check_seal(sim, datagram);
    if (sim->is_recording)
        push(&sim->recorded, copy_of(datagram));
    if (sim->links[node->id].carries && len > sim->links[node->id].carries) {
        if (sim->links[node->id].has_icmp)
            sim_icmp(node, &datagram->to, (uint32_t)sim->links[node->id].carries + SIM_HEADERS_LEN);
        return 0;
    }
    transmit(sim, datagram);
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
        begin_train(node, inbox->at[taken], &trains[i]);
        free(inbox->at[taken++]);
        while (taken < inbox->n && may_follow(node->sim, &trains[i], inbox->at[taken], cap)) {
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
