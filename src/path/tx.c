// SPDX-License-Identifier: MIT
/*
 * tx: TAP to UDP, one static function per step, in this order:
 *
 *   1 read a batch from the TAP              read_batch
 *   2 parse the Ethernet header              take_frame
 *   3 let the shortcut take what is its own  take_frame
 *   4 choose the peer                        choose_peer
 *   5 fragment, or pack small frames         send_frame, fragment, pack
 *   6 assign counters                        fragment, close_open
 *   7 seal                                   seal
 *   8 send the train                         flush
 *
 * Every buffer has one owner: the pool, `in` (read, not looked at), `open_buf` (being filled), or `out` (sealed). A frame that has a
 * datagram for itself is sealed in the buffer it was read into.
 */
#include "ethercord/tx.h"

#include <errno.h>
#include <string.h>

#include "ethercord/frame.h"
#include "messages.h"
#include "tap_out.h"

enum {
    IPV4_UDP_LEN = 20 + 8,
    IPV6_UDP_LEN = 40 + 8,
    BUF_CAP = WIRE_DATA_HEADER_LEN + PATH_MTU_MAX + AEAD_TAG_LEN,
    N_BUFS = TX_BATCH + TX_TRAIN + 2 // the open one, and a record of rx
};
_Static_assert((int)PATH_MTU_MAX > (int)FRAME_MAX, "a buffer takes the largest frame, and one byte more to see that it was larger");
_Static_assert(PATH_MTU_MAX + AEAD_TAG_LEN >= FRAME_MAX + sizeof(struct record_header), "a buffer takes the largest record of rx");

static bool flush(struct tx *tx, enum tx_wait *wait, uint64_t now_ns);
static int read_batch(struct tx *tx);
static void take_frame(struct tx *tx, struct buf *buf, uint64_t now_ns);
static bool choose_peer(struct tx *tx);
static void send_frame(struct tx *tx, struct buf *buf, uint64_t now_ns);
static void fragment(struct tx *tx, const struct buf *frame, uint64_t now_ns);
static void pack(struct tx *tx, struct buf *buf, uint64_t now_ns);
static void close_open(struct tx *tx, uint64_t now_ns);
static struct tx_datagram *seal(struct tx *tx, struct buf *buf, size_t payload_len, uint64_t counter);

int tx_init(struct tx *tx)
{
    return pool_init(&tx->pool, N_BUFS, BUF_CAP);
}

void tx_deinit(struct tx *tx)
{
    if (tx->open_buf)
        pool_put(&tx->pool, tx->open_buf);
    for (int i = tx->first_in; i < tx->n_in; i++)
        pool_put(&tx->pool, tx->in[i]);
    for (int i = tx->first_out; i < tx->n_out; i++)
        pool_put(&tx->pool, tx->out[i].buf);
    ensure(pool_deinit(&tx->pool) == 0);
}

static void write_shortcut(struct tx *tx, uint64_t now_ns)
{
    struct tap_out out = {.tap = tx->tap, .counters = tx->counters, .limit = &tx->write_failed};

    tap_out_shortcut(&out, tx->shortcut, tx->shortcut_room, now_ns);
}

static struct buf *get_buf(struct tx *tx)
{
    struct buf *buf = pool_get(&tx->pool, WIRE_DATA_HEADER_LEN);
    ensure(buf); // has_room() saw to it
    return buf;
}

// For the largest frame in the smallest pieces, and the data message that is closed before them.
static bool has_room(const struct tx *tx)
{
    return tx->n_out + FRAGMENTS_MAX + 1 <= TX_TRAIN;
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

static void set_endpoint(struct tx *tx, const struct endpoint *endpoint)
{
    size_t ip_udp_len = endpoint->remote.family == AF_INET6 ? IPV6_UDP_LEN : IPV4_UDP_LEN;

    tx->has_endpoint = true;
    tx->endpoint = *endpoint;
    tx->payload_cap = tx->path_mtu - ip_udp_len - WIRE_DATA_OVERHEAD;
}

// One record, or none (a keepalive), in a datagram of its own.
static void send_control(struct tx *tx, const struct peer_control *control, uint64_t now_ns)
{
    size_t body_len = control->type == RECORD_GOODBYE ? 0 : WIRE_TOKEN_LEN;
    uint64_t counter;

    if (!tx->session || (!control->has_to && !tx->has_endpoint))
        return; // it was meant for a keypair that has ended
    if (!send_session_reserve(tx->session, 1, body_len + WIRE_RECORD_OVERHEAD, now_ns, &counter))
        return;

    struct buf *buf = get_buf(tx);
    struct payload payload;
    payload_begin(&payload, buf->data, buf_tailroom(buf) - AEAD_TAG_LEN);
    if (!control->is_keepalive) {
        memcpy(payload_next(&payload), control->token, body_len);
        payload_add(&payload, &(struct record){.type = control->type, .len = (uint16_t)body_len});
    }
    struct tx_datagram *datagram = seal(tx, buf, payload_finish(&payload), counter);
    if (control->has_to)
        datagram->to = control->to;
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
    case ORDER_CONTROL:
        send_control(tx, &order->u.control, now_ns);
        break;
    case ORDER_ANNOUNCE:
        shortcut_announce(tx->shortcut, now_ns);
        break;
    case ORDER_CURRENT: // rx's alone
        break;
    }
}

