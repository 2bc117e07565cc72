// SPDX-License-Identifier: MIT
/*
 * tap_out: the last step of both pipelines: frames and super-frames into the TAP, each counted as written or under one drop reason.
 *
 * What the TAP does not take undone is finished here in software: by the configuration, because the kernel lacks it, or because a write was
 * refused (EINVAL: some kernels took back what they had offered). Each thread has one of its own.
 */
#ifndef ETHERCORD_TAP_OUT_H
#define ETHERCORD_TAP_OUT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "ethercord/capture.h"
#include "ethercord/drop.h"
#include "ethercord/log.h"
#include "ethercord/packet.h"
#include "ethercord/shortcut.h"
#include "ethercord/tap.h"

struct tap_out {
    struct tap *tap;
    struct counters *counters;
    struct capture *capture; // the thread's; NULL = none
    bool is_own;             // all that it writes is made by this node
    struct log_limit refused;
    _Atomic enum tap_offload level; // what is written undone; falls when the kernel refuses it. Any thread may look
    bool has_udp_offload;
    unsigned strikes[SUPER_UNKNOWN]; // by enum super_kind: refusals one after the other
};

// What a frame or super-frame with an undone checksum consists of; `headers` may be written to.
struct tap_packet {
    struct packet_view packet;
    uint8_t *headers; // packet.payload_offset bytes
    const uint8_t *payload;
    size_t payload_len;
    size_t trailer_len;     // bytes behind the payload that are none of the packet's
    struct offload offload; // is_partial
    uint32_t n_frames;      // what it counts for
    bool is_piece;          // of a super-frame
};

void tap_out_init(struct tap_out *out, struct tap *tap, struct counters *counters);
// A frame as it is.
void tap_out_write(struct tap_out *out, const uint8_t *frame, size_t len, uint64_t now_ns);
// With what is undone left to the kernel where it takes it; but small packets and DHCP are completed: their readers look at raw frames.
void tap_out_write_packet(struct tap_out *out, const struct tap_packet *packet, uint64_t now_ns);
// Writes all that the shortcut has to say; `room` is FRAME_MAX bytes.
void tap_out_shortcut(struct tap_out *out, struct shortcut *shortcut, uint8_t *room, uint64_t now_ns);

#endif
