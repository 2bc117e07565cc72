// SPDX-License-Identifier: MIT
/*
 * rejoin: the segments of runs, lost, doubled, out of their turn, damaged and made up, taken as rx takes them. Whatever is rejoined is a
 * frame or super-frame whose headers say what it has, no more of them than came in; and runs that arrive whole give one piece each.
 */
#include "fuzz_packets.h"

#include "../unit/test_rejoin_runs.h"

static void check_outs(void)
{
    struct frame_view frame;
    struct packet_view view;

    for (size_t i = 0; i < n_outs; i++) {
        const struct out *out = &outs[i];
        ensure(frame_parse(&frame, out->bytes, out->len) && packet_parse(&view, &frame));
        ensure(view.l4_offset + (size_t)view.l4_len == out->len && out->len - view.l3_offset <= IP_PACKET_MAX);
        ensure(out->offload.is_partial && offload_is_valid(&out->offload, out->len));
        ensure(out->offload.checksum_start == view.l4_offset && out->offload.checksum_offset == packet_checksum_offset(&view));
        ensure(out->n_segments > 0);
        if (out->offload.kind != SUPER_NONE)
            ensure(out->offload.gso_size > 0 && out->offload.headers_len == view.payload_offset);
    }
    n_outs = 0;
}

// A segment of the cut as it is, or with something else in one of its fields or bytes.
static void deliver(struct reader *in, struct segment segment, uint8_t how)
{
    uint8_t *bytes;

    switch (how) {
    case 1:
        segment.receiver_index ^= 1;
        break;
    case 2:
        segment.counter += reader_u8(in);
        break;
    case 3:
        segment.index = reader_u8(in) % cut.count;
        break;
    case 4:
        segment.gso_size = reader_le16(in);
        break;
    case 5:
        segment.payload_len = (uint16_t)(1 + reader_le16(in) % segment.payload_len);
        break;
    case 6:
        segment.outer_ecn = reader_u8(in) & 3;
        break;
    case 7:
        segment.headers_len = reader_u8(in) % (segment.headers_len + 1U);
        break;
    default:
        break;
    }
    // What records_decode() and rx have looked at.
    if (segment.payload_len > segment.gso_size || segment.counter < segment.index)
        return;
    bytes = fuzz_copy(segment.headers, segment.headers_len);
    if (how == 8)
        fuzz_damage(in, bytes, segment.headers_len);
    segment.headers = bytes;
    receive(&segment);
    free(bytes);
    ensure(run.payload_len <= IP_PACKET_MAX);
    if (n_outs > OUT_MAX / 2)
        check_outs();
}

static void deliver_run(struct reader *in)
{
    uint8_t script = reader_u8(in);

    for (uint8_t i = 0; i < cut.count; i++) {
        uint8_t op = script & 1 ? reader_u8(in) : 0;
        if (op & 0x80) // lost
            continue;
        uint8_t at = op & 0x40 ? (uint8_t)(reader_u8(in) % cut.count) : i; // another one in its place
        deliver(in, segments[at], op & 15);
        if (op & 0x20)
            deliver(in, segments[at], 0);
        if (op & 0x10)
            rest();
    }
    check_outs();
}

static void whole_runs_give_whole_pieces(uint64_t first_counter)
{
    forget();
    cut_run_of(0, cut.size, SEGMENTS_MAX, first_counter);
    for (uint8_t i = 0; i < cut.count; i++)
        receive(&segments[i]);
    finish();
    size_t n_payload = 0;
    for (size_t i = 0; i < n_outs; i++)
        n_payload += outs[i].len - super.packet.payload_offset;
    ensure(n_bad == 0 && n_payload == cut.len);
    check_outs();
}

// A run that never ends: as many segments as an index can tell, each the next one of the stream, more than an IP packet holds.
static void endless_run(uint64_t first_counter)
{
    const struct split_run kept = cut;
    struct segment segment = segments[0];
    uint8_t bytes[SEGMENT_HEADERS_MAX];

    cut.size = 0; // one payload for all of them
    memcpy(bytes, segment.headers, segment.headers_len);
    segment.headers = bytes;
    for (uint8_t i = 0; i < SEGMENTS_MAX; i++) {
        segment.index = i;
        segment.counter = first_counter + i;
        receive(&segment);
        ensure(run.payload_len <= IP_PACKET_MAX);
        if (super.packet.protocol == IPPROTO_TCP)
            put32(bytes + super.packet.l4_offset + 4, get32(bytes + super.packet.l4_offset + 4) + segment.payload_len);
        if (n_outs > OUT_MAX / 2)
            check_outs();
    }
    finish();
    check_outs();
    cut = kept;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_of(data, size);
    uint64_t counter = FIRST;

    forget();
    for (int runs = 0; runs < 4 && in.left > 0; runs++) {
        struct recipe recipe;
        struct frame_view frame;
        fuzz_recipe(&in, &recipe, 20000);
        uint16_t gso_size = (uint16_t)(1 + reader_le16(&in) % 9000U);
        size_t segment_size = 1 + reader_le16(&in) % gso_size;
        make_packet(&packet, &recipe, 1);
        fuzz_damage(&in, packet.b, packet.payload);
        struct offload offload = super_of(&recipe, &packet, gso_size);
        if (!offload_is_valid(&offload, packet.len) || !frame_parse(&frame, packet.b, packet.len) || !split_parse(&super, &frame, &offload))
            return 0;
        const struct split_limits limits = {.room = super.packet.payload_offset + segment_size, .n_segments = SEGMENTS_MAX};
        for (size_t at = 0; at < super.payload_len && at < 4U * cut.len + 1U && split_next_run(&super, at, &limits, &cut); at += cut.len) {
            cut_run_of(at, segment_size, SEGMENTS_MAX, counter);
            deliver_run(&in);
            counter += cut.count;
        }
        finish();
        check_outs();
        if (split_next_run(&super, 0, &limits, &cut)) {
            whole_runs_give_whole_pieces(counter);
            endless_run(counter + SEGMENTS_MAX);
        }
        counter += 2 * SEGMENTS_MAX;
    }
    return 0;
}
