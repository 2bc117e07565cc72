// SPDX-License-Identifier: MIT
/*
 * tx_send: step 8 of the tx pipeline: sealed datagrams leave, in trains. Those that the underlay does not take now stay and go first the
 * next time, byte for byte: a counter belongs to its ciphertext for ever.
 */
#include <errno.h>
#include <string.h>

#include "ethercord/clock.h"
#include "messages.h"
#include "tx_private.h"

// A full queue (ENOBUFS) has room again after a packet's time. Some devices say it for ever of what is too long for them, or for their
// queue.
#define STUCK_NS (50 * NS_PER_MS)
#define UNREACHABLE_EVERY_NS (100 * NS_PER_MS) // main is told that often

// Main wants to know at once when large datagrams begin to go out: from then on it waits for the peer's report about them.
static void note_size(struct tx *tx, const struct tx_datagram *datagram)
{
    if (activity_note_size(tx->activity, (uint32_t)(datagram->len + addr_headers_len(&datagram->to.remote))))
        tx->needs_main = true;
}

void tx_excuse(struct tx *tx, struct tx_datagram *datagram)
{
    if (!datagram->is_excused && tx->session)
        tx->session->n_excused++;
    datagram->is_excused = true;
}

static void count_sent(struct tx *tx, const struct tx_datagram *datagram)
{
    count_traffic(tx->counters, COUNT_TX_DATAGRAMS, 1);
    count_traffic(tx->counters, COUNT_TX_DATAGRAM_BYTES, datagram->len);
    count_traffic(tx->counters, COUNT_TX_FRAMES, datagram->n_frames);
    count_traffic(tx->counters, COUNT_TX_BYTES, datagram->n_bytes);
    count_traffic(tx->counters, COUNT_TX_SEGMENTS, datagram->is_segment ? 1 : 0);
    if (datagram->n_frames > 0 || datagram->is_fragment)
        note_size(tx, datagram);
}

// A packet that is too long for our own interface: its MTU has become less, or this is how a probe finds it out. What was made for the old
// size is lost; what comes is made for one that passes, until main has found the largest.
static void report_refused(struct tx *tx, const struct tx_datagram *datagram)
{
    size_t size = datagram->len + addr_headers_len(&datagram->to.remote);
    const struct report message = {.kind = REPORT_REFUSED, .n_bytes = size};

    if (tx->is_path_mtu_fixed || !addr_equal(&datagram->to.remote, &tx->endpoint.remote))
        return;
    if (!ring_put(tx->hints, &message, sizeof message, NULL, 0))
        return; // the next one will be told
    tx->needs_main = true;
    if (datagram->is_probe || size > tx->path_mtu)
        return;
    if (size > PMTU_BASE)
        tx_set_path_mtu(tx, PMTU_BASE);
    else if (datagram->to.remote.family == AF_INET)
        tx_set_path_mtu(tx, PATH_MTU_MIN);
}

static bool is_way_gone(int error)
{
    return error == -ENETUNREACH || error == -EHOSTUNREACH || error == -ENETDOWN || error == -ENODEV || error == -EADDRNOTAVAIL;
}

// The peer may be reached at another of its addresses: this one's interface or route is gone.
static void report_unreachable(struct tx *tx, uint64_t now_ns)
{
    if (age_ns(now_ns, tx->unreachable_ns) < UNREACHABLE_EVERY_NS)
        return;
    tx->unreachable_ns = now_ns;
    if (ring_put(tx->hints, &(struct report){.kind = REPORT_UNREACHABLE}, sizeof(struct report), NULL, 0))
        tx->needs_main = true;
}