static void take_orders(struct tx *tx, uint64_t now_ns)
{
    struct order order;

    while (has_room(tx) && ring_get(tx->orders, &order, sizeof order) > 0)
        carry_out(tx, &order, now_ns);
}

static void take_records(struct tx *tx, uint64_t now_ns)
{
    struct record_header header;

    while (has_room(tx)) {
        struct buf *buf = get_buf(tx);
        size_t len = ring_get(tx->records, buf->data, buf_tailroom(buf));
        if (len == 0) {
            pool_put(&tx->pool, buf);
            return;
        }
        memcpy(&header, buf->data, sizeof header);
        buf->len = len - sizeof header;
        memmove(buf->data, buf->data + sizeof header, buf->len);
        if (header.type == RECORD_FRAME && choose_peer(tx)) {
            send_frame(tx, buf, now_ns);
            continue;
        }
        if (header.type != RECORD_FRAME) {
            struct peer_control control = {.type = header.type, .has_to = header.has_to, .to = header.to};
            memcpy(control.token, buf->data, WIRE_TOKEN_LEN);
            send_control(tx, &control, now_ns);
        }
        pool_put(&tx->pool, buf);
    }
}

/* ---- the pipeline ---- */

static int read_batch(struct tx *tx)
{
    for (int i = 0; i < TX_BATCH; i++)
        tx->in[i] = get_buf(tx);

    int n = tx->tap->ops->read_batch(tx->tap, tx->in, TX_BATCH);
    tx->first_in = 0;
    tx->n_in = n > 0 ? n : 0;
    for (int i = tx->n_in; i < TX_BATCH; i++)
        pool_put(&tx->pool, tx->in[i]);
    return n;
}

static void take_frame(struct tx *tx, struct buf *buf, uint64_t now_ns)
{
    struct frame_view view;
    enum drop_reason reason = DROP_COUNT;

    count_traffic(tx->counters, COUNT_TAP_READ_FRAMES, 1);
    count_traffic(tx->counters, COUNT_TAP_READ_BYTES, buf->len);
    if (!frame_parse(&view, buf->data, buf->len))
        reason = DROP_FRAME_TOO_SHORT;
    else if (buf->len > FRAME_MAX)
        reason = DROP_FRAME_TOO_LONG;
    else if (frame_is_link_local_control(&view))
        reason = DROP_LINK_LOCAL_CONTROL;
    if (reason != DROP_COUNT) {
        count_drop(tx->counters, reason);
        pool_put(&tx->pool, buf);
        return;
    }

    bool is_peer_up = atomic_load_explicit(tx->is_peer_up, memory_order_relaxed);
    enum shortcut_verdict verdict = shortcut_handle(tx->shortcut, buf->data, buf->len, is_peer_up, now_ns);
    write_shortcut(tx, now_ns);
    if (verdict == SHORTCUT_PASS && choose_peer(tx))
        send_frame(tx, buf, now_ns);
    else
        pool_put(&tx->pool, buf);
}

// There is one peer, or none. Counts the frame when it can't go there.
static bool choose_peer(struct tx *tx)
{
    if (!tx->has_peer)
        count_drop(tx->counters, DROP_NO_PEER);
    else if (!tx->session)
        count_drop(tx->counters, DROP_NO_SESSION);
    else if (!tx->has_endpoint)
        count_drop(tx->counters, DROP_NO_ENDPOINT);
    else
        return true;
    return false;
}

