// SPDX-License-Identifier: MIT
/*
 * wire: datagrams and payloads as they come. What is decoded and encoded again is the same bytes: each message has one form, so nothing can
 * hide in what nobody looks at.
 */
#include "ethercord/wire.h"

#include "ethercord/fragment.h"
#include "fuzz.h"

static void check_initiation(uint8_t *datagram)
{
    uint8_t again[WIRE_INITIATION_LEN];
    struct initiation_msg in, out;

    initiation_decode(datagram, &in);
    initiation_begin(again, in.sender_index, &out);
    memcpy(out.noise, in.noise, NOISE_INITIATION_OVERHEAD + WIRE_HELLO_LEN);
    ensure(memcmp(again, datagram, sizeof again - 2 * (size_t)MAC_LEN) == 0);
}

static void check_response(uint8_t *datagram)
{
    uint8_t again[WIRE_RESPONSE_LEN];
    struct response_msg in, out;

    response_decode(datagram, &in);
    response_begin(again, in.sender_index, in.receiver_index, &out);
    memcpy(out.noise, in.noise, NOISE_RESPONSE_OVERHEAD + WIRE_CHOICE_LEN);
    ensure(memcmp(again, datagram, sizeof again - 2 * (size_t)MAC_LEN) == 0);
}

static void check_cookie_reply(const uint8_t *datagram)
{
    uint8_t again[WIRE_COOKIE_REPLY_LEN];
    struct cookie_reply_msg msg;

    cookie_reply_decode(datagram, &msg);
    cookie_reply_encode(&msg, again);
    ensure(memcmp(again, datagram, sizeof again) == 0);
}

static void check_path_report(const struct record *record)
{
    uint8_t *body = fuzz_copy(record->body, record->len), again[WIRE_PATH_REPORT_LEN];
    struct path_report report;

    ensure(record->len >= WIRE_PATH_REPORT_MIN);
    path_report_decode(&report, body, record->len);
    path_report_encode(&report, again);
    ensure(memcmp(again, body, report.has_arrivals ? WIRE_PATH_REPORT_LEN : WIRE_PATH_REPORT_MIN) == 0);
    ensure(report.arrivals.n_lost <= report.arrivals.n_expected);
    ensure(report.has_arrivals ? record->len >= WIRE_PATH_REPORT_LEN : report.n_excused == 0);
    free(body);
}

static void check_record(const struct record *record, const uint8_t *payload, size_t len)
{
    ensure(record->type > 0 && record->type < RECORD_TYPE_COUNT);
    ensure(record->body >= payload && record->body + record->len <= payload + len);
    if (record->type == RECORD_PATH_REPORT)
        check_path_report(record);
    else
        ensure(record->len >= wire_control_len(record->type));
    if (record->type == RECORD_SEGMENT)
        ensure(record->extra < record->len);
    if (record->type == RECORD_FRAGMENT)
        ensure(record->index < record->extra && record->extra <= FRAGMENTS_MAX && record->len <= record->size);
}

static void check_payload(const uint8_t *bytes, size_t len)
{
    static struct records records;
    static struct payload payload;
    uint8_t *copy = fuzz_copy(bytes, len), *again = fuzz_copy(bytes, len);

    if (records_decode(&records, copy, len)) {
        ensure(records.n <= WIRE_RECORDS_MAX && (records.n > 0) == (len > 0));
        memset(again, 0, len);
        payload_begin(&payload, again, len);
        for (size_t i = 0; i < records.n; i++) {
            check_record(&records.at[i], copy, len);
            ensure(payload_fits(&payload, records.at[i].len) && payload_room(&payload) >= records.at[i].len);
            memcpy(payload_next(&payload), records.at[i].body, records.at[i].len);
            payload_add(&payload, &records.at[i]);
        }
        ensure(payload_finish(&payload) == len && memcmp(again, bytes, len) == 0);
        ensure(payload_room(&payload) == 0);
    }
    free(copy);
    free(again);
}

static void check_datagram(const uint8_t *bytes, size_t len)
{
    uint8_t *datagram = fuzz_copy(bytes, len), again[WIRE_DATA_HEADER_LEN];
    struct data_header header;

    switch (wire_classify(datagram, len)) {
    case MESSAGE_INITIATION:
        check_initiation(datagram);
        break;
    case MESSAGE_RESPONSE:
        check_response(datagram);
        break;
    case MESSAGE_COOKIE_REPLY:
        check_cookie_reply(datagram);
        break;
    case MESSAGE_DATA:
        data_header_decode(datagram, &header);
        data_header_encode(&header, again);
        ensure(len >= WIRE_DATA_OVERHEAD && memcmp(again, datagram, sizeof again) == 0);
        break;
    case MESSAGE_INVALID:
        break;
    }
    free(datagram);
}

static void check_hello(struct reader *in)
{
    uint8_t bytes[WIRE_HELLO_LEN], again[WIRE_HELLO_LEN];
    struct hello hello;

    reader_copy(in, bytes, sizeof bytes);
    if (!hello_decode(&hello, bytes))
        return;
    hello_encode(&hello, again);
    ensure(memcmp(again, bytes, sizeof again) == 0);
}

static void check_choice(struct reader *in)
{
    uint8_t bytes[WIRE_CHOICE_LEN], again[WIRE_CHOICE_LEN];
    struct choice choice;

    reader_copy(in, bytes, sizeof bytes);
    if (!choice_decode(&choice, bytes))
        return;
    ensure(choice.cipher != CIPHER_NONE && choice.cipher < CIPHER_COUNT);
    choice_encode(&choice, again);
    ensure(memcmp(again, bytes, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_of(data, size);

    switch (reader_u8(&in) % 4) {
    case 0:
        check_datagram(in.at, in.left);
        break;
    case 1:
        check_payload(in.at, in.left);
        break;
    case 2:
        check_hello(&in);
        break;
    default:
        check_choice(&in);
    }
    return 0;
}
