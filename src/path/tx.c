// SPDX-License-Identifier: MIT
/*
 * tx: TAP to UDP, one static function per step, in this order:
 *
 *   1 read a batch from the TAP                     read_batch
 *   2 parse the Ethernet header                     process_frame
 *   3 let the shortcut take what is its own         process_frame
 *   4 choose the peer                               choose_peer
 *     drop what the far TAP has no room for         tx_too_big.c
 *   5 split a super-frame, fragment, or pack        tx_cut.c
 *   6 assign counters                               tx_cut.c
 *   7 seal                                          tx_cut.c
 *   8 send the trains                               tx_send.c
 *
 * The frames of a batch lie one behind the other in `in_buf` until the last of them is done with; what they become is sealed from there
 * into `out_buf`, one datagram behind the other, and lies there until it is sent. Copied in between are small frames that share a datagram,
 * and fragments.
 */
#include "ethercord/tx.h"

#include <errno.h>
#include <string.h>

#include "ethercord/frame.h"
#include "messages.h"
#include "tx_private.h"

// Tuning constants, bytes. A batch has three super-frames at least; one run of segments is at most 64 KiB and what 63 of them have around
// it.
enum {
    BUF_CAP = 4 << 16,
    N_BUFS = 4 // in, out, open, frame
};
_Static_assert((int)BUF_CAP >= 3 * (TAP_FRAME_MAX + TAP_TAILROOM), "room for a batch");
_Static_assert((int)BUF_CAP >= PATH_MTU_MAX + TAP_TAILROOM, "room for a data message that is being filled");
_Static_assert(BUF_CAP >= FRAME_MAX + TAP_TAILROOM + sizeof(struct record_header), "room for the largest record of rx");

static int read_batch(struct tx *tx);
static void take_frame(struct tx *tx, struct tap_read *read, uint64_t now_ns);
static enum drop_reason choose_peer(const struct tx *tx);

int tx_init(struct tx *tx)
{
    int error = pool_init(&tx->pool, N_BUFS, BUF_CAP);

    if (error)
        return error;
    tx->in_buf = pool_get(&tx->pool, 0);
    tx->out_buf = pool_get(&tx->pool, 0);
    tx->open_buf = pool_get(&tx->pool, 0);
    tx->frame_buf = pool_get(&tx->pool, 0);
    tap_out_init(&tx->tap_out, tx->tap, tx->counters);
    tx->tap_out.capture = &tx->capture;
    tx->tap_out.is_own = true;
    return 0;
}

void tx_deinit(struct tx *tx)
{
    struct buf *all[] = {tx->in_buf, tx->out_buf, tx->open_buf, tx->frame_buf};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i])
            pool_put(&tx->pool, all[i]);
    ensure(pool_deinit(&tx->pool) == 0);
}

static void write_shortcut(struct tx *tx, uint64_t now_ns)
{
    tap_out_shortcut(&tx->tap_out, tx->shortcut, tx->shortcut_room, now_ns);
}

/* ---- orders from main, records from rx ---- */

static void report(struct tx *tx, const struct report *message)
{
    ensure(ring_put(tx->reports, message, sizeof *message, NULL, 0)); // sized for every key there is
    tx->needs_main = true;
}

static void give_key_back(struct tx *tx)
{
    if (tx->session)
        report(tx, &(struct report){.kind = REPORT_SEND_RETURNED, .u.send = tx->session});
    tx->session = NULL;
}

void tx_set_path_mtu(struct tx *tx, uint16_t path_mtu)
{
    tx->path_mtu = path_mtu;
    tx->payload_cap = path_mtu - addr_headers_len(&tx->endpoint.remote) - WIRE_DATA_OVERHEAD;
}

static void set_endpoint(struct tx *tx, const struct endpoint *endpoint)
{
    tx->has_endpoint = true;
    tx->endpoint = *endpoint;
    tx->share_bytes = 0;
    tx_set_path_mtu(tx, tx->path_mtu);
}

// What is left for another candidate is not for this one.
static void set_share(struct tx *tx, const struct peer_share *share)
{
    bool is_same = share->n_bytes > 0 && endpoint_equal(&tx->share_to, &share->to);

    tx->share_bytes = (is_same ? tx->share_bytes : 0) + share->n_bytes;
    tx->share_to = share->to;
}

static void take_settings(struct tx *tx, const struct node_settings *settings, uint64_t now_ns)
{
    tx->has_peer = settings->has_peer;
    tx->is_path_mtu_fixed = settings->is_path_mtu_fixed;
    shortcut_reconfigure(tx->shortcut, &settings->shortcut, true, now_ns);
}

