// SPDX-License-Identifier: MIT
/*
 * wire: see the header; the byte diagrams are in docs/protocol.md#messages and #records.
 *
 * Offsets are written once, as expressions of what lies before. Everything that the peer can put inside a data message is checked in
 * check_record(): whoever uses a decoded record checks no length again.
 */
#include "ethercord/wire.h"

#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/fragment.h"
#include "ethercord/frame.h"
#include "ethercord/log.h"
#include "ethercord/split.h"

enum {
    TYPE_LEN = 4, // type and three reserved bytes
    INDEX_LEN = 4,
    SENDER_AT = TYPE_LEN,
    INITIATION_NOISE_AT = SENDER_AT + INDEX_LEN,
    RESPONSE_RECEIVER_AT = SENDER_AT + INDEX_LEN,
    RESPONSE_NOISE_AT = RESPONSE_RECEIVER_AT + INDEX_LEN,
    COOKIE_RECEIVER_AT = TYPE_LEN,
    COOKIE_NONCE_AT = COOKIE_RECEIVER_AT + INDEX_LEN,
    COOKIE_SEALED_AT = COOKIE_NONCE_AT + COOKIE_NONCE_LEN,
    DATA_RECEIVER_AT = TYPE_LEN,
    DATA_COUNTER_AT = DATA_RECEIVER_AT + INDEX_LEN,
    REPORT_EXCUSED_AT = WIRE_PATH_REPORT_LEN - 8,
    COUNT_LEN = 1, // the number of records, last byte of a payload
    DATAGRAM_MAX = 65535,
    SEGMENT_INDEX_MAX = SEGMENTS_MAX - 1
};

_Static_assert(INITIATION_NOISE_AT + NOISE_INITIATION_OVERHEAD + WIRE_HELLO_LEN + 2 * MAC_LEN == WIRE_INITIATION_LEN, "initiation");
_Static_assert(RESPONSE_NOISE_AT + NOISE_RESPONSE_OVERHEAD + WIRE_CHOICE_LEN + 2 * MAC_LEN == WIRE_RESPONSE_LEN, "response");
_Static_assert(COOKIE_SEALED_AT + COOKIE_SEALED_LEN == WIRE_COOKIE_REPLY_LEN, "cookie reply");
_Static_assert(DATA_COUNTER_AT + 8 == WIRE_DATA_HEADER_LEN, "data header");
// No answer is longer than what caused it.
_Static_assert(WIRE_RESPONSE_LEN <= WIRE_INITIATION_LEN && WIRE_COOKIE_REPLY_LEN <= WIRE_RESPONSE_LEN, "amplification");

static void put_type(uint8_t *out, enum message_type type)
{
    memset(out, 0, TYPE_LEN);
    out[0] = (uint8_t)type;
}

static bool length_is_right(uint8_t type, size_t len)
{
    switch (type) {
    case MESSAGE_INITIATION:
        return len == WIRE_INITIATION_LEN;
    case MESSAGE_RESPONSE:
        return len == WIRE_RESPONSE_LEN;
    case MESSAGE_COOKIE_REPLY:
        return len == WIRE_COOKIE_REPLY_LEN;
    case MESSAGE_DATA:
        return len >= WIRE_DATA_OVERHEAD && len <= DATAGRAM_MAX;
    default:
        return false;
    }
}

static void read_descriptor(struct record *record, uint8_t *type, const uint8_t *in)
{
    struct reader r = reader_of(in, WIRE_DESCRIPTOR_LEN);
    *type = reader_u8(&r);
    record->flags = reader_u8(&r);
    record->len = reader_le16(&r);
    record->size = reader_le16(&r);
    record->index = reader_u8(&r);
    record->extra = reader_u8(&r);
}

static void write_descriptor(const struct record *record, uint8_t *out)
{
    struct writer w = writer_of(out, WIRE_DESCRIPTOR_LEN);
    writer_u8(&w, (uint8_t)record->type);
    writer_u8(&w, record->flags);
    writer_le16(&w, record->len);
    writer_le16(&w, record->size);
    writer_u8(&w, record->index);
    writer_u8(&w, record->extra);
}

