// SPDX-License-Identifier: MIT
/*
 * capture_text: one line about a captured frame: when, which way, from whom to whom, what it is, how long, and what became of it.
 *
 * Frames come from anybody: what is printed of them are numbers, addresses and words of our own, never their bytes.
 */
#ifndef ETHERCORD_CLI_CAPTURE_TEXT_H
#define ETHERCORD_CLI_CAPTURE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CAPTURE_TEXT_CAP = 512 };
enum { CAPTURE_TEXT_SNAPLEN = 256 }; // bytes of a frame that a line can say something about

struct captured {
    uint64_t wall_ns;
    bool is_inbound;
    const uint8_t *bytes;
    size_t len;         // of bytes
    uint32_t frame_len; // of the whole frame
    bool is_own;        // made by the node
    const char *fate;   // "dropped: no_session" and the like; NULL = it has passed
};

// Without a line feed. Never more than fits.
void capture_text_format(const struct captured *captured, char text[static CAPTURE_TEXT_CAP]);

#endif
