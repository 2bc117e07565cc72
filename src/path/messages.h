// SPDX-License-Identifier: MIT
/*
 * messages: what the three threads tell each other, over one ring per direction. Keys move as pointers: with the message goes the
 * ownership, and the old owner does not look at them again.
 *
 *   main -> tx, main -> rx     orders: keys, endpoint, control records
 *   rx   -> tx                 plaintext records to send: shortcut replies, answers to probes and echoes
 *   rx   -> main, tx -> main   reports: keys given back, and (on a ring of their own) what others cause: handshake messages and the like
 *   rx   -> main               cookie requests, on a third ring: the only one that somebody who proves nothing can fill
 */
#ifndef ETHERCORD_MESSAGES_H
#define ETHERCORD_MESSAGES_H

#include "ethercord/node_settings.h"
#include "ethercord/peer.h"
#include "ethercord/session.h"
#include "ethercord/shortcut.h"

enum order_kind {   // main -> tx, main -> rx
    ORDER_KEY,      // tx: switch to send; rx: install recv
    ORDER_STOP_KEY, // tx: give the key back; rx: give back local_index
    ORDER_ENDPOINT, // from now on
    ORDER_SHARE,    // tx: with a candidate
    ORDER_PATH_MTU, // tx: from now on
    ORDER_CONTROL,  // tx: send one control record or a keepalive
    ORDER_CURRENT,  // rx: local_index is the keypair that main sends with; its data messages may move the endpoint
    ORDER_REPORT,   // rx: tell the peer what has arrived, and with it what it need not miss
    ORDER_ANNOUNCE, // let the shortcut announce itself
    ORDER_COOKIE,   // rx: what main makes cookies with from now on
    ORDER_SETTINGS  // the configuration has changed
};
struct order {
    enum order_kind kind;
    union {
        struct send_session *send;
        struct recv_session *recv;
        uint32_t local_index;
        struct endpoint endpoint;
        struct peer_share share;
        uint16_t path_mtu;
        struct peer_control control;
        struct cookie_secret cookie;
        struct node_settings settings;
    } u;
};

// rx -> tx: this, then the body (FRAME: the frame; control records: wire_control_len() bytes).
struct record_header {
    enum record_type type;
    bool has_to; // an answer to a probe goes where the probe came from
    struct endpoint to;
};

enum report_kind { // tx -> main, rx -> main
    // On a ring with room for every key there is: these are never lost.
    REPORT_INSTALLED,     // recv key of local_index
    REPORT_CONFIRMED,     // by a data message from endpoint
    REPORT_SEND_RETURNED, // main may wipe it
    REPORT_RECV_RETURNED,
    // On a ring that the outside can fill: whoever sends too much loses.
    REPORT_HANDSHAKE,    // a datagram follows that rx has admitted (rx_handshake.c); from = endpoint
    REPORT_MOVED,        // n_bytes from endpoint
    REPORT_PROBE_ANSWER, // token
    REPORT_ECHO_ANSWER,  // token
    REPORT_PATH,         // the peer's, under local_index
    REPORT_REFUSED,      // by our kernel: an outer packet of n_bytes to the endpoint
    REPORT_UNREACHABLE,  // our kernel has no way to the endpoint
    REPORT_TOO_BIG,      // n_bytes: what passes to endpoint.remote, as ICMP or our kernel says
    REPORT_GOODBYE,      // sealed under local_index
    REPORT_CONFLICT      // of the shortcut's address
};
struct report {
    enum report_kind kind;
    uint32_t local_index;
    uint64_t n_bytes;
    struct endpoint endpoint;
    union {
        uint8_t token[WIRE_TOKEN_LEN];
        struct send_session *send;
        struct recv_session *recv;
        struct shortcut_conflict conflict;
        struct path_report path;
    } u;
};

// rx -> main: an initiation that is answered with a cookie and nothing else.
struct cookie_request {
    struct endpoint from;
    uint8_t initiation[WIRE_INITIATION_LEN];
};
_Static_assert(sizeof(struct cookie_request) == sizeof(struct endpoint) + WIRE_INITIATION_LEN, "put in two parts");

#endif
