// SPDX-License-Identifier: MIT
/*
 * capture_stream: see capture_stream.h. The instance may be of another version, or not be one at all: its words are cut to plain letters,
 * and its lengths are looked at.
 */
#include "capture_stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/clock.h"

enum { VERSION = 1, COUNTS_LEN = 4 * 8 };

// What can be a part of a line on a terminal.
static void copy_word(char *out, size_t cap, const char *word)
{
    size_t len = 0;

    for (; word && *word && len < cap - 1; word++)
        if ((*word >= 'a' && *word <= 'z') || (*word >= 'A' && *word <= 'Z') || (*word >= '0' && *word <= '9') || strchr("_-.@", *word))
            out[len++] = *word;
    out[len] = '\0';
}

static void take_description(struct capture_stream *stream, const json_t *document)
{
    const json_t *verdicts = json_object_get(document, "verdicts");

    copy_word(stream->tap, sizeof stream->tap, json_string_value(json_object_get(document, "tap")));
    stream->snaplen = (uint32_t)json_integer_value(json_object_get(document, "snaplen"));
    for (size_t i = 0; i < json_array_size(verdicts) && i < CAPTURE_VERDICT_NAMES; i++)
        copy_word(stream->verdicts[i], sizeof stream->verdicts[i], json_string_value(json_array_get(verdicts, i)));
}

bool capture_stream_begin(struct capture_stream *stream, char problem[static CONTROL_PROBLEM_CAP])
{
    json_t *document = control_client_read(&stream->client, now_boot_ns() + CONTROL_TIMEOUT_MS * NS_PER_MS, problem);
    bool is_known = json_integer_value(json_object_get(document, "capture")) == VERSION;

    if (document && is_known)
        take_description(stream, document);
    else if (document)
        snprintf(problem, CONTROL_PROBLEM_CAP, "instance '%s' captures in a form that this program does not know; restart the older one",
                 stream->client.name);
    else if (!problem[0])
        snprintf(problem, CONTROL_PROBLEM_CAP, "instance '%s' ended the connection without an answer: it is stopping, or too many ask",
                 stream->client.name);
    json_decref(document);
    return is_known;
}

static void take_counts(struct capture_stream *stream)
{
    const uint8_t *at = stream->message + CAPTURE_HEADER_LEN;

    for (size_t i = 0; i < 2 && stream->header.len >= COUNTS_LEN; i++) {
        stream->counts.n_matched[i] = load_le64(at + 16 * i);
        stream->counts.n_lost[i] = load_le64(at + 16 * i + 8);
    }
}

// Until the message has `len` bytes.
static enum capture_got fill(struct capture_stream *stream, size_t len)
{
    while (stream->len < len) {
        ssize_t n = control_client_read_bytes(&stream->client, stream->message + stream->len, len - stream->len);
        if (n == -EAGAIN)
            return CAPTURE_GOT_NOTHING;
        if (n <= 0)
            return CAPTURE_GOT_END;
        stream->len += (size_t)n;
    }
    return CAPTURE_GOT_FRAME;
}

enum capture_got capture_stream_next(struct capture_stream *stream)
{
    for (;;) {
        enum capture_got got = fill(stream, CAPTURE_HEADER_LEN);
        if (got != CAPTURE_GOT_FRAME)
            return got;
        if (!capture_header_decode(&stream->header, stream->message))
            return CAPTURE_GOT_GARBAGE;
        got = fill(stream, CAPTURE_HEADER_LEN + stream->header.len);
        if (got != CAPTURE_GOT_FRAME)
            return got;
        stream->len = 0;
        if (stream->header.kind == CAPTURE_KIND_FRAME)
            return CAPTURE_GOT_FRAME;
        take_counts(stream);
    }
}
