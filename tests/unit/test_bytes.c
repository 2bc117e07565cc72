// SPDX-License-Identifier: MIT
/*
 * bytes: loads and stores at every alignment, and cursors that never leave their range.
 */
#include "ethercord/bytes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { FILL = 0xee };

static void load_and_store_agree_at_every_alignment(void **state)
{
    static const uint8_t sample[8] = {0x01, 0x82, 0x03, 0x84, 0x05, 0x86, 0x07, 0x88};
    (void)state;

    for (size_t offset = 0; offset < 8; offset++) {
        uint8_t bytes[16];
        memcpy(bytes + offset, sample, sizeof sample);
        assert_int_equal(load_be16(bytes + offset), 0x0182);
        assert_int_equal(load_le16(bytes + offset), 0x8201);
        assert_int_equal(load_be32(bytes + offset), 0x01820384);
        assert_int_equal(load_le32(bytes + offset), 0x84038201);
        assert_true(load_be64(bytes + offset) == UINT64_C(0x0182038405860788));
        assert_true(load_le64(bytes + offset) == UINT64_C(0x8807860584038201));
    }
}

static void store_writes_exactly_its_bytes(void **state)
{
    (void)state;

    for (size_t offset = 1; offset < 8; offset++) {
        uint8_t bytes[24];
        memset(bytes, FILL, sizeof bytes);
        store_be64(bytes + offset, UINT64_C(0x8877665544332211));
        assert_true(load_le64(bytes + offset) == UINT64_C(0x1122334455667788));
        store_le64(bytes + offset, UINT64_C(0x8877665544332211));
        assert_true(load_be64(bytes + offset) == UINT64_C(0x1122334455667788));
        store_be32(bytes + offset, UINT32_C(0xfffefdfc));
        assert_true(load_le32(bytes + offset) == UINT32_C(0xfcfdfeff));
        store_le32(bytes + offset, UINT32_C(0xfffefdfc));
        assert_true(load_be32(bytes + offset) == UINT32_C(0xfcfdfeff));
        store_be16(bytes + offset, 0xff01);
        assert_int_equal(load_le16(bytes + offset), 0x01ff);
        store_le16(bytes + offset, 0xff01);
        assert_int_equal(load_be16(bytes + offset), 0x01ff);
        assert_int_equal(bytes[offset - 1], FILL);
        assert_int_equal(bytes[offset + 8], FILL);
    }
}

static void reader_takes_all_and_no_more(void **state)
{
    static const uint8_t bytes[] = {1, 2, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9, 8};
    uint8_t two[2];
    (void)state;

    struct reader r = reader_of(bytes, sizeof bytes);
    assert_int_equal(reader_u8(&r), 1);
    assert_int_equal(reader_le16(&r), 2);
    assert_int_equal(reader_le32(&r), 3);
    assert_true(reader_le64(&r) == 4);
    reader_copy(&r, two, 2);
    assert_int_equal(two[0], 9);
    assert_int_equal(two[1], 8);
    assert_int_equal(r.left, 0);
    assert_non_null(reader_take(&r, 0));
    assert_false(r.is_short);
    assert_int_equal(reader_u8(&r), 0);
    assert_true(r.is_short);
}

// Every kind of read with every number of bytes less than it needs: zeros, and short from then on.
static void short_reads_give_zeros(void **state)
{
    static const uint8_t ones[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    (void)state;

    for (size_t len = 0; len < 8; len++) {
        struct reader r = reader_of(ones, len);
        uint8_t out[8];
        assert_true(reader_le64(&r) == 0);
        assert_true(r.is_short);
        assert_int_equal(r.left, len);
        assert_int_equal(reader_u8(&r), 0); // even though one byte may be there
        memset(out, FILL, sizeof out);
        reader_copy(&r, out, sizeof out);
        assert_true(load_le64(out) == 0);
        if (len < 4) {
            r = reader_of(ones, len);
            assert_int_equal(reader_le32(&r), 0);
        }
        if (len < 2) {
            r = reader_of(ones, len);
            assert_int_equal(reader_le16(&r), 0);
        }
    }
    struct reader r = reader_of(ones, sizeof ones);
    assert_null(reader_take(&r, SIZE_MAX));
    assert_null(reader_take(&r, 0));
}

static void writer_stops_at_its_end(void **state)
{
    (void)state;

    for (size_t cap = 0; cap <= 16; cap++) {
        uint8_t bytes[24];
        memset(bytes, FILL, sizeof bytes);
        struct writer w = writer_of(bytes, cap);
        writer_u8(&w, 1);
        writer_le16(&w, 2);
        writer_le32(&w, 3);
        writer_le64(&w, 4);
        writer_copy(&w, "x", 1);
        assert_int_equal(w.is_short, cap < 16);
        for (size_t i = cap; i < sizeof bytes; i++)
            assert_int_equal(bytes[i], FILL);
    }
}

static void nothing_is_written_after_a_short_write(void **state)
{
    uint8_t bytes[4] = {FILL, FILL, FILL, FILL};
    (void)state;

    struct writer w = writer_of(bytes, 3);
    writer_le32(&w, 0);
    writer_u8(&w, 0);
    assert_true(w.is_short);
    assert_int_equal(w.left, 3);
    assert_true(load_le32(bytes) == UINT32_C(0xeeeeeeee));
    assert_null(writer_room(&w, SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_and_store_agree_at_every_alignment),
        cmocka_unit_test(store_writes_exactly_its_bytes),
        cmocka_unit_test(reader_takes_all_and_no_more),
        cmocka_unit_test(short_reads_give_zeros),
        cmocka_unit_test(writer_stops_at_its_end),
        cmocka_unit_test(nothing_is_written_after_a_short_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
