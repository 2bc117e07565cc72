// SPDX-License-Identifier: MIT
/*
 * Super-frames over networks of every kind: TCP streams in super-frames of random sizes go in at one end; what comes out at the other, in
 * super-frames or single frames, is checked against the stream byte for byte, and its headers against what TESTS A.5 says of them.
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
#include "ethercord/split.h"
#include "sim.h"

enum { STREAMS = 4, SENT_MAX = 4096, HEADERS_CAP = 128 };

// One super-frame that was sent: its place in the stream, and what its pieces must show.
struct sent {
    uint32_t at, len;
    uint16_t gso_size, id;
    uint8_t flags;
};

struct stream {
    bool is_udp, is_ipv6;
    unsigned n_tags;
    uint8_t ecn;
    uint32_t next; // byte of the stream
    uint16_t next_id;
    struct sent sent[SENT_MAX];
    size_t n_sent;
    uint64_t n_received; // bytes
};

static struct stream streams[STREAMS];
static uint8_t arrived[STREAMS][1 << 22]; // times that each byte of a stream came

static uint8_t byte_at(unsigned stream, uint32_t at)
{
    return (uint8_t)((at * UINT32_C(2654435761) >> 24) + stream);
}

static size_t put_l2(uint8_t *frame, unsigned number, const struct stream *stream)
{
    static const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    size_t at = sizeof macs;

    memcpy(frame, macs, sizeof macs);
    for (unsigned i = 0; i < stream->n_tags; i++, at += VLAN_TAG_LEN) {
        store_be16(frame + at, i + 1 < stream->n_tags ? ETHER_TYPE_QINQ : ETHER_TYPE_VLAN);
        store_be16(frame + at + 2, (uint16_t)(100 + number));
    }
    store_be16(frame + at, stream->is_ipv6 ? ETHER_TYPE_IPV6 : ETHER_TYPE_IPV4);
    return at + 2;
}

static size_t put_l3(uint8_t *ip, const struct stream *stream, size_t l4_len)
{
    uint8_t protocol = stream->is_udp ? IPPROTO_UDP : IPPROTO_TCP;

    if (stream->is_ipv6) {
        memset(ip, 0, IPV6_HEADER_LEN);
        ip[0] = 0x60;
        ip[1] = (uint8_t)(stream->ecn << 4);
        store_be16(ip + 4, (uint16_t)l4_len);
        ip[6] = protocol;
        ip[7] = 64;
        ip[23] = 1, ip[39] = 2;
        return IPV6_HEADER_LEN;
    }
    memset(ip, 0, IPV4_HEADER_MIN);
    ip[0] = 0x45;
    ip[1] = stream->ecn;
    store_be16(ip + 2, (uint16_t)(IPV4_HEADER_MIN + l4_len));
    store_be16(ip + 4, stream->next_id);
    ip[8] = 64;
    ip[9] = protocol;
    ip[12] = ip[16] = 10, ip[15] = 1, ip[19] = 2;
    store_be16(ip + 10, checksum_finish(checksum_add(0, ip, IPV4_HEADER_MIN)));
    return IPV4_HEADER_MIN;
}

static uint64_t pseudo_sum(const struct stream *stream, const uint8_t *ip, size_t l4_len)
{
    uint8_t protocol = stream->is_udp ? IPPROTO_UDP : IPPROTO_TCP;

    return stream->is_ipv6 ? checksum_pseudo_ipv6(ip + 8, ip + 24, protocol, (uint32_t)l4_len)
                           : checksum_pseudo_ipv4(ip + 12, ip + 16, protocol, (uint32_t)l4_len);
}

static void put_l4(uint8_t *l4, unsigned number, const struct sent *sent, const uint8_t *ip, size_t l4_len)
{
    const struct stream *stream = &streams[number];
    size_t checksum_at = stream->is_udp ? 6 : 16;

    memset(l4, 0, stream->is_udp ? UDP_HEADER_LEN : TCP_HEADER_MIN);
    store_be16(l4, (uint16_t)(5000 + number));
    store_be16(l4 + 2, 80);
    if (stream->is_udp) {
        store_be16(l4 + 4, (uint16_t)l4_len);
    } else {
        store_be32(l4 + TCP_SEQUENCE_AT, sent->at);
        l4[12] = 5 << 4;
        l4[TCP_FLAGS_AT] = sent->flags;
    }
    store_be16(l4 + checksum_at, (uint16_t) ~(unsigned)checksum_finish(pseudo_sum(stream, ip, l4_len)));
}

// A UDP stream says in each datagram where it belongs.
static void put_payload(uint8_t *payload, unsigned number, const struct sent *sent)
{
    const struct stream *stream = &streams[number];

    for (uint32_t i = 0; i < sent->len; i++)
        payload[i] = byte_at(number, sent->at + i);
    for (uint32_t i = 0; stream->is_udp && i < sent->len; i += sent->gso_size)
        store_be32(payload + i, sent->at + i);
}

static void send_super(struct sim *sim, unsigned number, size_t len, uint16_t gso_size)
{
    static uint8_t frame[TAP_FRAME_MAX];
    struct stream *stream = &streams[number];
    struct sent *sent = &stream->sent[stream->n_sent++];
    size_t l3 = put_l2(frame, number, stream), header_len = stream->is_udp ? UDP_HEADER_LEN : TCP_HEADER_MIN;
    uint8_t flags = (uint8_t)(0x10 | (sim_chance(sim, 0.5) ? TCP_PSH : 0) | (sim_chance(sim, 0.1) ? TCP_CWR : 0));

    sim_assert(sim, stream->n_sent < SENT_MAX && stream->next + len < sizeof arrived[0]);
    *sent = (struct sent){.at = stream->next, .len = (uint32_t)len, .gso_size = gso_size, .id = stream->next_id, .flags = flags};
    size_t l4 = l3 + put_l3(frame + l3, stream, header_len + len);
    put_l4(frame + l4, number, sent, frame + l3, header_len + len);
    put_payload(frame + l4 + header_len, number, sent);
    stream->next += (uint32_t)len;
    stream->next_id = (uint16_t)(stream->next_id + 100);
    enum super_kind tcp = stream->is_ipv6 ? SUPER_TCP6 : SUPER_TCP4;
    sim_send_undone(sim, SIM_A, frame, l4 + header_len + len,
                    &(struct offload){.kind = stream->is_udp ? SUPER_UDP : tcp,
                                      .is_partial = true,
                                      .checksum_start = (uint16_t)l4,
                                      .checksum_offset = stream->is_udp ? 6 : 16,
                                      .gso_size = gso_size});
}

/* ---- what comes out ---- */

