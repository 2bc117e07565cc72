// SPDX-License-Identifier: MIT
/*
 * tx: TAP to UDP. The pipeline of the tx thread, which alone sends data messages and owns the sending key and its counters.
 *
 * Nothing that was read is thrown away because the underlay is slow: when a datagram would block, the rest of the batch waits here and
 * the TAP is not read.
 */
#ifndef ETHERCORD_TX_H
#define ETHERCORD_TX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ethercord/drop.h"
#include "ethercord/fragment.h"
#include "ethercord/log.h"
#include "ethercord/pool.h"
#include "ethercord/ring.h"
#include "ethercord/session.h"
#include "ethercord/shortcut.h"
#include "ethercord/tap.h"
#include "ethercord/timers.h"
#include "ethercord/udp.h"
#include "ethercord/wire.h"

// Tuning constants.
enum {
    TX_BATCH = 64,                      // frames read at a time
    TX_TRAIN = TX_BATCH + FRAGMENTS_MAX // datagrams that wait at the most
};

// A sealed datagram on its way out, and what is lost if it can't be sent.
struct tx_datagram {
    struct buf *buf;
    struct endpoint to;
    uint32_t n_frames; // whole frames that end in it
    uint32_t n_bytes;  // of those
    bool is_fragment;  // if one piece is refused the others are of no use
    bool is_last_fragment;
};

struct tx {
    struct tap *tap;
    struct udp *udp; // two of them: IPv4, IPv6
    struct shortcut *shortcut;
    struct counters *counters;
    struct activity *activity;
    const atomic_bool *is_peer_up;
    struct ring *orders;  // from main
    struct ring *records; // from rx
    struct ring *reports; // to main
    struct ring *hints;   // to main; may fill up
    bool has_peer;
    uint16_t path_mtu;

    struct send_session *session; // NULL = none
    _Atomic uint32_t rekey_index; // local index of a session that wants a rekey; main reads it
    bool has_endpoint;
    struct endpoint endpoint;
    size_t payload_cap; // bytes of payload that a datagram to the endpoint carries

    struct pool pool;
    struct buf *in[TX_BATCH]; // frames read and not done with
    int n_in, first_in;
    struct buf *open_buf; // the data message that is being filled
    struct payload open;
    uint32_t n_open_frames, n_open_bytes;
    struct tx_datagram out[TX_TRAIN];
    int n_out, first_out;
    bool is_skipping_run; // a piece was refused
    struct udp_datagram batch[UDP_BATCH_MAX];
    uint8_t shortcut_room[FRAME_MAX];
    struct log_limit send_failed, write_failed;
    bool needs_main; // main has to be woken at the end of the turn
};

// What the loop should wait for.
enum tx_wait {
    TX_WAIT_TAP,     // everything is done
    TX_WAIT_UDP,     // the UDP socket must become writable before anything else
    TX_WAIT_NOTHING, // the budget is used up: call again after the other work
    TX_WAIT_A_BIT,   // the local queue is full (ENOBUFS): call again after a millisecond
    TX_TAP_GONE      // the TAP was deleted
};

// Start-up only; the references are filled in by the caller before. Returns 0 or -ENOMEM.
int tx_init(struct tx *tx);
void tx_deinit(struct tx *tx);

// One turn: orders and records of the other threads, then one batch from the TAP (if `is_readable`), then everything is sent.
enum tx_wait tx_run(struct tx *tx, bool is_readable, uint64_t now_ns);
// What is due by time (announcements); returns the next deadline, or 0.
uint64_t tx_tick(struct tx *tx, uint64_t now_ns);

#endif
