// SPDX-License-Identifier: MIT
/*
 * One TCP flow each way whose frames cross in records of every kind: small ones that share a datagram, some that fill one, jumbo frames in
 * fragments, super-frames in segments, with and without their checksums. Whatever mixture carries it, the flow comes out in order, byte for
 * byte as the kernel would have it; and nothing waits for company: what was read from the TAP leaves in the turn in which it was read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ethercord/bytes.h"
#include "ethercord/checksum.h"
#include "ethercord/ecn.h"
#include "ethercord/packet.h"
#include "sim.h"

enum { ITEMS_MAX = 16384, HEADERS_MAX = ETHER_HEADER_LEN + 2 * VLAN_TAG_LEN + IPV6_HEADER_LEN + TCP_HEADER_MIN, JUMBO_MTU = 9000 };
enum { TCP_CHECKSUM_AT = 16 };
enum { ALL_FLAGS_OF_FIRST = TCP_CWR, ALL_FLAGS_OF_LAST = TCP_PSH | TCP_FIN };

// A frame or super-frame that was sent. Its number is in the TCP header, where the acknowledgement goes.
struct item {
    uint32_t at, len; // of its payload in the stream
    uint16_t gso_size, id;
    uint8_t flags, tos;
    bool is_partial;
};

struct flow {
    bool is_ipv6;
    unsigned n_tags;
    struct item items[ITEMS_MAX];
    uint32_t n_items, n_done; // done: come whole, or given up as lost
    uint32_t offset;          // bytes of the next one that have come
    uint32_t n_lost;          // items of which not all came
    uint32_t n_pieces;        // frames and super-frames that came
};

static struct flow flows[SIM_NODES]; // by sender
static bool may_lose;

/* ---- frames ---- */

static size_t headers_len_of(const struct flow *flow)
{
    return ETHER_HEADER_LEN + flow->n_tags * VLAN_TAG_LEN + (flow->is_ipv6 ? IPV6_HEADER_LEN : IPV4_HEADER_MIN) + TCP_HEADER_MIN;
}

static size_t put_l2(uint8_t *frame, const struct flow *flow, int from)
{
    uint8_t macs[12] = {2, 0, 0, 0, 7, (uint8_t)(1 - from), 2, 0, 0, 0, 7, (uint8_t)from};
    size_t at = sizeof macs;

    memcpy(frame, macs, sizeof macs);
    for (unsigned i = 0; i < flow->n_tags; i++, at += VLAN_TAG_LEN) {
        store_be16(frame + at, i + 1 < flow->n_tags ? ETHER_TYPE_QINQ : ETHER_TYPE_VLAN);
        store_be16(frame + at + 2, (uint16_t)(300 + i));
    }
    store_be16(frame + at, flow->is_ipv6 ? ETHER_TYPE_IPV6 : ETHER_TYPE_IPV4);
    return at + 2;
}

static uint64_t put_ipv4(uint8_t *ip, const struct item *item, size_t l4_len, int from)
{
    memset(ip, 0, IPV4_HEADER_MIN);
    ip[0] = 0x45;
    ip[IPV4_TOS_AT] = item->tos;
    store_be16(ip + IPV4_LEN_AT, (uint16_t)(IPV4_HEADER_MIN + l4_len));
    store_be16(ip + IPV4_ID_AT, item->id);
    ip[8] = 64;
    ip[9] = IPPROTO_TCP;
    ip[12] = ip[16] = 10, ip[15] = (uint8_t)(1 + from), ip[19] = (uint8_t)(2 - from);
    store_be16(ip + IPV4_CHECKSUM_AT, checksum_finish(checksum_add(0, ip, IPV4_HEADER_MIN)));
    return checksum_pseudo_ipv4(ip + 12, ip + 16, IPPROTO_TCP, (uint32_t)l4_len);
}

static uint64_t put_ipv6(uint8_t *ip, const struct item *item, size_t l4_len, int from)
{
    memset(ip, 0, IPV6_HEADER_LEN);
    ip[0] = (uint8_t)(0x60 | item->tos >> 4);
    ip[1] = (uint8_t)(item->tos << 4);
    store_be16(ip + IPV6_LEN_AT, (uint16_t)l4_len);
    ip[6] = IPPROTO_TCP;
    ip[7] = 64;
    ip[8] = ip[24] = 0xfd, ip[23] = (uint8_t)(1 + from), ip[39] = (uint8_t)(2 - from);
    return checksum_pseudo_ipv6(ip + 8, ip + 24, IPPROTO_TCP, (uint32_t)l4_len);
}

