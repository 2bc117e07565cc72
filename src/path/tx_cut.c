// SPDX-License-Identifier: MIT
/*
 * tx_cut: steps 5 to 7 of the tx pipeline: a frame becomes one sealed datagram, several, or a part of one.
 *
 *   a super-frame                  is split: runs of segments of equal size, so that each run leaves in one train or two
 *   a frame that fits no datagram  is fragmented into equal pieces
 *   a frame that fills one         has it for itself
 *   small frames                   share one, as long as more of them are waiting
 *
 * A segment is sealed from where its payload was read. Its headers and its descriptor have to follow the payload, which is where the next
 * segment's payload lies: so a run is sealed from its last segment to its first.
 */
#include <string.h>

#include "ethercord/frame.h"
#include "tx_private.h"

enum {
    // What one step makes at the most: the data message that it closes first, and a run of 64 KiB with all that is around its segments;
    // the pieces of a jumbo frame are less.
    RUN_BYTES = IP_PACKET_MAX + SEGMENTS_MAX * (SEGMENT_HEADERS_MAX + WIRE_RECORD_OVERHEAD + WIRE_DATA_OVERHEAD),
    STEP_BYTES = PATH_MTU_MAX + RUN_BYTES,
    STEP_DATAGRAMS = 1 + FRAGMENTS_MAX,
    SMALL_FRAME_LEN = 64, // a datagram with less room than that is full
    TAIL_MAX = SEGMENT_HEADERS_MAX + WIRE_RECORD_OVERHEAD
};
_Static_assert((int)TAIL_MAX <= (int)TAP_TAILROOM, "what follows the last segment's payload");
_Static_assert(RUN_BYTES >= FRAME_MAX + FRAGMENTS_MAX * (WIRE_RECORD_OVERHEAD + WIRE_DATA_OVERHEAD), "fragments");
_Static_assert((int)FRAGMENTS_MAX >= (int)SEGMENTS_MAX, "a run has no more datagrams than a frame has fragments");

static size_t out_len(const struct tx *tx)
{
    return tx->n_out == 0 ? 0 : (size_t)(tx->out[tx->n_out - 1].bytes - tx->out_buf->mem) + tx->out[tx->n_out - 1].len;
}

bool tx_has_room(const struct tx *tx)
{
    return tx->n_out + STEP_DATAGRAMS <= TX_DATAGRAMS && out_len(tx) + STEP_BYTES <= tx->out_buf->cap;
}

// Main would see it only when it looks up next, and the rest of the key's share may not last until then.
static void note_rekey(struct tx *tx)
{
    uint32_t noted = atomic_load_explicit(&tx->rekey_index, memory_order_relaxed);

    if (noted == tx->session->local_index || !send_session_wants_rekey(tx->session))
        return;
    atomic_store_explicit(&tx->rekey_index, tx->session->local_index, memory_order_relaxed);
    tx->needs_main = true;
}

// The next datagram, of that many bytes of payload, not yet sealed.
static struct tx_datagram *append(struct tx *tx, size_t payload_len)
{
    size_t at = out_len(tx), len = payload_len + WIRE_DATA_OVERHEAD;
    struct tx_datagram *datagram = &tx->out[tx->n_out++];

    ensure(tx->n_out <= TX_DATAGRAMS && at + len <= tx->out_buf->cap); // tx_has_room() saw to it
    *datagram = (struct tx_datagram){.bytes = tx->out_buf->mem + at, .len = len, .to = tx->endpoint};
    return datagram;
}

static struct tx_datagram *seal(struct tx *tx, const uint8_t *payload, size_t payload_len, uint64_t counter)
{
    struct tx_datagram *datagram = append(tx, payload_len);

    session_seal(tx->session, counter, payload, payload_len, datagram->bytes);
    note_rekey(tx);
    return datagram;
}

// A payload of one record whose body lies there already.
static size_t finish_single(uint8_t *body, const struct record *record)
{
    struct payload payload;

    payload_begin(&payload, body, record->len + (size_t)WIRE_RECORD_OVERHEAD);
    payload_add(&payload, record);
    return payload_finish(&payload);
}

