// SPDX-License-Identifier: MIT
/*
 * timers: when a peer needs something done. No clock and no state of its own: a function of times that others wrote down.
 *
 * A cord is always wanted, so unlike a road warrior's tunnel it does not wait for traffic: without a session there is always a handshake
 * going on, and silence is probed by an echo, so that both ends know within `dead_after_ns` that the other one is gone.
 */
#ifndef ETHERCORD_TIMERS_H
#define ETHERCORD_TIMERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ethercord/wire.h"

// Durations in ns (docs/protocol.md#timers).
struct timing {
    uint64_t rekey_after_ns;          // age at which the keypair's initiator makes a new one
    uint64_t rekey_backup_ns;         // … and its responder, if the initiator did not
    uint64_t retry_first_ns;          // wait for a response; doubles …
    uint64_t retry_max_ns;            // … up to this
    uint64_t retry_jitter_ns;         // plus a random part below this
    uint64_t echo_after_ns;           // silence that is probed by an echo
    uint64_t echo_every_ns;           // … and again while it lasts
    uint64_t dead_after_ns;           // silence after which the peer is down
    uint64_t probe_every_ns;          // endpoint validation
    uint64_t persistent_keepalive_ns; // 0 = off
    uint64_t sample_every_ns;         // round trip, while nobody looks at it; 0 = not at all
    uint64_t watched_every_ns;        // … and while somebody does
};
void timing_default(struct timing *timing);

// What tx and rx write down and main reads, relaxed. Boot-time ns; 0 = never.
struct activity {
    _Atomic uint64_t sent_ns;      // last data message of any kind; tx
    _Atomic uint64_t received_ns;  // last authenticated data message of any kind; rx
    _Atomic uint32_t largest_sent; // outer packet with a frame in it, bytes, since main last set it to 0; tx
};

static inline void activity_note(_Atomic uint64_t *when, uint64_t now_ns)
{
    atomic_store_explicit(when, now_ns, memory_order_relaxed);
}

// What is no larger than PATH_MTU_MIN passes everywhere, and is not noted.
// Whether it is the first since main set it to 0. A value that crosses with that may be lost: the next large datagram brings it again.
static inline bool activity_note_size(struct activity *activity, uint32_t size)
{
    uint32_t noted = atomic_load_explicit(&activity->largest_sent, memory_order_relaxed);

    if (size <= noted || size <= PATH_MTU_MIN)
        return false;
    atomic_store_explicit(&activity->largest_sent, size, memory_order_relaxed);
    return noted == 0;
}

static inline uint64_t activity_last(const _Atomic uint64_t *when)
{
    return atomic_load_explicit(when, memory_order_relaxed);
}

// The moments that matter, all boot-time ns, 0 = never.
struct timers_view {
    bool has_session;
    bool is_initiator; // of the current keypair
    bool wants_rekey;  // the sending key has used up its share
    bool is_handshaking;
    bool can_initiate; // there is an address to send to
    uint64_t born_ns;  // of the current keypair
    uint64_t received_ns;
    uint64_t sent_ns;
    uint64_t echo_sent_ns;
    uint64_t sample_every_ns; // 0 = no echo but after silence
    uint64_t retry_ns;        // deadline of the next attempt; also without a handshake in progress the earliest moment for one
    uint64_t reject_after_ns;
};

enum timers_due {
    TIMERS_INITIATE = 1 << 0,    // send a (first or further) initiation
    TIMERS_ECHO = 1 << 1,        // ask whether the peer is there
    TIMERS_KEEPALIVE = 1 << 2,   // send an empty data message
    TIMERS_EXPIRE = 1 << 3,      // the current keypair has reached the end of its life
    TIMERS_PEER_IS_DOWN = 1 << 4 // nothing was heard for too long (a level, not an event)
};
struct timers_result {
    unsigned due;         // of enum timers_due
    uint64_t deadline_ns; // look again then at the latest
};
struct timers_result timers_evaluate(const struct timing *timing, const struct timers_view *view, uint64_t now_ns);

// How long to wait for the answer to attempt number `attempt` (from 0); `random` picks the jitter.
uint64_t timers_retry_wait(const struct timing *timing, unsigned attempt, uint32_t random);

#endif
