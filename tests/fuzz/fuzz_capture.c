// SPDX-License-Identifier: MIT
/*
 * capture: what an asker says behind "capture" on the control socket, and then what the frames are that his filter and the command's lines
 * get to see. A program that is taken ends, does not abort, and finds in the beginning of a frame what it finds in all of it, unless it is
 * said to look deep. A line has no control characters.
 */
#include <sodium.h>

#include "../../src/cli/capture_text.h"
#include "../../src/daemon/capture_filter.h"
#include "fuzz.h"

enum { TEXT_CAP = 20 * 1024, FRAME_CAP = 2048 };

static struct capture_filter filter;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return sodium_init() < 0;
}

// The input as it is, or as the program of a request that is right up to there.
static bool parse(bool is_program, const uint8_t *bytes, size_t len)
{
    static char text[TEXT_CAP];
    size_t at = 0;

    if (is_program) {
        memcpy(text, "64 all ", 7);
        sodium_bin2base64(text + 7, sizeof text - 7, bytes, len - len % CAPTURE_INSTRUCTION_LEN, sodium_base64_VARIANT_ORIGINAL);
    } else {
        for (; at < len && at < sizeof text - 1 && bytes[at] && bytes[at] != '\n'; at++)
            text[at] = (char)bytes[at];
        text[at] = '\0';
    }
    const char *problem = capture_filter_parse(&filter, text);
    ensure(!problem || strncmp(problem, "capture: ", 9) == 0);
    return !problem;
}

static void run(const uint8_t *frame, size_t len)
{
    uint8_t *beginning = fuzz_copy(frame, len < CAPTURE_REACH ? len : CAPTURE_REACH);
    unsigned whole = bpf_filter(filter.program, frame, (unsigned)len, (unsigned)len);

    ensure(filter.snaplen >= 1 && filter.snaplen <= CAPTURE_FRAME_MAX && filter.n_instructions <= CAPTURE_PROGRAM_MAX);
    if (len > CAPTURE_REACH && !filter.is_deep)
        ensure(bpf_filter(filter.program, beginning, (unsigned)len, CAPTURE_REACH) == whole);
    free(beginning);
}

static void show(const uint8_t *frame, size_t len, bool is_inbound)
{
    const struct captured captured = {
        .bytes = frame, .len = len, .frame_len = (uint32_t)len, .is_inbound = is_inbound, .fate = "dropped: x"};
    char text[CAPTURE_TEXT_CAP];

    capture_text_format(&captured, text);
    ensure(strnlen(text, sizeof text) < sizeof text);
    for (const char *c = text; *c; c++)
        ensure(*c >= ' ' && *c <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_of(data, size);
    uint8_t how = reader_u8(&in);
    struct fuzz_chunk frame = fuzz_chunk(&in, FRAME_CAP);

    if (how & 2 && frame.len > 0) { // a long one
        uint8_t *longer = malloc(FRAME_CAP);
        ensure(longer);
        for (size_t i = 0; i < FRAME_CAP; i++)
            longer[i] = frame.bytes[i % frame.len];
        free(frame.bytes);
        frame = (struct fuzz_chunk){.bytes = longer, .len = FRAME_CAP};
    }
    if (parse(how & 1, in.at,
              in.left < (CAPTURE_PROGRAM_MAX + 1) * CAPTURE_INSTRUCTION_LEN ? in.left
                                                                            : (CAPTURE_PROGRAM_MAX + 1) * CAPTURE_INSTRUCTION_LEN) &&
        filter.n_instructions > 0)
        run(frame.bytes, frame.len);
    show(frame.bytes, frame.len, how & 4);
    free(frame.bytes);
    return 0;
}
