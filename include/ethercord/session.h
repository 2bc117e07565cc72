// SPDX-License-Identifier: MIT
/*
 * session: the two directions of a keypair: sealing with its limits, opening with its replay window.
 *
 * Each direction has one owner at a time: main makes it, the tx thread (sending) or the rx thread (receiving) uses it, and gives it back
 * to be wiped. Ownership moves with a message; nothing here is locked. No clock: the time is an argument (boot-time ns).
 */
#ifndef ETHERCORD_SESSION_H
#define ETHERCORD_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/aead.h"
#include "ethercord/drop.h"
#include "ethercord/replay.h"
#include "ethercord/wire.h"

// How much one key may do (docs/protocol.md#limits). Tests make them small.
struct session_limits {
    uint64_t rekey_after_messages;
    uint64_t reject_after_messages; // counters 0 … this - 1 may be used
    uint64_t rekey_after_blocks;    // of 16 bytes, AES-256-GCM only
    uint64_t reject_after_blocks;
    uint64_t reject_after_ns; // age, both directions
};
void session_limits_default(struct session_limits *limits);

struct send_session {
    _Alignas(64) struct aead_key key;
    uint32_t remote_index;
    uint32_t local_index; // names the keypair
    uint32_t features;    // what the peer takes: set of enum feature
    uint16_t far_tap_mtu; // of the peer's TAP
    uint64_t born_ns;
    uint64_t next_counter;
    uint64_t n_blocks;
    uint64_t n_excused; // counters that the peer need not miss: of probes, and of what our own kernel refused
    struct session_limits limits;
    bool is_taken; // main's: whether this place of the keystore is in use
};

struct recv_session {
    _Alignas(64) struct aead_key key;
    uint32_t local_index;
    uint64_t born_ns;
    uint64_t reject_after_ns;
    bool is_confirmed; // a data message under it has come: the peer is known to have the keys
    bool is_taken;
    struct replay replay;
    uint64_t n_accepted;
    uint64_t n_probes;     // of those
    uint64_t told_excused; // as the peer said: see send_session
    uint64_t n_excused;    // … and what that means for what is missing here
};

// Two per keypair; previous, current, next and what is on its way back.
enum { KEYSTORE_PLACES = 6 };
// All data keys of a node; lives in locked memory. 64-byte aligned.
struct keystore {
    struct send_session send[KEYSTORE_PLACES];
    struct recv_session recv[KEYSTORE_PLACES];
};
// A wiped place, or NULL when all are taken.
struct send_session *keystore_get_send(struct keystore *keystore);
struct recv_session *keystore_get_recv(struct keystore *keystore);
// Wipes the key and frees the place.
void keystore_put_send(struct send_session *session);
void keystore_put_recv(struct recv_session *session);

struct session_secret {
    const uint8_t *key; // 32 bytes
    enum cipher cipher;
    uint64_t born_ns;
};
void send_session_init(struct send_session *session, const struct session_secret *secret, const struct session_limits *limits);
void recv_session_init(struct recv_session *session, const struct session_secret *secret, const struct session_limits *limits);

// Takes `n` consecutive counters for data messages of at most `payload_len` bytes each; false (nothing taken) when the key has reached a
// limit. The first counter in `first`.
bool send_session_reserve(struct send_session *session, uint32_t n, size_t payload_len, uint64_t now_ns, uint64_t *first)
    __attribute__((warn_unused_result));
// It is time to make a new keypair: half of a limit is used up.
bool send_session_wants_rekey(const struct send_session *session);

// Makes a data message of payload_len + WIRE_DATA_OVERHEAD bytes at `message` under a reserved counter. The payload may lie at
// message + WIRE_DATA_HEADER_LEN, else it must not overlap with the message.
void session_seal(const struct send_session *session, uint64_t counter, const uint8_t *payload, size_t payload_len, uint8_t *message);

// Opens a data message of `len` bytes to len - WIRE_DATA_OVERHEAD bytes at `payload`; authentication first, then the replay window. Returns
// DROP_COUNT when the payload may be used, else why not; then nothing has changed but what `payload` points to. It may lie at
// message + WIRE_DATA_HEADER_LEN, else it must not overlap with the message.
enum drop_reason session_open(struct recv_session *session, const uint8_t *message, size_t len, uint64_t now_ns, uint8_t *payload)
    __attribute__((warn_unused_result));

// The peer says that so many of its counters are not to be missed; what it said before stays, if it was more. Returns how many more or
// fewer of those that are missing are excused now. Call it also when a probe has come: with 0.
int64_t recv_session_excuse(struct recv_session *session, uint64_t told);

#endif
