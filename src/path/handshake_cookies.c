// SPDX-License-Identifier: MIT
/*
 * handshake_cookies: answers initiations that showed no cookie while there were too many, a batch in one call. As many as come: an honest
 * caller can't be told from a forged one before it has its cookie, so it must not have to draw lots with them more often than needed.
 *
 * rx has put each request there and counted the initiation; nothing more is done for whom no reply could be sent.
 */
#include "ethercord/clock.h"
#include "handshake_private.h"

static void tell_secret(struct handshake *handshake)
{
    struct order order = {.kind = ORDER_COOKIE};

    if (handshake->told_secret_ns == handshake->checker.secret_born_ns)
        return;
    handshake->told_secret_ns = handshake->checker.secret_born_ns;
    cookie_get_secret(&handshake->checker, &order.u.cookie);
    handshake_order_rx(handshake, &order);
    sodium_memzero(&order, sizeof order);
}

static void make_reply(struct handshake *handshake, size_t i, const struct cookie_request *request, uint64_t now_ns)
{
    struct cookie_replies *replies = &handshake->replies;
    struct cookie_reply_msg msg = {.receiver_index = wire_index(request->initiation)};

    cookie_create_reply(&handshake->checker, request->initiation, WIRE_INITIATION_LEN, &request->from.remote, now_ns, replies->random[i],
                        &msg.cookie);
    cookie_reply_encode(&msg, replies->bytes[i]);
    replies->trains[i] = (struct udp_train){
        .endpoint = request->from, .bytes = replies->bytes[i], .len = WIRE_COOKIE_REPLY_LEN, .datagram_len = WIRE_COOKIE_REPLY_LEN};
}

// One that is refused (spoofed from where no route leads) costs nobody else his. What would block is let go: they will ask again.
static void send_replies(struct handshake *handshake, int n)
{
    const struct udp_train *trains = handshake->replies.trains;

    for (int at = 0, sent; at < n; at += sent) {
        struct udp *udp = &handshake->udp[trains[at].endpoint.remote.family == AF_INET6];
        sent = udp->ops->send_batch(udp, trains + at, n - at);
        if (sent == 0)
            return;
        if (sent < 0) {
            sent = 1;
            continue;
        }
        count_traffic(handshake->counters, COUNT_COOKIE_REPLIES, (uint64_t)sent);
        count_traffic(handshake->counters, COUNT_TX_DATAGRAMS, (uint64_t)sent);
        count_traffic(handshake->counters, COUNT_TX_DATAGRAM_BYTES, (uint64_t)sent * WIRE_COOKIE_REPLY_LEN);
    }
}

bool handshake_answer_requests(struct handshake *handshake, uint64_t now_ns)
{
    struct cookie_request request;
    size_t n = 0;

    while (n < COOKIE_REPLIES_MAX && ring_get(handshake->cookie_requests, &request, sizeof request) > 0) {
        if (n == 0)
            random_fill(&handshake->random, handshake->replies.random, sizeof handshake->replies.random);
        make_reply(handshake, n++, &request, now_ns);
    }
    if (n == 0)
        return false;
    log_tell(&(struct log_about){LOG_EVENT_UNDER_LOAD, .limit = &handshake->under_load, .now_ns = now_ns},
             "more handshakes are begun than can be looked into, the last one from %s: callers have to show a cookie first, sessions go on",
             addr_format(&request.from.remote, (char[ADDR_TEXT_CAP]){0}));
    sodium_memzero(handshake->replies.random, sizeof handshake->replies.random); // one of them may be the secret
    tell_secret(handshake);
    send_replies(handshake, (int)n);
    return !ring_is_empty(handshake->cookie_requests);
}
