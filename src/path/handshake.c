// SPDX-License-Identifier: MIT
/*
 * handshake: see the header. One turn of the main thread:
 *
 *   1 reports and hints of tx and rx      take_reports, take_hint
 *   2 of these, handshake messages        take_initiation, take_response, take_cookie_reply
 *   3 cookies for those who have none     handshake_answer_requests
 *   4 what is due by time                 peer_tick
 *   5 after each: the acts                carry_out
 */
#include "ethercord/handshake.h"

#include <errno.h>
#include <string.h>

#include "ethercord/clock.h"
#include "ethercord/log.h"
#include "handshake_private.h"

// Tuning constants.
enum { HINTS_PER_TURN = 64 };
#define IDLE_NS (60 * NS_PER_S)

void handshake_init(struct handshake *handshake, uint64_t now_ns)
{
    quality_past_init(&handshake->past, now_ns);
    cookie_checker_init(&handshake->checker, handshake->self->static_public);
}

void handshake_deinit(struct handshake *handshake)
{
    cookie_checker_deinit(&handshake->checker);
}

struct peer_input handshake_input(const struct handshake *handshake, uint64_t now_ns, uint64_t wall_ns)
{
    uint32_t rekey_index = atomic_load_explicit(handshake->rekey_index, memory_order_relaxed);
    const struct keypair *current = handshake->peer ? &handshake->peer->current : NULL;

    return (struct peer_input){
        .now_ns = now_ns,
        .wall_ns = wall_ns,
        .random = &handshake->random,
        .activity = handshake->activity,
        .wants_rekey = current && current->is_used && rekey_index == current->local_index,
    };
}

/* ---- acts ---- */

void handshake_order_tx(struct handshake *handshake, const struct order *order)
{
    ensure(ring_put(handshake->orders_tx, order, sizeof *order, NULL, 0)); // sized for every key there is
    handshake->needs_tx = true;
}

void handshake_order_rx(struct handshake *handshake, const struct order *order)
{
    ensure(ring_put(handshake->orders_rx, order, sizeof *order, NULL, 0));
    handshake->needs_rx = true;
}

static void send_datagram(struct handshake *handshake, uint8_t *bytes, size_t len, const struct endpoint *to, uint64_t now_ns)
{
    struct udp *udp = &handshake->udp[to->remote.family == AF_INET6];
    struct udp_train datagram = {.endpoint = *to, .bytes = bytes, .len = len, .datagram_len = len};
    char text[ADDR_TEXT_CAP];

    int sent = udp->family == AF_UNSPEC ? -EAFNOSUPPORT : udp->ops->send_batch(udp, &datagram, 1);
    if (sent < 0 && datagram.endpoint.source.family != AF_UNSPEC) { // our address that was asked may be gone
        datagram.endpoint.source = (struct addr){.family = AF_UNSPEC};
        datagram.endpoint.source_ifindex = 0;
        sent = udp->ops->send_batch(udp, &datagram, 1);
    }
    if (sent == 1) {
        count_traffic(handshake->counters, COUNT_TX_DATAGRAMS, 1);
        count_traffic(handshake->counters, COUNT_TX_DATAGRAM_BYTES, len);
    } else { // it will be sent again: handshakes are repeated until they succeed
        log_tell(&(struct log_about){LOG_EVENT_SEND_FAILED, .limit = &handshake->send_failed, .now_ns = now_ns},
                 "can't send a handshake message to %s: %s%s", addr_format(&to->remote, text),
                 sent == 0 ? "the socket's queue is full" : strerror(-sent), udp_send_advice(sent));
    }
}

static void tell_up(struct handshake *handshake, bool is_up)
{
    atomic_store_explicit(handshake->is_peer_up, is_up, memory_order_relaxed);
    if (is_up) {
        handshake_order_tx(handshake, &(struct order){.kind = ORDER_ANNOUNCE});
        handshake_order_rx(handshake, &(struct order){.kind = ORDER_ANNOUNCE});
    }
    handshake->event(handshake->event_ctx, is_up ? HANDSHAKE_PEER_UP : HANDSHAKE_PEER_DOWN, NULL);
}

