// SPDX-License-Identifier: MIT
/*
 * peer: one peer's state machine: handshakes, keypairs by epoch, endpoint, liveness.
 *
 * Deterministic: something happened (a function of this header is called, with the time and a source of randomness), and what is to be
 * done about it is *returned* as a list of acts. Nothing here sends, waits or reads a clock. Belongs to the main thread (or a simulator).
 * Holds secrets: lives in locked memory.
 *
 *   keypair      as initiator: made when a response verifies      as responder: made when an initiation verifies
 *   arriving     its receiving half is on its way to rx           the same, and the response is held back until it is there
 *   next         —                                                in rx, unconfirmed: nothing is sent under it
 *   current      as soon as rx has it                             from the first data message under it (it is confirmed then)
 *   previous     receives only, until the next rekey or its age limit
 */
#ifndef ETHERCORD_PEER_H
#define ETHERCORD_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/addr.h"
#include "ethercord/clock.h"
#include "ethercord/cookie.h"
#include "ethercord/noise.h"
#include "ethercord/pmtu.h"
#include "ethercord/quality.h"
#include "ethercord/random.h"
#include "ethercord/session.h"
#include "ethercord/timers.h"
#include "ethercord/wire.h"

enum { PEER_NAME_CAP = 32, PEER_ADDRESSES_MAX = 8, PEER_ACTS_MAX = 16, PEER_ECHOES = 16 };
#define PEER_RESOLVE_EVERY_NS (15 * NS_PER_S) // while the peer does not answer
#define PEER_WATCHED_NS (5 * NS_PER_S)        // so long after somebody looked

struct peer_config {
    char name[PEER_NAME_CAP];
    uint8_t public_key[NOISE_KEY_LEN];
    uint8_t psk[NOISE_KEY_LEN]; // all zero: none
    uint16_t path_mtu;          // outer IP packet, bytes; 0 = to be found
    bool has_endpoint_name;     // addresses come by peer_set_addresses(), again and again
    struct timing timing;
    struct session_limits limits;
};

// What this node says of itself in every handshake, and who it is.
struct peer_self {
    uint8_t static_private[NOISE_KEY_LEN];
    uint8_t static_public[NOISE_KEY_LEN];
    uint16_t ciphers; // set that is allowed here
    uint16_t tap_mtu;
    uint32_t features;
};

// What every event comes with.
struct peer_input {
    uint64_t now_ns;  // boot-time clock
    uint64_t wall_ns; // since 1970
    const struct random_source *random;
    struct activity *activity;
    bool wants_rekey; // the sending key says so
};

enum peer_act_kind {
    PEER_ACT_SEND_HANDSHAKE, // handshake.bytes to handshake.to
    PEER_ACT_INSTALL_RECV,   // give recv to rx, then call peer_recv_installed()
    PEER_ACT_DROP_RECV,      // tell rx to give recv back
    PEER_ACT_SWITCH_SEND,    // give send to tx; it gives its old one back
    PEER_ACT_STOP_SEND,      // tell tx to give its key back
    PEER_ACT_SEND_CONTROL,   // a data message with one control record (or a keepalive), to control.to if set, else the endpoint
    PEER_ACT_SET_ENDPOINT,   // tell tx and rx
    PEER_ACT_SHARE,          // tell tx
    PEER_ACT_SET_PATH_MTU,   // tell tx
    PEER_ACT_PATH_FOUND,     // pmtu.size is its MTU
    PEER_ACT_BLACK_HOLE,     // packets of pmtu.vanished bytes vanish on the way to the peer
    PEER_ACT_CAME_UP,
    PEER_ACT_WENT_DOWN,
    PEER_ACT_RESOLVE // look the endpoint's name up again
};

struct peer_control {
    bool is_keepalive; // no record at all
    enum record_type type;
    uint8_t body[WIRE_CONTROL_MAX]; // PROBE…, ECHO…: the token; PATH_REPORT: what it says
    uint16_t size;                  // PROBE: of the outer packet, which is padded up to that; 0 = as small as it is
    bool has_to;
    struct endpoint to;
};

// Copies of what goes to the endpoint go to a candidate as well: so many bytes of outer packets more. 0 = none from now on.
struct peer_share {
    struct endpoint to;
    uint64_t n_bytes;
};

struct peer_act {
    enum peer_act_kind kind;
    union {
        struct {
            uint8_t bytes[WIRE_INITIATION_LEN];
            size_t len;
            struct endpoint to;
        } handshake;
        struct recv_session *recv;
        struct send_session *send;
        uint32_t local_index; // DROP_RECV
        struct peer_control control;
        struct endpoint endpoint;
        struct peer_share share;
        uint16_t path_mtu;
    } u;
};
struct peer_acts {
    size_t n;
    struct peer_act at[PEER_ACTS_MAX];
};

