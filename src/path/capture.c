// SPDX-License-Identifier: MIT
/*
 * capture: see capture.h.
 *
 * A frame is copied before it is dealt with, for much of what is done to a frame is done in its own bytes, and put on the ring when its
 * verdict is known. The filter runs where the frame lies. Where its headers lie elsewhere only its beginning is put together for that, and
 * the rest when it is wanted.
 */
#include "ethercord/capture.h"

#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/clock.h"
#include "ethercord/log.h"

// Where fields are in the header.
enum { KIND_AT = 0, DIRECTION_AT = 1, VERDICT_AT = 2, FLAGS_AT = 3, LEN_AT = 4, FRAME_LEN_AT = 8, RESERVED_AT = 12, TIME_AT = 16 };
enum { FLAG_OWN = 1 };
_Static_assert(TIME_AT + 8 == CAPTURE_HEADER_LEN, "the time is the last field");

/* ---- main ---- */

bool capture_add(struct capture *capture, struct capture_sink *sink)
{
    for (int i = 0; i < CAPTURE_SINKS_MAX; i++) {
        if (atomic_load(&capture->sinks[i]))
            continue;
        atomic_store(&capture->sinks[i], sink);
        atomic_fetch_add(&capture->n_sinks, 1);
        return true;
    }
    return false;
}

uint64_t capture_remove(struct capture *capture, const struct capture_sink *sink)
{
    for (int i = 0; i < CAPTURE_SINKS_MAX; i++)
        if (atomic_load(&capture->sinks[i]) == sink) {
            atomic_store(&capture->sinks[i], NULL);
            atomic_fetch_sub(&capture->n_sinks, 1);
        }
    return atomic_load(&capture->holds);
}

// All of this is sequentially consistent: either the thread has seen that the sink is gone, or main sees that the thread holds.
bool capture_is_released(const struct capture *capture, uint64_t removed)
{
    return removed % 2 == 0 || atomic_load(&capture->holds) != removed;
}

/* ---- the owning thread ---- */

static void gather(const struct capture_frame *frame, size_t len, uint8_t *out)
{
    size_t from_headers = len < frame->headers_len ? len : frame->headers_len;

    if (from_headers > 0)
        memcpy(out, frame->headers, from_headers);
    memcpy(out + from_headers, frame->bytes, len - from_headers);
}

static bool is_chosen(const struct capture_filter *filter, const struct capture_frame *frame)
{
    return !(filter->choice == CAPTURE_ONLY_IN && frame->direction != CAPTURE_IN) &&
           !(filter->choice == CAPTURE_ONLY_OUT && frame->direction != CAPTURE_OUT);
}

static bool matches(const struct capture_filter *filter, const struct capture_frame *frame, uint8_t *room)
{
    size_t len = frame->headers_len + frame->len, seen = len;
    const uint8_t *bytes = frame->bytes;

    if (filter->n_instructions == 0)
        return true;
    if (frame->headers_len > 0) {
        seen = filter->is_deep || len < CAPTURE_REACH ? len : CAPTURE_REACH;
        gather(frame, seen, room);
        bytes = room;
    }
    return bpf_filter(filter->program, bytes, (unsigned)len, (unsigned)seen) > 0;
}

static void stage(struct capture_sink *sink, const struct capture_frame *frame)
{
    size_t len = frame->headers_len + frame->len;

    sink->staged_len = 0;
    if (len > CAPTURE_FRAME_MAX || !is_chosen(sink->filter, frame) || !matches(sink->filter, frame, sink->staged + CAPTURE_HEADER_LEN))
        return;
    const struct capture_header header = {
        .kind = CAPTURE_KIND_FRAME,
        .direction = (uint8_t)frame->direction,
        .is_own = frame->is_own,
        .len = len < sink->filter->snaplen ? (uint32_t)len : sink->filter->snaplen,
        .frame_len = (uint32_t)len,
        .wall_ns = now_wall_ns(),
    };
    capture_header_encode(&header, sink->staged);
    gather(frame, header.len, sink->staged + CAPTURE_HEADER_LEN);
    sink->staged_len = CAPTURE_HEADER_LEN + header.len;
}

static void put(struct capture_sink *sink, unsigned verdict)
{
    size_t len = sink->staged_len;

    sink->staged_len = 0;
    if (len == 0 || (sink->filter->choice == CAPTURE_ONLY_DROPPED && verdict >= DROP_COUNT))
        return;
    sink->staged[VERDICT_AT] = (uint8_t)verdict;
    count_add(&sink->n_matched, 1);
    if (!ring_put(&sink->ring, sink->staged, len, NULL, 0))
        count_add(&sink->n_lost, 1);
}

static void set_holding(struct capture *capture, bool is_holding)
{
    capture->is_holding = is_holding;
    atomic_store(&capture->holds, atomic_load_explicit(&capture->holds, memory_order_relaxed) + 1);
}

bool capture_begin(struct capture *capture, const struct capture_frame *frame)
{
    if (!capture_is_on(capture))
        return false;
    ensure(!capture->is_holding);
    set_holding(capture, true);
    for (int i = 0; i < CAPTURE_SINKS_MAX; i++) {
        struct capture_sink *sink = atomic_load(&capture->sinks[i]);
        if (sink)
            stage(sink, frame);
    }
    return true;
}

void capture_end(struct capture *capture, unsigned verdict)
{
    for (int i = 0; i < CAPTURE_SINKS_MAX; i++) {
        struct capture_sink *sink = atomic_load(&capture->sinks[i]);
        if (sink)
            put(sink, verdict);
    }
    set_holding(capture, false);
}

void capture_whole(struct capture *capture, const struct capture_frame *frame, unsigned verdict)
{
    if (capture_begin(capture, frame))
        capture_end(capture, verdict);
}

/* ---- the header ---- */

void capture_header_encode(const struct capture_header *header, uint8_t out[static CAPTURE_HEADER_LEN])
{
    out[KIND_AT] = header->kind;
    out[DIRECTION_AT] = header->direction;
    out[VERDICT_AT] = header->verdict;
    out[FLAGS_AT] = header->is_own ? FLAG_OWN : 0;
    store_le32(out + LEN_AT, header->len);
    store_le32(out + FRAME_LEN_AT, header->frame_len);
    store_le32(out + RESERVED_AT, 0);
    store_le64(out + TIME_AT, header->wall_ns);
}

bool capture_header_decode(struct capture_header *header, const uint8_t bytes[static CAPTURE_HEADER_LEN])
{
    *header = (struct capture_header){
        .kind = bytes[KIND_AT],
        .direction = bytes[DIRECTION_AT],
        .verdict = bytes[VERDICT_AT],
        .is_own = bytes[FLAGS_AT] & FLAG_OWN,
        .len = load_le32(bytes + LEN_AT),
        .frame_len = load_le32(bytes + FRAME_LEN_AT),
        .wall_ns = load_le64(bytes + TIME_AT),
    };
    return (header->kind == CAPTURE_KIND_FRAME || header->kind == CAPTURE_KIND_COUNTS) && header->direction <= CAPTURE_OUT &&
           header->len <= CAPTURE_FRAME_MAX && header->len <= header->frame_len;
}

const char *capture_verdict_name(unsigned verdict)
{
    if (verdict < DROP_COUNT)
        return drop_name((enum drop_reason)verdict);
    return verdict == CAPTURE_PASSED ? "passed" : "shortcut";
}