static const struct sent *find_sent(struct sim *sim, const struct stream *stream, uint32_t at)
{
    for (size_t i = 0; i < stream->n_sent; i++)
        if (at >= stream->sent[i].at && at < stream->sent[i].at + stream->sent[i].len)
            return &stream->sent[i];
    sim_fail(sim, __FILE__, __LINE__, "a place in the stream that nobody sent");
}

static void check_checksum(struct sim *sim, const struct stream *stream, const struct sim_frame *frame, const struct packet_view *packet)
{
    const uint8_t *l4 = frame->bytes + packet->l4_offset;
    uint64_t pseudo = pseudo_sum(stream, frame->bytes + packet->l3_offset, packet->l4_len);

    if (frame->offload.is_partial)
        sim_assert(sim, (load_be16(l4 + packet_checksum_offset(packet)) ^ checksum_finish(pseudo)) == UINT16_MAX);
    else
        sim_assert(sim, checksum_finish(checksum_add(pseudo, l4, packet->l4_len)) == 0);
    if (!stream->is_ipv6)
        sim_assert(sim, checksum_finish(checksum_add(0, frame->bytes + packet->l3_offset, IPV4_HEADER_MIN)) == 0);
}

// What the kernel makes of one piece of a (super-)frame, against what it would have made of the one that was sent. `at` is its place in the
// stream, `offset` that in the frame.
static void check_piece(struct sim *sim, const struct stream *stream, const struct sim_frame *frame, const struct packet_view *packet,
                        uint32_t at, uint32_t offset)
{
    const struct sent *sent = find_sent(sim, stream, at);
    uint32_t in_sent = at - sent->at, left = (uint32_t)(frame->len - packet->payload_offset) - offset;
    uint32_t len = left < sent->gso_size ? left : sent->gso_size;
    uint16_t id = load_be16(frame->bytes + packet->l3_offset + IPV4_ID_AT);
    bool is_first = in_sent == 0, is_last = in_sent + len == sent->len;

    sim_assert(sim, in_sent + len <= sent->len);
    if (!stream->is_ipv6)
        sim_assert(sim, (uint16_t)(id + offset / sent->gso_size) == (uint16_t)(sent->id + in_sent / sent->gso_size));
    if (stream->is_udp)
        return;
    uint8_t flags = frame->bytes[packet->l4_offset + TCP_FLAGS_AT];
    flags &= (uint8_t) ~((offset == 0 ? 0 : TCP_CWR) | (left == len ? 0 : TCP_PSH | TCP_FIN));
    sim_assert(sim, flags == (uint8_t)(sent->flags & ~((is_first ? 0 : TCP_CWR) | (is_last ? 0 : TCP_PSH | TCP_FIN))));
}