// The body, with a probe's padding. Returns the length of the payload.
static size_t put_control(struct tx *tx, const struct peer_control *control, uint8_t *payload)
{
    size_t len = wire_control_len(control->type),
           around = addr_headers_len(&tx->endpoint.remote) + WIRE_DATA_OVERHEAD + WIRE_RECORD_OVERHEAD;

    if (control->is_keepalive)
        return 0;
    memcpy(payload, control->body, len);
    if (control->size > around + len) {
        memset(payload + len, 0, control->size - around - len);
        len = control->size - around;
    }
    return finish_single(payload, &(struct record){.type = control->type, .len = (uint16_t)len});
}

void tx_send_control(struct tx *tx, const struct peer_control *control, uint64_t now_ns)
{
    uint8_t *payload = tx->frame_buf->mem;
    uint64_t counter;

    if (!tx->session || (!control->has_to && !tx->has_endpoint))
        return; // it was meant for a keypair that has ended
    size_t len = put_control(tx, control, payload);
    if (!send_session_reserve(tx->session, 1, len, now_ns, &counter))
        return;
    if (control->type == RECORD_PATH_REPORT)
        path_report_set_excused(payload, tx->session->n_excused);
    struct tx_datagram *datagram = seal(tx, payload, len, counter);
    datagram->is_probe = control->size > 0;
    if (control->type == RECORD_PROBE && !control->is_keepalive)
        tx_excuse(tx, datagram); // that it may vanish is what it is for
    if (control->has_to)
        datagram->to = control->to;
}

/* ---- small frames ---- */

void tx_close_open(struct tx *tx, uint64_t now_ns)
{
    uint64_t counter;

    if (tx->n_open_frames == 0)
        return;
    size_t payload_len = payload_finish(&tx->open);
    if (send_session_reserve(tx->session, 1, payload_len, now_ns, &counter)) {
        struct tx_datagram *datagram = seal(tx, tx->open.bytes, payload_len, counter);
        datagram->ecn = tx->open_ecn;
        datagram->n_frames = tx->n_open_frames;
        datagram->n_bytes = tx->n_open_bytes;
    } else {
        count_add(&tx->counters->drops[DROP_COUNTER_EXHAUSTED], tx->n_open_frames);
    }
    tx->n_open_frames = tx->n_open_bytes = 0;
}

static struct record record_of(const struct tx_frame *frame)
{
    return (struct record){
        .type = RECORD_FRAME, .len = (uint16_t)frame->len, .flags = frame->is_partial ? RECORD_FLAG_PARTIAL_CHECKSUM : 0};
}

static void pack(struct tx *tx, const struct tx_frame *frame, uint64_t now_ns)
{
    if (tx->n_open_frames > 0 && (tx->open_ecn != frame->ecn || !payload_fits(&tx->open, frame->len)))
        tx_close_open(tx, now_ns);
    if (tx->n_open_frames == 0)
        payload_begin(&tx->open, tx->open_buf->mem, tx->payload_cap);
    const struct record record = record_of(frame);
    memcpy(payload_next(&tx->open), frame->bytes, frame->len);
    payload_add(&tx->open, &record);
    tx->open_ecn = frame->ecn;
    tx->n_open_frames++;
    tx->n_open_bytes += record.len;
}

static void send_alone(struct tx *tx, const struct tx_frame *frame, uint64_t now_ns)
{
    const struct record record = record_of(frame);
    uint64_t counter;

    if (!send_session_reserve(tx->session, 1, frame->len + WIRE_RECORD_OVERHEAD, now_ns, &counter)) {
        count_drop(tx->counters, DROP_COUNTER_EXHAUSTED);
        return;
    }
    struct tx_datagram *datagram = seal(tx, frame->bytes, finish_single(frame->bytes, &record), counter);
    datagram->ecn = frame->ecn;
    datagram->n_frames = 1;
    datagram->n_bytes = (uint32_t)frame->len;
}

/* ---- frames that fit no datagram ---- */