static void switch_send(struct handshake *handshake, struct send_session *session)
{
    count_traffic(handshake->counters, COUNT_HANDSHAKES_DONE, 1);
    handshake_order_tx(handshake, &(struct order){.kind = ORDER_KEY, .u.send = session});
    handshake_order_rx(handshake, &(struct order){.kind = ORDER_CURRENT, .u.local_index = handshake->peer->current.local_index});
}

// Whoever copies the peer's datagrams from here and there decides how often it begins and ends. While tx is held up it does not begin; and
// what has not begun needs no end.
static void share(struct handshake *handshake, const struct peer_share *share)
{
    bool is_begun = share->n_bytes > 0;

    if (is_begun ? ring_is_crowded(handshake->orders_tx) : !handshake->is_tx_sharing)
        return;
    handshake->is_tx_sharing = is_begun;
    handshake_order_tx(handshake, &(struct order){.kind = ORDER_SHARE, .u.share = *share});
}

static void send_control(struct handshake *handshake, const struct peer_control *control)
{
    if (ring_is_crowded(handshake->orders_tx)) // tx is held up by the underlay: one more echo does not help
        return;
    count_traffic(handshake->counters, COUNT_PATH_PROBES, control->size > 0);
    handshake_order_tx(handshake, &(struct order){.kind = ORDER_CONTROL, .u.control = *control});
    // At once, or the peer would take it for lost until the next report.
    if (control->size > 0 && !ring_is_crowded(handshake->orders_rx))
        handshake_order_rx(handshake, &(struct order){.kind = ORDER_REPORT});
}

static void carry_out(struct handshake *handshake, struct peer_act *act, uint64_t now_ns)
{
    switch (act->kind) {
    case PEER_ACT_SEND_HANDSHAKE:
        if (act->u.handshake.len == WIRE_INITIATION_LEN)
            count_traffic(handshake->counters, COUNT_HANDSHAKES_STARTED, 1);
        send_datagram(handshake, act->u.handshake.bytes, act->u.handshake.len, &act->u.handshake.to, now_ns);
        break;
    case PEER_ACT_INSTALL_RECV:
        handshake_order_rx(handshake, &(struct order){.kind = ORDER_KEY, .u.recv = act->u.recv});
        break;
    case PEER_ACT_DROP_RECV:
        handshake_order_rx(handshake, &(struct order){.kind = ORDER_STOP_KEY, .u.local_index = act->u.local_index});
        break;
    case PEER_ACT_SWITCH_SEND:
        switch_send(handshake, act->u.send);
        break;
    case PEER_ACT_STOP_SEND:
        handshake_order_tx(handshake, &(struct order){.kind = ORDER_STOP_KEY});
        break;
    case PEER_ACT_SEND_CONTROL:
        send_control(handshake, &act->u.control);
        break;
    case PEER_ACT_SET_ENDPOINT:
        handshake_order_tx(handshake, &(struct order){.kind = ORDER_ENDPOINT, .u.endpoint = act->u.endpoint});
        handshake_order_rx(handshake, &(struct order){.kind = ORDER_ENDPOINT, .u.endpoint = act->u.endpoint});
        break;
    case PEER_ACT_SHARE:
        share(handshake, &act->u.share);
        break;
    case PEER_ACT_SET_PATH_MTU:
        if (ring_is_crowded(handshake->orders_tx))
            handshake->peer->told_path_mtu = 0; // again in the next turn
        else
            handshake_order_tx(handshake, &(struct order){.kind = ORDER_PATH_MTU, .u.path_mtu = act->u.path_mtu});
        break;
    case PEER_ACT_PATH_FOUND:
        handshake->event(handshake->event_ctx, HANDSHAKE_PATH_FOUND, NULL);
        break;
    case PEER_ACT_BLACK_HOLE:
        count_traffic(handshake->counters, COUNT_BLACK_HOLES, 1);
        handshake->event(handshake->event_ctx, HANDSHAKE_BLACK_HOLE, NULL);
        break;
    case PEER_ACT_CAME_UP:
    case PEER_ACT_WENT_DOWN:
        tell_up(handshake, act->kind == PEER_ACT_CAME_UP);
        break;
    case PEER_ACT_RESOLVE:
        handshake->event(handshake->event_ctx, HANDSHAKE_RESOLVE, NULL);
        break;
    }
}

