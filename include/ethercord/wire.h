// SPDX-License-Identifier: MIT
/*
 * wire: the bytes of every message and record (docs/protocol.md), and nothing else: no keys, no state.
 *
 * All integers little-endian. Decoding validates every length once and fills a decoded struct; whoever uses that needs no length check.
 *
 * A data message is a 16-byte header (the associated data), then the sealed payload. A payload is empty (a keepalive), or
 *
 *     body 1 … body n | descriptor 1 … descriptor n | n (1 byte)
 *
 * and is read from its end. The bodies lie first so that, when segments of a train are opened one behind the other, each payload lands
 * where the one before it ended and overwrites descriptors that were read already: a super-frame grows in place without a copy.
 */
#ifndef ETHERCORD_WIRE_H
#define ETHERCORD_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/aead.h"
#include "ethercord/cookie.h"
#include "ethercord/noise.h"

enum message_type { MESSAGE_INVALID = 0, MESSAGE_INITIATION = 1, MESSAGE_RESPONSE = 2, MESSAGE_COOKIE_REPLY = 3, MESSAGE_DATA = 4 };

// Specification constants.
enum {
    WIRE_TIMESTAMP_LEN = 12, // TAI64N
    WIRE_HELLO_LEN = WIRE_TIMESTAMP_LEN + 2 + 2 + 4,
    WIRE_CHOICE_LEN = 2 + 2 + 4,
    WIRE_INITIATION_LEN = 4 + 4 + NOISE_INITIATION_OVERHEAD + WIRE_HELLO_LEN + 2 * MAC_LEN,
    WIRE_RESPONSE_LEN = 4 + 4 + 4 + NOISE_RESPONSE_OVERHEAD + WIRE_CHOICE_LEN + 2 * MAC_LEN,
    WIRE_COOKIE_REPLY_LEN = 4 + 4 + COOKIE_NONCE_LEN + COOKIE_SEALED_LEN,
    WIRE_DATA_HEADER_LEN = 16,
    WIRE_DATA_OVERHEAD = WIRE_DATA_HEADER_LEN + AEAD_TAG_LEN,
    WIRE_DESCRIPTOR_LEN = 8,
    WIRE_RECORD_OVERHEAD = WIRE_DESCRIPTOR_LEN + 1, // of a payload with a single record
    WIRE_RECORDS_MAX = 64,                          // records in one payload
    PATH_MTU_MIN = 576,                             // outer IP packet, bytes
    PATH_MTU_MAX = 9216
};
#define WIRE_PROLOGUE "ethercord 1"
// What an end takes when it receives; told in the handshake. Unknown bits are ignored.
enum feature {
    FEATURE_SEGMENT = 1,          // SEGMENT records
    FEATURE_PARTIAL_CHECKSUM = 2, // RECORD_FLAG_PARTIAL_CHECKSUM
    FEATURES_ALL = FEATURE_SEGMENT | FEATURE_PARTIAL_CHECKSUM
};

// Type by the first byte *and* the exact (data: the least) length; MESSAGE_INVALID for anything else, also when the reserved bytes
// are not zero.
enum message_type wire_classify(const uint8_t *datagram, size_t len);

// Of a datagram that was classified: the receiver index; of an initiation, which has none, the sender index.
uint32_t wire_index(const uint8_t *datagram);

// Payload of message 1.
struct hello {
    uint8_t timestamp[WIRE_TIMESTAMP_LEN];
    uint16_t ciphers;  // set: 1 << enum cipher
    uint16_t tap_mtu;  // bytes
    uint32_t features; // set of enum feature
};
// Payload of message 2.
struct choice {
    enum cipher cipher;
    uint16_t tap_mtu;
    uint32_t features;
};
void hello_encode(const struct hello *hello, uint8_t out[static WIRE_HELLO_LEN]);
// False when the TAP MTU is less than TAP_MTU_MIN (frame.h).
bool hello_decode(struct hello *hello, const uint8_t in[static WIRE_HELLO_LEN]);
void choice_encode(const struct choice *choice, uint8_t out[static WIRE_CHOICE_LEN]);
// False when the cipher is not one we know, or the TAP MTU is less than TAP_MTU_MIN.
bool choice_decode(struct choice *choice, const uint8_t in[static WIRE_CHOICE_LEN]);

// Handshake messages: offsets are in wire.c; `noise` points into the message. decode wants a datagram that was classified as that type.
struct initiation_msg {
    uint32_t sender_index;
    uint8_t *noise; // NOISE_INITIATION_OVERHEAD + WIRE_HELLO_LEN bytes
};
struct response_msg {
    uint32_t sender_index;
    uint32_t receiver_index;
    uint8_t *noise; // NOISE_RESPONSE_OVERHEAD + WIRE_CHOICE_LEN bytes
};
struct cookie_reply_msg {
    uint32_t receiver_index;
    struct cookie_sealed cookie;
};
// begin: writes the header, zeroes the rest and fills `msg` in so that noise can be written in place; macs come last (cookie.h).
void initiation_begin(uint8_t out[static WIRE_INITIATION_LEN], uint32_t sender_index, struct initiation_msg *msg);
void initiation_decode(uint8_t *datagram, struct initiation_msg *msg);
void response_begin(uint8_t out[static WIRE_RESPONSE_LEN], uint32_t sender_index, uint32_t receiver_index, struct response_msg *msg);
void response_decode(uint8_t *datagram, struct response_msg *msg);
void cookie_reply_encode(const struct cookie_reply_msg *msg, uint8_t out[static WIRE_COOKIE_REPLY_LEN]);
void cookie_reply_decode(const uint8_t *datagram, struct cookie_reply_msg *msg);