static void fragment(struct tx *tx, const struct tx_frame *frame, uint64_t now_ns)
{
    struct fragment_plan plan;
    uint64_t counter;

    if (!fragment_plan(&plan, frame->len, tx->payload_cap - WIRE_RECORD_OVERHEAD)) {
        count_drop(tx->counters, DROP_FRAME_TOO_LONG);
        return;
    }
    if (!send_session_reserve(tx->session, plan.count, plan.size + WIRE_RECORD_OVERHEAD, now_ns, &counter)) {
        count_drop(tx->counters, DROP_COUNTER_EXHAUSTED);
        return;
    }
    count_traffic(tx->counters, COUNT_TX_FRAGMENTED_FRAMES, 1);
    for (uint8_t i = 0; i < plan.count; i++) {
        size_t offset = (size_t)i * plan.size, left = frame->len - offset;
        const struct record record = {.type = RECORD_FRAGMENT,
                                      .len = left < plan.size ? (uint16_t)left : plan.size,
                                      .size = plan.size,
                                      .index = i,
                                      .extra = plan.count};
        uint8_t *body = tx->open_buf->mem; // empty: closed before
        memcpy(body, frame->bytes + offset, record.len);
        struct tx_datagram *datagram = seal(tx, body, finish_single(body, &record), counter + i);
        datagram->ecn = frame->ecn;
        datagram->is_fragment = true;
        datagram->is_last_fragment = i == plan.count - 1;
        datagram->n_frames = datagram->is_last_fragment ? 1 : 0;
        datagram->n_bytes = datagram->is_last_fragment ? (uint32_t)frame->len : 0;
    }
}

static void complete(struct tx_frame *frame)
{
    struct frame_view view;
    struct packet_view packet;

    ensure(frame_parse(&view, frame->bytes, frame->len) && packet_parse(&packet, &view)); // it was parsed before
    size_t header_len = (size_t)packet.payload_offset - packet.l4_offset;
    packet_complete(&packet, frame->bytes, frame->bytes + packet.payload_offset, packet.l4_len - header_len);
    frame->is_partial = false;
}

void tx_send_frame(struct tx *tx, const struct tx_frame *frame, uint64_t now_ns)
{
    struct tx_frame settled = *frame;
    bool fits = frame->len + WIRE_RECORD_OVERHEAD <= tx->payload_cap;
    bool takes_partial = (tx->session->features & FEATURE_PARTIAL_CHECKSUM) != 0;

    if (frame->is_partial && !(fits && takes_partial)) // a fragment has no flag for it
        complete(&settled);
    if (frame->len + 2UL * WIRE_DESCRIPTOR_LEN + 1 + SMALL_FRAME_LEN <= tx->payload_cap) {
        pack(tx, &settled, now_ns);
        return;
    }
    tx_close_open(tx, now_ns);
    if (fits)
        send_alone(tx, &settled, now_ns);
    else
        fragment(tx, &settled, now_ns);
}

/* ---- super-frames ---- */

void tx_begin_cutting(struct tx *tx, const struct frame_view *view, const struct tap_read *read, uint64_t now_ns)
{
    if (!split_parse(&tx->cut.super, view, &read->offload)) {
        count_traffic(tx->counters, COUNT_TAP_READ_FRAMES, 1);
        count_drop(tx->counters, DROP_BAD_OFFLOAD);
        return;
    }
    count_traffic(tx->counters, COUNT_TAP_READ_SUPER_FRAMES, 1);
    if (!read->offload.is_partial) // a card has checked it, and joined what it received
        packet_reset_checksum(&tx->cut.super.packet, read->bytes);
    if (tx_is_super_too_big(tx)) {
        tx_drop_super_too_big(tx, now_ns);
        return;
    }
    tx->cut.is_active = true;
    tx->cut.at = 0;
    tx->cut.ecn = ecn_of(view);
}

static size_t segment_len(const struct split_run *run, uint8_t index)
{
    size_t left = run->len - (size_t)index * run->size;

    return left < run->size ? left : run->size;
}