// Takes the buffer.
static void send_frame(struct tx *tx, struct buf *buf, uint64_t now_ns)
{
    if (buf->len + WIRE_RECORD_OVERHEAD <= tx->payload_cap) {
        pack(tx, buf, now_ns);
        return;
    }
    close_open(tx, now_ns);
    fragment(tx, buf, now_ns);
    pool_put(&tx->pool, buf);
}

static void fragment(struct tx *tx, const struct buf *frame, uint64_t now_ns)
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
        uint16_t len = left < plan.size ? (uint16_t)left : plan.size;
        struct buf *piece = get_buf(tx);
        struct payload payload;

        payload_begin(&payload, piece->data, tx->payload_cap);
        memcpy(payload_next(&payload), frame->data + offset, len);
        payload_add(&payload, &(struct record){.type = RECORD_FRAGMENT, .len = len, .size = plan.size, .index = i, .extra = plan.count});
        struct tx_datagram *datagram = seal(tx, piece, payload_finish(&payload), counter + i);
        datagram->is_fragment = true;
        datagram->is_last_fragment = i == plan.count - 1;
        datagram->n_frames = datagram->is_last_fragment ? 1 : 0;
        datagram->n_bytes = datagram->is_last_fragment ? (uint32_t)frame->len : 0;
    }
}

// Takes the buffer: copies its frame behind the others of the open data message, or opens a new one around it where it lies.
static void pack(struct tx *tx, struct buf *buf, uint64_t now_ns)
{
    struct record record = {.type = RECORD_FRAME, .len = (uint16_t)buf->len};

    if (tx->open_buf && payload_fits(&tx->open, buf->len)) {
        memcpy(payload_next(&tx->open), buf->data, buf->len);
    } else {
        close_open(tx, now_ns);
        tx->open_buf = buf;
        payload_begin(&tx->open, buf->data, tx->payload_cap);
    }
    tx->n_open_frames++;
    tx->n_open_bytes += record.len;
    payload_add(&tx->open, &record);
    if (tx->open_buf != buf)
        pool_put(&tx->pool, buf);
}