struct data_header {
    uint32_t receiver_index;
    uint64_t counter;
};
void data_header_encode(const struct data_header *header, uint8_t out[static WIRE_DATA_HEADER_LEN]);
void data_header_decode(const uint8_t *datagram, struct data_header *header);

// Records. Values are on the wire.
enum record_type {
    RECORD_FRAME = 1,        // one whole Ethernet frame
    RECORD_SEGMENT = 2,      // one frame of a super-frame: payload, then its headers
    RECORD_FRAGMENT = 3,     // a piece of a frame that fits no datagram
    RECORD_PROBE = 4,        // 8-byte token, then padding
    RECORD_PROBE_ANSWER = 5, // the token
    RECORD_ECHO = 6,         // 8-byte id
    RECORD_ECHO_ANSWER = 7,  // the id
    RECORD_PATH_REPORT = 8,  // what arrives of what the peer sends: struct path_report
    RECORD_GOODBYE = 9,      // empty: this keypair ends
    RECORD_TYPE_COUNT
};
enum { RECORD_FLAG_PARTIAL_CHECKSUM = 1 }; // FRAME: the L4 checksum field holds the pseudo-header's sum only
enum { WIRE_TOKEN_LEN = 8 };               // of PROBE… and ECHO…
// A message with nothing in it but one of these: its datagram.
enum { WIRE_TOKEN_MESSAGE_LEN = WIRE_DATA_OVERHEAD + WIRE_TOKEN_LEN + WIRE_RECORD_OVERHEAD };
// Specification constant: an endpoint that has not answered a probe yet gets so many times the bytes that came from it.
enum { WIRE_AMPLIFICATION_MAX = 3 };
enum {
    WIRE_PATH_REPORT_MIN = 2,                            // what a PATH_REPORT has at least
    WIRE_PATH_REPORT_LEN = WIRE_PATH_REPORT_MIN + 5 * 8, // with all that is known of it here
    WIRE_CONTROL_MAX = WIRE_PATH_REPORT_LEN
};
// Bytes of body that a control record is sent with (a PROBE: without its padding).
size_t wire_control_len(enum record_type type);

// What has become of one direction's data messages, of all keypairs together.
struct arrivals {
    uint64_t n_expected; // counters up to the newest that arrived
    uint64_t n_lost;     // of those: not here. Less again when they come late
    uint64_t n_late;     // came behind a later one
    uint64_t n_repeated; // came again
};
struct path_report {
    uint16_t largest; // data message accepted since the last report, bytes; 0 = none
    bool has_arrivals;
    struct arrivals arrivals; // at the sender of the report
    uint64_t n_excused;       // of the keypair that seals the report: counters of the sender's own that nobody is to miss
};
void path_report_encode(const struct path_report *report, uint8_t out[static WIRE_PATH_REPORT_LEN]);
// The body of a record that was decoded. What a shorter one does not have, or what contradicts itself, is not there (has_arrivals).
void path_report_decode(struct path_report *report, const uint8_t *body, size_t len);
// In a body that was encoded: the sending thread alone knows it.
void path_report_set_excused(uint8_t body[static WIRE_PATH_REPORT_LEN], uint64_t n_excused);

struct record {
    enum record_type type;
    uint8_t flags;
    uint16_t len;  // bytes of the body
    uint16_t size; // SEGMENT: gso_size; FRAGMENT: bytes of every piece but the last; else 0
    uint8_t index; // SEGMENT and FRAGMENT: place in the run, from 0; else 0
    uint8_t extra; // SEGMENT: bytes of headers at the end of the body; FRAGMENT: pieces in the run; else 0
    uint8_t *body; // decoded: points into the payload
};
struct records {
    size_t n;
    struct record at[WIRE_RECORDS_MAX];
};
// Reads a whole payload from its end. False when anything contradicts itself: lengths that don't add up, no record in a payload that is
// not empty, a fragment whose index, count, size and length can't be, a control record of a wrong length, an unknown type, unknown flags.
// An empty payload is true with n = 0.
bool records_decode(struct records *records, uint8_t *payload, size_t len) __attribute__((warn_unused_result));

// Builds a payload at `bytes`: put each body where payload_next() says, then name it with payload_add(); payload_finish() last.
struct payload {
    uint8_t *bytes;
    size_t cap;      // room for bodies, descriptors and the count
    size_t body_len; // bytes of bodies so far
    size_t n;
    uint8_t descriptors[WIRE_RECORDS_MAX * WIRE_DESCRIPTOR_LEN];
};
void payload_begin(struct payload *payload, uint8_t *bytes, size_t cap);
static inline uint8_t *payload_next(const struct payload *payload)
{
    return payload->bytes + payload->body_len;
}
// Bytes of body that one more record could have; 0 also when there is no room for a descriptor.
size_t payload_room(const struct payload *payload);
// True if one more record with a body of `len` bytes fits (len may be 0).
bool payload_fits(const struct payload *payload, size_t len);
// The body (record->len bytes) lies at payload_next() already. It must fit.
void payload_add(struct payload *payload, const struct record *record);
// Returns the payload's whole length; 0 when no record was added (a keepalive).
size_t payload_finish(struct payload *payload);

#endif
