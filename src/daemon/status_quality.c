// SPDX-License-Identifier: MIT
/*
 * status_quality: see status_quality.h. Percentages and rates are made here, of the differences that quality.h gives; what nothing is known
 * about is null.
 */
#include "status_quality.h"

#include "ethercord/clock.h"
#include "status.h"

#define RATE_LEAST_NS (100 * NS_PER_MS) // of less, no rate is told

static json_t *percent(uint64_t part, uint64_t whole)
{
    if (whole == 0)
        return json_null();
    return json_real(part < whole ? 100.0 * (double)part / (double)whole : 100.0);
}

static json_t *milliseconds(uint64_t ns, bool is_known)
{
    return is_known ? json_real((double)ns / (double)NS_PER_MS) : json_null();
}

static json_t *per_second(uint64_t n, uint64_t span_ns)
{
    return span_ns < RATE_LEAST_NS ? json_null() : json_real((double)n * (double)NS_PER_S / (double)span_ns);
}

static void set_rates(json_t *object, const struct quality_change *change)
{
    const struct quality_counts *counts = &change->counts;

    json_object_set_new(object, "rx_bits_per_s", per_second(8 * counts->rx_bytes, change->span_ns));
    json_object_set_new(object, "tx_bits_per_s", per_second(8 * counts->tx_bytes, change->span_ns));
    json_object_set_new(object, "rx_frames_per_s", per_second(counts->rx_frames, change->span_ns));
    json_object_set_new(object, "tx_frames_per_s", per_second(counts->tx_frames, change->span_ns));
}

static void set_rx_totals(json_t *object, const struct arrivals *rx)
{
    json_object_set_new(object, "rx_expected_messages", json_integer((json_int_t)rx->n_expected));
    json_object_set_new(object, "rx_lost_messages", json_integer((json_int_t)rx->n_lost));
    json_object_set_new(object, "rx_reordered_messages", json_integer((json_int_t)rx->n_late));
    json_object_set_new(object, "rx_repeated_messages", json_integer((json_int_t)rx->n_repeated));
}

// The peer's numbers: whatever it says.
static json_t *told(const struct quality *quality, uint64_t n)
{
    return quality->has_tx ? json_integer((json_int_t)(n < INT64_MAX ? n : INT64_MAX)) : json_null();
}

static void set_tx_totals(json_t *object, const struct quality *quality)
{
    json_object_set_new(object, "tx_expected_messages", told(quality, quality->tx.n_expected));
    json_object_set_new(object, "tx_lost_messages", told(quality, quality->tx.n_lost));
    json_object_set_new(object, "tx_reordered_messages", told(quality, quality->tx.n_late));
    json_object_set_new(object, "tx_repeated_messages", told(quality, quality->tx.n_repeated));
}

static void set_percent(json_t *object, const struct node *node, uint64_t now_ns)
{
    struct quality_change near, far;

    node_look(node, QUALITY_SHORT, now_ns, &near);
    node_look(node, QUALITY_LONG, now_ns, &far);
    json_object_set_new(object, "loss_rx_percent", percent(near.counts.rx.n_lost, near.counts.rx.n_expected));
    json_object_set_new(object, "loss_tx_percent", percent(near.tx.n_lost, near.tx.n_expected));
    json_object_set_new(object, "loss_rx_60s_percent", percent(far.counts.rx.n_lost, far.counts.rx.n_expected));
    json_object_set_new(object, "loss_tx_60s_percent", percent(far.tx.n_lost, far.tx.n_expected));
    json_object_set_new(object, "reordered_rx_percent", percent(near.counts.rx.n_late, near.counts.rx.n_expected));
    json_object_set_new(object, "reordered_tx_percent", percent(near.tx.n_late, near.tx.n_expected));
}

void status_set_quality(json_t *object, const struct node *node, uint64_t now_ns)
{
    const struct quality *quality = &node_peer(node)->quality;
    struct quality_change last;
    struct arrivals rx;

    json_object_set_new(object, "rtt_ms", milliseconds(quality->rtt_ns, quality->n_rtts > 0));
    json_object_set_new(object, "rtt_last_ms", milliseconds(quality->rtt_last_ns, quality->n_rtts > 0));
    json_object_set_new(object, "jitter_ms", milliseconds(quality->jitter_ns, quality->n_rtts > 1));
    set_percent(object, node, now_ns);
    node_look(node, QUALITY_RATE, now_ns, &last);
    set_rates(object, &last);
    rx_arrivals(&node->rx, &rx);
    set_rx_totals(object, &rx);
    set_tx_totals(object, quality);
}

json_t *status_way(const struct node *node, uint64_t now_ns)
{
    const struct peer *peer = node_peer(node);
    size_t bytes = WIRE_TOKEN_MESSAGE_LEN + addr_headers_len(&peer->endpoint.remote);
    char endpoint[ADDR_TEXT_CAP], reason[200];

    return json_pack("{s:s, s:s, s:s, s:s?, s:i, s:i}", "peer", peer->config.name, "state", peer_state_name(peer_state(peer)), "reason",
                     status_reason(peer, now_ns, reason, sizeof reason), "endpoint",
                     peer->has_endpoint ? addr_format(&peer->endpoint.remote, endpoint) : NULL, "path_mtu", (int)peer->pmtu.size, "bytes",
                     (int)bytes);
}
