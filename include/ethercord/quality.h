// SPDX-License-Identifier: MIT
/*
 * quality: how good the way to a peer is: round trip and jitter, loss and reordering each way, rates.
 *
 * Deterministic, as peer.h: what was measured comes in, and nothing is measured here. Belongs to the main thread. Totals are remembered as
 * they were each second for the last minute; the difference between now and then says what the last seconds were like. So what it costs
 * does not depend on the traffic, and one look is enough.
 *
 *   round trip   smoothed by an eighth (RFC 6298 2.3)
 *   jitter       mean of the differences between one round trip and the next: their plain mean at first, from the 16th on smoothed by a
 *                sixteenth (RFC 3550 6.4.1, with round trips in place of transit times: the two clocks are not one)
 *   rx           what came of the peer's data messages, by their counters (session.h, rx.c)
 *   tx           the same of ours, as the peer reports it (docs/protocol.md#path-report)
 */
#ifndef ETHERCORD_QUALITY_H
#define ETHERCORD_QUALITY_H

#include <stdbool.h>
#include <stdint.h>

#include "ethercord/clock.h"
#include "ethercord/wire.h"

// Tuning constants.
enum { QUALITY_SAMPLES = 64 };
#define QUALITY_SAMPLE_NS NS_PER_S
enum quality_span { QUALITY_RATE, QUALITY_SHORT, QUALITY_LONG, QUALITY_SPANS }; // the last 2, 10, 60 s

// Totals of this process. Everything else but the round trip is a difference between two of these.
struct quality_counts {
    uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
    struct arrivals rx;
};

struct quality {
    uint64_t rtt_last_ns, rtt_ns; // 0 = not known
    uint64_t jitter_ns;
    unsigned n_rtts; // measured, since they were forgotten

    bool has_tx;
    struct arrivals tx; // as the peer said last
    uint32_t tx_index;  // local index of the keypair that it said it under
    unsigned tx_life;   // of the peer, whose totals begin anew in each
};

struct quality_sample {
    uint64_t at_ns;
    struct quality_counts counts;
    bool has_tx;
    struct arrivals tx;
    unsigned tx_life;
};
struct quality_past {
    struct quality_sample samples[QUALITY_SAMPLES]; // a ring
    unsigned n_samples, next_sample;
};

void quality_measured_rtt(struct quality *quality, uint64_t rtt_ns);
// The peer is down, or elsewhere: another path has another round trip.
void quality_forget_rtt(struct quality *quality);
// What the peer reported under a keypair. Totals that are less than before come of a report that was overtaken, and are ignored, or of a
// peer that was started anew, which takes a new keypair.
void quality_told(struct quality *quality, const struct arrivals *tx, uint32_t index, bool is_current);

// All counts are 0 at that time.
void quality_past_init(struct quality_past *past, uint64_t now_ns);
// Once a second, whenever that is convenient.
bool quality_wants_sample(const struct quality_past *past, uint64_t now_ns);
void quality_sample(struct quality_past *past, const struct quality *quality, const struct quality_counts *counts, uint64_t now_ns);

// The difference between the totals now and those at the beginning of a span.
struct quality_change {
    uint64_t span_ns; // how long that really is; less than it should be shortly after the start
    struct quality_counts counts;
    struct arrivals tx; // n_expected 0 = nothing was reported
};
struct quality_now {
    uint64_t now_ns;
    const struct quality *quality;
    const struct quality_counts *counts;
};
void quality_look(const struct quality_past *past, const struct quality_now *now, enum quality_span span, struct quality_change *change);

#endif
