// SPDX-License-Identifier: MIT
/*
 * quality: see the header. Everything is a difference between two totals: a sample is totals and a time, nothing else.
 */
#include "ethercord/quality.h"

#include <string.h>

#include "ethercord/log.h"

enum { RTT_SMOOTHING = 8, JITTER_SMOOTHING = 16 };

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

// `value` goes that part of the way to `aim`.
static uint64_t nearer(uint64_t value, uint64_t aim, unsigned part)
{
    return aim > value ? value + (aim - value) / part : value - (value - aim) / part;
}

void quality_measured_rtt(struct quality *quality, uint64_t rtt_ns)
{
    unsigned n_before = quality->n_rtts;

    if (n_before < JITTER_SMOOTHING + 1)
        quality->n_rtts++;
    if (n_before == 0) {
        quality->rtt_ns = rtt_ns;
        quality->jitter_ns = 0;
    } else {
        unsigned part = n_before < JITTER_SMOOTHING ? n_before : JITTER_SMOOTHING;
        quality->jitter_ns = nearer(quality->jitter_ns, distance(rtt_ns, quality->rtt_last_ns), part);
        quality->rtt_ns = nearer(quality->rtt_ns, rtt_ns, RTT_SMOOTHING);
    }
    quality->rtt_last_ns = rtt_ns;
}

void quality_forget_rtt(struct quality *quality)
{
    quality->n_rtts = 0;
    quality->rtt_ns = quality->rtt_last_ns = quality->jitter_ns = 0;
}

void quality_told(struct quality *quality, const struct arrivals *tx, uint32_t index, bool is_current)
{
    if (quality->has_tx && tx->n_expected < quality->tx.n_expected) {
        if (!is_current || index == quality->tx_index)
            return;
        quality->tx_life++;
    }
    quality->has_tx = true;
    quality->tx = *tx;
    quality->tx_index = index;
}

void quality_past_init(struct quality_past *past, uint64_t now_ns)
{
    memset(past, 0, sizeof *past);
    quality_sample(past, &(struct quality){0}, &(struct quality_counts){0}, now_ns);
}

static const struct quality_sample *sample_before(const struct quality_past *past, unsigned n_back)
{
    return &past->samples[(past->next_sample + QUALITY_SAMPLES - 1 - n_back) % QUALITY_SAMPLES];
}

bool quality_wants_sample(const struct quality_past *past, uint64_t now_ns)
{
    return age_ns(now_ns, sample_before(past, 0)->at_ns) >= QUALITY_SAMPLE_NS;
}

void quality_sample(struct quality_past *past, const struct quality *quality, const struct quality_counts *counts, uint64_t now_ns)
{
    past->samples[past->next_sample] = (struct quality_sample){
        .at_ns = now_ns, .counts = *counts, .has_tx = quality->has_tx, .tx = quality->tx, .tx_life = quality->tx_life};
    past->next_sample = (past->next_sample + 1) % QUALITY_SAMPLES;
    if (past->n_samples < QUALITY_SAMPLES)
        past->n_samples++;
}

// What came late lets the lost become fewer than they were: then none was lost meanwhile.
static uint64_t more(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

static struct arrivals arrivals_since(const struct arrivals *now, const struct arrivals *before)
{
    return (struct arrivals){
        .n_expected = more(now->n_expected, before->n_expected),
        .n_lost = more(now->n_lost, before->n_lost),
        .n_late = more(now->n_late, before->n_late),
        .n_repeated = more(now->n_repeated, before->n_repeated),
    };
}

static const uint64_t span_ns[QUALITY_SPANS] = {
    [QUALITY_RATE] = 2 * NS_PER_S, [QUALITY_SHORT] = 10 * NS_PER_S, [QUALITY_LONG] = 60 * NS_PER_S};

// The youngest sample that is old enough, or else the oldest there is.
static unsigned n_back_to(const struct quality_past *past, uint64_t now_ns, enum quality_span span)
{
    unsigned n_back = 0;

    while (n_back + 1 < past->n_samples && age_ns(now_ns, sample_before(past, n_back)->at_ns) < span_ns[span])
        n_back++;
    return n_back;
}

static struct quality_counts counts_since(const struct quality_counts *now, const struct quality_counts *before)
{
    return (struct quality_counts){
        .rx_frames = more(now->rx_frames, before->rx_frames),
        .rx_bytes = more(now->rx_bytes, before->rx_bytes),
        .tx_frames = more(now->tx_frames, before->tx_frames),
        .tx_bytes = more(now->tx_bytes, before->tx_bytes),
        .rx = arrivals_since(&now->rx, &before->rx),
    };
}

// Whether the peer had reported by then, and was not started anew since.
static bool can_compare(const struct quality_sample *sample, const struct quality *quality)
{
    return sample->has_tx && quality->has_tx && sample->tx_life == quality->tx_life;
}

void quality_look(const struct quality_past *past, const struct quality_now *now, enum quality_span span, struct quality_change *change)
{
    ensure(span < QUALITY_SPANS);
    unsigned n_back = n_back_to(past, now->now_ns, span);
    const struct quality_sample *from = sample_before(past, n_back);

    *change = (struct quality_change){.span_ns = age_ns(now->now_ns, from->at_ns), .counts = counts_since(now->counts, &from->counts)};
    while (n_back > 0 && !can_compare(from, now->quality))
        from = sample_before(past, --n_back);
    if (can_compare(from, now->quality))
        change->tx = arrivals_since(&now->quality->tx, &from->tx);
}