// Part of an item as one frame, with its checksums or (is_partial) without the one of TCP. Returns its length.
static size_t make_frame(uint8_t *frame, int from, uint32_t number, const struct item *item, bool is_partial)
{
    const struct flow *flow = &flows[from];
    size_t l3 = put_l2(frame, flow, from), l4 = l3 + (flow->is_ipv6 ? IPV6_HEADER_LEN : IPV4_HEADER_MIN),
           l4_len = TCP_HEADER_MIN + item->len;
    uint64_t pseudo = flow->is_ipv6 ? put_ipv6(frame + l3, item, l4_len, from) : put_ipv4(frame + l3, item, l4_len, from);
    uint8_t *tcp = frame + l4, *payload = tcp + TCP_HEADER_MIN;

    memset(tcp, 0, TCP_HEADER_MIN);
    store_be16(tcp, (uint16_t)(6000 + from));
    store_be16(tcp + 2, 443);
    store_be32(tcp + TCP_SEQUENCE_AT, item->at);
    store_be32(tcp + 8, number);
    tcp[12] = 5 << 4;
    tcp[TCP_FLAGS_AT] = item->flags;
    for (uint32_t i = 0; i < item->len; i++)
        payload[i] = (uint8_t)(((item->at + i) * UINT32_C(2654435761) >> 23) + (uint32_t)from);
    store_be16(tcp + TCP_CHECKSUM_AT,
               is_partial ? (uint16_t) ~(unsigned)checksum_finish(pseudo) : checksum_finish(checksum_add(pseudo, tcp, l4_len)));
    return l4 + l4_len;
}

static void send_item(struct sim *sim, int from, struct item item)
{
    static uint8_t frame[HEADERS_MAX + TAP_FRAME_MAX];
    struct flow *flow = &flows[from];
    const struct item *last = flow->n_items ? &flow->items[flow->n_items - 1] : &(struct item){.at = UINT32_MAX - 100000};

    sim_assert(sim, flow->n_items < ITEMS_MAX);
    item.at = last->at + last->len; // wraps early on
    item.id = (uint16_t)(last->id + 100);
    bool is_super = item.gso_size && item.len > item.gso_size;
    item.gso_size = is_super ? item.gso_size : 0;
    item.is_partial = item.is_partial || is_super;
    struct offload offload = {0};
    if (item.is_partial)
        offload = (struct offload){.kind = is_super ? (flow->is_ipv6 ? SUPER_TCP6 : SUPER_TCP4) : SUPER_NONE,
                                   .is_partial = true,
                                   .checksum_start = (uint16_t)(headers_len_of(flow) - TCP_HEADER_MIN),
                                   .checksum_offset = TCP_CHECKSUM_AT,
                                   .gso_size = item.gso_size};
    size_t len = make_frame(frame, from, flow->n_items, &item, item.is_partial);
    flow->items[flow->n_items++] = item;
    sim_send_undone(sim, from, frame, len, &offload);
}

/* ---- what comes out ---- */

// That much of an item from `offset` on, as the kernel would have cut it.
static struct item piece_of(const struct item *item, uint32_t offset, uint32_t len)
{
    struct item piece = *item;

    piece.at += offset;
    piece.len = len;
    if (item->gso_size)
        piece.id = (uint16_t)(item->id + offset / item->gso_size);
    piece.flags &= (uint8_t) ~((offset ? ALL_FLAGS_OF_FIRST : 0) | (offset + len < item->len ? ALL_FLAGS_OF_LAST : 0));
    return piece;
}

// Nothing before what has come now will come any more.
static void give_up_before(struct sim *sim, struct flow *flow, uint32_t number, uint32_t offset)
{
    if (number == flow->n_done && offset == flow->offset)
        return;
    sim_assert(sim, may_lose);
    sim_assert(sim, number > flow->n_done || (number == flow->n_done && offset > flow->offset)); // in order all the same
    flow->n_lost += number - flow->n_done + (offset > 0);
    flow->n_done = number;
    flow->offset = offset;
}

