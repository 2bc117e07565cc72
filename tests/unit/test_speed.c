// SPDX-License-Identifier: MIT
/*
 * test_speed: medians, --seconds, the text and the document from numbers that are made up; and one short measurement, of which only the
 * form is looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/cli/speed.h"

enum { AES = CIPHER_AES_256_GCM, CHACHA = CIPHER_CHACHA20_POLY1305, ONLY_CHACHA = 1 << CHACHA, BOTH = 1 << AES | 1 << CHACHA };
enum { FULL_ROW = 6 };

static const uint16_t lens[SPEED_SIZES] = {64, 128, 256, 512, 1024, 1280, 1431, 1518, 9018};

// ns per frame: `seal` and `open` times its length.
static void put_rows(struct speed *speed, int cipher, double seal, double open)
{
    for (size_t i = 0; i < SPEED_SIZES; i++)
        speed->rows[cipher][i] = (struct speed_row){.frame_len = lens[i], .seal_ns = seal * lens[i], .open_ns = open * lens[i]};
}

static struct speed make_speed(uint16_t ciphers, double aes, double chacha)
{
    struct speed speed = {.ciphers = ciphers};
    if (ciphers >> AES & 1)
        put_rows(&speed, AES, aes, aes * 2);
    if (ciphers >> CHACHA & 1)
        put_rows(&speed, CHACHA, chacha, chacha * 2);
    return speed;
}

static void test_median(void **state)
{
    static const struct {
        double values[5];
        size_t n;
        double median;
    } rows[] = {
        {{3}, 1, 3},
        {{4, 1}, 2, 2.5},
        {{9, 1, 5}, 3, 5},
        {{1e9, 2, 3, 1}, 4, 2.5},
        {{5, 4, 3, 2, 1}, 5, 3},
        {{1, 1, 1, 1, 9}, 5, 1},
        {{0.2, 0.1, 0.3}, 3, 0.2},
        {{7, 1e12, 6, 8, 0}, 5, 7},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double values[5];
        memcpy(values, rows[i].values, sizeof(values));
        if (speed_median(values, rows[i].n) != rows[i].median)
            fail_msg("row %zu", i);
    }
}

static void test_seconds(void **state)
{
    static const struct {
        const char *text;
        unsigned seconds; // 0 = refused
    } rows[] = {
        {NULL, SPEED_SECONDS_DEFAULT},
        {"1", 1},
        {"60", SPEED_SECONDS_MAX},
        {"007", 7},
        {"0", 0},
        {"61", 0},
        {"", 0},
        {"-1", 0},
        {"+1", 0},
        {" 1", 0},
        {"1 ", 0},
        {"1.5", 0},
        {"2s", 0},
        {"99999999999999999999", 0},
    };
    unsigned seconds;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is_good = speed_parse_seconds(rows[i].text, &seconds);
        if (is_good != (rows[i].seconds > 0) || (is_good && seconds != rows[i].seconds))
            fail_msg("'%s'", rows[i].text ? rows[i].text : "nothing");
    }
}

static void test_fastest(void **state)
{
    static const struct {
        uint16_t ciphers;
        double aes, chacha;
        int fastest;
    } rows[] = {
        {BOTH, 1, 2, AES},       {BOTH, 1, 1, AES},           {BOTH, 1, 0.96, AES}, // within what is noise
        {BOTH, 1, 0.94, CHACHA}, {ONLY_CHACHA, 0, 5, CHACHA}, {1 << AES, 5, 0, AES},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct speed speed = make_speed(rows[i].ciphers, rows[i].aes, rows[i].chacha);
        if ((int)speed_fastest(&speed) != rows[i].fastest)
            fail_msg("row %zu", i);
    }
    // Small frames don't decide: full datagrams are where the load is.
    struct speed speed = make_speed(BOTH, 1, 2);
    speed.rows[CHACHA][0].seal_ns = speed.rows[CHACHA][0].open_ns = 1;
    assert_int_equal(speed_fastest(&speed), AES);
}

static char *print(const struct speed *speed)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    speed_print(speed, out);
    fclose(out);
    return text;
}

#define HEAD "One core, in CPU time; medians of 11 rounds. Bytes are those of the frame; a full datagram is one of 1500 on the path.\n\n"

static void test_text(void **state)
{
    static const char expected[] =
        HEAD "aes-256-gcm: not available, this CPU has no AES instructions that libsodium can use\n\n"
             "chacha20-poly1305   seal                          open\n"
             " bytes    ns/frame   frames/s    Gb/s    ns/frame   frames/s    Gb/s\n"
             "    64        32.0   31250000   16.00        64.0   15625000    8.00\n"
             "   128        64.0   15625000   16.00       128.0    7812500    8.00\n"
             "   256       128.0    7812500   16.00       256.0    3906250    8.00\n"
             "   512       256.0    3906250   16.00       512.0    1953125    8.00\n"
             "  1024       512.0    1953125   16.00      1024.0     976563    8.00\n"
             "  1280       640.0    1562500   16.00      1280.0     781250    8.00\n"
             "  1431       715.5    1397624   16.00      1431.0     698812    8.00  full datagram\n"
             "  1518       759.0    1317523   16.00      1518.0     658762    8.00\n"
             "  9018      4509.0     221779   16.00      9018.0     110889    8.00\n\n"
             "'Cipher = auto' takes chacha20-poly1305 here.\n"
             "chacha20-poly1305 costs 1.50 CPU seconds per GB in full datagrams: 0.50 to seal it, 1.00 to open it.\n";
    struct speed speed = make_speed(ONLY_CHACHA, 0, 0.5);
    (void)state;
    char *text = print(&speed);
    assert_string_equal(text, expected);
    free(text);
}

static void test_choice(void **state)
{
    static const struct {
        double aes, chacha;
        const char *end;
    } rows[] = {
        {0.25, 0.5,
         "\n'Cipher = auto' takes aes-256-gcm here, if the other end can do it too; none is clearly faster on this CPU.\n"
         "aes-256-gcm costs 0.75 CPU seconds per GB in full datagrams: 0.25 to seal it, 0.50 to open it.\n"},
        {8, 0.5,
         "\n'Cipher = auto' takes aes-256-gcm here, but on this CPU chacha20-poly1305 is 16.0 times as fast.\n"
         "If the other end's CPU agrees, set 'Cipher = chacha20-poly1305' in [Node]; at one end is enough.\n"
         "aes-256-gcm costs 24.00 CPU seconds per GB in full datagrams: 8.00 to seal it, 16.00 to open it.\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct speed speed = make_speed(BOTH, rows[i].aes, rows[i].chacha);
        char *text = print(&speed);
        assert_true(strlen(text) > strlen(rows[i].end));
        assert_string_equal(text + strlen(text) - strlen(rows[i].end), rows[i].end);
        assert_null(strstr(text, "not available"));
        free(text);
    }
}

static void check_direction(const json_t *direction, double ns_per_frame, json_int_t frames_per_s, json_int_t bits_per_s)
{
    assert_int_equal(json_object_size(direction), 3);
    assert_true(json_real_value(json_object_get(direction, "ns_per_frame")) == ns_per_frame);
    assert_int_equal(json_integer_value(json_object_get(direction, "frames_per_s")), frames_per_s);
    assert_int_equal(json_integer_value(json_object_get(direction, "bits_per_s")), bits_per_s);
}

static void test_document(void **state)
{
    struct speed speed = make_speed(BOTH, 0.5, 0.25);
    json_t *document = speed_document(&speed), *ciphers, *frames;
    const char *clock_name, *chosen, *fastest, *version, *cipher;
    int schema, n_rounds, full, is_available;
    double cost;
    (void)state;
    // "!": these members and no others.
    assert_int_equal(json_unpack(document, "{s:i, s:s, s:s, s:i, s:i, s:s, s:s, s:o !}", "schema", &schema, "version", &version, "clock",
                                 &clock_name, "rounds", &n_rounds, "full_frame_bytes", &full, "auto", &chosen, "fastest", &fastest,
                                 "ciphers", &ciphers),
                     0);
    assert_int_equal(schema, 1);
    assert_string_equal(version, ETHERCORD_VERSION);
    assert_string_equal(clock_name, "thread-cpu-time");
    assert_int_equal(n_rounds, 11);
    assert_int_equal(full, 1431);
    assert_string_equal(chosen, "aes-256-gcm");
    assert_string_equal(fastest, "chacha20-poly1305");
    assert_int_equal(json_array_size(ciphers), 2);
    assert_int_equal(json_unpack(json_array_get(ciphers, 0), "{s:s, s:b, s:n, s:f, s:o !}", "cipher", &cipher, "available", &is_available,
                                 "reason", "cpu_s_per_gb", &cost, "frames", &frames),
                     0);
    assert_string_equal(cipher, "aes-256-gcm");
    assert_true(is_available && cost == 1.5);
    assert_int_equal(json_array_size(frames), SPEED_SIZES);
    for (size_t i = 0; i < SPEED_SIZES; i++) {
        const json_t *frame = json_array_get(frames, i);
        assert_int_equal(json_object_size(frame), 3);
        assert_int_equal(json_integer_value(json_object_get(frame, "bytes")), lens[i]);
    }
    check_direction(json_object_get(json_array_get(frames, FULL_ROW), "seal"), 715.5, 1397624, INT64_C(16000000000));
    check_direction(json_object_get(json_array_get(frames, FULL_ROW), "open"), 1431, 698812, INT64_C(8000000000));
    json_decref(document);
}

static void test_document_without_aes(void **state)
{
    struct speed speed = make_speed(ONLY_CHACHA, 0, 0.1);
    json_t *document = speed_document(&speed);
    (void)state;
    char *aes = json_dumps(json_array_get(json_object_get(document, "ciphers"), 0), JSON_COMPACT);
    assert_string_equal(aes,
                        "{\"cipher\":\"aes-256-gcm\",\"available\":false,\"reason\":\"this CPU has no AES instructions that libsodium can "
                        "use\",\"cpu_s_per_gb\":null,\"frames\":[]}");
    free(aes);
    assert_string_equal(json_string_value(json_object_get(document, "auto")), "chacha20-poly1305");
    assert_string_equal(json_string_value(json_object_get(document, "fastest")), "chacha20-poly1305");
    // One decimal of a nanosecond is told, and none of what a double makes of it: 143.1, not 143.09999999999999.
    char *text = json_dumps(document, SPEED_JSON_FLAGS);
    assert_non_null(strstr(text, "\"ns_per_frame\": 143.1,"));
    assert_non_null(strstr(text, "\"cpu_s_per_gb\": 0.3,"));
    free(text);
    json_decref(document);
}

static void test_measure(void **state)
{
    struct speed speed;
    (void)state;
    memset(&speed, 0xff, sizeof(speed));
    assert_true(speed_measure(&speed, 0)); // the least there is: a batch in each slice
    assert_int_equal(speed.ciphers, ciphers_available());
    for (unsigned cipher = 0; cipher < CIPHER_COUNT; cipher++) {
        for (size_t i = 0; i < SPEED_SIZES; i++) {
            const struct speed_row *row = &speed.rows[cipher][i];
            bool is_measured = speed.ciphers >> cipher & 1;
            assert_int_equal(row->frame_len, is_measured ? lens[i] : 0);
            assert_int_equal(row->seal_ns > 0 && row->seal_ns < 1e8, is_measured);
            assert_int_equal(row->open_ns > 0 && row->open_ns < 1e8, is_measured);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_fastest),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_document_without_aes),
        cmocka_unit_test(test_measure),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