static void seal_segment(struct tx *tx, const struct split_run *run, uint8_t index, struct tx_datagram *datagram, uint64_t counter)
{
    const struct super_frame *super = &tx->cut.super;
    uint16_t headers_len = super->packet.payload_offset;
    size_t at = run->at + (size_t)index * run->size, len = segment_len(run, index);
    uint8_t *body = tx->in_buf->mem + (super->payload - tx->in_buf->mem) + at;
    const struct record record = {.type = RECORD_SEGMENT,
                                  .len = (uint16_t)(len + headers_len),
                                  .size = super->gso_size,
                                  .index = index,
                                  .extra = (uint8_t)headers_len};

    split_headers(super, at, len, body + len);
    session_seal(tx->session, counter, body, finish_single(body, &record), datagram->bytes);
    datagram->ecn = tx->cut.ecn;
    datagram->is_segment = true;
    datagram->n_frames = 1;
    datagram->n_bytes = record.len;
}

static void send_run(struct tx *tx, const struct split_run *run, uint64_t first_counter)
{
    const struct super_frame *super = &tx->cut.super;
    size_t overhead = super->packet.payload_offset + WIRE_RECORD_OVERHEAD;
    struct tx_datagram *first = &tx->out[tx->n_out];
    uint8_t *behind = tx->in_buf->mem + (super->payload - tx->in_buf->mem) + run->at + run->len, kept[TAIL_MAX];

    for (uint8_t i = 0; i < run->count; i++)
        append(tx, segment_len(run, i) + overhead);
    memcpy(kept, behind, sizeof kept); // the next run's payload
    for (uint8_t i = run->count; i-- > 0;)
        seal_segment(tx, run, i, &first[i], first_counter + i);
    memcpy(behind, kept, sizeof kept);
    note_rekey(tx);
}

// The rest of a super-frame that can't be sent counts as one.
static bool give_up(struct tx *tx, enum drop_reason reason)
{
    count_traffic(tx->counters, COUNT_TAP_READ_FRAMES, 1);
    count_drop(tx->counters, reason);
    return false;
}

// One frame of gso_size, as the kernel would have made it.
static bool cut_whole_frame(struct tx *tx, uint64_t now_ns)
{
    const struct super_frame *super = &tx->cut.super;
    size_t headers_len = super->packet.payload_offset, left = super->payload_len - tx->cut.at;
    size_t len = left < super->gso_size ? left : super->gso_size;
    uint8_t *bytes = tx->frame_buf->mem;

    if (headers_len + len > FRAME_MAX)
        return give_up(tx, DROP_FRAME_TOO_LONG);
    split_whole_headers(super, tx->cut.at, len, bytes);
    memcpy(bytes + headers_len, super->payload + tx->cut.at, len);
    count_traffic(tx->counters, COUNT_TAP_READ_FRAMES, 1);
    tx_send_frame(tx, &(struct tx_frame){.bytes = bytes, .len = headers_len + len, .ecn = tx->cut.ecn}, now_ns);
    tx->cut.at += len;
    return tx->cut.at < super->payload_len;
}

// A run is one train, so that it arrives in one piece wherever trains do.
static bool next_run(const struct tx *tx, struct split_run *run)
{
    const struct super_frame *super = &tx->cut.super;
    size_t in_train = UDP_TRAIN_BYTES_MAX / (tx->payload_cap + WIRE_DATA_OVERHEAD);
    const struct split_limits limits = {
        .room = tx->payload_cap - WIRE_RECORD_OVERHEAD,
        .n_segments = in_train < SEGMENTS_MAX ? in_train : SEGMENTS_MAX,
    };

    return (tx->session->features & FEATURE_SEGMENT) && super->payload_len > super->gso_size &&
           split_next_run(super, tx->cut.at, &limits, run);
}

bool tx_go_on_cutting(struct tx *tx, uint64_t now_ns)
{
    const struct super_frame *super = &tx->cut.super;
    struct split_run run;
    uint64_t counter;

    if (!next_run(tx, &run))
        return cut_whole_frame(tx, now_ns);
    tx_close_open(tx, now_ns);
    size_t payload_len = run.size + super->packet.payload_offset + (size_t)WIRE_RECORD_OVERHEAD;
    if (!send_session_reserve(tx->session, run.count, payload_len, now_ns, &counter))
        return give_up(tx, DROP_COUNTER_EXHAUSTED);
    count_traffic(tx->counters, COUNT_TAP_READ_FRAMES, run.count);
    send_run(tx, &run, counter);
    tx->cut.at += run.len;
    return tx->cut.at < super->payload_len;
}
