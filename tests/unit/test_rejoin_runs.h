// SPDX-License-Identifier: MIT
/*
 * test_rejoin_runs: both ends of the tunnel without what is in between: a super-frame is cut into the segments of a run, they are taken as
 * rx takes them, and what comes out is compared with a cut in the plainest possible way.
 */
#ifndef TEST_REJOIN_RUNS_H
#define TEST_REJOIN_RUNS_H

#include "ethercord/rejoin.h"
#include "test_packets.h"

enum { INDEX = 0x01020304, FIRST = 1000, OUT_MAX = 64 };

// What came out: a super-frame or a frame, its headers and payload one behind the other.
struct out {
    uint8_t bytes[PACKET_CAP];
    size_t len;
    size_t n_segments;
    struct offload offload;
};

static struct packet_bytes packet;
static struct super_frame super;
static struct split_run cut;
static struct segment segments[SEGMENTS_MAX];
static uint8_t headers[SEGMENTS_MAX][SEGMENT_HEADERS_MAX];

static struct run run;
static uint8_t payload[2 * PACKET_CAP];
static struct out outs[OUT_MAX];
static size_t n_outs, n_bad;
static enum rejoin_verdict verdict;

// ---- both ends of the tunnel, without what is in between

// Cuts the super-frame's run at `at` into segments[], `size` bytes of payload in each.
static inline void cut_run_of(size_t at, size_t size, size_t n_segments, uint64_t first_counter)
{
    const struct split_limits limits = {.room = super.packet.payload_offset + size, .n_segments = n_segments};

    assert_true(split_next_run(&super, at, &limits, &cut));
    for (uint8_t i = 0; i < cut.count; i++) {
        size_t offset = (size_t)i * cut.size, left = cut.len - offset, len = left < cut.size ? left : cut.size;
        split_headers(&super, cut.at + offset, len, headers[i]);
        segments[i] = (struct segment){
            .receiver_index = INDEX,
            .counter = first_counter + i,
            .index = i,
            .gso_size = super.gso_size,
            .payload_len = (uint16_t)len,
            .headers_len = (uint8_t)super.packet.payload_offset,
            .headers = headers[i],
        };
    }
}

static inline void make_run(const struct recipe *recipe, uint16_t gso_size, size_t size, uint32_t seed)
{
    struct frame_view frame;

    make_packet(&packet, recipe, seed);
    struct offload offload = super_of(recipe, &packet, gso_size);
    assert_true(frame_parse(&frame, packet.b, packet.len));
    assert_true(split_parse(&super, &frame, &offload));
    cut_run_of(0, size, SEGMENTS_MAX, FIRST);
}

static inline const uint8_t *payload_of(const struct segment *segment)
{
    return super.payload + cut.at + (size_t)segment->index * cut.size;
}

static inline void put_out(const struct rejoined *whole)
{
    struct out *out = &outs[n_outs++];

    assert_true(n_outs <= OUT_MAX);
    out->offload = whole->offload;
    out->n_segments = whole->n_segments;
    out->len = whole->packet.payload_offset + whole->payload_len;
    assert_int_equal(whole->gso_size, run.gso_size);
    assert_int_equal(whole->outer_ecn, run.outer_ecn);
    assert_int_equal(whole->packet.l4_offset + whole->packet.l4_len, out->len);
    memcpy(out->bytes, whole->headers, whole->packet.payload_offset);
    memcpy(out->bytes + whole->packet.payload_offset, payload, whole->payload_len);
}

static inline void finish(void)
{
    struct rejoined whole;

    if (!run.is_open)
        return;
    rejoin_finish(&run, &whole);
    assert_false(run.is_open);
    put_out(&whole);
}

// What rx does when nothing more has arrived.
static inline void rest(void)
{
    struct rejoined whole;

    if (!run.is_open || !rejoin_take_whole(&run, &whole))
        return;
    put_out(&whole);
    if (run.is_open)
        memmove(payload, payload + whole.payload_len, run.payload_len);
}

// What rx does with a segment.
static inline void receive(const struct segment *segment)
{
    size_t at = run.is_open ? run.payload_len : 0;

    memcpy(payload + at, payload_of(segment), segment->payload_len);
    verdict = rejoin_add(&run, segment);
    if (verdict == REJOIN_FULL) {
        rest();
        memmove(payload + run.payload_len, payload + at, segment->payload_len);
        verdict = rejoin_add(&run, segment);
    }
    if (verdict == REJOIN_BAD) { // none of the run is to be believed
        n_bad += 1U + run.n_segments;
        run.is_open = false;
        return;
    }
    if (verdict == REJOIN_BEGINS || verdict == REJOIN_FULL) {
        finish();
        if (!rejoin_begin(&run, segment)) {
            assert_false(run.is_open);
            n_bad++;
            return;
        }
        memmove(payload, payload + at, segment->payload_len);
    }
    if (!rejoin_may_go_on(&run))
        finish();
}

