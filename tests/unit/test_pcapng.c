// SPDX-License-Identifier: MIT
/*
 * pcapng: what is written is what a reader that knows only the format finds: blocks whose two lengths agree, options, times, padding. That
 * other programs read it too is shown by tests/netns/capture.test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/cli/pcapng.h"

#define AT_NS UINT64_C(0x1122334455667788)

struct context {
    struct pcapng *file;
    char *bytes;
    size_t len;
};

static int set_up(void **state)
{
    struct context *context = calloc(1, sizeof *context);

    context->file = calloc(1, sizeof *context->file);
    context->file->out = open_memstream(&context->bytes, &context->len);
    *state = context;
    return context->file->out ? 0 : -1;
}

static int tear_down(void **state)
{
    struct context *context = *state;

    fclose(context->file->out);
    free(context->bytes);
    free(context->file);
    free(context);
    return 0;
}

// The body of the next block, of that type.
static struct reader next_block(struct reader *in, uint32_t type)
{
    assert_int_equal(in->left % 4, 0);
    assert_int_equal(reader_le32(in), type);
    uint32_t len = reader_le32(in);
    assert_true(len >= 12 && len % 4 == 0);
    struct reader body = reader_of(reader_take(in, len - 12), len - 12);
    assert_int_equal(reader_le32(in), len);
    assert_false(in->is_short);
    return body;
}

// The next option has this code, and these bytes.
static void expect_option(struct reader *body, uint16_t code, const void *bytes, size_t len)
{
    assert_int_equal(reader_le16(body), code);
    assert_int_equal(reader_le16(body), len);
    const uint8_t *value = reader_take(body, (len + 3) / 4 * 4);
    assert_non_null(value);
    assert_memory_equal(value, bytes, len);
    for (size_t i = len; i % 4; i++)
        assert_int_equal(value[i], 0);
}

static void expect_text(struct reader *body, uint16_t code, const char *text)
{
    expect_option(body, code, text, strlen(text));
}

static void expect_end(struct reader *body)
{
    assert_int_equal(reader_le32(body), 0);
    assert_int_equal(body->left, 0);
    assert_false(body->is_short);
}

static struct reader written(struct context *context)
{
    assert_int_equal(fflush(context->file->out), 0);
    return reader_of((const uint8_t *)context->bytes, context->len);
}

static void test_begin(void **state)
{
    const struct pcapng_interface interface = {.name = "cord0", .description = "a cord", .filter = "tcp", .snaplen = 4711};
    struct context *context = *state;

    assert_true(pcapng_begin(context->file, &interface));
    struct reader in = written(context);
    struct reader section = next_block(&in, 0x0a0d0d0a);
    assert_int_equal(reader_le32(&section), 0x1a2b3c4d);
    assert_int_equal(reader_le32(&section), 1);
    assert_true(reader_le64(&section) == UINT64_MAX);
    struct reader body = next_block(&in, 1);
    assert_int_equal(reader_le32(&body), 1); // Ethernet
    assert_int_equal(reader_le32(&body), 4711);
    expect_text(&body, 2, "cord0");
    expect_text(&body, 3, "a cord");
    expect_option(&body, 9, "\t", 1);
    expect_option(&body, 11, "\0tcp", 4);
    expect_end(&body);
    assert_int_equal(in.left, 0);
}

static struct reader frame_block(struct context *context, const struct pcapng_frame *frame)
{
    assert_true(pcapng_write(context->file, frame));
    struct reader in = written(context);
    struct reader body = next_block(&in, 6);
    assert_int_equal(in.left, 0);
    assert_int_equal(reader_le32(&body), 0);
    assert_int_equal(reader_le32(&body), frame->wall_ns >> 32);
    assert_int_equal(reader_le32(&body), (uint32_t)frame->wall_ns);
    assert_int_equal(reader_le32(&body), frame->len);
    assert_int_equal(reader_le32(&body), frame->frame_len);
    assert_memory_equal(reader_take(&body, (frame->len + 3) / 4 * 4), frame->bytes, frame->len);
    return body;
}

static void test_frame(void **state)
{
    const struct pcapng_frame frame = {
        .wall_ns = AT_NS, .is_inbound = true, .bytes = (const uint8_t *)"abcdefg", .len = 7, .frame_len = 1514};
    struct reader body = frame_block(*state, &frame);

    expect_option(&body, 2, "\1\0\0\0", 4);
    expect_end(&body);
}

static void test_dropped_frame(void **state)
{
    const struct pcapng_frame frame = {
        .wall_ns = AT_NS, .bytes = (const uint8_t *)"abcd", .len = 4, .frame_len = 4, .n_lost = 258, .comment = "dropped: no_session"};
    struct reader body = frame_block(*state, &frame);

    expect_option(&body, 2, "\2\0\0\0", 4);
    expect_option(&body, 4, "\2\1\0\0\0\0\0\0", 8);
    expect_text(&body, 1, "dropped: no_session");
    expect_end(&body);
}

// The longest of everything has room.
static void test_longest(void **state)
{
    static uint8_t bytes[CAPTURE_FRAME_MAX];
    static char text[2 * PCAPNG_TEXT_MAX];
    struct context *context = *state;
    struct pcapng_frame frame = {.bytes = bytes, .len = CAPTURE_FRAME_MAX, .frame_len = CAPTURE_FRAME_MAX, .n_lost = 1, .comment = text};

    memset(text, 'x', sizeof text - 1);
    assert_true(pcapng_begin(context->file, &(struct pcapng_interface){.name = text, .description = text, .filter = text}));
    assert_true(pcapng_write(context->file, &frame));
    struct reader in = written(context);
    next_block(&in, 0x0a0d0d0a);
    next_block(&in, 1);
    next_block(&in, 6);
    assert_int_equal(in.left, 0);
}

static void test_end(void **state)
{
    struct context *context = *state;

    assert_true(pcapng_end(context->file, &(struct pcapng_counts){.begin_ns = AT_NS, .end_ns = AT_NS + 1, .n_matched = 5, .n_lost = 2}));
    struct reader in = written(context);
    struct reader body = next_block(&in, 5);
    assert_int_equal(reader_le32(&body), 0);
    assert_int_equal(reader_le32(&body), AT_NS >> 32);
    assert_int_equal(reader_le32(&body), (uint32_t)AT_NS + 1);
    expect_option(&body, 2, "\x44\x33\x22\x11\x88\x77\x66\x55", 8);
    expect_option(&body, 3, "\x44\x33\x22\x11\x89\x77\x66\x55", 8);
    expect_option(&body, 5, "\2\0\0\0\0\0\0\0", 8);
    expect_option(&body, 6, "\5\0\0\0\0\0\0\0", 8);
    expect_end(&body);
}

// A file that takes nothing is an error, not a loss.
static void test_full_disk(void **state)
{
    struct pcapng *file = calloc(1, sizeof *file);
    (void)state;

    assert_non_null(file);
    file->out = fopen("/dev/full", "w");
    assert_non_null(file->out);
    setvbuf(file->out, NULL, _IONBF, 0);
    assert_false(pcapng_begin(file, &(struct pcapng_interface){.name = "", .description = "", .filter = ""}));
    assert_false(pcapng_end(file, &(struct pcapng_counts){0}));
    fclose(file->out);
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_begin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_frame, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dropped_frame, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_longest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_end, set_up, tear_down),
        cmocka_unit_test(test_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