static bool fragment_is_valid(const struct record *record)
{
    if (record->extra < 2 || record->extra > FRAGMENTS_MAX || record->index >= record->extra || record->size == 0)
        return false;
    if (record->index < record->extra - 1)
        return record->len == record->size;
    return record->len >= 1 && record->len <= record->size;
}

static bool segment_is_valid(const struct record *record)
{
    return record->extra < record->len && record->len - record->extra <= record->size && record->index <= SEGMENT_INDEX_MAX;
}

// A record that is no part of a run: what only runs use must be zero, so that every payload has one encoding.
static bool single_is_valid(const struct record *record)
{
    if (record->size != 0 || record->index != 0 || record->extra != 0)
        return false;
    switch (record->type) {
    case RECORD_FRAME:
        return record->len >= 1;
    case RECORD_PROBE:
        return record->len >= WIRE_TOKEN_LEN;
    case RECORD_PROBE_ANSWER:
    case RECORD_ECHO:
    case RECORD_ECHO_ANSWER:
        return record->len == WIRE_TOKEN_LEN;
    case RECORD_PATH_REPORT:
        return record->len >= WIRE_PATH_REPORT_MIN;
    case RECORD_GOODBYE:
        return record->len == 0;
    default:
        return false;
    }
}

size_t wire_control_len(enum record_type type)
{
    switch (type) {
    case RECORD_PROBE:
    case RECORD_PROBE_ANSWER:
    case RECORD_ECHO:
    case RECORD_ECHO_ANSWER:
        return WIRE_TOKEN_LEN;
    case RECORD_PATH_REPORT:
        return WIRE_PATH_REPORT_LEN;
    default:
        return 0;
    }
}

void path_report_encode(const struct path_report *report, uint8_t out[static WIRE_PATH_REPORT_LEN])
{
    struct writer w = writer_of(out, WIRE_PATH_REPORT_LEN);
    writer_le16(&w, report->largest);
    writer_le64(&w, report->arrivals.n_expected);
    writer_le64(&w, report->arrivals.n_lost);
    writer_le64(&w, report->arrivals.n_late);
    writer_le64(&w, report->arrivals.n_repeated);
    writer_le64(&w, report->n_excused);
}

void path_report_decode(struct path_report *report, const uint8_t *body, size_t len)
{
    *report = (struct path_report){.largest = load_le16(body)};
    if (len < WIRE_PATH_REPORT_LEN)
        return;
    struct reader r = reader_of(body + WIRE_PATH_REPORT_MIN, WIRE_PATH_REPORT_LEN - WIRE_PATH_REPORT_MIN);
    struct arrivals arrivals = {.n_expected = reader_le64(&r)};
    arrivals.n_lost = reader_le64(&r);
    arrivals.n_late = reader_le64(&r);
    arrivals.n_repeated = reader_le64(&r);
    uint64_t n_excused = reader_le64(&r);
    if (arrivals.n_lost > arrivals.n_expected || arrivals.n_late > arrivals.n_expected - arrivals.n_lost)
        return;
    report->has_arrivals = true;
    report->arrivals = arrivals;
    report->n_excused = n_excused;
}

void path_report_set_excused(uint8_t body[static WIRE_PATH_REPORT_LEN], uint64_t n_excused)
{
    store_le64(body + REPORT_EXCUSED_AT, n_excused);
}

static bool check_record(const struct record *record, size_t n_records)
{
    uint8_t flags_allowed = record->type == RECORD_FRAME ? RECORD_FLAG_PARTIAL_CHECKSUM : 0;
    if ((record->flags & ~flags_allowed) != 0)
        return false;
    // A run is found by counter - index, which needs one record per data message.
    if (record->type == RECORD_SEGMENT)
        return n_records == 1 && segment_is_valid(record);
    if (record->type == RECORD_FRAGMENT)
        return n_records == 1 && fragment_is_valid(record);
    // Wherever it came from it is answered: by no more than one answer for each message.
    if (record->type == RECORD_PROBE && n_records != 1)
        return false;
    return single_is_valid(record);
}

