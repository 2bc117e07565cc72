// SPDX-License-Identifier: MIT
/*
 * wire: every offset of every message, the classifier over all lengths, each rule of the record validator as one row of a table, the
 * payload builder's room to the byte, and 200 000 damaged payloads (under ASan: nothing out of bounds; whatever is accepted encodes to
 * the identical bytes).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/wire.h"

enum { CAP = 2048 };

static void test_sizes(void **state)
{
    (void)state;
    assert_int_equal(WIRE_INITIATION_LEN, 156);
    assert_int_equal(WIRE_RESPONSE_LEN, 100);
    assert_int_equal(WIRE_COOKIE_REPLY_LEN, 64);
    assert_int_equal(WIRE_DATA_HEADER_LEN, 16);
    assert_int_equal(WIRE_DATA_OVERHEAD, 32);
    assert_int_equal(WIRE_RECORD_OVERHEAD, 9);
    assert_int_equal(WIRE_HELLO_LEN, 20);
    assert_int_equal(WIRE_CHOICE_LEN, 8);
}

static enum message_type expected_type(unsigned type, size_t len)
{
    switch (type) {
    case MESSAGE_INITIATION:
        return len == 156 ? MESSAGE_INITIATION : MESSAGE_INVALID;
    case MESSAGE_RESPONSE:
        return len == 100 ? MESSAGE_RESPONSE : MESSAGE_INVALID;
    case MESSAGE_COOKIE_REPLY:
        return len == 64 ? MESSAGE_COOKIE_REPLY : MESSAGE_INVALID;
    case MESSAGE_DATA:
        return len >= 32 && len <= 65535 ? MESSAGE_DATA : MESSAGE_INVALID;
    default:
        return MESSAGE_INVALID;
    }
}

static void test_classify(void **state)
{
    static uint8_t datagram[65536];
    static const size_t long_ones[] = {1500, 65507, 65534, 65535, 65536};
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        datagram[0] = (uint8_t)type;
        for (size_t len = 0; len < 200; len++)
            assert_int_equal(wire_classify(datagram, len), len == 0 ? MESSAGE_INVALID : expected_type(type, len));
        for (size_t i = 0; i < sizeof long_ones / sizeof long_ones[0]; i++)
            assert_int_equal(wire_classify(datagram, long_ones[i]), expected_type(type, long_ones[i]));
    }
    for (size_t bit = 8; bit < 32; bit++) {
        datagram[0] = MESSAGE_DATA;
        datagram[bit / 8] = (uint8_t)(1U << bit % 8);
        assert_int_equal(wire_classify(datagram, 100), MESSAGE_INVALID);
        datagram[0] = MESSAGE_INITIATION;
        assert_int_equal(wire_classify(datagram, 156), MESSAGE_INVALID);
        datagram[bit / 8] = 0;
    }
}

static void test_initiation(void **state)
{
    static const uint8_t header[] = {1, 0, 0, 0, 0x78, 0x56, 0x34, 0x12};
    uint8_t out[WIRE_INITIATION_LEN];
    struct initiation_msg msg;
    struct initiation_msg again;
    (void)state;
    memset(out, 0xff, sizeof out);
    initiation_begin(out, 0x12345678, &msg);
    assert_memory_equal(out, header, sizeof header);
    for (size_t i = sizeof header; i < sizeof out; i++)
        assert_int_equal(out[i], 0);
    assert_ptr_equal(msg.noise, out + 8);
    assert_int_equal(wire_classify(out, sizeof out), MESSAGE_INITIATION);
    initiation_decode(out, &again);
    assert_int_equal(again.sender_index, 0x12345678);
    assert_int_equal(wire_index(out), 0x12345678);
    assert_ptr_equal(again.noise, msg.noise);
    // noise ends where mac1 begins
    assert_int_equal(8 + NOISE_INITIATION_OVERHEAD + WIRE_HELLO_LEN, WIRE_INITIATION_LEN - 2 * MAC_LEN);
}

static void test_response(void **state)
{
    static const uint8_t header[] = {2, 0, 0, 0, 0x78, 0x56, 0x34, 0x12, 0xf0, 0xde, 0xbc, 0x9a};
    uint8_t out[WIRE_RESPONSE_LEN];
    struct response_msg msg;
    struct response_msg again;
    (void)state;
    memset(out, 0xff, sizeof out);
    response_begin(out, 0x12345678, 0x9abcdef0, &msg);
    assert_memory_equal(out, header, sizeof header);
    for (size_t i = sizeof header; i < sizeof out; i++)
        assert_int_equal(out[i], 0);
    assert_int_equal(wire_classify(out, sizeof out), MESSAGE_RESPONSE);
    response_decode(out, &again);
    assert_int_equal(again.sender_index, 0x12345678);
    assert_int_equal(again.receiver_index, 0x9abcdef0);
    assert_int_equal(wire_index(out), 0x9abcdef0);
    assert_ptr_equal(again.noise, out + 12);
    assert_int_equal(12 + NOISE_RESPONSE_OVERHEAD + WIRE_CHOICE_LEN, WIRE_RESPONSE_LEN - 2 * MAC_LEN);
}

static void test_cookie_reply(void **state)
{
    struct cookie_reply_msg msg = {.receiver_index = 0x01020304};
    struct cookie_reply_msg again;
    uint8_t out[WIRE_COOKIE_REPLY_LEN];
    static const uint8_t header[] = {3, 0, 0, 0, 4, 3, 2, 1};
    (void)state;
    memset(msg.cookie.nonce, 0x11, sizeof msg.cookie.nonce);
    memset(msg.cookie.sealed, 0x22, sizeof msg.cookie.sealed);
    memset(out, 0xff, sizeof out);
    cookie_reply_encode(&msg, out);
    assert_memory_equal(out, header, sizeof header);
    for (size_t i = 8; i < sizeof out; i++)
        assert_int_equal(out[i], i < 32 ? 0x11 : 0x22);
    assert_int_equal(wire_classify(out, sizeof out), MESSAGE_COOKIE_REPLY);
    cookie_reply_decode(out, &again);
    assert_int_equal(again.receiver_index, msg.receiver_index);
    assert_int_equal(wire_index(out), msg.receiver_index);
    assert_memory_equal(&again.cookie, &msg.cookie, sizeof msg.cookie);
}

static void test_data_header(void **state)
{
    static const uint8_t expected[] = {4, 0, 0, 0, 4, 3, 2, 1, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01};
    struct data_header header = {.receiver_index = 0x01020304, .counter = UINT64_C(0x0123456789abcdef)};
    struct data_header again;
    uint8_t out[WIRE_DATA_HEADER_LEN];
    (void)state;
    memset(out, 0xff, sizeof out);
    data_header_encode(&header, out);
    assert_memory_equal(out, expected, sizeof expected);
    data_header_decode(out, &again);
    assert_int_equal(again.receiver_index, header.receiver_index);
    assert_int_equal(wire_index(out), header.receiver_index);
    assert_int_equal(again.counter, header.counter);
}

static void test_hello(void **state)
{
    static const uint8_t expected[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 6, 0, 0xdc, 5, 4, 3, 2, 1};
    struct hello hello = {.ciphers = 6, .tap_mtu = 1500, .features = 0x01020304};
    struct hello again;
    uint8_t out[WIRE_HELLO_LEN];
    (void)state;
    for (uint8_t i = 0; i < WIRE_TIMESTAMP_LEN; i++)
        hello.timestamp[i] = (uint8_t)(i + 1);
    hello_encode(&hello, out);
    assert_memory_equal(out, expected, sizeof expected);
    assert_true(hello_decode(&again, out));
    assert_memory_equal(&again, &hello, sizeof hello);
    for (uint32_t mtu = 0; mtu <= 0xffff; mtu++) {
        hello.tap_mtu = (uint16_t)mtu;
        hello_encode(&hello, out);
        assert_int_equal(hello_decode(&again, out), mtu >= 576);
    }
}

static void test_choice(void **state)
{
    static const uint8_t expected[] = {2, 0, 0x28, 0x23, 4, 3, 2, 1};
    struct choice choice = {.cipher = CIPHER_AES_256_GCM, .tap_mtu = 9000, .features = 0x01020304};
    struct choice again;
    uint8_t out[WIRE_CHOICE_LEN];
    (void)state;
    choice_encode(&choice, out);
    assert_memory_equal(out, expected, sizeof expected);
    assert_true(choice_decode(&again, out));
    assert_int_equal(again.cipher, choice.cipher);
    assert_int_equal(again.tap_mtu, 9000);
    assert_int_equal(again.features, 0x01020304);
    for (uint32_t cipher = 0; cipher <= 0xffff; cipher++) {
        out[0] = (uint8_t)cipher;
        out[1] = (uint8_t)(cipher >> 8);
        assert_int_equal(choice_decode(&again, out), cipher == 1 || cipher == 2);
    }
    choice.tap_mtu = 575;
    choice_encode(&choice, out);
    assert_false(choice_decode(&again, out));
}

// One record alone in its payload.
struct record_case {
    struct record record;
    bool is_valid;
};

#define ONE(t, fl, l, s, i, e, valid)                                                                                                      \
    {                                                                                                                                      \
        {.type = (t), .flags = (fl), .len = (l), .size = (s), .index = (i), .extra = (e)}, valid                                           \
    }

static const struct record_case record_cases[] = {
    ONE(RECORD_FRAME, 0, 1, 0, 0, 0, true),
    ONE(RECORD_FRAME, 0, 0, 0, 0, 0, false),
    ONE(RECORD_FRAME, RECORD_FLAG_PARTIAL_CHECKSUM, 60, 0, 0, 0, true),
    ONE(RECORD_FRAME, 2, 60, 0, 0, 0, false),
    ONE(RECORD_FRAME, 0x81, 60, 0, 0, 0, false),
    ONE(RECORD_FRAME, 0, 60, 1, 0, 0, false),
    ONE(RECORD_FRAME, 0, 60, 0, 1, 0, false),
    ONE(RECORD_FRAME, 0, 60, 0, 0, 1, false),

    ONE(RECORD_SEGMENT, 0, 100, 46, 0, 54, true), // of payload there are 46 bytes
    ONE(RECORD_SEGMENT, 0, 100, 45, 0, 54, false),
    ONE(RECORD_SEGMENT, 0, 100, 47, 0, 54, true),
    ONE(RECORD_SEGMENT, 0, 100, 1, 0, 54, false),
    ONE(RECORD_SEGMENT, 0, 55, 1, 0, 54, true),
    ONE(RECORD_SEGMENT, 0, 54, 1, 0, 54, false), // none
    ONE(RECORD_SEGMENT, 0, 53, 1, 0, 54, false),
    ONE(RECORD_SEGMENT, 0, 0, 1, 0, 0, false),
    ONE(RECORD_SEGMENT, 0, 0, 65535, 0, 255, false),
    ONE(RECORD_SEGMENT, 0, 1, 1, 0, 0, true),
    ONE(RECORD_SEGMENT, 0, 256, 1, 62, 255, true),
    ONE(RECORD_SEGMENT, 0, 255, 1, 62, 255, false),
    ONE(RECORD_SEGMENT, 0, 1800, 1545, 62, 255, true),
    ONE(RECORD_SEGMENT, 0, 1800, 1544, 62, 255, false),
    ONE(RECORD_SEGMENT, 0, 100, 65535, 62, 99, true),
    ONE(RECORD_SEGMENT, 0, 100, 65535, 62, 100, false),
    ONE(RECORD_SEGMENT, 0, 100, 1448, 62, 54, true),
    ONE(RECORD_SEGMENT, 0, 100, 1448, 63, 54, false),
    ONE(RECORD_SEGMENT, 0, 100, 1448, 255, 54, false),
    ONE(RECORD_SEGMENT, 0, 100, 0, 0, 54, false),
    ONE(RECORD_SEGMENT, 0, 100, 1448, 0, 101, false),
    ONE(RECORD_SEGMENT, 1, 100, 1448, 0, 54, false),

    ONE(RECORD_FRAGMENT, 0, 10, 10, 0, 2, true),
    ONE(RECORD_FRAGMENT, 0, 10, 10, 1, 2, true),
    ONE(RECORD_FRAGMENT, 0, 1, 10, 1, 2, true),
    ONE(RECORD_FRAGMENT, 0, 0, 10, 1, 2, false),
    ONE(RECORD_FRAGMENT, 0, 11, 10, 1, 2, false),
    ONE(RECORD_FRAGMENT, 0, 9, 10, 0, 2, false),
    ONE(RECORD_FRAGMENT, 0, 11, 10, 0, 2, false),
    ONE(RECORD_FRAGMENT, 0, 10, 10, 2, 2, false),
    ONE(RECORD_FRAGMENT, 0, 10, 10, 0, 0, false),
    ONE(RECORD_FRAGMENT, 0, 10, 10, 0, 1, false),
    ONE(RECORD_FRAGMENT, 0, 10, 10, 62, 64, true),
    ONE(RECORD_FRAGMENT, 0, 10, 10, 63, 64, true),
    ONE(RECORD_FRAGMENT, 0, 10, 10, 64, 64, false),
    ONE(RECORD_FRAGMENT, 0, 10, 10, 0, 65, false),
    ONE(RECORD_FRAGMENT, 0, 0, 0, 0, 2, false),
    ONE(RECORD_FRAGMENT, 0, 0, 0, 1, 2, false),
    ONE(RECORD_FRAGMENT, 1, 10, 10, 0, 2, false),

    ONE(RECORD_PROBE, 0, 7, 0, 0, 0, false),
    ONE(RECORD_PROBE, 0, 8, 0, 0, 0, true),
    ONE(RECORD_PROBE, 0, 1400, 0, 0, 0, true),
    ONE(RECORD_PROBE, 1, 8, 0, 0, 0, false),
    ONE(RECORD_PROBE, 0, 8, 1, 0, 0, false),
    ONE(RECORD_PROBE_ANSWER, 0, 7, 0, 0, 0, false),
    ONE(RECORD_PROBE_ANSWER, 0, 8, 0, 0, 0, true),
    ONE(RECORD_PROBE_ANSWER, 0, 9, 0, 0, 0, false),
    ONE(RECORD_ECHO, 0, 7, 0, 0, 0, false),
    ONE(RECORD_ECHO, 0, 8, 0, 0, 0, true),
    ONE(RECORD_ECHO, 0, 9, 0, 0, 0, false),
    ONE(RECORD_ECHO, 0, 8, 0, 1, 0, false),
    ONE(RECORD_ECHO_ANSWER, 0, 7, 0, 0, 0, false),
    ONE(RECORD_ECHO_ANSWER, 0, 8, 0, 0, 0, true),
    ONE(RECORD_ECHO_ANSWER, 0, 9, 0, 0, 0, false),
    ONE(RECORD_ECHO_ANSWER, 0, 8, 0, 0, 1, false),
    ONE(RECORD_PATH_REPORT, 0, 0, 0, 0, 0, false),
    ONE(RECORD_PATH_REPORT, 0, 1, 0, 0, 0, false),
    ONE(RECORD_PATH_REPORT, 0, 2, 0, 0, 0, true),
    ONE(RECORD_PATH_REPORT, 0, 333, 0, 0, 0, true),
    ONE(RECORD_PATH_REPORT, 1, 8, 0, 0, 0, false),
    ONE(RECORD_GOODBYE, 0, 0, 0, 0, 0, true),
    ONE(RECORD_GOODBYE, 0, 1, 0, 0, 0, false),
    ONE(RECORD_GOODBYE, 1, 0, 0, 0, 0, false),
    ONE(0, 0, 8, 0, 0, 0, false),
    ONE(RECORD_TYPE_COUNT, 0, 8, 0, 0, 0, false),
    ONE(255, 0, 8, 0, 0, 0, false),
};

static size_t encode_one(const struct record *record, uint8_t *bytes)
{
    struct payload payload;
    payload_begin(&payload, bytes, CAP);
    memset(payload_next(&payload), 0x77, record->len);
    payload_add(&payload, record);
    return payload_finish(&payload);
}

static void test_each_record(void **state)
{
    static uint8_t bytes[CAP];
    static struct records records;
    (void)state;
    for (size_t i = 0; i < sizeof record_cases / sizeof record_cases[0]; i++) {
        const struct record *record = &record_cases[i].record;
        size_t len = encode_one(record, bytes);
        assert_int_equal(len, record->len + WIRE_RECORD_OVERHEAD);
        if (records_decode(&records, bytes, len) != record_cases[i].is_valid)
            fail_msg("row %zu", i);
        assert_int_equal(records.n, record_cases[i].is_valid ? 1 : 0);
        if (!record_cases[i].is_valid)
            continue;
        assert_ptr_equal(records.at[0].body, bytes);
        assert_int_equal(records.at[0].type, record->type);
        assert_int_equal(records.at[0].flags, record->flags);
        assert_int_equal(records.at[0].len, record->len);
        assert_int_equal(records.at[0].size, record->size);
        assert_int_equal(records.at[0].index, record->index);
        assert_int_equal(records.at[0].extra, record->extra);
    }
}

static void test_descriptor_layout(void **state)
{
    static const uint8_t expected[] = {3, 0, 0x34, 0x02, 0x34, 0x02, 5, 9, 1};
    static const struct record record = {.type = RECORD_FRAGMENT, .len = 0x234, .size = 0x234, .index = 5, .extra = 9};
    static uint8_t bytes[CAP];
    (void)state;
    size_t len = encode_one(&record, bytes);
    assert_int_equal(len, 0x234 + sizeof expected);
    assert_memory_equal(bytes + 0x234, expected, sizeof expected);
}

// Runs and probes need a payload of their own; everything else may share one.
static void test_company(void **state)
{
    static const struct record frame = {.type = RECORD_FRAME, .len = 20};
    static const struct record segment = {.type = RECORD_SEGMENT, .len = 20, .size = 10, .extra = 14};
    static const struct record fragment = {.type = RECORD_FRAGMENT, .len = 20, .size = 20, .extra = 2};
    static const struct record echo = {.type = RECORD_ECHO, .len = 8};
    static const struct record goodbye = {.type = RECORD_GOODBYE};
    static const struct record probe = {.type = RECORD_PROBE, .len = 8};
    static const struct {
        const struct record *a;
        const struct record *b;
        bool is_valid;
    } rows[] = {
        {&frame, &frame, true},        {&frame, &echo, true},      {&goodbye, &frame, true},  {&frame, &segment, false},
        {&segment, &frame, false},     {&fragment, &echo, false},  {&echo, &fragment, false}, {&segment, &segment, false},
        {&fragment, &fragment, false}, {&goodbye, &goodbye, true}, {&probe, &probe, false},   {&probe, &frame, false},
        {&echo, &probe, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static uint8_t bytes[CAP];
        static struct records records;
        struct payload payload;
        payload_begin(&payload, bytes, sizeof bytes);
        payload_add(&payload, rows[i].a);
        payload_add(&payload, rows[i].b);
        assert_int_equal(records_decode(&records, bytes, payload_finish(&payload)), rows[i].is_valid);
    }
}

static void test_edges_of_a_payload(void **state)
{
    static uint8_t bytes[CAP];
    static struct records records;
    static const struct record frame = {.type = RECORD_FRAME, .len = 20};
    (void)state;
    assert_true(records_decode(&records, bytes, 0));
    assert_int_equal(records.n, 0);
    size_t len = encode_one(&frame, bytes);
    for (size_t cut = 1; cut <= len; cut++) // whatever is now last is no valid end
        assert_true(cut == len || !records_decode(&records, bytes, len - cut) || records.n == 0);
    memmove(bytes + 1, bytes, len); // one stray byte in front
    assert_false(records_decode(&records, bytes, len + 1));
    bytes[0] = 0;
    assert_false(records_decode(&records, bytes, 1)); // a count of zero
    for (unsigned n = 0; n < 256; n++) {              // counts that don't fit
        memset(bytes, 0, 64);
        bytes[8] = (uint8_t)n;
        bytes[0] = RECORD_GOODBYE;
        assert_int_equal(records_decode(&records, bytes, 9), n == 1);
    }
}

static void test_builder_room(void **state)
{
    static uint8_t bytes[CAP];
    struct payload payload;
    struct record frame = {.type = RECORD_FRAME, .len = 10};
    (void)state;
    for (size_t cap = 0; cap < 40; cap++) {
        payload_begin(&payload, bytes, cap);
        assert_int_equal(payload_room(&payload), cap > 9 ? cap - 9 : 0);
        assert_int_equal(payload_fits(&payload, 0), cap >= 9);
        assert_int_equal(payload_fits(&payload, 10), cap >= 19);
        assert_false(payload_fits(&payload, SIZE_MAX));
        assert_int_equal(payload_finish(&payload), 0);
        if (cap < 19)
            continue;
        payload_add(&payload, &frame);
        assert_int_equal(payload_room(&payload), cap > 27 ? cap - 27 : 0);
        assert_int_equal(payload_fits(&payload, 10), cap >= 37);
        assert_int_equal(payload_finish(&payload), 19);
    }
}

static void test_builder_count(void **state)
{
    static uint8_t bytes[CAP];
    static struct records records;
    struct payload payload;
    static const struct record goodbye = {.type = RECORD_GOODBYE};
    (void)state;
    payload_begin(&payload, bytes, sizeof bytes);
    for (size_t i = 0; i < WIRE_RECORDS_MAX; i++) {
        assert_true(payload_fits(&payload, 0));
        payload_add(&payload, &goodbye);
    }
    assert_false(payload_fits(&payload, 0));
    assert_int_equal(payload_room(&payload), 0);
    assert_int_equal(payload_finish(&payload), 64 * 8 + 1);
    assert_true(records_decode(&records, bytes, 64 * 8 + 1));
    assert_int_equal(records.n, 64);
    memmove(bytes + 8, bytes, 64 * 8 + 1);
    bytes[65 * 8] = 65;
    assert_false(records_decode(&records, bytes, 65 * 8 + 1));
}

static void test_builder_room_is_a_length(void **state)
{
    static uint8_t bytes[80000];
    struct payload payload;
    (void)state;
    payload_begin(&payload, bytes, sizeof bytes);
    assert_int_equal(payload_room(&payload), 65535);
    assert_true(payload_fits(&payload, 65535));
    assert_false(payload_fits(&payload, 65536));
}

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

static struct record random_record(uint64_t *seed, bool is_alone)
{
    struct record record = {.type = RECORD_FRAME, .len = (uint16_t)(1 + next_random(seed) % 80)};
    switch (next_random(seed) % (is_alone ? 8 : 5)) {
    case 0:
        record.flags = RECORD_FLAG_PARTIAL_CHECKSUM;
        break;
    case 1:
        record.type = (enum record_type)(RECORD_PROBE_ANSWER + next_random(seed) % 3);
        record.len = WIRE_TOKEN_LEN;
        break;
    case 2:
        record.type = RECORD_GOODBYE;
        record.len = 0;
        break;
    case 3:
        record.type = RECORD_PATH_REPORT;
        record.len = (uint16_t)(record.len + WIRE_PATH_REPORT_LEN);
        break;
    case 5:
        record.type = RECORD_PROBE;
        record.len = (uint16_t)(record.len + WIRE_TOKEN_LEN);
        break;
    case 6:
        record = (struct record){.type = RECORD_SEGMENT, .len = 90, .size = 60, .index = (uint8_t)(next_random(seed) % 63), .extra = 54};
        break;
    case 7:
        record = (struct record){.type = RECORD_FRAGMENT, .len = 70, .size = 70, .index = (uint8_t)(next_random(seed) % 5), .extra = 5};
        break;
    default:
        break;
    }
    return record;
}

static size_t random_payload(uint64_t *seed, uint8_t *bytes)
{
    struct payload payload;
    size_t n = 1 + next_random(seed) % 6;
    payload_begin(&payload, bytes, CAP);
    for (size_t i = 0; i < n; i++) {
        struct record record = random_record(seed, n == 1);
        for (size_t j = 0; j < record.len; j++)
            payload_next(&payload)[j] = (uint8_t)next_random(seed);
        payload_add(&payload, &record);
    }
    return payload_finish(&payload);
}

// Mostly near the end, where the descriptors are. Returns the new length.
static size_t mutate(uint64_t *seed, uint8_t *bytes, size_t len)
{
    size_t n = 1 + next_random(seed) % 3;
    for (size_t i = 0; i < n; i++) {
        size_t back = next_random(seed) % (next_random(seed) % 4 == 0 ? len : (len < 20 ? len : 20));
        uint32_t random = next_random(seed);
        uint8_t *at = &bytes[len - 1 - back];
        uint32_t flipped = *at ^ 1U << random / 2 % 8;
        *at = (uint8_t)(random % 2 == 0 ? flipped : random >> 8 & 0x0f);
    }
    return next_random(seed) % 8 == 0 ? next_random(seed) % (len + 1) : len;
}

static void check_encodes_back(const struct records *records, const uint8_t *bytes, size_t len)
{
    static uint8_t again[CAP];
    struct payload payload;
    payload_begin(&payload, again, sizeof again);
    for (size_t i = 0; i < records->n; i++) {
        memcpy(payload_next(&payload), records->at[i].body, records->at[i].len);
        payload_add(&payload, &records->at[i]);
    }
    assert_int_equal(payload_finish(&payload), len);
    assert_memory_equal(again, bytes, len);
}

static const struct path_report some_report = {
    .largest = 0x0201, .has_arrivals = true, .arrivals = {0x3000000000000000, 0x10, 0x11, UINT64_MAX}, .n_excused = 0x1807060504030201};

static void test_path_report(void **state)
{
    static const uint8_t expected[] = {1, 2, 0, 0, 0, 0,    0,    0,    0,    0x30, 0x10, 0,    0,    0, 0, 0, 0, 0, 0x11, 0, 0,
                                       0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6,    7, 0x18};
    uint8_t body[WIRE_PATH_REPORT_LEN];
    struct path_report report;

    (void)state;
    path_report_encode(&some_report, body);
    assert_memory_equal(body, expected, sizeof body);
    path_report_set_excused(body, 7);
    path_report_decode(&report, body, sizeof body);
    assert_int_equal(report.largest, some_report.largest);
    assert_true(report.has_arrivals);
    assert_memory_equal(&report.arrivals, &some_report.arrivals, sizeof report.arrivals);
    assert_int_equal(report.n_excused, 7);
}

// An older peer's is shorter, a newer one's may be longer.
static void test_path_report_lengths(void **state)
{
    uint8_t body[WIRE_PATH_REPORT_LEN + 9] = {0};

    (void)state;
    path_report_encode(&some_report, body);
    for (size_t len = WIRE_PATH_REPORT_MIN; len <= sizeof body; len++) {
        uint8_t *exact = malloc(len); // so that ASan sees one byte too far
        struct path_report report;
        assert_non_null(exact);
        memcpy(exact, body, len);
        path_report_decode(&report, exact, len);
        assert_int_equal(report.largest, some_report.largest);
        assert_int_equal(report.has_arrivals, len >= WIRE_PATH_REPORT_LEN);
        assert_int_equal(report.n_excused, len >= WIRE_PATH_REPORT_LEN ? some_report.n_excused : 0);
        free(exact);
    }
}

static void test_path_report_contradictions(void **state)
{
    static const struct {
        struct arrivals arrivals;
        bool is_taken;
    } rows[] = {
        {{0, 0, 0, 0}, true},
        {{10, 10, 0, 9}, true},
        {{10, 11, 0, 0}, false},
        {{10, 4, 6, 0}, true},
        {{10, 4, 7, 0}, false},
        {{0, UINT64_MAX, UINT64_MAX, 0}, false},
        {{UINT64_MAX, UINT64_MAX, 1, 0}, false},
        {{UINT64_MAX, UINT64_MAX, 0, UINT64_MAX}, true},
    };
    uint8_t body[WIRE_PATH_REPORT_LEN];
    struct path_report report;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        path_report_encode(&(struct path_report){.largest = 600, .arrivals = rows[i].arrivals, .n_excused = 5}, body);
        path_report_decode(&report, body, sizeof body);
        assert_int_equal(report.has_arrivals, rows[i].is_taken);
        assert_int_equal(report.largest, 600);
        assert_int_equal(report.n_excused, rows[i].is_taken ? 5 : 0);
    }
}

enum { N_MUTATIONS = 200000 };

static void test_mutations(void **state)
{
    static uint8_t original[CAP];
    static struct records records;
    uint64_t seed = 2024;
    size_t n_accepted = 0;
    (void)state;
    for (size_t i = 0; i < N_MUTATIONS; i++) {
        size_t len = random_payload(&seed, original);
        assert_true(records_decode(&records, original, len));
        check_encodes_back(&records, original, len);
        len = mutate(&seed, original, len);
        uint8_t *exact = malloc(len == 0 ? 1 : len); // so that ASan sees one byte too far, on either side
        assert_non_null(exact);
        memcpy(exact, original, len);
        if (records_decode(&records, exact, len)) {
            n_accepted++;
            check_encodes_back(&records, exact, len);
        } else {
            assert_int_equal(records.n, 0);
        }
        free(exact);
    }
    // Most damage is noticed; what lies in a body is not, and must not be.
    assert_true(n_accepted > N_MUTATIONS / 100 && n_accepted < N_MUTATIONS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_classify),
        cmocka_unit_test(test_initiation),
        cmocka_unit_test(test_response),
        cmocka_unit_test(test_cookie_reply),
        cmocka_unit_test(test_data_header),
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_each_record),
        cmocka_unit_test(test_descriptor_layout),
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_edges_of_a_payload),
        cmocka_unit_test(test_builder_room),
        cmocka_unit_test(test_builder_count),
        cmocka_unit_test(test_builder_room_is_a_length),
        cmocka_unit_test(test_path_report),
        cmocka_unit_test(test_path_report_lengths),
        cmocka_unit_test(test_path_report_contradictions),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
