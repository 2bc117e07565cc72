// SPDX-License-Identifier: MIT
/*
 * rx_deliver: steps 7 to 9 of the rx pipeline: records become frames and super-frames in the TAP, in the order in which they came.
 *
 * One run is open at a time. Whatever is not its next segment finishes it first, so that nothing overtakes it. When nothing more has
 * arrived, the whole pieces of gso_size are written, so that a train that arrives in parts is still cut as the kernel would have cut it;
 * the rest of a piece waits for what completes it, but not for long, for that may be lost.
 */
#include <string.h>

#include "ethercord/clock.h"
#include "ethercord/ecn.h"
#include "ethercord/frame.h"
#include "rx_private.h"

#define RUN_HELD_NS NS_PER_MS

bool rx_send_record(struct rx *rx, const struct record_header *header, const uint8_t *body, size_t len)
{
    if (!ring_put(rx->records, header, sizeof *header, body, len))
        return false;
    rx->needs_tx = true;
    return true;
}

// What is not written to the TAP; that is shown by tap_out.
static void show(struct rx *rx, const struct capture_frame *frame, unsigned verdict)
{
    if (capture_is_on(&rx->capture))
        capture_whole(&rx->capture, frame, verdict);
}

static void show_whole(struct rx *rx, const uint8_t *bytes, size_t len, unsigned verdict)
{
    show(rx, &(struct capture_frame){.direction = CAPTURE_IN, .bytes = bytes, .len = len}, verdict);
}

// tx shows those that it gets.
void rx_answer_peer(struct rx *rx)
{
    static const struct record_header header = {.type = RECORD_FRAME};
    size_t len;

    while ((len = shortcut_next(rx->shortcut, rx->shortcut_room, FRAME_MAX)) > 0)
        if (!rx_send_record(rx, &header, rx->shortcut_room, len)) {
            count_drop(rx->counters, DROP_RING_FULL);
            show(rx, &(struct capture_frame){.direction = CAPTURE_OUT, .is_own = true, .bytes = rx->shortcut_room, .len = len},
                 DROP_RING_FULL);
        }
}

// Gives the packet the mark that its datagram got on the way.
static bool take_mark(const struct frame_view *view, uint8_t *bytes, uint8_t outer)
{
    enum ecn before = ecn_of(view), inner = before;

    if (!ecn_decapsulate(&inner, (enum ecn)outer))
        return false;
    if (inner != before)
        ecn_set(view, bytes, inner);
    return true;
}

/* ---- frames ---- */

static enum drop_reason check_frame(const struct rx *rx, const struct frame_view *view, uint8_t *bytes, uint8_t outer_ecn)
{
    if (frame_is_link_local_control(view))
        return DROP_LINK_LOCAL_CONTROL;
    if (view->len > frame_max_len(rx->tap_mtu, view->n_tags))
        return DROP_EXCEEDS_TAP_MTU;
    return take_mark(view, bytes, outer_ecn) ? DROP_COUNT : DROP_ECN_NOT_CAPABLE;
}

// True when the frame is the shortcut's alone.
static bool let_shortcut_take(struct rx *rx, const uint8_t *frame, size_t len, uint64_t now_ns)
{
    enum shortcut_verdict taken = shortcut_handle(rx->shortcut, frame, len, true, now_ns);

    if (taken == SHORTCUT_TAKEN)
        show_whole(rx, frame, len, capture_of_shortcut(shortcut_refusal(rx->shortcut)));
    rx_answer_peer(rx);
    return taken == SHORTCUT_TAKEN;
}

static void count_received(struct rx *rx, uint32_t n_frames, size_t n_bytes)
{
    count_traffic(rx->counters, COUNT_RX_FRAMES, n_frames);
    count_traffic(rx->counters, COUNT_RX_BYTES, n_bytes);
}

static enum drop_reason deliver(struct rx *rx, uint8_t *bytes, size_t len, uint8_t outer_ecn, uint64_t now_ns)
{
    struct frame_view view;
    enum drop_reason verdict = frame_parse(&view, bytes, len) ? check_frame(rx, &view, bytes, outer_ecn) : DROP_FRAME_TOO_SHORT;

    if (verdict != DROP_COUNT)
        return verdict;
    count_received(rx, 1, len);
    if (!let_shortcut_take(rx, bytes, len, now_ns))
        tap_out_write(&rx->tap_out, bytes, len, now_ns);
    return DROP_COUNT;
}