static void check_bytes(struct sim *sim, int from, uint32_t number, const struct item *piece, struct sim_frame *frame)
{
    static uint8_t expected[HEADERS_MAX + TAP_FRAME_MAX];

    if (frame->offload.is_partial)
        offload_complete(&frame->offload, frame->bytes, frame->len);
    uint8_t *checksum = frame->bytes + headers_len_of(&flows[from]) - TCP_HEADER_MIN + TCP_CHECKSUM_AT;
    if (piece->is_partial && load_be16(checksum) == UINT16_MAX)
        store_be16(checksum, 0); // the same number, and the kernel writes now this, now that
    size_t len = make_frame(expected, from, number, piece, false);
    sim_assert(sim, frame->len == len && memcmp(frame->bytes, expected, len) == 0);
}

static void check_frame(struct sim *sim, int from, struct sim_frame *frame)
{
    struct flow *flow = &flows[from];
    const uint8_t *tcp = frame->bytes + headers_len_of(flow) - TCP_HEADER_MIN;
    bool is_super = frame->offload.kind != SUPER_NONE;

    sim_assert(sim, frame->len >= headers_len_of(flow) && load_be16(tcp) == 6000 + from);
    uint32_t number = load_be32(tcp + 8), len = (uint32_t)(frame->len - headers_len_of(flow));
    sim_assert(sim, number < flow->n_items);
    const struct item *item = &flow->items[number];
    uint32_t offset = load_be32(tcp + TCP_SEQUENCE_AT) - item->at;
    sim_assert(sim, offset + len <= item->len);
    give_up_before(sim, flow, number, offset);
    sim_assert(sim, item->gso_size || len == item->len);
    sim_assert(sim,
               is_super ? len > item->gso_size && frame->offload.gso_size == item->gso_size : !item->gso_size || len <= item->gso_size);
    const struct item piece = piece_of(item, offset, len);
    if (is_super)
        sim_assert(sim, frame->offload.has_cwr == ((piece.flags & TCP_CWR) != 0));
    check_bytes(sim, from, number, &piece, frame);
    flow->n_pieces++;
    flow->offset = offset + len;
    if (flow->offset == item->len) {
        flow->n_done++;
        flow->offset = 0;
    }
}

static void check_written(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++) {
        struct sim_frames *written = &sim->nodes[id].written;
        for (size_t i = written->first; i < written->n; i++)
            check_frame(sim, 1 - id, &written->at[i]);
        sim_frames_free(written);
    }
}

static bool have_all_come(void)
{
    for (int id = 0; id < SIM_NODES; id++)
        if (flows[id].n_done != flows[id].n_items || flows[id].offset != 0 || flows[id].n_lost != 0)
            return false;
    return true;
}

static void run(struct sim *sim, uint64_t duration_ns)
{
    sim_run(sim, duration_ns);
    check_written(sim);
}

/* ---- the mixture ---- */

static void send_small(struct sim *sim, int from, struct item item)
{
    item.len = sim_chance(sim, 0.3) ? 0 : (uint32_t)sim_below(sim, 200); // a lone ACK now and then
    send_item(sim, from, item);
}

// About what a datagram carries, a little less or more: alone, as the last one of several, or in two fragments.
static void send_filling(struct sim *sim, int from, struct item item)
{
    size_t path_mtu = sim->nodes[from].node->tx.path_mtu, most = path_mtu < JUMBO_MTU ? path_mtu : JUMBO_MTU;

    item.len = (uint32_t)(most - 60 - headers_len_of(&flows[from]) - sim_below(sim, 150));
    send_item(sim, from, item);
}

static void send_jumbo(struct sim *sim, int from, struct item item)
{
    item.len = (uint32_t)(1 + sim_below(sim, JUMBO_MTU - HEADERS_MAX + ETHER_HEADER_LEN));
    send_item(sim, from, item);
}