static void carry_out(struct tx *tx, const struct order *order, uint64_t now_ns)
{
    switch (order->kind) {
    case ORDER_KEY:
        give_key_back(tx);
        tx->session = order->u.send;
        break;
    case ORDER_STOP_KEY:
        give_key_back(tx);
        break;
    case ORDER_ENDPOINT:
        set_endpoint(tx, &order->u.endpoint);
        break;
    case ORDER_SHARE:
        set_share(tx, &order->u.share);
        break;
    case ORDER_PATH_MTU:
        tx_set_path_mtu(tx, order->u.path_mtu);
        break;
    case ORDER_CONTROL:
        tx_send_control(tx, &order->u.control, now_ns);
        break;
    case ORDER_ANNOUNCE:
        shortcut_announce(tx->shortcut, now_ns);
        break;
    case ORDER_SETTINGS:
        take_settings(tx, &order->u.settings, now_ns);
        break;
    case ORDER_CURRENT: // rx's alone
    case ORDER_REPORT:
    case ORDER_COOKIE:
        break;
    }
}

static void take_orders(struct tx *tx, uint64_t now_ns)
{
    struct order order;

    while (tx_has_room(tx) && ring_get(tx->orders, &order, sizeof order) > 0)
        carry_out(tx, &order, now_ns);
}

static enum drop_reason send_reply(struct tx *tx, struct tx_frame *frame, uint64_t now_ns)
{
    struct frame_view view;
    enum drop_reason verdict = choose_peer(tx);

    ensure(frame_parse(&view, frame->bytes, frame->len));
    if (verdict != DROP_COUNT)
        return verdict;
    if (tx_is_too_big(tx, &view))
        return DROP_EXCEEDS_FAR_TAP_MTU; // there is nobody to be told
    frame->ecn = ecn_of(&view);
    return tx_send_frame(tx, frame, now_ns);
}

// The shortcut's own.
static void take_reply(struct tx *tx, struct tx_frame *frame, uint64_t now_ns)
{
    const struct capture_frame shown = {.direction = CAPTURE_OUT, .is_own = true, .bytes = frame->bytes, .len = frame->len};
    bool is_shown = capture_is_on(&tx->capture) && capture_begin(&tx->capture, &shown);
    enum drop_reason verdict = send_reply(tx, frame, now_ns);

    if (verdict != DROP_COUNT)
        count_drop(tx->counters, verdict);
    if (is_shown)
        capture_end(&tx->capture, verdict);
}

static void take_records(struct tx *tx, uint64_t now_ns)
{
    struct record_header header;

    while (tx_has_room(tx)) {
        uint8_t *record = tx->frame_buf->mem;
        size_t len = ring_get(tx->records, record, FRAME_MAX + sizeof header);
        if (len == 0)
            return;
        memcpy(&header, record, sizeof header);
        struct tx_frame frame = {.bytes = record + sizeof header, .len = len - sizeof header};
        if (header.type == RECORD_FRAME) {
            take_reply(tx, &frame, now_ns);
        } else {
            struct peer_control control = {.type = header.type, .has_to = header.has_to, .to = header.to};
            memcpy(control.body, frame.bytes, wire_control_len(header.type));
            tx_send_control(tx, &control, now_ns);
        }
    }
}

/* ---- the pipeline ---- */

static int read_batch(struct tx *tx)
{
    int n = tx->tap->ops->read_batch(tx->tap, tx->in_buf->mem, tx->in_buf->cap, tx->in, TX_BATCH);

    tx->first_in = 0;
    tx->n_in = n > 0 ? n : 0;
    return n;
}

static enum drop_reason check_frame(const struct tap_read *read, struct frame_view *view)
{
    if (!frame_parse(view, read->bytes, read->len))
        return DROP_FRAME_TOO_SHORT;
    if (!offload_is_valid(&read->offload, read->len))
        return DROP_BAD_OFFLOAD;
    if (read->len > FRAME_MAX && read->offload.kind == SUPER_NONE)
        return DROP_FRAME_TOO_LONG;
    return frame_is_link_local_control(view) ? DROP_LINK_LOCAL_CONTROL : DROP_COUNT;
}

// A checksum stays undone only where the other end finds it by itself: in TCP and UDP.
static void settle_checksum(struct tap_read *read, const struct frame_view *view)
{
    struct offload *offload = &read->offload;
    struct packet_view packet;

    if (!offload->is_partial || offload->kind != SUPER_NONE)
        return;
    if (!packet_parse(&packet, view) || offload->checksum_start != packet.l4_offset ||
        offload->checksum_offset != packet_checksum_offset(&packet) || packet.l4_len > view->len - packet.l4_offset)
        offload_complete(offload, read->bytes, read->len);
}

static enum drop_reason forward(struct tx *tx, struct tap_read *read, const struct frame_view *view, uint64_t now_ns)
{
    if (read->offload.kind != SUPER_NONE)
        return tx_begin_cutting(tx, view, read);
    if (tx_is_too_big(tx, view))
        return DROP_EXCEEDS_FAR_TAP_MTU;
    const struct tx_frame frame = {.bytes = read->bytes, .len = read->len, .ecn = ecn_of(view), .is_partial = read->offload.is_partial};
    return tx_send_frame(tx, &frame, now_ns);
}

