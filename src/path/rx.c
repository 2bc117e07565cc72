// SPDX-License-Identifier: MIT
/*
 * rx: UDP to TAP, one static function per step, in this order:
 *
 *   1 receive a batch                             receive
 *   2 classify by type and exact length           take_datagram (handshake messages: rx_handshake.c)
 *   3 find the session by index                   take_data
 *   4 open                                        take_data (session_open)
 *   5 replay check, after authentication          take_data (session_open)
 *   6 accept the endpoint, feed the timers        accept_endpoint
 *   7 let the shortcut take what is its own       rx_deliver.c
 *   8 rejoin or reassemble                        rx_deliver.c
 *   9 write                                       rx_deliver.c
 *
 * Data messages are opened from where they were received to where their payload is wanted: behind the payload of the run that is open. When
 * it is the next segment of that run it is in its place; what it is else is dealt with at once, from there.
 */
#include "ethercord/rx.h"

#include <errno.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/clock.h"
#include "ethercord/frame.h"
#include "messages.h"
#include "rx_private.h"

#define MOVED_EVERY_NS (2 * NS_PER_MS) // whoever copies the peer's datagrams from elsewhere decides how often it moves
#define PATH_REPORT_EVERY_NS (100 * NS_PER_MS)
#define TOO_BIG_EVERY_NS (10 * NS_PER_MS) // hints to main: one is as good as a thousand
enum {
    // Entries of the error queue at a time: as many as datagrams in a turn, twice. They lie in the socket's buffer, and each reply to a
    // forged address may come back as one: what is left there takes room from what the peer sends.
    ERRORS_BUDGET = 2 * RX_BUDGET * RX_BATCH,
    REPORTED_MIN = PATH_MTU_MIN - 28 // what is shorter passes everywhere
};

// Bytes.
enum {
    // A stride that is no power of two: the buffers' beginnings lie in different sets of the cache.
    SLOT_CAP = UDP_ROOM_MAX + 1 + 17 * 64,
    OPENED_CAP = IP_PACKET_MAX + UDP_ROOM_MAX
};

static int receive(struct rx *rx, int which, uint64_t now_ns);
static void take_datagram(struct rx *rx, struct rx_datagram *datagram, uint64_t now_ns);
static enum drop_reason take_data(struct rx *rx, struct rx_datagram *datagram, uint64_t now_ns);
static void accept_endpoint(struct rx *rx, struct recv_session *session, const struct rx_datagram *datagram, uint64_t now_ns);
static enum drop_reason take_record(struct rx *rx, const struct record *record, const struct rx_datagram *datagram, uint64_t now_ns);

int rx_init(struct rx *rx)
{
    int error = pool_init(&rx->pool, RX_BATCH, SLOT_CAP);

    if (error || (error = pool_init(&rx->opened_pool, 1, OPENED_CAP)))
        return error;
    for (int i = 0; i < RX_BATCH; i++)
        rx->in[i] = pool_get(&rx->pool, 0);
    rx->opened = pool_get(&rx->opened_pool, 0);
    rx->n_asked = RX_BATCH;
    tap_out_init(&rx->tap_out, rx->tap, rx->counters);
    rx->tap_out.capture = &rx->capture;
    return 0;
}

void rx_deinit(struct rx *rx)
{
    for (int i = 0; i < RX_BATCH; i++)
        if (rx->in[i])
            pool_put(&rx->pool, rx->in[i]);
    if (rx->opened)
        pool_put(&rx->opened_pool, rx->opened);
    ensure(pool_deinit(&rx->pool) == 0 && pool_deinit(&rx->opened_pool) == 0);
    cookie_checker_deinit(&rx->checker);
}

static void report(struct rx *rx, const struct report *message)
{
    ensure(ring_put(rx->reports, message, sizeof *message, NULL, 0)); // sized for every key there is
    rx->needs_main = true;
}

bool rx_hint(struct rx *rx, const struct report *message, const void *bytes, size_t len)
{
    if (!ring_put(rx->hints, message, sizeof *message, bytes, len))
        return false;
    rx->needs_main = true;
    return true;
}

/* ---- orders from main ---- */