// The same for one whose L4 checksum is undone.
static enum drop_reason deliver_partial(struct rx *rx, uint8_t *bytes, size_t len, uint8_t outer_ecn, uint64_t now_ns)
{
    struct frame_view view;
    struct tap_packet out = {.headers = bytes, .n_frames = 1};

    if (!frame_parse(&view, bytes, len) || !packet_parse(&out.packet, &view) || out.packet.l4_len > len - out.packet.l4_offset)
        return DROP_BAD_RECORD;
    enum drop_reason verdict = check_frame(rx, &view, bytes, outer_ecn);
    if (verdict != DROP_COUNT)
        return verdict;
    count_received(rx, 1, len);
    if (let_shortcut_take(rx, bytes, len, now_ns))
        return DROP_COUNT;
    out.payload = bytes + out.packet.payload_offset;
    out.payload_len = out.packet.l4_len - ((size_t)out.packet.payload_offset - out.packet.l4_offset);
    out.trailer_len = len - out.packet.payload_offset - out.payload_len;
    out.offload = packet_partial(&out.packet);
    tap_out_write_packet(&rx->tap_out, &out, now_ns);
    return DROP_COUNT;
}

enum drop_reason rx_take_frame(struct rx *rx, const struct record *record, uint8_t outer_ecn, uint64_t now_ns)
{
    bool is_partial = record->flags & RECORD_FLAG_PARTIAL_CHECKSUM;

    rx_finish_run(rx, now_ns);
    enum drop_reason verdict = (is_partial ? deliver_partial : deliver)(rx, record->body, record->len, outer_ecn, now_ns);
    if (verdict != DROP_COUNT)
        show_whole(rx, record->body, record->len, verdict);
    return verdict;
}

static struct fragment fragment_of(const struct record *record, const struct rx_datagram *datagram)
{
    return (struct fragment){
        .receiver_index = datagram->header.receiver_index,
        .counter = datagram->header.counter,
        .size = record->size,
        .index = record->index,
        .count = record->extra,
        .ecn = datagram->ecn,
        .body = record->body,
        .len = record->len,
    };
}

void rx_take_fragment(struct rx *rx, const struct record *record, const struct rx_datagram *datagram, uint64_t now_ns)
{
    const struct fragment fragment = fragment_of(record, datagram);
    struct reassembled whole;

    if (!reassembly_add(&rx->reassembly, &fragment, now_ns, rx->counters, &whole))
        return;
    count_traffic(rx->counters, COUNT_RX_REASSEMBLED_FRAMES, 1);
    rx_finish_run(rx, now_ns);
    enum drop_reason verdict = deliver(rx, whole.bytes, whole.len, whole.ecn, now_ns);
    if (verdict == DROP_COUNT)
        return;
    count_drop(rx->counters, verdict);
    show_whole(rx, whole.bytes, whole.len, verdict);
}

/* ---- runs of segments ---- */

// No super-frame is written whose segments the local TAP has no room for: a bridge would let them pass (it looks at no super-frame's
// length).
static enum drop_reason check_rejoined(const struct rx *rx, const struct frame_view *view, const struct rejoined *whole)
{
    size_t headers_len = whole->packet.payload_offset;

    if (frame_is_link_local_control(view))
        return DROP_LINK_LOCAL_CONTROL;
    if (whole->offload.kind != SUPER_NONE)
        return headers_len - view->l3_offset + whole->gso_size > rx->tap_mtu ? DROP_EXCEEDS_TAP_MTU : DROP_COUNT;
    return headers_len + whole->payload_len > frame_max_len(rx->tap_mtu, view->n_tags) ? DROP_EXCEEDS_TAP_MTU : DROP_COUNT;
}

// Segments that are not delivered, with the headers of the first.
static void drop_segments(struct rx *rx, uint32_t n_segments, const struct capture_frame *frame, enum drop_reason reason)
{
    count_add(&rx->counters->drops[reason], n_segments);
    show(rx, frame, reason);
}