void handshake_carry_out(struct handshake *handshake, uint64_t now_ns)
{
    const struct peer_pending *pending = handshake->peer ? &handshake->peer->pending : NULL;
    bool is_pending = pending && pending->is_active;

    // Before it is sent: the answer may come at once.
    atomic_store_explicit(&handshake->pending_index, is_pending ? pending->local_index : 0, memory_order_relaxed);
    for (size_t i = 0; i < handshake->acts.n; i++)
        carry_out(handshake, &handshake->acts.at[i], now_ns);
    handshake->acts.n = 0;
}

/* ---- handshake messages ---- */

static enum drop_reason open_initiation(struct handshake *handshake, const struct initiation_msg *msg, struct initiation_in *in)
{
    uint8_t hello[WIRE_HELLO_LEN];
    struct noise_params params = {
        .cipher = NOISE_CHACHAPOLY,
        .has_psk = true,
        .prologue = (const uint8_t *)WIRE_PROLOGUE,
        .prologue_len = sizeof WIRE_PROLOGUE - 1,
        .static_private = handshake->self->static_private,
    };

    noise_init(&in->noise, &params);
    if (!noise_consume_initiation(&in->noise, msg->noise, NOISE_INITIATION_OVERHEAD + WIRE_HELLO_LEN, hello))
        return DROP_HANDSHAKE_FAILED;
    if (!handshake->peer || sodium_memcmp(in->noise.rs, handshake->peer->config.public_key, NOISE_KEY_LEN) != 0)
        return DROP_HANDSHAKE_UNKNOWN_PEER;
    return hello_decode(&in->hello, hello) ? DROP_COUNT : DROP_HANDSHAKE_FAILED;
}

static enum drop_reason take_initiation(struct handshake *handshake, uint8_t *bytes, const struct endpoint *from,
                                        const struct peer_input *input)
{
    struct initiation_msg msg;
    struct initiation_in in = {.from = *from};

    initiation_decode(bytes, &msg);
    in.sender_index = msg.sender_index;
    enum drop_reason verdict = open_initiation(handshake, &msg, &in);
    if (verdict == DROP_COUNT)
        verdict = peer_initiation_received(handshake->peer, &in, input, &handshake->acts);
    noise_deinit(&in.noise);
    return verdict;
}

static enum drop_reason take_response(struct handshake *handshake, uint8_t *bytes, const struct peer_input *input)
{
    struct response_msg msg;

    response_decode(bytes, &msg);
    return peer_response_received(handshake->peer, &msg, input, &handshake->acts);
}

static enum drop_reason take_cookie_reply(struct handshake *handshake, const uint8_t *bytes, const struct peer_input *input)
{
    struct cookie_reply_msg msg;

    cookie_reply_decode(bytes, &msg);
    enum drop_reason verdict = peer_cookie_received(handshake->peer, &msg, input);
    count_traffic(handshake->counters, COUNT_COOKIES_TAKEN, verdict == DROP_COUNT);
    return verdict;
}