// The first datagram can't be sent, ever. The other pieces of its frame are of no use then.
static void refuse(struct tx *tx, int error, uint64_t now_ns)
{
    struct tx_datagram *datagram = &tx->out[tx->first_out];
    char to[ADDR_TEXT_CAP];

    tx_excuse(tx, datagram);
    if (error == -EMSGSIZE)
        report_refused(tx, datagram);
    if (is_way_gone(error) && addr_equal(&datagram->to.remote, &tx->endpoint.remote))
        report_unreachable(tx, now_ns);
    if (datagram->is_probe) {
        tx->first_out++;
        return;
    }
    if (datagram->is_fragment) {
        count_drop(tx->counters, DROP_SEND_FAILED);
        tx->is_skipping_run = !datagram->is_last_fragment;
    } else {
        count_add(&tx->counters->drops[DROP_SEND_FAILED], datagram->n_frames);
    }
    log_tell(&(struct log_about){LOG_EVENT_SEND_FAILED, .limit = &tx->send_failed, .now_ns = now_ns}, "can't send %zu bytes to %s: %s%s",
             datagram->len, addr_format(&datagram->to.remote, to), strerror(-error),
             !tx->is_path_mtu_fixed && error == -EMSGSIZE ? "; the path MTU is looked for anew" : udp_send_advice(error));
    tx->first_out++;
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

static bool may_follow(const struct udp_train *train, const struct tx_datagram *datagram, size_t n_datagrams)
{
    return !datagram->is_probe && datagram->len <= train->datagram_len && train->len == n_datagrams * train->datagram_len &&
           n_datagrams < UDP_TRAIN_DATAGRAMS_MAX && train->len + datagram->len <= UDP_TRAIN_BYTES_MAX && datagram->ecn == train->ecn &&
           endpoint_equal(&datagram->to, &train->endpoint);
}

// Datagrams that lie one behind the other and are alike become a train. Returns how many trains there are for the first one's socket.
static int gather(struct tx *tx)
{
    uint16_t family = tx->out[tx->first_out].to.remote.family;
    struct udp_train *train = NULL;
    bool is_closed = true; // nothing may follow in this train
    size_t n_datagrams = 0;
    int n = 0;

    for (int i = tx->first_out; i < tx->n_out && tx->out[i].to.remote.family == family; i++) {
        const struct tx_datagram *datagram = &tx->out[i];
        if (!is_closed && may_follow(train, datagram, n_datagrams)) {
            train->len += datagram->len;
            n_datagrams++;
            continue;
        }
        if (n == UDP_BATCH_MAX)
            break;
        train = &tx->trains[n++];
        is_closed = datagram->is_probe; // it may be refused, and is to have no others with it
        n_datagrams = 1;
        *train = (struct udp_train){.endpoint = datagram->to,
                                    .bytes = datagram->bytes,
                                    .len = datagram->len,
                                    .datagram_len = datagram->len,
                                    .ecn = (uint8_t)datagram->ecn};
    }
    return n;
}

static int send_trains(struct tx *tx)
{
    struct udp *udp = &tx->udp[tx->out[tx->first_out].to.remote.family == AF_INET6];

    if (udp->family == AF_UNSPEC)
        return -EAFNOSUPPORT;
    return udp->ops->send_batch(udp, tx->trains, gather(tx));
}

// Whether the first datagram is not to be tried again, though the kernel says that it is only its queue that is full.
static bool is_hopeless(struct tx *tx, uint64_t now_ns)
{
    const struct tx_datagram *datagram = &tx->out[tx->first_out];

    if (tx->refused_len && datagram->len >= tx->refused_len)
        return true;
    if (tx->stuck_ns == 0)
        tx->stuck_ns = now_ns;
    if (age_ns(now_ns, tx->stuck_ns) < STUCK_NS)
        return false;
    tx->refused_len = datagram->len;
    return true;
}

static int n_datagrams_of(const struct udp_train *train)
{
    return (int)((train->len + train->datagram_len - 1) / train->datagram_len);
}

// A candidate gets a copy of what was sent to the endpoint, as far as its share goes. That it is refused means nothing: the original has
// left. Both may arrive; the peer's replay window keeps the second one out. One by one: what the way to the candidate thinks of trains must
// not change what is known of the way to the endpoint.
static void send_copies(struct tx *tx, int n_datagrams)
{
    struct udp *udp = &tx->udp[tx->share_to.remote.family == AF_INET6];
    const struct tx_datagram *datagram = &tx->out[tx->first_out];

    for (; n_datagrams > 0; n_datagrams--, datagram++) {
        size_t size = datagram->len + addr_headers_len(&tx->share_to.remote);
        const struct udp_train copy = {.endpoint = tx->share_to,
                                       .bytes = datagram->bytes,
                                       .len = datagram->len,
                                       .datagram_len = datagram->len,
                                       .ecn = (uint8_t)datagram->ecn};
        if (size > tx->share_bytes || datagram->is_probe || udp->family == AF_UNSPEC || !endpoint_equal(&datagram->to, &tx->endpoint))
            continue;
        if (udp->ops->send_batch(udp, &copy, 1) == 1) {
            tx->share_bytes -= size;
            count_traffic(tx->counters, COUNT_TX_COPIES, 1);
        }
    }
}

static void note_sent(struct tx *tx, int n_datagrams, uint64_t now_ns)
{
    const struct udp_train *train = tx->trains;

    tx->stuck_ns = 0;
    for (int left = n_datagrams; left > 0; train++) {
        count_traffic(tx->counters, COUNT_TX_TRAINS, 1);
        left -= n_datagrams_of(train);
    }
    while (n_datagrams-- > 0) {
        if (tx->out[tx->first_out].len >= tx->refused_len)
            tx->refused_len = 0;
        count_sent(tx, &tx->out[tx->first_out++]);
    }
    activity_note(&tx->activity->sent_ns, now_ns);
}

bool tx_flush(struct tx *tx, enum tx_wait *wait, uint64_t now_ns)
{
    while (tx->first_out < tx->n_out) {
        if (tx->is_skipping_run && tx->out[tx->first_out].is_fragment) {
            tx->is_skipping_run = !tx->out[tx->first_out].is_last_fragment;
            tx_excuse(tx, &tx->out[tx->first_out++]);
            continue;
        }
        int sent = send_trains(tx);
        if (sent == 0 || (sent == -ENOBUFS && !is_hopeless(tx, now_ns))) {
            count_traffic(tx->counters, COUNT_SEND_BLOCKED, 1);
            *wait = sent == 0 ? TX_WAIT_UDP : TX_WAIT_A_BIT;
            return false;
        }
        if (sent < 0 && !is_source_gone(tx, sent))
            refuse(tx, sent, now_ns);
        if (sent > 0 && tx->share_bytes > 0)
            send_copies(tx, sent);
        if (sent > 0)
            note_sent(tx, sent, now_ns);
    }
    tx->first_out = tx->n_out = 0;
    return true;
}