static void send_super(struct sim *sim, int from, struct item item)
{
    static const uint16_t gso_sizes[] = {64, 536, 1208, 1400, 1440, 8900};
    static const uint32_t mosts[] = {4000, 20000, 65000, 65000, 65000, 65000};
    size_t i = (size_t)sim_below(sim, 6);

    item.gso_size = gso_sizes[i];
    item.len = item.gso_size + 1 + (uint32_t)sim_below(sim, mosts[i] - item.gso_size);
    if (sim_chance(sim, 0.3)) // no rest
        item.len -= item.len % item.gso_size;
    send_item(sim, from, item);
}

static void send_any(struct sim *sim, int from)
{
    static void (*const kinds[])(struct sim *, int, struct item) = {send_small,   send_small,   send_small, send_small,
                                                                    send_filling, send_filling, send_jumbo, send_super};
    struct item item = {.flags = 0x10, .tos = 0xb8, .is_partial = sim_chance(sim, 0.5)};

    if (sim_chance(sim, 0.3))
        item.flags |= TCP_PSH;
    if (sim_chance(sim, 0.1))
        item.flags |= TCP_CWR;
    if (sim_chance(sim, 0.1)) // two ECN fields do not share a datagram
        item.tos = sim_chance(sim, 0.5) ? ECN_ECT0 : ECN_CE;
    kinds[sim_below(sim, sizeof kinds / sizeof *kinds)](sim, from, item);
}

// Bursts of all kinds, both ways, with and without pauses.
static void send_bursts(struct sim *sim, int n_bursts, uint64_t pause_ns)
{
    for (int i = 0; i < n_bursts; i++) {
        for (uint64_t n = 1 + sim_below(sim, 12); n-- > 0;)
            send_any(sim, (int)sim_below(sim, 10) == 0 ? SIM_B : SIM_A);
        if (sim_chance(sim, 0.6))
            run(sim, sim_below(sim, pause_ns));
    }
}

static void set_up(struct sim *sim, uint16_t path_mtu)
{
    memset(flows, 0, sizeof flows);
    may_lose = false;
    for (int id = 0; id < SIM_NODES; id++) {
        struct sim_node *node = &sim->nodes[id];
        node->config.peer.path_mtu = path_mtu;
        node->config.self.tap_mtu = JUMBO_MTU;
        node->tap_offload = (enum tap_offload)sim_below(sim, TAP_OFFLOAD_COUNT);
        flows[id].is_ipv6 = sim_chance(sim, 0.5);
        flows[id].n_tags = (unsigned)sim_below(sim, 3);
    }
}

static void start_up(struct sim *sim)
{
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 10 * NS_PER_S));
}

static void assert_was_a_mixture(const struct sim *sim)
{
    uint64_t n_frames = sim_counted(sim, SIM_A, COUNT_TX_FRAMES), n_segments = sim_counted(sim, SIM_A, COUNT_TX_SEGMENTS);
    uint64_t n_fragmented = sim_counted(sim, SIM_A, COUNT_TX_FRAGMENTED_FRAMES);

    sim_assert(sim, n_segments > 100);
    sim_assert(sim, n_fragmented > 5);
    sim_assert(sim, n_frames - n_segments - n_fragmented > 100);
}

/* ---- scenarios ---- */

// Sockets that refuse datagrams, threads that are late, and rekeys, on paths of all sizes.
static void busy(struct sim *sim)
{
    static const uint16_t path_mtus[] = {0, 576, 1280, 1420, 1500, 9000};
    uint16_t path_mtu = path_mtus[sim->seed % 6];

    set_up(sim, path_mtu);
    for (int id = 0; id < SIM_NODES; id++)
        sim->nodes[id].config.peer.limits.rekey_after_messages = 400;
    sim->slow_us = sim_chance(sim, 0.5) ? 500 : 0;
    sim_link(sim, (struct sim_link){.delay_ms = 3,
                                    .mtu = path_mtu ? 0 : 1500 - SIM_HEADERS_LEN,
                                    .busy = sim_chance(sim, 0.7) ? 0.5 : 0,
                                    .duplicate = sim_chance(sim, 0.3) ? 0.1 : 0});
    start_up(sim);
    send_bursts(sim, 200, 5 * NS_PER_MS);
    run(sim, 5 * NS_PER_S);
    sim_assert(sim, have_all_come());
    assert_was_a_mixture(sim);
    // In large datagrams it may all be done before there are two rekeys; and an initiation that the socket refuses is tried again later.
    uint64_t n_handshakes = sim_counted(sim, SIM_A, COUNT_HANDSHAKES_DONE) + sim_counted(sim, SIM_B, COUNT_HANDSHAKES_DONE);
    sim_assert(sim, n_handshakes > 4 || path_mtu == 9000 || sim->links[SIM_A].busy > 0);
    sim_assert(sim, sim_counted(sim, SIM_B, COUNT_RX_FRAMES) == sim_counted(sim, SIM_A, COUNT_TX_FRAMES));
}

