// SPDX-License-Identifier: MIT
/*
 * tx_too_big: frames for which the peer's TAP has no room, by the MTU that it told in the handshake. They would be dropped there as
 * exceeds_tap_mtu; here their sender can be told, so that it makes smaller ones.
 *
 * Where the far MTU is no smaller than that of our own TAP, frames of hosts whose MTU is a bit larger than both cross as far as a bridge
 * lets them pass. Where it is smaller, no IP packet above it crosses: a host behind the far TAP need not take it.
 */
#include <string.h>

#include "ethercord/frame.h"
#include "ethercord/too_big.h"
#include "tx_private.h"

bool tx_is_too_big(const struct tx *tx, const struct frame_view *frame)
{
    uint16_t far_mtu = tx->session->far_tap_mtu;

    if (frame->len <= (size_t)far_mtu + ETHER_HEADER_LEN) // nearly all of them
        return false;
    return frame->len > frame_max_len(far_mtu, frame->n_tags) || (far_mtu < tx->tap_mtu && too_big_exceeds(frame, far_mtu));
}

static void tell_sender(struct tx *tx, const struct frame_view *frame, uint64_t now_ns)
{
    uint8_t answer[TOO_BIG_FRAME_MAX];
    size_t len = too_big_answer(frame, tx->session->far_tap_mtu, &tx->own_mac, answer);

    if (len == 0 || !too_big_take_turn(&tx->too_big_full_ns, now_ns))
        return;
    count_traffic(tx->counters, COUNT_TOO_BIG_SENT, 1);
    tap_out_write(&tx->tap_out, answer, len, now_ns);
}

static size_t first_segment_len(const struct super_frame *super)
{
    return super->payload_len < super->gso_size ? super->payload_len : super->gso_size;
}

bool tx_is_super_too_big(const struct tx *tx)
{
    const struct super_frame *super = &tx->cut.super;
    size_t headers_len = (size_t)super->packet.payload_offset - super->packet.l3_offset;

    return headers_len + first_segment_len(super) > tx->session->far_tap_mtu;
}

// Its first segment stands for all of them: the sender is told about a packet that is too big, and not about one of 64 KiB.
static void tell_super_too_big(struct tx *tx, uint64_t now_ns)
{
    const struct super_frame *super = &tx->cut.super;
    size_t headers_len = super->packet.payload_offset, len = first_segment_len(super);
    uint8_t *bytes = tx->frame_buf->mem;
    struct frame_view segment;

    if (headers_len + len > FRAME_MAX)
        return;
    split_whole_headers(super, 0, len, bytes);
    memcpy(bytes + headers_len, super->payload, len);
    ensure(frame_parse(&segment, bytes, headers_len + len));
    tell_sender(tx, &segment, now_ns);
}

void tx_tell_too_big(struct tx *tx, struct tap_read *read, uint64_t now_ns)
{
    struct frame_view frame;

    if (read->offload.kind != SUPER_NONE) {
        tell_super_too_big(tx, now_ns);
        return;
    }
    if (read->offload.is_partial) // what is quoted is what would have been on a wire
        offload_complete(&read->offload, read->bytes, read->len);
    ensure(frame_parse(&frame, read->bytes, read->len));
    tell_sender(tx, &frame, now_ns);
}