enum peer_state { PEER_DOWN, PEER_HANDSHAKING, PEER_UP, PEER_STATE_COUNT };
enum peer_reason {
    PEER_REASON_STARTING,
    PEER_REASON_NO_ENDPOINT, // no Endpoint is configured: the peer has to call first
    PEER_REASON_UNRESOLVED,  // the name has no address (yet)
    PEER_REASON_NO_ANSWER,
    PEER_REASON_SILENT,
    PEER_REASON_GOODBYE,
    PEER_REASON_EXPIRED,
    PEER_REASON_CLOCK,   // refused: the peer's clock went back
    PEER_REASON_REMOVED, // by a reload, or another PublicKey was put in its place
    PEER_REASON_UP,
    PEER_REASON_COUNT
};

struct keypair {
    bool is_used;
    bool is_initiator; // this node was
    uint32_t local_index;
    uint32_t remote_index;
    uint64_t born_ns;
    uint64_t heard_ns;   // first data message under it, 0 = none yet
    uint64_t crossed_ns; // when one of the peer's was put behind it, 0 = never
    bool is_rival;       // responder: begun from elsewhere while the peer was heard under a young keypair
    bool is_answered;    // an echo sent under it: the peer has heard us under it, too
    enum cipher cipher;
    uint16_t far_tap_mtu;
    uint32_t far_features;     // set of enum feature
    struct endpoint at;        // initiator: where message 1 went; responder: where it came from and message 2 goes
    struct send_session *send; // until tx has it
    struct recv_session *recv; // until rx has it
};

struct peer_pending { // an initiation that waits for its response
    bool is_active;
    struct noise noise;
    uint32_t local_index;
    struct endpoint to;
};

struct peer_candidate { // an endpoint that has not answered a probe yet
    bool is_active;
    bool is_sharing; // tx sends copies there
    struct endpoint at;
    uint8_t token[WIRE_TOKEN_LEN];
    uint64_t probed_ns;
    uint64_t bytes_received; // of outer packets
    uint64_t bytes_sent;     // and what tx was allowed to
};

struct peer_rival {     // the peer's key at two places at once: each takes the session from the other, by a handshake
    struct addr at;     // whom it was taken from last
    uint64_t taken_ns;  // when; 0 = never
    uint64_t n_returns; // how often it was taken back soon after
    uint64_t returned_ns;
};

struct peer_echo {    // that was not answered yet
    uint64_t sent_ns; // 0 = none
    uint8_t id[WIRE_TOKEN_LEN];
};

struct peer {
    struct peer_config config;
    const struct peer_self *self;
    struct keystore *keystore;
    struct cookie_jar jar;
    bool is_greater; // our static public key > the peer's, bytewise

    struct keypair previous, current, next, arriving;
    uint8_t held_response[WIRE_RESPONSE_LEN]; // for `arriving` as responder
    struct peer_pending pending;
    unsigned n_attempts;  // initiations since the last success
    struct addr tried;    // where the last one went
    unsigned next_target; // which of the places known has its turn
    bool is_cut_off;      // our own kernel has no way to the endpoint: the other places are tried, though there is a session
    uint64_t retry_ns;
    uint64_t fresh_from_ns; // what goes into a handshake has changed: a keypair made before that is to be followed by another one
    bool is_moving;         // Endpoint has changed: the peer is called there, though there is a session with it elsewhere, until …
    uint64_t moving_until_ns;

    uint8_t sent_timestamp[WIRE_TIMESTAMP_LEN];
    uint8_t received_timestamp[WIRE_TIMESTAMP_LEN];
    uint64_t clock_behind_ns; // the peer's, when it was last refused for it
    bool has_clock_skew;
    int64_t clock_skew_ns; // the peer's clock less ours, when its last initiation came; the time on the way counts against it
    struct peer_rival rival;

    struct addr addresses[PEER_ADDRESSES_MAX];
    size_t n_addresses;
    bool is_resolving;         // asked, and not answered yet
    uint64_t lookup_ns;        // when it was really asked last; 0 = never
    uint64_t resolve_asked_ns; // from then on it is not asked again for …
    uint64_t resolve_wait_ns;  // … so long
    bool has_endpoint;
    struct endpoint endpoint;
    struct peer_candidate candidate;
    uint64_t share_from_ns; // when candidates began to get copies; 0 = the last one was no lie

    struct pmtu pmtu;
    uint16_t told_path_mtu; // to tx

    struct peer_echo echoes[PEER_ECHOES]; // under the current keypair: a ring
    unsigned next_echo;
    uint64_t echo_sent_ns; // the last one
    uint64_t echoed_ns;    // when an answer last came; 0 = never
    struct quality quality;
    uint64_t watched_ns; // when somebody last looked at it; 0 = never