static void test_busy(void **state)
{
    (void)state;
    sim_each_seed("test_busy", 40, busy);
}

// Counts how often a datagram leaves under another path MTU than the one before.
struct changes {
    uint16_t path_mtu;
    unsigned n;
};

static enum sim_fate watch_path_mtu(struct sim *sim, const struct sim_datagram *datagram)
{
    struct changes *changes = sim->filter_ctx;
    uint16_t path_mtu = sim->nodes[SIM_A].node->tx.path_mtu;

    if (datagram->sender == SIM_A && sim_is_data(datagram)) {
        changes->n += changes->path_mtu != path_mtu;
        changes->path_mtu = path_mtu;
    }
    return SIM_PASS;
}

// The flow goes on for so many rounds, and for as long as the path MTU is searched for.
static void flow_on(struct sim *sim, int n_rounds, bool is_forging)
{
    for (int i = 0; i < n_rounds || (!is_forging && sim_peer(sim, SIM_A)->pmtu.state != PMTU_FOUND); i++) {
        if (is_forging && sim_chance(sim, 0.2))
            sim_icmp(&sim->nodes[SIM_A], &sim->nodes[SIM_B].seen, (uint32_t)sim_below(sim, 1500));
        send_bursts(sim, 1, 20 * NS_PER_MS);
        run(sim, 5 * NS_PER_MS);
    }
}

// The path MTU is searched for from the first frame on, put in doubt by forged ICMP, and found larger half a minute later, all in mid-flow.
static void path_changes(struct sim *sim)
{
    struct changes changes = {0};
    size_t mtu = PMTU_BASE + 1 + sim_below(sim, 1498 - PMTU_BASE);
    struct sim_link link = {.delay_ms = 4, .mtu = 1500 - SIM_HEADERS_LEN, .carries = mtu - SIM_HEADERS_LEN, .busy = 0.2};

    set_up(sim, 0);
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].config.peer.timing.rekey_after_ns = 5 * NS_PER_S;
        sim->nodes[id].config.peer.timing.rekey_backup_ns = 5300 * NS_PER_MS;
    }
    sim_link(sim, link);
    sim->filter = watch_path_mtu;
    sim->filter_ctx = &changes;
    start_up(sim);
    flow_on(sim, 200, false);
    flow_on(sim, 20, false); // what was found is in use now
    sim_assert(sim, changes.n > 1 && changes.path_mtu == mtu);
    changes.n = 0;
    flow_on(sim, 200, true);
    sim_assert(sim, changes.n > 1);
    link.carries = 0;
    sim_link(sim, link);
    for (int i = 0; i < 60; i++) {
        flow_on(sim, 3, false);
        run(sim, NS_PER_S);
    }
    sim_assert(sim, sim->nodes[SIM_A].node->tx.path_mtu == 1500);
    run(sim, NS_PER_S);
    sim_assert(sim, have_all_come());
    assert_was_a_mixture(sim);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_BLACK_HOLES) == 0);
}

static void test_path_changes(void **state)
{
    (void)state;
    sim_each_seed("test_path_changes", 20, path_changes);
}

// Where datagrams get lost, or a narrower interface refuses them: what comes is whole, and in order.
static void losing(struct sim *sim)
{
    set_up(sim, sim->seed & 1 ? 0 : 1420);
    may_lose = true;
    sim_link(sim, (struct sim_link){.delay_ms = 3, .mtu = 1500 - SIM_HEADERS_LEN, .loss = 0.02, .duplicate = 0.05, .busy = 0.2});
    start_up(sim);
    send_bursts(sim, 150, 5 * NS_PER_MS);
    run(sim, NS_PER_S);
    sim_assert(sim, flows[SIM_A].n_lost > 0 && flows[SIM_A].n_pieces > 300);
    sim_link(sim, (struct sim_link){.delay_ms = 3, .mtu = 1300 - SIM_HEADERS_LEN, .busy = 0.2});
    send_bursts(sim, 150, 5 * NS_PER_MS);
    run(sim, 5 * NS_PER_S);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_BAD_RECORD) == 0 && sim_dropped(sim, SIM_B, DROP_BAD_FRAGMENT) == 0);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_TAP_WRITE_FAILED) == 0 && sim_counted(sim, SIM_B, COUNT_TAP_OFFLOAD_REFUSED) == 0);
}

