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
#include "ethercord/ecn.h"
#include "ethercord/fragment.h"
#include "ethercord/log.h"
#include "ethercord/pool.h"
#include "ethercord/ring.h"
#include "ethercord/session.h"
#include "ethercord/shortcut.h"
#include "ethercord/split.h"
#include "ethercord/tap.h"
#include "ethercord/tap_out.h"
#include "ethercord/timers.h"
#include "ethercord/udp.h"
#include "ethercord/wire.h"

// Tuning constants.
enum {
    TX_BATCH = 64,     // frames read at a time
    TX_DATAGRAMS = 256 // that wait to be sent, at the most
};

// A sealed datagram on its way out, and what is lost if it can't be sent.
struct tx_datagram {
    uint8_t *bytes;
    size_t len;
    struct endpoint to;
    enum ecn ecn;
    uint32_t n_frames; // whole frames that end in it
    uint32_t n_bytes;  // of those
    bool is_segment;
    bool is_fragment; // if one piece is refused the others are of no use
    bool is_last_fragment;
    bool is_probe;   // of the path MTU: that it is refused is an answer, too
    bool is_excused; // the peer will be told not to miss it
};

// A frame on its way into a datagram. There are TAP_TAILROOM free bytes behind it.
struct tx_frame {
    uint8_t *bytes;
    size_t len;
    enum ecn ecn;
    bool is_partial; // its L4 checksum
};

// A super-frame that is being cut, run by run.
struct tx_cut {
    bool is_active;
    struct super_frame super;
    size_t at; // payload that was cut so far
    enum ecn ecn;
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
    bool is_path_mtu_fixed; // by the configuration
    uint16_t tap_mtu;
    struct mac_address own_mac; // the shortcut's, also where there is none

    struct send_session *session; // NULL = none
    _Atomic uint32_t rekey_index; // local index of a session that wants a rekey; main reads it
    bool has_endpoint;
    struct endpoint endpoint;
    struct endpoint share_to; // copies go there as well …
    uint64_t share_bytes;     // … so many bytes of outer packets more
    size_t payload_cap;       // bytes of payload that a datagram to the endpoint carries

    struct pool pool;
    struct buf *in_buf;           // holds the frames of a batch
    struct tap_read in[TX_BATCH]; // frames read and not done with
    int n_in, first_in;
    struct tx_cut cut;
    struct buf *frame_buf; // a record of rx, or a frame that was cut for a peer that takes no segments
    struct buf *open_buf;  // the data message that is being filled with small frames
    struct payload open;
    enum ecn open_ecn;
    uint32_t n_open_frames, n_open_bytes;
    struct buf *out_buf; // holds the sealed datagrams, one behind the other
    struct tx_datagram out[TX_DATAGRAMS];
    int n_out, first_out;
    bool is_skipping_run; // a piece was refused
    uint64_t stuck_ns;    // since when the first datagram is refused for want of room; 0 = it is not
    size_t refused_len;   // datagrams of that length were refused for so long that it is not for want of room; 0 = none
    struct udp_train trains[UDP_BATCH_MAX];
    uint8_t shortcut_room[FRAME_MAX];
    struct tap_out tap_out;   // for the shortcut, and for who sends what is too big
    uint64_t too_big_full_ns; // see too_big_take_turn()
    struct log_limit send_failed;
    uint64_t unreachable_ns; // when main was last told that there is no way to the endpoint
    bool needs_main;         // main has to be woken at the end of the turn
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
// Whether other threads have left something that was not taken yet.
bool tx_has_messages(const struct tx *tx);
// Whether nothing waits here to be cut, sealed or sent.
bool tx_is_idle(const struct tx *tx);
// What is due by time (announcements); returns the next deadline, or 0.
uint64_t tx_tick(struct tx *tx, uint64_t now_ns);

#endif
