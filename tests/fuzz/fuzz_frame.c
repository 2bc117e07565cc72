// SPDX-License-Identifier: MIT
/*
 * frame: what looks at a frame of anybody's: the classifier, the headers of its packet, ECN, "too big" answers, and what the kernel left
 * undone in it. No offset leads out of the frame, and what is written leaves the checksums as right or as wrong as they were.
 */
#include "ethercord/frame.h"

#include "ethercord/checksum.h"
#include "ethercord/ecn.h"
#include "ethercord/packet.h"
#include "ethercord/too_big.h"
#include "fuzz.h"

// One's complement sum of 16-bit words, one after the other.
static unsigned naive_sum(const uint8_t *p, size_t len)
{
    unsigned sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum += i % 2 ? p[i] : (unsigned)p[i] << 8;
        if (sum > 0xffff)
            sum -= 0xffff;
    }
    return sum;
}

static void check_checksum(const uint8_t *bytes, size_t len)
{
    ensure((0xffffU - checksum_finish(checksum_add(0, bytes, len))) % 0xffff == naive_sum(bytes, len) % 0xffff);
    if (len < 4)
        return;
    uint16_t replaced = checksum_replace(load_be16(bytes), load_be16(bytes), load_be16(bytes + 2));
    ensure(replaced % 0xffffU == load_be16(bytes + 2) % 0xffffU);
}

static void check_packet(const struct frame_view *view)
{
    struct packet_view packet;
    uint8_t *headers;

    if (!packet_parse(&packet, view))
        return;
    ensure(packet.version == 4 || packet.version == 6);
    ensure(packet.protocol == IPPROTO_TCP || packet.protocol == IPPROTO_UDP);
    ensure(packet.l3_offset == view->l3_offset && packet.l3_offset < packet.l4_offset && packet.l4_offset < packet.payload_offset);
    ensure(packet.payload_offset <= view->len && packet.l4_len >= (size_t)packet.payload_offset - packet.l4_offset);
    ensure(packet_checksum_offset(&packet) + 2U <= (size_t)packet.payload_offset - packet.l4_offset);
    if (packet.l4_offset + (size_t)packet.l4_len > view->len)
        return;

    // What is made partial and completed again is whole.
    size_t payload_len = packet.l4_offset + packet.l4_len - packet.payload_offset;
    headers = fuzz_copy(view->bytes, packet.payload_offset);
    packet_reset_checksum(&packet, headers);
    struct offload offload = packet_partial(&packet);
    ensure(offload_is_valid(&offload, view->len));
    packet_complete(&packet, headers, view->bytes + packet.payload_offset, payload_len);
    uint16_t once = load_be16(headers + packet.l4_offset + packet_checksum_offset(&packet));
    // The same by what a device would do.
    uint8_t *whole = fuzz_copy(view->bytes, packet.payload_offset + payload_len);
    memcpy(whole, headers, packet.payload_offset);
    packet_reset_checksum(&packet, whole);
    offload_complete(&offload, whole, packet.payload_offset + payload_len);
    ensure(!offload.is_partial && load_be16(whole + packet.l4_offset + packet_checksum_offset(&packet)) % 0xffffU == once % 0xffffU);

    // Shorter by all of its payload, it parses as that.
    struct packet_view shorter = packet;
    packet_resize(&shorter, headers, (size_t)packet.payload_offset - packet.l4_offset);
    struct frame_view frame;
    struct packet_view parsed;
    ensure(frame_parse(&frame, headers, packet.payload_offset) && packet_parse(&parsed, &frame));
    ensure(memcmp(&parsed.l3_offset, &shorter.l3_offset, 3 * sizeof parsed.l3_offset) == 0 && parsed.l4_len == shorter.l4_len);
    free(whole);
    free(headers);
}

static size_t ipv4_header_len(const struct frame_view *view)
{
    size_t len = view->l3_offset < view->len ? (view->bytes[view->l3_offset] & 15U) * 4 : 0;

    return view->ether_type == ETHER_TYPE_IPV4 && view->l3_offset + len <= view->len ? len : 0;
}

static void check_ecn(const struct frame_view *view, uint8_t *bytes, uint8_t outer)
{
    enum ecn inner = ecn_of(view), seen = inner;

    ensure(inner <= ECN_MASK);
    if (!ecn_decapsulate(&inner, outer & ECN_MASK)) {
        ensure(seen == ECN_NOT_ECT && (outer & ECN_MASK) == ECN_CE);
        return;
    }
    if (seen == ECN_NOT_ECT) {
        ensure(inner == ECN_NOT_ECT);
        return;
    }
    size_t header_len = ipv4_header_len(view);
    unsigned before = naive_sum(bytes + view->l3_offset, header_len) % 0xffff;
    ecn_set(view, bytes, inner);
    ensure(ecn_of(view) == inner && naive_sum(bytes + view->l3_offset, header_len) % 0xffff == before);
}

static void check_too_big(const struct frame_view *view, uint16_t mtu)
{
    static const struct mac_address cord = {{2, 0xec, 0, 0, 0, 9}};
    uint8_t *out = malloc(TOO_BIG_FRAME_MAX);
    struct frame_view answer;

    ensure(out);
    size_t len = too_big_answer(view, mtu, &cord, out);
    if (len > 0) {
        ensure(too_big_exceeds(view, mtu));
        ensure(len <= TOO_BIG_FRAME_MAX && frame_parse(&answer, out, len));
        ensure(mac_equal(&answer.dst, &view->src) && mac_equal(&answer.src, &cord) && !mac_is_group(&answer.dst));
        ensure(answer.ether_type == view->ether_type && answer.n_tags == view->n_tags);
        // Nobody is told about an answer.
        ensure(too_big_answer(&answer, TAP_MTU_MIN, &cord, out) == 0);
    }
    free(out);
}

static void check_offload(struct reader *in, uint8_t *bytes, size_t len)
{
    struct offload offload = {
        .kind = reader_u8(in) % (SUPER_UNKNOWN + 1),
        .is_partial = reader_u8(in) & 1,
        .checksum_start = reader_le16(in),
        .checksum_offset = reader_le16(in),
        .gso_size = reader_le16(in),
        .headers_len = reader_le16(in),
    };

    if (!offload_is_valid(&offload, len) || !offload.is_partial)
        return;
    offload_complete(&offload, bytes, len);
    ensure(!offload.is_partial);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_of(data, size);
    uint16_t mtu = (uint16_t)(TAP_MTU_MIN + reader_le16(&in) % (TAP_MTU_MAX - TAP_MTU_MIN + 1));
    uint8_t outer = reader_u8(&in);
    struct reader undone = reader_of(in.at, in.left);
    struct frame_view view;

    if (!reader_take(&in, 10))
        return 0;
    uint8_t *bytes = fuzz_copy(in.at, in.left);
    check_checksum(bytes, in.left);
    if (frame_parse(&view, bytes, in.left)) {
        ensure(view.l3_offset <= view.len && view.n_tags <= FRAME_VLAN_TAGS_MAX);
        ensure(frame_max_len(mtu, view.n_tags) >= (size_t)mtu + ETHER_HEADER_LEN);
        (void)frame_is_link_local_control(&view);
        (void)(mac_is_zero(&view.src) || mac_is_group(&view.src));
        check_packet(&view);
        check_too_big(&view, mtu);
        check_ecn(&view, bytes, outer);
    } else {
        ensure(in.left < ETHER_HEADER_LEN);
    }
    check_offload(&undone, bytes, in.left);
    free(bytes);
    return 0;
}
