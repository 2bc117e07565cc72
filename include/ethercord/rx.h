// SPDX-License-Identifier: MIT
/*
 * rx: UDP to TAP. The pipeline of the rx thread, which owns the receiving keys, the replay windows, reassembly and rejoining.
 */
#ifndef ETHERCORD_RX_H
#define ETHERCORD_RX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ethercord/cookie.h"
#include "ethercord/drop.h"
#include "ethercord/fragment.h"
#include "ethercord/log.h"
#include "ethercord/pool.h"
#include "ethercord/rejoin.h"
#include "ethercord/ring.h"
#include "ethercord/session.h"
#include "ethercord/shortcut.h"
#include "ethercord/source_limit.h"
#include "ethercord/tap.h"
#include "ethercord/tap_out.h"
#include "ethercord/timers.h"
#include "ethercord/udp.h"
#include "ethercord/wire.h"

enum { RX_SESSIONS = KEYSTORE_PLACES };
// Tuning constants.
enum {
    RX_BATCH = UDP_BATCH_MAX, // trains received at a time, while each of them is a single datagram
    RX_BATCH_LONG = 8,        // … and while they are not: memory that is used again at once is in the cache
    RX_BUDGET = 8             // batches in one turn
};

// One datagram of a train.
struct rx_datagram {
    const struct endpoint *endpoint;
    const uint8_t *bytes;
    size_t len;
    uint8_t ecn;
    struct data_header header;    // of a data message
    struct recv_session *session; // … that was opened
};

struct rx {
    struct tap *tap;
    struct udp *udp; // two of them: IPv4, IPv6
    struct shortcut *shortcut;
    struct counters *counters;
    struct activity *activity;
    struct ring *orders;           // from main
    struct ring *records;          // to tx
    struct ring *reports;          // to main
    struct ring *hints;            // to main; may fill up
    struct ring *cookie_requests;  // to main; anybody can fill it
    struct cookie_checker checker; // with the secret that main gives cookies out with
    struct source_limit sources;
    uint64_t initiations_full_ns;          // token buckets (bucket.h): of those without a cookie
    uint64_t responses_full_ns;            // … of responses
    uint64_t cookie_replies_full_ns;       // … and cookie replies
    const _Atomic uint32_t *pending_index; // of main's initiation that waits for its response; 0 = none
    uint16_t tap_mtu;

    struct recv_session *sessions[RX_SESSIONS];
    size_t n_sessions;
    uint32_t current_index; // local index of the current keypair, as main last said; 0 = none
    bool has_endpoint;
    struct endpoint endpoint; // as main last said
    struct endpoint moved_to; // elsewhere
    uint64_t moved_bytes;     // from there, since the last report: of outer packets
    uint64_t moved_ns;        // of the last report
    bool has_moved;           // as main was told last

    size_t largest;             // data message accepted since the last report to the peer, bytes
    uint64_t reported_ns;       // when that was
    bool is_report_wanted;      // whatever has arrived
    _Atomic uint64_t n_excused; // data messages that are missing, and of which the peer says that they need not arrive
    uint64_t too_big_ns;        // of the last hint to main
    struct log_limit underlay_limit;

    struct reassembly reassembly;
    struct pool pool;
    struct buf *in[RX_BATCH];
    struct udp_train trains[RX_BATCH];
    int n_asked;             // for the next batch
    struct pool opened_pool; // of one buffer
    struct buf *opened;      // what data messages are opened to: the payload of the open run, and behind it that of the message in hand
    struct run run;
    uint64_t run_until_ns;  // what is open is written then at the latest
    struct records decoded; // of the data message in hand
    struct tap_out tap_out;
    uint8_t shortcut_room[FRAME_MAX];
    bool needs_tx, needs_main; // somebody has to be woken at the end of the turn
};

// Start-up only; the references are filled in, and reassembly is initialised, by the caller before. Returns 0 or -ENOMEM.
int rx_init(struct rx *rx);
void rx_deinit(struct rx *rx);

// Receives from udp[which] until it is empty or the budget is used up. Returns false when more may be waiting: then call it again, for a
// run may be open that goes on there.
bool rx_run(struct rx *rx, int which, uint64_t now_ns);
// Empties the error queue of udp[which]. What it says are hints; no datagram is lost by it.
void rx_take_errors(struct rx *rx, int which, uint64_t now_ns);
// Carries out main's orders.
void rx_take_orders(struct rx *rx, uint64_t now_ns);
// What is due by time (a run that is open, reassembly, announcements); returns the next deadline, or 0.
uint64_t rx_tick(struct rx *rx, uint64_t now_ns);

// What has become of the peer's data messages; from any thread.
void rx_arrivals(const struct rx *rx, struct arrivals *arrivals);

#endif