static void deliver_rejoined(struct rx *rx, struct rejoined *whole, uint64_t now_ns)
{
    struct frame_view view;
    const struct tap_packet out = {
        .packet = whole->packet,
        .headers = whole->headers,
        .payload = rx->opened->mem,
        .payload_len = whole->payload_len,
        .offload = whole->offload,
        .n_frames = whole->n_segments,
    };
    const struct capture_frame shown = {.direction = CAPTURE_IN,
                                        .headers = whole->headers,
                                        .headers_len = whole->packet.payload_offset,
                                        .bytes = rx->opened->mem,
                                        .len = whole->payload_len};

    ensure(frame_parse(&view, whole->headers, whole->packet.payload_offset)); // it was parsed when the run began
    enum drop_reason verdict = check_rejoined(rx, &view, whole);
    if (verdict == DROP_COUNT && !take_mark(&view, whole->headers, whole->outer_ecn))
        verdict = DROP_ECN_NOT_CAPABLE;
    if (verdict != DROP_COUNT) {
        drop_segments(rx, whole->n_segments, &shown, verdict);
        return;
    }
    count_received(rx, whole->n_segments, whole->payload_len + (size_t)whole->n_segments * whole->packet.payload_offset);
    count_traffic(rx->counters, COUNT_RX_SEGMENTS, whole->n_segments);
    if (shortcut_is_own_mac(rx->shortcut, &view.dst))
        drop_segments(rx, whole->n_segments, &shown, DROP_SHORTCUT_UNWANTED); // it speaks neither TCP nor UDP
    else
        tap_out_write_packet(&rx->tap_out, &out, now_ns);
}

void rx_finish_run(struct rx *rx, uint64_t now_ns)
{
    struct rejoined whole;

    if (!rx->run.is_open)
        return;
    rejoin_finish(&rx->run, &whole);
    deliver_rejoined(rx, &whole, now_ns);
}

void rx_rest(struct rx *rx, uint64_t now_ns)
{
    struct rejoined whole;

    if (!rx->run.is_open)
        return;
    if (rejoin_take_whole(&rx->run, &whole)) {
        deliver_rejoined(rx, &whole, now_ns);
        if (rx->run.is_open)
            memmove(rx->opened->mem, rx->opened->mem + whole.payload_len, rx->run.payload_len);
    }
}

static struct segment segment_of(const struct record *record, const struct rx_datagram *datagram)
{
    return (struct segment){
        .receiver_index = datagram->header.receiver_index,
        .counter = datagram->header.counter,
        .index = record->index,
        .outer_ecn = datagram->ecn,
        .gso_size = record->size,
        .payload_len = (uint16_t)(record->len - record->extra),
        .headers_len = record->extra,
        .headers = record->body + record->len - record->extra,
    };
}

// None of what is open is to be believed.
static void drop_run(struct rx *rx)
{
    const struct run *run = &rx->run;
    const struct capture_frame shown = {.direction = CAPTURE_IN,
                                        .headers = run->headers,
                                        .headers_len = run->packet.payload_offset,
                                        .bytes = rx->opened->mem,
                                        .len = run->payload_len};

    drop_segments(rx, run->n_segments, &shown, DROP_BAD_RECORD);
    rx->run.is_open = false;
}

static enum drop_reason join(struct rx *rx, const struct segment *segment, const struct record *record, uint64_t now_ns)
{
    if (segment->counter < segment->index)
        return DROP_BAD_RECORD;
    enum rejoin_verdict verdict = rejoin_add(&rx->run, segment);
    if (verdict == REJOIN_FULL) {
        rx_rest(rx, now_ns);
        memmove(rx->opened->mem + rx->run.payload_len, record->body, segment->payload_len);
        verdict = rejoin_add(&rx->run, segment);
    }
    switch (verdict) {
    case REJOIN_JOINED:
        break;
    case REJOIN_FULL: // of a piece that never gets whole
    case REJOIN_BEGINS:
        rx_finish_run(rx, now_ns);
        if (!rejoin_begin(&rx->run, segment))
            return DROP_BAD_RECORD;
        memmove(rx->opened->mem, record->body, segment->payload_len);
        break;
    case REJOIN_BAD:
        drop_run(rx);
        return DROP_BAD_RECORD;
    }
    rx->run_until_ns = now_ns + RUN_HELD_NS; // from the last one that joined: what else arrives holds nothing up
    if (!rejoin_may_go_on(&rx->run))
        rx_finish_run(rx, now_ns);
    return DROP_COUNT;
}

// The payload lies behind that of the open run, where it belongs if it is of that run.
enum drop_reason rx_take_segment(struct rx *rx, const struct record *record, const struct rx_datagram *datagram, uint64_t now_ns)
{
    const struct segment segment = segment_of(record, datagram);
    const struct capture_frame shown = {.direction = CAPTURE_IN,
                                        .headers = segment.headers,
                                        .headers_len = segment.headers_len,
                                        .bytes = record->body,
                                        .len = segment.payload_len};
    enum drop_reason verdict = join(rx, &segment, record, now_ns);

    if (verdict != DROP_COUNT)
        show(rx, &shown, verdict);
    return verdict;
}
