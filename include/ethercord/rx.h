// SPDX-License-Identifier: MIT
/*
 * rx: UDP to TAP. The pipeline of the rx thread, which owns the receiving keys, the replay windows and reassembly.
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
#include "ethercord/ring.h"
#include "ethercord/session.h"
#include "ethercord/shortcut.h"
#include "ethercord/tap.h"
#include "ethercord/timers.h"
#include "ethercord/udp.h"
#include "ethercord/wire.h"

enum { RX_BATCH = UDP_BATCH_MAX, RX_SESSIONS = KEYSTORE_PLACES };

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
    struct cookie_checker checker; // for mac1 alone
    uint16_t tap_mtu;

    struct recv_session *sessions[RX_SESSIONS];
    size_t n_sessions;
    uint32_t current_index; // local index of the current keypair, as main last said; 0 = none
    bool has_endpoint;
    struct endpoint endpoint; // as main last said
    struct endpoint moved_to; // elsewhere
    uint64_t moved_bytes;     // from there, since the last report
    uint64_t moved_ns;        // of the last report

    struct reassembly *reassembly;
    struct pool pool;
    struct buf *in[RX_BATCH];
    struct udp_datagram datagrams[RX_BATCH];
    struct records decoded;         // of the data message in hand
    struct tap_frame out[RX_BATCH]; // waiting to be written; point into `in`
    int n_out;
    uint8_t shortcut_room[FRAME_MAX];
    struct log_limit write_failed;
    bool needs_tx, needs_main; // somebody has to be woken at the end of the turn
};

// Start-up only; the references are filled in by the caller before. Returns 0 or -ENOMEM.
int rx_init(struct rx *rx);
void rx_deinit(struct rx *rx);

// One batch from udp[which]. Returns how many datagrams came: fewer than RX_BATCH = it is empty for now; negative errno.
int rx_run(struct rx *rx, int which, uint64_t now_ns);
// Carries out main's orders.
void rx_take_orders(struct rx *rx, uint64_t now_ns);
// What is due by time (reassembly, announcements); returns the next deadline, or 0.
uint64_t rx_tick(struct rx *rx, uint64_t now_ns);

#endif
