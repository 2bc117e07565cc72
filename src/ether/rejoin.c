// SPDX-License-Identifier: MIT
/*
 * rejoin: see rejoin.h.
 */
#include "ethercord/rejoin.h"

#include <string.h>

#include "ethercord/bytes.h"

enum { LAST_ONLY = TCP_FIN | TCP_PSH };

static size_t l4_header_len(const struct packet_view *packet)
{
    return (size_t)packet->payload_offset - packet->l4_offset;
}

// What may differ between the segments of a run is made the same as in the first one.
static void level(const struct run *run, uint8_t *headers)
{
    const struct packet_view *packet = &run->packet;
    const uint8_t *first = run->headers;
    size_t l3 = packet->l3_offset, l4 = packet->l4_offset, checksum = l4 + packet_checksum_offset(packet);

    if (packet->version == 4) {
        memcpy(headers + l3 + IPV4_LEN_AT, first + l3 + IPV4_LEN_AT, 2);
        memcpy(headers + l3 + IPV4_ID_AT, first + l3 + IPV4_ID_AT, 2);
        memcpy(headers + l3 + IPV4_CHECKSUM_AT, first + l3 + IPV4_CHECKSUM_AT, 2);
    } else {
        memcpy(headers + l3 + IPV6_LEN_AT, first + l3 + IPV6_LEN_AT, 2);
    }
    memcpy(headers + checksum, first + checksum, 2);
    if (packet->protocol == IPPROTO_UDP) {
        memcpy(headers + l4 + UDP_LEN_AT, first + l4 + UDP_LEN_AT, 2);
        return;
    }
    memcpy(headers + l4 + TCP_SEQUENCE_AT, first + l4 + TCP_SEQUENCE_AT, 4);
    headers[l4 + TCP_FLAGS_AT] &= (uint8_t)~LAST_ONLY;
    headers[l4 + TCP_FLAGS_AT] |= first[l4 + TCP_FLAGS_AT] & TCP_CWR;
}

static bool is_next_in_stream(const struct run *run, const struct segment *segment)
{
    const struct packet_view *packet = &run->packet;
    size_t at = (size_t)packet->l4_offset + TCP_SEQUENCE_AT;

    if (packet->protocol == IPPROTO_UDP)
        return true;
    return load_be32(segment->headers + at) == load_be32(run->headers + at) + (uint32_t)run->payload_len;
}

static bool headers_agree(const struct run *run, const struct segment *segment)
{
    uint8_t headers[SEGMENT_HEADERS_MAX];
    size_t flags_at = (size_t)run->packet.l4_offset + TCP_FLAGS_AT;
    bool is_tcp = run->packet.protocol == IPPROTO_TCP;

    if (segment->headers_len != run->packet.payload_offset)
        return false;
    if (is_tcp && (segment->headers[flags_at] & TCP_CWR) != 0)
        return false; // the first one's alone
    memcpy(headers, segment->headers, segment->headers_len);
    level(run, headers);
    return is_next_in_stream(run, segment) && memcmp(headers, run->headers, segment->headers_len) == 0;
}

// An IP packet ends at 64 KiB, and a run at SEGMENTS_MAX.
static bool has_room(const struct run *run, size_t len)
{
    size_t payload_len = run->payload_len + len;

    return (size_t)run->packet.payload_offset - run->packet.l3_offset + payload_len <= IP_PACKET_MAX &&
           payload_len <= (size_t)SEGMENTS_MAX * run->gso_size;
}

static bool is_of_run(const struct run *run, const struct segment *segment)
{
    return run->is_open && run->receiver_index == segment->receiver_index && run->first_counter == segment->counter - segment->index;
}

static bool has_last_flags(const struct run *run)
{
    return run->packet.protocol == IPPROTO_TCP && (run->headers[run->packet.l4_offset + TCP_FLAGS_AT] & LAST_ONLY) != 0;
}

bool rejoin_may_go_on(const struct run *run)
{
    return !run->is_complete || (run->payload_len % run->gso_size == 0 && !has_last_flags(run));
}

// The first segment of the run behind the open one: of the same super-frame, or of one that the kernel could have made one with it.
static bool is_of_next_run(const struct run *run, const struct segment *segment)
{
    size_t id_at = run->packet.l3_offset + (size_t)IPV4_ID_AT;

    if (!run->is_open || !rejoin_may_go_on(run) || run->payload_len % run->gso_size != 0)
        return false;
    if (run->receiver_index != segment->receiver_index || segment->index != 0 || segment->counter != run->first_counter + run->next_index ||
        segment->gso_size != run->gso_size)
        return false;
    if (!headers_agree(run, segment))
        return false;
    return run->packet.version == 6 ||
           load_be16(segment->headers + id_at) == (uint16_t)(load_be16(run->headers + id_at) + run->payload_len / run->gso_size);
}