static void install(struct rx *rx, struct recv_session *session)
{
    ensure(rx->n_sessions < RX_SESSIONS);
    rx->sessions[rx->n_sessions++] = session;
    report(rx, &(struct report){.kind = REPORT_INSTALLED, .local_index = session->local_index});
}

static void give_key_back(struct rx *rx, uint32_t local_index)
{
    for (size_t i = 0; i < rx->n_sessions; i++)
        if (rx->sessions[i]->local_index == local_index) {
            report(rx, &(struct report){.kind = REPORT_RECV_RETURNED, .u.recv = rx->sessions[i]});
            rx->sessions[i] = rx->sessions[--rx->n_sessions];
            return;
        }
}

void rx_take_orders(struct rx *rx, uint64_t now_ns)
{
    struct order order;

    while (ring_get(rx->orders, &order, sizeof order) > 0)
        switch (order.kind) {
        case ORDER_KEY:
            install(rx, order.u.recv);
            break;
        case ORDER_STOP_KEY:
            give_key_back(rx, order.u.local_index);
            break;
        case ORDER_ENDPOINT:
            rx->has_endpoint = true;
            rx->endpoint = order.u.endpoint;
            rx->has_moved = false;
            break;
        case ORDER_CURRENT:
            rx->current_index = order.u.local_index;
            break;
        case ORDER_REPORT:
            rx->is_report_wanted = true;
            break;
        case ORDER_ANNOUNCE:
            shortcut_announce(rx->shortcut, now_ns);
            break;
        case ORDER_COOKIE:
            cookie_set_secret(&rx->checker, &order.u.cookie);
            sodium_memzero(&order, sizeof order);
            break;
        case ORDER_SETTINGS:
            rx->reassembly.limits.timeout_ns = order.u.settings.reassembly_timeout_ns;
            shortcut_reconfigure(rx->shortcut, &order.u.settings.shortcut, order.u.settings.is_peer_up, now_ns);
            break;
        case ORDER_CONTROL: // tx's alone
        case ORDER_SHARE:
        case ORDER_PATH_MTU:
            break;
        }
}

/* ---- the pipeline ---- */

bool rx_run(struct rx *rx, int which, uint64_t now_ns)
{
    bool is_empty = false;

    for (int i = 0; i < RX_BUDGET && !is_empty; i++) {
        int n_asked = rx->n_asked;
        is_empty = receive(rx, which, now_ns) < n_asked;
    }
    if (is_empty)
        rx_rest(rx, now_ns);

    struct report conflict = {.kind = REPORT_CONFLICT};
    if (shortcut_take_conflict(rx->shortcut, &conflict.u.conflict))
        rx_hint(rx, &conflict, NULL, 0);
    return is_empty;
}

static void take_train(struct rx *rx, const struct udp_train *train, uint64_t now_ns)
{
    struct rx_datagram datagram = {.endpoint = &train->endpoint, .ecn = train->ecn};

    count_traffic(rx->counters, COUNT_RX_TRAINS, 1);
    count_traffic(rx->counters, COUNT_RX_DATAGRAM_BYTES, train->len);
    if (train->is_truncated || train->len == 0) {
        count_traffic(rx->counters, COUNT_RX_DATAGRAMS, 1);
        count_drop(rx->counters, train->is_truncated ? DROP_DATAGRAM_TRUNCATED : DROP_MALFORMED);
        return;
    }
    for (size_t at = 0; at < train->len; at += train->datagram_len) {
        size_t left = train->len - at;
        datagram.bytes = train->bytes + at;
        datagram.len = left < train->datagram_len ? left : train->datagram_len;
        take_datagram(rx, &datagram, now_ns);
    }
}

// One batch. Returns how many trains came, or negative errno.
static int receive(struct rx *rx, int which, uint64_t now_ns)
{
    struct udp *udp = &rx->udp[which];
    bool is_long = false;

    for (int i = 0; i < rx->n_asked; i++)
        rx->trains[i] = (struct udp_train){.bytes = rx->in[i]->mem, .len = rx->in[i]->cap};
    int n = udp->ops->recv_batch(udp, rx->trains, rx->n_asked);
    for (int i = 0; i < n; i++) {
        is_long = is_long || rx->trains[i].len > rx->trains[i].datagram_len;
        take_train(rx, &rx->trains[i], now_ns);
    }
    rx->n_asked = is_long ? RX_BATCH_LONG : RX_BATCH;
    return n;
}