static void check_headers(struct sim *sim, const struct stream *stream, const struct sim_frame *frame, const struct packet_view *packet,
                          uint32_t at)
{
    uint16_t gso_size = find_sent(sim, stream, at)->gso_size;
    uint32_t len = (uint32_t)(frame->len - packet->payload_offset);
    bool is_super = frame->offload.kind != SUPER_NONE;

    sim_assert(sim, packet->l4_len == frame->len - packet->l4_offset);
    sim_assert(sim, (len > gso_size) == is_super && (!is_super || frame->offload.gso_size == gso_size));
    if (is_super && !stream->is_udp)
        sim_assert(sim, frame->offload.has_cwr == ((frame->bytes[packet->l4_offset + TCP_FLAGS_AT] & TCP_CWR) != 0));
    for (uint32_t offset = 0; offset < len; offset += gso_size)
        check_piece(sim, stream, frame, packet, at + offset, offset);
}

static void check_payload(struct sim *sim, unsigned number, const uint8_t *payload, size_t len, uint32_t at)
{
    struct stream *stream = &streams[number];
    const struct sent *sent = find_sent(sim, stream, at);

    for (uint32_t i = 0; i < len; i++) {
        if (at + i >= sent->at + sent->len)
            sent = find_sent(sim, stream, at + i);
        uint32_t in_datagram = (at + i - sent->at) % sent->gso_size;
        if (!stream->is_udp || in_datagram >= 4)
            sim_assert(sim, payload[i] == byte_at(number, at + i));
        else if (in_datagram == 0)
            sim_assert(sim, load_be32(payload + i) == at + i);
        arrived[number][at + i]++;
    }
    stream->n_received += len;
}

static void check_frame(struct sim *sim, const struct sim_frame *frame)
{
    struct frame_view view;
    struct packet_view packet;

    sim_assert(sim, frame_parse(&view, frame->bytes, frame->len) && packet_parse(&packet, &view));
    unsigned number = load_be16(frame->bytes + packet.l4_offset) - 5000U;
    sim_assert(sim, number < STREAMS);
    const struct stream *stream = &streams[number];
    const uint8_t *payload = frame->bytes + packet.payload_offset;
    uint32_t at = load_be32(stream->is_udp ? payload : frame->bytes + packet.l4_offset + TCP_SEQUENCE_AT);
    check_checksum(sim, stream, frame, &packet);
    check_headers(sim, stream, frame, &packet, at);
    check_payload(sim, number, payload, frame->len - packet.payload_offset, at);
}

static void check_written(struct sim *sim)
{
    struct sim_frames *written = &sim->nodes[SIM_B].written;

    for (size_t i = written->first; i < written->n; i++)
        check_frame(sim, &written->at[i]);
    sim_frames_free(written);
    for (unsigned number = 0; number < STREAMS; number++)
        for (uint32_t at = 0; at < streams[number].next; at++)
            sim_assert(sim, arrived[number][at] <= 1); // never twice
}

static bool has_all(void)
{
    for (unsigned i = 0; i < STREAMS; i++)
        if (streams[i].n_received != streams[i].next)
            return false;
    return true;
}

/* ---- scenarios ---- */

