// SPDX-License-Identifier: MIT
/*
 * offload: what a frame that crosses the TAP has left undone: its L4 checksum, its segmentation. The decoded form of a virtio-net header
 * (virtio 1.2, 5.1.6), which the kernel gives with each frame that is read and takes with each that is written; tap.c alone sees its bytes.
 */
#ifndef ETHERCORD_OFFLOAD_H
#define ETHERCORD_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum super_kind {
    SUPER_NONE, // a frame as it is on a wire
    SUPER_TCP4, // a super-frame, to be cut at gso_size bytes of payload
    SUPER_TCP6,
    SUPER_UDP,
    SUPER_UNKNOWN // the kernel named a kind that nobody asked it for
};

// All zero = nothing left undone. Offsets and sizes in bytes.
struct offload {
    enum super_kind kind;
    bool is_partial;          // the L4 checksum field holds the sum of the pseudo-header only
    bool has_cwr;             // TCP: CWR is set, which belongs to the first segment alone
    uint16_t checksum_start;  // with is_partial: where summing begins, from the start of the frame
    uint16_t checksum_offset; // … and where the checksum goes, from there
    uint16_t gso_size;        // of a super-frame: payload of each segment but the last
    uint16_t headers_len;     // of a super-frame that is written: Ethernet to TCP or UDP header; what is read is not trusted for it
};

// Whether a frame of `len` bytes can have that: what comes from outside is looked at once, here.
bool offload_is_valid(const struct offload *offload, size_t len) __attribute__((warn_unused_result));
// Does what a device would: sums from checksum_start to the end and stores the checksum; is_partial is false then. Any protocol.
void offload_complete(struct offload *offload, uint8_t *frame, size_t len);

#endif
