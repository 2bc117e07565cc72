// SPDX-License-Identifier: MIT
/*
 * TAPs with different MTUs: what the far one has no room for is dropped at the near end and its sender told; the rest crosses. The books
 * are those of sim_check.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ethercord/bytes.h"
#include "ethercord/checksum.h"
#include "ethercord/frame.h"
#include "ethercord/packet.h"
#include "ethercord/split.h"
#include "ethercord/too_big.h"
#include "sim.h"

enum { NEAR_MTU = 1500, FAR_MTU = 1400 };

static uint8_t frame[TAP_FRAME_MAX];

static void start_up(struct sim *sim, uint16_t near, uint16_t far)
{
    sim->nodes[SIM_A].config.self.tap_mtu = near;
    sim->nodes[SIM_A].config.shortcut.mac = (struct mac_address){{0x02, 0xec, 0, 0, 0, 0x0a}};
    sim->nodes[SIM_B].config.self.tap_mtu = far;
    sim_start(sim);
    sim_assert(sim, sim_run_until_up(sim, 10 * NS_PER_S));
    sim_run(sim, 100 * NS_PER_MS);
}

struct shape {
    bool is_ipv6, is_udp, has_tag, is_cuttable;
};
static const struct shape shapes[] = {{0}, {.is_udp = true, .has_tag = true}, {.is_ipv6 = true}, {.is_ipv6 = true, .is_udp = true}};
static const struct shape cuttable = {.is_cuttable = true};

static size_t l3_of(const struct shape *shape)
{
    return shape->has_tag ? ETHER_HEADER_LEN + VLAN_TAG_LEN : ETHER_HEADER_LEN;
}

static size_t headers_len(const struct shape *shape) // IP, and TCP or UDP
{
    return (shape->is_ipv6 ? IPV6_HEADER_LEN : IPV4_HEADER_MIN) + (size_t)(shape->is_udp ? UDP_HEADER_LEN : TCP_HEADER_MIN);
}

static void put_ipv4(uint8_t *ip, const struct shape *shape, size_t l3_len)
{
    ip[0] = 0x45;
    store_be16(ip + IPV4_LEN_AT, (uint16_t)l3_len);
    store_be16(ip + 6, shape->is_cuttable ? 0 : 0x4000);
    ip[8] = 64;
    ip[9] = shape->is_udp ? IPPROTO_UDP : IPPROTO_TCP;
    ip[12] = ip[16] = 10, ip[15] = 1, ip[19] = 2;
    store_be16(ip + IPV4_CHECKSUM_AT, checksum_finish(checksum_add(0, ip, IPV4_HEADER_MIN)));
}

static void put_ipv6(uint8_t *ip, const struct shape *shape, size_t l3_len)
{
    ip[0] = 0x60;
    store_be16(ip + IPV6_LEN_AT, (uint16_t)(l3_len - IPV6_HEADER_LEN));
    ip[6] = shape->is_udp ? IPPROTO_UDP : IPPROTO_TCP;
    ip[7] = 64;
    ip[8] = ip[24] = 0xfd, ip[23] = 1, ip[39] = 2;
}

// A packet of `l3_len` bytes into `frame`, its L4 checksum partial; returns the frame's length.
static size_t make_packet(const struct shape *shape, size_t l3_len)
{
    static const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    size_t l3 = l3_of(shape);
    struct frame_view view;
    struct packet_view packet;

    memset(frame, 0x5a, l3 + l3_len);
    memset(frame, 0, l3 + headers_len(shape));
    memcpy(frame, macs, sizeof macs);
    if (shape->has_tag)
        memcpy(frame + sizeof macs, "\x81\0\x20\x05", VLAN_TAG_LEN);
    store_be16(frame + l3 - 2, shape->is_ipv6 ? ETHER_TYPE_IPV6 : ETHER_TYPE_IPV4);
    uint8_t *l4 = frame + l3 + headers_len(shape) - (shape->is_udp ? UDP_HEADER_LEN : TCP_HEADER_MIN);
    if (shape->is_udp)
        store_be16(l4 + UDP_LEN_AT, (uint16_t)(l3 + l3_len - (size_t)(l4 - frame)));
    else
        l4[12] = 5 << 4, l4[TCP_FLAGS_AT] = 0x10;
    if (shape->is_ipv6)
        put_ipv6(frame + l3, shape, l3_len);
    else
        put_ipv4(frame + l3, shape, l3_len);
    if (frame_parse(&view, frame, l3 + l3_len) && packet_parse(&packet, &view))
        packet_reset_checksum(&packet, frame);
    return l3 + l3_len;
}

static struct offload offload_of(const struct shape *shape)
{
    size_t l4 = l3_of(shape) + headers_len(shape) - (shape->is_udp ? UDP_HEADER_LEN : TCP_HEADER_MIN);

    return (struct offload){.is_partial = true, .checksum_start = (uint16_t)l4, .checksum_offset = shape->is_udp ? 6 : 16};
}

static void send_packet(struct sim *sim, const struct shape *shape, size_t l3_len)
{
    const struct offload offload = offload_of(shape);
    size_t len = make_packet(shape, l3_len);

    sim_send_undone(sim, SIM_A, frame, len, &offload);
}

static void send_super(struct sim *sim, const struct shape *shape, size_t payload_len, uint16_t gso_size)
{
    struct offload offload = offload_of(shape);
    enum super_kind tcp = shape->is_ipv6 ? SUPER_TCP6 : SUPER_TCP4;
    size_t len = make_packet(shape, headers_len(shape) + payload_len);

    offload.kind = shape->is_udp ? SUPER_UDP : tcp;
    offload.gso_size = gso_size;
    sim_send_undone(sim, SIM_A, frame, len, &offload);
}

static uint64_t n_too_big(const struct sim *sim)
{
    return sim_dropped(sim, SIM_A, DROP_EXCEEDS_FAR_TAP_MTU);
}

static uint64_t n_told(const struct sim *sim)
{
    return sim_counted(sim, SIM_A, COUNT_TOO_BIG_SENT);
}

// The answer says `mtu` and quotes a packet of `l3_len` bytes.
static void check_answer(struct sim *sim, const struct shape *shape, const struct sim_frame *answer, uint16_t mtu, size_t l3_len)
{
    size_t l3 = l3_of(shape);
    const uint8_t *ip = answer->bytes + l3;

    sim_assert(sim, answer->offload.kind == SUPER_NONE && !answer->offload.is_partial);
    sim_assert(sim, memcmp(answer->bytes, "\2\0\0\0\0\1\2\xec\0\0\0\xa", 12) == 0);
    sim_assert(sim, !shape->has_tag || memcmp(answer->bytes + 12, "\x81\0\x20\x05", 4) == 0);
    if (shape->is_ipv6) {
        sim_assert(sim, answer->len - l3 == TOO_BIG_IPV6_MAX && ip[40] == 2 && load_be32(ip + 44) == mtu);
        sim_assert(sim, load_be16(ip + 48 + IPV6_LEN_AT) + (size_t)IPV6_HEADER_LEN == l3_len);
    } else {
        sim_assert(sim, answer->len - l3 == TOO_BIG_IPV4_MAX && load_be16(ip + 20) == 0x0304 && load_be16(ip + 26) == mtu);
        sim_assert(sim, load_be16(ip + 28 + IPV4_LEN_AT) == l3_len);
        sim_assert(sim, checksum_finish(checksum_add(0, ip + 28, IPV4_HEADER_MIN)) == 0);
    }
}

static struct sim_frame *last_answer(struct sim *sim)
{
    struct sim_frames *written = &sim->nodes[SIM_A].written;

    sim_assert(sim, written->n > 0);
    return &written->at[written->n - 1];
}

// Numbered frames, which are no IP: what a bridge with the far MTU would pass crosses, and no more.
static void frames_are_counted(struct sim *sim)
{
    start_up(sim, NEAR_MTU, FAR_MTU);
    size_t n_long = 0;
    for (size_t len = 1300; len <= 1518; len++) {
        sim_send_frame(sim, SIM_A, len);
        sim_send_frame(sim, SIM_B, len);
        n_long += len > frame_max_len(FAR_MTU, 0);
    }
    sim_run(sim, NS_PER_S);
    sim_assert(sim, n_too_big(sim) == n_long && n_told(sim) == 0);
    sim_assert(sim, sim_n_received(sim, SIM_A) == sim_n_sent(sim, SIM_A) - n_long);
    sim_assert(sim, sim_n_received(sim, SIM_B) == sim_n_sent(sim, SIM_B)); // the other way there is room
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_EXCEEDS_TAP_MTU) == 0);
    sim_heal(sim);
}

static void test_frames_are_counted(void **state)
{
    (void)state;
    sim_each_seed("test_frames_are_counted", 4, frames_are_counted);
}

// What was sent last, with its checksum done: so it would have been on a wire.
static void check_quote(struct sim *sim, const struct shape *shape, const struct sim_frame *answer, size_t l3_len)
{
    size_t l3 = l3_of(shape), header_len = l3 + (shape->is_ipv6 ? IPV6_HEADER_LEN : IPV4_HEADER_MIN) + 8;
    struct offload offload = offload_of(shape);

    offload_complete(&offload, frame, l3 + l3_len);
    sim_assert(sim, memcmp(answer->bytes + header_len, frame + l3, answer->len - header_len) == 0);
}

// Packets at the boundary; each that is too long has its answer.
static void packets_are_answered(struct sim *sim)
{
    const struct shape *shape = &shapes[sim->seed % 4];

    start_up(sim, NEAR_MTU, FAR_MTU);
    send_packet(sim, shape, FAR_MTU);
    sim_run(sim, 10 * NS_PER_MS);
    sim_assert(sim, n_too_big(sim) == 0 && sim->nodes[SIM_B].written.n == 1);
    for (size_t l3_len = FAR_MTU + 1; l3_len <= NEAR_MTU; l3_len += 9) {
        send_packet(sim, shape, l3_len);
        sim_run(sim, 10 * NS_PER_MS);
        check_answer(sim, shape, last_answer(sim), FAR_MTU, l3_len);
        check_quote(sim, shape, last_answer(sim), l3_len);
    }
    sim_assert(sim, n_too_big(sim) == n_told(sim) && n_told(sim) == sim->nodes[SIM_A].written.n);
    sim_assert(sim, sim->nodes[SIM_B].written.n == 1);
    send_packet(sim, &cuttable, FAR_MTU + 1);
    sim_run(sim, 10 * NS_PER_MS);
    sim_assert(sim, n_too_big(sim) == n_told(sim) + 1 && sim->nodes[SIM_B].written.n == 1);
    sim_heal(sim);
}

static void test_packets_are_answered(void **state)
{
    (void)state;
    sim_each_seed("test_packets_are_answered", 8, packets_are_answered);
}

// A segment of the far MTU crosses; one byte more and the super-frame does not, and its first segment is quoted.
static void segments_are_what_counts(struct sim *sim)
{
    const struct shape *shape = &shapes[sim->seed % 4];
    uint16_t fits = (uint16_t)(FAR_MTU - headers_len(shape));

    if (sim->seed & 4)
        sim->nodes[SIM_B].config.self.features = 0; // cut at the near end
    start_up(sim, NEAR_MTU, FAR_MTU);
    send_super(sim, shape, 20 * (size_t)fits, fits);
    sim_run(sim, 100 * NS_PER_MS);
    sim_assert(sim, n_too_big(sim) == 0 && sim_counted(sim, SIM_B, COUNT_TAP_WRITTEN_FRAMES) == sim_counted(sim, SIM_A, COUNT_TX_FRAMES));
    uint64_t n_before = sim_counted(sim, SIM_B, COUNT_RX_FRAMES);
    send_super(sim, shape, 20 * (size_t)fits, fits + 1);
    sim_run(sim, 100 * NS_PER_MS);
    sim_assert(sim, n_too_big(sim) == 1 && n_told(sim) == 1 && sim_counted(sim, SIM_B, COUNT_RX_FRAMES) == n_before);
    check_answer(sim, shape, last_answer(sim), FAR_MTU, FAR_MTU + 1);
    send_super(sim, shape, fits, fits + 100); // one segment, which is short
    sim_run(sim, 100 * NS_PER_MS);
    sim_assert(sim, n_too_big(sim) == 1 && sim_counted(sim, SIM_B, COUNT_RX_FRAMES) == n_before + 1);
    sim_assert(sim, sim_counted(sim, SIM_A, COUNT_TAP_READ_SUPER_FRAMES) == 3);
    sim_heal(sim);
}

static void test_segments_are_what_counts(void **state)
{
    (void)state;
    sim_each_seed("test_segments_are_what_counts", 8, segments_are_what_counts);
}

// A peer that sends all the same: no super-frame with a segment above the MTU gets into the TAP, whatever that takes undone, and no frame
// that a bridge would not pass.
static void careless_peer(struct sim *sim)
{
    static const enum tap_offload levels[] = {TAP_OFFLOAD_OFF, TAP_OFFLOAD_CHECKSUM, TAP_OFFLOAD_FULL};
    const struct shape *shape = &shapes[sim->seed % 4];
    uint16_t fits = (uint16_t)(FAR_MTU - headers_len(shape));

    sim->nodes[SIM_B].tap_offload = levels[sim->seed % 3];
    start_up(sim, NEAR_MTU, FAR_MTU);
    sim->nodes[SIM_A].node->tx.session->far_tap_mtu = TAP_MTU_MAX;
    send_super(sim, shape, 30 * (size_t)fits, fits);
    sim_run(sim, 100 * NS_PER_MS);
    sim_assert(sim, sim_counted(sim, SIM_B, COUNT_TAP_WRITTEN_FRAMES) >= 30);
    for (uint16_t more = 1; more <= 100; more = (uint16_t)(more + 11))
        send_super(sim, shape, 30 * (size_t)fits, (uint16_t)(fits + more));
    for (size_t l3_len = FAR_MTU; l3_len <= NEAR_MTU; l3_len++)
        send_packet(sim, shape, l3_len);
    sim_run(sim, NS_PER_S);
    sim_assert(sim, sim_dropped(sim, SIM_B, DROP_EXCEEDS_TAP_MTU) > 10 * 20 + 90 && n_too_big(sim) == 0);
    for (size_t i = 0; i < sim->nodes[SIM_B].written.n; i++) {
        const struct sim_frame *written = &sim->nodes[SIM_B].written.at[i];
        bool is_super = written->offload.kind != SUPER_NONE;
        sim_assert(sim, !is_super || headers_len(shape) + written->offload.gso_size <= FAR_MTU);
        sim_assert(sim, is_super || written->len <= frame_max_len(FAR_MTU, shape->has_tag));
    }
    sim_heal(sim);
}

static void test_careless_peer(void **state)
{
    (void)state;
    sim_each_seed("test_careless_peer", 12, careless_peer);
}

// Hosts that keep sending are not all answered; nothing of it crosses.
static void answers_have_a_limit(struct sim *sim)
{
    start_up(sim, NEAR_MTU, FAR_MTU);
    for (int i = 0; i < 2000; i++)
        send_packet(sim, &shapes[0], NEAR_MTU);
    sim_run(sim, NS_PER_MS / 2);
    sim_assert(sim, n_too_big(sim) == 2000 && n_told(sim) == TOO_BIG_BURST);
    for (int i = 0; i < 1000; i++) {
        send_packet(sim, &shapes[0], NEAR_MTU);
        send_packet(sim, &shapes[0], NEAR_MTU);
        sim_run(sim, NS_PER_MS);
    }
    sim_assert(sim, n_too_big(sim) == 4000 && n_told(sim) >= TOO_BIG_BURST + 990 && n_told(sim) <= TOO_BIG_BURST + 1001);
    sim_assert(sim, sim->nodes[SIM_B].written.n == 0);
    sim_heal(sim);
}

static void test_answers_have_a_limit(void **state)
{
    (void)state;
    sim_each_seed("test_answers_have_a_limit", 2, answers_have_a_limit);
}

// The far node is started anew with another MTU, and it counts from the next keypair on.
static void far_mtu_changes(struct sim *sim)
{
    start_up(sim, NEAR_MTU, FAR_MTU);
    send_packet(sim, &shapes[0], 1450);
    sim_run(sim, 10 * NS_PER_MS);
    sim_assert(sim, n_told(sim) == 1);
    sim_stop_node(sim, SIM_B, sim->seed & 1);
    sim->nodes[SIM_B].config.self.tap_mtu = NEAR_MTU;
    sim_start_node(sim, SIM_B);
    sim_run(sim, 30 * NS_PER_S);
    sim_assert(sim, sim_are_up(sim));
    send_packet(sim, &shapes[0], 1450);
    sim_run(sim, 10 * NS_PER_MS);
    sim_assert(sim, n_told(sim) == 1 && sim->nodes[SIM_B].written.n == 1);
    sim_heal(sim);
}

static void test_far_mtu_changes(void **state)
{
    (void)state;
    sim_each_seed("test_far_mtu_changes", 4, far_mtu_changes);
}

// With one MTU at both ends, hosts whose MTU is a bit larger are left alone, as far as a bridge passes what they send.
static void one_mtu_changes_nothing(struct sim *sim)
{
    start_up(sim, NEAR_MTU, NEAR_MTU);
    for (size_t l3_len = NEAR_MTU - 1; l3_len <= NEAR_MTU + 4; l3_len++)
        send_packet(sim, &shapes[sim->seed % 4], l3_len);
    sim_run(sim, 10 * NS_PER_MS);
    sim_assert(sim, n_too_big(sim) == 0 && sim->nodes[SIM_B].written.n == 6);
    send_packet(sim, &shapes[sim->seed % 4], NEAR_MTU + 5);
    sim_run(sim, 10 * NS_PER_MS);
    sim_assert(sim, n_too_big(sim) == 1 && n_told(sim) == 1 && sim->nodes[SIM_B].written.n == 6);
    sim_heal(sim);
}

static void test_one_mtu_changes_nothing(void **state)
{
    (void)state;
    sim_each_seed("test_one_mtu_changes_nothing", 4, one_mtu_changes_nothing);
}

// Below 1280 an IPv6 host must not believe it; IPv4 is told.
static void small_far_mtu(struct sim *sim)
{
    start_up(sim, NEAR_MTU, TAP_MTU_MIN);
    send_packet(sim, &shapes[2], 1280);
    send_packet(sim, &shapes[0], TAP_MTU_MIN + 1);
    sim_run(sim, 10 * NS_PER_MS);
    sim_assert(sim, n_too_big(sim) == 2 && n_told(sim) == 1 && sim->nodes[SIM_B].written.n == 0);
    check_answer(sim, &shapes[0], last_answer(sim), TAP_MTU_MIN, TAP_MTU_MIN + 1);
    sim_heal(sim);
}

static void test_small_far_mtu(void **state)
{
    (void)state;
    sim_each_seed("test_small_far_mtu", 2, small_far_mtu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_are_counted),       cmocka_unit_test(test_packets_are_answered),
        cmocka_unit_test(test_segments_are_what_counts), cmocka_unit_test(test_careless_peer),
        cmocka_unit_test(test_answers_have_a_limit),     cmocka_unit_test(test_far_mtu_changes),
        cmocka_unit_test(test_one_mtu_changes_nothing),  cmocka_unit_test(test_small_far_mtu),
    };

    sim_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