static void begin(struct sim *sim)
{
    static const uint16_t path_mtus[] = {576, 1280, 1420, 1500, 9000};
    uint16_t path_mtu = path_mtus[sim->seed % 5];

    memset(streams, 0, sizeof streams);
    memset(arrived, 0, sizeof arrived);
    for (unsigned i = 0; i < STREAMS; i++) {
        streams[i].is_udp = i == 1;
        streams[i].is_ipv6 = i == 2;
        streams[i].n_tags = i == 3 ? 2 : 0;
        streams[i].ecn = i == 0 ? ECN_ECT0 : ECN_NOT_ECT;
        streams[i].next_id = (uint16_t)(65000 + i); // wraps
    }
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].config.peer.path_mtu = path_mtu;
        sim->nodes[id].tap_offload = (enum tap_offload)(sim->seed / 5 % TAP_OFFLOAD_COUNT);
    }
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 10 * NS_PER_S));
    sim_run(sim, 100 * NS_PER_MS);
}

static void send_some(struct sim *sim, int rounds)
{
    static const uint16_t gso_sizes[] = {64, 536, 1208, 1400, 1440};

    for (int i = 0; i < rounds; i++) {
        unsigned number = (unsigned)sim_below(sim, STREAMS);
        uint16_t gso_size = gso_sizes[sim_below(sim, 5)];
        size_t most = gso_size == 64 ? 8000 : 65000, tail[] = {0, 4, gso_size - 1U, sim_below(sim, gso_size - 4U) + 4};
        size_t len = (1 + sim_below(sim, most / gso_size - 1)) * gso_size + tail[sim_below(sim, 4)];
        send_super(sim, number, len, gso_size);
        if (sim_chance(sim, 0.3))
            sim_send_frame(sim, SIM_A, 60 + sim_below(sim, 1400));
        if (sim_chance(sim, 0.4))
            sim_run(sim, sim_below(sim, 3) * NS_PER_MS);
    }
    sim_run(sim, 2 * NS_PER_S);
    check_written(sim);
}

static void whole(struct sim *sim)
{
    begin(sim);
    sim_link(sim, (struct sim_link){.delay_ms = 1, .busy = sim->seed & 1 ? 0.3 : 0});
    send_some(sim, 60);
    sim_assert(sim, has_all());
    sim_assert(sim, sim_n_received(sim, SIM_A) == sim_n_sent(sim, SIM_A));
    sim_assert(sim, sim_counted(sim, SIM_B, COUNT_RX_FRAMES) == sim_counted(sim, SIM_A, COUNT_TX_FRAMES));
    bool is_full = sim->nodes[SIM_B].tap_offload == TAP_OFFLOAD_FULL;
    sim_assert(sim, (sim_counted(sim, SIM_B, COUNT_TAP_WRITTEN_SUPER_FRAMES) > 0) == is_full);
    sim_assert(sim, sim_counted(sim, SIM_B, COUNT_TAP_OFFLOAD_REFUSED) == 0);
}

static void test_whole(void **state)
{
    (void)state;
    sim_each_seed("test_whole", 30, whole);
}

// Those that no datagram of was lost come out as the super-frames that they were.
static void undisturbed(struct sim *sim)
{
    begin(sim);
    send_super(sim, 0, 60000, 1400);
    send_super(sim, 2, 60000, 1400);
    sim_run(sim, NS_PER_S);
    struct sim_frames *written = &sim->nodes[SIM_B].written;
    if (sim->nodes[SIM_B].tap_offload == TAP_OFFLOAD_FULL)
        sim_assert(sim, written->n - written->first == 2); // although each was several runs
    else
        sim_assert(sim, written->n - written->first == 2 * (60000 / 1400 + 1));
    check_written(sim);
    sim_assert(sim, has_all());
}

static void test_undisturbed(void **state)
{
    (void)state;
    sim_each_seed("test_undisturbed", 15, undisturbed);
}

// A lost datagram costs its own segment and no other one.
static void lossy(struct sim *sim)
{
    begin(sim);
    sim_link(sim, (struct sim_link){.delay_ms = 2, .loss = 0.01, .duplicate = 0.05, .reorder_ms = sim->seed & 2 ? 3 : 0});
    send_some(sim, 80);
    uint64_t sent = sim_counted(sim, SIM_A, COUNT_TX_SEGMENTS), received = sim_counted(sim, SIM_B, COUNT_RX_SEGMENTS);
    sim_assert(sim, received < sent && (double)received > 0.97 * (double)sent);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_BAD_RECORD) == 0 && sim_dropped(sim, SIM_B, DROP_TAP_WRITE_FAILED) == 0);
    sim_heal(sim);
}

