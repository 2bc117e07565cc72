// SPDX-License-Identifier: MIT
/*
 * capture_stream: what a running instance answers to "capture": a document that says what the numbers mean, then messages
 * (docs/control.md#capture).
 */
#ifndef ETHERCORD_CLI_CAPTURE_STREAM_H
#define ETHERCORD_CLI_CAPTURE_STREAM_H

#include "control_client.h"
#include "ethercord/capture.h"

enum { CAPTURE_VERDICT_CAP = 64, CAPTURE_VERDICT_NAMES = 256 };

struct capture_counts {
    uint64_t n_matched[2], n_lost[2]; // by enum capture_direction
};

struct capture_stream {
    struct control_client client;
    char tap[32];
    uint32_t snaplen;
    char verdicts[CAPTURE_VERDICT_NAMES][CAPTURE_VERDICT_CAP]; // names by number; "" = not told
    struct capture_counts counts;
    struct capture_header header; // of the frame in hand
    size_t len;                   // of the message, so far
    uint8_t message[CAPTURE_MESSAGE_MAX];
};

enum capture_got { CAPTURE_GOT_FRAME, CAPTURE_GOT_NOTHING, CAPTURE_GOT_END, CAPTURE_GOT_GARBAGE };

// Reads the document. False with `problem`. The connection is the caller's to close.
bool capture_stream_begin(struct capture_stream *stream, char problem[static CONTROL_PROBLEM_CAP]);
// The next frame is in header and message + CAPTURE_HEADER_LEN.
enum capture_got capture_stream_next(struct capture_stream *stream);

#endif