static void take_handshake(struct handshake *handshake, uint8_t *bytes, size_t len, const struct endpoint *from,
                           const struct peer_input *input)
{
    enum drop_reason verdict = DROP_HANDSHAKE_UNEXPECTED;

    switch (wire_classify(bytes, len)) {
    case MESSAGE_INITIATION:
        verdict = take_initiation(handshake, bytes, from, input);
        break;
    case MESSAGE_RESPONSE:
        verdict = take_response(handshake, bytes, input);
        break;
    case MESSAGE_COOKIE_REPLY:
        verdict = take_cookie_reply(handshake, bytes, input);
        break;
    case MESSAGE_DATA: // rx keeps those
    case MESSAGE_INVALID:
        break;
    }
    if (verdict != DROP_COUNT)
        count_drop(handshake->counters, verdict);
}

/* ---- reports ---- */

// Keys come home also when their peer has gone.
static void take_report(struct handshake *handshake, const struct report *report, const struct peer_input *input)
{
    switch (report->kind) {
    case REPORT_INSTALLED:
        if (handshake->peer)
            peer_recv_installed(handshake->peer, report->local_index, input, &handshake->acts);
        break;
    case REPORT_CONFIRMED:
        if (handshake->peer)
            peer_confirmed(handshake->peer, report->local_index, &report->endpoint, input, &handshake->acts);
        break;
    case REPORT_SEND_RETURNED:
        keystore_put_send(report->u.send);
        break;
    case REPORT_RECV_RETURNED:
        keystore_put_recv(report->u.recv);
        break;
    default:
        ensure_failed("a hint among the reports", __FILE__, __LINE__);
    }
}

static void take_hint(struct handshake *handshake, const struct report *hint, const struct peer_input *input)
{
    switch (hint->kind) {
    case REPORT_MOVED:
        peer_moved(handshake->peer, &hint->endpoint, hint->n_bytes, input, &handshake->acts);
        break;
    case REPORT_PROBE_ANSWER:
        peer_probe_answered(handshake->peer, hint->u.token, input, &handshake->acts);
        break;
    case REPORT_ECHO_ANSWER:
        if (!peer_echo_answered(handshake->peer, hint->u.token, input) && handshake->echoed)
            handshake->echoed(handshake->event_ctx, hint->u.token, input->now_ns);
        break;
    case REPORT_PATH:
        peer_path_reported(handshake->peer, &hint->u.path, hint->local_index, input);
        break;
    case REPORT_REFUSED:
        peer_path_refused(handshake->peer, (uint32_t)hint->n_bytes, input);
        break;
    case REPORT_UNREACHABLE:
        peer_unreachable(handshake->peer, input);
        break;
    case REPORT_TOO_BIG:
        peer_path_hinted(handshake->peer, &hint->endpoint.remote, (uint32_t)hint->n_bytes, input);
        break;
    case REPORT_GOODBYE:
        peer_goodbye_received(handshake->peer, hint->local_index, input, &handshake->acts);
        break;
    default:
        ensure_failed("a report among the hints", __FILE__, __LINE__);
    }
}

static void take_reports(struct handshake *handshake, uint64_t now_ns, uint64_t wall_ns)
{
    struct report report;

    for (int i = 0; i < 2; i++)
        while (ring_get(handshake->reports[i], &report, sizeof report) > 0) {
            struct peer_input input = handshake_input(handshake, now_ns, wall_ns);
            take_report(handshake, &report, &input);
            handshake_carry_out(handshake, now_ns);
        }
}

struct hint {
    struct report report;
    uint8_t datagram[WIRE_INITIATION_LEN]; // the longest of the handshake's
};

static void take_one_hint(struct handshake *handshake, struct hint *hint, size_t len, uint64_t now_ns, uint64_t wall_ns)
{
    if (hint->report.kind == REPORT_CONFLICT) {
        handshake->event(handshake->event_ctx, HANDSHAKE_CONFLICT, &hint->report.u.conflict);
        return;
    }
    if (!handshake->peer) {
        count_drop(handshake->counters, DROP_HANDSHAKE_UNKNOWN_PEER);
        return;
    }
    struct peer_input input = handshake_input(handshake, now_ns, wall_ns);
    if (hint->report.kind == REPORT_HANDSHAKE)
        take_handshake(handshake, hint->datagram, len - sizeof hint->report, &hint->report.endpoint, &input);
    else
        take_hint(handshake, &hint->report, &input);
    handshake_carry_out(handshake, now_ns);
}