static void take_datagram(struct rx *rx, struct rx_datagram *datagram, uint64_t now_ns)
{
    enum drop_reason verdict = DROP_MALFORMED;

    count_traffic(rx->counters, COUNT_RX_DATAGRAMS, 1);
    switch (wire_classify(datagram->bytes, datagram->len)) {
    case MESSAGE_DATA:
        verdict = take_data(rx, datagram, now_ns);
        break;
    case MESSAGE_INITIATION:
        verdict = rx_take_initiation(rx, datagram, now_ns);
        break;
    case MESSAGE_RESPONSE:
        verdict = rx_take_response(rx, datagram, now_ns);
        break;
    case MESSAGE_COOKIE_REPLY:
        verdict = rx_take_cookie_reply(rx, datagram, now_ns);
        break;
    case MESSAGE_INVALID:
        break;
    }
    if (verdict != DROP_COUNT)
        count_drop(rx->counters, verdict);
}

static struct recv_session *find_session(struct rx *rx, uint32_t local_index)
{
    for (size_t i = 0; i < rx->n_sessions; i++)
        if (rx->sessions[i]->local_index == local_index)
            return rx->sessions[i];
    return NULL;
}

// Before anything else of it is looked at: `next` is the counter that was expected.
static void count_arrival(struct rx *rx, uint64_t counter, uint64_t next)
{
    count_traffic(rx->counters, COUNT_RX_MESSAGES, 1);
    if (counter >= next)
        count_traffic(rx->counters, COUNT_RX_MESSAGES_EXPECTED, counter + 1 - next);
    else
        count_traffic(rx->counters, COUNT_RX_MESSAGES_LATE, 1);
}

static bool is_repeated(enum drop_reason verdict, uint64_t counter, uint64_t next)
{
    return verdict == DROP_REPLAYED && counter < next && next - 1 - counter < REPLAY_WINDOW;
}

static enum drop_reason take_data(struct rx *rx, struct rx_datagram *datagram, uint64_t now_ns)
{
    uint8_t *payload = rx->opened->mem + (rx->run.is_open ? rx->run.payload_len : 0);

    data_header_decode(datagram->bytes, &datagram->header);
    struct recv_session *session = find_session(rx, datagram->header.receiver_index);
    if (!session)
        return DROP_UNKNOWN_INDEX;
    uint64_t next = session->replay.next;
    bool is_newest = datagram->header.counter >= next;
    enum drop_reason verdict = session_open(session, datagram->bytes, datagram->len, now_ns, payload);
    if (verdict != DROP_COUNT) {
        count_traffic(rx->counters, COUNT_RX_MESSAGES_REPEATED, is_repeated(verdict, datagram->header.counter, next));
        return verdict;
    }

    datagram->session = session;
    count_arrival(rx, datagram->header.counter, next);
    activity_note(&rx->activity->received_ns, now_ns);
    if (datagram->len > rx->largest)
        rx->largest = datagram->len;
    bool is_good = records_decode(&rx->decoded, payload, datagram->len - WIRE_DATA_OVERHEAD);
    if (is_newest)
        accept_endpoint(rx, session, datagram, now_ns);
    if (!is_good)
        return DROP_BAD_RECORD;
    for (size_t i = 0; i < rx->decoded.n; i++) {
        verdict = take_record(rx, &rx->decoded.at[i], datagram, now_ns);
        if (verdict != DROP_COUNT)
            count_drop(rx->counters, verdict);
    }
    return DROP_COUNT;
}

// The bytes of its packet, of which a new endpoint gets no more than three times as many before it has answered. The answer_len to a probe
// is part of that.
static uint64_t worth_of(const struct rx *rx, const struct rx_datagram *datagram)
{
    size_t headers_len = addr_headers_len(&datagram->endpoint->remote), size = datagram->len + headers_len;
    size_t answer_len = WIRE_TOKEN_MESSAGE_LEN + headers_len;
    bool is_probe = rx->decoded.n == 1 && rx->decoded.at[0].type == RECORD_PROBE;

    return is_probe ? size - (answer_len + WIRE_AMPLIFICATION_MAX - 1) / WIRE_AMPLIFICATION_MAX : size;
}