// `left`: bytes of bodies from `body` on.
static bool decode_record(struct record *record, const uint8_t *descriptor, uint8_t *body, size_t left, size_t n_records)
{
    uint8_t type;
    read_descriptor(record, &type, descriptor);
    if (type == 0 || type >= RECORD_TYPE_COUNT || record->len > left)
        return false;
    record->type = (enum record_type)type;
    record->body = body;
    return check_record(record, n_records);
}

enum message_type wire_classify(const uint8_t *datagram, size_t len)
{
    if (len < TYPE_LEN || !length_is_right(datagram[0], len))
        return MESSAGE_INVALID;
    if ((datagram[1] | datagram[2] | datagram[3]) != 0)
        return MESSAGE_INVALID;
    return (enum message_type)datagram[0];
}

uint32_t wire_index(const uint8_t *datagram)
{
    switch (datagram[0]) {
    case MESSAGE_INITIATION:
        return load_le32(datagram + SENDER_AT);
    case MESSAGE_RESPONSE:
        return load_le32(datagram + RESPONSE_RECEIVER_AT);
    case MESSAGE_COOKIE_REPLY:
        return load_le32(datagram + COOKIE_RECEIVER_AT);
    default:
        return load_le32(datagram + DATA_RECEIVER_AT);
    }
}

void hello_encode(const struct hello *hello, uint8_t out[static WIRE_HELLO_LEN])
{
    struct writer w = writer_of(out, WIRE_HELLO_LEN);
    writer_copy(&w, hello->timestamp, WIRE_TIMESTAMP_LEN);
    writer_le16(&w, hello->ciphers);
    writer_le16(&w, hello->tap_mtu);
    writer_le32(&w, hello->features);
}

bool hello_decode(struct hello *hello, const uint8_t in[static WIRE_HELLO_LEN])
{
    struct reader r = reader_of(in, WIRE_HELLO_LEN);
    reader_copy(&r, hello->timestamp, WIRE_TIMESTAMP_LEN);
    hello->ciphers = reader_le16(&r);
    hello->tap_mtu = reader_le16(&r);
    hello->features = reader_le32(&r);
    return hello->tap_mtu >= TAP_MTU_MIN;
}

void choice_encode(const struct choice *choice, uint8_t out[static WIRE_CHOICE_LEN])
{
    struct writer w = writer_of(out, WIRE_CHOICE_LEN);
    writer_le16(&w, (uint16_t)choice->cipher);
    writer_le16(&w, choice->tap_mtu);
    writer_le32(&w, choice->features);
}

bool choice_decode(struct choice *choice, const uint8_t in[static WIRE_CHOICE_LEN])
{
    struct reader r = reader_of(in, WIRE_CHOICE_LEN);
    uint16_t cipher = reader_le16(&r);
    choice->cipher = cipher < CIPHER_COUNT ? (enum cipher)cipher : CIPHER_NONE;
    choice->tap_mtu = reader_le16(&r);
    choice->features = reader_le32(&r);
    return choice->cipher != CIPHER_NONE && choice->tap_mtu >= TAP_MTU_MIN;
}

void initiation_begin(uint8_t out[static WIRE_INITIATION_LEN], uint32_t sender_index, struct initiation_msg *msg)
{
    memset(out, 0, WIRE_INITIATION_LEN);
    put_type(out, MESSAGE_INITIATION);
    store_le32(out + SENDER_AT, sender_index);
    initiation_decode(out, msg);
}

void initiation_decode(uint8_t *datagram, struct initiation_msg *msg)
{
    msg->sender_index = load_le32(datagram + SENDER_AT);
    msg->noise = datagram + INITIATION_NOISE_AT;
}

void response_begin(uint8_t out[static WIRE_RESPONSE_LEN], uint32_t sender_index, uint32_t receiver_index, struct response_msg *msg)
{
    memset(out, 0, WIRE_RESPONSE_LEN);
    put_type(out, MESSAGE_RESPONSE);
    store_le32(out + SENDER_AT, sender_index);
    store_le32(out + RESPONSE_RECEIVER_AT, receiver_index);
    response_decode(out, msg);
}

void response_decode(uint8_t *datagram, struct response_msg *msg)
{
    msg->sender_index = load_le32(datagram + SENDER_AT);
    msg->receiver_index = load_le32(datagram + RESPONSE_RECEIVER_AT);
    msg->noise = datagram + RESPONSE_NOISE_AT;
}