static void close_open(struct tx *tx, uint64_t now_ns)
{
    struct buf *buf = tx->open_buf;
    uint64_t counter;

    if (!buf)
        return;
    size_t payload_len = payload_finish(&tx->open);
    if (send_session_reserve(tx->session, 1, payload_len, now_ns, &counter)) {
        struct tx_datagram *datagram = seal(tx, buf, payload_len, counter);
        datagram->n_frames = tx->n_open_frames;
        datagram->n_bytes = tx->n_open_bytes;
    } else {
        count_add(&tx->counters->drops[DROP_COUNTER_EXHAUSTED], tx->n_open_frames);
        pool_put(&tx->pool, buf);
    }
    tx->open_buf = NULL;
    tx->n_open_frames = tx->n_open_bytes = 0;
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

// Takes the buffer, whose payload lies at `data`, and puts the sealed message in the train.
static struct tx_datagram *seal(struct tx *tx, struct buf *buf, size_t payload_len, uint64_t counter)
{
    struct tx_datagram *datagram = &tx->out[tx->n_out++];

    buf->len = payload_len;
    uint8_t *message = buf_push(buf, WIRE_DATA_HEADER_LEN);
    buf->len = session_seal(tx->session, counter, message, payload_len);
    *datagram = (struct tx_datagram){.buf = buf, .to = tx->endpoint};
    note_rekey(tx);
    return datagram;
}

static void count_sent(struct tx *tx, const struct tx_datagram *datagram)
{
    count_traffic(tx->counters, COUNT_TX_DATAGRAMS, 1);
    count_traffic(tx->counters, COUNT_TX_DATAGRAM_BYTES, datagram->buf->len);
    count_traffic(tx->counters, COUNT_TX_FRAMES, datagram->n_frames);
    count_traffic(tx->counters, COUNT_TX_BYTES, datagram->n_bytes);
}

static void retire(struct tx *tx)
{
    pool_put(&tx->pool, tx->out[tx->first_out++].buf);
}

// The first datagram can't be sent, ever. The other pieces of its frame are of no use then.
static void refuse(struct tx *tx, int error, uint64_t now_ns)
{
    const struct tx_datagram *datagram = &tx->out[tx->first_out];
    char to[ADDR_TEXT_CAP];

    if (datagram->is_fragment) {
        count_drop(tx->counters, DROP_SEND_FAILED);
        tx->is_skipping_run = !datagram->is_last_fragment;
    } else {
        count_add(&tx->counters->drops[DROP_SEND_FAILED], datagram->n_frames);
    }
    log_limited(&tx->send_failed, now_ns, LOG_LEVEL_WARNING, "can't send %zu bytes to %s: %s%s", datagram->buf->len,
                addr_format(&datagram->to.remote, to), strerror(-error),
                error == -EMSGSIZE ? "; set [Peer] PathMTU to the underlay's MTU or less" : "");
    retire(tx);
}

// Our own address that the peer asked us at may be gone since: let the kernel choose another one.
static bool is_source_gone(struct tx *tx, int error)
{
    struct endpoint *to = &tx->out[tx->first_out].to;

    if ((error != -EINVAL && error != -ENETUNREACH && error != -ENODEV) || to->source.family == AF_UNSPEC)
        return false;
    for (int i = tx->first_out; i < tx->n_out; i++)
        tx->out[i].to.source.family = AF_UNSPEC, tx->out[i].to.source_ifindex = 0;
    tx->endpoint.source.family = AF_UNSPEC;
    tx->endpoint.source_ifindex = 0;
    return true;
}

static int gather(struct tx *tx)
{
    uint16_t family = tx->out[tx->first_out].to.remote.family;
    int n = 0;

    for (int i = tx->first_out; i < tx->n_out && n < UDP_BATCH_MAX && tx->out[i].to.remote.family == family; i++, n++)
        tx->batch[n] = (struct udp_datagram){.endpoint = tx->out[i].to, .bytes = tx->out[i].buf->data, .len = tx->out[i].buf->len};
    return n;
}

static int send_train(struct tx *tx)
{
    struct udp *udp = &tx->udp[tx->out[tx->first_out].to.remote.family == AF_INET6];

    if (udp->family == AF_UNSPEC)
        return -EAFNOSUPPORT;
    return udp->ops->send_batch(udp, tx->batch, gather(tx));
}

// True when all is sent; else what to wait for.
static bool flush(struct tx *tx, enum tx_wait *wait, uint64_t now_ns)
{
    while (tx->first_out < tx->n_out) {
        if (tx->is_skipping_run && tx->out[tx->first_out].is_fragment) {
            tx->is_skipping_run = !tx->out[tx->first_out].is_last_fragment;
            retire(tx);
            continue;
        }
        int sent = send_train(tx);
        if (sent == 0 || sent == -ENOBUFS) {
            count_traffic(tx->counters, COUNT_SEND_BLOCKED, 1);
            *wait = sent == 0 ? TX_WAIT_UDP : TX_WAIT_A_BIT;
            return false;
        }
        if (sent < 0 && !is_source_gone(tx, sent))
            refuse(tx, sent, now_ns);
        for (int i = 0; i < sent; i++) {
            count_sent(tx, &tx->out[tx->first_out]);
            retire(tx);
        }
        if (sent > 0)
            activity_note(&tx->activity->sent_ns, now_ns);
    }
    tx->first_out = tx->n_out = 0;
    return true;
}

static bool process_batch(struct tx *tx, enum tx_wait *wait, uint64_t now_ns)
{
    while (tx->first_in < tx->n_in) {
        if (!has_room(tx) && !flush(tx, wait, now_ns))
            return false;
        take_frame(tx, tx->in[tx->first_in++], now_ns);
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

    if (!flush(tx, &wait, now_ns)) // what the last turn could not send
        return wait;
    if (!process_batch(tx, &wait, now_ns))
        return wait;
    close_open(tx, now_ns); // under the key that it was begun with
    take_orders(tx, now_ns);
    take_records(tx, now_ns);
    close_open(tx, now_ns);
    if (!flush(tx, &wait, now_ns))
        return wait;
    if (is_readable)
        n_read = read_batch(tx);
    if (!process_batch(tx, &wait, now_ns))
        return wait;
    close_open(tx, now_ns);
    report_conflict(tx);
    if (!flush(tx, &wait, now_ns))
        return wait;
    if (n_read == -EBADFD)
        return TX_TAP_GONE;
    bool is_more = n_read == TX_BATCH || !ring_is_empty(tx->orders) || !ring_is_empty(tx->records);
    return is_more ? TX_WAIT_NOTHING : TX_WAIT_TAP;
}

uint64_t tx_tick(struct tx *tx, uint64_t now_ns)
{
    uint64_t deadline_ns = shortcut_tick(tx->shortcut, now_ns);

    write_shortcut(tx, now_ns);
    return deadline_ns;
}