static void accept_endpoint(struct rx *rx, struct recv_session *session, const struct rx_datagram *datagram, uint64_t now_ns)
{
    const struct endpoint *from = datagram->endpoint;

    if (!session->is_confirmed) {
        session->is_confirmed = true;
        report(rx, &(struct report){.kind = REPORT_CONFIRMED, .local_index = session->local_index, .endpoint = *from});
        return;
    }
    if (session->local_index != rx->current_index)
        return;
    if (rx->has_endpoint && endpoint_matches(&rx->endpoint, from)) {
        if (rx->has_moved) // and is back
            rx->has_moved = !rx_hint(rx, &(struct report){.kind = REPORT_MOVED, .endpoint = *from}, NULL, 0);
        return;
    }
    if (!endpoint_equal(&rx->moved_to, from)) {
        rx->moved_to = *from;
        rx->moved_bytes = 0;
    }
    rx->moved_bytes += worth_of(rx, datagram);
    if (age_ns(now_ns, rx->moved_ns) < MOVED_EVERY_NS)
        return;
    rx->moved_ns = now_ns;
    if (!rx_hint(rx, &(struct report){.kind = REPORT_MOVED, .n_bytes = rx->moved_bytes, .endpoint = *from}, NULL, 0))
        return;
    rx->moved_bytes = 0;
    rx->has_moved = true;
}

static enum drop_reason take_token(struct rx *rx, enum report_kind kind, const struct record *record)
{
    struct report message = {.kind = kind};

    memcpy(message.u.token, record->body, WIRE_TOKEN_LEN);
    return rx_hint(rx, &message, NULL, 0) ? DROP_COUNT : DROP_RING_FULL; // a lost one is asked for again
}

static enum drop_reason answer(struct rx *rx, const struct record_header *header, const struct record *request)
{
    return rx_send_record(rx, header, request->body, WIRE_TOKEN_LEN) ? DROP_COUNT : DROP_RING_FULL;
}

static enum drop_reason take_goodbye(struct rx *rx, const struct rx_datagram *datagram)
{
    const struct report message = {.kind = REPORT_GOODBYE, .local_index = datagram->header.receiver_index};

    return rx_hint(rx, &message, NULL, 0) ? DROP_COUNT : DROP_RING_FULL;
}

// The peer says which of its counters are not to be missed, or one of those has come after all.
static void excuse(struct rx *rx, const struct rx_datagram *datagram, uint64_t told, uint64_t n_probes)
{
    datagram->session->n_probes += n_probes;
    count_add(&rx->n_excused, (uint64_t)recv_session_excuse(datagram->session, told));
}

static enum drop_reason take_path_report(struct rx *rx, const struct record *record, const struct rx_datagram *datagram)
{
    struct report message = {.kind = REPORT_PATH, .local_index = datagram->header.receiver_index};

    path_report_decode(&message.u.path, record->body, record->len);
    if (message.u.path.has_arrivals)
        excuse(rx, datagram, message.u.path.n_excused, 0);
    return rx_hint(rx, &message, NULL, 0) ? DROP_COUNT : DROP_RING_FULL;
}

static enum drop_reason take_record(struct rx *rx, const struct record *record, const struct rx_datagram *datagram, uint64_t now_ns)
{
    switch (record->type) {
    case RECORD_FRAME:
        return rx_take_frame(rx, record, datagram->ecn, now_ns);
    case RECORD_FRAGMENT:
        rx_take_fragment(rx, record, datagram, now_ns);
        break;
    case RECORD_SEGMENT:
        return rx_take_segment(rx, record, datagram, now_ns);
    case RECORD_PROBE:
        excuse(rx, datagram, 0, 1);
        return answer(rx, &(struct record_header){.type = RECORD_PROBE_ANSWER, .has_to = true, .to = *datagram->endpoint}, record);
    case RECORD_ECHO: // somebody wants to know what the way is like
        rx->is_report_wanted = true;
        return answer(rx, &(struct record_header){.type = RECORD_ECHO_ANSWER}, record);
    case RECORD_PROBE_ANSWER:
        return take_token(rx, REPORT_PROBE_ANSWER, record);
    case RECORD_ECHO_ANSWER:
        return take_token(rx, REPORT_ECHO_ANSWER, record);
    case RECORD_GOODBYE:
        return take_goodbye(rx, datagram);
    case RECORD_PATH_REPORT:
        return take_path_report(rx, record, datagram);
    case RECORD_TYPE_COUNT:
        return DROP_BAD_RECORD;
    }
    return DROP_COUNT;
}

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns == 0 || (b_ns != 0 && b_ns < a_ns) ? b_ns : a_ns;
}