static void test_lossy(void **state)
{
    (void)state;
    sim_each_seed("test_lossy", 30, lossy);
}

// A peer that takes neither segments nor undone checksums gets frames as a wire has them.
static void old_peer(struct sim *sim)
{
    sim->nodes[SIM_B].config.self.features = 0;
    begin(sim);
    send_some(sim, 30);
    sim_assert(sim, has_all());
    sim_assert(sim, sim_counted(sim, SIM_B, COUNT_RX_SEGMENTS) == 0 && sim_counted(sim, SIM_A, COUNT_TX_SEGMENTS) == 0);
}

static void test_old_peer(void **state)
{
    (void)state;
    sim_each_seed("test_old_peer", 10, old_peer);
}

// Rekeys in the middle of it all: no run straddles two keypairs, and none is lost.
static void rekeyed(struct sim *sim)
{
    for (int id = 0; id < SIM_NODES; id++)
        sim->nodes[id].config.peer.limits.rekey_after_messages = 500;
    begin(sim);
    sim_link(sim, (struct sim_link){.delay_ms = 1});
    send_some(sim, 80);
    sim_assert(sim, has_all());
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_HANDSHAKES_DONE) + sim_counted(sim, SIM_B, COUNT_HANDSHAKES_DONE) > 4);
}

static void test_rekeyed(void **state)
{
    (void)state;
    sim_each_seed("test_rekeyed", 10, rekeyed);
}

// The kernel takes back what it offered: everything still arrives, finished in software, and is counted.
static void refusing_tap(struct sim *sim)
{
    begin(sim);
    sim->nodes[SIM_B].tap_offload = TAP_OFFLOAD_OFF;
    send_some(sim, 40);
    sim_assert(sim, has_all());
    if (sim->seed / 5 % TAP_OFFLOAD_COUNT == TAP_OFFLOAD_FULL)
        sim_assert(sim, sim_counted(sim, SIM_B, COUNT_TAP_OFFLOAD_REFUSED) >= 3);
    sim_assert(sim, sim->nodes[SIM_B].node->rx.tap_out.level != TAP_OFFLOAD_FULL);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_TAP_WRITE_FAILED) == 0);
}

static void test_refusing_tap(void **state)
{
    (void)state;
    sim_each_seed("test_refusing_tap", 15, refusing_tap);
}

// Marks of the underlay reach the packets that can bear them; who can't bear one is not asked to.
static void marked(struct sim *sim)
{
    begin(sim);
    sim_link(sim, (struct sim_link){.is_marking = true});
    for (int i = 0; i < 5; i++)
        for (unsigned number = 0; number < STREAMS; number++)
            send_super(sim, number, 20000, 1400);
    sim_run(sim, NS_PER_S);
    const struct sim_frames *written = &sim->nodes[SIM_B].written;
    for (size_t i = written->first; i < written->n; i++) {
        struct frame_view view;
        sim_assert(sim, frame_parse(&view, written->at[i].bytes, written->at[i].len));
        bool is_first_stream =
            view.n_tags == 0 && view.ether_type == ETHER_TYPE_IPV4 && written->at[i].bytes[ETHER_HEADER_LEN + 9] == IPPROTO_TCP;
        sim_assert(sim, ecn_of(&view) == (is_first_stream ? ECN_CE : ECN_NOT_ECT));
    }
    check_written(sim);
    sim_assert(sim, has_all() && sim_dropped(sim, SIM_B, DROP_ECN_NOT_CAPABLE) == 0);
}

static void test_marked(void **state)
{
    (void)state;
    sim_each_seed("test_marked", 10, marked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),   cmocka_unit_test(test_undisturbed),  cmocka_unit_test(test_lossy),  cmocka_unit_test(test_old_peer),
        cmocka_unit_test(test_rekeyed), cmocka_unit_test(test_refusing_tap), cmocka_unit_test(test_marked),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
