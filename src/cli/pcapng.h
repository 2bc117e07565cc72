// SPDX-License-Identifier: MIT
/*
 * pcapng: writes captured frames as a pcapng file (draft-ietf-opsawg-pcapng): one section, one Ethernet interface, times in ns. A writer of
 * our own: libpcap reads that format but writes only the older one, which has no place for directions and comments.
 */
#ifndef ETHERCORD_CLI_PCAPNG_H
#define ETHERCORD_CLI_PCAPNG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ethercord/bytes.h"
#include "ethercord/capture.h"

enum {
    PCAPNG_TEXT_MAX = 1024, // bytes of an option; what is longer is cut
    PCAPNG_BLOCK_MAX = CAPTURE_FRAME_MAX + 5 * PCAPNG_TEXT_MAX
};

// Of the caller, who sets `out`.
struct pcapng {
    FILE *out;
    struct writer body; // of the block in hand
    uint8_t block[PCAPNG_BLOCK_MAX];
};

struct pcapng_interface {
    const char *name;
    const char *description;
    const char *filter; // "" = none
    uint32_t snaplen;
};

struct pcapng_frame {
    uint64_t wall_ns;
    bool is_inbound; // else outbound
    const uint8_t *bytes;
    uint32_t len;        // of bytes
    uint32_t frame_len;  // of the whole frame
    uint64_t n_lost;     // frames since the one before
    const char *comment; // NULL = none
};

struct pcapng_counts {
    uint64_t begin_ns, end_ns;
    uint64_t n_matched; // frames that the filter let pass
    uint64_t n_lost;    // of those
};

// They return false when `out` took it not; then errno says why.
bool pcapng_begin(struct pcapng *file, const struct pcapng_interface *interface);
bool pcapng_write(struct pcapng *file, const struct pcapng_frame *frame);
bool pcapng_end(struct pcapng *file, const struct pcapng_counts *counts);

#endif