static inline void forget(void)
{
    run = (struct run){0};
    n_outs = n_bad = 0;
}

// ---- what has to come out

// A frame of `n` segments with `len` bytes of payload from `at` on: what a naive cut gives, with the flags of its first and last; before
// its checksum is whole.
static inline void check_out_at(const struct out *out, const struct recipe *recipe, size_t at, size_t len, size_t n)
{
    static uint8_t expected[PACKET_CAP];
    size_t headers_len = packet.payload, field = packet.l4 + l4_checksum_at(recipe);

    naive_piece(recipe, &packet, at, len, super.gso_size, expected);
    put16(expected + field, pseudo_sum(recipe, expected + packet.l3, headers_len - packet.l4 + len));
    assert_int_equal(out->len, headers_len + len);
    assert_int_equal(out->n_segments, n);
    assert_true(same_sum(get16(out->bytes + field), get16(expected + field)));
    memcpy(expected + field, out->bytes + field, 2);
    if (memcmp(out->bytes, expected, out->len) != 0)
        for (size_t i = 0; i < out->len; i++)
            if (out->bytes[i] != expected[i])
                fail_msg("payload at %zu, %zu bytes: byte %zu is %02x, not %02x", at, len, i, out->bytes[i], expected[i]);
    const struct offload *offload = &out->offload;
    bool is_super = len > super.gso_size;
    const struct offload whole = super_of(recipe, &packet, super.gso_size);
    assert_true(offload->is_partial);
    assert_int_equal(offload->checksum_start, packet.l4);
    assert_int_equal(offload->checksum_offset, l4_checksum_at(recipe));
    assert_int_equal(offload->kind, is_super ? whole.kind : SUPER_NONE);
    assert_int_equal(offload->gso_size, is_super ? super.gso_size : 0);
    assert_int_equal(offload->headers_len, is_super ? headers_len : 0);
    assert_int_equal(offload->has_cwr, is_super && recipe->protocol == IPPROTO_TCP && (expected[packet.l4 + 13] & TCP_CWR));
    assert_true(offload_is_valid(offload, out->len));
}

// The same of `n` segments of the run, from `first` on.
static inline void check_out(const struct out *out, const struct recipe *recipe, size_t first, size_t n)
{
    size_t at = first * cut.size, end = (first + n) * cut.size;

    check_out_at(out, recipe, cut.at + at, (end < cut.len ? end : cut.len) - at, n);
}

// Cuts what came out as the kernel will, and looks whether the pieces are those of the original: ID, sequence number, checksum.
static inline void check_kernel_cut_at(const struct out *out, const struct recipe *recipe, size_t offset)
{
    struct frame_view frame;
    struct super_frame again;
    static uint8_t piece[PACKET_CAP], expected[PACKET_CAP];

    if (out->offload.kind == SUPER_NONE)
        return;
    assert_true(frame_parse(&frame, out->bytes, out->len));
    assert_true(split_parse(&again, &frame, &out->offload));
    for (size_t at = 0; at < again.payload_len; at += again.gso_size) {
        size_t left = again.payload_len - at, len = left < again.gso_size ? left : again.gso_size;
        split_whole_headers(&again, at, len, piece);
        naive_piece(recipe, &packet, offset + at, len, super.gso_size, expected);
        assert_memory_equal(piece, expected, packet.payload);
        if (recipe->version == 4)
            assert_int_equal(get16(piece + packet.l3 + 4), (recipe->id + (offset + at) / super.gso_size) & 0xffff);
    }
}

static inline void check_kernel_cut(const struct out *out, const struct recipe *recipe, size_t first)
{
    check_kernel_cut_at(out, recipe, cut.at + first * cut.size);
}

static const struct recipe recipes[] = {
    {.version = 4, .protocol = IPPROTO_TCP, .tcp_words = 3, .id = 0xfff0, .sequence = 0xfffffff0, .flags = TCP_ACK | TCP_PSH | TCP_CWR},
    {.version = 4, .protocol = IPPROTO_TCP, .ip_words = 10, .tcp_words = 10, .n_tags = 2, .flags = TCP_ACK | TCP_FIN | TCP_PSH},
    {.version = 6, .protocol = IPPROTO_TCP, .tcp_words = 3, .sequence = 5, .flags = TCP_ACK | TCP_ECE | TCP_CWR, .tos = 2},
    {.version = 6, .protocol = IPPROTO_TCP, .extensions = {{0, 0}, {43, 2}}, .n_extensions = 2, .is_routed = true, .n_tags = 1},
    {.version = 4, .protocol = IPPROTO_UDP, .id = 0xfffd, .tos = 1},
    {.version = 6, .protocol = IPPROTO_UDP, .n_tags = 8, .extensions = {{60, 0}}, .n_extensions = 1},
};

#endif