static void test_losing(void **state)
{
    (void)state;
    sim_each_seed("test_losing", 20, losing);
}

/* ---- no waiting ---- */

// Data messages of A that the underlay takes, and those that were not sent in the very turn in which the TAP was read last.
struct departures {
    unsigned n, n_late;
};

static enum sim_fate watch(struct sim *sim, const struct sim_datagram *datagram)
{
    struct departures *departures = sim->filter_ctx;

    if (datagram->sender == SIM_A && sim_is_data(datagram)) {
        departures->n++;
        departures->n_late += sim->now_ns != sim->nodes[SIM_A].read_ns; // time stands still within a turn, and hardly ever between two
    }
    return SIM_PASS;
}

static void begin_watching(struct sim *sim, struct departures *departures)
{
    static const uint16_t path_mtus[] = {0, 1280, 1500};

    set_up(sim, path_mtus[sim->seed % 3]);
    sim_link(sim, (struct sim_link){.delay_ms = 7});
    start_up(sim);
    sim_run(sim, 2 * NS_PER_S); // whatever there is to say at the beginning is said
    *departures = (struct departures){0};
    sim->filter = watch;
    sim->filter_ctx = departures;
}

// A lone small frame: out of the far TAP after the link's delay, and what two threads at work may take.
static void lone(struct sim *sim)
{
    struct departures departures;

    begin_watching(sim, &departures);
    for (int i = 0; i < 200; i++) {
        uint64_t began_ns = sim->now_ns;
        departures = (struct departures){0};
        send_small(sim, SIM_A, (struct item){.flags = 0x10, .is_partial = sim_chance(sim, 0.5)});
        run(sim, 7 * NS_PER_MS);
        sim_assert(sim, flows[SIM_A].n_done == flows[SIM_A].n_items - 1); // nothing is faster than the link
        sim_assert(sim, departures.n >= 1 && departures.n_late < departures.n);
        sim_assert(sim, sim->nodes[SIM_A].read_ns - began_ns < 20000);
        run(sim, 20000);
        sim_assert(sim, have_all_come());
        run(sim, sim_below(sim, 30 * NS_PER_MS));
    }
}

static void test_lone(void **state)
{
    (void)state;
    sim_each_seed("test_lone", 10, lone);
}

// Small ones that were read together share one datagram, and nothing of them is left for a later turn, whatever was read with them.
static void company(struct sim *sim)
{
    struct departures departures;
    unsigned n_late = 0;

    begin_watching(sim, &departures);
    for (int i = 0; i < 200; i++) {
        departures = (struct departures){0};
        size_t n = 2 + sim_below(sim, 8), has_more = sim_below(sim, 3);
        for (size_t k = 0; k < n; k++)
            send_item(sim, SIM_A, (struct item){.flags = 0x10, .len = (uint32_t)sim_below(sim, 20)});
        if (has_more) { // and a lone one behind them
            send_jumbo(sim, SIM_A, (struct item){.flags = 0x10});
            send_item(sim, SIM_A, (struct item){.flags = 0x10});
        }
        run(sim, 8 * NS_PER_MS);
        sim_assert(sim, have_all_come());
        sim_assert(sim, has_more || departures.n <= 1 + departures.n_late); // late: what the node says of itself
        n_late += departures.n_late;
        run(sim, sim_below(sim, 10 * NS_PER_MS));
    }
    sim_assert(sim, n_late < 20);
}

static void test_company(void **state)
{
    (void)state;
    sim_each_seed("test_company", 10, company);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_busy), cmocka_unit_test(test_path_changes), cmocka_unit_test(test_losing),
        cmocka_unit_test(test_lone), cmocka_unit_test(test_company),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
