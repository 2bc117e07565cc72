// SPDX-License-Identifier: MIT
/*
 * split: super-frames as a kernel might hand them over, right and wrong, cut into the tunnel's segments and at gso_size. Each piece is a
 * frame that parses, with a right checksum and no more bytes than it was given; together they have the payload once, from end to end.
 */
#include "ethercord/split.h"

#include "ethercord/checksum.h"
#include "fuzz_packets.h"

static struct packet_bytes packet;

static void check_piece(const struct super_frame *super, size_t at, size_t len)
{
    static uint8_t bytes[PACKET_CAP];
    size_t headers_len = super->packet.payload_offset;
    uint8_t *headers = malloc(headers_len);
    struct frame_view frame;
    struct packet_view view;

    ensure(headers && len > 0 && at + len <= super->payload_len);
    split_whole_headers(super, at, len, headers);
    memcpy(bytes, headers, headers_len);
    memcpy(bytes + headers_len, super->payload + at, len);
    ensure(frame_parse(&frame, bytes, headers_len + len) && packet_parse(&view, &frame));
    ensure(view.l4_offset == super->packet.l4_offset && view.l4_len == headers_len - view.l4_offset + len);
    if (view.version == 4)
        ensure(load_be16(bytes + view.l3_offset + IPV4_LEN_AT) == headers_len + len - view.l3_offset);
    free(headers);
}

// What device and tunnel do to the checksum of a piece has to agree: the super-frame's own partial sum is what both begin with.
static void check_checksum(const struct super_frame *super, size_t at, size_t len)
{
    static uint8_t bytes[PACKET_CAP];
    uint8_t whole[SUPER_FRAME_MAX];
    size_t headers_len = super->packet.payload_offset;
    struct offload partial = packet_partial(&super->packet);

    split_headers(super, at, len, bytes);
    memcpy(bytes + headers_len, super->payload + at, len);
    offload_complete(&partial, bytes, headers_len + len);
    split_whole_headers(super, at, len, whole);
    size_t field = super->packet.l4_offset + (size_t)packet_checksum_offset(&super->packet);
    ensure(load_be16(bytes + field) % 0xffffU == load_be16(whole + field) % 0xffffU);
}

static void cut_into_runs(const struct super_frame *super, const struct split_limits *limits)
{
    struct split_run run;
    size_t at = 0;

    while (at < super->payload_len && split_next_run(super, at, limits, &run)) {
        ensure(run.at == at && run.len > 0 && run.count > 0 && run.count <= limits->n_segments && run.size <= super->gso_size);
        ensure(super->packet.payload_offset + (size_t)run.size <= limits->room);
        ensure((size_t)run.size * run.count >= run.len && (size_t)run.size * (run.count - 1U) < run.len);
        ensure(at + run.len == super->payload_len || (at + run.len) % super->gso_size == 0);
        size_t last_at = at + (size_t)run.size * (run.count - 1U);
        check_piece(super, at, run.count > 1 ? run.size : run.len);
        check_piece(super, last_at, at + run.len - last_at);
        check_checksum(super, last_at, at + run.len - last_at);
        at += run.len;
    }
}

static void cut_at_gso_size(const struct super_frame *super)
{
    for (size_t at = 0; at < super->payload_len; at += super->gso_size) {
        size_t left = super->payload_len - at;
        check_piece(super, at, left < super->gso_size ? left : super->gso_size);
        if (at / super->gso_size > 70)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_of(data, size);
    struct recipe recipe;
    struct frame_view frame;
    struct super_frame super;

    fuzz_recipe(&in, &recipe, 20000);
    make_packet(&packet, &recipe, 1);
    struct offload offload = super_of(&recipe, &packet, reader_le16(&in));
    uint8_t bend = reader_u8(&in);
    offload.kind = bend & 1 ? reader_u8(&in) % (SUPER_UNKNOWN + 1) : offload.kind;
    offload.checksum_start = (uint16_t)(offload.checksum_start + (bend & 2 ? reader_u8(&in) : 0));
    offload.checksum_offset = (uint16_t)(offload.checksum_offset + (bend & 4 ? reader_u8(&in) : 0));
    offload.is_partial = !(bend & 8);
    const struct split_limits limits = {.room = 1 + reader_le16(&in) % 9000U, .n_segments = 1 + reader_u8(&in) % SEGMENTS_MAX};
    fuzz_damage(&in, packet.b, packet.payload);
    size_t cut_off = bend & 16 ? reader_le16(&in) % packet.len : 0;
    uint8_t *bytes = fuzz_copy(packet.b, packet.len - cut_off);
    if (offload_is_valid(&offload, packet.len - cut_off) && offload.kind != SUPER_NONE &&
        frame_parse(&frame, bytes, packet.len - cut_off) && split_parse(&super, &frame, &offload)) {
        ensure(super.payload_len + super.packet.payload_offset == frame.len && super.gso_size > 0);
        cut_into_runs(&super, &limits);
        cut_at_gso_size(&super);
    }
    free(bytes);
    return 0;
}