// Returns a drop reason, or that it has passed, or that it is the shortcut's.
static unsigned process_frame(struct tx *tx, struct tap_read *read, uint64_t now_ns)
{
    struct frame_view view;
    enum drop_reason reason = check_frame(read, &view);

    if (reason != DROP_COUNT)
        return reason;
    settle_checksum(read, &view);
    bool is_peer_up = atomic_load_explicit(tx->is_peer_up, memory_order_relaxed);
    if (shortcut_handle(tx->shortcut, read->bytes, read->len, is_peer_up, now_ns) == SHORTCUT_TAKEN)
        return CAPTURE_SHORTCUT;
    reason = choose_peer(tx);
    return reason == DROP_COUNT ? forward(tx, read, &view, now_ns) : reason;
}

// A super-frame is counted as read by what it is cut into, run by run. What is said to the frame's sender follows it.
static void take_frame(struct tx *tx, struct tap_read *read, uint64_t now_ns)
{
    const struct capture_frame shown = {.direction = CAPTURE_OUT, .bytes = read->bytes, .len = read->len};
    bool is_shown = capture_is_on(&tx->capture) && capture_begin(&tx->capture, &shown);
    unsigned verdict = process_frame(tx, read, now_ns);

    count_traffic(tx->counters, COUNT_TAP_READ_BYTES, read->len);
    count_traffic(tx->counters, COUNT_TAP_READ_FRAMES, tx->cut.is_active ? 0 : 1);
    if (verdict < DROP_COUNT)
        count_drop(tx->counters, (enum drop_reason)verdict);
    if (is_shown)
        capture_end(&tx->capture, verdict == CAPTURE_SHORTCUT ? capture_of_shortcut(shortcut_refusal(tx->shortcut)) : verdict);
    if (verdict == DROP_EXCEEDS_FAR_TAP_MTU)
        tx_tell_too_big(tx, read, now_ns);
    write_shortcut(tx, now_ns);
}

// There is one peer, or none. DROP_COUNT, or why a frame can't go there.
static enum drop_reason choose_peer(const struct tx *tx)
{
    if (!tx->has_peer)
        return DROP_NO_PEER;
    if (!tx->session)
        return DROP_NO_SESSION;
    return tx->has_endpoint ? DROP_COUNT : DROP_NO_ENDPOINT;
}

// False when the underlay does not take what has to leave before there is room for more.
static bool process_batch(struct tx *tx, enum tx_wait *wait, uint64_t now_ns)
{
    while (tx->cut.is_active || tx->first_in < tx->n_in) {
        if (!tx_has_room(tx) && !tx_flush(tx, wait, now_ns))
            return false;
        if (tx->cut.is_active)
            tx->cut.is_active = tx_go_on_cutting(tx, now_ns);
        else
            take_frame(tx, &tx->in[tx->first_in++], now_ns);
    }
    return true;
}

static void report_conflict(struct tx *tx)
{
    struct report message = {.kind = REPORT_CONFLICT};

    if (shortcut_take_conflict(tx->shortcut, &message.u.conflict) && ring_put(tx->hints, &message, sizeof message, NULL, 0))
        tx->needs_main = true;
}

enum tx_wait tx_run(struct tx *tx, bool is_readable, uint64_t now_ns)
{
    enum tx_wait wait = TX_WAIT_TAP;
    int n_read = 0;

    if (!tx_flush(tx, &wait, now_ns)) // what the last turn could not send
        return wait;
    if (!process_batch(tx, &wait, now_ns))
        return wait;
    tx_close_open(tx, now_ns); // under the key that it was begun with
    take_orders(tx, now_ns);
    take_records(tx, now_ns);
    tx_close_open(tx, now_ns);
    if (!tx_flush(tx, &wait, now_ns))
        return wait;
    if (is_readable)
        n_read = read_batch(tx);
    if (!process_batch(tx, &wait, now_ns))
        return wait;
    tx_close_open(tx, now_ns);
    report_conflict(tx);
    if (!tx_flush(tx, &wait, now_ns))
        return wait;
    if (n_read == -EBADFD)
        return TX_TAP_GONE;
    return n_read == TX_BATCH || tx_has_messages(tx) ? TX_WAIT_NOTHING : TX_WAIT_TAP;
}

bool tx_has_messages(const struct tx *tx)
{
    return !ring_is_empty(tx->orders) || !ring_is_empty(tx->records);
}

bool tx_is_idle(const struct tx *tx)
{
    return !tx->cut.is_active && tx->first_in == tx->n_in && tx->first_out == tx->n_out && tx->n_open_frames == 0;
}

uint64_t tx_tick(struct tx *tx, uint64_t now_ns)
{
    uint64_t deadline_ns = shortcut_tick(tx->shortcut, now_ns);

    write_shortcut(tx, now_ns);
    return deadline_ns;
}