    bool is_up;
    enum peer_reason reason;
    uint64_t since_ns; // of is_up
};

// `self` and `keystore` must outlive the peer.
void peer_init(struct peer *peer, const struct peer_config *config, const struct peer_self *self, struct keystore *keystore,
               uint64_t now_ns);
void peer_deinit(struct peer *peer);
// The same peer (public key), configured otherwise; its session is kept. `is_elsewhere`: the endpoint's name is another one.
void peer_reconfigure(struct peer *peer, const struct peer_config *config, bool is_elsewhere, const struct peer_input *input);
void peer_refresh(struct peer *peer, const struct peer_input *input); // the next keypair is to be made now
// Says goodbye, and takes its keys from rx and tx; then it may be wiped.
void peer_leave(struct peer *peer, const struct peer_input *input, struct peer_acts *acts);

// The configured endpoint's addresses, in order of preference; n = 0: the name has none. Those that are new have their turn first.
void peer_set_addresses(struct peer *peer, const struct addr *addresses, size_t n, const struct peer_input *input);
// Does what is due; returns the deadline of the next call.
uint64_t peer_tick(struct peer *peer, const struct peer_input *input, struct peer_acts *acts);
// Ends the current keypair and says so to the peer; for shutdown.
void peer_stop(struct peer *peer, const struct peer_input *input, struct peer_acts *acts);

// Messages of handshakes. They return DROP_COUNT or why the message was dropped; then nothing has changed, but
// clock_behind_ns, and that an initiation whose authentic response is of no use (no common cipher) is not waited for any more.
struct initiation_in {
    struct noise noise; // message 1 consumed; its static key is this peer's
    struct hello hello;
    uint32_t sender_index;
    struct endpoint from;
};
enum drop_reason peer_initiation_received(struct peer *peer, struct initiation_in *in, const struct peer_input *input,
                                          struct peer_acts *acts) __attribute__((warn_unused_result));
enum drop_reason peer_response_received(struct peer *peer, const struct response_msg *msg, const struct peer_input *input,
                                        struct peer_acts *acts) __attribute__((warn_unused_result));
enum drop_reason peer_cookie_received(struct peer *peer, const struct cookie_reply_msg *msg, const struct peer_input *input)
    __attribute__((warn_unused_result));

// What rx reports. local_index names the keypair; reports about keypairs that are gone are ignored.
void peer_recv_installed(struct peer *peer, uint32_t local_index, const struct peer_input *input, struct peer_acts *acts);
void peer_confirmed(struct peer *peer, uint32_t local_index, const struct endpoint *from, const struct peer_input *input,
                    struct peer_acts *acts);
// A data message under the newest confirmed keypair, newer than all before, came from elsewhere than the endpoint; `bytes` of outer packets
// since the last report.
void peer_moved(struct peer *peer, const struct endpoint *from, uint64_t bytes, const struct peer_input *input, struct peer_acts *acts);
void peer_probe_answered(struct peer *peer, const uint8_t token[static WIRE_TOKEN_LEN], const struct peer_input *input,
                         struct peer_acts *acts);
// False when it is none of the peer's own echoes.
bool peer_echo_answered(struct peer *peer, const uint8_t id[static WIRE_TOKEN_LEN], const struct peer_input *input);
// What the peer says, under that keypair of ours, has arrived of what we sent.
void peer_path_reported(struct peer *peer, const struct path_report *report, uint32_t local_index, const struct peer_input *input);
// Somebody wants to know how good the way is: the round trip is measured more often for a while.
void peer_watch(struct peer *peer, uint64_t now_ns);
// Our kernel has no way to the endpoint.
void peer_unreachable(struct peer *peer, const struct peer_input *input);
// How many places are known where the peer may be: the endpoint, and the configured addresses but that.
size_t peer_n_targets(const struct peer *peer);
// One of them; NULL past the last.
const struct addr *peer_target(const struct peer *peer, size_t wanted);
// Our kernel refused a packet of that size, to the endpoint.
void peer_path_refused(struct peer *peer, uint32_t size, const struct peer_input *input);
// Somebody on the way to `remote`, or our kernel, says that packets of `size` bytes would pass.
void peer_path_hinted(struct peer *peer, const struct addr *remote, uint32_t size, const struct peer_input *input);
void peer_goodbye_received(struct peer *peer, uint32_t local_index, const struct peer_input *input, struct peer_acts *acts);

enum peer_state peer_state(const struct peer *peer);
const char *peer_state_name(enum peer_state state); // "down", "handshaking", "up"

// TAI64N of a wall-clock time, whitened to 2^24 ns.
void tai64n_from_wall(uint8_t out[static WIRE_TIMESTAMP_LEN], uint64_t wall_ns);
uint64_t tai64n_to_wall(const uint8_t in[static WIRE_TIMESTAMP_LEN]);

#endif
