// SPDX-License-Identifier: MIT
/*
 * rx_handshake: which handshake messages main gets to see. It is decided here, before anything crosses a thread, so that what anybody can
 * send never takes the place of what is expected:
 *
 *   initiation with a valid mac2            to main, within the limit of its source
 *   initiation without, while there are few to main
 *   initiation without, else                is only answered with a cookie: it waits on a ring of its own, and has to go when that is full
 *   response, cookie reply                  to main if it names the initiation that waits for it
 *
 * mac1 shows no more than that the sender knows our public key, which is no secret; the index of an initiation is known to who sees it.
 */
#include "ethercord/bucket.h"
#include "ethercord/clock.h"
#include "rx_private.h"

// Tuning constants.
enum {
    INITIATIONS_PER_S = 50, // a handshake costs main some 200 us: beyond these numbers a cookie has to be shown first
    INITIATIONS_BURST = 50,
    ANSWERS_PER_S = 50, // of each kind, to our initiations, of which there are some two a second
    ANSWERS_BURST = 50
};

static enum drop_reason pass_on(struct rx *rx, const struct rx_datagram *datagram)
{
    const struct report message = {.kind = REPORT_HANDSHAKE, .endpoint = *datagram->endpoint};

    return rx_hint(rx, &message, datagram->bytes, datagram->len) ? DROP_COUNT : DROP_HANDSHAKE_QUEUE_FULL;
}

static enum drop_reason ask_for_cookie(struct rx *rx, const struct rx_datagram *datagram)
{
    if (!ring_put(rx->cookie_requests, datagram->endpoint, sizeof *datagram->endpoint, datagram->bytes, WIRE_INITIATION_LEN))
        return DROP_HANDSHAKE_QUEUE_FULL;
    rx->needs_main = true;
    return DROP_BAD_MAC2;
}

enum drop_reason rx_take_initiation(struct rx *rx, const struct rx_datagram *datagram, uint64_t now_ns)
{
    const struct addr *from = &datagram->endpoint->remote;

    if (!cookie_check_mac1(&rx->checker, datagram->bytes, datagram->len))
        return DROP_BAD_MAC1;
    if (cookie_check_mac2(&rx->checker, datagram->bytes, datagram->len, from, now_ns))
        return source_limit_take(&rx->sources, from, now_ns) ? pass_on(rx, datagram) : DROP_HANDSHAKE_LIMIT;
    if (bucket_take(&rx->initiations_full_ns, NS_PER_S / INITIATIONS_PER_S, INITIATIONS_BURST, now_ns))
        return pass_on(rx, datagram);
    return ask_for_cookie(rx, datagram);
}

// Of the initiation that main waits with, and not too many: somebody may see its index, and answer faster than the peer. `full_ns`: a
// bucket for each kind, for who does not know our public key can make cookie replies, but no responses.
static enum drop_reason take_answer(struct rx *rx, const struct rx_datagram *datagram, uint64_t *full_ns, uint64_t now_ns)
{
    uint32_t pending = atomic_load_explicit(rx->pending_index, memory_order_relaxed);

    if (pending == 0 || wire_index(datagram->bytes) != pending)
        return DROP_HANDSHAKE_UNEXPECTED;
    if (!bucket_take(full_ns, NS_PER_S / ANSWERS_PER_S, ANSWERS_BURST, now_ns))
        return DROP_HANDSHAKE_LIMIT;
    return pass_on(rx, datagram);
}

enum drop_reason rx_take_response(struct rx *rx, const struct rx_datagram *datagram, uint64_t now_ns)
{
    if (!cookie_check_mac1(&rx->checker, datagram->bytes, datagram->len))
        return DROP_BAD_MAC1;
    return take_answer(rx, datagram, &rx->responses_full_ns, now_ns);
}

enum drop_reason rx_take_cookie_reply(struct rx *rx, const struct rx_datagram *datagram, uint64_t now_ns)
{
    return take_answer(rx, datagram, &rx->cookie_replies_full_ns, now_ns);
}