void rx_arrivals(const struct rx *rx, struct arrivals *arrivals)
{
    // In this order: what comes meanwhile makes no loss.
    uint64_t n_expected = traffic_counted(rx->counters, COUNT_RX_MESSAGES_EXPECTED);
    uint64_t n_here = traffic_counted(rx->counters, COUNT_RX_MESSAGES) + atomic_load_explicit(&rx->n_excused, memory_order_relaxed);

    *arrivals = (struct arrivals){
        .n_expected = n_expected,
        .n_lost = n_expected > n_here ? n_expected - n_here : 0,
        .n_late = traffic_counted(rx->counters, COUNT_RX_MESSAGES_LATE),
        .n_repeated = traffic_counted(rx->counters, COUNT_RX_MESSAGES_REPEATED),
    };
}

// The peer wants to know whether its large datagrams arrive, and when it asks, what else does. Returns when the next report is due, or 0.
// A report asks for none.
static uint64_t report_path(struct rx *rx, uint64_t now_ns)
{
    static const struct record_header header = {.type = RECORD_PATH_REPORT};
    struct path_report path = {.largest = (uint16_t)rx->largest};
    uint8_t body[WIRE_PATH_REPORT_LEN];

    if (rx->largest <= REPORTED_MIN && !rx->is_report_wanted)
        return 0;
    if (age_ns(now_ns, rx->reported_ns) < PATH_REPORT_EVERY_NS)
        return rx->reported_ns + PATH_REPORT_EVERY_NS;
    rx_arrivals(rx, &path.arrivals);
    path_report_encode(&path, body);
    if (!rx_send_record(rx, &header, body, sizeof body))
        count_drop(rx->counters, DROP_RING_FULL);
    rx->largest = 0;
    rx->is_report_wanted = false;
    rx->reported_ns = now_ns;
    return 0;
}

// Of IPv4, our kernel's own refusals name no port.
static bool is_about_peer(const struct rx *rx, const struct udp_error *error)
{
    return rx->has_endpoint && addr_equal_ip(&rx->endpoint.remote, &error->remote);
}

void rx_take_errors(struct rx *rx, int which, uint64_t now_ns)
{
    struct udp *udp = &rx->udp[which];
    struct udp_error error;
    char text[ADDR_TEXT_CAP];

    for (int i = 0; i < ERRORS_BUDGET && udp->ops->next_error(udp, &error) == 1; i++) {
        count_traffic(rx->counters, COUNT_ICMP_ERRORS, error.is_local ? 0 : 1);
        log_tell(&(struct log_about){LOG_EVENT_UNDERLAY, .limit = &rx->underlay_limit, .now_ns = now_ns}, "underlay error for %s: %s",
                 addr_format(&error.remote, text), strerror(error.error));
        if (error.mtu == 0 || !is_about_peer(rx, &error))
            continue;
        if (age_ns(now_ns, rx->too_big_ns) < TOO_BIG_EVERY_NS) // whatever it says: anybody can forge them
            continue;
        rx->too_big_ns = now_ns;
        rx_hint(rx, &(struct report){.kind = REPORT_TOO_BIG, .n_bytes = error.mtu, .endpoint.remote = error.remote}, NULL, 0);
    }
}

uint64_t rx_tick(struct rx *rx, uint64_t now_ns)
{
    uint64_t path_ns = report_path(rx, now_ns);
    uint64_t shortcut_ns = shortcut_tick(rx->shortcut, now_ns);
    uint64_t reassembly_ns = reassembly_expire(&rx->reassembly, now_ns, rx->counters);

    rx_answer_peer(rx);
    if (rx->run.is_open && now_ns >= rx->run_until_ns)
        rx_finish_run(rx, now_ns);
    return earlier(earlier(earlier(shortcut_ns, reassembly_ns), path_ns), rx->run.is_open ? rx->run_until_ns : 0);
}