// FIN and PSH are the last segment's, and so is a payload that is shorter than the others.
static void join(struct run *run, const struct segment *segment)
{
    run->next_index = (uint8_t)(segment->index + 1);
    run->n_segments++;
    run->payload_len += segment->payload_len;
    run->is_complete = segment->payload_len < run->size || segment->index == SEGMENTS_MAX - 1;
    if (run->packet.protocol == IPPROTO_TCP) {
        size_t at = (size_t)run->packet.l4_offset + TCP_FLAGS_AT;
        uint8_t last = segment->headers[at] & LAST_ONLY;
        run->headers[at] |= last;
        run->is_complete = run->is_complete || last != 0;
    }
}

enum rejoin_verdict rejoin_add(struct run *run, const struct segment *segment)
{
    bool fits = segment->outer_ecn == run->outer_ecn && segment->payload_len <= run->size, is_of_open_run = is_of_run(run, segment);

    if (is_of_open_run) {
        if (segment->gso_size != run->gso_size)
            return REJOIN_BAD;
        if (run->is_complete || segment->index != run->next_index || !fits)
            return REJOIN_BEGINS;
        if (!headers_agree(run, segment))
            return REJOIN_BAD;
    } else if (!fits || !is_of_next_run(run, segment)) {
        return REJOIN_BEGINS;
    }
    if (!has_room(run, segment->payload_len))
        return REJOIN_FULL;
    if (!is_of_open_run)
        run->first_counter = segment->counter;
    join(run, segment);
    return REJOIN_JOINED;
}

bool rejoin_begin(struct run *run, const struct segment *segment)
{
    struct frame_view frame;

    *run = (struct run){0};
    if (!frame_parse(&frame, segment->headers, segment->headers_len) || !packet_parse(&run->packet, &frame))
        return false;
    if (run->packet.payload_offset != segment->headers_len || run->packet.l4_len != l4_header_len(&run->packet) + segment->payload_len)
        return false;
    // A datagram of UDP is a segment of its own; the last one may be shorter, and nothing joins behind it.
    run->is_open = true;
    run->receiver_index = segment->receiver_index;
    run->first_counter = segment->counter - segment->index;
    run->gso_size = segment->gso_size;
    run->size = run->packet.protocol == IPPROTO_UDP ? segment->gso_size : segment->payload_len;
    run->outer_ecn = segment->outer_ecn;
    memcpy(run->headers, segment->headers, segment->headers_len);
    join(run, segment);
    return true;
}

static enum super_kind kind_of(const struct packet_view *packet)
{
    if (packet->protocol == IPPROTO_UDP)
        return SUPER_UDP;
    return packet->version == 4 ? SUPER_TCP4 : SUPER_TCP6;
}

static void describe(struct rejoined *whole)
{
    struct packet_view *packet = &whole->packet;

    packet_resize(packet, whole->headers, l4_header_len(packet) + whole->payload_len);
    whole->offload = packet_partial(packet);
    if (whole->payload_len <= whole->gso_size)
        return;
    whole->offload.kind = kind_of(packet);
    whole->offload.gso_size = whole->gso_size;
    whole->offload.headers_len = packet->payload_offset;
    whole->offload.has_cwr = packet->protocol == IPPROTO_TCP && (whole->headers[packet->l4_offset + TCP_FLAGS_AT] & TCP_CWR) != 0;
}

void rejoin_finish(struct run *run, struct rejoined *whole)
{
    *whole = (struct rejoined){.packet = run->packet,
                               .payload_len = run->payload_len,
                               .gso_size = run->gso_size,
                               .n_segments = run->n_segments,
                               .outer_ecn = run->outer_ecn};
    memcpy(whole->headers, run->headers, run->packet.payload_offset);
    describe(whole);
    run->is_open = false;
}

// The headers of the run become those of what is `len` bytes further on.
static void advance(struct run *run, size_t len)
{
    const struct packet_view *packet = &run->packet;
    uint8_t *id = run->headers + packet->l3_offset + IPV4_ID_AT, *l4 = run->headers + packet->l4_offset;

    if (packet->version == 4)
        store_be16(id, (uint16_t)(load_be16(id) + len / run->gso_size));
    if (packet->protocol == IPPROTO_TCP) {
        store_be32(l4 + TCP_SEQUENCE_AT, load_be32(l4 + TCP_SEQUENCE_AT) + (uint32_t)len);
        l4[TCP_FLAGS_AT] &= (uint8_t)~TCP_CWR;
    }
    run->payload_len -= len;
}

bool rejoin_take_whole(struct run *run, struct rejoined *whole)
{
    size_t rest = run->payload_len % run->gso_size;
    uint16_t n_kept = (uint16_t)((rest + run->size - 1) / run->size); // segments, of which the first in part

    if (run->payload_len < run->gso_size)
        return false;
    rejoin_finish(run, whole);
    if (rest == 0)
        return true;
    whole->payload_len -= rest;
    whole->n_segments = (uint16_t)(whole->n_segments - n_kept);
    describe(whole);
    run->is_open = true;
    run->n_segments = n_kept;
    advance(run, whole->payload_len);
    return true;
}