void cookie_reply_encode(const struct cookie_reply_msg *msg, uint8_t out[static WIRE_COOKIE_REPLY_LEN])
{
    put_type(out, MESSAGE_COOKIE_REPLY);
    store_le32(out + COOKIE_RECEIVER_AT, msg->receiver_index);
    memcpy(out + COOKIE_NONCE_AT, msg->cookie.nonce, COOKIE_NONCE_LEN);
    memcpy(out + COOKIE_SEALED_AT, msg->cookie.sealed, COOKIE_SEALED_LEN);
}

void cookie_reply_decode(const uint8_t *datagram, struct cookie_reply_msg *msg)
{
    msg->receiver_index = load_le32(datagram + COOKIE_RECEIVER_AT);
    memcpy(msg->cookie.nonce, datagram + COOKIE_NONCE_AT, COOKIE_NONCE_LEN);
    memcpy(msg->cookie.sealed, datagram + COOKIE_SEALED_AT, COOKIE_SEALED_LEN);
}

void data_header_encode(const struct data_header *header, uint8_t out[static WIRE_DATA_HEADER_LEN])
{
    put_type(out, MESSAGE_DATA);
    store_le32(out + DATA_RECEIVER_AT, header->receiver_index);
    store_le64(out + DATA_COUNTER_AT, header->counter);
}

void data_header_decode(const uint8_t *datagram, struct data_header *header)
{
    header->receiver_index = load_le32(datagram + DATA_RECEIVER_AT);
    header->counter = load_le64(datagram + DATA_COUNTER_AT);
}

bool records_decode(struct records *records, uint8_t *payload, size_t len)
{
    records->n = 0;
    if (len == 0)
        return true;
    size_t n = payload[len - COUNT_LEN];
    if (n == 0 || n > WIRE_RECORDS_MAX || COUNT_LEN + n * WIRE_DESCRIPTOR_LEN > len)
        return false;
    size_t left = len - COUNT_LEN - n * WIRE_DESCRIPTOR_LEN;
    const uint8_t *descriptor = payload + left;
    uint8_t *body = payload;
    for (size_t i = 0; i < n; i++) {
        struct record *record = &records->at[i];
        if (!decode_record(record, descriptor + i * WIRE_DESCRIPTOR_LEN, body, left, n))
            return false;
        body += record->len;
        left -= record->len;
    }
    if (left != 0)
        return false;
    records->n = n;
    return true;
}

void payload_begin(struct payload *payload, uint8_t *bytes, size_t cap)
{
    // The descriptors are written before they are read: no need to clear them.
    payload->bytes = bytes;
    payload->cap = cap;
    payload->body_len = 0;
    payload->n = 0;
}

bool payload_fits(const struct payload *payload, size_t len)
{
    size_t taken = payload->body_len + (payload->n + 1) * WIRE_DESCRIPTOR_LEN + COUNT_LEN;
    return payload->n < WIRE_RECORDS_MAX && len <= UINT16_MAX && taken <= payload->cap && len <= payload->cap - taken;
}

size_t payload_room(const struct payload *payload)
{
    if (!payload_fits(payload, 0))
        return 0;
    size_t room = payload->cap - payload->body_len - (payload->n + 1) * WIRE_DESCRIPTOR_LEN - COUNT_LEN;
    return room < UINT16_MAX ? room : UINT16_MAX;
}

void payload_add(struct payload *payload, const struct record *record)
{
    ensure(payload_fits(payload, record->len));
    write_descriptor(record, payload->descriptors + payload->n * WIRE_DESCRIPTOR_LEN);
    payload->body_len += record->len;
    payload->n++;
}

size_t payload_finish(struct payload *payload)
{
    if (payload->n == 0)
        return 0;
    size_t descriptors_len = payload->n * WIRE_DESCRIPTOR_LEN;
    uint8_t *end = payload_next(payload);
    memcpy(end, payload->descriptors, descriptors_len);
    end[descriptors_len] = (uint8_t)payload->n;
    return payload->body_len + descriptors_len + COUNT_LEN;
}