// Returns whether the budget ended before the hints did.
static bool take_hints(struct handshake *handshake, uint64_t now_ns, uint64_t wall_ns)
{
    struct hint hint;
    bool is_more = false;

    for (int i = 0; i < 2; i++) {
        size_t len, budget = HINTS_PER_TURN;
        while (budget-- > 0 && (len = ring_get(handshake->hints[i], &hint, sizeof hint)) > 0)
            take_one_hint(handshake, &hint, len, now_ns, wall_ns);
        is_more = is_more || !ring_is_empty(handshake->hints[i]);
    }
    return is_more;
}

static void count_crossed(const struct handshake *handshake, struct quality_counts *counts)
{
    *counts = (struct quality_counts){
        .rx_frames = traffic_counted(handshake->rx->counters, COUNT_RX_FRAMES),
        .rx_bytes = traffic_counted(handshake->rx->counters, COUNT_RX_BYTES),
        .tx_frames = traffic_counted(handshake->tx_counters, COUNT_TX_FRAMES),
        .tx_bytes = traffic_counted(handshake->tx_counters, COUNT_TX_BYTES),
    };
    rx_arrivals(handshake->rx, &counts->rx);
}

static void sample_quality(struct handshake *handshake, uint64_t now_ns)
{
    struct quality_counts counts;

    if (!quality_wants_sample(&handshake->past, now_ns))
        return;
    count_crossed(handshake, &counts);
    quality_sample(&handshake->past, &handshake->peer->quality, &counts, now_ns);
}

void handshake_look(const struct handshake *handshake, enum quality_span span, uint64_t now_ns, struct quality_change *change)
{
    struct quality_counts counts;

    count_crossed(handshake, &counts);
    quality_look(&handshake->past, &(struct quality_now){now_ns, &handshake->peer->quality, &counts}, span, change);
}

uint64_t handshake_run(struct handshake *handshake, uint64_t now_ns, uint64_t wall_ns)
{
    uint64_t deadline_ns = now_ns + IDLE_NS;

    take_reports(handshake, now_ns, wall_ns);
    bool is_more = take_hints(handshake, now_ns, wall_ns);
    is_more = handshake_answer_requests(handshake, now_ns) || is_more;
    if (handshake->peer) {
        struct peer_input input = handshake_input(handshake, now_ns, wall_ns);
        sample_quality(handshake, now_ns);
        deadline_ns = peer_tick(handshake->peer, &input, &handshake->acts);
        handshake_carry_out(handshake, now_ns);
    }
    return is_more ? now_ns : deadline_ns;
}

void handshake_stop(struct handshake *handshake, uint64_t now_ns, uint64_t wall_ns)
{
    if (!handshake->peer)
        return;
    struct peer_input input = handshake_input(handshake, now_ns, wall_ns);
    peer_stop(handshake->peer, &input, &handshake->acts);
    handshake_carry_out(handshake, now_ns);
}

bool handshake_send_echo(struct handshake *handshake, const uint8_t id[static WIRE_TOKEN_LEN], uint64_t now_ns)
{
    struct peer_act act = {.kind = PEER_ACT_SEND_CONTROL, .u.control.type = RECORD_ECHO};

    if (!handshake->peer || !handshake->peer->current.is_used || !handshake->peer->has_endpoint)
        return false;
    memcpy(act.u.control.body, id, WIRE_TOKEN_LEN);
    carry_out(handshake, &act, now_ns);
    return true;
}

void handshake_set_addresses(struct handshake *handshake, const struct addr *addresses, size_t n, uint64_t now_ns)
{
    if (!handshake->peer)
        return;
    struct peer_input input = handshake_input(handshake, now_ns, 0);
    peer_set_addresses(handshake->peer, addresses, n, &input);
}
